//! What the mirror says of heads and records: cosignatures and its position.

use evidence::checkpoint::cosign;
use evidence::log::LogName;

use super::{Follower, Phase};
use crate::action::{Action, Mirrored};
use crate::message::{HeadAccepted, Held, Message};
use crate::now::Now;
use crate::queue::{Queue, Violation};

/// An accepted head below which something is lacking, with its witness cosignature.
pub(super) struct WaitingHead {
    size: u64,
    note: String,
    witness: String,
}

/// A mirror cosignature, and the size of its head.
pub(super) struct Line {
    size: u64,
    line: String,
}

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
        if self.mirror_signed.is_none_or(|signed| signed < accepted.checkpoint.size) {
            self.remember();
        }
        if let Some(line) = self.mirror_cosignature(now, q)? {
            self.send_held(Some(line), q);
        }
        Ok(())
    }

    /// The newest accepted head waits for what lies below it, unless an earlier one does.
    fn remember(&mut self) {
        let newest = self.accepted.as_ref().zip(self.witness_line.as_ref());
        let newest = newest.filter(|(accepted, (size, _))| accepted.checkpoint.size == *size);
        if let Some((accepted, (size, witness))) = newest.filter(|_| self.waiting.is_none()) {
            let (note, witness) = (accepted.note.clone(), witness.clone());
            self.waiting = Some(WaitingHead { size: *size, note, witness });
        }
    }

    /// Whether everything below a head of this size is here, with its keys and attachments.
    fn is_complete(&self, size: u64) -> bool {
        let is_keyed = self.keyed.is_none_or(|keyed| keyed >= size);
        size <= self.held.size() && is_keyed && (!self.awaits || self.complete >= size)
    }

    /// The head that can be co-signed as a mirror's now: the newest one, else the one that waits.
    fn complete_head(&self) -> Option<(u64, &str)> {
        let accepted = self.accepted.as_ref().map(|a| (a.checkpoint.size, a.note.as_str()));
        let newest = accepted.filter(|(size, _)| *size == self.held.size());
        let waiting = self.waiting.as_ref().filter(|_| self.earlier);
        let waiting = waiting.map(|waiting| (waiting.size, waiting.note.as_str()));
        newest.into_iter().chain(waiting).find(|(size, _)| self.is_complete(*size))
    }

    /// The mirror cosignature, once per head and link; the driver hears of it.
    pub(super) fn mirror_cosignature(
        &mut self,
        now: Now,
        q: &mut Queue,
    ) -> Result<Option<Line>, Violation> {
        let Some((size, note)) = self.complete_head() else { return Ok(None) };
        if self.mirror_signed == Some(size) {
            return Ok(None);
        }
        let line = cosign(note, &self.keys.mirror, now.unix_seconds())
            .map_err(|_| Violation::internal("co-signing a mirror failed"))?;
        let newest = self.witness_line.as_ref().map(|(at, witness)| (*at, witness));
        let waiting = self.waiting.as_ref().map(|waiting| (waiting.size, &waiting.witness));
        if let Some((_, witness)) = newest.into_iter().chain(waiting).find(|(at, _)| *at == size) {
            q.push(Action::Mirrored(Mirrored {
                log: self.id.log.clone(),
                epoch: self.id.epoch,
                size,
                note: note.to_owned(),
                lines: [witness.clone(), line.clone()],
            }));
        }
        self.mirror_signed = Some(size);
        self.waiting = None;
        if self.accepted_size() > size {
            self.remember();
        }
        Ok(Some(Line { size, line }))
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

    /// The peer's hello came. `awaits`: heads wait for the attachments below them. `earlier`: the
    /// peer takes lines of heads that are not its newest.
    pub(crate) fn greet(&mut self, awaits: bool, earlier: bool) {
        (self.awaits, self.earlier) = (awaits, earlier);
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
        if (answered || is_over || self.waiting.is_some())
            && matches!(self.phase, Phase::Active | Phase::Finished)
            && let Some(line) = self.mirror_cosignature(now, q)?
        {
            self.send_held(Some(line), q);
        }
        Ok(())
    }

    pub(super) fn send_held(&self, line: Option<Line>, q: &mut Queue) {
        let size = self.held.size();
        let cosigned = line.as_ref().map(|line| line.size).filter(|of| *of != size);
        q.send(Message::Held(Held {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size,
            root: self.held.root(),
            cosignature: line.map(|line| line.line),
            cosigned,
        }));
    }
}
