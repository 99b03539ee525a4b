//! Who co-signed what: every line that goes over a wire, under the root that it verifies with.

use std::collections::{BTreeMap, BTreeSet};

use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::note::Verifier;
use replication::Message;

use super::{Auditor, Branch};
use crate::machine::{DOMAIN, Machine};

/// What the auditor knows of cosigners and of what they gave.
pub struct Lines {
    verifiers: BTreeMap<String, Vec<Verifier>>,
    /// The roots that a cosigner has co-signed of an epoch, by size.
    given: BTreeMap<(LogName, u32, String), BTreeMap<u64, Hash>>,
    /// Lines that were judged.
    judged: BTreeSet<(LogName, u32, u64, String)>,
    generations: BTreeMap<String, u32>,
}

/// A cosignature or a position that a peer stated.
pub struct Said {
    log: LogName,
    epoch: u32,
    size: u64,
    /// The line, if it co-signed.
    line: Option<String>,
    /// What the speaker says of itself.
    claim: Claim,
}

/// What somebody says of himself when he states a size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Nothing: the line is another's.
    None,
    /// That he holds so many records.
    Holds,
    /// That he has stored the head of this size.
    Accepted,
}

impl Lines {
    /// Knows the keys of these computers.
    pub fn new(machines: &[Machine]) -> Lines {
        let mut lines = Lines {
            verifiers: BTreeMap::new(),
            given: BTreeMap::new(),
            judged: BTreeSet::new(),
            generations: BTreeMap::new(),
        };
        machines.iter().for_each(|machine| lines.learn(machine));
        lines
    }

    /// Knows the keys that a computer has now.
    pub fn learn(&mut self, machine: &Machine) {
        let keys = machine.public();
        let place = machine.code.as_str().to_ascii_lowercase();
        for (kind, key) in [("witness", keys.witness), ("mirror", keys.mirror)] {
            let name = format!("{DOMAIN}/{kind}/{place}");
            let verifier = Verifier::cosigner(&name, &key).unwrap();
            self.verifiers.entry(name).or_default().push(verifier);
        }
    }

    /// Which of its disks a computer has.
    pub fn generation(&self, name: &str) -> u32 {
        self.generations.get(name).copied().unwrap_or(0)
    }

    /// It has another one.
    pub fn replaced(&mut self, name: &str, generation: u32) {
        self.generations.insert(name.to_owned(), generation);
    }
}

/// What a message states of heads.
pub fn said(message: &Message) -> Vec<Said> {
    let one = |log: &LogName, epoch, size, line: Option<&String>, claim| {
        vec![Said { log: log.clone(), epoch, size, line: line.cloned(), claim }]
    };
    match message {
        Message::HeadAccepted(m) => {
            one(&m.log, m.epoch, m.size, Some(&m.cosignature), Claim::Accepted)
        }
        Message::Held(m) => one(&m.log, m.epoch, m.size, m.cosignature.as_ref(), Claim::Holds),
        Message::Witnessed(m) => one(&m.log, m.epoch, m.size, Some(&m.cosignature), Claim::None),
        Message::Cosigned(m) => one(&m.log, m.epoch, m.size, Some(&m.cosignature), Claim::None),
        _ => Vec::new(),
    }
}

impl Auditor {
    /// A line or a position has come over a wire.
    pub(super) fn judge_line(&mut self, from: &str, said: &Said) {
        let (log, epoch, size) = (&said.log, said.epoch, said.size);
        let key = (from.to_owned(), log.clone(), epoch);
        let stored = match said.claim {
            Claim::None => None,
            Claim::Holds => Some(self.most.get(&key).copied().unwrap_or(0)),
            Claim::Accepted => Some(self.heads.get(&key).copied().unwrap_or(0)),
        };
        if let Some(stored) = stored {
            self.must(stored >= size, "line-before-store", || {
                format!("{from} speaks of {size} records of {log}:{epoch}, it has stored {stored}")
            });
        }
        let Some(line) = &said.line else { return };
        let Some(name) = line.strip_prefix("\u{2014} ").and_then(|l| l.split(' ').next()) else {
            return;
        };
        let Some(verifiers) = self.lines.verifiers.get(name).cloned() else { return };
        if !self.lines.judged.insert((log.clone(), epoch, size, line.clone())) {
            return;
        }
        let origin = origin(DOMAIN, log, epoch);
        let signed = |root: &Hash| {
            let body = Checkpoint { origin: origin.clone(), size, root: *root }.body();
            verifiers.iter().any(|by| verify_cosignature(&body, line, by).is_ok())
        };
        let branches = self.histories.get(&(log.clone(), epoch)).map_or(&[][..], Vec::as_slice);
        let mut roots: Vec<Hash> = branches.iter().filter_map(|b| b.root(size)).collect();
        roots.dedup();
        // Of a head that the auditor has not seen, nothing can be said.
        let Some(root) = roots.into_iter().find(signed) else { return };
        let key = (log.clone(), epoch, name.to_owned());
        let given = self.lines.given.entry(key).or_default();
        let same = *given.entry(size).or_insert(root) == root;
        let has_all = |b: &Branch| given.iter().all(|(size, root)| b.root(*size) == Some(*root));
        let is_one = same && branches.iter().any(has_all);
        self.must(is_one, "two-histories", || {
            format!("{name} co-signed two histories of {log}:{epoch}, the second at {size}")
        });
    }

    /// A computer has other keys.
    pub fn has_other_keys(&mut self, machine: &Machine) {
        self.lines.learn(machine);
    }

    /// A computer has another disk.
    pub fn has_other_disk(&mut self, name: &str, generation: u32) {
        self.lines.replaced(name, generation);
        self.replaced(name);
    }
}
