//! Records as the operator service shows them: header, open body, no sealed part.

use domain::{Fact, StreamKind, Timestamp};
use evidence::Position;
use evidence::record::{Classification, Header, Record, TraceContext, Urgency};
use uuid::Uuid;

use crate::generated::adal::common::v1 as common;
use crate::generated::adal::operator::v1 as pb;
use crate::json::open_json;
use crate::time::timestamp;

/// What everybody with operator rights may see of a record.
#[must_use]
pub fn record_summary(record: &Record) -> pb::RecordSummary {
    let header = record.header();
    let sealed = !record.sealed().is_empty();
    let kind = StreamKind::from_code(header.stream.kind);
    pb::RecordSummary {
        position: Some(position(&header.position())),
        event_id: id(header.event_id),
        stream_kind: header.stream.kind.into(),
        stream_kind_name: kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
        stream_id: id(header.stream.id),
        stream_version: header.stream_version,
        type_code: header.type_code,
        type_name: Fact::name_of(header.type_code).unwrap_or_default().to_owned(),
        schema_version: header.schema_version.into(),
        occurred_at: Some(timestamp(Timestamp::from_micros(header.occurred_at))),
        recorded_at: Some(timestamp(Timestamp::from_micros(header.recorded_at))),
        zone: header.zone.as_str().to_owned(),
        actor: Some(actor(header)),
        command_id: id(header.command_id),
        causation_id: id(header.causation_id),
        correlation_id: id(header.correlation_id),
        policy_version: header.policy_version,
        calendar_version: header.calendar_version,
        classifier_version: header.classifier_version,
        classification: classification(header.classification).to_owned(),
        urgency: urgency(header.urgency).to_owned(),
        centre_head: header
            .centre_head
            .map(|head| pb::CentreHead { size: head.size, root: head.root.to_vec() }),
        statement: header.statement.map(|hash| hash.to_vec()).unwrap_or_default(),
        keys: header
            .keys
            .iter()
            .map(|key| pb::KeyRef { id: id(key.id), commitment: key.commitment.to_vec() })
            .collect(),
        attachments: header
            .attachments
            .iter()
            .map(|a| pb::AttachmentRef {
                hash: a.hash.to_vec(),
                size: a.size,
                media: a.media.into(),
            })
            .collect(),
        traceparent: header.trace.as_ref().map(traceparent).unwrap_or_default(),
        open_json: open_json(header.type_code, header.schema_version, record.open(), sealed),
        sealed,
        sealed_bytes: u32::try_from(record.sealed().len()).unwrap_or(u32::MAX),
        leaf_hash: record.leaf_hash().to_vec(),
    }
}

/// A position as messages carry it.
#[must_use]
pub fn position(position: &Position) -> common::Position {
    common::Position {
        log: position.log.to_string(),
        epoch: position.epoch,
        sequence: position.seq,
    }
}

/// The W3C `traceparent` of a trace context.
#[must_use]
pub fn traceparent(trace: &TraceContext) -> String {
    format!(
        "00-{:032x}-{:016x}-{:02x}",
        u128::from_be_bytes(trace.trace_id),
        u64::from_be_bytes(trace.span_id),
        trace.flags
    )
}

fn actor(header: &Header) -> pb::Actor {
    pb::Actor {
        person: id(header.actor.person),
        post: header.actor.post.as_str().to_owned(),
        acting_for: id(header.actor.acting_for),
    }
}

/// The UUID's text; empty for nil, which stands for "none" in a header.
fn id(bytes: [u8; 16]) -> String {
    let id = Uuid::from_bytes(bytes);
    if id.is_nil() { String::new() } else { id.to_string() }
}

fn classification(classification: Classification) -> &'static str {
    match classification {
        Classification::Open => "open",
        Classification::Official => "official",
        Classification::Confidential => "confidential",
        Classification::Sealed => "sealed",
    }
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Normal => "normal",
        Urgency::Urgent => "urgent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_that_of_w3c() {
        let trace =
            TraceContext { trace_id: [0xab; 16], span_id: [0, 0, 0, 0, 0, 0, 0, 1], flags: 1 };
        assert_eq!(traceparent(&trace), format!("00-{}-0000000000000001-01", "ab".repeat(16)));
    }

    #[test]
    fn nil_is_none() {
        assert_eq!(id([0; 16]), "");
        assert_eq!(id([1; 16]), "01010101-0101-0101-0101-010101010101");
    }
}
