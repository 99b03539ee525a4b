//! Questions to the index, each answer checked against its checksum.

use std::sync::Arc;

use evidence::log::LogName;

use crate::error::{IndexError, ReadError};
use crate::index::Index;
use crate::index::block::{self, BLOCK, Located};
use crate::index::entry::Entry;
use crate::index::keys;
use crate::index::run::Run;
use crate::segment::LogKey;
use crate::tail::Mark;

/// Why a record cannot be located.
#[derive(Debug)]
pub(crate) enum Fault {
    Index(IndexError),
    /// A commit file cannot be read.
    File(String, std::io::Error),
    /// The entry is missing or is not what was stored.
    Damaged(&'static str),
}

impl From<IndexError> for Fault {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl Fault {
    /// The error of a reader who asked for this record.
    pub(crate) fn at(self, log: &LogName, epoch: u32, seq: u64) -> ReadError {
        match self {
            Self::Index(error) => ReadError::Index(error),
            Self::File(file, source) => ReadError::Io { file, source },
            Self::Damaged(what) => {
                let (log, place) = (log.clone(), "index".to_owned());
                ReadError::Damaged { log, epoch, seq, place, what }
            }
        }
    }
}

/// Asks the index.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a>(pub &'a dyn Index);

impl Lookup<'_> {
    /// The block that holds `seq`, without its checksum.
    pub(crate) fn block(&self, log: LogKey, seq: u64) -> Result<Vec<u8>, Fault> {
        let key = keys::block(log, block::first(seq));
        let value = self.0.get(&key)?.ok_or(Fault::Damaged("its entry is missing"))?;
        let block = keys::open(&key, &value).ok_or(Fault::Damaged("its entry is damaged"))?;
        Ok(block.to_vec())
    }

    /// The record at `seq`, which must be there.
    pub(crate) fn record(&self, log: LogKey, seq: u64) -> Result<Located, Fault> {
        let found = block::nth(block::first(seq), &self.block(log, seq)?, seq);
        found.ok_or(Fault::Damaged("its entry is missing"))
    }

    /// The record at `seq`, which must be there, and the others behind it in its block.
    pub(crate) fn block_from(&self, log: LogKey, seq: u64) -> Result<Vec<Located>, Fault> {
        let missing = Fault::Damaged("its entry is missing");
        let block = self.block(log, seq)?;
        let Some(mut rest) = block.get(block::offset_of(block::first(seq), seq)..) else {
            return Err(missing);
        };
        let mut out = Vec::with_capacity(BLOCK as usize);
        while !rest.is_empty() {
            let malformed = Fault::Damaged("its entry is malformed");
            let (located, behind) = block::take(seq + out.len() as u64, rest).ok_or(malformed)?;
            out.push(located);
            rest = behind;
        }
        if out.is_empty() { Err(missing) } else { Ok(out) }
    }

    /// The size of a log whose blocks are all there, each where the one before it ends; `None` if
    /// one is missing or damaged.
    pub(crate) fn unbroken_size(
        &self,
        log: LogKey,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, IndexError> {
        let (from, to) = (keys::block(log, 0), keys::block(log, u64::MAX));
        let (mut size, mut good) = (0, true);
        self.0.scan(&from, &to, &mut |key, value| {
            let block = keys::open(key, value).zip(keys::parse_block(key));
            let end = block.filter(|(_, first)| *first == size);
            let end = end.and_then(|(block, first)| block::end(first, block));
            // Only the last block may have room.
            good = size.is_multiple_of(BLOCK) && end.is_some();
            size = end.unwrap_or(size);
            good && !stop()
        })?;
        Ok(good.then_some(size))
    }

    /// The size of a log as the index has it: one behind the last record of its last block.
    pub(crate) fn size(&self, log: LogKey) -> Result<u64, Fault> {
        let (from, to) = (keys::block(log, 0), keys::block(log, u64::MAX));
        let Some((key, value)) = self.0.last(&from, &to)? else { return Ok(0) };
        let damaged = Fault::Damaged("the last entry is damaged");
        let block = keys::open(&key, &value).zip(keys::parse_block(&key));
        block.and_then(|(block, first)| block::end(first, block)).ok_or(damaged)
    }

    /// Every log that it has a block of, with its size as far as that can be told, by number.
    pub(crate) fn sizes(&self) -> Result<Vec<(LogKey, Option<u64>)>, IndexError> {
        let (lowest, mut highest) = ([b'P'; 1], keys::block((u16::MAX, u32::MAX), u64::MAX));
        let mut sizes = Vec::new();
        while let Some((key, _)) = self.0.last(&lowest, &highest)? {
            let Some(log) = keys::log_of_block(&key) else { break };
            sizes.push((log, self.size(log).ok()));
            // The block before this one that is possible at all.
            highest = match (log.1.checked_sub(1), log.0.checked_sub(1)) {
                (Some(epoch), _) => keys::block((log.0, epoch), u64::MAX),
                (None, Some(no)) => keys::block((no, u32::MAX), u64::MAX),
                (None, None) => break,
            };
        }
        sizes.reverse();
        Ok(sizes)
    }

    /// The number of its layout; `None` if it is missing or damaged.
    pub(crate) fn layout(&self) -> Result<Option<u32>, IndexError> {
        let value = self.0.get(keys::LAYOUT)?;
        let number = value.and_then(|value| {
            let number = <[u8; 4]>::try_from(keys::open(keys::LAYOUT, &value)?).ok()?;
            Some(u32::from_be_bytes(number))
        });
        Ok(number)
    }

    /// One of the marks that say how far the index is; `None` if it is missing or damaged.
    pub(crate) fn mark(&self, key: &[u8]) -> Result<Option<Mark>, IndexError> {
        let value = self.0.get(key)?;
        Ok(value.and_then(|value| Mark::decode(keys::open(key, &value)?)))
    }
}

/// Asks the runs of an index.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub index: &'a dyn Index,
    pub runs: &'a [Arc<Run>],
}

impl Search<'_> {
    /// The last entry between two of the same subject, both included.
    pub(crate) fn last(&self, from: &Entry, to: &Entry) -> Result<Option<Entry>, ReadError> {
        let mut last = None;
        for run in self.runs.iter().rev().filter(|run| run.may_hold(from.subject())) {
            last = last.max(run.last(self.index, from, to)?);
        }
        Ok(last)
    }

    /// All entries between two of the same subject, both included, sorted.
    pub(crate) fn all(&self, from: &Entry, to: &Entry) -> Result<Vec<Entry>, ReadError> {
        let mut all = Vec::new();
        for run in self.runs.iter().filter(|run| run.may_hold(from.subject())) {
            run.visit(self.index, from, to, &mut |entry| all.push(*entry))?;
        }
        all.sort_unstable();
        Ok(all)
    }
}
