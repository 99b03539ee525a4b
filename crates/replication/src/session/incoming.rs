//! What comes in, message by message.

use evidence::log::LogName;

use super::Session;
use super::hello::{check_hello, clean};
use crate::action::{Action, Close, Greeted, Party};
use crate::limits::PEER_TEXT;
use crate::message::{
    ATTACHMENTS, EARLIER_LINES, Hello, KEYS, Message, PREVIEWS, RefusalCode, Refused,
};
use crate::now::Now;
use crate::queue::{LogId, Reason, Violation};

impl Session {
    pub(super) fn dispatch(&mut self, now: Now, message: Message) -> Result<(), Violation> {
        match message {
            Message::Hello(hello) => return self.on_hello(hello),
            Message::Refused(refused) => {
                self.on_refused(now, refused);
                return Ok(());
            }
            _ if self.greeted.is_none() => {
                return Err(Violation::internal("a message came before the hello"));
            }
            Message::Ping { nonce } => self.queue.send(Message::Pong { nonce }),
            Message::Pong { nonce } => self.on_pong(now, nonce),
            Message::Head(m) => match self.follower(&m.log, m.epoch) {
                Some(slot) => return self.followers[slot].on_head(now, m, &mut self.queue),
                None => self.unknown(&m.log, m.epoch),
            },
            Message::Entries(m) => {
                if let Some(at) = self.recovery(&m.log, m.epoch) {
                    return self.recoveries[at].on_entries(m, &mut self.queue);
                }
                match self.follower(&m.log, m.epoch) {
                    Some(slot) => return self.followers[slot].on_entries(m, &mut self.queue),
                    None => self.unknown(&m.log, m.epoch),
                }
            }
            Message::HeadAccepted(m) => match self.origin(&m.log, m.epoch) {
                Some(slot) => return self.origins[slot].on_accepted(now, &m, &mut self.queue),
                None => self.unknown(&m.log, m.epoch),
            },
            Message::Held(m) => {
                if let Some(at) = self.giving(&m.log, m.epoch) {
                    return self.givings[at].on_held(now, &m);
                }
                match self.origin(&m.log, m.epoch) {
                    Some(slot) => return self.origins[slot].on_held(now, &m, &mut self.queue),
                    None => self.unknown(&m.log, m.epoch),
                }
            }
            Message::Return(m) => match self.recovery(&m.log, m.epoch) {
                Some(at) => return self.recoveries[at].on_return(now, m, &mut self.queue),
                None => self.unknown(&m.log, m.epoch),
            },
            Message::Witness(m) => return self.witnessing.on_witness(now, m, &mut self.queue),
            Message::Witnessed(m) => return self.relay.on_witnessed(&m, &mut self.queue),
            Message::KeysWanted(m) => return self.keys.on_wanted(m, &mut self.queue),
            Message::Keys(m) => return self.keys.on_keys(now, m, &mut self.queue),
            Message::Preview(m) => match self.follower(&m.log, m.epoch) {
                Some(slot) => return self.followers[slot].on_preview(now, m, &mut self.queue),
                None => self.unknown(&m.log, m.epoch),
            },
            Message::Attachment(m) => return self.on_attachment(now, m),
            Message::Cosigned(m) => self.queue.push(Action::TakeCosignature(m)),
        }
        Ok(())
    }

    fn on_hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.greeted.is_some() {
            return Err(Violation::internal("a second hello came"));
        }
        check_hello(&hello, &self.office, &self.peer, &self.instance)?;
        let greeted = Greeted {
            office: hello.office.clone(),
            instance: hello.instance,
            software: clean(&hello.software, 64),
            holdings: hello.holdings.clone(),
        };
        self.queue.push(Action::Greeted(greeted.clone()));
        self.greeted = Some(greeted);
        self.relay.greet(&hello);
        let understands = |feature: &str| hello.features.iter().any(|said| said == feature);
        self.keys.greet(understands(KEYS));
        self.lane.greet(understands(ATTACHMENTS));
        for follower in &mut self.followers {
            follower.greet(understands(ATTACHMENTS), understands(EARLIER_LINES));
        }
        for origin in &mut self.origins {
            origin.greet_previews(understands(PREVIEWS));
        }
        self.tell_offer(&hello);
        self.recall(hello)
    }

    fn on_pong(&mut self, now: Now, nonce: u64) {
        if let Some((_, sent)) = self.ping.filter(|(expected, _)| *expected == nonce) {
            self.round_trip = Some(now.mono.saturating_sub(sent));
            self.ping = None;
        }
        for follower in &mut self.followers {
            follower.drained(nonce);
        }
        for recovery in &mut self.recoveries {
            recovery.drained(nonce);
        }
    }

    fn on_refused(&mut self, now: Now, mut refused: Refused) {
        refused.text = clean(&refused.text, PEER_TEXT);
        let Some(log) = &refused.log else {
            let Refused { code, text, .. } = refused;
            return self.close(now, Close::Refused { by: Party::Peer, code, text });
        };
        if let Some(at) = self.giving(log, refused.epoch) {
            self.givings[at].on_refused(&refused, &mut self.queue);
        } else if let Some(at) = self.recovery(log, refused.epoch) {
            self.recoveries[at].on_refused(&refused, &mut self.queue);
        } else if let Some(slot) = self.origin(log, refused.epoch) {
            self.origins[slot].on_refused(&refused, &mut self.queue);
        } else if let Some(slot) = self.follower(log, refused.epoch) {
            self.followers[slot].on_refused(&refused, &mut self.queue);
        } else {
            self.relay.on_refused(&refused, &mut self.queue);
        }
    }

    pub(super) fn origin(&self, log: &LogName, epoch: u32) -> Option<usize> {
        self.origins.iter().position(|o| o.is(log, epoch))
    }

    pub(super) fn follower(&self, log: &LogName, epoch: u32) -> Option<usize> {
        self.followers.iter().position(|f| f.is(log, epoch))
    }

    pub(super) fn giving(&self, log: &LogName, epoch: u32) -> Option<usize> {
        self.givings.iter().position(|g| g.is(log, epoch))
    }

    pub(super) fn recovery(&self, log: &LogName, epoch: u32) -> Option<usize> {
        self.recoveries.iter().position(|r| r.is(log, epoch))
    }

    /// The peer speaks of a log in which we have no part.
    pub(super) fn unknown(&mut self, log: &LogName, epoch: u32) {
        let text = format!(
            "{} has no part in log {log} epoch {epoch} with {}: enrol the office, or correct its \
             configuration",
            self.office, self.peer
        );
        let id = LogId { slot: 0, log: log.clone(), epoch, own: false };
        self.queue.refuse_log(&id, Reason::new(RefusalCode::UnknownLog, text));
    }
}
