//! Where records live: the durable, verifiable journal of one office.
//!
//! Scope: commit files with group commit (one `fdatasync` a group is the durability point), the
//! keyed index in sled that they rebuild, own logs and verified mirrors, Merkle nodes beside every
//! record, idempotent commands, expected versions, control facts, recovery, the deep check. One
//! writer at a time, callers on any thread, no threads and no clock of its own: time comes in with
//! each commit. The files are described byte by byte in `FORMAT.md`.
//!
//! Not in scope: what a body means (`domain`, `wire`; only headers are parsed here), what may
//! enter a mirror (`evidence::verify`), keys (`vault`), tasks, queues and back-pressure (`node`),
//! views (`projection`), repair from another office (`node` reseeds into a new folder).
//!
//! Positions of the writer: *written* ≥ *durable* ≥ *indexed* ≥ *flushed*. A reader sees what
//! is durable **and** indexed; `commit` returns when its group is both. What the index lacks behind
//! *flushed* after a crash is applied again from the commit files at open.
//!
//! * [`journal`]: open, commit, the writer's side.
//! * [`reading`]: gets, ranges, streams, proofs; each record is checked before it is served.
//! * [`transaction`]: what is committed and what is answered.
//! * [`report`]: what open, check and statistics tell.
//! * [`error`]: one error type an operation.
//! * [`disk`], [`index`]: the two seams; each has a real side and one that forgets, for tests.

mod batch;
mod builder;
mod catchup;
mod damage;
mod files;
mod frame;
mod group;
mod limits;
mod lookup;
mod recover;
mod replay;
mod scan;
mod segment;
mod state;
mod tail;
mod verify;
mod writer;

pub mod disk;
pub mod error;
pub mod index;
pub mod journal;
pub mod reading;
pub mod report;
pub mod transaction;

pub use error::{CommitError, IndexError, JournalStopped, OpenError, ReadError};
pub use journal::{Journal, Options};
pub use report::{
    CommandHit, Damage, DamageReport, IndexOutcome, LogInfo, MissingRange, OpenReport, Role, Stats,
    VerifyProgress, VerifyReport,
};
pub use transaction::{
    Append, CommandClaim, CommandKey, Committed, Control, ExpectedVersion, Transaction,
};
pub use verify::check_files;

#[cfg(test)]
mod tests;
