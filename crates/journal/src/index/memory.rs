//! An index in memory that forgets: after a crash it is back at its last flush, or at any piece of
//! a batch behind it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::sled::IVec;

use super::{Applying, Entry, Index, IndexBatch, IndexStore};
use crate::error::{IndexError, IndexOpenError};
use crate::report::QuarantinedIndex;

/// Entries that survive a crash together.
const PIECE: usize = 3;

type Map = BTreeMap<Vec<u8>, IVec>;

#[derive(Default)]
struct Shared {
    exists: bool,
    quarantined: bool,
    flushed: Map,
    current: Map,
    unflushed: Vec<Piece>,
}

/// What is stored and removed together.
type Piece = (IndexBatch, Vec<IVec>);

fn perform((put, remove): &Piece, map: &mut Map) {
    map.extend(put.iter().map(|(key, value)| (key.to_vec(), value.clone())));
    remove.iter().for_each(|key| drop(map.remove(&key[..])));
}

/// The place of a forgetting index; clones share it.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Shared>>);

impl MemoryStore {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The index after a crash that kept `keep` pieces (at most) behind the last flush.
    #[must_use]
    pub fn reboot(&self, keep: usize) -> Self {
        let shared = self.held();
        let mut flushed = shared.flushed.clone();
        shared.unflushed.iter().take(keep).for_each(|piece| perform(piece, &mut flushed));
        let next = Shared {
            exists: shared.exists,
            quarantined: shared.quarantined,
            current: flushed.clone(),
            flushed,
            unflushed: Vec::new(),
        };
        Self(Arc::new(Mutex::new(next)))
    }

    /// Pieces behind the last flush.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        self.held().unflushed.len()
    }

    /// Changes entries behind the index's back, for tests of damage.
    pub fn edit(&self, change: impl FnOnce(&mut BTreeMap<Vec<u8>, IVec>)) {
        change(&mut self.held().current);
    }

    fn held(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IndexStore for MemoryStore {
    fn exists(&self) -> bool {
        self.held().exists
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        self.held().exists = true;
        Ok(Arc::new(MemoryIndex(self.clone())))
    }

    fn quarantine(&self) -> io::Result<Option<String>> {
        let mut shared = self.held();
        let existed = shared.exists;
        *shared = Shared { quarantined: existed, ..Shared::default() };
        Ok(existed.then(|| "index.quarantine-1".to_owned()))
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        let name = || "index.quarantine-1".to_owned();
        self.held().quarantined.then(|| QuarantinedIndex { name: name(), bytes: 0 })
    }

    fn forget(&self) -> io::Result<()> {
        self.held().quarantined = false;
        Ok(())
    }

    fn discard(&self) -> io::Result<()> {
        let mut shared = self.held();
        *shared = Shared { quarantined: shared.quarantined, ..Shared::default() };
        Ok(())
    }

    fn applying(&self) -> Applying {
        Applying::Inline { every: 5 }
    }
}

struct MemoryIndex(MemoryStore);

impl Index for MemoryIndex {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError> {
        Ok(self.0.held().current.get(key).cloned())
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        let shared = self.0.held();
        let mut range = shared.current.range(from.to_vec()..=to.to_vec());
        Ok(range.next_back().map(|(key, value)| (key.as_slice().into(), value.clone())))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError> {
        let shared = self.0.held();
        for (key, value) in shared.current.range(from.to_vec()..=to.to_vec()) {
            if !visit(&key.as_slice().into(), value) {
                break;
            }
        }
        Ok(())
    }

    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError> {
        let mut shared = self.0.held();
        let piece = (put, remove);
        perform(&piece, &mut shared.current);
        shared.unflushed.push(piece);
        Ok(())
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        let mut shared = self.0.held();
        for piece in batch.chunks(PIECE).map(|piece| (piece.to_vec(), Vec::new())) {
            perform(&piece, &mut shared.current);
            shared.unflushed.push(piece);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), IndexError> {
        let mut shared = self.0.held();
        shared.flushed = shared.current.clone();
        shared.unflushed.clear();
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}
