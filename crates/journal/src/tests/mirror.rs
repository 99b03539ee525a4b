//! Mirrors: in step, out of step, beside own logs.

use super::*;
use crate::error::{CommitError, ReadError};
use crate::transaction::Control;

fn mirror(batch: VerifiedBatch) -> Transaction {
    let size = batch.end().to_be_bytes().to_vec();
    let control = Control { key: b"cursor/kz".to_vec(), value: size };
    Transaction { mirror: Some(batch), controls: vec![control], ..Transaction::default() }
}

#[test]
fn a_mirror_holds_the_exact_bytes_and_the_same_root() {
    let (disk, store, journal) = memory();
    let origin = Origin::new("kz/all", 200);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    let mut held = Frontier::new();
    for (from, to) in [(0, 70), (70, 71), (71, 200)] {
        commit(&journal, mirror(origin.batch(&held, from, to))).unwrap();
        held = journal.frontier(&origin.log, 1).unwrap();
        assert_eq!(held.size(), to);
    }
    assert_eq!(held.root(), origin.edge.root());
    let check = |journal: &Journal| {
        for (seq, bytes) in origin.records.iter().enumerate() {
            let record = journal.get(&origin.log, 1, seq as u64).unwrap().unwrap();
            assert_eq!(record.bytes(), bytes);
        }
        let range = journal.range(&origin.log, 1, 60, 30, usize::MAX).unwrap();
        assert_eq!(range.len(), 30);
        assert_eq!(journal.stream(&origin.log, stream(101)).unwrap().len(), 67);
        let found = journal.find_event(&event(1_000_150)).unwrap().unwrap();
        assert_eq!(found.to_string(), "kz/all:1:150");
        assert_eq!(journal.root_at(&origin.log, 1, 200).unwrap(), origin.edge.root());
        assert_eq!(journal.control(b"cursor/kz"), Some(200u64.to_be_bytes().to_vec()));
        assert_clean(journal);
    };
    check(&journal);
    drop(journal);
    let (journal, _) = open_memory(&disk, &store.reboot(2), SMALL).unwrap();
    check(&journal);
}

#[test]
fn a_snapshot_finds_an_event_whose_id_another_log_repeats_later() {
    let (_, _, journal) = memory();
    // The log that comes second has the lower number, so it comes first in the index.
    let (late, early) = (Origin::new("kz/a", 3), Origin::new("kz/b", 3));
    for origin in [&late, &early] {
        journal.ensure_mirror(&origin.log, 1).unwrap();
    }
    let id = event(1_000_001);
    commit(&journal, mirror(early.batch(&Frontier::new(), 0, 3))).unwrap();
    let snapshot = journal.snapshot();
    commit(&journal, mirror(late.batch(&Frontier::new(), 0, 3))).unwrap();
    assert_eq!(snapshot.find_event(&id).unwrap().unwrap().to_string(), "kz/b:1:1");
    assert_eq!(journal.find_event(&id).unwrap().unwrap().to_string(), "kz/a:1:1");
}

#[test]
fn a_batch_out_of_step_is_refused() {
    let (_, _, journal) = memory();
    let origin = Origin::new("kz/all", 20);
    let mut held = Frontier::new();
    let first = origin.batch(&held, 0, 5);
    let early = commit(&journal, mirror(first.clone()));
    assert!(matches!(early, Err(CommitError::UnknownLog { .. })));
    journal.ensure_mirror(&origin.log, 1).unwrap();
    let twice = journal.commit(vec![mirror(first.clone()), mirror(first)], 1).unwrap();
    assert!(twice[0].is_ok());
    let Err(CommitError::MirrorOutOfStep { held: 5, first_seq: 0, .. }) = &twice[1] else {
        panic!("{twice:?}")
    };
    for bytes in &origin.records[..7] {
        held.append(Record::parse(bytes.clone()).unwrap().leaf_hash());
    }
    let gap = commit(&journal, mirror(origin.batch(&held, 7, 9)));
    assert!(matches!(gap, Err(CommitError::MirrorOutOfStep { held: 5, first_seq: 7, .. })));
    assert_eq!(journal.log(&origin.log, 1).unwrap().size, 5);
    assert_eq!(journal.control(b"cursor/kz"), Some(5u64.to_be_bytes().to_vec()));
    assert_clean(&journal);
}

#[test]
fn a_batch_verified_against_another_history_is_refused() {
    let (_, _, journal) = memory();
    let (origin, mut other) = (Origin::new("kz/all", 8), Origin::new("kz/all", 0));
    journal.ensure_mirror(&origin.log, 1).unwrap();
    commit(&journal, mirror(origin.batch(&Frontier::new(), 0, 3))).unwrap();
    // The other history differs in its first record only.
    let mut changed = Record::parse(origin.records[0].clone()).unwrap().to_draft();
    changed.open[0] ^= 1;
    let changed = changed.into_record().unwrap().into_bytes();
    for bytes in [&[changed][..], &origin.records[1..]].concat() {
        let leaf = Record::parse(bytes.clone()).unwrap().leaf_hash();
        other.nodes.push(other.edge.append(leaf));
        other.records.push(bytes);
    }
    let mut held = Frontier::new();
    for bytes in &other.records[..3] {
        held.append(Record::parse(bytes.clone()).unwrap().leaf_hash());
    }
    let fork = commit(&journal, mirror(other.batch(&held, 3, 8)));
    assert!(matches!(fork, Err(CommitError::MirrorDiverged { .. })));
}

#[test]
fn own_logs_and_mirrors_do_not_mix() {
    let (_, _, journal) = memory();
    let origin = Origin::new("kz/all", 5);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    let own = commit(&journal, transaction(append("kz/all", stream(1), &[1], 5)));
    assert!(matches!(own, Err(CommitError::WrongRole { .. })));
    let both = Transaction {
        appends: vec![append("kz-75", stream(1), &[1], 5)],
        ..mirror(origin.batch(&Frontier::new(), 0, 5))
    };
    commit(&journal, both).unwrap();
    // A name that a mirror brought keeps nobody here from beginning a stream.
    let begun = commit(&journal, transaction(append("kz-75", stream(100), &[2], 5))).unwrap();
    assert_eq!(begun.versions, [(stream(100), 1)]);
    assert_clean(&journal);
}

#[test]
fn a_stream_of_ours_stays_ours_whatever_a_mirror_brings() {
    let (disk, store, journal) = memory();
    let origin = Origin::new("kz/all", 9);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    commit(&journal, transaction(append("kz-75", stream(100), &[1], 5))).unwrap();
    let group = vec![
        mirror(origin.batch(&Frontier::new(), 0, 5)),
        transaction(append("kz-75", stream(100), &[2], 5)),
        transaction(append("kz-75", stream(101), &[3], 5)),
    ];
    let results = journal.commit(group, 1).unwrap();
    assert!(results[0].is_ok() && results[1].is_ok());
    assert_eq!(results[2].as_ref().unwrap().versions, [(stream(101), 1)]);
    let held = journal.frontier(&origin.log, 1).unwrap();
    commit(&journal, mirror(origin.batch(&held, 5, 9))).unwrap();
    let again = |journal: &Journal| {
        commit(journal, transaction(append("kz-75", stream(100), &[4], 5))).unwrap().versions
    };
    assert_eq!(again(&journal), [(stream(100), 3)]);
    drop(journal);
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    assert_eq!(again(&journal), [(stream(100), 4)]);
    assert_eq!(journal.stream(&name("kz-75"), stream(100)).unwrap().len(), 4);
    assert_eq!(journal.stream(&origin.log, stream(100)).unwrap().len(), 3);
    assert_clean(&journal);
}

#[test]
fn a_damaged_commit_file_is_never_served_from_a_mirror() {
    let (disk, _, journal) = memory();
    let origin = Origin::new("kz/all", 3);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    commit(&journal, mirror(origin.batch(&Frontier::new(), 0, 3))).unwrap();
    let (path, bytes) =
        disk.files().into_iter().find(|(path, _)| path.ends_with("0000000001.seg")).unwrap();
    let needle = &origin.records[1];
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let file = crate::disk::Disk::open(&disk, &path, crate::disk::OpenMode::Write).unwrap();
    file.write_at(at as u64 + 40, &[bytes[at + 40] ^ 4]).unwrap();
    assert!(journal.get(&origin.log, 1, 0).unwrap().is_some());
    let damaged = journal.get(&origin.log, 1, 1).unwrap_err();
    let ReadError::Damaged { seq: 1, place, .. } = damaged else { panic!("{damaged}") };
    assert_eq!(place, "commits/0000000001.seg");
    let report = check(&journal);
    assert_eq!(report.damage_count, 1, "{:?}", report.damages);
    assert_eq!(report.damages[0].position.as_ref().unwrap().to_string(), "kz/all:1:1");
}
