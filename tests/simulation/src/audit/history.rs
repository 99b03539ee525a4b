//! Histories of logs: what every disk wrote, and whether a mirror is a prefix of one.

use evidence::hash::{Hash, hex};
use evidence::merkle::Frontier;
use journal::LogInfo;
use node::office::Office;

use super::{Auditor, Shown};
use crate::machine::Machine;

/// Records that are read at once.
const READ: usize = 4_096;

/// What one disk wrote of an epoch. Two of one epoch are two histories: only a person who brings
/// back an old disk, or runs a copy, makes such.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The computer, and which of its disks.
    pub writer: (String, u32),
    /// Hashes of the records.
    pub leaves: Vec<Hash>,
    /// Roots by size, the empty one first.
    pub roots: Vec<Hash>,
    frontier: Frontier,
}

impl Branch {
    fn new(writer: (String, u32)) -> Branch {
        let frontier = Frontier::new();
        Branch { writer, leaves: Vec::new(), roots: vec![frontier.root()], frontier }
    }

    fn push(&mut self, leaf: Hash) {
        self.frontier.append(leaf);
        self.leaves.push(leaf);
        self.roots.push(self.frontier.root());
    }

    /// Number of records.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The root of its first records.
    pub fn root(&self, size: u64) -> Option<Hash> {
        self.roots.get(size as usize).copied()
    }
}

impl Auditor {
    /// An own log has grown.
    pub(super) fn own(&mut self, machine: &Machine, office: &Office, info: &LogInfo) {
        let writer = (machine.name.clone(), machine.generation);
        let branches = self.histories.entry((info.log.clone(), info.epoch)).or_default();
        let at = branches.iter().position(|branch| branch.writer == writer);
        let at = at.unwrap_or_else(|| {
            // A copied disk goes on from what is on it.
            let begin = branches.iter().find(|b| b.root(info.size) == Some(info.root)).cloned();
            let mut branch = Branch::new(writer);
            for leaf in begin.iter().flat_map(|b| &b.leaves[..info.size as usize]) {
                branch.push(*leaf);
            }
            branches.push(branch);
            branches.len() - 1
        });
        let known = branches[at].size();
        if info.size < known {
            self.must(false, "durable", || {
                let Machine { name, .. } = machine;
                let (log, epoch, size) = (&info.log, info.epoch, info.size);
                format!("{name} shows {size} records of its own {log}:{epoch}, had {known}")
            });
            return;
        }
        let (log, epoch) = (&info.log, info.epoch);
        let mut next = known;
        while next < info.size {
            let left = (info.size - next) as usize;
            match office.journal.range(log, epoch, next, left.min(READ), usize::MAX) {
                Ok(records) if !records.is_empty() => {
                    let branch = &mut self.histories.get_mut(&(log.clone(), epoch)).unwrap()[at];
                    records.iter().for_each(|record| branch.push(record.leaf_hash()));
                    next += records.len() as u64;
                }
                _ => {
                    let rotten = self.rotten.contains(&machine.name);
                    self.must(rotten, "acknowledged", || {
                        format!("{} cannot read {log}:{epoch}:{next} of its own", machine.name)
                    });
                    return;
                }
            }
        }
        let known = self.histories[&(log.clone(), epoch)][at].root(info.size);
        self.must(known == Some(info.root), "durable", || {
            let (is, was) = (hex(&info.root), known.map(|root| hex(&root).to_string()));
            format!(
                "{} shows root {is} of its own {log}:{epoch}, its records {was:?}",
                machine.name
            )
        });
    }

    /// A mirror has changed.
    pub(super) fn mirror(
        &mut self,
        machine: &Machine,
        office: &Office,
        info: &LogInfo,
        before: Option<&Shown>,
    ) {
        let (log, epoch, name) = (&info.log, info.epoch, &machine.name);
        let grows = before.is_some_and(|before| before.size < info.size);
        let is_frozen = self.frozen.contains(&(name.clone(), log.clone(), epoch));
        self.must(!grows || !is_frozen, "frozen", || {
            format!("{name} goes on with {log}:{epoch}, of which it has seen two histories")
        });
        let branches = self.histories.get(&(log.clone(), epoch));
        let branches: &[Branch] = branches.map_or(&[], Vec::as_slice);
        let is_prefix = info.size == 0
            || branches.iter().any(|branch| branch.root(info.size) == Some(info.root));
        self.must(is_prefix, "mirror", || {
            let root = hex(&info.root);
            format!(
                "{name} holds {} records of {log}:{epoch} with root {root}: nobody wrote them",
                info.size
            )
        });
        let Some(before) = before.filter(|before| before.size > 0) else { return };
        let keeps = info.size >= before.size
            && office.journal.root_at(log, epoch, before.size).is_ok_and(|r| r == before.root);
        let rotten = self.rotten.contains(name);
        self.must(keeps || rotten, "forgetful-mirror", || {
            format!("{name} held {} records of {log}:{epoch} and holds others", before.size)
        });
    }

    /// Reads every record of every log of an office again, as whoever asks for it would: each is
    /// the one that was recorded, or is refused.
    pub fn read_again(&mut self, machine: &Machine, office: &Office) {
        for info in office.journal.logs() {
            let (log, epoch) = (&info.log, info.epoch);
            let branches = self.histories.get(&(log.clone(), epoch)).cloned().unwrap_or_default();
            let branch = branches.into_iter().find(|b| b.root(info.size) == Some(info.root));
            let Some(branch) = branch else { continue };
            for seq in 0..info.size {
                let read = office.journal.get(log, epoch, seq);
                let rotten = self.rotten.contains(&machine.name);
                let wrong = match &read {
                    Ok(Some(record)) => record.leaf_hash() != branch.leaves[seq as usize],
                    Ok(None) => true,
                    Err(_) => !rotten,
                };
                self.must(!wrong, "served-damage", || {
                    format!("{} answers for {log}:{epoch}:{seq} with {read:?}", machine.name)
                });
            }
        }
    }
}
