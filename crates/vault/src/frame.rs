//! Header and frames of the key file. Bytes in `FORMAT.md`; all numbers are big-endian.

use std::path::Path;

use crate::cipher;
use crate::entry::MAX_ENTRY;
use crate::error::VaultError;
use crate::root::RootKey;

/// Size of the header in bytes.
pub(crate) const HEADER: usize = 80;
/// Bytes of a frame around its body.
pub(crate) const FRAME: usize = 24;
/// Entries in one frame at most: 65,536 × 139 bytes are about 9 MiB, so that no length field
/// and no buffer of a damaged file can ask for more.
pub(crate) const MAX_ENTRIES: usize = 65_536;
const MAX_BODY: usize = MAX_ENTRIES * MAX_ENTRY;

const MAGIC: &[u8; 8] = b"ADALVALT";
const FRAME_MAGIC: &[u8; 4] = b"VFRM";
const VERSION: u16 = 1;
const ROOT_AAD: &[u8] = b"adal/vault/root/v1\n";

/// The header of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Random, made with the vault and kept for its life.
    pub(crate) vault_id: [u8; 16],
    /// 1 for a new vault, one more at every rewrite.
    pub(crate) generation: u64,
}

impl Header {
    pub(crate) fn encode(&self, root: &RootKey) -> Result<[u8; HEADER], VaultError> {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_be_bytes());
        out[12..28].copy_from_slice(&self.vault_id);
        out[28..36].copy_from_slice(&self.generation.to_be_bytes());
        let nonce = cipher::random()?;
        let aad = [ROOT_AAD, &out[..36]].concat();
        let seal = cipher::seal(root.bytes(), nonce, &aad, b"").ok_or(VaultError::Random)?;
        out[36..76].copy_from_slice(&seal);
        let crc = crc32c::crc32c(&out[..76]);
        out[76..].copy_from_slice(&crc.to_be_bytes());
        Ok(out)
    }

    /// Reads the header at the start of `bytes` and proves that `root` is the vault's root key.
    pub(crate) fn decode(bytes: &[u8], root: &RootKey, path: &Path) -> Result<Header, VaultError> {
        if bytes.len() < 8 || bytes[..8] != MAGIC[..] {
            return Err(VaultError::NotAVault { path: path.to_path_buf() });
        }
        let Some(head) = bytes.first_chunk::<HEADER>() else {
            return Err(VaultError::damaged(path, bytes.len() as u64, "the header ends early"));
        };
        let version = u16::from_be_bytes([head[8], head[9]]);
        if crc32c::crc32c(&head[..76]) != be_u32(&head[76..]) {
            return Err(match version {
                VERSION => VaultError::damaged(path, 0, "the header's checksum is wrong"),
                // A newer header need not end where ours does; nothing more can be checked.
                found => VaultError::Version { path: path.to_path_buf(), found, known: VERSION },
            });
        }
        if version != VERSION {
            let path = path.to_path_buf();
            return Err(VaultError::Version { path, found: version, known: VERSION });
        }
        let aad = [ROOT_AAD, &head[..36]].concat();
        if cipher::open(root.bytes(), &aad, &head[36..76]).is_none() {
            return Err(VaultError::WrongRootKey { path: path.to_path_buf() });
        }
        let mut vault_id = [0; 16];
        vault_id.copy_from_slice(&head[12..28]);
        Ok(Header { vault_id, generation: be_u64(&head[28..36]) })
    }

    /// What every checksum of this file starts from, so that a frame of another vault or of an
    /// older generation is never taken for one of this file.
    fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.vault_id), &self.generation.to_be_bytes())
    }

    /// A frame: sequence number and body under two checksums.
    pub(crate) fn frame(&self, seq: u64, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME + body.len());
        out.extend_from_slice(FRAME_MAGIC);
        out.extend_from_slice(&seq.to_be_bytes());
        // `MAX_ENTRIES` keeps a body far below 4 GiB; a longer one would fail to parse.
        out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
        let crc = crc32c::crc32c_append(self.seed(), &out);
        out.extend_from_slice(&crc.to_be_bytes());
        out.extend_from_slice(body);
        let crc = crc32c::crc32c_append(self.seed(), &out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// The frame at the start of `bytes`: sequence number and body; `None` where it is not whole.
    pub(crate) fn parse_frame<'a>(&self, bytes: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let head = bytes.first_chunk::<20>()?;
        if head[..4] != FRAME_MAGIC[..] {
            return None;
        }
        if crc32c::crc32c_append(self.seed(), &head[..16]) != be_u32(&head[16..]) {
            return None;
        }
        let len = usize::try_from(be_u32(&head[12..16])).ok().filter(|len| *len <= MAX_BODY)?;
        let (covered, rest) = bytes.split_at_checked(20 + len)?;
        let crc = rest.first_chunk::<4>()?;
        if crc32c::crc32c_append(self.seed(), covered) != u32::from_be_bytes(*crc) {
            return None;
        }
        Some((be_u64(&head[4..12]), &covered[20..]))
    }
}

/// The number in the first four bytes; callers pass at least four.
fn be_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b))
}

/// The number in the first eight bytes; callers pass at least eight.
fn be_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b))
}
