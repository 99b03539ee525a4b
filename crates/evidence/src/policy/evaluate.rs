//! Judging a checkpoint under a policy.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::{Policy, PolicyGroup, PolicyWitness, Word};
use crate::checkpoint::{Checkpoint, check_cosignature};
use crate::note::{NoteError, NoteSignature, SignedNote, Verifier};

/// A witness of the policy whose cosignature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// Its name in the policy.
    pub name: Word,
    /// Its key.
    pub key: Verifier,
    /// When it cosigned, seconds since 1970 by its clock; of several lines the earliest.
    pub time: u64,
}

/// What a policy says of a signed checkpoint whose log signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The head.
    pub checkpoint: Checkpoint,
    /// The key of the log that signed it.
    pub log: Verifier,
    /// The witnesses that cosigned it, in the order of the policy.
    pub cosigned: Vec<Cosigned>,
    /// Signature lines of keys that the policy does not know; they are ignored.
    pub unknown: usize,
    /// What the quorum lacks; nothing if it is met.
    pub missing: Option<Missing>,
}

impl Evaluation {
    /// Whether the quorum cosigned.
    #[must_use]
    pub fn quorum_met(&self) -> bool {
        self.missing.is_none()
    }

    /// This evaluation, if the quorum cosigned: the checkpoint is valid under the policy.
    ///
    /// # Errors
    /// [`PolicyRefusal::Quorum`] with what is missing.
    pub fn require_quorum(self) -> Result<Self, PolicyRefusal> {
        match self.missing {
            None => Ok(self),
            Some(missing) => Err(PolicyRefusal::Quorum(missing)),
        }
    }
}

/// What a quorum lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// This witness has not cosigned.
    Witness(Word),
    /// Too few members of this group have cosigned.
    Group {
        /// Name of the group.
        name: Word,
        /// Members that have.
        have: usize,
        /// Members that must.
        need: usize,
        /// What the others lack.
        lacking: Vec<Missing>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Witness(name) => write!(f, "{name}"),
            Self::Group { name, have, need, lacking } => {
                write!(f, "{name} ({have} of {need} needed; without: ")?;
                for (i, missing) in lacking.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    missing.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Why a checkpoint is not valid under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyRefusal {
    /// It is not a checkpoint.
    #[error("{0}")]
    Malformed(NoteError),
    /// No log of the policy has this origin.
    #[error("the policy lists no log of this origin")]
    UnknownOrigin,
    /// No key of the origin signed it.
    #[error("the log has not signed it")]
    NotSigned,
    /// A line of a key that the policy knows does not verify (signed-note, "Signatures": the whole
    /// note is refused then).
    #[error("the signature of {key} does not verify")]
    Signature {
        /// Name of the key.
        key: String,
    },
    /// The log signed it, the quorum did not.
    #[error("cosignatures are missing: {0}")]
    Quorum(Missing),
}

impl Policy {
    /// Judges a signed note: it must be a checkpoint of a listed log, signed by a key that is
    /// listed for its origin, and every line of a listed key must verify. Whether the quorum
    /// cosigned is told in the result.
    ///
    /// # Errors
    /// [`PolicyRefusal`], but never [`PolicyRefusal::Quorum`].
    pub fn evaluate(&self, note: &SignedNote) -> Result<Evaluation, PolicyRefusal> {
        let checkpoint = Checkpoint::from_body(note.text()).map_err(PolicyRefusal::Malformed)?;
        // Lines of other logs' keys too: a known key's bad line refuses the note.
        for key in self.logs.iter().map(|log| &log.key) {
            match note.verify(key) {
                Ok(()) | Err(NoteError::NotSigned) => {}
                Err(_) => return Err(PolicyRefusal::Signature { key: key.name().to_owned() }),
            }
        }
        let log = self.signer(note, &checkpoint.origin)?.clone();
        let cosigned = self.cosignatures(note)?;
        let missing = self.missing(&cosigned);
        let unknown = note.signatures().iter().filter(|line| !self.knows(line)).count();
        Ok(Evaluation { checkpoint, log, cosigned, unknown, missing })
    }

    /// Judges a signed note as [`Policy::evaluate`] does, and demands the quorum.
    ///
    /// # Errors
    /// [`PolicyRefusal`].
    pub fn accept(&self, note: &SignedNote) -> Result<Evaluation, PolicyRefusal> {
        self.evaluate(note)?.require_quorum()
    }

    /// The listed key of the origin that made a line of the note.
    fn signer(&self, note: &SignedNote, origin: &str) -> Result<&Verifier, PolicyRefusal> {
        let mut known = false;
        for key in self.logs.iter().map(|log| &log.key).filter(|key| key.name() == origin) {
            if note.signatures().iter().any(|line| key.made(line)) {
                return Ok(key);
            }
            known = true;
        }
        Err(if known { PolicyRefusal::NotSigned } else { PolicyRefusal::UnknownOrigin })
    }

    /// The witnesses whose lines verify.
    fn cosignatures(&self, note: &SignedNote) -> Result<Vec<Cosigned>, PolicyRefusal> {
        let mut cosigned = Vec::new();
        for witness in &self.witnesses {
            let mut earliest = None;
            for line in note.signatures().iter().filter(|line| witness.key.made(line)) {
                let time = check_cosignature(note.text(), line, &witness.key)
                    .map_err(|_| PolicyRefusal::Signature { key: witness.key.name().to_owned() })?;
                earliest = Some(earliest.map_or(time, |before: u64| before.min(time)));
            }
            if let Some(time) = earliest {
                let (name, key) = (witness.name.clone(), witness.key.clone());
                cosigned.push(Cosigned { name, key, time });
            }
        }
        Ok(cosigned)
    }

    /// Whether the line is of a listed key.
    fn knows(&self, line: &NoteSignature) -> bool {
        let logs = self.logs.iter().map(|log| &log.key);
        logs.chain(self.witnesses.iter().map(|w| &w.key)).any(|key| key.made(line))
    }

    /// What the quorum lacks. Each group is judged once, in the order of the lines.
    fn missing(&self, cosigned: &[Cosigned]) -> Option<Missing> {
        let quorum = self.quorum.as_ref()?;
        let mut lacks: BTreeMap<&Word, Option<Missing>> = BTreeMap::new();
        for PolicyWitness { name, .. } in &self.witnesses {
            let there = cosigned.iter().any(|cosigned| cosigned.name == *name);
            lacks.insert(name, (!there).then(|| Missing::Witness(name.clone())));
        }
        for PolicyGroup { name, threshold, members } in &self.groups {
            let lacking: Vec<Missing> =
                members.iter().filter_map(|member| lacks.get(member).cloned().flatten()).collect();
            let (have, need) = (members.len() - lacking.len(), threshold.needed(members.len()));
            let group = Missing::Group { name: name.clone(), have, need, lacking };
            lacks.insert(name, (have < need).then_some(group));
        }
        lacks.remove(quorum).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_missing_reads_as_a_sentence() {
        let lacking = vec![Missing::Witness(word("a")), Missing::Witness(word("b"))];
        let peers = Missing::Group { name: word("peers"), have: 0, need: 1, lacking };
        let lacking = vec![Missing::Witness(word("mirror")), peers];
        let all = Missing::Group { name: word("region"), have: 1, need: 3, lacking };
        let text = "region (1 of 3 needed; without: mirror, peers (0 of 1 needed; without: a, b))";
        assert_eq!(all.to_string(), text);
    }
}
