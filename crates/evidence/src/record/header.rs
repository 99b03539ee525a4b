//! The fields of the header.

use std::fmt;

use super::text::ShortText;
use crate::hash::Hash;
use crate::log::{LogName, Position};

/// A stream: the records of one aggregate. Every stream lives in exactly one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamRef {
    /// Kind of the aggregate, a code of the domain that is never reused.
    pub kind: u16,
    /// The aggregate's identity, a UUID in its 16 bytes.
    pub id: [u8; 16],
}

/// Who acted. Its `Debug` shows the post only.
#[derive(Clone, PartialEq, Eq)]
pub struct ActorRef {
    /// Pseudonym of the person, a UUID in its 16 bytes; zeros: nobody (the system itself).
    pub person: [u8; 16],
    /// The post from which the person acted, like `kz-75/clerk`.
    pub post: ShortText,
    /// Pseudonym of the person for whom it was done; zeros: for nobody else.
    pub acting_for: [u8; 16],
}

impl fmt::Debug for ActorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorRef").field("post", &self.post).finish_non_exhaustive()
    }
}

/// How confidential a record is; one byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Classification {
    /// Anybody may know it.
    Open = 0,
    /// For service use.
    Official = 1,
    /// For those who work on the case.
    Confidential = 2,
    /// For named persons only.
    Sealed = 3,
}

impl Classification {
    /// The byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The classification with this byte, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Open,
            1 => Self::Official,
            2 => Self::Confidential,
            3 => Self::Sealed,
            _ => return None,
        })
    }
}

/// How fast a record must travel; one byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Urgency {
    /// In its turn.
    Normal = 0,
    /// At once.
    Urgent = 1,
}

impl Urgency {
    /// The byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The urgency with this byte, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Normal,
            1 => Self::Urgent,
            _ => return None,
        })
    }
}

/// A key of the vault that opens (a part of) the sealed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef {
    /// The key's identity in the vault.
    pub id: [u8; 16],
    /// [`super::key_commitment`] of the key.
    pub commitment: Hash,
}

/// An attachment: a sealed file that is kept beside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentRef {
    /// SHA-256 of its **ciphertext**.
    pub hash: Hash,
    /// Size of the ciphertext in bytes.
    pub size: u64,
    /// Media type, a code of the domain.
    pub media: u16,
}

/// A head of the centre's log `kz/all`: the record was not written before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRef {
    /// Tree size, at most 2^53.
    pub size: u64,
    /// Tree root.
    pub root: Hash,
}

/// W3C trace context of the command, so that one trace spans both ends of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace identity.
    pub trace_id: [u8; 16],
    /// Span identity.
    pub span_id: [u8; 8],
    /// Trace flags (bit 0: sampled).
    pub flags: u8,
}

/// The header of a record, version 1. It holds nothing personal, so it is never erased.
///
/// `log`, `epoch`, `seq`, `stream_version` and `recorded_at` of a draft are set by the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Identity of the event, a UUID in its 16 bytes.
    pub event_id: [u8; 16],
    /// The log.
    pub log: LogName,
    /// The epoch of the log, from 1.
    pub epoch: u32,
    /// The sequence in the epoch, from 0, below 2^53.
    pub seq: u64,
    /// The stream.
    pub stream: StreamRef,
    /// Version of the stream that this record makes; 1 is the first fact.
    pub stream_version: u32,
    /// Code of the fact's type, never reused.
    pub type_code: u32,
    /// Version of the type's schema.
    pub schema_version: u16,
    /// When it happened, in microseconds since 1970 UTC.
    pub occurred_at: i64,
    /// The writer's clock when it was recorded, made monotonic per log; same unit.
    pub recorded_at: i64,
    /// IANA name of the time zone in which `occurred_at` was meant.
    pub zone: ShortText,
    /// Who acted.
    pub actor: ActorRef,
    /// Identity of the command that caused it.
    pub command_id: [u8; 16],
    /// Identity of the event or command that this one answers; zeros: none.
    pub causation_id: [u8; 16],
    /// Identity shared by all that belongs together; zeros: none.
    pub correlation_id: [u8; 16],
    /// Version of the policy that applied.
    pub policy_version: u32,
    /// Version of the calendar of working days that applied.
    pub calendar_version: u32,
    /// Version of the classifiers that applied.
    pub classifier_version: u32,
    /// How confidential it is.
    pub classification: Classification,
    /// How fast it must travel.
    pub urgency: Urgency,
    /// The last head of the centre's `kz/all` that the writer had seen.
    pub centre_head: Option<HeadRef>,
    /// [`super::statement_commitment`] of the text that a citizen lodged.
    pub statement: Option<Hash>,
    /// Keys of the sealed part, at most [`super::MAX_KEYS`].
    pub keys: Vec<KeyRef>,
    /// Attachments, at most [`super::MAX_ATTACHMENTS`].
    pub attachments: Vec<AttachmentRef>,
    /// Trace of the command.
    pub trace: Option<TraceContext>,
}

impl Header {
    /// Where the record is.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { log: self.log.clone(), epoch: self.epoch, seq: self.seq }
    }
}
