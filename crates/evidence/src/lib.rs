//! What a record is and how it is proved.
//!
//! Scope: the stored bytes of a record and their commitments, the Merkle tree of a log
//! (RFC 6962, RFC 9162), signed notes, checkpoints and cosignatures (C2SP), and the gate that
//! every record of another office passes before it may enter a mirror. Everything here is pure:
//! bytes in, bytes or a typed error out. The formats are written down byte by byte in `FORMAT.md`.
//!
//! Not in scope: storage and durability (`journal`), who may say what (`identity`), what the open
//! and sealed bodies mean (`domain`, `wire`), encryption of the sealed part (`vault`), the
//! conversation between offices (`replication`). This crate reads no clock and draws no random
//! numbers.
//!
//! Rules for every format here: `decode(encode(x)) == x`, each accepted byte string re-encodes to
//! itself, no input panics, every length has a limit, errors name the field and never carry
//! content.
//!
//! * [`hash`]: SHA-256 and its domain-separated uses.
//! * [`log`]: names of logs, positions, origins.
//! * [`record`]: header, draft, record, leaf.
//! * [`merkle`]: frontier, roots, proofs.
//! * [`note`]: signed notes, signers, verifiers.
//! * [`checkpoint`]: signed heads and cosignatures on them.
//! * [`succession`]: one epoch's key names the next one's.
//! * [`verify`]: the only way into a mirror.
//! * [`witness`]: the step of a witness.
//! * [`policy`]: whom an auditor trusts.
//! * [`proof`], [`opening`]: receipts and slips, and what they open.
//! * [`tiles`]: static copies of a log.
//! * [`bundle`]: the folder that an auditor takes away.

pub mod bundle;
pub mod checkpoint;
pub mod hash;
pub mod log;
pub mod merkle;
pub mod note;
pub mod opening;
pub mod policy;
pub mod proof;
pub mod record;
pub mod succession;
mod text;
pub mod tiles;
pub mod verify;
pub mod witness;

pub use hash::Hash;
pub use log::{LogName, Position};
pub use record::{Draft, Header, Record};
