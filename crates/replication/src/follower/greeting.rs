//! What the hellos say of a mirrored log, and what follows from it.

use evidence::succession::Succession;

use super::{Follower, Phase};
use crate::message::{Holding, RefusalCode, Role};
use crate::queue::{LogId, Queue, Reason};

impl Follower {
    pub(crate) fn holding(&self) -> Holding {
        Holding {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Follower,
            size: self.held.size(),
            root: self.held.root(),
            head: self.accepted.as_ref().map(|a| a.note.clone()),
            succession: None,
        }
    }

    /// Whether the peer shows, for an epoch that we mirror, another key than the one we know.
    fn reopened(&self, holding: &Holding) -> Option<Reason> {
        let note = holding.succession.as_ref()?;
        let shown = Succession::parse(note).ok()?.successor;
        if shown.public_key() == self.verifier.public_key() {
            return None;
        }
        let LogId { log, epoch, .. } = &self.id;
        let text = format!(
            "epoch {epoch} of {log} was opened before, with another key: an epoch is never opened \
             twice. Restore again with `adal journal restore --epoch N`, N one more than the \
             highest epoch of {log} that any office holds"
        );
        let notes = self.accepted.as_ref().map(|a| a.note.clone());
        let notes = notes.into_iter().chain([note.clone()]);
        Some(Reason::new(RefusalCode::WrongKey, text).with_notes(notes))
    }

    /// The peer does not speak of this epoch any more, only of later ones: it is over.
    pub(crate) fn finish(&mut self) {
        if matches!(self.phase, Phase::Waiting) {
            self.phase = Phase::Finished;
        }
    }

    /// The peer's hello names the log; `closed`: and a later epoch of it, so that this one is over
    /// and may be shorter there than here.
    pub(crate) fn begin(&mut self, holding: &Holding, closed: bool, q: &mut Queue) {
        if let Phase::Stopped { code, text } = &self.phase {
            let reason = Reason::new(*code, text.clone());
            return q.refuse_log(&self.id, reason);
        }
        if !matches!(self.phase, Phase::Waiting) || holding.role != Role::Origin {
            return;
        }
        if let Some(reason) = self.reopened(holding) {
            return self.stop(reason, q);
        }
        let covered = self.accepted_size();
        let notes = self.accepted.as_ref().map(|a| a.note.clone());
        // An epoch that is over may be shorter at its writer than here, or than what was co-signed:
        // nothing more can come of it. What is missing is for the mirror's office to make known.
        if closed && holding.size < covered && holding.size != self.held.size() {
            self.phase = Phase::Finished;
            return;
        }
        if !closed && holding.size < covered {
            let text = format!(
                "{} has {} records at the office that writes it, this office co-signed {covered}: \
                 the journal there was restored or lost its end",
                self.id.log, holding.size
            );
            return self.stop(Reason::new(RefusalCode::Rollback, text).with_notes(notes), q);
        }
        if holding.size == self.held.size() && holding.root != self.held.root() {
            let text = format!(
                "the {} records of {} at the office that writes it are not the ones it signed \
                 and this office holds: two histories",
                holding.size, self.id.log
            );
            return self.stop(Reason::new(RefusalCode::Fork, text).with_notes(notes), q);
        }
        self.phase = match closed && holding.size == self.held.size() {
            true => Phase::Finished,
            false => Phase::Active,
        };
    }
}
