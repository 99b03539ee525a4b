//! Each system call of an open failed in turn, on the real disk: calls that read, too.
//!
//! An interrupted call and a short read or write are continued. Whatever else fails, the journal is
//! open, or it is refused with an error that says what could not be done; it is never said to be
//! damaged, because it is not. The next open has everything.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::disk::faults::{Call, Fault, with_any};
use crate::disk::os::OsDisk;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A folder after a kill: several segments, a group that was not finished, an attachment that was
/// not, an index that lacks the last groups.
struct Scene {
    dir: tempfile::TempDir,
    store: MemoryStore,
    records: Vec<Record>,
}

const OPTIONS: Options = Options { segment_bytes: 8192, free_space_watermark: 1, ..SMALL };

fn open(dir: &Path, store: &MemoryStore) -> Result<(Journal, OpenReport), OpenError> {
    Journal::open_on(Arc::new(OsDisk), Arc::new(store.clone()), dir, OPTIONS)
}

fn everything(journal: &Journal) -> Vec<Record> {
    journal.range(&name("kz-75"), 1, 0, 1000, usize::MAX).unwrap()
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Scene {
    fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
        let (journal, _) = open(dir.path(), &store).unwrap();
        journal.ensure_own_log(&name("kz-75"), 1).unwrap();
        for number in 0..20 {
            commit(&journal, transaction(append("kz-75", stream(1), &[number], 800))).unwrap();
            if number == 8 {
                journal.flush_index().unwrap();
            }
        }
        let segments = journal.stats().segments;
        assert!(segments > 3, "{segments}");
        let records = everything(&journal);
        drop(journal);
        let last = dir.path().join(crate::files::segment_name(segments));
        let mut bytes = fs::read(&last).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(8);
        bytes[end..end + 100].fill(7);
        fs::write(last, bytes).unwrap();
        let incoming = dir.path().join("attachments/incoming");
        fs::create_dir_all(&incoming).unwrap();
        fs::write(incoming.join("0123456789abcdef0123456789abcdef"), "half").unwrap();
        fs::remove_file(dir.path().join("reserve")).unwrap();
        let store = store.reboot(0);
        Self { dir, store, records }
    }

    /// Opens a copy, with a fault at the `nth` call; what came of it, and the calls.
    fn meet(&self, nth: usize, fault: Fault) -> (&'static str, Vec<Call>) {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        let store = self.store.reboot(0);
        let (opened, calls) = with_any(nth, fault, || open(dir.path(), &store));
        let what = format!("call {nth} ({:?}), {fault:?}", calls.get(nth));
        let met = match opened {
            Ok((journal, report)) => {
                let dropped = report.dropped.map(|dropped| dropped.bytes);
                assert!(dropped.is_some_and(|bytes| bytes >= 100), "{what}");
                assert!(everything(&journal) == self.records, "{what}");
                assert_clean(&journal);
                "open"
            }
            Err(OpenError::Io { .. } | OpenError::Index(_)) => "refused",
            Err(other) => panic!("{what}: {other}"),
        };
        let (journal, _) = open(dir.path(), &store).unwrap_or_else(|error| {
            panic!("{what}, then: {error}");
        });
        assert!(everything(&journal) == self.records, "{what}");
        assert_clean(&journal);
        let next = commit(&journal, transaction(append("kz-75", stream(1), &[900], 10))).unwrap();
        assert_eq!(next.positions[0].seq, 20, "{what}");
        let incoming = fs::read_dir(dir.path().join("attachments/incoming")).unwrap();
        assert_eq!(incoming.count(), 0, "{what}");
        (met, calls)
    }
}

#[test]
fn every_system_call_of_an_open_may_fail() {
    let scene = Scene::new();
    let (met, calls) = scene.meet(usize::MAX, Fault::Short);
    assert_eq!(met, "open");
    let all = [
        Call::Mkdir,
        Call::Open,
        Call::Write,
        Call::Truncate,
        Call::Fsync,
        Call::Unlink,
        Call::Lock,
        Call::OpenRead,
        Call::Read,
        Call::Stat,
        Call::List,
    ];
    assert!(all.iter().all(|call| calls.contains(call)), "{calls:?}");
    let mut outcomes: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (nth, call) in calls.iter().enumerate() {
        for fault in [ENOSPC, EIO, EINTR].map(Fault::Errno).into_iter().chain([Fault::Short]) {
            if fault == Fault::Short && !matches!(call, Call::Write | Call::Read) {
                continue;
            }
            let (met, _) = scene.meet(nth, fault);
            if matches!(fault, Fault::Short | Fault::Errno(EINTR)) {
                assert_eq!(met, "open", "call {nth} ({call:?}), {fault:?}");
            }
            *outcomes.entry((met, format!("{fault:?}"))).or_default() += 1;
        }
    }
    println!("{} calls: {outcomes:#?}", calls.len());
    let refused = ("refused", format!("{:?}", Fault::Errno(EIO)));
    assert!(outcomes.contains_key(&refused), "{outcomes:?}");
}
