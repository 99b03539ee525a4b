//! Header, footer and end mark of a segment. Layout in `FORMAT.md`.

use std::collections::BTreeMap;

use evidence::hash::Hash;

use crate::frame::split;

/// Bytes of the header; the first frame starts here.
pub(crate) const SEGMENT_HEADER: usize = 128;
/// Bytes of the mark at the very end of a sealed segment.
pub(crate) const END_MARK: usize = 32;

const MAGIC: [u8; 8] = *b"ADALSEG\n";
const END_MAGIC: [u8; 8] = *b"ADALEND\n";
/// The version of the commit files that this crate writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Identity of the journal, the same in all its segments.
    pub journal: [u8; 16],
    /// Number of the segment, from 1.
    pub number: u64,
    /// Number of its first group.
    pub first_group: u64,
    /// Digest of the chain before its first group.
    pub chain: Hash,
}

/// Why bytes are not the header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    /// Not a header, or a damaged one.
    Damaged,
    /// An intact header of a version that is not known.
    Version(u32),
}

impl SegmentHeader {
    /// The bytes of the header.
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_be_bytes());
        out[16..32].copy_from_slice(&self.journal);
        out[32..40].copy_from_slice(&self.number.to_be_bytes());
        out[40..48].copy_from_slice(&self.first_group.to_be_bytes());
        out[48..80].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&out[..124]);
        out[124..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a header.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFlaw> {
        let fields = || {
            let bytes = bytes.get(..SEGMENT_HEADER)?;
            let (crc, _) = split::<4>(&bytes[124..])?;
            let intact = u32::from_be_bytes(crc) == crc32c::crc32c(&bytes[..124]);
            let (version, _) = split::<4>(&bytes[8..])?;
            let (journal, rest) = split::<16>(&bytes[16..])?;
            let (number, rest) = split::<8>(rest)?;
            let (first_group, rest) = split::<8>(rest)?;
            let (chain, _) = split::<32>(rest)?;
            let (number, first_group) =
                (u64::from_be_bytes(number), u64::from_be_bytes(first_group));
            let header = Self { journal, number, first_group, chain };
            (intact && bytes[..8] == MAGIC).then_some((u32::from_be_bytes(version), header))
        };
        match fields() {
            None => Err(HeaderFlaw::Damaged),
            Some((VERSION, header)) => Ok(header),
            Some((other, _)) => Err(HeaderFlaw::Version(other)),
        }
    }
}

/// What a segment holds of one epoch of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// First sequence.
    pub first_seq: u64,
    /// Number of records; `first_seq + count` is the size of the log at the end of the segment.
    pub count: u64,
    /// Where the frame of the first record starts in the file.
    pub offset: u64,
    /// Merkle root at the end of the segment.
    pub root: Hash,
}

/// Log number and epoch.
pub(crate) type LogKey = (u16, u32);

/// The footer of a sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Number of the last group.
    pub last_group: u64,
    /// Digest of the chain after it.
    pub chain: Hash,
    /// What the segment holds, by log number and epoch.
    pub ranges: BTreeMap<LogKey, Range>,
}

const RANGE: usize = 62;

impl Footer {
    /// Writes the body of the footer frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last_group.to_be_bytes());
        out.extend_from_slice(&self.chain);
        for ((log_no, epoch), range) in &self.ranges {
            out.extend_from_slice(&log_no.to_be_bytes());
            out.extend_from_slice(&epoch.to_be_bytes());
            out.extend_from_slice(&range.first_seq.to_be_bytes());
            out.extend_from_slice(&range.count.to_be_bytes());
            out.extend_from_slice(&range.offset.to_be_bytes());
            out.extend_from_slice(&range.root);
        }
    }

    /// Reads the body of a footer frame.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (last_group, rest) = split::<8>(body)?;
        let (chain, rest) = split::<32>(rest)?;
        let (ranges, rest) = rest.as_chunks::<RANGE>();
        if !rest.is_empty() {
            return None;
        }
        let ranges = ranges.iter().map(|bytes| range(bytes)).collect::<Option<BTreeMap<_, _>>>()?;
        Some(Self { last_group: u64::from_be_bytes(last_group), chain, ranges })
    }
}

/// Reads one entry of a footer.
fn range(bytes: &[u8]) -> Option<(LogKey, Range)> {
    let (log_no, rest) = split::<2>(bytes)?;
    let (epoch, rest) = split::<4>(rest)?;
    let (first_seq, rest) = split::<8>(rest)?;
    let (count, rest) = split::<8>(rest)?;
    let (offset, rest) = split::<8>(rest)?;
    let (root, _) = split::<32>(rest)?;
    let range = Range {
        first_seq: u64::from_be_bytes(first_seq),
        count: u64::from_be_bytes(count),
        offset: u64::from_be_bytes(offset),
        root,
    };
    Some(((u16::from_be_bytes(log_no), u32::from_be_bytes(epoch)), range))
}

/// The mark at the end of a sealed segment, by which its footer is found without a scan.
pub(crate) fn encode_end(number: u64, footer_offset: u64) -> [u8; END_MARK] {
    let mut out = [0; END_MARK];
    out[..8].copy_from_slice(&END_MAGIC);
    out[8..16].copy_from_slice(&footer_offset.to_be_bytes());
    out[16..24].copy_from_slice(&number.to_be_bytes());
    let crc = crc32c::crc32c(&out[..28]);
    out[28..].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads an end mark: where the footer of segment `number` starts.
pub(crate) fn decode_end(bytes: &[u8], number: u64) -> Option<u64> {
    let (offset, _) = split::<8>(bytes.get(8..)?)?;
    let offset = u64::from_be_bytes(offset);
    (bytes == encode_end(number, offset)).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_and_footers_come_back(
            journal: [u8; 16], number: u64, first_group: u64, chain: [u8; 32], root: [u8; 32],
            keys in proptest::collection::btree_set(any::<(u16, u32)>(), 0..5),
        ) {
            let header = SegmentHeader { journal, number, first_group, chain };
            let bytes = header.encode();
            prop_assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
            let range = Range { first_seq: number, count: first_group, offset: number, root };
            let ranges = keys.into_iter().map(|key| (key, range)).collect();
            let footer = Footer { last_group: number, chain, ranges };
            let mut body = Vec::new();
            footer.encode(&mut body);
            prop_assert_eq!(Footer::decode(&body), Some(footer));
            body.push(0);
            prop_assert_eq!(Footer::decode(&body), None);
            let end = encode_end(number, first_group);
            prop_assert_eq!(decode_end(&end, number), Some(first_group));
        }
    }

    #[test]
    fn every_flip_in_a_header_is_seen_and_another_version_is_named() {
        let header = SegmentHeader { journal: [1; 16], number: 2, first_group: 3, chain: [4; 32] };
        let bytes = header.encode();
        for at in 0..SEGMENT_HEADER * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderFlaw::Damaged), "bit {at}");
        }
        let mut newer = bytes;
        newer[11] = 9;
        let crc = crc32c::crc32c(&newer[..124]);
        newer[124..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(SegmentHeader::decode(&newer), Err(HeaderFlaw::Version(9)));
    }
}
