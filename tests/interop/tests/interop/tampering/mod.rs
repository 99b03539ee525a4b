//! Kinds of tampering: what is changed, and which file must betray it.
//!
//! Each kind is done to an honest bundle, generated or exported by a real office, with whatever
//! secret keys it needs. Everything else in the bundle stays good.

mod entries;
pub mod epochs;
mod heads;
mod history;
mod proofs;
mod trust;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::Hash;

use crate::bundle::{Bundle, Note};
use crate::forge::{Tree, proof_text, tiles};
use crate::keys::{Key, Keys};

/// Which judges can see a kind of tampering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Whoever recomputes the trees, `ct-merkle` too.
    InTrees,
    /// Only who checks signatures, policy, openings or spelling: `ct-merkle` reads none of them.
    InText,
}

/// One kind of tampering.
pub struct Tampering {
    /// What is done.
    pub name: &'static str,
    /// What betrays it.
    pub betrayed_by: &'static str,
    /// Who can see it.
    pub seen: Seen,
    /// Does it; returns the files of which at least one must be refused by every judge.
    pub done: fn(&mut Scene) -> Vec<String>,
}

/// All kinds that can be done with these keys.
pub fn all(keys: &Keys) -> Vec<&'static Tampering> {
    let peers = if keys.peers.is_empty() { &[] } else { trust::PEERS };
    let heads = [heads::TABLE, trust::TABLE, peers, epochs::TABLE];
    let tables = heads.into_iter().chain([proofs::TABLE, entries::TABLE, history::TABLE]);
    tables.flatten().collect()
}

/// A bundle in the hands of somebody with keys.
pub struct Scene<'a> {
    /// The files.
    pub bundle: Bundle,
    /// The keys.
    pub keys: &'a Keys,
}

impl Scene<'_> {
    /// A head in `checkpoints/` that everybody needed has cosigned, below the size of `log/`.
    pub fn head(&self) -> String {
        let copied = self.copied();
        self.bundle.find("checkpoints/", |note, _| self.quorum(note) && note.size() < copied)
    }

    /// Another one, of the size of `log/`.
    pub fn last_head(&self) -> String {
        let copied = self.copied();
        self.bundle.find("checkpoints/", |note, _| self.quorum(note) && note.size() == copied)
    }

    /// A receipt with an opening.
    pub fn opened(&self) -> String {
        self.bundle.find("receipts/", |_, text| text.contains("\nextra "))
    }

    /// A receipt without.
    pub fn closed(&self) -> String {
        self.bundle.find("receipts/", |_, text| !text.contains("\nextra "))
    }

    /// A slip of an entry that is not the first.
    pub fn slip(&self) -> String {
        let copied = self.copied();
        self.bundle
            .find("slips/", |note, text| !text.contains("\nindex 0\n") && note.size() <= copied)
    }

    /// A consistency proof with hashes between heads up to the size of `log/`.
    pub fn request(&self) -> String {
        let copied = self.copied();
        self.bundle.find("consistency/", |note, text| {
            !text.starts_with("old 0\n")
                && !text.split_once('\n').unwrap().1.starts_with('\n')
                && note.size() <= copied
        })
    }

    /// Size and root of the copy.
    pub fn end(&self) -> (u64, Hash) {
        let note = self.bundle.note("log/checkpoint");
        (note.size(), STANDARD.decode(&note.body[2]).unwrap().try_into().unwrap())
    }

    /// Size of the largest head.
    pub fn newest(&self) -> u64 {
        let heads = self.bundle.paths("checkpoints/").into_iter();
        heads.map(|path| self.bundle.note(&path).size()).max().unwrap()
    }

    /// Number of entries in `log/`.
    pub fn copied(&self) -> u64 {
        self.bundle.note("log/checkpoint").size()
    }

    /// Whether the policy's quorum has cosigned, as these bundles have it.
    pub fn quorum(&self, note: &Note) -> bool {
        let Keys { witness, mirror, peers, .. } = self.keys;
        note.has(&witness.name)
            && note.has(&mirror.name)
            && (peers.is_empty() || peers.iter().any(|peer| note.has(&peer.name)))
    }

    /// The entries in `log/`.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let paths = self.bundle.paths("log/tile/entries/");
        paths.iter().flat_map(|path| split_entries(&self.bundle.0[path])).collect()
    }

    /// Changes the entries of one file in `log/`.
    pub fn change_entries(&mut self, path: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let mut entries = split_entries(&self.bundle.0[path]);
        change(&mut entries);
        self.bundle.put(path, join_entries(&entries));
    }

    /// Puts another history in the place of the honest one: `log/`, every checkpoint and every
    /// consistency proof are made anew over `entries`, each signed by the log and `cosigners`.
    /// Heads of sizes that the new history does not reach disappear.
    pub fn rewrite(&mut self, entries: &[Vec<u8>], cosigners: &[&Key]) {
        let tree = Tree::of(entries);
        let size = entries.len() as u64;
        let head = |size: u64| self.keys.head(size, &tree.root(size), cosigners);
        let mut bundle = self.bundle.clone();
        bundle.0.retain(|path, _| !path.starts_with("log/"));
        bundle.put("log/checkpoint", head(size).text());
        for (path, bytes) in tiles(entries) {
            bundle.put(&path, bytes);
        }
        for path in bundle.paths("checkpoints/") {
            match bundle.note(&path).size() {
                beyond if beyond > size => drop(bundle.take(&path)),
                reached => bundle.put(&path, head(reached).text()),
            }
        }
        bundle.put("checkpoints/rewritten", head(size).text());
        for path in bundle.paths("consistency/") {
            let (old, new) = (bundle.proof(&path).value(), bundle.note(&path).size());
            if new > size {
                bundle.take(&path);
                continue;
            }
            let request =
                proof_text(&[format!("old {old}")], &tree.consistency(old, new), &head(new));
            bundle.put(&path, request);
        }
        self.bundle = bundle;
    }
}

/// Takes a file of entries apart.
fn split_entries(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry.to_vec());
        data = rest;
    }
    entries
}

/// The inverse.
fn join_entries(entries: &[Vec<u8>]) -> Vec<u8> {
    let framed = entries.iter().map(|entry| {
        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
        [&length[..], entry].concat()
    });
    framed.collect::<Vec<_>>().concat()
}
