//! Backups of a journal in use, and what is made of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::transaction::Control;
use crate::{
    BackupError, BackupWriter, CheckReport, CopyPhase, CopyProgress, MANIFEST, Manifest, Restore,
    RestoreError, restore,
};

const OPTIONS: Options = Options { segment_bytes: 16 * 1024, free_space_watermark: 1, ..SMALL };

fn open(dir: &Path) -> (Journal, OpenReport) {
    Journal::open(dir, OPTIONS).unwrap()
}

fn how(clock: i64) -> Restore {
    Restore { clock, options: OPTIONS, ..Restore::default() }
}

fn on(_: CopyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Records `numbers`, one a group, each under a command.
fn record(journal: &Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let one = append("kz-75", stream((number % 7) as u8), &[number], 400);
        let command = Some(CommandClaim {
            key: CommandKey { principal: [9; 16], command_id: event(number) },
            request_hash: [1; 32],
        });
        commit(journal, Transaction { command, ..transaction(one) }).unwrap();
    }
}

/// A journal on disk: an own log of 60, a mirror of 10 in two epochs, a control, an attachment.
fn filled(dir: &Path) -> Journal {
    let journal = open(dir).0;
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    for epoch in [1, 2] {
        let origin = Origin::of_epoch("kz/all", epoch, 10);
        journal.ensure_mirror(&origin.log, epoch).unwrap();
        let batch = origin.batch(&Frontier::new(), 0, 10);
        let controls = vec![Control { key: b"head/kz/all".to_vec(), value: vec![epoch as u8] }];
        let mirror = Some(batch);
        commit(&journal, Transaction { mirror, controls, ..Transaction::default() }).unwrap();
    }
    record(&journal, 0..60);
    let content = b"sealed bytes";
    let name = evidence::hash::hex(&evidence::hash::sha256(content));
    let folder = dir.join("attachments").join(&name[..2]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), content).unwrap();
    assert!(journal.stats().segments >= 3);
    journal
}

fn positions(journal: &Journal, log: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for info in journal.logs().iter().filter(|info| info.log == name(log)) {
        for record in journal.range(&info.log, info.epoch, 0, usize::MAX, usize::MAX).unwrap() {
            out.insert(format!("{}:{}", record.header().epoch, record.header().seq));
        }
    }
    out
}

/// Every file below a folder with its bytes, except those of the index and the lock.
fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut out, mut folders) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                out.push((path.strip_prefix(dir).unwrap().to_path_buf(), fs::read(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

fn check_files(dir: &Path) -> CheckReport {
    crate::check_files(dir, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_backup_is_an_image_of_one_group_while_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("journal"), dir.path().join("made/backup"));
    let journal = filled(&source);
    let mut backup = journal.backup(77).unwrap();
    let (logs, group) = (journal.logs(), backup.group());
    // Segments are sealed and started while the copy is under way.
    let mut number = 100;
    let manifest = backup.write_to(&target, &mut |progress| {
        if progress.phase == CopyPhase::Copy {
            record(&journal, number..number + 20);
            number += 20;
        }
        ControlFlow::Continue(())
    });
    let manifest = manifest.unwrap();
    assert!(journal.stats().segments > manifest.mark.segment);
    assert_eq!((manifest.group(), manifest.taken_at), (group, 77));
    let sizes = |logs: &[crate::LogInfo]| -> Vec<_> {
        logs.iter().map(|info| (info.log.clone(), info.epoch, info.size, info.root)).collect()
    };
    assert_eq!(sizes(&manifest.logs), sizes(&logs));
    let report = check_files(&target);
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert_eq!(report.records, 80);
    let files: Vec<_> = tree(&target).into_iter().map(|(path, _)| path).collect();
    assert_eq!(files.len(), manifest.files.len() + 1, "{files:?}");
    assert!(files.iter().any(|path| path.starts_with("attachments")));
    let opened = Journal::open(&target, OPTIONS);
    assert!(matches!(opened, Err(OpenError::IsBackup { .. })), "{opened:?}");
    assert_eq!(files.len(), tree(&target).len(), "nothing was added by the refusal");
    assert_clean(&journal);
}

#[test]
fn no_sequence_is_used_twice_and_streams_go_on_in_the_next_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (source, saved, target) =
        (dir.path().join("a"), dir.path().join("backup"), dir.path().join("b"));
    let a = filled(&source);
    a.backup(5).unwrap().write_to(&saved, &mut on).unwrap();
    let before = positions(&a, "kz-75");
    record(&a, 60..90);
    let report = restore(&saved, &target, &how(1_000), &mut on).unwrap();
    assert_eq!(report.records, 80);
    let ended = &report.restored.ended;
    assert_eq!((ended.len(), ended[0].epoch, ended[0].size, ended[0].successor), (1, 1, 60, 2));
    assert_eq!(ended[0].root, a.root_at(&name("kz-75"), 1, 60).unwrap());
    let (b, opened) = open(&target);
    assert_eq!(opened.index, crate::IndexOutcome::Intact);
    assert_eq!(b.restorations(), [report.restored]);
    // Commands of before the backup are known, those behind it are done anew.
    let again = commit(&b, Transaction { command: Some(claim_of(7)), ..Transaction::default() });
    assert!(again.unwrap().replayed);
    record(&b, 60..100);
    let (in_a, in_b) = (positions(&a, "kz-75"), positions(&b, "kz-75"));
    let shared: BTreeSet<_> = in_a.intersection(&in_b).cloned().collect();
    assert_eq!(shared, before, "only what the backup holds is in both");
    assert_eq!((in_a.len(), in_b.len()), (90, 100));
    for id in 0..7 {
        let records = b.stream(&name("kz-75"), stream(id)).unwrap();
        let versions: Vec<u32> = records.iter().map(|r| r.header().stream_version).collect();
        assert_eq!(versions, (1..=records.len() as u32).collect::<Vec<_>>());
        assert_eq!(records.last().unwrap().header().epoch, 2);
    }
    assert_eq!(b.log(&name("kz/all"), 2).unwrap().size, 10, "mirrors go on as they are");
    assert_eq!(b.control(b"head/kz/all"), Some(vec![2]));
    assert_clean(&b);
    // A second backup and restore opens the third epoch; a journal is never overwritten.
    let (again, third) = (dir.path().join("backup2"), dir.path().join("c"));
    b.backup(6).unwrap().write_to(&again, &mut on).unwrap();
    restore(&again, &third, &how(2_000), &mut on).unwrap();
    let c = open(&third).0;
    let epochs: Vec<_> = c.logs().iter().filter(|i| i.log == name("kz-75")).cloned().collect();
    assert_eq!(
        epochs.iter().map(|i| (i.epoch, i.size)).collect::<Vec<_>>(),
        [(1, 60), (2, 40), (3, 0)]
    );
    assert_eq!(c.restorations().len(), 2);
    drop(c);
    for (from, to) in [(&saved, &target), (&saved, &third), (&saved, &saved)] {
        let refused = restore(from, to, &how(1), &mut on);
        assert!(matches!(refused, Err(RestoreError::Exists { .. })), "{refused:?}");
    }
}

fn claim_of(number: u64) -> CommandClaim {
    let key = CommandKey { principal: [9; 16], command_id: event(number) };
    CommandClaim { key, request_hash: [1; 32] }
}

#[test]
fn the_next_epoch_can_be_named_and_must_be_above_what_the_backup_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("backup"), dir.path().join("b"));
    filled(&dir.path().join("a")).backup(5).unwrap().write_to(&saved, &mut on).unwrap();
    let low = restore(&saved, &target, &Restore { epoch: Some(1), ..how(1) }, &mut on);
    assert!(matches!(low, Err(RestoreError::Epoch { asked: 1, held: 1 })), "{low:?}");
    restore(&saved, &target, &Restore { epoch: Some(5), ..how(1) }, &mut on).unwrap();
    let journal = open(&target).0;
    record(&journal, 60..61);
    assert_eq!(journal.log(&name("kz-75"), 5).unwrap().size, 1);
}

#[test]
fn an_epoch_that_has_a_key_is_not_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("backup"), dir.path().join("b"));
    filled(&dir.path().join("a")).backup(5).unwrap().write_to(&saved, &mut on).unwrap();
    let keyed = Restore { keyed: 3, ..how(1) };
    let low = restore(&saved, &target, &Restore { epoch: Some(3), ..keyed }, &mut on);
    assert!(matches!(low, Err(RestoreError::Epoch { asked: 3, held: 3 })), "{low:?}");
    let made = restore(&saved, &target, &keyed, &mut on).unwrap();
    assert!(made.restored.ended.iter().all(|ended| (ended.epoch, ended.successor) == (1, 4)));
}

#[test]
fn a_damaged_backup_is_refused_by_name_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("backup"), dir.path().join("b"));
    filled(&dir.path().join("a")).backup(5).unwrap().write_to(&saved, &mut on).unwrap();
    let none = restore(dir.path(), &target, &how(1), &mut on);
    assert!(matches!(none, Err(RestoreError::NoBackup { .. })), "{none:?}");
    for (name, good) in tree(&saved) {
        let path = saved.join(&name);
        let mut cases =
            vec![good[..good.len() / 2].to_vec(), Vec::new(), [&good[..], b"x"].concat()];
        for at in [0, good.len() / 3, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 4;
            cases.push(flipped);
        }
        for (case, bytes) in cases.into_iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let refused = restore(&saved, &target, &how(1), &mut on);
            let error = refused.expect_err(&format!("{} case {case}", name.display()));
            if name == Path::new(MANIFEST) {
                assert!(matches!(error, RestoreError::Manifest(_)), "{error}");
            } else {
                let RestoreError::Damaged { count, first } = &error else { panic!("{error}") };
                assert!(*count > 0);
                assert_eq!(Path::new(&first.file), name, "case {case}: {error}");
            }
            assert!(!target.exists());
            assert!(!dir.path().join("b.partial").exists());
        }
        fs::remove_file(&path).unwrap();
        assert!(restore(&saved, &target, &how(1), &mut on).is_err(), "{}", name.display());
        fs::write(&path, good).unwrap();
    }
    restore(&saved, &target, &how(1), &mut on).unwrap();
}

#[test]
fn an_interrupted_backup_or_restore_leaves_nothing_that_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("backup"), dir.path().join("b"));
    let journal = filled(&dir.path().join("a"));
    let stopping = |at: u32| {
        let mut asked = 0;
        move |_| {
            asked += 1;
            if asked > at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let left = |final_name: &Path, partial: &str| {
        assert!(!final_name.exists());
        let partial = dir.path().join(partial);
        if partial.exists() {
            let opened = Journal::open(&partial, OPTIONS);
            assert!(matches!(opened, Err(OpenError::Partial { .. })), "{opened:?}");
            fs::remove_dir_all(partial).unwrap();
        }
    };
    let mut interrupted = 0;
    loop {
        match journal.backup(1).unwrap().write_to(&saved, &mut stopping(interrupted)) {
            Ok(_) => break,
            Err(BackupError::Interrupted) => left(&saved, "backup.partial"),
            Err(error) => panic!("{error}"),
        }
        interrupted += 1;
    }
    assert!(interrupted > 6, "{interrupted}");
    interrupted = 0;
    loop {
        match restore(&saved, &target, &how(1), &mut stopping(interrupted)) {
            Ok(_) => break,
            Err(RestoreError::Interrupted) => left(&target, "b.partial"),
            Err(error) => panic!("{error}"),
        }
        interrupted += 1;
    }
    assert!(interrupted > 8, "{interrupted}");
    assert_clean(&open(&target).0);
}

#[test]
fn an_unfinished_folder_is_in_the_way_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("backup");
    drop(BackupWriter::create(&saved).unwrap());
    let again = BackupWriter::create(&saved).unwrap_err();
    assert!(again.to_string().contains("backup.partial exists"), "{again}");
}

#[test]
fn what_is_received_must_be_what_the_manifest_names() {
    let dir = tempfile::tempdir().unwrap();
    let journal = filled(&dir.path().join("a"));
    let mut backup = journal.backup(5).unwrap();
    let files = backup.files().to_vec();
    let text = backup.manifest().unwrap().encode();
    assert_eq!(Manifest::decode(&text).unwrap().files.len(), files.len());
    let mut send = |to: &str, skip: Option<usize>, change: Option<usize>| {
        let mut writer = BackupWriter::create(&dir.path().join(to)).unwrap();
        for (number, file) in files.iter().enumerate().filter(|(n, _)| Some(*n) != skip) {
            let (mut at, mut piece) = (0, [0; 700]);
            while at < file.len {
                let read = backup.read(number, at, &mut piece).unwrap();
                if change == Some(number) {
                    piece[0] ^= 1;
                }
                writer.write(&file.name, at, &piece[..read]).unwrap();
                at += read as u64;
            }
        }
        writer.finish(&text, &mut on)
    };
    let missing = send("one", Some(1), None).unwrap_err();
    assert!(matches!(&missing, BackupError::Differs { file } if *file == files[1].name));
    let changed = send("two", None, Some(0)).unwrap_err();
    assert!(matches!(&changed, BackupError::Differs { file } if *file == files[0].name));
    send("three", None, None).unwrap();
    let mut writer = BackupWriter::create(&dir.path().join("four")).unwrap();
    let mut out_of_place = |file: &str, offset| {
        let refused = writer.write(file, offset, b"x");
        assert!(matches!(refused, Err(BackupError::OutOfPlace { .. })), "{file} {offset}");
    };
    out_of_place("../evil", 0);
    out_of_place("tail", 5);
}

#[test]
fn a_damaged_journal_gives_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a");
    let journal = filled(&source);
    let path = source.join("commits/0000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let taken = journal.backup(5).unwrap().write_to(&dir.path().join("backup"), &mut on);
    let Err(BackupError::Damaged { first, .. }) = taken else { panic!("{taken:?}") };
    assert_eq!(first.file, "commits/0000000001.seg");
    assert!(!dir.path().join("backup").exists());
}

#[test]
fn the_figures_of_files_are_those_of_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (source, saved) = (dir.path().join("a"), dir.path().join("backup"));
    let journal = filled(&source);
    assert!(matches!(crate::stat_files(&source), Err(OpenError::InUse { .. })));
    journal.backup(5).unwrap().write_to(&saved, &mut on).unwrap();
    let (stats, logs) = (journal.stats(), journal.logs());
    journal.close();
    drop(journal);
    let of_files = crate::stat_files(&source).unwrap();
    assert_eq!((of_files.records(), &of_files.logs), (stats.records, &logs));
    let bytes = (of_files.segments, of_files.commit_bytes);
    assert_eq!(bytes, (stats.segments, stats.commit_bytes));
    assert!(of_files.index_bytes > 0 && of_files.attachment_bytes > 0 && of_files.free_bytes > 0);
    assert_eq!(of_files.backup_taken_at, None);
    let of_backup = crate::stat_files(&saved).unwrap();
    assert_eq!((of_backup.backup_taken_at, of_backup.index_bytes), (Some(5), 0));
    assert_eq!((of_backup.logs, of_backup.commit_bytes), (logs, stats.commit_bytes));
    assert!(matches!(crate::stat_files(dir.path()), Err(OpenError::Damaged(_))));
}
