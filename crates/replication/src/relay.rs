//! Asking the peer to co-sign heads of logs that it neither writes nor mirrors, and when to ask.
//!
//! [`Schedule`] says when a head goes round: at most one per interval and log, the newest only.
//! It is shared by all links of an office. What is asked on one link is the crate's affair: one
//! head per log at a time, the proof from where the peer stands. Where it stands it says itself, in
//! its hello and in its refusals, by the head that it co-signed; a peer that says nothing stands at
//! 0. What it answers is believed only with its signature.

use std::collections::BTreeMap;

use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::note::Verifier;

use crate::action::{Action, Countersigned, Failure, Fault, Party, ProveHead, ProveTicket};
use crate::head;
use crate::limits::HOLDINGS;
use crate::message::{Hello, Message, RefusalCode, Refused, WITNESS, Witness, Witnessed};
use crate::queue::{LogId, Queue, Reason, Violation};

/// Times that a peer may say that it stands elsewhere before a head is given up.
const STALE_TOLERATED: u32 = 3;

/// A signed head that the peer is to co-sign as a further witness.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The enrolled public key of its writer.
    pub verifier: Verifier,
    /// The head, full note text. Everything below it is held here.
    pub note: String,
    /// Whether this office writes the log.
    pub own: bool,
}

#[derive(Clone)]
struct Known {
    checkpoint: Checkpoint,
    note: String,
}

/// A head under way.
enum Under {
    Proving { serial: u64, head: Known },
    Sent(Known),
}

struct Asking {
    name: String,
    verifier: Verifier,
    own: bool,
    /// The newest head that the peer is known to have co-signed.
    held: Option<Known>,
    next: Option<Known>,
    under: Option<Under>,
    stale: u32,
    stopped: bool,
}

/// What is asked of one peer.
pub(crate) struct Relay {
    domain: String,
    peer_witness: Option<Verifier>,
    /// The peer has said that it understands the question.
    speaks: bool,
    /// Heads that the peer named in its hello, not yet looked at.
    named: BTreeMap<(LogName, u32), String>,
    logs: BTreeMap<(LogName, u32), Asking>,
}

impl Relay {
    pub(crate) fn new(domain: &str, peer_witness: Option<Verifier>) -> Relay {
        Relay {
            domain: domain.to_owned(),
            peer_witness,
            speaks: false,
            named: BTreeMap::new(),
            logs: BTreeMap::new(),
        }
    }

    pub(crate) fn greet(&mut self, hello: &Hello) {
        self.speaks = hello.features.iter().any(|feature| feature == WITNESS);
        let named = hello.witnessed.iter().take(HOLDINGS);
        self.named = named.map(|h| ((h.log.clone(), h.epoch), h.note.clone())).collect();
    }

    pub(crate) fn speaks(&self) -> bool {
        self.speaks
    }

    pub(crate) fn concerns(&self, log: &LogName, epoch: u32) -> bool {
        self.logs.contains_key(&(log.clone(), epoch))
    }

    /// Takes up a head, in the place of an older one that has not gone out. Nothing happens where
    /// the peer does not speak of witnesses, has stopped this log, or is ahead of the head.
    pub(crate) fn offer(&mut self, offer: Offer, q: &mut Queue) {
        let Offer { log, epoch, verifier, note, own } = offer;
        if !self.speaks || self.peer_witness.is_none() {
            return;
        }
        let key = (log, epoch);
        let name = evidence::log::origin(&self.domain, &key.0, epoch);
        let checkpoint = match head::open(&note, &verifier, &name) {
            Ok(checkpoint) => checkpoint,
            Err(reason) => {
                let id = LogId { slot: 0, log: key.0, epoch, own };
                return q.fault(&id, Party::Us, reason);
            }
        };
        let named = self.named.remove(&key);
        let asking = self.logs.entry(key.clone()).or_insert_with(|| Asking {
            held: named.and_then(|note| known(note, &verifier, &name)),
            name,
            verifier,
            own,
            next: None,
            under: None,
            stale: 0,
            stopped: false,
        });
        let newest = asking.next.as_ref().map_or(0, |next| next.checkpoint.size);
        if !asking.stopped && checkpoint.size >= newest.max(asking.held_size()) {
            asking.next = Some(Known { checkpoint, note });
            asking.pump(&key, q);
        }
    }

    pub(crate) fn proved(
        &mut self,
        ticket: &ProveTicket,
        answer: Result<Vec<Hash>, Failure>,
        q: &mut Queue,
    ) {
        let key = (ticket.log.clone(), ticket.epoch);
        let Some(asking) = self.logs.get_mut(&key) else { return };
        match asking.under.take() {
            Some(Under::Proving { serial, head }) if serial == ticket.serial => {
                // What cannot be read is told by the driver; the next head may do better.
                if let Ok(proof) = answer {
                    asking.send(&key, head, proof, q);
                }
            }
            other => asking.under = other,
        }
        asking.pump(&key, q);
    }

    pub(crate) fn on_witnessed(
        &mut self,
        message: &Witnessed,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let key = (message.log.clone(), message.epoch);
        let not_sent = || Violation::internal("a head was witnessed that was not sent");
        let asking = self.logs.get_mut(&key).ok_or_else(not_sent)?;
        let head = match asking.under.take() {
            Some(Under::Sent(head)) if head.checkpoint.size == message.size => head,
            _ => return Err(not_sent()),
        };
        let Some(key_of_peer) = &self.peer_witness else { return Ok(()) };
        if verify_cosignature(&head.note, &message.cosignature, key_of_peer).is_err() {
            let text = format!(
                "the other office witnesses {} with another key than {}: compare the public keys",
                key.0,
                key_of_peer.name()
            );
            let reason = Reason::new(RefusalCode::WrongKey, text).with_notes([head.note]);
            asking.stop(&key, Party::Us, reason, q);
            return Ok(());
        }
        q.push(Action::Countersigned(Countersigned {
            log: key.0.clone(),
            epoch: key.1,
            size: message.size,
            note: head.note.clone(),
            line: message.cosignature.clone(),
        }));
        asking.held = Some(head);
        asking.stale = 0;
        asking.pump(&key, q);
        Ok(())
    }

    /// The peer does not co-sign a head.
    pub(crate) fn on_refused(&mut self, message: &Refused, q: &mut Queue) {
        let Some(log) = &message.log else { return };
        let key = (log.clone(), message.epoch);
        let Some(asking) = self.logs.get_mut(&key) else { return };
        let head = match asking.under.take() {
            Some(Under::Sent(head)) => head,
            other => {
                asking.under = other; // nothing was sent that it could mean
                return;
            }
        };
        let note = message.note.clone();
        let held = note.and_then(|note| known(note, &asking.verifier, &asking.name));
        match message.code {
            RefusalCode::Fork => {
                let (found_by, reason) = contradiction(&key.0, message, &head, held);
                asking.stop(&key, found_by, reason, q);
            }
            RefusalCode::Gap => {
                asking.stale += 1;
                if asking.stale > STALE_TOLERATED || held.is_none() {
                    return;
                }
                asking.held = held;
                let newer = asking.next.take().unwrap_or(head);
                asking.next = Some(newer).filter(|n| n.checkpoint.size >= asking.held_size());
                asking.pump(&key, q);
            }
            // It has not heard of the enrolment yet, or cannot store now: it is asked again later.
            code if code.is_temporary() || code == RefusalCode::UnknownLog => {}
            code => {
                let reason = Reason::new(code, message.text.clone());
                asking.stop(&key, Party::Peer, reason, q);
            }
        }
    }
}

impl Asking {
    fn held_size(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.checkpoint.size)
    }

    fn pump(&mut self, key: &(LogName, u32), q: &mut Queue) {
        if self.stopped || self.under.is_some() {
            return;
        }
        let held = self.held_size();
        let next = self.next.take().filter(|next| next.checkpoint.size >= held);
        let Some(head) = next else { return };
        let (old_size, size) = (held, head.checkpoint.size);
        if old_size == 0 || old_size == size {
            return self.send(key, head, Vec::new(), q);
        }
        let serial = q.serial();
        let (log, epoch) = key.clone();
        let ticket = ProveTicket { log: log.clone(), epoch, serial };
        q.push(Action::ProveHead(ProveHead { ticket, log, epoch, old_size, size }));
        self.under = Some(Under::Proving { serial, head });
    }

    fn send(&mut self, key: &(LogName, u32), head: Known, proof: Vec<Hash>, q: &mut Queue) {
        let (log, epoch) = key.clone();
        let (note, old_size) = (head.note.clone(), self.held_size());
        q.send(Message::Witness(Witness { log, epoch, note, old_size, proof }));
        self.under = Some(Under::Sent(head));
    }

    fn stop(
        &mut self,
        (log, epoch): &(LogName, u32),
        found_by: Party,
        reason: Reason,
        q: &mut Queue,
    ) {
        self.stopped = true;
        self.next = None;
        q.push(Action::Fault(Fault {
            log: log.clone(),
            epoch: *epoch,
            own: self.own,
            code: reason.code,
            found_by,
            text: reason.text,
            notes: reason.notes,
            proof: reason.proof,
        }));
    }
}

/// A head that the peer names, if the log's key signed it: nobody else's word counts.
fn known(note: String, verifier: &Verifier, name: &str) -> Option<Known> {
    let checkpoint = head::open(&note, verifier, name).ok()?;
    Some(Known { checkpoint, note })
}

/// What a refusal as a fork proves. Two signed roots for one size are a proof for everybody; two
/// sizes of which the peer says that the one does not continue the other are its word.
fn contradiction(
    log: &LogName,
    message: &Refused,
    head: &Known,
    held: Option<Known>,
) -> (Party, Reason) {
    let same = |held: &Known| {
        let (a, b) = (&held.checkpoint, &head.checkpoint);
        a.size == b.size && a.root != b.root
    };
    let (found_by, text) = match held.as_ref().filter(|held| same(held)) {
        Some(held) => (
            Party::Us,
            format!(
                "the key of {log} signed two roots for size {}: one that is held here and one \
                 that a further witness co-signed; both notes are kept",
                held.checkpoint.size
            ),
        ),
        None => (Party::Peer, message.text.clone()),
    };
    let notes = held.map(|held| held.note).into_iter().chain([head.note.clone()]);
    (found_by, Reason::new(RefusalCode::Fork, text).with_notes(notes))
}

/// A head that may go round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// The head with the lines that are on it already, full note text.
    pub note: String,
}

/// When heads go round: at most one per log and interval, the newest only.
#[derive(Debug)]
pub struct Schedule {
    /// Microseconds.
    interval: u64,
    logs: BTreeMap<(LogName, u32), Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// Size and monotonic moment of the last head that went round.
    last: Option<(u64, u64)>,
    waiting: Option<Candidate>,
}

impl Schedule {
    /// Nothing went round yet. `interval` in microseconds.
    #[must_use]
    pub fn new(interval: u64) -> Schedule {
        Schedule { interval, logs: BTreeMap::new() }
    }

    /// A head may go round. An older one, or the one that went round last, is passed over.
    pub fn offer(&mut self, candidate: Candidate) {
        let turn = self.logs.entry((candidate.log.clone(), candidate.epoch)).or_default();
        let waiting = turn.waiting.as_ref().map_or(0, |waiting| waiting.size);
        let is_new = turn.last.is_none_or(|(size, _)| candidate.size > size);
        if is_new && candidate.size >= waiting {
            turn.waiting = Some(candidate);
        }
    }

    /// The heads whose time has come, `now` in monotonic microseconds.
    pub fn due(&mut self, now: u64) -> Vec<Candidate> {
        let interval = self.interval;
        let due = self.logs.values_mut().filter_map(|turn| {
            if turn.due(interval)? > now {
                return None;
            }
            let candidate = turn.waiting.take()?;
            turn.last = Some((candidate.size, now));
            Some(candidate)
        });
        due.collect()
    }

    /// A head that was due could not go round now: it is due again after an interval, unless a
    /// newer one takes its place.
    pub fn missed(&mut self, candidate: Candidate) {
        let Some(turn) = self.logs.get_mut(&(candidate.log.clone(), candidate.epoch)) else {
            return;
        };
        if let Some((size, _)) = &mut turn.last
            && *size == candidate.size
        {
            *size = size.saturating_sub(1); // a head of this size is new again, an older one is not
        }
        self.offer(candidate);
    }

    /// The moment at which [`Schedule::due`] gives something; `None`: nothing waits.
    #[must_use]
    pub fn wakeup(&self) -> Option<u64> {
        self.logs.values().filter_map(|turn| turn.due(self.interval)).min()
    }
}

impl Turn {
    fn due(&self, interval: u64) -> Option<u64> {
        self.waiting.as_ref()?;
        Some(self.last.map_or(0, |(_, at)| at.saturating_add(interval)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(log: &str, size: u64) -> Candidate {
        Candidate { log: log.parse().unwrap(), epoch: 1, size, note: size.to_string() }
    }

    fn sizes(schedule: &mut Schedule, now: u64) -> Vec<u64> {
        schedule.due(now).into_iter().map(|candidate| candidate.size).collect()
    }

    #[test]
    fn the_newest_head_goes_round_once_per_interval_and_log() {
        let mut schedule = Schedule::new(30);
        assert_eq!(schedule.wakeup(), None);
        schedule.offer(candidate("kz-75", 3));
        assert_eq!((schedule.wakeup(), sizes(&mut schedule, 5)), (Some(0), vec![3]), "at once");
        for size in [5, 9, 7, 3] {
            schedule.offer(candidate("kz-75", size));
        }
        assert_eq!(schedule.wakeup(), Some(35));
        assert_eq!(sizes(&mut schedule, 34), []);
        schedule.offer(candidate("kz-71", 2));
        assert_eq!(sizes(&mut schedule, 34), [2], "another log waits for nobody");
        assert_eq!(sizes(&mut schedule, 35), [9], "the newest");
        schedule.offer(candidate("kz-75", 9));
        assert_eq!(schedule.wakeup(), None, "it went round");
    }

    #[test]
    fn a_head_that_could_not_go_round_is_due_again_unless_a_newer_one_is() {
        let mut schedule = Schedule::new(30);
        schedule.offer(candidate("kz-75", 3));
        for now in [5, 35] {
            let head = schedule.due(now).remove(0);
            assert_eq!(head.size, 3);
            schedule.missed(head);
            assert_eq!(
                (schedule.wakeup(), sizes(&mut schedule, now + 29)),
                (Some(now + 30), vec![])
            );
        }
        schedule.offer(candidate("kz-75", 2));
        schedule.offer(candidate("kz-75", 4));
        schedule.missed(candidate("kz-75", 3));
        assert_eq!(sizes(&mut schedule, 65), [4], "the newest");
        assert_eq!(schedule.wakeup(), None);
        schedule.offer(candidate("kz-75", 4));
        assert_eq!(schedule.wakeup(), None, "it went round");
    }
}
