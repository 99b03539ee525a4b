//! Packs: what several neighbouring records of a group have in one value of at most 4 KB.
//!
//! `entry = nodes u8 || form u8 || nodes × 32 bytes || rest`, entries one behind the other. Forms:
//! 0 `len u32 || stored bytes`, 1 `len u32` (the bytes lie in pieces under `B` keys), 2
//! `segment u32 || offset u32 || len u32` (the frame in a commit file).

use evidence::hash::Hash;

use super::keys::GUARD;
use crate::frame::split;
use crate::limits::MAX_VALUE;

/// Where the stored bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// In pieces under keys of their own; the length of all.
    Chunks(u32),
    /// In the frame that starts at `offset` of a segment.
    Place { segment: u32, offset: u32, len: u32 },
}

/// One record in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackEntry<'a> {
    /// Tree nodes that the record completes, from its leaf hash upwards.
    pub nodes: &'a [Hash],
    /// Its stored bytes.
    pub form: Form<'a>,
}

impl PackEntry<'_> {
    /// Bytes that the entry takes.
    pub(crate) fn span(&self) -> usize {
        let rest = match self.form {
            Form::Inline(bytes) => 4 + bytes.len(),
            Form::Chunks(_) => 4,
            Form::Place { .. } => 12,
        };
        2 + self.nodes.len() * 32 + rest
    }

    /// Whether a value with nothing but this entry keeps the limit.
    pub(crate) fn fits(&self) -> bool {
        GUARD + self.span() <= MAX_VALUE
    }

    /// Appends the entry.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.nodes.len() as u8);
        out.push(match self.form {
            Form::Inline(_) => 0,
            Form::Chunks(_) => 1,
            Form::Place { .. } => 2,
        });
        out.extend_from_slice(self.nodes.as_flattened());
        match self.form {
            Form::Inline(bytes) => {
                out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Form::Chunks(len) => out.extend_from_slice(&len.to_be_bytes()),
            Form::Place { segment, offset, len } => {
                out.extend_from_slice(&segment.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(&len.to_be_bytes());
            }
        }
    }
}

/// Takes the first entry off a pack: the entry and the rest.
pub(crate) fn take(pack: &[u8]) -> Option<(PackEntry<'_>, &[u8])> {
    let (counts, rest) = split::<2>(pack)?;
    let (nodes, rest) = rest.split_at_checked(32 * usize::from(counts[0]))?;
    let (nodes, _) = nodes.as_chunks::<32>();
    let (first, rest) = split::<4>(rest)?;
    let first = u32::from_be_bytes(first);
    let (form, rest) = match counts[1] {
        0 => {
            let (bytes, rest) = rest.split_at_checked(first as usize)?;
            (Form::Inline(bytes), rest)
        }
        1 => (Form::Chunks(first), rest),
        2 => {
            let (offset, rest) = split::<4>(rest)?;
            let (len, rest) = split::<4>(rest)?;
            let (offset, len) = (u32::from_be_bytes(offset), u32::from_be_bytes(len));
            (Form::Place { segment: first, offset, len }, rest)
        }
        _ => return None,
    };
    (!nodes.is_empty()).then_some((PackEntry { nodes, form }, rest))
}

/// The entry at `index` of a pack, counted from 0; `Ok(None)` if the pack ends before it.
pub(crate) fn nth(mut pack: &[u8], index: u64) -> Result<Option<PackEntry<'_>>, ()> {
    for _ in 0..index {
        if pack.is_empty() {
            return Ok(None);
        }
        pack = take(pack).ok_or(())?.1;
    }
    if pack.is_empty() {
        return Ok(None);
    }
    take(pack).map(|(entry, _)| Some(entry)).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packs_come_back(
            entries in proptest::collection::vec(
                (1..9usize, 0..3u8, any::<u32>(), 0..40usize),
                1..9,
            ),
        ) {
            let nodes = [[7; 32]; 9];
            let bytes = [3; 40];
            let entries: Vec<PackEntry<'_>> = entries.iter().map(|(count, form, number, len)| {
                let form = match form {
                    0 => Form::Inline(&bytes[..*len]),
                    1 => Form::Chunks(*number),
                    _ => Form::Place { segment: *number, offset: !*number, len: *len as u32 },
                };
                PackEntry { nodes: &nodes[..*count], form }
            }).collect();
            let mut pack = Vec::new();
            entries.iter().for_each(|entry| entry.put(&mut pack));
            prop_assert_eq!(pack.len(), entries.iter().map(PackEntry::span).sum::<usize>());
            for (i, entry) in entries.iter().enumerate() {
                prop_assert_eq!(nth(&pack, i as u64), Ok(Some(*entry)));
            }
            prop_assert_eq!(nth(&pack, entries.len() as u64), Ok(None));
            prop_assert_eq!(nth(&pack[..pack.len() - 1], entries.len() as u64 - 1), Err(()));
        }
    }
}
