//! Wraps of keys, on a lane of their own.
//!
//! Whoever durably holds records also keeps the wraps of the keys that seal them, and asks for
//! those that it lacks: a mirror its writer, and a writer that lost its vault its mirror. One
//! question of each side is unanswered at a time, and as large as is answered within a second, so
//! that records and heads pass it on any line. What the other side does not have is not asked for
//! again on this link; what could not be stored is, after a pause.

use std::collections::{HashSet, VecDeque};

use crate::action::{Action, Failure, KeepKeys, KeepTicket, KeysTicket, ReadKeys};
use crate::limits::{KEYS_AT_ONCE, WRAP_BYTES};
use crate::message::{KeyWrap, Keys, KeysWanted, Message};
use crate::now::Now;
use crate::queue::{Queue, Violation};

/// The smallest question.
const FEW: usize = 8;
/// Time until what could not be stored is asked for again.
const RETRY: u64 = 10_000_000;
/// A question that takes longer is followed by a smaller one.
const PATIENCE: u64 = 1_000_000;

#[derive(Debug)]
struct Asked {
    ids: HashSet<[u8; 16]>,
    at: u64,
}

#[derive(Debug)]
pub(crate) struct KeyLane {
    /// The peer's hello says that it understands this.
    understood: bool,
    waiting: VecDeque<[u8; 16]>,
    /// What was asked for on this link or waits for it.
    known: HashSet<[u8; 16]>,
    asked: Option<Asked>,
    at_once: usize,
    /// What the driver makes durable.
    keeping: Option<(u64, Vec<[u8; 16]>)>,
    /// Nothing can be stored until then.
    paused: Option<u64>,
    /// What the driver reads for the peer.
    reading: Option<u64>,
}

impl KeyLane {
    pub(crate) fn new() -> KeyLane {
        KeyLane {
            understood: false,
            waiting: VecDeque::new(),
            known: HashSet::new(),
            asked: None,
            at_once: FEW,
            keeping: None,
            paused: None,
            reading: None,
        }
    }

    pub(crate) fn greet(&mut self, understood: bool) {
        self.understood = understood;
    }

    /// Wraps of these are wanted; false if the peer cannot be asked.
    pub(crate) fn want(
        &mut self,
        now: Now,
        ids: impl Iterator<Item = [u8; 16]>,
        q: &mut Queue,
    ) -> bool {
        if self.understood {
            self.waiting.extend(ids.filter(|id| self.known.insert(*id)));
            self.ask(now, q);
        }
        self.understood
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now, q: &mut Queue) {
        if self.paused.take_if(|until| *until <= now.mono).is_some() {
            self.ask(now, q);
        }
    }

    /// Monotonic moment at which [`KeyLane::tick`] has something to do.
    pub(crate) fn wakeup(&self) -> Option<u64> {
        self.paused
    }

    fn ask(&mut self, now: Now, q: &mut Queue) {
        if self.paused.is_some()
            || self.asked.is_some()
            || self.keeping.is_some()
            || self.waiting.is_empty()
        {
            return;
        }
        let count = self.waiting.len().min(self.at_once);
        let ids: Vec<_> = self.waiting.drain(..count).collect();
        self.asked = Some(Asked { ids: ids.iter().copied().collect(), at: now.mono });
        q.send(Message::KeysWanted(KeysWanted { ids }));
    }

    pub(crate) fn on_keys(&mut self, now: Now, m: Keys, q: &mut Queue) -> Result<(), Violation> {
        let Some(Asked { mut ids, at }) = self.asked.take() else {
            return Err(Violation::internal("keys came that were not asked for"));
        };
        let fits = |wrap: &KeyWrap| wrap.bytes.len() <= WRAP_BYTES;
        if !m.wraps.iter().all(|wrap| fits(wrap) && ids.remove(&wrap.id)) {
            return Err(Violation::internal("other keys came than were asked for"));
        }
        self.at_once = match now.mono.saturating_sub(at) < PATIENCE {
            true => self.at_once * 2,
            false => self.at_once / 2,
        };
        self.at_once = self.at_once.clamp(FEW, KEYS_AT_ONCE);
        if m.wraps.is_empty() {
            self.ask(now, q);
            return Ok(());
        }
        let serial = q.serial();
        self.keeping = Some((serial, m.wraps.iter().map(|wrap| wrap.id).collect()));
        q.push(Action::KeepKeys(KeepKeys { ticket: KeepTicket { serial }, wraps: m.wraps }));
        Ok(())
    }

    /// They are durable, or cannot be stored now and are asked for again.
    pub(crate) fn kept(
        &mut self,
        now: Now,
        ticket: &KeepTicket,
        answer: Result<(), Failure>,
        q: &mut Queue,
    ) {
        let Some((_, ids)) = self.keeping.take_if(|(serial, _)| *serial == ticket.serial) else {
            return;
        };
        if answer.is_err() {
            self.waiting.extend(ids);
            self.paused = Some(now.mono.saturating_add(RETRY));
        }
        self.ask(now, q);
    }

    pub(crate) fn on_wanted(&mut self, m: KeysWanted, q: &mut Queue) -> Result<(), Violation> {
        if self.reading.is_some() || !(1..=KEYS_AT_ONCE).contains(&m.ids.len()) {
            return Err(Violation::internal("keys were asked for in a way that is not agreed"));
        }
        let serial = q.serial();
        self.reading = Some(serial);
        q.push(Action::ReadKeys(ReadKeys { ticket: KeysTicket { serial }, ids: m.ids }));
        Ok(())
    }

    pub(crate) fn read(&mut self, ticket: &KeysTicket, wraps: Vec<KeyWrap>, q: &mut Queue) {
        if self.reading.take_if(|serial| *serial == ticket.serial).is_some() {
            q.send(Message::Keys(Keys { wraps }));
        }
    }
}
