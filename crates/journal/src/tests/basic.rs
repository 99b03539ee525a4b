//! Append, read, reopen, versions, commands, controls, limits.

use evidence::merkle::{verify_consistency, verify_inclusion};

use super::*;
use crate::error::{CommitError, ReadError};
use crate::transaction::Control;
use crate::{IndexOutcome, Role};

#[test]
fn what_is_appended_is_read_back_and_survives_reopening() {
    let (disk, store, journal) = memory();
    let committed = commit(&journal, transaction(append("kz-75", stream(1), &[1, 2], 30))).unwrap();
    assert_eq!(committed.positions.len(), 2);
    assert_eq!(committed.positions[1].to_string(), "kz-75:1:1");
    assert_eq!(committed.versions, [(stream(1), 2)]);
    assert_eq!((committed.recorded_at, committed.replayed), (1001, false));
    let read = |journal: &Journal| {
        let log = name("kz-75");
        let record = journal.get(&log, 1, 1).unwrap().unwrap();
        assert_eq!(record.header().event_id, event(2));
        assert_eq!((record.header().stream_version, record.header().recorded_at), (2, 1001));
        assert_eq!(record.open(), draft(stream(1), 2, 30).open);
        assert_eq!(journal.get(&log, 1, 2).unwrap(), None);
        assert_eq!(journal.get(&log, 2, 0).unwrap(), None);
        assert_eq!(journal.get(&name("kz"), 1, 0).unwrap(), None);
        assert_eq!(journal.find_event(&event(2)).unwrap().unwrap().seq, 1);
        assert_eq!(journal.find_event(&event(3)).unwrap(), None);
        let versions = journal.stream(&log, stream(1)).unwrap();
        assert_eq!(versions.iter().map(|r| r.header().stream_version).collect::<Vec<_>>(), [1, 2]);
        assert!(journal.stream(&log, stream(2)).unwrap().is_empty());
    };
    read(&journal);
    assert_clean(&journal);
    let root = journal.log(&name("kz-75"), 1).unwrap().root;
    journal.close();
    assert!(journal.commit(vec![Transaction::default()], 0).is_err());
    drop(journal);
    let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
    assert!(!report.created && report.dropped.is_none() && !report.tail_lost);
    assert_eq!((report.index, report.records), (IndexOutcome::Intact, 2));
    read(&journal);
    let info = journal.log(&name("kz-75"), 1).unwrap();
    assert_eq!((info.role, info.size, info.root), (Role::Own, 2, root));
    assert_eq!(info.last_recorded_at, 1001);
}

#[test]
fn many_groups_fill_many_segments_and_every_one_is_found_again() {
    let (disk, store, journal) = memory();
    for number in 0..60 {
        let size = if number % 10 == 9 { 9000 } else { 100 };
        let one = append("kz-75", stream((number % 7) as u8), &[number], size);
        commit(&journal, transaction(one)).unwrap();
    }
    let check = |journal: &Journal| {
        let log = name("kz-75");
        let all = journal.range(&log, 1, 0, 1000, usize::MAX).unwrap();
        assert_eq!(all.len(), 60);
        for (seq, record) in all.iter().enumerate() {
            assert_eq!(record.header().event_id, event(seq as u64));
            assert_eq!(journal.get(&log, 1, seq as u64).unwrap().as_ref(), Some(record));
        }
        assert_eq!(journal.range(&log, 1, 58, 10, usize::MAX).unwrap().len(), 2);
        assert_eq!(journal.range(&log, 1, 3, 4, usize::MAX).unwrap()[3].header().seq, 6);
        assert_eq!(journal.range(&log, 1, 0, 10, 1).unwrap().len(), 1, "at least one");
        assert!(journal.range(&log, 1, 60, 10, usize::MAX).unwrap().is_empty());
        assert!(journal.stats().segments > 5);
        assert_clean(journal);
    };
    check(&journal);
    let commit_bytes = journal.stats().commit_bytes;
    drop(journal);
    let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
    assert!(matches!(report.index, IndexOutcome::CaughtUp { groups: 61.. }), "{report:?}");
    assert_eq!(journal.stats().commit_bytes, commit_bytes);
    check(&journal);
}

#[test]
fn proofs_come_from_the_stored_nodes() {
    let (_, _, journal) = memory();
    let log = name("kz-75");
    for number in 0..21 {
        commit(&journal, transaction(append("kz-75", stream(1), &[number], 10))).unwrap();
    }
    let size = 21;
    let root = journal.root_at(&log, 1, size).unwrap();
    assert_eq!(root, journal.log(&log, 1).unwrap().root);
    for seq in 0..size {
        let leaf = journal.get(&log, 1, seq).unwrap().unwrap().leaf_hash();
        let proof = journal.inclusion(&log, 1, seq, size).unwrap();
        verify_inclusion(seq, size, &leaf, &proof, &root).unwrap();
        let old = journal.root_at(&log, 1, seq).unwrap();
        let proof = journal.consistency(&log, 1, seq, size).unwrap();
        verify_consistency(seq, &old, size, &root, &proof).unwrap();
    }
    assert!(matches!(journal.root_at(&log, 1, 22), Err(ReadError::Range { held: 21, .. })));
    assert!(matches!(journal.inclusion(&log, 1, 21, 21), Err(ReadError::Range { .. })));
    assert!(matches!(journal.consistency(&log, 1, 5, 4), Err(ReadError::Range { .. })));
    assert!(matches!(journal.root_at(&log, 2, 0), Err(ReadError::UnknownLog { .. })));
}

#[test]
fn expected_versions_are_checked_within_a_group_too() {
    let (_, _, journal) = memory();
    let exact = |expected, numbers: &[u64]| {
        let mut append = append("kz-75", stream(1), numbers, 5);
        append.expected = ExpectedVersion::Exact(expected);
        transaction(append)
    };
    let group = vec![exact(0, &[1]), exact(0, &[2]), exact(1, &[3, 4]), exact(3, &[5])];
    let results = journal.commit(group, 1).unwrap();
    assert!(results[0].is_ok() && results[2].is_ok() && results[3].is_ok());
    let conflict = results[1].as_ref().unwrap_err();
    let CommitError::VersionConflict { expected: 0, actual: 1, .. } = conflict else {
        panic!("{conflict}")
    };
    let seqs: Vec<u64> = [0, 2, 3]
        .iter()
        .flat_map(|i| results[*i].as_ref().unwrap().positions.iter().map(|p| p.seq))
        .collect();
    assert_eq!(seqs, [0, 1, 2, 3]);
    assert!(matches!(
        commit(&journal, exact(3, &[6])),
        Err(CommitError::VersionConflict { expected: 3, actual: 4, .. })
    ));
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 4);
}

#[test]
fn a_refused_transaction_leaves_nothing_of_itself() {
    let (_, _, journal) = memory();
    let good = append("kz-75", stream(1), &[1], 5);
    let mut bad = append("kz-75", stream(2), &[2], 5);
    bad.expected = ExpectedVersion::Exact(7);
    let control = Control { key: b"k".to_vec(), value: b"v".to_vec() };
    let mixed = Transaction {
        command: Some(claim(1, 1)),
        appends: vec![good, bad],
        mirror: None,
        controls: vec![control],
        ..Transaction::default()
    };
    assert!(matches!(commit(&journal, mixed), Err(CommitError::VersionConflict { .. })));
    assert_eq!(journal.control(b"k"), None);
    assert_eq!(journal.find_command(&claim(1, 1).key).unwrap(), None);
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 0);
    let unknown = transaction(append("kz", stream(1), &[1], 5));
    assert!(matches!(commit(&journal, unknown), Err(CommitError::UnknownLog { .. })));
    let mut foreign = append("kz-75", stream(1), &[1], 5);
    foreign.stream = stream(2);
    assert!(matches!(commit(&journal, transaction(foreign)), Err(CommitError::WrongStream)));
    let huge = transaction(append("kz-75", stream(1), &[1], 300_000));
    assert!(matches!(commit(&journal, huge), Err(CommitError::Record(_))));
}

#[test]
fn a_command_is_done_once() {
    let (disk, store, journal) = memory();
    journal.ensure_own_log(&name("kz"), 1).unwrap();
    let request = |claim| Transaction {
        command: Some(claim),
        appends: vec![
            append("kz-75", stream(1), &[1, 2], 5),
            append("kz", stream(2), &[3], 5),
            append("kz-75", stream(3), &[4], 5),
        ],
        ..Transaction::default()
    };
    let results = journal.commit(vec![request(claim(1, 1)), request(claim(1, 1))], 50).unwrap();
    let first = results[0].as_ref().unwrap().clone();
    assert_eq!(first.positions.len(), 4);
    let replayed = crate::Committed { replayed: true, ..first.clone() };
    assert_eq!(results[1].as_ref().unwrap(), &replayed);
    let check = |journal: &Journal| {
        assert_eq!(commit(journal, request(claim(1, 1))).unwrap(), replayed);
        assert!(matches!(commit(journal, request(claim(1, 2))), Err(CommitError::CommandReused)));
        let hit = journal.find_command(&claim(1, 1).key).unwrap().unwrap();
        assert_eq!((hit.log, hit.epoch, hit.first_seq, hit.count), (Some(name("kz-75")), 1, 0, 2));
        assert_eq!((hit.request_hash, hit.recorded_at), ([1; 32], first.recorded_at));
        assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 3);
        assert_clean(journal);
    };
    check(&journal);
    drop(journal);
    let (journal, _) = open_memory(&disk, &store.reboot(0), SMALL).unwrap();
    check(&journal);
    let many = Transaction {
        command: Some(claim(2, 1)),
        appends: (0..65).map(|i| append("kz-75", stream(i + 10), &[100], 5)).collect(),
        ..Transaction::default()
    };
    assert!(matches!(commit(&journal, many), Err(CommitError::TooLarge { limit: 64, .. })));
}

#[test]
fn a_stream_lives_in_one_log() {
    let (_, _, journal) = memory();
    journal.ensure_own_log(&name("kz"), 1).unwrap();
    let group = vec![
        transaction(append("kz-75", stream(1), &[1], 5)),
        transaction(append("kz", stream(1), &[2], 5)),
    ];
    let results = journal.commit(group, 1).unwrap();
    let home = |error: &CommitError| match error {
        CommitError::StreamInOtherLog { log, .. } => log.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(home(results[1].as_ref().unwrap_err()), name("kz-75"));
    let again = commit(&journal, transaction(append("kz", stream(1), &[2], 5)));
    assert_eq!(home(&again.unwrap_err()), name("kz-75"));
}

#[test]
fn recorded_at_never_goes_back() {
    let (disk, store, journal) = memory();
    let one = |number| transaction(append("kz-75", stream(1), &[number], 5));
    let at = |journal: &Journal, number, clock| {
        let mut results = journal.commit(vec![one(number)], clock).unwrap();
        results.pop().unwrap().unwrap().recorded_at
    };
    assert_eq!(at(&journal, 1, 500), 500);
    assert_eq!(at(&journal, 2, 400), 501);
    journal.ensure_own_log(&name("kz-75"), 2).unwrap();
    assert_eq!(at(&journal, 3, 400), 502);
    drop(journal);
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    assert_eq!(at(&journal, 4, 10), 503);
    assert_eq!(at(&journal, 5, 600), 600);
}

#[test]
fn epochs_follow_one_another_and_streams_go_on() {
    let (_, _, journal) = memory();
    let log = name("kz-75");
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 5))).unwrap();
    journal.ensure_own_log(&log, 1).unwrap();
    journal.ensure_own_log(&log, 2).unwrap();
    let done = commit(&journal, transaction(append("kz-75", stream(1), &[2], 5))).unwrap();
    assert_eq!(done.positions[0].to_string(), "kz-75:2:0");
    assert_eq!(done.versions, [(stream(1), 2)]);
    assert_eq!(journal.stream(&log, stream(1)).unwrap().len(), 2);
    journal.ensure_own_log(&name("kz"), 3).unwrap();
    let early = journal.ensure_own_log(&name("kz"), 2);
    assert!(matches!(early, Err(CommitError::EpochOrder { open: 3, asked: 2, .. })));
    assert!(matches!(journal.ensure_mirror(&log, 1), Err(CommitError::WrongRole { .. })));
    assert!(matches!(journal.ensure_own_log(&log, 0), Err(CommitError::EpochOrder { .. })));
}

#[test]
fn controls_keep_their_last_value() {
    let (disk, store, journal) = memory();
    let set = |key: &[u8], value: &[u8]| Transaction {
        controls: vec![Control { key: key.to_vec(), value: value.to_vec() }],
        ..Transaction::default()
    };
    for round in 0..40u8 {
        commit(&journal, set(b"head/kz", &[round; 300])).unwrap();
    }
    commit(&journal, set(b"head/kz-75", b"")).unwrap();
    commit(&journal, set(b"other", b"x")).unwrap();
    assert!(journal.stats().segments > 2);
    let check = |journal: &Journal| {
        assert_eq!(journal.control(b"head/kz"), Some(vec![39; 300]));
        let heads = journal.controls(b"head/");
        assert_eq!(heads.len(), 2);
        assert_eq!(heads[1], (b"head/kz-75".to_vec(), vec![]));
        assert_clean(journal);
    };
    check(&journal);
    drop(journal);
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    check(&journal);
    assert!(matches!(commit(&journal, set(&[1; 513], b"x")), Err(CommitError::TooLarge { .. })));
    let text = format!("{:?}", set(b"secret", b"secret"));
    assert!(!text.contains("115"), "no key or value in Debug: {text}");
}

#[test]
fn a_full_disk_refuses_facts_and_goes_on_reading() {
    let (disk, store, journal) = memory();
    drop(journal);
    let options = Options { free_space_watermark: 1_000_000, ..SMALL };
    let (journal, _) = open_memory(&disk, &store, options).unwrap();
    let one = |number| transaction(append("kz-75", stream(1), &[number], 100));
    commit(&journal, one(1)).unwrap();
    disk.set_free(999_999);
    let refused = commit(&journal, one(2)).unwrap_err();
    let CommitError::DiskFull { free: 999_999, watermark: 1_000_000 } = refused else {
        panic!("{refused}")
    };
    let control = Control { key: b"k".to_vec(), value: b"v".to_vec() };
    let controls = Transaction { controls: vec![control], ..Transaction::default() };
    commit(&journal, controls).unwrap();
    assert!(journal.get(&name("kz-75"), 1, 0).unwrap().is_some());
    disk.set_free(1 << 40);
    commit(&journal, one(3)).unwrap();
    assert_clean(&journal);
}

#[test]
fn no_room_for_the_next_segment_is_a_refusal_and_not_the_end() {
    let (disk, _, journal) = memory();
    disk.set_free(100);
    let mut stored = 0;
    for number in 0..40 {
        match commit(&journal, transaction(append("kz-75", stream(1), &[number], 100))) {
            Ok(_) => stored += 1,
            Err(CommitError::DiskFull { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..20).contains(&stored), "{stored} fit into the first segment");
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, stored);
    disk.set_free(1 << 40);
    commit(&journal, transaction(append("kz-75", stream(1), &[99], 100))).unwrap();
    assert_eq!(journal.stats().segments, 2);
    assert_clean(&journal);
}

#[test]
fn a_second_open_is_refused_and_bad_options_too() {
    let (disk, store, journal) = memory();
    let second = open_memory(&disk, &store, SMALL);
    assert!(matches!(second, Err(OpenError::InUse { folder }) if folder == DIR));
    drop(journal);
    let options = Options { segment_bytes: 4095, ..SMALL };
    assert!(matches!(open_memory(&disk, &store, options), Err(OpenError::Option { .. })));
    assert!(open_memory(&disk, &store, SMALL).is_ok());
}
