//! What the tests of journals share: the contents of the fixtures, the same in every run.

use std::fs;
use std::path::{Path, PathBuf};

use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::merkle::Frontier;
use evidence::record::{ActorRef, Classification, Draft, Header, ShortText, StreamRef, Urgency};
use evidence::verify;
use journal::{Append, CommandClaim, CommandKey, ExpectedVersion, Options};

pub const STREAM: StreamRef = StreamRef { kind: 2, id: [7; 16] };
pub const CLAIM: CommandClaim = CommandClaim {
    key: CommandKey { principal: [1; 16], command_id: [2; 16] },
    request_hash: [3; 32],
};

/// A file or folder of `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

pub fn options() -> Options {
    Options { segment_bytes: 64 * 1024, free_space_watermark: 0, ..Options::default() }
}

pub fn log(name: &str) -> LogName {
    name.parse().unwrap()
}

/// A draft that is the same in every run.
pub fn draft(log_name: &LogName, number: u8, open: usize) -> Draft {
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

/// Appends to [`STREAM`].
pub fn append(name: &LogName, expected: u32, drafts: Vec<Draft>) -> Append {
    let expected = ExpectedVersion::Exact(expected);
    Append { log: name.clone(), expected, stream: STREAM, drafts }
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
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

/// Two records of a log that is mirrored.
pub fn mirrored(name: &LogName) -> verify::VerifiedBatch {
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
