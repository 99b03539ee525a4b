//! Runs: entries sorted once and written in pages of up to 4 KB, never changed afterwards.
//!
//! One key of sled for each event, version and command cost six microseconds and 250 bytes; a
//! hundred of them in one value cost a hundredth. A run is described by its own entry, which is
//! stored after its pages: pages of a run that is not described are left-overs of a crash.
//!
//! The first entry of every page is kept in memory, 45 bytes for each 4 KB: a question knows which
//! page has its answer, so a page that sled has lost is told and is not taken for an absence.

use std::sync::Arc;

use ::sled::IVec;

use super::entry::{Entry, Kind};
use super::filter::Filter;
use super::keys::{self, GUARD};
use super::{Index, IndexBatch};
use crate::error::{IndexError, ReadError};
use crate::frame::split;
use crate::limits::MAX_VALUE;
use crate::tail::Mark;

/// Pages that are handed to the index together.
const PAGES: usize = 32;

/// What a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Entries by kind: commands, events, versions.
    pub counts: [u64; 3],
    /// Sum of their hashes, modulo 2^64.
    pub sum: u64,
}

impl Contents {
    /// Nothing.
    pub(crate) const NONE: Self = Self { counts: [0; 3], sum: 0 };

    /// Adds an entry.
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.counts[match entry.kind() {
            Kind::Command => 0,
            Kind::Event => 1,
            Kind::Version => 2,
        }] += 1;
        self.sum = self.sum.wrapping_add(entry.hash());
    }

    /// Adds what another holds.
    pub(crate) fn join(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A run that is stored.
pub(crate) struct Run {
    /// Its number, never used again in this index.
    pub no: u64,
    /// The end of the last group in it.
    pub to: Mark,
    pub contents: Contents,
    filter: Filter,
    /// The first entries of its pages, in their order.
    pages: Vec<Entry>,
}

/// A damaged page.
const DAMAGED: ReadError = ReadError::DamagedIndex { what: "page" };
/// A page that is not there.
const LOST: ReadError = ReadError::DamagedIndex { what: "page, which is missing" };

impl Run {
    /// Reads run `no`, which ends with the group at `to`, and compares it with what it should hold;
    /// `None` if it differs, or if `stop` said so.
    pub(crate) fn load(
        index: &dyn Index,
        no: u64,
        (to, contents): (Mark, Contents),
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<Self>>, ReadError> {
        let (filter, pages) = (Filter::new(contents.len()), Vec::new());
        let mut run = Self { no, to, contents, filter, pages };
        let (mut found, mut outcome, mut good) = (Contents::NONE, Ok(()), true);
        let (lowest, highest) = (keys::page(no, &[]), keys::page(no, &[u8::MAX; 45]));
        index.scan(&lowest, &highest, &mut |key, page| {
            let mut first = None;
            outcome = each(key, page, &mut |entry| {
                first.get_or_insert(*entry);
                found.add(entry);
                run.filter.add(entry.subject());
            });
            run.pages.extend(first);
            good = first.is_some_and(|first| key.ends_with(first.bytes()));
            let rests = run.pages.len().is_multiple_of(PAGES) && stop();
            outcome.is_ok() && good && !rests
        })?;
        outcome?;
        Ok((good && found == contents).then(|| Arc::new(run)))
    }

    /// Its own entry.
    pub(crate) fn description(&self) -> (IVec, IVec) {
        let mut body = self.to.encode().to_vec();
        for count in self.contents.counts {
            body.extend_from_slice(&count.to_be_bytes());
        }
        body.extend_from_slice(&self.contents.sum.to_be_bytes());
        keys::entry(&keys::run(self.no), &body)
    }

    /// Whether an entry about this may be here.
    pub(crate) fn may_hold(&self, subject: &[u8]) -> bool {
        self.filter.may_hold(subject)
    }

    /// The last entry with `from <= entry <= to`.
    pub(crate) fn last(
        &self,
        index: &dyn Index,
        from: &Entry,
        to: &Entry,
    ) -> Result<Option<Entry>, ReadError> {
        // Pages behind it begin above `to`, those before it end below its first entry.
        let Some(at) = self.pages.partition_point(|first| first <= to).checked_sub(1) else {
            return Ok(None);
        };
        let mut last = None;
        self.page(index, at, &mut |entry| {
            if (from..=to).contains(&entry) {
                last = Some(*entry);
            }
        })?;
        Ok(last)
    }

    /// Shows every entry with `from <= entry <= to`.
    pub(crate) fn visit(
        &self,
        index: &dyn Index,
        from: &Entry,
        to: &Entry,
        visit: &mut dyn FnMut(&Entry),
    ) -> Result<(), ReadError> {
        // The page that begins before `from` may reach into it.
        let start = self.pages.partition_point(|first| first <= from).saturating_sub(1);
        for at in start..self.pages.partition_point(|first| first <= to) {
            self.page(index, at, &mut |entry| {
                if (from..=to).contains(&entry) {
                    visit(entry);
                }
            })?;
        }
        Ok(())
    }

    /// Shows the entries of one of its pages.
    fn page(
        &self,
        index: &dyn Index,
        at: usize,
        show: &mut dyn FnMut(&Entry),
    ) -> Result<(), ReadError> {
        let first = self.pages.get(at).ok_or(LOST)?;
        let key = keys::page(self.no, first.bytes());
        let page = index.get(&key)?.ok_or(LOST)?;
        each(&key, &page, show)
    }

    /// Removes up to `most` of its pages; returns whether some are left.
    pub(crate) fn remove(&self, index: &dyn Index, most: usize) -> Result<bool, IndexError> {
        let (from, to) = (keys::page(self.no, &[]), keys::page(self.no, &[u8::MAX; 45]));
        remove_pages(index, &from, &to, most)
    }
}

/// Removes up to `most` pages between two keys; returns whether some may be left.
pub(crate) fn remove_pages(
    index: &dyn Index,
    from: &[u8],
    to: &[u8],
    most: usize,
) -> Result<bool, IndexError> {
    let mut pages = Vec::new();
    index.scan(from, to, &mut |key, _| {
        pages.push(key.clone());
        pages.len() < most
    })?;
    for piece in pages.chunks(PAGES) {
        index.swap(Vec::new(), piece.to_vec())?;
    }
    Ok(pages.len() >= most)
}

/// A run that is being written.
pub(crate) struct RunWriter {
    run: Run,
    /// Full pages that were not handed to the index yet.
    full: IndexBatch,
    page: Vec<u8>,
}

impl RunWriter {
    /// Run `no`, which ends with the group at `to` and has at most so many entries.
    pub(crate) fn new(no: u64, to: Mark, most: u64) -> Self {
        let (contents, filter, pages) = (Contents::NONE, Filter::new(most), Vec::new());
        let run = Run { no, to, contents, filter, pages };
        Self { run, full: IndexBatch::new(), page: vec![0; GUARD] }
    }

    /// Adds the next entry; they come sorted.
    pub(crate) fn add(&mut self, index: &dyn Index, entry: &Entry) -> Result<(), IndexError> {
        if self.page.len() + entry.bytes().len() > MAX_VALUE {
            self.close();
            if self.full.len() >= PAGES {
                index.apply(std::mem::take(&mut self.full))?;
            }
        }
        if self.page.len() == GUARD {
            self.run.pages.push(*entry);
        }
        self.page.extend_from_slice(entry.bytes());
        self.run.contents.add(entry);
        self.run.filter.add(entry.subject());
        Ok(())
    }

    /// Hands the rest to the index; the description is not stored yet.
    pub(crate) fn finish(mut self, index: &dyn Index) -> Result<Arc<Run>, IndexError> {
        if self.page.len() > GUARD {
            self.close();
        }
        index.apply(self.full)?;
        Ok(Arc::new(self.run))
    }

    /// Ends a page and begins the next one.
    fn close(&mut self) {
        let Some(first) = self.run.pages.last() else { return };
        let key = keys::page(self.run.no, first.bytes());
        keys::seal(&key, &mut self.page);
        self.full.push((key.into(), self.page.as_slice().into()));
        self.page.truncate(GUARD);
    }
}

/// Shows the entries of a page.
fn each(key: &[u8], page: &[u8], show: &mut dyn FnMut(&Entry)) -> Result<(), ReadError> {
    let mut rest = keys::open(key, page).ok_or(DAMAGED)?;
    while !rest.is_empty() {
        let (entry, behind) = Entry::take(rest).ok_or(DAMAGED)?;
        show(&entry);
        rest = behind;
    }
    Ok(())
}

/// Reads a run from its front.
pub(crate) struct Cursor {
    run: Arc<Run>,
    /// The page that is read next.
    at: usize,
    /// What is left of the present page, the next entry at the end.
    entries: Vec<Entry>,
}

impl Cursor {
    /// In front of the first entry.
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run, at: 0, entries: Vec::new() }
    }

    /// The run that is read.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// The next entry.
    pub(crate) fn next(&mut self, index: &dyn Index) -> Result<Option<Entry>, ReadError> {
        if self.entries.is_empty() && self.at < self.run.pages.len() {
            let entries = &mut self.entries;
            self.run.page(index, self.at, &mut |entry| entries.push(*entry))?;
            self.entries.reverse();
            self.at += 1;
        }
        Ok(self.entries.pop())
    }
}

/// Reads a description: the end of the run's last group, and what it should hold.
pub(crate) fn decode(body: &[u8]) -> Option<(Mark, Contents)> {
    let (to, mut rest) = body.split_at_checked(56)?;
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let (bytes, behind) = split::<8>(rest)?;
        (*number, rest) = (u64::from_be_bytes(bytes), behind);
    }
    let [commands, events, versions, sum] = numbers;
    let contents = Contents { counts: [commands, events, versions], sum };
    rest.is_empty().then_some((Mark::decode(to)?, contents))
}
