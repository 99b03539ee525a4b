//! What two offices say to each other on one link.
//!
//! The messages are plain values; `wire` maps them to protobuf one to one. Notes (signed heads,
//! C2SP tlog-checkpoint), proofs and record bytes travel as they are and are never re-encoded.
//! Order on the link: see the crate's [`session`](crate::session) module.

mod attachments;
mod held;
mod keys;
mod preview;

use std::fmt;

use evidence::hash::Hash;
use evidence::log::LogName;

pub use attachments::{
    ATTACHMENTS, AttachmentAbsent, AttachmentMessage, AttachmentPiece, AttachmentWanted,
};
pub use held::{EARLIER_LINES, Held};
pub use keys::{KeyWrap, Keys, KeysWanted};
pub use preview::{PREVIEWS, Preview};

/// Version of the protocol this build speaks.
///
/// * 1: hello with holdings; head, entries, held; refusals with a code; ping and pong.
///
/// What came later is said to a peer only if its hello names the feature: see [`WITNESS`].
pub const PROTOCOL: u32 = 1;

/// The feature of [`Hello::features`] that stands for [`Hello::shown`]: a sender that says so shows
/// every head with the receiver's line that it keeps.
pub const MEMORY: &str = "memory";

/// The feature of [`Hello::features`] that stands for [`Witness`], [`Witnessed`] and [`Cosigned`].
pub const WITNESS: &str = "witness";

/// The feature of [`Hello::features`] that stands for [`Return`], and for a hello in which an
/// office is a follower of its own log: it has lost records of it and takes them back.
pub const RETURN: &str = "return";

/// The feature of [`Hello::features`] that stands for [`KeysWanted`] and [`Keys`].
pub const KEYS: &str = "keys";

/// What this build understands beyond the first messages: see [`Hello::features`].
pub(crate) const FEATURES: [&str; 7] =
    [WITNESS, MEMORY, RETURN, KEYS, ATTACHMENTS, EARLIER_LINES, PREVIEWS];

/// One message between two offices.
///
/// `Debug` prints sizes instead of record bytes, so that a message in a log line or in an error
/// never shows what a record holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// First message of either side, sent at once when the link opens.
    Hello(Hello),
    /// A signed head of a log that the sender writes. Always precedes the entries it covers.
    Head(Head),
    /// The follower has durably stored the head and co-signed it as witness.
    HeadAccepted(HeadAccepted),
    /// Consecutive records of a log that the sender writes.
    Entries(Entries),
    /// What the follower durably holds of a log: its only truth about progress.
    Held(Held),
    /// Something the sender will not go on with. With `log: None` it ends the link.
    Refused(Refused),
    /// A signed head of somebody else's log: the receiver is asked to co-sign it as a witness.
    Witness(Witness),
    /// It has durably stored that head and co-signed it.
    Witnessed(Witnessed),
    /// A cosignature that a third office gave on a head that the receiver knows.
    Cosigned(Cosigned),
    /// What the sender holds of a log that the receiver writes and has lost records of.
    Return(Return),
    /// Keys of which the sender lacks wraps.
    KeysWanted(KeysWanted),
    /// What the sender has of them.
    Keys(Keys),
    /// About an attachment; said only to a peer that knows [`ATTACHMENTS`].
    Attachment(AttachmentMessage),
    /// An urgent record ahead of the others; said only to a peer that knows [`PREVIEWS`].
    Preview(Preview),
    /// Liveness probe; answered by a [`Message::Pong`] of the same nonce.
    Ping {
        /// Any number; the answer repeats it.
        nonce: u64,
    },
    /// Answer to [`Message::Ping`].
    Pong {
        /// The nonce of the ping.
        nonce: u64,
    },
}

/// Who is speaking and what it durably holds of every log that concerns the two offices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol version, see [`PROTOCOL`].
    pub protocol: u32,
    /// Office code in upper case, e.g. `KZ-75`; must equal the one in the TLS certificate.
    pub office: String,
    /// Random bytes chosen when the process started: tells a restart from a second machine.
    pub instance: [u8; 16],
    /// Name and version of the software, for the operator, e.g. `adal 0.1.0`.
    pub software: String,
    /// One entry per log and epoch that the sender writes for the peer or mirrors from it.
    pub holdings: Vec<Holding>,
    /// What the sender understands beyond the first messages: [`WITNESS`], [`MEMORY`], [`RETURN`],
    /// [`KEYS`], [`ATTACHMENTS`], [`EARLIER_LINES`]; others are passed over.
    pub features: Vec<String>,
    /// The newest head of each log and epoch that the sender co-signed as a further witness.
    pub witnessed: Vec<WitnessedHead>,
    /// The newest head of each log and epoch that carries a cosignature of the receiver, with that
    /// line, as the sender keeps it: the receiver's memory, should it have lost its own.
    pub shown: Vec<WitnessedHead>,
}

/// The newest head that an office co-signed of a log in which it has no other part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessedHead {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The signed head, full note text.
    pub note: String,
}

/// The sender's part in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes the log.
    Origin,
    /// It mirrors the log. Said of a log that the sender writes: it has lost records of it and
    /// takes back what the receiver holds.
    Follower,
}

/// What one side durably holds of one epoch of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The log.
    pub log: LogName,
    /// Its epoch, from 1.
    pub epoch: u32,
    /// The sender's part in it.
    pub role: Role,
    /// Number of records durably held.
    pub size: u64,
    /// Merkle root over these records.
    pub root: Hash,
    /// The newest signed head (full note text) the sender accepted and stored. A follower states
    /// it whenever it has one: it is the largest head it ever co-signed and may be ahead of
    /// `size`. An origin leaves it out.
    pub head: Option<String>,
    /// Of an origin's epoch behind the first: the note in which the key of the epoch before names
    /// this epoch's key ([`evidence::succession`]); `None` where that key was lost.
    pub succession: Option<String>,
    /// Leaf hash of the first record, if there is one: tells a log that was begun anew from one
    /// that went back. `None` from a peer that does not state it.
    pub first: Option<Hash>,
}

impl Holding {
    /// Whether this is a later epoch of the same log, spoken of by its writer: the earlier one is
    /// closed then.
    pub(crate) fn succeeds(&self, earlier: &Holding) -> bool {
        self.role == Role::Origin && self.log == earlier.log && self.epoch > earlier.epoch
    }
}

/// A signed head and the proof that it extends what the follower accepted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Checkpoint signed by the log's key, full note text.
    pub note: String,
    /// Size of the last head the follower accepted (0: none), to which `proof` leads.
    pub old_size: u64,
    /// Consistency proof from `old_size` to the note's size.
    pub proof: Vec<Hash>,
}

/// The follower's answer to a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadAccepted {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the accepted head.
    pub size: u64,
    /// Witness cosignature: one signature line of a note.
    pub cosignature: String,
}

/// A batch of consecutive records.
#[derive(Clone, PartialEq, Eq)]
pub struct Entries {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Sequence of the first record.
    pub first_seq: u64,
    /// Size of the head (sent before) that `proof` leads to.
    pub head_size: u64,
    /// Exact stored bytes of each record.
    pub records: Vec<Vec<u8>>,
    /// Consistency proof from `first_seq + records.len()` to `head_size`.
    pub proof: Vec<Hash>,
}

/// A signed head of a log that somebody else writes, for the receiver to co-sign as a witness.
///
/// Answered by [`Witnessed`], or by [`Refused`] of the log: [`RefusalCode::Fork`] with the head
/// that was co-signed before, [`RefusalCode::Gap`] with that head if the proof starts elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Checkpoint signed by the log's key, full note text; other signature lines are allowed.
    pub note: String,
    /// Size of the last head that the receiver co-signed (0: none), to which `proof` leads.
    pub old_size: u64,
    /// Consistency proof from `old_size` to the note's size.
    pub proof: Vec<Hash>,
}

/// The answer to a [`Witness`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// Witness cosignature: one signature line of a note.
    pub cosignature: String,
}

/// A cosignature of a third office on a head that the receiver knows. Nothing of it is checked by
/// this crate: only the driver knows whose keys are enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Size of the head.
    pub size: u64,
    /// One signature line of a note.
    pub cosignature: String,
}

/// What the sender holds of an epoch of the receiver's own log: answered by [`Held`], whereupon
/// [`Entries`] follow that lead to `size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The newest head that the sender accepted, signed by the log's key, full note text.
    pub note: String,
    /// Records that the sender can prove to lie below that head; what is above is lost here.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Consistency proof from `size` to the note's size.
    pub rest: Vec<Hash>,
    /// Records that the receiver has, as far as they are below `size`.
    pub old_size: u64,
    /// Consistency proof from `old_size` to `size`.
    pub proof: Vec<Hash>,
}

/// A refusal: of one log, or of the whole link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The log concerned; `None`: the sender closes the link.
    pub log: Option<LogName>,
    /// Epoch of the log concerned; 0 where no epoch is meant.
    pub epoch: u32,
    /// Stable reason.
    pub code: RefusalCode,
    /// What happened and what to do, for the operator of the other side. Never record content.
    pub text: String,
    /// The signed head that shows it: the refuser's evidence (fork, rollback).
    pub note: Option<String>,
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("log", &self.log)
            .field("epoch", &self.epoch)
            .field("first_seq", &self.first_seq)
            .field("head_size", &self.head_size)
            .field("records", &self.records.len())
            .field("bytes", &self.records.iter().map(Vec::len).sum::<usize>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Hello(m) => m.fmt(f),
            Message::Head(m) => m.fmt(f),
            Message::HeadAccepted(m) => m.fmt(f),
            Message::Entries(m) => m.fmt(f),
            Message::Held(m) => m.fmt(f),
            Message::Refused(m) => m.fmt(f),
            Message::Witness(m) => m.fmt(f),
            Message::Witnessed(m) => m.fmt(f),
            Message::Cosigned(m) => m.fmt(f),
            Message::Return(m) => m.fmt(f),
            Message::KeysWanted(m) => m.fmt(f),
            Message::Keys(m) => m.fmt(f),
            Message::Attachment(m) => m.fmt(f),
            Message::Preview(m) => m.fmt(f),
            Message::Ping { nonce } => write!(f, "Ping({nonce})"),
            Message::Pong { nonce } => write!(f, "Pong({nonce})"),
        }
    }
}

/// Why something was refused. The names are stable: they are on the wire, in metrics and in the
/// operator's handbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCode {
    /// The refuser does not know this log or epoch, or it has no part in it.
    UnknownLog,
    /// The note is no valid checkpoint of this log, or a proof or record does not lead to it.
    BadSignature,
    /// Records do not follow what is held, or they are not covered by a head sent before.
    Gap,
    /// Two histories: the same log was signed or held with different content.
    Fork,
    /// The log of its own writer is shorter than what the other side already holds or co-signed.
    Rollback,
    /// The note is signed by another key than the one enrolled for this log.
    WrongKey,
    /// Another machine is connected under the same office code.
    DuplicateOffice,
    /// The protocol versions do not fit.
    IncompatibleVersion,
    /// The office is not enrolled, or its certificate names another one.
    NotEnrolled,
    /// Stored bytes of one side are damaged at the place needed; the text says whose.
    Damaged,
    /// The receiver has no space to store more. Passes once there is space again.
    DiskFull,
    /// The peer broke the order of the protocol, or something failed inside; see the text.
    Internal,
    /// The receiver builds its index and stores nothing meanwhile. Passes once it is built.
    IndexBuilding,
    /// The log of its own writer begins anew, under the same key: it is empty, or its first record
    /// is another one than the other side holds.
    RecreatedLog,
    /// The log of its own writer is a shorter beginning of what the other side holds: an old copy
    /// of the journal was put back.
    OldBackup,
}

impl RefusalCode {
    /// Every code, in the order of the numbers on the wire (first = 1).
    pub const ALL: [RefusalCode; 15] = [
        RefusalCode::UnknownLog,
        RefusalCode::BadSignature,
        RefusalCode::Gap,
        RefusalCode::Fork,
        RefusalCode::Rollback,
        RefusalCode::WrongKey,
        RefusalCode::DuplicateOffice,
        RefusalCode::IncompatibleVersion,
        RefusalCode::NotEnrolled,
        RefusalCode::Damaged,
        RefusalCode::DiskFull,
        RefusalCode::Internal,
        RefusalCode::IndexBuilding,
        RefusalCode::RecreatedLog,
        RefusalCode::OldBackup,
    ];

    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalCode::UnknownLog => "unknown_log",
            RefusalCode::BadSignature => "bad_signature",
            RefusalCode::Gap => "gap",
            RefusalCode::Fork => "fork",
            RefusalCode::Rollback => "rollback",
            RefusalCode::WrongKey => "wrong_key",
            RefusalCode::DuplicateOffice => "duplicate_office",
            RefusalCode::IncompatibleVersion => "incompatible_version",
            RefusalCode::NotEnrolled => "not_enrolled",
            RefusalCode::Damaged => "damaged",
            RefusalCode::DiskFull => "disk_full",
            RefusalCode::Internal => "internal",
            RefusalCode::IndexBuilding => "index_building",
            RefusalCode::RecreatedLog => "recreated_log",
            RefusalCode::OldBackup => "old_backup",
        }
    }

    /// The code of this stable name.
    #[must_use]
    pub fn named(name: &str) -> Option<RefusalCode> {
        RefusalCode::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whether a refused log goes on by itself on the same link, as soon as the follower states
    /// its position again ([`Message::Held`]). The others stop the log until the next link.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(self, RefusalCode::DiskFull | RefusalCode::IndexBuilding)
    }

    /// Whether it says that the log of a writer is not the one that it signed before. A log of
    /// which its own office finds this accepts no more records in that epoch.
    #[must_use]
    pub fn contradicts(self) -> bool {
        matches!(
            self,
            RefusalCode::Fork
                | RefusalCode::Rollback
                | RefusalCode::RecreatedLog
                | RefusalCode::OldBackup
        )
    }

    /// Whether it says more exactly what [`RefusalCode::Rollback`] says: the writer only sees that
    /// it is shorter, the mirror can compare.
    pub(crate) fn refines_rollback(self) -> bool {
        matches!(self, RefusalCode::RecreatedLog | RefusalCode::OldBackup)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_are_frozen() {
        let names: Vec<_> = RefusalCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "unknown_log bad_signature gap fork rollback wrong_key duplicate_office \
             incompatible_version not_enrolled damaged disk_full internal index_building \
             recreated_log old_backup"
        );
    }

    #[test]
    fn debug_of_entries_shows_no_bytes() {
        let message = Message::Entries(Entries {
            log: "kz-75".parse().unwrap(),
            epoch: 1,
            first_seq: 3,
            head_size: 9,
            records: vec![b"secret".to_vec()],
            proof: vec![],
        });
        let text = format!("{message:?}");
        assert!(text.contains("first_seq: 3") && text.contains("bytes: 6"), "{text}");
        assert!(!text.contains("115"), "{text}");
    }
}
