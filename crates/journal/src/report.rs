//! What open, check, queries and statistics tell.

use std::fmt;

use evidence::hash::Hash;
use evidence::log::{LogName, Position};

/// Whether an office writes a log itself or mirrors it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Written here.
    Own,
    /// Written elsewhere, held here as verified copies.
    Mirror,
}

/// The durable state of one epoch of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogInfo {
    /// The log.
    pub log: LogName,
    /// The epoch.
    pub epoch: u32,
    /// Written or mirrored here.
    pub role: Role,
    /// Number of records; the next sequence.
    pub size: u64,
    /// Merkle root of these records.
    pub root: Hash,
    /// `recorded_at` of the last record of the log (any epoch), microseconds since 1970 UTC;
    /// `i64::MIN` for a log without records.
    pub last_recorded_at: i64,
}

/// What was done under a command id before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandHit {
    /// Hash of the request that was done.
    pub request_hash: Hash,
    /// Log of the first records; `None` if the command appended nothing.
    pub log: Option<LogName>,
    /// Epoch of the first records.
    pub epoch: u32,
    /// Sequence of the first record.
    pub first_seq: u64,
    /// Number of records from there on in the same log. A command over several logs has more; the
    /// replayed answer of `commit` names all.
    pub count: u64,
    /// `recorded_at` of its last record.
    pub recorded_at: i64,
}

/// Whether the index can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexStatus {
    /// It is being opened, and compared with the commit files; answers by key and commits wait.
    Opening,
    /// It is being rebuilt from the commit files, or much of it is filled in, as after a rebuild
    /// that was cut short. Reading by sequence works; answers by key and commits are refused.
    Building {
        /// Why, in words.
        reason: String,
        /// Groups filled in.
        groups: u64,
        /// Groups to be filled in.
        of: u64,
    },
    /// It cannot be opened or built at present and is tried again every few seconds, as while it
    /// is being rebuilt.
    Waiting {
        /// Why, in words.
        reason: String,
    },
    /// It answers everything.
    Ready,
    /// The commit files are damaged, as was found when the index was compared with them. The
    /// writer has stopped; reading by sequence goes on as far as it can.
    Refused(Box<DamageReport>),
}

impl fmt::Display for IndexStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("the index is being opened"),
            Self::Building { reason, groups, of } => {
                let percent = groups.saturating_mul(100) / (*of).max(1);
                write!(f, "the index is being rebuilt ({reason}): {percent} %")
            }
            Self::Waiting { reason } => write!(f, "the index cannot be opened ({reason})"),
            Self::Ready => f.write_str("the index is ready"),
            Self::Refused(report) => write!(f, "the index refused the commit files ({report})"),
        }
    }
}

/// An index that could not be used and was moved aside. Nothing needs it; it may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedIndex {
    /// Its folder, relative to the journal's.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What happened to the index at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexOutcome {
    /// It was not ready within the time that open waits: [`crate::Journal::index_status`] tells.
    Pending,
    /// It had everything.
    Intact,
    /// Groups behind the last run that its last flush covers were applied again.
    CaughtUp {
        /// How many.
        groups: u64,
    },
    /// It was missing or unusable and was rebuilt whole from the commit files.
    Rebuilt {
        /// Why, in words.
        reason: String,
        /// Where the unusable folder was moved, relative to the journal's folder; `None` also if it
        /// was removed to make room.
        quarantined: Option<String>,
    },
}

/// An unfinished group that was dropped at open. It was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The file, relative to the folder.
    pub file: String,
    /// Where the group started, in bytes.
    pub offset: u64,
    /// Bytes up to the last one that is not zero.
    pub bytes: u64,
    /// Copy of these bytes, relative to the folder; `None` if the disk is too full for one.
    pub set_aside: Option<String>,
}

/// What open found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The folder was empty: a new journal.
    pub created: bool,
    /// Commit files.
    pub segments: u64,
    /// Number of the last group.
    pub groups: u64,
    /// Records of all logs.
    pub records: u64,
    /// The unfinished group that was dropped.
    pub dropped: Option<Dropped>,
    /// The `tail` file was missing or unreadable although the journal is not new; written again.
    pub tail_lost: bool,
    /// What happened to the index.
    pub index: IndexOutcome,
    /// The reserve file was given up because the disk is nearly full.
    pub reserve_released: bool,
}

/// Sequences that are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRange {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// First missing sequence.
    pub from: u64,
    /// First sequence that is there again or was never written; `None`: unknown.
    pub to: Option<u64>,
}

impl fmt::Display for MissingRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}:{}:[{}..{})", self.log, self.epoch, self.from, to),
            None => write!(f, "{}:{}:[{}..", self.log, self.epoch, self.from),
        }
    }
}

/// Damage of something that was acknowledged, found at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamageReport {
    /// The file, relative to the folder.
    pub file: String,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What is wrong, in words.
    pub what: String,
    /// Sequences that are lost, as far as they can be told.
    pub missing: Vec<MissingRange>,
}

impl fmt::Display for DamageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged at byte {} ({})", self.file, self.offset, self.what)?;
        for (i, range) in self.missing.iter().enumerate() {
            write!(f, "{}{range}", if i == 0 { "; missing: " } else { ", " })?;
        }
        if self.missing.is_empty() {
            f.write_str("; no sequence is known to be missing")?;
        }
        f.write_str("; nothing will be written")
    }
}

/// One place that the deep check found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the folder; `index` for an entry of sled.
    pub file: String,
    /// Where in the file, in bytes, if it is a place in a file.
    pub offset: Option<u64>,
    /// The record concerned, if it can be told.
    pub position: Option<Position>,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(position) = &self.position {
            write!(f, " ({position})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Figures for telemetry; counters run from open on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records of all logs.
    pub records: u64,
    /// Commit files.
    pub segments: u64,
    /// Bytes of commit files, up to the end of the last group.
    pub commit_bytes: u64,
    /// Bytes of the index on disk.
    pub index_bytes: u64,
    /// Free bytes on the file system; 0 if it does not say.
    pub free_bytes: u64,
    /// Free bytes below which facts are refused now: [`crate::Options::free_space_watermark`] or,
    /// of a small file system, an eighth of it; 8 MiB more while the reserve is missing.
    pub watermark_bytes: u64,
    /// Groups written since open.
    pub groups_written: u64,
    /// Records written since open.
    pub records_written: u64,
    /// Bytes of groups written since open.
    pub bytes_written: u64,
    /// Nanoseconds spent in write and `fdatasync` of groups since open.
    pub sync_nanos: u64,
    /// Nanoseconds spent applying groups to the index since open.
    pub index_nanos: u64,
    /// Whether the writer has stopped.
    pub stopped: bool,
}
