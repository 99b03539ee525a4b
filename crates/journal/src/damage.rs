//! Naming what is lost. Runs only when the journal is damaged and will not be written.

use std::collections::BTreeMap;
use std::io;

use evidence::log::Position;
use evidence::merkle::Frontier;

use crate::disk::OpenMode;
use crate::files;
use crate::frame::Kind;
use crate::index::Index;
use crate::lookup::Lookup;
use crate::recover::{End, read_header, scan_segment};
use crate::replay::{Flaw, Snapshots};
use crate::report::{DamageReport, MissingRange};
use crate::scan::{Scanner, Step};
use crate::segment::LogKey;
use crate::state::State;
use crate::tail::{Mark, Tail};
use crate::writer::Place;

/// A damaged place, and what was read before it.
#[derive(Debug, Clone)]
pub(crate) struct Damaged {
    pub segment: u64,
    pub at: u64,
    pub why: String,
    pub position: Option<Position>,
    /// State and end of the last whole group before the damage, where they are known.
    before: Option<Box<(State, Mark)>>,
}

impl Damaged {
    /// A damage at a place of a segment.
    pub(crate) fn new(segment: u64, at: u64, why: &str) -> Self {
        Self { segment, at, why: why.to_owned(), position: None, before: None }
    }

    /// A damage that a flaw shows.
    pub(crate) fn of_flaw(segment: u64, flaw: &Flaw) -> Self {
        Self { position: flaw.position.clone(), ..Self::new(segment, flaw.at, flaw.why) }
    }

    /// Adds what was read before it.
    pub(crate) fn after(self, state: State, mark: Mark) -> Self {
        Self { before: Some(Box::new((state, mark))), ..self }
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

/// What is there again behind the damage: per log the first sequence, as frames and snapshots show.
type Sightings = BTreeMap<LogKey, u64>;

/// The report of a damage: where it is and which sequences are lost, as far as they can be told.
pub(crate) fn report(
    place: &Place,
    damaged: Damaged,
    tail: Option<Tail>,
    index: Option<&dyn Index>,
) -> DamageReport {
    // Reading goes on as far as it can; what cannot be read cannot be named.
    let state = match damaged.before.clone() {
        Some(before) => before.0,
        None => state_before(place, &damaged).unwrap_or_default(),
    };
    let mut names = state.clone();
    let sightings = sightings(place, &damaged, &mut names);
    let mut missing = Vec::new();
    for log in names.logs() {
        for (epoch, later) in &log.epochs {
            let key = (log.no, *epoch);
            let from = state.frontier(key).map_or(0, Frontier::size);
            let seen =
                sightings.get(&key).copied().max((later.size() > from).then(|| later.size()));
            let indexed = || {
                let size = Lookup(index?).size(log.role, key).ok()?;
                (size > from).then_some(size)
            };
            let to = seen.or_else(indexed);
            let named = damaged.position.as_ref();
            let named = named.is_some_and(|p| p.log == log.name && p.epoch == *epoch);
            if named || to.is_some_and(|to| to > from) {
                let to = to.filter(|to| *to > from);
                missing.push(MissingRange { log: log.name.clone(), epoch: *epoch, from, to });
            }
        }
    }
    let known = damaged.before.as_ref().map(|before| before.1.group);
    let lost_groups = tail.zip(known).is_some_and(|(tail, known)| tail.group > known);
    if missing.is_empty() && lost_groups && index.is_none() {
        let open = |log: &crate::state::Log| {
            let epochs: Vec<(u32, u64)> =
                log.epochs.iter().map(|(epoch, edge)| (*epoch, edge.size())).collect();
            let log = log.name.clone();
            epochs.into_iter().map(move |(epoch, from)| MissingRange {
                log: log.clone(),
                epoch,
                from,
                to: None,
            })
        };
        missing = names.logs().flat_map(open).collect();
    }
    let file = files::segment_name(damaged.segment);
    DamageReport { file, offset: damaged.at, what: damaged.why, missing }
}

/// The state before a damaged segment, or before the damage in it.
fn state_before(place: &Place, damaged: &Damaged) -> Option<State> {
    let first = damaged.segment.saturating_sub(1).max(1);
    let mut state = State::default();
    for number in first..=damaged.segment {
        let Ok(Ok((file, header))) = read_header(place, number, OpenMode::Read) else { break };
        let mode = if number == first { Snapshots::Load } else { Snapshots::Compare };
        let scanned = scan_segment(file, header, &mut state, mode, None).ok()?;
        if !matches!(scanned.end, End::Sealed { .. }) {
            break;
        }
    }
    Some(state)
}

/// Looks behind the damage: frames in the same segment, the snapshot of the next one.
fn sightings(place: &Place, damaged: &Damaged, names: &mut State) -> Sightings {
    let mut seen = Sightings::new();
    if let Ok(Ok((file, header))) = read_header(place, damaged.segment, OpenMode::Read)
        && let Ok(mut scanner) = Scanner::new(file, &header)
    {
        let mut at = damaged.at;
        while let Ok(Some((found, head, _))) = scanner.find(at) {
            let key = (head.log_no, head.epoch);
            let size = names.frontier(key).map_or(0, Frontier::size);
            if head.kind == Kind::Record && head.seq >= size {
                let first = seen.entry(key).or_insert(head.seq);
                *first = (*first).min(head.seq);
            }
            at = found + head.span() as u64;
        }
    }
    if let Ok(Ok((file, header))) = read_header(place, damaged.segment + 1, OpenMode::Read)
        && let Ok(mut scanner) = Scanner::new(file, &header)
        && let Ok(Step::Group(group)) = scanner.next()
    {
        let mut next = State::default();
        if crate::replay::replay(&mut next, &group, Snapshots::Load).is_ok() {
            *names = next;
        }
    }
    seen
}
