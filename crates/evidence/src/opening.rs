//! Openings: what turns a leaf, which tells nothing, back into what it commits to.
//!
//! ```text
//! adal/opening/v1
//! blind <base64, 32 bytes>
//! header <base64>             the exact bytes of header and open body
//! payload <base64, 32 bytes>  the commitment to the sealed part
//! ```
//!
//! An opening shows the open part of one record to whoever holds it, and binds it: its leaf hash is
//! in the log, or the opening is false. The sealed part stays sealed; with the ciphertext in hand,
//! [`crate::record::payload_commitment`] shows that it is the one. A [`Statement`] does the same
//! for the text that a citizen lodged.

use std::fmt;

use thiserror::Error;

use crate::hash::Hash;
use crate::record::{
    self, BLIND, Header, Leaf, MAX_RECORD, Record, RecordError, header_commitment,
};
use crate::text::{base64, field, from_base64, hash_from_base64};

/// First line of an opening.
const MAGIC: &str = "adal/opening/v1\n";

/// First line of a statement's opening.
const STATEMENT_MAGIC: &str = "adal/statement-opening/v1\n";

/// Largest opening in bytes: that of the largest record.
pub const MAX_OPENING: usize = 400 * 1024;

/// Largest text of a statement in bytes, as the sealed part of a record bounds it.
pub const MAX_STATEMENT: usize = MAX_RECORD;

/// The open part of a record, with the commitment to its sealed part. Its `Debug` shows position,
/// type and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    blind: [u8; BLIND],
    bytes: Vec<u8>,
    payload: Hash,
    header: Header,
    open: usize,
}

/// Why bytes are not an opening, or do not open what they are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpeningError {
    /// More than the allowed bytes.
    #[error("opening of {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Size found, in bytes.
        size: usize,
        /// Size allowed, in bytes.
        limit: usize,
    },
    /// A line that is not as the format says.
    #[error("{field} of the opening is malformed")]
    Malformed {
        /// Which.
        field: &'static str,
    },
    /// Header and open body break the format of records.
    #[error("the opened record is malformed: {0}")]
    Record(#[from] RecordError),
    /// The record says that it has another index.
    #[error("the opening is of record {opened}, not of record {expected}")]
    Index {
        /// Sequence in the opened header.
        opened: u64,
        /// Index asked for.
        expected: u64,
    },
    /// The leaf is not that of the opened record.
    #[error("the opening does not open this leaf")]
    Leaf,
    /// The header commits to another statement, or to none.
    #[error("the record does not commit to this statement")]
    Statement,
}

impl Opening {
    /// The opening of a stored record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            blind: record.blind(),
            bytes: record.header_and_open().to_vec(),
            payload: record.payload_commit(),
            header: record.header().clone(),
            open: record.header_and_open().len() - record.open().len(),
        }
    }

    /// Reads an opening in its only spelling; header and open body must be those of a record.
    ///
    /// # Errors
    /// [`OpeningError`] naming what is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, OpeningError> {
        let malformed = |field| OpeningError::Malformed { field };
        if text.len() > MAX_OPENING {
            return Err(OpeningError::TooLarge { size: text.len(), limit: MAX_OPENING });
        }
        let text = str::from_utf8(text).map_err(|_| malformed("text"))?;
        let rest = text.strip_prefix(MAGIC).ok_or(malformed("first line"))?;
        let (blind, rest) = field(rest, "blind").ok_or(malformed("blind"))?;
        let (header, rest) = field(rest, "header").ok_or(malformed("header"))?;
        let (payload, rest) = field(rest, "payload").ok_or(malformed("payload"))?;
        if !rest.is_empty() {
            return Err(malformed("end"));
        }
        let blind = hash_from_base64(blind).ok_or(malformed("blind"))?;
        let bytes = from_base64(header).ok_or(malformed("header"))?;
        let payload = hash_from_base64(payload).ok_or(malformed("payload"))?;
        let (header, open) = record::parse_open(&bytes)?;
        Ok(Self { blind, bytes, payload, header, open })
    }

    /// The exact text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (blind, header, payload) =
            (base64(&self.blind), base64(&self.bytes), base64(&self.payload));
        format!("{MAGIC}blind {blind}\nheader {header}\npayload {payload}\n").into_bytes()
    }

    /// The header of the opened record.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open body of the opened record.
    #[must_use]
    pub fn open_body(&self) -> &[u8] {
        &self.bytes[self.open..]
    }

    /// The commitment to the sealed part.
    #[must_use]
    pub fn payload_commit(&self) -> Hash {
        self.payload
    }

    /// The log entry that this opens.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        let header = header_commitment(&self.blind, &self.bytes);
        Leaf { seq: self.header.seq, header, payload: self.payload }
    }

    /// The RFC 6962 leaf hash of [`Opening::leaf`].
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        self.leaf().hash()
    }

    /// Checks that this opens the entry `leaf` at `index`.
    ///
    /// # Errors
    /// [`OpeningError::Index`] or [`OpeningError::Leaf`].
    pub fn check(&self, index: u64, leaf: &[u8]) -> Result<(), OpeningError> {
        if self.header.seq != index {
            return Err(OpeningError::Index { opened: self.header.seq, expected: index });
        }
        if self.leaf().to_bytes() == leaf { Ok(()) } else { Err(OpeningError::Leaf) }
    }

    /// Checks that the record commits to this statement.
    ///
    /// # Errors
    /// [`OpeningError::Statement`].
    pub fn check_statement(&self, statement: &Statement) -> Result<(), OpeningError> {
        match self.header.statement {
            Some(commitment) if commitment == statement.commitment() => Ok(()),
            _ => Err(OpeningError::Statement),
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("position", &format_args!("{}", self.header.position()))
            .field("type_code", &self.header.type_code)
            .field("open_len", &self.open_body().len())
            .finish_non_exhaustive()
    }
}

/// A text that a citizen lodged, with the salt of its commitment: his own copy, if he wants one.
/// Its `Debug` shows the length only.
///
/// ```text
/// adal/statement-opening/v1
/// salt <base64, 32 bytes>
/// text <base64 of UTF-8>
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    salt: [u8; 32],
    text: String,
}

impl Statement {
    /// A text and its salt (32 random bytes).
    ///
    /// # Errors
    /// [`OpeningError::TooLarge`] above [`MAX_STATEMENT`].
    pub fn new(salt: [u8; 32], text: &str) -> Result<Self, OpeningError> {
        if text.len() > MAX_STATEMENT {
            return Err(OpeningError::TooLarge { size: text.len(), limit: MAX_STATEMENT });
        }
        Ok(Self { salt, text: text.to_owned() })
    }

    /// Reads a statement in its only spelling.
    ///
    /// # Errors
    /// [`OpeningError`] naming what is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, OpeningError> {
        let malformed = |field| OpeningError::Malformed { field };
        if text.len() > MAX_OPENING {
            return Err(OpeningError::TooLarge { size: text.len(), limit: MAX_OPENING });
        }
        let text = str::from_utf8(text).map_err(|_| malformed("text"))?;
        let rest = text.strip_prefix(STATEMENT_MAGIC).ok_or(malformed("first line"))?;
        let (salt, rest) = field(rest, "salt").ok_or(malformed("salt"))?;
        let (lodged, rest) = field(rest, "text").ok_or(malformed("text"))?;
        if !rest.is_empty() {
            return Err(malformed("end"));
        }
        let salt = hash_from_base64(salt).ok_or(malformed("salt"))?;
        let lodged = from_base64(lodged).ok_or(malformed("text"))?;
        Self::new(salt, str::from_utf8(&lodged).map_err(|_| malformed("text"))?)
    }

    /// The exact text of the opening.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (salt, text) = (base64(&self.salt), base64(self.text.as_bytes()));
        format!("{STATEMENT_MAGIC}salt {salt}\ntext {text}\n").into_bytes()
    }

    /// The lodged text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a header holds of it: `SHA-256("adal/statement/v1\n" || salt || text)`.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        record::statement_commitment(&self.salt, &self.text)
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("len", &self.text.len()).finish_non_exhaustive()
    }
}
