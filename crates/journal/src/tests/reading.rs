//! Reading through an index that lacks or is of another history.

use std::sync::{Mutex, mpsc};

use super::*;
use crate::error::{IndexError, IndexOpenError, ReadError};
use crate::index::{Applying, Entry, Index, IndexBatch, IndexStore, keys};
use crate::{IndexStatus, QuarantinedIndex};

#[test]
fn a_stream_whose_first_versions_the_index_lost_is_damage_and_no_shorter_history() {
    let (_, store, journal) = memory();
    let numbers: Vec<u64> = (0..300).collect();
    commit(&journal, transaction(append("kz-75", stream(1), &numbers, 10))).unwrap();
    journal.flush_index().unwrap();
    let mut pages = Vec::new();
    store.edit(|map| pages = map.keys().filter(|key| key[0] == b'S').cloned().collect());
    let mut refused = 0;
    for page in &pages {
        let mut lost = None;
        store.edit(|map| lost = map.remove(page));
        match journal.stream(&name("kz-75"), stream(1)) {
            Ok(records) => {
                let versions: Vec<u32> =
                    records.iter().map(|record| record.header().stream_version).collect();
                assert_eq!(versions, (1..=versions.len() as u32).collect::<Vec<_>>(), "{page:?}");
            }
            Err(ReadError::DamagedIndex { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        store.edit(|map| drop(map.insert(page.clone(), lost.unwrap())));
    }
    assert!(refused >= 2, "{refused} of {} pages hold versions before the last", pages.len());
    assert_eq!(journal.stream(&name("kz-75"), stream(1)).unwrap().len(), 300);
}

/// A store whose index does not answer after how far it is until it may.
#[derive(Clone)]
struct Slow {
    store: MemoryStore,
    may: Arc<Mutex<()>>,
    /// Hears that it was asked.
    asked: mpsc::SyncSender<()>,
}

struct SlowIndex(Arc<dyn Index>, Slow);

impl Index for SlowIndex {
    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, IndexError> {
        if key == keys::LAYOUT {
            self.1.asked.send(()).unwrap();
            drop(self.1.may.lock().unwrap());
        }
        self.0.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.0.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&sled::IVec, &sled::IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.0.scan(from, to, visit)
    }

    fn swap(&self, put: IndexBatch, remove: Vec<sled::IVec>) -> Result<(), IndexError> {
        self.0.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.0.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.0.flush()
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl IndexStore for Slow {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Ok(Arc::new(SlowIndex(self.store.open()?, self.clone())))
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        self.store.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.store.discard()
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

#[test]
fn nothing_is_read_through_an_index_before_it_is_known_to_be_of_this_journal() {
    // The same positions with records of other lengths.
    let [(_, foreign), (disk, _)] = [50, 90].map(|len| {
        let (disk, store, journal) = memory();
        for number in 0..3 {
            commit(&journal, transaction(append("kz-75", stream(1), &[number], len))).unwrap();
        }
        journal.close();
        (disk, store)
    });
    let (asked, hears) = mpsc::sync_channel(8);
    let slow = Slow { store: foreign, may: Arc::default(), asked };
    let held = slow.may.lock().unwrap();
    let options = Options { index_grace: Duration::ZERO, ..SMALL };
    let store = Arc::new(slow.clone());
    let opened = Journal::open_on(Arc::new(disk), store, Path::new(DIR), options);
    let journal = opened.unwrap().0;
    hears.recv().unwrap();
    for seq in 0..3 {
        let record = journal.get(&name("kz-75"), 1, seq).unwrap().unwrap();
        assert_eq!((record.header().event_id, record.open().len()), (event(seq), 90));
    }
    drop(held);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(journal.index_status(), IndexStatus::Ready);
    assert_eq!(journal.stream(&name("kz-75"), stream(1)).unwrap().len(), 3);
    assert_clean(&journal);
}
