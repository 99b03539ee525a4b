//! Power cuts at every write and sync of a history, on a disk and an index that forget.
//!
//! After each cut: what was acknowledged is there byte for byte, the group in flight is there whole
//! or not at all, sequences go on without a gap or a repetition, the deep check is clean.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::transaction::Control;

/// One thing that the history does.
#[derive(Debug, Clone)]
enum Act {
    /// Transactions of one group: log, stream, records, bytes each.
    Group(Vec<(u8, u8, u8, u16)>),
    /// The next records of the mirror.
    Mirror(u8),
    Control(u8, u16),
    Epoch,
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    let transaction = (0..2u8, 0..4u8, 1..4u8, prop_oneof![9 => 0..300u16, 1 => 4000..6000u16]);
    prop_oneof![
        6 => proptest::collection::vec(transaction, 1..4).prop_map(Act::Group),
        2 => (1..6u8).prop_map(Act::Mirror),
        1 => (0..3u8, 0..500u16).prop_map(|(key, len)| Act::Control(key, len)),
        1 => Just(Act::Epoch),
        1 => Just(Act::Flush),
    ]
}

/// What must be there: the stored bytes of every record by log and epoch, and the controls.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    logs: BTreeMap<(String, u32), Vec<Vec<u8>>>,
    controls: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What the journal has.
fn observe(journal: &Journal) -> Model {
    let mut model = Model::default();
    for log in journal.logs() {
        let records = journal.range(&log.log, log.epoch, 0, usize::MAX, usize::MAX).unwrap();
        assert_eq!(records.len() as u64, log.size);
        let records = records.into_iter().map(Record::into_bytes).collect();
        model.logs.insert((log.log.to_string(), log.epoch), records);
    }
    model.controls = journal.controls(b"").into_iter().collect();
    model
}

/// Does one act. `Err` if the disk died in it.
fn perform(journal: &Journal, act: &Act, step: usize, origin: &Origin) -> Result<(), ()> {
    let own = |log: u8| if log == 0 { "kz" } else { "kz/all" };
    let group = match act {
        Act::Group(transactions) => transactions
            .iter()
            .enumerate()
            .map(|(i, (log, id, count, len))| {
                let base = (step * 100 + i * 10) as u64;
                let numbers: Vec<u64> = (0..u64::from(*count)).map(|n| base + n).collect();
                // Streams of different logs must differ.
                let one = append(own(*log), stream(*id * 2 + *log), &numbers, usize::from(*len));
                let mut claimed = claim(0, 1);
                claimed.key.command_id = event(base);
                Transaction { command: Some(claimed), ..transaction(one) }
            })
            .collect(),
        Act::Mirror(count) => {
            let held = journal.frontier(&origin.log, 1).unwrap();
            let to = held.size() + u64::from(*count);
            if to > origin.records.len() as u64 {
                return Ok(());
            }
            let batch = origin.batch(&held, held.size(), to);
            vec![Transaction { mirror: Some(batch), ..Transaction::default() }]
        }
        Act::Control(key, len) => {
            let value = vec![step as u8; usize::from(*len)];
            let control = Control { key: vec![b'c', *key], value };
            vec![Transaction { controls: vec![control], ..Transaction::default() }]
        }
        Act::Epoch => {
            let open = journal.logs().iter().filter(|log| log.log == name("kz")).count() as u32;
            return journal.ensure_own_log(&name("kz"), open + 1).map_err(drop);
        }
        Act::Flush => return journal.flush_index().map_err(drop),
    };
    let results = journal.commit(group, step as i64 * 1000).map_err(drop)?;
    results.into_iter().for_each(|result| drop(result.unwrap()));
    Ok(())
}

fn setup(journal: &Journal, origin: &Origin) -> Result<(), crate::CommitError> {
    journal.ensure_own_log(&name("kz"), 1)?;
    journal.ensure_own_log(&name("kz/all"), 1)?;
    journal.ensure_mirror(&origin.log, 1)
}

/// Runs the history on a disk that dies at `crash_at`; returns what was acknowledged after each
/// finished act, and whether the disk died.
fn run(
    disk: &MemoryDisk,
    store: &MemoryStore,
    acts: &[Act],
    origin: &Origin,
) -> (Option<Model>, Option<usize>, bool) {
    let Ok((journal, _)) = open_memory(disk, store, SMALL) else { return (None, None, true) };
    if setup(&journal, origin).is_err() {
        return (None, None, true);
    }
    let mut acknowledged = observe(&journal);
    for (step, act) in acts.iter().enumerate() {
        if perform(&journal, act, step, origin).is_err() {
            return (Some(acknowledged), Some(step), true);
        }
        acknowledged = observe(&journal);
    }
    (Some(acknowledged), None, false)
}

/// What is there after the cut must be the acknowledged state or that with the act in flight.
fn check_after(
    disk: &MemoryDisk,
    store: &MemoryStore,
    acts: &[Act],
    origin: &Origin,
    acknowledged: &Option<Model>,
    in_flight: Option<usize>,
) {
    let (journal, report) = match open_memory(disk, store, SMALL) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    };
    assert_clean(&journal);
    let Some(acknowledged) = acknowledged else {
        return setup(&journal, origin).unwrap();
    };
    let found = observe(&journal);
    if found != *acknowledged {
        let step = in_flight.expect("nothing was in flight");
        assert!(report.dropped.is_none(), "dropped and kept at once");
        // Done again from the acknowledged state on a healthy disk, the act gives what is there.
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        let (model, _, died) = run(&disk, &store, &acts[..=step], origin);
        assert!(!died);
        assert_eq!(Some(found), model, "a group is whole or not there");
    }
    // Life goes on: the act is repeated (commands are idempotent) and more is added.
    for (step, act) in acts.iter().enumerate().skip(in_flight.unwrap_or(acts.len())) {
        perform(&journal, act, step, origin).unwrap();
    }
    perform(&journal, &Act::Group(vec![(0, 0, 2, 50)]), 900, origin).unwrap();
    assert_clean(&journal);
    for log in journal.logs() {
        let records = journal.range(&log.log, log.epoch, 0, usize::MAX, usize::MAX).unwrap();
        let seqs: Vec<u64> = records.iter().map(|record| record.header().seq).collect();
        assert_eq!(seqs, (0..log.size).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..Default::default() })]
    #[test]
    fn a_power_cut_at_any_step_loses_nothing_acknowledged(
        acts in proptest::collection::vec(act(), 3..12), seed: u64,
    ) {
        let origin = Origin::new("kz-75", 30);
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        let (_, _, died) = run(&disk, &store, &acts, &origin);
        prop_assert!(!died);
        let steps = disk.steps();
        for crash_at in 0..=steps {
            let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
            disk.crash_at(crash_at);
            let (acknowledged, in_flight, _) = run(&disk, &store, &acts, &origin);
            let seed = seed.wrapping_add(crash_at);
            let keep = (seed % (store.unflushed() as u64 + 1)) as usize;
            let (disk, store) = (disk.reboot(seed), store.reboot(keep));
            check_after(&disk, &store, &acts, &origin, &acknowledged, in_flight);
        }
    }
}

#[test]
fn a_cut_during_recovery_is_survived_too() {
    let acts = vec![Act::Group(vec![(0, 1, 3, 200)]); 12];
    let origin = Origin::new("kz-75", 1);
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    run(&disk, &store, &acts, &origin);
    let total = disk.steps();
    let mut dropped = 0;
    for crash_at in total - 12..total {
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        disk.crash_at(crash_at);
        let (acknowledged, in_flight, _) = run(&disk, &store, &acts, &origin);
        for seed in 0..6 {
            let (first, kept) = (disk.reboot(seed), store.reboot(0));
            let (probe, probe_store) = (disk.reboot(seed), store.reboot(0));
            let (_, report) = open_memory(&probe, &probe_store, SMALL).unwrap();
            dropped += usize::from(report.dropped.is_some());
            for again in 0..probe.steps() {
                let half = first.reboot(seed);
                half.crash_at(again);
                drop(open_memory(&half, &kept.reboot(0), SMALL));
                let (second, kept) = (half.reboot(seed + 1), kept.reboot(0));
                check_after(&second, &kept, &acts, &origin, &acknowledged, in_flight);
            }
        }
    }
    assert!(dropped > 0, "no unfinished group was met");
}
