//! Runs one `replication::Session` over one stream of frames.
//!
//! The session decides; this loop only carries out its actions and brings back the answers. Three
//! rules keep it honest: nothing more is read from a peer that does not take what waits for it,
//! what is to be stored goes to the writer in the order of the actions, and a link ends only after
//! the writer has answered, so that the next one plans from what is stored.

mod attachments;
mod keys;
mod last;
mod looks;
mod previews;
mod reading;
mod storing;
mod witness;

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use evidence::log::LogName;
use futures_util::stream::Stream;
use futures_util::{FutureExt, StreamExt};
use journal::Transaction;
use replication::action::{
    Action, Close, CommitBatch, CommitTicket, CosignatureKind, Failure, Fault, Greeted, KeepTicket,
    KeysTicket, NewEpoch, PersistHead, PersistTicket, Recall, StoreCosignature, WitnessTicket,
};
use replication::limits::BATCHES_IN_FLIGHT;
use replication::{KeyWrap, Now, RefusalCode, Session};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{error, info, warn};
use wire::pb::replication::v1::Frame;

use crate::country::NewKeys;
use crate::link::recall;
use crate::link::store::{self, Head};
use crate::link::{refusals, successor};
use crate::office::SharedOffice;
use crate::project::chain;
use crate::reseed;
use crate::writer::Submitted;

pub use attachments::Lane;
pub use last::describe;
use last::{outcome, settle};
use reading::{arrival_spans, read_entries, sign};
use storing::Storing;
pub use witness::{OTHER_VIEW, Round};

/// How often the status that operators see is renewed while nothing happens.
pub const STATUS_EVERY: Duration = Duration::from_millis(500);
/// Frames waiting for the peer beyond which nothing more is read from it.
///
/// An honest peer never gets us there, so two honest offices cannot wait for each other: its
/// window allows [`BATCHES_IN_FLIGHT`] batches of each of three logs on their way, sent by one
/// side and acknowledged by the other; the rest is room for heads and pings.
const OUTGOING_LIMIT: usize = 4 * BATCHES_IN_FLIGHT;
/// Time that the writer has to answer what a link that ended has submitted.
const STORING_LIMIT: Duration = Duration::from_secs(10);

/// How a link ended.
#[derive(Debug)]
pub enum Ended {
    /// The session said so.
    Closed(Close),
    /// The stream broke; the text is the transport's.
    Broken(String),
    /// This node is stopping, or a newer link to the same office takes over.
    Stopped,
}

/// Frames from a peer.
pub type Inbound = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send + Sync>>;

/// One end of a link.
pub struct Driver {
    /// The office here.
    pub office: SharedOffice,
    /// The protocol's state.
    pub session: Session,
    /// The other office.
    pub peer: domain::OfficeCode,
    /// Frames from the peer.
    pub inbound: Inbound,
    /// Frames to the peer.
    pub outbound: mpsc::Sender<Frame>,
    /// Ends the link.
    pub stop: CancellationToken,
    /// The keys that had replaced the peer's first ones before the link was planned.
    pub keys: NewKeys,
    /// Where the monotonic clock of this link began.
    pub began: Instant,
    /// Faults that were told on this link.
    pub told: Told,
    /// What was asked and passed on over this link.
    pub round: Round,
    /// Attachments of the logs of this link.
    pub lane: Lane,
}

/// Faults that were told on one link, so that a peer that repeats itself fills no log file.
#[derive(Debug, Default)]
pub struct Told {
    faults: BTreeSet<(LogName, u32, &'static str)>,
    foreign: bool,
}

impl Told {
    /// Whether this fault of a log of the link is new.
    fn is_new(&mut self, fault: &Fault) -> bool {
        self.faults.insert((fault.log.clone(), fault.epoch, fault.code.as_str()))
    }
}

enum Stored {
    Head(PersistTicket, Result<(), Failure>),
    Batch(CommitTicket, Result<(), Failure>),
    Witness(WitnessTicket, Result<(), Failure>),
    KeysRead(KeysTicket, Vec<KeyWrap>),
    KeysKept(KeepTicket, Result<(), Failure>),
}

/// What ended a wait.
enum Woken {
    Stopping,
    Replaced,
    Broken(String),
    /// The peer takes nothing more.
    Unheard,
    Stored(Stored),
    Attachment(attachments::Done),
    Frame(Frame),
    Grown,
    /// A note has changed.
    Notes,
    Time,
}

impl Driver {
    /// Runs until the link has ended and the writer has answered what it submitted.
    pub async fn run(mut self) -> Ended {
        let mut outgoing: VecDeque<Frame> = VecDeque::new();
        let mut storing = Storing::new();
        let ended = self.drive(&mut outgoing, &mut storing).await;
        if matches!(ended, Ended::Closed(_)) {
            self.publish();
            self.flush(outgoing).await;
        }
        self.office.links.ended(&self.peer, &ended, self.office.clock.now());
        refusals::keep(&self.office, &self.peer, &ended).await;
        settle(&self.peer, storing).await;
        self.lane.settle().await;
        ended
    }

    async fn drive(&mut self, outgoing: &mut VecDeque<Frame>, storing: &mut Storing) -> Ended {
        let mut grown = self.office.writer.grown();
        let mut notes = self.office.notes.changed();
        let stopping = self.office.supervisor.stopping();
        loop {
            // Looked at in every turn, whatever woke it: nothing below can keep it from its turn.
            if let Some(Ok(_)) = grown.changed().now_or_never() {
                self.tell_growth();
            }
            if self.round.is_due(notes.take()) {
                self.go_round().await;
            }
            self.look_at_attachments();
            if let Some(ended) = self.carry_out(outgoing, storing).await {
                return ended;
            }
            self.publish();
            let wake = self.wake_in().min(STATUS_EVERY);
            // What is to be sent and what was stored is bounded by what was let in, so the peer is
            // read in the end; what follows it was looked at above.
            let woken = tokio::select! {
                biased;
                () = stopping.cancelled() => Woken::Stopping,
                () = self.stop.cancelled() => Woken::Replaced,
                Some(stored) = storing.next() => Woken::Stored(stored),
                permit = self.outbound.reserve(), if !outgoing.is_empty() => {
                    match (permit, outgoing.pop_front()) {
                        (Ok(permit), Some(frame)) => {
                            permit.send(frame);
                            Woken::Time
                        }
                        _ => Woken::Unheard,
                    }
                }
                message = self.inbound.next(), if outgoing.len() <= OUTGOING_LIMIT => {
                    match message {
                        Some(Ok(frame)) => Woken::Frame(frame),
                        Some(Err(status)) => Woken::Broken(describe(&status)),
                        None => Woken::Broken("the peer ended the stream".to_owned()),
                    }
                }
                done = self.lane.next() => Woken::Attachment(done),
                changed = grown.changed() => match changed {
                    Ok(_) => Woken::Grown,
                    Err(_) => Woken::Replaced,
                },
                () = notes.changed() => Woken::Notes,
                () = tokio::time::sleep(wake) => Woken::Time,
            };
            match woken {
                Woken::Stopping => self.session.shut_down(self.now()),
                Woken::Replaced => return Ended::Stopped,
                Woken::Broken(reason) => return Ended::Broken(reason),
                Woken::Unheard => return self.hear_out(storing).await,
                Woken::Stored(stored) => self.answer_stored(stored),
                Woken::Attachment(done) => self.attachment_done(done),
                Woken::Frame(frame) => self.receive(frame),
                Woken::Grown => self.tell_growth(),
                Woken::Notes | Woken::Time => {}
            }
            self.look_at_recovery();
            self.look_at_offices();
            self.look_for_keys();
            let now = self.now();
            self.session.tick(now);
        }
    }

    fn now(&self) -> Now {
        let mono = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono, unix: self.office.clock.now() }
    }

    fn wake_in(&self) -> Duration {
        let due = self.session.next_wakeup().unwrap_or(u64::MAX);
        Duration::from_micros(due.saturating_sub(self.now().mono))
    }

    fn receive(&mut self, frame: Frame) {
        let now = self.now();
        match wire::decode_frame(frame) {
            Ok(message) => self.session.handle(now, message),
            Err(wire::FrameError::UnknownMessage) => {} // a newer peer's; it does not rely on us
            Err(error) => {
                let text = format!("{error}; one of the two offices needs an update");
                self.session.refuse(now, RefusalCode::IncompatibleVersion, text);
            }
        }
    }

    /// Carries out what the session asks until it asks nothing more.
    async fn carry_out(
        &mut self,
        outgoing: &mut VecDeque<Frame>,
        storing: &mut Storing,
    ) -> Option<Ended> {
        while let Some(action) = self.session.poll() {
            let now = self.now();
            match action {
                Action::Send(message) => outgoing.push_back(wire::encode_frame(message)),
                Action::Greeted(greeted) => self.greet(greeted),
                Action::ReadRoot(ask) => self.read_root(ask),
                Action::SignHead(ask) => {
                    let signed = sign(&self.office, &ask);
                    self.session.head_signed(now, ask.ticket, signed);
                }
                Action::ReadEntries(ask) => {
                    let read = read_entries(&self.office, &ask);
                    self.session.entries_read(now, ask.ticket, read);
                }
                Action::PersistHead(ask) => {
                    if let Err(stopped) = self.persist_head(ask, storing).await {
                        return Some(stopped);
                    }
                }
                Action::CommitBatch(ask) => {
                    if let Err(stopped) = self.commit_batch(ask, storing).await {
                        return Some(stopped);
                    }
                }
                Action::StoreCosignature(line) => self.keep_cosignature(line).await,
                Action::Mirrored(mirrored) => self.mirrored(mirrored),
                Action::ProveHead(ask) => self.prove_head(ask),
                Action::Countersigned(signed) => self.countersigned(signed).await,
                Action::ReadRegister(ask) => self.read_register(ask),
                Action::PersistWitness(ask) => {
                    if let Err(stopped) = self.persist_witness(ask, storing).await {
                        return Some(stopped);
                    }
                }
                Action::ReadKeys(ask) => self.read_keys(ask, storing),
                Action::KeepKeys(ask) => self.keep_keys(ask, storing),
                Action::Attachment(ask) => self.ask_attachment(ask),
                Action::Preview(ask) => self.ask_preview(ask),
                Action::TakeCosignature(line) => self.take_cosignature(line).await,
                Action::Recall(Recall { ticket, shown }) => {
                    let answer = recall::recall(&self.office, &self.peer, shown).await;
                    self.session.recalled(self.now(), ticket, answer);
                }
                Action::PeerForgot(forgot) => {
                    recall::peer_forgot(&self.office, &self.peer, forgot).await;
                }
                Action::NewEpoch(new) => self.take_up(new).await,
                Action::Offered(offered) => {
                    if let Err(why) = reseed::offered(&self.office, offered).await {
                        return Some(Ended::Broken(why));
                    }
                }
                Action::Recovered(recovered) => reseed::recovered(&self.office, &recovered),
                Action::Fault(fault) => {
                    if let Err(ended) = self.keep_fault(fault).await {
                        return Some(ended);
                    }
                }
                Action::Close(close) => return Some(Ended::Closed(close)),
            }
        }
        None
    }

    fn greet(&mut self, greeted: Greeted) {
        self.round.look_again();
        info!(peer = %self.peer, software = %greeted.software, "link established");
        if let Err(text) = self.office.links.greeted(&self.peer, &greeted, self.office.clock.now())
        {
            let now = self.now();
            self.session.refuse(now, RefusalCode::DuplicateOffice, text);
        }
    }

    async fn persist_head(&self, ask: PersistHead, storing: &mut Storing) -> Result<(), Ended> {
        let held = store::accepted(&self.office, &ask.log, ask.epoch).map(|head| head.size);
        let ticket = ask.ticket;
        if held != ask.replaces {
            storing.push_write(async { Stored::Head(ticket, Err(Failure::OutOfStep)) });
            return Ok(());
        }
        let head = Head { at: ask.received_at, size: ask.size, root: ask.root, note: ask.note };
        let controls = vec![store::accept(&ask.log, ask.epoch, &head)];
        let submitted = self.submit(Transaction { controls, ..Transaction::default() }).await?;
        storing.push_write(async { Stored::Head(ticket, outcome(submitted).await) });
        Ok(())
    }

    async fn commit_batch(&self, ask: CommitBatch, storing: &mut Storing) -> Result<(), Ended> {
        let spans = arrival_spans(&self.office, &ask);
        let (ticket, batch) = (ask.ticket, *ask.batch);
        let (log, epoch) = (batch.log(), batch.epoch());
        let plain = batch.records().iter().all(|record| record.header().attachments.is_empty());
        let plain = plain.then(|| (log.clone(), epoch, batch.first_seq(), batch.end()));
        let rest = ask.rest.iter().map(|rest| store::keep_rest(log, epoch, batch.end(), rest));
        let controls = rest.collect();
        let transaction = match *log == self.office.logs.own {
            true => Transaction { returned: Some(batch), ..Transaction::default() },
            false => Transaction { mirror: Some(batch), controls, ..Transaction::default() },
        };
        let submitted = self.submit(transaction).await?;
        let attachments = self.office.attachments.clone();
        storing.push_write(async move {
            let outcome = outcome(submitted).await;
            if let Some((log, epoch, first, end)) = plain.filter(|_| outcome.is_ok()) {
                attachments.passed(&log, epoch, first, end);
            }
            drop(spans); // the spans end when the records are durable
            Stored::Batch(ticket, outcome)
        });
        Ok(())
    }

    async fn submit(&self, transaction: Transaction) -> Result<Submitted, Ended> {
        self.office.writer.submit(transaction).await.map_err(|_| Ended::Stopped)
    }

    fn answer_stored(&mut self, stored: Stored) {
        let now = self.now();
        match stored {
            Stored::Head(ticket, outcome) => self.session.head_persisted(now, ticket, outcome),
            Stored::Batch(ticket, outcome) => self.session.stored(now, ticket, outcome),
            Stored::Witness(ticket, outcome) => {
                self.session.witness_persisted(now, ticket, outcome);
            }
            Stored::KeysRead(ticket, wraps) => self.session.keys_read(now, ticket, wraps),
            Stored::KeysKept(ticket, outcome) => self.session.keys_kept(now, ticket, outcome),
        }
    }

    /// Begins to mirror an epoch that the peer has opened, if its key is one to believe.
    async fn take_up(&mut self, NewEpoch { ticket, log, epoch, succession }: NewEpoch) {
        info!(peer = %self.peer, %log, epoch, "the peer has opened a new epoch of its log");
        let answer = successor::take_up(&self.office, log, epoch, succession).await;
        let now = self.now();
        self.session.epoch_opened(now, ticket, answer);
    }

    /// Keeps a cosignature. It is lost at worst, and the next link brings another.
    async fn keep_cosignature(&self, line: StoreCosignature) {
        let note = format!("{}{}", line.note, line.line);
        let at = self.office.clock.now();
        let Some(head) = store::head_of_note(&note, at) else { return };
        self.keep_line(&line).await;
        self.office.metrics.cosigned(match line.kind {
            CosignatureKind::Witness => "witness",
            CosignatureKind::Mirror => "mirror",
        });
        let control = store::cosign(&line.log, line.epoch, line.kind, self.peer.as_str(), &head);
        let transaction = Transaction { controls: vec![control], ..Transaction::default() };
        if self.office.writer.submit(transaction).await.is_err() {
            warn!(log = %line.log, "the writer has stopped; a cosignature is not kept");
        }
    }

    /// Tells a fault, and keeps the evidence if the log is one of this link's: what a peer says of
    /// other logs concerns nobody. Where two histories cannot be noted, and so the log not be made
    /// read-only, the link ends: the next one meets them again.
    async fn keep_fault(&mut self, fault: Fault) -> Result<(), Ended> {
        let office = &self.office;
        office.metrics.log_refused(fault.code.as_str());
        if !self.session.concerns(&fault.log, fault.epoch) && !witness::is_signed(office, &fault) {
            if !std::mem::replace(&mut self.told.foreign, true) {
                warn!(peer = %self.peer, log = %fault.log, text = fault.text, "a log of no link");
            }
            return Ok(());
        }
        if self.told.is_new(&fault) {
            error!(peer = %self.peer, log = %fault.log, code = %fault.code,
                found_by = ?fault.found_by, text = fault.text, "a log does not go on");
        }
        if let Err(error) = store::keep(&self.office, &fault).await {
            error!(error = chain(&error), "keep the evidence of a fault");
            if store::contradicts(&fault) {
                let log = &fault.log;
                return Err(Ended::Broken(format!(
                    "no evidence against {log} can be kept: {error}"
                )));
            }
        }
        Ok(())
    }

    fn publish(&self) {
        let status = self.session.status(self.now());
        self.office.links.publish(&self.peer, status, self.office.clock.now());
    }
}

#[cfg(test)]
mod tests;
