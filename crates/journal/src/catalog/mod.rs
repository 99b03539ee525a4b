//! Everything that is found by a key: places of records with their tree nodes, events, versions of
//! streams, commands. New groups are answered from memory, older ones from the index.
//!
//! A published group goes into `recent` in memory at once; a thread of the journal (or, in a
//! simulation, the committing caller) moves what waits there to the index, off the path of a
//! commit. An entry leaves memory only after the index has it, and readers look in this order, so
//! no one misses what was acknowledged. What memory lost in a crash is filled in from the commit
//! files at open.
//!
//! * [`recent`]: published groups that the index does not have yet.
//! * [`batch`]: from there to entries.
//! * [`runs`]: the runs of entries and how they are merged.
//! * [`lookup`]: questions to the index.
//! * [`fill`]: opening the index; filling, counting and rebuilding it.
//! * [`opening`]: that work in the background, and what is answered meanwhile.
//! * [`audit`]: comparing it with the commit files.
//! * [`thread`]: who does that.
//! * [`unindexed`]: reading by sequence while there is no index.
//!
//! Locks, in the order in which they may be taken: writer, `filler`, `progress`, `layers`; `base`
//! and `view` are held for a moment only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use evidence::record::StreamRef;

use crate::error::{IndexError, ReadError};
use crate::files;
use crate::frame::Kind;
use crate::frames::Frames;
use crate::group::Done;
use crate::index::block::Located;
use crate::index::entry::{Entry, PLACES, Place};
use crate::index::keys;
use crate::index::{Applying, Index};
use crate::limits::{DRAIN_RECORDS, FRAME_HEADER, MAX_RECENT};
use crate::replay::Items;
use crate::segment::LogKey;
use crate::subscribe::Bell;
use crate::tail::Mark;
use crate::transaction::CommandKey;

pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod fill;
pub(crate) mod lookup;
pub(crate) mod opening;
pub(crate) mod recent;
pub(crate) mod runs;
pub(crate) mod thread;
pub(crate) mod unindexed;

use batch::Filler;
use lookup::{Fault, Lookup, Search};
use opening::Progress;
use recent::{Recent, Version};
use runs::View;
use unindexed::Unindexed;

/// Answers by key, and what is not in the index yet.
pub(crate) struct Catalog {
    applying: Applying,
    /// How long a question waits for counting.
    patience: Duration,
    layers: RwLock<Layers>,
    /// The index, once it has every place.
    base: RwLock<Option<Arc<dyn Index>>>,
    /// Runs of the index, for readers.
    view: RwLock<View>,
    filler: Mutex<Filler>,
    progress: Mutex<Progress>,
    /// Something in `layers` or `progress` changed.
    changed: Condvar,
    unindexed: Unindexed,
    frames: Arc<Frames>,
    /// Stops the writer and ends subscriptions if the commit files turn out to be damaged.
    bell: Arc<Bell>,
    nanos: AtomicU64,
}

/// Published groups that the index does not have, or may not have.
#[derive(Default)]
struct Layers {
    /// Takes new groups.
    open: Recent,
    /// On its way into the index.
    leaving: Option<Arc<Recent>>,
}

impl Catalog {
    pub(crate) fn new(
        applying: Applying,
        unindexed: Unindexed,
        (frames, bell): (Arc<Frames>, Arc<Bell>),
        patience: Duration,
    ) -> Self {
        Self {
            applying,
            patience,
            layers: RwLock::default(),
            base: RwLock::default(),
            view: RwLock::default(),
            filler: Mutex::default(),
            frames,
            bell,
            progress: Mutex::default(),
            changed: Condvar::new(),
            unindexed,
            nanos: AtomicU64::new(0),
        }
    }

    fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self) -> Option<Arc<dyn Index>> {
        self.base.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a durable group, visible to readers when this returns. Waits while too much waits for
    /// the index.
    ///
    /// # Errors
    /// Of the index, which is then of no use.
    pub(crate) fn add(
        &self,
        items: &mut Items,
        bytes: &[u8],
        start: u64,
        mark: Mark,
    ) -> Result<(), IndexError> {
        let waiting = {
            let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
            layers.open.add(items, bytes, start, mark);
            layers.open.count
        };
        match self.applying {
            Applying::Inline { every } if waiting >= every => self.drain().map(drop),
            Applying::Inline { .. } => Ok(()),
            Applying::Thread => self.hint(waiting),
        }
    }

    /// Wakes the thread if there is enough to do; waits for it if there is too much.
    fn hint(&self, waiting: usize) -> Result<(), IndexError> {
        if waiting < DRAIN_RECORDS {
            return self.progress().failed.clone().map_or(Ok(()), Err);
        }
        let mut progress = self.progress();
        self.changed.notify_all();
        while progress.failed.is_none() && self.layers().open.count >= MAX_RECENT {
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.failed.clone().map_or(Ok(()), Err)
    }

    /// Moves what waits to the index; returns the end of the last group that it has now.
    fn drain(&self) -> Result<Option<Mark>, IndexError> {
        let Some(index) = self.base() else { return Ok(None) };
        let mut filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        let leaving = {
            let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
            if layers.leaving.is_some() {
                // Readers must still find in memory what did not get into the index.
                return Err(IndexError::new("an earlier write to it failed"));
            }
            if layers.open.is_empty() {
                return Ok(None);
            }
            let leaving = Arc::new(std::mem::take(&mut layers.open));
            layers.leaving = Some(leaving.clone());
            leaving
        };
        // The thread may be waited for: it has taken everything.
        self.tell(|_| ());
        filler.apply(&*index, &leaving)?;
        if let Applying::Inline { .. } = self.applying {
            while filler.step(&*index)? {}
        }
        self.show(&filler);
        self.layers.write().unwrap_or_else(PoisonError::into_inner).leaving = None;
        self.nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(leaving.mark)
    }

    fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows the runs to readers, and says whether some should be merged.
    fn show(&self, filler: &Filler) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = filler.runs.view();
        self.tell(|progress| progress.merging = filler.runs.is_due());
    }

    /// Merges a little of what should be merged; new groups may be drained in between. Returns
    /// whether merging lags behind what is added.
    fn merge(&self) -> Result<bool, IndexError> {
        let Some(index) = self.base() else { return Ok(false) };
        let mut filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        filler.step(&*index)?;
        self.show(&filler);
        self.nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(filler.runs.is_owing())
    }

    /// Makes the index survive a power cut with everything that was published up to now.
    ///
    /// # Errors
    /// Of the index, which is then of no use.
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        if let Some(failed) = self.progress().failed.clone() {
            return Err(failed);
        }
        let Some(index) = self.base().filter(|_| self.is_ready()) else { return Ok(()) };
        let drained = self.drain().and_then(|_| {
            // Another drain may have taken the last groups: its mark is in the index.
            let mut filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner);
            let mark = Lookup(&*index).mark(keys::APPLIED)?;
            // On a full disk every write of the index counts.
            if let Some(mark) = mark.filter(|mark| mark.group > filler.flushed) {
                filler.settle(&*index, mark)?;
            }
            Ok(())
        });
        drained.inspect_err(|error| self.tell(|progress| progress.failed = Some(error.clone())))
    }

    /// Nanoseconds spent on applying groups since open.
    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }

    /// Bytes of the index on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.base().map_or(0, |index| index.disk_bytes())
    }

    /// Answers from memory, the newest groups first, before the index is asked.
    fn recent<T>(&self, answer: impl Fn(&Recent) -> Option<T>) -> Option<T> {
        let layers = self.layers();
        answer(&layers.open).or_else(|| layers.leaving.as_deref().and_then(answer))
    }

    /// The record at `seq`, which must be there.
    pub(crate) fn record(&self, log: LogKey, seq: u64) -> Result<Located, Fault> {
        if let Some(found) = self.recent(|recent| recent.logs.get(&log)?.from(seq).first().cloned())
        {
            return Ok(found);
        }
        match self.base() {
            None => self.unindexed.record(log, seq),
            Some(index) => match Lookup(&*index).record(log, seq) {
                Err(Fault::Damaged(_)) => self.unindexed.record(log, seq),
                found => found,
            },
        }
    }

    /// The record at `seq`, which must be there, and some that follow.
    pub(crate) fn records_from(&self, log: LogKey, seq: u64) -> Result<Vec<Located>, Fault> {
        let some = |recent: &Recent| {
            let from = recent.logs.get(&log)?.from(seq);
            (!from.is_empty()).then(|| from[..from.len().min(1024)].to_vec())
        };
        if let Some(found) = self.recent(some) {
            return Ok(found);
        }
        match self.base() {
            None => self.unindexed.records_from(log, seq),
            Some(index) => match Lookup(&*index).block_from(log, seq) {
                Err(Fault::Damaged(_)) => self.unindexed.records_from(log, seq),
                found => found,
            },
        }
    }

    /// Asks the runs.
    fn search<T>(&self, ask: impl Fn(Search<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let index = self.ready()?;
        let runs = self.view();
        ask(Search { index: &*index, runs: &runs })
    }

    /// The log that a stream lives in and its version there; if a foreign log holds a stream of the
    /// same name, `prefer` wins.
    pub(crate) fn stream_head(
        &self,
        stream: &StreamRef,
        prefer: u16,
    ) -> Result<Option<(u16, u32)>, ReadError> {
        if let Some(head) = self.stream_head_in(stream, prefer)? {
            return Ok(Some(head));
        }
        if let Some(head) = self.recent(|recent| recent.head(stream, None)) {
            return Ok(Some(head));
        }
        let (first, last) = PLACES;
        let from = Entry::version(stream, 0, first);
        let head = self.search(|runs| runs.last(&from, &Entry::version(stream, u32::MAX, last)))?;
        Ok(head.map(|entry| head_of(&entry)))
    }

    /// The version of a stream in one own log, with the log.
    pub(crate) fn stream_head_in(
        &self,
        stream: &StreamRef,
        log_no: u16,
    ) -> Result<Option<(u16, u32)>, ReadError> {
        if let Some(head) = self.recent(|recent| recent.head(stream, Some(log_no))) {
            return Ok(Some(head));
        }
        let (from, to) = in_log(stream, log_no);
        let head = self.search(|runs| runs.last(&from, &to))?;
        Ok(head.map(|entry| head_of(&entry)))
    }

    /// Version and place of every version of a stream in one log, in their order.
    pub(crate) fn stream(
        &self,
        log_no: u16,
        stream: &StreamRef,
    ) -> Result<Vec<Version>, ReadError> {
        let mut versions = {
            let layers = self.layers();
            let both = [Some(&layers.open), layers.leaving.as_deref()];
            let both = both.into_iter().flatten().filter_map(|recent| recent.streams.get(stream));
            both.flatten().filter(|(_, place)| place.0 == log_no).copied().collect::<Vec<_>>()
        };
        let (from, to) = in_log(stream, log_no);
        let indexed = self.search(|runs| runs.all(&from, &to))?;
        versions.extend(indexed.iter().map(Entry::versioned));
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }

    /// All places of an event, sorted.
    pub(crate) fn events(&self, id: &[u8; 16]) -> Result<Vec<Place>, ReadError> {
        let mut places: Vec<Place> = {
            let layers = self.layers();
            let both = [Some(&layers.open), layers.leaving.as_deref()];
            both.into_iter().flatten().flat_map(|recent| recent.places(id)).collect()
        };
        let (from, to) = (Entry::event(id, PLACES.0), Entry::event(id, PLACES.1));
        let indexed = self.search(|runs| runs.all(&from, &to))?;
        places.extend(indexed.iter().map(Entry::place));
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// What a command did.
    pub(crate) fn command(&self, key: &CommandKey) -> Result<Option<Done>, ReadError> {
        let place = match self.recent(|recent| recent.commands.get(key).copied()) {
            Some(place) => Some(place),
            None => {
                let (from, to) = ((0, 0, 0), (u32::MAX, u32::MAX, u32::MAX));
                let (from, to) = (Entry::command(key, from), Entry::command(key, to));
                self.search(|runs| runs.last(&from, &to))?.map(|entry| entry.frame())
            }
        };
        let Some((segment, offset, len)) = place else { return Ok(None) };
        let (segment, offset, len) = (u64::from(segment), u64::from(offset), len as usize);
        let bytes = self.frames.bytes(segment, offset, FRAME_HEADER + len);
        let bytes = bytes.map_err(|(file, source)| ReadError::Io { file, source })?;
        let frame = self.frames.intact(&bytes, len).filter(|(head, _)| head.kind == Kind::Command);
        let done = frame.and_then(|(_, body)| Done::decode(body)).filter(|done| done.key == *key);
        let file = || files::segment_name(segment);
        done.map(Some).ok_or_else(|| ReadError::DamagedCommand { file: file(), offset })
    }
}

/// Log and version of a version's entry.
fn head_of(entry: &Entry) -> (u16, u32) {
    let (version, place) = entry.versioned();
    (place.0, version)
}

/// The entries between which the versions of a stream in one log lie.
fn in_log(stream: &StreamRef, log_no: u16) -> (Entry, Entry) {
    let from = Entry::version(stream, 0, (log_no, 0, 0));
    (from, Entry::version(stream, u32::MAX, (log_no, u32::MAX, u64::MAX)))
}
