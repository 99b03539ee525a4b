//! A view of all logs that stays as it is while the writer goes on.

use std::sync::Arc;

use evidence::log::{LogName, Position};
use evidence::record::{Record, StreamRef};

use crate::bounded::Bounded;
use crate::error::{PageError, ReadError};
use crate::journal::Journal;
use crate::paging::{Page, PageToken, Query, page};
use crate::report::LogInfo;

/// All logs at one moment: what came later is never seen through it.
///
/// Logs are append-only and records are never changed or removed. A snapshot is therefore nothing
/// but the sizes (and roots) of all epochs, taken together under one lock; it copies no record,
/// holds nothing back and may be kept for as long as one likes. Clones share it. It keeps the
/// journal, and with it the lock of the folder.
///
/// Not in a snapshot: control facts (their last value wins, so an old one is gone) and commands (a
/// command without records has no place that could be compared).
#[derive(Clone, Debug)]
pub struct Snapshot {
    journal: Journal,
    /// By name, then epoch.
    logs: Arc<[LogInfo]>,
}

impl Snapshot {
    /// All logs and epochs with their sizes and roots, by name, then epoch.
    #[must_use]
    pub fn logs(&self) -> &[LogInfo] {
        &self.logs
    }

    /// One epoch of one log; `None` if it was not there yet.
    #[must_use]
    pub fn log(&self, log: &LogName, epoch: u32) -> Option<&LogInfo> {
        let key = (log, epoch);
        let at = self.logs.binary_search_by(|info| (&info.log, info.epoch).cmp(&key));
        at.ok().and_then(|at| self.logs.get(at))
    }

    fn bounded<'a>(&'a self, log: &'a LogName, epoch: u32) -> Bounded<'a> {
        let size = self.log(log, epoch).map_or(0, |info| info.size);
        Bounded { journal: &self.journal, log, epoch, size }
    }

    fn known<'a>(&'a self, log: &'a LogName, epoch: u32) -> Result<Bounded<'a>, ReadError> {
        let unknown = || ReadError::UnknownLog { log: log.clone(), epoch };
        let size = self.log(log, epoch).ok_or_else(unknown)?.size;
        Ok(Bounded { journal: &self.journal, log, epoch, size })
    }

    /// The record at a position; `None` if it was not there yet, or no such log.
    ///
    /// # Errors
    /// As [`Journal::get`].
    pub fn get(&self, log: &LogName, epoch: u32, seq: u64) -> Result<Option<Record>, ReadError> {
        self.bounded(log, epoch).get(seq)
    }

    /// As [`Journal::range`], up to the snapshot's end.
    ///
    /// # Errors
    /// As [`Journal::range`].
    pub fn range(
        &self,
        log: &LogName,
        epoch: u32,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.bounded(log, epoch).range(from, max_records, max_bytes)
    }

    /// As [`Journal::range_back`], from the snapshot's end at most.
    ///
    /// # Errors
    /// As [`Journal::range_back`].
    pub fn range_back(
        &self,
        log: &LogName,
        epoch: u32,
        before: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.bounded(log, epoch).range_back(before, max_records, max_bytes)
    }

    /// As [`Journal::first_at_or_after`]; the snapshot's size if no record of it is that late.
    ///
    /// # Errors
    /// As [`Journal::first_at_or_after`].
    pub fn first_at_or_after(
        &self,
        log: &LogName,
        epoch: u32,
        micros: i64,
    ) -> Result<u64, ReadError> {
        self.known(log, epoch)?.first_at_or_after(micros)
    }

    /// As [`Journal::time_range`], up to the snapshot's end.
    ///
    /// # Errors
    /// As [`Journal::time_range`].
    pub fn time_range(
        &self,
        log: &LogName,
        epoch: u32,
        times: std::ops::Range<i64>,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let times = (times.start, times.end);
        self.known(log, epoch)?.time_range(times, max_records, max_bytes)
    }

    /// A page of a query over this snapshot, or the next page of one over an earlier or equal one:
    /// a series keeps the bounds that it began with.
    ///
    /// # Errors
    /// As [`Journal::page`].
    pub fn page(&self, query: &Query, token: Option<&PageToken>) -> Result<Page, PageError> {
        page(&self.known(&query.log, query.epoch)?, query, token)
    }

    /// All records of a stream in one log that were there, in order of their versions.
    ///
    /// # Errors
    /// As [`Journal::stream`].
    pub fn stream(&self, log: &LogName, stream: StreamRef) -> Result<Vec<Record>, ReadError> {
        let mut records = self.journal.stream(log, stream)?;
        records.retain(|record| {
            let header = record.header();
            header.seq < self.bounded(log, header.epoch).size
        });
        Ok(records)
    }

    /// Where the event with this id is; `None` if it was not there yet.
    ///
    /// # Errors
    /// As [`Journal::find_event`].
    pub fn find_event(&self, id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        let mut places = self.journal.find_events(id)?.into_iter();
        Ok(places.find(|at| at.seq < self.bounded(&at.log, at.epoch).size))
    }
}

impl Journal {
    /// A stable view of all logs as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut logs = self.logs();
        logs.sort_unstable_by(|a, b| (&a.log, a.epoch).cmp(&(&b.log, b.epoch)));
        Snapshot { journal: self.clone(), logs: logs.into() }
    }

    /// What is there now of one epoch.
    fn bounded<'a>(&'a self, log: &'a LogName, epoch: u32) -> Result<Bounded<'a>, ReadError> {
        let unknown = || ReadError::UnknownLog { log: log.clone(), epoch };
        let size = self.size(log, epoch).ok_or_else(unknown)?;
        Ok(Bounded { journal: self, log, epoch, size })
    }

    /// Records before the sequence `before` (`u64::MAX`: from the newest on), **newest first**: at
    /// most `max_records`, and no more once `max_bytes` of stored bytes are reached, but at least
    /// one if there is one. Empty if there is no such log.
    ///
    /// # Errors
    /// As [`Journal::range`].
    pub fn range_back(
        &self,
        log: &LogName,
        epoch: u32,
        before: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let size = self.size(log, epoch).unwrap_or(0);
        Bounded { journal: self, log, epoch, size }.range_back(before, max_records, max_bytes)
    }

    /// The sequence of the first record that was recorded at `micros` (microseconds since 1970
    /// UTC) or later; the log's size if there is none.
    ///
    /// A binary search over the records themselves: `recorded_at` grows within an own log, the
    /// journal sees to it. In a mirror it grows if the origin was honest; if it was not, the answer
    /// is a sequence of the log all the same, but records on its wrong side are possible. Reads
    /// about log2(size) records.
    ///
    /// # Errors
    /// [`ReadError::UnknownLog`]; otherwise as [`Journal::get`].
    pub fn first_at_or_after(
        &self,
        log: &LogName,
        epoch: u32,
        micros: i64,
    ) -> Result<u64, ReadError> {
        self.bounded(log, epoch)?.first_at_or_after(micros)
    }

    /// Records that were recorded in `times` (microseconds since 1970 UTC, the end excluded),
    /// oldest first, with the limits of [`Journal::range`]. See [`Journal::first_at_or_after`] for
    /// mirrors.
    ///
    /// # Errors
    /// As [`Journal::first_at_or_after`].
    pub fn time_range(
        &self,
        log: &LogName,
        epoch: u32,
        times: std::ops::Range<i64>,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let times = (times.start, times.end);
        self.bounded(log, epoch)?.time_range(times, max_records, max_bytes)
    }

    /// A page of a query. Without a token the first one, over what is there now; with the token of
    /// the page before the next one, over what was there when the series began: all pages of a
    /// series together are the same records as one range at its beginning, whatever is appended
    /// meanwhile.
    ///
    /// # Errors
    /// [`PageError::Token`] if the token is not of this journal and query, otherwise as
    /// [`Journal::first_at_or_after`].
    pub fn page(&self, query: &Query, token: Option<&PageToken>) -> Result<Page, PageError> {
        page(&self.bounded(&query.log, query.epoch)?, query, token)
    }

    /// Number of records of an epoch, without its root.
    fn size(&self, log: &LogName, epoch: u32) -> Option<u64> {
        Some(self.state().named(log)?.epochs.get(&epoch)?.size())
    }
}
