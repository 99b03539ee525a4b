//! What a session asks of its driver for attachments.

use std::fmt;

use evidence::hash::{Hash, hex};
use evidence::log::LogName;

use super::Failure;

/// An attachment that a record names which is durable here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAttachment {
    /// The log of the record.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The record's sequence.
    pub seq: u64,
    /// The attachment: SHA-256 of its bytes.
    pub hash: Hash,
    /// Its size, as the record says.
    pub size: u64,
}

/// See [`Action::Attachment`](super::Action::Attachment).
#[derive(Debug)]
pub enum AttachmentAsk {
    /// See what is here of an attachment; answer with `attachment_opened`: the bytes that are here,
    /// behind which it goes on. Its size: it is here already.
    Open(OpenAttachment),
    /// Add a piece; answer with `piece_kept`. Asked for in order, one attachment at a time.
    Keep(KeepPiece),
    /// Read a piece for the peer; answer with `piece_read`: the bytes, or `None` if the record does
    /// not name that attachment or its bytes are not here.
    Read(ReadPiece),
    /// An attachment did not come: tell the operator. It is asked for again later. No answer.
    Trouble(AttachmentTrouble),
}

/// Permission to answer one request about an attachment.
#[derive(Debug)]
pub struct AttachmentTicket {
    pub(crate) serial: u64,
}

/// See [`AttachmentAsk::Open`].
#[derive(Debug)]
pub struct OpenAttachment {
    /// Goes back with the answer.
    pub ticket: AttachmentTicket,
    /// The attachment.
    pub named: NamedAttachment,
}

/// Why an attachment is not gone on with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Another link stores it now. It is looked at again soon.
    Busy,
    /// The file with this hash is here, undamaged, and has so many bytes: the record names another
    /// size. Told to the operator; others go on.
    OtherSize(u64),
    /// It cannot be looked at or stored.
    Failed(Failure),
}

/// See [`AttachmentAsk::Keep`].
pub struct KeepPiece {
    /// Goes back with the answer.
    pub ticket: AttachmentTicket,
    /// The attachment.
    pub hash: Hash,
    /// The bytes that follow; none if only the end is wanted.
    pub bytes: Vec<u8>,
    /// With them it is whole: compare the hash, and make it durable under its name.
    pub last: bool,
}

impl fmt::Debug for KeepPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hash, size) = (hex(&self.hash[..4]), self.bytes.len());
        write!(f, "KeepPiece({hash}, {size} bytes, last: {})", self.last)
    }
}

/// Answer to [`KeepPiece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was added.
    Part,
    /// The attachment is whole and durable.
    Whole,
    /// All bytes are here and they are not the attachment; nothing of it is left.
    Other,
}

/// See [`AttachmentAsk::Read`].
#[derive(Debug)]
pub struct ReadPiece {
    /// Goes back with the answer.
    pub ticket: AttachmentTicket,
    /// The log of the record that is said to name it.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The record's sequence.
    pub seq: u64,
    /// The attachment.
    pub hash: Hash,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many.
    pub length: usize,
}

/// See [`AttachmentAsk::Trouble`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentTrouble {
    /// The attachment.
    pub named: NamedAttachment,
    /// What happened and what to do, with the office and the hash.
    pub text: String,
}
