//! Urgent records ahead of the backlog.

use evidence::merkle::MAX_PROOF;

use super::{Origin, SentHead};
use crate::action::{Action, FindUrgent, PreviewAsk, PreviewRead, PreviewTicket, ReadPreview};
use crate::limits::PREVIEW_BYTES;
use crate::message::{Message, Preview};
use crate::now::Now;
use crate::queue::{Queue, Violation};

impl Origin {
    /// Whether the peer understands previews.
    pub(crate) fn greet_previews(&mut self, understood: bool) {
        self.previews.greet(understood);
    }

    /// Size of the head that the follower accepted, if none is newer; one that was sent again
    /// counts, whether it was answered again or not.
    fn settled_head(&self) -> Option<u64> {
        let busy = self.signing.is_some() || self.reading.is_some();
        let is_settled = |head: &&SentHead| head.answered || self.accepted == Some(head.size);
        let head = self.head.as_ref().filter(|_| !busy).filter(is_settled);
        head.map(|head| head.size)
    }

    /// Looks for urgent records that wait behind others, and asks for one to be shown.
    pub(crate) fn preview(&mut self, now: Now, q: &mut Queue) {
        if !self.active() {
            return;
        }
        self.previews.watch(now.mono, self.sent, self.size);
        let serial = q.serial();
        let ticket = PreviewTicket { slot: self.id.slot, serial };
        let (log, epoch) = (self.id.log.clone(), self.id.epoch);
        let head = self.settled_head();
        let shown = head.and_then(|size| Some((self.previews.show(now.mono, size, serial)?, size)));
        let ask = if let Some((seq, head_size)) = shown {
            PreviewAsk::Read(ReadPreview { ticket, log, epoch, seq, head_size })
        } else if let Some((from, end)) = self.previews.look(now.mono, self.size, serial) {
            PreviewAsk::Find(FindUrgent { ticket, log, epoch, from, end })
        } else {
            return;
        };
        q.push(Action::Preview(ask));
    }

    pub(crate) fn urgent_found(&mut self, now: Now, ticket: &PreviewTicket, urgent: &[u64]) {
        self.previews.found(now.mono, ticket.serial, urgent);
    }

    /// `None`: it cannot be read now, or is too long to be shown; it comes in its turn.
    pub(crate) fn preview_read(
        &mut self,
        now: Now,
        ticket: &PreviewTicket,
        answer: Option<PreviewRead>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let Some((seq, head_size)) = self.previews.read(ticket.serial) else { return Ok(()) };
        let fits = |read: &PreviewRead| read.record.len() <= PREVIEW_BYTES;
        let Some(PreviewRead { record, proof }) = answer.filter(fits) else { return Ok(()) };
        if !self.active() || seq < self.sent {
            return Ok(());
        }
        if proof.len() > MAX_PROOF {
            return Err(Violation::internal("a proof longer than any can be was read"));
        }
        let bytes = record.len() + size_of_val(&proof[..]);
        self.previews.shown(now.mono, bytes, self.pace.rate());
        let (log, epoch) = (self.id.log.clone(), self.id.epoch);
        q.send(Message::Preview(Preview { log, epoch, seq, head_size, record, proof }));
        Ok(())
    }

    /// Monotonic moment at which [`Origin::preview`] has something to do.
    pub(crate) fn preview_due(&self) -> Option<u64> {
        if !self.active() {
            return None;
        }
        self.previews.wakeup(self.size, self.settled_head())
    }
}
