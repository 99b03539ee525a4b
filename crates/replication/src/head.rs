//! Opening signed heads, and the stable codes for what can be wrong with one.

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::note::{NoteError, SignedNote, Verifier};
use evidence::verify::HeadError;

use crate::message::RefusalCode;
use crate::queue::{LogId, Reason};

/// Opens a head that must be signed by `verifier` for the origin `name`.
pub(crate) fn open(note: &str, verifier: &Verifier, name: &str) -> Result<Checkpoint, Reason> {
    let checkpoint = Checkpoint::open(note, verifier).map_err(|error| {
        let other_key = error == NoteError::NotSigned && names(note, name);
        let code = if other_key { RefusalCode::WrongKey } else { RefusalCode::BadSignature };
        let text = if other_key {
            format!(
                "a head of {name} is signed by another key than the one known for this epoch; an \
                 epoch has one key for ever. If that key is lost, the office goes on in a new \
                 epoch (`adal journal restore --epoch N`) and the centre takes its new key with \
                 `adal office rekey`; if the wrong file was enrolled, put the right log.key back"
            )
        } else {
            format!("a head of {name} is not valid: {error}")
        };
        Reason::new(code, text).with_notes([note.to_owned()])
    })?;
    if checkpoint.origin != name {
        let text = format!("a head of another origin was sent for {name}");
        return Err(Reason::new(RefusalCode::BadSignature, text));
    }
    Ok(checkpoint)
}

/// The reason why a head that the other office shows of our own log is not one of ours.
pub(crate) fn own(mut reason: Reason, id: &LogId) -> Reason {
    if reason.code == RefusalCode::WrongKey {
        let LogId { log, epoch, .. } = id;
        reason.text = format!(
            "the other office holds a head of {log} epoch {epoch} that was signed by another key \
             than this node has: an epoch has one key for ever, and this one was opened before. \
             Put back the key that signed it; if it is lost, go on in an epoch that was never used \
             (`adal journal restore --epoch N`) and have the centre run `adal office rekey`"
        );
    }
    reason
}

/// Whether two logs that should be one have different first records, by their leaf hashes.
pub(crate) fn begins_anew(here: Option<Hash>, there: Option<Hash>) -> bool {
    here.zip(there).is_some_and(|(here, there)| here != there)
}

/// Whether the note carries a signature under this name, made by whatever key.
fn names(note: &str, name: &str) -> bool {
    SignedNote::parse(note).is_ok_and(|n| n.signatures().iter().any(|s| s.name() == name))
}

/// The code and the operator's text for a head that does not extend the one accepted before.
pub(crate) fn reason(error: &HeadError, log: &LogName) -> Reason {
    match error {
        HeadError::Rollback { held, offered } => Reason::new(
            RefusalCode::Rollback,
            format!(
                "{log} was signed at size {offered} after size {held}: the journal of its office \
                 was restored or lost its end; it must open a successor epoch"
            ),
        ),
        HeadError::Fork { held, offered } => Reason::new(
            RefusalCode::Fork,
            format!(
                "the head of {log} of size {offered} contradicts the head of size {held} that was \
                 co-signed: two histories; both notes and the proof are kept"
            ),
        ),
        HeadError::Proof(error) => Reason::new(
            RefusalCode::BadSignature,
            format!("the proof sent with a head of {log} is malformed: {error}"),
        ),
    }
}
