//! The national recovery key: each office wraps the keys of its records for it, so that a burnt
//! server loses no text. Wraps are HPKE (RFC 9180, base mode): DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, ChaCha20-Poly1305. Bytes in `FORMAT.md`.
//!
//! Offices have the public half, in the file `recovery.pub`. The secret half is kept away from
//! every server; who has it opens every sealed text of the country.

use std::fmt;
use std::path::Path;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cipher;
use crate::error::VaultError;
use crate::folder;
use crate::key::{KeyId, Stream, key_commitment};

/// Bytes of a wrap.
pub const WRAP: usize = ABOUT + ENCAPSULATED + SEALED;
/// Bytes that say that a key was destroyed.
pub const DESTROYED: usize = 1 + 16 + 2 + 16;

/// Kind, key id, stream, commitment, recipient: what a wrap is bound to.
const ABOUT: usize = DESTROYED + 32 + RECIPIENT;
/// Bytes that name the recovery key: the first ones of SHA-256 of what its public file says.
const RECIPIENT: usize = 8;
const ENCAPSULATED: usize = 32;
const SEALED: usize = 32 + 16;
const KIND_WRAP: u8 = 1;
const KIND_DESTROYED: u8 = 2;
const INFO: &[u8] = b"adal/vault/recovery/v1\n";
const PUBLIC: &str = "adal-recovery-public-1";
const SECRET: &str = "adal-recovery-secret-1";

type Public = <X25519HkdfSha256 as Kem>::PublicKey;
type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The public half: what keys are wrapped for.
#[derive(Clone)]
pub struct RecoveryPublic(Public);

/// The secret half. Shown nowhere, wiped when dropped.
pub struct RecoverySecret(Private);

/// What is known of a key elsewhere than in its vault.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrap {
    id: KeyId,
    stream: Stream,
    bytes: Vec<u8>,
}

/// A key that was taken out of its wrap.
pub struct Recovered {
    /// Its id.
    pub id: KeyId,
    /// What it seals.
    pub stream: Stream,
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
}

impl RecoverySecret {
    /// A new one.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn generate() -> Result<RecoverySecret, VaultError> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(cipher::random()?);
        Ok(RecoverySecret(X25519HkdfSha256::derive_keypair(&*seed).0))
    }

    /// Its public half.
    pub fn public(&self) -> RecoveryPublic {
        RecoveryPublic(X25519HkdfSha256::sk_to_pk(&self.0))
    }

    /// Writes it to a new file of mode 0600, durably.
    ///
    /// # Errors
    /// [`VaultError::Exists`], [`VaultError::Io`].
    pub fn store(&self, path: &Path) -> Result<(), VaultError> {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        folder::write_new(path, line(SECRET, &bytes).as_bytes())
    }

    /// Reads it from its file.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::NotARecoveryKey`].
    pub fn load(path: &Path) -> Result<RecoverySecret, VaultError> {
        let bytes = read(path, SECRET)?;
        let key = Private::from_bytes(&*bytes).map_err(|_| not_a_key(path, SECRET))?;
        Ok(RecoverySecret(key))
    }

    /// Takes the key out of a wrap; `None` of a key that was destroyed.
    ///
    /// # Errors
    /// [`VaultError::NotAuthentic`]: it was made for another recovery key, or altered.
    pub fn open(&self, wrap: &Wrap) -> Result<Option<Recovered>, VaultError> {
        let (id, stream) = (wrap.id, wrap.stream);
        let Some((about, rest)) = wrap.bytes.split_first_chunk::<ABOUT>() else { return Ok(None) };
        let not_authentic = || VaultError::NotAuthentic { key: id };
        let (encapsulated, sealed) =
            rest.split_at_checked(ENCAPSULATED).ok_or_else(not_authentic)?;
        let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(|_| not_authentic())?;
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            INFO,
            sealed,
            about,
        );
        let opened = Zeroizing::new(opened.map_err(|_| not_authentic())?);
        let key = opened.first_chunk::<32>().map(|key| Zeroizing::new(*key));
        let key = key.filter(|key| wrap.commitment() == Some(key_commitment(key)));
        Ok(Some(Recovered { id, stream, key: key.ok_or_else(not_authentic)? }))
    }
}

impl RecoveryPublic {
    /// Writes it to a new file, durably.
    ///
    /// # Errors
    /// [`VaultError::Exists`], [`VaultError::Io`].
    pub fn store(&self, path: &Path) -> Result<(), VaultError> {
        folder::write_new(path, line(PUBLIC, &self.0.to_bytes().into()).as_bytes())
    }

    /// Reads it from its file.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::NotARecoveryKey`].
    pub fn load(path: &Path) -> Result<RecoveryPublic, VaultError> {
        let bytes = read(path, PUBLIC)?;
        let key = Public::from_bytes(&*bytes).map_err(|_| not_a_key(path, PUBLIC))?;
        Ok(RecoveryPublic(key))
    }

    /// Whether a wrap says that it is for this key, or that there is nothing to wrap.
    pub fn is_recipient_of(&self, wrap: &Wrap) -> bool {
        wrap.is_destroyed() || wrap.bytes.get(DESTROYED + 32..ABOUT) == Some(&self.id()[..])
    }

    fn id(&self) -> [u8; RECIPIENT] {
        let text = line(PUBLIC, &self.0.to_bytes().into());
        let mut id = [0; RECIPIENT];
        id.copy_from_slice(&Sha256::digest(text.as_bytes())[..RECIPIENT]);
        id
    }

    pub(crate) fn wrap(
        &self,
        id: KeyId,
        stream: Stream,
        key: &[u8; 32],
    ) -> Result<Wrap, VaultError> {
        let mut bytes = about(KIND_WRAP, id, stream);
        bytes.extend_from_slice(&key_commitment(key));
        bytes.extend_from_slice(&self.id());
        let (encapsulated, sealed) = hpke::single_shot_seal::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &self.0, INFO, key, &bytes)
        .map_err(|_| VaultError::Random)?;
        bytes.extend_from_slice(&encapsulated.to_bytes());
        bytes.extend_from_slice(&sealed);
        Ok(Wrap { id, stream, bytes })
    }
}

impl Wrap {
    /// Says that a key was destroyed.
    pub(crate) fn destroyed(id: KeyId, stream: Stream) -> Wrap {
        Wrap { id, stream, bytes: about(KIND_DESTROYED, id, stream) }
    }

    /// Reads one; `None` where the bytes are none.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Wrap> {
        let expected = match *bytes.first()? {
            KIND_WRAP => WRAP,
            KIND_DESTROYED => DESTROYED,
            _ => return None,
        };
        let id = KeyId(*bytes.get(1..)?.first_chunk()?);
        let kind = u16::from_be_bytes(*bytes.get(17..)?.first_chunk()?);
        let stream = Stream { kind, id: *bytes.get(19..)?.first_chunk()? };
        (bytes.len() == expected).then_some(Wrap { id, stream, bytes })
    }

    /// Its bytes: [`WRAP`] or [`DESTROYED`] of them. No secret.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What the key seals.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// The commitment to the key that is in it; none of a key that was destroyed.
    pub fn commitment(&self) -> Option<[u8; 32]> {
        self.bytes.get(DESTROYED..)?.first_chunk().copied()
    }

    /// Whether it says that the key was destroyed.
    pub fn is_destroyed(&self) -> bool {
        self.bytes.len() == DESTROYED
    }
}

impl fmt::Debug for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrap({})", self.id)
    }
}

impl fmt::Debug for RecoverySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverySecret(..)")
    }
}

impl fmt::Debug for RecoveryPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPublic(..)")
    }
}

fn about(kind: u8, id: KeyId, stream: Stream) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(WRAP);
    bytes.push(kind);
    bytes.extend_from_slice(&id.0);
    bytes.extend_from_slice(&stream.kind.to_be_bytes());
    bytes.extend_from_slice(&stream.id);
    bytes
}

fn line(name: &str, key: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(name.len() + 66));
    text.push_str(name);
    text.push(' ');
    for byte in key {
        text.extend([byte >> 4, byte & 15].map(|n| char::from_digit(n.into(), 16).unwrap_or('0')));
    }
    text.push('\n');
    text
}

fn read(path: &Path, name: &'static str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let text = std::fs::read(path).map_err(VaultError::io("open recovery key", path))?;
    let text = Zeroizing::new(text);
    let digits = text.trim_ascii().strip_prefix(name.as_bytes());
    let digits = digits.and_then(|rest| rest.strip_prefix(b" "));
    digits.and_then(crate::root::parse_hex).ok_or_else(|| not_a_key(path, name))
}

fn not_a_key(path: &Path, name: &'static str) -> VaultError {
    VaultError::NotARecoveryKey { path: path.to_path_buf(), name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made() -> (RecoverySecret, Wrap) {
        let secret = RecoverySecret::generate().unwrap();
        let stream = Stream { kind: 2, id: [6; 16] };
        let wrap = secret.public().wrap(KeyId([5; 16]), stream, &[9; 32]).unwrap();
        (secret, wrap)
    }

    #[test]
    fn a_key_comes_out_of_its_wrap_by_the_secret_half_alone() {
        let (secret, wrap) = made();
        let dir = tempfile::tempdir().unwrap();
        let (public, private) = (dir.path().join("recovery.pub"), dir.path().join("recovery.key"));
        secret.public().store(&public).unwrap();
        secret.store(&private).unwrap();
        let again = Wrap::from_bytes(wrap.bytes().to_vec()).unwrap();
        let recovered = RecoverySecret::load(&private).unwrap().open(&again).unwrap().unwrap();
        assert_eq!((recovered.id, *recovered.key), (KeyId([5; 16]), [9; 32]));
        assert_eq!(recovered.stream, Stream { kind: 2, id: [6; 16] });
        assert_eq!(again.commitment(), Some(key_commitment(&[9; 32])));
        assert!(secret.public().is_recipient_of(&again));
        let other = RecoverySecret::generate().unwrap();
        assert!(matches!(other.open(&again), Err(VaultError::NotAuthentic { .. })));
        assert!(!other.public().is_recipient_of(&again));
        let swapped = RecoverySecret::load(&public).unwrap_err().to_string();
        assert!(swapped.contains("recovery.pub") && swapped.contains(SECRET), "{swapped}");
        assert!(matches!(RecoveryPublic::load(&private), Err(VaultError::NotARecoveryKey { .. })));
    }

    #[test]
    fn a_destroyed_key_has_nothing_to_open() {
        let wrap = Wrap::destroyed(KeyId([5; 16]), Stream { kind: 2, id: [6; 16] });
        let again = Wrap::from_bytes(wrap.bytes().to_vec()).unwrap();
        assert!(again.is_destroyed() && again == wrap);
        assert!(RecoverySecret::generate().unwrap().open(&again).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn every_altered_bit_is_refused(at in 0..WRAP, bit in 0..8u32) {
            let (secret, wrap) = made();
            let mut bytes = wrap.bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let opened = Wrap::from_bytes(bytes).map(|wrap| secret.open(&wrap));
            prop_assert!(opened.is_none_or(|opened| opened.is_err()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = Wrap::from_bytes(bytes.clone());
            prop_assert!(read.is_none_or(|wrap| wrap.bytes() == bytes));
        }
    }
}
