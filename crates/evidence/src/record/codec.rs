//! The bytes of the header, version 1: all numbers big-endian, layout in `FORMAT.md`.

use thiserror::Error;

use super::header::{
    ActorRef, AttachmentRef, Classification, HeadRef, Header, KeyRef, StreamRef, TraceContext,
    Urgency,
};
use super::text::{ShortText, ShortTextError};
use super::{BLIND, MAX_RECORD};
use crate::log::{LogName, LogNameError, MAX_TREE_SIZE};

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

const HAS_CENTRE_HEAD: u8 = 1;
const HAS_STATEMENT: u8 = 2;
const HAS_TRACE: u8 = 4;

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
fn check(header: &Header) -> Result<(), RecordError> {
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
fn count(field: &'static str, count: usize, limit: usize) -> Result<(), RecordError> {
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

/// Reads fields from the front of the remaining bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next `N` bytes.
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RecordError::Truncated { field })?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next byte.
    fn u8(&mut self, field: &'static str) -> Result<u8, RecordError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    /// The next two bytes as a number.
    fn u16(&mut self, field: &'static str) -> Result<u16, RecordError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// The next four bytes as a number.
    fn u32(&mut self, field: &'static str) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// The next eight bytes as a number.
    fn u64(&mut self, field: &'static str) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    /// The next eight bytes as a signed number.
    fn i64(&mut self, field: &'static str) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// The next `len` bytes as text.
    fn text(&mut self, field: &'static str, len: u8) -> Result<&'a str, RecordError> {
        let cut = self.0.split_at_checked(usize::from(len));
        let (head, rest) = cut.ok_or(RecordError::Truncated { field })?;
        self.0 = rest;
        str::from_utf8(head).map_err(|_| RecordError::Ascii { field })
    }

    /// The next `len` bytes as a short text.
    fn short(&mut self, field: &'static str, len: u8) -> Result<ShortText, RecordError> {
        let text = self.text(field, len)?;
        ShortText::new(text).map_err(|source| RecordError::Text { field, source })
    }
}

/// The fields between the fixed values and the variable part.
struct Counts {
    flags: u8,
    log: u8,
    zone: u8,
    post: u8,
    keys: u8,
    attachments: u8,
}

/// Reads the stored bytes of a record; the exact inverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<(Header, Layout), RecordError> {
    if bytes.len() > MAX_RECORD {
        return Err(RecordError::TooLarge { size: bytes.len() });
    }
    let mut reader = Reader(bytes);
    reader.array::<BLIND>("blind")?;
    if reader.array::<4>("magic")? != MAGIC {
        return Err(RecordError::Magic);
    }
    let version = reader.u16("version")?;
    if version != VERSION {
        return Err(RecordError::Version { found: version });
    }
    let stated = usize::from(reader.u16("header_len")?);
    // Sums of three numbers of at most 32 bits cannot wrap 64 bits.
    let open_len = u64::from(reader.u32("open_len")?);
    let sealed_len = u64::from(reader.u32("sealed_len")?);
    let before = reader.0.len();
    let header = get_header(&mut reader)?;
    let actual = 16 + before - reader.0.len();
    if actual != stated {
        return Err(RecordError::HeaderLength { stated, actual });
    }
    let left = reader.0.len() as u64;
    if left < open_len {
        return Err(RecordError::Truncated { field: "open" });
    }
    if left < open_len + sealed_len {
        return Err(RecordError::Truncated { field: "sealed" });
    }
    if left > open_len + sealed_len {
        return Err(RecordError::Trailing { count: (left - open_len - sealed_len) as usize });
    }
    let open = BLIND + actual;
    Ok((header, Layout { open, sealed: open + open_len as usize }))
}

/// The header behind its lengths.
fn get_header(reader: &mut Reader<'_>) -> Result<Header, RecordError> {
    let event_id = reader.array("event_id")?;
    let command_id = reader.array("command_id")?;
    let causation_id = reader.array("causation_id")?;
    let correlation_id = reader.array("correlation_id")?;
    let stream = StreamRef { kind: reader.u16("stream.kind")?, id: reader.array("stream.id")? };
    let stream_version = reader.u32("stream_version")?;
    let epoch = reader.u32("epoch")?;
    let seq = reader.u64("seq")?;
    let type_code = reader.u32("type_code")?;
    let schema_version = reader.u16("schema_version")?;
    let occurred_at = reader.i64("occurred_at")?;
    let recorded_at = reader.i64("recorded_at")?;
    let person = reader.array("actor.person")?;
    let acting_for = reader.array("actor.acting_for")?;
    let policy_version = reader.u32("policy_version")?;
    let calendar_version = reader.u32("calendar_version")?;
    let classifier_version = reader.u32("classifier_version")?;
    let classification = code(reader, "classification", Classification::from_code)?;
    let urgency = code(reader, "urgency", Urgency::from_code)?;
    let counts = get_counts(reader)?;
    let log = reader.text("log", counts.log)?;
    let log = LogName::new(log).map_err(RecordError::Log)?;
    let zone = reader.short("zone", counts.zone)?;
    let post = reader.short("actor.post", counts.post)?;
    let centre_head = optional(counts.flags, HAS_CENTRE_HEAD, || get_head(reader))?;
    let statement = optional(counts.flags, HAS_STATEMENT, || reader.array("statement"))?;
    let trace = optional(counts.flags, HAS_TRACE, || get_trace(reader))?;
    let keys = (0..counts.keys).map(|_| get_key(reader)).collect::<Result<_, _>>()?;
    let attachments =
        (0..counts.attachments).map(|_| get_attachment(reader)).collect::<Result<_, _>>()?;
    let actor = ActorRef { person, post, acting_for };
    let header = Header {
        event_id,
        log,
        epoch,
        seq,
        stream,
        stream_version,
        type_code,
        schema_version,
        occurred_at,
        recorded_at,
        zone,
        actor,
        command_id,
        causation_id,
        correlation_id,
        policy_version,
        calendar_version,
        classifier_version,
        classification,
        urgency,
        centre_head,
        statement,
        keys,
        attachments,
        trace,
    };
    check(&header)?;
    Ok(header)
}

/// One byte that must be a known code.
fn code<T>(
    reader: &mut Reader<'_>,
    field: &'static str,
    known: fn(u8) -> Option<T>,
) -> Result<T, RecordError> {
    let found = reader.u8(field)?;
    known(found).ok_or(RecordError::Value { field, found: u64::from(found) })
}

/// The value behind a flag, if the flag is set.
fn optional<T>(
    flags: u8,
    flag: u8,
    read: impl FnOnce() -> Result<T, RecordError>,
) -> Result<Option<T>, RecordError> {
    if flags & flag == 0 { Ok(None) } else { read().map(Some) }
}

/// Flags, lengths and counts.
fn get_counts(reader: &mut Reader<'_>) -> Result<Counts, RecordError> {
    let flags = reader.u8("flags")?;
    if flags & !(HAS_CENTRE_HEAD | HAS_STATEMENT | HAS_TRACE) != 0 {
        return Err(RecordError::Value { field: "flags", found: u64::from(flags) });
    }
    let counts = Counts {
        flags,
        log: reader.u8("log_len")?,
        zone: reader.u8("zone_len")?,
        post: reader.u8("post_len")?,
        keys: reader.u8("key_count")?,
        attachments: reader.u8("attachment_count")?,
    };
    // Before anything is allocated for them.
    count("keys", usize::from(counts.keys), MAX_KEYS)?;
    count("attachments", usize::from(counts.attachments), MAX_ATTACHMENTS)?;
    Ok(counts)
}

/// The centre's head.
fn get_head(reader: &mut Reader<'_>) -> Result<HeadRef, RecordError> {
    let size = reader.u64("centre_head.size")?;
    Ok(HeadRef { size, root: reader.array("centre_head.root")? })
}

/// The trace context.
fn get_trace(reader: &mut Reader<'_>) -> Result<TraceContext, RecordError> {
    let trace_id = reader.array("trace.trace_id")?;
    let span_id = reader.array("trace.span_id")?;
    Ok(TraceContext { trace_id, span_id, flags: reader.u8("trace.flags")? })
}

/// One key.
fn get_key(reader: &mut Reader<'_>) -> Result<KeyRef, RecordError> {
    let id = reader.array("keys.id")?;
    Ok(KeyRef { id, commitment: reader.array("keys.commitment")? })
}

/// One attachment.
fn get_attachment(reader: &mut Reader<'_>) -> Result<AttachmentRef, RecordError> {
    let hash = reader.array("attachments.hash")?;
    let size = reader.u64("attachments.size")?;
    Ok(AttachmentRef { hash, size, media: reader.u16("attachments.media")? })
}
