//! The record: what a log holds, byte for byte.
//!
//! `stored bytes = blind[32] || header || open body || sealed part`. The header is fixed, versioned
//! and binary, so that journal, evidence and replication read it without knowing what a body
//! means; the open body is opaque here and holds nothing personal, the sealed part is ciphertext.
//! A record is never re-encoded: what was stored is what is hashed, replicated and proved.
//! `FORMAT.md` has the layout.

mod codec;
mod decode;
mod header;
mod leaf;
mod stored;
mod text;

pub use codec::{FIXED_HEADER, MAGIC, MAX_ATTACHMENTS, MAX_KEYS, RecordError, VERSION};
pub use header::{
    ActorRef, AttachmentRef, Classification, HeadRef, Header, KeyRef, StreamRef, TraceContext,
    Urgency,
};
pub use leaf::{Leaf, LeafError, MAX_LEAF};
pub use stored::{Draft, Record, RecordView};
pub use text::{MAX_SHORT_TEXT, ShortText, ShortTextError};

use crate::hash::{Hash, sha256_parts};

/// Largest record in stored bytes, blind and header included: 256 KiB.
pub const MAX_RECORD: usize = 256 * 1024;

/// Bytes of the blind in front of the header.
pub const BLIND: usize = 32;

/// The commitment to a key that a header holds: `SHA-256("adal/key/v1\n" || key)`. AEADs do not
/// commit to their key, so the header does.
#[must_use]
pub fn key_commitment(key: &[u8; 32]) -> Hash {
    sha256_parts(&[b"adal/key/v1\n", key])
}

/// The commitment to what is open of a record:
/// `SHA-256("adal/header/v1\n" || blind || header || open body)`.
#[must_use]
pub fn header_commitment(blind: &[u8; BLIND], header_and_open: &[u8]) -> Hash {
    sha256_parts(&[b"adal/header/v1\n", blind, header_and_open])
}

/// The commitment to what is sealed of a record: `SHA-256("adal/payload/v1\n" || sealed part)`.
#[must_use]
pub fn payload_commitment(sealed: &[u8]) -> Hash {
    sha256_parts(&[b"adal/payload/v1\n", sealed])
}

/// Reads header and open body without blind and sealed part, as an opening shows them, and says
/// where the open body starts.
///
/// # Errors
/// [`RecordError`] naming the field that breaks the format.
pub(crate) fn parse_open(header_and_open: &[u8]) -> Result<(Header, usize), RecordError> {
    decode::decode_open(header_and_open)
}

/// The commitment to a text that a citizen lodged:
/// `SHA-256("adal/statement/v1\n" || salt || text)`. The salt is his, if he wants it.
#[must_use]
pub fn statement_commitment(salt: &[u8; 32], text: &str) -> Hash {
    sha256_parts(&[b"adal/statement/v1\n", salt, text.as_bytes()])
}
