//! The tail file: 64 bytes that say how far the journal certainly reached.
//!
//! Written without a sync after each group is durable, so after a crash it may be old or torn, but
//! it never names what was not durable. What it names and is not there is damage.

use evidence::hash::Hash;

use crate::frame::split;

/// Size of the file in bytes.
pub(crate) const TAIL_LEN: usize = 64;

const MAGIC: [u8; 8] = *b"ADALTAIL";
const VERSION: u32 = 1;

/// The end of a group: where it is, its number and the digest of the chain up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Segment that holds the group.
    pub segment: u64,
    /// First byte behind the group's trailer.
    pub offset: u64,
    /// Number of the group.
    pub group: u64,
    /// Digest of the chain; the tail file keeps 24 bytes of it.
    pub chain: Hash,
}

/// A mark as the tail file keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub segment: u64,
    pub offset: u64,
    pub group: u64,
    pub chain: [u8; 24],
}

impl Mark {
    /// The bytes of the tail file.
    pub(crate) fn encode_tail(&self) -> [u8; TAIL_LEN] {
        let mut out = [0; TAIL_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_be_bytes());
        out[12..20].copy_from_slice(&self.segment.to_be_bytes());
        out[20..28].copy_from_slice(&self.offset.to_be_bytes());
        out[28..36].copy_from_slice(&self.group.to_be_bytes());
        out[36..60].copy_from_slice(&self.chain[..24]);
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Bytes of a mark in the index: all of it.
    pub(crate) fn encode(&self) -> [u8; 56] {
        let mut out = [0; 56];
        out[..8].copy_from_slice(&self.segment.to_be_bytes());
        out[8..16].copy_from_slice(&self.offset.to_be_bytes());
        out[16..24].copy_from_slice(&self.group.to_be_bytes());
        out[24..].copy_from_slice(&self.chain);
        out
    }

    /// The inverse of [`Mark::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (segment, rest) = split::<8>(bytes)?;
        let (offset, rest) = split::<8>(rest)?;
        let (group, rest) = split::<8>(rest)?;
        let (chain, rest) = split::<32>(rest)?;
        rest.is_empty().then_some(Self {
            segment: u64::from_be_bytes(segment),
            offset: u64::from_be_bytes(offset),
            group: u64::from_be_bytes(group),
            chain,
        })
    }
}

impl Tail {
    /// Reads the bytes of the tail file; `None` if they are torn, damaged or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; TAIL_LEN] = bytes.try_into().ok()?;
        let (magic, rest) = split::<8>(bytes)?;
        let (version, rest) = split::<4>(rest)?;
        let (segment, rest) = split::<8>(rest)?;
        let (offset, rest) = split::<8>(rest)?;
        let (group, rest) = split::<8>(rest)?;
        let (chain, rest) = split::<24>(rest)?;
        let (crc, _) = split::<4>(rest)?;
        let good = magic == MAGIC
            && u32::from_be_bytes(version) == VERSION
            && u32::from_be_bytes(crc) == crc32c::crc32c(&bytes[..60]);
        good.then_some(Self {
            segment: u64::from_be_bytes(segment),
            offset: u64::from_be_bytes(offset),
            group: u64::from_be_bytes(group),
            chain,
        })
    }

    /// Whether this is the tail of `mark`.
    pub(crate) fn is_of(&self, mark: &Mark) -> bool {
        self.segment == mark.segment
            && self.offset == mark.offset
            && self.group == mark.group
            && self.chain == mark.chain[..24]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_comes_back_and_every_flip_is_seen() {
        let mark = Mark { segment: 3, offset: 4096, group: 17, chain: [7; 32] };
        let bytes = mark.encode_tail();
        assert!(Tail::decode(&bytes).unwrap().is_of(&mark));
        for at in 0..TAIL_LEN * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(Tail::decode(&flipped), None, "bit {at}");
        }
        assert_eq!(Tail::decode(&bytes[..63]), None);
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }
}
