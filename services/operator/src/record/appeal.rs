//! `adal record appeal` and `adal record correction`.

use clap::{Args, Subcommand};
use domain::appeal::{
    AnswerAppeal, AnswerPart, ApplicantPart, ApproveDecision, AssignAppeal, CloseAppeal,
    CorrectAppeal, CorrectionPart, DecisionPart, Field, PrepareDecision, ReceiveAppeal,
    TriageAppeal, VoidRegistration,
};
use domain::ids::ContactId;
use domain::{Code, Post, Zone};
use jiff::civil::Date;
use uuid::Uuid;

use super::{Common, Undertaking};
use crate::errors::{Failure, Outcome};
use crate::input;

/// Steps of an appeal.
#[derive(Debug, Subcommand)]
pub enum AppealCommand {
    /// Receive and register an appeal; its number is in the receipt
    Receive(ReceiveArgs),
    /// Decide what it is about and how grave it is
    Triage(TriageArgs),
    /// Give it to an executor (chief)
    Assign(AssignArgs),
    /// Draft a decision
    Decide(DecideArgs),
    /// Approve the drafted decision (chief)
    Approve(StepArgs),
    /// The answer left the office
    Answer(AnswerArgs),
    /// Close the case
    Close(CodeArgs),
    /// The registration was a mistake (chief); the number stays used
    Void(CodeArgs),
}

/// A new appeal.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal record appeal receive --kind complaint --form paper \
                        --channel letter \\\n    --applicant-name @name --text @letter.txt \
                        --due 2026-12-15")]
pub struct ReceiveArgs {
    /// Kind: a code of `appeal_kind`.
    #[arg(long, value_parser = input::code)]
    kind: Code,
    /// Form: a code of `appeal_form`.
    #[arg(long, value_parser = input::code)]
    form: Code,
    /// How it arrived: a code of `channel`.
    #[arg(long, value_parser = input::code)]
    channel: Code,
    /// Language of the appeal: a code of `language`.
    #[arg(long, value_parser = input::code, default_value = "kk")]
    language: Code,
    /// Individual or collective: a code of `appeal_character`.
    #[arg(long, value_parser = input::code, default_value = "individual")]
    character: Code,
    /// Number of applicants.
    #[arg(long, default_value_t = 1)]
    applicants: u32,
    /// The applicant gave no name.
    #[arg(long)]
    anonymous: bool,
    /// The contact that brought it.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    contact: Option<Uuid>,
    /// When it reached the office [default: --at].
    #[arg(long, value_name = "TIME")]
    received_at: Option<String>,
    /// Day of registration [default: the day of receipt].
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    registered_on: Option<Date>,
    /// Day by which the answer is due.
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    due: Option<Date>,
    /// The applicant's name, to be sealed: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    applicant_name: Option<String>,
    /// How to reach the applicant, to be sealed.
    #[arg(long, value_name = "TEXT")]
    contacts: Option<String>,
    /// The appeal's own text, to be sealed.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Id of the appeal [default: a new one].
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    common: Common,
}

/// What an appeal is about.
#[derive(Debug, Args)]
pub struct TriageArgs {
    /// Category: a code of `category`.
    #[arg(long, value_parser = input::code)]
    category: Code,
    /// Gravity: a code of `severity`.
    #[arg(long, value_parser = input::code, default_value = "medium")]
    severity: Code,
    /// Urgency: a code of `urgency`.
    #[arg(long, value_parser = input::code, default_value = "normal")]
    urgency: Code,
    /// There are signs of corruption.
    #[arg(long)]
    corruption_signs: bool,
    /// It belongs to court proceedings.
    #[arg(long)]
    judicial_matter: bool,
    #[command(flatten)]
    step: StepArgs,
}

/// Who handles an appeal.
#[derive(Debug, Args)]
pub struct AssignArgs {
    /// The post that will handle it, such as kz-75/clerk.
    #[arg(long, value_parser = input::post)]
    executor: Post,
    #[command(flatten)]
    step: StepArgs,
}

/// A decision.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// Decision: a code of `decision`.
    #[arg(long, value_parser = input::code)]
    decision: Code,
    /// Nature of the answer: a code of `answer_nature`.
    #[arg(long, value_parser = input::code)]
    answer_nature: Code,
    /// The words, to be sealed: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    step: StepArgs,
}

/// An answer.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// How it left: a code of `answer_channel`.
    #[arg(long, value_parser = input::code)]
    channel: Code,
    /// Language: kk, or that of the appeal.
    #[arg(long, value_parser = input::code, default_value = "kk")]
    language: Code,
    /// The words, to be sealed: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    step: StepArgs,
}

/// A step that carries one code.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// A code of `closure` (close) or `void_reason` (void).
    #[arg(long = "reason", visible_alias = "closure", value_parser = input::code)]
    code: Code,
    #[command(flatten)]
    step: StepArgs,
}

/// Which appeal.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// Id of the appeal.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    #[command(flatten)]
    common: Common,
}

/// A correction of one field of an appeal.
#[derive(Debug, Args)]
#[command(after_help = "Values of codes, dates and numbers are given with --before and --after; \
                        those of names and texts with --text-before and --text-after, and are \
                        sealed.\n\nExample: adal record correction --appeal UUID --field channel \
                        --before call --after letter --reason wrong_code")]
pub struct CorrectionArgs {
    /// Id of the appeal.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    appeal: Uuid,
    /// The field: kind, channel, language, applicant_name, due_on, ... (a wrong one lists all).
    #[arg(long, value_parser = field)]
    field: Code,
    /// The value believed to be recorded; refused where another one is.
    #[arg(long, value_parser = input::code)]
    before: Option<Code>,
    /// The right value; left out takes an optional value away.
    #[arg(long, value_parser = input::code)]
    after: Option<Code>,
    /// What a name or text said: @FILE, - or the text.
    #[arg(long, value_name = "TEXT")]
    text_before: Option<String>,
    /// What a name or text should say.
    #[arg(long, value_name = "TEXT")]
    text_after: Option<String>,
    /// Why: a code of `correction_reason`.
    #[arg(long, value_parser = input::code)]
    reason: Code,
    /// Version of the fact that is corrected [default: the last one with the field].
    #[arg(long, value_name = "VERSION")]
    of: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

fn field(text: &str) -> Result<Code, String> {
    if Field::from_name(text).is_some() {
        return input::code(text);
    }
    let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
    Err(format!("is no field that can be corrected; use one of: {}", names.join(", ")))
}

impl AppealCommand {
    /// The request of this command line, and its common options.
    pub(super) fn undertaking(&self) -> Outcome<(Undertaking, &Common)> {
        let (step, undertaking) = match self {
            Self::Receive(args) => return Ok((args.undertaking()?, &args.common)),
            Self::Triage(args) => (&args.step, Undertaking::on(args.step.id, args.request())),
            Self::Assign(args) => {
                let request = AssignAppeal { executor: args.executor.clone() };
                (&args.step, Undertaking::on(args.step.id, request))
            }
            Self::Decide(args) => {
                let text = input::text(args.text.as_deref())?;
                let request = PrepareDecision {
                    decision: args.decision.clone(),
                    answer_nature: args.answer_nature.clone(),
                    personal: text.map(|text| DecisionPart { text: Some(text) }),
                };
                (&args.step, Undertaking::on(args.step.id, request))
            }
            Self::Approve(step) => (step, Undertaking::on(step.id, ApproveDecision {})),
            Self::Answer(args) => {
                let text = input::text(args.text.as_deref())?;
                let request = AnswerAppeal {
                    channel: args.channel.clone(),
                    language: args.language.clone(),
                    personal: text.map(|text| AnswerPart { text: Some(text) }),
                };
                (&args.step, Undertaking::on(args.step.id, request))
            }
            Self::Close(args) => {
                let request = CloseAppeal { closure: args.code.clone() };
                (&args.step, Undertaking::on(args.step.id, request))
            }
            Self::Void(args) => {
                let request = VoidRegistration { reason: args.code.clone() };
                (&args.step, Undertaking::on(args.step.id, request))
            }
        };
        Ok((undertaking, &step.common))
    }
}

impl TriageArgs {
    fn request(&self) -> TriageAppeal {
        TriageAppeal {
            category: self.category.clone(),
            severity: self.severity.clone(),
            urgency: self.urgency.clone(),
            corruption_signs: self.corruption_signs,
            judicial_matter: self.judicial_matter,
        }
    }
}

impl ReceiveArgs {
    fn undertaking(&self) -> Outcome<Undertaking> {
        let part = ApplicantPart {
            name: input::text(self.applicant_name.as_deref())?,
            contacts: input::text(self.contacts.as_deref())?,
            text: input::text(self.text.as_deref())?,
        };
        let zone = self.common.zone.clone().unwrap_or_else(Zone::utc);
        let received_at = self.received_at.as_deref();
        let received_at = received_at.map(|at| input::moment(at, &zone)).transpose()?;
        let request = ReceiveAppeal {
            kind: self.kind.clone(),
            form: self.form.clone(),
            character: self.character.clone(),
            applicants: self.applicants,
            anonymous: self.anonymous,
            language: self.language.clone(),
            channel: self.channel.clone(),
            contact: self.contact.map(ContactId::new),
            received_at,
            registered_on: self.registered_on,
            due_on: self.due,
            personal: (part != ApplicantPart::default()).then_some(part),
        };
        Ok(Undertaking::begin(self.id, request))
    }
}

impl CorrectionArgs {
    /// The request of this command line.
    pub(super) fn undertaking(&self) -> Outcome<Undertaking> {
        let part = CorrectionPart {
            before: input::text(self.text_before.as_deref())?,
            after: input::text(self.text_after.as_deref())?,
        };
        let personal = (part != CorrectionPart::default()).then_some(part);
        if personal.is_some() && (self.before.is_some() || self.after.is_some()) {
            return Err(Failure::usage(
                "give either --before and --after, or --text-before and --text-after",
            ));
        }
        let request = CorrectAppeal {
            of: self.of,
            field: self.field.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
            reason: self.reason.clone(),
            personal,
        };
        Ok(Undertaking::on(self.appeal, request))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use domain::Request;
    use domain::appeal::AppealRequest;

    use super::*;

    #[derive(Parser)]
    enum Line {
        #[command(subcommand)]
        Appeal(AppealCommand),
        Correction(CorrectionArgs),
    }

    fn parse(line: &str) -> Result<Undertaking, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        match line {
            Line::Appeal(command) => command.undertaking().map(|(undertaking, _)| undertaking),
            Line::Correction(args) => args.undertaking(),
        }
        .map_err(|failure| failure.text)
    }

    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    #[test]
    fn an_appeal_is_received_with_defaults() {
        let line = "appeal receive --kind complaint --form paper --channel letter --text hello";
        let undertaking = parse(line).unwrap();
        assert!(undertaking.begins);
        let [Request::Appeal(AppealRequest::Receive(request))] = &undertaking.requests[..] else {
            panic!("another request");
        };
        assert_eq!((request.language.as_str(), request.applicants), ("kk", 1));
        let text = request.personal.as_ref().unwrap().text.as_ref().unwrap();
        assert_eq!(text.expose(), "hello");
    }

    #[test]
    fn every_step_makes_its_request() {
        for (line, name) in [
            ("triage --category ethics", "triage_appeal"),
            ("assign --executor kz-75/clerk", "assign_appeal"),
            ("decide --decision answer --answer-nature explained", "prepare_decision"),
            ("approve", "approve_decision"),
            ("answer --channel letter --text x", "answer_appeal"),
            ("close --closure answered", "close_appeal"),
            ("void --reason registered_twice", "void_registration"),
        ] {
            let undertaking = parse(&format!("appeal {line} --id {ID}")).unwrap();
            assert_eq!(undertaking.requests[0].name(), name);
            assert!(!undertaking.begins);
        }
    }

    #[test]
    fn corrections_name_their_field() {
        let start = format!("correction --appeal {ID} --reason typing_error");
        let wrong = parse(&format!("{start} --field colour --after red")).err().unwrap();
        assert!(wrong.contains("applicant_name"), "{wrong}");
        assert!(parse(&format!("{start} --field channel --after letter")).is_ok());
        assert!(parse(&format!("{start} --field text --text-after x --after y")).is_err());
    }
}
