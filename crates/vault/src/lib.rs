//! Keys that seal personal data, kept outside every log.
//!
//! # Scope
//! One key per stream (a person, a case) seals the personal parts of its records. The keys live
//! in one folder, wrapped under the office's root key, in a format of their own (`FORMAT.md` of
//! this crate). The vault makes keys, seals and opens with them, makes them durable, destroys
//! them, and keeps a few named secrets of the office (such as the permutation key of
//! registration numbers). Each key can be wrapped for the national recovery key; another office
//! keeps the wraps.
//!
//! # Order that callers keep
//! 1. [`Vault::key_for`] names the key of a stream and makes a *pending* one where there is none.
//! 2. [`Vault::seal`] seals under it, pending or not.
//! 3. [`Vault::persist`] makes every pending key durable, with one fdatasync.
//! 4. Only then may the journal commit the record. A record whose key is not durable would be
//!    acknowledged and unreadable after a power cut.
//!
//! # Not in scope
//! Who may open what (`node`), wrapping of keys for other offices, custodians who hold the
//! recovery key together, replacement of the root key after an erasure, accounts. None of these
//! exists yet: until the root key is replaced, a disk block or a backup that still holds the wrap
//! of a destroyed key can be opened by whoever also holds the root key.
//!
//! # Modules
//! * [`root`]: the root key and its file.
//! * [`key`]: key ids, streams, key commitment.
//! * [`vault`](mod@vault): the vault itself.
//! * [`recovery`]: the recovery key, and wraps for it.
//! * [`wraps`]: the wraps of another office's keys.
//! * [`pieces`]: files that are sealed piece by piece.
//! * [`report`]: what opening and checking found.
//! * [`error`]: what can go wrong.
//! * `cipher`, `entry`, `frame`, `scan`, `tail`, `file`, `folder`: the file format and the disk.

mod cipher;
mod entry;
pub mod error;
mod file;
mod folder;
mod frame;
pub mod key;
pub mod pieces;
pub mod recovery;
pub mod report;
pub mod root;
mod scan;
mod tail;
pub mod vault;
pub mod wraps;

pub use error::VaultError;
pub use key::{KeyId, Stream, key_commitment};
pub use recovery::{Recovered, RecoveryPublic, RecoverySecret, Wrap};
pub use report::{CheckReport, OpenReport, TailState};
pub use root::RootKey;
pub use vault::{MAX_NAME, MAX_PLAIN, OVERHEAD, Vault};
pub use wraps::WrapStore;
