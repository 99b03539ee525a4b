//! The step of a witness (C2SP tlog-witness, "add-checkpoint").
//!
//! The body of a request:
//!
//! ```text
//! old <decimal>           size of the head that the witness cosigned last, 0 for none
//! <base64 of a hash>      consistency proof, at most 63 lines
//!                         an empty line
//! <the signed checkpoint>
//! ```
//!
//! [`step`] decides what a witness answers; it stores and signs nothing. The caller holds one lock
//! for each origin from reading the held head to having the new one durable, and cosigns only then
//! ([`crate::checkpoint::cosign`]). Nothing is trusted at first sight: an enrolled origin of which
//! nothing is held starts at `old 0`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::{MAX_TREE_SIZE, decimal};
use crate::merkle::{ProofError, empty_root};
use crate::note::{MAX_NOTE, NoteError, SignedNote, Verifier};
use crate::text::{field, hash_lines, put_hash_lines};
use crate::verify::{HeadError, check_head};

/// Most hashes of a request's proof; the format says 63, no tree here needs more than 54.
pub const MAX_WITNESS_PROOF: usize = 63;

/// Largest request in bytes: a note, a proof and the first line.
pub const MAX_REQUEST: usize = MAX_NOTE + 4096;

/// A request to cosign a head, as it was read: nothing of it may be believed before [`step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: u64,
    proof: Vec<Hash>,
    checkpoint: SignedNote,
    head: Checkpoint,
}

/// Why bytes are not a request. It carries no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// More than [`MAX_REQUEST`] bytes.
    #[error("request of {size} bytes, at most {MAX_REQUEST} are allowed")]
    TooLarge {
        /// Size found, in bytes.
        size: usize,
    },
    /// The first line is not `old <size>`, or the size is above 2^53.
    #[error("the old size of the request is malformed")]
    Old,
    /// A line of the proof is not a hash, or is one too many.
    #[error("hash {line} of the request is malformed, or more than {MAX_WITNESS_PROOF}")]
    Hash {
        /// Which one, from 1.
        line: usize,
    },
    /// What follows the empty line is not a signed checkpoint.
    #[error("{0}")]
    Note(#[from] NoteError),
}

impl AddCheckpoint {
    /// A request of its parts.
    ///
    /// # Errors
    /// [`RequestError::Old`] above 2^53, [`RequestError::Hash`] for too long a proof,
    /// [`RequestError::Note`] for a note that is no checkpoint.
    pub fn new(old: u64, proof: Vec<Hash>, checkpoint: SignedNote) -> Result<Self, RequestError> {
        if old > MAX_TREE_SIZE {
            return Err(RequestError::Old);
        }
        if proof.len() > MAX_WITNESS_PROOF {
            return Err(RequestError::Hash { line: MAX_WITNESS_PROOF + 1 });
        }
        let head = Checkpoint::from_body(checkpoint.text())?;
        Ok(Self { old, proof, checkpoint, head })
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`RequestError`] naming what is malformed; nothing is verified.
    pub fn parse(body: &str) -> Result<Self, RequestError> {
        if body.len() > MAX_REQUEST {
            return Err(RequestError::TooLarge { size: body.len() });
        }
        let (old, rest) = field(body, "old").ok_or(RequestError::Old)?;
        let old = decimal(old).ok_or(RequestError::Old)?;
        let (proof, note) =
            hash_lines(rest, MAX_WITNESS_PROOF).map_err(|line| RequestError::Hash { line })?;
        Self::new(old, proof, SignedNote::parse(note)?)
    }

    /// Size of the head that the proof starts from.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// The consistency proof.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The signed checkpoint as it was read.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedNote {
        &self.checkpoint
    }

    /// The head that the checkpoint claims.
    #[must_use]
    pub fn head(&self) -> &Checkpoint {
        &self.head
    }
}

impl fmt::Display for AddCheckpoint {
    /// The exact body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hashes = String::with_capacity(self.proof.len() * 45 + 1);
        put_hash_lines(&mut hashes, &self.proof);
        write!(f, "old {}\n{hashes}{}", self.old, self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = RequestError;

    fn from_str(body: &str) -> Result<Self, Self::Err> {
        Self::parse(body)
    }
}

/// A head that a witness may cosign, once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    checkpoint: Checkpoint,
    key: Verifier,
    unchanged: bool,
}

impl Accepted {
    /// The head: to be kept as the held one of its origin before anything is answered.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The key of the log that signed it.
    #[must_use]
    pub fn key(&self) -> &Verifier {
        &self.key
    }

    /// Whether it is the held head again: there is nothing to store, it may be cosigned anew.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.unchanged
    }
}

/// Why a witness does not cosign; in brackets the status that the
/// specification gives. What is no request at all is a [`RequestError`] (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// None of the enrolled keys is of this origin (404).
    #[error("the origin is not enrolled")]
    UnknownOrigin,
    /// The log's signature is missing or wrong (403).
    #[error("the head is not signed by the log: {0}")]
    Signature(NoteError),
    /// The old size is larger than the head (400).
    #[error("the head has size {offered}, smaller than the old size {old}")]
    Shrinks {
        /// Old size of the request.
        old: u64,
        /// Size of the head.
        offered: u64,
    },
    /// The request starts from another head than the held one (409): it is to be made anew from the
    /// held size. If the log knows no head of that size, it has lost its tail.
    #[error("the request starts from size {old}, the head held has size {held}")]
    Stale {
        /// Size held.
        held: u64,
        /// Old size of the request.
        old: u64,
    },
    /// The proof does not fit the sizes and says nothing about the heads (422).
    #[error("the proof is malformed: {0}")]
    Proof(ProofError),
    /// The head contradicts the held one (422). Both notes and the proof are kept for ever and the
    /// origin is frozen; with equal sizes the two notes alone convict the log, otherwise the proof,
    /// which is not signed, may be what is wrong.
    #[error("the head of size {offered} contradicts the head of size {held}")]
    Fork {
        /// Size held.
        held: u64,
        /// Size offered.
        offered: u64,
    },
}

/// Decides on a request: `held` is the size and root that the witness cosigned last for this
/// origin, `keys` are the enrolled keys (those of other origins are passed over).
///
/// The checks are in the order of the specification, but for one: a signed second root for the held
/// size is a fork whatever old size the request names.
///
/// # Errors
/// [`Refused`].
pub fn step(
    held: Option<(u64, Hash)>,
    request: &AddCheckpoint,
    keys: &[Verifier],
) -> Result<Accepted, Refused> {
    let head = &request.head;
    let keys = || keys.iter().filter(|key| key.name() == head.origin);
    if keys().next().is_none() {
        return Err(Refused::UnknownOrigin);
    }
    let key = request.checkpoint.verify_any(keys()).map_err(Refused::Signature)?.clone();
    let (size, root) = held.unwrap_or((0, empty_root()));
    let (old, offered) = (request.old, head.size);
    if old > offered {
        return Err(Refused::Shrinks { old, offered });
    }
    if offered == size && head.root != root {
        return Err(Refused::Fork { held: size, offered });
    }
    if old != size {
        return Err(Refused::Stale { held: size, old });
    }
    match check_head((size, root), head, &request.proof) {
        Ok(()) => {
            let (checkpoint, unchanged) = (head.clone(), offered == size);
            Ok(Accepted { checkpoint, key, unchanged })
        }
        Err(HeadError::Fork { held, offered }) => Err(Refused::Fork { held, offered }),
        Err(HeadError::Rollback { held, offered }) => Err(Refused::Shrinks { old: held, offered }),
        Err(HeadError::Proof(error)) => Err(Refused::Proof(error)),
    }
}
