//! Checking a whole copy against a head.

use thiserror::Error;

use super::{TILE_WIDTH, TileError, TileKind, TilePath, parse_bundle};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::merkle::{Frontier, leaf_hash};

/// Why a copy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CopyError<E> {
    /// A file cannot be read, or is not there.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: TilePath,
        /// Why.
        source: E,
    },
    /// A file is not a tile or bundle of its width.
    #[error("{path}: {source}")]
    Tile {
        /// The file.
        path: TilePath,
        /// Why.
        source: TileError,
    },
    /// A tile has other hashes than the entries give.
    #[error("{path} does not have the hashes of the entries")]
    Hashes {
        /// The file.
        path: TilePath,
    },
    /// The entries do not give the root of the head.
    #[error("the entries do not give the root of the checkpoint")]
    Root,
}

/// Checks that the files are a complete copy of the log under `head`: the entries give its root,
/// and each tile is made of exactly their hashes.
///
/// `read` gives a file by its path. `seen` is shown each entry with the tree that ends with it, in
/// order, before the end of the copy is known to be good.
///
/// # Errors
/// [`CopyError`] naming the first file that does not fit.
pub fn verify_copy<E>(
    head: &Checkpoint,
    mut read: impl FnMut(&TilePath) -> Result<Vec<u8>, E>,
    mut seen: impl FnMut(&[u8], &Frontier),
) -> Result<(), CopyError<E>> {
    let mut file = |path: TilePath| read(&path).map_err(|source| CopyError::Read { path, source });
    let mut frontier = Frontier::new();
    let mut rows: Vec<Row> = Vec::new();
    let width = u64::from(TILE_WIDTH);
    while frontier.size() < head.size {
        let here = (head.size - frontier.size()).min(width) as u16;
        let path = TilePath::of(TileKind::Entries, frontier.size() / width, here);
        let bundle = file(path)?;
        let entries =
            parse_bundle(&bundle, here).map_err(|source| CopyError::Tile { path, source })?;
        for entry in entries {
            let completed = frontier.append(leaf_hash(entry));
            // Level L of the tiles is level 8·L of the tree.
            for (level, hash) in completed.iter().step_by(8).enumerate() {
                if rows.len() == level {
                    rows.push(Row::default());
                }
                rows[level].push(hash);
            }
            seen(entry, &frontier);
        }
        for (level, row) in (0..).zip(&mut rows) {
            if row.hashes.len() == 32 * usize::from(TILE_WIDTH) {
                row.check(level, &mut file)?;
            }
        }
    }
    for (level, row) in (0..).zip(&mut rows).filter(|(_, row)| !row.hashes.is_empty()) {
        row.check(level, &mut file)?;
    }
    if frontier.root() == head.root { Ok(()) } else { Err(CopyError::Root) }
}

/// The hashes of a level that are not checked yet: at most one tile of them.
#[derive(Default)]
struct Row {
    hashes: Vec<u8>,
    checked: u64,
}

impl Row {
    /// Adds a hash.
    fn push(&mut self, hash: &Hash) {
        self.hashes.extend_from_slice(hash);
    }

    /// Compares the hashes with their tile and forgets them.
    fn check<E>(
        &mut self,
        level: u8,
        file: &mut impl FnMut(TilePath) -> Result<Vec<u8>, CopyError<E>>,
    ) -> Result<(), CopyError<E>> {
        let width = (self.hashes.len() / 32) as u16;
        let path = TilePath::of(TileKind::Hashes { level }, self.checked, width);
        let tile = file(path)?;
        let (expected, found) = (self.hashes.len(), tile.len());
        if expected != found {
            let source = TileError::Length { expected, found };
            return Err(CopyError::Tile { path, source });
        }
        if tile != self.hashes {
            return Err(CopyError::Hashes { path });
        }
        self.hashes.clear();
        self.checked += 1;
        Ok(())
    }
}
