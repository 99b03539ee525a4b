//! The trees of a bundle, recomputed with the crate `ct-merkle` from the entries in `log/`.
//!
//! This judge reads no signature, no policy and no opening, so it is blind to everything that is
//! done to those alone. What it does see: each root, each inclusion proof and each consistency
//! proof of a head that `log/` reaches.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;

use crate::bundle::Bundle;
use crate::judge::Verdict;

type Why = String;

/// The copy in `log/`: entries, and the root of every size.
struct Copy {
    entries: Vec<Vec<u8>>,
    roots: Vec<RootHash<Sha256>>,
}

/// What stands in a file with a checkpoint.
struct Read {
    number: u64,
    hashes: Vec<u8>,
    size: u64,
    root: Vec<u8>,
}

/// Judges a bundle that has `log/`.
pub fn verdict(bundle: &Bundle) -> Verdict {
    let mut verdict = Verdict::default();
    let mut note = |path: &str, outcome: Result<(), Why>| match outcome {
        Ok(()) => verdict.good.push(path.to_owned()),
        Err(why) => drop(verdict.refused.insert(path.to_owned(), why)),
    };
    let copy = match Copy::read(bundle) {
        Ok(copy) => copy,
        Err((path, why)) => {
            note(&path, Err(why));
            return verdict;
        }
    };
    let copied = copy.entries.len() as u64;
    let newest = bundle.0.get("log/checkpoint").map(|bytes| read(bytes));
    let whole = newest
        .is_some_and(|read| read.is_ok_and(|read| read.size == copied && copy.has(&read).is_ok()));
    for path in bundle.paths("log/tile/entries/") {
        note(&path, ensure(whole, "the entries do not lead to the head of log/"));
    }
    let mut old_roots: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (path, bytes) in &bundle.0 {
        let folder = path.split('/').next().unwrap();
        if folder == "checkpoints" || path == "log/checkpoint" {
            let read = read(bytes);
            if let Ok(read) = &read {
                old_roots.insert(read.size, read.root.clone());
            }
            note(path, read.and_then(|read| copy.has(&read)));
        }
    }
    for (path, bytes) in &bundle.0 {
        match path.split('/').next().unwrap() {
            "consistency" => {
                note(path, read(bytes).and_then(|read| copy.consistent(&read, &old_roots)));
            }
            "receipts" | "slips" => note(path, read(bytes).and_then(|read| copy.includes(&read))),
            "leaves" => {
                let index: usize = path["leaves/".len()..].parse().unwrap();
                let same = copy.entries.get(index) == Some(bytes);
                note(path, ensure(same || index as u64 >= copied, "not the entry of log/"));
            }
            _ => {}
        }
    }
    verdict
}

impl Copy {
    /// Reads the entries in their order.
    fn read(bundle: &Bundle) -> Result<Copy, (String, Why)> {
        let mut entries = Vec::new();
        for path in bundle.paths("log/tile/entries/") {
            let mut data = bundle.0[&path].as_slice();
            while !data.is_empty() {
                let entry = data.split_first_chunk().and_then(|(length, rest)| {
                    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
                });
                let Some((entry, rest)) = entry else { return Err((path, "cut".to_owned())) };
                entries.push(entry.to_vec());
                data = rest;
            }
        }
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut roots = vec![tree.root()];
        for entry in &entries {
            tree.push(entry.clone());
            roots.push(tree.root());
        }
        Ok(Copy { entries, roots })
    }

    /// The head's root is the one that the entries lead to.
    fn has(&self, head: &Read) -> Result<(), Why> {
        let Some(root) = self.roots.get(head.size as usize) else { return Ok(()) };
        ensure(root.as_bytes().as_slice() == head.root, "the entries lead to another root")
    }

    /// The proof leads from the entry to the root.
    fn includes(&self, proof: &Read) -> Result<(), Why> {
        self.has(proof)?;
        let Some(entry) = self.entries.get(proof.number as usize) else { return Ok(()) };
        let root = RootHash::<Sha256>::new(digest(&proof.root)?, proof.size);
        let path = InclusionProof::<Sha256>::try_from_bytes(proof.hashes.clone());
        let path = path.map_err(|error| error.to_string())?;
        root.verify_inclusion(entry, proof.number, &path).map_err(|error| error.to_string())
    }

    /// The proof leads from the old root, as signed, to the new one.
    fn consistent(&self, proof: &Read, old_roots: &BTreeMap<u64, Vec<u8>>) -> Result<(), Why> {
        self.has(proof)?;
        let (old, new) = (proof.number, proof.size);
        if old == 0 || old == new {
            return ensure(proof.hashes.is_empty(), "no hashes are needed");
        }
        ensure(old < new, "the old size is above the new one")?;
        let old_root = old_roots.get(&old).ok_or("no checkpoint of the old size")?;
        let path = ConsistencyProof::<Sha256>::try_from_bytes(proof.hashes.clone());
        let path = path.map_err(|error| error.to_string())?;
        let old = RootHash::<Sha256>::new(digest(old_root)?, old);
        let new = RootHash::<Sha256>::new(digest(&proof.root)?, new);
        new.verify_consistency(&old, &path).map_err(|error| error.to_string())
    }
}

/// Reads what the trees need of a file: nothing is checked that is not about trees.
fn read(bytes: &[u8]) -> Result<Read, Why> {
    let text = str::from_utf8(bytes).map_err(|_| "not text")?;
    let mut lines = text.lines().peekable();
    let (mut number, mut hashes) = (0, Vec::new());
    let first = lines.peek().copied().unwrap_or_default();
    if first.starts_with("old ") || first.starts_with("c2sp.org/tlog-proof@") {
        let counted = |line: &&str| line.starts_with("old ") || line.starts_with("index ");
        let line = lines.find(counted).ok_or("no number")?;
        number = line.split(' ').nth(1).and_then(|n| n.parse().ok()).ok_or("no number")?;
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            hashes.extend(STANDARD.decode(line).map_err(|error| error.to_string())?);
        }
    }
    let size = lines.nth(1).and_then(|line| line.parse().ok()).ok_or("no size")?;
    let root = lines.next().ok_or("no root")?;
    let root = STANDARD.decode(root).map_err(|error| error.to_string())?;
    Ok(Read { number, hashes, size, root })
}

fn digest(root: &[u8]) -> Result<sha2::digest::Output<Sha256>, Why> {
    let root: [u8; 32] = root.try_into().map_err(|_| "not a hash")?;
    Ok(root.into())
}

fn ensure(condition: bool, why: &str) -> Result<(), Why> {
    if condition { Ok(()) } else { Err(why.to_owned()) }
}
