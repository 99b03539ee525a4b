//! What a bent message may be made of: two histories of each log, both signed by its real key, and
//! heads and lines of every kind. Always the same.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::{LogName, origin};
use evidence::merkle::{consistency_proof, inclusion_proof, root_at};
use evidence::note::{Signer, Verifier};
use evidence::{Hash, Record};

use crate::world::{Memory, draft};

/// Domain of the installation.
pub const DOMAIN: &str = "adal.example";

/// Records of each history.
pub const LENGTH: u64 = 20;

/// Records that both histories of a log begin with.
const SHARED: u64 = 6;

/// The logs: of the region, and of the centre.
pub const LOGS: [&str; 2] = ["kz-75", "kz/all"];

/// The offices.
const OFFICES: [&str; 3] = ["KZ", "KZ-75", "KZ-71"];

/// The material, made once.
pub static MATERIAL: LazyLock<Material> = LazyLock::new(Material::new);

/// One history of a log.
pub struct History {
    /// Stored bytes.
    pub records: Vec<Vec<u8>>,
    nodes: Memory,
    /// The signed head of each size, from 0 on.
    pub heads: Vec<String>,
}

impl History {
    fn new(log: &LogName, salt: u8, signer: &Signer) -> History {
        let record = |seq: u64| {
            let mut draft = draft(log, seq);
            draft.open = vec![if seq < SHARED { 0 } else { salt }; 700];
            draft.into_record().unwrap()
        };
        let records: Vec<Record> = (0..LENGTH).map(record).collect();
        let nodes = Memory::of(records.iter().map(Record::leaf_hash));
        let head = |size| {
            let root = root_at(&nodes, size).unwrap();
            Checkpoint { origin: signer.name().to_owned(), size, root }.sign(signer).unwrap()
        };
        let heads = (0..=LENGTH).map(head).collect();
        History { records: records.into_iter().map(Record::into_bytes).collect(), nodes, heads }
    }

    /// The root over the first `size` records.
    #[must_use]
    pub fn root(&self, size: u64) -> Hash {
        root_at(&self.nodes, size).unwrap()
    }

    /// The consistency proof between two sizes.
    #[must_use]
    pub fn proof(&self, old: u64, size: u64) -> Vec<Hash> {
        consistency_proof(&self.nodes, old, size).unwrap()
    }

    /// The inclusion proof of a record in the tree of `size` records.
    #[must_use]
    pub fn inclusion(&self, seq: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(&self.nodes, seq, size).unwrap()
    }

    /// Whether it is its head of this size.
    #[must_use]
    pub fn has_head(&self, size: u64, note: &str) -> bool {
        self.heads.get(size as usize).is_some_and(|head| head == note)
    }
}

/// A log: its writer has the first history; the second one is of a writer that cheats.
pub struct Log {
    /// Its name.
    pub name: LogName,
    /// The public key of its epoch 1.
    pub verifier: Verifier,
    /// Both histories.
    pub histories: [History; 2],
}

/// All of it.
pub struct Material {
    logs: Vec<Log>,
    cosigners: BTreeMap<String, Arc<Signer>>,
    /// Notes: real heads, heads of strangers, heads with lines.
    pub notes: Vec<String>,
    /// Cosignature lines, also with times that no clock shows.
    pub lines: Vec<String>,
}

impl Material {
    fn new() -> Material {
        let logs: Vec<Log> = LOGS.iter().zip(1..).map(|(name, seed)| log(name, seed)).collect();
        let mut cosigners = BTreeMap::new();
        for (office, seed) in OFFICES.iter().zip(0u8..) {
            for (role, part) in [("witness", 100), ("mirror", 150)] {
                let name = cosigner_name(office, role);
                let signer = Signer::cosigner(&name, &[part + seed; 32]).unwrap();
                cosigners.insert(name, Arc::new(signer));
            }
        }
        let mut notes: Vec<String> = Vec::new();
        let mut lines = Vec::new();
        for log in &logs {
            let all = log.histories.iter().flat_map(|history| &history.heads);
            notes.extend(all.cloned());
            let stranger = Signer::log(log.verifier.name(), &[77; 32]).unwrap();
            let last = &log.histories[0].heads[LENGTH as usize];
            notes.push(Checkpoint::parse(last).unwrap().sign(&stranger).unwrap());
            for (size, time) in [(8, 0), (11, 7), (14, i64::MAX as u64), (20, u64::MAX)] {
                let head = &log.histories[0].heads[size];
                lines.extend(cosigners.values().filter_map(|key| cosign(head, key, time).ok()));
            }
        }
        let with_line = |at: usize| format!("{}{}", notes[at], lines[0]);
        notes.extend([with_line(8), with_line(20)]);
        Material { logs, cosigners, notes, lines }
    }

    /// The log with this name, if it is one.
    #[must_use]
    pub fn log(&self, name: &LogName) -> Option<&Log> {
        self.logs.iter().find(|log| log.name == *name)
    }

    /// The log with this place in the material, counted round.
    #[must_use]
    pub fn nth(&self, at: usize) -> &Log {
        &self.logs[at % self.logs.len()]
    }

    /// The key of an office in this role.
    #[must_use]
    pub fn cosigner(&self, office: &str, role: &str) -> Arc<Signer> {
        self.cosigners[&cosigner_name(office, role)].clone()
    }
}

fn cosigner_name(office: &str, role: &str) -> String {
    format!("{DOMAIN}/{role}/{}", office.to_lowercase())
}

fn log(name: &str, seed: u8) -> Log {
    let name = LogName::new(name).unwrap();
    let signer = Signer::log(&origin(DOMAIN, &name, 1), &[seed; 32]).unwrap();
    let histories = [1, 2].map(|salt| History::new(&name, salt, &signer));
    Log { name, verifier: signer.verifier(), histories }
}
