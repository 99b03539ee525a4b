//! Frames: the unit of a commit file. Layout in `FORMAT.md`, all numbers big-endian.

use crate::limits::{ALIGN, FRAME_HEADER, MAX_BODY};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The stored bytes of a record.
    Record = 1,
    /// A log or a new epoch of one; in a snapshot also its size and right edge.
    Log = 2,
    /// Key and value of a control fact.
    Control = 3,
    /// A command that was done.
    Command = 4,
    /// The end of a group: count and digest.
    Trailer = 5,
    /// The end of a sealed segment.
    Footer = 6,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Record,
            2 => Self::Log,
            3 => Self::Control,
            4 => Self::Command,
            5 => Self::Trailer,
            6 => Self::Footer,
            _ => return None,
        })
    }
}

/// Flag of log and control frames that repeat the state at the start of a segment.
pub(crate) const SNAPSHOT: u8 = 1;

/// The 24 bytes in front of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub len: u32,
    pub crc: u32,
    pub kind: Kind,
    pub flags: u8,
    pub log_no: u16,
    pub epoch: u32,
    pub seq: u64,
}

/// The fields of a frame that its writer chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub kind: Kind,
    pub flags: u8,
    pub log_no: u16,
    pub epoch: u32,
    pub seq: u64,
}

impl Head {
    /// Reads a head; `None` for an unknown kind or flag, or a length beyond the limit.
    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER]) -> Option<Self> {
        let (len, rest) = split::<4>(bytes)?;
        let (crc, rest) = split::<4>(rest)?;
        let (kind, rest) = split::<1>(rest)?;
        let (flags, rest) = split::<1>(rest)?;
        let (log_no, rest) = split::<2>(rest)?;
        let (epoch, seq) = split::<4>(rest)?;
        let (seq, _) = split::<8>(seq)?;
        let head = Self {
            len: u32::from_be_bytes(len),
            crc: u32::from_be_bytes(crc),
            kind: Kind::from_code(kind[0])?,
            flags: flags[0],
            log_no: u16::from_be_bytes(log_no),
            epoch: u32::from_be_bytes(epoch),
            seq: u64::from_be_bytes(seq),
        };
        (head.len as usize <= MAX_BODY && head.flags <= SNAPSHOT).then_some(head)
    }

    /// Bytes of head, body and padding.
    pub(crate) fn span(&self) -> usize {
        span(self.len as usize)
    }
}

/// Takes `N` bytes from the front.
pub(crate) fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(head, rest)| (*head, rest))
}

/// Bytes that a frame with a body of `len` bytes takes.
pub(crate) fn span(len: usize) -> usize {
    (FRAME_HEADER + len).next_multiple_of(ALIGN)
}

/// The start value of every checksum of a journal: stray frames of another journal, or bytes in a
/// body that look like a frame, do not pass.
pub(crate) fn seed(journal: &[u8; 16]) -> u32 {
    crc32c::crc32c(journal)
}

/// The checksum of a frame: over everything but the checksum itself and the padding.
fn checksum(seed: u32, frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &frame[..4]), &frame[8..])
}

/// Whether `frame` (head and body, no padding) has the checksum that its head states.
pub(crate) fn is_intact(seed: u32, head: &Head, frame: &[u8]) -> bool {
    frame.len() == FRAME_HEADER + head.len as usize && checksum(seed, frame) == head.crc
}

/// Appends a frame to `out`; `body` writes the body behind the head. Returns where the body starts.
pub(crate) fn put(
    out: &mut Vec<u8>,
    seed: u32,
    label: Label,
    body: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER]);
    body(out);
    let len = out.len() - start - FRAME_HEADER;
    debug_assert!(len <= MAX_BODY);
    let head = &mut out[start..start + FRAME_HEADER];
    head[..4].copy_from_slice(&(len as u32).to_be_bytes());
    head[8] = label.kind as u8;
    head[9] = label.flags;
    head[10..12].copy_from_slice(&label.log_no.to_be_bytes());
    head[12..16].copy_from_slice(&label.epoch.to_be_bytes());
    head[16..24].copy_from_slice(&label.seq.to_be_bytes());
    let crc = checksum(seed, &out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_be_bytes());
    out.resize(start + span(len), 0);
    start + FRAME_HEADER
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(seed: u32, frame: &[u8]) -> Option<Head> {
        let head = Head::decode(frame.first_chunk()?)?;
        let end = FRAME_HEADER + head.len as usize;
        is_intact(seed, &head, frame.get(..end)?).then_some(head)
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_and_every_flip_is_seen(
            body in proptest::collection::vec(any::<u8>(), 0..80),
            log_no: u16, epoch: u32, seq: u64, journal: [u8; 16], at: usize, bit in 0..8u32,
        ) {
            let seed = seed(&journal);
            let mut out = Vec::new();
            let label = Label { kind: Kind::Record, flags: 0, log_no, epoch, seq };
            let start = put(&mut out, seed, label, |out| out.extend_from_slice(&body));
            let head = parse(seed, &out).unwrap();
            prop_assert_eq!((head.log_no, head.epoch, head.seq), (log_no, epoch, seq));
            prop_assert_eq!(&out[start..start + head.len as usize], &body[..]);
            prop_assert_eq!(head.span(), out.len());
            let at = at % (FRAME_HEADER + body.len());
            out[at] ^= 1 << bit;
            prop_assert!(parse(seed, &out).is_none());
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(Head::decode(&[0; FRAME_HEADER]), None);
    }
}
