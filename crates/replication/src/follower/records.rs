//! Records on their way into the mirror.

use evidence::verify::{AdmitError, admit};

use super::{Commit, Follower, Phase, bytes};
use crate::action::{Action, CommitBatch, CommitTicket, Failure, Rest};
use crate::limits::{GAPS_TOLERATED, INBOUND_BYTES};
use crate::message::{Entries, RefusalCode};
use crate::now::Now;
use crate::queue::{Queue, Reason, Violation};

impl Follower {
    pub(crate) fn on_entries(&mut self, message: Entries, q: &mut Queue) -> Result<(), Violation> {
        match self.phase {
            Phase::Active => {}
            Phase::Waiting => return Err(Violation::internal("records of a log not agreed")),
            Phase::Paused { .. } | Phase::Finished | Phase::Stopped { .. } => return Ok(()),
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes(&message));
        if self.waiting_bytes > INBOUND_BYTES {
            return Err(Violation::internal("more records were sent than any window permits"));
        }
        self.inbox.push_back(message);
        self.admit_waiting(q)
    }

    /// Takes up the batches whose head is durable.
    pub(super) fn admit_waiting(&mut self, q: &mut Queue) -> Result<(), Violation> {
        while self.persisting.is_none() && matches!(self.phase, Phase::Active) {
            let Some(message) = self.inbox.pop_front() else { break };
            self.waiting_bytes -= bytes(&message);
            self.admit_one(message, q)?;
        }
        Ok(())
    }

    fn admit_one(&mut self, message: Entries, q: &mut Queue) -> Result<(), Violation> {
        let expected = self.staged.size();
        if message.first_seq > expected {
            self.gap(message.first_seq, q);
            return Ok(());
        }
        if message.first_seq < expected {
            // Held already: a no-op. What is being stored is answered when it is.
            if self.commits.is_empty() {
                self.send_held(None, q);
            }
            return Ok(());
        }
        self.gaps = None;
        let Some(accepted) =
            self.accepted.as_ref().filter(|a| a.checkpoint.size == message.head_size)
        else {
            return Err(Violation::internal("records came that lead to another head than sent"));
        };
        let size = bytes(&message);
        let Entries { records, first_seq, proof, .. } = message;
        let (log, epoch) = (&self.id.log, self.id.epoch);
        let checkpoint = &accepted.checkpoint;
        match admit(&self.staged, log, epoch, records, first_seq, checkpoint, &proof) {
            Ok(batch) => {
                let serial = q.serial();
                self.staged = batch.frontier().clone();
                let after = self.staged.clone();
                let covered = accepted.checkpoint.size > after.size();
                let rest = covered.then(|| Rest { note: accepted.note.clone(), proof });
                let names = batch.records().iter().any(|r| !r.header().attachments.is_empty());
                self.commits.push_back(Commit { serial, after, bytes: size, names });
                self.waiting_bytes += size;
                q.push(Action::CommitBatch(CommitBatch {
                    ticket: CommitTicket { slot: self.id.slot, serial },
                    batch: Box::new(batch),
                    rest,
                }));
            }
            Err(error) => {
                let text = format!(
                    "records of {log} from {first_seq} on are not those below its signed head: \
                     {error}; nothing of them was stored"
                );
                let reason = Reason::new(unproved(&error), text)
                    .with_notes([accepted.note.clone()])
                    .with_proof(&proof);
                self.stop(reason, q);
            }
        }
        Ok(())
    }

    /// A batch does not follow: it is dropped, the true position is named once.
    fn gap(&mut self, first_seq: u64, q: &mut Queue) {
        let dropped = self.gaps.map_or(0, |n| n.saturating_add(1));
        self.gaps = Some(dropped);
        if dropped == 0 {
            if self.commits.is_empty() {
                self.send_held(None, q);
            }
        } else if dropped > GAPS_TOLERATED {
            let text = format!(
                "records of {} keep coming from {first_seq} on, {} are held here",
                self.id.log,
                self.held.size()
            );
            let notes = self.accepted.as_ref().map(|a| a.note.clone());
            self.stop(Reason::new(RefusalCode::Gap, text).with_notes(notes), q);
        }
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
        // One stored batch proves the ones before it: the journal is contiguous.
        for commit in self.commits.drain(..=at) {
            self.waiting_bytes -= commit.bytes;
            if self.complete >= self.held.size() && !commit.names {
                self.complete = self.complete.max(commit.after.size());
            }
            self.held = commit.after;
        }
        if matches!(self.phase, Phase::Stopped { .. }) {
            return Ok(());
        }
        let line = self.mirror_cosignature(now, q)?;
        self.send_held(line, q);
        if self.gaps.is_some() && self.commits.is_empty() {
            self.send_held(None, q);
        }
        Ok(())
    }
}

/// The code for records that may not be stored.
fn unproved(error: &AdmitError) -> RefusalCode {
    match error {
        AdmitError::Gap { .. } | AdmitError::Duplicate { .. } => RefusalCode::Gap,
        AdmitError::BeyondHead { .. } | AdmitError::Empty | AdmitError::TooMany { .. } => {
            RefusalCode::Gap
        }
        AdmitError::Record { .. }
        | AdmitError::Misplaced { .. }
        | AdmitError::NotUrgent { .. }
        | AdmitError::ForeignHead
        | AdmitError::Unproved(_) => RefusalCode::BadSignature,
    }
}
