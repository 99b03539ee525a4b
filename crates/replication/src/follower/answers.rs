//! What the mirror says of heads and records: cosignatures and its position.

use evidence::checkpoint::cosign;
use evidence::log::LogName;

use super::{Follower, Phase};
use crate::action::{Action, Mirrored};
use crate::message::{HeadAccepted, Held, Message};
use crate::now::Now;
use crate::queue::{Queue, Violation};

impl Follower {
    /// Co-signs the accepted head as witness, and as mirror if everything below it is here.
    pub(super) fn answer_head(&mut self, now: Now, q: &mut Queue) -> Result<(), Violation> {
        let Some(accepted) = &self.accepted else { return Ok(()) };
        let cosignature = cosign(&accepted.note, &self.keys.witness, now.unix_seconds())
            .map_err(|_| Violation::internal("co-signing a head failed"))?;
        self.witness_line = Some((accepted.checkpoint.size, cosignature.clone()));
        q.send(Message::HeadAccepted(HeadAccepted {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: accepted.checkpoint.size,
            cosignature,
        }));
        if let Some(line) = self.mirror_cosignature(now, q)? {
            self.send_held(Some(line), q);
        }
        Ok(())
    }

    /// The mirror cosignature, once per head and link, when the attachments of everything below it
    /// are here too, and its keys are kept; the driver hears of it.
    pub(super) fn mirror_cosignature(
        &mut self,
        now: Now,
        q: &mut Queue,
    ) -> Result<Option<String>, Violation> {
        let size = self.held.size();
        let Some(accepted) = self.accepted.as_ref().filter(|a| a.checkpoint.size == size) else {
            return Ok(None);
        };
        let is_keyed = self.keyed.is_none_or(|keyed| keyed >= size);
        let is_whole = !self.awaits || self.complete >= size;
        if self.mirror_signed == Some(size) || !is_keyed || !is_whole {
            return Ok(None);
        }
        let line = cosign(&accepted.note, &self.keys.mirror, now.unix_seconds())
            .map_err(|_| Violation::internal("co-signing a mirror failed"))?;
        self.mirror_signed = Some(size);
        if let Some((_, witness)) = self.witness_line.as_ref().filter(|(at, _)| *at == size) {
            q.push(Action::Mirrored(Mirrored {
                log: self.id.log.clone(),
                epoch: self.id.epoch,
                size,
                note: accepted.note.clone(),
                lines: [witness.clone(), line.clone()],
            }));
        }
        Ok(Some(line))
    }

    /// Wraps of the keys of so many records are kept here.
    pub(crate) fn keys_kept(
        &mut self,
        now: Now,
        keyed: &impl Fn(&LogName, u32) -> Option<u64>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        self.keyed = keyed(&self.id.log, self.id.epoch);
        self.answer_late(now, q)
    }

    /// Whether heads wait for the attachments below them.
    pub(crate) fn await_attachments(&mut self, awaits: bool) {
        self.awaits = awaits;
    }

    /// Every attachment that the first `records` name is here.
    pub(crate) fn attachments_complete(
        &mut self,
        now: Now,
        records: u64,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        self.complete = records;
        self.answer_late(now, q)
    }

    /// Gives the mirror cosignature that something kept back. A head that is not co-signed as a
    /// witness's on this link yet is answered by that.
    fn answer_late(&mut self, now: Now, q: &mut Queue) -> Result<(), Violation> {
        let size = self.held.size();
        let answered = self.witness_line.as_ref().is_some_and(|(at, _)| *at == size);
        // Of an epoch that is over no head comes any more: the one that the hello showed counts.
        let is_over = matches!(self.phase, Phase::Finished) || self.closed_at == Some(size);
        if (answered || is_over)
            && matches!(self.phase, Phase::Active | Phase::Finished)
            && let Some(line) = self.mirror_cosignature(now, q)?
        {
            self.send_held(Some(line), q);
        }
        Ok(())
    }

    pub(super) fn send_held(&self, cosignature: Option<String>, q: &mut Queue) {
        q.send(Message::Held(Held {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: self.held.size(),
            root: self.held.root(),
            cosignature,
        }));
    }
}
