//! Statements of succession: the key of one epoch of a log names the key of the next.
//!
//! One key signs one epoch. When an epoch ends while its key is still at hand, that key signs a
//! note (C2SP signed-note) which says where the epoch ends and who goes on:
//!
//! ```text
//! adal/succession/v1
//! <origin of the epoch that ends>
//! <size>
//! <base64 root>
//! <origin of the epoch that goes on>
//! <verifier key of that epoch>
//! ```
//!
//! Whoever knows the key of the first epoch therefore knows the keys of all: the statements form a
//! chain. The first line keeps a statement from being read as a checkpoint and the reverse: the
//! second line of a checkpoint is a number, which no origin is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::note::{Kind, NoteError, SignedNote, Signer, Verifier};

/// First line of a statement; the number is the version of the format.
pub const FIRST_LINE: &str = "adal/succession/v1";

/// Longest statement that is read, in bytes: two origins, a verifier key and some signatures.
pub const MAX_STATEMENT: usize = 4_096;

/// Why a text is no statement of succession, or not one that may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuccessionError {
    /// More than [`MAX_STATEMENT`] bytes.
    #[error("a statement of succession of {size} bytes; at most {MAX_STATEMENT} are read")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
    },
    /// A line is missing, in excess or not as the format wants it.
    #[error("a statement of succession: {field} is malformed")]
    Field {
        /// Which part.
        field: &'static str,
    },
    /// The key that would sign it, or that it is checked with, is not that of the epoch that ends.
    #[error("a statement of succession is signed by the key of the epoch that ends, and no other")]
    Signer,
    /// The note around it is malformed or its signature does not verify.
    #[error("a statement of succession: {0}")]
    Note(#[from] NoteError),
}

/// Where an epoch ends, and the key of the one that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// Origin of the epoch that ends, with the number of its records that its writer holds and the
    /// root over them.
    pub closed: Checkpoint,
    /// Key of the epoch that goes on; its name is that epoch's origin.
    pub successor: Verifier,
}

impl Succession {
    /// The note's text.
    #[must_use]
    pub fn body(&self) -> String {
        let Checkpoint { origin, size, root } = &self.closed;
        let (name, root) = (self.successor.name(), STANDARD.encode(root));
        format!("{FIRST_LINE}\n{origin}\n{size}\n{root}\n{name}\n{}\n", self.successor)
    }

    /// Reads a text in its only spelling.
    ///
    /// # Errors
    /// [`SuccessionError`] naming the part.
    pub fn from_body(body: &str) -> Result<Self, SuccessionError> {
        let malformed = |field| SuccessionError::Field { field };
        let rest = body.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or(malformed("first line"))?;
        let ends: Vec<usize> = rest.match_indices('\n').map(|(at, _)| at).collect();
        let [_, _, third, fourth, fifth] = ends[..] else { return Err(malformed("line count")) };
        if fifth + 1 != rest.len() {
            return Err(malformed("last line"));
        }
        let closed = Checkpoint::from_body(&rest[..=third])?;
        let (origin, key) = (&rest[third + 1..fourth], &rest[fourth + 1..fifth]);
        let successor: Verifier = key.parse()?;
        if successor.name() != origin {
            return Err(malformed("successor's name"));
        }
        let statement = Self { closed, successor };
        statement.check()?;
        // Base64 has more than one spelling of some keys; a text has one.
        if statement.body() == body { Ok(statement) } else { Err(malformed("spelling")) }
    }

    fn check(&self) -> Result<(), SuccessionError> {
        if self.successor.kind() != Kind::Log {
            return Err(SuccessionError::Field { field: "kind of the successor's key" });
        }
        if self.successor.name() == self.closed.origin {
            return Err(SuccessionError::Field { field: "successor's origin" });
        }
        Ok(())
    }

    /// The signed note. Deterministic: the same statement always gives the same note. To be signed
    /// only over records that are durable, behind which nothing is appended to the epoch.
    ///
    /// # Errors
    /// [`SuccessionError::Signer`] for another key than that of the epoch that ends.
    pub fn sign(&self, signer: &Signer) -> Result<String, SuccessionError> {
        self.check()?;
        if signer.name() != self.closed.origin || signer.kind() != Kind::Log {
            return Err(SuccessionError::Signer);
        }
        Ok(SignedNote::sign(&self.body(), signer)?.to_string())
    }

    /// Reads a statement and checks that the key of the epoch that ends signed it.
    ///
    /// # Errors
    /// [`SuccessionError`] naming what is malformed or not verified.
    pub fn open(note: &str, closed: &Verifier) -> Result<Self, SuccessionError> {
        let (statement, signed) = read(note)?;
        signed.verify(closed)?;
        let named = statement.closed.origin == closed.name() && closed.kind() == Kind::Log;
        if named { Ok(statement) } else { Err(SuccessionError::Signer) }
    }

    /// Reads what a statement *claims*, **without** checking its signature: for one that was
    /// verified before it was stored, or to learn whose key it needs.
    ///
    /// # Errors
    /// [`SuccessionError`] naming what is malformed.
    pub fn parse(note: &str) -> Result<Self, SuccessionError> {
        read(note).map(|(statement, _)| statement)
    }
}

fn read(note: &str) -> Result<(Succession, SignedNote), SuccessionError> {
    if note.len() > MAX_STATEMENT {
        return Err(SuccessionError::TooLarge { size: note.len() });
    }
    let signed = SignedNote::parse(note)?;
    Ok((Succession::from_body(signed.text())?, signed))
}
