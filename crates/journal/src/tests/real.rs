//! The operating system's disk and sled.

use std::fs;

use super::*;
use crate::IndexOutcome;

fn open(dir: &Path) -> Result<(Journal, OpenReport), OpenError> {
    let options = Options { segment_bytes: 64 * 1024, free_space_watermark: 1, ..SMALL };
    Journal::open(dir, options)
}

/// A journal on disk with 300 records of an own log and a mirror of 100.
fn fill(dir: &Path) -> (Journal, Vec<Vec<u8>>) {
    let (journal, report) = open(dir).unwrap();
    assert!(report.created);
    let origin = Origin::new("kz/all", 100);
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    journal.ensure_mirror(&origin.log, 1).unwrap();
    for base in 0..30u64 {
        let group = (0..10).map(|i| {
            let number = base * 10 + i;
            let size = if number % 50 == 0 { 20_000 } else { 200 };
            transaction(append("kz-75", stream((number % 20) as u8), &[number], size))
        });
        journal.commit(group.collect(), 1).unwrap().into_iter().for_each(|r| drop(r.unwrap()));
    }
    let batch = origin.batch(&Frontier::new(), 0, 100);
    commit(&journal, Transaction { mirror: Some(batch), ..Transaction::default() }).unwrap();
    let good = everything(&journal);
    (journal, good)
}

fn everything(journal: &Journal) -> Vec<Vec<u8>> {
    let logs = journal.logs();
    let read = |log: &crate::LogInfo| {
        journal.range(&log.log, log.epoch, 0, usize::MAX, usize::MAX).unwrap()
    };
    logs.iter().flat_map(read).map(Record::into_bytes).collect()
}

#[test]
fn the_sled_folder_is_rebuilt_whole_when_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, good) = fill(dir.path());
    assert_eq!(good.len(), 400);
    assert_clean(&journal);
    drop(journal);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (journal, report) = open(dir.path()).unwrap();
    let IndexOutcome::Rebuilt { quarantined: None, .. } = report.index else {
        panic!("{report:?}")
    };
    assert_eq!(everything(&journal), good);
    assert_clean(&journal);
    commit(&journal, transaction(append("kz-75", stream(1), &[9999], 10))).unwrap();
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 301);
    journal.close();
    drop(journal);
    let (journal, report) = open(dir.path()).unwrap();
    assert_eq!(report.index, IndexOutcome::Intact);
    assert_clean(&journal);
}

#[test]
fn damage_of_sleds_files_never_changes_what_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, good) = fill(dir.path());
    journal.close();
    drop(journal);
    let db = dir.path().join("index/db");
    let bytes = fs::read(&db).unwrap();
    let mut rebuilt = 0;
    for i in 0..28usize {
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        fs::create_dir(dir.path().join("index")).unwrap();
        let mut damaged = bytes.clone();
        if i < 24 {
            let (at, count) = (bytes.len() / 25 * (i + 1) + i * 131 % 512, 1 + 63 * (i % 2));
            damaged[at..at + count].iter_mut().for_each(|byte| *byte ^= 0x5a);
        } else {
            damaged.truncate(bytes.len() / 4 * (i - 24));
        }
        fs::write(&db, damaged).unwrap();
        let (journal, report) = open(dir.path()).unwrap();
        rebuilt += usize::from(report.index != IndexOutcome::Intact);
        assert_eq!(everything(&journal), good, "case {i}");
        assert_clean(&journal);
    }
    assert!(rebuilt >= 4, "{rebuilt}");
}

#[test]
fn a_flipped_byte_on_disk_is_reported_by_a_running_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, good) = fill(dir.path());
    let path = dir.path().join("commits/0000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = check(&journal);
    assert_eq!(report.damages[0].file, "commits/0000000001.seg");
    assert!(report.damages[0].offset.is_some_and(|at| at <= 5000));
    assert!(report.damages[0].position.is_some(), "{:?}", report.damages[0]);
    let (mut read, mut refused) = (0, 0);
    for (seq, bytes) in good[..300].iter().enumerate() {
        match journal.get(&name("kz-75"), 1, seq as u64) {
            Ok(record) => read += usize::from(record.unwrap().bytes() == *bytes),
            Err(crate::ReadError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((read, refused), (299, 1), "the damaged record is refused, the others are served");
    drop(journal);
    let report = crate::check_files(dir.path(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(report.damages[0].file, "commits/0000000001.seg");
}

#[test]
fn a_second_process_gets_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    let second = open(dir.path());
    let Err(OpenError::InUse { folder }) = second else { panic!("{second:?}") };
    assert_eq!(folder, dir.path().display().to_string());
    let check = crate::check_files(dir.path(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(check, Err(OpenError::InUse { .. })));
    let clone = journal.clone();
    drop(journal);
    assert!(open(dir.path()).is_err(), "a clone holds it");
    drop(clone);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn readers_and_a_writer_get_along() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path()).unwrap();
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < 200 {
                    let size = journal.log(&name("kz-75"), 1).unwrap().size;
                    assert!(size >= seen);
                    seen = size;
                    if size > 0 {
                        let record = journal.get(&name("kz-75"), 1, size - 1).unwrap().unwrap();
                        assert_eq!(record.header().event_id, event(size - 1));
                    }
                }
            });
        }
        scope.spawn(|| (0..10).for_each(|_| journal.flush_index().unwrap()));
        for number in 0..200 {
            commit(&journal, transaction(append("kz-75", stream(1), &[number], 50))).unwrap();
        }
    });
    assert_clean(&journal);
}
