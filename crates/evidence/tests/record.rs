//! The record format: frozen bytes, round trips, mutations, garbage.

#![allow(clippy::unwrap_used)]

mod common;

use common::{config, full, small};
use evidence::hash::{from_hex, hex};
use evidence::log::LogName;
use evidence::record::{
    ActorRef, AttachmentRef, Classification, Draft, FIXED_HEADER, HeadRef, Header, KeyRef,
    MAX_ATTACHMENTS, MAX_KEYS, MAX_RECORD, Record, RecordError, RecordView, ShortText, StreamRef,
    TraceContext, Urgency, key_commitment, statement_commitment,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The stored bytes of [`common::full`], version 1. They never change.
const FULL: &str = include_str!("record_v1.hex");

/// Offset of a header field in the stored bytes.
fn at(header_offset: usize) -> usize {
    32 + header_offset
}

fn golden() -> Vec<u8> {
    from_hex(&FULL.split_whitespace().collect::<String>()).unwrap()
}

#[test]
fn version_1_is_frozen() {
    assert_eq!(hex(&full().encode().unwrap()), hex(&golden()));
    let record = Record::parse(golden()).unwrap();
    assert_eq!(record.to_draft(), full());
    assert_eq!(
        String::from_utf8(record.leaf_data()).unwrap(),
        "adal/leaf/v1\nseq 75000000001\n\
         header cm7BCZRDw+xkYgzuwhGkgdkM0MaKYs/6O6l9PGfUzuI=\n\
         payload wbxcLgzR4HJZrb3WXY7s4F/IqROlw/+DV3ROylHWGRA=\n"
    );
    assert_eq!(
        hex(&record.leaf_hash()),
        "41b1e68afaa50bab99fb0ff1a7bae2d17dd8562c458928fa81d789228b91b4fb"
    );
}

#[test]
fn fields_lie_where_the_format_says() {
    let bytes = golden();
    let field = |offset: usize, len: usize| hex(&bytes[at(offset)..at(offset) + len]);
    assert_eq!(hex(&bytes[..32]), hex(&common::run::<32>(0)));
    assert_eq!(field(0, 4), hex(b"ADAL"));
    assert_eq!(field(4, 2), "0001");
    assert_eq!(field(6, 2), format!("{:04x}", FIXED_HEADER + 5 + 11 + 11 + 40 + 32 + 25 + 48 + 42));
    assert_eq!(field(8, 4), "00000009");
    assert_eq!(field(12, 4), "0000000b");
    assert_eq!(field(16, 16), hex(&common::run::<16>(0x10)));
    assert_eq!(field(102, 4), "00000002");
    assert_eq!(field(106, 8), format!("{:016x}", 75_000_000_001u64));
    assert_eq!(field(114, 4), "00000201");
    assert_eq!(field(180, 8), "020107050b0b0101");
    assert_eq!(field(188, 5), hex(b"kz-75"));
}

#[test]
fn commitments_are_domain_separated() {
    let record = full().into_record().unwrap();
    let bytes = record.bytes();
    let sealed = record.sealed().len();
    let header = [b"adal/header/v1\n".as_slice(), &bytes[..bytes.len() - sealed]].concat();
    assert_eq!(record.header_commit(), evidence::hash::sha256(&header));
    assert_eq!(record.payload_commit(), evidence::hash::sha256(b"adal/payload/v1\nsealed part"));
    let key = [b"adal/key/v1\n".as_slice(), &[7; 32]].concat();
    assert_eq!(key_commitment(&[7; 32]), evidence::hash::sha256(&key));
    let statement = [b"adal/statement/v1\n".as_slice(), &[7; 32], "сөз".as_bytes()].concat();
    assert_eq!(statement_commitment(&[7; 32], "сөз"), evidence::hash::sha256(&statement));
    assert_eq!(record.header_and_open(), &bytes[32..bytes.len() - sealed]);
}

#[test]
fn parsing_and_encoding_give_the_same_record() {
    for draft in [full(), small("kz/all", 0, b"")] {
        let bytes = draft.encode().unwrap();
        let record = Record::parse(bytes.clone()).unwrap();
        assert_eq!(record, draft.clone().into_record().unwrap());
        assert_eq!(draft.encoded_len(), Ok(bytes.len()));
        let view = RecordView::parse(&bytes).unwrap();
        assert_eq!(view.leaf_hash(), record.leaf_hash());
        assert_eq!((view.open(), view.sealed()), (record.open(), record.sealed()));
        assert_eq!(view.to_record(), record);
        assert_eq!(record.into_bytes(), bytes);
    }
}

#[test]
fn limits_are_kept_when_writing() {
    let refused = |change: &dyn Fn(&mut Draft)| {
        let mut draft = full();
        change(&mut draft);
        let error = draft.encode().unwrap_err();
        assert_eq!(draft.encoded_len(), Err(error));
        assert_eq!(draft.into_record().unwrap_err(), error);
        error
    };
    let value = |field, found| RecordError::Value { field, found };
    assert_eq!(refused(&|d| d.header.epoch = 0), value("epoch", 0));
    assert_eq!(refused(&|d| d.header.seq = 1 << 53), value("seq", 1 << 53));
    assert_eq!(refused(&|d| d.header.stream_version = 0), value("stream_version", 0));
    let head = HeadRef { size: (1 << 53) + 1, root: [0; 32] };
    assert_eq!(
        refused(&|d| d.header.centre_head = Some(head)),
        value("centre_head.size", (1 << 53) + 1)
    );
    let many = RecordError::TooMany { field: "keys", count: 65, limit: MAX_KEYS };
    assert_eq!(refused(&|d| d.header.keys = vec![d.header.keys[0]; 65]), many);
    let many = RecordError::TooMany { field: "attachments", count: 65, limit: MAX_ATTACHMENTS };
    assert_eq!(refused(&|d| d.header.attachments = vec![d.header.attachments[0]; 65]), many);
    let size = full().encoded_len().unwrap() + MAX_RECORD;
    assert_eq!(refused(&|d| d.sealed.extend(vec![0; MAX_RECORD])), RecordError::TooLarge { size });
}

#[test]
fn the_largest_record_is_accepted() {
    let mut draft = full();
    let room = MAX_RECORD - draft.encoded_len().unwrap();
    draft.sealed.extend(vec![1; room]);
    let bytes = draft.encode().unwrap();
    assert_eq!(bytes.len(), MAX_RECORD);
    assert!(Record::parse(bytes.clone()).is_ok());
    let larger = [bytes.as_slice(), &[0]].concat();
    let size = MAX_RECORD + 1;
    assert_eq!(Record::parse(larger).unwrap_err(), RecordError::TooLarge { size });
}

#[test]
fn errors_name_the_field() {
    let refused = |offset: usize, byte: u8| {
        let mut bytes = golden();
        bytes[offset] = byte;
        Record::parse(bytes).unwrap_err()
    };
    let value = |field, found| RecordError::Value { field, found };
    assert_eq!(refused(at(0), b'a'), RecordError::Magic);
    assert_eq!(refused(at(5), 2), RecordError::Version { found: 2 });
    let actual = FIXED_HEADER + 214;
    assert_eq!(refused(at(7), 0), RecordError::HeaderLength { stated: 256, actual });
    assert_eq!(refused(at(11), 8), RecordError::Trailing { count: 1 });
    assert_eq!(refused(at(8), 1), RecordError::Truncated { field: "open" });
    assert_eq!(refused(at(15), 12), RecordError::Truncated { field: "sealed" });
    assert_eq!(refused(at(105), 0), value("epoch", 0));
    assert_eq!(refused(at(106), 0x80).to_string().split(' ').nth(2), Some("seq"));
    assert_eq!(refused(at(101), 0), value("stream_version", 0));
    assert_eq!(refused(at(180), 4), value("classification", 4));
    assert_eq!(refused(at(181), 2), value("urgency", 2));
    assert_eq!(refused(at(182), 8), value("flags", 8));
    assert!(matches!(refused(at(186), 65), RecordError::TooMany { field: "keys", .. }));
    assert!(matches!(refused(at(187), 65), RecordError::TooMany { field: "attachments", .. }));
    assert!(matches!(refused(at(188), b'K'), RecordError::Log(_)));
    assert!(matches!(refused(at(193), 0x7f), RecordError::Text { field: "zone", .. }));
    assert_eq!(refused(at(204), 0xff), RecordError::Ascii { field: "actor.post" });
}

#[test]
fn debug_shows_no_body_and_no_person() {
    let draft = full();
    let record = draft.clone().into_record().unwrap();
    let shown = format!("{draft:?} {record:?} {:?}", RecordView::parse(record.bytes()).unwrap());
    assert!(shown.contains("kz-75:2:75000000001"));
    let person = format!("{:?}", draft.header.actor.person);
    for secret in [&format!("{:?}", draft.blind), &format!("{:?}", draft.open), &person] {
        assert!(!shown.contains(secret.trim_matches(['[', ']'])), "{secret}");
    }
    assert!(!shown.contains("open body") && !shown.contains("sealed part"));
}

prop_compose! {
    fn places()(
        log in "[a-z0-9-]{1,20}(/[a-z0-9-]{1,20}){0,2}",
        epoch in 1..=u32::MAX,
        seq in 0u64..1 << 53,
        kind in any::<u16>(),
        stream in any::<[u8; 16]>(),
        version in 1..=u32::MAX,
    ) -> (LogName, u32, u64, StreamRef, u32) {
        (LogName::new(&log).unwrap(), epoch, seq, StreamRef { kind, id: stream }, version)
    }
}

/// The parts of a header that may be missing or repeated.
type Options =
    (Option<HeadRef>, Option<[u8; 32]>, Option<TraceContext>, Vec<KeyRef>, Vec<AttachmentRef>);

prop_compose! {
    fn options()(
        centre_head in option::of((0u64..=1 << 53, any::<[u8; 32]>())),
        statement in option::of(any::<[u8; 32]>()),
        trace in option::of(any::<([u8; 16], [u8; 8], u8)>()),
        keys in vec(any::<([u8; 16], [u8; 32])>(), 0..5),
        attachments in vec(any::<([u8; 32], u64, u16)>(), 0..5),
    ) -> Options {
        (
            centre_head.map(|(size, root)| HeadRef { size, root }),
            statement,
            trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags }),
            keys.into_iter().map(|(id, commitment)| KeyRef { id, commitment }).collect(),
            attachments
                .into_iter()
                .map(|(hash, size, media)| AttachmentRef { hash, size, media })
                .collect(),
        )
    }
}

prop_compose! {
    fn drafts()(
        place in places(),
        options in options(),
        ids in any::<[[u8; 16]; 6]>(),
        codes in any::<(u32, u16, u32, u32, u32)>(),
        times in any::<(i64, i64)>(),
        texts in ("[ -~]{0,63}", "[ -~]{0,63}"),
        grades in (0u8..4, 0u8..2),
        blind in any::<[u8; 32]>(),
        open in vec(any::<u8>(), 0..200),
        sealed in vec(any::<u8>(), 0..200),
    ) -> Draft {
        let (log, epoch, seq, stream, stream_version) = place;
        let (centre_head, statement, trace, keys, attachments) = options;
        let [event_id, command_id, causation_id, correlation_id, person, acting_for] = ids;
        let post = ShortText::new(&texts.1).unwrap();
        let header = Header {
            event_id, log, epoch, seq, stream, stream_version,
            type_code: codes.0,
            schema_version: codes.1,
            occurred_at: times.0,
            recorded_at: times.1,
            zone: ShortText::new(&texts.0).unwrap(),
            actor: ActorRef { person, post, acting_for },
            command_id, causation_id, correlation_id,
            policy_version: codes.2,
            calendar_version: codes.3,
            classifier_version: codes.4,
            classification: Classification::from_code(grades.0).unwrap(),
            urgency: Urgency::from_code(grades.1).unwrap(),
            centre_head, statement, keys, attachments, trace,
        };
        Draft { header, blind, open, sealed }
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn records_round_trip(draft in drafts()) {
        let bytes = draft.encode().unwrap();
        let record = Record::parse(bytes.clone()).unwrap();
        prop_assert_eq!(record.bytes(), bytes.as_slice());
        prop_assert_eq!(record.blind(), draft.blind);
        prop_assert_eq!(record.open(), draft.open.as_slice());
        prop_assert_eq!(record.sealed(), draft.sealed.as_slice());
        prop_assert_eq!(record.to_draft(), draft);
    }

    #[test]
    fn every_changed_bit_is_refused_or_changes_the_leaf(draft in drafts(), pick in any::<u32>()) {
        let record = draft.into_record().unwrap();
        let mut bytes = record.bytes().to_vec();
        let at = pick as usize / 8 % bytes.len();
        bytes[at] ^= 1 << (pick % 8);
        if let Ok(changed) = Record::parse(bytes.clone()) {
            prop_assert_ne!(changed.leaf_hash(), record.leaf_hash());
            prop_assert_eq!(changed.to_draft().encode().unwrap(), bytes);
        }
    }

    #[test]
    fn a_cut_or_longer_record_is_refused(draft in drafts(), pick in any::<u32>()) {
        let bytes = draft.encode().unwrap();
        let cut = pick as usize % bytes.len();
        prop_assert!(Record::parse(bytes[..cut].to_vec()).is_err());
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert_eq!(Record::parse(longer), Err(RecordError::Trailing { count: 1 }));
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..700)) {
        let _ = Record::parse(bytes);
    }

    #[test]
    fn garbage_behind_a_true_start_never_panics(
        bytes in vec(any::<u8>(), 0..700),
        keep in 0usize..=418,
    ) {
        let bytes = [&golden()[..keep], &bytes].concat();
        if let Ok(record) = Record::parse(bytes.clone()) {
            prop_assert_eq!(record.to_draft().encode().unwrap(), bytes);
        }
    }
}

#[test]
fn every_byte_of_a_record_counts() {
    let record = full().into_record().unwrap();
    for at in 0..record.bytes().len() {
        let mut bytes = record.bytes().to_vec();
        bytes[at] ^= 0x11;
        if let Ok(changed) = Record::parse(bytes) {
            assert_ne!(changed.leaf_hash(), record.leaf_hash(), "byte {at}");
        }
    }
}
