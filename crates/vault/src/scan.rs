//! Reads a whole key file and judges what its end means.

use std::path::Path;

use crate::entry::Entry;
use crate::error::VaultError;
use crate::frame::{FRAME, HEADER, Header};
use crate::report::TailState;
use crate::root::RootKey;
use crate::tail::Tail;

/// A key file as read.
pub(crate) struct Scan {
    pub(crate) header: Header,
    pub(crate) entries: Vec<Entry>,
    /// Whole frames.
    pub(crate) frames: u64,
    /// Bytes up to the end of the last whole frame.
    pub(crate) len: u64,
    /// Bytes after it, to be dropped.
    pub(crate) unfinished: u64,
    pub(crate) tail: TailState,
}

/// What was read from the tail file.
pub(crate) enum TailRead {
    Missing,
    Damaged,
    Read(Tail),
}

/// Reads the key file `bytes` of `path`.
///
/// The end of a file may be an append that was interrupted before its fdatasync returned; it is
/// dropped. Everything else that does not parse is damage and an error: a broken frame with a
/// whole one after it, a broken or missing frame that the tail file knows, a broken last frame
/// with no readable tail file.
pub(crate) fn scan(
    path: &Path,
    bytes: &[u8],
    root: &RootKey,
    tail: TailRead,
) -> Result<Scan, VaultError> {
    let header = Header::decode(bytes, root, path)?;
    let mut entries = Vec::new();
    let (mut at, mut frames) = (HEADER, 0);
    while let Some((seq, body)) = header.parse_frame(&bytes[at..]) {
        let here = at as u64;
        if seq != frames {
            return Err(VaultError::damaged(path, here, "a frame is out of order"));
        }
        let read = Entry::decode_all(body)
            .ok_or_else(|| VaultError::damaged(path, here, "a frame holds no whole entries"))?;
        entries.extend(read);
        at += FRAME + body.len();
        frames += 1;
    }
    let rest = &bytes[at..];
    let len = at as u64;
    if (1..rest.len()).any(|skip| header.parse_frame(&rest[skip..]).is_some()) {
        return Err(VaultError::damaged(path, len, "a broken frame with whole ones after it"));
    }
    let broken = !rest.is_empty();
    let state = judge(path, &header, tail, frames, len, broken)?;
    let unfinished = rest.len() as u64;
    Ok(Scan { header, entries, frames, len, unfinished, tail: state })
}

fn judge(
    path: &Path,
    header: &Header,
    tail: TailRead,
    frames: u64,
    len: u64,
    broken: bool,
) -> Result<TailState, VaultError> {
    let damaged = |what| Err(VaultError::damaged(path, len, what));
    let tail = match tail {
        TailRead::Missing | TailRead::Damaged if broken => {
            return damaged("the last frame is broken and no tail file tells what was durable");
        }
        TailRead::Missing => return Ok(TailState::Missing),
        TailRead::Damaged => return Ok(TailState::Damaged),
        TailRead::Read(tail) => tail,
    };
    if tail.header.vault_id != header.vault_id {
        return damaged("keys.tail belongs to another vault");
    }
    match tail.header.generation.cmp(&header.generation) {
        std::cmp::Ordering::Greater => damaged("the file is older than keys.tail"),
        // The power went between the rename of a rewritten file, which was whole and synced
        // before, and its tail. Nothing can have been appended in between.
        std::cmp::Ordering::Less if broken => damaged("a rewritten file is broken"),
        std::cmp::Ordering::Less => Ok(TailState::Behind),
        std::cmp::Ordering::Equal if tail.len > len || tail.frames > frames => {
            damaged("what was durable here is broken or missing")
        }
        std::cmp::Ordering::Equal if tail.len < len => Ok(TailState::Behind),
        std::cmp::Ordering::Equal => Ok(TailState::Agrees),
    }
}
