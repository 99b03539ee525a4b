//! The state of a link in one word: the one place that decides it.
//!
//! gRPC, the tool, the national page and the metrics all show what [`state`] says. The order is
//! that of what an operator must know first: an own log that accepts no records, a refusal, then
//! whether the other side is heard and everything is held.

use std::time::Duration;

use domain::{OfficeCode, Timestamp};
pub use replication::RefusalCode;
use replication::{LinkState, LogState, LogStatus, Status};

use crate::link::driver::STATUS_EVERY;
use crate::link::{LinkInfo, store};
use crate::office::Office;
use crate::reseed;

/// A status that was not renewed for so long says nothing about now.
pub(crate) const STALE: Duration = STATUS_EVERY.saturating_mul(6);

/// The state of a link in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkWord {
    /// The newest signed heads are recent, and everything below them is held.
    Live,
    /// The other office is heard; records or a recent head are missing.
    CatchingUp,
    /// A connection is open; the other office has not said hello on it.
    Connecting,
    /// Nothing is heard, and was once.
    SilentSince,
    /// One side refuses the link or a log: an operator must look.
    Refused,
    /// An own log of the link accepts no more records: an operator must look.
    ReadOnly,
    /// Nothing was ever heard.
    NeverConnected,
}

impl LinkWord {
    /// All of them.
    pub const ALL: [LinkWord; 7] = [
        LinkWord::Live,
        LinkWord::CatchingUp,
        LinkWord::Connecting,
        LinkWord::SilentSince,
        LinkWord::Refused,
        LinkWord::ReadOnly,
        LinkWord::NeverConnected,
    ];

    /// As people and programs read it.
    pub fn text(self) -> &'static str {
        match self {
            LinkWord::Live => "live",
            LinkWord::CatchingUp => "catching up",
            LinkWord::Connecting => "connecting",
            LinkWord::SilentSince => "silent since",
            LinkWord::Refused => "refused",
            LinkWord::ReadOnly => "read-only",
            LinkWord::NeverConnected => "never connected",
        }
    }
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// In one word.
    pub word: LinkWord,
    /// Since when, microseconds since 1970; for [`LinkWord::SilentSince`] the last sign of life.
    pub since: Option<i64>,
    /// Why, for [`LinkWord::Refused`] and [`LinkWord::ReadOnly`].
    pub reason: Option<RefusalCode>,
}

impl State {
    /// In words: `live`, `catching up`, `silent since` with the time, `refused:` and `read-only:`
    /// with the reason.
    pub fn text(&self) -> String {
        let word = self.word.text();
        match (self.word, self.reason, self.since) {
            (_, Some(reason), _) => format!("{word}: {reason}"),
            (LinkWord::SilentSince, _, Some(at)) => {
                let seconds = at.div_euclid(1_000_000).saturating_mul(1_000_000);
                format!("{word} {}", Timestamp::from_micros(seconds))
            }
            _ => word.to_owned(),
        }
    }
}

/// When the peer was last heard. `known`: as far as it was stored; it outlives a restart of this
/// node.
pub fn last_contact(info: &LinkInfo, known: Option<i64>) -> Option<i64> {
    info.status.as_ref().and_then(|status| status.heard_at).max(known)
}

/// The state of one link. `known`: see [`last_contact`]. `read_only`: what [`read_only`] says of
/// the link.
pub fn state(info: &LinkInfo, known: Option<i64>, read_only: Option<RefusalCode>) -> State {
    let heard = last_contact(info, known);
    let (word, reason) = match read_only {
        Some(reason) => (LinkWord::ReadOnly, Some(reason)),
        None => word(info, heard.is_some()),
    };
    let since = match word {
        LinkWord::SilentSince => heard,
        LinkWord::NeverConnected => None,
        _ => info.since,
    };
    State { word, since, reason }
}

fn word(info: &LinkInfo, was_heard: bool) -> (LinkWord, Option<RefusalCode>) {
    let refused = |code| (LinkWord::Refused, Some(code));
    if info.duplicate.is_some() {
        return refused(RefusalCode::DuplicateOffice);
    }
    let down = match (info.refused, was_heard) {
        (Some((_, code)), _) => refused(code),
        (None, true) => (LinkWord::SilentSince, None),
        (None, false) => (LinkWord::NeverConnected, None),
    };
    let is_stale = info.unrenewed.is_none_or(|age| age > STALE);
    let Some(status) = &info.status else { return down };
    match &status.link {
        LinkState::SilentSince(_) | LinkState::Closed { .. } => down,
        LinkState::Refused { code, .. } => refused(*code),
        _ if is_stale => down,
        LinkState::Live => (LinkWord::Live, None),
        LinkState::CatchingUp => (LinkWord::CatchingUp, None),
        LinkState::Connecting => (LinkWord::Connecting, None),
        LinkState::Faulty => (LinkWord::Refused, stopped(status).first().map(|log| log.1)),
    }
}

/// The logs of a status that do not go on, with the reason; those of an epoch that is over are left
/// out where a later one is there.
pub fn stopped(status: &Status) -> Vec<(&LogStatus, RefusalCode)> {
    let is_over = |log: &LogStatus| {
        let of_log = |o: &&LogStatus| (&o.log, o.role) == (&log.log, log.role);
        status.logs.iter().filter(of_log).any(|o| o.epoch > log.epoch)
    };
    let code = |log: &LogStatus| match &log.state {
        LogState::Stopped { code, .. } => Some(*code),
        LogState::Paused(code) => Some(*code),
        LogState::Waiting | LogState::Live | LogState::CatchingUp => None,
    };
    let logs = status.logs.iter().filter(|log| !is_over(log));
    logs.filter_map(|log| Some((log, code(log)?))).collect()
}

/// What is wrong with an own log of the link with `peer` that accepts no more records; `None` if
/// nothing is. A log that waits for what the centre gives back is not wrong: its own line says so.
pub fn read_only(office: &Office, peer: &OfficeCode) -> Option<RefusalCode> {
    let logs = super::shared_logs(office, peer).into_iter().filter(|(_, own)| *own);
    let frozen = |log: &evidence::log::LogName| {
        if reseed::reason(&office.journal, log).is_some() {
            return None;
        }
        store::read_only_reason(&office.journal, log)?;
        let epoch = store::own_epoch(&office.journal, log);
        let faults = store::faults(office).into_iter();
        let of_log = faults.filter(|fault| &fault.log == log && fault.epoch == epoch);
        let named = of_log.filter_map(|fault| RefusalCode::named(&fault.code));
        let codes: Vec<RefusalCode> = named.filter(|code| code.contradicts()).collect();
        // The exact word, where the other side had one.
        let exact = codes.iter().find(|code| **code != RefusalCode::Rollback);
        Some(exact.or(codes.first()).copied().unwrap_or(RefusalCode::Fork))
    };
    logs.filter_map(|(log, _)| frozen(&log)).next()
}
