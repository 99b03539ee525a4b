//! Building proofs from stored nodes.

use thiserror::Error;

use super::{Frontier, Hash, Nodes, node_hash};

/// Why a proof cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// The leaf is not among the first `size` leaves.
    #[error("leaf {index} is not in a tree of {size}")]
    Index {
        /// Leaf asked for.
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
    /// A stored node could not be read.
    #[error("reading a node of the tree")]
    Nodes(#[from] E),
}

/// The inclusion proof of leaf `index` in the tree of the first `size` leaves
/// (RFC 9162 section 2.1.3.1), siblings from the leaf upwards.
///
/// # Errors
/// [`ProveError::Index`] if the leaf is outside, [`ProveError::Nodes`] if a node is unreadable.
pub fn inclusion_proof<N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<N::Error>> {
    if index >= size {
        return Err(ProveError::Index { index, size });
    }
    let mut proof = Vec::new();
    let (mut start, mut len) = (0, size);
    while len > 1 {
        let left = split(len);
        if index - start < left {
            proof.push(range(nodes, start + left, len - left)?);
            len = left;
        } else {
            proof.push(range(nodes, start, left)?);
            start += left;
            len -= left;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof between the trees of the first `old` and the first `new` leaves
/// (RFC 9162 section 2.1.4.1). Empty for `old == new` and for `old == 0`.
///
/// # Errors
/// [`ProveError::Order`] if `old > new`, [`ProveError::Nodes`] if a node is unreadable.
pub fn consistency_proof<N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<N::Error>> {
    if old > new {
        return Err(ProveError::Order { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut proof = Vec::new();
    let (mut start, mut len, mut rest) = (0, new, old);
    while rest != len {
        let left = split(len);
        if rest <= left {
            proof.push(range(nodes, start + left, len - left)?);
            len = left;
        } else {
            proof.push(range(nodes, start, left)?);
            start += left;
            len -= left;
            rest -= left;
        }
    }
    // The subtree in which the old tree ends is named unless it is the old tree itself.
    if start != 0 {
        proof.push(range(nodes, start, len)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `len` (`len > 1`).
fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// The hash over `len >= 1` leaves from `start`, a multiple of the subtree's size.
fn range<N: Nodes>(nodes: &N, start: u64, len: u64) -> Result<Hash, N::Error> {
    if len.is_power_of_two() {
        let level = len.trailing_zeros() as u8;
        return nodes.node(level, start >> level);
    }
    let mut peaks = Vec::with_capacity(len.count_ones() as usize);
    let mut at = start;
    for level in (0..64u8).rev().filter(|level| len >> level & 1 == 1) {
        peaks.push(nodes.node(level, at >> level)?);
        at += 1 << level;
    }
    let folded = peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(folded.unwrap_or_else(|| Frontier::new().root()))
}
