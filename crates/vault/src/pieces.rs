//! Files that are sealed and opened piece by piece, never whole in memory and never plain on a
//! disk: see `FORMAT.md`, "Sealed files".

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::cipher::{self, NONCE, TAG};
use crate::error::VaultError;
use crate::key::{KeyId, Secret};
use crate::vault::Vault;

/// Plain bytes of every piece but the last, which has at most as many.
pub const PIECE: usize = 64 * 1024;
/// Bytes of a sealed piece that is not the last.
pub const SEALED_PIECE: usize = PIECE + TAG;
/// Bytes in front of the first piece.
pub const HEADER: usize = MAGIC.len() + PREFIX;

const MAGIC: [u8; 8] = *b"ADALATT1";
/// The random part of the nonces; the counter and the mark of the last piece fill the rest.
const PREFIX: usize = NONCE - 5;

/// What seals or opens one file. It holds the key while it lives.
struct Stream {
    key: KeyId,
    secret: Secret,
    aad: Vec<u8>,
    prefix: [u8; PREFIX],
    /// Number of the next piece; `None` behind the last.
    next: Option<u32>,
}

impl Stream {
    /// The nonce of the next piece.
    fn nonce(&mut self, last: bool) -> Result<XNonce, VaultError> {
        let number = self.next.ok_or(VaultError::NotAuthentic { key: self.key })?;
        self.next = if last { None } else { number.checked_add(1) };
        let mut nonce = [0; NONCE];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..NONCE - 1].copy_from_slice(&number.to_be_bytes());
        nonce[NONCE - 1] = u8::from(last);
        Ok(XNonce::from(nonce))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.secret.bytes()).into())
    }
}

/// Seals one file. No text is held.
pub struct Sealer(Stream);

/// Opens one file.
pub struct Opener(Stream);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

impl Vault {
    /// Begins to seal a file under the key; the header stands in front of the pieces. `aad` binds
    /// it to its place and is needed to open it again.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`], [`VaultError::Random`].
    pub fn sealer(&self, key: KeyId, aad: &[u8]) -> Result<(Sealer, [u8; HEADER]), VaultError> {
        let (secret, prefix) = (self.secret_of(key)?, cipher::random::<PREFIX>()?);
        let mut header = [0; HEADER];
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        header[MAGIC.len()..].copy_from_slice(&prefix);
        let stream = Stream { key, secret, aad: aad.to_vec(), prefix, next: Some(0) };
        Ok((Sealer(stream), header))
    }

    /// Begins to open a file that begins with this header.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`]; [`VaultError::NotAuthentic`] where it
    /// is no such header.
    pub fn opener(
        &self,
        key: KeyId,
        aad: &[u8],
        header: &[u8; HEADER],
    ) -> Result<Opener, VaultError> {
        let secret = self.secret_of(key)?;
        let prefix = header.strip_prefix(&MAGIC).and_then(|prefix| prefix.try_into().ok());
        let prefix = prefix.ok_or(VaultError::NotAuthentic { key })?;
        Ok(Opener(Stream { key, secret, aad: aad.to_vec(), prefix, next: Some(0) }))
    }
}

impl Sealer {
    /// Seals the next piece: [`PIECE`] bytes, the last one at most as many.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`]: another length, or more pieces than a file may have.
    pub fn seal(&mut self, plain: &[u8], last: bool) -> Result<Vec<u8>, VaultError> {
        let too_large = VaultError::TooLarge { bytes: plain.len(), limit: PIECE };
        let fits = if last { plain.len() <= PIECE } else { plain.len() == PIECE };
        if !fits || self.0.next.is_none() {
            return Err(too_large);
        }
        let nonce = self.0.nonce(last)?;
        let mut out = Vec::with_capacity(plain.len() + TAG);
        out.extend_from_slice(plain);
        let body = out.as_mut_slice().into();
        let tag = self.0.cipher().encrypt_inout_detached(&nonce, &self.0.aad, body);
        out.extend_from_slice(&tag.map_err(|_| too_large)?);
        Ok(out)
    }
}

impl Opener {
    /// Opens the next piece; `last`: nothing follows it. The text is wiped when dropped.
    ///
    /// # Errors
    /// [`VaultError::NotAuthentic`]: it is not the piece that was sealed there, or not the last.
    pub fn open(&mut self, sealed: &[u8], last: bool) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let not_authentic = VaultError::NotAuthentic { key: self.0.key };
        let Some((text, tag)) = sealed.split_last_chunk::<TAG>() else {
            return Err(not_authentic);
        };
        let nonce = self.0.nonce(last)?;
        let mut plain = Zeroizing::new(text.to_vec());
        let body = plain.as_mut_slice().into();
        let opened =
            self.0.cipher().decrypt_inout_detached(&nonce, &self.0.aad, body, &Tag::from(*tag));
        opened.map(|()| plain).map_err(|_| not_authentic)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::root::RootKey;

    fn vault() -> (tempfile::TempDir, Vault, KeyId) {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), &RootKey::from_bytes([7; 32])).unwrap();
        let key = vault.key_for(1, [2; 16]).unwrap();
        (dir, vault, key)
    }

    fn seal(vault: &Vault, key: KeyId, plain: &[u8]) -> ([u8; HEADER], Vec<Vec<u8>>) {
        let (mut sealer, header) = vault.sealer(key, b"place").unwrap();
        let mut pieces = Vec::new();
        let mut rest = plain;
        while rest.len() > PIECE {
            let (piece, more) = rest.split_at(PIECE);
            pieces.push(sealer.seal(piece, false).unwrap());
            rest = more;
        }
        pieces.push(sealer.seal(rest, true).unwrap());
        assert!(sealer.seal(b"", true).is_err(), "something was sealed behind the end");
        (header, pieces)
    }

    fn open(
        vault: &Vault,
        key: KeyId,
        aad: &[u8],
        (header, pieces): &([u8; HEADER], Vec<Vec<u8>>),
    ) -> Result<Vec<u8>, VaultError> {
        let mut opener = vault.opener(key, aad, header)?;
        let mut plain = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            plain.extend_from_slice(&opener.open(piece, at + 1 == pieces.len())?);
        }
        Ok(plain)
    }

    #[test]
    fn files_of_every_length_come_back() {
        let (_dir, vault, key) = vault();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let plain: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let sealed = seal(&vault, key, &plain);
            assert_eq!(open(&vault, key, b"place", &sealed).unwrap(), plain, "{len} bytes");
        }
    }

    #[test]
    fn pieces_that_are_left_out_moved_or_cut_off_are_refused() {
        let (_dir, vault, key) = vault();
        let (header, pieces) = seal(&vault, key, &vec![5; 3 * PIECE]);
        let refused = |change: fn(&mut Vec<Vec<u8>>)| {
            let mut other = pieces.clone();
            change(&mut other);
            open(&vault, key, b"place", &(header, other)).is_err()
        };
        assert!(refused(|pieces| pieces.swap(0, 1)));
        assert!(refused(|pieces| drop(pieces.remove(1))));
        assert!(refused(|pieces| drop(pieces.pop())), "the end was cut off");
        let (_, others) = seal(&vault, key, &vec![5; 3 * PIECE]);
        let mut mixed = pieces.clone();
        mixed[1] = others[1].clone();
        assert!(open(&vault, key, b"place", &(header, mixed)).is_err(), "a piece of another file");
        assert!(open(&vault, key, b"other", &(header, pieces.clone())).is_err());
        let other_key = vault.key_for(1, [3; 16]).unwrap();
        assert!(open(&vault, other_key, b"place", &(header, pieces)).is_err());
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let (_dir, vault, key) = vault();
        let (mut sealer, _) = vault.sealer(key, b"").unwrap();
        assert!(sealer.seal(&[0; 5], false).is_err());
        assert!(sealer.seal(&vec![0; PIECE + 1], true).is_err());
        assert!(vault.opener(key, b"", &[0; HEADER]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_altered_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let (_dir, vault, key) = vault();
            let (mut header, mut pieces) = seal(&vault, key, &[9; 100]);
            let at = at.index(HEADER + pieces[0].len());
            match at.checked_sub(HEADER) {
                Some(at) => pieces[0][at] ^= 1 << bit,
                None => header[at] ^= 1 << bit,
            }
            prop_assert!(open(&vault, key, b"place", &(header, pieces)).is_err());
        }
    }
}
