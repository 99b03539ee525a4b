//! Attachments on one link: looking for what is lacking, storing what comes, reading what is asked
//! for. One after the other, off the runtime's threads.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use evidence::hash::Hash;
use evidence::log::LogName;
use futures_util::future;
use journal::{AttachmentError, AttachmentInfo, AttachmentWriter, Journal, MissingAttachments};
use replication::action::{
    AttachmentAsk, AttachmentTicket, Failure, KeepPiece, Kept, NotOpened, OpenAttachment, ReadPiece,
};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Driver, STORING_LIMIT};
use crate::attachments::{Attachments, Claim, may_lack};
use crate::link::shared_logs;
use crate::office::SharedOffice;
use crate::project::chain;

/// Missing attachments that are looked for at once.
const PAGE: usize = 256;
/// Wait after a log could not be looked through.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// An attachment of which a part is here.
struct Partial {
    hash: Hash,
    size: u64,
    /// `None`: it is here already.
    writer: Option<AttachmentWriter>,
    _claim: Claim,
}

/// What came of one piece of work.
pub enum Done {
    Looked,
    LookedInVain,
    Opened(AttachmentTicket, Result<u64, NotOpened>),
    Kept(AttachmentTicket, Result<Kept, Failure>),
    Read(AttachmentTicket, Option<Vec<u8>>),
}

/// Work that is under way.
type Working<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// What is to be done for attachments on one link.
#[derive(Default)]
pub struct Lane {
    asks: VecDeque<AttachmentAsk>,
    working: Option<Working<(Option<Partial>, Done)>>,
    partial: Option<Partial>,
    looking: Option<Working<Done>>,
    /// There may be records that were not looked at.
    due: bool,
    look_after: Option<Instant>,
    /// State of what is lacking that the session was told.
    told: Option<u64>,
}

impl Lane {
    /// The next thing that is done; never, if there is nothing to do.
    pub(super) async fn next(&mut self) -> Done {
        let looking = async {
            match &mut self.looking {
                Some(looking) => looking.await,
                None => future::pending().await,
            }
        };
        let working = async {
            match &mut self.working {
                Some(working) => working.await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = looking => {
                self.looking = None;
                done
            }
            (partial, done) = working => {
                self.working = None;
                self.partial = partial;
                done
            }
        }
    }

    /// Waits until what is being stored is stored.
    pub(super) async fn settle(&mut self) {
        let Some(working) = self.working.take() else { return };
        if tokio::time::timeout(STORING_LIMIT, working).await.is_err() {
            warn!("a piece of an attachment is still being stored");
        }
    }

    /// Records may have come.
    pub(super) fn look_again(&mut self) {
        self.due = true;
    }

    /// Begins the next piece of work, if none is under way.
    fn go_on(&mut self, office: &SharedOffice) {
        if self.working.is_some() {
            return;
        }
        let Some(ask) = self.asks.pop_front() else { return };
        self.working = Some(Box::pin(work(office.clone(), self.partial.take(), ask)));
    }

    fn look(&mut self, office: &SharedOffice, logs: &[LogName]) {
        let waits = self.look_after.is_some_and(|at| Instant::now() < at);
        if self.looking.is_some() || !self.due || waits {
            return;
        }
        let open = may_lack(office, logs).into_iter();
        let mut open = open.filter_map(|info| {
            let from = office.attachments.next(&info.log, info.epoch, info.size)?;
            Some((info.log, info.epoch, from))
        });
        match open.next() {
            Some((log, epoch, from)) => {
                self.looking = Some(Box::pin(look(office.clone(), log, epoch, from)));
            }
            None => self.due = false,
        }
    }
}

impl Driver {
    /// Looks for attachments that are lacking, and tells the session what has changed.
    pub(super) fn look_at_attachments(&mut self) {
        let changes = self.office.attachments.changes();
        if self.lane.told.is_some_and(|told| told == changes) && !self.lane.due {
            return self.lane.go_on(&self.office);
        }
        let shared = shared_logs(&self.office, &self.peer).into_iter();
        let logs: Vec<LogName> = shared.map(|(log, _)| log).collect();
        if self.lane.told != Some(changes) {
            self.lane.told = Some(changes);
            self.lane.due = true;
            let (now, attachments) = (self.now(), self.office.attachments.clone());
            for info in may_lack(&self.office, &logs) {
                let complete = attachments.complete(&info.log, info.epoch);
                self.session.attachments_complete(now, &info.log, info.epoch, complete);
                let knows = |hash: &Hash, size| self.session.knows_attachment(hash, size);
                let missing = attachments.missing(&info.log, info.epoch, knows);
                self.session.attachments_missing(now, missing);
            }
        }
        self.lane.look(&self.office, &logs);
        self.lane.go_on(&self.office);
    }

    /// Takes up what the session asks.
    pub(super) fn ask_attachment(&mut self, ask: AttachmentAsk) {
        match ask {
            AttachmentAsk::Trouble(trouble) => {
                let is_new = self.office.attachments.did_not_come(&trouble.named);
                if !is_new {
                    return; // told before
                }
                error!(peer = %self.peer, log = %trouble.named.log, text = trouble.text,
                    "an attachment did not come");
            }
            ask => self.lane.asks.push_back(ask),
        }
        self.lane.go_on(&self.office);
    }

    /// Gives an answer to the session.
    pub(super) fn attachment_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Looked => {}
            Done::LookedInVain => self.lane.look_after = Some(Instant::now() + LOOK_AGAIN),
            Done::Opened(ticket, answer) => self.session.attachment_opened(now, ticket, answer),
            Done::Kept(ticket, answer) => self.session.piece_kept(now, ticket, answer),
            Done::Read(ticket, answer) => self.session.piece_read(now, ticket, answer),
        }
    }
}

async fn look(office: SharedOffice, log: LogName, epoch: u32, from: u64) -> Done {
    let of = log.clone();
    let work = move |journal: &Journal| journal.missing_attachments(&of, epoch, from, PAGE);
    let page: MissingAttachments = match office.journal.on_thread(work).await {
        Ok(Ok(page)) if page.next > from => page,
        Ok(Ok(_)) => return Done::LookedInVain,
        Ok(Err(error)) => {
            warn!(%log, error = chain(&error), "look for attachments");
            return Done::LookedInVain;
        }
        Err(_) => return Done::LookedInVain,
    };
    office.attachments.found(&log, epoch, from, page);
    Done::Looked
}

async fn work(
    office: SharedOffice,
    partial: Option<Partial>,
    ask: AttachmentAsk,
) -> (Option<Partial>, Done) {
    match ask {
        AttachmentAsk::Open(OpenAttachment { ticket, named }) => {
            drop(partial);
            let expected = AttachmentInfo { hash: named.hash, size: named.size };
            let attachments = office.attachments.clone();
            let work = move |journal: &Journal| open(journal, &attachments, expected);
            let stopped = Err(NotOpened::Failed(Failure::Internal));
            let (partial, answer) = match office.journal.on_thread(work).await.unwrap_or(stopped) {
                Ok((partial, here)) => (Some(partial), Ok(here)),
                Err(why) => (None, Err(why)),
            };
            (partial, Done::Opened(ticket, answer))
        }
        AttachmentAsk::Keep(KeepPiece { ticket, hash, bytes, last }) => {
            let Some(partial) = partial.filter(|partial| partial.hash == hash) else {
                return (None, Done::Kept(ticket, Err(Failure::OutOfStep)));
            };
            let size = partial.size;
            let work = move |_: &Journal| keep(partial, &bytes, last);
            let kept = office.journal.on_thread(work).await.unwrap_or(Err(Failure::Internal));
            let (partial, answer) = match kept {
                Ok((partial, kept)) => (partial, Ok(kept)),
                Err(failure) => (None, Err(failure)),
            };
            if answer == Ok(Kept::Whole) {
                info!(hash = evidence::hash::hex(&hash[..4]), "an attachment is here");
                office.attachments.arrived(&hash, size);
            }
            (partial, Done::Kept(ticket, answer))
        }
        AttachmentAsk::Read(ReadPiece { ticket, log, epoch, seq, hash, offset, length }) => {
            let record = office.journal.get(&log, epoch, seq).ok().flatten();
            let named = record.is_some_and(|record| {
                record.header().attachments.iter().any(|named| named.hash == hash)
            });
            let work = move |journal: &Journal| journal.attachment_piece(&hash, offset, length);
            let read = match named {
                true => office.journal.on_thread(work).await.unwrap_or(Ok(None)),
                false => Ok(None),
            };
            let read = read.inspect_err(|error| error!(error = chain(error), "read for the peer"));
            (partial, Done::Read(ticket, read.ok().flatten()))
        }
        AttachmentAsk::Trouble(_) => (partial, Done::Looked),
    }
}

/// What is here of an attachment, and the bytes that are.
fn open(
    journal: &Journal,
    attachments: &Attachments,
    expected: AttachmentInfo,
) -> Result<(Partial, u64), NotOpened> {
    let AttachmentInfo { hash, size } = expected;
    let claim = attachments.claim(hash).ok_or(NotOpened::Busy)?;
    let whole = journal.attachment(&hash).map_err(|error| {
        error!(error = chain(&error), "look for an attachment");
        NotOpened::Failed(Failure::Internal)
    })?;
    match whole {
        Some(whole) if whole == expected => {
            return Ok((Partial { hash, size, writer: None, _claim: claim }, size));
        }
        // Damaged it is another size too, and comes anew.
        Some(other) if is_undamaged(journal, &hash) => {
            return Err(NotOpened::OtherSize(other.size));
        }
        _ => {}
    }
    let writer = journal.resume_attachment(expected);
    let writer = writer.map_err(|error| NotOpened::Failed(failure(&error)))?;
    let here = writer.size();
    Ok((Partial { hash, size, writer: Some(writer), _claim: claim }, here))
}

/// Whether an attachment that is here has the bytes of its name.
fn is_undamaged(journal: &Journal, hash: &Hash) -> bool {
    let Ok(Some(mut reader)) = journal.read_attachment(hash) else { return false };
    loop {
        match reader.next_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Adds a piece; with the last one the attachment gets its name, or is dropped.
fn keep(
    mut partial: Partial,
    bytes: &[u8],
    last: bool,
) -> Result<(Option<Partial>, Kept), Failure> {
    if let Some(writer) = &mut partial.writer {
        writer.write(bytes).map_err(|error| failure(&error))?;
    }
    if !last {
        return Ok((Some(partial), Kept::Part));
    }
    match partial.writer.take().map(AttachmentWriter::finish) {
        None | Some(Ok(_)) => Ok((None, Kept::Whole)),
        Some(Err(AttachmentError::Mismatch { .. })) => Ok((None, Kept::Other)),
        Some(Err(error)) => Err(failure(&error)),
    }
}

fn failure(error: &AttachmentError) -> Failure {
    match error {
        AttachmentError::DiskFull { .. } => {
            warn!(error = chain(error), "an attachment waits for space");
            Failure::DiskFull
        }
        error => {
            error!(error = chain(error), "store an attachment");
            Failure::Internal
        }
    }
}

#[cfg(test)]
mod tests;
