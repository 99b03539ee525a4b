//! One error type an operation. None carries a payload, a key's value or personal data.

use std::io;

use evidence::log::LogName;
use evidence::record::{RecordError, StreamRef};
use thiserror::Error;

use crate::report::{DamageReport, IndexStatus};

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process (or another [`crate::Journal`] of this one) has the folder open.
    #[error("journal folder {folder} is in use by another process")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// The folder holds a backup. Opened as a journal it would use sequences a second time that
    /// the journal it was taken from may have used since.
    #[error("{folder} is a backup; `adal journal restore` makes a journal of it")]
    IsBackup {
        /// The folder.
        folder: String,
    },
    /// The folder holds an unfinished backup or restore.
    #[error("{folder} is an unfinished backup or restore; it can be removed")]
    Partial {
        /// The folder.
        folder: String,
    },
    /// Something that was acknowledged is damaged or missing. Nothing was changed.
    #[error("{0}")]
    Damaged(Box<DamageReport>),
    /// The folder was written by a version of this program that this one does not know.
    #[error("{file} has format version {found}, only {known} is known")]
    Version {
        /// The file, relative to the folder.
        file: String,
        /// Version found.
        found: u32,
        /// Version known.
        known: u32,
    },
    /// An option outside its limits.
    #[error("journal option {option} is {found}, allowed are {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Value found.
        found: u64,
        /// The limits in words.
        allowed: &'static str,
    },
    /// The operating system refused.
    #[error("{action} {file}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file, relative to the folder.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The index cannot be opened or rebuilt, even from an empty folder (only where that is not
    /// done in the background).
    #[error("open the index: {0}")]
    Index(#[from] IndexError),
    /// The thread that applies groups to the index cannot be started.
    #[error("start the thread of the index: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// An I/O error with what was tried on which file.
    pub(crate) fn io(action: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io { action, file: file.to_owned(), source }
    }
}

/// Why one transaction of a group was refused. Nothing of it is stored.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The stream is not at the version that the caller expected.
    #[error("stream is at version {actual}, expected {expected}")]
    VersionConflict {
        /// The stream.
        stream: StreamRef,
        /// Version expected.
        expected: u32,
        /// Version found.
        actual: u32,
    },
    /// This command id was used before with another request.
    #[error("the command id was used before with another request")]
    CommandReused,
    /// Too little free space, or the next segment cannot be allocated. Reading goes on.
    #[error("disk full: {free} bytes free, facts are refused below {watermark}")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The watermark in bytes.
        watermark: u64,
    },
    /// Something exceeds its limit.
    #[error("{what} is {found}, at most {limit} is allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Found.
        found: u64,
        /// Allowed.
        limit: u64,
    },
    /// The log (or this epoch of it) is not in this journal.
    #[error("log {log} is not in this journal")]
    UnknownLog {
        /// The log.
        log: LogName,
    },
    /// An append to a mirror, a mirror batch for an own log, or one name opened in both roles.
    #[error("log {log} has the other role")]
    WrongRole {
        /// The log.
        log: LogName,
    },
    /// An own log opens its epochs one after the other, from any epoch on.
    #[error("log {log} is at epoch {open}, epoch {asked} is not its successor")]
    EpochOrder {
        /// The log.
        log: LogName,
        /// The open epoch.
        open: u32,
        /// The epoch asked for.
        asked: u32,
    },
    /// The batch does not continue what is held.
    #[error("mirror of {log} holds {held} records, the batch starts at {first_seq}")]
    MirrorOutOfStep {
        /// The log.
        log: LogName,
        /// Records held.
        held: u64,
        /// Where the batch starts.
        first_seq: u64,
    },
    /// The batch was verified against another history than the one that is held.
    #[error("the batch was not verified against what the mirror of {log} holds")]
    MirrorDiverged {
        /// The log.
        log: LogName,
    },
    /// A stream lives in exactly one of the logs that are written here.
    #[error("the stream lives in log {log}")]
    StreamInOtherLog {
        /// The stream.
        stream: StreamRef,
        /// Where it lives.
        log: LogName,
    },
    /// A draft of another stream than its append names.
    #[error("a draft names another stream than its append")]
    WrongStream,
    /// A record of an own log may name only attachments that are durably here with that size.
    #[error("attachment {index} ({hash}, {size} bytes) is not here{}", other_size(*.held))]
    AttachmentMissing {
        /// Which of the record's attachments, from 0.
        index: usize,
        /// The first 8 hexadecimal digits of its hash.
        hash: String,
        /// Bytes named.
        size: u64,
        /// Bytes of what is here under this hash, if anything.
        held: Option<u64>,
    },
    /// A draft that cannot be encoded.
    #[error("draft: {0}")]
    Record(#[from] RecordError),
    /// The index could not answer, so nothing can be decided.
    #[error("decide: {0}")]
    Read(#[from] ReadError),
    /// The index is being rebuilt: nothing can be decided yet. Reading by sequence works; try
    /// again.
    #[error("{status}; facts are refused until it is ready")]
    IndexBuilding {
        /// How far it is.
        status: IndexStatus,
    },
    /// The writer has stopped (only from `ensure_own_log` and `ensure_mirror`).
    #[error(transparent)]
    Stopped(#[from] JournalStopped),
}

/// What is there in place of an attachment.
fn other_size(held: Option<u64>) -> String {
    held.map(|held| format!(" with that size, but with {held} bytes")).unwrap_or_default()
}

/// The writer has stopped for good: the outcome of the group is unknown until the journal is
/// opened again. An fsync is never retried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the journal has stopped: {reason}")]
pub struct JournalStopped {
    /// What failed, in words; no payload.
    pub reason: String,
}

/// Why something cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// What is stored is not what was committed. It is not served.
    #[error("{log}:{epoch}:{seq} is damaged in the {place}: {what}")]
    Damaged {
        /// The log.
        log: LogName,
        /// Its epoch.
        epoch: u32,
        /// The sequence.
        seq: u64,
        /// `index` or the commit file.
        place: String,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// What a command did is not what was stored.
    #[error("the command at byte {offset} of {file} is damaged")]
    DamagedCommand {
        /// The commit file, relative to the folder.
        file: String,
        /// Where its frame starts.
        offset: u64,
    },
    /// A value of the index that is not what was stored, where no position is known.
    #[error("an entry of the index is damaged: {what}")]
    DamagedIndex {
        /// Which kind of entry.
        what: &'static str,
    },
    /// The index is being rebuilt: only reading by sequence works. Try again.
    #[error("{status}; until it is ready only reading by sequence works")]
    IndexBuilding {
        /// How far it is.
        status: IndexStatus,
    },
    /// A size or sequence beyond what is held, or an order that no proof can have.
    #[error("{what} {asked} is out of range, {held} records are held")]
    Range {
        /// What was asked.
        what: &'static str,
        /// The value.
        asked: u64,
        /// Records held.
        held: u64,
    },
    /// The log (or this epoch of it) is not in this journal.
    #[error("log {log} epoch {epoch} is not in this journal")]
    UnknownLog {
        /// The log.
        log: LogName,
        /// The epoch.
        epoch: u32,
    },
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A commit file cannot be read.
    #[error("read {file}: {source}")]
    Io {
        /// The file, relative to the folder.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// Why a page token is of no use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not the text of a token, or changed on its way.
    #[error("the page token is damaged")]
    Damaged,
    /// It was made by a program that this one does not know.
    #[error("the page token has version {found}, only {known} is known")]
    Version {
        /// Version found.
        found: u8,
        /// Version known.
        known: u8,
    },
    /// It is of another journal.
    #[error("the page token is of another journal")]
    OtherJournal,
    /// It is of another query than the one that it came with.
    #[error("the page token is of another query: the {what} differs")]
    OtherQuery {
        /// `log`, `epoch`, `direction` or `bounds`.
        what: &'static str,
    },
    /// It names more records than there are: it is of a later snapshot, or of the journal before an
    /// older copy of it was restored.
    #[error("the page token is of a log of {named} records, {held} are held")]
    Beyond {
        /// Records when the series began.
        named: u64,
        /// Records held.
        held: u64,
    },
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum PageError {
    /// The token does not fit.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The records cannot be read, or there is no such log.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a subscription gives nothing.
#[derive(Debug, Error)]
pub enum SubscribeError {
    /// Everything was read and nothing will follow: the writer has stopped or was closed.
    #[error("nothing will follow: {0}")]
    Ended(JournalStopped),
    /// The next records cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why an index does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IndexOpenError {
    /// Someone has it open: a handle of this process that is on its way out. Nothing is wrong with
    /// it; try again.
    #[error("index: another handle still has it open")]
    InUse,
    /// Whatever else keeps it from opening.
    #[error(transparent)]
    Failed(#[from] IndexError),
}

/// Why the index failed, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("index: {reason}")]
pub struct IndexError {
    /// What it said; sled's messages name files, offsets and errors of the operating system, never
    /// values.
    pub reason: String,
}

impl IndexError {
    /// An error with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
