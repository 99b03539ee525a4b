//! How the epochs of a log follow each other: the first record of a later one says where the one
//! before it ended, and whoever saw the later epoch has seen that.

use crate::hash::Hash;
use crate::log::LogName;
use crate::opening::Opening;
use crate::proof::TlogProof;

/// Type code of that record: `log.succeeds`.
const SUCCEEDS: u32 = 0x0c02;

/// Where an epoch ended, as the first record of the next one says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// The epoch that ended.
    pub(super) epoch: u32,
    /// Its number of records.
    pub(super) size: u64,
    /// The root over them.
    pub(super) root: Hash,
}

impl Ending {
    /// What an opened record says; `None` if it is not the first one of a later epoch.
    pub(super) fn of(opening: &Opening) -> Option<Self> {
        let header = opening.header();
        if header.seq != 0 || header.type_code != SUCCEEDS {
            return None;
        }
        Self::parse(opening.open_body(), &header.log).filter(|ending| ending.epoch < header.epoch)
    }

    /// What the opened record of a proof says.
    pub(super) fn of_proof(proof: &TlogProof) -> Option<Self> {
        proof.opening().ok().flatten().as_ref().and_then(Self::of)
    }

    /// Reads the body, a protobuf message: 1 log, 2 epoch, 3 size, 4 root, in this order and their
    /// only spelling; a size of zero is left out.
    fn parse(body: &[u8], log: &LogName) -> Option<Self> {
        let mut rest = body.strip_prefix(&[0x0a])?;
        let name = usize::try_from(varint(&mut rest)?).ok()?;
        let (name, rest) = rest.split_at_checked(name)?;
        let mut rest = rest.strip_prefix(&[0x10])?;
        let epoch = u32::try_from(varint(&mut rest)?).ok().filter(|epoch| *epoch >= 1)?;
        let mut size = 0;
        if let Some(behind) = rest.strip_prefix(&[0x18]) {
            rest = behind;
            size = varint(&mut rest).filter(|size| *size >= 1)?;
        }
        let root = rest.strip_prefix(&[0x22, 0x20])?.try_into().ok()?;
        (name == log.as_str().as_bytes()).then_some(Self { epoch, size, root })
    }
}

/// A base-128 number in its shortest spelling.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (shift == 0 || *byte != 0).then_some(value);
        }
    }
    None
}
