//! The log entry of a record.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::hash::Hash;
use crate::log::{MAX_TREE_SIZE, decimal};
use crate::merkle;
use crate::text::{base64, field, hash_from_base64};

/// First line of a log entry.
const MAGIC: &str = "adal/leaf/v1\n";

/// Largest log entry in bytes; none is longer than 144.
pub const MAX_LEAF: usize = 256;

/// A log entry: what a record commits to, and nothing that tells anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Index in the log's epoch.
    pub seq: u64,
    /// Commitment to blind, header and open body.
    pub header: Hash,
    /// Commitment to the sealed part.
    pub payload: Hash,
}

/// A text that is not a log entry; names the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} of the log entry is malformed")]
pub struct LeafError {
    /// Which field.
    pub field: &'static str,
}

impl Leaf {
    /// Reads an entry in its only spelling.
    ///
    /// # Errors
    /// [`LeafError`] naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let malformed = |field| LeafError { field };
        if bytes.len() > MAX_LEAF {
            return Err(malformed("length"));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("text"))?;
        let rest = text.strip_prefix(MAGIC).ok_or(malformed("first line"))?;
        let (seq, rest) = field(rest, "seq").ok_or(malformed("seq"))?;
        let (header, rest) = field(rest, "header").ok_or(malformed("header"))?;
        let (payload, rest) = field(rest, "payload").ok_or(malformed("payload"))?;
        if !rest.is_empty() {
            return Err(malformed("end"));
        }
        let seq = decimal(seq).filter(|seq| *seq < MAX_TREE_SIZE).ok_or(malformed("seq"))?;
        let header = hash_from_base64(header).ok_or(malformed("header"))?;
        let payload = hash_from_base64(payload).ok_or(malformed("payload"))?;
        Ok(Self { seq, header, payload })
    }

    /// The exact entry.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// The RFC 6962 leaf hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        merkle::leaf_hash(self.to_string().as_bytes())
    }
}

impl fmt::Display for Leaf {
    /// The exact entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, payload) = (base64(&self.header), base64(&self.payload));
        write!(f, "{MAGIC}seq {}\nheader {header}\npayload {payload}\n", self.seq)
    }
}

impl FromStr for Leaf {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}
