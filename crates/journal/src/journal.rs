//! Open and commit: the writer's side of the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use evidence::log::LogName;
use rand::TryRng;

use crate::batch;
use crate::builder::{Builder, Changes, Writing};
use crate::catchup::{self, CatchUpError, Target};
use crate::damage::{self, Damaged};
use crate::disk::os::OsDisk;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{CommitError, IndexError, JournalStopped, OpenError};
use crate::files;
use crate::frame;
use crate::index::sled::SledStore;
use crate::index::{Index, IndexBatch, IndexStore};
use crate::limits::{RESERVE, SEGMENT_RANGE};
use crate::lookup::Lookup;
use crate::recover::{self, Recovered, TailFile};
use crate::report::{OpenReport, Role, Stats};
use crate::state::State;
use crate::tail::Mark;
use crate::transaction::{Committed, Transaction};
use crate::writer::{Counters, Place, WriteError, Writer};

/// How a journal works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of a commit file in bytes, 4 KiB to 1 GiB; a larger group makes a larger file. At most
    /// 1/16 of the file system is used. Default 64 MiB.
    pub segment_bytes: u64,
    /// Page cache of sled in bytes. Default 64 MB.
    pub sled_cache_bytes: u64,
    /// Below this many free bytes facts and mirror batches are refused; control facts are not.
    /// Default 32 MiB.
    pub free_space_watermark: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            sled_cache_bytes: 64_000_000,
            free_space_watermark: 32 * 1024 * 1024,
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
    pub index: Arc<dyn Index>,
    pub state: RwLock<State>,
    writer: Mutex<Writer>,
    /// Segments that are open for reading.
    pub files: Mutex<BTreeMap<u64, Arc<dyn DiskFile>>>,
    pub seed: u32,
    watermark: u64,
    _lock: Box<dyn Send + Sync>,
}

impl Journal {
    /// Opens the journal in `dir`, creating it if the folder is empty or not there.
    ///
    /// Takes the folder's lock, recovers the commit files (an unfinished group behind the last
    /// acknowledged one is dropped and reported), opens the index and rebuilds what it lacks.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process has it open; [`OpenError::Damaged`] if something
    /// that was acknowledged is damaged or missing, in which case nothing was changed; otherwise
    /// an unusable option or an error of the operating system.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, OpenReport), OpenError> {
        let store = SledStore::new(&dir.join(files::INDEX), options.sled_cache_bytes);
        Self::open_on(Arc::new(OsDisk), &store, dir, options)
    }

    /// As [`Journal::open`], on another disk and another index.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        store: &dyn IndexStore,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, OpenReport), OpenError> {
        check(&options)?;
        let place = Place { disk, dir: dir.to_path_buf() };
        let lock = prepare(&place)?;
        let reserve_released = release_reserve(&place, options.free_space_watermark)?;
        let segment_bytes = segment_bytes(&place, &options)?;
        let tail_file = TailFile::read(&place)?;
        let tail = tail_file.tail();
        let damaged = |damaged: Damaged| {
            let index = if store.exists() { store.open().ok() } else { None };
            let report = damage::report(&place, damaged, tail, index.as_deref());
            OpenError::Damaged(Box::new(report))
        };
        let recovered =
            recover::recover(&place, tail_file, store.exists(), segment_bytes, &random_id)?;
        let Recovered { state, active, mark, created, dropped } = recovered.map_err(damaged)?;
        let target = Target { place: &place, state: &state, mark, created };
        let (index, outcome) = catchup::open(store, &target).map_err(|error| match error {
            CatchUpError::Damaged(at) => damaged(at),
            CatchUpError::Open(error) => error,
        })?;
        let report = OpenReport {
            created,
            segments: active.header.number,
            groups: mark.group,
            records: state.records(),
            dropped,
            tail_lost: !created && tail.is_none(),
            index: outcome,
            reserve_released,
        };
        let seed = frame::seed(&active.header.journal);
        let writer = Writer {
            tail: tail_handle(&place, tail_file, &mark)?,
            sealed_bytes: sealed_bytes(&place, mark.segment)?,
            place: place.clone(),
            segment_bytes,
            active,
            mark,
            writing: Writing::new(seed),
            stopped: None,
            counters: Counters::default(),
        };
        keep_reserve(&place, options.free_space_watermark);
        let inner = Inner {
            place,
            index,
            state: RwLock::new(state),
            writer: Mutex::new(writer),
            files: Mutex::default(),
            seed,
            watermark: options.free_space_watermark,
            _lock: lock,
        };
        Ok((Self { inner: Arc::new(inner) }, report))
    }

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
        let mut outcome = self.commit_with(0, |group| vec![group.open_log(log, role, epoch)])?;
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
        self.commit_with(clock, |builder| group.into_iter().map(|tx| builder.add(tx)).collect())
    }

    /// Builds a group with `build`, makes it durable and publishes it.
    fn commit_with<T>(
        &self,
        clock: i64,
        build: impl FnOnce(&mut Builder<'_>) -> Vec<Result<T, CommitError>>,
    ) -> Result<Vec<Result<T, CommitError>>, JournalStopped> {
        let mut guard = self.writer()?;
        let full = self.free_space().filter(|free| *free < self.inner.watermark);
        let full = full.map(|free| (free, self.inner.watermark));
        let writer = &mut *guard;
        let state = self.state();
        let lookup = Lookup(&*self.inner.index);
        let mut builder = Builder::new(&state, lookup, clock, full, &mut writer.writing);
        let mut results = build(&mut builder);
        let changes = builder.finish();
        if writer.writing.buffer.frames() == 0 {
            return Ok(results);
        }
        let start = match writer.write(&state) {
            Ok(start) => start,
            Err(WriteError::Full) => {
                for result in results.iter_mut().filter(|result| result.is_ok()) {
                    let free = self.free_space().unwrap_or(0);
                    let watermark = self.inner.watermark;
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

    /// Applies the durable group to the index and shows it to readers.
    fn index_and_publish(
        &self,
        writer: &mut Writer,
        start: u64,
        changes: Changes,
    ) -> Result<(), JournalStopped> {
        let begun = Instant::now();
        let mut entries = IndexBatch::new();
        let Writing { items, buffer, .. } = &writer.writing;
        batch::build(items, &buffer.bytes, start, &writer.mark, &mut entries);
        if let Err(error) = self.inner.index.apply(entries) {
            return Err(stop(writer, error.to_string()));
        }
        writer.counters.index_nanos += begun.elapsed().as_nanos() as u64;
        let mut state = self.inner.state.write().unwrap_or_else(PoisonError::into_inner);
        let heads = changes.publish(&mut state);
        let heads = heads.map_err(|reason| stop(writer, reason.to_owned()))?;
        writer.writing.remember(heads);
        Ok(())
    }

    /// Makes the index and the tail file survive a power cut up to now, so that the next open has
    /// little to apply again. Durability of what was committed does not depend on it. To be called
    /// about every second; commits go on meanwhile.
    ///
    /// # Errors
    /// [`IndexError`]; the writer is stopped then, because sled is of no use after an error.
    pub fn flush_index(&self) -> Result<(), IndexError> {
        let (mark, tail) = match self.writer() {
            Ok(writer) => (writer.mark, writer.tail.clone()),
            Err(stopped) => return Err(IndexError::new(stopped.reason)),
        };
        self.flush_to(mark, &*tail).inspect_err(|error| {
            let mut writer = self.writer_even_stopped();
            stop(&mut writer, error.to_string());
        })
    }

    fn flush_to(&self, mark: Mark, tail: &dyn DiskFile) -> Result<(), IndexError> {
        tail.sync_data().map_err(|error| IndexError::new(error.to_string()))?;
        catchup::settle(&*self.inner.index, mark)
    }

    /// Flushes the index and ends the writer: later commits answer [`JournalStopped`], reading goes
    /// on. Errors of the flush are logged; nothing is lost by them.
    pub fn close(&self) {
        if let Err(error) = self.flush_index() {
            tracing::warn!(%error, "the index was not flushed at close");
        }
        let mut writer = self.writer_even_stopped();
        writer.stopped.get_or_insert_with(|| "it was closed".to_owned());
    }

    /// Figures for telemetry.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let records = self.state().records();
        let writer = self.writer_even_stopped();
        let (counters, mark, sealed) = (writer.counters, writer.mark, writer.sealed_bytes);
        let (number, stopped) = (writer.active.header.number, writer.stopped.is_some());
        drop(writer);
        Stats {
            records,
            segments: number,
            commit_bytes: sealed + mark.offset,
            index_bytes: self.inner.index.disk_bytes(),
            free_bytes: self.free_space().unwrap_or(0),
            groups_written: counters.groups,
            records_written: counters.records,
            bytes_written: counters.bytes,
            sync_nanos: counters.sync_nanos,
            index_nanos: counters.index_nanos,
            stopped,
        }
    }

    /// The writer, unless it has stopped.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, JournalStopped> {
        let mut writer = match self.inner.writer.lock() {
            Ok(writer) => writer,
            Err(poisoned) => {
                let mut writer = poisoned.into_inner();
                writer.stopped.get_or_insert_with(|| "the writer panicked".to_owned());
                writer
            }
        };
        match &mut writer.stopped {
            None => Ok(writer),
            Some(reason) => Err(JournalStopped { reason: reason.clone() }),
        }
    }

    /// The writer, stopped or not, to look at it.
    pub(crate) fn writer_even_stopped(&self) -> MutexGuard<'_, Writer> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The published state.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_space(&self) -> Option<u64> {
        // A file system that does not tell cannot be guarded; writing goes on.
        self.inner.place.disk.space(&self.inner.place.dir).ok().map(|space| space.free)
    }
}

/// Stops the writer for good.
fn stop(writer: &mut Writer, reason: String) -> JournalStopped {
    tracing::error!(reason, "the journal stops");
    writer.stopped.get_or_insert_with(|| reason.clone());
    JournalStopped { reason }
}

/// Refuses options outside their limits.
fn check(options: &Options) -> Result<(), OpenError> {
    if SEGMENT_RANGE.contains(&options.segment_bytes) {
        return Ok(());
    }
    let (option, found) = ("segment_bytes", options.segment_bytes);
    Err(OpenError::Option { option, found, allowed: "4 KiB to 1 GiB" })
}

/// Creates the folders and takes the lock.
fn prepare(place: &Place) -> Result<Box<dyn Send + Sync>, OpenError> {
    let commits = place.dir.join(files::COMMITS);
    let made = place.disk.create_dir(&commits).and_then(|()| place.disk.sync_dir(&place.dir));
    made.map_err(|error| OpenError::io("create", files::COMMITS, error))?;
    if let Some(parent) = place.dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // The parent may belong to someone else and be unreadable; then its owner made our folder.
        let _ = place.disk.sync_dir(parent);
    }
    let locked = place.disk.lock(&place.dir.join(files::LOCK));
    let locked = locked.map_err(|error| OpenError::io("lock", files::LOCK, error))?;
    locked.ok_or_else(|| OpenError::InUse { folder: place.dir.display().to_string() })
}

/// Segment size for this file system: at most 1/16 of it.
fn segment_bytes(place: &Place, options: &Options) -> Result<u64, OpenError> {
    let space = place.disk.space(&place.dir);
    let space = space.map_err(|error| OpenError::io("stat", files::COMMITS, error))?;
    let most = (space.total / 16).max(*SEGMENT_RANGE.start());
    Ok(options.segment_bytes.min(most))
}

/// Bytes of the segments before `active`.
fn sealed_bytes(place: &Place, active: u64) -> Result<u64, OpenError> {
    let size = |number| {
        let name = files::segment_name(number);
        let size = place.open(&name, OpenMode::Read).and_then(|file| file.size());
        size.map_err(|error| OpenError::io("read", &name, error))
    };
    (1..active).map(size).sum()
}

/// Gives the reserve up if the disk is nearly full, so that there is room to start.
fn release_reserve(place: &Place, watermark: u64) -> Result<bool, OpenError> {
    let names = place.disk.list(&place.dir);
    let names = names.map_err(|error| OpenError::io("list", ".", error))?;
    let full = place.disk.space(&place.dir).is_ok_and(|space| space.free < watermark);
    if !full || !names.iter().any(|name| name == files::RESERVE) {
        return Ok(false);
    }
    let removed = place.disk.remove(&place.dir.join(files::RESERVE));
    removed.map_err(|error| OpenError::io("remove", files::RESERVE, error))?;
    tracing::warn!("the disk is nearly full: the reserve was given up");
    Ok(true)
}

/// Makes the reserve if there is room enough. Without it the journal works as well.
fn keep_reserve(place: &Place, watermark: u64) {
    let roomy = |free: u64| watermark > 0 && free > watermark.saturating_add(2 * RESERVE);
    let free = place.disk.space(&place.dir).is_ok_and(|space| roomy(space.free));
    let names = place.disk.list(&place.dir).unwrap_or_default();
    if free && !names.iter().any(|name| name == files::RESERVE) {
        let made = place.open(files::RESERVE, OpenMode::Create);
        if let Err(error) = made.and_then(|file| file.allocate(RESERVE)) {
            tracing::warn!(%error, "no reserve could be made");
        }
    }
}

/// Opens the tail file for writing and brings it up to date.
fn tail_handle(
    place: &Place,
    found: TailFile,
    mark: &Mark,
) -> Result<Arc<dyn DiskFile>, OpenError> {
    let mode = if found == TailFile::Absent { OpenMode::Create } else { OpenMode::Write };
    let opened = || {
        let file = place.open(files::TAIL, mode)?;
        let bytes = mark.encode_tail();
        file.write_at(0, &bytes)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()?;
        place.disk.sync_dir(&place.dir)?;
        Ok(file)
    };
    opened().map_err(|error| OpenError::io("write", files::TAIL, error))
}

/// Random bytes for the identity of a new journal and the start of its chain.
fn random_id() -> Result<[u8; 48], OpenError> {
    let mut bytes = [0; 48];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        OpenError::io("create", files::COMMITS, std::io::Error::other(error.to_string()))
    })?;
    Ok(bytes)
}
