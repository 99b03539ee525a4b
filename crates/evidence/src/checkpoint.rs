//! Checkpoints (C2SP tlog-checkpoint) and cosignatures on them (C2SP tlog-cosignature v1).
//!
//! A log's signed head is a note whose text is origin, size and root, one line each. Extension
//! lines, which the format discourages, are refused. Sizes are at most 2^53.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::log::{MAX_TREE_SIZE, decimal};
use crate::merkle::empty_root;
use crate::note::{Kind, NoteError, NoteSignature, SignedNote, Signer, Verifier, check_name};

/// Largest time of a cosignature, seconds since 1970.
const MAX_TIME: u64 = i64::MAX as u64;

/// A head of a log: its size and root under its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin of the log's epoch ([`crate::log::origin`]), also the name of its key.
    pub origin: String,
    /// Number of leaves, at most 2^53.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The note's text: `origin\nsize\nbase64(root)\n`.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a body in its only spelling.
    ///
    /// # Errors
    /// [`NoteError::Checkpoint`] naming the field.
    pub fn from_body(body: &str) -> Result<Self, NoteError> {
        let malformed = |field| NoteError::Checkpoint { field };
        let mut lines = body.splitn(4, '\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().ok_or(malformed("size"))?;
        let root = lines.next().ok_or(malformed("root"))?;
        match lines.next() {
            Some("") => {}
            Some(_) => return Err(malformed("extension")),
            None => return Err(malformed("root")),
        }
        let size = decimal(size).ok_or(malformed("size"))?;
        // The largest base64 here is 44 characters, so a longer one is refused before decoding.
        let root = Some(root).filter(|root| root.len() == 44).ok_or(malformed("root"))?;
        let root = STANDARD.decode(root).map_err(|_| malformed("root"))?;
        let root = Hash::try_from(root.as_slice()).map_err(|_| malformed("root"))?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// The rules on values: a legal origin, a size of at most 2^53, the root of the empty tree
    /// under size 0.
    fn check(&self) -> Result<(), NoteError> {
        check_name(&self.origin).map_err(|_| NoteError::Checkpoint { field: "origin" })?;
        if self.size > MAX_TREE_SIZE {
            return Err(NoteError::Checkpoint { field: "size" });
        }
        if self.size == 0 && self.root != empty_root() {
            return Err(NoteError::Checkpoint { field: "root" });
        }
        Ok(())
    }

    /// The signed note of this head. The signature is deterministic: signing the same head again
    /// gives the same note. Only heads over durable leaves may be signed.
    ///
    /// # Errors
    /// [`NoteError::Kind`] for a cosigner's key, [`NoteError::Origin`] if the key has another
    /// name, [`NoteError::Checkpoint`] for values that no checkpoint has.
    pub fn sign(&self, signer: &Signer) -> Result<String, NoteError> {
        self.check()?;
        if signer.name() != self.origin {
            return Err(NoteError::Origin);
        }
        Ok(SignedNote::sign(&self.body(), signer)?.to_string())
    }

    /// Reads a note and checks that the log with this key signed it; the key's name must be the
    /// origin. Cosignatures on it are not looked at ([`verify_cosignature`]).
    ///
    /// # Errors
    /// [`NoteError`] naming what is malformed or not verified.
    pub fn open(note: &str, log: &Verifier) -> Result<Self, NoteError> {
        let note = SignedNote::parse(note)?;
        note.verify(log)?;
        let checkpoint = Self::from_body(note.text())?;
        if checkpoint.origin == log.name() { Ok(checkpoint) } else { Err(NoteError::Origin) }
    }

    /// Reads what a note *claims*, **without** checking a signature: for a note that was verified
    /// before it was stored, or to learn whose key it needs.
    ///
    /// # Errors
    /// [`NoteError`] naming what is malformed.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        Self::from_body(SignedNote::parse(note)?.text())
    }
}

/// Cosigns a checkpoint and returns the signature line with its newline. The caller has verified
/// the log's signature and consistency, and has made durable what the cosignature states.
///
/// `note` is the signed note or its body alone; `unix_seconds` the time of cosigning.
///
/// # Errors
/// [`NoteError::Kind`] for a log's key, [`NoteError::Time`], or what is malformed in the note.
pub fn cosign(note: &str, signer: &Signer, unix_seconds: u64) -> Result<String, NoteError> {
    signer.verifier().expect(Kind::Cosigner)?;
    let message = cosigned_message(&cosigned_body(note)?, unix_seconds)?;
    let mut signature = unix_seconds.to_be_bytes().to_vec();
    signature.extend_from_slice(&signer.raw(message.as_bytes()));
    Ok(signer.line(signature).to_string())
}

/// Checks one cosignature line (with its newline) on a checkpoint and returns its time, seconds
/// since 1970 by the cosigner's clock.
///
/// `note` is the signed note or its body alone; the log's own signature is not checked here.
///
/// # Errors
/// [`NoteError::NotSigned`] if the line is of another key, [`NoteError::Signature`] if it does not
/// verify, or what is malformed.
pub fn verify_cosignature(note: &str, line: &str, verifier: &Verifier) -> Result<u64, NoteError> {
    check_cosignature(&cosigned_body(note)?, &line.parse()?, verifier)
}

/// As [`verify_cosignature`], on the body of a checkpoint and a line that are read already.
pub(crate) fn check_cosignature(
    body: &str,
    line: &NoteSignature,
    verifier: &Verifier,
) -> Result<u64, NoteError> {
    verifier.expect(Kind::Cosigner)?;
    if !verifier.made(line) {
        return Err(NoteError::NotSigned);
    }
    let (time, signature) = line.signature().split_first_chunk().ok_or(NoteError::Signature)?;
    let time = u64::from_be_bytes(*time);
    verifier.check(cosigned_message(body, time)?.as_bytes(), signature)?;
    Ok(time)
}

/// What a cosigner signs: `cosignature/v1\ntime <t>\n<body>`.
fn cosigned_message(body: &str, time: u64) -> Result<String, NoteError> {
    if time > MAX_TIME {
        return Err(NoteError::Time { time });
    }
    Ok(format!("cosignature/v1\ntime {time}\n{body}"))
}

/// The body of a checkpoint, from its signed note or from the body itself.
fn cosigned_body(note: &str) -> Result<String, NoteError> {
    // A body has no empty line, so the two forms cannot be mistaken for one another.
    let checkpoint = match note.contains("\n\n") {
        true => Checkpoint::parse(note)?,
        false => Checkpoint::from_body(note)?,
    };
    Ok(checkpoint.body())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const ORIGIN: &str = "adal.example/log/kz-75";

    fn head() -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: 7, root: [9; 32] }
    }

    fn log() -> Signer {
        Signer::log(ORIGIN, &[1; 32]).unwrap()
    }

    fn witness() -> Signer {
        Signer::cosigner("adal.example/witness/kz", &[2; 32]).unwrap()
    }

    #[test]
    fn body_is_the_published_example() {
        let body =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::from_body(body).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.body(), body);
    }

    #[test]
    fn published_note_with_a_cosignature_is_read_and_written() {
        let text = "example.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5\
            /Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrD\
            JsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = SignedNote::parse(text).unwrap();
        assert_eq!(note.to_string(), text);
        let time = note.signatures()[1].signature().first_chunk::<8>().unwrap();
        assert_eq!(u64::from_be_bytes(*time), 1_679_315_147);
        assert_eq!(Checkpoint::parse(text).unwrap().size, 20_852_163);
    }

    #[test]
    fn signed_head_opens_under_its_own_key_only() {
        let note = head().sign(&log()).unwrap();
        assert_eq!(note, head().sign(&log()).unwrap());
        assert_eq!(Checkpoint::open(&note, &log().verifier()), Ok(head()));
        let other = Signer::log(ORIGIN, &[5; 32]).unwrap().verifier();
        assert_eq!(Checkpoint::open(&note, &other), Err(NoteError::NotSigned));
        let changed = note.replacen("\n7\n", "\n8\n", 1);
        assert_eq!(Checkpoint::open(&changed, &log().verifier()), Err(NoteError::Signature));
    }

    #[test]
    fn a_head_of_another_origin_is_refused() {
        let stranger = Signer::log("adal.example/log/kz-27", &[1; 32]).unwrap();
        assert_eq!(head().sign(&stranger), Err(NoteError::Origin));
        let note = SignedNote::sign(&head().body(), &stranger).unwrap().to_string();
        assert_eq!(Checkpoint::open(&note, &stranger.verifier()), Err(NoteError::Origin));
    }

    #[test]
    fn cosignature_is_what_the_specification_says() {
        let note = head().sign(&log()).unwrap();
        let line = cosign(&note, &witness(), 1_679_315_147).unwrap();
        assert_eq!(line, cosign(&head().body(), &witness(), 1_679_315_147).unwrap());
        // Built by hand: key id, time, signature over the prefixed body.
        let message = format!("cosignature/v1\ntime 1679315147\n{}", head().body());
        let mut bytes = witness().verifier().key_id().to_be_bytes().to_vec();
        bytes.extend_from_slice(&1_679_315_147u64.to_be_bytes());
        let key = SigningKey::from_bytes(&[2; 32]);
        bytes.extend_from_slice(&key.sign(message.as_bytes()).to_bytes());
        assert_eq!(line, format!("— adal.example/witness/kz {}\n", STANDARD.encode(bytes)));

        let verifier = witness().verifier();
        assert_eq!(verify_cosignature(&note, &line, &verifier), Ok(1_679_315_147));
        assert_eq!(verify_cosignature(&head().body(), &line, &verifier), Ok(1_679_315_147));
        // The same line may ride on the note itself.
        let full = format!("{note}{line}");
        assert_eq!(Checkpoint::open(&full, &log().verifier()), Ok(head()));
        assert_eq!(verify_cosignature(&full, &line, &verifier), Ok(1_679_315_147));
    }

    #[test]
    fn wrong_cosignatures_are_refused() {
        let line = cosign(&head().body(), &witness(), 5).unwrap();
        let verifier = witness().verifier();
        let other = Checkpoint { size: 8, ..head() }.body();
        assert_eq!(verify_cosignature(&other, &line, &verifier), Err(NoteError::Signature));
        let stranger = Signer::cosigner("adal.example/witness/kz", &[3; 32]).unwrap();
        let body = head().body();
        let refused = |line: &str, key: &Verifier| verify_cosignature(&body, line, key);
        assert_eq!(refused(&line, &stranger.verifier()), Err(NoteError::NotSigned));
        assert_eq!(refused(line.trim_end(), &verifier), Err(NoteError::Line { line: 1 }));
        let expected = Kind::Cosigner;
        assert_eq!(refused(&line, &log().verifier()), Err(NoteError::Kind { expected }));
        assert_eq!(cosign(&body, &log(), 5), Err(NoteError::Kind { expected }));
        let late = 1 << 63;
        assert_eq!(cosign(&body, &witness(), late), Err(NoteError::Time { time: late }));
        // A log's signature is not a cosignature, even under the same name and key bytes.
        let twin = Signer::log("adal.example/witness/kz", &[2; 32]).unwrap();
        let twin = SignedNote::sign(&body, &twin).unwrap().signatures()[0].to_string();
        assert_eq!(refused(&twin, &verifier), Err(NoteError::NotSigned));
    }

    #[test]
    fn malformed_bodies_name_the_field() {
        let root = STANDARD.encode([9; 32]);
        let cases = [
            ("".to_owned(), "size"),
            ("a\n7".to_owned(), "root"),
            (format!("a\n7\n{root}"), "root"),
            (format!("\n7\n{root}\n"), "origin"),
            (format!("a b\n7\n{root}\n"), "origin"),
            (format!("a\n07\n{root}\n"), "size"),
            (format!("a\n+7\n{root}\n"), "size"),
            (format!("a\n9007199254740993\n{root}\n"), "size"),
            (format!("a\n7\n{}\n", &root[..40]), "root"),
            (format!("a\n7\n{root}=\n"), "root"),
            (format!("a\n0\n{root}\n"), "root"),
            (format!("a\n7\n{root}\nextra\n"), "extension"),
            (format!("a\n7\n{root}\n\n"), "extension"),
        ];
        for (body, field) in cases {
            assert_eq!(
                Checkpoint::from_body(&body),
                Err(NoteError::Checkpoint { field }),
                "{body}"
            );
        }
        assert!(Checkpoint::from_body(&format!("a\n9007199254740992\n{root}\n")).is_ok());
    }
}
