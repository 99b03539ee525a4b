//! Receipts and slips (C2SP tlog-proof@v1): a file that proves, with no network, that one entry is
//! in a log.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>              only if there is any: here an opening ([`crate::opening`])
//! index <decimal>
//! <base64 of a hash>          RFC 6962 section 2.1.1, from the leaf's sibling upwards
//!                             an empty line
//! <the signed checkpoint, verbatim>
//! ```
//!
//! A *receipt* bears the cosignatures that a policy asks for ([`TlogProof::verify`]). A *slip*
//! bears the log's signature alone ([`TlogProof::verify_logged`], [`TlogProof::verify_slip`]): it
//! is what the counter gives out at once, and the log can no longer deny it. Nothing of `extra` is
//! authenticated by itself ("Format"); an opening is checked against the leaf.
//!
//! Written in one spelling: base64 with padding, no empty `extra`, at most [`MAX_PROOF`] hashes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::{MAX_TREE_SIZE, decimal};
use crate::merkle::{self, MAX_PROOF, ProofError};
use crate::note::{NoteError, SignedNote, Verifier};
use crate::opening::{Opening, OpeningError};
use crate::policy::{Evaluation, Policy, PolicyRefusal};
use crate::text::{base64, field, from_base64, hash_lines, put_hash_lines};

/// First line of the file.
const MAGIC: &str = "c2sp.org/tlog-proof@v1\n";

/// Largest `extra` in bytes: an opening of the largest record.
pub const MAX_EXTRA: usize = 512 * 1024;

/// Largest file in bytes.
pub const MAX_TLOG_PROOF: usize = 1024 * 1024;

/// A receipt or slip as it was read: nothing of it may be believed before it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Hash>,
    checkpoint: SignedNote,
}

/// Why a file is not a proof. It carries no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlogProofError {
    /// More than [`MAX_TLOG_PROOF`] bytes, or more than [`MAX_EXTRA`] of `extra`.
    #[error("{field} of the proof has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// What is too large.
        field: &'static str,
        /// Size found, in bytes.
        size: usize,
        /// Size allowed, in bytes.
        limit: usize,
    },
    /// A line that is not as the format says.
    #[error("{field} of the proof is malformed")]
    Malformed {
        /// Which.
        field: &'static str,
    },
    /// A line of the inclusion proof that is not a hash, or one too many.
    #[error("hash {line} of the proof is malformed, or more than {MAX_PROOF}")]
    Hash {
        /// Which one, from 1.
        line: usize,
    },
    /// What follows the empty line is not a signed checkpoint.
    #[error("{0}")]
    Checkpoint(#[from] NoteError),
}

/// Why a proof does not prove.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofRefusal {
    /// Its checkpoint is not valid under the policy.
    #[error("{0}")]
    Policy(#[from] PolicyRefusal),
    /// Its checkpoint is not signed by this log.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// The entry is not in the tree of the checkpoint.
    #[error("{0}")]
    Inclusion(#[from] ProofError),
}

impl TlogProof {
    /// A proof of its parts. Whether it proves anything is not checked.
    ///
    /// # Errors
    /// [`TlogProofError`] for an index of 2^53 or more, an empty or too large `extra`, more than
    /// [`MAX_PROOF`] hashes, or a note that is no checkpoint.
    pub fn new(
        index: u64,
        path: Vec<Hash>,
        checkpoint: SignedNote,
        extra: Option<Vec<u8>>,
    ) -> Result<Self, TlogProofError> {
        if index >= MAX_TREE_SIZE {
            return Err(TlogProofError::Malformed { field: "index" });
        }
        if path.len() > MAX_PROOF {
            return Err(TlogProofError::Hash { line: MAX_PROOF + 1 });
        }
        match extra.as_ref().map(Vec::len) {
            Some(0) => return Err(TlogProofError::Malformed { field: "extra" }),
            Some(size) if size > MAX_EXTRA => {
                return Err(TlogProofError::TooLarge { field: "extra", size, limit: MAX_EXTRA });
            }
            _ => {}
        }
        Checkpoint::from_body(checkpoint.text())?;
        Ok(Self { extra, index, path, checkpoint })
    }

    /// Reads a file in its only spelling.
    ///
    /// # Errors
    /// [`TlogProofError`] naming what is malformed; nothing is verified.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        let malformed = |field| TlogProofError::Malformed { field };
        if text.len() > MAX_TLOG_PROOF {
            let (size, limit) = (text.len(), MAX_TLOG_PROOF);
            return Err(TlogProofError::TooLarge { field: "file", size, limit });
        }
        let rest = text.strip_prefix(MAGIC).ok_or(malformed("first line"))?;
        let (extra, rest) = match field(rest, "extra") {
            Some((extra, rest)) => (Some(from_base64(extra).ok_or(malformed("extra"))?), rest),
            None => (None, rest),
        };
        let (index, rest) = field(rest, "index").ok_or(malformed("index"))?;
        let index = decimal(index).ok_or(malformed("index"))?;
        let (path, note) =
            hash_lines(rest, MAX_PROOF).map_err(|line| TlogProofError::Hash { line })?;
        Self::new(index, path, SignedNote::parse(note)?, extra)
    }

    /// Index of the entry in the log.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, from the leaf's sibling upwards.
    #[must_use]
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The signed checkpoint as it was read.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedNote {
        &self.checkpoint
    }

    /// What stands beside the proof, unauthenticated.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The opening that `extra` carries; nothing if there is no `extra`. It opens the entry of this
    /// proof only if the proof verifies for its leaf ([`Opening::leaf_hash`]).
    ///
    /// # Errors
    /// [`OpeningError`] if `extra` is not an opening, or opens a record of another index.
    pub fn opening(&self) -> Result<Option<Opening>, OpeningError> {
        let Some(extra) = &self.extra else { return Ok(None) };
        let opening = Opening::parse(extra)?;
        let (opened, expected) = (opening.header().seq, self.index);
        if opened != expected {
            return Err(OpeningError::Index { opened, expected });
        }
        Ok(Some(opening))
    }

    /// The same proof under a note that has more cosignatures: how a slip becomes a receipt.
    ///
    /// # Errors
    /// [`NoteError::Origin`] if the note is not of the same head.
    pub fn upgraded(&self, checkpoint: SignedNote) -> Result<Self, NoteError> {
        if checkpoint.text() != self.checkpoint.text() {
            return Err(NoteError::Origin);
        }
        Ok(Self { checkpoint, ..self.clone() })
    }

    /// Verifies a receipt ("Verifying a tlog proof", steps 2 to 4): the policy accepts the
    /// checkpoint with its quorum, and the leaf is at the index in its tree.
    ///
    /// # Errors
    /// [`ProofRefusal::Policy`] or [`ProofRefusal::Inclusion`].
    pub fn verify(&self, leaf: &Hash, policy: &Policy) -> Result<Evaluation, ProofRefusal> {
        Ok(self.verify_logged(leaf, policy)?.require_quorum()?)
    }

    /// Verifies that a log of the policy has the leaf at the index, whoever cosigned: a slip. Who
    /// has, and what the quorum lacks, is in the result.
    ///
    /// # Errors
    /// As [`TlogProof::verify`], but never [`PolicyRefusal::Quorum`].
    pub fn verify_logged(&self, leaf: &Hash, policy: &Policy) -> Result<Evaluation, ProofRefusal> {
        let evaluation = policy.evaluate(&self.checkpoint)?;
        self.verify_in(leaf, &evaluation.checkpoint)?;
        Ok(evaluation)
    }

    /// Verifies a slip against the log's key alone, without a policy.
    ///
    /// # Errors
    /// [`ProofRefusal::Note`] or [`ProofRefusal::Inclusion`].
    pub fn verify_slip(&self, leaf: &Hash, log: &Verifier) -> Result<Checkpoint, ProofRefusal> {
        self.checkpoint.verify(log)?;
        let checkpoint = Checkpoint::from_body(self.checkpoint.text())?;
        if checkpoint.origin != log.name() {
            return Err(ProofRefusal::Note(NoteError::Origin));
        }
        self.verify_in(leaf, &checkpoint)?;
        Ok(checkpoint)
    }

    /// Checks the inclusion proof against a head.
    fn verify_in(&self, leaf: &Hash, head: &Checkpoint) -> Result<(), ProofError> {
        merkle::verify_inclusion(self.index, head.size, leaf, &self.path, &head.root)
    }
}

impl fmt::Display for TlogProof {
    /// The exact file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MAGIC)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        let mut hashes = String::with_capacity(self.path.len() * 45 + 1);
        put_hash_lines(&mut hashes, &self.path);
        write!(f, "{hashes}{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
