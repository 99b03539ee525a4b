//! Every seed and a bounded number of seeded mutations through every target.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz_tests::TARGETS;
use fuzz_tests::link::conversation::{Conversation, Scene};
use fuzz_tests::link::{honest, material::MATERIAL, samples};
use fuzz_tests::mutate::{Random, mutate};

/// Runs a target; tells the input if it panics.
fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{name}: broken by \"{}\"", input.escape_ascii());
    }
}

#[test]
fn every_seed_and_some_mutations_hold() {
    for target in TARGETS.concat() {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        seeds.iter().for_each(|seed| run(target.name, target.run, seed));
        run(target.name, target.run, b"");
        let mut random = Random::new(75);
        for _ in 0..target.bounded {
            let seed = &seeds[random.below(seeds.len())];
            run(target.name, target.run, &mutate(seed, &seeds, &mut random));
        }
    }
}

#[test]
fn names_are_told_apart() {
    let names: BTreeSet<&str> = TARGETS.concat().iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.concat().len());
    assert!(names.iter().all(|name| fuzz_tests::find(name).is_some()));
    assert!(fuzz_tests::find("nothing").is_none());
}

#[test]
fn mutations_change_inputs_and_repeat() {
    let seeds = vec![b"index 3\nabc\n".to_vec(), b"old 5\n".to_vec()];
    let series = |seed| {
        let mut random = Random::new(seed);
        (0..200).map(|_| mutate(&seeds[0], &seeds, &mut random)).collect::<Vec<_>>()
    };
    assert_eq!(series(1), series(1));
    assert_ne!(series(1), series(2));
    let changed = series(1).iter().filter(|input| **input != seeds[0]).count();
    assert!(changed > 150, "{changed}");
}

#[test]
fn a_conversation_that_nobody_bends_comes_to_its_end() {
    for variant in 0..16 {
        let [centre, region] = Conversation::run(Scene::Mirrors, &honest(variant)).offices;
        for (writer, mirror) in [(&region, &centre), (&centre, &region)] {
            for (log, size) in &writer.own {
                assert_eq!(mirror.mirrors[log].size, *size, "{log}, variant {variant}");
                assert!(writer.shown.contains_key(log), "no line came for {log}");
            }
        }
        let [centre, region] = Conversation::run(Scene::Returns, &honest(variant)).offices;
        let (log, back) = region.lost.as_ref().unwrap();
        assert!(back.size >= centre.mirrors[log].size, "{log}, variant {variant}");
        let [_, witness] = Conversation::run(Scene::Witness, &honest(variant)).offices;
        assert!(witness.witnessed[&MATERIAL.nth(0).name].head.is_some(), "variant {variant}");
    }
}

#[test]
fn there_is_a_sample_of_every_message() {
    let kinds: BTreeSet<_> =
        samples().iter().map(std::mem::discriminant).map(|kind| format!("{kind:?}")).collect();
    assert_eq!(kinds.len(), 16, "{kinds:?}");
}
