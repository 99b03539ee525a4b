//! What a damaged journal does, and whether that is honest.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use journal::{DamageReport, IndexOutcome, Journal, OpenError, OpenReport};

use super::sample::Sample;
use super::{Case, Harm};
use crate::auditor::Place;
use crate::history::{TxId, transaction};
use crate::subject;

/// How a case ends.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is there, nothing had to be done.
    Intact,
    /// Everything is there; what was done for it is in the report of the open.
    Repaired,
    /// It opens and serves only what is true; reads or the deep check name the damage.
    Reported,
    /// It does not open and names the file and what is missing.
    Refused,
    /// Anything else.
    Silent(String),
}

impl Outcome {
    /// Its column in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Repaired => "repaired",
            Self::Reported => "reported",
            Self::Refused => "refused",
            Self::Silent(_) => "SILENT",
        }
    }
}

/// Records that a damage hits.
struct Hits {
    /// Their frame is hit.
    frames: BTreeSet<Place>,
    /// Their group is hit.
    groups: BTreeSet<Place>,
}

impl Hits {
    fn of(sample: &Sample, case: &Case) -> Self {
        let (mut frames, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for (place, lies) in &sample.places {
            let in_file = lies.file == case.file || case.file == "commits/";
            let meets = |range: &std::ops::Range<usize>| {
                range.start < case.at.end && case.at.start < range.end
            };
            if in_file && meets(&lies.frame) {
                frames.insert(place.clone());
            }
            if in_file && meets(&lies.group) {
                groups.insert(place.clone());
            }
        }
        Self { frames, groups }
    }
}

/// Opens a damaged folder, reads everything, checks deeply, and judges.
pub fn judge(sample: &Sample, case: &Case, dir: &Path) -> Outcome {
    let hits = Hits::of(sample, case);
    let judged = catch_unwind(AssertUnwindSafe(|| match subject::open(dir) {
        Err(OpenError::Damaged(report)) => refused(sample, case, &hits, &report),
        Err(error) => Err(format!("{error}")),
        Ok((journal, report)) => {
            let index = subject::wait_for_index(&journal);
            opened(sample, case, &hits, &journal, &report, index)
        }
    }));
    let outcome = match judged {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => return Outcome::Silent(why),
        Err(_) => return Outcome::Silent("it panics".to_owned()),
    };
    if matches!(outcome, Outcome::Repaired) {
        // What was repaired stays so.
        match subject::open(dir) {
            Ok((journal, report)) => {
                if let Err(why) = subject::wait_for_index(&journal) {
                    return Outcome::Silent(format!("repaired, but not for long: {why}"));
                }
                let rebuilt = matches!(report.index, IndexOutcome::Rebuilt { .. });
                if rebuilt || report.dropped.is_some() || report.tail_lost {
                    return Outcome::Silent(format!("repaired again: {report:?}"));
                }
            }
            Err(error) => return Outcome::Silent(format!("does not open again: {error}")),
        }
    }
    outcome
}

/// A refusal names the file and every sequence that is lost, and no other.
fn refused(
    sample: &Sample,
    case: &Case,
    hits: &Hits,
    report: &DamageReport,
) -> Result<Outcome, String> {
    let right_file = report.file == case.file
        || (case.file.ends_with('/') && report.file.starts_with(&case.file));
    if !right_file {
        return Err(format!("refused with another file: {report}"));
    }
    if case.file == "commits/" {
        // The names of the logs are lost too.
        return Ok(Outcome::Refused);
    }
    let named = |place: &&Place, to_end: bool| {
        report.missing.iter().any(|range| {
            let in_log = range.log.as_str() == place.0 && range.epoch == place.1;
            let to = range.to.or(to_end.then_some(u64::MAX)).unwrap_or(0);
            in_log && (range.from..to).contains(&place.2)
        })
    };
    if let Some(unnamed) = hits.frames.iter().find(|place| !named(place, true)) {
        return Err(format!("{unnamed:?} is hit and not named: {report}"));
    }
    let wrong = sample.places.keys().find(|p| named(p, false) && !hits.frames.contains(*p));
    if let Some(wrong) = wrong {
        return Err(format!("{wrong:?} is not hit and is named: {report}"));
    }
    Ok(Outcome::Refused)
}

/// What an open journal serves is true; what it does not serve is reported.
fn opened(
    sample: &Sample,
    case: &Case,
    hits: &Hits,
    journal: &Journal,
    report: &OpenReport,
    index: Result<(), String>,
) -> Result<Outcome, String> {
    let mut unread = BTreeSet::new();
    for (place, bytes) in &sample.records {
        match journal.get(&Sample::log(place), place.1, place.2) {
            Ok(Some(record)) if record.bytes() == bytes => {}
            Ok(Some(_)) => return Err(format!("{place:?} is served changed")),
            Ok(None) if !sample.acknowledged.contains(place) && report.dropped.is_some() => {}
            Ok(None) => return Err(format!("{place:?} is gone")),
            Err(_) => drop(unread.insert(place.clone())),
        }
    }
    let held: u64 = journal.logs().iter().map(|info| info.size).sum();
    if held > sample.records.len() as u64 {
        return Err(format!("{held} records, there were {}", sample.records.len()));
    }
    if let Some(wrong) = unread.iter().find(|place| !hits.groups.contains(*place)) {
        return Err(format!("{wrong:?} is not hit and cannot be read"));
    }
    let damages = subject::check(journal);
    if let Some((file, what)) = damages.iter().find(|(file, _)| !is_of(file, case)) {
        return Err(format!("{file} is reported: {what}"));
    }
    if !unread.is_empty() && damages.is_empty() {
        return Err(format!("{unread:?} cannot be read, the check is clean"));
    }
    if let Err(why) = &index
        && (!why.contains(&case.file) || damages.is_empty())
    {
        return Err(format!("the index is not ready: {why}"));
    }
    if !damages.is_empty() {
        return Ok(Outcome::Reported);
    }
    if let Some(lost) = hits.frames.iter().find(|place| sample.acknowledged.contains(*place)) {
        return Err(format!("the frame of {lost:?} is hit, the check is clean"));
    }
    goes_on(journal)?;
    let rebuilt = matches!(report.index, IndexOutcome::Rebuilt { .. });
    let done = rebuilt || report.dropped.is_some() || report.tail_lost;
    // What is made again when it is missing, and what nothing depends on.
    let needless = !case.file.starts_with("commits/") && case.file != "tail";
    if !done && !needless && case.harm != Harm::Truncate && !hits.groups.is_empty() {
        return Err("nothing is reported".to_owned());
    }
    Ok(if done { Outcome::Repaired } else { Outcome::Intact })
}

/// Whether a damage that the check reports is the one that was done.
fn is_of(file: &str, case: &Case) -> bool {
    file == case.file || (file == "index" && case.file.starts_with("index/"))
}

/// A healthy journal takes further records.
fn goes_on(journal: &Journal) -> Result<(), String> {
    let tx = TxId { generation: 1000, thread: 0, counter: 1 };
    let outcome = journal.commit(vec![transaction(1, tx)], 1_760_000_000_000_000);
    let outcome = outcome.map_err(|error| error.to_string())?.remove(0);
    outcome.map(drop).map_err(|error| format!("it does not go on: {error}"))
}
