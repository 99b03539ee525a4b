//! Signs the heads of the logs that this office writes.

use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::note::{NoteError, Signer, Verifier};
use journal::ReadError;
use thiserror::Error;

use crate::keys;
use crate::office::Office;

/// Why a head cannot be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// A node of the tree cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The key or the checkpoint is not as the format wants it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key of the epoch is lost.
    #[error("the key that signs epoch {epoch} of {log} is not on this node")]
    NoKey {
        /// The log.
        log: LogName,
        /// The epoch.
        epoch: u32,
    },
}

/// A signer of one epoch of this office's log, under the origin's name as its key name.
///
/// # Errors
/// Where the epoch's key is lost.
pub fn log_signer(office: &Office, log: &LogName, epoch: u32) -> Result<Signer, SignError> {
    let lost = || SignError::NoKey { log: log.clone(), epoch };
    let seed = keys::signing_seed(office, log, epoch).ok_or_else(lost)?;
    Ok(Signer::log(&origin(&office.options.domain, log, epoch), &seed)?)
}

/// The signed head over the first `size` records.
///
/// Only what is durable is ever signed: sizes come from the journal, which publishes them after
/// the sync. The signature is deterministic, so the same size always gives the same note.
///
/// # Errors
/// Where a node of the tree cannot be read.
pub fn sign(office: &Office, log: &LogName, epoch: u32, size: u64) -> Result<String, SignError> {
    let root = office.journal.root_at(log, epoch, size)?;
    let checkpoint = Checkpoint { origin: origin(&office.options.domain, log, epoch), size, root };
    Ok(checkpoint.sign(&log_signer(office, log, epoch)?)?)
}

/// The verifier of one epoch of a log from that epoch's public key.
pub fn log_verifier(
    domain: &str,
    log: &LogName,
    epoch: u32,
    public_key: &[u8; 32],
) -> Result<Verifier, NoteError> {
    Verifier::log(&origin(domain, log, epoch), public_key)
}
