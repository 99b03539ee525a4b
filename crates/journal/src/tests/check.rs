//! The deep check and the scrub: counts, interruption, steps, passes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::check::check_files_on;
use crate::error::{IndexError, IndexOpenError};
use crate::index::{Applying, Entry, Index, IndexBatch, IndexStore};
use crate::{CheckReport, Damage, QuarantinedIndex};

/// An index that counts what is read of it and fails when it is told to.
#[derive(Clone)]
struct Watched {
    store: MemoryStore,
    applying: Applying,
    read: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
}

struct WatchedIndex(Arc<dyn Index>, Watched);

impl Watched {
    fn new(applying: Applying) -> Self {
        Self { store: MemoryStore::new(), applying, read: Arc::default(), fails: Arc::default() }
    }

    /// A journal over it with the own log `kz-75`.
    fn journal(&self) -> (MemoryDisk, Journal) {
        let disk = MemoryDisk::new();
        let store = Arc::new(self.clone());
        let opened = Journal::open_on(Arc::new(disk.clone()), store, Path::new(DIR), SMALL);
        let journal = opened.unwrap().0;
        journal.ensure_own_log(&name("kz-75"), 1).unwrap();
        (disk, journal)
    }

    fn change(&self) -> Result<(), IndexError> {
        let fails = self.fails.load(Ordering::SeqCst);
        if fails { Err(IndexError::new("its disk is gone")) } else { Ok(()) }
    }
}

impl Index for WatchedIndex {
    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, IndexError> {
        let value = self.0.get(key)?;
        let len = value.as_ref().map_or(0, |value| value.len());
        self.1.read.fetch_add(len, Ordering::SeqCst);
        Ok(value)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.0.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&sled::IVec, &sled::IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.0.scan(from, to, &mut |key, value| {
            self.1.read.fetch_add(value.len(), Ordering::SeqCst);
            visit(key, value)
        })
    }

    fn swap(&self, put: IndexBatch, remove: Vec<sled::IVec>) -> Result<(), IndexError> {
        self.1.change()?;
        self.0.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.1.change()?;
        self.0.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.0.flush()
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl IndexStore for Watched {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Ok(Arc::new(WatchedIndex(self.store.open()?, self.clone())))
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        self.store.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.store.discard()
    }

    fn applying(&self) -> Applying {
        self.applying
    }
}

/// Records `numbers`, so many in one group.
fn record(journal: &Journal, numbers: std::ops::Range<u64>) -> Result<(), crate::JournalStopped> {
    let numbers: Vec<u64> = numbers.collect();
    let one = transaction(append("kz-75", stream(1), &numbers, 10));
    let done = journal.commit(vec![one], 1000)?.pop().unwrap();
    done.map(drop).map_err(|error| panic!("{error}"))
}

/// A journal in memory with several segments.
fn filled() -> (MemoryDisk, MemoryStore, Journal) {
    let (disk, store, journal) = memory();
    for number in 0..40 {
        commit(&journal, transaction(append("kz-75", stream(number as u8), &[number], 300)))
            .unwrap();
    }
    assert!(journal.stats().segments >= 5);
    (disk, store, journal)
}

fn check_all(disk: &MemoryDisk) -> CheckReport {
    let watch = &mut |_: &_| ControlFlow::Continue(());
    check_files_on(Arc::new(disk.clone()), Path::new(DIR), watch).unwrap()
}

/// Flips one byte in the middle of a record of this segment.
fn flip(disk: &MemoryDisk, segment: u64) {
    let path = Path::new(DIR).join(crate::files::segment_name(segment));
    let file = crate::disk::Disk::open(disk, &path, crate::disk::OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_at(1500, &mut byte).unwrap();
    file.write_at(1500, &[byte[0] ^ 1]).unwrap();
}

#[test]
fn the_report_counts_every_file_and_both_ways_agree() {
    let (disk, _store, journal) = filled();
    let online = check(&journal);
    assert!(online.is_clean());
    let segments = journal.stats().segments;
    let names: Vec<String> = (1..=segments).map(crate::files::segment_name).collect();
    let files: Vec<String> = online.files.iter().map(|file| file.file.clone()).collect();
    assert_eq!(files, names);
    assert_eq!(online.files.iter().map(|file| file.records).sum::<u64>(), 40);
    assert_eq!(online.files.iter().map(|file| file.groups).sum::<u64>(), online.groups);
    assert_eq!(online.bytes, journal.stats().commit_bytes);
    assert!(online.index_entries > 0);
    assert_eq!(online.index_not_compared, None);
    journal.close();
    drop(journal);
    let offline = check_all(&disk);
    assert!(offline.is_clean());
    assert_eq!((offline.index_entries, offline.records), (0, 40));
    assert!(offline.index_not_compared.is_some());
    assert_eq!((&offline.files, &offline.logs), (&online.files, &online.logs));
}

#[test]
fn an_interrupted_check_says_so_and_is_not_clean() {
    let (disk, _store, journal) = filled();
    let mut asked = 0;
    let mut third = |progress: &crate::CheckProgress| {
        asked += 1;
        assert_eq!(progress.segments, asked);
        if asked == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = journal.check(&mut third);
    assert!(report.interrupted && !report.is_clean());
    assert_eq!((report.damage_count, report.segments), (0, 3));
    drop(journal);
    let report = check_files_on(Arc::new(disk), Path::new(DIR), &mut |_| ControlFlow::Break(()));
    let report = report.unwrap();
    assert!(report.interrupted && !report.is_clean());
}

#[test]
fn a_folder_without_its_last_or_its_only_segment_is_not_clean() {
    let (disk, _store, journal) = filled();
    let last = journal.stats().segments;
    journal.close();
    drop(journal);
    let kept = |path: &PathBuf| {
        !path.ends_with(crate::files::segment_name(last)) && !path.ends_with("tail")
    };
    let files: Vec<_> = disk.files().into_iter().filter(|(path, _)| kept(path)).collect();
    let report = check_all(&MemoryDisk::with_files(&files));
    let missing = crate::files::segment_name(last);
    assert!(report.damages.iter().any(|damage| damage.file == missing), "{:?}", report.damages);
    let report = check_all(&MemoryDisk::new());
    assert_eq!(report.damages[0].what, "file is missing");
}

/// Steps until a pass ends; the number of steps, what it found and the report.
fn pass(scrub: &mut crate::Scrub, budget: u64) -> (u64, Vec<Damage>, CheckReport) {
    let (mut steps, mut found) = (0, Vec::new());
    loop {
        let step = scrub.step(budget);
        assert!(step.bytes < budget.saturating_add(8192), "{step:?}");
        (steps, found) = (steps + 1, [found, step.damages].concat());
        if let Some(report) = step.finished {
            return (steps, found, report);
        }
    }
}

#[test]
fn a_scrub_reads_everything_in_small_steps_and_starts_again() {
    let (disk, _store, journal) = filled();
    let mut scrub = journal.scrub();
    let (steps, found, report) = pass(&mut scrub, 1000);
    assert!(found.is_empty() && report.is_clean());
    assert_eq!((report.records, report.bytes), (40, journal.stats().commit_bytes));
    assert!(steps > 10, "{steps}");
    assert_eq!(scrub.segment(), 1);
    // What is committed in the middle of a pass is checked in the next one.
    scrub.step(1000);
    commit(&journal, transaction(append("kz-75", stream(1), &[900], 300))).unwrap();
    assert_eq!(pass(&mut scrub, 1000).2.records, 40);
    assert_eq!(pass(&mut scrub, u64::MAX).2.records, 41);
    flip(&disk, 3);
    let (_, found, report) = pass(&mut scrub, 1000);
    assert_eq!((found.len() as u64, &found), (report.damage_count, &report.damages));
    assert_eq!(found, check(&journal).damages);
    assert_eq!(found[0].file, "commits/0000000003.seg");
    flip(&disk, 3);
    assert!(pass(&mut scrub, 1000).2.is_clean());
}

#[test]
fn a_scrub_goes_on_where_it_was_before_a_restart() {
    let (disk, _store, journal) = filled();
    flip(&disk, 2);
    let mut scrub = journal.scrub();
    while scrub.segment() < 4 {
        scrub.step(500);
    }
    let mut scrub = journal.scrub_from(scrub.segment());
    let (_, _, report) = pass(&mut scrub, 500);
    assert!(report.is_clean(), "the damage is before it: {:?}", report.damages);
    assert!(report.records < 40);
    assert_eq!(pass(&mut scrub, 500).1[0].file, "commits/0000000002.seg");
    assert_eq!(journal.scrub_from(99).segment(), 1);
}

#[test]
fn a_check_and_a_scrub_get_along_with_a_writer() {
    let (_disk, _store, journal) = filled();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 100..300 {
                let one = append("kz-75", stream(number as u8), &[number], 300);
                commit(&journal, transaction(one)).unwrap();
            }
        });
        let mut scrub = journal.scrub();
        for _ in 0..5 {
            assert_clean_files(&check(&journal));
            assert_clean_files(&pass(&mut scrub, 4000).2);
        }
    });
    assert_clean(&journal);
}

fn assert_clean_files(report: &CheckReport) {
    assert!(report.is_clean(), "{:#?}", report.damages);
}

#[test]
fn a_step_of_the_scrub_reads_the_index_in_proportion() {
    let watched = Watched::new(Applying::Inline { every: 500 });
    let (_disk, journal) = watched.journal();
    // A step reads at least one group, so they are small: the blocks of one are two at most.
    for first in (0..2000).step_by(20) {
        record(&journal, first..first + 20).unwrap();
    }
    let read = || watched.read.swap(0, Ordering::SeqCst) as u64;
    read();
    let (mut scrub, mut told, mut scanned) = (journal.scrub(), 0, 0);
    loop {
        let step = scrub.step(5000);
        let now = read();
        assert!(now < 5000 + 2 * 4096, "{now} bytes at once");
        (told, scanned) = (told + step.bytes, scanned + now);
        if let Some(report) = step.finished {
            assert!(report.is_clean(), "{:?}", report.damages);
            let files = report.bytes;
            assert!(scanned > 100_000, "{scanned}");
            // Blocks and pages are counted without their checksums.
            assert!(told >= files + scanned * 99 / 100, "{told} of {files} and {scanned}");
            return;
        }
    }
}

#[test]
fn a_check_says_that_a_failed_index_was_not_compared_and_the_writer_stops() {
    let watched = Watched::new(Applying::Thread);
    let (_disk, journal) = watched.journal();
    record(&journal, 0..3).unwrap();
    assert_eq!(check(&journal).index_not_compared, None);
    record(&journal, 3..6).unwrap();
    watched.fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let report = check(&journal);
        let reason = report.index_not_compared.as_deref();
        assert_eq!(reason, Some("index: its disk is gone"), "{:?}", report.damages);
        assert_eq!((report.records, report.index_entries), (6, 0));
    }
    watched.fails.store(false, Ordering::SeqCst);
    let error = record(&journal, 6..7).unwrap_err();
    assert_eq!(error.reason, "index: its disk is gone");
}

#[test]
fn a_group_that_was_written_but_never_published_is_in_no_check_and_no_backup() {
    let watched = Watched::new(Applying::Inline { every: 1 });
    let (disk, journal) = watched.journal();
    record(&journal, 0..3).unwrap();
    watched.fails.store(true, Ordering::SeqCst);
    record(&journal, 3..6).unwrap_err();
    let logs = journal.logs();
    assert_eq!(logs[0].size, 3);
    let report = check(&journal);
    assert!(report.is_clean(), "{:?}", report.damages);
    assert_eq!((&report.logs, report.records), (&logs, 3));
    assert!(report.index_not_compared.is_some_and(|reason| reason.contains("stopped")));
    let mut scrub = journal.scrub();
    assert_eq!(pass(&mut scrub, u64::MAX).2.records, 3);
    let mut backup = journal.backup(1).unwrap();
    assert_eq!(backup.manifest().unwrap().logs[0].size, 3);
    assert_eq!(backup.group(), 3, "the segment's snapshot, the log, the records");
    drop(journal);
    // It is durable, so the next open shows it.
    disk.revive();
    let (journal, _) = open_memory(&disk, &MemoryStore::new(), SMALL).unwrap();
    assert_eq!(journal.logs()[0].size, 6);
}
