//! Reading the bytes of the header, version 1: the exact inverse of `codec`.

use super::codec::{
    HAS_CENTRE_HEAD, HAS_STATEMENT, HAS_TRACE, Layout, MAGIC, MAX_ATTACHMENTS, MAX_KEYS,
    RecordError, VERSION, check, count,
};
use super::header::{
    ActorRef, AttachmentRef, Classification, HeadRef, Header, KeyRef, StreamRef, TraceContext,
    Urgency,
};
use super::text::ShortText;
use super::{BLIND, MAX_RECORD};
use crate::log::LogName;

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
    let front = get_front(&mut reader)?;
    let (left, open_len) = (reader.0.len() as u64, front.open_len);
    // The sum of two numbers of 32 bits cannot wrap 64 bits.
    let all = open_len + front.sealed_len;
    if left < open_len {
        return Err(RecordError::Truncated { field: "open" });
    }
    if left < all {
        return Err(RecordError::Truncated { field: "sealed" });
    }
    if left > all {
        return Err(RecordError::Trailing { count: (left - all) as usize });
    }
    let open = BLIND + front.header_len;
    Ok((front.header, Layout { open, sealed: open + open_len as usize }))
}

/// Reads header and open body as an opening shows them, without blind and sealed part; says where
/// the open body starts.
pub(super) fn decode_open(bytes: &[u8]) -> Result<(Header, usize), RecordError> {
    let mut reader = Reader(bytes);
    let front = get_front(&mut reader)?;
    let (left, open_len) = (reader.0.len() as u64, front.open_len);
    if left < open_len {
        return Err(RecordError::Truncated { field: "open" });
    }
    if left > open_len {
        return Err(RecordError::Trailing { count: (left - open_len) as usize });
    }
    let whole = (BLIND + bytes.len()) as u64 + front.sealed_len;
    if whole > MAX_RECORD as u64 {
        return Err(RecordError::TooLarge { size: whole as usize });
    }
    Ok((front.header, front.header_len))
}

/// The header with the lengths that it states.
struct Front {
    header: Header,
    header_len: usize,
    open_len: u64,
    sealed_len: u64,
}

/// Magic, version, lengths and header.
fn get_front(reader: &mut Reader<'_>) -> Result<Front, RecordError> {
    if reader.array::<4>("magic")? != MAGIC {
        return Err(RecordError::Magic);
    }
    let version = reader.u16("version")?;
    if version != VERSION {
        return Err(RecordError::Version { found: version });
    }
    let stated = usize::from(reader.u16("header_len")?);
    let open_len = u64::from(reader.u32("open_len")?);
    let sealed_len = u64::from(reader.u32("sealed_len")?);
    let before = reader.0.len();
    let header = get_header(reader)?;
    let header_len = 16 + before - reader.0.len();
    if header_len != stated {
        return Err(RecordError::HeaderLength { stated, actual: header_len });
    }
    Ok(Front { header, header_len, open_len, sealed_len })
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
