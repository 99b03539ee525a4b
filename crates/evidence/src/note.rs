//! Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures.
//!
//! Signature types: `0x01` Ed25519 over the text (a log) and `0x04` timestamped Ed25519
//! cosignatures (C2SP tlog-cosignature v1). Lines of other keys and types are kept and ignored, so
//! another signature type can be added with no change of format. Base64 is the standard alphabet
//! with padding, in its only spelling.

mod key;
mod signed;

use thiserror::Error;

pub(crate) use key::check_name;
pub use key::{Kind, Signer, Verifier, key_id};
pub use signed::{NoteSignature, SignedNote};

/// Largest note in bytes.
pub const MAX_NOTE: usize = 256 * 1024;

/// Most signature lines of a note (the format asks for at least 16).
pub const MAX_SIGNATURES: usize = 64;

/// Longest key name in bytes.
pub const MAX_KEY_NAME: usize = 255;

/// Why a key, note, checkpoint or cosignature is refused. It carries no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// More than [`MAX_NOTE`] bytes.
    #[error("note of {size} bytes, at most {MAX_NOTE} are allowed")]
    TooLarge {
        /// Size found, in bytes.
        size: usize,
    },
    /// No text that ends with a newline, or no empty line before the signatures.
    #[error("note is not a text, an empty line and signature lines")]
    Shape,
    /// An ASCII control character other than newline.
    #[error("note has a control character at byte {at}")]
    Control {
        /// Offset of the first one.
        at: usize,
    },
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A signature line that is not `— name base64`.
    #[error("signature line {line} of the note is malformed")]
    Line {
        /// Which one, from 1.
        line: usize,
    },
    /// A key name that is empty, too long, or has a space or a plus.
    #[error("key name is empty, longer than {MAX_KEY_NAME} bytes, or has a space or a plus")]
    Name,
    /// A verifier key that is not `name+hash+base64`.
    #[error("verifier key: {field} is malformed")]
    VerifierKey {
        /// Which part.
        field: &'static str,
    },
    /// Bytes that are not an Ed25519 public key, or a weak one.
    #[error("not an Ed25519 public key that can be trusted")]
    PublicKey,
    /// A signature type that this crate does not know.
    #[error("signature type {found:#04x} is not known")]
    UnknownKind {
        /// Type byte found.
        found: u8,
    },
    /// A key of the other kind than this use needs.
    #[error("a {expected} key is needed here")]
    Kind {
        /// Kind needed.
        expected: Kind,
    },
    /// The note has no signature of this key.
    #[error("the note is not signed by this key")]
    NotSigned,
    /// The signature of this key is wrong.
    #[error("the signature does not verify")]
    Signature,
    /// A field of the checkpoint's body is malformed.
    #[error("checkpoint: {field} is malformed")]
    Checkpoint {
        /// Which one.
        field: &'static str,
    },
    /// The checkpoint's origin is not the name of the log's key.
    #[error("checkpoint: its origin is not the name of the key")]
    Origin,
    /// A cosignature's time above 2^63-1.
    #[error("cosignature: time {time} is above 2^63-1")]
    Time {
        /// Time found, seconds since 1970.
        time: u64,
    },
}
