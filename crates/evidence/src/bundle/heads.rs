//! The signed heads of one origin, and what links them.

use std::collections::{BTreeMap, BTreeSet};

use super::report::Conflict;
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::merkle::empty_root;

/// A head and where it was seen first.
struct Head {
    root: Hash,
    file: String,
    /// In `checkpoints/`, where consistency files find their older head.
    listed: bool,
    /// Shown by the log itself, not by a receipt or slip.
    shown: bool,
    quorum: bool,
}

/// Where a head was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `checkpoints/`.
    Checkpoints,
    /// `consistency/` or `log/`.
    Log,
    /// `receipts/` or `slips/`.
    Proof,
}

/// All heads of an origin.
#[derive(Default)]
pub(super) struct Heads {
    heads: BTreeMap<u64, Head>,
    /// The second root of a size, and its file.
    forks: BTreeMap<u64, (Hash, String)>,
    links: Vec<(u64, u64)>,
    /// Roots that the copy in `log/` has at the sizes asked for, with the size of the copy.
    copy: Option<(u64, BTreeMap<u64, Hash>)>,
    /// The head that all others must lead up to; after [`Heads::settle`].
    end: u64,
    reached: BTreeSet<u64>,
}

impl Heads {
    /// Takes a head that the log signed.
    pub(super) fn add(&mut self, head: &Checkpoint, file: &str, place: Place, quorum: bool) {
        let (listed, shown) = (place == Place::Checkpoints, place != Place::Proof);
        let seen = self.heads.entry(head.size).or_insert_with(|| Head {
            root: head.root,
            file: file.to_owned(),
            listed: false,
            shown: false,
            quorum: false,
        });
        if seen.root != head.root {
            self.forks.entry(head.size).or_insert_with(|| (head.root, file.to_owned()));
            return;
        }
        seen.listed |= listed;
        seen.shown |= shown;
        seen.quorum |= quorum;
    }

    /// Sizes of which there is a head.
    pub(super) fn sizes(&self) -> BTreeSet<u64> {
        self.heads.keys().copied().collect()
    }

    /// Root of the head of that size in `checkpoints/`.
    pub(super) fn listed(&self, size: u64) -> Option<Hash> {
        self.heads.get(&size).filter(|head| head.listed).map(|head| head.root)
    }

    /// Takes a consistency proof that holds.
    pub(super) fn link(&mut self, old: u64, new: u64) {
        self.links.push((old, new));
    }

    /// Takes a complete copy: its size and its roots at the sizes of heads.
    pub(super) fn copied(&mut self, size: u64, roots: BTreeMap<u64, Hash>) {
        self.copy = Some((size, roots));
    }

    /// Size of the largest head that the log shows, linked or not.
    fn shown(&self) -> u64 {
        let shown = self.heads.iter().rev().find(|(_, head)| head.shown);
        shown.map_or(0, |(size, _)| *size)
    }

    /// Size of the largest head.
    pub(super) fn largest(&self) -> u64 {
        self.heads.keys().next_back().copied().unwrap_or(0)
    }

    /// Size of the largest linked head that the quorum cosigned.
    pub(super) fn witnessed(&self) -> Option<u64> {
        let good =
            |(size, head): &(&u64, &Head)| head.quorum && head.shown && self.reached.contains(size);
        self.heads.iter().rev().find(good).map(|(size, _)| *size)
    }

    /// Whether a head or the copy has this root and is tied to the end; after [`Heads::settle`].
    /// `None`: neither has that size, and the log goes on behind it.
    pub(super) fn ties(&self, size: u64, root: &Hash) -> Option<bool> {
        let copied = self.copy.as_ref().and_then(|(end, roots)| Some((end, roots.get(&size)?)));
        match (self.heads.get(&size), copied) {
            _ if size == 0 => Some(*root == empty_root()),
            (Some(head), _) => Some(head.root == *root && self.reached.contains(&size)),
            (None, Some((end, copied))) => Some(copied == root && self.reached.contains(end)),
            (None, None) => (size > self.end).then_some(false),
        }
    }

    /// Chooses the head that the others must lead up to, and follows the links down from it; to be
    /// called once, after everything was taken.
    ///
    /// It is the largest shown head that has the newest head with the quorum below it: what the log
    /// alone signed and ties to nothing convicts nobody else. Where no head has the quorum, it is
    /// the largest shown one.
    ///
    /// Only downwards: two heads that extend the same smaller head need not be of one history.
    pub(super) fn settle(&mut self) {
        let mut older: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (old, new) in &self.links {
            older.entry(*new).or_default().push(*old);
        }
        if let Some((end, roots)) = &self.copy {
            let same = |(size, root): &(&u64, &Hash)| {
                self.heads.get(size).is_some_and(|head| head.root == **root)
            };
            let sizes = roots.iter().filter(same).map(|(size, _)| *size);
            older.entry(*end).or_default().extend(sizes);
        }
        let shown = |size: &u64| self.heads.get(size).is_some_and(|head| head.shown);
        let complete = self.heads.iter().rev().find(|(_, head)| head.shown && head.quorum);
        let newest = complete.map_or_else(|| self.shown(), |(size, _)| *size);
        self.end = ends(newest, &older).into_iter().rev().find(shown).unwrap_or(newest);
        let mut open = vec![self.end];
        while let Some(size) = open.pop() {
            if self.reached.insert(size) {
                open.extend(older.get(&size).into_iter().flatten());
            }
        }
    }

    /// Whether the head of this file agrees with what the log shows; after [`Heads::settle`].
    pub(super) fn judge(&self, head: &Checkpoint) -> Result<(), Conflict> {
        let (size, end) = (head.size, self.end);
        if let Some((second, file)) = self.forks.get(&size) {
            let first = self.heads.get(&size).map(|first| first.file.as_str());
            let other = if *second == head.root { first.unwrap_or_default() } else { file };
            return Err(Conflict::Fork { size, other: other.to_owned() });
        }
        if let Some((copied, roots)) = &self.copy
            && size <= *copied
            && roots.get(&size) != Some(&head.root)
        {
            return Err(Conflict::Copy { size });
        }
        if size > self.shown() {
            return Err(Conflict::Beyond { size, end: self.shown() });
        }
        // The empty tree is a prefix of every other.
        if size == 0 || self.reached.contains(&size) {
            return Ok(());
        }
        Err(Conflict::Unlinked { size, end })
    }
}

/// The sizes from which links lead down to `from`, and itself.
fn ends(from: u64, older: &BTreeMap<u64, Vec<u64>>) -> BTreeSet<u64> {
    let mut found = BTreeSet::from([from]);
    // A link leads from a larger size to a smaller one, so one walk upwards sees them all.
    for (new, olds) in older.range(from..) {
        if olds.iter().any(|old| found.contains(old)) {
            found.insert(*new);
        }
    }
    found
}
