//! Every message comes back, and garbage is refused.

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::testing::Dice;

fn hash_of(dice: &mut Dice) -> Hash {
    dice.bytes(32).try_into().unwrap()
}

fn hashes(dice: &mut Dice) -> Vec<Hash> {
    (0..dice.below(5)).map(|_| hash_of(dice)).collect()
}

fn maybe(dice: &mut Dice) -> Option<String> {
    (dice.below(2) == 0).then(|| format!("note\n{}\n", dice.next()))
}

fn name(dice: &mut Dice) -> LogName {
    ["kz", "kz/all", "kz/kz-75", "kz-75"][dice.below(4)].parse().unwrap()
}

fn holding(dice: &mut Dice) -> m::Holding {
    let role = if dice.below(2) == 0 { m::Role::Origin } else { m::Role::Follower };
    let (epoch, size) = (dice.next() as u32, dice.next());
    let (root, head, succession) = (hash_of(dice), maybe(dice), maybe(dice));
    let first = (dice.below(2) == 0).then(|| hash_of(dice));
    m::Holding { log: name(dice), epoch, role, size, root, head, succession, first }
}

fn witnessed(dice: &mut Dice) -> m::WitnessedHead {
    let (log, epoch) = (name(dice), dice.next() as u32);
    m::WitnessedHead { log, epoch, note: "origin\n7\n".to_owned() }
}

/// What is said of further witnesses.
fn of_witnesses(dice: &mut Dice) -> Vec<m::Message> {
    let (log, epoch, size) = (name(dice), dice.next() as u32, dice.next());
    vec![
        m::Message::Witness(m::Witness {
            log: log.clone(),
            epoch,
            note: "origin\n7\n".to_owned(),
            old_size: size,
            proof: hashes(dice),
        }),
        m::Message::Witnessed(m::Witnessed {
            log: log.clone(),
            epoch,
            size,
            cosignature: "— witness abc".to_owned(),
        }),
        m::Message::Return(m::Return {
            log: log.clone(),
            epoch,
            note: "origin\n7\n".to_owned(),
            size,
            root: hash_of(dice),
            rest: hashes(dice),
            old_size: dice.next(),
            proof: hashes(dice),
        }),
        m::Message::Cosigned(m::Cosigned {
            log: log.clone(),
            epoch,
            size,
            cosignature: "— witness abc".to_owned(),
        }),
    ]
}

/// An urgent record.
fn preview(dice: &mut Dice) -> m::Message {
    let bytes = dice.below(600);
    m::Message::Preview(m::Preview {
        log: name(dice),
        epoch: dice.next() as u32,
        seq: dice.next(),
        head_size: dice.next(),
        record: dice.bytes(bytes),
        proof: hashes(dice),
    })
}

/// What is said of attachments.
fn of_attachments(dice: &mut Dice) -> [m::Message; 3] {
    let (hash, offset) = (hash_of(dice), dice.next());
    let (log, epoch, seq, length) =
        (name(dice), dice.next() as u32, dice.next(), dice.next() as u32);
    let wanted = m::AttachmentWanted { log, epoch, seq, hash, offset, length };
    let size = dice.below(2_000);
    let piece = m::AttachmentPiece { hash, offset, bytes: dice.bytes(size) };
    [
        m::AttachmentMessage::Wanted(wanted),
        m::AttachmentMessage::Piece(piece),
        m::AttachmentMessage::Absent(m::AttachmentAbsent { hash }),
    ]
    .map(m::Message::Attachment)
}

/// One message of every kind.
fn every_kind(dice: &mut Dice) -> Vec<m::Message> {
    let (log, epoch, size) = (name(dice), dice.next() as u32, dice.next());
    let mut messages = of_witnesses(dice);
    messages.extend(of_attachments(dice));
    messages.push(preview(dice));
    messages.extend([
        m::Message::Hello(m::Hello {
            protocol: m::PROTOCOL,
            office: "KZ-75".to_owned(),
            instance: dice.bytes(16).try_into().unwrap(),
            software: "adal test".to_owned(),
            holdings: (0..dice.below(4)).map(|_| holding(dice)).collect(),
            features: (0..dice.below(3)).map(|i| format!("feature {i}")).collect(),
            witnessed: (0..dice.below(3)).map(|_| witnessed(dice)).collect(),
            shown: (0..dice.below(3)).map(|_| witnessed(dice)).collect(),
        }),
        m::Message::Head(m::Head {
            log: log.clone(),
            epoch,
            note: "origin\n7\n".to_owned(),
            old_size: size,
            proof: hashes(dice),
        }),
        m::Message::HeadAccepted(m::HeadAccepted {
            log: log.clone(),
            epoch,
            size,
            cosignature: "— witness abc".to_owned(),
        }),
        m::Message::Entries(m::Entries {
            log: log.clone(),
            epoch,
            first_seq: size,
            head_size: dice.next(),
            records: (0..dice.below(4)).map(|i| dice.bytes(i * 100)).collect(),
            proof: hashes(dice),
        }),
        m::Message::Held(m::Held {
            log: log.clone(),
            epoch,
            size,
            root: hash_of(dice),
            cosignature: maybe(dice),
            cosigned: (dice.below(2) == 0).then(|| dice.next()),
        }),
        m::Message::Refused(m::Refused {
            log: (dice.below(2) == 0).then_some(log),
            epoch,
            code: m::RefusalCode::ALL[dice.below(m::RefusalCode::ALL.len())],
            text: "do this".to_owned(),
            note: maybe(dice),
        }),
        m::Message::KeysWanted(m::KeysWanted {
            ids: (0..dice.below(4)).map(|i| [i as u8; 16]).collect(),
        }),
        m::Message::Keys(m::Keys {
            wraps: (0..dice.below(4))
                .map(|i| m::KeyWrap { id: [i as u8; 16], bytes: dice.bytes(i * 100) })
                .collect(),
        }),
        m::Message::Ping { nonce: dice.next() },
        m::Message::Pong { nonce: dice.next() },
    ]);
    messages
}

#[test]
fn numbers_of_refusals_are_their_order() {
    for (at, code) in m::RefusalCode::ALL.into_iter().enumerate() {
        assert_eq!(encode_code(code) as usize, at + 1);
        assert_eq!(decode_code(encode_code(code)), code);
    }
}

#[test]
fn what_cannot_be_a_message_is_refused() {
    assert_eq!(decode_frame(pb::Frame::default()), Err(FrameError::UnknownMessage));
    let held = pb::Held { log: "kz-75".to_owned(), root: vec![1; 31], ..pb::Held::default() };
    let frame = pb::Frame { message: Some(Kind::Held(held)) };
    assert_eq!(decode_frame(frame), Err(bad("held.root")));
    let head = pb::Head { log: "../secret".to_owned(), ..pb::Head::default() };
    let frame = pb::Frame { message: Some(Kind::Head(head)) };
    let error = decode_frame(frame).unwrap_err();
    assert_eq!(error.to_string(), "field head.log of the frame is not valid");
    let refused = pb::Refused { code: 77, ..pb::Refused::default() };
    let frame = pb::Frame { message: Some(Kind::Refused(refused)) };
    let m::Message::Refused(refused) = decode_frame(frame).unwrap() else { panic!() };
    assert_eq!(refused.code, m::RefusalCode::Internal);
}

proptest! {
    #[test]
    fn every_message_comes_back(seed: u64) {
        for message in every_kind(&mut Dice::new(seed)) {
            let bytes = encode_frame(message.clone()).encode_to_vec();
            let frame = pb::Frame::decode(bytes.as_slice()).unwrap();
            prop_assert_eq!(decode_frame(frame), Ok(message));
        }
    }

    #[test]
    fn garbage_never_panics(seed: u64, at: prop::sample::Index, to: u8, bytes: Vec<u8>) {
        if let Ok(frame) = pb::Frame::decode(bytes.as_slice()) {
            let _ = decode_frame(frame);
        }
        for message in every_kind(&mut Dice::new(seed)) {
            let mut bytes = encode_frame(message).encode_to_vec();
            let place = at.index(bytes.len());
            bytes[place] = to;
            if let Ok(frame) = pb::Frame::decode(bytes.as_slice()) {
                let _ = decode_frame(frame);
            }
        }
    }
}
