//! Several epochs of a log: appends, streams, commands, segments, recovery, mirrors.

use super::*;
use crate::error::CommitError;
use crate::frame::{Head, Kind, Label};
use crate::group::{GroupBuffer, LogBody};
use crate::limits::FRAME_HEADER;
use crate::replay::{Snapshots, replay};
use crate::report::Role;
use crate::scan::{FrameRef, Group};
use crate::state::State;

fn exactly(expected: u32, numbers: &[u64]) -> Transaction {
    let expected = ExpectedVersion::Exact(expected);
    transaction(Append { expected, ..append("kz-75", stream(1), numbers, 400) })
}

#[test]
fn streams_versions_and_commands_go_on_in_the_next_epoch() {
    let (disk, store, journal) = memory();
    let log = name("kz-75");
    let first = Transaction { command: Some(claim(1, 1)), ..exactly(0, &[1, 2]) };
    commit(&journal, first).unwrap();
    journal.ensure_own_log(&log, 2).unwrap();
    // A repeated command answers from the closed epoch and appends nothing.
    let again = Transaction { command: Some(claim(1, 1)), ..exactly(0, &[1, 2]) };
    let again = commit(&journal, again).unwrap();
    assert!(again.replayed);
    assert_eq!(again.positions[1].to_string(), "kz-75:1:1");
    assert!(matches!(
        commit(&journal, exactly(0, &[3])),
        Err(CommitError::VersionConflict { actual: 2, .. })
    ));
    let next = commit(&journal, exactly(2, &[3])).unwrap();
    assert_eq!(next.positions[0].to_string(), "kz-75:2:0");
    // Enough for several segments, each with a snapshot of both epochs.
    for number in 4..30 {
        commit(&journal, exactly(number as u32 - 1, &[number])).unwrap();
    }
    assert!(journal.stats().segments >= 4);
    let whole = |journal: &Journal| {
        let records = journal.stream(&log, stream(1)).unwrap();
        let versions: Vec<u32> = records.iter().map(|r| r.header().stream_version).collect();
        assert_eq!(versions, (1..30).collect::<Vec<_>>());
        let epochs: Vec<u32> = records.iter().map(|r| r.header().epoch).collect();
        assert_eq!((epochs[..2].to_vec(), epochs[2]), (vec![1, 1], 2));
        let sizes: Vec<u64> = journal.logs().iter().map(|info| info.size).collect();
        assert_eq!(sizes, [2, 27]);
        assert_clean(journal);
    };
    whole(&journal);
    journal.close();
    drop(journal);
    for store in [store, MemoryStore::new()] {
        let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
        whole(&journal);
        journal.ensure_own_log(&log, 1).unwrap();
        assert_eq!(journal.logs().len(), 2, "an epoch that is there is not opened again");
    }
}

#[test]
fn epochs_of_an_own_log_are_opened_in_their_order_only() {
    let (_, _, journal) = memory();
    journal.ensure_own_log(&name("kz-75"), 3).unwrap();
    let behind = journal.ensure_own_log(&name("kz-75"), 2);
    assert!(matches!(behind, Err(CommitError::EpochOrder { open: 3, asked: 2, .. })));
    let none = journal.ensure_own_log(&name("kz-76"), 0);
    assert!(matches!(none, Err(CommitError::EpochOrder { .. })));
}

#[test]
fn a_mirror_holds_several_epochs_and_goes_on_with_the_older_one() {
    let (disk, store, journal) = memory();
    let (one, two) = (Origin::new("kz/all", 40), Origin::of_epoch("kz/all", 2, 30));
    let take = |journal: &Journal, origin: &Origin, to| {
        let held = journal.frontier(&origin.log, origin.epoch).unwrap();
        let batch = origin.batch(&held, held.size(), to);
        commit(journal, Transaction { mirror: Some(batch), ..Transaction::default() })
    };
    journal.ensure_mirror(&one.log, 1).unwrap();
    take(&journal, &one, 20).unwrap();
    // The records of the closed epoch may come after those of its successor.
    journal.ensure_mirror(&one.log, 2).unwrap();
    take(&journal, &two, 15).unwrap();
    take(&journal, &one, 40).unwrap();
    take(&journal, &two, 30).unwrap();
    let check = |journal: &Journal| {
        for origin in [&one, &two] {
            let root = journal.log(&origin.log, origin.epoch).unwrap().root;
            assert_eq!(root, origin.edge.root());
            for (seq, bytes) in (0..).zip(&origin.records) {
                let record = journal.get(&origin.log, origin.epoch, seq).unwrap().unwrap();
                assert_eq!(record.bytes(), bytes);
            }
        }
        assert_clean(journal);
    };
    check(&journal);
    assert!(journal.stats().segments >= 3);
    journal.close();
    drop(journal);
    for store in [store, MemoryStore::new()] {
        check(&open_memory(&disk, &store, SMALL).unwrap().0);
    }
}

/// The frames of a buffer as a group that was read.
fn replayed(state: &mut State, buffer: &GroupBuffer) -> Result<usize, &'static str> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < buffer.bytes.len() {
        let head = Head::decode(buffer.bytes[at..].first_chunk().unwrap()).unwrap();
        frames.push(FrameRef { head, at });
        at += head.span();
    }
    let group = Group {
        number: 1,
        commands: 0,
        chain: [0; 32],
        start: 0,
        end: at as u64,
        frames: &frames,
        bytes: &buffer.bytes,
    };
    let taken = replay(state, &group, Snapshots::Load);
    taken.map(|items| items.records.len()).map_err(|flaw| flaw.why)
}

#[test]
fn what_a_file_says_against_the_order_of_epochs_is_a_flaw() {
    let open = |buffer: &mut GroupBuffer, epoch, role| {
        let body = LogBody {
            log_no: 1,
            epoch,
            role,
            name: name("kz/all"),
            last_recorded_at: i64::MIN,
            frontier: Frontier::new(),
        };
        body.put(buffer, false);
    };
    let record = |buffer: &mut GroupBuffer| {
        let bytes = Origin::new("kz/all", 1).records[0].clone();
        let label = Label { kind: Kind::Record, flags: 0, log_no: 1, epoch: 1, seq: 0 };
        assert!(buffer.put(label, |out| out.extend_from_slice(&bytes)) >= FRAME_HEADER);
    };
    for role in [Role::Own, Role::Mirror] {
        let mut buffer = GroupBuffer::new(0);
        open(&mut buffer, 1, role);
        open(&mut buffer, 2, role);
        record(&mut buffer);
        // Records of a closed epoch of an own log came back from a mirror.
        assert_eq!(replayed(&mut State::default(), &buffer), Ok(1));
    }
    let mut buffer = GroupBuffer::new(0);
    open(&mut buffer, 2, Role::Own);
    open(&mut buffer, 1, Role::Own);
    let found = replayed(&mut State::default(), &buffer);
    assert_eq!(found, Err("an epoch is opened behind its successor"));
}
