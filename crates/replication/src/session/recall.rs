//! What the peer still has of our cosignatures, before anything else is done on a link.
//!
//! A witness that has lost its memory would co-sign a second root for one size. A journal that was
//! restored from a backup has lost it: heads that were accepted later are not in it. The offices
//! that wrote these heads have them, with our line on each. So every hello shows the receiver the
//! newest heads that carry its line ([`Hello::shown`]), and a session that is shown one which its
//! office does not remember keeps it and ends; the next one begins with it.
//!
//! An office that knows that it has forgotten co-signs nothing for a peer that cannot show it.

use super::Session;
use super::hello::Greeting;
use crate::action::{Action, Close, Failure, Recall, RecallTicket};
use crate::limits::HOLDINGS;
use crate::message::{Hello, MEMORY, RefusalCode};
use crate::now::Now;
use crate::queue::Violation;

/// A hello that waits until the driver has looked at what it shows.
pub(super) struct Recalling {
    serial: u64,
    greeting: Greeting,
}

impl Session {
    /// Has the driver look at what the hello shows of our cosignatures; goes on at once where it
    /// shows nothing and nothing is missing.
    pub(super) fn recall(&mut self, mut hello: Hello) -> Result<(), Violation> {
        if self.forgotten && !hello.features.iter().any(|feature| feature == MEMORY) {
            let text = format!(
                "{} was restored from a backup and cannot know what it co-signed after it; the \
                 software of {} cannot show that yet: update it, then the link goes on by itself",
                self.office, self.peer
            );
            return Err(Violation { code: RefusalCode::IncompatibleVersion, text });
        }
        let mut shown = std::mem::take(&mut hello.shown);
        shown.truncate(HOLDINGS);
        let greeting = Greeting::new(hello);
        if shown.is_empty() && !self.forgotten {
            self.look_for_epoch(greeting);
            return Ok(());
        }
        let serial = self.queue.serial();
        self.recalling = Some(Recalling { serial, greeting });
        self.queue.push(Action::Recall(Recall { ticket: RecallTicket { serial }, shown }));
        Ok(())
    }

    /// Answer to [`Action::Recall`]: whether something of it was not remembered here and is durable
    /// now. The session ends then, and the next one begins with it.
    pub fn recalled(&mut self, now: Now, ticket: RecallTicket, answer: Result<bool, Failure>) {
        if self.is_closed() {
            return;
        }
        let is_this = |recalling: &mut Recalling| recalling.serial == ticket.serial;
        let Some(Recalling { greeting, .. }) = self.recalling.take_if(is_this) else { return };
        match answer {
            Ok(true) => self.close(now, Close::Recalled),
            Ok(false) => {
                self.look_for_epoch(greeting);
                self.settle(now, Ok(()));
            }
            Err(_) => {
                let text = "what the other office shows of earlier cosignatures cannot be stored";
                self.settle(now, Err(Violation::internal(text)));
            }
        }
    }
}
