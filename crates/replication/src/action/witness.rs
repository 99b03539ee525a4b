//! What a session asks of its driver where an office is a further witness of a log.

use std::fmt;

use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::note::Verifier;

/// Permission to answer one [`ProveHead`].
#[derive(Debug)]
pub struct ProveTicket {
    pub(crate) log: LogName,
    pub(crate) epoch: u32,
    pub(crate) serial: u64,
}

/// Permission to answer one [`ReadRegister`].
#[derive(Debug)]
pub struct RegisterTicket {
    pub(crate) log: LogName,
    pub(crate) epoch: u32,
    pub(crate) serial: u64,
}

/// Permission to answer one [`PersistWitness`].
#[derive(Debug)]
pub struct WitnessTicket {
    pub(crate) log: LogName,
    pub(crate) epoch: u32,
    pub(crate) serial: u64,
}

/// We gave both cosignatures on a head of a log that the peer writes: everything below it is
/// durable here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The mirrored log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// The signed head as the peer sent it, full note text.
    pub note: String,
    /// Our lines on it: as witness, as mirror.
    pub lines: [String; 2],
}

/// Asks for a proof. Everything below `size` is held here, as a mirror or as the writer.
#[derive(Debug)]
pub struct ProveHead {
    /// Goes back with the answer.
    pub ticket: ProveTicket,
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size from which the proof starts, at least 1.
    pub old_size: u64,
    /// Size to which it leads, above `old_size`.
    pub size: u64,
}

/// The peer's cosignature of a head as a further witness; it was verified with the peer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countersigned {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// The head that was sent, full note text.
    pub note: String,
    /// One signature line.
    pub line: String,
}

/// Asks for what is kept as a witness of a log.
#[derive(Debug)]
pub struct ReadRegister {
    /// Goes back with the answer.
    pub ticket: RegisterTicket,
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
}

/// Answer to [`ReadRegister`]: what is durable.
#[derive(Clone)]
pub struct Register {
    /// The enrolled public key of the log's writer for this epoch; `None`: the log is not
    /// enrolled, or it is not one of which this office may be a further witness.
    pub verifier: Option<Verifier>,
    /// The newest head that was co-signed, full note text; `None`: none was.
    pub head: Option<String>,
    /// Where the epoch was closed: no head over more records is co-signed any more.
    pub closed_at: Option<u64>,
    /// Two histories of this log were seen before: nothing more of it is co-signed.
    pub frozen: bool,
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (known, held) = (self.verifier.is_some(), self.head.is_some());
        write!(f, "Register(enrolled: {known}, head: {held}, frozen: {})", self.frozen)
    }
}

/// Asks to store `note` as the newest head of which we are a further witness, durably, if and
/// only if the one stored now has the size `replaces` (`None`: there is none yet); otherwise the
/// answer is [`Failure::OutOfStep`](super::Failure::OutOfStep).
#[derive(Debug)]
pub struct PersistWitness {
    /// Goes back with the answer.
    pub ticket: WitnessTicket,
    /// The log.
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
    /// When it was received, wall clock in microseconds.
    pub received_at: i64,
}
