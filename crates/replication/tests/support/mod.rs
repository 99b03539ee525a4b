//! Offices with an in-memory disk, a driver that dawdles, and a link between two of them.
//! Records, keys, heads and proofs are real.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod bench;
pub mod office;
pub mod world;

use evidence::record::{ActorRef, Classification, Draft, Header, ShortText, StreamRef, Urgency};
use evidence::{LogName, merkle};
use replication::Now;

pub const DOMAIN: &str = "adal.example";

/// splitmix64: small, seeded, good enough for schedules.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub fn name(text: &str) -> LogName {
    text.parse().unwrap()
}

pub fn at(mono: u64) -> Now {
    Now { mono, unix: 1_800_000_000_000_000 + mono as i64 }
}

/// Whether the record of this salt is an urgent one.
pub fn is_urgent(salt: u64) -> bool {
    salt % 50 == 49
}

/// Stored bytes of a record whose content depends on `salt`.
pub fn record(log: &LogName, epoch: u32, seq: u64, salt: u64) -> Vec<u8> {
    let mut event_id = [0; 16];
    event_id[..8].copy_from_slice(&seq.to_be_bytes());
    event_id[8..].copy_from_slice(&salt.to_be_bytes());
    let header = Header {
        event_id,
        log: log.clone(),
        epoch,
        seq,
        stream: StreamRef { kind: 2, id: event_id },
        stream_version: 1,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 1_800_000_000_000_000,
        recorded_at: 1_800_000_000_000_000 + seq as i64,
        zone: ShortText::new("Asia/Almaty").unwrap(),
        actor: ActorRef {
            person: [7; 16],
            post: ShortText::new("kz-75/clerk").unwrap(),
            acting_for: [0; 16],
        },
        command_id: event_id,
        causation_id: [0; 16],
        correlation_id: [0; 16],
        policy_version: 1,
        calendar_version: 1,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: if is_urgent(salt) { Urgency::Urgent } else { Urgency::Normal },
        centre_head: None,
        statement: None,
        keys: Vec::new(),
        attachments: Vec::new(),
        trace: None,
    };
    let open = vec![salt as u8; (salt % 700) as usize];
    Draft { header, blind: [salt as u8; 32], open, sealed: Vec::new() }.encode().unwrap()
}

/// The tree of one log: its nodes by level.
#[derive(Clone, Default)]
pub struct Tree {
    pub levels: Vec<Vec<evidence::Hash>>,
    pub frontier: merkle::Frontier,
}

impl Tree {
    pub fn push(&mut self, leaf: evidence::Hash) {
        for (level, node) in self.frontier.append(leaf).into_iter().enumerate() {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(node);
        }
    }
}

impl merkle::Nodes for Tree {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<evidence::Hash, String> {
        let level = self.levels.get(level as usize).ok_or("no such level")?;
        level.get(index as usize).copied().ok_or_else(|| "no such node".to_owned())
    }
}
