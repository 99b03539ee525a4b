//! Naming what is lost. Runs only when the journal is damaged and will not be written.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evidence::log::{LogName, Position};
use evidence::merkle::Frontier;

use crate::catalog::lookup::Lookup;
use crate::disk::OpenMode;
use crate::files;
use crate::frame::Kind;
use crate::group::LogBody;
use crate::index::{Index, keys};
use crate::recover::{read_header, scan_segment, segments};
use crate::replay::{Flaw, Snapshots, replay};
use crate::report::{DamageReport, MissingRange};
use crate::scan::{Scanner, Step};
use crate::segment::{self, Footer, LogKey, SEGMENT_HEADER, SegmentHeader};
use crate::state::State;
use crate::tail::Tail;
use crate::writer::Place;

/// A damaged place, and what was read before it.
#[derive(Debug, Clone)]
pub(crate) struct Damaged {
    pub segment: u64,
    pub at: u64,
    pub why: String,
    pub position: Option<Position>,
}

impl Damaged {
    /// A damage at a place of a segment.
    pub(crate) fn new(segment: u64, at: u64, why: &str) -> Self {
        Self { segment, at, why: why.to_owned(), position: None }
    }

    /// A damage that a flaw shows.
    pub(crate) fn of_flaw(segment: u64, flaw: &Flaw) -> Self {
        Self { position: flaw.position.clone(), ..Self::new(segment, flaw.at, flaw.why) }
    }
}

/// Whether an intact frame behind `from` shows that a later group than `group` was written. A
/// group is durable before the next one is written, so `group` was then acknowledged.
pub(crate) fn has_later_group(scanner: &mut Scanner, group: u64, from: u64) -> io::Result<bool> {
    let mut at = from;
    while let Some((found, head, _)) = scanner.find(at)? {
        let later = head.kind == Kind::Trailer && head.seq > group;
        if later || head.kind == Kind::Footer {
            return Ok(true);
        }
        at = found + head.span() as u64;
    }
    Ok(false)
}

/// What a damaged segment still has.
#[derive(Default)]
struct Remains {
    /// Sequences of the intact records, as ranges in the order in which they lie there.
    records: BTreeMap<LogKey, Vec<Range<u64>>>,
    /// Logs that intact log frames name.
    names: BTreeMap<LogKey, LogName>,
    /// Last sequences by the footer, if it is intact: then no log has more in this segment.
    footer: Option<BTreeMap<LogKey, u64>>,
    /// The last group up to which every frame of every group is there.
    whole_to: u64,
}

impl Remains {
    /// Looks for intact frames from the first to the last byte; a record at `impossible` says
    /// something that cannot be.
    fn read(&mut self, scanner: &mut Scanner, first_group: u64, impossible: Option<u64>) {
        let (mut at, mut frames) = (SEGMENT_HEADER as u64, 0);
        self.whole_to = first_group.saturating_sub(1);
        // What cannot be read is not there.
        while let Ok(Some((found, head, body))) = scanner.find(at) {
            let key = (head.log_no, head.epoch);
            frames += 1;
            match head.kind {
                Kind::Record if Some(found) == impossible => {}
                Kind::Record => {
                    let ranges = self.records.entry(key).or_default();
                    match ranges.last_mut() {
                        Some(last) if last.end == head.seq => last.end += 1,
                        _ => ranges.push(head.seq..head.seq + 1),
                    }
                }
                Kind::Log => {
                    if let Some(body) = LogBody::decode(&head, body) {
                        self.names.insert(key, body.name);
                    }
                }
                Kind::Trailer => {
                    // The count of a trailer is that of the frames before it.
                    if frames == u64::from(head.epoch) + 1 && head.seq == self.whole_to + 1 {
                        self.whole_to = head.seq;
                    }
                    frames = 0;
                }
                Kind::Footer => {
                    let ranges = Footer::decode(body).map(|footer| footer.ranges);
                    let end = |(key, range): (LogKey, segment::Range)| {
                        (key, range.first_seq + range.count)
                    };
                    self.footer = ranges.map(|ranges| ranges.into_iter().map(end).collect());
                }
                Kind::Control | Kind::Command => {}
            }
            at = found + head.span() as u64;
        }
    }

    /// What lacks of `from..to`; without a known end also everything behind what is there.
    fn gaps(&self, key: LogKey, from: u64, to: Option<u64>) -> Vec<(u64, Option<u64>)> {
        let (mut gaps, mut next) = (Vec::new(), from);
        for there in self.records.get(&key).into_iter().flatten() {
            if there.start > next {
                gaps.push((next, Some(there.start)));
            }
            next = next.max(there.end);
        }
        if to.is_none_or(|to| to > next) {
            gaps.push((next, to));
        }
        gaps
    }
}

/// The report of a damage: where it is and which sequences are lost, as far as they can be told.
///
/// Lost is what the damaged segment had and no intact frame of it holds any more. What it had
/// follows from the snapshot at its start, or the segment before it, and from the snapshot of the
/// next one, its footer or the index. If nothing tells the end, the last range of a log is open.
pub(crate) fn report(
    place: &Place,
    damaged: Damaged,
    tail: Option<Tail>,
    index: Option<&dyn Index>,
) -> DamageReport {
    // sled may panic on damage of its own; then the files tell what they can.
    let with_index = || told_by(place, damaged.clone(), tail, index);
    let told = index.and_then(|_| catch_unwind(AssertUnwindSafe(with_index)).ok());
    told.unwrap_or_else(|| told_by(place, damaged, tail, None))
}

/// The report as these tell it.
fn told_by(
    place: &Place,
    damaged: Damaged,
    tail: Option<Tail>,
    index: Option<&dyn Index>,
) -> DamageReport {
    let number = damaged.segment;
    let before = opening(place, number).or_else(|| state_behind(place, number.checked_sub(1)?));
    let before = before.unwrap_or_default();
    let next = opening(place, number + 1);
    let mut remains = Remains::default();
    if let Some((mut scanner, first_group)) = scanner(place, number) {
        let impossible = damaged.position.as_ref().map(|_| damaged.at);
        remains.read(&mut scanner, first_group, impossible);
    }
    for log in [Some(&before), next.as_ref()].into_iter().flatten().flat_map(State::logs) {
        for epoch in log.epochs.keys() {
            remains.names.insert((log.no, *epoch), log.name.clone());
        }
    }
    let all_lost = segments(place).is_ok_and(|numbers| numbers.is_empty());
    let what = if all_lost { damaged.why + &told(tail, index) } else { damaged.why };
    let index = index.map(Lookup).filter(|index| is_complete(index, tail));
    let all_there = tail.is_some_and(|tail| remains.whole_to >= tail.group);
    let mut missing = Vec::new();
    for (key, log) in &remains.names {
        let from = before.frontier(*key).map_or(0, Frontier::size);
        let next = next.as_ref().map(|next| next.frontier(*key).map_or(0, Frontier::size));
        let footer = || Some(remains.footer.as_ref()?.get(key).copied().unwrap_or(from));
        let indexed = || index.as_ref()?.size(*key).ok();
        let to = next.or_else(footer).or_else(indexed).or(all_there.then_some(from));
        let gaps = remains.gaps(*key, from, to).into_iter();
        let range = |(from, to)| MissingRange { log: log.clone(), epoch: key.1, from, to };
        missing.extend(gaps.map(range));
    }
    let file = files::segment_name(number);
    DamageReport { file, offset: damaged.at, what, missing }
}

/// What the tail file and the index tell of commit files that are all gone. The names of the logs
/// are gone with them; the index knows logs by number.
fn told(tail: Option<Tail>, index: Option<&dyn Index>) -> String {
    let mut told = String::new();
    if let Some(Tail { segment, offset, group, .. }) = tail {
        let name = files::segment_name(segment);
        told += &format!("; the tail file names group {group}, up to byte {offset} of {name}");
    }
    let sizes = index.map(|index| Lookup(index).sizes().unwrap_or_default());
    for ((no, epoch), size) in sizes.unwrap_or_default() {
        let end = size.map(|size| size.to_string()).unwrap_or_default();
        told += &format!("; the index names log number {no}, epoch {epoch}: [0..{end})");
    }
    told
}

/// Whether the index has everything up to the tail.
fn is_complete(index: &Lookup<'_>, tail: Option<Tail>) -> bool {
    let applied = index.mark(keys::APPLIED).ok().flatten();
    applied.is_some_and(|mark| tail.is_none_or(|tail| mark.group >= tail.group))
}

/// The state that a segment starts with, if its snapshot can be read.
fn opening(place: &Place, number: u64) -> Option<State> {
    let (file, header) = read_header(place, number, OpenMode::Read).ok()?.ok()?;
    let mut scanner = Scanner::new(file, &header).ok()?;
    let Step::Group(group) = scanner.next().ok()? else { return None };
    let mut state = State::default();
    replay(&mut state, &group, Snapshots::Load).ok().map(|_| state)
}

/// The state at the end of an intact segment.
fn state_behind(place: &Place, number: u64) -> Option<State> {
    let (file, header) = read_header(place, number, OpenMode::Read).ok()?.ok()?;
    let mut state = State::default();
    scan_segment(file, header, &mut state, Snapshots::Load, None).ok().map(|_| state)
}

/// A scanner of a segment whose header may be damaged, and its first group: all segments have the
/// same journal id.
fn scanner(place: &Place, number: u64) -> Option<(Scanner, u64)> {
    let header = |number| read_header(place, number, OpenMode::Read).ok()?.ok();
    if let Some((file, header)) = header(number) {
        return Some((Scanner::new(file, &header).ok()?, header.first_group));
    }
    let file = place.open(&files::segment_name(number), OpenMode::Read).ok()?;
    let neighbour = [number.saturating_sub(1), number + 1].into_iter().find_map(header);
    let journal = match neighbour {
        Some((_, header)) => header.journal,
        None => {
            let mut bytes = [0; SEGMENT_HEADER];
            file.read_at(0, &mut bytes).ok()?;
            // If the damage is in the id itself, no frame will have its checksum.
            *bytes.get(16..)?.first_chunk()?
        }
    };
    let header = SegmentHeader { journal, number, first_group: 0, chain: [0; 32] };
    Some((Scanner::new(file, &header).ok()?, 0))
}
