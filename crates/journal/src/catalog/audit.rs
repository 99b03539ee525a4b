//! Comparing the index with the groups that the deep check reads. Places and tree nodes are
//! compared record by record; events, versions and commands by number and sum of their hashes, all
//! that the groups have against all that the runs have.

use std::sync::{Arc, PoisonError};

use super::Catalog;
use super::lookup::{Fault, Lookup};
use super::runs;
use crate::error::{IndexError, ReadError};
use crate::index::Index;
use crate::index::block::Located;
use crate::index::entry::{Entry, Place};
use crate::index::run::{Contents, Cursor, Run};
use crate::limits::{FRAME_HEADER, MAX_VALUE};
use crate::replay::{Items, RecordItem};
use crate::segment::LogKey;

/// An entry that is missing or wrong.
pub(crate) struct Lack {
    /// The record concerned, if it is one.
    pub place: Option<Place>,
    /// What is wrong, in words.
    pub what: String,
}

/// Compares group by group.
pub(crate) struct Audit {
    index: Arc<dyn Index>,
    /// The runs that are left to read; all together hold exactly the groups that are compared.
    runs: Vec<Arc<Run>>,
    /// The run that is being read, and what was found in it so far.
    reading: Option<(Cursor, Contents)>,
    /// Runs whose descriptions are not right.
    undescribed: Vec<Lack>,
    found: Contents,
    expected: Contents,
    /// Records that were looked up together: their log and the first of them.
    ahead: Option<(LogKey, u64, Vec<Located>)>,
    /// Entries compared.
    pub entries: u64,
    /// Bytes of the index read.
    pub bytes: u64,
}

impl Catalog {
    /// Begins an audit of everything that was published up to now; the caller keeps the writer
    /// from publishing more meanwhile. Waits for nothing.
    ///
    /// # Errors
    /// [`ReadError::IndexBuilding`], or of the index, which is then of no use.
    pub(crate) fn audit(&self) -> Result<Audit, ReadError> {
        let ready = self.base().filter(|_| self.is_ready());
        let index = ready.ok_or_else(|| ReadError::IndexBuilding { status: self.status() })?;
        if let Some(failed) = self.progress().failed.clone() {
            return Err(failed.into());
        }
        let failed = |error: &IndexError| self.tell(|told| told.failed = Some(error.clone()));
        self.drain().inspect_err(failed)?;
        // Another drain may be under way with the rest.
        let filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = filler.runs.view().to_vec();
        let differs = |run: &&Arc<Run>| {
            let (key, description) = run.description();
            !index.get(&key).is_ok_and(|stored| stored == Some(description))
        };
        let undescribed = runs.iter().filter(differs).map(|run| Lack {
            place: None,
            what: format!("the description of run {} is missing or damaged", run.no),
        });
        let undescribed = undescribed.collect();
        let (found, expected) = (runs::contents(&runs), Contents::NONE);
        let (reading, ahead) = (None, None);
        let (entries, bytes) = (0, 0);
        Ok(Audit { index, runs, reading, undescribed, found, expected, ahead, entries, bytes })
    }
}

impl Audit {
    /// What the index lacks of a group that starts at `start` of a segment.
    pub(crate) fn group(
        &mut self,
        items: &Items,
        bytes: &[u8],
        start: u64,
        segment: u64,
    ) -> Vec<Lack> {
        let mut lacks = Vec::new();
        for item in &items.records {
            let place = (item.log_no, item.epoch, item.seq);
            let located = Located {
                segment: segment as u32,
                offset: (start + item.frame_at as u64) as u32,
                len: item.len as u32,
                nodes: item.nodes.clone(),
            };
            self.entries += 3;
            self.expected.add(&Entry::event(&item.event_id, place));
            self.expected.add(&Entry::version(&item.stream, item.stream_version, place));
            let what = self.located(item, &located);
            lacks.extend(what.map(|what| Lack { place: Some(place), what }));
        }
        for range in &items.commands {
            self.entries += 1;
            let offset = (start + (range.start - FRAME_HEADER) as u64) as u32;
            let place = (segment as u32, offset, range.len() as u32);
            if let Some(key) = bytes.get(range.clone()).and_then(super::recent::command) {
                self.expected.add(&Entry::command(&key, place));
            }
        }
        lacks
    }

    /// Compares place and tree nodes of a record.
    fn located(&mut self, item: &RecordItem, expected: &Located) -> Option<String> {
        let (log, seq) = ((item.log_no, item.epoch), item.seq);
        let ahead = self.ahead.as_ref().filter(|(known, first, records)| {
            *known == log && (*first..*first + records.len() as u64).contains(&seq)
        });
        if ahead.is_none() {
            match Lookup(&*self.index).block_from(log, seq) {
                Ok(records) => {
                    self.bytes += records.iter().map(Located::span).sum::<u64>();
                    self.ahead = Some((log, seq, records));
                }
                Err(Fault::Index(error)) => return Some(error.reason),
                Err(Fault::File(file, error)) => return Some(format!("read {file}: {error}")),
                Err(Fault::Damaged(what)) => return Some(what.to_owned()),
            }
        }
        let (_, first, records) = self.ahead.as_ref()?;
        let found = records.get((seq - first) as usize);
        (found != Some(expected)).then(|| "its entry is damaged".to_owned())
    }

    /// Reads about one page more of the runs; one that is read whole is compared with what it
    /// should hold and let go of. `None` when all are read.
    pub(crate) fn page(&mut self) -> Option<Vec<Lack>> {
        if !self.undescribed.is_empty() {
            return Some(std::mem::take(&mut self.undescribed));
        }
        let next = || self.runs.pop().map(|run| (Cursor::new(run), Contents::NONE));
        let (mut cursor, mut contents) = self.reading.take().or_else(next)?;
        let mut bytes = 0;
        let is_right = loop {
            match cursor.next(&*self.index) {
                Ok(Some(entry)) => {
                    contents.add(&entry);
                    bytes += entry.bytes().len();
                }
                Ok(None) => break Some(contents == cursor.run().contents),
                Err(_) => break Some(false),
            }
            if bytes >= MAX_VALUE {
                break None;
            }
        };
        self.bytes += bytes as u64;
        match is_right {
            Some(true) => Some(Vec::new()),
            Some(false) => {
                let what = format!("run {} is damaged", cursor.run().no);
                Some(vec![Lack { place: None, what }])
            }
            None => {
                self.reading = Some((cursor, contents));
                Some(Vec::new())
            }
        }
    }

    /// What all runs have against what all groups have; to be asked when all were compared.
    pub(crate) fn end(&self) -> Option<Lack> {
        if self.found == self.expected {
            return None;
        }
        let counts = ["commands", "events", "versions"].iter();
        let counts = counts.zip(self.found.counts).zip(self.expected.counts);
        let counts = counts.map(|((kind, is), should)| format!("{kind} {is} of {should}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let what = format!("its entries are not those of the records: {counts}");
        Some(Lack { place: None, what })
    }
}
