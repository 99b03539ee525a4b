//! What has changed at this office since the link was planned.

use super::Driver;
use crate::link::store;
use crate::reseed;

impl Driver {
    pub(super) fn tell_growth(&mut self) {
        let now = self.now();
        self.lane.look_again();
        for info in self.office.journal.logs() {
            if info.role == journal::Role::Own {
                self.session.local_grew(now, &info.log, info.epoch, info.size);
            }
        }
        // Evidence that was found elsewhere, by another link or a person, holds for this one too.
        let office = &self.office;
        self.session.freeze(now, |log, epoch| store::frozen(office, log, epoch));
    }

    /// Ends a link whose plan for taking records back no longer holds: a key of one more epoch is
    /// known, or everything is here.
    pub(super) fn look_at_recovery(&mut self) {
        let Some((_, epochs)) = self.session.recovering() else { return };
        let now_lost = reseed::epochs(&self.office);
        if now_lost.as_ref() != Some(&epochs) {
            let (now, epoch) = (self.now(), self.office.own_epoch());
            self.session.end_recovery(now, epoch);
        }
    }

    /// Takes up which epochs are closed; ends a link that was planned with keys of the peer that
    /// others have replaced since: it would refuse for ever what the new ones sign.
    pub(super) fn look_at_offices(&mut self) {
        let known = self.office.country.known();
        self.session.close_epochs(|log, epoch| {
            known.closed.get(&(log.clone(), epoch)).map(|closed| closed.size)
        });
        if known.new_keys(&self.peer) != self.keys {
            self.session.end_for_other_keys(self.now());
        }
    }
}
