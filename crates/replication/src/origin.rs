//! The writer's part in one log on one link.
//!
//! Waiting → (hello) → Comparing → Active ⇄ Paused; from any of them to Stopped. A closed epoch of
//! which nothing more can go out goes from Waiting to Finished, one whose key is lost when what was
//! signed of it is held. Finished still takes the mirror's line for the head that was shown.
//!
//! * **Comparing**: what the follower says it holds, and above all the head it co-signed, is held
//!   against our own tree before a byte is sent. A signed head that our tree contradicts or does
//!   not reach is proof that this journal is not the one that signed it.
//! * **Active**: head, then the records below it. One head is unanswered at a time, so the proof
//!   of each starts where the follower stands. No head goes out while a read is with the driver
//!   and no read while a head is being signed: every batch leads to the head sent last.
//! * **Paused**: the follower can store nothing for now (its disk is full, its index is being
//!   built); its next `Held` reopens the log.

mod previews;
mod sending;

use std::sync::Arc;

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::note::Verifier;

use crate::action::{Action, Failure, Party, ReadRoot, RootTicket};
use crate::head;
use crate::limits::Limits;
use crate::message::{Holding, RefusalCode, Refused, Role};
use crate::now::Now;
use crate::pace::Pace;
use crate::previews::Previews;
use crate::queue::{LogId, Queue, Reason, Violation};
use crate::status::{LogState, LogStatus, PeerClock};

/// A log this office writes and the peer may mirror, as it stands when the session begins.
#[derive(Clone, Debug)]
pub struct OwnLog {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The public half of the key that signs its heads.
    pub verifier: Verifier,
    /// Durable records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Leaf hash of the first one.
    pub first: Option<Hash>,
    /// The note in which the key of the epoch before names this one's, to show to the peer.
    pub succession: Option<String>,
    /// The key of this closed epoch is lost: no head of it can be signed any more.
    pub keyless: bool,
    /// Size of the newest head of which the peer's witness cosignature is stored already.
    pub witnessed: Option<u64>,
    /// Size of the newest head of which the peer's mirror cosignature is stored already.
    pub mirrored: Option<u64>,
}

/// The peer's cosigning keys. Without a key the lines of that kind are ignored, never stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerKeys {
    pub(crate) witness: Option<Verifier>,
    pub(crate) mirror: Option<Verifier>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Comparing,
    Active,
    Paused(RefusalCode),
    /// A closed epoch of which nothing more will go out.
    Finished,
    Stopped {
        code: RefusalCode,
        text: String,
    },
}

/// Something the follower says about our tree.
#[derive(Debug)]
struct Claim {
    size: u64,
    root: Hash,
    /// The note, if our key signed it.
    note: Option<String>,
}

#[derive(Clone, Debug)]
struct SentHead {
    size: u64,
    root: Hash,
    note: String,
    sent_at: u64,
    answered: bool,
}

#[derive(Debug)]
struct Reading {
    serial: u64,
    from: u64,
    head_size: u64,
    /// The follower has gone back since: what is read will not be sent.
    void: bool,
}

#[derive(Debug)]
pub(crate) struct Origin {
    id: LogId,
    name: String,
    /// A later epoch of the log is open here.
    closed: bool,
    /// No head of it can be signed any more.
    keyless: bool,
    succession: Option<String>,
    verifier: Verifier,
    peer: Arc<PeerKeys>,
    limits: Arc<Limits>,
    phase: Phase,
    size: u64,
    root_at_start: Hash,
    first: Option<Hash>,
    /// The follower's first record is another one.
    begins_anew: bool,
    claims: Vec<Claim>,
    comparing: Option<u64>,
    /// The follower's durable position.
    held: u64,
    /// Next sequence to send.
    sent: u64,
    /// Largest head the follower accepted.
    accepted: Option<u64>,
    accepted_at: Option<Now>,
    clock: Option<PeerClock>,
    head: Option<SentHead>,
    /// Accepted heads of which the mirror's line may come: the one for which the mirror waits, and
    /// the newest.
    answered: Vec<SentHead>,
    /// Largest head of which the mirror's line came on this link.
    lined: Option<u64>,
    /// Serial and size of the head being signed.
    signing: Option<(u64, u64)>,
    reading: Option<Reading>,
    pace: Pace,
    previews: Previews,
    progress_at: u64,
    stored_witness: Option<u64>,
    stored_mirror: Option<u64>,
    /// The newest head with a line of the peer that is kept, as it is shown to the peer.
    shown: Option<String>,
    /// The peer remembers less than that: the head that it says is its newest.
    forgot: Option<Option<String>>,
}

impl Origin {
    pub(crate) fn new(
        slot: usize,
        own: OwnLog,
        (closed, shown): (bool, Option<String>),
        domain: &str,
        peer: Arc<PeerKeys>,
        limits: Arc<Limits>,
    ) -> Origin {
        Origin {
            name: evidence::log::origin(domain, &own.log, own.epoch),
            id: LogId { slot, log: own.log, epoch: own.epoch, own: true },
            closed,
            keyless: own.keyless,
            succession: own.succession,
            verifier: own.verifier,
            peer,
            phase: Phase::Waiting,
            size: own.size,
            root_at_start: own.root,
            first: own.first,
            begins_anew: false,
            claims: Vec::new(),
            comparing: None,
            held: 0,
            sent: 0,
            accepted: None,
            accepted_at: None,
            clock: None,
            head: None,
            answered: Vec::new(),
            lined: None,
            signing: None,
            reading: None,
            pace: Pace::new(&limits),
            previews: Previews::new(),
            limits,
            progress_at: 0,
            stored_witness: own.witnessed,
            stored_mirror: own.mirrored,
            shown,
            forgot: None,
        }
    }

    pub(crate) fn is(&self, log: &LogName, epoch: u32) -> bool {
        self.id.epoch == epoch && self.id.log == *log
    }

    pub(crate) fn log(&self) -> &LogName {
        &self.id.log
    }

    /// Its epoch, if it is one of this log.
    pub(crate) fn epoch_of(&self, log: &LogName) -> Option<u32> {
        (self.id.log == *log).then_some(self.id.epoch)
    }

    /// Whether this is an earlier epoch of the same log.
    pub(crate) fn precedes(&self, other: &Origin) -> bool {
        self.id.log == other.id.log && self.id.epoch < other.id.epoch
    }

    /// Whether the follower lacks records of it that will still be sent on this link.
    pub(crate) fn is_behind(&self) -> bool {
        let goes_on = !matches!(self.phase, Phase::Finished | Phase::Stopped { .. });
        goes_on && self.held < self.size
    }

    /// What the hello says; called before anything grows.
    pub(crate) fn holding(&self) -> Holding {
        Holding {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Origin,
            size: self.size,
            root: self.root_at_start,
            head: None,
            succession: self.succession.clone(),
            first: self.first,
        }
    }

    /// The follower's clock, as its last cosignature showed it.
    pub(crate) fn clock(&self) -> Option<PeerClock> {
        self.clock
    }

    /// The peer's hello names the log.
    pub(crate) fn begin(&mut self, holding: &Holding, q: &mut Queue) {
        if !matches!(self.phase, Phase::Waiting) {
            return;
        }
        if holding.role == Role::Origin {
            let text = format!(
                "both offices claim to write {}; only one may: stop the copy that is not the real \
                 office",
                self.id.log
            );
            return self.stop(Reason::new(RefusalCode::DuplicateOffice, text), q);
        }
        let signed = match holding.head.as_deref() {
            None => None,
            Some(note) => match head::open(note, &self.verifier, &self.name) {
                Ok(checkpoint) => Some((checkpoint, note.to_owned())),
                Err(reason) => return self.stop(head::own(reason, &self.id), q),
            },
        };
        let covered = signed.as_ref().map_or(0, |(c, _)| c.size);
        let shown = self.shown.as_deref().and_then(|note| Checkpoint::parse(note).ok());
        if shown.is_some_and(|shown| shown.size > covered) {
            self.forgot = Some(holding.head.clone());
        }
        if holding.size > covered {
            let text = format!(
                "the other office says it holds {} records of {}, but shows a signed head of only \
                 {covered}: its mirror is damaged",
                holding.size, self.id.log
            );
            return self.stop(Reason::new(RefusalCode::Damaged, text), q);
        }
        // Of an epoch that is over the follower lacks nothing, or what can never be proved to it:
        // less was kept here than was signed, or no head can be signed beyond the one it has.
        let provable = if self.keyless { covered } else { self.size };
        if self.closed && (holding.size >= provable || covered > self.size) {
            (self.held, self.sent) = (holding.size, holding.size);
            self.accepted = Some(covered);
            // The mirror may still owe its line for the head that it shows.
            self.head = signed.map(|(Checkpoint { size, root, .. }, note)| SentHead {
                size,
                root,
                note,
                sent_at: 0,
                answered: true,
            });
            self.phase = Phase::Finished;
            return;
        }
        // Only refines what a signed head proves: a bare word of the other office stops nothing.
        self.begins_anew = head::begins_anew(self.first, holding.first);
        if covered > self.size {
            let reason = self.shorter(covered);
            return self.stop(reason.with_notes(signed.map(|(_, note)| note)), q);
        }
        self.held = holding.size;
        self.sent = holding.size;
        self.accepted = signed.as_ref().map(|(c, _)| c.size);
        self.claims.push(Claim { size: holding.size, root: holding.root, note: None });
        if let Some((Checkpoint { size, root, .. }, note)) = signed {
            if self.keyless {
                let note = note.clone();
                self.head = Some(SentHead { size, root, note, sent_at: 0, answered: true });
            }
            self.claims.push(Claim { size, root, note: Some(note) });
        }
        self.phase = Phase::Comparing;
        self.compare(q);
    }

    /// The signed head is compared first: only it can prove anything against us.
    fn compare(&mut self, q: &mut Queue) {
        let Some(claim) = self.claims.last() else {
            self.phase = Phase::Active;
            return;
        };
        let serial = q.serial();
        self.comparing = Some(serial);
        q.push(Action::ReadRoot(ReadRoot {
            ticket: RootTicket { slot: self.id.slot, serial },
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            size: claim.size,
        }));
    }

    /// The follower co-signed more than is here.
    fn shorter(&self, covered: u64) -> Reason {
        let LogId { log, .. } = &self.id;
        if self.begins_anew || self.size == 0 {
            let text = format!(
                "this office signed {covered} records of {log}, and the {} that are here begin \
                 anew: the journal was made anew under the same key",
                self.size
            );
            return Reason::new(RefusalCode::RecreatedLog, text);
        }
        let text = format!(
            "the other office co-signed {covered} records of {log}, this office holds {}: its \
             journal went back or lost its end; go on in a successor epoch",
            self.size
        );
        Reason::new(RefusalCode::Rollback, text)
    }

    pub(crate) fn root_read(
        &mut self,
        ticket: &RootTicket,
        answer: Result<Hash, Failure>,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if self.comparing != Some(ticket.serial) || !matches!(self.phase, Phase::Comparing) {
            return Ok(());
        }
        self.comparing = None;
        let root = match answer {
            Ok(root) => root,
            Err(failure) => return self.failed(failure, q),
        };
        let Some(claim) = self.claims.pop() else { return Ok(()) };
        if root == claim.root {
            self.compare(q);
            return Ok(());
        }
        let reason = match claim.note {
            Some(note) if self.begins_anew => {
                let text = format!(
                    "the {} records of {} here begin with another one than the {} that this office \
                     signed: the journal was made anew under the same key",
                    self.size, self.id.log, claim.size
                );
                Reason::new(RefusalCode::RecreatedLog, text).with_notes([note])
            }
            Some(note) => {
                let text = format!(
                    "the first {} records of {} here are not the ones whose head this office \
                     signed and the other one co-signed: two histories; nothing is sent, keep \
                     both, open a successor epoch",
                    claim.size, self.id.log
                );
                Reason::new(RefusalCode::Fork, text).with_notes([note])
            }
            None => {
                let text = format!(
                    "the {} records of {} that the other office says it holds do not lead to the \
                     head it co-signed: its mirror is damaged",
                    claim.size, self.id.log
                );
                Reason::new(RefusalCode::Damaged, text)
            }
        };
        self.stop(reason, q);
        Ok(())
    }

    fn active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// More records are durable here.
    pub(crate) fn grew(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// The peer does not go on with the log.
    pub(crate) fn on_refused(&mut self, message: &Refused, q: &mut Queue) {
        let refines = message.code.refines_rollback()
            && matches!(self.phase, Phase::Stopped { code: RefusalCode::Rollback, .. });
        if !refines && matches!(self.phase, Phase::Stopped { .. } | Phase::Finished) {
            return;
        }
        let text = message.text.clone();
        let paused =
            message.code.is_temporary() && matches!(self.phase, Phase::Active | Phase::Paused(_));
        if paused {
            self.rewind();
            self.phase = Phase::Paused(message.code);
        } else {
            self.phase = Phase::Stopped { code: message.code, text: text.clone() };
        }
        let reason = Reason::new(message.code, text).with_notes(message.note.clone());
        q.fault(&self.id, Party::Peer, reason);
    }

    /// Goes on from the follower's position; what is on the way or being read is void.
    fn rewind(&mut self) {
        self.sent = self.held;
        self.pace.rewind();
        if let Some(reading) = &mut self.reading {
            reading.void = true;
        }
    }

    fn stop(&mut self, reason: Reason, q: &mut Queue) {
        self.phase = Phase::Stopped { code: reason.code, text: reason.text.clone() };
        q.refuse_log(&self.id, reason);
    }

    fn failed(&mut self, failure: Failure, q: &mut Queue) -> Result<(), Violation> {
        if failure == Failure::Damaged {
            let text = format!(
                "stored bytes of {} are damaged at the office that writes it: run `adal log \
                 verify` there; nothing is sent from there on",
                self.id.log
            );
            self.stop(Reason::new(RefusalCode::Damaged, text), q);
            return Ok(());
        }
        Err(Violation::internal(format!("reading {} failed", self.id.log)))
    }

    /// Monotonic moment at which the peer has been without any progress for too long.
    pub(crate) fn stalled_at(&self) -> Option<u64> {
        if !self.active() {
            return None;
        }
        let unanswered = self.head.as_ref().filter(|h| !h.answered).map(|h| h.sent_at);
        let oldest = unanswered.into_iter().chain(self.pace.oldest()).min()?;
        Some(oldest.max(self.progress_at).saturating_add(self.limits.stall_timeout))
    }

    pub(crate) fn status(&self, now: Now) -> LogStatus {
        let recent = self
            .accepted_at
            .is_some_and(|at| now.mono.saturating_sub(at.mono) <= 3 * self.limits.heartbeat);
        let complete = self.accepted == Some(self.size) && self.held == self.size;
        LogStatus {
            log: self.id.log.clone(),
            epoch: self.id.epoch,
            role: Role::Origin,
            size: self.size,
            head_size: self.head.as_ref().map(|h| h.size).or(self.accepted),
            head_at: self.accepted_at.map(|at| at.unix),
            held: self.held,
            witnessed: self.accepted,
            lag: Some(self.size.saturating_sub(self.held)),
            state: match &self.phase {
                Phase::Waiting | Phase::Comparing => LogState::Waiting,
                Phase::Finished => LogState::Live,
                Phase::Active if recent && complete => LogState::Live,
                Phase::Active => LogState::CatchingUp,
                Phase::Paused(code) => LogState::Paused(*code),
                Phase::Stopped { code, text } => {
                    LogState::Stopped { code: *code, text: text.clone() }
                }
            },
        }
    }
}
