//! Each system call of one group commit failed in turn, on the real disk with real sled.
//!
//! An interrupted call and a short write are continued. A journal that has no room to create and
//! write its next segment refuses facts, reads on and writes on when there is room. Everything else
//! stops the writer, for good: nothing is retried, least of all a sync, whatever its error says. In
//! every case what was acknowledged stays, check and backup of the running journal end with it, the
//! group under way is there whole or not at all after the next open, and the deep check is clean.

use std::collections::BTreeMap;

use super::*;
use crate::disk::faults::{Call, Fault, with};
use crate::{CommitError, check_files};

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// Records before the commit that meets the fault, so that it goes into the same segment (it
/// writes zeros ahead, the group and the tail file) or into a new one.
#[derive(Debug, Clone, Copy)]
enum Commit {
    First,
    Rolling,
}

struct Scene {
    dir: tempfile::TempDir,
    journal: Journal,
    acknowledged: Vec<Record>,
}

fn open(dir: &Path) -> Journal {
    let options = Options { segment_bytes: 8192, free_space_watermark: 1, ..SMALL };
    Journal::open(dir, options).unwrap().0
}

/// One transaction into two logs: more than one record, a command.
fn group(number: u64) -> Transaction {
    let mut claimed = claim(0, 1);
    claimed.key.command_id = event(number);
    let parts = [
        append("kz-75", stream(1), &[number, number + 1], 300),
        append("kz/all", stream(2), &[number + 2], 300),
    ];
    Transaction { command: Some(claimed), appends: parts.into(), ..Transaction::default() }
}

fn everything(journal: &Journal) -> Vec<Record> {
    let all = |log: &str| journal.range(&name(log), 1, 0, 1000, usize::MAX).unwrap();
    [all("kz-75"), all("kz/all")].concat()
}

impl Scene {
    fn new(commit_kind: Commit) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path());
        journal.ensure_own_log(&name("kz-75"), 1).unwrap();
        journal.ensure_own_log(&name("kz/all"), 1).unwrap();
        if matches!(commit_kind, Commit::Rolling) {
            // So many that the next one does not fit any more.
            for number in 0..3 {
                commit(&journal, group(number * 10)).unwrap();
            }
        }
        let acknowledged = everything(&journal);
        Self { dir, journal, acknowledged }
    }

    /// Commits a group whose `nth` system call meets a fault, and checks that `expected` comes of
    /// it.
    fn meet(self, nth: usize, fault: Fault, call: Call, expected: &'static str) {
        let what = format!("call {nth} ({call:?}), {fault:?}");
        let (outcome, _) = with(nth, fault, || self.journal.commit(vec![group(900)], 1));
        let refused =
            |result: &Result<_, CommitError>| matches!(result, Err(CommitError::DiskFull { .. }));
        let met = match &outcome {
            Err(_) => "stopped",
            Ok(results) if refused(&results[0]) => "refused",
            Ok(results) => {
                assert!(results[0].is_ok(), "{what}: {:?}", results[0]);
                "done"
            }
        };
        assert_eq!(met, expected, "{what}");
        // Reading goes on, and shows the group only if it was acknowledged.
        let mut good = everything(&self.journal);
        let added = good.len() - self.acknowledged.len();
        assert_eq!(added, if met == "done" { 3 } else { 0 }, "{what}");
        self.ends_with_what_is_published(&what);
        let again = self.journal.commit(vec![group(950)], 2);
        assert_eq!(again.is_err(), met == "stopped", "{what}: nothing is retried");
        if again.is_ok() {
            good = everything(&self.journal);
            assert_clean(&self.journal);
        }
        drop(self.journal);
        let journal = open(self.dir.path());
        let found = everything(&journal);
        let ids = |records: &[Record]| -> Vec<[u8; 16]> {
            let mut ids: Vec<_> = records.iter().map(|record| record.header().event_id).collect();
            ids.sort_unstable();
            ids
        };
        let under_way: Vec<_> = (900..903).map(event).collect();
        let (found_ids, good_ids) = (ids(&found), ids(&good));
        let more: Vec<_> = found_ids.iter().filter(|id| !good_ids.contains(id)).copied().collect();
        assert!(good_ids.iter().all(|id| found_ids.contains(id)), "{what}: something is lost");
        assert!(more.is_empty() || more == under_way, "{what}: a part of a group is there");
        assert_clean(&journal);
        // The command is done once, whatever became of it.
        commit(&journal, group(900)).unwrap();
        let count = everything(&journal).len();
        commit(&journal, group(900)).unwrap();
        assert_eq!(everything(&journal).len(), count, "{what}");
        assert_clean(&journal);
    }

    /// Check and backup cover what is published, although there may be more in the files.
    fn ends_with_what_is_published(&self, what: &str) {
        let report = check(&self.journal);
        assert!(report.is_clean(), "{what}: {:?}", report.damages);
        assert_eq!(report.logs, self.journal.logs(), "{what}");
        let saved = self.dir.path().with_extension("backup");
        let mut backup = self.journal.backup(1).unwrap();
        let manifest = backup.write_to(&saved, &mut |_| ControlFlow::Continue(())).unwrap();
        let sizes = |logs: &[crate::LogInfo]| -> Vec<_> {
            logs.iter().map(|info| (info.log.clone(), info.size, info.root)).collect()
        };
        assert_eq!(sizes(&manifest.logs), sizes(&self.journal.logs()), "{what}");
        let report = check_files(&saved, &mut |_| ControlFlow::Continue(())).unwrap();
        std::fs::remove_dir_all(&saved).unwrap();
        assert!(report.is_clean(), "{what}: {:?}", report.damages);
        assert_eq!(sizes(&report.logs), sizes(&self.journal.logs()), "{what}");
    }
}

/// What must come of a fault at the last of `calls`: only a segment that was not synced yet may be
/// tried again.
fn expected(kind: Commit, calls: &[Call], fault: Fault) -> &'static str {
    let rolls = matches!(kind, Commit::Rolling);
    match fault {
        Fault::Short | Fault::Errno(EINTR) => "done",
        Fault::Errno(ENOSPC | EDQUOT) if rolls && !calls.contains(&Call::Fsync) => "refused",
        Fault::Errno(_) => "stopped",
    }
}

#[test]
fn every_system_call_of_a_group_commit_may_fail() {
    let mut outcomes: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for kind in [Commit::First, Commit::Rolling] {
        let scene = Scene::new(kind);
        let commit = || scene.journal.commit(vec![group(900)], 1);
        let (outcome, calls) = with(usize::MAX, Fault::Short, commit);
        outcome.unwrap()[0].as_ref().unwrap();
        let rolls = calls.contains(&Call::Allocate);
        assert_eq!(rolls, matches!(kind, Commit::Rolling), "{calls:?}");
        assert!(calls.contains(&Call::Fdatasync) && calls.contains(&Call::Write), "{calls:?}");
        for (nth, call) in calls.iter().enumerate() {
            let errors = [ENOSPC, EDQUOT, EIO, EINTR].map(Fault::Errno);
            for fault in errors.into_iter().chain([Fault::Short]) {
                if fault == Fault::Short && *call != Call::Write {
                    continue;
                }
                let expected = expected(kind, &calls[..=nth], fault);
                Scene::new(kind).meet(nth, fault, *call, expected);
                *outcomes.entry((expected, format!("{fault:?}"))).or_default() += 1;
            }
        }
        println!("{kind:?}: {calls:?}");
    }
    println!("{outcomes:#?}");
    for error in [ENOSPC, EDQUOT].map(Fault::Errno) {
        let count = |met| outcomes.get(&(met, format!("{error:?}"))).copied();
        assert_eq!(count("refused"), Some(3), "open, fallocate and write of the successor");
        assert!(count("stopped") > Some(3), "among them the syncs of the successor");
    }
}
