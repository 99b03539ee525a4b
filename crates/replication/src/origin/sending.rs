//! Heads, records and the follower's answers, once the comparison at hello is done.

use evidence::checkpoint::verify_cosignature;
use evidence::merkle::MAX_PROOF;
use evidence::note::Verifier;

use super::{Origin, Phase, Reading, SentHead};
use crate::action::{
    Action, CosignatureKind, EntriesRead, Failure, PeerForgot, ReadEntries, ReadTicket, SignHead,
    SignTicket, SignedHead, StoreCosignature,
};
use crate::head;
use crate::message::{Entries, Head, HeadAccepted, Held, Message, RefusalCode};
use crate::now::Now;
use crate::queue::{LogId, Queue, Reason, Violation};
use crate::status::PeerClock;

impl Origin {
    /// Monotonic moment at which a head should go out; `None` while one may not.
    pub(crate) fn head_due(&self) -> Option<u64> {
        let reading = self.reading.is_some() || self.previews.reading();
        let busy = self.signing.is_some() || reading;
        if !self.active() || busy || self.keyless {
            return None;
        }
        match &self.head {
            None => Some(0),
            Some(head) if !head.answered => None,
            Some(head) if self.size > head.size => {
                Some(head.sent_at.saturating_add(self.pace.head_interval()))
            }
            Some(head) => Some(head.sent_at.saturating_add(self.limits.heartbeat)),
        }
    }

    /// Sends the head again if nothing changed, otherwise asks for a new one.
    pub(crate) fn send_head(&mut self, now: Now, q: &mut Queue) {
        if let Some(head) = self.head.as_mut().filter(|head| head.size == self.size) {
            head.sent_at = now.mono;
            head.answered = false;
            q.send(Message::Head(Head {
                log: self.id.log.clone(),
                epoch: self.id.epoch,
                note: head.note.clone(),
                old_size: head.size,
                proof: Vec::new(),
            }));
            return;
        }
        let serial = q.serial();
        self.signing = Some((serial, self.size));
        q.push(Action::SignHead(SignHead {
            ticket: SignTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: self.size,
            old_size: self.accepted.unwrap_or(0),
        }));
    }

    pub(crate) fn head_signed(
        &mut self,
        now: Now,
        ticket: &SignTicket,
        answer: Result<SignedHead, Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let Some((_, size)) = self.signing.filter(|(serial, _)| *serial == ticket.serial) else {
            return Ok(());
        };
        self.signing = None;
        if !self.active() {
            return Ok(());
        }
        let signed = match answer {
            Ok(signed) => signed,
            Err(failure) => return self.failed(failure, q),
        };
        let checkpoint = match head::open(&signed.note, &self.verifier, &self.name) {
            Ok(checkpoint) if checkpoint.size == size => checkpoint,
            Ok(_) => return Err(Violation::internal("a head of another size was signed")),
            Err(reason) => {
                let text = format!(
                    "the key that signs {} is not the enrolled one: check the key files of this \
                     office",
                    self.id.log
                );
                self.stop(Reason::new(reason.code, text), q);
                return Ok(());
            }
        };
        q.send(Message::Head(Head {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            note: signed.note.clone(),
            old_size: self.accepted.unwrap_or(0),
            proof: signed.proof,
        }));
        self.head = Some(SentHead {
            size,
            root: checkpoint.root,
            note: signed.note,
            sent_at: now.mono,
            answered: false,
        });
        Ok(())
    }

    pub(crate) fn reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Asks for the next batch if there is one and the window has room. True if it asked.
    pub(crate) fn read_next(&mut self, q: &mut Queue) -> bool {
        if !self.active() || self.signing.is_some() || self.reading.is_some() {
            return false;
        }
        let Some(head_size) = self.head.as_ref().map(|h| h.size).filter(|s| *s > self.sent) else {
            return false;
        };
        let Some(max_bytes) = self.pace.room() else { return false };
        let serial = q.serial();
        self.reading = Some(Reading { serial, from: self.sent, head_size, void: false });
        q.push(Action::ReadEntries(ReadEntries {
            ticket: ReadTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            from: self.sent,
            max_bytes,
            head_size,
        }));
        true
    }

    pub(crate) fn entries_read(
        &mut self,
        now: Now,
        ticket: &ReadTicket,
        answer: Result<EntriesRead, Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if self.reading.as_ref().is_none_or(|r| r.serial != ticket.serial) {
            return Ok(());
        }
        let active = self.active();
        let wanted = |reading: &Reading| active && !reading.void;
        let Some(reading) = self.reading.take().filter(wanted) else { return Ok(()) };
        let read = match answer {
            Ok(read) => read,
            Err(failure) => return self.failed(failure, q),
        };
        let end = reading.from.saturating_add(read.records.len() as u64);
        if read.records.is_empty() || end > reading.head_size || read.proof.len() > MAX_PROOF {
            return Err(Violation::internal("records other than asked for were read"));
        }
        let bytes = read.records.iter().map(Vec::len).sum();
        q.send(Message::Entries(Entries {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            first_seq: reading.from,
            head_size: reading.head_size,
            records: read.records,
            proof: read.proof,
        }));
        self.sent = end;
        self.pace.sent(now.mono, end, bytes, end < reading.head_size);
        Ok(())
    }

    pub(crate) fn on_accepted(
        &mut self,
        now: Now,
        message: &HeadAccepted,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if !matches!(self.phase, Phase::Active | Phase::Paused(_)) {
            return Ok(());
        }
        let Some(head) = self.head.as_mut().filter(|h| !h.answered && h.size == message.size)
        else {
            return Err(Violation::internal("a head was accepted that was not sent"));
        };
        head.answered = true;
        self.pace.answered(now.mono.saturating_sub(head.sent_at));
        let is_lined = self.lined.is_some_and(|lined| lined >= head.size);
        if !is_lined && self.answered.iter().all(|answered| answered.size < head.size) {
            self.answered.truncate(1);
            self.answered.push(head.clone());
        }
        self.accepted = Some(message.size);
        self.accepted_at = Some(now);
        self.progress_at = now.mono;
        if let Some(key) = &self.peer.witness {
            let line = message.cosignature.as_str();
            let stored = &mut self.stored_witness;
            let forgot = self.forgot.take().zip(self.shown.clone());
            if let Some((remembered, cosigned)) =
                forgot.filter(|_| verify_cosignature(&head.note, line, key).is_ok())
            {
                q.push(Action::PeerForgot(PeerForgot {
                    log: self.id.log.clone(),
                    epoch: self.id.epoch,
                    cosigned,
                    remembered,
                    now: [head.note.clone(), line.to_owned()],
                }));
            }
            match keep(&self.id, head, line, key, CosignatureKind::Witness, stored) {
                Ok((time, action)) => {
                    self.clock = Some(PeerClock::read(time, head.sent_at, now));
                    action.into_iter().for_each(|a| q.push(a));
                }
                Err(reason) => self.stop(reason, q),
            }
        }
        Ok(())
    }

    pub(crate) fn on_held(
        &mut self,
        now: Now,
        message: &Held,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if message.cosigned.is_some_and(|of| of > message.size) {
            return Err(Violation::internal("a head was co-signed below which not all is held"));
        }
        if matches!(self.phase, Phase::Finished) && message.cosignature.is_some() {
            self.keep_line(message, q);
            return Ok(());
        }
        if !matches!(self.phase, Phase::Active | Phase::Paused(_)) {
            return Ok(());
        }
        if message.size > self.sent || message.size < self.held {
            return Err(Violation::internal("the position held is not one that can be"));
        }
        let progress = message.size > self.held;
        self.held = message.size;
        if progress {
            self.progress_at = now.mono;
            self.pace.held(now.mono, message.size);
        } else if message.cosignature.is_none() {
            self.rewind();
            self.phase = Phase::Active;
            // The follower answers everything it did not drop before it reopens the log.
            self.head = self.head.take().filter(|head| head.answered);
        }
        if self.keep_line(message, q) && self.keyless && self.active() {
            self.phase = Phase::Finished;
        }
        Ok(())
    }

    /// Takes the mirror's line for a head that may get one; false if the position is not that of
    /// the newest head.
    fn keep_line(&mut self, message: &Held, q: &mut Queue) -> bool {
        let head = |size: u64| {
            let heads = self.head.iter().chain(&self.answered);
            heads.into_iter().find(move |head| head.size == size)
        };
        if let Some(head) = head(message.size).filter(|head| head.root != message.root) {
            let text = format!(
                "the {} records of {} that the other office stored do not lead to the signed \
                 head: its mirror is damaged",
                message.size, self.id.log
            );
            let reason = Reason::new(RefusalCode::Damaged, text).with_notes([head.note.clone()]);
            self.stop(reason, q);
            return false;
        }
        let of = message.cosigned.unwrap_or(message.size);
        if let (Some(line), Some(head)) = (&message.cosignature, head(of).cloned()) {
            self.lined = Some(of);
            self.answered.retain(|head| head.size > of);
            if let Some(key) = &self.peer.mirror {
                let stored = &mut self.stored_mirror;
                match keep(&self.id, &head, line, key, CosignatureKind::Mirror, stored) {
                    Ok((_, action)) => action.into_iter().for_each(|a| q.push(a)),
                    Err(reason) => {
                        self.stop(reason, q);
                        return true;
                    }
                }
            }
        }
        self.head.as_ref().is_some_and(|head| head.size == message.size)
    }
}

/// Verifies a cosignature; its time, and the action to store it, unless one for this head is stored
/// already.
fn keep(
    id: &LogId,
    head: &SentHead,
    line: &str,
    key: &Verifier,
    kind: CosignatureKind,
    stored: &mut Option<u64>,
) -> Result<(u64, Option<Action>), Reason> {
    let time = verify_cosignature(&head.note, line, key).map_err(|_| {
        let text = format!(
            "the other office co-signs {} with another key than {}: compare the public keys",
            id.log,
            key.name()
        );
        Reason::new(RefusalCode::WrongKey, text).with_notes([head.note.clone()])
    })?;
    if *stored == Some(head.size) {
        return Ok((time, None));
    }
    *stored = Some(head.size);
    let store = Action::StoreCosignature(StoreCosignature {
        log: id.log.clone(),
        epoch: id.epoch,
        size: head.size,
        kind,
        note: head.note.clone(),
        line: line.to_owned(),
        time,
    });
    Ok((time, Some(store)))
}
