//! What is wrong with the evidence: heads that lack cosignatures for too long, contradictions.
//!
//! The measure is the oldest record that no complete note covers ([`crate::notes`]). It waits since
//! it was recorded, and at most since this office took a mark of it ([`crate::marks`]): the time in
//! a record is the word of its writer, who may be the one that is suspected, or whose clock was
//! wrong. The age survives restarts, needs no link, and grows while nobody signs.

use std::time::Duration;

use domain::OfficeCode;
use evidence::log::LogName;
use evidence::policy::Missing;
use journal::{Control, LogInfo, Role};
use replication::RefusalCode;

use crate::duties::accepted::AT_LEAST;
use crate::duties::view::{self, CENTRE_VIEW};
use crate::grpc::sync::{LinkLine, LinkWord};
use crate::link::driver::OTHER_VIEW;
use crate::link::recall::PEER_MEMORY;
use crate::link::store::{self, KeptFault};
use crate::marks::{self, About, Mark};
use crate::notes::Kept;
use crate::office::{Office, downlink};
use crate::policy::{self, Part, PolicyError};

/// Kinds of faults that no time heals, beside those that contradict what was signed.
const CONTRADICTIONS: [&str; 3] = [CENTRE_VIEW, OTHER_VIEW, PEER_MEMORY];

/// What is known of the cosignatures on one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceLine {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Records held here.
    pub size: u64,
    /// Size of the newest complete note; 0: there is none.
    pub complete_size: u64,
    /// Since when the oldest record that it does not cover waits, microseconds since 1970, never
    /// in the future; `None`: it covers everything.
    pub waiting_since: Option<i64>,
    /// Who has not co-signed; empty if nobody is missing.
    pub missing: String,
    /// What is wrong and what to do; empty if nothing is.
    pub alarm: String,
}

/// A line for every log whose heads this office answers for or looks at, with what is wrong.
/// `links`: what `grpc::sync::lines` says.
pub fn lines<'a>(
    office: &Office,
    links: impl Iterator<Item = &'a LinkLine> + Clone,
) -> Vec<EvidenceLine> {
    lines_at(office, links, office.clock.now())
}

/// The same at a time, microseconds since 1970.
pub(crate) fn lines_at<'a>(
    office: &Office,
    links: impl Iterator<Item = &'a LinkLine> + Clone,
    now: i64,
) -> Vec<EvidenceLine> {
    let faults = contradictions(office);
    let mut lines: Vec<EvidenceLine> =
        watched(office).iter().map(|info| line(office, info, now)).collect();
    for line in &mut lines {
        let mut texts = texts(&faults, &line.log, line.epoch);
        if line.log == office.logs.own
            && let Some(text) = left_out(office, links.clone(), now)
        {
            texts.push(text);
        }
        if line.log == office.logs.own
            && let Some(text) = unlisted(office, links.clone(), now)
        {
            texts.push(text);
        }
        if line.log == office.logs.all {
            let known = office.country.known();
            texts.extend(known.again.iter().map(|(code, (epoch, seq))| again(code, *epoch, *seq)));
        }
        if !line.alarm.is_empty() {
            texts.push(std::mem::take(&mut line.alarm));
        }
        line.alarm = texts.join("; ");
    }
    // What this office has seen as a further witness has no line of its own otherwise.
    for KeptFault { log, epoch, .. } in &faults {
        if lines.iter().all(|line| (&line.log, line.epoch) != (log, *epoch)) {
            lines.push(EvidenceLine {
                log: log.clone(),
                epoch: *epoch,
                size: 0,
                complete_size: 0,
                waiting_since: None,
                missing: String::new(),
                alarm: texts(&faults, log, *epoch).join("; "),
            });
        }
    }
    lines
}

/// What is kept against one epoch of a log: at most one text for each of [`CONTRADICTIONS`], and
/// each of them, so that none hides another.
fn texts(faults: &[KeptFault], log: &LogName, epoch: u32) -> Vec<String> {
    let of_epoch = faults.iter().filter(|fault| fault.log == *log && fault.epoch == epoch);
    of_epoch.map(|fault| format!("{}: {}", fault.code, fault.text)).collect()
}

/// The contradictions that are kept. None is over because somebody else goes on in a new epoch:
/// that is what the one who is accused would do. Of this office's own logs a fork or a rollback is
/// answered when its operator opens a successor epoch; the evidence stays.
fn contradictions(office: &Office) -> Vec<KeptFault> {
    let goes_on = |fault: &KeptFault| {
        let logs = office.journal.logs().into_iter();
        logs.filter(|info| info.role == Role::Own && info.log == fault.log)
            .any(|info| info.epoch > fault.epoch)
    };
    let by_epoch = |fault: &KeptFault| {
        let codes = RefusalCode::ALL.into_iter().filter(|code| code.contradicts());
        codes.map(RefusalCode::as_str).any(|code| code == fault.code)
    };
    let is_one =
        |fault: &KeptFault| by_epoch(fault) || CONTRADICTIONS.contains(&fault.code.as_str());
    let faults = store::faults(office).into_iter();
    faults.filter(|fault| is_one(fault) && !(by_epoch(fault) && goes_on(fault))).collect()
}

/// The newest epoch of every log of which this office keeps notes.
fn watched(office: &Office) -> Vec<LogInfo> {
    let down = downlink(&office.code).ok();
    let mut newest: Vec<LogInfo> = Vec::new();
    for info in office.journal.logs() {
        let is_watched = match policy::part(&info.log) {
            None => false,
            Some(Part::Downlink(_)) => office.code.is_centre() || Some(&info.log) == down.as_ref(),
            Some(_) => true,
        };
        if !is_watched || info.size == 0 {
            continue;
        }
        match newest.iter_mut().find(|other| other.log == info.log) {
            Some(other) if other.epoch < info.epoch => *other = info,
            Some(_) => {}
            None => newest.push(info),
        }
    }
    newest
}

/// Size of the newest complete note.
fn complete(notes: &[Kept]) -> u64 {
    notes.iter().find(|kept| kept.missing.is_none()).map_or(0, |kept| kept.head.size)
}

/// The marks that are due: of every log that waits and has none, or whose mark was met, or was
/// taken by a clock that has since been put back.
pub(crate) fn marks(office: &Office, now: i64) -> Vec<Control> {
    let is_due = |mark: Mark, done: u64| mark.target <= done || mark.at > now;
    let mut controls = Vec::new();
    for LogInfo { log, epoch, size, .. } in watched(office) {
        let done = complete(&office.notes.of(office, &log, epoch));
        let before = marks::of(office, About::Complete, &log, epoch).map_or(0, |mark| mark.target);
        if log == office.logs.all && done > before {
            controls.push(Mark { target: done, at: now }.control(About::Complete, &log, epoch));
        }
        let mark = marks::of(office, About::Waiting, &log, epoch);
        if done < size && mark.is_none_or(|mark| is_due(mark, done)) {
            controls.push(Mark { target: size, at: now }.control(About::Waiting, &log, epoch));
        }
    }
    let (own, epoch) = (&office.logs.own, office.own_epoch());
    let cosigned = view::cosigned(office).filter(|_| !office.code.is_centre());
    let mark = marks::of(office, About::Unlisted, own, epoch);
    // One that is met is replaced where a list arrives.
    if let Some(target) = mark.map(|mark| mark.target).or(cosigned)
        && mark.is_none_or(|mark| mark.at > now)
    {
        controls.push(Mark { target, at: now }.control(About::Unlisted, own, epoch));
    }
    controls
}

/// Since when the record behind the newest complete note waits: by the earlier of what its writer
/// says and what this office saw.
fn waiting_since(office: &Office, info: &LogInfo, complete: u64, now: i64) -> Option<i64> {
    if complete >= info.size {
        return None;
    }
    let mark = marks::of(office, About::Waiting, &info.log, info.epoch);
    let seen = mark.filter(|mark| mark.target > complete).map_or(now, |mark| mark.at.min(now));
    let said = office.notes.recorded_at(&office.journal, info, complete);
    Some(said.map_or(seen, |said| said.min(seen)))
}

fn line(office: &Office, info: &LogInfo, now: i64) -> EvidenceLine {
    let notes = office.notes.of(office, &info.log, info.epoch);
    let complete_size = complete(&notes);
    let waiting_since = waiting_since(office, info, complete_size, now);
    let missing = match waiting_since {
        Some(_) => missing(office, info, &notes) + &waiting_keys(office, &info.log),
        None => String::new(),
    };
    let late = Duration::from_millis(office.options.evidence.cosignature_alarm_ms);
    let waits = waiting_since.map(|at| now.saturating_sub(at));
    let waits = Duration::from_micros(waits.map_or(0, |waits| u64::try_from(waits).unwrap_or(0)));
    let alarm = match office.notes.policy(office, &info.log, info.epoch) {
        Ok(_) if waits > late => alarm(office, info, complete_size, waits, &missing),
        Ok(_) | Err(PolicyError::NobodyEnrolled(_)) => String::new(),
        // Keys that make no policy must not silence what nobody can co-sign.
        Err(error) => format!("nothing of {} can be complete: {error}", info.log),
    };
    let (log, epoch, size) = (info.log.clone(), info.epoch, info.size);
    EvidenceLine { log, epoch, size, complete_size, waiting_since, missing, alarm }
}

/// Who is missing on the newest note; on none at all, everybody.
fn missing(office: &Office, info: &LogInfo, notes: &[Kept]) -> String {
    if let Some(missing) = notes.first().and_then(|kept| kept.missing.as_ref()) {
        return said(missing);
    }
    let signed = crate::heads::sign(office, &info.log, info.epoch, info.size).ok();
    let note = match info.role {
        Role::Own => signed,
        Role::Mirror => store::accepted(office, &info.log, info.epoch).map(|head| head.note),
    };
    let policy = office.notes.policy(office, &info.log, info.epoch);
    let judged = note.zip(policy.ok()).and_then(|(note, policy)| {
        let note = evidence::note::SignedNote::parse(&note).ok()?;
        policy.evaluate(&note).ok()?.missing
    });
    judged.as_ref().map_or_else(|| "the head itself".to_owned(), said)
}

/// New keys that do not count for a log of the centre before the old ones have completed a head.
fn waiting_keys(office: &Office, log: &LogName) -> String {
    if policy::part(log) != Some(Part::Centre) {
        return String::new();
    }
    let (waiting, all) = (policy::waiting(office), &office.logs.all);
    let text = |(seq, key): &(u64, evidence::note::Verifier)| {
        format!("; the new key {key} (record {all}:{seq}) waits for them")
    };
    waiting.iter().map(text).collect()
}

/// The missing names in one line: without the name of the outermost group.
fn said(missing: &Missing) -> String {
    match missing {
        Missing::Witness(name) => name.to_string(),
        Missing::Group { have, need, lacking, .. } => {
            let each = |missing: &Missing| match missing {
                Missing::Witness(name) => name.to_string(),
                Missing::Group { need, lacking, .. } => {
                    let names: Vec<String> = lacking.iter().map(ToString::to_string).collect();
                    format!("{need} of ({})", names.join(", "))
                }
            };
            let names: Vec<String> = lacking.iter().map(each).collect();
            match need - have == lacking.len() {
                true => names.join(", "),
                false => format!("{} more of ({})", need - have, names.join(", ")),
            }
        }
    }
}

fn alarm(office: &Office, info: &LogInfo, complete: u64, waits: Duration, missing: &str) -> String {
    let (log, minutes) = (&info.log, waits.as_secs().div_ceil(60).max(1));
    if policy::part(log) == Some(Part::Centre) && !office.code.is_centre() {
        return format!(
            "the centre's {log} has not been co-signed by enough offices above record {complete} \
             for {minutes} min (without: {missing}): offices are not linked, or the centre shows \
             another view to others; compare this office's head with another office's: adal \
             evidence compare"
        );
    }
    format!(
        "{log} lacks cosignatures above record {complete} for {minutes} min, missing: {missing}; \
         look whether these offices run and are linked (adal sync status at the centre)"
    )
}

/// The lists of accepted heads leave this office's log out although the link is live.
fn left_out<'a>(
    office: &Office,
    links: impl Iterator<Item = &'a LinkLine>,
    now: i64,
) -> Option<String> {
    let since = office.view.left_out_since()?;
    let late = i64::try_from(office.options.evidence.cosignature_alarm_ms).ok()? * 1_000;
    let is_late = now.saturating_sub(since) > late;
    let is_live = links.into_iter().any(|link| link.state.word == LinkWord::Live);
    let own = &office.logs.own;
    let accepted =
        store::cosigned(office, own, office.own_epoch(), replication::CosignatureKind::Witness);
    (is_late && is_live && accepted.is_some()).then(|| {
        format!(
            "{CENTRE_VIEW}: the centre's lists of accepted heads leave {own} out, although it \
             co-signs its heads: other offices do not learn of this office's records; ask the \
             national department, and tell another office this office's head"
        )
    })
}

/// An office that was enrolled twice.
fn again(code: &OfficeCode, epoch: u32, seq: u64) -> String {
    format!(
        "{CENTRE_VIEW}: the centre enrolled {code} once more with other keys (record kz/all:{seq} \
         of epoch {epoch}); the first enrolment holds: ask {code} whether it has new keys, and \
         compare heads with it: adal evidence compare"
    )
}

/// No list of accepted heads names what the centre has co-signed, although there is one an hour and
/// the centre is heard.
fn unlisted<'a>(
    office: &Office,
    mut links: impl Iterator<Item = &'a LinkLine>,
    now: i64,
) -> Option<String> {
    let own = &office.logs.own;
    let mark = marks::of(office, About::Unlisted, own, office.own_epoch())?;
    let late = i64::try_from(office.options.evidence.cosignature_alarm_ms).ok()? * 1_000;
    let waits = now.saturating_sub(mark.at);
    // A mirror that was behind for a while takes its time; one that stays behind is kept back.
    let is_heard = links.any(|link| match link.state.word {
        LinkWord::Live => true,
        LinkWord::CatchingUp => link.state.since.is_some_and(|at| now.saturating_sub(at) > late),
        _ => false,
    });
    (is_heard && waits > late.saturating_add(AT_LEAST)).then(|| {
        format!(
            "{CENTRE_VIEW}: for {} min no list of accepted heads has arrived that names {own} with \
             the {} records that the centre co-signed: it publishes none, repeats an old one, or \
             keeps kz/all from this office; ask the national department, and compare this \
             office's head of kz/all with another office's: adal evidence compare",
            waits / 60_000_000,
            mark.target
        )
    })
}

/// Whether anything is wrong with the evidence of an office's own log.
pub fn of_office<'a>(lines: &'a [EvidenceLine], code: &OfficeCode) -> Option<&'a EvidenceLine> {
    let own = crate::office::own_log(code).ok()?;
    lines.iter().find(|line| line.log == own)
}

#[cfg(test)]
mod tests;
