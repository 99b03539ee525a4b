//! A journal folder written by the first release is opened, checked and continued.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use evidence::checkpoint::Checkpoint;
use evidence::hash::hex;
use evidence::log::{LogName, origin};
use evidence::merkle::Frontier;
use evidence::record::{ActorRef, Classification, Draft, Header, ShortText, StreamRef, Urgency};
use evidence::verify;
use journal::{
    Append, CommandClaim, CommandKey, Control, ExpectedVersion, Journal, Options, Role, Transaction,
};

/// Roots of the fixture's logs: what was promised then must hold for ever.
const OWN_ROOT: &str = include_str!("../fixtures/journal_v1.own-root");
const MIRROR_ROOT: &str = include_str!("../fixtures/journal_v1.mirror-root");

const STREAM: StreamRef = StreamRef { kind: 2, id: [7; 16] };
const CLAIM: CommandClaim = CommandClaim {
    key: CommandKey { principal: [1; 16], command_id: [2; 16] },
    request_hash: [3; 32],
};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal_v1")
}

fn options() -> Options {
    Options { segment_bytes: 64 * 1024, free_space_watermark: 0, ..Options::default() }
}

fn log(name: &str) -> LogName {
    name.parse().unwrap()
}

/// A draft that is the same in every run.
fn draft(log_name: &LogName, number: u8, open: usize) -> Draft {
    let header = Header {
        event_id: [number; 16],
        log: log_name.clone(),
        epoch: 1,
        seq: 0,
        stream: STREAM,
        stream_version: 1,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 1_760_000_000_000_000,
        recorded_at: 0,
        zone: ShortText::new("Asia/Almaty").unwrap(),
        actor: ActorRef {
            person: [9; 16],
            post: ShortText::new("kz-75/clerk").unwrap(),
            acting_for: [0; 16],
        },
        command_id: [2; 16],
        causation_id: [0; 16],
        correlation_id: [0; 16],
        policy_version: 1,
        calendar_version: 0,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: Urgency::Normal,
        centre_head: None,
        statement: None,
        keys: Vec::new(),
        attachments: Vec::new(),
        trace: None,
    };
    Draft { header, blind: [number; 32], open: vec![number; open], sealed: Vec::new() }
}

fn append(name: &LogName, expected: u32, drafts: Vec<Draft>) -> Append {
    let expected = ExpectedVersion::Exact(expected);
    Append { log: name.clone(), expected, stream: STREAM, drafts }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn journal_version_1_opens_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    copy(&fixture(), &folder);
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
    let folder = fixture();
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

fn mirrored(name: &LogName) -> verify::VerifiedBatch {
    let mut frontier = Frontier::new();
    let mut records = Vec::new();
    for number in 0..2_u8 {
        let mut draft = draft(name, 10 + number, 50);
        draft.header.seq = u64::from(number);
        draft.header.stream_version = u32::from(number) + 1;
        draft.header.recorded_at = 1_760_000_000_000_000 + i64::from(number);
        draft.header.stream.id = [8; 16];
        let record = draft.into_record().unwrap();
        frontier.append(record.leaf_hash());
        records.push(record.into_bytes());
    }
    let (size, root) = (frontier.size(), frontier.root());
    let head = Checkpoint { origin: origin("adal.example", name, 1), size, root };
    verify::admit(&Frontier::new(), name, 1, records, 0, &head, &[]).unwrap()
}
