//! The record: what a log holds, byte for byte.
//!
//! `stored bytes = blind[32] || header || open body || sealed part`. The header is fixed, versioned
//! and binary, so that journal, evidence and replication read it without knowing what a body
//! means; the open body is opaque here and holds nothing personal, the sealed part is ciphertext.
//! A record is never re-encoded: what was stored is what is hashed, replicated and proved.
//! `FORMAT.md` has the layout.

mod codec;
mod header;
mod stored;
mod text;

pub use codec::{FIXED_HEADER, MAGIC, MAX_ATTACHMENTS, MAX_KEYS, RecordError, VERSION};
pub use header::{
    ActorRef, AttachmentRef, Classification, HeadRef, Header, KeyRef, StreamRef, TraceContext,
    Urgency,
};
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

/// The commitment to a text that a citizen lodged:
/// `SHA-256("adal/statement/v1\n" || salt || text)`. The salt is his, if he wants it.
#[must_use]
pub fn statement_commitment(salt: &[u8; 32], text: &str) -> Hash {
    sha256_parts(&[b"adal/statement/v1\n", salt, text.as_bytes()])
}
