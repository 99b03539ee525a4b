//! An office that shows the centre two histories of its log, and writes down what it gets for them.

use std::collections::BTreeMap;
use std::time::Duration;

use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::merkle::{Frontier, Nodes, consistency_proof, empty_root};
use evidence::note::{Signer, Verifier};
use evidence::record::StreamRef;
use replication::{Entries, Head, Hello, Holding, Message, PROTOCOL, RefusalCode, Role};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use wire::pb::replication::v1::Frame;
use wire::pb::replication::v1::replication_service_client::ReplicationServiceClient;

use crate::chance::Chance;
use crate::history::draft;

const DOMAIN: &str = "adal.example";
/// Records of each history; the office says that it has all of them.
const RECORDS: u64 = 200;
/// Lives of a hundred in which the office forges although nothing was left unanswered.
const FORGES: u64 = 25;
/// An answer of a centre that lives comes within this time.
const ANSWER: Duration = Duration::from_secs(5);

/// One history of the log.
struct History {
    records: Vec<Vec<u8>>,
    nodes: Vec<Vec<Hash>>,
    edge: Frontier,
}

impl Nodes for History {
    type Error = ();

    fn node(&self, level: u8, index: u64) -> Result<Hash, ()> {
        Ok(self.nodes[((index as usize + 1) << level) - 1][usize::from(level)])
    }
}

impl History {
    /// The first `shared` records are the same in all histories.
    fn new(log: &LogName, number: u8, shared: u64) -> Self {
        let mut history = Self { records: Vec::new(), nodes: Vec::new(), edge: Frontier::new() };
        for seq in 0..RECORDS {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&seq.to_be_bytes());
            id[8] = if seq < shared { 0 } else { number };
            let mut draft = draft(log.clone(), StreamRef { kind: 1, id }, id, 80);
            (draft.header.seq, draft.header.stream_version) = (seq, 1);
            draft.header.recorded_at = 1_760_000_000_000_000 + seq as i64;
            let record = draft.into_record().unwrap();
            history.nodes.push(history.edge.append(record.leaf_hash()));
            history.records.push(record.into_bytes());
        }
        history
    }

    fn root(&self, size: u64) -> Hash {
        evidence::merkle::root_at(self, size).unwrap()
    }
}

/// What the centre co-signed as witness and as mirror, by size.
#[derive(Debug, Default)]
pub struct Ledger {
    signed: BTreeMap<(&'static str, u64), Hash>,
    /// Heads of the other history that were refused as a fork.
    pub forks: u64,
    /// Lines that were got.
    pub lines: u64,
    /// Heads that the centre held after a cut and had not answered before it.
    pub unanswered: u64,
    /// Cuts after which the centre had witnessed a head and not mirrored what is below it.
    pub unmirrored: u64,
}

/// The office.
pub struct Forger {
    log: LogName,
    signer: Signer,
    histories: [History; 2],
    keys: [(&'static str, Verifier); 2],
    /// What the centre has ever signed.
    pub ledger: Ledger,
    /// The centre has met both histories: it takes nothing of this epoch any more.
    pub is_caught: bool,
    answered: u64,
    /// The head under way is of the other history than the one that was signed.
    forges: bool,
}

/// An open link.
struct Link {
    to: mpsc::Sender<Frame>,
    from: Streaming<Frame>,
    accepted: u64,
    /// The root of what was accepted.
    root: Hash,
    held: u64,
}

impl Forger {
    /// The office KZ-75 with its real log key; `witness`, `mirror`: the centre's public keys.
    pub fn new(seed: &[u8; 32], witness: &[u8; 32], mirror: &[u8; 32], shared: u64) -> Self {
        let log: LogName = "kz-75".parse().unwrap();
        let signer = Signer::log(&origin(DOMAIN, &log, 1), seed).unwrap();
        let key = |kind: &'static str, key| {
            (kind, Verifier::cosigner(&format!("{DOMAIN}/{kind}/kz"), key).unwrap())
        };
        Self {
            histories: [History::new(&log, 1, shared), History::new(&log, 2, shared)],
            keys: [key("witness", witness), key("mirror", mirror)],
            log,
            signer,
            ledger: Ledger::default(),
            is_caught: false,
            answered: 0,
            forges: false,
        }
    }

    fn note(&self, history: usize, size: u64) -> String {
        let (origin, root) = (self.signer.name().to_owned(), self.histories[history].root(size));
        Checkpoint { origin, size, root }.sign(&self.signer).unwrap()
    }

    /// The history of which the centre has signed; `None` while it could be either.
    fn signed(&self, link: &Link) -> Option<usize> {
        let is = |history: &usize| self.histories[*history].root(link.accepted) == link.root;
        match [0, 1].map(|history| is(&history)) {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        }
    }

    /// Shows the centre heads and records until it goes away or refuses. They are of one history,
    /// but for the first head of some lives, always where the centre has stored a head that it had
    /// not answered: that one is of the other history. `begun` is called when the first head is
    /// answered.
    pub async fn play(
        &mut self,
        channel: Channel,
        chance: &mut Chance,
        begun: impl FnOnce(),
        dead: impl Fn() -> bool,
    ) {
        let (mut first, mut begun, mut forge) = (true, Some(begun), false);
        while !dead() && !self.is_caught {
            let Some(mut link) = self.open(&channel).await else { return };
            if std::mem::take(&mut first) {
                let unanswered = link.accepted > self.answered;
                self.ledger.unanswered += u64::from(unanswered);
                forge = unanswered || chance.is(FORGES);
                self.ledger.unmirrored += u64::from(link.held < link.accepted);
            }
            let mut goes_on = true;
            while goes_on && !dead() && link.accepted + 4 < RECORDS {
                let signed = self.signed(&link);
                self.forges = signed.is_some() && std::mem::take(&mut forge);
                let history = match signed {
                    Some(signed) if self.forges => 1 - signed,
                    Some(signed) => signed,
                    None => chance.below(2) as usize,
                };
                goes_on = self.one(&mut link, history, chance.below(4)).await.is_some();
                if let Some(begun) = begun.take() {
                    begun();
                }
            }
        }
    }

    /// Opens a link and learns what the centre co-signed and holds.
    async fn open(&self, channel: &Channel) -> Option<Link> {
        let (to, frames) = mpsc::channel(16);
        let holding = Holding {
            log: self.log.clone(),
            epoch: 1,
            role: Role::Origin,
            size: RECORDS,
            root: [7; 32],
            head: None,
            succession: None,
            first: None,
        };
        let hello = Hello {
            protocol: PROTOCOL,
            office: "KZ-75".to_owned(),
            instance: [75; 16],
            software: "forger".to_owned(),
            holdings: vec![holding],
            features: Vec::new(),
            witnessed: Vec::new(),
            shown: Vec::new(),
        };
        to.send(wire::encode_frame(Message::Hello(hello))).await.ok()?;
        let mut client = ReplicationServiceClient::new(channel.clone())
            .accept_compressed(tonic::codec::CompressionEncoding::Zstd);
        let opening = client.link(ReceiverStream::new(frames));
        let from = tokio::time::timeout(ANSWER, opening).await.ok()?.ok()?.into_inner();
        let mut link = Link { to, from, accepted: 0, root: empty_root(), held: 0 };
        loop {
            if let Message::Hello(hello) = link.hear().await? {
                let mine = hello.holdings.into_iter().find(|h| h.log == self.log)?;
                link.held = mine.size;
                if let Some(head) = mine.head.map(|note| Checkpoint::parse(&note).unwrap()) {
                    (link.accepted, link.root) = (head.size, head.root);
                }
                return Some(link);
            }
        }
    }

    /// One head, and the records below it; `None`: this link goes no further.
    async fn one(&mut self, link: &mut Link, history: usize, by: u64) -> Option<()> {
        let (old, size) = (link.accepted, link.accepted + by);
        let proof = consistency_proof(&self.histories[history], old, size).unwrap();
        let note = self.note(history, size);
        let (log, epoch) = (self.log.clone(), 1);
        link.say(Message::Head(Head { log, epoch, note, old_size: old, proof })).await?;
        self.answer(link, history, size, true).await?;
        let from = link.held;
        if from >= size {
            return Some(());
        }
        let records = &self.histories[history].records[from as usize..size as usize];
        let entries = Entries {
            log: self.log.clone(),
            epoch: 1,
            first_seq: from,
            head_size: size,
            records: records.to_vec(),
            proof: Vec::new(),
        };
        link.say(Message::Entries(entries)).await?;
        self.answer(link, history, size, false).await
    }

    /// Waits for the answer to a head (`true`) or to records; writes down every line.
    async fn answer(
        &mut self,
        link: &mut Link,
        history: usize,
        size: u64,
        head: bool,
    ) -> Option<()> {
        loop {
            match link.hear().await? {
                Message::HeadAccepted(m) => {
                    link.root = self.write_down(0, history, m.size, &m.cosignature);
                    (link.accepted, self.answered) = (m.size, self.answered.max(m.size));
                    if head {
                        return Some(());
                    }
                }
                Message::Held(m) => {
                    if let Some(line) = &m.cosignature {
                        self.write_down(1, history, m.size, line);
                    }
                    link.held = m.size;
                    if !head && m.size >= size {
                        return Some(());
                    }
                }
                Message::Refused(m) if m.log.as_ref() == Some(&self.log) => {
                    let is_fork = m.code == RefusalCode::Fork;
                    self.ledger.forks += u64::from(is_fork && self.forges);
                    self.is_caught |= is_fork;
                    return None;
                }
                Message::Ping { nonce } => link.say(Message::Pong { nonce }).await?,
                _ => {}
            }
        }
    }

    /// A line counts for the head that was shown; one that does not verify on it is of the other,
    /// and one of neither is a failure. Gives the root that was signed.
    fn write_down(&mut self, key: usize, history: usize, size: u64, line: &str) -> Hash {
        let (kind, verifier) = &self.keys[key];
        let of = [history, 1 - history]
            .into_iter()
            .find(|history| verify_cosignature(&self.note(*history, size), line, verifier).is_ok());
        let root = self.histories[of.unwrap()].root(size);
        self.ledger.lines += 1;
        let before = *self.ledger.signed.entry((kind, size)).or_insert(root);
        assert_eq!(before, root, "the centre co-signed two roots for size {size} as {kind}");
        root
    }

    /// Whatever was signed is one history.
    pub fn audit(&self) {
        let signed = &self.ledger.signed;
        let one =
            |history: &History| signed.iter().all(|((_, size), root)| history.root(*size) == *root);
        assert!(self.histories.iter().any(one), "two histories are co-signed: {signed:?}");
    }
}

impl Link {
    async fn say(&self, message: Message) -> Option<()> {
        self.to.send(wire::encode_frame(message)).await.ok()
    }

    async fn hear(&mut self) -> Option<Message> {
        loop {
            let heard = tokio::time::timeout(ANSWER, self.from.message()).await.ok()?;
            // Frames that this office does not know are none of its affair.
            if let Ok(message) = wire::decode_frame(heard.ok()??) {
                return Some(message);
            }
        }
    }
}
