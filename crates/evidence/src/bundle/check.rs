//! Reading the files of a bundle. Everything is read before anything is judged, for what one file
//! proves may contradict another.

use std::collections::{BTreeMap, BTreeSet};

use super::epochs::Ending;
use super::heads::{Heads, Place};
use super::report::{Refusal, Report, Subject, Verdict};
use super::{Files, PROOF_ENDING};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::decimal;
use crate::merkle::{empty_root, verify_consistency};
use crate::note::{MAX_NOTE, SignedNote};
use crate::policy::{Evaluation, MAX_POLICY, Policy};
use crate::proof::{MAX_TLOG_PROOF, TlogProof};
use crate::record::{Leaf, MAX_LEAF};
use crate::tiles::{CopyError, MAX_TILE, TilePath, is_tile_of, verify_copy};
use crate::witness::{AddCheckpoint, MAX_REQUEST};

/// A file that was read and is to be judged when all are.
pub(super) enum Pending {
    /// A head of `checkpoints/` or `log/`.
    Head(Evaluation),
    /// A consistency proof that holds.
    Link { old: u64, head: Checkpoint },
    /// A receipt or slip.
    Proof { proof: Box<TlogProof>, judged: Evaluation, receipt: bool },
    /// A log entry.
    Leaf(Leaf),
}

/// A bundle that is being checked.
pub(super) struct Check<'a, F> {
    files: &'a F,
    pub(super) policy: &'a Policy,
    names: BTreeSet<String>,
    pub(super) pending: BTreeMap<String, Pending>,
    pub(super) verdicts: BTreeMap<String, Verdict>,
    pub(super) heads: BTreeMap<String, Heads>,
    /// Origin of the good copy in `log/`, and its entries that other files name.
    pub(super) copied: Option<(String, BTreeMap<u64, Vec<u8>>)>,
    /// By origin, what its first record says of the epoch before.
    pub(super) endings: BTreeMap<String, Ending>,
}

impl<'a, F: Files> Check<'a, F> {
    /// Lists the files.
    pub(super) fn new(files: &'a F, policy: &'a Policy) -> Result<Self, F::Error> {
        Ok(Self {
            files,
            policy,
            names: files.names()?.into_iter().collect(),
            pending: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            heads: BTreeMap::new(),
            copied: None,
            endings: BTreeMap::new(),
        })
    }

    /// Reads and judges everything.
    pub(super) fn run(mut self) -> Report {
        let policy = self.read_policy().map(|()| Subject::Policy);
        self.tell("policy", policy);
        // Links need the checkpoints, the copy needs to know of which sizes and entries.
        for folder in ["", "checkpoints", "receipts", "slips", "leaves", "consistency"] {
            for name in self.names_in(folder) {
                let read = self.read_file(folder, &name);
                self.keep(name, read);
            }
        }
        self.read_copy();
        self.heads.values_mut().for_each(Heads::settle);
        self.judge()
    }

    /// Keeps what was read, or the reason why it was not.
    fn keep(&mut self, name: String, read: Result<Pending, Refusal>) {
        match read {
            Ok(pending) => drop(self.pending.insert(name, pending)),
            Err(why) => self.tell(&name, Err(why)),
        }
    }

    /// Notes a verdict.
    pub(super) fn tell(&mut self, name: &str, verdict: Result<Subject, Refusal>) {
        let verdict = verdict.map_or_else(Verdict::Refused, Verdict::Accepted);
        self.verdicts.insert(name.to_owned(), verdict);
    }

    /// Names in a folder, without those of `log/` and the policy; `""`: what is in no folder of a
    /// bundle.
    fn names_in(&self, folder: &str) -> Vec<String> {
        const FOLDERS: [&str; 6] =
            ["checkpoints", "consistency", "receipts", "slips", "leaves", "log"];
        let of = |name: &&String| match name.split_once('/') {
            Some((first, _)) if FOLDERS.contains(&first) => first == folder,
            _ => folder.is_empty() && *name != "policy",
        };
        self.names.iter().filter(of).cloned().collect()
    }

    /// Reads a file of at most `limit` bytes.
    fn bytes(&self, name: &str, limit: usize) -> Result<Vec<u8>, Refusal> {
        if !self.names.contains(name) {
            return Err(Refusal::Absent);
        }
        self.files.read(name, limit).map_err(|error| Refusal::Unreadable(error.to_string()))
    }

    /// Reads a text of at most `limit` bytes.
    fn text(&self, name: &str, limit: usize) -> Result<String, Refusal> {
        String::from_utf8(self.bytes(name, limit)?).map_err(|_| Refusal::Encoding)
    }

    /// The bundle's policy must be the auditor's, or an older state of it.
    fn read_policy(&self) -> Result<(), Refusal> {
        let policy = Policy::parse(&self.bytes("policy", MAX_POLICY)?)?;
        if self.policy.covers(&policy) { Ok(()) } else { Err(Refusal::ForeignPolicy) }
    }

    /// Reads a file of a folder; what it proves about heads is kept at once.
    fn read_file(&mut self, folder: &str, name: &str) -> Result<Pending, Refusal> {
        let file = name.split_once('/').map(|(_, file)| file).unwrap_or_default();
        match folder {
            _ if file.is_empty() || file.contains('/') => Err(Refusal::Unknown),
            "checkpoints" => self.read_head(name, Place::Checkpoints).map(Pending::Head),
            "consistency" => self.read_link(name),
            "receipts" | "slips" => self.read_proof(name, folder == "receipts"),
            "leaves" => self.read_leaf(name, file),
            _ => Err(Refusal::Unknown),
        }
    }

    /// Judges a note by the policy and takes its head.
    fn take(&mut self, note: &SignedNote, name: &str, at: Place) -> Result<Evaluation, Refusal> {
        let judged = self.policy.evaluate(note)?;
        let heads = self.heads.entry(judged.checkpoint.origin.clone()).or_default();
        heads.add(&judged.checkpoint, name, at, judged.quorum_met());
        Ok(judged)
    }

    /// A signed head.
    fn read_head(&mut self, name: &str, place: Place) -> Result<Evaluation, Refusal> {
        let note = SignedNote::parse(&self.text(name, MAX_NOTE)?)?;
        self.take(&note, name, place)
    }

    /// A consistency proof from a head of `checkpoints/` to the head inside.
    fn read_link(&mut self, name: &str) -> Result<Pending, Refusal> {
        let request = AddCheckpoint::parse(&self.text(name, MAX_REQUEST)?)?;
        let head = self.take(request.checkpoint(), name, Place::Log)?.checkpoint;
        let old = request.old();
        let heads = self.heads.entry(head.origin.clone()).or_default();
        let old_root = match old {
            0 => empty_root(),
            _ => heads.listed(old).ok_or(Refusal::NoOldHead { old })?,
        };
        verify_consistency(old, &old_root, head.size, &head.root, request.proof())?;
        heads.link(old, head.size);
        Ok(Pending::Link { old, head })
    }

    /// A receipt or slip, but for its leaf.
    fn read_proof(&mut self, name: &str, receipt: bool) -> Result<Pending, Refusal> {
        if !name.ends_with(PROOF_ENDING) {
            return Err(Refusal::Unknown);
        }
        let proof = Box::new(TlogProof::parse(&self.text(name, MAX_TLOG_PROOF)?)?);
        let judged = self.take(proof.checkpoint(), name, Place::Proof)?;
        Ok(Pending::Proof { proof, judged, receipt })
    }

    /// A log entry under its index.
    fn read_leaf(&self, name: &str, file: &str) -> Result<Pending, Refusal> {
        let index = decimal(file).ok_or(Refusal::Unknown)?;
        let leaf = Leaf::parse(&self.bytes(name, MAX_LEAF)?)?;
        if leaf.seq != index {
            return Err(Refusal::Misnamed { found: leaf.seq });
        }
        Ok(Pending::Leaf(leaf))
    }

    /// The copy in `log/`, if there is one.
    fn read_copy(&mut self) {
        let names = self.names_in("log");
        if names.is_empty() {
            return;
        }
        let judged = match self.read_head("log/checkpoint", Place::Log) {
            Ok(judged) => judged,
            Err(why) => return self.tell("log/checkpoint", Err(why)),
        };
        let head = judged.checkpoint.clone();
        self.pending.insert("log/checkpoint".to_owned(), Pending::Head(judged));
        for name in names.iter().filter(|name| *name != "log/checkpoint") {
            let path = name.strip_prefix("log/").and_then(|path| path.parse::<TilePath>().ok());
            if !path.is_some_and(|path| is_tile_of(head.size, &path)) {
                self.tell(name, Err(Refusal::Unknown));
            }
        }
        match self.walk_copy(&head) {
            Ok((roots, entries)) => {
                self.heads.entry(head.origin.clone()).or_default().copied(head.size, roots);
                let (origin, size) = (head.origin.clone(), head.size);
                self.tell("log/tile", Ok(Subject::Copy { origin, size }));
                self.copied = Some((head.origin, entries));
            }
            Err((name, why)) => self.tell(&name, Err(why)),
        }
    }

    /// Walks through the copy: its roots at the sizes of heads and ends, and the entries that files
    /// name.
    fn walk_copy(&self, head: &Checkpoint) -> Result<(Roots, Entries), (String, Refusal)> {
        let mut sizes = self.heads.get(&head.origin).map(Heads::sizes).unwrap_or_default();
        // Where an epoch is said to have ended, there need be no head of it.
        let ending = |pending: &Pending| match pending {
            Pending::Proof { proof, .. } => Ending::of_proof(proof).map(|ending| ending.size),
            _ => None,
        };
        sizes.extend(self.pending.values().filter_map(ending));
        let named = |pending: &Pending| match pending {
            Pending::Proof { proof, .. } => Some(proof.index()),
            Pending::Leaf(leaf) => Some(leaf.seq),
            _ => None,
        };
        let indices: BTreeSet<u64> = self.pending.values().filter_map(named).collect();
        let (mut roots, mut entries, mut odd) = (Roots::new(), Entries::new(), None);
        roots.insert(0, empty_root());
        let read = |path: &TilePath| self.bytes(&format!("log/{path}"), MAX_TILE);
        let seen = |entry: &[u8], tree: &crate::merkle::Frontier| {
            let index = tree.size() - 1;
            if odd.is_none() && !Leaf::parse(entry).is_ok_and(|leaf| leaf.seq == index) {
                odd = Some(index);
            }
            if indices.contains(&index) {
                entries.insert(index, entry.to_vec());
            }
            if sizes.contains(&tree.size()) {
                roots.insert(tree.size(), tree.root());
            }
        };
        let copied = verify_copy(head, read, seen);
        copied.map_err(|error| {
            let why = |text: String| Refusal::Copy(text);
            match error {
                CopyError::Read { path, source } => (format!("log/{path}"), source),
                CopyError::Tile { path, source } => {
                    (format!("log/{path}"), why(source.to_string()))
                }
                CopyError::Hashes { path } => {
                    (format!("log/{path}"), why("it has not the hashes of the entries".to_owned()))
                }
                CopyError::Root => {
                    ("log/tile".to_owned(), why(CopyError::<Refusal>::Root.to_string()))
                }
            }
        })?;
        match odd {
            Some(index) => Err(("log/tile".to_owned(), Refusal::Entry { index })),
            None => Ok((roots, entries)),
        }
    }
}

/// Roots by size.
type Roots = BTreeMap<u64, Hash>;

/// Entries by index.
type Entries = BTreeMap<u64, Vec<u8>>;
