//! Drafts and stored records, and the commitments over their bytes.

use std::fmt;

use super::codec::{self, Layout, RecordError};
use super::decode;
use super::header::Header;
use super::leaf::Leaf;
use super::{BLIND, payload_commitment};
use crate::hash::{Hash, sha256_parts};

/// A record that is not stored yet. Its `Debug` shows the header and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The header; the journal sets log, epoch, seq, stream version and `recorded_at`.
    pub header: Header,
    /// 32 random bytes that keep exported leaves from being guessed.
    pub blind: [u8; BLIND],
    /// The open body: nothing personal.
    pub open: Vec<u8>,
    /// The sealed part: nonce, ciphertext and tag; empty if nothing is sealed.
    pub sealed: Vec<u8>,
}

impl Draft {
    /// The stored bytes of the record.
    ///
    /// # Errors
    /// [`RecordError`] if a field breaks its limit or the whole exceeds [`super::MAX_RECORD`].
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        codec::encode(&self.header, &self.blind, &self.open, &self.sealed).map(|(bytes, _)| bytes)
    }

    /// Bytes that [`Draft::encode`] gives, without building them.
    ///
    /// # Errors
    /// As [`Draft::encode`].
    pub fn encoded_len(&self) -> Result<usize, RecordError> {
        codec::encoded_len(&self.header, self.open.len(), self.sealed.len())
    }

    /// The record with these bytes, without parsing them again.
    ///
    /// # Errors
    /// As [`Draft::encode`].
    pub fn into_record(self) -> Result<Record, RecordError> {
        let (bytes, layout) = codec::encode(&self.header, &self.blind, &self.open, &self.sealed)?;
        Ok(Record { bytes, header: self.header, layout })
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("header", &self.header)
            .field("open_len", &self.open.len())
            .field("sealed_len", &self.sealed.len())
            .finish_non_exhaustive()
    }
}

/// A record that owns its stored bytes. Its `Debug` shows position, type and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    bytes: Vec<u8>,
    header: Header,
    layout: Layout,
}

impl Record {
    /// Reads stored bytes; they stay as they are.
    ///
    /// # Errors
    /// [`RecordError`] naming the field that breaks the format.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, RecordError> {
        let (header, layout) = decode::decode(&bytes)?;
        Ok(Self { bytes, header, layout })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The blind.
    #[must_use]
    pub fn blind(&self) -> [u8; BLIND] {
        let mut blind = [0; BLIND];
        blind.copy_from_slice(&self.bytes[..BLIND]);
        blind
    }

    /// The open body.
    #[must_use]
    pub fn open(&self) -> &[u8] {
        &self.bytes[self.layout.open..self.layout.sealed]
    }

    /// The sealed part.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.bytes[self.layout.sealed..]
    }

    /// The exact bytes of header and open body, which [`Record::header_commit`] covers and an
    /// opening shows.
    #[must_use]
    pub fn header_and_open(&self) -> &[u8] {
        &self.bytes[BLIND..self.layout.sealed]
    }

    /// The stored bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The stored bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The parts again as a draft, for tests and tools; it encodes to the same bytes.
    #[must_use]
    pub fn to_draft(&self) -> Draft {
        let (open, sealed) = (self.open().to_vec(), self.sealed().to_vec());
        Draft { header: self.header.clone(), blind: self.blind(), open, sealed }
    }

    /// `SHA-256("adal/header/v1\n" || blind || header and open-body bytes)`.
    #[must_use]
    pub fn header_commit(&self) -> Hash {
        header_commit(&self.bytes, self.layout)
    }

    /// `SHA-256("adal/payload/v1\n" || sealed bytes)`.
    #[must_use]
    pub fn payload_commit(&self) -> Hash {
        payload_commit(&self.bytes, self.layout)
    }

    /// What the record commits to.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        let (header, payload) = (self.header_commit(), self.payload_commit());
        Leaf { seq: self.header.seq, header, payload }
    }

    /// The log entry:
    /// `adal/leaf/v1\nseq <n>\nheader <base64>\npayload <base64>\n`, about 130 bytes.
    #[must_use]
    pub fn leaf_data(&self) -> Vec<u8> {
        self.leaf().to_bytes()
    }

    /// The RFC 6962 leaf hash of [`Record::leaf_data`].
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        self.leaf().hash()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Record", f, &self.header, self.layout, self.bytes.len())
    }
}

/// A record over borrowed bytes, for reading out of a file without copying. Its `Debug` shows
/// position, type and lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    header: Header,
    layout: Layout,
}

impl<'a> RecordView<'a> {
    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`RecordError`] naming the field that breaks the format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (header, layout) = decode::decode(bytes)?;
        Ok(Self { bytes, header, layout })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open body.
    #[must_use]
    pub fn open(&self) -> &'a [u8] {
        &self.bytes[self.layout.open..self.layout.sealed]
    }

    /// The sealed part.
    #[must_use]
    pub fn sealed(&self) -> &'a [u8] {
        &self.bytes[self.layout.sealed..]
    }

    /// The stored bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The RFC 6962 leaf hash, as [`Record::leaf_hash`].
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        let header = header_commit(self.bytes, self.layout);
        let payload = payload_commit(self.bytes, self.layout);
        Leaf { seq: self.header.seq, header, payload }.hash()
    }

    /// A record with a copy of the bytes.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record { bytes: self.bytes.to_vec(), header: self.header.clone(), layout: self.layout }
    }
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("RecordView", f, &self.header, self.layout, self.bytes.len())
    }
}

/// What may be shown of a record: never its bodies or its blind.
fn debug(
    name: &str,
    f: &mut fmt::Formatter<'_>,
    header: &Header,
    layout: Layout,
    len: usize,
) -> fmt::Result {
    f.debug_struct(name)
        .field("position", &format_args!("{}", header.position()))
        .field("type_code", &header.type_code)
        .field("open_len", &(layout.sealed - layout.open))
        .field("sealed_len", &(len - layout.sealed))
        .finish_non_exhaustive()
}

/// The commitment to blind, header and open body.
fn header_commit(bytes: &[u8], layout: Layout) -> Hash {
    // The stored bytes start with the blind, so one slice is blind, header and open body.
    sha256_parts(&[b"adal/header/v1\n", &bytes[..layout.sealed]])
}

/// The commitment to the sealed part.
fn payload_commit(bytes: &[u8], layout: Layout) -> Hash {
    payload_commitment(&bytes[layout.sealed..])
}
