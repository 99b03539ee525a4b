//! Blocks: place and tree nodes of up to 32 neighbouring records of a log in one value.
//!
//! A block starts at a multiple of 32 and grows at its end; `entry = segment u32 || offset u32 ||
//! len u32 || nodes × 32 bytes`. How many nodes a record completes follows from its sequence.

use evidence::hash::Hash;

use crate::frame::split;

/// Records of a block. 32 of them complete at most 62 nodes below and 49 at and above level 5 (a
/// tree has at most 2^53 leaves, as a checkpoint can say): 3,936 bytes, within the 4 KB of a value.
pub(crate) const BLOCK: u64 = 32;

/// Bytes of a place.
const PLACE: usize = 12;

/// Where a record's frame is, and the tree nodes that the record completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Number of the segment.
    pub segment: u32,
    /// Where the frame starts in it.
    pub offset: u32,
    /// Length of the frame's body: the stored bytes.
    pub len: u32,
    /// From its leaf hash upwards.
    pub nodes: Vec<Hash>,
}

impl Located {
    /// Bytes of its entry.
    pub(crate) fn span(&self) -> u64 {
        (PLACE + 32 * self.nodes.len()) as u64
    }
}

/// First sequence of the block that holds `seq`.
pub(crate) fn first(seq: u64) -> u64 {
    seq - seq % BLOCK
}

/// Number of tree nodes that the record at `seq` completes: its leaf, and one for every level at
/// which it is a right child's last leaf.
pub(crate) fn nodes(seq: u64) -> usize {
    seq.trailing_ones() as usize + 1
}

/// Bytes of the entry of `seq`.
fn span(seq: u64) -> usize {
    PLACE + 32 * nodes(seq)
}

/// Appends an entry.
pub(crate) fn put(out: &mut Vec<u8>, located: &Located) {
    out.extend_from_slice(&located.segment.to_be_bytes());
    out.extend_from_slice(&located.offset.to_be_bytes());
    out.extend_from_slice(&located.len.to_be_bytes());
    out.extend_from_slice(located.nodes.as_flattened());
}

/// Takes the entry of `seq` off the front.
pub(crate) fn take(seq: u64, block: &[u8]) -> Option<(Located, &[u8])> {
    let (entry, rest) = block.split_at_checked(span(seq))?;
    let (segment, entry) = split::<4>(entry)?;
    let (offset, entry) = split::<4>(entry)?;
    let (len, entry) = split::<4>(entry)?;
    let (nodes, _) = entry.as_chunks::<32>();
    let located = Located {
        segment: u32::from_be_bytes(segment),
        offset: u32::from_be_bytes(offset),
        len: u32::from_be_bytes(len),
        nodes: nodes.to_vec(),
    };
    Some((located, rest))
}

/// Bytes of the entries `first..seq` of the block that starts at `first`.
pub(crate) fn offset_of(first: u64, seq: u64) -> usize {
    (first..seq).map(span).sum()
}

/// The entry of `seq` in the block that starts at `first`; `None` if the block ends before it.
pub(crate) fn nth(first: u64, block: &[u8], seq: u64) -> Option<Located> {
    take(seq, block.get(offset_of(first, seq)..)?).map(|(located, _)| located)
}

/// One behind the last sequence of a block; `None` if it does not end with a whole entry.
pub(crate) fn end(first: u64, block: &[u8]) -> Option<u64> {
    let (mut seq, mut left) = (first, block.len());
    while left > 0 {
        left = left.checked_sub(span(seq))?;
        seq += 1;
    }
    Some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::GUARD;
    use crate::limits::MAX_VALUE;

    fn located(seq: u64) -> Located {
        let nodes = vec![[seq as u8; 32]; nodes(seq)];
        Located { segment: 7, offset: seq as u32 * 8, len: 100, nodes }
    }

    #[test]
    fn blocks_come_back() {
        for start in [0, 32, 992, 1 << 40] {
            let mut block = Vec::new();
            for seq in start..start + BLOCK {
                assert_eq!(end(start, &block), Some(seq));
                assert_eq!(nth(start, &block, seq), None);
                put(&mut block, &located(seq));
                assert_eq!(end(start, &block[..block.len() - 1]), None);
            }
            for seq in start..start + BLOCK {
                assert_eq!(first(seq), start);
                assert_eq!(nth(start, &block, seq), Some(located(seq)));
            }
        }
    }

    #[test]
    fn the_largest_block_keeps_the_limit_of_a_value() {
        let start = (1 << 53) - BLOCK;
        assert!(GUARD + offset_of(start, start + BLOCK) <= MAX_VALUE);
    }
}
