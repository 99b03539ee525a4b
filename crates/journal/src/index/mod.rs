//! The seam under the keys: an ordered map that is rebuilt from the commit files when it lacks.
//!
//! Two sides: [`sled::SledStore`], and [`memory::MemoryStore`] (in tests and simulations), which
//! forgets what was not flushed. Contract for both: a batch is seen by every reader once
//! [`Index::apply`] returned; it is stored in pieces, in its order, while [`Index::swap`] stores
//! all or nothing. After a crash at least everything before the last [`Index::flush`] is there, of
//! what came later any prefix of pieces. That is enough: what was applied behind the last flush is
//! applied again at open.

use std::sync::Arc;

pub use ::sled::IVec;

use crate::error::{IndexError, IndexOpenError};
use crate::report::QuarantinedIndex;

pub(crate) mod block;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod folders;
pub(crate) mod keys;
pub mod memory;
pub(crate) mod run;
pub mod sled;

/// Keys and values that are stored together. A later entry of a key replaces an earlier one.
pub type IndexBatch = Vec<(IVec, IVec)>;

/// A key and its value.
pub type Entry = (IVec, IVec);

/// An ordered map from bytes to bytes.
pub trait Index: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// Of the index; it is of no use afterwards.
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError>;

    /// The last entry with `from <= key <= to`.
    ///
    /// # Errors
    /// As [`Index::get`].
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError>;

    /// Shows the entries with `from <= key <= to` in their order, until `visit` returns false.
    ///
    /// # Errors
    /// As [`Index::get`].
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError>;

    /// Stores and removes a few entries, all of them or none: at most 64.
    ///
    /// # Errors
    /// As [`Index::get`].
    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError>;

    /// Stores a batch.
    ///
    /// # Errors
    /// As [`Index::get`].
    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError>;

    /// Makes what was applied survive a crash.
    ///
    /// # Errors
    /// As [`Index::get`]; never retried.
    fn flush(&self) -> Result<(), IndexError>;

    /// Bytes on disk.
    fn disk_bytes(&self) -> u64;
}

/// Who applies published groups to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applying {
    /// A thread of the journal, off the path of a commit.
    Thread,
    /// The committing caller, whenever this many records wait: everything happens in one order, as
    /// a simulation needs it.
    Inline {
        /// Records that may wait.
        every: usize,
    },
}

/// Where an index lives: what opening and rebuilding need.
pub trait IndexStore: Send + Sync {
    /// Whether an index was created there before.
    fn exists(&self) -> bool;

    /// Opens the index, an empty one if there is none.
    ///
    /// # Errors
    /// [`IndexOpenError::InUse`], or whatever else keeps it from opening: an error, a panic or a
    /// hang inside.
    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError>;

    /// Moves an unusable index out of the way; returns where to, or `None` if there is none. Only
    /// the last one that was moved is kept.
    ///
    /// # Errors
    /// Of the file system.
    fn quarantine(&self) -> std::io::Result<Option<String>>;

    /// The index that was moved out of the way, if one is kept.
    fn quarantined(&self) -> Option<QuarantinedIndex>;

    /// Removes the index that was moved out of the way: nothing needs it. By default none is kept.
    ///
    /// # Errors
    /// Of the file system.
    fn forget(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// Removes an index that was not finished.
    ///
    /// # Errors
    /// Of the file system.
    fn discard(&self) -> std::io::Result<()>;

    /// Who applies published groups to the index.
    fn applying(&self) -> Applying;
}
