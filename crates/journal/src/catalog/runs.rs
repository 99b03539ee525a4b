//! The runs of the index, oldest first, each continuing the one before it.
//!
//! Every drain adds a run; runs of one size are merged when there are eight of them, so that a
//! question looks at few. Readers hold a view; the pages of a merged run are removed when no view
//! holds it any more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use ::sled::IVec;

use super::fill::{FillError, START};
use crate::error::{IndexError, ReadError};
use crate::index::Index;
use crate::index::entry::Entry;
use crate::index::keys;
use crate::index::run::{Contents, Run, remove_pages};
use crate::tail::Mark;

/// Runs as a reader sees them.
pub(crate) type View = Arc<Vec<Arc<Run>>>;

/// So many runs of one size become one: each entry is written about four times on its way to a
/// million records, and a question asks at most seven filters for each size.
const FANOUT: usize = 8;
/// Runs up to this many entries are of the smallest size.
const SMALLEST: u64 = 512;
/// Runs of this size (two million entries) are not merged any more: it would take too long at once.
const LARGEST: u32 = 4;

/// The writing side: only who fills the index has it.
#[derive(Default)]
pub(crate) struct Runs {
    view: View,
    /// Number of the next run.
    next: u64,
    /// Merged runs whose pages may still be read.
    retired: Vec<Arc<Run>>,
}

impl Runs {
    /// Reads all runs and compares each with its description, removes left-overs, and drops what
    /// is behind `flushed`, which a crash may have torn. Returns from where to fill again.
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
            let run = Run::load(index, *no, description);
            match run.map_err(|_| lacks())?.ok_or_else(lacks)? {
                run if run.to.group <= flushed.group => runs.push(run),
                run => behind.push(run),
            }
            if stop() {
                return Err(FillError::Stopped);
            }
        }
        runs.sort_by_key(|run| run.to.group);
        if !good {
            return Err(lacks());
        }
        let removed = behind.iter().map(|run| keys::run(run.no).as_slice().into());
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
        tidy(index, &live)?;
        let next = live.last().map_or(0, |last| last + 1);
        Ok((Self { view: Arc::new(runs), next, retired: Vec::new() }, from))
    }

    /// What readers may have.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }

    /// Adds sorted entries of groups up to `to`, and merges runs.
    pub(crate) fn add(
        &mut self,
        index: &dyn Index,
        entries: &[Entry],
        to: Mark,
        applied: (IVec, IVec),
    ) -> Result<(), IndexError> {
        let mut left = entries.iter().copied();
        let label = (self.take_no(), to, entries.len() as u64);
        let run = Run::write(index, label, &mut || Ok(left.next())).map_err(failed)?;
        // The run is there when its description is, together with the mark that says so.
        index.swap(vec![run.description(), applied], Vec::new())?;
        let mut runs = self.view.to_vec();
        runs.push(run);
        self.view = Arc::new(runs);
        while let Some(from) = self.mergeable() {
            self.merge(index, from)?;
        }
        self.sweep(index)
    }

    fn take_no(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The first of the last runs that should become one.
    fn mergeable(&self) -> Option<usize> {
        let largest = class(self.view.last()?);
        let tail = self.view.iter().rev().take_while(|run| class(run) <= largest).count();
        (largest < LARGEST && tail >= FANOUT).then(|| self.view.len() - tail)
    }

    /// Makes one run of those from `from` on.
    fn merge(&mut self, index: &dyn Index, from: usize) -> Result<(), IndexError> {
        let old = self.view[from..].to_vec();
        let Some(to) = old.last().map(|run| run.to) else { return Ok(()) };
        let most = old.iter().map(|run| run.contents.len()).sum();
        let mut merged = Merged::new(index, &old).map_err(failed)?;
        let label = (self.take_no(), to, most);
        let run = Run::write(index, label, &mut || merged.next(index)).map_err(failed)?;
        let removed = old.iter().map(|run| keys::run(run.no).as_slice().into());
        index.swap(vec![run.description()], removed.collect())?;
        let mut runs = self.view[..from].to_vec();
        runs.push(run);
        self.view = Arc::new(runs);
        self.retired.extend(old);
        Ok(())
    }

    /// Removes the pages of merged runs that nobody reads any more.
    fn sweep(&mut self, index: &dyn Index) -> Result<(), IndexError> {
        let mut kept = Vec::new();
        for run in self.retired.drain(..) {
            if Arc::strong_count(&run) > 1 {
                kept.push(run);
            } else {
                run.remove(index)?;
            }
        }
        self.retired = kept;
        Ok(())
    }
}

/// Removes pages of runs that are not `live` (which is sorted).
fn tidy(index: &dyn Index, live: &[u64]) -> Result<(), IndexError> {
    let starts = std::iter::once(0).chain(live.iter().map(|no| no + 1));
    let ends = live.iter().copied().chain([u64::MAX]);
    for (start, end) in starts.zip(ends).filter(|(start, end)| start < end) {
        remove_pages(index, &keys::page(start, &[]), &keys::page(end, &[]))?;
    }
    Ok(())
}

/// Size of a run: how often the smallest size must be multiplied by eight.
fn class(run: &Arc<Run>) -> u32 {
    (run.contents.len() / SMALLEST).max(1).ilog2() / FANOUT.ilog2()
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
    cursors: Vec<crate::index::run::Cursor>,
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
    before: Option<Entry>,
}

impl Merged {
    fn new(index: &dyn Index, runs: &[Arc<Run>]) -> Result<Self, ReadError> {
        let mut cursors: Vec<_> = runs.iter().map(|run| run.cursor()).collect();
        let mut heads = BinaryHeap::new();
        for (i, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(cursor.next(index)?.map(|entry| Reverse((entry, i))));
        }
        Ok(Self { cursors, heads, before: None })
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
