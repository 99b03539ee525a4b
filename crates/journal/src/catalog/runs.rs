//! The runs of the index, oldest first, each continuing the one before it.
//!
//! Every drain adds a run; runs of one size are merged when there are eight of them, so that a
//! question looks at few. A merge goes in steps between which new runs may be added and the journal
//! may be closed: until its run is described in place of the old ones, in one batch, these are in
//! force, and what a crash or a close leaves of it is removed at the next open. Readers hold a
//! view; the pages of a merged run are removed when no view holds it any more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use ::sled::IVec;

use super::fill::{FillError, START};
use crate::error::{IndexError, ReadError};
use crate::index::Index;
use crate::index::entry::Entry;
use crate::index::keys;
use crate::index::run::{self, Contents, Cursor, Run, RunWriter, remove_pages};
use crate::tail::Mark;

/// Runs as a reader sees them.
pub(crate) type View = Arc<Vec<Arc<Run>>>;

/// So many runs of one size, or smaller ones behind them, become one: each entry is written four or
/// five times on its way to a million records, and a question asks about seven filters for each
/// size.
const FANOUT: usize = 8;
/// Most runs that are merged at once: their descriptions are removed in one batch.
const MOST: usize = 32;
/// Runs of fewer entries are of the smallest size, 0; each further size begins at [`FANOUT`] times
/// as many.
const SMALLEST: u64 = 4096;
/// Runs of this size (from 2,097,152 entries on) are not merged any more.
const LARGEST: u32 = 4;
/// Pages of a merged run that are removed in one step.
const SWEPT: usize = 256;

/// The writing side: only who fills the index has it.
#[derive(Default)]
pub(crate) struct Runs {
    view: View,
    /// Number of the next run.
    next: u64,
    merging: Option<Merging>,
    /// Entries that should be merged before many more are added.
    debt: u64,
    /// Merged runs whose pages may still be read.
    retired: Vec<Arc<Run>>,
}

/// A merge under way.
struct Merging {
    /// Which runs of the view become one; more may have been added behind them.
    of: Range<usize>,
    merged: Merged,
    written: Written,
}

/// How far the new run is.
enum Written {
    Partly(Box<RunWriter>),
    /// Its pages are there, its description is not.
    Whole(Arc<Run>),
}

impl Runs {
    /// Reads the runs up to `flushed` and compares each with its description, removes left-overs,
    /// and drops unread what is behind `flushed`, which a crash may have torn. Returns from where
    /// to fill again.
    pub(crate) fn load(
        index: &dyn Index,
        flushed: Mark,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Self, Mark), FillError> {
        let mut described = Vec::new();
        let (first, last) = (keys::run(0), keys::run(u64::MAX));
        let mut good = true;
        index.scan(&first, &last, &mut |key, value| {
            let body = keys::open(key, value).map(<[u8]>::to_vec);
            good = body.is_some();
            described.extend(keys::parse_run(key).zip(body));
            good
        })?;
        let lacks = || FillError::unusable("it lacks entries");
        let (mut runs, mut behind) = (Vec::new(), Vec::new());
        for (no, description) in described.iter().filter(|_| good) {
            let (to, contents) = run::decode(description).ok_or_else(lacks)?;
            if to.group > flushed.group {
                // Whether it is whole does not matter: its groups are filled in again.
                behind.push(*no);
                continue;
            }
            let run = Run::load(index, *no, (to, contents), stop);
            if stop() {
                return Err(FillError::Stopped);
            }
            runs.push(run.map_err(|_| lacks())?.ok_or_else(lacks)?);
        }
        runs.sort_by_key(|run| run.to.group);
        if !good {
            return Err(lacks());
        }
        let removed = behind.iter().map(|no| keys::run(*no).as_slice().into());
        // With the marks where filling begins, or a second crash on the way would leave them ahead
        // of what is there.
        let kept = runs.last().map_or(START, |run: &Arc<Run>| run.to);
        let from = if behind.is_empty() { flushed } else { kept };
        if !behind.is_empty() {
            let marks = [keys::APPLIED, keys::FLUSHED].map(|key| keys::entry(key, &from.encode()));
            index.swap(marks.into(), removed.collect())?;
        }
        let mut live: Vec<u64> = runs.iter().map(|run| run.no).collect();
        live.sort_unstable();
        tidy(index, &live, stop)?;
        let next = live.last().map_or(0, |last| last + 1);
        Ok((Self { view: Arc::new(runs), next, ..Self::default() }, from))
    }

    /// What readers may have.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }

    /// Adds sorted entries of groups up to `to`.
    pub(crate) fn add(
        &mut self,
        index: &dyn Index,
        entries: &[Entry],
        to: Mark,
        applied: (IVec, IVec),
    ) -> Result<(), IndexError> {
        let mut writer = RunWriter::new(self.take_no(), to, entries.len() as u64);
        entries.iter().try_for_each(|entry| writer.add(index, entry))?;
        let run = writer.finish(index)?;
        // The run is there when its description is, together with the mark that says so.
        index.swap(vec![run.description(), applied], Vec::new())?;
        Arc::make_mut(&mut self.view).push(run);
        // An entry goes through at most so many merges.
        self.debt += entries.len() as u64 * u64::from(LARGEST);
        if !self.is_due() {
            self.debt = 0;
        }
        Ok(())
    }

    fn take_no(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Whether there is something to merge or to remove.
    pub(crate) fn is_due(&self) -> bool {
        self.merging.is_some() || mergeable(&self.view).is_some() || self.swept().is_some()
    }

    /// Whether merging lags behind what is added.
    pub(crate) fn is_owing(&self) -> bool {
        self.debt > 0 && self.is_due()
    }

    /// The last group of a large merged run that the next step will put in force. It should be
    /// behind the mark of the last flush by then: a run ahead of it is dropped after a crash, and
    /// all its entries would have to be filled in again.
    pub(crate) fn about_to_end(&self) -> Option<Mark> {
        match &self.merging.as_ref()?.written {
            Written::Whole(run) if class(run) > 0 => Some(run.to),
            _ => None,
        }
    }

    /// Does a piece of what is due, about as much as merging `most` entries.
    pub(crate) fn step(&mut self, index: &dyn Index, most: u64) -> Result<(), IndexError> {
        if self.merging.is_none() {
            if let Some(at) = self.swept() {
                if !self.retired[at].remove(index, SWEPT)? {
                    self.retired.remove(at);
                }
                return Ok(());
            }
            let Some(of) = mergeable(&self.view) else { return Ok(()) };
            self.begin(index, of)?;
        }
        let Some(mut merging) = self.merging.take() else { return Ok(()) };
        match merging.written {
            Written::Partly(mut writer) => {
                self.debt = self.debt.saturating_sub(most);
                let ended = merging.merged.copy(index, &mut writer, most).map_err(failed)?;
                merging.written = match ended {
                    true => Written::Whole(writer.finish(index)?),
                    false => Written::Partly(writer),
                };
                self.merging = Some(merging);
                Ok(())
            }
            Written::Whole(run) => self.end(index, merging.of, run),
        }
    }

    /// Begins a merge.
    fn begin(&mut self, index: &dyn Index, of: Range<usize>) -> Result<(), IndexError> {
        let Some((old, last)) = self.view.get(of.clone()).and_then(|old| Some((old, old.last()?)))
        else {
            return Ok(());
        };
        let (to, most) = (last.to, contents(old).len());
        let merged = Merged::new(index, old).map_err(failed)?;
        let writer = Box::new(RunWriter::new(self.take_no(), to, most));
        self.merging = Some(Merging { of, merged, written: Written::Partly(writer) });
        Ok(())
    }

    /// Puts a merged run in the place of the old ones.
    fn end(
        &mut self,
        index: &dyn Index,
        of: Range<usize>,
        run: Arc<Run>,
    ) -> Result<(), IndexError> {
        let old = self.view[of.clone()].iter().map(|run| keys::run(run.no).as_slice().into());
        index.swap(vec![run.description()], old.collect())?;
        let old = Arc::make_mut(&mut self.view).splice(of, [run]);
        self.retired.extend(old);
        Ok(())
    }

    /// A merged run that nobody reads any more.
    fn swept(&self) -> Option<usize> {
        self.retired.iter().position(|run| Arc::strong_count(run) == 1)
    }
}

/// Which neighbouring runs should become one, the smallest first: those that end with a run of a
/// size and hold no larger one, if there are many of them.
fn mergeable(runs: &[Arc<Run>]) -> Option<Range<usize>> {
    let ending_with = |(at, last): (usize, &Arc<Run>)| {
        let size = class(last);
        let count = runs[..=at].iter().rev().take_while(|run| class(run) <= size).count();
        let from = at + 1 - count;
        (size < LARGEST && count >= FANOUT).then(|| (size, from..from + count.min(MOST)))
    };
    let all = runs.iter().enumerate().filter_map(ending_with);
    all.min_by_key(|(size, of)| (*size, of.start, Reverse(of.end))).map(|(_, of)| of)
}

/// Removes pages of runs that are not `live` (which is sorted).
fn tidy(index: &dyn Index, live: &[u64], stop: &dyn Fn() -> bool) -> Result<(), FillError> {
    let starts = std::iter::once(0).chain(live.iter().map(|no| no + 1));
    let ends = live.iter().copied().chain([u64::MAX]);
    for (start, end) in starts.zip(ends).filter(|(start, end)| start < end) {
        while remove_pages(index, &keys::page(start, &[]), &keys::page(end, &[]), SWEPT)? {
            if stop() {
                return Err(FillError::Stopped);
            }
        }
    }
    Ok(())
}

/// Size of a run.
fn class(run: &Arc<Run>) -> u32 {
    match run.contents.len() / SMALLEST {
        0 => 0,
        times => times.ilog2() / FANOUT.ilog2() + 1,
    }
}

/// What many runs hold.
pub(crate) fn contents(runs: &[Arc<Run>]) -> Contents {
    let mut all = Contents::NONE;
    runs.iter().for_each(|run| all.join(&run.contents));
    all
}

/// A page that cannot be read while runs are merged: the index is of no use.
fn failed(error: ReadError) -> IndexError {
    match error {
        ReadError::Index(error) => error,
        other => IndexError::new(other.to_string()),
    }
}

/// Sorted runs as one.
struct Merged {
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
    before: Option<Entry>,
}

impl Merged {
    fn new(index: &dyn Index, runs: &[Arc<Run>]) -> Result<Self, ReadError> {
        let mut cursors: Vec<_> = runs.iter().cloned().map(Cursor::new).collect();
        let mut heads = BinaryHeap::new();
        for (i, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(cursor.next(index)?.map(|entry| Reverse((entry, i))));
        }
        Ok(Self { cursors, heads, before: None })
    }

    /// Writes the next `most` entries; returns whether that was all.
    fn copy(
        &mut self,
        index: &dyn Index,
        to: &mut RunWriter,
        most: u64,
    ) -> Result<bool, ReadError> {
        for _ in 0..most {
            let Some(entry) = self.next(index)? else { return Ok(true) };
            to.add(index, &entry)?;
        }
        Ok(false)
    }

    /// The next entry; what several runs have comes once.
    fn next(&mut self, index: &dyn Index) -> Result<Option<Entry>, ReadError> {
        while let Some(Reverse((entry, i))) = self.heads.pop() {
            self.heads.extend(self.cursors[i].next(index)?.map(|entry| Reverse((entry, i))));
            if self.before != Some(entry) {
                self.before = Some(entry);
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}
