//! Power cuts on a disk and an index that forget.
//!
//! After each cut the journal is the model before the act in flight or after it, byte for byte; it
//! goes on from there, and the deep check is clean.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::history::{Act, Died, history};
use super::*;

/// How a history ended.
struct Ended {
    /// What was acknowledged.
    model: Reference,
    /// The act in which the disk died (the preparation is act 0), and what it would have made.
    cut: Option<(usize, Reference)>,
}

/// Runs a history until its end or the disk's.
fn run(disk: &MemoryDisk, store: &MemoryStore, acts: &[Act]) -> Ended {
    let Ok((journal, _)) = open_memory(disk, store, SMALL) else {
        return Ended { model: Reference::default(), cut: Some((0, Reference::default())) };
    };
    let mut pair = Pair::new(journal);
    if let Err(Died(after)) = pair.prepare() {
        return Ended { model: pair.model, cut: Some((0, *after)) };
    }
    for (step, act) in acts.iter().enumerate() {
        if let Err(Died(after)) = pair.act(act, step) {
            return Ended { model: pair.model, cut: Some((step + 1, *after)) };
        }
    }
    Ended { model: pair.model, cut: None }
}

/// Whether the journal has what distinguishes a model from the one before it.
fn is_there(journal: &Journal, model: &Reference) -> bool {
    let controls: Vec<_> = model.controls.clone().into_iter().collect();
    let done = |key: &CommandKey| journal.find_command(key).unwrap().is_some();
    journal.logs() == model.infos()
        && journal.controls(b"") == controls
        && model.commands.keys().all(done)
}

/// Opens after a cut and compares, goes on to the end of the history and compares again. Whether an
/// unfinished group was dropped.
fn check(disk: &MemoryDisk, store: &MemoryStore, acts: &[Act], ended: &Ended, seed: u64) -> bool {
    let (journal, report) = match open_memory(disk, store, SMALL) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    };
    let mut model = &ended.model;
    let (from, after) = ended.cut.as_ref().map_or((acts.len() + 1, model), |cut| (cut.0, &cut.1));
    if is_there(&journal, after) {
        // An act that changes nothing leaves nothing that could be dropped.
        let changed = !is_there(&journal, model);
        assert!(!changed || report.dropped.is_none(), "dropped and kept at once");
        model = after;
    }
    let mut pair = Pair { journal, model: model.clone() };
    Look::live(&pair.journal, &pair.model, seed);
    assert_clean(&pair.journal);
    // The act in flight is done once more, as a caller without an answer does.
    assert!(pair.prepare().is_ok());
    for (step, act) in acts.iter().enumerate().skip(from.saturating_sub(1)) {
        assert!(pair.act(act, step).is_ok());
    }
    Look::live(&pair.journal, &pair.model, seed);
    assert_clean(&pair.journal);
    report.dropped.is_some()
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn a_power_cut_at_any_step_leaves_the_model_before_or_after_the_group_in_flight(
        acts in history(3..12), seed: u64,
    ) {
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        prop_assert!(run(&disk, &store, &acts).cut.is_none());
        let (steps, mut chance) = (disk.steps(), Chance(seed));
        // So many of the steps that a case stays quick; all are met over the cases.
        for _ in 0..16 {
            let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
            disk.crash_at(chance.below(steps + 1));
            let ended = run(&disk, &store, &acts);
            let seed = chance.below(u64::MAX);
            let keep = chance.below(store.unflushed() as u64 + 1) as usize;
            check(&disk.reboot(seed), &store.reboot(keep), &acts, &ended, seed);
        }
    }
}

#[test]
fn every_step_of_one_history_and_of_its_recovery_may_be_the_last() {
    let history = history(14..15);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let acts = history.new_tree(&mut runner).unwrap().current();
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    assert!(run(&disk, &store, &acts).cut.is_none());
    let (total, mut dropped) = (disk.steps(), 0);
    for crash_at in 0..=total {
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        disk.crash_at(crash_at);
        let ended = run(&disk, &store, &acts);
        let (first, kept) = (disk.reboot(crash_at), store.reboot(0));
        let probe = disk.reboot(crash_at);
        dropped += usize::from(check(&probe, &store.reboot(0), &acts, &ended, crash_at));
        // The recovery of every eighth cut is cut at each of its own steps.
        let recovery = disk.reboot(crash_at);
        drop(open_memory(&recovery, &store.reboot(0), SMALL));
        for again in (0..recovery.steps()).filter(|_| crash_at % 8 == 0) {
            let half = first.reboot(crash_at);
            half.crash_at(again);
            drop(open_memory(&half, &kept.reboot(0), SMALL));
            check(&half.reboot(crash_at + 1), &kept.reboot(0), &acts, &ended, again);
        }
    }
    assert!(dropped > 0, "no unfinished group was met");
}

#[test]
fn a_power_cut_after_a_kill_loses_nothing_that_the_restarted_journal_showed() {
    let strategy = history(8..9);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let acts = strategy.new_tree(&mut runner).unwrap().current();
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    run(&disk, &store, &acts);
    let mut unacknowledged = 0;
    for kill_at in 0..disk.steps() {
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        disk.crash_at(kill_at);
        let ended = run(&disk, &store, &acts);
        // The program ends, the computer does not: everything written is there, synced or not.
        disk.revive();
        let store = store.reboot(store.unflushed());
        let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
        let after = ended.cut.as_ref().map_or(&ended.model, |cut| &cut.1);
        let shown = if is_there(&journal, after) { after } else { &ended.model };
        unacknowledged += usize::from(!is_there(&journal, &ended.model));
        Look::live(&journal, shown, kill_at);
        drop(journal);
        for seed in 0..8 {
            let keep = seed as usize % (store.unflushed() + 1);
            let (journal, _) = open_memory(&disk.reboot(seed), &store.reboot(keep), SMALL)
                .unwrap_or_else(|error| panic!("killed at {kill_at}, seed {seed}: {error}"));
            Look::live(&journal, shown, seed);
        }
    }
    assert!(unacknowledged > 0, "no group was written and not acknowledged");
}
