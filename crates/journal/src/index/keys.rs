//! All kinds of keys of the index, and the guard around every value.
//!
//! | kind | key behind the kind byte | value |
//! |---|---|---|
//! | `P` | log no, epoch, first sequence | block of places and tree nodes of 32 records; grows |
//! | `S` | run number, first entry | page of a run: entries of `entry`, sorted |
//! | `N` | run number | description of a run: its last group, how many entries of each kind, sum |
//! | `I` | nothing | number of this layout |
//! | `G` | nothing | the last group applied; replaced by every drain |
//! | `F` | nothing | the last group applied before the last flush; replaced by every flush |
//!
//! Blocks live as long as the log; runs until they are merged into a larger one. All numbers are
//! big-endian, so keys sort by them. Every value starts with a CRC-32C over key and rest. Kinds
//! are never reused for another meaning: `B`, `C`, `E`, `M`, `R` and `V` were those of layout 1.

use crate::frame::split;
use crate::limits::MAX_VALUE;
use crate::segment::LogKey;
use ::sled::IVec;

/// Key of the number of the layout.
pub(crate) const LAYOUT: &[u8] = b"I";
/// The layout that this crate writes and reads. An index of another one is rebuilt.
pub(crate) const LAYOUT_NO: u32 = 2;
/// Key of the last group applied.
pub(crate) const APPLIED: &[u8] = b"G";
/// Key of the last group certainly on disk.
pub(crate) const FLUSHED: &[u8] = b"F";

/// Key of the block that starts at a sequence.
pub(crate) fn block(log: LogKey, first: u64) -> [u8; 15] {
    let mut key = [0; 15];
    key[0] = b'P';
    key[1..3].copy_from_slice(&log.0.to_be_bytes());
    key[3..7].copy_from_slice(&log.1.to_be_bytes());
    key[7..].copy_from_slice(&first.to_be_bytes());
    key
}

/// First sequence in the key of a block.
pub(crate) fn parse_block(key: &[u8]) -> Option<u64> {
    let (seq, rest) = split::<8>(key.get(7..)?)?;
    rest.is_empty().then_some(u64::from_be_bytes(seq))
}

/// The log in the key of a block.
pub(crate) fn log_of_block(key: &[u8]) -> Option<LogKey> {
    let (no, rest) = split::<2>(key.get(1..)?)?;
    let (epoch, rest) = split::<4>(rest)?;
    (rest.len() == 8).then_some((u16::from_be_bytes(no), u32::from_be_bytes(epoch)))
}

/// Key of the page of a run whose first entry is `first`.
pub(crate) fn page(run: u64, first: &[u8]) -> Vec<u8> {
    let mut key = vec![b'S'];
    key.extend_from_slice(&run.to_be_bytes());
    key.extend_from_slice(first);
    key
}

/// Key of the description of a run.
pub(crate) fn run(no: u64) -> [u8; 9] {
    let mut key = [b'N'; 9];
    key[1..].copy_from_slice(&no.to_be_bytes());
    key
}

/// Number in the key of a description.
pub(crate) fn parse_run(key: &[u8]) -> Option<u64> {
    let (no, rest) = split::<8>(key.get(1..)?)?;
    rest.is_empty().then_some(u64::from_be_bytes(no))
}

/// Bytes of the checksum in front of a value.
pub(crate) const GUARD: usize = 4;

/// Fills in the checksum of a value whose first four bytes were left free.
pub(crate) fn seal(key: &[u8], value: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[GUARD..]);
    value[..GUARD].copy_from_slice(&crc.to_be_bytes());
}

/// An entry with its checksum.
pub(crate) fn entry(key: &[u8], payload: &[u8]) -> (IVec, IVec) {
    let mut value = Vec::with_capacity(GUARD + payload.len());
    value.extend_from_slice(&[0; GUARD]);
    value.extend_from_slice(payload);
    debug_assert!(value.len() <= MAX_VALUE, "kind {}", key[0]);
    seal(key, &mut value);
    (key.into(), value.into())
}

/// The value behind its checksum; `None` if it is not what was stored under this key.
pub(crate) fn open<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, payload) = split::<GUARD>(value)?;
    let good = u32::from_be_bytes(crc) == crc32c::crc32c_append(crc32c::crc32c(key), payload);
    good.then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_come_back_and_sort_by_their_numbers(
            log: (u16, u32), seq: u64, other: u64, id: [u8; 16],
        ) {
            prop_assert_eq!(parse_block(&block(log, seq)), Some(seq));
            prop_assert_eq!(log_of_block(&block(log, seq)), Some(log));
            prop_assert_eq!(block(log, seq).cmp(&block(log, other)), seq.cmp(&other));
            prop_assert_eq!(parse_run(&run(seq)), Some(seq));
            prop_assert_eq!(run(seq).cmp(&run(other)), seq.cmp(&other));
            prop_assert!(page(seq, &[]) < page(seq, &id) && page(seq, &id) < page(seq, &[255; 45]));
        }

        #[test]
        fn a_value_opens_only_unchanged_under_its_key(
            key in proptest::collection::vec(any::<u8>(), 1..20),
            payload in proptest::collection::vec(any::<u8>(), 0..50), at: usize, bit in 0..8u32,
        ) {
            let (stored, value) = entry(&key, &payload);
            prop_assert_eq!(open(&stored, &value), Some(&payload[..]));
            let mut flipped = value.to_vec();
            let at = at % flipped.len();
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(open(&key, &flipped), None);
            let mut other = key.clone();
            other[0] ^= 1;
            prop_assert_eq!(open(&other, &value), None);
        }
    }
}
