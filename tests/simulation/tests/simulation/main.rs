//! Seeds that every `make test` runs. `make sim SEEDS=1000` runs more of them.

use std::process::Command;

use simulation_tests::run::{Outcome, run};

/// Seeds of `make test`: each rare thing happens in some of them.
const SEEDS: u64 = 27;

/// Without it no seed could be replayed, and nothing below would mean anything.
#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    for seed in [3, 4, 5] {
        let (first, again) = (run(seed, 20), run(seed, 20));
        assert_eq!(first.trace, again.trace, "{}\n---\n{}", first.last, again.last);
        assert!(first.trace.0 > 1_000, "a trace of {} lines", first.trace.0);
        assert_eq!(first.records, again.records);
        assert_ne!(first.trace.1, run(seed + 100, 20).trace.1);
    }
}

/// On two threads: the machine has two cores at least.
#[test]
fn nothing_is_wrong_whatever_happens() {
    let half = |first: u64| move || (first..SEEDS).step_by(2).map(|s| run(s, 60)).collect();
    let halves: [std::thread::JoinHandle<Vec<Outcome>>; 2] =
        [0, 1].map(|first| std::thread::spawn(half(first)));
    let outcomes: Vec<Outcome> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    assert_eq!(outcomes.len() as u64, SEEDS);
    for outcome in &outcomes {
        assert!(outcome.violations.is_empty(), "{outcome}");
    }
    let kinds: std::collections::BTreeSet<_> =
        outcomes.iter().flat_map(|outcome| outcome.faults.keys()).collect();
    assert!(kinds.len() >= 12, "only these happened: {kinds:?}");
}

/// A patch that does not apply breaks nothing, and shows nothing.
#[test]
fn every_broken_version_can_be_made() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = root.join("../..").canonicalize().unwrap();
    let mut patches: Vec<_> = std::fs::read_dir(root.join("broken")).unwrap().flatten().collect();
    patches.retain(|entry| entry.path().extension().is_some_and(|end| end == "patch"));
    assert!(patches.len() >= 10, "{} patches", patches.len());
    for patch in patches {
        let path = patch.path();
        let check = ["apply", "--check"];
        let applied = Command::new("git").current_dir(&tree).args(check).arg(&path).output();
        let said = applied.unwrap();
        let why = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{}: {why}", path.display());
    }
}
