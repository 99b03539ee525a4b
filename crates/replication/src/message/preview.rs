//! An urgent record that is shown ahead of the backlog.

use std::fmt;

use evidence::hash::Hash;
use evidence::log::LogName;

/// The feature of [`Hello::features`](super::Hello::features) that stands for [`Preview`].
pub const PREVIEWS: &str = "previews";

/// An urgent record of a log that the sender writes, for people to see before its turn comes. It
/// is not answered, and nothing of it is held: it comes again among [`Entries`](super::Entries).
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The record's sequence.
    pub seq: u64,
    /// Size of the head that the receiver accepted last and the proof leads to.
    pub head_size: u64,
    /// Exact stored bytes of the record.
    pub record: Vec<u8>,
    /// Inclusion proof of the record in the tree of `head_size` records.
    pub proof: Vec<Hash>,
}

impl fmt::Debug for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Preview { log, epoch, seq, head_size, record, .. } = self;
        write!(f, "Preview({log} {epoch}, {seq} of {head_size}, {} bytes)", record.len())
    }
}
