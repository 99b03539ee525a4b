//! The part of a further witness: heads of logs that neither side of the link need write.
//!
//! One head per log is under way at a time, in this order:
//! 1. The driver reads the register: the writer's enrolled key and the newest head that was
//!    co-signed. Nothing is remembered from one head to the next: only what is durable counts.
//! 2. The head is checked: key, origin, consistency to that newest head. There is no trust on
//!    first use: a log of which nothing was co-signed is proved from size 0, and one that is not
//!    enrolled is refused.
//! 3. The head is made durable in its place, by compare-and-swap.
//! 4. Only then is it co-signed. (C2SP tlog-witness: a witness must persist before it answers.)
//!
//! Two signed roots for one size are answered with the head that was co-signed before, both are
//! kept, and nothing more of that epoch is ever co-signed.
//!
//! A proof that does not lead from the one head to the other convicts nobody: the office that sends
//! it need not be the one that signed the heads. It is refused and kept as what that office says,
//! and a later proof that holds is accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::LogName;
use evidence::merkle::{MAX_PROOF, empty_root};
use evidence::note::MAX_NOTE;
use evidence::verify::{HeadError, check_head};

use crate::action::{
    Action, Failure, Fault, Party, PersistWitness, ReadRegister, Register, RegisterTicket,
    WitnessTicket,
};
use crate::follower::Cosigners;
use crate::head;
use crate::limits::{EPOCHS, HOLDINGS};
use crate::message::{Message, RefusalCode, Refused, Witness, Witnessed};
use crate::now::Now;
use crate::queue::{Queue, Reason, Violation};

/// Every log of which the peer asks a cosignature.
pub(crate) struct Witnessing {
    office: String,
    domain: String,
    keys: Arc<Cosigners>,
    asked: BTreeMap<(LogName, u32), Asked>,
}

/// A head under way.
struct Asked {
    serial: u64,
    message: Witness,
    received_at: i64,
    /// The checked head, while it is being made durable.
    storing: bool,
}

/// Why a head is not co-signed.
struct Refusal {
    reason: Reason,
    /// The head that was co-signed before, for the asker.
    held: Option<String>,
    /// Whose finding it is: ours where the signed heads show it, else the asker's word.
    found_by: Party,
}

impl Witnessing {
    pub(crate) fn new(office: &str, domain: &str, keys: Arc<Cosigners>) -> Witnessing {
        let (office, domain) = (office.to_owned(), domain.to_owned());
        Witnessing { office, domain, keys, asked: BTreeMap::new() }
    }

    pub(crate) fn on_witness(
        &mut self,
        now: Now,
        message: Witness,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let (log, epoch) = (message.log.clone(), message.epoch);
        let key = (log.clone(), epoch);
        if self.asked.contains_key(&key) {
            return Err(Violation::internal("a head to witness came before the last was answered"));
        }
        if message.note.len() > MAX_NOTE || message.proof.len() > MAX_PROOF {
            return Err(Violation::internal("a head to witness is longer than any may be"));
        }
        if self.asked.len() >= HOLDINGS || epoch as usize > EPOCHS {
            return Err(Violation::internal("more logs came to be witnessed than may be"));
        }
        let serial = q.serial();
        let ticket = RegisterTicket { log: log.clone(), epoch, serial };
        q.push(Action::ReadRegister(ReadRegister { ticket, log, epoch }));
        let received_at = now.unix;
        self.asked.insert(key, Asked { serial, message, received_at, storing: false });
        Ok(())
    }

    pub(crate) fn register_read(
        &mut self,
        now: Now,
        ticket: &RegisterTicket,
        answer: Result<Register, Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let key = (ticket.log.clone(), ticket.epoch);
        let Some(asked) = self.asked.get_mut(&key).filter(|a| a.serial == ticket.serial) else {
            return Ok(());
        };
        let register = answer.map_err(|_| failed(&ticket.log))?;
        let held = register.head.clone();
        let (replaces, checkpoint) =
            match check(&self.office, &self.domain, &asked.message, &register) {
                Ok(checked) => checked,
                Err(refusal) => {
                    self.asked.remove(&key);
                    return self.refuse(key, *refusal, q);
                }
            };
        if replaces == Some(checkpoint.size) {
            // It is durable already: the same head is co-signed as often as it is asked for.
            let note = held.unwrap_or_else(|| asked.message.note.clone());
            self.asked.remove(&key);
            return self.answer(now, key, &note, checkpoint.size, q);
        }
        asked.serial = q.serial();
        asked.storing = true;
        let (log, epoch) = key;
        q.push(Action::PersistWitness(PersistWitness {
            ticket: WitnessTicket { log: log.clone(), epoch, serial: asked.serial },
            log,
            epoch,
            size: checkpoint.size,
            root: checkpoint.root,
            note: asked.message.note.clone(),
            replaces,
            received_at: asked.received_at,
        }));
        Ok(())
    }

    pub(crate) fn persisted(
        &mut self,
        now: Now,
        ticket: &WitnessTicket,
        answer: Result<(), Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let key = (ticket.log.clone(), ticket.epoch);
        let is_this = |asked: &&Asked| asked.storing && asked.serial == ticket.serial;
        if self.asked.get(&key).filter(is_this).is_none() {
            return Ok(());
        }
        let Some(asked) = self.asked.remove(&key) else { return Ok(()) };
        let log = &key.0;
        let (code, text) = match answer {
            Ok(()) => {
                let note = asked.message.note;
                let size = Checkpoint::parse(&note).map_err(|_| failed(log))?.size;
                return self.answer(now, key, &note, size, q);
            }
            Err(Failure::DiskFull) => (
                RefusalCode::DiskFull,
                format!("{} has no disk space left to witness {log}: free some there", self.office),
            ),
            Err(Failure::IndexBuilding) => (
                RefusalCode::IndexBuilding,
                format!("{} rebuilds its index: it witnesses {log} again by itself", self.office),
            ),
            Err(Failure::OutOfStep) => (
                RefusalCode::Gap,
                format!("another head of {log} was witnessed by {} meanwhile", self.office),
            ),
            Err(Failure::Damaged | Failure::Internal) => return Err(failed(log)),
        };
        let reason = Reason::new(code, text);
        self.refuse(key, Refusal { reason, held: None, found_by: Party::Us }, q)
    }

    /// Co-signs what is durable.
    fn answer(
        &self,
        now: Now,
        (log, epoch): (LogName, u32),
        note: &str,
        size: u64,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let cosignature = cosign(note, &self.keys.witness, now.unix_seconds())
            .map_err(|_| Violation::internal("co-signing a head as a witness failed"))?;
        q.send(Message::Witnessed(Witnessed { log, epoch, size, cosignature }));
        Ok(())
    }

    /// Answers with a refusal; a contradiction is also shown to the operator here and kept.
    fn refuse(
        &self,
        (log, epoch): (LogName, u32),
        refusal: Refusal,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let Refusal { reason, held, found_by } = refusal;
        q.send(Message::Refused(Refused {
            log: Some(log.clone()),
            epoch,
            code: reason.code,
            text: reason.text.clone(),
            note: held,
        }));
        if reason.code == RefusalCode::Fork {
            q.push(Action::Fault(Fault {
                log,
                epoch,
                own: false,
                code: reason.code,
                found_by,
                text: reason.text,
                notes: reason.notes,
                proof: reason.proof,
            }));
        }
        Ok(())
    }
}

fn failed(log: &LogName) -> Violation {
    Violation::internal(format!("witnessing {log} failed"))
}

/// Checks a head against the register: size of the head that it replaces, and the head.
fn check(
    office: &str,
    domain: &str,
    message: &Witness,
    register: &Register,
) -> Result<(Option<u64>, Checkpoint), Box<Refusal>> {
    let log = &message.log;
    let held = register.head.clone();
    let refuse_as =
        |found_by, reason| Err(Box::new(Refusal { reason, held: held.clone(), found_by }));
    let refuse = |reason| refuse_as(Party::Us, reason);
    let Some(verifier) = &register.verifier else {
        let text = format!(
            "{office} does not witness {log} epoch {}: its writer is not enrolled there, or it \
             has another part in that log",
            message.epoch
        );
        return refuse(Reason::new(RefusalCode::UnknownLog, text));
    };
    let name = evidence::log::origin(domain, log, message.epoch);
    let offered = match head::open(&message.note, verifier, &name) {
        Ok(offered) => offered,
        Err(reason) => return refuse(reason),
    };
    let before = match held.as_deref().map(|note| head::open(note, verifier, &name)).transpose() {
        Ok(before) => before,
        Err(reason) => {
            let text = format!("the head of {log} that {office} witnessed: {}", reason.text);
            return refuse(Reason::new(RefusalCode::Damaged, text));
        }
    };
    let (size, root) = before.as_ref().map_or((0, empty_root()), |b| (b.size, b.root));
    let both = |text| {
        let notes = held.iter().cloned().chain([message.note.clone()]);
        Reason::new(RefusalCode::Fork, text).with_notes(notes)
    };
    if offered.size == size && offered.root != root {
        return refuse(both(two_roots(office, log, size)));
    }
    if let Some(end) = register.closed_at.filter(|end| offered.size > *end) {
        let text = beyond(log, message.epoch, end, offered.size);
        return refuse_as(Party::Peer, both(text));
    }
    if register.frozen {
        let text = format!(
            "{office} has seen two histories of {log} epoch {}: nothing more of it is witnessed; \
             a successor epoch is needed",
            message.epoch
        );
        return refuse(Reason::new(RefusalCode::Fork, text));
    }
    if message.old_size != size || offered.size < size {
        let text = format!("{office} witnessed {log} up to size {size}: a proof must start there");
        return refuse(Reason::new(RefusalCode::Gap, text));
    }
    match check_head((size, root), &offered, &message.proof) {
        Ok(()) => Ok((before.map(|b| b.size), offered)),
        Err(HeadError::Fork { .. }) => {
            let text = unproven(office, log, size, offered.size);
            refuse_as(Party::Peer, both(text).with_proof(&message.proof))
        }
        Err(error) => refuse(head::reason(&error, log)),
    }
}

fn two_roots(office: &str, log: &LogName, size: u64) -> String {
    format!(
        "{office} witnessed a head of {log} of size {size} that the head of size {size} does not \
         continue: two histories; the office that writes {log}, or the one that sent this head, \
         shows different ones to different offices; both notes are kept, nothing more of it is \
         witnessed"
    )
}

fn beyond(log: &LogName, epoch: u32, end: u64, offered: u64) -> String {
    format!(
        "epoch {epoch} of {log} was closed at {end} records; a head over {offered} of them was \
         signed: two histories, both notes are kept and nothing over its end is witnessed"
    )
}

fn unproven(office: &str, log: &LogName, held: u64, offered: u64) -> String {
    format!(
        "{office} witnessed a head of {log} of size {held}; the proof sent with the head of size \
         {offered} does not lead from it: either there are two histories, or the office that sent \
         the proof has changed it; both notes and the proof are kept, and nothing is witnessed \
         until a proof leads on: compare heads with the office that writes {log}"
    )
}
