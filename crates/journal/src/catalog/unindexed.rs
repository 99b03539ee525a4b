//! Reading by sequence without the index, while there is none or where it has lost an entry: the
//! segment that holds a record is read whole, and its places and tree nodes are kept for the next
//! questions.
//!
//! Only records that were there at open are found here. That is enough: nothing is committed before
//! the index is ready, and what it has lost is noticed, and the index rebuilt, at the next open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lookup::Fault;
use super::recent::Recent;
use crate::disk::OpenMode;
use crate::error::OpenError;
use crate::files;
use crate::index::block::Located;
use crate::limits::OPEN_PLACES;
use crate::recover::{read_footer, read_header};
use crate::replay::{Snapshots, replay};
use crate::scan::{Scanner, Step};
use crate::segment::{Footer, LogKey};
use crate::state::State;
use crate::writer::Place;

/// The places of a segment's records.
type Places = Arc<HashMap<LogKey, super::recent::Run>>;

/// A segment that was asked for. Who reads it holds the lock, so that the others wait for that.
type Slot = Arc<Mutex<Option<Places>>>;

/// Finds records in the commit files.
pub(crate) struct Unindexed {
    place: Place,
    /// Number of the active segment.
    last: u64,
    /// The footers of the sealed segments, once they were read.
    footers: Mutex<Option<Arc<Vec<Footer>>>>,
    /// The segments asked for last, the newest at the end; held for a moment only.
    segments: Mutex<Vec<(u64, Slot)>>,
}

impl Unindexed {
    /// Over the commit files in `place` up to segment `last`.
    pub(crate) fn new(place: Place, last: u64) -> Self {
        Self { place, last, footers: Mutex::default(), segments: Mutex::default() }
    }

    /// The record at `seq`.
    pub(crate) fn record(&self, log: LogKey, seq: u64) -> Result<Located, Fault> {
        self.find(log, seq, |found| found.first().cloned())
    }

    /// The record at `seq` and some behind it.
    pub(crate) fn records_from(&self, log: LogKey, seq: u64) -> Result<Vec<Located>, Fault> {
        self.find(log, seq, |found| {
            (!found.is_empty()).then(|| found[..found.len().min(1024)].to_vec())
        })
    }

    /// Forgets everything that was read.
    pub(crate) fn forget(&self) {
        *held(&self.footers) = None;
        held(&self.segments).clear();
    }

    fn find<T>(
        &self,
        log: LogKey,
        seq: u64,
        take: impl Fn(&[Located]) -> Option<T>,
    ) -> Result<T, Fault> {
        let number = self.segment_of(log, seq)?;
        let places = self.places(number)?;
        let run = places.get(&log).map(|run| run.from(seq)).unwrap_or_default();
        take(run).ok_or(Fault::Damaged("no commit file has it"))
    }

    /// The segment that holds a record: the one whose footer says so, or the active one.
    fn segment_of(&self, log: LogKey, seq: u64) -> Result<u64, Fault> {
        let footers = self.footers()?;
        let holds = |footer: &Footer| {
            let range = footer.ranges.get(&log);
            range.is_some_and(|range| seq < range.first_seq + range.count)
        };
        // A log's ranges grow from segment to segment.
        let at = footers.iter().position(holds);
        Ok(at.map_or(self.last, |at| at as u64 + 1))
    }

    fn footers(&self) -> Result<Arc<Vec<Footer>>, Fault> {
        let mut known = held(&self.footers);
        if let Some(footers) = &*known {
            return Ok(footers.clone());
        }
        let mut footers = Vec::new();
        for number in 1..self.last {
            let opened = read_header(&self.place, number, OpenMode::Read).map_err(fault)?;
            let (file, header) = opened.map_err(|_| Fault::Damaged("a header is damaged"))?;
            let footer = read_footer(&*file, &header);
            let footer = footer.map_err(|error| Fault::File(files::segment_name(number), error))?;
            footers.push(footer.map_err(|_| Fault::Damaged("a footer is damaged"))?);
        }
        let footers = Arc::new(footers);
        *known = Some(footers.clone());
        Ok(footers)
    }

    /// The places in a segment.
    fn places(&self, number: u64) -> Result<Places, Fault> {
        let slot = self.slot(number);
        let mut places = held(&slot);
        if let Some(places) = &*places {
            return Ok(places.clone());
        }
        Ok(places.insert(Arc::new(self.read(number)?.logs)).clone())
    }

    /// The slot of a segment, the newest now.
    fn slot(&self, number: u64) -> Slot {
        let mut segments = held(&self.segments);
        let slot = match segments.iter().position(|(known, _)| *known == number) {
            Some(at) => segments.remove(at).1,
            None => Slot::default(),
        };
        if segments.len() >= OPEN_PLACES {
            segments.remove(0);
        }
        segments.push((number, slot.clone()));
        slot
    }

    /// Reads a segment from its own snapshot on.
    fn read(&self, number: u64) -> Result<Recent, Fault> {
        let opened = read_header(&self.place, number, OpenMode::Read).map_err(fault)?;
        let (file, header) = opened.map_err(|_| Fault::Damaged("its commit file is damaged"))?;
        let io = |error| Fault::File(files::segment_name(number), error);
        let mut scanner = Scanner::new(file, &header).map_err(io)?;
        let (mut state, mut recent, mut mode) =
            (State::default(), Recent::default(), Snapshots::Load);
        // What stands before a damaged place is true and is found.
        while let Step::Group(group) = scanner.next().map_err(io)? {
            let Ok(mut items) = replay(&mut state, &group, mode) else { break };
            mode = Snapshots::Compare;
            recent.add(&mut items, group.bytes, group.start, group.mark(number));
        }
        Ok(recent)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fault behind an error of opening.
fn fault(error: OpenError) -> Fault {
    match error {
        OpenError::Io { file, source, .. } => Fault::File(file, source),
        _ => Fault::Damaged("its commit file has another format"),
    }
}
