//! The evidence bundle: a folder that an auditor takes away and checks with nothing but his own
//! copy of the policy.
//!
//! ```text
//! policy                    C2SP tlog-policy; judged against the auditor's copy, never trusted
//! checkpoints/*             signed heads with the cosignatures collected so far
//! consistency/*             C2SP tlog-witness requests: from a size N, of which checkpoints/ has a
//!                           head, to the head inside
//! receipts/*.tlog-proof     C2SP tlog-proof that meets the quorum
//! slips/*.tlog-proof        the same with the log's signature alone
//! leaves/<index>            exact log entries
//! log/                      C2SP tlog-tiles copy
//! ```
//!
//! [`verify`] demands that all signed heads of an origin are one history. Two roots for one size
//! are a fork. Every head must be linked upwards, by consistency proofs or by the copy in `log/`,
//! to the largest one that is itself linked so to the newest head with the quorum; a head that
//! nothing links may belong to another view and is refused, and refuses no other. A receipt or slip
//! whose head the log contradicts, or no longer reaches, is proof of suppression. At least one
//! linked head of each origin must meet the quorum: without it there is nothing but the log's own
//! word.
//!
//! Epochs of one log have origins that follow each other without a gap, and an opened record names
//! the log and epoch of the origin under which it is proved. A later epoch is proved to begin with
//! `log.succeeds`, which says where the one before ended: so the end of an epoch cannot be left
//! out, and one that was closed before the quorum cosigned it is vouched for by the next. What a
//! bundle that begins with a later epoch does not show is in the report.
//!
//! [`Files`] is how the folder is read; this module opens no file. The functions that make the
//! pieces of a bundle are in [`write`].

mod check;
mod epochs;
mod heads;
mod judge;
mod report;
pub mod write;

use std::fmt;

use crate::policy::Policy;

pub use report::{
    Conflict, FileReport, OriginRefusal, OriginReport, Refusal, Report, Subject, Verdict,
};

/// Ending of receipts and slips.
pub const PROOF_ENDING: &str = ".tlog-proof";

/// How the files of a bundle are reached.
pub trait Files {
    /// Why a file cannot be read.
    type Error: fmt::Display;

    /// The names of all files in the folder and those below it, with `/` between their parts and
    /// without a leading one; in any order.
    ///
    /// # Errors
    /// Whatever the storage reports.
    fn names(&self) -> Result<Vec<String>, Self::Error>;

    /// The content of a file that [`Files::names`] gave.
    ///
    /// # Errors
    /// Whatever the storage reports, and an error of its own for a file above `limit` bytes.
    fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, Self::Error>;
}

/// Checks every file of a bundle against the auditor's own policy.
///
/// # Errors
/// Only if the names cannot be listed; whatever is wrong with a file is in the report.
pub fn verify<F: Files>(files: &F, policy: &Policy) -> Result<Report, F::Error> {
    Ok(check::Check::new(files, policy)?.run())
}
