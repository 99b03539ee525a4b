//! What the follower says of its position.

use evidence::hash::Hash;
use evidence::log::LogName;

/// The feature of [`Hello::features`](super::Hello::features) that stands for [`Held::cosigned`].
pub const EARLIER_LINES: &str = "earlier-lines";

/// What the follower durably holds of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Number of records durably held, the true position to go on from.
    pub size: u64,
    /// Merkle root over these records.
    pub root: Hash,
    /// Mirror cosignature (one signature line of a note) of the signed head of this size, or of
    /// [`Held::cosigned`], once everything below that head is durable; `None` while the follower is
    /// behind the head.
    pub cosignature: Option<String>,
    /// Size of the head that is co-signed, if it is an earlier one than that of `size` records:
    /// what its records name had still to come when they were held. Said only to a peer that knows
    /// [`EARLIER_LINES`].
    pub cosigned: Option<u64>,
}
