//! Learning that more is durable: one counter for everybody, no queue for anybody.
//!
//! Subscribers pull. The writer adds one to a counter and wakes who waits; what is there is read
//! from the journal, so catching up and following live are one path and nothing can be missed or
//! come twice between the two. A subscriber that does not come holds no memory and nobody up.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use evidence::log::{LogName, Position};
use evidence::record::Record;

use crate::error::{JournalStopped, SubscribeError};
use crate::journal::Journal;

/// The counter. Its lock is held for a few instructions by whoever takes it, never while a record
/// is read or a subscriber runs.
#[derive(Default)]
pub(crate) struct Bell {
    shared: Mutex<Shared>,
    rung: Condvar,
}

#[derive(Default)]
struct Shared {
    /// Groups published since open.
    groups: u64,
    ended: Option<JournalStopped>,
    /// Who waits without a thread.
    wakers: BTreeMap<u64, Waker>,
    next_id: u64,
}

impl Bell {
    fn held(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a group has been published.
    pub(crate) fn ring(&self) {
        self.change(|shared| shared.groups += 1);
    }

    /// Says that nothing will follow. The first reason is kept.
    pub(crate) fn end(&self, reason: &str) {
        self.change(|shared| {
            let stopped = || JournalStopped { reason: reason.to_owned() };
            shared.ended.get_or_insert_with(stopped);
        });
    }

    /// Why nothing will follow, if so.
    pub(crate) fn ended(&self) -> Option<JournalStopped> {
        self.held().ended.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        let mut shared = self.held();
        change(&mut shared);
        let wakers = std::mem::take(&mut shared.wakers);
        drop(shared);
        self.rung.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }
}

/// The journal's end of the bell: dropped with the journal, it ends all subscriptions.
#[derive(Default)]
pub(crate) struct Ringer(Arc<Bell>);

impl Ringer {
    /// The bell, for the writer.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.0)
    }
}

impl Deref for Ringer {
    type Target = Bell;

    fn deref(&self) -> &Bell {
        &self.0
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        self.0.end("it was dropped");
    }
}

/// Watches how many groups have become durable and visible since the journal was opened.
///
/// The number only says that there is more to read; read the journal for what there is. Mark
/// first, then read, then wait: nothing is missed. Usable from any thread and any executor, and it
/// does not keep the journal open.
pub struct Durable {
    bell: Arc<Bell>,
    seen: u64,
    id: Option<u64>,
}

impl Durable {
    fn new(bell: Arc<Bell>) -> Self {
        Self { bell, seen: 0, id: None }
    }

    /// Groups published since open.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.bell.held().groups
    }

    /// Takes note of everything up to now: only what is published afterwards counts as a change.
    pub fn mark_seen(&mut self) {
        self.seen = self.groups();
    }

    /// As [`Durable::mark_seen`]; also why nothing will follow, if so. What is read after this call
    /// has everything up to that end.
    fn look(&mut self) -> Option<JournalStopped> {
        let shared = self.bell.held();
        self.seen = shared.groups;
        shared.ended.clone()
    }

    /// Waits on this thread until something was published that was not seen; it is seen then.
    /// `false` if `timeout` has passed before.
    ///
    /// # Errors
    /// [`JournalStopped`] if everything was seen and the writer has stopped or was closed.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, JournalStopped> {
        let quiet = |shared: &mut Shared| shared.groups == self.seen && shared.ended.is_none();
        let waited = self.bell.rung.wait_timeout_while(self.bell.held(), timeout, quiet);
        let (shared, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if shared.groups != self.seen {
            self.seen = shared.groups;
            return Ok(true);
        }
        shared.ended.clone().map_or(Ok(false), Err)
    }

    /// As [`Durable::changed`], for hand-written futures.
    ///
    /// # Errors
    /// As [`Durable::wait`].
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, JournalStopped>> {
        let mut shared = self.bell.held();
        if shared.groups != self.seen {
            self.seen = shared.groups;
            return Poll::Ready(Ok(self.seen));
        }
        if let Some(ended) = &shared.ended {
            return Poll::Ready(Err(ended.clone()));
        }
        let id = *self.id.get_or_insert_with(|| {
            shared.next_id += 1;
            shared.next_id
        });
        shared.wakers.insert(id, cx.waker().clone());
        Poll::Pending
    }

    /// Waits until something was published that was not seen; it is seen then. Dropping the future
    /// loses nothing. The number of groups published since open.
    ///
    /// # Errors
    /// As [`Durable::wait`].
    pub async fn changed(&mut self) -> Result<u64, JournalStopped> {
        std::future::poll_fn(|cx| self.poll_changed(cx)).await
    }
}

impl Clone for Durable {
    fn clone(&self) -> Self {
        Self { bell: Arc::clone(&self.bell), seen: self.seen, id: None }
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        let waker = self.id.and_then(|id| self.bell.held().wakers.remove(&id));
        // Outside the lock: a waker is foreign code.
        drop(waker);
    }
}

impl std::fmt::Debug for Durable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Durable").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Follows one epoch of one log from a sequence on: every record once, in order. It holds a
/// position and nothing else, however far behind it is; it keeps the journal open.
#[derive(Debug, Clone)]
pub struct Subscription {
    journal: Journal,
    durable: Durable,
    log: LogName,
    epoch: u32,
    next: u64,
}

impl Subscription {
    /// The sequence that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next records if there are any: at most `max_records` (0 counts as 1), and no more once
    /// `max_bytes` of stored bytes are reached. Empty if there is nothing yet; does not wait.
    ///
    /// # Errors
    /// [`SubscribeError::Ended`] after the last record if the writer has stopped or was closed;
    /// [`SubscribeError::Read`] if the next records cannot be read, without going on.
    pub fn try_next(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, SubscribeError> {
        let ended = self.durable.look();
        let (from, most) = (self.next, max_records.max(1));
        let records = self.journal.range(&self.log, self.epoch, from, most, max_bytes)?;
        self.next += records.len() as u64;
        match ended {
            Some(stopped) if records.is_empty() => Err(SubscribeError::Ended(stopped)),
            _ => Ok(records),
        }
    }

    /// As [`Subscription::try_next`], but waits on this thread until there is something, at most
    /// `timeout`; empty then.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn next(
        &mut self,
        max_records: usize,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Vec<Record>, SubscribeError> {
        let begun = Instant::now();
        loop {
            let records = self.try_next(max_records, max_bytes)?;
            let left = timeout.saturating_sub(begun.elapsed());
            // An end is found by the next look, behind what came before it.
            if !records.is_empty() || self.durable.wait(left) == Ok(false) {
                return Ok(records);
            }
        }
    }

    /// As [`Subscription::try_next`], but waits until there is something. Dropping the future loses
    /// nothing. Records are read on the calling thread.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub async fn next_async(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, SubscribeError> {
        loop {
            let records = self.try_next(max_records, max_bytes)?;
            if !records.is_empty() {
                return Ok(records);
            }
            // An end is found by the next look, behind what came before it.
            let _ = self.durable.changed().await;
        }
    }
}

/// By how much an epoch of a log has grown: the records `from..to` are new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// First new sequence.
    pub from: u64,
    /// One behind the last new sequence.
    pub to: u64,
}

/// Follows the sizes of all logs, those that are opened later included.
#[derive(Debug, Clone)]
pub struct Positions {
    journal: Journal,
    durable: Durable,
    held: BTreeMap<(LogName, u32), u64>,
}

impl Positions {
    /// Takes the records before `next.seq` of an epoch as known.
    #[must_use]
    pub fn knowing(mut self, next: Position) -> Self {
        self.held.insert((next.log, next.epoch), next.seq);
        self
    }

    /// What has grown since the last call; empty if nothing has. Does not wait.
    ///
    /// # Errors
    /// [`JournalStopped`] once everything was told and the writer has stopped or was closed.
    pub fn try_next(&mut self) -> Result<Vec<Growth>, JournalStopped> {
        let ended = self.durable.look();
        let mut grown = Vec::new();
        for log in self.journal.state().logs() {
            for (epoch, edge) in &log.epochs {
                let held = self.held.entry((log.name.clone(), *epoch)).or_default();
                let (from, to) = (*held, edge.size());
                if to > from {
                    grown.push(Growth { log: log.name.clone(), epoch: *epoch, from, to });
                    *held = to;
                }
            }
        }
        match ended {
            Some(stopped) if grown.is_empty() => Err(stopped),
            _ => Ok(grown),
        }
    }

    /// As [`Positions::try_next`], but waits on this thread, at most `timeout`; empty then.
    ///
    /// # Errors
    /// As [`Positions::try_next`].
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<Growth>, JournalStopped> {
        let begun = Instant::now();
        loop {
            let grown = self.try_next()?;
            let left = timeout.saturating_sub(begun.elapsed());
            if !grown.is_empty() || self.durable.wait(left) == Ok(false) {
                return Ok(grown);
            }
        }
    }

    /// As [`Positions::try_next`], but waits until something has grown. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// As [`Positions::try_next`].
    pub async fn next_async(&mut self) -> Result<Vec<Growth>, JournalStopped> {
        loop {
            let grown = self.try_next()?;
            if !grown.is_empty() {
                return Ok(grown);
            }
            let _ = self.durable.changed().await;
        }
    }
}

impl Journal {
    /// A watch of the count of durable groups. Its first change is at once if anything has been
    /// committed since open.
    #[must_use]
    pub fn durable(&self) -> Durable {
        Durable::new(self.inner.ringer.bell())
    }

    /// Follows an epoch of a log from sequence `from` on, which may be ahead of its end. The log
    /// may be unknown yet.
    #[must_use]
    pub fn subscribe(&self, log: &LogName, epoch: u32, from: u64) -> Subscription {
        let (journal, durable) = (self.clone(), self.durable());
        Subscription { journal, durable, log: log.clone(), epoch, next: from }
    }

    /// Follows the sizes of all logs. The first answer has everything that is there.
    #[must_use]
    pub fn positions(&self) -> Positions {
        let (journal, durable) = (self.clone(), self.durable());
        Positions { journal, durable, held: BTreeMap::new() }
    }
}
