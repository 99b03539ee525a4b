//! Shared by the tests of this crate: a fixed record, a log in memory.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod parties;

use std::convert::Infallible;

use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::merkle::{Frontier, Nodes};
use evidence::record::{
    ActorRef, AttachmentRef, Classification, Draft, HeadRef, Header, KeyRef, ShortText, StreamRef,
    TraceContext, Urgency,
};
use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, and no files beside the source.
pub fn config(cases: u32) -> Config {
    Config { rng_seed: RngSeed::Fixed(75), failure_persistence: None, cases, ..Config::default() }
}

/// Bytes that count up from `start`, so that a shifted field shows.
pub fn run<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|i| start.wrapping_add(i as u8))
}

/// A record that uses every field.
pub fn full() -> Draft {
    let header = Header {
        event_id: run(0x10),
        log: LogName::new("kz-75").unwrap(),
        epoch: 2,
        seq: 75_000_000_001,
        stream: StreamRef { kind: 2, id: run(0x50) },
        stream_version: 3,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 1_760_000_000_000_000,
        recorded_at: 1_760_000_000_000_001,
        zone: ShortText::new("Asia/Almaty").unwrap(),
        actor: ActorRef {
            person: run(0x60),
            post: ShortText::new("kz-75/clerk").unwrap(),
            acting_for: run(0x70),
        },
        command_id: run(0x20),
        causation_id: run(0x30),
        correlation_id: run(0x40),
        policy_version: 4,
        calendar_version: 5,
        classifier_version: 6,
        classification: Classification::Confidential,
        urgency: Urgency::Urgent,
        centre_head: Some(HeadRef { size: 7, root: run(0x80) }),
        statement: Some(run(0xa0)),
        keys: vec![KeyRef { id: run(0xc0), commitment: run(0xd0) }],
        attachments: vec![AttachmentRef { hash: run(0xe0), size: 8, media: 9 }],
        trace: Some(TraceContext { trace_id: run(0x01), span_id: run(0x02), flags: 1 }),
    };
    Draft { header, blind: run(0), open: b"open body".to_vec(), sealed: b"sealed part".to_vec() }
}

/// A record with as little as possible, at this sequence of `log`, epoch 1.
pub fn small(log: &str, seq: u64, open: &[u8]) -> Draft {
    let mut draft = full();
    draft.header.log = LogName::new(log).unwrap();
    draft.header.epoch = 1;
    draft.header.seq = seq;
    draft.header.centre_head = None;
    draft.header.statement = None;
    draft.header.trace = None;
    draft.header.keys.clear();
    draft.header.attachments.clear();
    draft.open = open.to_vec();
    draft.sealed.clear();
    draft
}

/// The nodes of a log, each kept with the leaf that completes it, as the journal keeps them.
#[derive(Default)]
pub struct Memory {
    /// Nodes by leaf, from level 0 upwards.
    pub nodes: Vec<Vec<Hash>>,
    /// The right edge.
    pub frontier: Frontier,
}

impl Memory {
    /// A log with these leaf hashes.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut memory = Self::default();
        for leaf in leaves {
            let nodes = memory.frontier.append(leaf);
            memory.nodes.push(nodes);
        }
        memory
    }
}

impl Nodes for Memory {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let leaf = ((index + 1) << level) - 1;
        Ok(self.nodes[leaf as usize][usize::from(level)])
    }
}
