//! Commit: the writer's side of the journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use evidence::log::LogName;

use crate::attachments;
use crate::builder::{Builder, Changes, Writing};
use crate::catalog::Catalog;
use crate::catalog::thread::IndexThread;
use crate::disk::DiskFile;
use crate::error::{CommitError, IndexError, JournalStopped};
use crate::frames::Frames;
use crate::index::IndexStore;
use crate::report::{Role, Stats};
use crate::room::Room;
use crate::state::State;
use crate::subscribe::Ringer;
use crate::transaction::{Committed, Transaction};
use crate::writer::{Place, WriteError, Writer};

/// How a journal works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of a commit file in bytes, 4 KiB to 1 GiB; a larger group makes a larger file. At most
    /// 1/16 of the file system is used. Default 16 MiB: the last two are read whole at open, about
    /// 50,000 records of 512 bytes.
    pub segment_bytes: u64,
    /// Page cache of sled in bytes. Default 64 MB.
    pub sled_cache_bytes: u64,
    /// Below this many free bytes facts, mirror batches and attachments are refused; control facts
    /// are not. On a file system of less than eight times this, an eighth of it counts instead: two
    /// of its segments. While the reserve file is missing, its 8 MiB must be free besides. 0 guards
    /// nothing. Default 32 MiB.
    pub free_space_watermark: u64,
    /// How long open waits for the index. A journal whose index takes longer (it is being rebuilt,
    /// or sled hangs) is opened without: reading by sequence works, everything else when
    /// [`Journal::index_status`] says so. Default 500 ms.
    pub index_grace: Duration,
    /// How long a commit or a question by key waits for an index that is opened and compared,
    /// before it is refused. Default 10 s: a million records take about two.
    pub index_patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            sled_cache_bytes: 64_000_000,
            free_space_watermark: 32 * 1024 * 1024,
            index_grace: Duration::from_millis(500),
            index_patience: Duration::from_secs(10),
        }
    }
}

/// The journal of one office. Clones are cheap and share it; the folder is free again when the last
/// one is dropped.
#[derive(Clone)]
pub struct Journal {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

/// What the clones share.
pub(crate) struct Inner {
    pub place: Place,
    pub catalog: Arc<Catalog>,
    pub index_store: Arc<dyn IndexStore>,
    pub _thread: IndexThread,
    pub attachments: Arc<attachments::Store>,
    pub state: RwLock<State>,
    pub writer: Mutex<Writer>,
    pub frames: Arc<Frames>,
    pub room: Room,
    /// The journal's id, as in every segment.
    pub id: [u8; 16],
    /// Tells subscribers what was published.
    pub ringer: Ringer,
    /// Dropped last: the folder is free when the thread has ended.
    pub _lock: Box<dyn Send + Sync>,
}

impl Journal {
    /// Opens epoch `epoch` of an own log, durably. Nothing happens if it is open already. Appends
    /// go to the highest epoch.
    ///
    /// # Errors
    /// [`CommitError::WrongRole`], [`CommitError::EpochOrder`] if a later epoch is open,
    /// [`CommitError::DiskFull`] or [`CommitError::Stopped`].
    pub fn ensure_own_log(&self, log: &LogName, epoch: u32) -> Result<(), CommitError> {
        self.open_log(log, Role::Own, epoch)
    }

    /// Starts to mirror epoch `epoch` of a log, durably. Nothing happens if it is mirrored already.
    ///
    /// # Errors
    /// As [`Journal::ensure_own_log`], without an order of epochs.
    pub fn ensure_mirror(&self, log: &LogName, epoch: u32) -> Result<(), CommitError> {
        self.open_log(log, Role::Mirror, epoch)
    }

    fn open_log(&self, log: &LogName, role: Role, epoch: u32) -> Result<(), CommitError> {
        let open = self
            .state()
            .named(log)
            .is_some_and(|known| known.role == role && known.epochs.contains_key(&epoch));
        if open {
            return Ok(());
        }
        let mut outcome = self.commit_with(0, 1, |group| vec![group.open_log(log, role, epoch)])?;
        outcome.pop().unwrap_or(Ok(()))
    }

    /// Stores a group of transactions: one write and one `fdatasync` for all of them.
    ///
    /// Each transaction is stored whole or refused alone; earlier ones of the group are visible to
    /// later ones. When this returns, everything accepted is durable and visible to readers. The
    /// group is atomic as a whole: after a crash before the return either all or nothing of it is
    /// there. `clock` is the caller's wall clock in microseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`JournalStopped`] if a write, a sync or the index failed now or earlier: the outcome of the
    /// group is unknown, and only opening the journal again shows it.
    pub fn commit(
        &self,
        group: Vec<Transaction>,
        clock: i64,
    ) -> Result<Vec<Result<Committed, CommitError>>, JournalStopped> {
        let count = group.len();
        let add = |builder: &mut Builder<'_>| {
            group.into_iter().map(|transaction| builder.add(transaction)).collect()
        };
        self.commit_with(clock, count, add)
    }

    /// Builds a group with `build`, makes it durable and publishes it.
    fn commit_with<T>(
        &self,
        clock: i64,
        transactions: usize,
        build: impl FnOnce(&mut Builder<'_>) -> Vec<Result<T, CommitError>>,
    ) -> Result<Vec<Result<T, CommitError>>, JournalStopped> {
        let catalog = &*self.inner.catalog;
        // Before the writer is taken: others need it while an index is opened.
        let is_answering = catalog.is_answering();
        let mut guard = self.writer()?;
        if !is_answering {
            let refuse = |_| Err(CommitError::IndexBuilding { status: catalog.status() });
            return Ok((0..transactions).map(refuse).collect());
        }
        let full = self.inner.room.lacks(0);
        let writer = &mut *guard;
        let state = self.state();
        let mut builder = Builder::new(
            &state,
            (catalog, &self.inner.attachments),
            clock,
            full,
            &mut writer.writing,
        );
        let mut results = build(&mut builder);
        let changes = builder.finish();
        if writer.writing.buffer.frames() == 0 {
            return Ok(results);
        }
        let start = match writer.write(&state) {
            Ok(start) => start,
            Err(WriteError::Full) => {
                for result in results.iter_mut().filter(|result| result.is_ok()) {
                    let (free, watermark) = self.inner.room.figures();
                    *result = Err(CommitError::DiskFull { free, watermark });
                }
                return Ok(results);
            }
            Err(WriteError::Failed(reason)) => return Err(stop(writer, reason)),
        };
        drop(state);
        self.index_and_publish(writer, start, changes)?;
        Ok(results)
    }

    /// Hands the durable group to the catalog and shows it to readers.
    fn index_and_publish(
        &self,
        writer: &mut Writer,
        start: u64,
        changes: Changes,
    ) -> Result<(), JournalStopped> {
        let Writing { items, buffer, .. } = &mut writer.writing;
        let added = self.inner.catalog.add(items, &buffer.bytes, start, writer.mark);
        if let Err(error) = added {
            return Err(stop(writer, error.to_string()));
        }
        let mut state = self.inner.state.write().unwrap_or_else(PoisonError::into_inner);
        let heads = changes.publish(&mut state);
        let heads = heads.map_err(|reason| stop(writer, reason.to_owned()))?;
        writer.writing.remember(heads);
        writer.published = writer.mark;
        drop(state);
        self.inner.ringer.ring();
        Ok(())
    }

    /// Makes the index and the tail file survive a power cut up to now, so that the next open has
    /// little to apply again. Durability of what was committed does not depend on it. To be called
    /// about every second; commits go on meanwhile. Makes the reserve again when there is room.
    ///
    /// # Errors
    /// [`IndexError`]; the writer is stopped then, because sled is of no use after an error.
    pub fn flush_index(&self) -> Result<(), IndexError> {
        let tail = match self.writer() {
            Ok(writer) => writer.tail.clone(),
            Err(stopped) => return Err(IndexError::new(stopped.reason)),
        };
        self.flush_with(&*tail).inspect_err(|error| {
            let mut writer = self.writer_even_stopped();
            stop(&mut writer, error.to_string());
        })?;
        self.inner.room.keep_reserve();
        Ok(())
    }

    fn flush_with(&self, tail: &dyn DiskFile) -> Result<(), IndexError> {
        tail.sync_data().map_err(|error| IndexError::new(error.to_string()))?;
        self.inner.catalog.flush()
    }

    /// Flushes the index and ends the writer: later commits answer [`JournalStopped`], reading goes
    /// on. Errors of the flush are logged; nothing is lost by them.
    pub fn close(&self) {
        if let Err(error) = self.flush_index() {
            tracing::warn!(%error, "the index was not flushed at close");
        }
        let mut writer = self.writer_even_stopped();
        writer.stop("it was closed");
    }

    /// Figures for telemetry.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let records = self.state().records();
        let (free_bytes, watermark_bytes) = self.inner.room.figures();
        let writer = self.writer_even_stopped();
        let (counters, mark, sealed) = (writer.counters, writer.mark, writer.sealed_bytes);
        let (number, stopped) = (writer.active.header.number, writer.stopped.is_some());
        drop(writer);
        Stats {
            records,
            segments: number,
            commit_bytes: sealed + mark.offset,
            index_bytes: self.inner.catalog.disk_bytes(),
            free_bytes,
            watermark_bytes,
            groups_written: counters.groups,
            records_written: counters.records,
            bytes_written: counters.bytes,
            sync_nanos: counters.sync_nanos,
            index_nanos: self.inner.catalog.nanos(),
            stopped,
        }
    }

    /// The writer, unless it has stopped.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, JournalStopped> {
        let mut writer = match self.inner.writer.lock() {
            Ok(writer) => writer,
            Err(poisoned) => {
                let mut writer = poisoned.into_inner();
                writer.stop("the writer panicked");
                writer
            }
        };
        self.heed_end(&mut writer);
        match &writer.stopped {
            None => Ok(writer),
            Some(reason) => Err(JournalStopped { reason: reason.clone() }),
        }
    }

    /// The writer, stopped or not, to look at it.
    pub(crate) fn writer_even_stopped(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.heed_end(&mut writer);
        writer
    }

    /// Stops the writer if the index has found that the commit files are damaged.
    fn heed_end(&self, writer: &mut Writer) {
        if writer.stopped.is_none()
            && let Some(ended) = self.inner.ringer.ended()
        {
            writer.stop(&ended.reason);
        }
    }

    /// The published state.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the writer for good.
fn stop(writer: &mut Writer, reason: String) -> JournalStopped {
    tracing::error!(reason, "the journal stops");
    writer.stop(&reason);
    JournalStopped { reason }
}
