//! A small installation for tests: a region, the centre, three peers, and a log in memory.

#![allow(dead_code, reason = "each test binary uses its part")]

use evidence::Record;
use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::{LogName, origin};
use evidence::merkle::{Nodes as _, consistency_proof, inclusion_proof, root_at};
use evidence::note::{SignedNote, Signer, Verifier};
use evidence::opening::Opening;
use evidence::policy::{Policy, region_policy};
use evidence::proof::TlogProof;
use evidence::witness::AddCheckpoint;

use super::{Memory, small};

/// Origin of the region's log.
pub const ORIGIN: &str = "adal.example/log/kz-75";

/// The seed of every signer's key is its name's number.
pub struct Parties {
    pub log: Signer,
    pub witness: Signer,
    pub mirror: Signer,
    pub peers: Vec<Signer>,
}

impl Parties {
    pub fn new() -> Self {
        let cosigner = |name: &str, seed: u8| {
            Signer::cosigner(&format!("adal.example/{name}"), &[seed; 32]).unwrap()
        };
        Self {
            log: Signer::log(ORIGIN, &[1; 32]).unwrap(),
            witness: cosigner("witness/kz", 2),
            mirror: cosigner("mirror/kz", 3),
            peers: vec![
                cosigner("witness/kz-10", 4),
                cosigner("witness/kz-19", 5),
                cosigner("witness/kz-27", 6),
            ],
        }
    }

    pub fn peers(&self) -> Vec<Verifier> {
        self.peers.iter().map(Signer::verifier).collect()
    }

    pub fn policy(&self) -> Policy {
        let (witness, mirror) = (self.witness.verifier(), self.mirror.verifier());
        region_policy(&[self.log.verifier()], &witness, &mirror, &self.peers()).unwrap()
    }

    /// Cosigns by the centre twice and by the first peer.
    pub fn cosigned(&self, note: &str) -> SignedNote {
        let by = [&self.witness, &self.mirror, &self.peers[0]];
        let lines: String = by.iter().map(|by| cosign(note, by, 1_760_000_000).unwrap()).collect();
        SignedNote::parse(&format!("{note}{lines}")).unwrap()
    }
}

/// The log of all tests.
fn records_log() -> LogName {
    LogName::new("kz-75").unwrap()
}

/// A log in memory with its records.
pub struct Log {
    pub origin: String,
    pub records: Vec<Record>,
    pub memory: Memory,
}

impl Log {
    /// The records of a log of `kz-75` whose record `i` has `i` bytes of open body, up to 40.
    pub fn of(size: u64) -> Self {
        Self::with(size, &[])
    }

    /// The same with other bodies from `size - tail.len()` on.
    pub fn with(size: u64, tail: &[&[u8]]) -> Self {
        Self::epoch(1, size, tail)
    }

    /// The same in another epoch.
    pub fn epoch(epoch: u32, size: u64, tail: &[&[u8]]) -> Self {
        let bodies = (0..size).map(|i| vec![i as u8; (i % 41) as usize]);
        let mut bodies: Vec<Vec<u8>> = bodies.collect();
        let from = bodies.len() - tail.len();
        bodies.truncate(from);
        bodies.extend(tail.iter().map(|body| body.to_vec()));
        let record = |(i, open): (u64, Vec<u8>)| {
            let mut draft = small("kz-75", i, &open);
            draft.header.epoch = epoch;
            draft.into_record().unwrap()
        };
        let records: Vec<Record> = (0..).zip(bodies).map(record).collect();
        let memory = Memory::of(records.iter().map(Record::leaf_hash));
        let origin = origin("adal.example", &records_log(), epoch);
        Self { origin, records, memory }
    }

    pub fn head(&self, size: u64) -> Checkpoint {
        let root = root_at(&self.memory, size).unwrap();
        Checkpoint { origin: self.origin.clone(), size, root }
    }

    pub fn signed(&self, size: u64, log: &Signer) -> String {
        self.head(size).sign(log).unwrap()
    }

    pub fn proof(&self, index: u64, size: u64, note: SignedNote) -> TlogProof {
        let path = inclusion_proof(&self.memory, index, size).unwrap();
        let opening = Opening::of(&self.records[index as usize]).to_bytes();
        TlogProof::new(index, path, note, Some(opening)).unwrap()
    }

    pub fn request(&self, old: u64, new: u64, note: SignedNote) -> AddCheckpoint {
        let proof = consistency_proof(&self.memory, old, new).unwrap();
        AddCheckpoint::new(old, proof, note).unwrap()
    }

    pub fn leaf(&self, index: u64) -> evidence::Hash {
        self.memory.node(0, index).unwrap()
    }
}
