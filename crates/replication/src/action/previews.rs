//! What a session asks of its driver for urgent records ahead of a backlog.

use std::fmt;

use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::record::Record;

/// See [`Action::Preview`](super::Action::Preview).
#[derive(Debug)]
pub enum PreviewAsk {
    /// Look which records of an own log are urgent; answer with `urgent_found`.
    Find(FindUrgent),
    /// Read an urgent record of an own log and its proof; answer with `preview_read`.
    Read(ReadPreview),
    /// The peer shows an urgent record that is not held here yet: show it to people until it is.
    /// It was verified. It is not durable at either's word: never write it to the mirror. No
    /// answer.
    Show(Box<Previewed>),
}

/// Permission to answer one [`FindUrgent`] or [`ReadPreview`].
#[derive(Debug)]
pub struct PreviewTicket {
    pub(crate) slot: usize,
    pub(crate) serial: u64,
}

/// See [`PreviewAsk::Find`].
#[derive(Debug)]
pub struct FindUrgent {
    /// Goes back with the answer.
    pub ticket: PreviewTicket,
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The first record to look at.
    pub from: u64,
    /// The first one not to look at.
    pub end: u64,
}

/// See [`PreviewAsk::Read`].
#[derive(Debug)]
pub struct ReadPreview {
    /// Goes back with the answer.
    pub ticket: PreviewTicket,
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The record's sequence.
    pub seq: u64,
    /// Size of the signed head that the proof leads to.
    pub head_size: u64,
}

/// Answer to [`ReadPreview`].
pub struct PreviewRead {
    /// Exact stored bytes of the record.
    pub record: Vec<u8>,
    /// Its inclusion proof in the tree of `head_size` records.
    pub proof: Vec<Hash>,
}

impl fmt::Debug for PreviewRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewRead({} bytes)", self.record.len())
    }
}

/// See [`PreviewAsk::Show`].
#[derive(Clone)]
pub struct Previewed {
    /// The record; log, epoch and sequence are in its header.
    pub record: Record,
    /// When it came, wall clock in microseconds since 1970.
    pub at: i64,
}

impl fmt::Debug for Previewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.record.header();
        write!(f, "Previewed({} {}, {})", header.log, header.epoch, header.seq)
    }
}
