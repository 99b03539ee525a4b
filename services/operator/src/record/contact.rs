//! `adal record contact`: the trust line and other intake.

use clap::Args;
use domain::contact::{CallerPart, CloseContact, GiveConsultation, LinkContact, OpenContact};
use domain::ids::AppealId;
use domain::{Code, Request};
use uuid::Uuid;

use super::{Common, Undertaking};
use crate::errors::{Failure, Outcome};
use crate::input;

/// A contact: without --id a new one, with --id a further step of one that is open.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        adal record contact --channel call --topic other --outcome consultation\n  \
                        adal record contact --channel call --caller-name @name --note -\n  \
                        adal record contact --id UUID --appeal UUID --outcome appeal")]
pub struct ContactArgs {
    /// An open contact to go on with [default: a new one].
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Option<Uuid>,
    /// How the person came: a code of `channel`. Needed for a new contact.
    #[arg(long, value_parser = input::code, required_unless_present = "id")]
    channel: Option<Code>,
    /// Which line or counter: a code of `line`.
    #[arg(long, value_parser = input::code)]
    line: Option<Code>,
    /// Language that the person used: a code of `language`.
    #[arg(long, value_parser = input::code, default_value = "kk")]
    language: Code,
    /// The caller's name, to be sealed: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    caller_name: Option<String>,
    /// Number or address to call back, to be sealed.
    #[arg(long, value_name = "TEXT")]
    phone: Option<String>,
    /// What was said, to be sealed.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A consultation was given: a code of `topic`.
    #[arg(long, value_parser = input::code)]
    topic: Option<Code>,
    /// An appeal came of it: the appeal's id.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    appeal: Option<Uuid>,
    /// The contact is over: a code of `contact_outcome`.
    #[arg(long, value_parser = input::code)]
    outcome: Option<Code>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl ContactArgs {
    /// The requests of this command line, in their order.
    pub(super) fn undertaking(&self) -> Outcome<Undertaking> {
        let mut requests: Vec<Request> = Vec::new();
        if self.id.is_none() {
            let channel = self.channel.clone();
            let channel = channel.ok_or_else(|| Failure::usage("--channel is needed"))?;
            requests.push(self.open(channel)?.into());
        } else if self.channel.is_some() || self.has_personal() {
            return Err(Failure::usage(
                "--channel, --caller-name, --phone and --note begin a contact; leave --id out",
            ));
        }
        if let Some(topic) = &self.topic {
            requests.push(GiveConsultation { topic: topic.clone() }.into());
        }
        if let Some(appeal) = self.appeal {
            requests.push(LinkContact { appeal: AppealId::new(appeal) }.into());
        }
        if let Some(outcome) = &self.outcome {
            requests.push(CloseContact { outcome: outcome.clone() }.into());
        }
        if requests.is_empty() {
            let message = "nothing to record: give --topic, --appeal or --outcome";
            return Err(Failure::usage(message));
        }
        let stream = self.id.unwrap_or_else(Uuid::now_v7);
        Ok(Undertaking { stream, begins: self.id.is_none(), requests })
    }

    fn has_personal(&self) -> bool {
        self.caller_name.is_some() || self.phone.is_some() || self.note.is_some()
    }

    fn open(&self, channel: Code) -> Outcome<OpenContact> {
        let personal = match self.has_personal() {
            false => None,
            true => Some(CallerPart {
                name: input::text(self.caller_name.as_deref())?,
                phone: input::text(self.phone.as_deref())?,
                note: input::text(self.note.as_deref())?,
            }),
        };
        Ok(OpenContact {
            channel,
            line: self.line.clone(),
            language: self.language.clone(),
            personal,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ContactArgs,
    }

    fn undertaking(line: &str) -> Outcome<Undertaking> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().args.undertaking()
    }

    fn names(line: &str) -> Vec<&'static str> {
        undertaking(line).unwrap().requests.iter().map(Request::name).collect()
    }

    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    #[test]
    fn one_line_is_a_whole_contact() {
        assert_eq!(
            names("--channel call --topic other --outcome consultation"),
            ["open_contact", "give_consultation", "close_contact"]
        );
        let more = format!("--id {ID} --appeal {ID} --outcome appeal");
        assert_eq!(names(&more), ["link_contact", "close_contact"]);
        assert!(!undertaking(&more).unwrap().begins);
    }

    #[test]
    fn nothing_to_record_is_said() {
        assert!(undertaking(&format!("--id {ID}")).is_err());
        assert!(undertaking(&format!("--id {ID} --note x --topic other")).is_err());
        assert!(Line::try_parse_from(["x", "--topic", "other"]).is_err());
    }
}
