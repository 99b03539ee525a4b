//! A peer that cheats in the same way all along: it speaks of the second history of a log wherever
//! its messages speak of the first one, or only in some of their fields.

use evidence::checkpoint::Checkpoint;
use evidence::log::LogName;
use replication::{Hello, Message};

use super::material::{History, LENGTH, MATERIAL};

/// Which fields are those of the second history, a bit for each.
#[derive(Clone, Copy, Default)]
pub struct Cheat(pub u8);

impl Cheat {
    fn turns(self, bit: u8) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Turns the fields of a message.
    pub fn turn(self, message: &mut Message) {
        match message {
            _ if self.0 == 0 => {}
            Message::Hello(hello) if self.turns(7) => turn_hello(hello),
            Message::Head(m) => {
                let Some((other, size)) = other(&m.log, &m.note) else { return };
                if self.turns(0) {
                    m.note.clone_from(&other.heads[size as usize]);
                }
                if self.turns(1) && m.old_size <= size {
                    m.proof = other.proof(m.old_size, size);
                }
            }
            Message::Witness(m) => {
                let Some((other, size)) = other(&m.log, &m.note) else { return };
                if self.turns(0) {
                    m.note.clone_from(&other.heads[size as usize]);
                }
                if self.turns(1) && m.old_size <= size {
                    m.proof = other.proof(m.old_size, size);
                }
            }
            Message::Entries(m) => {
                let Some(log) = MATERIAL.log(&m.log) else { return };
                let (other, end) = (&log.histories[1], m.first_seq + m.records.len() as u64);
                if self.turns(2) {
                    m.records = other.records[m.first_seq as usize..end as usize].to_vec();
                }
                if self.turns(3) {
                    m.proof = other.proof(end, m.head_size);
                }
            }
            Message::Preview(m) => {
                let Some(log) = MATERIAL.log(&m.log) else { return };
                if self.turns(2) {
                    m.record.clone_from(&log.histories[1].records[m.seq as usize]);
                }
                if self.turns(3) {
                    m.proof = log.histories[1].inclusion(m.seq, m.head_size);
                }
            }
            Message::Held(m) if self.turns(5) => {
                let Some(log) = MATERIAL.log(&m.log) else { return };
                m.root = log.histories[1].root(m.size);
            }
            Message::Return(m) => {
                let Some((other, signed)) = other(&m.log, &m.note) else { return };
                if self.turns(4) {
                    m.note.clone_from(&other.heads[signed as usize]);
                }
                if self.turns(5) {
                    m.root = other.root(m.size);
                }
                if self.turns(6) {
                    m.rest = other.proof(m.size, signed);
                    m.proof = other.proof(m.old_size.min(m.size), m.size);
                }
            }
            _ => {}
        }
    }
}

/// The second history of a log, and the size of a note.
fn other(log: &LogName, note: &str) -> Option<(&'static History, u64)> {
    let size = Checkpoint::parse(note).ok()?.size;
    Some((&MATERIAL.log(log)?.histories[1], size.min(LENGTH)))
}

fn turn_hello(hello: &mut Hello) {
    for holding in &mut hello.holdings {
        let Some(log) = MATERIAL.log(&holding.log) else { continue };
        holding.root = log.histories[1].root(holding.size);
        let size = holding.head.as_ref().and_then(|note| Checkpoint::parse(note).ok());
        if let Some(head) = size.and_then(|head| log.histories[1].heads.get(head.size as usize)) {
            holding.head = Some(head.clone());
        }
    }
}
