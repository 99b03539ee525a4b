//! Notes and their signature lines.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::check_name;
use super::{Kind, MAX_NOTE, MAX_SIGNATURES, NoteError, Signer, Verifier};

/// What a signature line starts with: em dash, space.
const DASH: &str = "\u{2014} ";

/// One signature line: `— name base64(key id || signature)` and a newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// A line of this key.
    pub(super) fn of(verifier: &Verifier, signature: Vec<u8>) -> Self {
        Self { name: verifier.name().to_owned(), key_id: verifier.key_id(), signature }
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The bytes behind the key id; what they are depends on the key's kind.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Reads a line without its newline.
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        check_name(name).ok()?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        if signature.is_empty() {
            return None;
        }
        let key_id = u32::from_be_bytes(*id);
        Some(Self { name: name.to_owned(), key_id, signature: signature.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    /// The line with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        writeln!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// Reads exactly one line with its newline.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_NOTE {
            return Err(NoteError::TooLarge { size: text.len() });
        }
        text.strip_suffix('\n').and_then(Self::parse).ok_or(NoteError::Line { line: 1 })
    }
}

/// A note as it was read: nothing of it may be believed before [`SignedNote::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note; its text ends at the last empty line.
    ///
    /// # Errors
    /// [`NoteError`] naming what is malformed; nothing is verified.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        check_text(note)?;
        let cut = note.rfind("\n\n").ok_or(NoteError::Shape)?;
        let (text, lines) = (&note[..=cut], &note[cut + 2..]);
        if lines.is_empty() {
            return Err(NoteError::Shape);
        }
        let mut signatures = Vec::new();
        for (i, line) in lines.split_terminator('\n').enumerate() {
            if i == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(NoteSignature::parse(line).ok_or(NoteError::Line { line: i + 1 })?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Signs a text with the key of a log.
    ///
    /// # Errors
    /// [`NoteError::Kind`] for a cosigner's key; [`NoteError::Shape`], [`NoteError::Control`] or
    /// [`NoteError::TooLarge`] for a text that no note can have.
    pub fn sign(text: &str, signer: &Signer) -> Result<Self, NoteError> {
        signer.verifier().expect(Kind::Log)?;
        check_text(text)?;
        let line = signer.line(signer.raw(text.as_bytes()).to_vec());
        Ok(Self { text: text.to_owned(), signatures: vec![line] })
    }

    /// The text with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line behind the others; what it says is not checked.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn push(&mut self, line: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(line);
        Ok(())
    }

    /// Checks that the log's key signed the text: at least one line is of this key, and each
    /// that is verifies. Lines of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::Kind`], [`NoteError::NotSigned`] or [`NoteError::Signature`].
    pub fn verify(&self, log: &Verifier) -> Result<(), NoteError> {
        log.expect(Kind::Log)?;
        let mut found = false;
        for line in self.signatures.iter().filter(|line| log.made(line)) {
            log.check(self.text.as_bytes(), line.signature())?;
            found = true;
        }
        if found { Ok(()) } else { Err(NoteError::NotSigned) }
    }

    /// Checks that one of several keys signed the text, as after a key was rotated, and returns the
    /// first of them that did. A line of any of these keys that does not verify refuses the note
    /// (signed-note, "Signatures").
    ///
    /// # Errors
    /// [`NoteError::Kind`], [`NoteError::NotSigned`] or [`NoteError::Signature`].
    pub fn verify_any<'k>(
        &self,
        logs: impl IntoIterator<Item = &'k Verifier>,
    ) -> Result<&'k Verifier, NoteError> {
        let mut signed = None;
        for log in logs {
            match self.verify(log) {
                Ok(()) => signed = signed.or(Some(log)),
                Err(NoteError::NotSigned) => {}
                Err(error) => return Err(error),
            }
        }
        signed.ok_or(NoteError::NotSigned)
    }
}

impl fmt::Display for SignedNote {
    /// The exact note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| line.fmt(f))
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        Self::parse(note)
    }
}

/// The rules on characters that hold for a note and for its text.
fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_NOTE {
        return Err(NoteError::TooLarge { size: text.len() });
    }
    if let Some(at) = text.bytes().position(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Control { at });
    }
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::Shape) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of Go's `golang.org/x/mod/sumdb/note` documentation.
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng\
        otpRZb6KE6RyyBwJnAM=\n";
    /// The published example of the Elixir package `signed_note`.
    const FOO_VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const FOO_NOTE: &str = "This is an example message.\n\n\
        — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3m\
        FXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn published_notes_verify_and_re_encode() {
        for (vkey, text) in [(GO_VKEY, GO_NOTE), (FOO_VKEY, FOO_NOTE)] {
            let note = SignedNote::parse(text).unwrap();
            assert_eq!(note.verify(&vkey.parse().unwrap()), Ok(()));
            assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn published_secret_key_gives_the_published_note() {
        let seed = STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
        let signer = Signer::log("PeterNeumann", &seed[1..].try_into().unwrap()).unwrap();
        let (text, _) = GO_NOTE.split_once("\n\n").unwrap();
        let note = SignedNote::sign(&format!("{text}\n"), &signer).unwrap();
        assert_eq!(note.to_string(), GO_NOTE);
    }

    #[test]
    fn changed_text_and_foreign_keys_are_refused() {
        let note = SignedNote::parse(&GO_NOTE.replace("your problem,", "our problem,")).unwrap();
        assert_eq!(note.verify(&GO_VKEY.parse().unwrap()), Err(NoteError::Signature));
        let note = SignedNote::parse(GO_NOTE).unwrap();
        assert_eq!(note.verify(&FOO_VKEY.parse().unwrap()), Err(NoteError::NotSigned));
        let cosigner = Signer::cosigner("PeterNeumann", &[1; 32]).unwrap();
        let wrong = Err(NoteError::Kind { expected: Kind::Log });
        assert_eq!(note.verify(&cosigner.verifier()), wrong);
        assert_eq!(SignedNote::sign("a\n", &cosigner).map(|_| ()), wrong);
    }

    #[test]
    fn one_bad_line_of_a_known_key_refuses_the_note() {
        let mut note = SignedNote::parse(GO_NOTE).unwrap();
        let mut line = note.signatures()[0].clone();
        line.signature[9] ^= 1;
        note.push(line).unwrap();
        assert_eq!(note.verify(&GO_VKEY.parse().unwrap()), Err(NoteError::Signature));
    }

    #[test]
    fn text_may_hold_empty_lines() {
        let signer = Signer::log("a", &[3; 32]).unwrap();
        for text in ["\n", "a\n\nb\n", "a\n\n\n"] {
            let note = SignedNote::sign(text, &signer).unwrap();
            let read = SignedNote::parse(&note.to_string()).unwrap();
            assert_eq!((read.text(), read.verify(&signer.verifier())), (text, Ok(())));
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let refused = |text: &str| SignedNote::parse(text).unwrap_err();
        assert_eq!(refused(""), NoteError::Shape);
        assert_eq!(refused("a\n"), NoteError::Shape);
        assert_eq!(refused("a\n\n"), NoteError::Shape);
        assert_eq!(refused(GO_NOTE.trim_end()), NoteError::Shape);
        assert_eq!(refused("a\r\n\n— a AAAAAAA=\n"), NoteError::Control { at: 1 });
        for line in ["-- a AAAAAAA=", "— a", "— a AAAAAA==", "— a AAAAAAB=", "— a+b AAAAAAA=", "—"]
        {
            assert_eq!(refused(&format!("a\n\n{line}\n")), NoteError::Line { line: 1 }, "{line}");
        }
        let many = format!("a\n\n{}", "— a AAAAAAA=\n".repeat(65));
        assert_eq!(refused(&many), NoteError::TooManySignatures);
        let large = format!("{}\n", "a".repeat(MAX_NOTE));
        assert_eq!(refused(&large), NoteError::TooLarge { size: MAX_NOTE + 1 });
    }
}
