//! Tiles of a log, made from its entries as they come: a tree of any size in little memory.

use ::evidence::Hash;
use ::evidence::bundle::write::Piece;
use ::evidence::merkle::{Frontier, leaf_hash};
use ::evidence::tiles::{TILE_WIDTH, TileError, TileKind, TilePath, entry_bundle};

const FULL: usize = TILE_WIDTH as usize;

/// The right edge of a copy.
#[derive(Default)]
pub struct Tiler {
    entries: Vec<Vec<u8>>,
    bundles: u64,
    /// For each level the hashes of its unfinished tile, and the tiles before it.
    levels: Vec<(Vec<Hash>, u64)>,
}

impl Tiler {
    /// Takes the next entry; gives the files that it fills.
    ///
    /// # Errors
    /// An entry is too long for a tile.
    pub fn push(&mut self, entry: Vec<u8>) -> Result<Vec<Piece>, TileError> {
        let mut filled = Vec::new();
        let mut hash = leaf_hash(&entry);
        self.entries.push(entry);
        if self.entries.len() == FULL {
            filled.push(entries(self.bundles, &self.entries)?);
            self.entries.clear();
            self.bundles += 1;
        }
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push((Vec::new(), 0));
            }
            let (hashes, index) = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < FULL {
                break;
            }
            filled.push(tile(level, *index, hashes)?);
            hash = root(hashes);
            hashes.clear();
            *index += 1;
        }
        Ok(filled)
    }

    /// The partial tiles of the right edge.
    ///
    /// # Errors
    /// As [`Tiler::push`].
    pub fn finish(self) -> Result<Vec<Piece>, TileError> {
        let mut partial = Vec::new();
        if !self.entries.is_empty() {
            partial.push(entries(self.bundles, &self.entries)?);
        }
        let unfinished = self.levels.iter().enumerate().filter(|(_, (tile, _))| !tile.is_empty());
        for (level, (hashes, index)) in unfinished {
            partial.push(tile(level, *index, hashes)?);
        }
        Ok(partial)
    }
}

fn entries(index: u64, entries: &[Vec<u8>]) -> Result<Piece, TileError> {
    let path = TilePath::new(TileKind::Entries, index, entries.len() as u16)?;
    Ok(Piece { name: format!("log/{path}"), bytes: entry_bundle(entries)? })
}

fn tile(level: usize, index: u64, hashes: &[Hash]) -> Result<Piece, TileError> {
    let kind = TileKind::Hashes { level: level as u8 };
    let path = TilePath::new(kind, index, hashes.len() as u16)?;
    Ok(Piece { name: format!("log/{path}"), bytes: hashes.concat() })
}

/// The root over a full tile.
fn root(hashes: &[Hash]) -> Hash {
    let mut tree = Frontier::new();
    hashes.iter().for_each(|hash| {
        tree.append(*hash);
    });
    tree.root()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ::evidence::checkpoint::Checkpoint;
    use ::evidence::tiles::{tiles_of, verify_copy};

    use super::*;

    /// The copy of `size` entries, and its head.
    fn copy(size: u64) -> (BTreeMap<String, Vec<u8>>, Checkpoint) {
        let (mut tiler, mut tree) = (Tiler::default(), Frontier::new());
        let mut files = Vec::new();
        for seq in 0..size {
            let entry = format!("entry {seq}\n").into_bytes();
            tree.append(leaf_hash(&entry));
            files.extend(tiler.push(entry).unwrap());
        }
        files.extend(tiler.finish().unwrap());
        let files = files.into_iter().map(|piece| (piece.name, piece.bytes)).collect();
        (files, Checkpoint { origin: "o".to_owned(), size, root: tree.root() })
    }

    #[test]
    fn a_copy_of_any_size_is_whole_and_holds() {
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537 + 300] {
            let (files, head) = copy(size);
            let mut wanted: Vec<_> = tiles_of(size).map(|path| format!("log/{path}")).collect();
            wanted.sort();
            assert_eq!(files.keys().cloned().collect::<Vec<_>>(), wanted, "{size}");
            let read = |path: &TilePath| files.get(&format!("log/{path}")).cloned().ok_or("gone");
            let mut seen = 0;
            verify_copy(&head, read, |_, _| seen += 1).unwrap();
            assert_eq!(seen, size);
        }
    }
}
