//! The right edge of a growing tree.

use thiserror::Error;

use super::{Hash, MAX_TREE_SIZE, Nodes, empty_root, node_hash};

/// The size of a tree and the roots of its complete subtrees, from left to right: one for each set
/// bit of the size, at most 54. That is all that appending and computing the root need.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// Why bytes are not an encoded [`Frontier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrontierError {
    /// Fewer than the eight bytes of the size, or another number of peaks than the size has.
    #[error("frontier of {found} bytes, its size asks for {expected}")]
    Length {
        /// Bytes that the size asks for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A size above [`MAX_TREE_SIZE`].
    #[error("frontier: size {size} is above 2^53")]
    Size {
        /// Size found.
        size: u64,
    },
}

impl Frontier {
    /// The frontier of the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, from left (largest) to right.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root of the tree ([`empty_root`] without leaves).
    #[must_use]
    pub fn root(&self) -> Hash {
        let folded =
            self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }

    /// Appends a leaf hash and returns the nodes that it completes, from level 0 (the leaf hash
    /// itself) upwards: `1 + trailing_ones(index)` of them.
    ///
    /// Callers stop at [`MAX_TREE_SIZE`] leaves, which no log reaches.
    pub fn append(&mut self, leaf: Hash) -> Vec<Hash> {
        let merges = self.size.trailing_ones();
        let mut completed = Vec::with_capacity(merges as usize + 1);
        let mut node = leaf;
        completed.push(node);
        for _ in 0..merges {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
                completed.push(node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
        completed
    }

    /// The stored form: size (`u64`, big-endian), then the peaks, 32 bytes each.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.peaks.len() * 32);
        out.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            out.extend_from_slice(peak);
        }
        out
    }

    /// Reads what [`Frontier::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`FrontierError`] for a wrong length or a size above 2^53.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let wrong = |expected| FrontierError::Length { expected, found: bytes.len() };
        let (size, peaks) = bytes.split_first_chunk::<8>().ok_or(wrong(8))?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_TREE_SIZE {
            return Err(FrontierError::Size { size });
        }
        let (peaks, rest) = peaks.as_chunks::<32>();
        if !rest.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(wrong(8 + size.count_ones() as usize * 32));
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }

    /// Reads the frontier of the first `size` leaves from stored nodes.
    ///
    /// # Errors
    /// What `nodes` reports.
    pub fn load<N: Nodes>(nodes: &N, size: u64) -> Result<Self, N::Error> {
        let mut peaks = Vec::with_capacity(size.count_ones() as usize);
        let mut start = 0u64;
        for level in (0..64u8).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(nodes.node(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }
}

/// The root of the first `size` leaves, from stored nodes.
///
/// # Errors
/// What `nodes` reports.
pub fn root_at<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    Ok(Frontier::load(nodes, size)?.root())
}
