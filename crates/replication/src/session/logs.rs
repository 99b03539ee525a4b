//! The driver's answers, and whose turn it is to send.

use evidence::hash::Hash;
use evidence::log::LogName;

use super::Session;
use crate::action::{
    CommitTicket, EntriesRead, Failure, PersistTicket, ReadTicket, RootTicket, SignTicket,
    SignedHead,
};
use crate::limits::READS_IN_FLIGHT;
use crate::now::Now;
use crate::origin::Origin;

impl Session {
    /// An own log has `size` durable records now. A log this session does not know is ignored;
    /// a new epoch of one that it does know ends it, so that the next link speaks of it.
    pub fn local_grew(&mut self, now: Now, log: &LogName, epoch: u32, size: u64) {
        if let Some(slot) = self.origin(log, epoch) {
            self.origins[slot].grew(size);
            if self.greeted.is_some() {
                self.settle(now, Ok(()));
            }
        } else {
            self.outgrown(now, log, epoch);
        }
    }

    /// Two histories of a log that we mirror may have been seen elsewhere: `frozen` says so in
    /// words. Nothing more of such a log is accepted on this link either.
    pub fn freeze(&mut self, now: Now, frozen: impl Fn(&LogName, u32) -> Option<String>) {
        if self.is_closed() {
            return;
        }
        for follower in &mut self.followers {
            follower.freeze(&frozen, &mut self.queue);
        }
        self.settle(now, Ok(()));
    }

    /// An epoch that we mirror may have been closed since the session began: `closed_at` says
    /// where. A mirror that holds everything up to there waits for nothing more.
    pub fn close_epochs(&mut self, closed_at: impl Fn(&LogName, u32) -> Option<u64>) {
        for follower in &mut self.followers {
            follower.close(&closed_at);
        }
    }

    /// Answer to [`Action::ReadRoot`](crate::action::Action::ReadRoot).
    pub fn root_read(&mut self, now: Now, ticket: RootTicket, answer: Result<Hash, Failure>) {
        if self.is_closed() {
            return;
        }
        // All ask for roots; the serial says whose the ticket is.
        for recovery in &mut self.recoveries {
            let outcome = recovery.root_read(&ticket, answer, &mut self.queue);
            if outcome.is_err() {
                return self.settle(now, outcome);
            }
        }
        if let Some(follower) = self.followers.get_mut(ticket.slot) {
            follower.root_read(&ticket, answer, &mut self.queue);
        }
        let origin = self.origins.get_mut(ticket.slot);
        let outcome =
            origin.map_or(Ok(()), |origin| origin.root_read(&ticket, answer, &mut self.queue));
        self.settle(now, outcome);
    }

    /// Answer to [`Action::SignHead`](crate::action::Action::SignHead).
    pub fn head_signed(
        &mut self,
        now: Now,
        ticket: SignTicket,
        answer: Result<SignedHead, Failure>,
    ) {
        if self.is_closed() {
            return;
        }
        if let Some(origin) = self.origins.get_mut(ticket.slot) {
            let outcome = origin.head_signed(now, &ticket, answer, &mut self.queue);
            self.settle(now, outcome);
        }
    }

    /// Answer to [`Action::ReadEntries`](crate::action::Action::ReadEntries).
    pub fn entries_read(
        &mut self,
        now: Now,
        ticket: ReadTicket,
        answer: Result<EntriesRead, Failure>,
    ) {
        if self.is_closed() {
            return;
        }
        let outcome = match self.origins.get_mut(ticket.slot) {
            Some(origin) => origin.entries_read(now, &ticket, answer, &mut self.queue),
            None => match self.givings.get_mut(ticket.slot - self.origins.len()) {
                Some(giving) => giving.entries_read(now, &ticket, answer, &mut self.queue),
                None => Ok(()),
            },
        };
        self.settle(now, outcome);
    }

    /// Answer to [`Action::PersistHead`](crate::action::Action::PersistHead): `Ok` only once the
    /// head is durable.
    pub fn head_persisted(&mut self, now: Now, ticket: PersistTicket, answer: Result<(), Failure>) {
        if self.is_closed() {
            return;
        }
        let outcome = match self.followers.get_mut(ticket.slot) {
            Some(follower) => follower.head_persisted(now, &ticket, answer, &mut self.queue),
            None => match self.recoveries.get_mut(ticket.slot - self.followers.len()) {
                Some(recovery) => recovery.head_persisted(now, &ticket, answer, &mut self.queue),
                None => Ok(()),
            },
        };
        self.settle(now, outcome);
    }

    /// Answer to [`Action::CommitBatch`](crate::action::Action::CommitBatch): `Ok` only once the
    /// records are durable.
    pub fn stored(&mut self, now: Now, ticket: CommitTicket, answer: Result<(), Failure>) {
        if self.is_closed() {
            return;
        }
        let outcome = match self.followers.get_mut(ticket.slot) {
            Some(follower) => follower.stored(now, &ticket, answer, &mut self.queue),
            None => match self.recoveries.get_mut(ticket.slot - self.followers.len()) {
                Some(recovery) => recovery.stored(now, &ticket, answer, &mut self.queue),
                None => Ok(()),
            },
        };
        self.settle(now, outcome);
    }

    /// Shows what is urgent and sends the heads that are due, then lets the logs read in turn, so
    /// that a long backlog of one does not keep the others waiting.
    pub(super) fn pump(&mut self, now: Now) {
        if self.greeted.is_none() || self.is_closed() {
            return;
        }
        for origin in &mut self.origins {
            // Before the next head: on a slow line one is due as soon as the last is answered.
            origin.preview(now, &mut self.queue);
            if origin.head_due().is_some_and(|at| at <= now.mono) {
                origin.send_head(now, &mut self.queue);
            }
        }
        let count = self.origins.len();
        let mut reading = self.origins.iter().filter(|o| o.reading()).count();
        for _ in 0..count {
            if reading >= READS_IN_FLIGHT {
                break;
            }
            let slot = self.turn % count;
            self.turn = slot + 1;
            let earlier = |o: &Origin| o.precedes(&self.origins[slot]) && o.is_behind();
            if self.origins.iter().any(earlier) {
                continue;
            }
            if self.origins[slot].read_next(&mut self.queue) {
                reading += 1;
            }
        }
        self.give_back(reading);
        self.lane.pump(now, &mut self.queue);
    }
}
