//! Files of released formats must stay readable, with the same meaning and the same hashes.

use evidence::hash::hex;
use evidence::merkle;
use evidence::record::{Classification, Record, Urgency};

/// A record of header version 1 that uses every field.
const RECORD_V1: &[u8] = include_bytes!("../fixtures/record_v1.bin");

/// Bytes that count up from `start`.
fn run<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|i| start.wrapping_add(i as u8))
}

#[test]
fn record_version_1_opens_with_its_fields() {
    let record = Record::parse(RECORD_V1.to_vec()).unwrap();
    let header = record.header();
    assert_eq!(header.position().to_string(), "kz-75:2:75000000001");
    assert_eq!(header.event_id, run(0x10));
    assert_eq!(header.command_id, run(0x20));
    assert_eq!(header.causation_id, run(0x30));
    assert_eq!(header.correlation_id, run(0x40));
    assert_eq!((header.stream.kind, header.stream.id), (2, run(0x50)));
    assert_eq!(header.stream_version, 3);
    assert_eq!((header.type_code, header.schema_version), (0x0201, 1));
    assert_eq!(header.occurred_at, 1_760_000_000_000_000);
    assert_eq!(header.recorded_at, 1_760_000_000_000_001);
    assert_eq!(header.zone.as_str(), "Asia/Almaty");
    assert_eq!(header.actor.person, run(0x60));
    assert_eq!(header.actor.post.as_str(), "kz-75/clerk");
    assert_eq!(header.actor.acting_for, run(0x70));
    assert_eq!(
        (header.policy_version, header.calendar_version, header.classifier_version),
        (4, 5, 6)
    );
    assert_eq!(header.classification, Classification::Confidential);
    assert_eq!(header.urgency, Urgency::Urgent);
    assert_eq!(record.open(), b"open body");
    assert_eq!(record.sealed(), b"sealed part");
}

#[test]
fn record_version_1_opens_with_what_it_refers_to() {
    let record = Record::parse(RECORD_V1.to_vec()).unwrap();
    let header = record.header();
    let head = header.centre_head.unwrap();
    assert_eq!((head.size, head.root), (7, run(0x80)));
    assert_eq!(header.statement, Some(run(0xa0)));
    let trace = header.trace.unwrap();
    assert_eq!((trace.trace_id, trace.span_id, trace.flags), (run(0x01), run(0x02), 1));
    assert_eq!(header.keys.len(), 1);
    assert_eq!((header.keys[0].id, header.keys[0].commitment), (run(0xc0), run(0xd0)));
    let [attachment] = header.attachments.as_slice() else { panic!("one attachment") };
    assert_eq!((attachment.hash, attachment.size, attachment.media), (run(0xe0), 8, 9));
}

#[test]
fn record_version_1_keeps_its_leaf_and_its_bytes() {
    let record = Record::parse(RECORD_V1.to_vec()).unwrap();
    let leaf = "41b1e68afaa50bab99fb0ff1a7bae2d17dd8562c458928fa81d789228b91b4fb";
    assert_eq!(hex(&record.leaf_hash()), leaf);
    assert_eq!(record.leaf_hash(), merkle::leaf_hash(&record.leaf_data()));
    assert_eq!(record.to_draft().encode().unwrap(), RECORD_V1);
}
