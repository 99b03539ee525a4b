//! A journal folder written by the first release is opened, checked and continued.

#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use std::fs;
use std::ops::ControlFlow;

use evidence::hash::hex;
use journal::{Control, Journal, Role, Transaction};
use support::{CLAIM, STREAM, append, copy, draft, fixture, log, mirrored, options};

/// Roots of the fixture's logs: what was promised then must hold for ever.
const OWN_ROOT: &str = include_str!("../fixtures/journal_v1.own-root");
const MIRROR_ROOT: &str = include_str!("../fixtures/journal_v1.mirror-root");

#[test]
fn journal_version_1_opens_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    copy(&fixture("journal_v1"), &folder);
    let (journal, _) = Journal::open(&folder, options()).unwrap();
    let (own, mirror) = (log("kz-75"), log("kz/all"));

    let info = journal.log(&own, 1).unwrap();
    assert_eq!((info.role, info.size), (Role::Own, 3));
    assert_eq!(hex(&info.root), OWN_ROOT.trim());
    let info = journal.log(&mirror, 1).unwrap();
    assert_eq!((info.role, info.size), (Role::Mirror, 2));
    assert_eq!(hex(&info.root), MIRROR_ROOT.trim());
    assert_eq!(journal.control(b"a/control"), Some(b"value".to_vec()));

    let records = journal.stream(&own, STREAM).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(records[2].open(), vec![3; 9_000], "a large record");
    let hit = journal.find_command(&CLAIM.key).unwrap().unwrap();
    assert_eq!((hit.request_hash, hit.first_seq, hit.count), ([3; 32], 0, 2));
    let report = journal.check(&mut |_| ControlFlow::Continue(()));
    assert!(report.is_clean(), "{:?}", report.damages);

    let next = append(&own, 3, vec![draft(&own, 4, 10)]);
    let next = Transaction { appends: vec![next], ..Transaction::default() };
    let committed = journal.commit(vec![next], 1_760_000_000_000_009).unwrap();
    assert_eq!(committed[0].as_ref().unwrap().positions[0].seq, 3);
}

/// Writes the fixture. Run by hand, once for each released format:
/// `cargo test -p compatibility-tests --test journal -- --ignored`.
#[test]
#[ignore = "writes the fixture of a release"]
fn write_the_fixture() {
    let folder = fixture("journal_v1");
    assert!(!folder.exists(), "a released fixture is never written again");
    let (journal, _) = Journal::open(&folder, options()).unwrap();
    let (own, mirror) = (log("kz-75"), log("kz/all"));
    journal.ensure_own_log(&own, 1).unwrap();
    journal.ensure_mirror(&mirror, 1).unwrap();
    let first = Transaction {
        command: Some(CLAIM),
        appends: vec![append(&own, 0, vec![draft(&own, 1, 10), draft(&own, 2, 200)])],
        controls: vec![Control { key: b"a/control".to_vec(), value: b"value".to_vec() }],
        ..Transaction::default()
    };
    let second = Transaction {
        appends: vec![append(&own, 2, vec![draft(&own, 3, 9_000)])],
        ..Transaction::default()
    };
    for outcome in journal.commit(vec![first, second], 1_760_000_000_000_001).unwrap() {
        outcome.unwrap();
    }
    let third = Transaction { mirror: Some(mirrored(&mirror)), ..Transaction::default() };
    journal.commit(vec![third], 1_760_000_000_000_002).unwrap().remove(0).unwrap();
    for (name, file) in [(&own, "own-root"), (&mirror, "mirror-root")] {
        let root = hex(&journal.log(name, 1).unwrap().root);
        fs::write(folder.with_extension(file), root + "\n").unwrap();
    }
    journal.close();
    // The index is rebuilt from the commit files; it belongs to sled's format, not to ours.
    drop(journal);
}
