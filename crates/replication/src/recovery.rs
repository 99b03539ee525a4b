//! Taking back records of this office's own log that the peer holds and this office lost.
//!
//! Waiting → (hello) → Expecting → Active ⇄ Paused → Done; from any of them to Stopped.
//!
//! The rules are those of a mirror: the signed head is durable first, records enter only through
//! [`evidence::verify::admit`], and what is here already must be a prefix of what was signed. This
//! office co-signs nothing of its own log. A head that covers more than the peer can give is kept:
//! it says exactly what is lost.

mod checking;

use std::collections::VecDeque;
use std::sync::Arc;

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::merkle::Frontier;
use evidence::note::Verifier;
use evidence::verify::admit;

use crate::action::{
    Action, CommitBatch, CommitTicket, Failure, Party, PersistHead, PersistTicket, ReadRoot,
    Recovered, RootTicket,
};
use crate::head;
use crate::limits::{INBOUND_BYTES, Limits};
use crate::message::{Entries, Held, Holding, Message, RefusalCode, Refused, Return, Role};
use crate::now::Now;
use crate::queue::{LogId, Queue, Reason, Violation};
use crate::status::{LogState, LogStatus};

/// A log that this office writes and takes back.
#[derive(Clone, Debug)]
pub struct Recover {
    /// The log.
    pub log: LogName,
    /// Its epochs, as far as their keys are known here.
    pub epochs: Vec<LostEpoch>,
}

/// An epoch of an own log as it is stored when the session begins.
#[derive(Clone, Debug)]
pub struct LostEpoch {
    /// The epoch.
    pub epoch: u32,
    /// The public half of the key that signed it.
    pub verifier: Verifier,
    /// What is durable here.
    pub frontier: Frontier,
    /// The largest head of it that was taken back, full note text.
    pub head: Option<String>,
}

enum Phase {
    Waiting,
    /// The peer holds it and will say what.
    Expecting,
    /// More is here than the peer can give; the driver reads what it should have.
    Comparing(u64, Checkpoint),
    Active,
    /// Nothing can be stored. Goes on at `until`, once everything that the peer sent before it
    /// knew has come in and the driver owes no answer.
    Paused {
        code: RefusalCode,
        until: u64,
        barrier: Option<u64>,
    },
    Done,
    Stopped {
        code: RefusalCode,
        text: String,
    },
}

struct Commit {
    serial: u64,
    after: Frontier,
    bytes: usize,
}

pub(crate) struct Recovery {
    id: LogId,
    name: String,
    verifier: Verifier,
    limits: Arc<Limits>,
    phase: Phase,
    /// The largest head that is stored.
    head: Option<(Checkpoint, String)>,
    /// What is asked of the peer to lead to: what it can prove.
    target: Option<Checkpoint>,
    /// The signed head to which that leads. What is here must be a part of it, or it of this.
    shown: Option<Checkpoint>,
    /// A larger head that is to be stored, and the request for it.
    pending: Option<(Checkpoint, String)>,
    persisting: Option<u64>,
    held: Frontier,
    staged: Frontier,
    commits: VecDeque<Commit>,
    waiting_bytes: usize,
}

impl Recovery {
    pub(crate) fn new(
        slot: usize,
        log: LogName,
        lost: LostEpoch,
        domain: &str,
        limits: Arc<Limits>,
    ) -> Recovery {
        let name = evidence::log::origin(domain, &log, lost.epoch);
        let stored = lost.head.map(|note| (head::open(&note, &lost.verifier, &name), note));
        let (head, phase) = match stored {
            None => (None, Phase::Waiting),
            Some((Ok(checkpoint), note)) => (Some((checkpoint, note)), Phase::Waiting),
            Some((Err(reason), _)) => {
                let text = format!("the stored head of {log}: {}", reason.text);
                (None, Phase::Stopped { code: reason.code, text })
            }
        };
        Recovery {
            id: LogId { slot, log, epoch: lost.epoch, own: true },
            name,
            verifier: lost.verifier,
            limits,
            phase,
            head,
            target: None,
            shown: None,
            pending: None,
            persisting: None,
            staged: lost.frontier.clone(),
            held: lost.frontier,
            commits: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    pub(crate) fn is(&self, log: &LogName, epoch: u32) -> bool {
        self.id.epoch == epoch && self.id.log == *log
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.id.epoch
    }

    pub(crate) fn holding(&self) -> Holding {
        Holding {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Follower,
            size: self.held.size(),
            root: self.held.root(),
            head: self.head.as_ref().map(|(_, note)| note.clone()),
            succession: None,
            first: None,
        }
    }

    /// The peer holds the epoch too; `understood`: it can give records back.
    pub(crate) fn begin(&mut self, holding: &Holding, understood: bool, q: &mut Queue) {
        if !matches!(self.phase, Phase::Waiting) {
            return;
        }
        if !understood {
            let text = format!(
                "the software of the office that holds {} cannot give records back: update it",
                self.id.log
            );
            return self.stop(Reason::new(RefusalCode::IncompatibleVersion, text), q);
        }
        if holding.head.is_some() {
            self.phase = Phase::Expecting;
        } else {
            self.finish(q); // nothing was ever signed for it
        }
    }

    /// What the peer can give.
    pub(crate) fn on_return(
        &mut self,
        now: Now,
        message: Return,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if !matches!(self.phase, Phase::Expecting) || self.pending.is_some() {
            return Ok(());
        }
        let (signed, part) = match self.check(&message) {
            Ok(checked) => checked,
            Err(reason) => {
                self.stop(reason, q);
                return Ok(());
            }
        };
        (self.target, self.shown) = (Some(part), Some(signed.clone()));
        if self.head.as_ref().is_some_and(|(known, _)| known.size >= signed.size) {
            self.compare(q);
            return Ok(());
        }
        self.pending = Some((signed, message.note));
        self.persist(now, q);
        Ok(())
    }

    /// Asks for the larger head to be stored.
    fn persist(&mut self, now: Now, q: &mut Queue) {
        let Some((signed, note)) = &self.pending else { return };
        let serial = q.serial();
        q.push(Action::PersistHead(PersistHead {
            ticket: PersistTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: signed.size,
            root: signed.root,
            note: note.clone(),
            replaces: self.head.as_ref().map(|(known, _)| known.size),
            received_at: now.unix,
        }));
        self.persisting = Some(serial);
    }

    pub(crate) fn head_persisted(
        &mut self,
        now: Now,
        ticket: &PersistTicket,
        answer: Result<(), Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if self.persisting != Some(ticket.serial) {
            return Ok(());
        }
        self.persisting = None;
        if let Err(failure) = answer {
            return self.failed(now, failure, q);
        }
        self.head = self.pending.take().or(self.head.take());
        if !matches!(self.phase, Phase::Stopped { .. }) {
            self.compare(q);
        }
        Ok(())
    }

    /// Takes records, unless everything is here that the peer has.
    fn compare(&mut self, q: &mut Queue) {
        let Some(target) = &self.target else { return };
        if self.held.size() <= target.size {
            self.phase = Phase::Active;
            self.send_held(q);
            if self.held.size() == target.size {
                self.finish(q);
            }
            return;
        }
        let with = self.shown.as_ref().filter(|signed| signed.size <= self.held.size());
        let with = with.unwrap_or(target).clone();
        let serial = q.serial();
        q.push(Action::ReadRoot(ReadRoot {
            ticket: RootTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: with.size,
        }));
        self.phase = Phase::Comparing(serial, with);
    }

    /// The root of as many own records as the peer has.
    pub(crate) fn root_read(
        &mut self,
        ticket: &RootTicket,
        answer: Result<Hash, Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let target = match &self.phase {
            Phase::Comparing(serial, with) if *serial == ticket.serial => with.clone(),
            _ => return Ok(()),
        };
        match answer {
            Ok(root) if root == target.root => {
                self.send_held(q);
                self.finish(q);
            }
            Ok(_) => {
                let (note, size) = (self.head.as_ref().map(|(_, note)| note.clone()), target.size);
                let (log, epoch) = (self.id.log.clone(), self.id.epoch);
                let shown = Return {
                    log,
                    epoch,
                    note: note.unwrap_or_default(),
                    size,
                    root: target.root,
                    rest: Vec::new(),
                    old_size: size,
                    proof: Vec::new(),
                };
                self.stop(self.other_history(size, &shown), q);
            }
            Err(Failure::Damaged) => {
                let text = format!("stored bytes of {} are damaged here", self.name);
                self.stop(Reason::new(RefusalCode::Damaged, text), q);
            }
            Err(_) => {
                return Err(Violation::internal(format!("reading {} failed", self.id.log)));
            }
        }
        Ok(())
    }

    pub(crate) fn on_entries(&mut self, message: Entries, q: &mut Queue) -> Result<(), Violation> {
        let target = self.target.clone().filter(|_| matches!(self.phase, Phase::Active));
        let Some(target) = target else { return Ok(()) };
        let size: usize = message.records.iter().map(Vec::len).sum();
        if self.waiting_bytes.saturating_add(size) > INBOUND_BYTES {
            return Err(Violation::internal("more records were sent than any window permits"));
        }
        if message.first_seq != self.staged.size() || message.head_size != target.size {
            // Held already, or not the next ones: the true position says where to go on.
            if self.commits.is_empty() {
                self.send_held(q);
            }
            return Ok(());
        }
        let Entries { records, first_seq, proof, .. } = message;
        let (log, epoch) = (&self.id.log, self.id.epoch);
        match admit(&self.staged, log, epoch, records, first_seq, &target, &proof) {
            Ok(batch) => {
                let serial = q.serial();
                self.staged = batch.frontier().clone();
                let after = self.staged.clone();
                self.commits.push_back(Commit { serial, after, bytes: size });
                self.waiting_bytes += size;
                q.push(Action::CommitBatch(CommitBatch {
                    ticket: CommitTicket { slot: self.id.slot, serial },
                    batch: Box::new(batch),
                    rest: None,
                }));
            }
            Err(error) => {
                let text = format!(
                    "records of {log} from {first_seq} on are not those below its signed head: \
                     {error}; nothing of them was stored"
                );
                let notes = self.head.as_ref().map(|(_, note)| note.clone());
                let reason = Reason::new(RefusalCode::BadSignature, text);
                self.stop(reason.with_notes(notes).with_proof(&proof), q);
            }
        }
        Ok(())
    }

    pub(crate) fn stored(
        &mut self,
        now: Now,
        ticket: &CommitTicket,
        answer: Result<(), Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let Some(at) = self.commits.iter().position(|c| c.serial == ticket.serial) else {
            return Ok(());
        };
        if let Err(failure) = answer {
            if let Some(commit) = self.commits.remove(at) {
                self.waiting_bytes -= commit.bytes;
            }
            return self.failed(now, failure, q);
        }
        for commit in self.commits.drain(..=at) {
            self.waiting_bytes -= commit.bytes;
            self.held = commit.after;
        }
        if !matches!(self.phase, Phase::Stopped { .. }) {
            self.send_held(q);
            if self.target.as_ref().is_some_and(|target| target.size == self.held.size()) {
                self.finish(q);
            }
        }
        Ok(())
    }

    fn finish(&mut self, q: &mut Queue) {
        self.phase = Phase::Done;
        q.push(Action::Recovered(Recovered {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: self.held.size(),
            signed: self.head.as_ref().map_or(0, |(head, _)| head.size),
        }));
    }

    fn send_held(&self, q: &mut Queue) {
        q.send(Message::Held(Held {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: self.held.size(),
            root: self.held.root(),
            cosignature: None,
            cosigned: None,
        }));
    }

    /// The peer does not go on with it.
    pub(crate) fn on_refused(&mut self, message: &Refused, q: &mut Queue) {
        if matches!(self.phase, Phase::Stopped { .. } | Phase::Done) {
            return;
        }
        self.phase = Phase::Stopped { code: message.code, text: message.text.clone() };
        let reason =
            Reason::new(message.code, message.text.clone()).with_notes(message.note.clone());
        q.fault(&self.id, Party::Peer, reason);
    }

    fn stop(&mut self, reason: Reason, q: &mut Queue) {
        self.phase = Phase::Stopped { code: reason.code, text: reason.text.clone() };
        q.refuse_log(&self.id, reason);
    }

    fn failed(&mut self, now: Now, failure: Failure, q: &mut Queue) -> Result<(), Violation> {
        let (code, why) = match failure {
            _ if matches!(self.phase, Phase::Stopped { .. }) => return Ok(()),
            Failure::OutOfStep if matches!(self.phase, Phase::Paused { .. }) => return Ok(()),
            Failure::DiskFull => (RefusalCode::DiskFull, "has no disk space left"),
            Failure::IndexBuilding => (RefusalCode::IndexBuilding, "builds its index"),
            Failure::Damaged | Failure::OutOfStep | Failure::Internal => {
                let text = format!("storing records of {} failed", self.id.log);
                return Err(Violation::internal(text));
            }
        };
        let until = now.mono.saturating_add(self.limits.store_retry);
        if let Phase::Paused { barrier, .. } = self.phase {
            self.phase = Phase::Paused { code, until, barrier };
            return Ok(());
        }
        let text = format!(
            "the office that takes {} back {why}: it goes on by itself once that has passed",
            self.id.log
        );
        q.refuse_log(&self.id, Reason::new(code, text));
        let barrier = q.serial();
        q.send(Message::Ping { nonce: barrier });
        self.phase = Phase::Paused { code, until, barrier: Some(barrier) };
        Ok(())
    }

    /// A pong came in: everything the peer sent before it has been handled.
    pub(crate) fn drained(&mut self, nonce: u64) {
        if let Phase::Paused { barrier, .. } = &mut self.phase
            && *barrier == Some(nonce)
        {
            *barrier = None;
        }
    }

    /// Reopens it when its time has come: where its head is not stored yet, with that.
    pub(crate) fn tick(&mut self, now: Now, q: &mut Queue) {
        if self.wakeup().is_none_or(|at| at > now.mono) {
            return;
        }
        self.staged = self.held.clone();
        self.phase = Phase::Expecting;
        match self.pending {
            Some(_) => self.persist(now, q),
            None => self.compare(q),
        }
    }

    /// Monotonic moment at which [`Recovery::tick`] has something to do.
    pub(crate) fn wakeup(&self) -> Option<u64> {
        let settled = self.commits.is_empty() && self.persisting.is_none();
        match self.phase {
            Phase::Paused { until, barrier: None, .. } if settled => Some(until),
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> LogStatus {
        let target = self.target.as_ref().map(|target| target.size);
        LogStatus {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Follower,
            size: self.held.size(),
            head_size: target,
            head_at: None,
            held: self.held.size(),
            witnessed: self.head.as_ref().map(|(head, _)| head.size),
            lag: target.map(|size| size.saturating_sub(self.held.size())),
            state: match &self.phase {
                Phase::Waiting | Phase::Expecting | Phase::Comparing(..) => LogState::Waiting,
                Phase::Active => LogState::CatchingUp,
                Phase::Done => LogState::Live,
                Phase::Paused { code, .. } => LogState::Paused(*code),
                Phase::Stopped { code, text } => {
                    LogState::Stopped { code: *code, text: text.clone() }
                }
            },
        }
    }
}
