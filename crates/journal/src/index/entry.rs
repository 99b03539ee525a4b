//! What is found by a key other than a place: events, versions of streams, commands.
//!
//! An entry is a string of bytes that holds the key and, behind it, where to look; its first byte
//! says which kind it is and so how long. Entries of a kind sort by their keys.
//!
//! | kind | bytes behind the kind | length |
//! |---|---|---|
//! | `C` | principal 16, command id 16, segment u32, offset u32 and length u32 of its frame | 45 |
//! | `E` | event id 16, log no u16, epoch u32, sequence u64 | 31 |
//! | `V` | stream kind u16, stream id 16, log no u16, version u32, epoch u32, sequence u64 | 37 |

use evidence::record::StreamRef;

use crate::frame::split;
use crate::transaction::CommandKey;

/// Bytes of the longest kind.
const LONGEST: usize = 45;

/// A place in a log: log number, epoch, sequence.
pub(crate) type Place = (u16, u32, u64);

/// The first and the last place of any log.
pub(crate) const PLACES: (Place, Place) = ((0, 0, 0), (u16::MAX, u32::MAX, u64::MAX));

/// Where a frame is: segment, offset, length of its body.
pub(crate) type FramePlace = (u32, u32, u32);

/// One entry; unused bytes at the end are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry([u8; LONGEST]);

/// The kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Event,
    Version,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        match code {
            b'C' => Some(Self::Command),
            b'E' => Some(Self::Event),
            b'V' => Some(Self::Version),
            _ => None,
        }
    }

    /// Bytes of an entry.
    fn len(self) -> usize {
        match self {
            Self::Command => 45,
            Self::Event => 31,
            Self::Version => 37,
        }
    }

    /// How many of them say what is looked for.
    fn subject(self) -> usize {
        match self {
            Self::Command => 33,
            Self::Event => 17,
            Self::Version => 19,
        }
    }
}

impl Entry {
    fn new(kind: u8, parts: &[&[u8]]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[0] = kind;
        let mut at = 1;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Self(bytes)
    }

    /// An event at a place.
    pub(crate) fn event(id: &[u8; 16], (log_no, epoch, seq): Place) -> Self {
        Self::new(b'E', &[id, &log_no.to_be_bytes(), &epoch.to_be_bytes(), &seq.to_be_bytes()])
    }

    /// A version of a stream at a place.
    pub(crate) fn version(stream: &StreamRef, version: u32, (log_no, epoch, seq): Place) -> Self {
        let (kind, log_no) = (stream.kind.to_be_bytes(), log_no.to_be_bytes());
        let version = version.to_be_bytes();
        let (epoch, seq) = (epoch.to_be_bytes(), seq.to_be_bytes());
        Self::new(b'V', &[&kind, &stream.id, &log_no, &version, &epoch, &seq])
    }

    /// A command whose frame is at a place.
    pub(crate) fn command(key: &CommandKey, (segment, offset, len): FramePlace) -> Self {
        let place = [segment.to_be_bytes(), offset.to_be_bytes(), len.to_be_bytes()];
        Self::new(b'C', &[&key.principal, &key.command_id, place.as_flattened()])
    }

    /// Takes an entry off the front of a page.
    pub(crate) fn take(page: &[u8]) -> Option<(Self, &[u8])> {
        let kind = Kind::of(*page.first()?)?;
        let (bytes, rest) = page.split_at_checked(kind.len())?;
        let mut entry = [0; LONGEST];
        entry[..bytes.len()].copy_from_slice(bytes);
        Some((Self(entry), rest))
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        // No entry is made with another first byte.
        Kind::of(self.0[0]).unwrap_or(Kind::Event)
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0[..self.kind().len()]
    }

    /// The bytes that say what it is about, without where.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.0[..self.kind().subject()]
    }

    /// The place of an event.
    pub(crate) fn place(&self) -> Place {
        place(&self.0[17..31])
    }

    /// Version and place of a version.
    pub(crate) fn versioned(&self) -> (u32, Place) {
        let number =
            |at: usize| split::<4>(&self.0[at..]).map_or(0, |(n, _)| u32::from_be_bytes(n));
        let (log_no, _) = split::<2>(&self.0[19..]).unwrap_or_default();
        let (seq, _) = split::<8>(&self.0[29..]).unwrap_or_default();
        (number(21), (u16::from_be_bytes(log_no), number(25), u64::from_be_bytes(seq)))
    }

    /// Where the frame of a command is.
    pub(crate) fn frame(&self) -> FramePlace {
        let number =
            |at: usize| split::<4>(&self.0[at..]).map_or(0, |(n, _)| u32::from_be_bytes(n));
        (number(33), number(37), number(41))
    }

    /// 64 bits that depend on all of it.
    pub(crate) fn hash(&self) -> u64 {
        mix(self.bytes())
    }
}

fn place(bytes: &[u8]) -> Place {
    let (log_no, rest) = split::<2>(bytes).unwrap_or_default();
    let (epoch, rest) = split::<4>(rest).unwrap_or_default();
    let (seq, _) = split::<8>(rest).unwrap_or_default();
    (u16::from_be_bytes(log_no), u32::from_be_bytes(epoch), u64::from_be_bytes(seq))
}

/// A hash of 64 bits, the same on every machine; not for adversaries.
pub(crate) fn mix(bytes: &[u8]) -> u64 {
    // Multiplication by the golden ratio spreads upwards, the shift brings it down again.
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 32)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |h, word| step(h, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(step(hash, u64::from_le_bytes(last)), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_and_sort_by_their_keys(
            place: Place, other: Place, id: [u8; 16], kind: u16, version: u32, frame: FramePlace,
        ) {
            let event = Entry::event(&id, place);
            prop_assert_eq!(event.place(), place);
            prop_assert_eq!(event.cmp(&Entry::event(&id, other)), place.cmp(&other));
            let stream = StreamRef { kind, id };
            let versioned = Entry::version(&stream, version, place);
            prop_assert_eq!(versioned.versioned(), (version, place));
            let key = CommandKey { principal: id, command_id: id };
            let command = Entry::command(&key, frame);
            prop_assert_eq!(command.frame(), frame);
            let mut page = Vec::new();
            let all = [event, versioned, command];
            all.iter().for_each(|entry| page.extend_from_slice(entry.bytes()));
            let mut rest = &page[..];
            for entry in all {
                let (taken, behind) = Entry::take(rest).unwrap();
                prop_assert_eq!(taken, entry);
                prop_assert!(taken.bytes().starts_with(taken.subject()));
                rest = behind;
            }
            prop_assert!(rest.is_empty());
            prop_assert!(Entry::take(&page[..30]).is_none());
        }

        #[test]
        fn every_bit_changes_the_hash(
            bytes in proptest::collection::vec(any::<u8>(), 1..46), at: usize,
        ) {
            let mut other = bytes.clone();
            let at = at % (bytes.len() * 8);
            other[at / 8] ^= 1 << (at % 8);
            prop_assert_ne!(mix(&bytes), mix(&other));
        }
    }
}
