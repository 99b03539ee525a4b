//! What the node hands in: one fact of one log with the parts of its record's header that views
//! use, and the state of a link.

use domain::{Fact, OfficeCode};
use evidence::{log::LogName, record::StreamRef};
use serde::Serialize;

/// One fact at its place in a log. The sealed part of the record never comes here.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The log that holds the record.
    pub log: LogName,
    /// The epoch of the log, from 1.
    pub epoch: u32,
    /// The record's sequence in the epoch, from 0.
    pub seq: u64,
    /// The record's event id (UUID).
    pub event_id: [u8; 16],
    /// The stream that the fact belongs to.
    pub stream: StreamRef,
    /// The stream's version with this fact, from 1.
    pub stream_version: u32,
    /// Code of the office that owns (writes) the log, such as `KZ-75`.
    pub office: OfficeCode,
    /// When it happened, microseconds since 1970 UTC.
    pub occurred_at: i64,
    /// The writer's clock when it was recorded, microseconds since 1970 UTC.
    pub recorded_at: i64,
    /// IANA name of the zone in which it happened; months are counted in it.
    pub zone: String,
    /// Pseudonym (UUID) of the person who recorded it.
    pub actor: [u8; 16],
    /// The record's type code, kept for facts that this build does not know.
    pub type_code: u32,
    /// The fact, open part only.
    pub fact: Fact,
}

/// How far a log has been folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LogPosition {
    /// Name of the log.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// The sequence that the views need next: the number of records of the epoch they include.
    pub next_seq: u64,
}
