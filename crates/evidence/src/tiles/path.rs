//! Paths of tiles ("Merkle Tree", "Log entries").

use std::fmt;
use std::str::FromStr;

use super::{MAX_LEVEL, MAX_TILE_INDEX, TILE_WIDTH, TileError};
use crate::log::decimal;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of this level.
    Hashes {
        /// From 0, the leaf hashes.
        level: u8,
    },
    /// Log entries.
    Entries,
}

/// The path of a tile or entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TilePath {
    /// A path of parts that are known to be in their limits.
    pub(super) fn of(kind: TileKind, index: u64, width: u16) -> Self {
        Self { kind, index, width }
    }

    /// The path of the tile `index` of its kind with `width` hashes or entries, 256 if it is full.
    ///
    /// # Errors
    /// [`TileError::Path`] naming the part that breaks its limit.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        if matches!(kind, TileKind::Hashes { level } if level > MAX_LEVEL) {
            return Err(TileError::Path { part: "level" });
        }
        if index >= MAX_TILE_INDEX {
            return Err(TileError::Path { part: "index" });
        }
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Path { part: "width" });
        }
        Ok(Self::of(kind, index, width))
    }

    /// What the tile holds.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Which one of its kind, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it holds: 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is a partial tile.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        // Groups of three digits; all but the last begin with an x.
        let mut group = 1;
        while self.index / group >= 1000 {
            group *= 1000;
        }
        while group > 1 {
            write!(f, "x{:03}/", self.index / group % 1000)?;
            group /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |part| TileError::Path { part };
        let rest = text.strip_prefix("tile/").ok_or(malformed("prefix"))?;
        let (kind, rest) = rest.split_once('/').ok_or(malformed("level"))?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                let level = decimal(level).and_then(|level| u8::try_from(level).ok());
                TileKind::Hashes { level: level.ok_or(malformed("level"))? }
            }
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((index, width)) => {
                let width = decimal(width).and_then(|width| u16::try_from(width).ok());
                let partial = width.filter(|width| *width < TILE_WIDTH);
                (index, partial.ok_or(malformed("width"))?)
            }
        };
        Self::new(kind, parse_index(index).ok_or(malformed("index"))?, width)
    }
}

/// Reads `x001/x234/067`: the first group is `x000` in no index.
fn parse_index(text: &str) -> Option<u64> {
    let (mut index, mut groups) = (0u64, text.split('/').peekable());
    while let Some(group) = groups.next() {
        let digits = match groups.peek() {
            Some(_) => group.strip_prefix('x')?,
            None => group,
        };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let first_is_zero = index == 0 && digits == "000" && groups.peek().is_some();
        if first_is_zero {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}
