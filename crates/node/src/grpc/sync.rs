//! The state of replication in words that are never better than the facts.
//!
//! Whoever shows a link (people's tables, the national page, `SyncStatus`, metrics) takes it from
//! here: one word, one age, one lag.

use std::collections::BTreeMap;

use domain::OfficeCode;
use evidence::log::LogName;
use replication::{CosignatureKind, LogState, LogStatus, PeerClock, RefusalCode, Role, Status};
use wire::pb::operator::v1 as pb;

use crate::alarms::{self, EvidenceLine};
use crate::escrow::Lacking;
use crate::grpc::instant;
pub use crate::link::state::{LinkWord, State, state};
use crate::link::state::{last_contact, read_only};
use crate::link::{LinkInfo, peer_clock, shared_logs, silence, store};
use crate::office::{Office, own_log};
use crate::reseed;

/// A head that came in this much later than now, in microseconds, shows a clock that was set back.
const CLOCK_TOLERANCE: i64 = 1_000_000;

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
    /// That it has been silent for too long, in words; empty if it has not.
    pub alarm: String,
    /// Its clock beside this office's, as it was last seen.
    pub clock: Option<PeerClock>,
    /// Keys of which it is to give wraps and has not yet; `None`: there is no recovery key.
    pub keys_lacking: Option<Lacking>,
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
    /// Attachments that it is known to lack here.
    pub attachments_pending: u64,
    /// Urgent records that the peer has shown ahead and that are not held here yet.
    pub previews: u64,
}

impl LogLine {
    /// Age of the newest head in milliseconds; 0 where the clock was set back.
    pub fn head_age_ms(&self, now: i64) -> Option<u64> {
        self.head_at.map(|at| age_ms(at, now))
    }
}

/// Every peer that ought to be linked, seen or not: the centre for a region, every enrolled
/// office for the centre.
pub(crate) fn peers(office: &Office) -> BTreeMap<OfficeCode, LinkInfo> {
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
    let mut logs: Vec<LogLine> = shared_logs(office, &peer)
        .into_iter()
        .map(|(log, own)| log_line(office, &peer, log, own, info.status.as_ref()))
        .collect();
    for log in logs.iter_mut().filter(|log| log.own) {
        log.peer_size = log.peer_size.max(said_to_hold(&info, log));
    }
    let last_head = logs.iter().filter_map(|log| log.head_at).max();
    let heard = last_contact(&info, last_head.max(silence::heard(office, &peer)));
    let clock = info.status.as_ref().and_then(|status| status.clock);
    LinkLine {
        state: state(&info, heard, read_only(office, &peer)),
        last_contact: heard,
        alarm: silence::alarm(office, &peer, heard, now),
        last_error: with_clock(&info.last_error, last_head, now),
        clock,
        peer_software: info.status.and_then(|status| status.peer_software).unwrap_or_default(),
        connects: info.connects,
        keys_lacking: office.escrow.lacking(&office.journal.logs(), &peer),
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
            // Of a log that is not the one that was signed, sizes say nothing of what is held.
            let known = held.filter(|_| store::read_only_reason(&office.journal, &log).is_none());
            (held.unwrap_or(0), known.map(|held| own_size.saturating_sub(held)))
        }
        false => (head_size.unwrap_or(0), head_size.map(|size| size.saturating_sub(own_size))),
    };
    LogLine {
        attachments_pending: office.attachments.pending(&log),
        previews: office.previews.count(&log, |log, epoch| office.held(log, epoch)),
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

/// Records of an own log that the peer said it holds, in its last hello.
fn said_to_hold(info: &LinkInfo, log: &LogLine) -> u64 {
    let holdings = info.said.iter().flat_map(|said| &said.holdings);
    let mut of_log = holdings.filter(|held| (&held.log, held.epoch) == (&log.log, log.epoch));
    of_log.find(|held| held.role == Role::Follower).map_or(0, |held| held.size)
}

/// Records of an own log that the peer is known to hold; `None`: it has cosigned a head, so it
/// may hold some, and has not said how many.
fn held_by_peer(live: Option<&LogStatus>, cosigned: Option<u64>, witnessed: bool) -> Option<u64> {
    let said = live.filter(|entry| entry.held > 0 || entry.state != LogState::Waiting);
    let held = said.map(|entry| entry.held).max(cosigned);
    if witnessed { held } else { Some(held.unwrap_or(0)) }
}

pub(crate) fn newest_epoch(office: &Office, log: &LogName) -> Option<journal::LogInfo> {
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

/// What the finder said of a log that is stopped.
pub(crate) fn refusal_text(entry: &LogStatus) -> Option<String> {
    match &entry.state {
        LogState::Stopped { text, .. } => Some(text.clone()),
        _ => None,
    }
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
    let lacking = |at_least| {
        let lacking = line.keys_lacking.filter(|lacking| lacking.at_least == at_least);
        lacking.map(|lacking| lacking.keys)
    };
    pb::LinkStatus {
        peer: line.peer.to_string(),
        state: line.state.word.text().to_owned(),
        reason: line.state.reason.map_or("", RefusalCode::as_str).to_owned(),
        alarm: line.alarm,
        clock_ahead_ms: line.clock.map(|clock| clock.ahead / 1_000),
        clock_within_ms: line.clock.map_or(0, |clock| clock.within.div_ceil(1_000)),
        clock: line.clock.map_or_else(String::new, |clock| peer_clock::words(&line.peer, &clock)),
        keys_lacking: lacking(false),
        keys_lacking_at_least: lacking(true),
        since: line.state.since.map(instant),
        last_contact: line.last_contact.map(instant),
        last_error: line.last_error,
        peer_software: line.peer_software,
        connects: line.connects,
        logs: line.logs.iter().map(|log| log_message(log, now)).collect(),
    }
}

pub(crate) fn log_message(line: &LogLine, now: i64) -> pb::LogSync {
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
        attachments_pending: line.attachments_pending,
        previews: line.previews,
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
    /// See [`LogLine::previews`].
    pub previews: u64,
    /// See [`LinkLine::last_error`].
    pub last_error: String,
    /// See [`LinkLine::alarm`].
    pub alarm: String,
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
        previews: log.map_or(0, |log| log.previews),
        last_error: line.last_error.clone(),
        alarm: line.alarm.clone(),
    }
}

#[cfg(test)]
mod tests;
