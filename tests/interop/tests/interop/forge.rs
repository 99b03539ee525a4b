//! A bundle from `evidence`'s pure functions, and trees to forge others from.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::hash::{Hash, sha256};
use evidence::log::LogName;
use evidence::merkle::{Nodes, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_at};
use evidence::record::{
    ActorRef, Classification, Draft, Header, Record, ShortText, StreamRef, Urgency,
};

use crate::bundle::{Bundle, Note};
use crate::keys::{Key, Keys, Kind};

/// Entries of the copy in `log/`: one full tile, one partial tile, one tile above them.
const COPIED: u64 = 300;

/// Entries of the log.
const ENTRIES: u64 = 305;

/// Leaf hashes, of which any node is computed when it is asked for.
#[derive(Clone, Default)]
pub struct Tree(pub Vec<Hash>);

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let mut hashes =
            self.0[(index << level) as usize..((index + 1) << level) as usize].to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(hashes[0])
    }
}

impl Tree {
    /// The tree over entries.
    pub fn of<T: AsRef<[u8]>>(entries: &[T]) -> Tree {
        Tree(entries.iter().map(|entry| leaf_hash(entry.as_ref())).collect())
    }

    /// Its root at a size.
    pub fn root(&self, size: u64) -> Hash {
        root_at(self, size).unwrap()
    }

    /// Lines of an inclusion proof.
    pub fn inclusion(&self, index: u64, size: u64) -> Vec<String> {
        lines(&inclusion_proof(self, index, size).unwrap())
    }

    /// Lines of a consistency proof.
    pub fn consistency(&self, old: u64, new: u64) -> Vec<String> {
        lines(&consistency_proof(self, old, new).unwrap())
    }
}

fn lines(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash)).collect()
}

/// The files of a copy of the log in the layout of C2SP tlog-tiles, the checkpoint not among them.
pub fn tiles(entries: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (n, entries) in entries.chunks(256).enumerate() {
        let framed = entries.iter().flat_map(|entry| {
            let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
            length.into_iter().chain(entry.iter().copied())
        });
        files.push((tile_path("entries", n, entries.len()), framed.collect()));
    }
    let mut tree = Tree::of(entries);
    for level in 0.. {
        let tiles: Vec<Tree> = tree.0.chunks(256).map(|hashes| Tree(hashes.to_vec())).collect();
        for (n, tile) in tiles.iter().enumerate() {
            files.push((tile_path(&level.to_string(), n, tile.0.len()), tile.0.concat()));
        }
        tree = Tree(tiles.iter().filter(|t| t.0.len() == 256).map(|t| t.root(256)).collect());
        if tree.0.is_empty() {
            break;
        }
    }
    files
}

fn tile_path(level: &str, n: usize, width: usize) -> String {
    assert!(n < 1000, "longer paths are not needed here");
    let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
    format!("log/tile/{level}/{n:03}{partial}")
}

/// An honest bundle, the keys behind it and the auditor's policy.
pub struct Honest {
    /// The files.
    pub bundle: Bundle,
    /// The keys.
    pub keys: Keys,
    /// The auditor's own copy of the policy.
    pub policy: String,
}

/// A bundle with every kind of file. Of its heads 7 and 305 lack the quorum, 5 is on a slip only.
pub fn honest() -> Honest {
    let keys = generated_keys();
    let policy = policy(&keys);
    let records: Vec<Record> = (0..ENTRIES).map(record).collect();
    let entries: Vec<Vec<u8>> = records.iter().map(Record::leaf_data).collect();
    let tree = Tree::of(&entries);
    let head = |size: u64| {
        let cosigners = match size {
            5 => Vec::new(),
            7 | ENTRIES => vec![&keys.witness],
            130 => vec![&keys.witness, &keys.mirror, &keys.peers[1]],
            _ => keys.cosigners(),
        };
        keys.head(size, &tree.root(size), &cosigners)
    };
    let mut bundle = Bundle::default();
    bundle.put("policy", policy.clone());
    for size in [7, 130, 256, COPIED, ENTRIES] {
        bundle.put(&format!("checkpoints/{size}"), head(size).text());
    }
    for (old, new) in [(7, 130), (130, 256), (256, COPIED), (COPIED, ENTRIES)] {
        let request = proof_text(&[format!("old {old}")], &tree.consistency(old, new), &head(new));
        bundle.put(&format!("consistency/{old}-{new}"), request);
    }
    let proof = |index: u64, size: u64, opened: bool, bare: bool| {
        let mut before = vec!["c2sp.org/tlog-proof@v1".to_owned()];
        if opened {
            before.push(format!("extra {}", STANDARD.encode(opening(&records[index as usize]))));
        }
        before.push(format!("index {index}"));
        let note = if bare { keys.head(size, &tree.root(size), &[]) } else { head(size) };
        proof_text(&before, &tree.inclusion(index, size), &note)
    };
    for (index, size, opened) in [(3, 130, true), (299, COPIED, true), (256, COPIED, false)] {
        bundle.put(&format!("receipts/{index}.tlog-proof"), proof(index, size, opened, false));
    }
    for (index, size) in [(4, 5), (129, 130)] {
        bundle.put(&format!("slips/{index}.tlog-proof"), proof(index, size, true, true));
    }
    for index in [0, 256] {
        bundle.put(&format!("leaves/{index}"), entries[index].clone());
    }
    bundle.put("log/checkpoint", head(COPIED).text());
    for (path, bytes) in tiles(&entries[..COPIED as usize]) {
        bundle.put(&path, bytes);
    }
    Honest { bundle, keys, policy }
}

/// A request or proof: lines, hashes, an empty line, the note.
pub fn proof_text(before: &[String], hashes: &[String], note: &Note) -> String {
    let lines: String = before.iter().chain(hashes).map(|line| format!("{line}\n")).collect();
    format!("{lines}\n{}", note.text())
}

fn generated_keys() -> Keys {
    let key = |name: &str| Key::derived(&format!("adal.example/{name}"), name);
    Keys {
        log: key("log/kz-75"),
        next: key("log/kz-75.e2"),
        witness: key("witness/kz"),
        mirror: key("mirror/kz"),
        peers: vec![key("witness/kz-71"), key("witness/kz-79")],
        stranger: key("witness/kz-99"),
    }
}

/// The policy of a region's log with two epochs.
fn policy(keys: &Keys) -> String {
    let names = ["kz-witness", "kz-mirror", "kz-71", "kz-79"];
    let witnesses: String = names
        .iter()
        .zip(keys.cosigners())
        .map(|(name, key)| format!("witness {name} {}\n", key.vkey(Kind::Cosigner)))
        .collect();
    format!(
        "# The log kz-75 from its first record.\nlog {}\nlog {}\n\n{witnesses}\n\
         group peers any kz-71 kz-79\ngroup kz-75 all kz-witness kz-mirror peers\nquorum kz-75\n",
        keys.log.vkey(Kind::Log),
        keys.next.vkey(Kind::Log),
    )
}

/// A record of made-up content: its kind, length and seal depend on its place.
fn record(seq: u64) -> Record {
    let noise = sha256(format!("record {seq}").as_bytes());
    let id = |n: u8| -> [u8; 16] { sha256(&[n, noise[0], noise[1]])[..16].try_into().unwrap() };
    let header = Header {
        event_id: id(1),
        log: LogName::new("kz-75").unwrap(),
        epoch: 1,
        seq,
        stream: StreamRef { kind: (seq % 5) as u16 + 1, id: id(2) },
        stream_version: 1,
        type_code: (seq % 7) as u32 + 100,
        schema_version: 1,
        occurred_at: 1_795_000_000_000_000 + seq as i64,
        recorded_at: 1_795_000_000_500_000 + seq as i64,
        zone: ShortText::new("Asia/Almaty").unwrap(),
        actor: ActorRef {
            person: id(3),
            post: ShortText::new("kz-75/clerk").unwrap(),
            acting_for: [0; 16],
        },
        command_id: id(4),
        causation_id: [0; 16],
        correlation_id: id(5),
        policy_version: 1,
        calendar_version: 1,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: Urgency::Normal,
        centre_head: None,
        statement: None,
        keys: Vec::new(),
        attachments: Vec::new(),
        trace: None,
    };
    let open = noise.repeat((seq % 4) as usize);
    let sealed = if seq.is_multiple_of(2) { noise.repeat(3) } else { Vec::new() };
    Draft { blind: noise, header, open, sealed }.into_record().unwrap()
}

/// The first record of the second epoch of a log, which says where the first one ended: its entry
/// and its opening.
pub fn successor(log: &str, size: u64, root: &Hash) -> (Vec<u8>, String) {
    let mut draft = record(0).to_draft();
    draft.header.log = LogName::new(log).unwrap();
    draft.header.epoch = 2;
    draft.header.type_code = 0x0c02;
    draft.open = [&[0x0a, log.len() as u8], log.as_bytes(), &[0x10, 1, 0x18]].concat();
    let mut rest = size;
    while rest >= 0x80 {
        draft.open.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    draft.open.extend([rest as u8, 0x22, 0x20]);
    draft.open.extend(root);
    let record = draft.into_record().unwrap();
    (record.leaf_data(), opening(&record))
}

/// The opening of a record, written by hand from the format's description.
fn opening(record: &Record) -> String {
    format!(
        "adal/opening/v1\nblind {}\nheader {}\npayload {}\n",
        STANDARD.encode(record.blind()),
        STANDARD.encode(record.header_and_open()),
        STANDARD.encode(record.payload_commit()),
    )
}
