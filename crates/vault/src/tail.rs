//! The tail file: where the key file ended at the last acknowledged append.
//!
//! It is written after the fdatasync of the key file and not synced itself, so it may be behind,
//! never ahead. It tells an interrupted append (after the tail) from damage (before it).

use crate::frame::Header;

/// Size of the tail file in bytes: within one disk sector, so that it is not torn.
pub(crate) const TAIL: usize = 64;
const MAGIC: &[u8; 8] = b"ADALVTL1";

/// What the tail file states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) header: Header,
    /// Frames in the key file.
    pub(crate) frames: u64,
    /// Length of the key file in bytes.
    pub(crate) len: u64,
}

impl Tail {
    pub(crate) fn encode(&self) -> [u8; TAIL] {
        let mut out = [0; TAIL];
        out[..8].copy_from_slice(MAGIC);
        out[8..24].copy_from_slice(&self.header.vault_id);
        out[24..32].copy_from_slice(&self.header.generation.to_be_bytes());
        out[32..40].copy_from_slice(&self.frames.to_be_bytes());
        out[40..48].copy_from_slice(&self.len.to_be_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Tail> {
        let bytes: &[u8; TAIL] = bytes.try_into().ok()?;
        let crc = u32::from_be_bytes(*bytes.last_chunk()?);
        if bytes[..8] != MAGIC[..] || crc32c::crc32c(&bytes[..60]) != crc {
            return None;
        }
        let number = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let vault_id = *bytes.get(8..)?.first_chunk()?;
        let header = Header { vault_id, generation: number(24)? };
        Some(Tail { header, frames: number(32)?, len: number(40)? })
    }
}
