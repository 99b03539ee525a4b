//! What the writers write: every record names its transaction, so that whoever finds it can tell
//! what else must be there.

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::merkle::{Frontier, Nodes, consistency_proof};
use evidence::record::{ActorRef, Classification, Draft, Header, ShortText, StreamRef, Urgency};
use evidence::verify::{VerifiedBatch, admit};
use journal::{Append, CommandClaim, CommandKey, Control, ExpectedVersion, Transaction};

use crate::chance::Chance;

/// Own logs: the centre's, and one for each of 22 offices.
pub const LOGS: usize = 24;
/// Records of one mirrored log.
pub const MIRRORED: u64 = 240;
/// Writing threads of one process, without the one that mirrors.
pub const THREADS: u8 = 3;
/// Keys of control facts that records of the log with that number go with.
const CONTROLS: u64 = 6;

/// A 16-byte id.
pub type Id = [u8; 16];

/// Name of an own log.
pub fn own(number: usize) -> LogName {
    let text = match number {
        0 => "kz".to_owned(),
        1 => "kz/all".to_owned(),
        office => format!("kz/kz-{:02}", office - 1),
    };
    LogName::new(&text).unwrap()
}

/// Name of a mirrored log.
pub fn mirrored(number: u32) -> LogName {
    LogName::new(&format!("kz-{number:02}")).unwrap()
}

/// A transaction of a writer; its bytes are in the id of each of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxId {
    /// Which run of the writer, never the same twice for one folder.
    pub generation: u32,
    /// Which of its threads.
    pub thread: u8,
    /// Which of the thread's transactions.
    pub counter: u32,
}

/// What an event id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The transaction.
    pub tx: TxId,
    /// Which of its records.
    pub number: u16,
    /// How many records it has.
    pub of: u16,
    /// It is a command.
    pub command: bool,
    /// It sets the control fact of its log.
    pub control: bool,
}

impl Member {
    /// The event id.
    pub fn id(&self) -> Id {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.tx.generation.to_be_bytes());
        id[4] = self.tx.thread;
        id[5] = u8::from(self.command) | u8::from(self.control) << 1;
        id[6..10].copy_from_slice(&self.tx.counter.to_be_bytes());
        id[10..12].copy_from_slice(&self.number.to_be_bytes());
        id[12..14].copy_from_slice(&self.of.to_be_bytes());
        id[14..].copy_from_slice(b"TX");
        id
    }

    /// Reads an event id; `None` for one of a mirror.
    pub fn of(id: &Id) -> Option<Self> {
        let u32_at = |at: usize| u32::from_be_bytes([id[at], id[at + 1], id[at + 2], id[at + 3]]);
        let u16_at = |at: usize| u16::from_be_bytes([id[at], id[at + 1]]);
        let tx = TxId { generation: u32_at(0), thread: id[4], counter: u32_at(6) };
        let (command, control) = (id[5] & 1 == 1, id[5] & 2 == 2);
        let member = Self { tx, number: u16_at(10), of: u16_at(12), command, control };
        (&id[14..] == b"TX").then_some(member)
    }

    /// The first record of the same transaction: its id is the command's too.
    pub fn first(&self) -> Id {
        Self { number: 0, ..*self }.id()
    }
}

/// Key of the control fact that records of an own log go with.
pub fn control_key(log: usize) -> Vec<u8> {
    format!("c/{log:02}").into_bytes()
}

/// Key of the control fact that says how far a mirror is.
pub fn cursor_key(log: &LogName) -> Vec<u8> {
    format!("cursor/{log}").into_bytes()
}

/// The claim of the command whose first record has this id.
pub fn claim(first: Id) -> CommandClaim {
    let mut request_hash = [0x5a; 32];
    request_hash[..16].copy_from_slice(&first);
    CommandClaim { key: CommandKey { principal: [7; 16], command_id: first }, request_hash }
}

/// Bytes of a payload: mostly small, now and then large, so that chunks and long groups occur.
fn payload(chance: &mut Chance) -> usize {
    let size = match chance.below(200) {
        0 => chance.between(100_000, 250_000),
        1..=6 => chance.between(4_000, 30_000),
        _ => chance.between(50, 1_200),
    };
    size as usize
}

/// The transaction with this id. The same seed and id give the same one.
pub fn transaction(seed: u64, tx: TxId) -> Transaction {
    let mixed = u64::from(tx.generation) << 40 ^ u64::from(tx.thread) << 32 ^ u64::from(tx.counter);
    let mut chance = Chance::new(seed ^ mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut command, mut control) = (chance.is(20), false);
    let mut parts: Vec<(usize, Vec<usize>)> = Vec::new();
    match chance.below(100) {
        // A directive into many logs.
        0..12 => {
            command = true;
            parts.extend((0..LOGS).map(|log| (log, vec![chance.between(50, 400) as usize])));
        }
        12..30 => {
            let count = chance.between(2, 7);
            let lengths = (0..count).map(|_| payload(&mut chance)).collect();
            parts.push((chance.below(LOGS as u64) as usize, lengths));
        }
        30..42 => {
            control = true;
            parts.push((chance.below(CONTROLS) as usize, vec![payload(&mut chance)]));
        }
        _ => parts.push((chance.below(LOGS as u64) as usize, vec![payload(&mut chance)])),
    }
    let of = parts.iter().map(|(_, lengths)| lengths.len() as u16).sum();
    let member = |number| Member { tx, number, of, command, control };
    let mut controls = Vec::new();
    if control {
        let mut value = member(0).id().to_vec();
        value.resize(16 + chance.below(2_000) as usize, tx.counter as u8);
        controls.push(Control { key: control_key(parts[0].0), value });
    }
    let mut number = 0;
    let mut append = |(log, lengths): (usize, Vec<usize>)| {
        let stream = StreamRef {
            kind: 2,
            id: [log as u8 + 1, chance.below(3) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        };
        let mut draft = |len| {
            number += 1;
            draft(own(log), stream, member(number - 1).id(), len)
        };
        let drafts = lengths.into_iter().map(&mut draft).collect();
        Append { log: own(log), expected: ExpectedVersion::Any, stream, drafts }
    };
    let appends = parts.into_iter().map(&mut append).collect();
    let command = command.then(|| claim(member(0).id()));
    Transaction { command, appends, controls, ..Transaction::default() }
}

/// A draft whose content follows from its event id.
pub fn draft(log: LogName, stream: StreamRef, event_id: Id, len: usize) -> Draft {
    let text = |text| ShortText::new(text).unwrap();
    let mut blind = [3; 32];
    blind[..16].copy_from_slice(&event_id);
    let header = Header {
        event_id,
        log,
        epoch: 1,
        seq: 0,
        stream,
        stream_version: 1,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 1_760_000_000_000_000,
        recorded_at: 0,
        zone: text("Asia/Almaty"),
        actor: ActorRef { person: [1; 16], post: text("kz/clerk"), acting_for: [0; 16] },
        command_id: [0; 16],
        causation_id: [0; 16],
        correlation_id: [0; 16],
        policy_version: 1,
        calendar_version: 1,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: Urgency::Normal,
        centre_head: None,
        statement: None,
        keys: vec![],
        attachments: vec![],
        trace: None,
    };
    let salt = event_id.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let open = (0..len as u64).map(|i| (i.wrapping_mul(31) + salt) as u8).collect();
    Draft { header, blind, open, sealed: vec![9; 24] }
}

/// A log of another office, the same in every process.
pub struct Origin {
    /// Its name.
    pub log: LogName,
    records: Vec<Vec<u8>>,
    nodes: Vec<Vec<Hash>>,
    edge: Frontier,
}

impl Nodes for Origin {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<Hash, ()> {
        Ok(self.nodes[((index as usize + 1) << level) - 1][usize::from(level)])
    }
}

impl Origin {
    /// The mirrored log with this number.
    pub fn new(number: u32) -> Self {
        let log = mirrored(number);
        let (records, nodes, edge) = (Vec::new(), Vec::new(), Frontier::new());
        let mut origin = Self { log, records, nodes, edge };
        for seq in 0..MIRRORED {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            id[6..14].copy_from_slice(&seq.to_be_bytes());
            id[14..].copy_from_slice(b"MI");
            let mut stream = StreamRef { kind: 3, id };
            stream.id[6..14].copy_from_slice(&(seq % 5).to_be_bytes());
            let len = if seq % 60 == 59 { 9_000 } else { 60 + seq as usize * 3 };
            let mut draft = draft(origin.log.clone(), stream, id, len);
            let header = &mut draft.header;
            (header.seq, header.stream_version) = (seq, (seq / 5) as u32 + 1);
            header.recorded_at = 1_760_000_000_000_000 + seq as i64;
            let record = draft.into_record().unwrap();
            origin.nodes.push(origin.edge.append(record.leaf_hash()));
            origin.records.push(record.into_bytes());
        }
        origin
    }

    /// The stored bytes of one record.
    pub fn record(&self, seq: u64) -> &[u8] {
        &self.records[seq as usize]
    }

    /// Up to `count` further records for a mirror that holds `held`; `None` at the end.
    pub fn batch(&self, held: &Frontier, count: u64) -> Option<VerifiedBatch> {
        let (from, to) = (held.size(), (held.size() + count).min(self.edge.size()));
        if from == to {
            return None;
        }
        let origin = origin("adal.example", &self.log, 1);
        let head = Checkpoint { origin, size: self.edge.size(), root: self.edge.root() };
        let proof = consistency_proof(self, to, head.size).unwrap();
        let records = self.records[from as usize..to as usize].to_vec();
        Some(admit(held, &self.log, 1, records, from, &head, &proof).unwrap())
    }
}
