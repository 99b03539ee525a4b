//! All kinds of keys of the index, and the guard around every value.
//!
//! | kind | key behind the kind byte | value |
//! |---|---|---|
//! | `R` | log no, epoch, first sequence | pack of own records with their tree nodes |
//! | `B` | log no, epoch, sequence, chunk no | a piece of an own record too large for a pack |
//! | `M` | log no, epoch, first sequence | pack of places of mirrored records with nodes |
//! | `E` | event id, log no, epoch, sequence | nothing |
//! | `V` | stream kind, stream id, log no, version, epoch, sequence | nothing |
//! | `C` | principal, command id | what the command did |
//! | `G` | nothing | the last group applied; replaced by every batch |
//! | `F` | nothing | the last group applied before the last flush; replaced by every flush |
//!
//! Entries live as long as the log (`C`: for ever), except for the two marks. All numbers are
//! big-endian, so keys sort by them. Every value starts with a CRC-32C over key and rest. Kinds
//! are never reused for another meaning.

use ::sled::IVec;
use evidence::record::StreamRef;

use crate::frame::split;
use crate::segment::LogKey;
use crate::transaction::CommandKey;

/// Kind of packs of own records.
pub(crate) const OWN: u8 = b'R';
/// Kind of packs of mirrored records.
pub(crate) const MIRROR: u8 = b'M';
/// Key of the last group applied.
pub(crate) const APPLIED: &[u8] = b"G";
/// Key of the last group certainly on disk.
pub(crate) const FLUSHED: &[u8] = b"F";

/// Key of the pack that starts at a sequence.
pub(crate) fn pack(kind: u8, log: LogKey, seq: u64) -> [u8; 15] {
    let mut key = [0; 15];
    key[0] = kind;
    key[1..3].copy_from_slice(&log.0.to_be_bytes());
    key[3..7].copy_from_slice(&log.1.to_be_bytes());
    key[7..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Log and first sequence in the key of a pack.
pub(crate) fn parse_pack(key: &[u8]) -> Option<(LogKey, u64)> {
    let (log_no, rest) = split::<2>(key.get(1..)?)?;
    let (epoch, rest) = split::<4>(rest)?;
    let (seq, rest) = split::<8>(rest)?;
    let log = (u16::from_be_bytes(log_no), u32::from_be_bytes(epoch));
    rest.is_empty().then_some((log, u64::from_be_bytes(seq)))
}

/// Key of a piece of a large record.
pub(crate) fn chunk(log: LogKey, seq: u64, chunk: u16) -> [u8; 17] {
    let mut key = [0; 17];
    key[..15].copy_from_slice(&pack(b'B', log, seq));
    key[15..].copy_from_slice(&chunk.to_be_bytes());
    key
}

/// A place in a log: log number, epoch, sequence.
pub(crate) type Place = (u16, u32, u64);

/// Key of an event at a place.
pub(crate) fn event(id: &[u8; 16], (log_no, epoch, seq): Place) -> [u8; 31] {
    let mut key = [0; 31];
    key[0] = b'E';
    key[1..17].copy_from_slice(id);
    key[17..19].copy_from_slice(&log_no.to_be_bytes());
    key[19..23].copy_from_slice(&epoch.to_be_bytes());
    key[23..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The place in the key of an event.
pub(crate) fn parse_event(key: &[u8]) -> Option<Place> {
    let (log_no, rest) = split::<2>(key.get(17..)?)?;
    let (epoch, seq) = parse_place(rest)?;
    Some((u16::from_be_bytes(log_no), epoch, seq))
}

/// Key of a version of a stream at a place.
pub(crate) fn version(stream: &StreamRef, version: u32, (log_no, epoch, seq): Place) -> [u8; 37] {
    let mut key = [0; 37];
    key[0] = b'V';
    key[1..3].copy_from_slice(&stream.kind.to_be_bytes());
    key[3..19].copy_from_slice(&stream.id);
    key[19..21].copy_from_slice(&log_no.to_be_bytes());
    key[21..25].copy_from_slice(&version.to_be_bytes());
    key[25..29].copy_from_slice(&epoch.to_be_bytes());
    key[29..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Version and place in the key of a version.
pub(crate) fn parse_version(key: &[u8]) -> Option<(u32, Place)> {
    let (log_no, rest) = split::<2>(key.get(19..)?)?;
    let (version, rest) = split::<4>(rest)?;
    let (epoch, seq) = parse_place(rest)?;
    Some((u32::from_be_bytes(version), (u16::from_be_bytes(log_no), epoch, seq)))
}

/// The first and the last key that a place of any log can give.
pub(crate) const PLACES: (Place, Place) = ((0, 0, 0), (u16::MAX, u32::MAX, u64::MAX));

/// Epoch and sequence.
fn parse_place(bytes: &[u8]) -> Option<(u32, u64)> {
    let (epoch, rest) = split::<4>(bytes)?;
    let (seq, rest) = split::<8>(rest)?;
    rest.is_empty().then_some((u32::from_be_bytes(epoch), u64::from_be_bytes(seq)))
}

/// Key of a command.
pub(crate) fn command(key: &CommandKey) -> [u8; 33] {
    let mut out = [0; 33];
    out[0] = b'C';
    out[1..17].copy_from_slice(&key.principal);
    out[17..].copy_from_slice(&key.command_id);
    out
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
            log: (u16, u32), seq: u64, other: u64, id: [u8; 16], kind: u16, version_no: u32,
        ) {
            prop_assert_eq!(parse_pack(&pack(OWN, log, seq)), Some((log, seq)));
            prop_assert_eq!(pack(OWN, log, seq).cmp(&pack(OWN, log, other)), seq.cmp(&other));
            let place = (log.0, log.1, seq);
            prop_assert_eq!(parse_event(&event(&id, place)), Some(place));
            let stream = StreamRef { kind, id };
            let key = version(&stream, version_no, place);
            prop_assert_eq!(parse_version(&key), Some((version_no, place)));
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
