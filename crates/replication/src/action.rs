//! What a session asks of its driver, and what the driver answers.
//!
//! Every request carries a ticket. A ticket cannot be made, copied or used twice; it is given
//! back with the answer, exactly once, to the session it came from. A session that has closed
//! ignores it.

mod attachments;
mod keys;
mod previews;
mod witness;

use std::fmt;

use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::verify::VerifiedBatch;

use crate::message::{Cosigned, Holding, Message, RefusalCode, WitnessedHead};

pub use attachments::{
    AttachmentAsk, AttachmentTicket, AttachmentTrouble, KeepPiece, Kept, NamedAttachment,
    NotOpened, OpenAttachment, ReadPiece,
};
pub use keys::{KeepKeys, KeepTicket, KeysTicket, ReadKeys};
pub use previews::{FindUrgent, PreviewAsk, PreviewRead, PreviewTicket, Previewed, ReadPreview};
pub use witness::{
    Countersigned, Mirrored, PersistWitness, ProveHead, ProveTicket, ReadRegister, Register,
    RegisterTicket, WitnessTicket,
};

/// Something for the driver to do. Drained with [`Session::poll`](crate::session::Session::poll).
#[derive(Debug)]
pub enum Action {
    /// Put the message on the link, after all earlier ones.
    Send(Message),
    /// The peer's hello was accepted: reset the back-off. The acceptor compares `instance` with
    /// its other links to the same office and may [refuse](crate::session::Session::refuse) this
    /// one as a duplicate.
    Greeted(Greeted),
    /// Read the root of a log at an earlier size; answer with `root_read`.
    ReadRoot(ReadRoot),
    /// Sign a head of an own log over durable records; answer with `head_signed`.
    SignHead(SignHead),
    /// Read records of an own log and the proof for them; answer with `entries_read`.
    ReadEntries(ReadEntries),
    /// Make a verified head durable; answer with `head_persisted`.
    PersistHead(PersistHead),
    /// Make a verified batch durable; answer with `stored`.
    CommitBatch(CommitBatch),
    /// Keep a cosignature of the peer for receipts. No answer; losing one is harmless, the next
    /// link brings another.
    StoreCosignature(StoreCosignature),
    /// The peer shows heads that carry our line: see whether we remember them. Answer with
    /// `recalled` before anything else is told to the session. After a yes [`Close::Recalled`]
    /// follows, and the next link begins with what was recalled.
    Recall(Recall),
    /// The peer co-signs heads of our log although it does not remember what it co-signed before,
    /// and was shown it: keep both notes for ever, show it to the operator. No answer.
    PeerForgot(PeerForgot),
    /// The peer has opened the next epoch of a log that we mirror: see whose key it has, and begin
    /// to mirror it, durably. Answer with `epoch_opened` before anything else is told to the
    /// session. After a yes [`Close::NewEpoch`] follows, and the next link speaks of the epoch too.
    NewEpoch(NewEpoch),
    /// We have co-signed a head as witness and as mirror: others may be asked for theirs. No
    /// answer.
    Mirrored(Mirrored),
    /// Take the proof for a head that the peer is to co-sign; answer with `head_proved`.
    ProveHead(ProveHead),
    /// The peer co-signed a head as a further witness. No answer.
    Countersigned(Countersigned),
    /// Read what is kept as a witness of a log; answer with `register_read`.
    ReadRegister(ReadRegister),
    /// Make a head that is witnessed durable; answer with `witness_persisted`.
    PersistWitness(PersistWitness),
    /// What the peer holds of the log that we take back. No answer.
    Offered(Offered),
    /// All that the peer can prove of an epoch of our own log is durable here. No answer.
    Recovered(Recovered),
    /// The peer lacks wraps of keys; answer with `keys_read`.
    ReadKeys(ReadKeys),
    /// Make wraps of keys durable; answer with `keys_kept`.
    KeepKeys(KeepKeys),
    /// The peer passes on a cosignature of a third office. Nothing of it was checked. No answer.
    TakeCosignature(Cosigned),
    /// Something is to be done about an attachment: see [`AttachmentAsk`].
    Attachment(AttachmentAsk),
    /// Urgent records ahead of a backlog: see [`PreviewAsk`].
    Preview(PreviewAsk),
    /// Something is wrong with a log, seen by us or said by the peer: show it to the operator.
    /// No answer. See [`Fault`] for what to keep and when to stop writing.
    Fault(Fault),
    /// The session is over: flush what was sent (for a second at most, a dead link never
    /// flushes), close the link, drop the session. Last action.
    Close(Close),
}

/// See [`Action::Greeted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// The peer's office code.
    pub office: String,
    /// Its process: another value than before is a restart or a second machine.
    pub instance: [u8; 16],
    /// Its software, as it calls itself.
    pub software: String,
    /// What it said that it holds.
    pub holdings: Vec<Holding>,
}

macro_rules! ticket {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            pub(crate) slot: usize,
            pub(crate) serial: u64,
        }
    };
}

ticket! {
    /// Permission to answer one [`ReadRoot`].
    RootTicket
}
ticket! {
    /// Permission to answer one [`SignHead`].
    SignTicket
}
ticket! {
    /// Permission to answer one [`ReadEntries`].
    ReadTicket
}
ticket! {
    /// Permission to answer one [`PersistHead`].
    PersistTicket
}
ticket! {
    /// Permission to answer one [`CommitBatch`].
    CommitTicket
}

/// Permission to answer one [`NewEpoch`].
#[derive(Debug)]
pub struct EpochTicket {
    pub(crate) serial: u64,
}

/// Permission to answer one [`Recall`].
#[derive(Debug)]
pub struct RecallTicket {
    pub(crate) serial: u64,
}

/// See [`Action::Recall`].
///
/// Nothing of it was verified. A head counts if a line on it is of one of our own cosigning keys;
/// one that is larger than the newest that is stored takes its place, durably; one that contradicts
/// what is stored is evidence of two histories.
#[derive(Debug)]
pub struct Recall {
    /// Goes back with the answer.
    pub ticket: RecallTicket,
    /// Heads that are said to carry our line.
    pub shown: Vec<WitnessedHead>,
}

/// See [`Action::PeerForgot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerForgot {
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The head that the peer co-signed before, with its line.
    pub cosigned: String,
    /// The head that it says is the newest it co-signed; `None`: it remembers none.
    pub remembered: Option<String>,
    /// The head that it co-signs now, and its line on it.
    pub now: [String; 2],
}

/// See [`Action::ReadRoot`].
#[derive(Debug)]
pub struct ReadRoot {
    /// Goes back with the answer.
    pub ticket: RootTicket,
    /// The log: an own one, or a mirrored one that is longer than its writer says.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Number of records, at most the durable size.
    pub size: u64,
}

/// See [`Action::SignHead`].
///
/// The driver signs the checkpoint (size, root at `size`) with the log's key and takes the
/// consistency proof from `old_size` to `size`. Everything below `size` is durable: the session
/// asks only for sizes it was told of with `local_grew`.
#[derive(Debug)]
pub struct SignHead {
    /// Goes back with the answer.
    pub ticket: SignTicket,
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size to sign.
    pub size: u64,
    /// Size the proof starts from.
    pub old_size: u64,
}

/// Answer to [`SignHead`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The signed checkpoint, full note text.
    pub note: String,
    /// Consistency proof from `old_size` to the size; empty if either is 0 or both are equal.
    pub proof: Vec<Hash>,
}

/// See [`Action::ReadEntries`].
#[derive(Debug)]
pub struct ReadEntries {
    /// Goes back with the answer.
    pub ticket: ReadTicket,
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Sequence of the first record wanted.
    pub from: u64,
    /// Records wanted, in bytes: as many as fit, but at least one.
    pub max_bytes: usize,
    /// Size of the signed head: only records below it, and the proof leads to it.
    pub head_size: u64,
}

/// Answer to [`ReadEntries`].
#[derive(Clone, PartialEq, Eq)]
pub struct EntriesRead {
    /// Exact stored bytes of the records from `from` on, at least one.
    pub records: Vec<Vec<u8>>,
    /// Consistency proof from `from + records.len()` to `head_size`; empty if equal.
    pub proof: Vec<Hash>,
}

impl fmt::Debug for EntriesRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntriesRead({} records)", self.records.len())
    }
}

/// See [`Action::PersistHead`].
///
/// The driver stores `note` as the newest head of (log, epoch), durably, if and only if the one
/// stored now has the size `replaces` (`None`: there is none yet); otherwise another session got
/// ahead and the answer is [`Failure::OutOfStep`].
#[derive(Debug)]
pub struct PersistHead {
    /// Goes back with the answer.
    pub ticket: PersistTicket,
    /// The mirrored log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// Root of the head.
    pub root: Hash,
    /// The signed checkpoint, full note text.
    pub note: String,
    /// Size of the head it replaces.
    pub replaces: Option<u64>,
    /// When it was received, wall clock in microseconds: the age to show after a restart.
    pub received_at: i64,
}

/// See [`Action::CommitBatch`].
///
/// The driver commits records, Merkle nodes and new size in one transaction, in the order of
/// the requests. Requests that are waiting together belong into one group commit. After a
/// failure the later ones of the same log must fail too ([`Failure::OutOfStep`]); the journal's
/// own check of contiguity does that. The head that covers the batch is durable already.
#[derive(Debug)]
pub struct CommitBatch {
    /// Goes back with the answer.
    pub ticket: CommitTicket,
    /// What may be stored; only `evidence::verify::admit` makes one.
    pub batch: Box<VerifiedBatch>,
    /// Kept with it where the head covers more; the journal's newest one of a log counts.
    pub rest: Option<Rest>,
}

/// The way from the end of a mirror to a signed head that covers more: it proves later what is
/// held, where the rest never comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The signed head, full note text.
    pub note: String,
    /// Consistency proof from the end of the batch to it.
    pub proof: Vec<Hash>,
}

/// See [`Action::Offered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The log that we write.
    pub log: LogName,
    /// Each epoch that the peer holds, with the number of its records.
    pub epochs: Vec<(u32, u64)>,
    /// Whether it has accepted a head of any of them, with or without records.
    pub signed: bool,
    /// Whether the peer's software can give records back.
    pub understood: bool,
}

/// See [`Action::Recovered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The log that we write.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Records that are durable here.
    pub size: u64,
    /// Size of the largest head that is known to have been signed.
    pub signed: u64,
}

/// See [`Action::NewEpoch`].
#[derive(Debug)]
pub struct NewEpoch {
    /// Goes back with the answer.
    pub ticket: EpochTicket,
    /// The mirrored log.
    pub log: LogName,
    /// The epoch, above all that are mirrored.
    pub epoch: u32,
    /// What the peer shows for its key, not verified: the note of [`evidence::succession`].
    pub succession: Option<String>,
}

/// Why a new epoch is not taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRefused {
    /// Stable reason.
    pub code: RefusalCode,
    /// What happened and what to do, for the operators of both offices.
    pub text: String,
    /// The notes that show it, oldest first.
    pub notes: Vec<String>,
}

/// Which kind of cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CosignatureKind {
    /// The peer accepted the head: count and order can no longer be denied.
    Witness,
    /// The peer durably holds every record below the head.
    Mirror,
}

/// See [`Action::StoreCosignature`]. The line was verified with the peer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCosignature {
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// What it attests.
    pub kind: CosignatureKind,
    /// The signed head it belongs to, full note text.
    pub note: String,
    /// One signature line.
    pub line: String,
    /// Time of the cosignature, seconds since 1970, by the peer's clock.
    pub time: u64,
}

/// Who found a fault or ended a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// This office.
    Us,
    /// The other one says so.
    Peer,
}

/// A log does not go on: the operator must see it.
///
/// * What [contradicts](RefusalCode::contradicts) what was signed: keep `notes` and `proof` for
///   ever. Seen by [`Party::Us`] on an **own** log: make that log read-only at once, it is not the
///   history that the other side holds. A successor epoch is opened by a person, never by the
///   machine.
/// * [`RefusalCode::DiskFull`], [`RefusalCode::IndexBuilding`]: passes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// True: we write this log. False: we mirror it.
    pub own: bool,
    /// Stable reason.
    pub code: RefusalCode,
    /// Who found it. What the peer says of our log is its word, not a proof.
    pub found_by: Party,
    /// What happened and what to do. Never record content.
    pub text: String,
    /// The contradicting notes, oldest first.
    pub notes: Vec<String>,
    /// The proof that failed, if there is one.
    pub proof: Vec<Hash>,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// One side refused the other. Dial again all the same (with back-off): enrolment, an update
    /// or the end of a duplicate may have changed it.
    Refused {
        /// Who refused.
        by: Party,
        /// Stable reason.
        code: RefusalCode,
        /// What happened and what to do.
        text: String,
    },
    /// The peer did not say hello in time.
    NoHello,
    /// Nothing was heard for so long that the link is dead, whatever the socket says.
    Silent,
    /// The peer answers pings but makes no progress.
    Stalled {
        /// The log that does not move.
        log: LogName,
    },
    /// The next epoch of a log was opened, by the peer or here. Dial again at once.
    NewEpoch {
        /// The log.
        log: LogName,
        /// The epoch.
        epoch: u32,
    },
    /// What the peer showed of our earlier cosignatures was not remembered here; it is now. Dial
    /// again at once.
    Recalled,
    /// What is known of the other office's keys has changed. Dial again at once.
    OtherKeys,
    /// The driver ended the session.
    ShutDown,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Close::Refused { by: Party::Us, code, text } => write!(f, "refused ({code}): {text}"),
            Close::Refused { by: Party::Peer, code, text } => {
                write!(f, "refused by the other office ({code}): {text}")
            }
            Close::NoHello => f.write_str("the other office did not say hello in time"),
            Close::Silent => f.write_str("nothing was heard from the other office"),
            Close::Stalled { log } => write!(f, "log {log} made no progress"),
            Close::NewEpoch { log, epoch } => {
                write!(f, "epoch {epoch} of {log} was opened; the next link speaks of it")
            }
            Close::Recalled => f.write_str(
                "the other office showed what this one had co-signed and did not remember; the \
                 next link begins with it",
            ),
            Close::OtherKeys => f.write_str(
                "other keys of the other office are in force; the next link begins with them",
            ),
            Close::ShutDown => f.write_str("ended here"),
        }
    }
}

/// Why the driver could not do what was asked. It logs the details itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No space on the disk. The log waits and is tried again.
    DiskFull,
    /// The store takes nothing until its index is built. The log waits and is tried again.
    IndexBuilding,
    /// The stored bytes are damaged: nothing may be served from there. The log stops.
    Damaged,
    /// The store is at another position than the session believes (another session wrote).
    /// The session closes; the next one starts from what is stored.
    OutOfStep,
    /// Anything else. The session closes.
    Internal,
}
