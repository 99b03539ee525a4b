//! Attachments on one link: what is asked of the peer, and what is given to it.
//!
//! One attachment is on its way at a time, in pieces of which at most two are asked for and not
//! yet here, sized by how long they take: heads, records and pongs never wait behind more. Each
//! question has exactly one answer, in order, so that nothing is taken that was not asked for. An
//! attachment whose hash is another one when it is whole is dropped, told and asked for again. What
//! does not come is put off, as many as there may be: others go past it, and while both wait, a new
//! one and one that was put off take turns.

use std::collections::{BTreeSet, VecDeque};

use evidence::hash::{Hash, hex};
use evidence::log::LogName;

use crate::action::{
    Action, AttachmentAsk, AttachmentTicket, AttachmentTrouble, Failure, KeepPiece, Kept,
    NamedAttachment, NotOpened, OpenAttachment, ReadPiece,
};
use crate::limits::{
    ATTACHMENT_PAUSE, ATTACHMENT_RETRY, ATTACHMENTS_LATER, ATTACHMENTS_WAITING, PIECE, PIECE_FLOOR,
    PIECES_IN_FLIGHT, PIECES_SERVED,
};
use crate::message::{
    AttachmentAbsent, AttachmentMessage, AttachmentPiece, AttachmentWanted, Message,
};
use crate::now::Now;
use crate::queue::{Queue, Violation};

/// A piece takes this long at least before the next one is made smaller, in microseconds.
const SLOW: u64 = 1_000_000;
/// A piece that takes no longer than this makes the next one larger.
const QUICK: u64 = 250_000;

/// A piece that was asked for and not answered yet.
struct Asked {
    log: LogName,
    hash: Hash,
    offset: u64,
    length: u32,
    at: u64,
}

enum Phase {
    /// The driver looks at what is here of it.
    Opening(u64),
    /// Bytes up to `asked` were asked for, up to `kept` they are with the driver.
    Going { asked: u64, kept: u64 },
}

struct Fetching {
    named: NamedAttachment,
    phase: Phase,
    /// Pieces with the driver.
    keeping: VecDeque<u64>,
}

/// Attachments on one link.
pub(crate) struct Lane {
    peer: String,
    understood: bool,
    /// To be asked for, in order.
    waiting: VecDeque<NamedAttachment>,
    /// To be asked for again, from when on.
    later: VecDeque<(u64, NamedAttachment)>,
    /// Hash and size of those that wait, now or until later, or are on their way: of two records
    /// that name one hash with different sizes one is wrong, and does not keep the other away.
    known: BTreeSet<(Hash, u64)>,
    /// The last attachment was one that had been put off.
    was_later: bool,
    fetching: Option<Fetching>,
    /// Nothing can be stored until then.
    paused: Option<u64>,
    /// Questions of ours without an answer, oldest first.
    asked: VecDeque<Asked>,
    length: u32,
    answered: u64,
    /// Questions of the peer, oldest first; `true`: it may be told. The first is with the driver.
    serving: VecDeque<(AttachmentWanted, bool)>,
    reading: Option<u64>,
}

impl Lane {
    pub(crate) fn new(peer: &str) -> Lane {
        Lane {
            peer: peer.to_owned(),
            understood: false,
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            known: BTreeSet::new(),
            was_later: false,
            fetching: None,
            paused: None,
            asked: VecDeque::new(),
            length: PIECE_FLOOR,
            answered: 0,
            serving: VecDeque::new(),
            reading: None,
        }
    }

    /// The peer's hello came; `understood`: it names the feature.
    pub(crate) fn greet(&mut self, understood: bool) {
        self.understood = understood;
    }

    /// Whether this attachment waits already, or is on its way.
    pub(crate) fn knows(&self, hash: &Hash, size: u64) -> bool {
        self.known.contains(&(*hash, size))
    }

    /// Takes up an attachment that is not here. `false`: enough others wait.
    pub(crate) fn want(&mut self, named: NamedAttachment) -> bool {
        if self.knows(&named.hash, named.size) {
            return true;
        }
        let later = self.later.len();
        if later >= ATTACHMENTS_LATER || self.known.len() - later >= ATTACHMENTS_WAITING {
            return false;
        }
        self.known.insert((named.hash, named.size));
        self.waiting.push_back(named);
        true
    }

    /// The attachment whose turn it is.
    fn next(&mut self, now: Now) -> Option<NamedAttachment> {
        let is_due = self.later.front().is_some_and(|(due, _)| *due <= now.mono);
        self.was_later = is_due && (!self.was_later || self.waiting.is_empty());
        match self.was_later {
            true => self.later.pop_front().map(|(_, named)| named),
            false => self.waiting.pop_front(),
        }
    }

    /// Goes on: with the next attachment, with the next piece.
    pub(crate) fn pump(&mut self, now: Now, q: &mut Queue) {
        if !self.understood || self.paused.is_some_and(|until| now.mono < until) {
            return;
        }
        self.paused = None;
        if self.fetching.is_none() && self.asked.is_empty() {
            let Some(named) = self.next(now) else { return };
            let serial = q.serial();
            let ticket = AttachmentTicket { serial };
            let ask = OpenAttachment { ticket, named: named.clone() };
            q.push(Action::Attachment(AttachmentAsk::Open(ask)));
            let phase = Phase::Opening(serial);
            self.fetching = Some(Fetching { named, phase, keeping: VecDeque::new() });
        }
        self.ask(now, q);
    }

    /// Asks for pieces as far as some may be on the way.
    fn ask(&mut self, now: Now, q: &mut Queue) {
        let Some(Fetching { named, phase: Phase::Going { asked, .. }, keeping }) =
            &mut self.fetching
        else {
            return;
        };
        while *asked < named.size && self.asked.len() + keeping.len() < PIECES_IN_FLIGHT {
            let left = u32::try_from(named.size - *asked).unwrap_or(u32::MAX);
            let (hash, offset, length) = (named.hash, *asked, self.length.min(left));
            let (log, epoch, seq) = (named.log.clone(), named.epoch, named.seq);
            let asks = Asked { log: log.clone(), hash, offset, length, at: now.mono };
            let wanted = AttachmentWanted { log, epoch, seq, hash, offset, length };
            q.send(Message::Attachment(AttachmentMessage::Wanted(wanted)));
            self.asked.push_back(asks);
            *asked += u64::from(length);
        }
    }

    pub(crate) fn opened(
        &mut self,
        now: Now,
        ticket: &AttachmentTicket,
        answer: Result<u64, NotOpened>,
        q: &mut Queue,
    ) {
        let Some(fetching) = &mut self.fetching else { return };
        if !matches!(fetching.phase, Phase::Opening(serial) if serial == ticket.serial) {
            return;
        }
        match answer {
            Err(why) => {
                match why {
                    NotOpened::Busy => self.come_back(now, ATTACHMENT_PAUSE),
                    NotOpened::OtherSize(here) => {
                        let what = format!(
                            "the file with this hash is here and has {here} bytes, the record says \
                             {}: whoever wrote the record must name the file again",
                            fetching.named.size
                        );
                        self.put_off(now, &what, q);
                    }
                    NotOpened::Failed(failure) => self.failed(now, failure, q),
                }
                self.pump(now, q);
            }
            Ok(here) => {
                let size = fetching.named.size;
                let here = here.min(size);
                fetching.phase = Phase::Going { asked: here, kept: here };
                if here == size {
                    self.keep(Vec::new(), q);
                }
                self.pump(now, q);
            }
        }
    }

    /// Hands bytes to the driver.
    fn keep(&mut self, bytes: Vec<u8>, q: &mut Queue) {
        let Some(Fetching { named, phase: Phase::Going { kept, .. }, keeping }) =
            &mut self.fetching
        else {
            return;
        };
        *kept += bytes.len() as u64;
        let (serial, last) = (q.serial(), *kept >= named.size);
        keeping.push_back(serial);
        let ticket = AttachmentTicket { serial };
        let ask = KeepPiece { ticket, hash: named.hash, bytes, last };
        q.push(Action::Attachment(AttachmentAsk::Keep(ask)));
    }

    pub(crate) fn kept(
        &mut self,
        now: Now,
        ticket: &AttachmentTicket,
        answer: Result<Kept, Failure>,
        q: &mut Queue,
    ) {
        let Some(fetching) = &mut self.fetching else { return };
        if fetching.keeping.front() != Some(&ticket.serial) {
            return; // of one that was given up
        }
        fetching.keeping.pop_front();
        match answer {
            Ok(Kept::Part) => {}
            Ok(Kept::Whole) => {
                if let Some(done) = self.fetching.take() {
                    self.known.remove(&(done.named.hash, done.named.size));
                }
            }
            Ok(Kept::Other) => {
                let what = "sent bytes that are not those which the record names: look there with \
                            `adal journal check`";
                let what = format!("{} {what}", self.peer);
                self.put_off(now, &what, q);
            }
            Err(failure) => self.failed(now, failure, q),
        }
        self.pump(now, q);
    }

    /// The driver could not do it. What passes by itself is waited for, and then the attachment is
    /// gone on with behind what is here of it.
    fn failed(&mut self, now: Now, failure: Failure, q: &mut Queue) {
        if !matches!(failure, Failure::DiskFull | Failure::IndexBuilding) {
            return self.put_off(now, "it cannot be stored here: see the log of this node", q);
        }
        let Some(fetching) = self.fetching.take() else { return };
        self.paused = Some(now.mono.saturating_add(ATTACHMENT_PAUSE));
        self.waiting.push_front(fetching.named);
    }

    /// It does not come; others do not wait for it.
    fn put_off(&mut self, now: Now, what: &str, q: &mut Queue) {
        let Some(Fetching { named, .. }) = &self.fetching else { return };
        let text = format!(
            "attachment {} of record {} of {}: {what}; it is asked for again",
            hex(&named.hash),
            named.seq,
            named.log
        );
        let trouble = AttachmentTrouble { named: named.clone(), text };
        q.push(Action::Attachment(AttachmentAsk::Trouble(trouble)));
        self.come_back(now, ATTACHMENT_RETRY);
    }

    /// Others go first for so long.
    fn come_back(&mut self, now: Now, wait: u64) {
        let Some(Fetching { named, .. }) = self.fetching.take() else { return };
        let due = now.mono.saturating_add(wait);
        let at = self.later.partition_point(|(other, _)| *other <= due);
        self.later.insert(at, (due, named));
    }

    /// A message about attachments came in. `shares`: whether the peer may see a log.
    pub(crate) fn handle(
        &mut self,
        now: Now,
        message: AttachmentMessage,
        shares: impl Fn(&AttachmentWanted) -> bool,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        match message {
            AttachmentMessage::Wanted(wanted) => {
                let may = shares(&wanted);
                self.on_wanted(wanted, may, q)?;
            }
            AttachmentMessage::Piece(piece) => self.on_piece(now, piece, q)?,
            AttachmentMessage::Absent(absent) => {
                let asked = self.asked.pop_front().filter(|asked| asked.hash == absent.hash);
                if asked.is_none() {
                    return Err(unasked());
                }
                self.answered = now.mono;
                if self.is_fetching(&absent.hash) {
                    let what = format!("{} does not have it", self.peer);
                    self.put_off(now, &format!("{what}: look there with `adal journal check`"), q);
                }
            }
        }
        self.pump(now, q);
        Ok(())
    }

    fn is_fetching(&self, hash: &Hash) -> bool {
        let going = |f: &Fetching| f.named.hash == *hash && matches!(f.phase, Phase::Going { .. });
        self.fetching.as_ref().is_some_and(going)
    }

    fn on_piece(
        &mut self,
        now: Now,
        piece: AttachmentPiece,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        let is_asked = |asked: &Asked| {
            let (hash, offset) = (asked.hash, asked.offset);
            (piece.hash, piece.offset) == (hash, offset)
                && piece.bytes.len() as u64 == u64::from(asked.length)
        };
        let Some(asked) = self.asked.pop_front().filter(is_asked) else { return Err(unasked()) };
        let took = now.mono.saturating_sub(asked.at.max(self.answered));
        self.answered = now.mono;
        if took > SLOW {
            self.length = (self.length / 2).max(PIECE_FLOOR);
        } else if took <= QUICK && asked.length == self.length {
            self.length = self.length.saturating_mul(2).min(PIECE);
        }
        let follows = self.fetching.as_ref().is_some_and(|f| {
            let at = matches!(f.phase, Phase::Going { kept, .. } if kept == piece.offset);
            at && f.named.hash == piece.hash
        });
        if follows {
            self.keep(piece.bytes, q); // else it is of one that was given up
        }
        Ok(())
    }

    fn on_wanted(
        &mut self,
        wanted: AttachmentWanted,
        may: bool,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        if wanted.length == 0 || wanted.length > PIECE {
            return Err(Violation::internal("a piece of an attachment has no such length"));
        }
        if self.serving.len() >= PIECES_SERVED {
            return Err(Violation::internal(
                "more pieces of attachments are asked for than may be",
            ));
        }
        self.serving.push_back((wanted, may));
        self.serve(q);
        Ok(())
    }

    /// Answers what may be answered; the next question goes to the driver.
    fn serve(&mut self, q: &mut Queue) {
        while self.reading.is_none() {
            let Some((wanted, may)) = self.serving.front() else { return };
            if !*may {
                let absent = AttachmentAbsent { hash: wanted.hash };
                q.send(Message::Attachment(AttachmentMessage::Absent(absent)));
                self.serving.pop_front();
                continue;
            }
            let serial = q.serial();
            self.reading = Some(serial);
            q.push(Action::Attachment(AttachmentAsk::Read(ReadPiece {
                ticket: AttachmentTicket { serial },
                log: wanted.log.clone(),
                epoch: wanted.epoch,
                seq: wanted.seq,
                hash: wanted.hash,
                offset: wanted.offset,
                length: wanted.length as usize,
            })));
        }
    }

    pub(crate) fn read(
        &mut self,
        ticket: &AttachmentTicket,
        answer: Option<Vec<u8>>,
        q: &mut Queue,
    ) {
        if self.reading != Some(ticket.serial) {
            return;
        }
        self.reading = None;
        let Some((AttachmentWanted { hash, offset, length, .. }, _)) = self.serving.pop_front()
        else {
            return;
        };
        let whole = answer.filter(|bytes| bytes.len() as u64 == u64::from(length));
        let message = match whole {
            Some(bytes) => AttachmentMessage::Piece(AttachmentPiece { hash, offset, bytes }),
            None => AttachmentMessage::Absent(AttachmentAbsent { hash }),
        };
        q.send(Message::Attachment(message));
        self.serve(q);
    }

    /// Since when the peer owes an answer, and about which log.
    pub(crate) fn owed(&self) -> Option<(u64, &LogName)> {
        let oldest = self.asked.front()?;
        Some((oldest.at.max(self.answered), &oldest.log))
    }

    /// Monotonic moment at which [`Lane::pump`] has something to do.
    pub(crate) fn wakeup(&self) -> Option<u64> {
        if !self.understood {
            return None;
        }
        let is_free = self.fetching.is_none() && self.asked.is_empty();
        match self.paused {
            Some(until) => Some(until),
            None => self.later.front().map(|(due, _)| *due).filter(|_| is_free),
        }
    }
}

fn unasked() -> Violation {
    Violation::internal("bytes of an attachment came that were not asked for")
}
