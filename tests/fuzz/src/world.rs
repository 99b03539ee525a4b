//! The honest parties: keys, a log of seven records, its heads, proofs and bundle. Always the same.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;

use evidence::bundle::{Files, write};
use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::{LogName, origin};
use evidence::merkle::{Frontier, Nodes, consistency_proof, root_at};
use evidence::note::{SignedNote, Signer};
use evidence::policy::{Policy, region_policy};
use evidence::record::{
    ActorRef, AttachmentRef, Classification, HeadRef, KeyRef, ShortText, StreamRef, TraceContext,
    Urgency,
};
use evidence::succession::Succession;
use evidence::tiles::tiles_of;
use evidence::witness::AddCheckpoint;
use evidence::{Draft, Hash, Header, Record};

/// Records of the log.
pub const SIZE: u64 = 7;

/// Size of the head that a witness holds.
pub const HELD: u64 = 4;

/// The world, made once.
pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// Everything that is honest.
pub struct World {
    /// The key of the log.
    pub log: Signer,
    /// The key that follows it.
    pub next: Signer,
    /// Witness, mirror and a peer.
    pub cosigners: Vec<Signer>,
    /// The policy for the log.
    pub policy: Policy,
    /// The records.
    pub records: Vec<Record>,
    /// The nodes of the tree.
    pub nodes: Memory,
    /// The signed heads of sizes 1 to [`SIZE`], each with all cosignatures.
    pub notes: Vec<SignedNote>,
    /// The statement that `next` goes on after `log`.
    pub succession: String,
    /// The bundle.
    pub bundle: Folder,
}

/// When the cosigners cosign.
pub const TIME: u64 = 1_760_000_000;

impl World {
    fn new() -> Self {
        let name = LogName::new("kz-75").unwrap();
        let origin = origin("adal.example", &name, 1);
        let log = Signer::log(&origin, &[1; 32]).unwrap();
        let next = Signer::log(&evidence::log::origin("adal.example", &name, 2), &[9; 32]).unwrap();
        let of = |name: &str, seed| Signer::cosigner(&format!("adal.example/{name}"), &[seed; 32]);
        let names = [("witness/kz", 2), ("mirror/kz", 3), ("witness/kz-10", 4)];
        let cosigners: Vec<Signer> = names.map(|(name, seed)| of(name, seed).unwrap()).into();
        let keys: Vec<_> = cosigners.iter().map(Signer::verifier).collect();
        let policy = region_policy(&[log.verifier()], &keys[0], &keys[1], &keys[2..]).unwrap();
        let records: Vec<Record> =
            (0..SIZE).map(|seq| draft(&name, seq).into_record().unwrap()).collect();
        let nodes = Memory::of(records.iter().map(Record::leaf_hash));
        let note = |size| {
            let root = root_at(&nodes, size).unwrap();
            let head = Checkpoint { origin: origin.clone(), size, root };
            let mut note = head.sign(&log).unwrap();
            for cosigner in &cosigners {
                note = format!("{note}{}", cosign(&note, cosigner, TIME).unwrap());
            }
            SignedNote::parse(&note).unwrap()
        };
        let notes: Vec<SignedNote> = (1..=SIZE).map(note).collect();
        let closed =
            Checkpoint { origin: origin.clone(), size: SIZE, root: root_at(&nodes, SIZE).unwrap() };
        let statement = Succession { closed, successor: next.verifier() };
        let succession = statement.sign(&log).unwrap();
        let bundle = Folder::new(&policy, &records, &nodes, &notes);
        Self { log, next, cosigners, policy, records, nodes, notes, succession, bundle }
    }

    /// The request from the held head to the last one.
    #[must_use]
    pub fn request(&self) -> AddCheckpoint {
        let proof = consistency_proof(&self.nodes, HELD, SIZE).unwrap();
        AddCheckpoint::new(HELD, proof, self.notes[SIZE as usize - 1].clone()).unwrap()
    }

    /// Whether an honest head has this text.
    #[must_use]
    pub fn has_head(&self, text: &str) -> bool {
        self.notes.iter().any(|note| note.text() == text)
    }
}

/// A record; every other one uses every field.
pub(crate) fn draft(log: &LogName, seq: u64) -> Draft {
    let (id, full) = ([seq as u8 + 1; 16], seq.is_multiple_of(2));
    let text = |text| ShortText::new(text).unwrap();
    let header = Header {
        event_id: id,
        log: log.clone(),
        epoch: 1,
        seq,
        stream: StreamRef { kind: 2, id },
        stream_version: 3,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 1_760_000_000_000_000,
        recorded_at: 1_760_000_000_000_001,
        zone: text("Asia/Almaty"),
        actor: ActorRef { person: id, post: text("kz-75/clerk"), acting_for: id },
        command_id: id,
        causation_id: id,
        correlation_id: id,
        policy_version: 4,
        calendar_version: 5,
        classifier_version: 6,
        classification: Classification::Confidential,
        urgency: Urgency::Urgent,
        centre_head: full.then_some(HeadRef { size: 7, root: [8; 32] }),
        statement: full.then_some([9; 32]),
        keys: if full { vec![KeyRef { id, commitment: [10; 32] }] } else { Vec::new() },
        attachments: if full {
            vec![AttachmentRef { hash: [11; 32], size: 8, media: 9 }]
        } else {
            Vec::new()
        },
        trace: full.then_some(TraceContext { trace_id: id, span_id: [12; 8], flags: 1 }),
    };
    let body = |len: u64| vec![seq as u8; len as usize];
    Draft { header, blind: [seq as u8; 32], open: body(seq), sealed: body(seq * 3) }
}

/// The nodes of a log, each with the leaf that completes it.
#[derive(Default)]
pub struct Memory {
    nodes: Vec<Vec<Hash>>,
    /// The right edge.
    pub frontier: Frontier,
}

impl Memory {
    /// A tree of these leaf hashes.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut memory = Self::default();
        for leaf in leaves {
            let nodes = memory.frontier.append(leaf);
            memory.nodes.push(nodes);
        }
        memory
    }
}

impl Nodes for Memory {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let leaf = ((index + 1) << level) - 1;
        Ok(self.nodes[leaf as usize][usize::from(level)])
    }
}

/// A folder in memory.
#[derive(Clone, Default)]
pub struct Folder(pub BTreeMap<String, Vec<u8>>);

impl Folder {
    /// The honest bundle: two linked heads, a receipt, a slip, a leaf and a copy.
    fn new(policy: &Policy, records: &[Record], nodes: &Memory, notes: &[SignedNote]) -> Self {
        let (old, last) = (&notes[HELD as usize - 1], &notes[SIZE as usize - 1]);
        let prove = |index: usize, note| write::prove(nodes, &records[index], note).unwrap();
        let mut pieces = vec![
            write::policy(policy),
            write::checkpoint(old).unwrap(),
            write::checkpoint(last).unwrap(),
            write::consistency(nodes, HELD, last).unwrap(),
            write::receipt(&prove(5, last)),
            write::slip(&prove(3, old)),
            write::leaf(&records[5].leaf()),
            write::log_checkpoint(last),
        ];
        let entry = |index: u64| Ok(records[index as usize].leaf_data());
        pieces.extend(tiles_of(SIZE).map(|path| write::log_tile(nodes, &path, entry).unwrap()));
        Self(pieces.into_iter().map(|piece| (piece.name, piece.bytes)).collect())
    }
}

impl Files for Folder {
    type Error = &'static str;

    fn names(&self) -> Result<Vec<String>, Self::Error> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, Self::Error> {
        let bytes = self.0.get(name).ok_or("no such file")?;
        if bytes.len() > limit { Err("too large") } else { Ok(bytes.clone()) }
    }
}
