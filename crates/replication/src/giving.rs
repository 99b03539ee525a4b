//! Giving records of a log back to the office that writes it and has lost them.
//!
//! Proving → Offered → Active ⇄ Paused → Done; from any of them to Stopped.
//!
//! Nothing is signed here: what goes out first is the newest head that was accepted when the
//! records came, with the way from what is held to it. The receiver believes that head alone.

use std::sync::Arc;

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;

use crate::action::{Action, EntriesRead, Failure, Party, ProveHead, ProveTicket, ReadEntries};
use crate::action::{ReadTicket, Rest};
use crate::limits::Limits;
use crate::message::{Entries, Held, Holding, Message, RefusalCode, Refused, Return, Role};
use crate::now::Now;
use crate::pace::Pace;
use crate::queue::{LogId, Queue, Reason, Violation};
use crate::status::{LogState, LogStatus};

/// An epoch of the peer's log as this office could give it back.
#[derive(Clone, Debug)]
pub struct GivenLog {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Records held that are proved to lie below the head of `rest`.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The newest accepted head, and the proof from `size` to it.
    pub rest: Rest,
}

#[derive(Debug)]
enum Phase {
    /// The proof from what the receiver has is with the driver.
    Proving(u64),
    /// Sent; not answered yet.
    Offered(u64),
    Active,
    Paused(RefusalCode),
    Done,
    Stopped {
        code: RefusalCode,
        text: String,
    },
}

#[derive(Debug)]
pub(crate) struct Giving {
    id: LogId,
    given: GivenLog,
    limits: Arc<Limits>,
    phase: Phase,
    /// What the receiver had when the link opened.
    had: u64,
    /// What the receiver durably holds.
    held: u64,
    sent: u64,
    reading: Option<u64>,
    /// The receiver has gone back since it was asked for: what is read will not be sent.
    void: bool,
    pace: Pace,
    progress_at: u64,
}

impl Giving {
    /// The peer says that it takes the epoch back and has so much of it.
    pub(crate) fn new(
        slot: usize,
        given: GivenLog,
        holding: &Holding,
        limits: Arc<Limits>,
        q: &mut Queue,
    ) -> Giving {
        let id = LogId { slot, log: given.log.clone(), epoch: given.epoch, own: false };
        let (had, pace, serial) = (holding.size, Pace::new(&limits), q.serial());
        q.push(Action::ProveHead(ProveHead {
            ticket: ProveTicket { log: given.log.clone(), epoch: given.epoch, serial },
            log: given.log.clone(),
            epoch: given.epoch,
            old_size: had.min(given.size),
            size: given.size,
        }));
        Giving {
            id,
            given,
            limits,
            phase: Phase::Proving(serial),
            had,
            held: had,
            sent: had,
            reading: None,
            void: false,
            pace,
            progress_at: 0,
        }
    }

    pub(crate) fn is(&self, log: &LogName, epoch: u32) -> bool {
        self.id.epoch == epoch && self.id.log == *log
    }

    pub(crate) fn log(&self) -> &LogName {
        &self.id.log
    }

    /// Whether this is an earlier epoch of the same log that is not given back in full yet.
    pub(crate) fn is_before(&self, other: &Giving) -> bool {
        let goes_on = !matches!(self.phase, Phase::Done | Phase::Stopped { .. });
        self.id.log == other.id.log && self.id.epoch < other.id.epoch && goes_on
    }

    /// True if the proof was asked for here.
    pub(crate) fn proved(
        &mut self,
        now: Now,
        ticket: &ProveTicket,
        answer: &Result<Vec<Hash>, Failure>,
        q: &mut Queue,
    ) -> Result<bool, Violation> {
        if !self.is(&ticket.log, ticket.epoch)
            || !matches!(self.phase, Phase::Proving(serial) if serial == ticket.serial)
        {
            return Ok(false);
        }
        let proof = match answer {
            Ok(proof) => proof.clone(),
            Err(failure) => return self.failed(*failure, q).map(|()| true),
        };
        let GivenLog { log, epoch, size, root, rest } = self.given.clone();
        let old_size = self.had.min(size);
        let Rest { note, proof: rest } = rest;
        q.send(Message::Return(Return { log, epoch, note, size, root, rest, old_size, proof }));
        self.phase = Phase::Offered(now.mono);
        Ok(true)
    }

    /// The receiver's position: the answer to the offer, then its progress.
    pub(crate) fn on_held(&mut self, now: Now, message: &Held) -> Result<(), Violation> {
        match self.phase {
            Phase::Offered(_) | Phase::Active | Phase::Paused(_) => {}
            _ => return Ok(()),
        }
        if message.size < self.held || (message.size > self.sent && message.size > self.had) {
            return Err(Violation::internal("the position held is not one that can be"));
        }
        if message.size > self.held {
            self.pace.held(now.mono, message.size);
        } else {
            self.sent = message.size;
            self.pace.rewind();
            self.void = self.reading.is_some();
        }
        self.progress_at = now.mono;
        self.held = message.size;
        self.phase = if self.held >= self.given.size { Phase::Done } else { Phase::Active };
        Ok(())
    }

    pub(crate) fn reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Asks for the next batch if there is one and the window has room. True if it asked.
    pub(crate) fn read_next(&mut self, q: &mut Queue) -> bool {
        let idle = matches!(self.phase, Phase::Active) && self.reading.is_none();
        if !idle || self.sent >= self.given.size {
            return false;
        }
        let Some(max_bytes) = self.pace.room() else { return false };
        let serial = q.serial();
        self.reading = Some(serial);
        q.push(Action::ReadEntries(ReadEntries {
            ticket: ReadTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            from: self.sent,
            max_bytes,
            head_size: self.given.size,
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
        if self.reading != Some(ticket.serial) {
            return Ok(());
        }
        self.reading = None;
        if std::mem::take(&mut self.void) || !matches!(self.phase, Phase::Active) {
            return Ok(());
        }
        let read = match answer {
            Ok(read) => read,
            Err(failure) => return self.failed(failure, q),
        };
        let end = self.sent.saturating_add(read.records.len() as u64);
        if read.records.is_empty() || end > self.given.size {
            return Err(Violation::internal("records other than asked for were read"));
        }
        let bytes = read.records.iter().map(Vec::len).sum();
        q.send(Message::Entries(Entries {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            first_seq: self.sent,
            head_size: self.given.size,
            records: read.records,
            proof: read.proof,
        }));
        self.sent = end;
        self.pace.sent(now.mono, end, bytes, end < self.given.size);
        Ok(())
    }

    /// The peer does not go on with it.
    pub(crate) fn on_refused(&mut self, message: &Refused, q: &mut Queue) {
        if matches!(self.phase, Phase::Stopped { .. } | Phase::Done) {
            return;
        }
        let text = message.text.clone();
        self.void = self.reading.is_some();
        self.phase = match message.code.is_temporary() {
            true => Phase::Paused(message.code),
            false => Phase::Stopped { code: message.code, text: text.clone() },
        };
        let reason = Reason::new(message.code, text).with_notes(message.note.clone());
        q.fault(&self.id, Party::Peer, reason);
    }

    fn failed(&mut self, failure: Failure, q: &mut Queue) -> Result<(), Violation> {
        if failure != Failure::Damaged {
            return Err(Violation::internal(format!("reading {} failed", self.id.log)));
        }
        let text = format!(
            "the copy of {} is damaged at the office that gives it back: run `adal journal check` \
             there",
            self.id.log
        );
        let reason = Reason::new(RefusalCode::Damaged, text);
        self.phase = Phase::Stopped { code: reason.code, text: reason.text.clone() };
        q.refuse_log(&self.id, reason);
        Ok(())
    }

    /// Monotonic moment at which the peer has been without any progress for too long.
    pub(crate) fn stalled_at(&self) -> Option<u64> {
        let oldest = match self.phase {
            Phase::Offered(at) => Some(at),
            Phase::Active => self.pace.oldest(),
            _ => None,
        };
        Some(oldest?.max(self.progress_at).saturating_add(self.limits.stall_timeout))
    }

    pub(crate) fn status(&self) -> LogStatus {
        let signed = Checkpoint::parse(&self.given.rest.note).map(|head| head.size).ok();
        LogStatus {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Origin,
            size: self.given.size,
            head_size: signed,
            head_at: None,
            held: self.held,
            witnessed: signed,
            lag: Some(self.given.size.saturating_sub(self.held)),
            state: match &self.phase {
                Phase::Proving(_) | Phase::Offered(_) => LogState::Waiting,
                Phase::Active => LogState::CatchingUp,
                Phase::Done => LogState::Live,
                Phase::Paused(code) => LogState::Paused(*code),
                Phase::Stopped { code, text } => {
                    LogState::Stopped { code: *code, text: text.clone() }
                }
            },
        }
    }
}
