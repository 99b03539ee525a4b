//! Records that come back: which side gives, which takes, and in which order.

use std::sync::Arc;

use evidence::log::LogName;

use super::Session;
use crate::action::{Action, Close, Offered};
use crate::giving::Giving;
use crate::limits::{Limits, READS_IN_FLIGHT};
use crate::message::{Hello, Holding, RETURN, Role};
use crate::now::Now;
use crate::recovery::{Recover, Recovery};

impl Session {
    /// The log and the epochs that are taken back on this link.
    #[must_use]
    pub fn recovering(&self) -> Option<(&LogName, Vec<u32>)> {
        let log = self.recover.as_ref()?;
        Some((log, self.recoveries.iter().map(Recovery::epoch).collect()))
    }

    /// What is to be taken back has changed, or nothing is any more: the next link speaks of it.
    pub fn end_recovery(&mut self, now: Now, epoch: u32) {
        if let Some(log) = self.recover.clone() {
            self.close(now, Close::NewEpoch { log, epoch });
        }
    }

    /// Tells the driver what the peer holds of the log that is taken back.
    pub(super) fn tell_offer(&mut self, hello: &Hello) {
        let Some(log) = self.recover.clone() else { return };
        let of_log = |h: &&Holding| h.role == Role::Follower && h.log == log;
        let held = || hello.holdings.iter().filter(of_log);
        let epochs = held().map(|holding| (holding.epoch, holding.size)).collect();
        let signed = held().any(|holding| holding.head.is_some());
        let understood = understands(hello);
        self.queue.push(Action::Offered(Offered { log, epochs, signed, understood }));
    }

    /// Whether the peer speaks of records that come back, to us or from us.
    pub(super) fn comes_back(&mut self, holding: &Holding, hello: &Hello) -> bool {
        if holding.role != Role::Follower {
            return false;
        }
        let (log, epoch) = (&holding.log, holding.epoch);
        if self.recover.as_ref() == Some(log) {
            let understood = understands(hello);
            if let Some(at) = self.recovery(log, epoch) {
                self.recoveries[at].begin(holding, understood, &mut self.queue);
            }
            return true; // or the driver opens it, and the next link speaks of it
        }
        if self.giving(log, epoch).is_some() {
            return true; // it is named twice
        }
        let given = self.given.iter().find(|given| given.log == *log && given.epoch == epoch);
        if let Some(given) = given.cloned().filter(|_| understands(hello)) {
            let slot = self.origins.len() + self.givings.len();
            let limits = self.limits.clone();
            self.givings.push(Giving::new(slot, given, holding, limits, &mut self.queue));
            return true;
        }
        self.followers.iter().any(|follower| follower.epoch_of(log).is_some())
    }

    /// Lets what goes back be read, the earlier epochs first.
    pub(super) fn give_back(&mut self, mut reading: usize) {
        reading += self.givings.iter().filter(|g| g.reading()).count();
        for at in 0..self.givings.len() {
            let is_later = self.givings.iter().any(|g| g.is_before(&self.givings[at]));
            if reading >= READS_IN_FLIGHT || is_later {
                continue;
            }
            if self.givings[at].read_next(&mut self.queue) {
                reading += 1;
            }
        }
    }
}

fn understands(hello: &Hello) -> bool {
    hello.features.iter().any(|feature| feature == RETURN)
}

/// The epochs that are taken back; their tickets lie behind those of the followers.
pub(super) fn recoveries(
    recover: Option<Recover>,
    followers: usize,
    domain: &str,
    limits: &Arc<Limits>,
) -> Vec<Recovery> {
    let Some(Recover { log, epochs }) = recover else { return Vec::new() };
    let epochs = (followers..).zip(epochs);
    epochs
        .map(|(slot, lost)| Recovery::new(slot, log.clone(), lost, domain, limits.clone()))
        .collect()
}
