//! Whether what is given back is what was signed, and what is here a part of it.

use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::merkle::{ProofError, verify_consistency};

use super::Recovery;
use crate::head;
use crate::message::{RefusalCode, Return};
use crate::queue::Reason;

impl Recovery {
    /// The signed head, and what of it the peer holds. What is here must lie below both.
    pub(super) fn check(&self, message: &Return) -> Result<(Checkpoint, Checkpoint), Reason> {
        let signed = head::open(&message.note, &self.verifier, &self.name)?;
        let known = self.head.as_ref().filter(|(known, _)| known.size == signed.size);
        if let Some((_, note)) = known.filter(|(known, _)| known.root != signed.root) {
            let text = format!(
                "two heads of {} of size {} were signed: two histories; both notes are kept",
                self.name, signed.size
            );
            let notes = [note.clone(), message.note.clone()];
            return Err(Reason::new(RefusalCode::Fork, text).with_notes(notes));
        }
        let part = Checkpoint { origin: self.name.clone(), size: message.size, root: message.root };
        let led = lead(&part, &signed, &message.rest);
        led.map_err(|error| self.unproved(&error, message, &message.rest))?;
        let here = self.held.size();
        if here <= part.size {
            let here = Checkpoint { origin: String::new(), size: here, root: self.held.root() };
            if message.old_size != here.size {
                let text = "the proof does not start at what is here".to_owned();
                return Err(Reason::new(RefusalCode::BadSignature, text));
            }
            lead(&here, &part, &message.proof).map_err(|error| match error.contradicts() {
                true => self.other_history(here.size, message),
                false => self.unproved(&error, message, &message.proof),
            })?;
        }
        Ok((signed, part))
    }

    fn unproved(&self, error: &ProofError, message: &Return, proof: &[Hash]) -> Reason {
        let text = format!("what is given back of {} is not what was signed: {error}", self.name);
        let reason = Reason::new(RefusalCode::BadSignature, text);
        reason.with_notes([message.note.clone()]).with_proof(proof)
    }

    pub(super) fn other_history(&self, size: u64, message: &Return) -> Reason {
        let text = format!(
            "the first {size} records of {} here are not those whose head this office signed and \
             the other one co-signed: two histories, both are kept and nothing is taken back. \
             Compare them (`adal evidence compare`); to go on with what is here, start the node \
             once with --without-centre",
            self.name
        );
        let notes = [message.note.clone()];
        Reason::new(RefusalCode::Fork, text).with_notes(notes).with_proof(&message.proof)
    }
}

/// Whether the one tree is a prefix of the other.
fn lead(old: &Checkpoint, new: &Checkpoint, proof: &[Hash]) -> Result<(), ProofError> {
    verify_consistency(old.size, &old.root, new.size, &new.root, proof)
}
