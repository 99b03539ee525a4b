//! Who co-signed what: every line that goes over a wire, under the root that it verifies with.

use std::collections::BTreeMap;

use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::note::Verifier;
use replication::Message;

use super::Auditor;
use crate::machine::{DOMAIN, Machine};

/// What the auditor knows of cosigners and of what they gave.
pub struct Lines {
    verifiers: BTreeMap<String, Vec<Verifier>>,
    /// Roots that were co-signed, by log, epoch, size and cosigner.
    roots: BTreeMap<(LogName, u32, u64, String), Hash>,
    generations: BTreeMap<String, u32>,
}

/// A cosignature or a position that a peer stated.
pub struct Said {
    log: LogName,
    epoch: u32,
    size: u64,
    /// The line, if it co-signed.
    line: Option<String>,
    /// Whether the speaker says of itself that it holds so many records.
    holds: bool,
}

impl Lines {
    /// Knows the keys of these computers.
    pub fn new(machines: &[Machine]) -> Lines {
        let (verifiers, roots) = (BTreeMap::new(), BTreeMap::new());
        let mut lines = Lines { verifiers, roots, generations: BTreeMap::new() };
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
    let one = |log: &LogName, epoch, size, line: Option<&String>, holds| {
        vec![Said { log: log.clone(), epoch, size, line: line.cloned(), holds }]
    };
    match message {
        Message::HeadAccepted(m) => one(&m.log, m.epoch, m.size, Some(&m.cosignature), false),
        Message::Held(m) => one(&m.log, m.epoch, m.size, m.cosignature.as_ref(), true),
        Message::Witnessed(m) => one(&m.log, m.epoch, m.size, Some(&m.cosignature), false),
        Message::Cosigned(m) => one(&m.log, m.epoch, m.size, Some(&m.cosignature), false),
        _ => Vec::new(),
    }
}

impl Auditor {
    /// A line or a position has come over a wire.
    pub(super) fn judge_line(&mut self, from: &str, said: &Said) {
        let (log, epoch, size) = (&said.log, said.epoch, said.size);
        if said.holds {
            let shown = self.size(from, log, epoch);
            self.must(shown >= size, "line-before-store", || {
                format!("{from} says that it holds {size} of {log}:{epoch}, it has stored {shown}")
            });
        }
        let Some(line) = &said.line else { return };
        let Some(name) = line.strip_prefix("\u{2014} ").and_then(|l| l.split(' ').next()) else {
            return;
        };
        let Some(verifiers) = self.lines.verifiers.get(name).cloned() else { return };
        let mut roots: Vec<Hash> = Vec::new();
        for branch in self.histories.get(&(log.clone(), epoch)).into_iter().flatten() {
            roots.extend(branch.root(size).filter(|root| !roots.contains(root)));
        }
        let origin = origin(DOMAIN, log, epoch);
        let signed = |root: &Hash| {
            let body = Checkpoint { origin: origin.clone(), size, root: *root }.body();
            verifiers.iter().any(|by| verify_cosignature(&body, line, by).is_ok())
        };
        let Some(root) = roots.into_iter().find(signed) else { return };
        let key = (log.clone(), epoch, size, name.to_owned());
        let before = *self.lines.roots.entry(key).or_insert(root);
        self.must(before == root, "two-roots", || {
            format!("{name} co-signed two roots of {log}:{epoch} of size {size}")
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
