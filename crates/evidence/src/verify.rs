//! The only way into a mirror.
//!
//! Two gates, and a window. [`check_head`]: a signed head may replace the head that is held only if
//! it extends it. [`admit`]: records may be stored only if they follow the held ones without a gap,
//! and if held and new records together are a prefix of what the signed head covers. Only [`admit`]
//! makes a [`VerifiedBatch`], so what was not verified cannot be stored. Through the window,
//! [`check_preview`], a single record can be seen before its turn.

use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::{LogName, is_origin_of};
use crate::merkle::{Frontier, ProofError, verify_consistency, verify_inclusion};
use crate::record::{Header, Record, RecordError, Urgency};

/// Most records of one batch.
pub const MAX_BATCH: usize = 65_536;

/// Records that may be stored in a mirror, and what storing them needs. Only [`admit`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedBatch {
    log: LogName,
    epoch: u32,
    first_seq: u64,
    records: Vec<Record>,
    nodes: Vec<Vec<Hash>>,
    frontier: Frontier,
}

/// What a [`VerifiedBatch`] is taken apart into.
#[derive(Debug, Clone)]
pub struct BatchParts {
    /// The log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// Sequence of the first record.
    pub first_seq: u64,
    /// The records in their order.
    pub records: Vec<Record>,
    /// For each record the tree nodes that it completes, from level 0 (its leaf hash) upwards.
    pub nodes: Vec<Vec<Hash>>,
    /// The frontier with these records.
    pub frontier: Frontier,
}

impl VerifiedBatch {
    /// The log.
    #[must_use]
    pub fn log(&self) -> &LogName {
        &self.log
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Sequence of the first record.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The records in their order, at least one.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// For each record the tree nodes that it completes, from level 0 (its leaf hash) upwards.
    #[must_use]
    pub fn nodes(&self) -> &[Vec<Hash>] {
        &self.nodes
    }

    /// The frontier with these records.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Size of the mirror with these records.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.frontier.size()
    }

    /// Takes the batch apart for storing.
    #[must_use]
    pub fn into_parts(self) -> BatchParts {
        let Self { log, epoch, first_seq, records, nodes, frontier } = self;
        BatchParts { log, epoch, first_seq, records, nodes, frontier }
    }
}

/// Why a batch may not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// No records.
    #[error("the batch is empty")]
    Empty,
    /// More than [`MAX_BATCH`] records.
    #[error("batch of {count} records, at most {MAX_BATCH} are allowed")]
    TooMany {
        /// Records found.
        count: usize,
    },
    /// The batch starts with records that are held: harmless, nothing to store.
    #[error("the batch starts at {first_seq}, {held} records are held")]
    Duplicate {
        /// Records held.
        held: u64,
        /// Where the batch starts.
        first_seq: u64,
    },
    /// Records between the held ones and the batch are missing.
    #[error("the batch starts at {first_seq}, only {held} records are held")]
    Gap {
        /// Records held.
        held: u64,
        /// Where the batch starts.
        first_seq: u64,
    },
    /// A record that breaks the format.
    #[error("record {seq} of the batch: {source}")]
    Record {
        /// The sequence that it was sent for.
        seq: u64,
        /// Why.
        source: RecordError,
    },
    /// A record whose header names another log, epoch or sequence.
    #[error("record {seq} of the batch names another {field}")]
    Misplaced {
        /// The sequence that it was sent for.
        seq: u64,
        /// Which field.
        field: &'static str,
    },
    /// The head is of another log or epoch.
    #[error("the head is not of this log and epoch")]
    ForeignHead,
    /// The batch reaches beyond the signed head.
    #[error("the batch ends at {end}, the signed head at {head}")]
    BeyondHead {
        /// Size with the batch.
        end: u64,
        /// Size of the head.
        head: u64,
    },
    /// A record that is shown ahead of the others without being urgent.
    #[error("record {seq} is not urgent")]
    NotUrgent {
        /// Its sequence.
        seq: u64,
    },
    /// Held and new records are not a prefix of what the head covers.
    #[error("the batch is not proved: {0}")]
    Unproved(ProofError),
}

/// Checks records of another office against its signed head.
///
/// `held` is the frontier of what is durably held of this log and epoch, `records` the stored
/// bytes from `first_seq` on, `head` the pending signed head whose signature and consistency are
/// already checked, `proof` the consistency proof from the size with this batch to the head.
///
/// # Errors
/// [`AdmitError`]; nothing of the batch may be stored then.
pub fn admit(
    held: &Frontier,
    log: &LogName,
    epoch: u32,
    records: Vec<Vec<u8>>,
    first_seq: u64,
    head: &Checkpoint,
    proof: &[Hash],
) -> Result<VerifiedBatch, AdmitError> {
    let held_size = held.size();
    if records.is_empty() {
        return Err(AdmitError::Empty);
    }
    if records.len() > MAX_BATCH {
        return Err(AdmitError::TooMany { count: records.len() });
    }
    if first_seq < held_size {
        return Err(AdmitError::Duplicate { held: held_size, first_seq });
    }
    if first_seq > held_size {
        return Err(AdmitError::Gap { held: held_size, first_seq });
    }
    if !is_origin_of(&head.origin, log, epoch) {
        return Err(AdmitError::ForeignHead);
    }
    // Before the work of hashing: a batch beyond the head can never be proved.
    let end = first_seq.saturating_add(records.len() as u64);
    if end > head.size {
        return Err(AdmitError::BeyondHead { end, head: head.size });
    }
    let mut frontier = held.clone();
    let mut nodes = Vec::with_capacity(records.len());
    let mut parsed = Vec::with_capacity(records.len());
    for (seq, bytes) in (first_seq..).zip(records) {
        let record = Record::parse(bytes).map_err(|source| AdmitError::Record { seq, source })?;
        check_place(record.header(), log, epoch, seq)?;
        nodes.push(frontier.append(record.leaf_hash()));
        parsed.push(record);
    }
    verify_consistency(end, &frontier.root(), head.size, &head.root, proof)
        .map_err(AdmitError::Unproved)?;
    Ok(VerifiedBatch { log: log.clone(), epoch, first_seq, records: parsed, nodes, frontier })
}

/// Checks one record of another office against its signed head, apart from the records before it.
///
/// Such a record may be shown, and never stored: what makes a mirror complete is [`admit`] alone.
/// `head` is a head whose signature and consistency are already checked, `proof` the inclusion
/// proof of `seq` in it.
///
/// # Errors
/// [`AdmitError`]; nothing of the record may be shown then.
pub fn check_preview(
    log: &LogName,
    epoch: u32,
    seq: u64,
    record: Vec<u8>,
    head: &Checkpoint,
    proof: &[Hash],
) -> Result<Record, AdmitError> {
    if !is_origin_of(&head.origin, log, epoch) {
        return Err(AdmitError::ForeignHead);
    }
    if seq >= head.size {
        return Err(AdmitError::BeyondHead { end: seq.saturating_add(1), head: head.size });
    }
    let record = Record::parse(record).map_err(|source| AdmitError::Record { seq, source })?;
    check_place(record.header(), log, epoch, seq)?;
    if record.header().urgency != Urgency::Urgent {
        return Err(AdmitError::NotUrgent { seq });
    }
    verify_inclusion(seq, head.size, &record.leaf_hash(), proof, &head.root)
        .map_err(AdmitError::Unproved)?;
    Ok(record)
}

/// Refuses a record whose header names another place than it was sent for.
fn check_place(header: &Header, log: &LogName, epoch: u32, seq: u64) -> Result<(), AdmitError> {
    let field = if header.log != *log {
        "log"
    } else if header.epoch != epoch {
        "epoch"
    } else if header.seq != seq {
        "seq"
    } else {
        return Ok(());
    };
    Err(AdmitError::Misplaced { seq, field })
}

/// Why a signed head may not replace the held one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The head is smaller than the held one: the log went back.
    #[error("the head has size {offered}, {held} was seen before")]
    Rollback {
        /// Size held.
        held: u64,
        /// Size offered.
        offered: u64,
    },
    /// The head contradicts the held one: another root for the same size, or a well-formed proof
    /// whose hashes do not lead from the one to the other. Both heads and the proof are evidence.
    #[error("the head of size {offered} contradicts the head of size {held}")]
    Fork {
        /// Size held.
        held: u64,
        /// Size offered.
        offered: u64,
    },
    /// The proof is malformed and says nothing about the heads.
    #[error("the proof between the heads is malformed: {0}")]
    Proof(ProofError),
}

/// Checks that the signed head `new` extends the head (`size`, `root`) that is held, by the
/// consistency proof between them. Nothing held is `(0, merkle::empty_root())`.
///
/// The same head again is allowed with an empty proof.
///
/// # Errors
/// [`HeadError`]. A fork is never healed: whoever meets it keeps both notes and the proof.
pub fn check_head(prev: (u64, Hash), new: &Checkpoint, proof: &[Hash]) -> Result<(), HeadError> {
    let (held, offered) = (prev.0, new.size);
    if offered < held {
        return Err(HeadError::Rollback { held, offered });
    }
    // Two roots for one size need no proof.
    if offered == held && prev.1 != new.root {
        return Err(HeadError::Fork { held, offered });
    }
    match verify_consistency(held, &prev.1, offered, &new.root, proof) {
        Ok(()) => Ok(()),
        Err(error) if error.contradicts() => Err(HeadError::Fork { held, offered }),
        Err(error) => Err(HeadError::Proof(error)),
    }
}
