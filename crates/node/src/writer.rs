//! The one writer of a node: gathers what is waiting, makes it durable as one group, answers.
//!
//! Order, and why: keys of sealed parts become durable first (a record whose key is lost is a
//! lost text), then the journal commits the group with one sync and tells subscribers that the
//! logs grew, then each caller is answered. A caller that is answered can read what it wrote.
//!
//! The queue is bounded, so a flood slows its senders down instead of filling the memory.

use std::time::Instant;

use evidence::log::LogName;
use evidence::verify::VerifiedBatch;
use journal::{CommitError, Committed, Durable, Journal, Transaction};
use telemetry::Metrics;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::error;
use vault::{Vault, VaultError};

use crate::clock::Clock;
use crate::ground::Working;
use crate::link::store;
use crate::project::chain;
use crate::records::{self, Records};
use crate::supervisor::{OnEnd, Supervisor};

/// Transactions waiting to be gathered.
const QUEUE: usize = 1_024;
/// Transactions in one group: bounds the time to the first answer.
const GROUP_TRANSACTIONS: usize = 512;
/// Bytes of records in one group, approximately.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Why a transaction was not made durable.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The journal refused this transaction; the others of its group are not affected.
    #[error(transparent)]
    Refused(#[from] CommitError),
    /// The keys of the sealed parts could not be made durable; nothing was recorded.
    #[error("make the keys of the sealed parts durable; nothing was recorded")]
    Keys(#[source] std::io::Error),
    /// The log accepts no more facts until a person has acted; nothing was recorded.
    #[error("log {log} is read-only: {reason}")]
    ReadOnly {
        /// The log.
        log: LogName,
        /// Why, and what to do.
        reason: String,
    },
    /// The node is stopping or its journal had to stop; nothing of this transaction was written,
    /// or it is unknown whether it was: ask again with the same command id after the restart.
    #[error("the journal has stopped; repeat the command with the same command id")]
    Stopped,
}

struct Job {
    transaction: Transaction,
    /// What follows it before anything else is written.
    then: Option<Next>,
    answer: oneshot::Sender<Result<Committed, WriteError>>,
}

/// The epoch in which a log goes on behind a transaction that ends one.
pub struct Next {
    /// The own log.
    pub log: LogName,
    /// The epoch to open.
    pub epoch: u32,
    /// Makes its first transaction, once the epoch before is over.
    pub first: Box<dyn FnOnce() -> Result<Transaction, String> + Send>,
}

/// A transaction on its way.
#[derive(Debug)]
pub struct Submitted {
    answered: oneshot::Receiver<Result<Committed, WriteError>>,
}

impl Submitted {
    /// With this answer.
    #[cfg(test)]
    pub(crate) fn of(answered: oneshot::Receiver<Result<Committed, WriteError>>) -> Submitted {
        Submitted { answered }
    }

    /// Waits until it is durable or refused.
    pub async fn outcome(self) -> Result<Committed, WriteError> {
        self.answered.await.map_err(|_| WriteError::Stopped)?
    }
}

/// Hands transactions to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    journal: Journal,
}

impl Writer {
    /// Starts the writer: a thread of its own, or, where tasks work for themselves, a task. It ends
    /// when every handle is dropped or the journal stops.
    pub fn start(
        journal: Journal,
        vault: Vault,
        clock: Clock,
        metrics: Metrics,
        working: Working,
        supervisor: &Supervisor,
    ) -> std::io::Result<Writer> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let writing = Writing {
            records: Records::worked(journal.clone(), working),
            journal: journal.clone(),
            patience: records::patience(),
            vault,
            clock,
            metrics,
        };
        match working {
            Working::Inline => supervisor.spawn("write", OnEnd::StopNode, writing.serve(waiting)),
            Working::Threads => writing.on_thread(waiting, supervisor.clone())?,
        }
        Ok(Writer { jobs, journal })
    }

    /// Makes one transaction durable, or says why not. Returns after the sync.
    pub async fn write(&self, transaction: Transaction) -> Result<Committed, WriteError> {
        self.submit(transaction).await?.outcome().await
    }

    /// Puts one transaction into the queue; waits only while the queue is full. What one caller
    /// submits is committed in the order of submission.
    pub async fn submit(&self, transaction: Transaction) -> Result<Submitted, WriteError> {
        self.queue(transaction, None).await
    }

    /// Makes the last transaction of an epoch durable, opens the next epoch and makes its first
    /// transaction durable, with nothing in between. If the node ends before it is done, the next
    /// start completes it. An epoch that is read-only ends where it stands, without the last
    /// transaction.
    pub async fn end_epoch(
        &self,
        ending: Transaction,
        then: Next,
    ) -> Result<Committed, WriteError> {
        self.queue(ending, Some(then)).await?.outcome().await
    }

    async fn queue(
        &self,
        transaction: Transaction,
        then: Option<Next>,
    ) -> Result<Submitted, WriteError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { transaction, then, answer };
        self.jobs.send(job).await.map_err(|_| WriteError::Stopped)?;
        Ok(Submitted { answered })
    }

    /// Changes each time something became durable, and ends with the journal. The value only
    /// counts groups: read the journal for what there is, so that nothing is missed between two
    /// looks.
    pub fn grown(&self) -> Durable {
        self.journal.durable()
    }
}

struct Writing {
    journal: Journal,
    records: Records,
    /// Until when a group waits for the index that is opened.
    patience: Instant,
    vault: Vault,
    clock: Clock,
    metrics: Metrics,
}

impl Writing {
    fn on_thread(
        self,
        waiting: mpsc::Receiver<Job>,
        supervisor: Supervisor,
    ) -> std::io::Result<()> {
        let ended_journal = self.journal.clone();
        let writer = move || {
            // A panic here must end the node as loudly as an error: nothing would be written any
            // more. What is on disk is whole, and the restart recovers from it.
            let running = std::panic::AssertUnwindSafe(|| self.run(waiting));
            let ended = std::panic::catch_unwind(running);
            if let Err(reason) = ended.unwrap_or_else(|_| Err("the writer panicked".to_owned())) {
                error!(reason, "the writer stops");
                supervisor.fail(reason);
                // Nothing is written any more: whoever waits for growth hears of the end.
                ended_journal.close();
            }
        };
        std::thread::Builder::new().name("writer".to_owned()).spawn(writer).map(drop)
    }

    /// As [`Writing::run`], as a task.
    async fn serve(self, mut waiting: mpsc::Receiver<Job>) -> Result<(), String> {
        while let Some(first) = waiting.recv().await {
            let jobs = gather(first, &mut waiting);
            if let Err(reason) = self.commit(jobs) {
                self.journal.close();
                return Err(reason);
            }
        }
        Ok(())
    }

    fn run(self, mut waiting: mpsc::Receiver<Job>) -> Result<(), String> {
        while let Some(first) = waiting.blocking_recv() {
            let jobs = gather(first, &mut waiting);
            self.commit(jobs)?;
        }
        Ok(())
    }

    fn commit(&self, jobs: Vec<Job>) -> Result<(), String> {
        let jobs = self.with_durable_keys(self.writable(jobs))?;
        if jobs.is_empty() {
            return Ok(());
        }
        let (mirrored, bytes) = weigh(&jobs);
        records::wait_for_index(&self.journal, self.patience);
        let began = Instant::now();
        let mut then = None;
        let (transactions, answers): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| {
                then = job.then; // it ends its group
                (job.transaction, job.answer)
            })
            .unzip();
        let outcomes = self
            .journal
            .commit(transactions, self.clock.now())
            .map_err(|stopped| format!("commit group: {}", chain(&stopped)))?;
        let own: usize = outcomes.iter().flatten().map(|committed| committed.positions.len()).sum();
        self.metrics.group_committed(own as u64, mirrored, bytes, began.elapsed());
        if let (Some(next), Some(Ok(_))) = (then, outcomes.last()) {
            self.open_epoch(next)?;
        }
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A caller that went away does not undo what is durable.
            let _ = answer.send(outcome.map_err(WriteError::Refused));
        }
        Ok(())
    }

    /// Opens an epoch and makes its first transaction durable. What fails here ends the writer: the
    /// log may not go on in the epoch that is over, and the next start begins the new one.
    fn open_epoch(&self, next: Next) -> Result<(), String> {
        let Next { log, epoch, first } = next;
        let failed = |why: String| format!("open epoch {epoch} of {log}: {why}");
        let opened = self.journal.ensure_own_log(&log, epoch);
        opened.map_err(|error| failed(chain(&error)))?;
        let first = first().map_err(failed)?;
        let outcomes = self.journal.commit(vec![first], self.clock.now());
        for outcome in outcomes.map_err(|stopped| failed(chain(&stopped)))? {
            outcome.map_err(|error| failed(chain(&error)))?;
        }
        Ok(())
    }

    /// Answers the jobs for read-only logs, gives back the others. Checked here, behind the
    /// queue, so that nothing slips in after a fork or a rollback was found.
    ///
    /// What opens the next epoch goes on without the record that ends this one: a new epoch is the
    /// way out, and a record here might stand where others hold another one.
    fn writable(&self, jobs: Vec<Job>) -> Vec<Job> {
        let mut left = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            let logs = job.transaction.appends.iter().map(|append| &append.log);
            let mut closed = logs.filter_map(|log| {
                let reason = store::read_only_reason(&self.records, log)?;
                Some(WriteError::ReadOnly { log: log.clone(), reason })
            });
            let refused = closed.next();
            drop(closed);
            match refused {
                Some(_) if job.then.is_some() => {
                    job.transaction = Transaction::default();
                    left.push(job);
                }
                Some(refused) => drop(job.answer.send(Err(refused))),
                None => left.push(job),
            }
        }
        left
    }

    /// Makes new keys durable. Where the disk does not take them, the jobs with sealed parts are
    /// refused and the others go on: reading, mirroring and cursors need no key.
    fn with_durable_keys(&self, jobs: Vec<Job>) -> Result<Vec<Job>, String> {
        let began = Instant::now();
        let Err(failure) = self.vault.persist() else {
            self.metrics.vault_synced(began.elapsed());
            return Ok(jobs);
        };
        let VaultError::Io { source, .. } = &failure else {
            return Err(format!("make keys durable: {}", chain(&failure)));
        };
        error!(error = chain(&failure), "make keys durable; facts with sealed parts are refused");
        let mut left = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut drafts = job.transaction.appends.iter().flat_map(|append| &append.drafts);
            if drafts.any(|draft| !draft.sealed.is_empty()) {
                let copy = std::io::Error::from(source.kind());
                drop(job.answer.send(Err(WriteError::Keys(copy))));
            } else {
                left.push(job);
            }
        }
        Ok(left)
    }
}

fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = size_of(&first.transaction);
    let mut ends = first.then.is_some();
    let mut jobs = vec![first];
    while !ends && jobs.len() < GROUP_TRANSACTIONS && bytes < GROUP_BYTES {
        let Ok(job) = waiting.try_recv() else { break };
        bytes += size_of(&job.transaction);
        ends = job.then.is_some();
        jobs.push(job);
    }
    jobs
}

/// Mirrored records and bytes of a group.
fn weigh(jobs: &[Job]) -> (u64, u64) {
    let batches = |job: &'_ Job| -> usize {
        let of = |batch: &Option<VerifiedBatch>| batch.as_ref().map_or(0, |b| b.records().len());
        of(&job.transaction.mirror) + of(&job.transaction.returned)
    };
    let mirrored: usize = jobs.iter().map(batches).sum();
    let bytes: usize = jobs.iter().map(|job| size_of(&job.transaction)).sum();
    (mirrored as u64, bytes as u64)
}

fn size_of(transaction: &Transaction) -> usize {
    let drafts = transaction.appends.iter().flat_map(|append| &append.drafts);
    let own: usize = drafts.map(|draft| draft.open.len() + draft.sealed.len() + 512).sum();
    let batches = transaction.mirror.iter().chain(&transaction.returned);
    own + batches.map(batch_bytes).sum::<usize>()
}

fn batch_bytes(batch: &VerifiedBatch) -> usize {
    batch.records().iter().map(|record| record.bytes().len()).sum()
}
