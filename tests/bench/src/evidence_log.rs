//! A log in memory with everything that its evidence needs, always the same.

use std::convert::Infallible;

use anyhow::Result;
use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::LogName;
use evidence::merkle::{Frontier, Nodes, root_at};
use evidence::note::{SignedNote, Signer, Verifier};
use evidence::policy::{Policy, region_policy};
use evidence::tiles::{TILE_WIDTH, entry_bundle};
use evidence::{Hash, Record};

use crate::draft::Maker;

/// When everything is cosigned, seconds since 1970.
pub const TIME: u64 = 1_760_000_000;

/// Nodes of a tree, level by level.
#[derive(Default)]
pub struct Levels(Vec<Vec<Hash>>);

impl Levels {
    /// Keeps the nodes that a leaf completed.
    pub fn keep(&mut self, completed: &[Hash]) {
        for (level, node) in completed.iter().enumerate() {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            self.0[level].push(*node);
        }
    }
}

impl Nodes for Levels {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[usize::from(level)][index as usize])
    }
}

/// Keys, policy and a log of 512-byte records.
pub struct Log {
    /// Name of the log.
    pub name: LogName,
    /// Makes its records.
    pub maker: Maker,
    /// Its key.
    pub key: Signer,
    /// The centre as witness and as mirror, and one peer.
    pub cosigners: Vec<Signer>,
    /// The policy of a region's log.
    pub policy: Policy,
    /// The nodes.
    pub nodes: Levels,
    /// The leaf hashes, for measuring.
    pub leaves: Vec<Hash>,
    /// The entries in bundles of 256, as in a copy.
    pub bundles: Vec<Vec<u8>>,
}

impl Log {
    /// A log of `size` records.
    pub fn new(size: u64) -> Result<Self> {
        let name = LogName::new("kz-75")?;
        let maker = Maker::new(&name)?;
        let key = Signer::log("adal.example/log/kz-75", &[1; 32])?;
        let names = ["witness/kz", "mirror/kz", "witness/kz-10"];
        let mut cosigners = Vec::new();
        for (name, seed) in names.iter().zip(2..) {
            cosigners.push(Signer::cosigner(&format!("adal.example/{name}"), &[seed; 32])?);
        }
        let keys: Vec<Verifier> = cosigners.iter().map(Signer::verifier).collect();
        let policy = region_policy(&[key.verifier()], &keys[0], &keys[1], &keys[2..])?;
        let (mut nodes, mut frontier) = (Levels::default(), Frontier::new());
        let (mut leaves, mut bundles, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for seq in 0..size {
            let leaf = maker.mirrored(seq)?.leaf();
            leaves.push(leaf.hash());
            nodes.keep(&frontier.append(leaf.hash()));
            entries.push(leaf.to_bytes());
            if entries.len() == usize::from(TILE_WIDTH) || seq + 1 == size {
                bundles.push(entry_bundle(&entries)?);
                entries.clear();
            }
        }
        Ok(Self { name, maker, key, cosigners, policy, nodes, leaves, bundles })
    }

    /// Number of records.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// The head of the first `size` records.
    pub fn head(&self, size: u64) -> Checkpoint {
        let Ok(root) = root_at(&self.nodes, size);
        Checkpoint { origin: self.key.name().to_owned(), size, root }
    }

    /// The signed head.
    pub fn note(&self, size: u64) -> Result<SignedNote> {
        Ok(self.head(size).sign(&self.key)?.parse()?)
    }

    /// The signed head with all cosignatures.
    pub fn cosigned(&self, size: u64) -> Result<SignedNote> {
        let mut note = self.head(size).sign(&self.key)?;
        for cosigner in &self.cosigners {
            note = format!("{note}{}", cosign(&note, cosigner, TIME)?);
        }
        Ok(note.parse()?)
    }

    /// A record.
    pub fn record(&self, seq: u64) -> Result<Record> {
        self.maker.mirrored(seq)
    }
}
