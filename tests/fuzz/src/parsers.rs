//! Targets for parsers: no panic, and what is accepted is written the same again.

use evidence::Record;
use evidence::checkpoint::Checkpoint;
use evidence::hash::{from_hex, hex};
use evidence::log::{LogName, Position, origin, parse_origin};
use evidence::merkle::Frontier;
use evidence::note::{NoteSignature, SignedNote, Verifier};
use evidence::opening::{Opening, Statement};
use evidence::policy::Policy;
use evidence::proof::TlogProof;
use evidence::record::{Leaf, RecordView, ShortText};
use evidence::succession::Succession;
use evidence::tiles::{TilePath, entry_bundle, parse_bundle};
use evidence::witness::AddCheckpoint;

use crate::Target;
use crate::world::WORLD;

/// Mutations of a cheap target in `make test`.
const MANY: u64 = 10_000;

/// All parsers.
pub const TARGETS: &[Target] = &[
    Target { name: "record", run: record, seeds: records, bounded: MANY },
    Target { name: "leaf", run: leaf, seeds: leaves, bounded: MANY },
    Target { name: "name", run: name, seeds: names, bounded: MANY },
    Target { name: "frontier", run: frontier, seeds: frontiers, bounded: MANY },
    Target { name: "note", run: note, seeds: notes, bounded: MANY },
    Target { name: "key", run: key, seeds: keys, bounded: MANY },
    Target { name: "checkpoint", run: checkpoint, seeds: checkpoints, bounded: MANY },
    Target { name: "policy", run: policy, seeds: policies, bounded: MANY },
    Target { name: "proof", run: proof, seeds: proofs, bounded: MANY },
    Target { name: "opening", run: opening, seeds: openings, bounded: MANY },
    Target { name: "request", run: request, seeds: requests, bounded: MANY },
    Target { name: "tile_path", run: tile_path, seeds: tile_paths, bounded: MANY },
    Target { name: "tile_bundle", run: tile_bundle, seeds: tile_bundles, bounded: MANY },
    Target {
        name: "succession_text",
        run: succession_text,
        seeds: succession_texts,
        bounded: MANY,
    },
];

/// Runs `check` on the input as text, if it is text.
pub(crate) fn text(data: &[u8], check: impl FnOnce(&str)) {
    if let Ok(text) = str::from_utf8(data) {
        check(text);
    }
}

fn record(data: &[u8]) {
    let view = RecordView::parse(data);
    let owned = Record::parse(data.to_vec());
    assert_eq!(view.is_ok(), owned.is_ok());
    if let (Ok(view), Ok(record)) = (view, owned) {
        assert_eq!(record.to_draft().encode().unwrap(), data);
        assert_eq!(view.leaf_hash(), record.leaf_hash());
        let opening = Opening::of(&record);
        assert_eq!(Opening::parse(&opening.to_bytes()), Ok(opening.clone()));
        assert_eq!(opening.leaf_hash(), record.leaf_hash());
    }
}

fn records() -> Vec<Vec<u8>> {
    WORLD.records.iter().map(|record| record.bytes().to_vec()).collect()
}

fn leaf(data: &[u8]) {
    if let Ok(leaf) = Leaf::parse(data) {
        assert_eq!(leaf.to_bytes(), data);
    }
}

fn leaves() -> Vec<Vec<u8>> {
    WORLD.records.iter().map(Record::leaf_data).collect()
}

/// Log names, positions, origins, short texts, hexadecimal.
fn name(data: &[u8]) {
    text(data, |text| {
        if let Ok(name) = LogName::new(text) {
            assert_eq!(name.as_str(), text);
        }
        if let Ok(position) = text.parse::<Position>() {
            assert_eq!(position.to_string(), text);
        }
        if let Some((domain, log, epoch)) = parse_origin(text) {
            assert_eq!(origin(domain, &log, epoch), text);
        }
        if let Ok(short) = ShortText::new(text) {
            assert_eq!(short.as_str(), text);
        }
        if let Some(bytes) = from_hex(text) {
            assert_eq!(hex(&bytes), text);
        }
    });
}

fn names() -> Vec<Vec<u8>> {
    let texts = ["kz-75", "kz/all:1:42", "adal.example/log/kz-75.e2", "Asia/Almaty", "00ff7a"];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

fn frontier(data: &[u8]) {
    if let Ok(frontier) = Frontier::decode(data) {
        assert_eq!(frontier.encode(), data);
        let _ = frontier.root();
    }
}

fn frontiers() -> Vec<Vec<u8>> {
    vec![Frontier::new().encode(), WORLD.nodes.frontier.encode()]
}

fn note(data: &[u8]) {
    text(data, |text| {
        if let Ok(note) = SignedNote::parse(text) {
            assert_eq!(note.to_string(), text);
        }
        if let Ok(line) = text.parse::<NoteSignature>() {
            assert_eq!(line.to_string(), text);
        }
    });
}

fn notes() -> Vec<Vec<u8>> {
    let lines = WORLD.notes[0].signatures().iter().map(|line| line.to_string().into_bytes());
    lines.chain([WORLD.notes[0].to_string().into_bytes()]).collect()
}

fn key(data: &[u8]) {
    text(data, |text| {
        if let Ok(key) = text.parse::<Verifier>() {
            assert_eq!(key.to_string(), text);
        }
    });
}

fn keys() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let signers = [&world.log, &world.next].into_iter().chain(&world.cosigners);
    signers.map(|signer| signer.verifier().to_string().into_bytes()).collect()
}

fn checkpoint(data: &[u8]) {
    text(data, |text| {
        if let Ok(checkpoint) = Checkpoint::from_body(text) {
            assert_eq!(checkpoint.body(), text);
        }
        let _ = Checkpoint::parse(text);
    });
}

fn checkpoints() -> Vec<Vec<u8>> {
    WORLD.notes.iter().map(|note| note.text().as_bytes().to_vec()).collect()
}

/// A policy has several spellings; its own one is written and read unchanged.
fn policy(data: &[u8]) {
    if let Ok(policy) = Policy::parse(data) {
        let written = policy.to_bytes();
        let again = Policy::parse(&written).unwrap();
        assert_eq!(again, policy);
        assert_eq!(again.to_bytes(), written);
        assert!(policy.covers(&again));
    }
}

fn policies() -> Vec<Vec<u8>> {
    let own = WORLD.policy.to_bytes();
    let free = String::from_utf8_lossy(&own).replace("witness ", "\n# next\n\twitness\t ");
    vec![own, free.into_bytes(), b"quorum none\n".to_vec()]
}

fn proof(data: &[u8]) {
    text(data, |text| {
        if let Ok(proof) = TlogProof::parse(text) {
            assert_eq!(proof.to_string(), text);
            let _ = proof.opening();
        }
    });
}

fn proofs() -> Vec<Vec<u8>> {
    let of = |name: &str| WORLD.bundle.0.get(name).cloned();
    ["receipts/e1-5.tlog-proof", "slips/e1-3.tlog-proof"].into_iter().filter_map(of).collect()
}

/// Openings of records and of statements.
fn opening(data: &[u8]) {
    if let Ok(opening) = Opening::parse(data) {
        assert_eq!(opening.to_bytes(), data);
        assert!(opening.check(opening.header().seq, &opening.leaf().to_bytes()).is_ok());
    }
    if let Ok(statement) = Statement::parse(data) {
        assert_eq!(statement.to_bytes(), data);
    }
}

fn openings() -> Vec<Vec<u8>> {
    let statement = Statement::new([7; 32], "арыз").unwrap().to_bytes();
    let openings = WORLD.records.iter().map(|record| Opening::of(record).to_bytes());
    openings.chain([statement]).collect()
}

fn request(data: &[u8]) {
    text(data, |text| {
        if let Ok(request) = AddCheckpoint::parse(text) {
            assert_eq!(request.to_string(), text);
        }
    });
}

fn requests() -> Vec<Vec<u8>> {
    vec![WORLD.request().to_string().into_bytes()]
}

fn tile_path(data: &[u8]) {
    text(data, |text| {
        if let Ok(path) = text.parse::<TilePath>() {
            assert_eq!(path.to_string(), text);
            assert_eq!(TilePath::new(path.kind(), path.index(), path.width()), Ok(path));
        }
    });
}

fn tile_paths() -> Vec<Vec<u8>> {
    let texts =
        ["tile/0/x001/x234/067", "tile/entries/000.p/255", "tile/8/0/000.p/0", "tile/63/999"];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// The first byte is the width.
fn tile_bundle(data: &[u8]) {
    let Some((width, bundle)) = data.split_first() else { return };
    if let Ok(entries) = parse_bundle(bundle, u16::from(*width) + 1) {
        assert_eq!(entry_bundle(&entries).unwrap(), bundle);
    }
}

fn tile_bundles() -> Vec<Vec<u8>> {
    let leaves = leaves();
    let bundle = |count: usize| {
        let entries = entry_bundle(&leaves[..count]).unwrap();
        [vec![count as u8 - 1], entries].concat()
    };
    vec![bundle(1), bundle(leaves.len())]
}

fn succession_text(data: &[u8]) {
    text(data, |text| {
        if let Ok(statement) = Succession::from_body(text) {
            assert_eq!(statement.body(), text);
        }
    });
}

fn succession_texts() -> Vec<Vec<u8>> {
    vec![Succession::parse(&WORLD.succession).unwrap().body().into_bytes()]
}
