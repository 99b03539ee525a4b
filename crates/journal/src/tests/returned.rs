//! Records of an own log that come back from a mirror, and the commands that they tell of.

use super::*;
use crate::error::CommitError;
use crate::{CommandKey, KnownCommand};

fn returned(batch: VerifiedBatch) -> Transaction {
    Transaction { returned: Some(batch), ..Transaction::default() }
}

fn known(number: u8, first_seq: u64, count: u32) -> Transaction {
    let key = CommandKey { principal: [9; 16], command_id: [number; 16] };
    let (log, versions) = (name("kz-75"), vec![(stream(100), 1)]);
    let command = KnownCommand { key, log, epoch: 1, first_seq, count, recorded_at: 5, versions };
    Transaction { known: vec![command], ..Transaction::default() }
}

#[test]
fn a_closed_epoch_is_completed_and_its_streams_go_on() {
    let (disk, store, journal) = memory();
    let (log, origin) = (name("kz-75"), Origin::new("kz-75", 60));
    commit(&journal, returned(origin.batch(&Frontier::new(), 0, 20))).unwrap();
    let held = journal.frontier(&log, 1).unwrap();
    journal.ensure_own_log(&log, 2).unwrap();
    // The rest of epoch 1 comes behind the opening of epoch 2.
    let batch = origin.batch(&held, 20, 60);
    let as_mirror = Transaction { mirror: Some(batch.clone()), ..Transaction::default() };
    assert!(matches!(commit(&journal, as_mirror), Err(CommitError::WrongRole { .. })));
    commit(&journal, returned(batch.clone())).unwrap();
    let again = commit(&journal, returned(batch));
    assert!(matches!(again, Err(CommitError::MirrorOutOfStep { held: 60, .. })), "{again:?}");
    let next = append("kz-75", stream(101), &[7], 30);
    let next = Append { expected: ExpectedVersion::Exact(20), ..next };
    let next = commit(&journal, transaction(next)).unwrap();
    assert_eq!(next.positions[0].to_string(), "kz-75:2:0");
    assert_eq!(next.versions, [(stream(101), 21)]);
    let whole = |journal: &Journal| {
        assert_eq!(journal.root_at(&log, 1, 60).unwrap(), origin.edge.root());
        assert_eq!(journal.stream(&log, stream(101)).unwrap().len(), 21);
        assert_eq!(journal.find_event(&event(1_000_045)).unwrap().unwrap().seq, 45);
        assert_clean(journal);
    };
    whole(&journal);
    journal.close();
    drop(journal);
    // Also from the files alone.
    for store in [store, MemoryStore::new()] {
        let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
        whole(&journal);
    }
}

#[test]
fn a_command_of_returned_records_is_not_carried_out_twice() {
    let (disk, store, journal) = memory();
    let origin = Origin::new("kz-75", 6);
    commit(&journal, returned(origin.batch(&Frontier::new(), 0, 6))).unwrap();
    let beyond = commit(&journal, known(1, 4, 3));
    assert!(matches!(beyond, Err(CommitError::MirrorOutOfStep { .. })), "{beyond:?}");
    commit(&journal, known(1, 2, 3)).unwrap();
    journal.ensure_own_log(&name("kz-75"), 2).unwrap();
    let ask = |journal: &Journal| {
        let repeated = transaction(append("kz-75", stream(1), &[1], 5));
        let repeated = Transaction { command: Some(claim(1, 77)), ..repeated };
        let old = commit(journal, repeated).unwrap();
        assert!(old.replayed, "whatever it asks");
        let places: Vec<_> = old.positions.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["kz-75:1:2", "kz-75:1:3", "kz-75:1:4"]);
        assert_eq!((old.recorded_at, old.versions), (5, vec![(stream(100), 1)]));
        assert_clean(journal);
    };
    ask(&journal);
    journal.close();
    drop(journal);
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    ask(&journal);
}
