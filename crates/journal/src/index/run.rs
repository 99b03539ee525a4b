//! Runs: entries sorted once and written in pages of up to 4 KB, never changed afterwards.
//!
//! One key of sled for each event, version and command cost six microseconds and 250 bytes; a
//! hundred of them in one value cost a hundredth. A run is described by its own entry, which is
//! stored after its pages: pages of a run that is not described are left-overs of a crash.

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
}

/// A damaged page.
const DAMAGED: ReadError = ReadError::DamagedIndex { what: "page" };

impl Run {
    /// Writes sorted entries as run `no`; the description is not stored yet.
    pub(crate) fn write(
        index: &dyn Index,
        (no, to, most): (u64, Mark, u64),
        entries: &mut dyn FnMut() -> Result<Option<Entry>, ReadError>,
    ) -> Result<Arc<Self>, ReadError> {
        let (mut contents, mut filter) = (Contents::NONE, Filter::new(most));
        let (mut pages, mut key, mut page) = (IndexBatch::new(), Vec::new(), vec![0; GUARD]);
        while let Some(entry) = entries()? {
            if page.len() + entry.bytes().len() > MAX_VALUE {
                close(&key, &mut page, &mut pages);
                if pages.len() >= PAGES {
                    index.apply(std::mem::take(&mut pages))?;
                }
            }
            if page.len() == GUARD {
                key = keys::page(no, entry.bytes());
            }
            page.extend_from_slice(entry.bytes());
            contents.add(&entry);
            filter.add(entry.subject());
        }
        if page.len() > GUARD {
            close(&key, &mut page, &mut pages);
        }
        index.apply(pages)?;
        Ok(Arc::new(Self { no, to, contents, filter }))
    }

    /// Reads the run that `description` describes and compares it; `None` if it differs.
    pub(crate) fn load(
        index: &dyn Index,
        no: u64,
        description: &[u8],
    ) -> Result<Option<Arc<Self>>, ReadError> {
        let Some((to, contents)) = decode(description) else { return Ok(None) };
        let mut run = Self { no, to, contents, filter: Filter::new(contents.len()) };
        let mut found = Contents::NONE;
        let mut filter = std::mem::replace(&mut run.filter, Filter::new(0));
        run.visit(index, &[], &[u8::MAX; 45], &mut |entry| {
            found.add(entry);
            filter.add(entry.subject());
        })?;
        run.filter = filter;
        Ok((found == contents).then(|| Arc::new(run)))
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
        let (lowest, highest) = (keys::page(self.no, &[]), keys::page(self.no, to.bytes()));
        let Some((key, page)) = index.last(&lowest, &highest)? else { return Ok(None) };
        let mut last = None;
        each(&key, &page, &mut |entry| {
            if (from..=to).contains(&entry) {
                last = Some(*entry);
            }
        })?;
        Ok(last)
    }

    /// Shows every entry with `from <= bytes <= to`.
    pub(crate) fn visit(
        &self,
        index: &dyn Index,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&Entry),
    ) -> Result<(), ReadError> {
        let mut show = |entry: &Entry| {
            if entry.bytes() >= from && entry.bytes() <= to {
                visit(entry);
            }
        };
        let (lowest, start) = (keys::page(self.no, &[]), keys::page(self.no, from));
        // The page that begins before `from` may reach into it.
        let before = index.last(&lowest, &start)?;
        if let Some((key, page)) = before.as_ref().filter(|(key, _)| key[..] < start[..]) {
            each(key, page, &mut show)?;
        }
        let mut outcome = Ok(());
        index.scan(&start, &keys::page(self.no, to), &mut |key, page| {
            outcome = each(key, page, &mut show);
            outcome.is_ok()
        })?;
        outcome
    }

    /// Its entries one after the other.
    pub(crate) fn cursor(&self) -> Cursor {
        let next = keys::page(self.no, &[]);
        Cursor { last: keys::page(self.no, &[u8::MAX; 45]), next, entries: Vec::new() }
    }

    /// Removes its pages.
    pub(crate) fn remove(&self, index: &dyn Index) -> Result<(), IndexError> {
        remove_pages(index, &keys::page(self.no, &[]), &keys::page(self.no, &[u8::MAX; 45]))
    }
}

/// Removes all pages between two keys.
pub(crate) fn remove_pages(index: &dyn Index, from: &[u8], to: &[u8]) -> Result<(), IndexError> {
    let mut pages = Vec::new();
    index.scan(from, to, &mut |key, _| {
        pages.push(key.clone());
        true
    })?;
    for piece in pages.chunks(PAGES) {
        index.swap(Vec::new(), piece.to_vec())?;
    }
    Ok(())
}

/// Puts a full page into the batch and begins the next one.
fn close(key: &[u8], page: &mut Vec<u8>, pages: &mut IndexBatch) {
    keys::seal(key, page);
    pages.push((key.into(), page.as_slice().into()));
    page.truncate(GUARD);
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
    next: Vec<u8>,
    last: Vec<u8>,
    /// What is left of the present page, the next entry at the end.
    entries: Vec<Entry>,
}

impl Cursor {
    /// The next entry.
    pub(crate) fn next(&mut self, index: &dyn Index) -> Result<Option<Entry>, ReadError> {
        if self.entries.is_empty() {
            let (mut outcome, mut found) = (Ok(()), None);
            let entries = &mut self.entries;
            index.scan(&self.next, &self.last, &mut |key, page| {
                outcome = each(key, page, &mut |entry| entries.push(*entry));
                found = Some(key.to_vec());
                false
            })?;
            outcome?;
            self.entries.reverse();
            if let Some(mut key) = found {
                key.push(0);
                self.next = key;
            }
        }
        Ok(self.entries.pop())
    }
}

/// Reads a description.
fn decode(body: &[u8]) -> Option<(Mark, Contents)> {
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
