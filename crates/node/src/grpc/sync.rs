//! The state of replication in words that are never better than the facts.
//!
//! Whoever shows a link (people's tables, the national page, `SyncStatus`, metrics) takes it from
//! here: one word, one age, one lag.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::OfficeCode;
use evidence::log::LogName;
use replication::{CosignatureKind, LinkState, LogState, LogStatus, RefusalCode, Role, Status};
use wire::pb::operator::v1 as pb;

use crate::alarms::{self, EvidenceLine};
use crate::grpc::instant;
use crate::link::driver::STATUS_EVERY;
use crate::link::{LinkInfo, store};
use crate::office::{Office, downlink, own_log};
use crate::reseed;

/// A status that was not renewed for so long says nothing about now.
const STALE: Duration = STATUS_EVERY.saturating_mul(6);
/// A head that came in this much later than now, in microseconds, shows a clock that was set back.
const CLOCK_TOLERANCE: i64 = 1_000_000;

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
    /// Nothing was ever heard.
    NeverConnected,
}

impl LinkWord {
    /// As people and programs read it.
    pub fn text(self) -> &'static str {
        match self {
            LinkWord::Live => "live",
            LinkWord::CatchingUp => "catching up",
            LinkWord::Connecting => "connecting",
            LinkWord::SilentSince => "silent since",
            LinkWord::Refused => "refused",
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
}

/// The state of one link. `last_head`: when the newest head that is stored came from the peer or
/// was cosigned by it; it outlives a restart of this node.
pub fn state(info: &LinkInfo, last_head: Option<i64>) -> State {
    let heard = last_contact(info, last_head);
    let word = word(info, heard.is_some());
    let since = match word {
        LinkWord::SilentSince => heard,
        LinkWord::NeverConnected => None,
        _ => info.since,
    };
    State { word, since }
}

fn word(info: &LinkInfo, was_heard: bool) -> LinkWord {
    let down = match was_heard {
        _ if info.refused.is_some() => LinkWord::Refused,
        true => LinkWord::SilentSince,
        false => LinkWord::NeverConnected,
    };
    let is_stale = info.unrenewed.is_none_or(|age| age > STALE);
    match info.status.as_ref().map(|status| &status.link) {
        None | Some(LinkState::SilentSince(_) | LinkState::Closed { .. }) => down,
        Some(LinkState::Refused { .. }) => LinkWord::Refused,
        Some(_) if is_stale => down,
        Some(LinkState::Live) => LinkWord::Live,
        Some(LinkState::CatchingUp) => LinkWord::CatchingUp,
        Some(LinkState::Connecting) => LinkWord::Connecting,
        Some(LinkState::Faulty) => LinkWord::Refused,
    }
}

fn last_contact(info: &LinkInfo, last_head: Option<i64>) -> Option<i64> {
    info.status.as_ref().and_then(|status| status.heard_at).max(last_head)
}

/// One link as it is shown.
#[derive(Clone, Debug)]
pub struct LinkLine {
    /// The other office.
    pub peer: OfficeCode,
    /// Its state.
    pub state: State,
    /// What was last heard of the peer, microseconds since 1970; `None`: nothing ever.
    pub last_contact: Option<i64>,
    /// The last error or refusal, and a clock that cannot be right; empty if none.
    pub last_error: String,
    /// The logs shared with the peer.
    pub logs: Vec<LogLine>,
    /// The peer's software as it states it; empty if it never said hello.
    pub peer_software: String,
    /// Links established since this process started.
    pub connects: u64,
}

/// One log of a link.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Whether this office writes it.
    pub own: bool,
    /// Records durably held here.
    pub own_size: u64,
    /// Size of the newest signed head: accepted here, or of an own log by the peer.
    pub head_size: Option<u64>,
    /// When that head came in or was accepted, by this office's clock.
    pub head_at: Option<i64>,
    /// Records that the peer holds, as far as is known here.
    pub peer_size: u64,
    /// Records that the receiver lacks; `None`: not known.
    pub lag: Option<u64>,
    /// Size of the newest head with the peer's mirror cosignature.
    pub cosigned: u64,
    /// Why it does not move; empty if it does.
    pub refused: String,
}

impl LogLine {
    /// Age of the newest head in milliseconds; 0 where the clock was set back.
    pub fn head_age_ms(&self, now: i64) -> Option<u64> {
        self.head_at.map(|at| age_ms(at, now))
    }
}

/// Every peer that ought to be linked, seen or not: the centre for a region, every enrolled
/// office for the centre.
fn peers(office: &Office) -> BTreeMap<OfficeCode, LinkInfo> {
    let mut all = office.links.all();
    if office.code.is_centre() {
        for code in office.country.known().offices.keys() {
            all.entry(code.clone()).or_default();
        }
    } else if let Ok(centre) = "KZ".parse() {
        all.entry(centre).or_default();
    }
    all
}

/// Every link that there ought to be.
pub fn lines(office: &Office) -> BTreeMap<OfficeCode, LinkLine> {
    let now = office.clock.now();
    let line = |(peer, info)| (OfficeCode::clone(&peer), line(office, peer, info, now));
    peers(office).into_iter().map(line).collect()
}

fn line(office: &Office, peer: OfficeCode, info: LinkInfo, now: i64) -> LinkLine {
    let logs: Vec<LogLine> = shared_logs(office, &peer)
        .into_iter()
        .map(|(log, own)| log_line(office, &peer, log, own, info.status.as_ref()))
        .collect();
    let last_head = logs.iter().filter_map(|log| log.head_at).max();
    LinkLine {
        state: state(&info, last_head),
        last_contact: last_contact(&info, last_head),
        last_error: with_clock(&info.last_error, last_head, now),
        peer_software: info.status.and_then(|status| status.peer_software).unwrap_or_default(),
        connects: info.connects,
        peer,
        logs,
    }
}

/// The last error, and a word about a clock that cannot be right.
fn with_clock(last_error: &str, last_head: Option<i64>, now: i64) -> String {
    let ahead = last_head.map_or(0, |at| at.saturating_sub(now));
    if ahead <= CLOCK_TOLERANCE {
        return last_error.to_owned();
    }
    let clock = format!(
        "the clock of this office was set back: it is {} s behind the time at which it noted the \
         newest head, so ages show as 0; set the clock right",
        ahead / 1_000_000
    );
    if last_error.is_empty() { clock } else { format!("{last_error}; {clock}") }
}

/// The logs shared with a peer, and whether this office writes them.
fn shared_logs(office: &Office, peer: &OfficeCode) -> Vec<(LogName, bool)> {
    let region = if office.code.is_centre() { peer } else { &office.code };
    let centre = office.code.is_centre();
    let names = [own_log(region), Ok(office.logs.all.clone()), downlink(region)];
    let owned = [!centre, centre, centre];
    names.into_iter().zip(owned).filter_map(|(log, own)| Some((log.ok()?, own))).collect()
}

/// One log of a link: from the running session where there is one, else from what is stored.
fn log_line(
    office: &Office,
    peer: &OfficeCode,
    log: LogName,
    own: bool,
    status: Option<&Status>,
) -> LogLine {
    let info = newest_epoch(office, &log);
    let epoch = info.as_ref().map_or(1, |info| info.epoch);
    let stored = |kind| store::cosigned_by(office, &log, epoch, kind, peer.as_str());
    let mirrored = stored(CosignatureKind::Mirror);
    let head = match own {
        true => stored(CosignatureKind::Witness),
        false => store::accepted(office, &log, epoch),
    };
    let role = if own { Role::Origin } else { Role::Follower };
    let mirrors = if own { peer } else { &office.code };
    let live = status.and_then(|status| {
        let mut logs = status.logs.iter();
        logs.find(|entry| (&entry.log, entry.epoch, entry.role) == (&log, epoch, role))
    });
    let own_size = info.map_or(0, |info| info.size);
    let head_size = live.and_then(|l| l.head_size).or(head.as_ref().map(|head| head.size));
    let cosigned = mirrored.as_ref().map_or(0, |head| head.size);
    let (peer_size, lag) = match own {
        true => {
            let held = held_by_peer(live, mirrored.map(|head| head.size), head.is_some());
            (held.unwrap_or(0), held.map(|held| own_size.saturating_sub(held)))
        }
        false => (head_size.unwrap_or(0), head_size.map(|size| size.saturating_sub(own_size))),
    };
    LogLine {
        epoch,
        own,
        own_size,
        head_size,
        head_at: live.and_then(|l| l.head_at).max(head.map(|head| head.at)),
        peer_size,
        lag,
        cosigned,
        refused: match reseed::reason(&office.journal, &log).filter(|_| own) {
            Some(reason) => {
                // What is taken back is refused as a mirror is.
                let more = refused_of(status, (&log, 0, Role::Follower), mirrors);
                let more = if more.is_empty() { more } else { format!("; {more}") };
                format!("read-only: {reason}{more}")
            }
            None => refused_of(status, (&log, epoch, role), mirrors),
        },
        log,
    }
}

/// Records of an own log that the peer is known to hold; `None`: it has cosigned a head, so it
/// may hold some, and has not said how many.
fn held_by_peer(live: Option<&LogStatus>, cosigned: Option<u64>, witnessed: bool) -> Option<u64> {
    let said = live.filter(|entry| entry.held > 0 || entry.state != LogState::Waiting);
    let held = said.map(|entry| entry.held).max(cosigned);
    if witnessed { held } else { Some(held.unwrap_or(0)) }
}

fn newest_epoch(office: &Office, log: &LogName) -> Option<journal::LogInfo> {
    let logs = office.journal.logs().into_iter();
    logs.filter(|info| info.log == *log).max_by_key(|info| info.epoch)
}

/// Why the shown epoch of a log does not go on, or a later one that was not taken up.
fn refused_of(
    status: Option<&Status>,
    (log, epoch, role): (&LogName, u32, Role),
    mirrors: &OfficeCode,
) -> String {
    let is = |e: &&LogStatus| (&e.log, e.role) == (log, role) && e.epoch >= epoch;
    let mut shown = status.into_iter().flat_map(|status| &status.logs).filter(is);
    shown.find_map(|e| Some(refusal(e, mirrors)).filter(|t| !t.is_empty())).unwrap_or_default()
}

/// Why a log does not move; `mirrors` is the office that mirrors it.
fn refusal(entry: &LogStatus, mirrors: &OfficeCode) -> String {
    match &entry.state {
        LogState::Stopped { code, text } => format!("{code}: {text}"),
        LogState::Paused(code) => {
            let why = match code {
                RefusalCode::IndexBuilding => "the index is being built",
                RefusalCode::DiskFull => "the disk is full",
                _ => "nothing can be stored",
            };
            format!("{code}: pausing: {why} at {mirrors}; it goes on by itself")
        }
        _ => String::new(),
    }
}

/// Milliseconds from `at` to `now`, both in microseconds.
pub fn age_ms(at: i64, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(at) / 1_000).unwrap_or(0)
}

/// The answer to `SyncStatus`.
pub fn status(office: &Office) -> pb::SyncStatusResponse {
    let now = office.clock.now();
    let lines = lines(office);
    let evidence = alarms::lines(office, lines.values());
    pb::SyncStatusResponse {
        office: office.code.to_string(),
        at: Some(instant(now)),
        links: lines.into_values().map(|line| link_message(line, now)).collect(),
        evidence: evidence.into_iter().map(evidence_message).collect(),
    }
}

fn evidence_message(line: EvidenceLine) -> pb::EvidenceStatus {
    pb::EvidenceStatus {
        log: line.log.to_string(),
        epoch: line.epoch,
        size: line.size,
        complete_size: line.complete_size,
        waiting_since: line.waiting_since.map(instant),
        missing: line.missing,
        alarm: line.alarm,
    }
}

fn link_message(line: LinkLine, now: i64) -> pb::LinkStatus {
    pb::LinkStatus {
        peer: line.peer.to_string(),
        state: line.state.word.text().to_owned(),
        since: line.state.since.map(instant),
        last_contact: line.last_contact.map(instant),
        last_error: line.last_error,
        peer_software: line.peer_software,
        connects: line.connects,
        logs: line.logs.iter().map(|log| log_message(log, now)).collect(),
    }
}

fn log_message(line: &LogLine, now: i64) -> pb::LogSync {
    pb::LogSync {
        log: line.log.to_string(),
        epoch: line.epoch,
        role: if line.own { pb::LogRole::Own } else { pb::LogRole::Mirror }.into(),
        own_size: line.own_size,
        signed_head_size: line.head_size.unwrap_or(0),
        signed_head_at: line.head_at.map(instant),
        signed_head_age_ms: line.head_age_ms(now),
        peer_size: line.peer_size,
        lag_records: line.lag,
        cosigned_size: line.cosigned,
        refused: line.refused.clone(),
    }
}

/// What a list of offices says of one of them.
#[derive(Clone, Debug, Default)]
pub struct OfficeLine {
    /// The link to it; `None`: this node has none.
    pub state: Option<State>,
    /// Size of the newest head that it signed and this node accepted.
    pub head_size: Option<u64>,
    /// Age of that head, milliseconds.
    pub head_age_ms: Option<u64>,
    /// Records of its log durably held here.
    pub held: u64,
    /// Records of that head that are not held here; `None`: no head.
    pub lag: Option<u64>,
    /// See [`LinkLine::last_error`].
    pub last_error: String,
}

/// The line of the office with this code. `lines`: what [`lines`] says.
pub fn office_line(
    office: &Office,
    code: &str,
    lines: &BTreeMap<OfficeCode, LinkLine>,
) -> OfficeLine {
    let Ok(code) = code.parse::<OfficeCode>() else { return OfficeLine::default() };
    let Ok(own) = own_log(&code) else { return OfficeLine::default() };
    let Some(line) = lines.get(&code) else {
        let held = newest_epoch(office, &own).map_or(0, |info| info.size);
        return OfficeLine { held, ..OfficeLine::default() };
    };
    let log = line.logs.iter().find(|log| log.log == own && !log.own);
    OfficeLine {
        state: Some(line.state),
        head_size: log.and_then(|log| log.head_size),
        head_age_ms: log.and_then(|log| log.head_age_ms(office.clock.now())),
        held: log.map_or(0, |log| log.own_size),
        lag: log.and_then(|log| log.lag),
        last_error: line.last_error.clone(),
    }
}

#[cfg(test)]
mod tests;
