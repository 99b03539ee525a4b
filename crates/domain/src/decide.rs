//! The decision: from history, request and context to new facts or a refusal.

use uuid::Uuid;

use crate::check;
use crate::classifier::Classifiers;
use crate::fact::{Fact, StreamKind};
use crate::number::RegistrationNumber;
use crate::office::OfficeCode;
use crate::permission::{self, Actor};
use crate::refusal::{Refusal, RefusalCode};
use crate::request::Request;
use crate::time::{Timestamp, Zone};
use crate::{access, appeal, classifier, contact, directive, image, measure, office, reception};
use crate::{state, task};

/// What a decision may know besides the stream's history. The caller (node) fills it; nothing
/// here is read from a clock or a store by this crate.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The office that decides.
    pub office: &'a OfficeCode,
    /// The stream the request is about.
    pub stream: Uuid,
    /// The writer's clock.
    pub now: Timestamp,
    /// When it happened, as the request says.
    pub occurred_at: Timestamp,
    /// The office's zone, in which instants become dates.
    pub zone: &'a Zone,
    /// The authenticated person.
    pub actor: &'a Actor,
    /// The lists in force.
    pub classifiers: &'a Classifiers,
    /// The registration number to use, where the request registers an appeal; used only if the
    /// request is not refused.
    pub number: Option<&'a RegistrationNumber>,
    /// Codes of all enrolled offices; needed to issue a directive.
    pub offices: &'a [OfficeCode],
    /// For a dispatch: the version of the last `task.execution_reported` of the office's stream
    /// `task/D` that this office holds in its mirror; `None` when it holds none.
    pub report: Option<u32>,
    /// For new keys of an office: the newest epoch of its log that this office mirrors; `None` when
    /// it mirrors none.
    pub epoch: Option<u32>,
}

/// In which log a stream lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogTarget {
    /// The office's own log: `kz` at the centre, `kz-75` in a region.
    Own,
    /// The centre's log for everybody: `kz/all`.
    All,
    /// The centre's log for one office: `kz/kz-75`.
    To(OfficeCode),
}

/// One stream and where it lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamTarget {
    /// The log.
    pub log: LogTarget,
    /// The kind.
    pub kind: StreamKind,
    /// The id.
    pub id: Uuid,
}

/// Facts to record, all or none. The first stream is the request's own; any further one is new
/// (expected version 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Streams with their new facts, in order; at least one, each with at least one fact.
    pub streams: Vec<(StreamTarget, Vec<Fact>)>,
}

impl Decision {
    /// The new facts of the request's own stream.
    pub fn own(&self) -> &[Fact] {
        self.streams.first().map_or(&[], |(_, facts)| facts)
    }

    /// The registration number the decision gives, where it registers an appeal.
    pub fn registration(&self) -> Option<&RegistrationNumber> {
        self.own().iter().find_map(|fact| match fact {
            Fact::Appeal(appeal::AppealFact::Registered(fact)) => Some(&fact.reg_no),
            _ => None,
        })
    }
}

/// Decides a request against the stream's whole history (its facts from version 1, in order;
/// sealed parts need not be opened). Pure: the same input gives the same outcome everywhere.
///
/// # Errors
/// A [`Refusal`] that says what is wrong and what to do; nothing is to be recorded then.
pub fn decide(history: &[Fact], request: &Request, ctx: &Context<'_>) -> Result<Decision, Refusal> {
    permission::check(ctx.actor, ctx.office, request)?;
    check::happened("occurred_at", ctx.occurred_at, ctx)?;
    if let Some(id) = request.derived_stream()
        && id != ctx.stream
    {
        let message = "does not follow from the request; leave it out to have it derived";
        return Err(Refusal::field(RefusalCode::Malformed, "stream_id", message));
    }
    request.validate(ctx.classifiers)?;
    let mut further = Vec::new();
    let facts = match request {
        Request::Contact(request) => contact::decide(&state::fold(history), request)?,
        Request::Appeal(request) => appeal::decide(&state::fold(history), request, ctx)?,
        Request::Reception(request) => reception::decide(&state::fold(history), request, ctx)?,
        Request::Measure(request) => measure::decide(&state::fold(history), request, ctx)?,
        Request::Activity(request) => image::decide(&state::fold(history), request, ctx)?,
        Request::Directive(request) => {
            let (fact, dispatches) = directive::issue(&state::fold(history), request, ctx)?;
            further = dispatches;
            vec![fact]
        }
        Request::Dispatch(request) => {
            directive::decide_dispatch(&state::fold(history), request, ctx)?
        }
        Request::Task(request) => task::decide(&state::fold(history), request)?,
        Request::Office(request) => office::decide(&state::fold(history), request, ctx)?,
        Request::Classifier(request) => classifier::decide(&state::fold(history), request, ctx)?,
        Request::Access(request) => access::decide(request),
    };
    let target = StreamTarget { log: request.log(), kind: request.stream_kind(), id: ctx.stream };
    let mut streams = vec![(target, facts)];
    streams.append(&mut further);
    Ok(Decision { streams })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Desk, code};
    use crate::{contact, limits};

    fn open() -> Request {
        contact::OpenContact {
            channel: code("call"),
            line: None,
            language: code("kk"),
            personal: None,
        }
        .into()
    }

    #[test]
    fn times_outside_their_limits() {
        let mut desk = Desk::region();
        desk.occurred_at = desk.now.plus_micros(limits::AHEAD_MICROS);
        desk.accepts(&[], open());
        desk.occurred_at = desk.now.plus_micros(limits::AHEAD_MICROS + 1);
        desk.refuses(&[], open(), RefusalCode::OutOfRange, Some("occurred_at"));
        desk.occurred_at = Timestamp::from_micros(limits::EARLIEST_MICROS - 1);
        desk.refuses(&[], open(), RefusalCode::OutOfRange, Some("occurred_at"));
    }

    #[test]
    fn stream_of_the_own_log() {
        let desk = Desk::region();
        let decision = desk.accepts(&[], open());
        let (target, facts) = &decision.streams[0];
        assert_eq!(target.log, LogTarget::Own);
        assert_eq!(target.kind, StreamKind::Contact);
        assert_eq!(target.id, desk.stream);
        assert_eq!(facts.len(), 1);
        assert_eq!(decision.registration(), None);
    }
}
