//! The index in sled 0.34.7, with the precautions that its measured faults ask for.
//!
//! sled's `flush` does not sync on Linux (spacejam/sled #1452), so [`Index::flush`] adds an
//! `fdatasync` of its file. An error of a write makes a handle useless, and sled's own thread
//! writes too, so blocks are kept ready behind the end of its file: a disk that others fill does
//! not end it. Opening runs in a thread of its own under a time limit, because it may panic or hang
//! on damage. sled's own flusher stays on: it alone collects garbage.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::sled::{Batch, Config, Db, IVec, Mode};
use rustix::fs::FallocateFlags;

use super::folders::{self, Folders};
use super::{Applying, Entry, Index, IndexBatch, IndexStore};
use crate::error::{IndexError, IndexOpenError};
use crate::limits::INDEX_OPEN_SECONDS;
use crate::report::QuarantinedIndex;

/// How often sled's own thread writes, syncs and collects garbage, in milliseconds. Durability does
/// not depend on it.
const FLUSH_EVERY_MS: u64 = 1000;

/// Entries of one `apply_batch`. sled frees the pages that a batch replaced only behind it: batches
/// of 3,000 entries took a third longer and two to four times the memory (measured).
const PIECE: usize = 128;

/// Room behind the end of sled's file that is kept allocated, in bytes. sled writes what it is
/// given in pieces of 512 KiB, and facts, nearly all writes, end before the disk is full: 6,000
/// control facts, each with a flush, took 2 MiB of it on a disk without a free byte (measured).
const AHEAD: u64 = 4 * 1024 * 1024;

/// Room is looked after again when this many bytes were applied: they take up to three times that
/// in sled's file, with what is copied there to collect garbage.
const KEEP_EVERY: u64 = AHEAD / 8;

/// How sled 0.34.7 says that its lock is held.
const LOCKED: &str = "could not acquire lock";

/// How long the lock of a dropped handle is waited for before it is said that it is held.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A folder with a sled database.
#[derive(Debug)]
pub struct SledStore {
    folders: Folders,
    cache_bytes: u64,
    /// How long an open may take.
    limit: Duration,
    /// Opens that hung and were left behind with their folder.
    hung: AtomicU32,
    /// The open that hangs in the folder, if one does. It is the only one that may still come back:
    /// another would wait for its lock.
    hanging: Mutex<Option<Opening>>,
}

/// An open under way, in a thread of its own.
#[derive(Debug)]
struct Opening {
    outcome: Receiver<Result<SledIndex, IndexOpenError>>,
    thread: JoinHandle<()>,
}

impl SledStore {
    /// A database in `dir` with a page cache of `cache_bytes`.
    #[must_use]
    pub fn new(dir: &Path, cache_bytes: u64) -> Self {
        let (folders, limit) = (Folders::new(dir), Duration::from_secs(INDEX_OPEN_SECONDS));
        Self { folders, cache_bytes, limit, hung: AtomicU32::new(0), hanging: Mutex::default() }
    }

    /// With another limit to an open.
    #[cfg(test)]
    pub(crate) fn limited(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Where the index is.
    fn dir(&self) -> PathBuf {
        self.folders.after(self.hung.load(Ordering::SeqCst))
    }

    /// Leaves the folder to the open that hangs in it, if one does: the next index gets another.
    fn move_on(&self) {
        if self.hanging().take().is_some() {
            self.hung.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn hanging(&self) -> MutexGuard<'_, Option<Opening>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to open the index.
    fn begin(&self) -> Result<Opening, IndexError> {
        if self.hung.load(Ordering::SeqCst) == 0 {
            let taken = self.folders.take_back();
            taken.map_err(|error| IndexError::new(format!("take back its folder: {error}")))?;
        }
        let (sender, outcome) = sync_channel(1);
        let (dir, cache_bytes) = (self.dir(), self.cache_bytes);
        let body = move || drop(sender.send(SledIndex::open(&dir, cache_bytes)));
        let thread = std::thread::Builder::new().name("journal-index-open".to_owned());
        let thread = thread.spawn(body).map_err(|error| IndexError::new(error.to_string()))?;
        Ok(Opening { outcome, thread })
    }
}

impl IndexStore for SledStore {
    fn exists(&self) -> bool {
        match self.hung.load(Ordering::SeqCst) {
            0 => self.folders.exists(),
            _ => self.dir().exists(),
        }
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        let hanging = self.hanging().take();
        let (opening, limit) = match hanging {
            Some(opening) => (opening, Duration::ZERO),
            None => (self.begin()?, self.limit),
        };
        match opening.outcome.recv_timeout(limit) {
            Ok(opened) => {
                // It has nothing left to do but to end.
                let _ = opening.thread.join();
                Ok(Arc::new(opened?))
            }
            Err(RecvTimeoutError::Timeout) => {
                *self.hanging() = Some(opening);
                Err(IndexError::new("opening it hangs").into())
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(IndexError::new("opening it panicked").into())
            }
        }
    }

    fn quarantine(&self) -> io::Result<Option<String>> {
        let dir = self.dir();
        let moved = dir.exists().then(|| self.folders.quarantine(&dir)).transpose()?;
        self.move_on();
        Ok(moved)
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.folders.quarantined()
    }

    fn forget(&self) -> io::Result<()> {
        self.folders.forget()
    }

    fn discard(&self) -> io::Result<()> {
        folders::remove(&self.dir())?;
        self.move_on();
        Ok(())
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

/// An open sled database.
struct SledIndex {
    db: Db,
    file: File,
    /// Bytes applied since room was last looked after.
    applied: AtomicU64,
}

/// An error in sled's words.
fn failed(error: ::sled::Error) -> IndexError {
    IndexError::new(error.to_string())
}

/// Opens the database, waiting a moment for its lock: threads of a handle that was just dropped
/// may hold it. Nobody else can, the journal's own lock comes first.
fn open_locked(config: &Config) -> Result<Db, IndexOpenError> {
    let begun = Instant::now();
    loop {
        match config.open() {
            Err(::sled::Error::Io(error)) if error.to_string().starts_with(LOCKED) => {
                if begun.elapsed() >= LOCK_WAIT {
                    return Err(IndexOpenError::InUse);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return Ok(outcome.map_err(failed)?),
        }
    }
}

impl SledIndex {
    fn open(dir: &Path, cache_bytes: u64) -> Result<Self, IndexOpenError> {
        let config = Config::new().path(dir).cache_capacity(cache_bytes);
        let config = config.mode(Mode::HighThroughput).flush_every_ms(Some(FLUSH_EVERY_MS));
        let path = dir.join("db");
        // sled writes a file of its own to open, which on a full disk finds room only here.
        give_room(&path);
        let db = open_locked(&config)?;
        let file = File::options().read(true).write(true).open(path);
        let file = file.map_err(|error| IndexError::new(error.to_string()))?;
        let index = Self { db, file, applied: AtomicU64::new(0) };
        index.keep_room();
        Ok(index)
    }

    /// Allocates blocks behind the end of sled's file, which keeps its length. Where that fails
    /// (no such file system, no space any more) nothing is lost but the precaution.
    fn keep_room(&self) {
        self.applied.store(0, Ordering::Relaxed);
        let Ok(len) = self.file.metadata().map(|metadata| metadata.len()) else { return };
        let _ = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, len, AHEAD);
    }

    /// Looks after the room if much was applied.
    fn count_applied(&self, batch: &IndexBatch) {
        let bytes: usize = batch.iter().map(|(key, value)| key.len() + value.len()).sum();
        let before = self.applied.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 >= KEEP_EVERY {
            self.keep_room();
        }
    }
}

/// Frees the blocks behind the end of sled's file.
fn give_room(path: &Path) {
    let file = File::options().write(true).open(path);
    let given = file.and_then(|file| file.set_len(file.metadata()?.len()));
    if let Err(error) = given
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the room behind the index could not be given up");
    }
}

impl Index for SledIndex {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError> {
        self.db.get(key).map_err(failed)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.db.range(from..=to).next_back().transpose().map_err(failed)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError> {
        for entry in self.db.range(from..=to) {
            let (key, value) = entry.map_err(failed)?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError> {
        self.count_applied(&put);
        let mut writes = Batch::default();
        put.into_iter().for_each(|(key, value)| writes.insert(key, value));
        remove.into_iter().for_each(|key| writes.remove(key));
        self.db.apply_batch(writes).map_err(failed)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.count_applied(&batch);
        let mut rest = batch.into_iter().peekable();
        while rest.peek().is_some() {
            let mut writes = Batch::default();
            for (key, value) in rest.by_ref().take(PIECE) {
                writes.insert(key, value);
            }
            self.db.apply_batch(writes).map_err(failed)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.db.flush().map_err(failed)?;
        self.keep_room();
        self.file.sync_data().map_err(|error| IndexError::new(error.to_string()))
    }

    fn disk_bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }
}
