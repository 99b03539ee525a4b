//! A backup, a journal restored from one, an attachment and page tokens of the first release.

#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use evidence::hash::{Hash, hex, sha256};
use evidence::record::AttachmentRef;
use journal::{
    AttachmentInfo, Control, CopyProgress, Direction, EndedEpoch, Journal, MANIFEST, Manifest,
    OpenError, Options, PageToken, Query, Restore, Restored, Role, Transaction, check_files,
    restore,
};
use support::{CLAIM, STREAM, append, copy, draft, fixture, log, mirrored, options};

/// The bytes of the attachment, and what names it.
const SEALED: &[u8] = b"sealed bytes of an attachment, version 1";
const HASH: &str = "674486b8f85b83da57da0d41b1e3b4aa75816af0bf02e41799804ad35b1392b8";

/// Roots of the first epochs: what was promised then must hold for ever.
const OWN_ROOT: &str = "dbdd69109a3d7a91bfa2746651c780d465cb8aba7a9fef8dd08c4a8a8a765798";
const MIRROR_ROOT: &str = "824dca64ffea0a74cb4989b24cfcaf8d8659cee6e0ce01f014274ea08f8eecea";

const RECORDED: i64 = 1_760_000_000_000_001;
const TAKEN: i64 = 1_760_000_000_000_100;
const RESTORED: i64 = 1_760_000_000_000_200;

fn small() -> Options {
    Options { segment_bytes: 16 * 1024, ..options() }
}

fn on(_: CopyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn how(clock: i64) -> Restore {
    Restore { clock, options: small(), ..Restore::default() }
}

/// Names, epochs, sizes and roots.
fn sizes(logs: &[journal::LogInfo]) -> BTreeMap<(String, u32), (Role, u64, Hash)> {
    let entry = |info: &journal::LogInfo| {
        ((info.log.to_string(), info.epoch), (info.role, info.size, info.root))
    };
    logs.iter().map(entry).collect()
}

fn manifest() -> (String, Manifest) {
    let text = fs::read_to_string(fixture("backup_v1").join(MANIFEST)).unwrap();
    let manifest = Manifest::decode(&text).unwrap();
    (text, manifest)
}

/// The fixture of a restored journal, opened in a folder that goes with the first value.
fn restored() -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    copy(&fixture("restored_v1"), &folder);
    let journal = Journal::open(&folder, small()).unwrap().0;
    (dir, journal)
}

/// A query for records of the first epoch, two a page.
fn query(direction: Direction) -> Query {
    Query { direction, max_records: 2, ..Query::all(log("kz-75"), 1) }
}

#[test]
fn manifest_version_1_names_what_is_in_the_folder() {
    let (text, manifest) = manifest();
    assert_eq!(manifest.encode(), text);
    assert_eq!((manifest.taken_at, manifest.group()), (TAKEN, 4));
    assert_eq!(hex(&manifest.journal), "3e3d5671998d80f3fec9476e5a959368");
    let roots = [
        (("kz-75".to_owned(), 1), (Role::Own, 3, OWN_ROOT)),
        (("kz/all".to_owned(), 1), (Role::Mirror, 2, MIRROR_ROOT)),
    ];
    let found = sizes(&manifest.logs).into_iter();
    let found: Vec<_> =
        found.map(|(log, (role, size, root))| (log, (role, size, hex(&root)))).collect();
    let roots = roots.map(|(log, (role, size, root))| (log, (role, size, root.to_owned())));
    assert_eq!(found, roots);
    let names: Vec<&str> = manifest.files.iter().map(|(file, _)| file.name.as_str()).collect();
    let attachment = format!("attachments/{}/{HASH}", &HASH[..2]);
    assert_eq!(names, ["commits/0000000001.seg", &attachment, "tail"]);
}

#[test]
fn backup_version_1_is_intact_refused_as_a_journal_and_restored() {
    let (_, manifest) = manifest();
    let report = check_files(&fixture("backup_v1"), &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_clean(), "{:?}", report.damages);
    assert_eq!(report.records, 5);
    assert_eq!(sizes(&report.logs), sizes(&manifest.logs));
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("backup"), dir.path().join("journal"));
    copy(&fixture("backup_v1"), &saved);
    let opened = Journal::open(&saved, small());
    assert!(matches!(opened, Err(OpenError::IsBackup { .. })), "{opened:?}");
    let report = restore(&saved, &target, &how(RESTORED), &mut on).unwrap();
    assert_eq!((report.manifest, report.records), (manifest.clone(), 5));
    let journal = Journal::open(&target, small()).unwrap().0;
    let mut expected = sizes(&manifest.logs);
    let empty = evidence::merkle::Frontier::new().root();
    expected.insert(("kz-75".to_owned(), 2), (Role::Own, 0, empty));
    assert_eq!(sizes(&journal.logs()), expected);
    assert_eq!(journal.control(b"a/control"), Some(b"value".to_vec()));
    assert_eq!(journal.find_command(&CLAIM.key).unwrap().unwrap().count, 2);
}

#[test]
fn restored_journal_version_1_opens_with_the_fact_and_goes_on_in_its_second_epoch() {
    let (_dir, journal) = restored();
    let (_, manifest) = manifest();
    let (own, size) = (log("kz-75"), 3);
    let root = sizes(&manifest.logs)[&("kz-75".to_owned(), 1)].2;
    let ended = vec![EndedEpoch { log: own.clone(), epoch: 1, size, root, successor: 2 }];
    let fact = Restored { at: RESTORED, taken_at: TAKEN, journal: manifest.journal, ended };
    assert_eq!(journal.restorations(), [fact]);
    let report = journal.check(&mut |_| ControlFlow::Continue(()));
    assert!(report.is_clean(), "{:?}", report.damages);
    assert_eq!((report.records, report.attachments), (6, 1));

    let stream = journal.stream(&own, STREAM).unwrap();
    let places: Vec<_> = stream
        .iter()
        .map(|record| record.header())
        .map(|header| (header.epoch, header.seq, header.stream_version))
        .collect();
    assert_eq!(places, [(1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 0, 4)]);
    let mut next = append(&own, 4, vec![draft(&own, 5, 10)]);
    next.drafts[0].header.attachments = named();
    let next = Transaction { appends: vec![next], ..Transaction::default() };
    let committed = journal.commit(vec![next], RESTORED + 9).unwrap().remove(0).unwrap();
    assert_eq!((committed.positions[0].epoch, committed.positions[0].seq), (2, 1));
}

#[test]
fn attachment_version_1_is_read_under_its_name() {
    let (_dir, journal) = restored();
    assert_eq!(hex(&sha256(SEALED)), HASH);
    let info = AttachmentInfo { hash: sha256(SEALED), size: SEALED.len() as u64 };
    let found: Result<Vec<_>, _> = journal.attachments().collect();
    assert_eq!(found.unwrap(), [info]);
    let record = journal.get(&log("kz-75"), 1, 2).unwrap().unwrap();
    assert_eq!(record.header().attachments, named());
    let mut reader = journal.read_attachment(&info.hash).unwrap().unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, SEALED);
}

#[test]
fn page_tokens_of_version_1_go_on_where_they_were_handed_out() {
    let (_dir, journal) = restored();
    // As they were handed out, one a line.
    let tokens = fs::read_to_string(fixture("page_tokens_v1")).unwrap();
    let cases = [(Direction::Forward, 2), (Direction::Backward, 0)];
    assert_eq!(tokens.lines().count(), cases.len());
    for (line, (direction, seq)) in tokens.lines().zip(cases) {
        let token: PageToken = line.parse().unwrap();
        assert_eq!(token.to_string(), line);
        let page = journal.page(&query(direction), Some(&token)).unwrap();
        let seqs: Vec<u64> = page.records.iter().map(|record| record.header().seq).collect();
        assert_eq!((seqs, page.next), (vec![seq], None), "{direction:?}");
    }
}

/// What a record says of the attachment.
fn named() -> Vec<AttachmentRef> {
    vec![AttachmentRef { hash: sha256(SEALED), size: SEALED.len() as u64, media: 1 }]
}

/// Writes the fixtures. Run by hand, once for each released format:
/// `cargo test -p compatibility-tests --test backup -- --ignored`.
#[test]
#[ignore = "writes the fixtures of a release"]
fn write_the_fixtures() {
    let (saved, kept) = (fixture("backup_v1"), fixture("restored_v1"));
    assert!(!saved.exists() && !kept.exists(), "a released fixture is never written again");
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("a"), dir.path().join("b"));
    let (own, mirror) = (log("kz-75"), log("kz/all"));
    let journal = Journal::open(&source, small()).unwrap().0;
    fill(&journal);
    journal.backup(TAKEN).unwrap().write_to(&saved, &mut on).unwrap();
    assert_eq!(journal.log(&mirror, 1).unwrap().size, 2);
    restore(&saved, &target, &how(RESTORED), &mut on).unwrap();
    let journal = Journal::open(&target, small()).unwrap().0;
    let fourth = append(&own, 3, vec![draft(&own, 4, 10)]);
    let fourth = Transaction { appends: vec![fourth], ..Transaction::default() };
    journal.commit(vec![fourth], RESTORED + 1).unwrap().remove(0).unwrap();
    let mut tokens = String::new();
    for direction in [Direction::Forward, Direction::Backward] {
        let page = journal.page(&query(direction), None).unwrap();
        tokens += &format!("{}\n", page.next.unwrap());
    }
    fs::write(fixture("page_tokens_v1"), tokens).unwrap();
    journal.close();
    drop(journal);
    keep(&target, &kept);
}

/// Three own records, the last one with an attachment, two mirrored ones, a control fact.
fn fill(journal: &Journal) {
    let (own, mirror) = (log("kz-75"), log("kz/all"));
    journal.ensure_own_log(&own, 1).unwrap();
    journal.ensure_mirror(&mirror, 1).unwrap();
    let mut writer = journal.attachment_writer(None).unwrap();
    writer.write(SEALED).unwrap();
    writer.finish().unwrap();
    let first = Transaction {
        command: Some(CLAIM),
        appends: vec![append(&own, 0, vec![draft(&own, 1, 10), draft(&own, 2, 200)])],
        controls: vec![Control { key: b"a/control".to_vec(), value: b"value".to_vec() }],
        ..Transaction::default()
    };
    let mut third = append(&own, 2, vec![draft(&own, 3, 300)]);
    third.drafts[0].header.attachments = named();
    let third = Transaction { appends: vec![third], ..Transaction::default() };
    let batch = Transaction { mirror: Some(mirrored(&mirror)), ..Transaction::default() };
    for outcome in journal.commit(vec![first, third, batch], RECORDED).unwrap() {
        outcome.unwrap();
    }
}

/// Copies what the format is: without index, lock and reserve, which are made anew.
fn keep(from: &Path, to: &Path) {
    for part in ["commits", "attachments"] {
        copy(&from.join(part), &to.join(part));
    }
    fs::copy(from.join("tail"), to.join("tail")).unwrap();
    let incoming = to.join("attachments/incoming");
    if incoming.exists() {
        fs::remove_dir(incoming).unwrap();
    }
}
