//! From published groups to entries of the index. The same for groups that were just committed and
//! for groups that are read again, so a rebuilt index has the same entries.

use std::collections::HashMap;

use super::lookup::Lookup;
use super::recent::{Recent, Run, Version};
use super::runs::Runs;
use crate::error::IndexError;
use crate::index::block::{self, BLOCK};
use crate::index::entry::Entry;
use crate::index::keys::{self, GUARD};
use crate::index::{Index, IndexBatch};
use crate::segment::LogKey;
use crate::tail::Mark;

/// The last block of each log as it was written last, without its checksum, and one behind its
/// last sequence: what the next records of the log continue.
pub(crate) type Tails = HashMap<LogKey, (u64, Vec<u8>)>;

/// Entries that are merged in one step: a few hundredths of a second.
const STEP: u64 = if cfg!(test) { 1024 } else { 16_384 };

/// What filling the index continues.
#[derive(Default)]
pub(crate) struct Filler {
    pub tails: Tails,
    pub runs: Runs,
    /// The last group that was flushed by this process; 0: none.
    pub flushed: u64,
}

impl Filler {
    /// Applies what is in `recent`: blocks first, then the entries as a run, then the mark that
    /// they are there.
    pub(crate) fn apply(&mut self, index: &dyn Index, recent: &Recent) -> Result<(), IndexError> {
        let Some(mark) = recent.mark else { return Ok(()) };
        let mut batch = IndexBatch::new();
        for (log, run) in &recent.logs {
            blocks(index, *log, run, &mut self.tails, &mut batch)?;
        }
        // Neighbours go to the same page of the tree.
        batch.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        index.apply(batch)?;
        let applied = keys::entry(keys::APPLIED, &mark.encode());
        let entries = entries(recent);
        if entries.is_empty() {
            return index.swap(vec![applied], Vec::new());
        }
        self.runs.add(index, &entries, mark, applied)
    }

    /// Merges a little of what should be merged; returns whether something is left.
    pub(crate) fn step(&mut self, index: &dyn Index) -> Result<bool, IndexError> {
        if let Some(end) = self.runs.about_to_end().filter(|end| end.group > self.flushed)
            && let Some(mark) = Lookup(index).mark(keys::APPLIED)?
        {
            debug_assert!(mark.group >= end.group);
            self.settle(index, mark)?;
        }
        self.runs.step(index, STEP)?;
        Ok(self.runs.is_due())
    }

    /// Notes that everything up to `mark` is applied, and makes that and all before it durable.
    pub(crate) fn settle(&mut self, index: &dyn Index, mark: Mark) -> Result<(), IndexError> {
        index.apply(vec![keys::entry(keys::FLUSHED, &mark.encode())])?;
        index.flush()?;
        self.flushed = mark.group;
        Ok(())
    }
}

/// The entries of what is in `recent`, sorted.
fn entries(recent: &Recent) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(recent.count * 2 + recent.commands.len());
    let events = recent.events.iter().map(|(id, place)| (id, *place));
    let repeated = recent.repeated.iter().map(|(id, place)| (id, *place));
    entries.extend(events.chain(repeated).map(|(id, place)| Entry::event(id, place)));
    for (stream, versions) in &recent.streams {
        let entry = |(version, place): &Version| Entry::version(stream, *version, *place);
        entries.extend(versions.iter().map(entry));
    }
    entries.extend(recent.commands.iter().map(|(key, place)| Entry::command(key, *place)));
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// Entries of the blocks that a run continues or begins.
fn blocks(
    index: &dyn Index,
    log: LogKey,
    run: &Run,
    tails: &mut Tails,
    entries: &mut IndexBatch,
) -> Result<(), IndexError> {
    let mut seq = run.first;
    let mut value = begun(index, log, seq, tails)?;
    for located in &run.records {
        if seq.is_multiple_of(BLOCK) {
            value.clear();
        }
        block::put(&mut value, located);
        seq += 1;
        if seq.is_multiple_of(BLOCK) {
            entries.push(keys::entry(&keys::block(log, seq - BLOCK), &value));
        }
    }
    if !seq.is_multiple_of(BLOCK) {
        entries.push(keys::entry(&keys::block(log, block::first(seq)), &value));
    }
    tails.insert(log, (seq, value));
    Ok(())
}

/// The entries before `seq` in its block.
fn begun(
    index: &dyn Index,
    log: LogKey,
    seq: u64,
    tails: &mut Tails,
) -> Result<Vec<u8>, IndexError> {
    if seq.is_multiple_of(BLOCK) {
        return Ok(Vec::with_capacity(GUARD + block::offset_of(0, BLOCK)));
    }
    if let Some((_, value)) = tails.remove(&log).filter(|(end, _)| *end == seq) {
        return Ok(value);
    }
    let lacking = || IndexError::new("the block that a log continues is not there");
    let stored = Lookup(index).block(log, seq).map_err(|_| lacking())?;
    let bytes = stored.get(..block::offset_of(block::first(seq), seq)).ok_or_else(lacking)?;
    Ok(bytes.to_vec())
}
