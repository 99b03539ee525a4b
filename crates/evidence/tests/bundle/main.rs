//! The evidence bundle: an honest one, and what is done to it.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod tamper;
mod world;

use common::config;
use common::parties::{Log, ORIGIN};
use evidence::bundle::{self, Subject, Verdict, write};
use evidence::checkpoint::Checkpoint;
use evidence::note::{SignedNote, Signer};
use evidence::policy::{Policy, Threshold, Word, region_policy};
use evidence::proof::TlogProof;
use evidence::witness::AddCheckpoint;
use proptest::prelude::*;
use tamper::TAMPERINGS;
use world::{Folder, SIZE, World};

#[test]
fn an_honest_bundle_is_accepted_file_by_file() {
    let world = World::new();
    let report = world.verify(&world.honest);
    let refused: Vec<_> = report.refused().collect();
    assert!(report.is_accepted(), "{refused:?}");
    let subject = |name: &str| {
        let file = report.files.iter().find(|file| file.name == name);
        file.map(|file| file.to_string()).unwrap_or_default()
    };
    let head = subject("checkpoints/e1-300");
    assert!(
        head.ends_with("head of adal.example/log/kz-75 at 300, the quorum cosigned it"),
        "{head}"
    );
    assert!(subject("checkpoints/e1-100").contains("not yet cosigned: held (0 of 3 needed"));
    assert!(subject("consistency/e1-100-256").contains("has everything that it had at 100"));
    assert!(subject("receipts/e1-3.tlog-proof").contains("entry 3 is in"));
    assert!(subject("slips/e1-4.tlog-proof").contains("entry 4 is in"));
    assert!(subject("leaves/255").contains("entry 255 is proved"));
    assert!(subject("log/tile").contains("all 300 entries of"));
    assert!(subject("policy").starts_with("accepted"));
    // Every file is in the report, the tiles of the good copy as one line.
    let tiles = world.honest.0.keys().filter(|name| name.starts_with("log/tile/")).count();
    assert_eq!(report.files.len(), world.honest.0.len() - tiles + 1);
    let [origin] = report.origins.as_slice() else { panic!("one origin") };
    assert_eq!((origin.end, origin.witnessed), (300, Some(300)));
    assert_eq!(origin.to_string(), format!("accepted  {ORIGIN}: 300 entries, 300 witnessed"));
}

#[test]
fn proofs_link_without_a_copy_and_a_copy_links_without_proofs() {
    let world = World::new();
    let mut folder = world.honest.clone();
    folder.without("log/");
    assert!(world.verify(&folder).is_accepted());
    let mut folder = world.honest.clone();
    folder.without("consistency/");
    assert!(world.verify(&folder).is_accepted());
    // A slip without an opening takes its entry from the copy or from leaves/.
    let mut folder = world.honest.clone();
    let slip: TlogProof = folder.text("slips/e1-4.tlog-proof").parse().unwrap();
    let bare = TlogProof::new(4, slip.path().to_vec(), slip.checkpoint().clone(), None).unwrap();
    folder.set("slips/e1-4.tlog-proof", &bare);
    assert!(world.verify(&folder).is_accepted());
    folder.without("log/");
    assert!(!world.verify(&folder).is_accepted());
    folder.put(write::leaf(&world.log.records[4].leaf()));
    assert!(world.verify(&folder).is_accepted());
    // Neither copy nor proofs: which heads are of one history cannot be told.
    let mut folder = world.honest.clone();
    folder.without("log/");
    folder.without("consistency/e1-256");
    let report = world.verify(&folder);
    let why: Vec<String> = report.refused().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(
        why.iter().any(|why| why.starts_with("checkpoints/e1-256: nothing in the bundle links"))
    );
    assert!(why.iter().any(|why| why.starts_with("slips/e1-4.tlog-proof: entry 4: nothing in")));
}

#[test]
fn every_kind_of_tampering_is_refused_by_its_reason() {
    let world = World::new();
    assert!(TAMPERINGS.len() >= 30);
    for (what, tamper, name, reason) in TAMPERINGS {
        let mut folder = world.honest.clone();
        tamper(&world, &mut folder);
        let report = world.verify(&folder);
        assert!(!report.is_accepted(), "{what}: accepted");
        let found = report.refused().any(|(n, why)| n == *name && why.contains(reason));
        let all: Vec<_> = report.refused().collect();
        assert!(found, "{what}: {name} is not refused by «{reason}»: {all:#?}");
    }
}

#[test]
fn a_head_that_nothing_ties_in_is_refused_alone() {
    let world = World::new();
    let refused = |folder: &Folder| {
        let report = world.verify(folder);
        let refused = report.refused().map(|(name, why)| (name.to_owned(), why));
        refused.collect::<Vec<_>>()
    };
    let (log, key) = (&world.log, &world.parties.log);
    let far = Checkpoint { size: 1_000, root: [9; 32], ..log.head(SIZE) };
    let far: SignedNote = far.sign(key).unwrap().parse().unwrap();
    let mut folder = world.honest.clone();
    folder.put(write::checkpoint(&far).unwrap());
    let why = "nothing in the bundle links the head of size 1000 to the head of size 300";
    let alone = [("checkpoints/e1-1000".to_owned(), why.to_owned())];
    assert_eq!(refused(&folder), alone);
    // A slip of it contradicts nothing that the log shows: more proofs are wanted.
    let later = Log::of(1_000);
    let slip: SignedNote = later.signed(999, key).parse().unwrap();
    folder.put(write::slip(&write::prove(&later.memory, &later.records[998], &slip).unwrap()));
    assert!(
        refused(&folder)[1].1.contains("ask for a consistency proof"),
        "{:?}",
        refused(&folder)
    );
    // Where a proof leads on from what the quorum saw, it is the end of the log.
    let later = Log::of(SIZE + 7);
    let note: SignedNote = later.signed(SIZE + 7, key).parse().unwrap();
    let mut folder = world.honest.clone();
    folder.put(write::checkpoint(&note).unwrap());
    folder.put(write::consistency(&later.memory, SIZE, &note).unwrap());
    assert_eq!(refused(&folder), []);
    folder.put(write::checkpoint(&far).unwrap());
    let why = "nothing in the bundle links the head of size 1000 to the head of size 307";
    assert_eq!(refused(&folder), [("checkpoints/e1-1000".to_owned(), why.to_owned())]);
}

#[test]
fn no_bundle_at_all_is_not_accepted() {
    let world = World::new();
    assert!(!world.verify(&Folder::default()).is_accepted());
    let mut folder = Folder::default();
    folder.put(write::policy(&world.policy));
    let report = world.verify(&folder);
    assert_eq!((report.refused().count(), report.is_accepted()), (0, false));
}

#[test]
fn an_auditor_who_knows_more_keys_accepts_the_older_policy() {
    let mut world = World::new();
    let mut text = String::from_utf8(world.policy.to_bytes()).unwrap();
    let next = Signer::log(ORIGIN, &[42; 32]).unwrap();
    text = format!("log {}\n{text}", next.verifier());
    world.policy = text.parse().unwrap();
    assert!(world.verify(&world.honest).is_accepted());
}

/// A log of four records in this epoch, which says of the one before where it ended.
fn epoch_of(epoch: u32, before: Option<(u64, [u8; 32])>) -> Log {
    let mut log = Log::epoch(epoch, 4, &[]);
    let Some((size, root)) = before else { return log };
    let mut draft = log.records[0].to_draft();
    draft.header.type_code = 0x0c02;
    draft.open =
        [b"\x0a\x05kz-75\x10", &[epoch as u8 - 1, 0x18, size as u8, 0x22, 0x20][..]].concat();
    draft.open.extend(root);
    log.records[0] = draft.into_record().unwrap();
    log.memory = common::Memory::of(log.records.iter().map(|record| record.leaf_hash()));
    log
}

/// The key of an epoch.
fn epoch_key(log: &Log, epoch: u32) -> Signer {
    Signer::log(&log.origin, &[100 + epoch as u8; 32]).unwrap()
}

/// A bundle of several epochs of a log, each with its own key.
fn epochs(world: &mut World, epochs: &[u32]) -> Folder {
    let (parties, mut folder) = (&world.parties, Folder::default());
    let (mut keys, mut before) = (Vec::new(), None);
    for epoch in 1..=3 {
        let log = epoch_of(epoch, before);
        before = Some((4, log.head(4).root));
        let key = epoch_key(&log, epoch);
        let note = parties.cosigned(&log.signed(4, &key));
        keys.push(key.verifier());
        if epochs.contains(&epoch) {
            folder.put(write::checkpoint(&note).unwrap());
            for record in &log.records[..2] {
                let receipt = write::prove(&log.memory, record, &note).unwrap();
                folder.put(write::receipt(&receipt));
            }
        }
    }
    let (witness, mirror) = (parties.witness.verifier(), parties.mirror.verifier());
    world.policy = region_policy(&keys, &witness, &mirror, &parties.peers()).unwrap();
    folder.put(write::policy(&world.policy));
    folder
}

/// Everything that is refused.
fn refused(world: &World, folder: &Folder) -> Vec<(String, String)> {
    let report = world.verify(folder);
    report.refused().map(|(name, why)| (name.to_owned(), why)).collect()
}

#[test]
fn epochs_follow_each_other_and_none_is_used_for_another() {
    let mut world = World::new();
    let folder = epochs(&mut world, &[1, 2, 3]);
    assert_eq!(refused(&world, &folder), []);
    let report = world.verify(&folder);
    let closed: Vec<_> = report.origins.iter().map(|origin| origin.closed).collect();
    assert_eq!(closed, [Some(4), Some(4), None]);

    let folder = epochs(&mut world, &[1, 3]);
    let gap = "epoch 2 before it is missing".to_owned();
    assert_eq!(refused(&world, &folder), [("adal.example/log/kz-75.e3".to_owned(), gap)]);

    // A record that was written for epoch 1, in a tree that is signed for epoch 2.
    let mut folder = epochs(&mut world, &[1, 2]);
    let first = Log::epoch(1, 4, &[]);
    let moved = Log { origin: Log::epoch(2, 1, &[]).origin, ..first };
    let note = world.parties.cosigned(&moved.signed(4, &epoch_key(&moved, 2)));
    folder.set("checkpoints/e2-4", &note);
    folder.without("receipts/e2-0");
    let receipt = write::prove(&moved.memory, &moved.records[1], &note).unwrap();
    folder.set("receipts/e2-1.tlog-proof", receipt);
    let why =
        "the record was written for kz-75 epoch 1, the checkpoint is of another log".to_owned();
    let refused = refused(&world, &folder);
    assert!(refused.contains(&("receipts/e2-1.tlog-proof".to_owned(), why)), "{refused:?}");
}

#[test]
fn the_end_of_an_epoch_cannot_be_left_out() {
    const SECOND: &str = "adal.example/log/kz-75.e2";
    let mut world = World::new();
    let honest = epochs(&mut world, &[1, 2]);
    let why = |folder: &Folder| match &refused(&world, folder)[..] {
        [(name, why)] if name == SECOND => why.clone(),
        other => panic!("{other:?}"),
    };
    // Without its first record nobody knows where the one before ended.
    let mut folder = honest.clone();
    folder.without("receipts/e2-0");
    assert!(why(&folder).contains("where the epoch before it ended"));
    // The last record of epoch 1 is left out, with every head that has it.
    let first = epoch_of(1, None);
    let short = world.parties.cosigned(&first.signed(3, &epoch_key(&first, 1)));
    let mut folder = honest.clone();
    folder.without("checkpoints/e1-4");
    folder.without("receipts/e1");
    folder.put(write::checkpoint(&short).unwrap());
    assert!(why(&folder).starts_with("SUPPRESSION: it begins after 4 entries of epoch 1"));
    // Another epoch 1 of the same size.
    let other = Log::with(4, &[b"rewritten"]);
    let note = world.parties.cosigned(&other.signed(4, &epoch_key(&other, 1)));
    let mut folder = honest.clone();
    folder.without("receipts/e1");
    folder.set("checkpoints/e1-4", note);
    assert!(why(&folder).starts_with("SUPPRESSION"));
    // A bundle that begins later says what it does not show.
    let later = epochs(&mut world, &[2]);
    let report = world.verify(&later);
    assert!(report.is_accepted());
    let shown = report.origins[0].to_string();
    assert!(shown.contains("NOT SHOWN: the epochs before it"), "{shown}");
    // So does one that ends earlier than the policy knows of.
    assert!(shown.contains("NOT SHOWN: what follows it up to epoch 3"), "{shown}");
    let whole = epochs(&mut world, &[1, 2, 3]);
    let whole = world.verify(&whole);
    assert!(!whole.origins.iter().any(|origin| origin.to_string().contains("NOT SHOWN")));
}

#[test]
fn a_copy_shows_where_an_epoch_ended_without_a_head_of_that_size() {
    const SECOND: &str = "adal.example/log/kz-75.e2";
    let mut world = World::new();
    let long = Log::epoch(1, 6, &[]);
    let note = world.parties.cosigned(&long.signed(6, &epoch_key(&long, 1)));
    let bundle = |world: &mut World, root| {
        let mut folder = epochs(world, &[1, 2]);
        folder.without("checkpoints/");
        folder.without("receipts/");
        folder.add_copy(&long, &note);
        let second = epoch_of(2, Some((4, root)));
        let head = world.parties.cosigned(&second.signed(4, &epoch_key(&second, 2)));
        folder.put(write::checkpoint(&head).unwrap());
        let first = write::prove(&second.memory, &second.records[0], &head).unwrap();
        folder.put(write::receipt(&first));
        folder
    };
    let honest = bundle(&mut world, long.head(4).root);
    assert_eq!(refused(&world, &honest), []);
    let forged = bundle(&mut world, [9; 32]);
    let refused = refused(&world, &forged);
    let [(name, why)] = &refused[..] else { panic!("{refused:?}") };
    assert!(name == SECOND && why.starts_with("SUPPRESSION"), "{refused:?}");
}

#[test]
fn an_epoch_that_was_closed_too_early_for_witnesses_is_vouched_for_by_the_next() {
    let mut world = World::new();
    let mut folder = epochs(&mut world, &[1, 2]);
    let first = epoch_of(1, None);
    folder.without("receipts/e1");
    folder.set("checkpoints/e1-4", first.signed(4, &epoch_key(&first, 1)));
    assert_eq!(refused(&world, &folder), []);
    let shown = world.verify(&folder).origins[0].to_string();
    assert!(shown.contains("witnessed through the next epoch only"), "{shown}");
    // Not where it goes on behind its end on the log's word, and not alone.
    let long = Log::epoch(1, 6, &[]);
    let note: SignedNote = long.signed(6, &epoch_key(&long, 1)).parse().unwrap();
    let mut longer = folder.clone();
    longer.put(write::checkpoint(&note).unwrap());
    longer.put(write::consistency(&long.memory, 4, &note).unwrap());
    let alone = "the quorum cosigned none of its heads".to_owned();
    let expected = [("adal.example/log/kz-75".to_owned(), alone)];
    assert_eq!(refused(&world, &longer), expected);
    folder.without("checkpoints/e2");
    folder.without("receipts/e2");
    assert_eq!(refused(&world, &folder), expected);
}

#[test]
fn a_bundle_is_of_one_log() {
    let mut world = World::new();
    let foreign = Signer::log("adal.example/log/kz-10", &[9; 32]).unwrap();
    let strange = Signer::log("elsewhere", &[10; 32]).unwrap();
    let keys = [world.parties.log.verifier(), foreign.verifier(), strange.verifier()];
    let (witness, mirror) = (world.parties.witness.verifier(), world.parties.mirror.verifier());
    world.policy = region_policy(&keys, &witness, &mirror, &world.parties.peers()).unwrap();
    let mut folder = world.honest.clone();
    for (name, key) in [("checkpoints/foreign", &foreign), ("checkpoints/strange", &strange)] {
        let head = Checkpoint { origin: key.name().to_owned(), ..world.log.head(9) };
        folder.set(name, world.parties.cosigned(&head.sign(key).unwrap()));
    }
    let report = world.verify(&folder);
    let refused: Vec<(&str, String)> = report.refused().collect();
    let other = "is another log than adal.example/log/kz-10".to_owned();
    let spelling = "is not the origin of a log and epoch".to_owned();
    assert_eq!(refused, [(ORIGIN, other), ("elsewhere", spelling)]);
}

#[test]
fn a_policy_without_a_quorum_trusts_the_log_alone() {
    let mut world = World::new();
    let mut builder = Policy::builder();
    builder.log(world.parties.log.verifier(), None).unwrap();
    let name = Word::new(b"w").unwrap();
    builder.witness(name.clone(), world.parties.witness.verifier(), None).unwrap();
    builder.group(Word::new(b"g").unwrap(), Threshold::Any, vec![name]).unwrap();
    builder.quorum(None).unwrap();
    world.policy = builder.build().unwrap();
    let mut folder = world.honest.clone();
    folder.0.insert("policy".into(), world.policy.to_bytes());
    let report = world.verify(&folder);
    assert!(report.is_accepted());
    let complete = |file: &&bundle::FileReport| {
        matches!(&file.verdict, Verdict::Accepted(Subject::Head { missing: None, .. }))
    };
    assert_eq!(report.files.iter().filter(complete).count(), 5);
}

proptest! {
    #![proptest_config(config(96))]

    /// One changed bit anywhere: refused.
    #[test]
    fn a_changed_bit_is_found(file in any::<usize>(), at in any::<usize>(), bit in 0u8..8) {
        let world = World::new();
        let mut folder = world.honest.clone();
        let count = folder.0.len();
        let (name, bytes) = folder.0.iter_mut().nth(file % count).unwrap();
        let (name, at) = (name.clone(), at % bytes.len());
        bytes[at] ^= 1 << bit;
        let report = world.verify(&folder);
        // A line whose name or key id is changed is a stranger's and is ignored: the head stays,
        // its report says what is missing.
        let text = |folder: &Folder| {
            let note = String::from_utf8(folder.0[&name].clone()).ok()?;
            let note = match name.split_once('/')?.0 {
                "consistency" => AddCheckpoint::parse(&note).ok()?.checkpoint().clone(),
                _ => SignedNote::parse(&note).ok()?,
            };
            Some(note.text().to_owned())
        };
        let same_head = text(&folder).is_some() && text(&folder) == text(&world.honest);
        prop_assert!(!report.is_accepted() || same_head, "{name} {at}");
    }

    /// One file lost: refused, or it was one of several proofs of the same.
    #[test]
    fn a_lost_tile_is_found(file in any::<usize>()) {
        let world = World::new();
        let mut folder = world.honest.clone();
        let tiles: Vec<String> =
            folder.0.keys().filter(|name| name.starts_with("log/")).cloned().collect();
        folder.0.remove(&tiles[file % tiles.len()]);
        prop_assert!(!world.verify(&folder).is_accepted());
    }
}
