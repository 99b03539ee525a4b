//! A country of real offices in one process: simulated time, network and disks, everything else as
//! it runs. One seed gives one history.
//!
//! # What is real
//! The journal with its commit files and index (on a disk in memory that loses what was not
//! synced), the writer, the plan of a link, `replication` on both sides, the driver, the dialling
//! with its back-off, the decision on commands, and the duties that matter to replication.
//!
//! # What is not
//! - TLS and gRPC: `ring` takes its randomness from the operating system, so no two runs would be
//!   equal. An office says its code in the first message instead; the frames are the real ones.
//! - The SQLite tables, which have threads: an office folds into memory here. Their confluence is
//!   checked after the simulated time ([`tables`]).
//! - The vault and the files of the keys lie in real folders and lose nothing; no fact of the
//!   generated work has a sealed part.
//!
//! # Modules
//! [`chance`] and [`trace`]; [`machine`] is a computer with an office's disk, [`country`] all of
//! them; [`host`] is what runs on one, over [`network`], with [`work`] to do; [`faults`] is what
//! happens to it; [`audit`] watches from outside; [`run`] is one seed from beginning to end.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

pub mod audit;
pub mod chance;
pub mod country;
pub mod faults;
pub mod host;
pub mod machine;
pub mod network;
pub mod run;
pub mod tables;
pub mod trace;
pub mod work;
