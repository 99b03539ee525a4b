//! Writing the bytes of the header, version 1: all numbers big-endian, layout in `FORMAT.md`.

use thiserror::Error;

use super::header::Header;
use super::text::ShortTextError;
use super::{BLIND, MAX_RECORD};
use crate::log::{LogNameError, MAX_TREE_SIZE};

/// First bytes of every header.
pub const MAGIC: [u8; 4] = *b"ADAL";

/// The version of the header that this crate writes and reads.
pub const VERSION: u16 = 1;

/// Bytes of the fixed part of the header, magic included.
pub const FIXED_HEADER: usize = 188;

/// Most keys that a header names.
pub const MAX_KEYS: usize = 64;

/// Most attachments that a header names.
pub const MAX_ATTACHMENTS: usize = 64;

pub(super) const HAS_CENTRE_HEAD: u8 = 1;
pub(super) const HAS_STATEMENT: u8 = 2;
pub(super) const HAS_TRACE: u8 = 4;

/// Why a draft cannot be encoded, or bytes are not a record. It names the field and carries no
/// content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// More than [`MAX_RECORD`] bytes.
    #[error("record of {size} bytes, at most {MAX_RECORD} are allowed")]
    TooLarge {
        /// Size found, in bytes.
        size: usize,
    },
    /// The bytes end inside this field.
    #[error("record ends inside {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// Bytes behind the end that the lengths state.
    #[error("record has {count} bytes behind its end")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// The header does not start with [`MAGIC`].
    #[error("record has no magic in front of its header")]
    Magic,
    /// A version of the header that this crate does not know.
    #[error("record header has version {found}, only {VERSION} is known")]
    Version {
        /// Version found.
        found: u16,
    },
    /// The stated length of the header is not that of its fields.
    #[error("record header states {stated} bytes, its fields take {actual}")]
    HeaderLength {
        /// Length stated, in bytes.
        stated: usize,
        /// Length of the fields, in bytes.
        actual: usize,
    },
    /// A number that the field does not allow.
    #[error("record field {field} has the value {found}, which is not allowed")]
    Value {
        /// The field.
        field: &'static str,
        /// Value found.
        found: u64,
    },
    /// More items than the field allows.
    #[error("record field {field} has {count} items, at most {limit} are allowed")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Items found.
        count: usize,
        /// Items allowed.
        limit: usize,
    },
    /// The log is not a log name.
    #[error("record field log: {0}")]
    Log(LogNameError),
    /// A text that the field does not allow.
    #[error("record field {field}: {source}")]
    Text {
        /// The field.
        field: &'static str,
        /// Why.
        source: ShortTextError,
    },
    /// A text field that is not ASCII.
    #[error("record field {field} is not ASCII")]
    Ascii {
        /// The field.
        field: &'static str,
    },
}

/// Offsets in the stored bytes that the lengths of the header state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the open body starts.
    pub open: usize,
    /// Where the sealed part starts.
    pub sealed: usize,
}

/// The rules on values that hold for writing and for reading.
pub(super) fn check(header: &Header) -> Result<(), RecordError> {
    let value = |field, found| Err(RecordError::Value { field, found });
    if header.epoch == 0 {
        return value("epoch", 0);
    }
    if header.seq >= MAX_TREE_SIZE {
        return value("seq", header.seq);
    }
    if header.stream_version == 0 {
        return value("stream_version", 0);
    }
    if let Some(head) = header.centre_head.filter(|head| head.size > MAX_TREE_SIZE) {
        return value("centre_head.size", head.size);
    }
    count("keys", header.keys.len(), MAX_KEYS)?;
    count("attachments", header.attachments.len(), MAX_ATTACHMENTS)
}

/// Refuses more than `limit` items.
pub(super) fn count(field: &'static str, count: usize, limit: usize) -> Result<(), RecordError> {
    if count > limit { Err(RecordError::TooMany { field, count, limit }) } else { Ok(()) }
}

/// Bytes that the header takes.
fn header_len(header: &Header) -> usize {
    FIXED_HEADER
        + header.log.as_str().len()
        + header.zone.as_str().len()
        + header.actor.post.as_str().len()
        + header.centre_head.map_or(0, |_| 40)
        + header.statement.map_or(0, |_| 32)
        + header.trace.map_or(0, |_| 25)
        + header.keys.len() * 48
        + header.attachments.len() * 42
}

/// Bytes that a record takes, all limits checked.
pub(super) fn encoded_len(
    header: &Header,
    open: usize,
    sealed: usize,
) -> Result<usize, RecordError> {
    check(header)?;
    let size = (BLIND + header_len(header)).saturating_add(open).saturating_add(sealed);
    if size > MAX_RECORD { Err(RecordError::TooLarge { size }) } else { Ok(size) }
}

/// The stored bytes of a record and where its parts start.
pub(super) fn encode(
    header: &Header,
    blind: &[u8; BLIND],
    open: &[u8],
    sealed: &[u8],
) -> Result<(Vec<u8>, Layout), RecordError> {
    let size = encoded_len(header, open.len(), sealed.len())?;
    let head = header_len(header);
    let layout = Layout { open: BLIND + head, sealed: BLIND + head + open.len() };
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(blind);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    // The limits above keep the lengths far inside their types.
    out.extend_from_slice(&(head as u16).to_be_bytes());
    out.extend_from_slice(&(open.len() as u32).to_be_bytes());
    out.extend_from_slice(&(sealed.len() as u32).to_be_bytes());
    put_fixed(&mut out, header);
    put_variable(&mut out, header);
    out.extend_from_slice(open);
    out.extend_from_slice(sealed);
    Ok((out, layout))
}

/// The fixed part behind the lengths.
fn put_fixed(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(&header.event_id);
    out.extend_from_slice(&header.command_id);
    out.extend_from_slice(&header.causation_id);
    out.extend_from_slice(&header.correlation_id);
    out.extend_from_slice(&header.stream.kind.to_be_bytes());
    out.extend_from_slice(&header.stream.id);
    out.extend_from_slice(&header.stream_version.to_be_bytes());
    out.extend_from_slice(&header.epoch.to_be_bytes());
    out.extend_from_slice(&header.seq.to_be_bytes());
    out.extend_from_slice(&header.type_code.to_be_bytes());
    out.extend_from_slice(&header.schema_version.to_be_bytes());
    out.extend_from_slice(&header.occurred_at.to_be_bytes());
    out.extend_from_slice(&header.recorded_at.to_be_bytes());
    out.extend_from_slice(&header.actor.person);
    out.extend_from_slice(&header.actor.acting_for);
    out.extend_from_slice(&header.policy_version.to_be_bytes());
    out.extend_from_slice(&header.calendar_version.to_be_bytes());
    out.extend_from_slice(&header.classifier_version.to_be_bytes());
    out.push(header.classification.code());
    out.push(header.urgency.code());
    out.push(
        header.centre_head.map_or(0, |_| HAS_CENTRE_HEAD)
            | header.statement.map_or(0, |_| HAS_STATEMENT)
            | header.trace.map_or(0, |_| HAS_TRACE),
    );
    out.push(header.log.as_str().len() as u8);
    out.push(header.zone.as_str().len() as u8);
    out.push(header.actor.post.as_str().len() as u8);
    out.push(header.keys.len() as u8);
    out.push(header.attachments.len() as u8);
}

/// The part whose length depends on the values.
fn put_variable(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(header.log.as_str().as_bytes());
    out.extend_from_slice(header.zone.as_str().as_bytes());
    out.extend_from_slice(header.actor.post.as_str().as_bytes());
    if let Some(head) = &header.centre_head {
        out.extend_from_slice(&head.size.to_be_bytes());
        out.extend_from_slice(&head.root);
    }
    if let Some(statement) = &header.statement {
        out.extend_from_slice(statement);
    }
    if let Some(trace) = &header.trace {
        out.extend_from_slice(&trace.trace_id);
        out.extend_from_slice(&trace.span_id);
        out.push(trace.flags);
    }
    for key in &header.keys {
        out.extend_from_slice(&key.id);
        out.extend_from_slice(&key.commitment);
    }
    for attachment in &header.attachments {
        out.extend_from_slice(&attachment.hash);
        out.extend_from_slice(&attachment.size.to_be_bytes());
        out.extend_from_slice(&attachment.media.to_be_bytes());
    }
}
