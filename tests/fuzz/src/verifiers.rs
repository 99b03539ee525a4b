//! Targets for verifiers: nothing is accepted that an honest party did not sign.

use evidence::bundle;
use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::merkle::{Frontier, consistency_proof, root_at};
use evidence::note::SignedNote;
use evidence::policy::Policy;
use evidence::proof::TlogProof;
use evidence::succession::Succession;
use evidence::tiles::{TilePath, verify_copy};
use evidence::verify::admit;
use evidence::witness::{AddCheckpoint, step};

use crate::Target;
use crate::parsers::text;
use crate::world::{HELD, SIZE, TIME, WORLD};

/// Mutations of a target with signatures in `make test`.
const SOME: u64 = 1_500;

/// All verifiers.
pub const TARGETS: &[Target] = &[
    Target { name: "head", run: head, seeds: heads, bounded: SOME },
    Target { name: "cosignature", run: cosignature, seeds: cosignatures, bounded: SOME },
    Target { name: "judge", run: judge, seeds: heads, bounded: SOME },
    Target { name: "receipt", run: receipt, seeds: receipts, bounded: SOME },
    Target { name: "witness_step", run: witness_step, seeds: requests, bounded: SOME },
    Target { name: "succession", run: succession, seeds: successions, bounded: SOME },
    Target { name: "gate", run: gate, seeds: batches, bounded: SOME },
    Target { name: "copy", run: copy, seeds: tiles, bounded: SOME },
    Target { name: "bundle", run: folder, seeds: folders, bounded: SOME / 5 },
];

/// A signed head under the log's key.
fn head(data: &[u8]) {
    text(data, |text| {
        if let Ok(head) = Checkpoint::open(text, &WORLD.log.verifier()) {
            assert!(WORLD.has_head(&head.body()), "forged head");
        }
    });
}

fn heads() -> Vec<Vec<u8>> {
    WORLD.notes.iter().map(|note| note.to_string().into_bytes()).collect()
}

/// A cosignature line on the last head.
fn cosignature(data: &[u8]) {
    let world = &*WORLD;
    text(data, |line| {
        let body = world.notes[SIZE as usize - 1].text();
        for cosigner in &world.cosigners {
            if let Ok(time) = verify_cosignature(body, line, &cosigner.verifier()) {
                assert_eq!(time, TIME, "forged time");
                assert!(world.notes[SIZE as usize - 1].to_string().contains(line), "forged line");
            }
        }
    });
}

fn cosignatures() -> Vec<Vec<u8>> {
    let lines = WORLD.notes.iter().flat_map(|note| note.signatures());
    lines.map(|line| line.to_string().into_bytes()).collect()
}

/// A note under the policy.
fn judge(data: &[u8]) {
    let world = &*WORLD;
    text(data, |text| {
        let Ok(note) = SignedNote::parse(text) else { return };
        let Ok(judged) = world.policy.evaluate(&note) else { return };
        assert!(world.has_head(&judged.checkpoint.body()), "forged head");
        assert_eq!(judged.log, world.log.verifier());
        for cosigned in &judged.cosigned {
            assert_eq!(cosigned.time, TIME, "forged time");
            assert!(note.signatures().iter().any(|line| line.name() == cosigned.key.name()));
        }
        assert_eq!(judged.quorum_met(), judged.cosigned.len() == world.cosigners.len());
    });
}

/// A receipt with its opening.
fn receipt(data: &[u8]) {
    let world = &*WORLD;
    text(data, |text| {
        let Ok(proof) = TlogProof::parse(text) else { return };
        let Ok(Some(opening)) = proof.opening() else { return };
        if proof.verify_logged(&opening.leaf_hash(), &world.policy).is_ok() {
            let record = &world.records[proof.index() as usize];
            assert_eq!(opening.leaf(), record.leaf(), "forged entry");
            assert_eq!(opening.header(), record.header());
            assert_eq!(opening.open_body(), record.open());
        }
    });
}

fn receipts() -> Vec<Vec<u8>> {
    let note = &WORLD.notes[SIZE as usize - 1];
    let prove = |record| bundle::write::prove(&WORLD.nodes, record, note).unwrap();
    WORLD.records.iter().map(|record| prove(record).to_string().into_bytes()).collect()
}

/// A request to a witness that holds the head of size [`HELD`].
fn witness_step(data: &[u8]) {
    let world = &*WORLD;
    text(data, |text| {
        let Ok(request) = AddCheckpoint::parse(text) else { return };
        let held = (HELD, root_at(&world.nodes, HELD).unwrap());
        if let Ok(accepted) = step(Some(held), &request, &[world.log.verifier()]) {
            let head = accepted.checkpoint();
            assert!(head.size >= HELD && world.has_head(&head.body()), "forged head");
            assert_eq!(accepted.is_unchanged(), head.size == HELD);
        }
    });
}

fn requests() -> Vec<Vec<u8>> {
    let same = AddCheckpoint::new(HELD, Vec::new(), WORLD.notes[HELD as usize - 1].clone());
    vec![WORLD.request().to_string().into_bytes(), same.unwrap().to_string().into_bytes()]
}

/// A statement of succession under the log's key.
fn succession(data: &[u8]) {
    let world = &*WORLD;
    text(data, |text| {
        if let Ok(statement) = Succession::open(text, &world.log.verifier()) {
            let honest = Succession::parse(&world.succession).unwrap();
            assert_eq!(statement, honest, "forged succession");
        }
    });
}

fn successions() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let honest = Succession::parse(&world.succession).unwrap();
    let closed = Checkpoint { origin: world.next.name().to_owned(), ..honest.closed };
    let back = Succession { closed, successor: world.log.verifier() };
    vec![world.succession.clone().into_bytes(), back.sign(&world.next).unwrap().into_bytes()]
}

/// The gate of a mirror that holds [`HELD`] records: the input is the next record.
fn gate(data: &[u8]) {
    let world = &*WORLD;
    let held = Frontier::load(&world.nodes, HELD).unwrap();
    let (next, log) = (HELD + 1, &world.records[0].header().log);
    let head = Checkpoint::from_body(world.notes[SIZE as usize - 1].text()).unwrap();
    let proof = consistency_proof(&world.nodes, next, SIZE).unwrap();
    if admit(&held, log, 1, vec![data.to_vec()], HELD, &head, &proof).is_ok() {
        assert_eq!(data, world.records[HELD as usize].bytes(), "forged record");
    }
}

fn batches() -> Vec<Vec<u8>> {
    WORLD.records.iter().map(|record| record.bytes().to_vec()).collect()
}

/// A copy in which one file is replaced: the first byte says which.
fn copy(data: &[u8]) {
    let world = &*WORLD;
    let Some((which, content)) = data.split_first() else { return };
    let tiles: Vec<&String> = world.bundle.0.keys().filter(|n| n.starts_with("log/tile")).collect();
    let replaced = tiles[usize::from(*which) % tiles.len()];
    let head = Checkpoint::from_body(world.notes[SIZE as usize - 1].text()).unwrap();
    let read = |path: &TilePath| {
        let name = format!("log/{path}");
        if name == *replaced {
            Ok(content.to_vec())
        } else {
            world.bundle.0.get(&name).cloned().ok_or(())
        }
    };
    if verify_copy(&head, read, |_, _| ()).is_ok() {
        assert_eq!(content, world.bundle.0[replaced], "forged tile");
    }
}

fn tiles() -> Vec<Vec<u8>> {
    let files = WORLD.bundle.0.iter().filter(|(name, _)| name.starts_with("log/tile"));
    files.zip(0u8..).map(|((_, bytes), i)| [vec![i], bytes.clone()].concat()).collect()
}

/// A bundle in which one file is replaced: the first byte says which.
fn folder(data: &[u8]) {
    let world = &*WORLD;
    let Some((which, content)) = data.split_first() else { return };
    let mut files = world.bundle.clone();
    let (count, at) = (files.0.len(), usize::from(*which));
    let (name, bytes) = files.0.iter_mut().nth(at % count).unwrap();
    let (name, honest) = (name.clone(), std::mem::replace(bytes, content.to_vec()));
    if bundle::verify(&files, &world.policy).unwrap().is_accepted() {
        // Lines of strangers may come and go, and notes may lose cosignatures; what they say may
        // not change, and everything else is the same.
        let text = |bytes: &[u8]| {
            let text = str::from_utf8(bytes).ok()?;
            let note = match name.split_once('/')?.0 {
                "checkpoints" | "log" => SignedNote::parse(text).ok()?,
                "consistency" => AddCheckpoint::parse(text).ok()?.checkpoint().clone(),
                _ => TlogProof::parse(text).ok()?.checkpoint().clone(),
            };
            Some(note.text().to_owned())
        };
        match text(content) {
            Some(text) => assert!(world.has_head(&text), "forged head in {name}"),
            None if name == "policy" => {
                let policy = Policy::parse(content).unwrap();
                assert!(world.policy.covers(&policy), "forged policy");
            }
            None => assert_eq!(content, honest, "forged {name}"),
        }
    }
}

fn folders() -> Vec<Vec<u8>> {
    let files = WORLD.bundle.0.values().zip(0u8..);
    files.map(|(bytes, i)| [vec![i], bytes.clone()].concat()).collect()
}
