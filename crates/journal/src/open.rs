//! Opening: lock, commit files, index, attachments; then a journal to write and read.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use rand::TryRng;

use crate::attachments;
use crate::backup;
use crate::builder::Writing;
use crate::catalog::Catalog;
use crate::catalog::fill::Target;
use crate::catalog::thread::IndexThread;
use crate::catalog::unindexed::Unindexed;
use crate::damage::{self, Damaged};
use crate::disk::os::OsDisk;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{IndexError, OpenError};
use crate::files;
use crate::frame;
use crate::frames::Frames;
use crate::index::sled::SledStore;
use crate::index::{Applying, IndexStore};
use crate::journal::{Inner, Journal, Options};
use crate::limits::SEGMENT_RANGE;
use crate::recover::{self, Recovered, TailFile};
use crate::report::{IndexStatus, OpenReport};
use crate::room::Room;
use crate::subscribe::{Bell, Ringer};
use crate::tail::Mark;
use crate::writer::{Counters, Place, Writer};

impl Journal {
    /// Opens the journal in `dir`, creating it if the folder is empty or not there.
    ///
    /// Takes the folder's lock, recovers the commit files (an unfinished group behind the last
    /// acknowledged one is dropped and reported), opens the index and rebuilds what it lacks.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process has it open; [`OpenError::IsBackup`] and
    /// [`OpenError::Partial`] for what is no journal; [`OpenError::Damaged`] if something
    /// that was acknowledged is damaged or missing, in which case nothing was changed; otherwise
    /// an unusable option or an error of the operating system.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, OpenReport), OpenError> {
        let store = SledStore::new(&dir.join(files::INDEX), options.sled_cache_bytes);
        Self::open_on(Arc::new(OsDisk), Arc::new(store), dir, options)
    }

    /// As [`Journal::open`], on another disk and another index.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        store: Arc<dyn IndexStore>,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, OpenReport), OpenError> {
        let place = Place { disk, dir: dir.to_path_buf() };
        backup::refuse(&place)?;
        Self::open_at(place, store, options)
    }

    /// Opens the unfinished folder of a restore.
    pub(crate) fn open_partial(
        dir: &Path,
        options: Options,
    ) -> Result<(Self, OpenReport), OpenError> {
        let store = SledStore::new(&dir.join(files::INDEX), options.sled_cache_bytes);
        let place = Place { disk: Arc::new(OsDisk), dir: dir.to_path_buf() };
        Self::open_at(place, Arc::new(store), options)
    }

    fn open_at(
        place: Place,
        store: Arc<dyn IndexStore>,
        options: Options,
    ) -> Result<(Self, OpenReport), OpenError> {
        check(&options)?;
        let lock = prepare(&place)?;
        let room = Room::new(&place, options.free_space_watermark)?;
        let reserve_released = room.release_reserve()?;
        let segment_bytes = room.segment_bytes(options.segment_bytes);
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
        let (of, room_of) = (place.clone(), room.clone());
        let target = Target { place: of, state: state.clone(), mark, tail, created, room: room_of };
        let seed = frame::seed(&active.header.journal);
        let frames = Arc::new(Frames::new(place.clone(), seed));
        let ringer = Ringer::default();
        let shared = (frames.clone(), ringer.bell());
        let (catalog, thread) = start_catalog(store.clone(), target, shared, &options)?;
        let report = OpenReport {
            created,
            segments: active.header.number,
            groups: mark.group,
            records: state.records(),
            dropped,
            tail_lost: !created && tail.is_none(),
            index: catalog.outcome().map_err(OpenError::Damaged)?,
            reserve_released,
        };
        let attachments = Arc::new(attachments::Store::new(place.clone(), room.clone()));
        attachments.remove_unfinished()?;
        room.keep_reserve();
        let id = active.header.journal;
        let writer = Writer {
            tail: tail_handle(&place, tail_file, &mark)?,
            sealed_bytes: sealed_bytes(&place, mark.segment)?,
            place: place.clone(),
            segment_bytes,
            active,
            mark,
            published: mark,
            writing: Writing::new(seed),
            stopped: None,
            bell: ringer.bell(),
            counters: Counters::default(),
        };
        let inner = Inner {
            attachments,
            place,
            catalog,
            index_store: store,
            _thread: thread,
            state: RwLock::new(state),
            writer: Mutex::new(writer),
            frames,
            room,
            id,
            ringer,
            _lock: lock,
        };
        Ok((Self { inner: Arc::new(inner) }, report))
    }
}

/// The catalog over a journal, and the thread that fills the index; waits a moment for it.
fn start_catalog(
    store: Arc<dyn IndexStore>,
    target: Target,
    shared: (Arc<Frames>, Arc<Bell>),
    options: &Options,
) -> Result<(Arc<Catalog>, IndexThread), OpenError> {
    let applying = store.applying();
    let unindexed = Unindexed::new(target.place.clone(), target.mark.segment);
    let catalog = Arc::new(Catalog::new(applying, unindexed, shared, options.index_patience));
    if matches!(applying, Applying::Inline { .. }) {
        let opened = catalog.open(&*store, &target);
        opened.map_err(|reason| OpenError::Index(IndexError::new(reason)))?;
        return Ok((catalog.clone(), IndexThread::none(catalog)));
    }
    let thread = IndexThread::start(catalog.clone(), store, target).map_err(OpenError::Thread)?;
    if !catalog.wait(options.index_grace, false) && catalog.status() != IndexStatus::Opening {
        tracing::warn!(status = %catalog.status(), "the journal opens without its index");
    }
    Ok((catalog, thread))
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

/// Bytes of the segments before `active`.
fn sealed_bytes(place: &Place, active: u64) -> Result<u64, OpenError> {
    let size = |number| {
        let name = files::segment_name(number);
        let size = place.open(&name, OpenMode::Read).and_then(|file| file.size());
        size.map_err(|error| OpenError::io("read", &name, error))
    };
    (1..active).map(size).sum()
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
