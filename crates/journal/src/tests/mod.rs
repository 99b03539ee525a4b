//! Tests of the journal as a whole, and what they share.

mod attachments;
mod backup;
mod basic;
mod check;
mod conformance;
mod damage;
mod epochs;
mod faults;
mod full_disk;
mod index;
mod index_store;
mod mirror;
mod model;
mod open_faults;
mod opening;
mod paging;
mod reading;
mod real;
mod returned;
mod runs;
mod subscribe;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::merkle::{Frontier, consistency_proof};
use evidence::record::{
    ActorRef, Classification, Draft, Header, Record, ShortText, StreamRef, Urgency,
};
use evidence::verify::{VerifiedBatch, admit};

use crate::disk::memory::MemoryDisk;
use crate::index::memory::MemoryStore;
use crate::{
    Append, CommandClaim, CommandKey, ExpectedVersion, Journal, OpenError, OpenReport, Options,
    Transaction,
};

pub(crate) const DIR: &str = "journal";

/// Small segments, so that a few groups fill several.
pub(crate) const SMALL: Options = Options {
    segment_bytes: 4096,
    sled_cache_bytes: 4_000_000,
    free_space_watermark: 0,
    // Tests that do not care are never without an index, however busy the machine is.
    index_grace: Duration::from_secs(60),
    index_patience: Duration::from_secs(60),
};

pub(crate) fn name(text: &str) -> LogName {
    LogName::new(text).unwrap()
}

pub(crate) fn stream(id: u8) -> StreamRef {
    StreamRef { kind: 2, id: [id; 16] }
}

pub(crate) fn event(number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A draft whose event id and content follow from `number`.
pub(crate) fn draft(stream: StreamRef, number: u64, open_len: usize) -> Draft {
    let header = Header {
        event_id: event(number),
        log: name("unset"),
        epoch: 1,
        seq: 0,
        stream,
        stream_version: 1,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: number as i64,
        recorded_at: 0,
        zone: ShortText::new("Asia/Almaty").unwrap(),
        actor: ActorRef {
            person: [1; 16],
            post: ShortText::new("kz-75/clerk").unwrap(),
            acting_for: [0; 16],
        },
        command_id: [0; 16],
        causation_id: [0; 16],
        correlation_id: [0; 16],
        policy_version: 1,
        calendar_version: 1,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: Urgency::Normal,
        centre_head: None,
        statement: None,
        keys: vec![],
        attachments: vec![],
        trace: None,
    };
    let open = (0..open_len).map(|i| (i as u64 * 31 + number) as u8).collect();
    Draft { header, blind: [number as u8; 32], open, sealed: vec![7; 40] }
}

pub(crate) fn append(log: &str, stream: StreamRef, numbers: &[u64], open_len: usize) -> Append {
    let drafts = numbers.iter().map(|number| draft(stream, *number, open_len)).collect();
    Append { log: name(log), expected: ExpectedVersion::Any, stream, drafts }
}

pub(crate) fn transaction(append: Append) -> Transaction {
    Transaction { appends: vec![append], ..Transaction::default() }
}

pub(crate) fn claim(id: u8, request: u8) -> CommandClaim {
    let key = CommandKey { principal: [9; 16], command_id: [id; 16] };
    CommandClaim { key, request_hash: [request; 32] }
}

pub(crate) fn open_memory(
    disk: &MemoryDisk,
    store: &MemoryStore,
    options: Options,
) -> Result<(Journal, OpenReport), OpenError> {
    Journal::open_on(Arc::new(disk.clone()), Arc::new(store.clone()), Path::new(DIR), options)
}

/// A journal in memory with the own log `kz-75`.
pub(crate) fn memory() -> (MemoryDisk, MemoryStore, Journal) {
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
    assert!(report.created);
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    (disk, store, journal)
}

/// Commits one transaction.
pub(crate) fn commit(
    journal: &Journal,
    transaction: Transaction,
) -> Result<crate::Committed, crate::CommitError> {
    journal.commit(vec![transaction], 1000).unwrap().pop().unwrap()
}

/// The log of another office, to be mirrored.
pub(crate) struct Origin {
    pub log: LogName,
    pub epoch: u32,
    pub records: Vec<Vec<u8>>,
    nodes: Vec<Vec<[u8; 32]>>,
    edge: Frontier,
}

impl evidence::merkle::Nodes for Origin {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], ()> {
        Ok(self.nodes[((index as usize + 1) << level) - 1][usize::from(level)])
    }
}

impl Origin {
    pub(crate) fn new(log: &str, count: u64) -> Self {
        Self::of(log, 1, count, 0)
    }

    pub(crate) fn of_epoch(log: &str, epoch: u32, count: u64) -> Self {
        Self::of(log, epoch, count, 0)
    }

    /// As `new`, of another epoch; another `salt` gives another history.
    pub(crate) fn of(log: &str, epoch: u32, count: u64, salt: u8) -> Self {
        let (log, edge) = (name(log), Frontier::new());
        let mut origin = Self { log, epoch, records: vec![], nodes: vec![], edge };
        for seq in 0..count {
            let number = u64::from(epoch) * 1_000_000 + seq;
            let mut draft = draft(stream((seq % 3) as u8 + 100), number, 20);
            draft.open[0] ^= salt;
            let header = &mut draft.header;
            (header.log, header.epoch) = (origin.log.clone(), epoch);
            (header.seq, header.stream_version) = (seq, (seq / 3) as u32 + 1);
            header.recorded_at = seq as i64;
            origin.add(draft);
        }
        origin
    }

    /// Adds a record as it is.
    pub(crate) fn add(&mut self, draft: Draft) {
        let record: Record = draft.into_record().unwrap();
        self.nodes.push(self.edge.append(record.leaf_hash()));
        self.records.push(record.into_bytes());
    }

    /// The right edge of its first `size` records.
    pub(crate) fn edge_at(&self, size: u64) -> Frontier {
        let mut edge = Frontier::new();
        for nodes in &self.nodes[..size as usize] {
            edge.append(nodes[0]);
        }
        edge
    }

    /// A verified batch of `from..to` for a mirror that holds `held`.
    pub(crate) fn batch(&self, held: &Frontier, from: u64, to: u64) -> VerifiedBatch {
        let head = Checkpoint {
            origin: origin("adal.example", &self.log, self.epoch),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        let proof = consistency_proof(self, to, head.size).unwrap();
        let records = self.records[from as usize..to as usize].to_vec();
        admit(held, &self.log, self.epoch, records, from, &head, &proof).unwrap()
    }
}

/// The deep check to its end.
pub(crate) fn check(journal: &Journal) -> crate::CheckReport {
    journal.check(&mut |_| ControlFlow::Continue(()))
}

/// Fails if the deep check finds anything.
pub(crate) fn assert_clean(journal: &Journal) {
    let report = check(journal);
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert_eq!(report.records, journal.logs().iter().map(|log| log.size).sum::<u64>());
}
