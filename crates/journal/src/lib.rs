//! Where records live: the durable, verifiable journal of one office.
//!
//! Scope: commit files with group commit (one `fdatasync` a group is the durability point), the
//! keyed index in sled that they rebuild, own logs and verified mirrors, Merkle nodes beside every
//! record, idempotent commands, expected versions, control facts, attachments (sealed files beside
//! the commit files), recovery, the deep check in one go or in small steps, backups of a journal in
//! use and the journals made of them. One writer at a time, callers on any thread, one thread of
//! its own, which opens the index and fills it; no clock: time comes in with each commit. The files
//! are described byte by byte in `FORMAT.md`.
//!
//! Not in scope: what a body means (`domain`, `wire`; only headers are parsed here), what may
//! enter a mirror (`evidence::verify`), keys (`vault`), tasks, queues and back-pressure (`node`),
//! views (`projection`), repair from another office (`node` reseeds into a new folder).
//!
//! Positions of the writer: *written* ≥ *durable* ≥ *published* ≥ *applied* ≥ *flushed*. `commit`
//! returns when its group is durable in the commit files and published: readers find it, in memory
//! until it is applied to the index. What the index lacks behind *flushed* after a crash is applied
//! again from the commit files at open; while it is rebuilt, records are read by their sequence.
//!
//! * `open`: [`Journal::open`]. [`journal`]: commit, the writer's side.
//! * [`reading`]: gets, ranges, streams, proofs; each record is checked before it is served.
//! * `catalog`: what is found by a key, in memory and in the index.
//! * [`snapshot`]: stable views, backwards, by recorded time. [`paging`]: queries in pages.
//! * [`subscribe`]: following logs as they grow.
//! * [`transaction`]: what is committed and what is answered.
//! * [`report`]: what open, check and statistics tell.
//! * `check`: [`Journal::check`], [`check_files`], [`read_files`], [`Scrub`].
//! * `backup`: [`Journal::backup`], [`BackupWriter`], [`restore()`].
//! * [`attachments`]: sealed files that records name.
//! * [`error`]: one error type an operation.
//! * [`disk`], [`index`]: the two seams; each has a real side and one that forgets, for tests.

mod backup;
mod bounded;
mod builder;
mod catalog;
mod check;
mod damage;
mod files;
mod frame;
mod frames;
mod group;
mod limits;
mod open;
mod recover;
mod replay;
mod room;
mod scan;
mod segment;
mod state;
mod tail;
mod writer;

pub mod attachments;
pub mod disk;
pub mod error;
pub mod index;
pub mod journal;
pub mod paging;
pub mod reading;
pub mod report;
pub mod snapshot;
pub mod subscribe;
pub mod transaction;

pub use attachments::{
    AttachmentError, AttachmentInfo, AttachmentReadError, AttachmentReader, AttachmentWriter,
    MissingAttachment, MissingAttachments,
};
pub use backup::{
    Backup, BackupError, BackupFile, BackupWriter, CopyPhase, CopyProgress, CopyWatch, EndedEpoch,
    MANIFEST, Manifest, ManifestError, Restore, RestoreError, RestoreReport, Restored, restore,
};
pub use check::{
    CheckProgress, CheckReport, CheckWatch, FileCheck, FilesRead, FilesStat, Scrub, ScrubStep,
    check_files, read_files, stat_files,
};
pub use error::{
    CommitError, IndexError, IndexOpenError, JournalStopped, OpenError, PageError, ReadError,
    SubscribeError, TokenError,
};
pub use journal::{Journal, Options};
pub use paging::{Direction, Page, PageToken, Point, Query};
pub use report::{
    CommandHit, Damage, DamageReport, IndexOutcome, IndexStatus, LogInfo, MissingRange, OpenReport,
    QuarantinedIndex, Role, Stats,
};
pub use snapshot::Snapshot;
pub use subscribe::{Durable, Growth, Positions, Subscription};
pub use transaction::{
    Append, CommandClaim, CommandKey, Committed, Control, ExpectedVersion, KnownCommand,
    Transaction, UNKNOWN_REQUEST,
};

#[cfg(test)]
mod tests;
