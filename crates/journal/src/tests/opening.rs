//! Opening an index that panics, and building one on a disk that is too small for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sled::IVec;

use super::*;
use crate::error::{IndexError, IndexOpenError};
use crate::index::{Applying, Entry, Index, IndexBatch, IndexStore, keys};
use crate::limits::RESERVE;
use crate::{IndexOutcome, IndexStatus, QuarantinedIndex};

/// Waits, a minute at most.
fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it does not come");
}

/// What an index costs, and how often it panics.
#[derive(Default)]
struct Costs {
    /// So many scans and questions after a last entry panic.
    panics: AtomicUsize,
    /// Bytes of the disk but for the indexes; 0: it is not watched.
    room: AtomicU64,
    /// Bytes of the index, and of the one that was moved aside.
    present: AtomicU64,
    aside: AtomicU64,
    /// Fewest free bytes that were left.
    fewest: AtomicU64,
    opened: AtomicUsize,
    /// How often somebody looked whether there is an index.
    looked: AtomicUsize,
}

/// An index in memory that takes room of the disk.
#[derive(Clone)]
struct Costly {
    store: MemoryStore,
    disk: MemoryDisk,
    costs: Arc<Costs>,
}

impl Costly {
    /// Tells the disk what is left.
    fn settle(&self) {
        let [room, present, aside] =
            [&self.costs.room, &self.costs.present, &self.costs.aside].map(load);
        if room > 0 {
            let free = room.saturating_sub(present + aside);
            self.costs.fewest.fetch_min(free, Ordering::SeqCst);
            self.disk.set_free(free);
        }
    }

    /// Makes the disk another size.
    fn resize(&self, room: u64) {
        self.costs.room.store(room, Ordering::SeqCst);
        self.costs.fewest.store(u64::MAX, Ordering::SeqCst);
        self.settle();
    }

    fn take(&self, batch: &IndexBatch) {
        let bytes: usize = batch.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.costs.present.fetch_add(bytes as u64, Ordering::SeqCst);
        self.settle();
    }

    /// Panics as sled does on damage, if it is time.
    fn read(&self) {
        let less = |panics: usize| panics.checked_sub(1);
        let panics = &self.costs.panics;
        if panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            panic!("cannot find pid 7");
        }
    }

    fn open(&self) -> (Journal, OpenReport) {
        let options = Options { free_space_watermark: 1 << 20, ..SMALL };
        self.open_with(options)
    }

    fn open_with(&self, options: Options) -> (Journal, OpenReport) {
        let (disk, store) = (Arc::new(self.disk.clone()), Arc::new(self.clone()));
        Journal::open_on(disk, store, Path::new(DIR), options).unwrap()
    }
}

fn load(bytes: &AtomicU64) -> u64 {
    bytes.load(Ordering::SeqCst)
}

struct CostlyIndex(Arc<dyn Index>, Costly);

impl Index for CostlyIndex {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError> {
        self.0.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.1.read();
        self.0.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.1.read();
        self.0.scan(from, to, visit)
    }

    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError> {
        self.1.take(&put);
        self.0.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.1.take(&batch);
        self.0.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.0.flush()
    }

    fn disk_bytes(&self) -> u64 {
        load(&self.1.costs.present)
    }
}

impl IndexStore for Costly {
    fn exists(&self) -> bool {
        self.costs.looked.fetch_add(1, Ordering::SeqCst);
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        self.costs.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(CostlyIndex(self.store.open()?, self.clone())))
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        let bytes = self.costs.present.swap(0, Ordering::SeqCst);
        self.costs.aside.store(bytes, Ordering::SeqCst);
        self.settle();
        self.store.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn forget(&self) -> std::io::Result<()> {
        self.costs.aside.store(0, Ordering::SeqCst);
        self.settle();
        self.store.forget()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.costs.present.store(0, Ordering::SeqCst);
        self.settle();
        self.store.discard()
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

/// A closed journal of `records` records, and its index.
fn filled(records: u64) -> Costly {
    let costly =
        Costly { store: MemoryStore::new(), disk: MemoryDisk::new(), costs: Arc::default() };
    let (journal, _) = costly.open();
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    for first in (0..records).step_by(50) {
        let numbers: Vec<u64> = (first..records.min(first + 50)).collect();
        commit(&journal, transaction(append("kz-75", stream(1), &numbers, 10))).unwrap();
    }
    journal.flush_index().unwrap();
    journal.close();
    costly
}

fn lose_layout(store: &MemoryStore) {
    store.edit(|map| map.retain(|key, _| key != keys::LAYOUT));
}

#[test]
fn an_index_that_panics_where_it_is_read_is_moved_aside_and_rebuilt() {
    let costly = filled(100);
    // The second time it is the new one, which is then built once more.
    for times in 1..=2 {
        costly.costs.panics.store(times, Ordering::SeqCst);
        let (journal, report) = costly.open();
        let IndexOutcome::Rebuilt { reason, .. } = report.index else { panic!("{report:?}") };
        let told = ["it panicked", "it is missing"][times - 1];
        assert_eq!((costly.costs.panics.load(Ordering::SeqCst), reason.as_str()), (0, told));
        assert_eq!(journal.quarantined_index().unwrap().name, "index.quarantine-1");
        assert_clean(&journal);
        let next = transaction(append("kz-75", stream(2), &[1000 + times as u64], 10));
        commit(&journal, next).unwrap();
        journal.flush_index().unwrap();
    }
}

#[test]
fn damage_is_told_from_the_files_though_the_index_panics() {
    let costly = filled(100);
    let mut files = costly.disk.files();
    files.retain(|(path, _)| path.ends_with("tail"));
    costly.costs.panics.store(usize::MAX, Ordering::SeqCst);
    let (disk, store) = (MemoryDisk::with_files(&files), Arc::new(costly.clone()));
    let opened = Journal::open_on(Arc::new(disk), store, Path::new(DIR), SMALL);
    let Err(OpenError::Damaged(report)) = opened else { panic!("it opens") };
    assert!(costly.costs.panics.load(Ordering::SeqCst) < usize::MAX, "it was asked");
    assert!(report.what.contains("the tail file names group"), "{report}");
}

#[test]
fn an_index_that_was_moved_aside_gives_way_to_the_new_one() {
    let costly = filled(2000);
    let bytes = load(&costly.costs.present);
    lose_layout(&costly.store);
    // Beside the old one there is room for half of the new one.
    costly.resize((1 << 20) + bytes + bytes / 2);
    let (journal, report) = costly.open();
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    let reason = "it has the layout of another version".to_owned();
    assert_eq!(report.index, IndexOutcome::Rebuilt { reason, quarantined: None });
    assert_eq!(journal.quarantined_index(), None);
    let fewest = load(&costly.costs.fewest);
    assert!(fewest + bytes / 4 > 1 << 20, "{fewest} bytes were left, of {bytes} that it takes");
    assert_eq!(costly.costs.opened.load(Ordering::SeqCst), 3, "it was built in one go");
    assert_clean(&journal);
}

#[test]
fn a_disk_that_is_too_small_for_the_index_is_not_filled_again_before_it_has_more() {
    let costly = filled(2000);
    let bytes = load(&costly.costs.present);
    costly.discard().unwrap();
    let few = (1 << 20) + bytes / 2;
    costly.resize(few);
    let opened = costly.costs.opened.load(Ordering::SeqCst);
    let options = Options { free_space_watermark: 1 << 20, index_grace: Duration::ZERO, ..SMALL };
    let (journal, _) = costly.open_with(options);
    let builds = || costly.costs.opened.load(Ordering::SeqCst) - opened;
    wait_for(|| builds() > 0);
    let looked = costly.costs.looked.load(Ordering::SeqCst);
    // One more look may be under way.
    wait_for(|| costly.costs.looked.load(Ordering::SeqCst) > looked + 5);
    let next = few + RESERVE;
    let told = format!("it is tried again when {next} bytes are free");
    let status = || match journal.index_status() {
        IndexStatus::Waiting { reason } => reason,
        _ => String::new(),
    };
    wait_for(|| status().contains(&told));
    assert_eq!((builds(), load(&costly.costs.present)), (1, 0));
    let fewest = load(&costly.costs.fewest);
    assert!(fewest + bytes / 4 > 1 << 20, "{fewest} bytes were left, of {bytes} that it takes");
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 2000);
    costly.resize(next);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(builds(), 2);
    assert_clean(&journal);
}
