//! What is said of attachments: sealed files that records name and that follow them.
//!
//! ```text
//! asker    AttachmentWanted{record, hash, offset, length}   one or two at a time
//! other    AttachmentPiece{hash, offset, bytes}             exactly what was asked for, or
//!          AttachmentAbsent{hash}                           it cannot be had here
//! ```
//! Each question has one answer, in the order of the questions. The asker durably holds the record;
//! the other side gives out only what a record of a log that both share names.

use std::fmt;

use evidence::hash::{Hash, hex};
use evidence::log::LogName;

/// The feature of [`Hello::features`](super::Hello::features) that stands for
/// [`AttachmentMessage`].
pub const ATTACHMENTS: &str = "attachments";

/// What is said of attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentMessage {
    /// Bytes of an attachment are asked for.
    Wanted(AttachmentWanted),
    /// Here they are.
    Piece(AttachmentPiece),
    /// They cannot be had from the sender, now.
    Absent(AttachmentAbsent),
}

/// Asks for bytes of an attachment that a record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentWanted {
    /// The log of the record.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The record's sequence.
    pub seq: u64,
    /// The attachment: SHA-256 of its bytes.
    pub hash: Hash,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many, at least 1, at most [`PIECE`](crate::limits::PIECE).
    pub length: u32,
}

/// Bytes of an attachment, as many as were asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct AttachmentPiece {
    /// The attachment.
    pub hash: Hash,
    /// Where the bytes begin.
    pub offset: u64,
    /// The bytes. They are encrypted.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for AttachmentPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hash, size) = (hex(&self.hash[..4]), self.bytes.len());
        write!(f, "AttachmentPiece({hash}, {size} bytes from {})", self.offset)
    }
}

/// An attachment cannot be had from the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentAbsent {
    /// The attachment.
    pub hash: Hash,
}
