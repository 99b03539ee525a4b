//! Static copies of a log (C2SP tlog-tiles): a folder of immutable files from which anybody can
//! compute every proof.
//!
//! ```text
//! checkpoint                      the signed head
//! tile/<L>/<N>[.p/<W>]            W or 256 hashes of level L: each covers 256^L entries
//! tile/entries/<N>[.p/<W>]        W or 256 entries, each behind its length (2 bytes, big-endian)
//! ```
//!
//! Hash `i` of level `L` is the tree's node (8·L, i) ([`crate::merkle::Nodes`]). A partial tile has
//! `floor(size / 256^L) mod 256` hashes; there are no empty ones ("Partial Tiles"). [`tiles_of`]
//! names the files of a copy, [`hash_tile`] and [`entry_bundle`] make them, [`verify_copy`] checks
//! a whole copy against a head in one pass and little memory.

mod copy;
mod path;

use thiserror::Error;

use crate::hash::Hash;
use crate::log::MAX_TREE_SIZE;
use crate::merkle::Nodes;

pub use copy::{CopyError, verify_copy};
pub use path::{TileKind, TilePath};

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Largest level in a path; a tree of 2^53 leaves has seven.
pub const MAX_LEVEL: u8 = 63;

/// Indices in a path are below this: the entry bundles of a tree of 2^53 leaves.
pub const MAX_TILE_INDEX: u64 = MAX_TREE_SIZE / TILE_WIDTH as u64;

/// Largest entry in bytes, as its length has two bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// Largest file of a tile or bundle in bytes.
pub const MAX_TILE: usize = TILE_WIDTH as usize * (2 + MAX_ENTRY);

/// Why a text is not the path of a tile, or bytes are not a tile. It carries no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TileError {
    /// Not `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]` in the only spelling.
    #[error("tile path: {part} is malformed")]
    Path {
        /// Which part.
        part: &'static str,
    },
    /// The bytes are not as many as the path's width asks for.
    #[error("tile of {found} bytes, {expected} are expected")]
    Length {
        /// Bytes that the width asks for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The bundle ends inside an entry, or has fewer or more entries than its path says.
    #[error("entry bundle: entry {entry} is malformed")]
    Bundle {
        /// Which entry, from 0.
        entry: usize,
    },
    /// An entry longer than [`MAX_ENTRY`], or not 1 to 256 of them.
    #[error("an entry bundle has 1 to 256 entries of at most {MAX_ENTRY} bytes")]
    Entries,
}

/// The tiles and entry bundles of a copy of `size` entries: levels from 0 upwards, then bundles,
/// each from left to right, the partial one last.
pub fn tiles_of(size: u64) -> impl Iterator<Item = TilePath> {
    let size = size.min(MAX_TREE_SIZE);
    let levels = (0..7u8).map(move |level| (TileKind::Hashes { level }, size >> (8 * level)));
    let rows = levels.chain([(TileKind::Entries, size)]);
    rows.flat_map(|(kind, count)| {
        let width = u64::from(TILE_WIDTH);
        let full = (0..count / width).map(move |index| TilePath::of(kind, index, TILE_WIDTH));
        let rest = (count % width) as u16;
        let partial = (rest > 0).then(|| TilePath::of(kind, count / width, rest));
        full.chain(partial)
    })
}

/// Whether [`tiles_of`] names this file for a copy of `size` entries.
#[must_use]
pub fn is_tile_of(size: u64, path: &TilePath) -> bool {
    let count = match path.kind() {
        TileKind::Hashes { level } => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
        TileKind::Entries => size,
    };
    let width = u64::from(TILE_WIDTH);
    let expected = if path.index() < count / width { width } else { count % width };
    path.index() <= count / width && u64::from(path.width()) == expected
}

/// The content of a tile of hashes, from stored nodes; the tile is one of [`tiles_of`] for a size
/// that the nodes have.
///
/// # Errors
/// What `nodes` reports.
pub fn hash_tile<N: Nodes>(
    nodes: &N,
    level: u8,
    index: u64,
    width: u16,
) -> Result<Vec<u8>, N::Error> {
    let (level, first) = (level.saturating_mul(8), index.saturating_mul(u64::from(TILE_WIDTH)));
    let mut tile = Vec::with_capacity(usize::from(width) * 32);
    for i in 0..u64::from(width) {
        let hash: Hash = nodes.node(level, first.saturating_add(i))?;
        tile.extend_from_slice(&hash);
    }
    Ok(tile)
}

/// The content of an entry bundle ("Log entries").
///
/// # Errors
/// [`TileError::Entries`].
pub fn entry_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    if !(1..=usize::from(TILE_WIDTH)).contains(&entries.len()) {
        return Err(TileError::Entries);
    }
    let mut bundle = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let len = u16::try_from(entry.len()).map_err(|_| TileError::Entries)?;
        bundle.extend_from_slice(&len.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle of exactly `width`.
///
/// # Errors
/// [`TileError::Bundle`] naming the entry at which it breaks off or should have ended.
pub fn parse_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width.min(TILE_WIDTH)));
    let mut rest = bundle;
    for entry in 0..usize::from(width) {
        let broken = TileError::Bundle { entry };
        let (len, behind) = rest.split_first_chunk::<2>().ok_or(broken)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (data, behind) = behind.split_at_checked(len).ok_or(broken)?;
        entries.push(data);
        rest = behind;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::Bundle { entry: entries.len() }) }
}
