//! Messages of a peer that does not keep to the protocol: one field of a real message changed, or
//! a message that nobody asked for.

use replication::{
    Cosigned, Entries, Head, HeadAccepted, Held, Hello, Holding, Message, RefusalCode, Refused,
    Return, Role, Witness, WitnessedHead,
};

use super::files;
use super::keys::{bend_keys, bend_wanted};
use super::material::{LENGTH, MATERIAL};
use super::previews;
use super::script::Script;
use crate::frames::{decode, encode};

/// Changes one field.
pub fn bend(message: &mut Message, script: &mut Script<'_>) {
    match message {
        Message::Hello(m) => hello(m, script),
        Message::Head(m) => match script.below(5) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.note = script.note(&m.note),
            3 => m.old_size = script.size(m.old_size),
            _ => m.proof = script.proof(&m.proof),
        },
        Message::HeadAccepted(m) => match script.below(4) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.size = script.size(m.size),
            _ => m.cosignature = script.line(&m.cosignature),
        },
        Message::Entries(m) => entries(m, script),
        Message::Held(m) => match script.below(5) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.size = script.size(m.size),
            3 => m.root = script.hash(&m.root),
            _ => {
                let line = m.cosignature.take();
                m.cosignature =
                    (script.byte() < 192).then(|| script.line(&line.unwrap_or_default()));
            }
        },
        Message::Refused(m) => match script.below(4) {
            0 => m.log = (script.byte() < 192).then(|| script.log()),
            1 => m.epoch = script.epoch(),
            2 => m.code = RefusalCode::ALL[script.below(RefusalCode::ALL.len())],
            _ => m.note = (script.byte() < 192).then(|| script.note("")),
        },
        Message::Witness(m) => match script.below(5) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.note = script.note(&m.note),
            3 => m.old_size = script.size(m.old_size),
            _ => m.proof = script.proof(&m.proof),
        },
        Message::Witnessed(m) => match script.below(4) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.size = script.size(m.size),
            _ => m.cosignature = script.line(&m.cosignature),
        },
        Message::Cosigned(m) => match script.below(3) {
            0 => m.log = script.log(),
            1 => m.size = script.size(m.size),
            _ => m.cosignature = script.line(&m.cosignature),
        },
        Message::Return(m) => returned(m, script),
        Message::KeysWanted(m) => bend_wanted(m, script),
        Message::Keys(m) => bend_keys(m, script),
        Message::Attachment(m) => files::bend(m, script),
        Message::Preview(m) => previews::bend(m, script),
        Message::Ping { nonce } | Message::Pong { nonce } => *nonce = script.size(*nonce),
    }
}

fn hello(m: &mut Hello, script: &mut Script<'_>) {
    match script.below(12) {
        0 => m.protocol = script.epoch(),
        1 => m.office = script.text(&m.office),
        2 => m.instance = [script.byte(); 16],
        3 => m.features.truncate(script.below(3)),
        4 => drop(m.holdings.pop()),
        5 => {
            let again = m.holdings.get(script.below(m.holdings.len())).cloned();
            let count = script.below(4);
            m.holdings.extend(again.iter().cycle().take(count).cloned());
        }
        6 | 7 => {
            let list = if script.byte() < 128 { &mut m.witnessed } else { &mut m.shown };
            let note = script.note("");
            list.push(WitnessedHead { log: script.log(), epoch: script.epoch(), note });
        }
        8 => m.holdings.push(new_holding(script)),
        _ => {
            let at = script.below(m.holdings.len());
            if let Some(holding) = m.holdings.get_mut(at) {
                bend_holding(holding, script);
            }
        }
    }
}

fn new_holding(script: &mut Script<'_>) -> Holding {
    let (log, epoch, size) = (script.log(), script.epoch(), script.size(0));
    let role = if script.byte() < 128 { Role::Origin } else { Role::Follower };
    let root = script.hash(&[0; 32]);
    let head = (script.byte() < 128).then(|| script.note(""));
    Holding { log, epoch, role, size, root, head, succession: None, first: None }
}

fn bend_holding(holding: &mut Holding, script: &mut Script<'_>) {
    match script.below(8) {
        0 => holding.log = script.log(),
        1 => holding.epoch = script.epoch(),
        2 => {
            holding.role = match holding.role {
                Role::Origin => Role::Follower,
                Role::Follower => Role::Origin,
            };
        }
        3 => holding.size = script.size(holding.size),
        4 => holding.root = script.hash(&holding.root),
        5 => {
            let head = holding.head.take().unwrap_or_default();
            holding.head = (script.byte() < 192).then(|| script.note(&head));
        }
        6 => holding.succession = Some(script.note("")),
        _ => holding.first = (script.byte() < 192).then(|| script.hash(&[0; 32])),
    }
}

fn entries(m: &mut Entries, script: &mut Script<'_>) {
    let count = m.records.len();
    match script.below(10) {
        0 => m.log = script.log(),
        1 => m.epoch = script.epoch(),
        2 => m.first_seq = script.size(m.first_seq),
        3 => m.head_size = script.size(m.head_size),
        4 => m.proof = script.proof(&m.proof),
        5 => m.records.truncate(script.below(count + 1)),
        6 if count > 0 => m.records.swap(script.below(count), script.below(count)),
        7 if count > 0 => {
            let record = &mut m.records[script.below(count)];
            let at = usize::from(script.byte()) << 3 | script.below(8);
            if let Some(byte) = record.get_mut(at) {
                *byte ^= 1 << script.below(8);
            }
        }
        8 => m.records.resize(count + script.below(4), Vec::new()),
        _ => {
            let other = &MATERIAL.nth(script.below(2)).histories[script.below(2)];
            let record = other.records[script.below(LENGTH as usize)].clone();
            match m.records.get_mut(script.below(count + 1)) {
                Some(place) => *place = record,
                None => m.records.push(record),
            }
        }
    }
}

fn returned(m: &mut Return, script: &mut Script<'_>) {
    match script.below(8) {
        0 => m.log = script.log(),
        1 => m.epoch = script.epoch(),
        2 => m.note = script.note(&m.note),
        3 => m.size = script.size(m.size),
        4 => m.root = script.hash(&m.root),
        5 => m.rest = script.proof(&m.rest),
        6 => m.old_size = script.size(m.old_size),
        _ => m.proof = script.proof(&m.proof),
    }
}

/// A message of any kind, of real parts: a cheating writer, mirror or witness.
pub fn invent(script: &mut Script<'_>) -> Message {
    let which = script.below(2);
    let log = MATERIAL.nth(which);
    let history = &log.histories[script.below(2)];
    let size = script.below(LENGTH as usize + 1) as u64;
    let old = script.below(size as usize + 1) as u64;
    let (name, epoch) = (log.name.clone(), 1);
    let (note, root) = (history.heads[size as usize].clone(), history.root(size));
    let proof = history.proof(old, size);
    let records = || history.records[old as usize..size as usize].to_vec();
    match script.below(10) {
        0 => Message::Head(Head { log: name, epoch, note, old_size: old, proof }),
        1 => {
            let head_size = script.size(size).min(LENGTH).max(size);
            let proof = history.proof(size, head_size);
            let (first_seq, records) = (old, records());
            Message::Entries(Entries { log: name, epoch, first_seq, head_size, records, proof })
        }
        2 => {
            let cosignature = (script.byte() < 128).then(|| script.line(""));
            let cosigned = (script.byte() < 64).then_some(old);
            Message::Held(Held { log: name, epoch, size, root, cosignature, cosigned })
        }
        3 => {
            let cosignature = script.line("");
            Message::HeadAccepted(HeadAccepted { log: name, epoch, size, cosignature })
        }
        4 => Message::Witness(Witness { log: name, epoch, note, old_size: old, proof }),
        5 => {
            let cosignature = script.line("");
            Message::Cosigned(Cosigned { log: name, epoch, size, cosignature })
        }
        6 => {
            let (part, rest) = (old, proof);
            let (root, old_size) = (history.root(part), script.below(part as usize + 1) as u64);
            let (size, proof) = (part, history.proof(old_size, part));
            let log = name;
            Message::Return(Return { log, epoch, note, size, root, rest, old_size, proof })
        }
        7 => {
            let code = RefusalCode::ALL[script.below(RefusalCode::ALL.len())];
            let note = Some(note);
            Message::Refused(Refused { log: Some(name), epoch, code, text: String::new(), note })
        }
        8 => Message::Preview(previews::invent(script)),
        _ => Message::Ping { nonce: script.size(0) },
    }
}

/// The message with some bytes of its frame changed, or its frame's end replaced by that of
/// another one; unchanged if that is no message.
pub fn splice(message: &Message, other: Option<&Message>, script: &mut Script<'_>) -> Message {
    let mut bytes = encode(message.clone());
    let at = usize::from(script.byte()) << 4 | script.below(16);
    match other.cloned().map(encode) {
        Some(tail) if script.byte() < 96 => {
            bytes.truncate(at.min(bytes.len()));
            let from = (usize::from(script.byte()) << 4 | script.below(16)).min(tail.len());
            bytes.extend_from_slice(&tail[from..]);
        }
        _ => {
            let length = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte = script.byte();
            }
        }
    }
    decode(&bytes).unwrap_or_else(|| message.clone())
}
