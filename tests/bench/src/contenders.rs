//! The stores that are compared. All take the same groups; each makes a group durable in its way.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::merkle::Frontier;
use evidence::verify::admit;
use journal::{Journal, Options, Transaction};

use crate::draft::{Maker, RECORD};

/// Domain of the signed heads; any would do.
const DOMAIN: &str = "adal.example";

/// A node flushes the index about this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// One store.
pub trait Store {
    /// One record, made before the clock runs.
    type Item: Send;

    /// Its name in tables.
    fn label(&self) -> &'static str;

    /// Makes the next record. Its work is not measured.
    fn prepare(&mut self) -> Result<Self::Item>;

    /// Stores a group. When this returns, the group may be acknowledged.
    fn commit(&mut self, group: Vec<Self::Item>) -> Result<()>;

    /// Ends work that was put off, so that it does not fall on whoever is measured next.
    fn settle(&mut self) -> Result<()>;
}

/// The front alone: acknowledges without storing anything.
pub struct Nothing;

impl Store for Nothing {
    type Item = Vec<u8>;

    fn label(&self) -> &'static str {
        "front alone"
    }

    fn prepare(&mut self) -> Result<Vec<u8>> {
        Ok(vec![9; RECORD])
    }

    fn commit(&mut self, group: Vec<Vec<u8>>) -> Result<()> {
        drop(group);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A bare file: one append and one `fdatasync` a group.
pub struct Bare {
    file: File,
    buffer: Vec<u8>,
}

impl Bare {
    /// A new file `bare` in `dir`.
    pub fn create(dir: &Path) -> Result<Self> {
        let options = OpenOptions::new().create_new(true).append(true).clone();
        let file = options.open(dir.join("bare")).context("create the bare file")?;
        Ok(Self { file, buffer: Vec::new() })
    }
}

impl Store for Bare {
    type Item = Vec<u8>;

    fn label(&self) -> &'static str {
        "bare file"
    }

    fn prepare(&mut self) -> Result<Vec<u8>> {
        Ok(vec![9; RECORD])
    }

    fn commit(&mut self, group: Vec<Vec<u8>>) -> Result<()> {
        self.buffer.clear();
        group.iter().for_each(|record| self.buffer.extend_from_slice(record));
        self.file.write_all(&self.buffer)?;
        Ok(self.file.sync_data()?)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// sled as somebody uses it who trusts `flush`: one insert a record, one flush a group. On Linux
/// that is not durable: sled 0.34.7 never calls `fsync` there.
pub struct PlainSled {
    db: sled::Db,
    file: PathBuf,
    next: u64,
}

impl PlainSled {
    /// A new database `sled` in `dir`.
    pub fn create(dir: &Path) -> Result<Self> {
        let dir = dir.join("sled");
        Ok(Self { db: sled::open(&dir)?, file: dir.join("db"), next: 0 })
    }
}

impl Store for PlainSled {
    type Item = Vec<u8>;

    fn label(&self) -> &'static str {
        "plain sled"
    }

    fn prepare(&mut self) -> Result<Vec<u8>> {
        Ok(vec![9; RECORD])
    }

    fn commit(&mut self, group: Vec<Vec<u8>>) -> Result<()> {
        for record in group {
            self.db.insert(self.next.to_be_bytes(), record)?;
            self.next += 1;
        }
        self.db.flush()?;
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        // What it did not sync would be written while another is measured.
        Ok(File::open(&self.file)?.sync_data()?)
    }
}

/// A journal and the duty that a node has beside it.
pub struct OpenJournal {
    /// The journal.
    pub journal: Journal,
    stop: Option<SyncSender<()>>,
    flusher: Option<JoinHandle<()>>,
}

impl OpenJournal {
    /// Opens the journal in `dir` and flushes its index every second from now on.
    pub fn open(dir: &Path) -> Result<Self> {
        let (journal, _) = Journal::open(dir, Options::default())?;
        Self::beside(journal)
    }

    /// Flushes the index of an open journal every second from now on.
    pub fn beside(journal: Journal) -> Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let flushed = journal.clone();
        let body = move || {
            let waited = || stopped.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout);
            while waited() && flushed.flush_index().is_ok() {}
        };
        let flusher = std::thread::Builder::new().name("flusher".to_owned()).spawn(body)?;
        Ok(Self { journal, stop: Some(stop), flusher: Some(flusher) })
    }

    /// Stores a group; an error if a transaction is refused.
    pub fn commit(&self, group: Vec<Transaction>, clock: i64) -> Result<()> {
        for result in self.journal.commit(group, clock)? {
            result?;
        }
        Ok(())
    }
}

impl Drop for OpenJournal {
    fn drop(&mut self) {
        self.stop.take();
        // It does not panic; an error of its flush stops the journal, whose next commit tells.
        let _ = self.flusher.take().map(JoinHandle::join);
    }
}

/// The log that is written.
pub fn own_log() -> Result<LogName> {
    Ok(LogName::new("kz-75")?)
}

/// The journal, own log, through its public interface.
pub struct Own {
    open: OpenJournal,
    maker: Maker,
    with_commands: bool,
    next: u64,
    clock: i64,
}

impl Own {
    /// A new journal in `dir`; with a command for each record, or none.
    pub fn create(dir: &Path, with_commands: bool) -> Result<Self> {
        let name = if with_commands { "journal" } else { "journal-without-commands" };
        let open = OpenJournal::open(&dir.join(name))?;
        let log = own_log()?;
        open.journal.ensure_own_log(&log, 1)?;
        let mut own = Self { open, maker: Maker::new(&log)?, with_commands, next: 0, clock: 0 };
        let first = own.prepare()?;
        own.commit(vec![first])?;
        let stored = own.open.journal.get(&log, 1, 0)?.context("the first record is not there")?;
        let size = stored.bytes().len();
        ensure!(size == RECORD, "a stored record has {size} bytes, not {RECORD}");
        Ok(own)
    }
}

impl Store for Own {
    type Item = Transaction;

    fn label(&self) -> &'static str {
        if self.with_commands { "journal" } else { "journal, no commands" }
    }

    fn prepare(&mut self) -> Result<Transaction> {
        self.next += 1;
        Ok(self.maker.transaction(self.next - 1, self.with_commands))
    }

    fn commit(&mut self, group: Vec<Transaction>) -> Result<()> {
        self.clock += 1;
        self.open.commit(group, self.clock)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.open.journal.flush_index()?)
    }
}

/// The journal as a mirror of another office's log: each group is verified, then stored.
pub struct Mirror {
    open: OpenJournal,
    dir: PathBuf,
    log: LogName,
    maker: Maker,
    /// Of what was made; of what is stored.
    made: Frontier,
    held: Frontier,
    clock: i64,
}

/// A record of a mirror, and the root of the log up to it: what a signed head would say.
pub struct Mirrored {
    bytes: Vec<u8>,
    root: Hash,
}

impl Mirror {
    /// A new journal `mirror` in `dir`.
    pub fn create(dir: &Path) -> Result<Self> {
        let (dir, log) = (dir.join("mirror"), LogName::new("kz-71")?);
        let open = OpenJournal::open(&dir)?;
        open.journal.ensure_mirror(&log, 1)?;
        let (maker, made, held) = (Maker::new(&log)?, Frontier::new(), Frontier::new());
        Ok(Self { open, dir, log, maker, made, held, clock: 0 })
    }

    /// Records that it holds.
    pub fn records(&self) -> u64 {
        self.held.size()
    }

    /// Bytes of commit files, without what is only allocated, and of the index for each record.
    pub fn disk_per_record(&self) -> Result<(f64, f64)> {
        let (stats, index) = (self.open.journal.stats(), self.dir.join("index"));
        let index = if fs::exists(&index)? { crate::machine::disk_bytes(&index)? } else { 0 };
        let records = stats.records as f64;
        Ok((stats.commit_bytes as f64 / records, index as f64 / records))
    }
}

impl Store for Mirror {
    type Item = Mirrored;

    fn label(&self) -> &'static str {
        "journal, mirror"
    }

    fn prepare(&mut self) -> Result<Mirrored> {
        let record = self.maker.mirrored(self.made.size())?;
        self.made.append(record.leaf_hash());
        Ok(Mirrored { bytes: record.into_bytes(), root: self.made.root() })
    }

    fn commit(&mut self, group: Vec<Mirrored>) -> Result<()> {
        let (first, root) = (self.held.size(), group.last().context("an empty group")?.root);
        let size = first + group.len() as u64;
        let head = Checkpoint { origin: origin(DOMAIN, &self.log, 1), size, root };
        let records = group.into_iter().map(|record| record.bytes).collect();
        // The head ends with the batch, so nothing has to be proved between them.
        let batch = admit(&self.held, &self.log, 1, records, first, &head, &[])?;
        self.held = batch.frontier().clone();
        self.clock += 1;
        let transaction = Transaction { mirror: Some(batch), ..Transaction::default() };
        self.open.commit(vec![transaction], self.clock)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.open.journal.flush_index()?)
    }
}
