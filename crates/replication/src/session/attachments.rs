//! Attachments: what the driver tells and answers.

use evidence::hash::Hash;
use evidence::log::LogName;

use super::Session;
use crate::action::{AttachmentTicket, Failure, Kept, NamedAttachment, NotOpened};
use crate::message::{AttachmentMessage, AttachmentWanted};
use crate::now::Now;
use crate::queue::Violation;

impl Session {
    /// Attachments that records name and that are not here. Those that are known already are passed
    /// over, and so are those for which there is no room: they may be told again at any time.
    pub fn attachments_missing(
        &mut self,
        now: Now,
        missing: impl IntoIterator<Item = NamedAttachment>,
    ) {
        if self.is_closed() {
            return;
        }
        let mut missing = missing.into_iter();
        while missing.next().is_some_and(|named| self.lane.want(named)) {}
        if self.greeted.is_some() {
            self.settle(now, Ok(()));
        }
    }

    /// Whether this attachment need not be told: it waits already, or is on its way.
    #[must_use]
    pub fn knows_attachment(&self, hash: &Hash, size: u64) -> bool {
        self.lane.knows(hash, size)
    }

    /// Every attachment that the first `records` of a mirrored log name is durable here, and of the
    /// others it is not known; in place of what was told before. A mirror of which nothing is told
    /// counts as complete when the session begins. Beyond that no head is co-signed as a mirror's,
    /// if the peer can send attachments.
    pub fn attachments_complete(&mut self, now: Now, log: &LogName, epoch: u32, records: u64) {
        if self.is_closed() {
            return;
        }
        let Some(slot) = self.follower(log, epoch) else { return };
        let outcome = self.followers[slot].attachments_complete(now, records, &mut self.queue);
        self.settle(now, outcome);
    }

    /// Answer to [`AttachmentAsk::Open`](crate::action::AttachmentAsk::Open): the bytes that are
    /// here.
    pub fn attachment_opened(
        &mut self,
        now: Now,
        ticket: AttachmentTicket,
        answer: Result<u64, NotOpened>,
    ) {
        if !self.is_closed() {
            self.lane.opened(now, &ticket, answer, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }

    /// Answer to [`AttachmentAsk::Keep`](crate::action::AttachmentAsk::Keep): [`Kept::Whole`] only
    /// once the attachment is durable.
    pub fn piece_kept(
        &mut self,
        now: Now,
        ticket: AttachmentTicket,
        answer: Result<Kept, Failure>,
    ) {
        if !self.is_closed() {
            self.lane.kept(now, &ticket, answer, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }

    /// Answer to [`AttachmentAsk::Read`](crate::action::AttachmentAsk::Read).
    pub fn piece_read(&mut self, now: Now, ticket: AttachmentTicket, answer: Option<Vec<u8>>) {
        if !self.is_closed() {
            self.lane.read(&ticket, answer, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }

    pub(super) fn on_attachment(
        &mut self,
        now: Now,
        message: AttachmentMessage,
    ) -> Result<(), Violation> {
        let (origins, given) = (&self.origins, &self.given);
        let shares = |wanted: &AttachmentWanted| {
            let (log, epoch) = (&wanted.log, wanted.epoch);
            origins.iter().any(|own| own.is(log, epoch))
                || given.iter().any(|given| given.log == *log && given.epoch == epoch)
        };
        self.lane.handle(now, message, shares, &mut self.queue)
    }

    /// The log of which the peer has owed an attachment for too long.
    pub(super) fn attachment_stalled(&self, now: Now) -> Option<LogName> {
        let (since, log) = self.lane.owed()?;
        let at = since.saturating_add(self.limits.stall_timeout);
        (at <= now.mono).then(|| log.clone())
    }

    /// Monotonic moments at which attachments have something to do.
    pub(super) fn attachments_due(&self) -> [Option<u64>; 2] {
        let owed = self.lane.owed().map(|(since, _)| since);
        [owed.map(|since| since.saturating_add(self.limits.stall_timeout)), self.lane.wakeup()]
    }
}
