//! One epoch of one log up to a size: every read that snapshots, pages and the live journal share.

use evidence::log::LogName;
use evidence::record::Record;

use crate::error::ReadError;
use crate::journal::Journal;
use crate::limits::BACK_CHUNK;

/// The first `size` records of an epoch. Logs are append-only, so the size says all.
pub(crate) struct Bounded<'a> {
    pub journal: &'a Journal,
    pub log: &'a LogName,
    pub epoch: u32,
    pub size: u64,
}

impl Bounded<'_> {
    /// The record at a sequence; `None` behind the end.
    pub(crate) fn get(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        if seq < self.size { self.journal.get(self.log, self.epoch, seq) } else { Ok(None) }
    }

    /// Records from `from` on, oldest first.
    pub(crate) fn range(
        &self,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let most = at_most(max_records, self.size.saturating_sub(from));
        self.journal.range(self.log, self.epoch, from, most, max_bytes)
    }

    /// Records before `before`, newest first.
    pub(crate) fn range_back(
        &self,
        before: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (mut out, mut bytes, mut end) = (Vec::new(), 0, before.min(self.size));
        while end > 0 && out.len() < max_records {
            let most = at_most(max_records - out.len(), end).min(BACK_CHUNK);
            let from = end - most as u64;
            let chunk = self.journal.range(self.log, self.epoch, from, most, usize::MAX)?;
            if chunk.len() < most {
                return Err(self.beyond("sequence", end - 1));
            }
            for record in chunk.into_iter().rev() {
                bytes += record.bytes().len();
                if bytes > max_bytes && !out.is_empty() {
                    return Ok(out);
                }
                out.push(record);
            }
            end = from;
        }
        Ok(out)
    }

    /// The first sequence whose record was recorded at `micros` or later; the size if none was.
    pub(crate) fn first_at_or_after(&self, micros: i64) -> Result<u64, ReadError> {
        let (mut low, mut high) = (0, self.size);
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.get(middle)?.ok_or_else(|| self.beyond("sequence", middle))?;
            if record.header().recorded_at < micros {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Records of `from..to` by recorded time, oldest first.
    pub(crate) fn time_range(
        &self,
        (from, to): (i64, i64),
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (first, end) = (self.first_at_or_after(from)?, self.first_at_or_after(to)?);
        self.range(first, at_most(max_records, end.saturating_sub(first)), max_bytes)
    }

    fn beyond(&self, what: &'static str, asked: u64) -> ReadError {
        ReadError::Range { what, asked, held: self.size }
    }
}

/// The smaller of a limit and a count that may exceed the address space.
pub(crate) fn at_most(limit: usize, count: u64) -> usize {
    limit.min(usize::try_from(count).unwrap_or(usize::MAX))
}
