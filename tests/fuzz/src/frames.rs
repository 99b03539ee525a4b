//! Targets for the frames of the link: no panic, and what decodes is written as a frame that
//! decodes to the same.
//!
//! `frame` takes whole frames; the others take the inside of one message, so that mutations stay in
//! it. What a frame brings goes on to the parsers that see it next: records, notes, names.

use evidence::checkpoint::Checkpoint;
use evidence::note::{NoteSignature, SignedNote};
use evidence::record::RecordView;
use evidence::succession::Succession;
use prost::Message as _;
use replication::Message;
use wire::pb::replication::v1 as pb;
use wire::{decode_frame, encode_frame};

use crate::Target;
use crate::link::samples;

/// Mutations of a frame in `make test`.
const MANY: u64 = 4_000;

/// All decoders of the link.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: whole, seeds: frames, bounded: MANY },
    Target { name: "frame_hello", run: hello, seeds: hellos, bounded: MANY },
    Target { name: "frame_head", run: head, seeds: heads, bounded: MANY },
    Target { name: "frame_entries", run: entries, seeds: batches, bounded: MANY },
    Target { name: "frame_answer", run: answer, seeds: answers, bounded: MANY },
    Target { name: "frame_witness", run: witness, seeds: witnesses, bounded: MANY },
    Target { name: "frame_returned", run: returned, seeds: returns, bounded: MANY },
];

/// The message that the bytes of a frame hold, if any.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Message> {
    decode_frame(pb::Frame::decode(bytes).ok()?).ok()
}

/// The bytes of its frame.
#[must_use]
pub fn encode(message: Message) -> Vec<u8> {
    encode_frame(message).encode_to_vec()
}

fn whole(data: &[u8]) {
    let Some(message) = decode(data) else { return };
    assert_eq!(decode(&encode(message.clone())).as_ref(), Some(&message));
    let _ = format!("{message:?}");
    match message {
        Message::Hello(hello) => {
            for holding in hello.holdings {
                read(holding.head.iter().chain(&holding.succession));
            }
            read(hello.witnessed.iter().chain(&hello.shown).map(|shown| &shown.note));
        }
        Message::Entries(entries) => {
            for bytes in entries.records {
                let parsed = RecordView::parse(&bytes).map(|view| view.leaf_hash());
                let owned = evidence::Record::parse(bytes).map(|record| record.leaf_hash());
                assert_eq!(parsed, owned);
            }
        }
        Message::Preview(preview) => {
            let parsed = RecordView::parse(&preview.record).map(|view| view.leaf_hash());
            let owned = evidence::Record::parse(preview.record).map(|record| record.leaf_hash());
            assert_eq!(parsed, owned);
        }
        Message::Head(head) => read([&head.note]),
        Message::Witness(witness) => read([&witness.note]),
        Message::Return(returned) => read([&returned.note]),
        Message::HeadAccepted(accepted) => read([&accepted.cosignature]),
        Message::Witnessed(witnessed) => read([&witnessed.cosignature]),
        Message::Cosigned(cosigned) => read([&cosigned.cosignature]),
        Message::Held(held) => read(&held.cosignature),
        Message::Refused(refused) => read(&refused.note),
        Message::KeysWanted(_)
        | Message::Attachment(_)
        | Message::Keys(_)
        | Message::Ping { .. }
        | Message::Pong { .. } => {}
    }
}

/// Every parser that a text of the peer comes to.
fn read<'a>(texts: impl IntoIterator<Item = &'a String>) {
    for text in texts {
        let _ = Checkpoint::parse(text);
        let _ = Succession::parse(text);
        let _ = text.parse::<NoteSignature>();
        if let Ok(note) = SignedNote::parse(text) {
            assert_eq!(note.to_string(), *text);
        }
    }
}

/// Runs the frame that holds `inside` as its message with this number.
fn of_kind(number: u8, inside: &[u8]) {
    let mut frame = vec![number << 3 | 2];
    prost::encode_length_delimiter(inside.len(), &mut frame).unwrap();
    frame.extend_from_slice(inside);
    whole(&frame);
}

/// As [`of_kind`]; the first byte of the input says which.
fn one_of(numbers: &[u8], data: &[u8]) {
    let Some((which, inside)) = data.split_first() else { return };
    of_kind(numbers[usize::from(*which) % numbers.len()], inside);
}

/// The insides of all samples with one of these numbers, after their place in `numbers`.
fn insides(numbers: &[u8]) -> Vec<Vec<u8>> {
    let inside = |frame: Vec<u8>| {
        let at = numbers.iter().position(|number| number << 3 | 2 == frame[0])?;
        let mut rest = &frame[1..];
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        assert_eq!(length, rest.len());
        Some([&[at as u8], rest].concat())
    };
    frames().into_iter().filter_map(inside).collect()
}

/// As [`insides`] of one number, without the place.
fn inside(number: u8) -> Vec<Vec<u8>> {
    insides(&[number]).into_iter().map(|inside| inside[1..].to_vec()).collect()
}

fn frames() -> Vec<Vec<u8>> {
    samples().into_iter().map(encode).collect()
}

fn hello(data: &[u8]) {
    of_kind(1, data);
}

fn hellos() -> Vec<Vec<u8>> {
    inside(1)
}

fn head(data: &[u8]) {
    of_kind(2, data);
}

fn heads() -> Vec<Vec<u8>> {
    inside(2)
}

fn entries(data: &[u8]) {
    of_kind(4, data);
}

fn batches() -> Vec<Vec<u8>> {
    inside(4)
}

/// What the mirror says, refusals, liveness.
const ANSWERS: &[u8] = &[3, 5, 6, 7, 8];

fn answer(data: &[u8]) {
    one_of(ANSWERS, data);
}

fn answers() -> Vec<Vec<u8>> {
    insides(ANSWERS)
}

/// What is said of further witnesses.
const WITNESSES: &[u8] = &[9, 10, 11];

fn witness(data: &[u8]) {
    one_of(WITNESSES, data);
}

fn witnesses() -> Vec<Vec<u8>> {
    insides(WITNESSES)
}

fn returned(data: &[u8]) {
    of_kind(12, data);
}

fn returns() -> Vec<Vec<u8>> {
    inside(12)
}
