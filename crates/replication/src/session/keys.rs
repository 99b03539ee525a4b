//! Wraps of keys: what the driver says and answers.

use super::Session;
use crate::action::{Failure, KeepTicket, KeysTicket};
use crate::message::KeyWrap;
use crate::now::Now;

impl Session {
    /// Records are held whose keys these are, and no wraps of them: they are asked for, each once
    /// on this link. May be said again at any time; nothing is asked of a peer that does not
    /// understand it, or before its hello.
    pub fn want_keys(&mut self, now: Now, ids: impl Iterator<Item = [u8; 16]>) {
        if !self.is_closed() {
            self.keys.want(now, ids, &mut self.queue);
        }
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
