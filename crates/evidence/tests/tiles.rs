//! Static copies: paths, tiles and bundles beside `tlog_tiles`, which others wrote; whole copies
//! honest and changed.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::config;
use common::parties::Log;
use evidence::merkle::{consistency_proof, inclusion_proof};
use evidence::tiles::{
    CopyError, MAX_TILE_INDEX, TileError, TileKind, TilePath, entry_bundle, hash_tile,
    parse_bundle, tiles_of, verify_copy,
};
use evidence::{Hash, Record};
use proptest::prelude::*;
use tlog_tiles::{
    Error, Hash as TheirHash, HashReader, Tile, check_record, check_tree, prove_record, prove_tree,
    record_hash, stored_hash_index, stored_hashes, tree_hash,
};

fn path(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::new(TileKind::Hashes { level }, index, width).unwrap()
}

#[test]
fn paths_are_the_published_ones() {
    // The example of the specification.
    assert_eq!(path(0, 1_234_067, 256).to_string(), "tile/0/x001/x234/067");
    let entries = TilePath::new(TileKind::Entries, 1_234_067, 8).unwrap();
    assert_eq!(entries.to_string(), "tile/entries/x001/x234/067.p/8");
    for text in ["tile/0/000", "tile/63/999", "tile/entries/x001/000", "tile/0/x999/999.p/255"] {
        assert_eq!(text.parse::<TilePath>().unwrap().to_string(), text);
    }
}

#[test]
fn every_other_spelling_is_refused() {
    let part = |text: &str| match text.parse::<TilePath>() {
        Err(TileError::Path { part }) => part,
        other => panic!("{text}: {other:?}"),
    };
    for text in ["", "tile", "Tile/0/000", "/tile/0/000", "tiles/0/000"] {
        assert_eq!(part(text), "prefix", "{text}");
    }
    for text in ["tile/", "tile/0", "tile/64/000", "tile/00/000", "tile/-1/000", "tile/entry/000"] {
        assert_eq!(part(text), "level", "{text}");
    }
    for text in ["tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01"] {
        assert_eq!(part(text), "width", "{text}");
    }
    for text in [
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/",
        "tile/0/x1/002",
        "tile/0/+01",
        "tile/8/0/000",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/x035/x184/x372/x088/832",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(part(text), "index", "{text}");
    }
    // The path on which `tlog_tiles` 0.2.0 panics.
    assert_eq!(part("tile/8/0/000.p/0"), "index");
    assert_eq!(MAX_TILE_INDEX, 35_184_372_088_832);
    assert!("tile/0/x035/x184/x372/x088/831".parse::<TilePath>().is_ok());
    assert!("tile/0/000.p/1\n".parse::<TilePath>().is_err());
}

#[test]
fn a_tree_of_70_000_has_the_published_tiles() {
    let mut rows: BTreeMap<TileKind, (u64, Option<u16>)> = BTreeMap::new();
    for tile in tiles_of(70_000) {
        let row = rows.entry(tile.kind()).or_default();
        match tile.is_partial() {
            true => row.1 = Some(tile.width()),
            false => row.0 += 1,
        }
    }
    let level = |level| TileKind::Hashes { level };
    let expected = [
        (level(0), (273, Some(112))),
        (level(1), (1, Some(17))),
        (level(2), (0, Some(1))),
        (TileKind::Entries, (273, Some(112))),
    ];
    assert_eq!(rows, BTreeMap::from(expected));
    let of_256: Vec<String> = tiles_of(256).map(|tile| tile.to_string()).collect();
    assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
    assert_eq!(tiles_of(0).count(), 0);
    let largest = tiles_of(1 << 53).step_by(1 << 30).take(3).count();
    assert_eq!(largest, 3);
}

#[test]
fn bundles_are_lengths_and_entries() {
    let bundle = entry_bundle(&[b"ab".as_slice(), b""]).unwrap();
    assert_eq!(bundle, b"\x00\x02ab\x00\x00");
    assert_eq!(parse_bundle(&bundle, 2).unwrap(), [b"ab".as_slice(), b""]);
    assert_eq!(parse_bundle(&bundle, 1), Err(TileError::Bundle { entry: 1 }));
    assert_eq!(parse_bundle(&bundle, 3), Err(TileError::Bundle { entry: 2 }));
    assert_eq!(parse_bundle(&bundle[..3], 2), Err(TileError::Bundle { entry: 0 }));
    let none: [&[u8]; 0] = [];
    assert_eq!(entry_bundle(&none), Err(TileError::Entries));
    assert_eq!(entry_bundle(&[vec![0; 65_536]]), Err(TileError::Entries));
    assert!(entry_bundle(&[vec![0; 65_535]]).is_ok());
    assert_eq!(entry_bundle(&vec![b""; 257]), Err(TileError::Entries));
}

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a copy of the first `size` entries.
fn copy(log: &Log, size: u64) -> Files {
    let leaves: Vec<Vec<u8>> = log.records.iter().map(Record::leaf_data).collect();
    let content = |tile: &TilePath| match tile.kind() {
        TileKind::Hashes { level } => {
            hash_tile(&log.memory, level, tile.index(), tile.width()).unwrap()
        }
        TileKind::Entries => {
            let first = tile.index() as usize * 256;
            entry_bundle(&leaves[first..first + usize::from(tile.width())]).unwrap()
        }
    };
    tiles_of(size).map(|tile| (tile.to_string(), content(&tile))).collect()
}

fn check(log: &Log, size: u64, files: &Files) -> Result<Vec<Hash>, CopyError<&'static str>> {
    let mut roots = Vec::new();
    let read = |path: &TilePath| files.get(&path.to_string()).cloned().ok_or("absent");
    verify_copy(&log.head(size), read, |_, tree| roots.push(tree.root()))?;
    Ok(roots)
}

#[test]
fn honest_copies_are_accepted_and_show_every_head() {
    let log = Log::of(1100);
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 1024, 1100] {
        let roots = check(&log, size, &copy(&log, size)).unwrap();
        assert_eq!(roots.len() as u64, size);
        for (i, root) in (1..).zip(&roots).step_by(97) {
            assert_eq!(*root, log.head(i).root, "size {i}");
        }
    }
}

#[test]
fn every_file_of_a_copy_counts() {
    let log = Log::of(600);
    let files = copy(&log, 600);
    assert_eq!(files.len(), 7);
    for name in files.keys() {
        let with = |change: fn(&mut Vec<u8>)| {
            let mut changed = files.clone();
            change(changed.get_mut(name).unwrap());
            check(&log, 600, &changed).unwrap_err()
        };
        assert!(matches!(with(|b| b[40] ^= 1), CopyError::Hashes { .. } | CopyError::Tile { .. }));
        assert!(matches!(with(|b| b.truncate(b.len() - 1)), CopyError::Tile { .. }), "{name}");
        assert!(matches!(with(|b| b.push(0)), CopyError::Tile { .. }), "{name}");
        let mut less = files.clone();
        less.remove(name);
        assert!(matches!(check(&log, 600, &less), Err(CopyError::Read { .. })), "{name}");
    }
    // A copy that is right in itself, under another head.
    let other = Log::with(600, &[b"x"]);
    assert_eq!(check(&log, 600, &copy(&other, 600)), Err(CopyError::Root));
}

/// Their storage of hashes, filled by their own functions.
#[derive(Default)]
struct Theirs(Vec<TheirHash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, Error> {
        Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
    }
}

impl Theirs {
    fn of(log: &Log) -> Self {
        let mut theirs = Self::default();
        for (i, record) in (0..).zip(&log.records) {
            let more = stored_hashes(i, &record.leaf_data(), &theirs).unwrap();
            theirs.0.extend(more);
        }
        theirs
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// Tree, proofs and tiles as `tlog_tiles` makes and checks them.
    #[test]
    fn the_other_implementation_agrees(size in 1u64..600, a in any::<u64>(), b in any::<u64>()) {
        let log = Log::of(size);
        let theirs = Theirs::of(&log);
        let root = TheirHash(log.head(size).root);
        prop_assert_eq!(tree_hash(size, &theirs).unwrap(), root);
        let (index, old) = (a % size, b % size + 1);
        let path: Vec<TheirHash> =
            inclusion_proof(&log.memory, index, size).unwrap().into_iter().map(TheirHash).collect();
        prop_assert_eq!(&prove_record(size, index, &theirs).unwrap(), &path);
        let leaf = record_hash(&log.records[index as usize].leaf_data());
        prop_assert_eq!(leaf, TheirHash(log.leaf(index)));
        prop_assert!(check_record(&path, size, root, index, leaf).is_ok());
        let proof: Vec<TheirHash> =
            consistency_proof(&log.memory, old, size).unwrap().into_iter().map(TheirHash).collect();
        prop_assert_eq!(&prove_tree(size, old, &theirs).unwrap(), &proof);
        let old_root = TheirHash(log.head(old).root);
        prop_assert!(check_tree(&proof, size, root, old, old_root).is_ok());
        for tile in tiles_of(size) {
            let TileKind::Hashes { level } = tile.kind() else { continue };
            let their = Tile::new(8, level, tile.index(), u32::from(tile.width()), false);
            // Their paths name the height, ours do not.
            let named = their.path().replacen("tile/8/", "tile/", 1);
            prop_assert_eq!(tile.to_string(), named);
            let data = hash_tile(&log.memory, level, tile.index(), tile.width()).unwrap();
            prop_assert_eq!(their.read_data(&theirs).unwrap(), data);
        }
        prop_assert_eq!(stored_hash_index(0, size - 1) < theirs.0.len() as u64, true);
    }

    #[test]
    fn accepted_paths_have_one_spelling(text in "tile/[0-9a-z]{0,7}/[x0-9/.p]{0,16}") {
        if let Ok(tile) = text.parse::<TilePath>() {
            prop_assert_eq!(tile.to_string(), text);
        }
    }

    #[test]
    fn paths_round_trip(
        level in 0u8..64, entries in any::<bool>(), index in 0..MAX_TILE_INDEX, width in 1u16..=256,
        shift in 0u32..45,
    ) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes { level } };
        let tile = TilePath::new(kind, index >> shift, width).unwrap();
        prop_assert_eq!(tile.to_string().parse::<TilePath>(), Ok(tile));
    }

    #[test]
    fn accepted_bundles_are_written_the_same(
        bytes in proptest::collection::vec(0u8..4, 0..60), width in 0u16..12,
    ) {
        if let Ok(entries) = parse_bundle(&bytes, width)
            && width > 0
        {
            prop_assert_eq!(entry_bundle(&entries).unwrap(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_of_a_copy_is_found(
        file in any::<usize>(), at in any::<usize>(), bit in 0u8..8,
    ) {
        let log = Log::of(300);
        let mut files = copy(&log, 300);
        let (count, at_file) = (files.len(), file);
        let bytes = files.values_mut().nth(at_file % count).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(check(&log, 300, &files).is_err());
    }
}
