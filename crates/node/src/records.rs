//! The journal as asynchronous code may use it: nothing here makes a thread of the runtime wait for
//! the index, for the writer, or for a lock that is held over a sync.
//!
//! * What the journal has in memory is answered at once.
//! * What is read by sequence is answered at once where the index is ready. While it is not, whole
//!   segments may be read for it, and whoever reads one is waited for: as long as that takes, the
//!   thread leaves the runtime's other tasks to another thread. Two exceptions: a runtime of one
//!   thread (tests) has no other; and an index that is ready may have lost an entry, then the
//!   segment is read on this thread.
//! * Questions by key are answered at once too, because [`open`] lets the journal wait for nobody;
//!   while the index is opened and compared, they wait here, as tasks.
//! * Everything else goes through [`Records::on_thread`]. The journal itself is in nobody's reach
//!   but the writer's, which has a thread of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::merkle::Frontier;
use evidence::record::{Record, StreamRef};
use journal::{
    CommandHit, CommandKey, CommitError, Durable, IndexStatus, Journal, JournalStopped, LogInfo,
    OpenError, OpenReport, Page, PageError, PageToken, Query, ReadError, Restored, Role, Stats,
};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::ground::Working;

/// How long a question by key, or the first groups of a process, wait for an index that is opened
/// and compared, before they are refused. A million records take about two seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at the index.
const LOOK: Duration = Duration::from_millis(20);
/// Threads on which the journal may be waited for at once; whoever comes later waits as a task.
const THREADS: usize = 16;

/// How the journal is opened: [`Journal::open`], in a test something else.
pub type Opening =
    dyn Fn(&Path, journal::Options) -> Result<(Journal, OpenReport), OpenError> + Send + Sync;

/// Opens a journal in which no question waits for the index.
///
/// # Errors
/// As `opening`.
pub fn open(
    opening: &Opening,
    dir: &Path,
    options: journal::Options,
) -> Result<(Journal, OpenReport), OpenError> {
    opening(dir, journal::Options { index_patience: Duration::ZERO, ..options })
}

/// Waits on this thread, until `limit` at most, while the index is opened and compared; not while
/// it is rebuilt.
pub fn wait_for_index(journal: &Journal, limit: Instant) {
    while journal.index_status() == IndexStatus::Opening && Instant::now() < limit {
        let _ = journal.wait_for_index(LOOK);
    }
}

/// Until when a thread that begins now waits for the index.
pub fn patience() -> Instant {
    Instant::now() + PATIENCE
}

/// The journal of the office. Clones are cheap and share it.
#[derive(Clone, Debug)]
pub struct Records {
    journal: Journal,
    threads: Arc<Semaphore>,
    working: Working,
}

impl Records {
    /// The records of a journal that [`open`] has opened, with threads that may wait for it.
    pub fn new(journal: Journal) -> Records {
        Records::worked(journal, Working::Threads)
    }

    /// The same; `working` says who waits.
    pub fn worked(journal: Journal, working: Working) -> Records {
        Records { journal, threads: Arc::new(Semaphore::new(THREADS)), working }
    }

    /// Works with the journal on a thread that may wait. Once begun, the work is done even if
    /// nobody waits for its result.
    ///
    /// # Errors
    /// The work panicked, or the runtime ends.
    pub async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Journal) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        if self.working == Working::Inline {
            return Ok(work(&self.journal));
        }
        let permit = self.threads.clone().acquire_owned().await;
        let journal = self.journal.clone();
        let working = tokio::task::spawn_blocking(move || {
            let _turn = permit;
            work(&journal)
        });
        working.await
    }

    /// Reads by sequence; without an index so that the runtime may do without this thread.
    fn read<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        let hands_over = || {
            let runtime = Handle::try_current().map(|runtime| runtime.runtime_flavor());
            runtime.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread)
        };
        if self.index_status() != IndexStatus::Ready && hands_over() {
            return tokio::task::block_in_place(|| read(&self.journal));
        }
        read(&self.journal)
    }

    /// Waits, as a task, while the index is opened and compared; not while it is rebuilt.
    async fn index_settled(&self) {
        let limit = patience();
        while self.index_status() == IndexStatus::Opening && Instant::now() < limit {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// See [`Journal::find_command`].
    ///
    /// # Errors
    /// As there.
    pub async fn find_command(&self, key: &CommandKey) -> Result<Option<CommandHit>, ReadError> {
        self.index_settled().await;
        self.journal.find_command(key)
    }

    /// See [`Journal::find_event`].
    ///
    /// # Errors
    /// As there.
    pub async fn find_event(&self, id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        self.index_settled().await;
        self.journal.find_event(id)
    }

    /// See [`Journal::stream`].
    ///
    /// # Errors
    /// As there.
    pub async fn stream(&self, log: &LogName, stream: StreamRef) -> Result<Vec<Record>, ReadError> {
        self.index_settled().await;
        self.journal.stream(log, stream)
    }

    /// See [`Journal::ensure_own_log`].
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_own_log(&self, log: &LogName, epoch: u32) -> Result<(), CommitError> {
        let name = log.clone();
        let opening = move |journal: &Journal| journal.ensure_own_log(&name, epoch);
        self.ensure((log, epoch, Role::Own), opening).await
    }

    /// See [`Journal::ensure_mirror`].
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_mirror(&self, log: &LogName, epoch: u32) -> Result<(), CommitError> {
        let name = log.clone();
        let opening = move |journal: &Journal| journal.ensure_mirror(&name, epoch);
        self.ensure((log, epoch, Role::Mirror), opening).await
    }

    async fn ensure(
        &self,
        (log, epoch, role): (&LogName, u32, Role),
        opening: impl FnOnce(&Journal) -> Result<(), CommitError> + Send + 'static,
    ) -> Result<(), CommitError> {
        if self.log(log, epoch).is_some_and(|info| info.role == role) {
            return Ok(());
        }
        self.index_settled().await;
        self.on_thread(opening).await.unwrap_or_else(|error| {
            let stopped = JournalStopped { reason: format!("open log {log}: {error}") };
            Err(CommitError::Stopped(stopped))
        })
    }

    /// See [`Journal::stats`].
    ///
    /// # Errors
    /// As [`Records::on_thread`].
    pub async fn stats(&self) -> Result<Stats, JoinError> {
        self.on_thread(Journal::stats).await
    }

    /// See [`Journal::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, log: &LogName, epoch: u32, seq: u64) -> Result<Option<Record>, ReadError> {
        self.read(|journal| journal.get(log, epoch, seq))
    }

    /// See [`Journal::range`].
    ///
    /// # Errors
    /// As there.
    pub fn range(
        &self,
        log: &LogName,
        epoch: u32,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        self.read(|journal| journal.range(log, epoch, from, max_records, max_bytes))
    }

    /// See [`Journal::page`].
    ///
    /// # Errors
    /// As there.
    pub fn page(&self, query: &Query, token: Option<&PageToken>) -> Result<Page, PageError> {
        self.read(|journal| journal.page(query, token))
    }

    /// See [`Journal::root_at`].
    ///
    /// # Errors
    /// As there.
    pub fn root_at(&self, log: &LogName, epoch: u32, size: u64) -> Result<Hash, ReadError> {
        self.read(|journal| journal.root_at(log, epoch, size))
    }

    /// See [`Journal::inclusion`].
    ///
    /// # Errors
    /// As there.
    pub fn inclusion(
        &self,
        log: &LogName,
        epoch: u32,
        seq: u64,
        size: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        self.read(|journal| journal.inclusion(log, epoch, seq, size))
    }

    /// See [`Journal::consistency`].
    ///
    /// # Errors
    /// As there.
    pub fn consistency(
        &self,
        log: &LogName,
        epoch: u32,
        old: u64,
        new: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        self.read(|journal| journal.consistency(log, epoch, old, new))
    }

    /// See [`Journal::logs`].
    pub fn logs(&self) -> Vec<LogInfo> {
        self.journal.logs()
    }

    /// See [`Journal::log`].
    pub fn log(&self, log: &LogName, epoch: u32) -> Option<LogInfo> {
        self.journal.log(log, epoch)
    }

    /// See [`Journal::frontier`].
    pub fn frontier(&self, log: &LogName, epoch: u32) -> Option<Frontier> {
        self.journal.frontier(log, epoch)
    }

    /// See [`Journal::control`].
    pub fn control(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.journal.control(key)
    }

    /// See [`Journal::controls`].
    pub fn controls(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.journal.controls(prefix)
    }

    /// See [`Journal::restorations`].
    pub fn restorations(&self) -> Vec<Restored> {
        self.journal.restorations()
    }

    /// See [`Journal::index_status`].
    pub fn index_status(&self) -> IndexStatus {
        self.journal.index_status()
    }

    /// See [`Journal::durable`].
    pub fn durable(&self) -> Durable {
        self.journal.durable()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::testing::{self, desk};

    #[tokio::test]
    async fn threads_that_wait_are_few_and_hold_nobody_else_up() {
        let desk = desk("KZ-75").await;
        let records = &desk.office.journal;
        let (began, begun) = mpsc::sync_channel(THREADS + 1);
        let (gates, waiting): (Vec<_>, Vec<_>) = (0..=THREADS)
            .map(|_| {
                let (gate, closed) = mpsc::sync_channel::<()>(1);
                let began = began.clone();
                let work = move |_: &Journal| {
                    began.send(()).unwrap();
                    let _ = closed.recv();
                };
                (gate, Box::pin(records.on_thread(work)))
            })
            .unzip();
        let mut waiting = futures_util::future::join_all(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        for _ in 0..THREADS {
            begun.recv().unwrap();
        }
        assert_eq!(records.threads.available_permits(), 0);
        assert!(begun.try_recv().is_err(), "one more has its turn later");
        assert_eq!(records.logs().len(), 1);
        drop(gates);
        assert!(waiting.await.iter().all(Result::is_ok));
        begun.recv().unwrap();
    }

    /// On a runtime of one thread for tasks: whoever kept it would hold up everything else.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    #[allow(clippy::disallowed_methods)] // a test has no supervisor
    async fn who_reads_without_an_index_holds_nobody_else_up() {
        let desk = desk("KZ-75").await.killed_and_opened(&testing::no_index).await;
        let records = desk.office.journal.clone();
        assert_ne!(records.index_status(), IndexStatus::Ready);
        let (go, gone) = mpsc::sync_channel(1);
        let reading = tokio::spawn(async move {
            drop(tokio::spawn(async move { go.send(()) }));
            records.read(|_| gone.recv_timeout(Duration::from_secs(60)))
        });
        assert_eq!(reading.await.unwrap(), Ok(()), "the other task does not wait for the reader");
    }
}
