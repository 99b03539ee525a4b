//! What the hellos say of a mirrored log, and what follows from it.

use evidence::hash::Hash;
use evidence::succession::Succession;

use super::{Follower, Phase};
use crate::action::{Action, Failure, ReadRoot, RootTicket};
use crate::head;
use crate::message::{Holding, RefusalCode, Role};
use crate::queue::{LogId, Queue, Reason};

/// See [`Follower::judge`].
pub(super) struct Judged {
    serial: u64,
    size: u64,
    root: Hash,
    covered: u64,
}

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
            first: self.first,
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
        let is_new = head::begins_anew(self.first, holding.first);
        if !closed && (is_new || (holding.size == 0 && covered > 0)) {
            let text = format!(
                "{} has {} records at the office that writes it, which begin anew; this office \
                 co-signed {covered} others: the journal there was made anew under the same key",
                self.id.log, holding.size
            );
            return self.stop(Reason::new(RefusalCode::RecreatedLog, text).with_notes(notes), q);
        }
        if !closed && holding.size < covered {
            return self.judge(holding, covered, q);
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

    /// The writer has fewer records than were co-signed: an old copy of what is here, or something
    /// else. Nothing of the log is taken meanwhile.
    fn judge(&mut self, holding: &Holding, covered: u64, q: &mut Queue) {
        let serial = q.serial();
        let (size, root) = (holding.size, holding.root);
        let judged = Judged { serial, size, root, covered };
        if size > self.held.size() {
            return self.went_back(&judged, None, q);
        }
        self.judging = Some(judged);
        q.push(Action::ReadRoot(ReadRoot {
            ticket: RootTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size,
        }));
    }

    /// Answer to what [`Follower::judge`] asks.
    pub(crate) fn root_read(
        &mut self,
        ticket: &RootTicket,
        answer: Result<Hash, Failure>,
        q: &mut Queue,
    ) {
        let asked = self.judging.take_if(|judged| judged.serial == ticket.serial);
        if let Some(judged) = asked.filter(|_| matches!(self.phase, Phase::Waiting)) {
            self.went_back(&judged, answer.ok(), q);
        }
    }

    /// `here`: the root of as many records as the writer has; `None`: it is not known.
    fn went_back(&mut self, judged: &Judged, here: Option<Hash>, q: &mut Queue) {
        let (log, Judged { size, covered, .. }) = (&self.id.log, judged);
        let has = format!("{log} has {size} records at the office that writes it");
        let (code, text) = match here {
            Some(here) if here == judged.root => (
                RefusalCode::OldBackup,
                format!(
                    "{has}, the first of the {covered} that this office co-signed: an old copy of \
                     the journal was put back there"
                ),
            ),
            Some(_) => (
                RefusalCode::Rollback,
                format!(
                    "{has}, and they are not the first of the {covered} that this office \
                     co-signed: the journal there went back and went on otherwise"
                ),
            ),
            None => (
                RefusalCode::Rollback,
                format!(
                    "{has}, this office co-signed {covered}: the journal there went back or lost \
                     its end"
                ),
            ),
        };
        let notes = self.accepted.as_ref().map(|a| a.note.clone());
        self.stop(Reason::new(code, text).with_notes(notes), q);
    }
}
