//! Why a backup or a restore fails.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::manifest::ManifestError;
use crate::error::{CommitError, JournalStopped, OpenError};
use crate::report::Damage;

/// Why a backup cannot be taken or received. The journal is never changed by one.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Something is where the backup, or its unfinished folder, shall be. Nothing is overwritten.
    #[error("{path} exists already; name another folder, or remove it")]
    Exists {
        /// What is there.
        path: String,
    },
    /// A file that cannot be part of a backup, or a piece that does not continue its file.
    #[error("a piece of {file:?} at byte {offset} has no place in the backup")]
    OutOfPlace {
        /// The file.
        file: String,
        /// Where the piece starts.
        offset: u64,
    },
    /// What was received is not what the manifest names.
    #[error("{file} is not what the manifest names; take the backup again")]
    Differs {
        /// The file, relative to the folder.
        file: String,
    },
    /// What was copied is damaged: the journal is, or the way or the disk of the copy.
    #[error("the backup is damaged ({count} places): {first}")]
    Damaged {
        /// Damages found.
        count: u64,
        /// The first one.
        first: Box<Damage>,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The deep check of the backup could not be done.
    #[error("check the backup")]
    Check(#[source] OpenError),
    /// The caller broke off. The unfinished folder is left.
    #[error("the backup was interrupted")]
    Interrupted,
    /// The operating system refused.
    #[error("{action} {file}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

impl BackupError {
    /// An I/O error with what was tried on which file.
    pub(crate) fn io(action: &'static str, file: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, file: file.into(), source }
    }

    /// As [`BackupError::io`] of a path.
    pub(crate) fn at(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::io(action, path.display().to_string(), source)
    }
}

/// Why no journal could be made of a backup. The backup is never changed, and nothing that opens
/// as a journal is left.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Something is where the journal, or its unfinished folder, shall be. Nothing is overwritten.
    #[error("{path} exists already; a restore never overwrites: name another folder, or move it")]
    Exists {
        /// What is there.
        path: String,
    },
    /// The folder holds no backup.
    #[error("{folder} is not a backup: it has no file BACKUP")]
    NoBackup {
        /// The folder.
        folder: String,
    },
    /// The backup, or a file of it while it was copied, is damaged.
    #[error("the backup is damaged ({count} places): {first}")]
    Damaged {
        /// Damages found.
        count: u64,
        /// The first one.
        first: Box<Damage>,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The copy opens, but holds other logs, sizes or roots than the manifest names.
    #[error("what was restored is not what the manifest names")]
    Contradiction,
    /// The epoch that was asked for is not above one that the backup holds or that has a key.
    #[error("epoch {asked} is not above epoch {held}, which the backup holds or has a key already")]
    Epoch {
        /// The epoch asked for.
        asked: u32,
        /// The highest epoch of an own log in the backup, or of which a key is known.
        held: u32,
    },
    /// The copy does not open, or the check could not be done.
    #[error("open what was restored")]
    Open(#[source] OpenError),
    /// The index of what was restored cannot be built, on a full disk say. The unfinished folder is
    /// left; it does not open.
    #[error("build the index of what was restored: {reason}")]
    Index {
        /// Why, in words.
        reason: String,
    },
    /// The successor epochs could not be opened.
    #[error("open the next epoch")]
    Successor(#[from] CommitError),
    /// The journal stopped while the restore was noted.
    #[error(transparent)]
    Stopped(#[from] JournalStopped),
    /// The caller broke off. The unfinished folder is left; it does not open.
    #[error("the restore was interrupted")]
    Interrupted,
    /// The operating system refused.
    #[error("{action} {file}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

impl RestoreError {
    /// An I/O error with what was tried on which file.
    pub(crate) fn at(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, file: path.display().to_string(), source }
    }
}
