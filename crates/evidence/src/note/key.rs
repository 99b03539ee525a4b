//! Keys of notes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::{MAX_KEY_NAME, NoteError, NoteSignature};
use crate::hash::sha256_parts;

/// What a key signs; the signature type byte of its key id and of its text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `0x01`: Ed25519 over the note's text, the log itself.
    Log = 0x01,
    /// `0x04`: timestamped Ed25519 cosignature, a witness or a mirror.
    Cosigner = 0x04,
}

impl Kind {
    /// The signature type byte.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this signature type byte, if it is known here.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0x01 => Some(Self::Log),
            0x04 => Some(Self::Cosigner),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Log => "log",
            Self::Cosigner => "cosigner",
        })
    }
}

/// The key id: `SHA-256(name || 0x0A || type || public key)[..4]`, big-endian.
#[must_use]
pub fn key_id(name: &str, kind: Kind, public_key: &[u8; 32]) -> u32 {
    let digest = sha256_parts(&[name.as_bytes(), b"\n", &[kind.code()], public_key]);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Refuses what cannot be the name of a key: empty, above [`MAX_KEY_NAME`] bytes, any Unicode
/// space, a plus, or a control character (which no note may hold).
pub(crate) fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c == '+' || c < ' ';
    if name.is_empty() || name.len() > MAX_KEY_NAME || name.chars().any(bad) {
        return Err(NoteError::Name);
    }
    Ok(())
}

/// A public key with its name and kind. Its text form is the C2SP verifier key
/// `name+hash+base64(type || public key)`, the hash as eight lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    kind: Kind,
    id: u32,
    key: VerifyingKey,
}

impl Verifier {
    /// A key of this kind from its raw 32 bytes.
    ///
    /// # Errors
    /// [`NoteError::Name`], or [`NoteError::PublicKey`] for bytes that are no point of the curve
    /// or a point of small order.
    pub fn new(name: &str, kind: Kind, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| NoteError::PublicKey)?;
        if key.is_weak() {
            return Err(NoteError::PublicKey);
        }
        Ok(Self { name: name.to_owned(), kind, id: key_id(name, kind, public_key), key })
    }

    /// The key of a log.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn log(name: &str, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, Kind::Log, public_key)
    }

    /// The key of a witness or a mirror.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn cosigner(name: &str, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, Kind::Cosigner, public_key)
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// [`key_id`] of the key.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.id
    }

    /// The raw public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether the line names this key.
    pub(crate) fn made(&self, line: &NoteSignature) -> bool {
        line.name() == self.name && line.key_id() == self.id
    }

    /// Refuses a key of the other kind.
    pub(crate) fn expect(&self, expected: Kind) -> Result<(), NoteError> {
        if self.kind == expected { Ok(()) } else { Err(NoteError::Kind { expected }) }
    }

    /// Checks a raw Ed25519 signature strictly (RFC 8032, no small-order points).
    pub(crate) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        let raw = <[u8; 64]>::try_from(signature).map_err(|_| NoteError::Signature)?;
        let checked = self.key.verify_strict(message, &Signature::from_bytes(&raw));
        checked.map_err(|_| NoteError::Signature)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = [0; 33];
        material[0] = self.kind.code();
        material[1..].copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(material))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({self})")
    }
}

impl FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |field| NoteError::VerifierKey { field };
        // Base64 may hold a plus, a name may not: split from the left.
        let mut parts = text.splitn(3, '+');
        let name = parts.next().ok_or(malformed("name"))?;
        let hash = parts.next().ok_or(malformed("hash"))?;
        let material = parts.next().ok_or(malformed("key"))?;
        check_name(name)?;
        let material = STANDARD.decode(material).map_err(|_| malformed("key"))?;
        let (kind, key) = material.split_first().ok_or(malformed("key"))?;
        let kind = Kind::from_code(*kind).ok_or(NoteError::UnknownKind { found: *kind })?;
        let key = <[u8; 32]>::try_from(key).map_err(|_| malformed("key"))?;
        let verifier = Self::new(name, kind, &key)?;
        if hash != format!("{:08x}", verifier.id) {
            return Err(malformed("hash"));
        }
        Ok(verifier)
    }
}

/// A secret key with its name and kind. The seed is wiped from memory when it is dropped; `Debug`
/// shows the public part only.
pub struct Signer {
    key: SigningKey,
    public: Verifier,
}

impl Signer {
    /// A key of this kind from its Ed25519 seed.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, kind: Kind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = Verifier::new(name, kind, key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }

    /// The key of a log; its name is the log's origin.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn log(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, Kind::Log, seed)
    }

    /// The key of a witness or a mirror.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn cosigner(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, Kind::Cosigner, seed)
    }

    /// The public part.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.public.clone()
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        self.public.name()
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.public.kind()
    }

    /// A raw Ed25519 signature; deterministic (RFC 8032).
    pub(crate) fn raw(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// A signature line with these bytes behind the key id.
    pub(crate) fn line(&self, signature: Vec<u8>) -> NoteSignature {
        NoteSignature::of(&self.public, signature)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published keys of Go's `golang.org/x/mod/sumdb/note` documentation.
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_SKEY: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    #[test]
    fn published_verifier_key_is_read_and_written() {
        let verifier: Verifier = GO_VKEY.parse().unwrap();
        assert_eq!((verifier.name(), verifier.kind()), ("PeterNeumann", Kind::Log));
        assert_eq!(verifier.key_id(), 0xc74f_20a3);
        assert_eq!(verifier.to_string(), GO_VKEY);
    }

    #[test]
    fn published_secret_key_has_the_published_public_key() {
        let seed = STANDARD.decode(GO_SKEY).unwrap();
        let seed: [u8; 32] = seed[1..].try_into().unwrap();
        let signer = Signer::log("PeterNeumann", &seed).unwrap();
        assert_eq!(signer.verifier().to_string(), GO_VKEY);
        assert_eq!(format!("{signer:?}"), format!("Signer({GO_VKEY})"));
    }

    #[test]
    fn kinds_of_one_key_have_different_ids() {
        let log = Signer::log("a/b", &[7; 32]).unwrap().verifier();
        let cosigner = Signer::cosigner("a/b", &[7; 32]).unwrap().verifier();
        assert_eq!(log.public_key(), cosigner.public_key());
        assert_ne!(log.key_id(), cosigner.key_id());
        assert_eq!(cosigner.to_string().parse::<Verifier>().unwrap(), cosigner);
    }

    #[test]
    fn other_spellings_of_a_verifier_key_are_refused() {
        let refused = |text: &str| text.parse::<Verifier>().unwrap_err();
        let field = |field| NoteError::VerifierKey { field };
        assert_eq!(refused("PeterNeumann"), field("hash"));
        assert_eq!(refused("PeterNeumann+c74f20a3"), field("key"));
        assert_eq!(refused(&GO_VKEY.replace("c74f20a3", "C74F20A3")), field("hash"));
        assert_eq!(refused(&GO_VKEY.replace("c74f20a3", "c74f20a4")), field("hash"));
        assert_eq!(refused(&format!("{GO_VKEY}=")), field("key"));
        assert_eq!(refused(&GO_VKEY.replace("Peter", "Peter ")), NoteError::Name);
        assert_eq!(refused(&GO_VKEY.replace("+AR", "+Ah")), NoteError::UnknownKind { found: 2 });
    }

    #[test]
    fn weak_and_impossible_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(Verifier::log("a", &identity).unwrap_err(), NoteError::PublicKey);
        assert_eq!(Verifier::log("a", &[0; 32]).unwrap_err(), NoteError::PublicKey);
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{1}"] {
            assert_eq!(Signer::log(name, &[1; 32]).unwrap_err(), NoteError::Name);
        }
    }
}
