//! The mirror's part in one log on one link.
//!
//! Waiting → (hello) → Active ⇄ Paused; from any of them to Stopped. A closed epoch of which we
//! hold everything goes from Waiting to Finished.
//!
//! Rules, in the order in which they apply:
//! 1. A head is checked (key, origin, consistency to the head accepted before) and made durable
//!    **before** it is co-signed: nobody may ever see two heads of ours that contradict.
//! 2. Records wait until the head they lead to is durable, and enter only through
//!    [`evidence::verify::admit`], which re-hashes them.
//! 3. `Held` states only what the driver confirmed as durable.
//! 4. Records that do not fit are dropped and answered by the true position; records already
//!    held are answered by it and change nothing.
//! 5. A head is co-signed as a mirror's once everything below it is here, keys and attachments too.
//!    One that has to wait for them is remembered until then: where a log always grows, the newest
//!    one is never complete.
//! 6. A contradiction stops the log and keeps the evidence. Nothing here heals one, and the next
//!    link begins where it was found: stopped. A successor epoch goes on.

mod answers;
mod greeting;
mod previews;
mod records;

use std::collections::VecDeque;
use std::sync::Arc;

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::merkle::{Frontier, empty_root};
use evidence::note::{Signer, Verifier};
use evidence::verify::check_head;

use crate::action::{Action, Failure, Party, PersistHead, PersistTicket};
use crate::head;
use crate::limits::Limits;
use crate::message::{Entries, Head, Message, RefusalCode, Refused, Role};
use crate::now::Now;
use crate::queue::{LogId, Queue, Reason, Violation};
use crate::status::{LogState, LogStatus};
use answers::WaitingHead;
use greeting::Judged;

/// A log of the peer that this office mirrors, as it is stored when the session begins.
#[derive(Clone, Debug)]
pub struct MirroredLog {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The public key of its writer for this epoch.
    pub verifier: Verifier,
    /// Where the epoch was closed: no head beyond this size is accepted any more.
    pub closed_at: Option<u64>,
    /// Two histories of this epoch were seen before, in words: nothing more of it is accepted.
    pub frozen: Option<String>,
    /// The durable mirror.
    pub frontier: Frontier,
    /// Leaf hash of its first record.
    pub first: Option<Hash>,
    /// The newest accepted head, full note text.
    pub head: Option<String>,
    /// When it was received, wall clock in microseconds.
    pub head_at: Option<i64>,
}

/// Our cosigning keys.
pub(crate) struct Cosigners {
    pub(crate) witness: Arc<Signer>,
    pub(crate) mirror: Arc<Signer>,
}

enum Phase {
    Waiting,
    Active,
    /// Nothing can be stored, as `code` says. Goes on at `until`, once everything the origin sent
    /// before it knew has come in (the pong of `barrier`) and the driver owes no answer.
    Paused {
        code: RefusalCode,
        until: u64,
        barrier: Option<u64>,
    },
    /// A closed epoch of which there is nothing more at the office that writes the log.
    Finished,
    Stopped {
        code: RefusalCode,
        text: String,
    },
}

#[derive(Clone)]
struct Accepted {
    checkpoint: Checkpoint,
    note: String,
}

struct Commit {
    serial: u64,
    after: Frontier,
    bytes: usize,
    /// Some of its records name attachments.
    names: bool,
}

pub(crate) struct Follower {
    id: LogId,
    name: String,
    verifier: Verifier,
    closed_at: Option<u64>,
    first: Option<Hash>,
    /// What the writer says of a log that is shorter than what was co-signed, while the driver
    /// reads the root to hold against it.
    judging: Option<Judged>,
    keys: Arc<Cosigners>,
    limits: Arc<Limits>,
    phase: Phase,
    accepted: Option<Accepted>,
    /// The head that is being made durable.
    persisting: Option<(u64, Accepted)>,
    head_unix: Option<i64>,
    head_mono: Option<u64>,
    /// Durable.
    held: Frontier,
    /// With every batch the driver has not confirmed yet.
    staged: Frontier,
    commits: VecDeque<Commit>,
    /// Batches that wait for their head.
    inbox: VecDeque<Entries>,
    /// Bytes in `inbox` and `commits`.
    waiting_bytes: usize,
    /// Batches dropped since the true position was named.
    gaps: Option<u32>,
    /// Head for which the mirror cosignature was given on this link.
    mirror_signed: Option<u64>,
    /// Records whose keys are kept here as wraps; `None`: that is not asked for.
    keyed: Option<u64>,
    /// Records of which every attachment is here.
    complete: u64,
    /// The peer can send those that are not.
    awaits: bool,
    /// An accepted head that waits for what lies below it.
    waiting: Option<WaitingHead>,
    /// The peer takes lines of heads that are not its newest.
    earlier: bool,
    /// The newest witness cosignature that was given on this link, and the size of its head.
    witness_line: Option<(u64, String)>,
}

impl Follower {
    pub(crate) fn new(
        slot: usize,
        mirrored: MirroredLog,
        domain: &str,
        keys: Arc<Cosigners>,
        limits: Arc<Limits>,
    ) -> Follower {
        let mut follower = Follower {
            name: evidence::log::origin(domain, &mirrored.log, mirrored.epoch),
            id: LogId { slot, log: mirrored.log, epoch: mirrored.epoch, own: false },
            verifier: mirrored.verifier,
            closed_at: mirrored.closed_at,
            first: mirrored.first,
            judging: None,
            keys,
            limits,
            phase: Phase::Waiting,
            accepted: None,
            persisting: None,
            head_unix: mirrored.head_at,
            head_mono: None,
            complete: mirrored.frontier.size(),
            awaits: false,
            waiting: None,
            earlier: false,
            staged: mirrored.frontier.clone(),
            held: mirrored.frontier,
            commits: VecDeque::new(),
            inbox: VecDeque::new(),
            waiting_bytes: 0,
            gaps: None,
            mirror_signed: None,
            keyed: None,
            witness_line: None,
        };
        follower.restore(mirrored.head);
        if let Some(text) = mirrored.frozen {
            follower.phase = Phase::Stopped { code: RefusalCode::Fork, text };
        }
        follower
    }

    /// Takes up the stored head; a mirror that it does not cover is damaged.
    fn restore(&mut self, note: Option<String>) {
        let opened = note.map(|note| (head::open(&note, &self.verifier, &self.name), note));
        let covered = match opened {
            None => 0,
            Some((Ok(checkpoint), note)) => {
                let size = checkpoint.size;
                self.accepted = Some(Accepted { checkpoint, note });
                size
            }
            Some((Err(reason), _)) => {
                let text = format!("the stored head of {}: {}", self.id.log, reason.text);
                self.phase = Phase::Stopped { code: reason.code, text };
                return;
            }
        };
        let same = self.accepted.as_ref().is_none_or(|a| {
            a.checkpoint.size != self.held.size() || a.checkpoint.root == self.held.root()
        });
        if self.held.size() > covered || !same {
            let text = format!(
                "the mirror of {} is not covered by its stored head: run `adal journal check`",
                self.id.log
            );
            self.phase = Phase::Stopped { code: RefusalCode::Damaged, text };
        }
    }

    pub(crate) fn is(&self, log: &LogName, epoch: u32) -> bool {
        self.id.epoch == epoch && self.id.log == *log
    }

    /// Its epoch, if it is one of this log.
    pub(crate) fn epoch_of(&self, log: &LogName) -> Option<u32> {
        (self.id.log == *log).then_some(self.id.epoch)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.id.epoch
    }

    fn accepted_size(&self) -> u64 {
        self.accepted.as_ref().map_or(0, |a| a.checkpoint.size)
    }

    pub(crate) fn on_head(
        &mut self,
        now: Now,
        message: Head,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        match self.phase {
            Phase::Active => {}
            Phase::Waiting => return Err(Violation::internal("a head came for a log not agreed")),
            Phase::Paused { .. } | Phase::Finished | Phase::Stopped { .. } => return Ok(()),
        }
        if self.persisting.is_some() {
            return Err(Violation::internal("a head came before the last one was answered"));
        }
        let checkpoint = match self.check(&message) {
            Ok(checkpoint) => checkpoint,
            Err(reason) => {
                self.stop(reason, q);
                return Ok(());
            }
        };
        if message.old_size != self.accepted_size() {
            return Err(Violation::internal("a head's proof does not start at the last head"));
        }
        self.head_unix = Some(now.unix);
        self.head_mono = Some(now.mono);
        if self.accepted.as_ref().is_some_and(|a| a.checkpoint.size == checkpoint.size) {
            return self.answer_head(now, q);
        }
        let serial = q.serial();
        q.push(Action::PersistHead(PersistHead {
            ticket: PersistTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: checkpoint.size,
            root: checkpoint.root,
            note: message.note.clone(),
            replaces: self.accepted.as_ref().map(|a| a.checkpoint.size),
            received_at: now.unix,
        }));
        self.persisting = Some((serial, Accepted { checkpoint, note: message.note }));
        Ok(())
    }

    /// Key, origin, and consistency to the head accepted before.
    fn check(&self, message: &Head) -> Result<Checkpoint, Reason> {
        let checkpoint = head::open(&message.note, &self.verifier, &self.name)?;
        let (size, root) = self
            .accepted
            .as_ref()
            .map_or((0, empty_root()), |a| (a.checkpoint.size, a.checkpoint.root));
        if message.old_size != size && checkpoint.size > size {
            return Ok(checkpoint); // the caller refuses it: the proof starts elsewhere
        }
        if let Some(end) = self.closed_at.filter(|end| checkpoint.size > *end) {
            let text = format!(
                "epoch {} of {} was closed at {end} records; a head over {} of them was signed \
                 after that: two histories, both notes are kept",
                self.id.epoch, self.id.log, checkpoint.size
            );
            let old = self.accepted.as_ref().map(|a| a.note.clone());
            let notes = old.into_iter().chain([message.note.clone()]);
            return Err(Reason::new(RefusalCode::Fork, text).with_notes(notes));
        }
        check_head((size, root), &checkpoint, &message.proof).map_err(|error| {
            let old = self.accepted.as_ref().map(|a| a.note.clone());
            head::reason(&error, &self.id.log)
                .with_notes(old.into_iter().chain([message.note.clone()]))
                .with_proof(&message.proof)
        })?;
        Ok(checkpoint)
    }

    pub(crate) fn head_persisted(
        &mut self,
        now: Now,
        ticket: &PersistTicket,
        answer: Result<(), Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if self.persisting.as_ref().is_none_or(|(serial, _)| *serial != ticket.serial) {
            return Ok(());
        }
        let Some((_, accepted)) = self.persisting.take() else { return Ok(()) };
        if let Err(failure) = answer {
            return self.failed(now, failure, q);
        }
        self.accepted = Some(accepted);
        if matches!(self.phase, Phase::Stopped { .. }) {
            return Ok(());
        }
        self.answer_head(now, q)?;
        self.admit_waiting(q)
    }

    /// The peer does not go on with the log.
    pub(crate) fn on_refused(&mut self, message: &Refused, q: &mut Queue) {
        if matches!(self.phase, Phase::Stopped { .. } | Phase::Finished) {
            return;
        }
        self.phase = Phase::Stopped { code: message.code, text: message.text.clone() };
        self.forget_waiting();
        let reason =
            Reason::new(message.code, message.text.clone()).with_notes(message.note.clone());
        q.fault(&self.id, Party::Peer, reason);
    }

    /// Stops if `frozen` says why, and the peer has said hello.
    pub(crate) fn freeze(
        &mut self,
        frozen: &impl Fn(&LogName, u32) -> Option<String>,
        q: &mut Queue,
    ) {
        if matches!(self.phase, Phase::Active | Phase::Paused { .. })
            && let Some(text) = frozen(&self.id.log, self.id.epoch)
        {
            self.stop(Reason::new(RefusalCode::Fork, text), q);
        }
    }

    /// Takes up where the epoch was closed, if that was found out meanwhile.
    pub(crate) fn close(&mut self, closed_at: &impl Fn(&LogName, u32) -> Option<u64>) {
        self.closed_at = self.closed_at.or_else(|| closed_at(&self.id.log, self.id.epoch));
    }

    fn stop(&mut self, reason: Reason, q: &mut Queue) {
        self.phase = Phase::Stopped { code: reason.code, text: reason.text.clone() };
        self.forget_waiting();
        q.refuse_log(&self.id, reason);
    }

    /// The driver could not store something.
    fn failed(&mut self, now: Now, failure: Failure, q: &mut Queue) -> Result<(), Violation> {
        match (failure, &self.phase) {
            (_, Phase::Stopped { .. }) => {}
            // What was asked for after the request that failed fails too.
            (Failure::OutOfStep, Phase::Paused { .. }) => {}
            (Failure::DiskFull, _) => {
                let text = format!(
                    "the office that mirrors {} has no disk space left: free some there; it goes \
                     on by itself",
                    self.id.log
                );
                self.pause(now, Reason::new(RefusalCode::DiskFull, text), q);
            }
            (Failure::IndexBuilding, _) => {
                let log = &self.id.log;
                let text =
                    format!("the office that mirrors {log} builds its index and goes on by itself");
                self.pause(now, Reason::new(RefusalCode::IndexBuilding, text), q);
            }
            (Failure::Damaged, _) => {
                let text = format!(
                    "the mirror of {} is damaged where it is stored: run `adal journal check` \
                     there",
                    self.id.log
                );
                self.stop(Reason::new(RefusalCode::Damaged, text), q);
            }
            (Failure::OutOfStep | Failure::Internal, _) => {
                let text = format!("storing records of {} failed", self.id.log);
                return Err(Violation::internal(text));
            }
        }
        Ok(())
    }

    /// Stores nothing until the failure may have passed. The peer hears of it once.
    fn pause(&mut self, now: Now, reason: Reason, q: &mut Queue) {
        let (code, until) = (reason.code, now.mono.saturating_add(self.limits.store_retry));
        if let Phase::Paused { barrier, .. } = self.phase {
            self.phase = Phase::Paused { code, until, barrier };
            return;
        }
        q.refuse_log(&self.id, reason);
        let barrier = q.serial();
        q.send(Message::Ping { nonce: barrier });
        self.phase = Phase::Paused { code, until, barrier: Some(barrier) };
        self.forget_waiting();
    }

    fn forget_waiting(&mut self) {
        let inbox: usize = self.inbox.drain(..).map(|m| bytes(&m)).sum();
        self.waiting_bytes -= inbox;
    }

    /// A pong came in: everything the peer sent before it has been handled.
    pub(crate) fn drained(&mut self, nonce: u64) {
        if let Phase::Paused { barrier, .. } = &mut self.phase
            && *barrier == Some(nonce)
        {
            *barrier = None;
        }
    }

    /// Reopens a paused log when its time has come.
    pub(crate) fn tick(&mut self, now: Now, q: &mut Queue) {
        if self.wakeup().is_none_or(|at| at > now.mono) {
            return;
        }
        self.staged = self.held.clone();
        self.gaps = None;
        self.phase = Phase::Active;
        self.send_held(None, q);
    }

    /// Monotonic moment at which [`Follower::tick`] has something to do.
    pub(crate) fn wakeup(&self) -> Option<u64> {
        let settled = self.commits.is_empty() && self.persisting.is_none();
        match self.phase {
            Phase::Paused { until, barrier: None, .. } if settled => Some(until),
            _ => None,
        }
    }

    pub(crate) fn status(&self, now: Now) -> LogStatus {
        let head_size = self.accepted.as_ref().map(|a| a.checkpoint.size);
        let recent = self
            .head_mono
            .is_some_and(|at| now.mono.saturating_sub(at) <= 3 * self.limits.heartbeat);
        let lag = head_size.map(|size| size.saturating_sub(self.held.size()));
        // Whatever else its writer has of it can never be proved.
        let is_over = self.closed_at == Some(self.held.size());
        LogStatus {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Follower,
            size: self.held.size(),
            head_size,
            head_at: self.head_unix,
            held: self.held.size(),
            witnessed: head_size,
            lag,
            state: match &self.phase {
                Phase::Waiting => LogState::Waiting,
                Phase::Finished => LogState::Live,
                Phase::Active if is_over || (recent && lag == Some(0)) => LogState::Live,
                Phase::Active => LogState::CatchingUp,
                Phase::Paused { code, .. } => LogState::Paused(*code),
                Phase::Stopped { code, text } => {
                    LogState::Stopped { code: *code, text: text.clone() }
                }
            },
        }
    }
}

/// Bytes of memory that a batch takes, also one that holds nothing.
fn bytes(message: &Entries) -> usize {
    let records = message.records.iter().map(|record| record.len() + size_of::<Vec<u8>>());
    records.sum::<usize>() + size_of_val(&message.proof[..]) + size_of::<Entries>()
}
