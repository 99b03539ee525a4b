//! Why an attachment cannot be stored or read. Hashes are those of ciphertext, and shortened.

use std::io;

use evidence::hash::{Hash, hex};
use thiserror::Error;

/// Why an attachment is not stored. Nothing of it is left, and commits are not affected.
#[derive(Debug, Error)]
pub enum AttachmentError {
    /// More bytes than an attachment may have.
    #[error("the attachment has {found} bytes or more, at most {limit} are allowed")]
    TooLarge {
        /// Bytes seen or announced.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Storing it would leave too little free space.
    #[error("disk full: {free} bytes free, attachments are refused below {watermark}")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The watermark in bytes.
        watermark: u64,
    },
    /// It is not the attachment that was announced.
    #[error("the attachment has another {what} than was announced")]
    Mismatch {
        /// `hash` or `size`.
        what: &'static str,
    },
    /// An earlier write of this writer failed.
    #[error("the attachment was given up after an error")]
    GivenUp,
    /// The operating system refused.
    #[error("{action} an attachment: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Why an attachment cannot be read.
#[derive(Debug, Error)]
pub enum AttachmentReadError {
    /// Its bytes are not those that were stored: they do not hash to its name. What was read of
    /// it before is of no use.
    #[error("attachment {hash} is damaged: {what}")]
    Damaged {
        /// The first 8 hexadecimal digits of its hash.
        hash: String,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// It, or its folder, cannot be read.
    #[error("read attachment {hash}: {source}")]
    Io {
        /// The first digits of its hash: 8, or 2 for a folder.
        hash: String,
        /// Why.
        source: io::Error,
    },
}

impl AttachmentReadError {
    /// An I/O error about an attachment.
    pub(super) fn io(hash: &Hash, source: io::Error) -> Self {
        Self::Io { hash: short(hash), source }
    }
}

/// The first 8 hexadecimal digits of a hash: enough to find a file, too few to test a guess.
pub(crate) fn short(hash: &Hash) -> String {
    hex(&hash[..4])
}
