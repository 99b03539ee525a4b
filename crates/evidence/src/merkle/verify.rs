//! Checking proofs that others built.

use thiserror::Error;

use super::{Hash, MAX_TREE_SIZE, empty_root, node_hash};

/// Longest proof that any tree of at most 2^53 leaves has, in hashes.
pub const MAX_PROOF: usize = 54;

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// A size above [`MAX_TREE_SIZE`].
    #[error("tree size {size} is above 2^53")]
    Size {
        /// Size found.
        size: u64,
    },
    /// The leaf is not in a tree of that size.
    #[error("leaf {index} is not in a tree of {size}")]
    Index {
        /// Leaf named.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("no consistency proof leads from size {old} to {new}")]
    Order {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// Too few or too many hashes for these sizes.
    #[error("a proof of {found} hashes does not fit these sizes")]
    Length {
        /// Hashes found.
        found: usize,
    },
    /// The proof does not lead to the root of the older tree.
    #[error("the proof does not lead to the older root")]
    OldRoot,
    /// The proof does not lead to the root (of the newer tree).
    #[error("the proof does not lead to the root")]
    Root,
}

impl ProofError {
    /// Whether the proof had the right form and its hashes contradict a root: not a defect of the
    /// message but of what somebody claims.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        matches!(self, Self::OldRoot | Self::Root)
    }
}

/// Refuses sizes and proofs that no tree has.
fn check_limits(size: u64, proof: &[Hash]) -> Result<(), ProofError> {
    if size > MAX_TREE_SIZE {
        return Err(ProofError::Size { size });
    }
    if proof.len() > MAX_PROOF {
        return Err(ProofError::Length { found: proof.len() });
    }
    Ok(())
}

/// Checks that the leaf with hash `leaf` has `index` in the tree of `size` leaves under `root`
/// (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// [`ProofError`] naming what does not fit.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_limits(size, proof)?;
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let wrong = ProofError::Length { found: proof.len() };
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            if node & 1 == 0 {
                let skip = node.trailing_zeros();
                node >>= skip;
                last >>= skip;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `old` leaves under `old_root` is a prefix of the tree of `new` leaves
/// under `new_root` (RFC 9162 section 2.1.4.2).
///
/// `old == new` needs an empty proof and equal roots; `old == 0` an empty proof and
/// [`empty_root`] as the old root.
///
/// # Errors
/// [`ProofError`] naming what does not fit.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    check_limits(new, proof)?;
    if old > new {
        return Err(ProofError::Order { old, new });
    }
    let wrong = ProofError::Length { found: proof.len() };
    if old == 0 && *old_root != empty_root() {
        return Err(ProofError::OldRoot);
    }
    if old == new {
        return match (proof.is_empty(), old_root == new_root) {
            (false, _) => Err(wrong),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    if old == 0 {
        return if proof.is_empty() { Ok(()) } else { Err(wrong) };
    }
    climb(old, old_root, new, new_root, proof)
}

/// The walk of RFC 9162 section 2.1.4.2 for `0 < old < new`.
fn climb(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let wrong = ProofError::Length { found: proof.len() };
    let (mut node, mut last) = (old - 1, new - 1);
    let skip = node.trailing_ones();
    node >>= skip;
    last >>= skip;
    // A power of two as the old size: its root is a node of the new tree and is not repeated.
    let (seed, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(wrong)? };
    let (mut older, mut newer) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            if node & 1 == 0 {
                let skip = node.trailing_zeros();
                node >>= skip;
                last >>= skip;
            }
        } else {
            newer = node_hash(&newer, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong);
    }
    if older != *old_root {
        return Err(ProofError::OldRoot);
    }
    if newer == *new_root { Ok(()) } else { Err(ProofError::Root) }
}
