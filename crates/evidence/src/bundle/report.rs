//! What was found in a bundle, in types for programs and in words for people.

use std::fmt;

use thiserror::Error;

use crate::merkle::ProofError;
use crate::note::NoteError;
use crate::opening::OpeningError;
use crate::policy::{Missing, PolicyError, PolicyRefusal};
use crate::proof::TlogProofError;
use crate::record::LeafError;
use crate::witness::RequestError;

/// The verdict on a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every file, by name. The tiles of a good copy are one line.
    pub files: Vec<FileReport>,
    /// Every log epoch of which there is a head, by origin.
    pub origins: Vec<OriginReport>,
}

impl Report {
    /// Whether nothing is refused, and there is a log at all.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !self.origins.is_empty() && self.refused().next().is_none()
    }

    /// Everything that is refused: names of files and origins, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&str, String)> {
        let files = self.files.iter().filter_map(|file| match &file.verdict {
            Verdict::Accepted(_) => None,
            Verdict::Refused(why) => Some((file.name.as_str(), why.to_string())),
        });
        let origins = self.origins.iter().filter_map(|origin| {
            origin.refusal.as_ref().map(|why| (origin.origin.as_str(), why.to_string()))
        });
        files.chain(origins)
    }
}

/// The verdict on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Its name in the folder.
    pub name: String,
    /// What was found.
    pub verdict: Verdict,
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Accepted(subject) => write!(f, "accepted  {}: {subject}", self.name),
            Verdict::Refused(why) => write!(f, "REFUSED   {}: {why}", self.name),
        }
    }
}

/// Accepted as something, or refused with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The file is what it says.
    Accepted(Subject),
    /// The file is not to be believed.
    Refused(Refusal),
}

/// What an accepted file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The policy, which the auditor's copy covers.
    Policy,
    /// A signed head.
    Head {
        /// Its origin.
        origin: String,
        /// Its size.
        size: u64,
        /// Cosignatures that are not collected yet; nothing if the quorum is met.
        missing: Option<Missing>,
    },
    /// A consistency proof between two heads.
    Link {
        /// Their origin.
        origin: String,
        /// The smaller size.
        old: u64,
        /// The larger size.
        new: u64,
    },
    /// A receipt: the entry is in the log, and the quorum saw the head.
    Receipt {
        /// Origin of the log.
        origin: String,
        /// Index of the entry.
        index: u64,
    },
    /// A slip: the log said that the entry is in it, and it still is.
    Slip {
        /// Origin of the log.
        origin: String,
        /// Index of the entry.
        index: u64,
    },
    /// A log entry that something in the bundle proves.
    Leaf {
        /// Its index.
        index: u64,
    },
    /// A complete copy of the log.
    Copy {
        /// Its origin.
        origin: String,
        /// Entries in it.
        size: u64,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("the policy, as the auditor's copy has it"),
            Self::Head { origin, size, missing: None } => {
                write!(f, "head of {origin} at {size}, the quorum cosigned it")
            }
            Self::Head { origin, size, missing: Some(missing) } => {
                write!(f, "head of {origin} at {size}, not yet cosigned: {missing}")
            }
            Self::Link { origin, old, new } => {
                write!(f, "{origin} at {new} has everything that it had at {old}")
            }
            Self::Receipt { origin, index } => {
                write!(f, "entry {index} is in {origin}, and the quorum saw it there")
            }
            Self::Slip { origin, index } => {
                write!(f, "entry {index} is in {origin}, as the slip says")
            }
            Self::Leaf { index } => write!(f, "entry {index} is proved"),
            Self::Copy { origin, size } => write!(f, "all {size} entries of {origin}"),
        }
    }
}

/// How a signed head contradicts what the log shows now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Conflict {
    /// The log signed two roots for one size.
    #[error("FORK: the log signed another root for size {size} in {other}")]
    Fork {
        /// The size.
        size: u64,
        /// The file with the other root.
        other: String,
    },
    /// The copy in `log/` has another root at that size.
    #[error("the copy in log/ has another root at size {size} than the log signed")]
    Copy {
        /// The size.
        size: u64,
    },
    /// The largest head that the log shows is smaller.
    #[error("the log signed a head of size {size}, but shows only {end} entries now")]
    Beyond {
        /// The size that was signed.
        size: u64,
        /// Where the log ends now.
        end: u64,
    },
    /// Neither a consistency proof nor the copy links the head to those that the quorum saw.
    #[error("nothing in the bundle links the head of size {size} to the head of size {end}")]
    Unlinked {
        /// The size of the head.
        size: u64,
        /// The size of the largest head that is linked to the newest one with the quorum.
        end: u64,
    },
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It cannot be read, or is too large.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It should be there and is not.
    #[error("is missing")]
    Absent,
    /// Its name is that of no part of a bundle.
    #[error("is no part of a bundle")]
    Unknown,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// The policy is malformed.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// The policy lists other witnesses, another quorum, or logs that the auditor's copy lacks.
    #[error("is not the policy that the auditor holds")]
    ForeignPolicy,
    /// A note is malformed.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// A consistency file is malformed.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// A receipt or slip is malformed.
    #[error("{0}")]
    Proof(#[from] TlogProofError),
    /// A log entry is malformed.
    #[error("{0}")]
    Leaf(#[from] LeafError),
    /// An opening is malformed, or of another record.
    #[error("{0}")]
    Opening(#[from] OpeningError),
    /// The policy does not accept the checkpoint.
    #[error("{0}")]
    Judged(#[from] PolicyRefusal),
    /// The head does not agree with the other heads of its origin.
    #[error("{0}")]
    Conflict(Conflict),
    /// A receipt or slip that the log contradicts or no longer covers.
    #[error("SUPPRESSION: the log gave a proof for entry {index}, and now {conflict}")]
    Suppressed {
        /// Index of the entry.
        index: u64,
        /// How it is contradicted.
        conflict: Conflict,
    },
    /// A receipt or slip of which the bundle does not show that its entry is still in the log.
    #[error("entry {index}: {conflict}; ask for a consistency proof or a copy of the log")]
    Uncovered {
        /// Index of the entry.
        index: u64,
        /// What is missing.
        conflict: Conflict,
    },
    /// A consistency file starts from a size of which there is no checkpoint.
    #[error("there is no checkpoint of size {old} in checkpoints/")]
    NoOldHead {
        /// The size.
        old: u64,
    },
    /// A proof of inclusion or consistency does not hold.
    #[error("{0}")]
    Merkle(#[from] ProofError),
    /// A receipt or slip has no opening, and no other file has its entry.
    #[error("nothing in the bundle says what entry {index} is")]
    NoLeaf {
        /// Index of the entry.
        index: u64,
    },
    /// No receipt, slip or copy in the bundle proves the entry.
    #[error("nothing in the bundle proves this entry")]
    Unproved,
    /// The file is named for another index than its content.
    #[error("holds entry {found}, its name says otherwise")]
    Misnamed {
        /// The index inside.
        found: u64,
    },
    /// The opened record names another log or epoch than the origin of the checkpoint.
    #[error("the record was written for {log} epoch {epoch}, the checkpoint is of another log")]
    Epoch {
        /// The log in the record.
        log: String,
        /// The epoch in the record.
        epoch: u32,
    },
    /// The copy in `log/` is incomplete or changed here.
    #[error("the copy of the log is refused here: {0}")]
    Copy(String),
    /// An entry of the copy is not the entry of its place.
    #[error("the copy of the log is refused: entry {index} is not an entry of its place")]
    Entry {
        /// Its index.
        index: u64,
    },
}

/// The verdict on the heads of one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginReport {
    /// The origin: a log in one epoch.
    pub origin: String,
    /// Size of its largest head.
    pub end: u64,
    /// Size of the largest linked head that the quorum cosigned: up to here the log is witnessed.
    pub witnessed: Option<u64>,
    /// Where this epoch ended, as the first record of the next one says; `None` if the bundle does
    /// not show it. The history may go on behind it: those records were lost to the log's writer.
    pub closed: Option<u64>,
    /// There were epochs before this one, and none of them is in the bundle.
    pub after_others: bool,
    /// The newest later epoch of the log whose key the auditor's policy lists, if the bundle leaves
    /// out every epoch behind this one.
    pub before: Option<u32>,
    /// Why the origin is refused, if it is.
    pub refusal: Option<OriginRefusal>,
}

impl fmt::Display for OriginReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            Some(why) => write!(f, "REFUSED   {}: {why}", self.origin),
            None => write!(f, "accepted  {}: {}", self.origin, self.says()),
        }
    }
}

impl OriginReport {
    /// What an accepted origin shows, and what it does not.
    #[must_use]
    pub fn says(&self) -> String {
        let mut says = format!("{} entries", self.end);
        match self.witnessed {
            Some(size) => says.push_str(&format!(", {size} witnessed")),
            None => says.push_str(", witnessed through the next epoch only"),
        }
        if let Some(size) = self.closed {
            says.push_str(&format!("; it was closed at {size}"));
        }
        if self.after_others {
            says.push_str("; NOT SHOWN: the epochs before it, which the bundle leaves out");
        }
        if let Some(epoch) = self.before {
            says.push_str(&format!(
                "; NOT SHOWN: what follows it up to epoch {epoch}, whose key the policy lists"
            ));
        }
        says
    }
}

/// Why the heads of an origin are refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OriginRefusal {
    /// No head that the log shows meets the quorum.
    #[error("the quorum cosigned none of its heads")]
    NotWitnessed,
    /// Not an origin of this system in its only spelling.
    #[error("is not the origin of a log and epoch")]
    Spelling,
    /// The bundle is of another log.
    #[error("is another log than {other}")]
    OtherLog {
        /// An origin of the bundle's log.
        other: String,
    },
    /// An epoch between this one and the one before it in the bundle is missing.
    #[error("epoch {missing} before it is missing")]
    Gap {
        /// The first missing epoch.
        missing: u32,
    },
    /// Nothing shows where the epoch before it ended.
    #[error(
        "nothing in the bundle shows where the epoch before it ended: the receipt of its first \
         entry, with the opening, is missing"
    )]
    NoBeginning,
    /// The epoch before it is not shown as this one says that it ended.
    #[error("SUPPRESSION: it begins after {size} entries of epoch {epoch}, which are not shown so")]
    OtherEnd {
        /// The epoch that ended.
        epoch: u32,
        /// Its entries.
        size: u64,
    },
}
