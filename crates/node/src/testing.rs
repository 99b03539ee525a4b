//! Offices in temporary folders, without network, and logs that go from one to the other.

pub mod network;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use domain::office::OfficeEnrolled;
use domain::permission::Actor;
use domain::{Code, Fact, Post, Role, Timestamp};
use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::record::{Draft, Record, StreamRef, TraceContext};
use identity::{NodeKeys, Trust};
use journal::disk::os::OsDisk;
use journal::index::sled::SledStore;
use journal::index::{Applying, Entry, IVec, Index, IndexBatch, IndexStore};
use journal::{
    Append, ExpectedVersion, IndexError, IndexOpenError, Journal, OpenError, OpenReport,
    QuarantinedIndex, Transaction,
};
use telemetry::Metrics;
use tempfile::TempDir;
use uuid::Uuid;

use crate::link::store::{self, Head};
use crate::office::SharedOffice;
use crate::options::Options;
use crate::records::Opening;
use crate::seal::{self, Provenance};
use crate::start;
use crate::supervisor::Supervisor;

const DOMAIN: &str = "adal.example";

/// An office whose stores are open; none of its tasks runs but the writer.
pub struct Desk {
    /// The office.
    pub office: SharedOffice,
    /// Its folder.
    pub dir: TempDir,
}

/// An office that has just been installed.
pub async fn desk(code: &str) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let options = install(dir.path(), code);
    let office =
        start::open(options, Metrics::disabled(), Supervisor::new(), &Journal::open).await.unwrap();
    Desk { office, dir }
}

impl Desk {
    /// The office after its process was killed and started again.
    pub async fn killed(self) -> Desk {
        self.killed_and_opened(&Journal::open).await
    }

    /// As [`Desk::killed`], with a journal that is opened in this way.
    pub async fn killed_and_opened(self, opening: &Opening) -> Desk {
        self.killed_with(opening, |_| ()).await
    }

    /// As [`Desk::killed`], with other options.
    pub async fn killed_and_set(self, set: impl FnOnce(&mut Options)) -> Desk {
        self.killed_with(&Journal::open, set).await
    }

    async fn killed_with(self, opening: &Opening, set: impl FnOnce(&mut Options)) -> Desk {
        let Desk { office, dir } = self;
        let mut options = office.options.clone();
        set(&mut options);
        // The writer's thread holds the journal until the last handle is gone.
        drop(office);
        for _ in 0..200 {
            let (options, supervisor) = (options.clone(), Supervisor::new());
            match start::open(options, Metrics::disabled(), supervisor, opening).await {
                Ok(office) => return Desk { office, dir },
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
        panic!("the office's folder does not become free");
    }

    /// Appends facts, each in a stream of its own kind and this id.
    pub async fn record(&self, log: &LogName, facts: &[(Uuid, Fact)]) {
        for (id, fact) in facts {
            self.append(log, self.draft(log, *id, fact)).await;
        }
    }

    /// The same with a clock that shows `at`, microseconds since 1970.
    pub async fn record_at(&self, at: i64, log: &LogName, facts: &[(Uuid, Fact)]) {
        for (id, fact) in facts {
            let draft = self.draft(log, *id, fact);
            let (stream, expected) = (draft.header.stream, ExpectedVersion::Any);
            let append = Append { log: log.clone(), expected, stream, drafts: vec![draft] };
            let transaction = Transaction { appends: vec![append], ..Transaction::default() };
            let commit = move |journal: &Journal| journal.commit(vec![transaction], at);
            let outcomes = self.office.journal.on_thread(commit).await.unwrap().unwrap();
            outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        }
    }

    /// The draft of one fact.
    pub fn draft(&self, log: &LogName, id: Uuid, fact: &Fact) -> Draft {
        let kind = fact.stream_kind().unwrap().code();
        let actor = Actor {
            person: Uuid::from_u128(7).into(),
            post: Post::new("kz/national").unwrap(),
            role: Role::National,
            office: self.office.code.clone(),
        };
        let provenance = Provenance {
            actor: &actor,
            occurred_at: Timestamp::from_micros(1_770_000_000_000_000),
            zone: &self.office.zone,
            command: Uuid::now_v7(),
            causation: Uuid::nil(),
            correlation: Uuid::nil(),
        };
        let stream = StreamRef { kind, id: id.into_bytes() };
        seal::draft(&self.office, log, stream, fact, &provenance).unwrap()
    }

    /// Appends one draft.
    pub async fn append(&self, log: &LogName, draft: Draft) {
        let stream = draft.header.stream;
        let (log, expected) = (log.clone(), ExpectedVersion::Any);
        let append = Append { log, expected, stream, drafts: vec![draft] };
        let transaction = Transaction { appends: vec![append], ..Transaction::default() };
        self.office.writer.write(transaction).await.unwrap();
    }

    /// Every record of a log.
    pub fn records(&self, log: &LogName) -> Vec<Record> {
        self.office.journal.range(log, 1, 0, usize::MAX, usize::MAX).unwrap()
    }

    /// Mirrors what another office's log holds beyond the mirror, and accepts its head.
    pub async fn mirror(&self, from: &Desk, log: &LogName) {
        self.mirror_epoch(from, log, 1).await;
    }

    /// The same for one epoch.
    pub async fn mirror_epoch(&self, from: &Desk, log: &LogName, epoch: u32) {
        self.office.journal.ensure_mirror(log, epoch).await.unwrap();
        let held = self.office.journal.frontier(log, epoch).unwrap();
        let first = held.size();
        let new = from.office.journal.range(log, epoch, first, usize::MAX, usize::MAX).unwrap();
        let bytes = new.into_iter().map(Record::into_bytes).collect();
        let info = from.office.journal.log(log, epoch).unwrap();
        let (size, root) = (info.size, info.root);
        let head = Checkpoint { origin: origin(DOMAIN, log, epoch), size, root };
        let batch = evidence::verify::admit(&held, log, epoch, bytes, first, &head, &[]).unwrap();
        self.accept_epoch(log, epoch, size, root).await;
        let transaction = Transaction { mirror: Some(batch), ..Transaction::default() };
        self.office.writer.write(transaction).await.unwrap();
    }

    /// Accepts a head of a mirrored log.
    pub async fn accept(&self, log: &LogName, size: u64, root: [u8; 32]) {
        self.accept_epoch(log, 1, size, root).await;
    }

    async fn accept_epoch(&self, log: &LogName, epoch: u32, size: u64, root: [u8; 32]) {
        let head = Head { at: 1, size, root, note: String::new() };
        let controls = vec![store::accept(log, epoch, &head)];
        let transaction = Transaction { controls, ..Transaction::default() };
        self.office.writer.write(transaction).await.unwrap();
    }

    /// Flips one bit of a record in the commit files; the same again mends it.
    pub fn flip(&self, record: &Record) {
        let bytes = record.bytes();
        for entry in fs::read_dir(self.dir.path().join("data/journal/commits")).unwrap() {
            let path = entry.unwrap().path();
            let mut file = fs::read(&path).unwrap();
            let needle = &bytes[..16];
            let hit = |w: &[u8]| w == needle || w == flipped(needle).as_slice();
            if let Some(at) = file.windows(16).position(hit) {
                file[at] ^= 1;
                // In its place: the journal has the file open.
                let open = fs::OpenOptions::new().write(true).open(&path).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&open, &file[at..=at], at as u64).unwrap();
                return;
            }
        }
        panic!("the record is in no commit file");
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut other = bytes.to_vec();
    other[0] ^= 1;
    other
}

fn install(dir: &Path, code: &str) -> Options {
    let keys = dir.join("keys");
    let made = NodeKeys::create(&keys).unwrap();
    let centre = (&made.public("KZ").unwrap()).into();
    Trust { domain: DOMAIN.to_owned(), centre }.save(&keys.join("trust.toml")).unwrap();
    configure(dir, code)
}

/// The options of an office whose keys are there.
fn configure(dir: &Path, code: &str) -> Options {
    let path: PathBuf = dir.join("office.toml");
    let centre = if code == "KZ" { "" } else { "[centre]\naddress = \"127.0.0.1:1\"\n" };
    let small = "[journal]\nsegment_mib = 1\nfree_space_watermark_mib = 1\n";
    fs::write(&path, format!("office = \"{code}\"\n{centre}{small}")).unwrap();
    Options::load(&path).unwrap()
}

/// Keeps an index from being compared with the commit files until it is opened.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    is_reached: bool,
    is_open: bool,
}

impl Gate {
    /// Lets the index be compared.
    pub fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.changed.notify_all();
    }

    /// Waits, on this thread, until an index waits for it.
    pub fn reached(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !state.is_reached).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_reached = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.is_open).unwrap());
    }

    /// Opens journals whose index waits for this gate.
    pub fn opening(self: Arc<Gate>) -> Box<Opening> {
        Box::new(move |dir, options| {
            let store = SledStore::new(&dir.join("index"), options.sled_cache_bytes);
            let slow = Slow { store, gate: self.clone() };
            let options = journal::Options { index_grace: Duration::ZERO, ..options };
            Journal::open_on(Arc::new(OsDisk), Arc::new(slow), dir, options)
        })
    }
}

/// Opens journals whose index cannot be opened.
pub fn no_index(dir: &Path, options: journal::Options) -> Result<Opened, OpenError> {
    Journal::open_on(Arc::new(OsDisk), Arc::new(NoIndex), dir, options)
}

/// What comes of opening a journal.
type Opened = (Journal, OpenReport);

struct NoIndex;

impl IndexStore for NoIndex {
    fn exists(&self) -> bool {
        true
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Err(IndexError::new("not in this test").into())
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        Ok(None)
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        None
    }

    fn discard(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

struct Slow {
    store: SledStore,
    gate: Arc<Gate>,
}

impl IndexStore for Slow {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        let (index, gate) = (self.store.open()?, self.gate.clone());
        Ok(Arc::new(SlowIndex { index, gate }))
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        self.store.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.store.discard()
    }

    fn applying(&self) -> Applying {
        self.store.applying()
    }
}

struct SlowIndex {
    index: Arc<dyn Index>,
    gate: Arc<Gate>,
}

impl Index for SlowIndex {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError> {
        self.index.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.index.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.gate.pass();
        self.index.scan(from, to, visit)
    }

    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError> {
        self.index.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.index.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.index.flush()
    }

    fn disk_bytes(&self) -> u64 {
        self.index.disk_bytes()
    }
}

/// A log's name.
pub fn log(name: &str) -> LogName {
    name.parse().unwrap()
}

/// The opening of a contact without a personal part.
pub fn contact(number: u128) -> (Uuid, Fact) {
    let code = |text| Code::new(text).unwrap();
    let fact = domain::contact::ContactOpened {
        channel: code("phone"),
        line: None,
        language: code("kk"),
        personal: None,
    };
    (Uuid::from_u128(number), fact.into())
}

/// The enrolment of an office.
pub fn enrolment(code: &str) -> (Uuid, Fact) {
    let code: domain::OfficeCode = code.parse().unwrap();
    let id = domain::ids::OfficeId::of(&code).uuid();
    let name = || code.to_string();
    let fact = OfficeEnrolled {
        name_kk: name(),
        name_ru: name(),
        name_en: name(),
        zone: "Asia/Almaty".to_owned(),
        log_key: [1; 32],
        witness_key: [2; 32],
        mirror_key: None,
        code: code.clone(),
    };
    (id, fact.into())
}

/// The enrolment of an office with the keys that it has.
pub fn enrolment_of(desk: &Desk) -> (Uuid, Fact) {
    let code = desk.office.code.as_str();
    let (id, fact) = enrolment(code);
    let Fact::Office(domain::office::OfficeFact::Enrolled(enrolled)) = fact else {
        return (id, fact);
    };
    let public = desk.office.keys.public(code).unwrap();
    let (log_key, witness_key) = (public.log, public.witness);
    (id, OfficeEnrolled { log_key, witness_key, ..enrolled }.into())
}

/// A trace.
pub fn trace(number: u8) -> TraceContext {
    TraceContext { trace_id: [number; 16], span_id: [number; 8], flags: 1 }
}
