//! Wraps of keys: what the driver says and answers.

use evidence::log::LogName;

use super::Session;
use crate::action::{Failure, KeepTicket, KeysTicket};
use crate::message::KeyWrap;
use crate::now::Now;

impl Session {
    /// Records are held whose keys these are, and no wraps of them: they are asked for, each once
    /// on this link. `keyed` says of how many records of a mirrored log the wraps are kept,
    /// durably; heads above that are not co-signed as the mirror's. False: the peer does not
    /// understand it, or has not said hello yet; nothing was done.
    pub fn want_keys(
        &mut self,
        now: Now,
        ids: impl Iterator<Item = [u8; 16]>,
        keyed: impl Fn(&LogName, u32) -> Option<u64>,
    ) -> bool {
        if self.is_closed() || !self.keys.want(now, ids, &mut self.queue) {
            return false;
        }
        let queue = &mut self.queue;
        let outcome = self.followers.iter_mut().try_for_each(|f| f.keys_kept(now, &keyed, queue));
        self.settle(now, outcome);
        true
    }

    /// Answer to [`Action::ReadKeys`](crate::action::Action::ReadKeys): what is here of the keys,
    /// each once.
    pub fn keys_read(&mut self, now: Now, ticket: KeysTicket, wraps: Vec<KeyWrap>) {
        if !self.is_closed() {
            self.keys.read(&ticket, wraps, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }

    /// Answer to [`Action::KeepKeys`](crate::action::Action::KeepKeys).
    pub fn keys_kept(&mut self, now: Now, ticket: KeepTicket, answer: Result<(), Failure>) {
        if !self.is_closed() {
            self.keys.kept(now, &ticket, answer, &mut self.queue);
            self.settle(now, Ok(()));
        }
    }
}
