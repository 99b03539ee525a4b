//! Facts of an integrity stream.

use crate::code::{Code, LogId};
use crate::macros::facts;

/// Reason of [`LogClosed`]: the closed epoch's own key named its successor.
pub const SUCCEEDED: Code = Code::from_static("succeeded");
/// Reason of [`LogClosed`]: the old key was lost, and the centre enrolled a new one.
pub const REKEYED: Code = Code::from_static("rekeyed");

/// The newest head of one log and epoch that the centre co-signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedHead {
    /// The log.
    pub log: LogId,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// SHA-256 of the checkpoint's body: the signed text, without signatures.
    pub digest: [u8; 32],
}

/// The newest accepted head of every enrolled log at one moment (log `kz/all`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadsAccepted {
    /// The heads, at most [`crate::limits::ACCEPTED_HEADS`]; unchanged ones are repeated.
    pub heads: Vec<AcceptedHead>,
}

/// First record of every epoch but the first: what its writer knows of the epoch before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSucceeds {
    /// The log, which is the one that this record stands in.
    pub log: LogId,
    /// The epoch that ended.
    pub epoch: u32,
    /// Number of records of it that the writer holds.
    pub size: u64,
    /// Merkle root over these records.
    pub root: [u8; 32],
}

/// The centre closed an epoch of a log (log `kz/all`): its size is final, its successor has this
/// key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogClosed {
    /// The log.
    pub log: LogId,
    /// The epoch that is closed.
    pub epoch: u32,
    /// Its final size: the largest that the centre co-signed, or the writer closed it at.
    pub size: u64,
    /// Merkle root over these records.
    pub root: [u8; 32],
    /// The epoch that goes on.
    pub successor_epoch: u32,
    /// Ed25519 public key of the successor.
    pub successor_key: [u8; 32],
    /// Why the successor's key is believed: [`SUCCEEDED`] or [`REKEYED`].
    pub reason: Code,
    /// First record that was co-signed and that nobody holds any more; `None`: none is missing.
    pub missing_from: Option<u64>,
    /// The record behind the last missing one.
    pub missing_to: Option<u64>,
}

/// Last record of an epoch whose key was changed while it was in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotated {
    /// The log, which is the one that this record stands in.
    pub log: LogId,
    /// The epoch that ends with this record.
    pub epoch: u32,
    /// Ed25519 public key of the next epoch.
    pub successor_key: [u8; 32],
}

/// The exact stored bytes of a record. `Debug` shows how many there are, never what they hold.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredBytes(pub Vec<u8>);

impl std::fmt::Debug for StoredBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredBytes({} bytes)", self.0.len())
    }
}

/// A record of an epoch that was abandoned was found later, on an old disk: nobody held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecovered {
    /// The log, which is the one that this record stands in.
    pub log: LogId,
    /// The epoch that the found record belongs to.
    pub epoch: u32,
    /// Its sequence there.
    pub sequence: u64,
    /// Its leaf hash.
    pub leaf: [u8; 32],
    /// Its exact bytes; `None` where they do not fit into another record.
    pub record: Option<StoredBytes>,
    /// Whether its fact was entered beside this one. If not, it stands here alone: its stream went
    /// on meanwhile, or its command was carried out again.
    pub entered: bool,
    /// The head, signed by the key of that epoch, that the log leads to with this and the other
    /// recovered records; `None` where none covers it.
    pub head: Option<String>,
}

facts! {
    /// Facts of an integrity stream.
    IntegrityFact in Integrity, Integrity {
        /// Heads were accepted.
        HeadsAccepted(HeadsAccepted) = 1, "heads.accepted";
        /// An epoch begins.
        Succeeds(LogSucceeds) = 2, "log.succeeds";
        /// An epoch is closed.
        Closed(LogClosed) = 3, "log.closed";
        /// An epoch ends with a new key.
        KeyRotated(KeyRotated) = 4, "key.rotated";
        /// A record was found later.
        Recovered(LogRecovered) = 5, "log.recovered";
    }
}
