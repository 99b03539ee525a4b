//! The deep check and the scrub: counts, interruption, steps, passes.

use std::path::PathBuf;

use super::*;
use crate::check::check_files_on;
use crate::{CheckReport, Damage};

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
    journal.close();
    drop(journal);
    let offline = check_all(&disk);
    assert!(offline.is_clean());
    assert_eq!((offline.index_entries, offline.records), (0, 40));
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
