//! Heads for further witnesses, and cosignatures that are passed on.

use evidence::hash::Hash;
use evidence::log::LogName;

use super::Session;
use crate::action::{Failure, ProveTicket, Register, RegisterTicket, WitnessTicket};
use crate::message::{Cosigned, Message};
use crate::now::Now;
use crate::relay::Offer;

impl Session {
    /// Whether the peer has said hello and understands what is said of further witnesses.
    #[must_use]
    pub fn speaks_of_witnesses(&self) -> bool {
        self.greeted.is_some() && !self.is_closed() && self.relay.speaks()
    }

    /// Has the peer co-sign a head of a log in which it has no part on this link. Ignored where it
    /// has one, and where it does not speak of witnesses.
    pub fn offer(&mut self, now: Now, offer: Offer) {
        let (log, epoch) = (&offer.log, offer.epoch);
        let has_part = self.origin(log, epoch).or(self.follower(log, epoch)).is_some();
        if self.speaks_of_witnesses() && !has_part {
            self.relay.offer(offer, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }

    /// Passes a cosignature of a third office on; false where the peer would not understand it.
    pub fn pass_on(&mut self, cosigned: Cosigned) -> bool {
        let speaks = self.speaks_of_witnesses();
        if speaks {
            self.queue.send(Message::Cosigned(cosigned));
        }
        speaks
    }

    /// Whether this link speaks of the log at all.
    #[must_use]
    pub fn concerns(&self, log: &LogName, epoch: u32) -> bool {
        self.origin(log, epoch).or(self.follower(log, epoch)).is_some()
            || self.recovery(log, epoch).is_some()
            || self.relay.concerns(log, epoch)
    }

    /// Answer to [`Action::ProveHead`](crate::action::Action::ProveHead).
    pub fn head_proved(
        &mut self,
        now: Now,
        ticket: ProveTicket,
        answer: Result<Vec<Hash>, Failure>,
    ) {
        if self.is_closed() {
            return;
        }
        for giving in &mut self.givings {
            match giving.proved(now, &ticket, &answer, &mut self.queue) {
                Ok(false) => {}
                outcome => return self.settle(now, outcome.map(drop)),
            }
        }
        self.relay.proved(&ticket, answer, &mut self.queue);
        self.settle(now, Ok(()));
    }

    /// Answer to [`Action::ReadRegister`](crate::action::Action::ReadRegister).
    pub fn register_read(
        &mut self,
        now: Now,
        ticket: RegisterTicket,
        answer: Result<Register, Failure>,
    ) {
        if !self.is_closed() {
            let outcome = self.witnessing.register_read(now, &ticket, answer, &mut self.queue);
            self.settle(now, outcome);
        }
    }

    /// Answer to [`Action::PersistWitness`](crate::action::Action::PersistWitness): `Ok` only
    /// once the head is durable.
    pub fn witness_persisted(
        &mut self,
        now: Now,
        ticket: WitnessTicket,
        answer: Result<(), Failure>,
    ) {
        if !self.is_closed() {
            let outcome = self.witnessing.persisted(now, &ticket, answer, &mut self.queue);
            self.settle(now, outcome);
        }
    }
}
