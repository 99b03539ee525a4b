//! The Merkle tree of a log: RFC 6962 section 2.1 hashing, RFC 9162 section 2.1 proofs.
//!
//! Node `(level, n)` is the root of the complete subtree over the leaves
//! `n << level .. (n + 1) << level`. It is complete as soon as leaf `((n + 1) << level) - 1` is
//! appended, and is stored beside that leaf. The right edge of the tree is kept in a [`Frontier`],
//! so appending reads nothing.

mod frontier;
mod prove;
mod verify;

use crate::hash::{Hash, sha256, sha256_parts};
pub use crate::log::MAX_TREE_SIZE;

pub use frontier::{Frontier, FrontierError, root_at};
pub use prove::{ProveError, consistency_proof, inclusion_proof};
pub use verify::{MAX_PROOF, ProofError, verify_consistency, verify_inclusion};

/// The hash of a leaf: `SHA-256(0x00 || data)` (RFC 6962 section 2.1).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256_parts(&[&[0x00], data])
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962 section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256_parts(&[&[0x01], left, right])
}

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// Where the stored nodes of a tree are read.
///
/// Only complete nodes below the size that the caller names are asked for.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;

    /// The hash of node `index` of `level` (level 0: the leaf hashes).
    ///
    /// # Errors
    /// Whatever the storage behind it reports.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}
