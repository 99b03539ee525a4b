//! XChaCha20-Poly1305 with a random nonce in front, and random bytes.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Bytes of the nonce. 192 random bits: no counter is needed however many texts a key seals.
pub(crate) const NONCE: usize = 24;
/// Bytes of the tag.
pub(crate) const TAG: usize = 16;

/// `N` bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| VaultError::Random)?;
    Ok(bytes)
}

/// nonce ‖ ciphertext ‖ tag. `None` where the cipher refuses the length (far above our limits).
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; NONCE],
    aad: &[u8],
    plain: &[u8],
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(NONCE + plain.len() + TAG);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let cipher = XChaCha20Poly1305::new(&(*key).into());
    let body = out.get_mut(NONCE..)?;
    let tag = cipher.encrypt_inout_detached(&XNonce::from(nonce), aad, body.into()).ok()?;
    out.extend_from_slice(&tag);
    Some(out)
}

/// The text of `nonce ‖ ciphertext ‖ tag`; `None` where it is not authentic.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (text, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Zeroizing::new(text.to_vec());
    XChaCha20Poly1305::new(&(*key).into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            aad,
            plain.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn agrees_with_the_published_vector() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce: [u8; NONCE] = std::array::from_fn(|i| 0x40 + i as u8);
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
            for the future, sunscreen would be it.";
        let sealed = seal(&key, nonce, &aad, plain).unwrap();
        assert_eq!(sealed[NONCE..NONCE + 4], [0xbd, 0x6d, 0x17, 0x9d]);
        let tag = [
            0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a,
            0xcf, 0x49,
        ];
        assert_eq!(sealed[sealed.len() - TAG..], tag);
        assert_eq!(open(&key, &aad, &sealed).unwrap().as_slice(), plain);
    }

    proptest! {
        #[test]
        fn every_altered_bit_is_refused(
            plain in proptest::collection::vec(any::<u8>(), 0..64),
            aad in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            bit in 0..8u32,
        ) {
            let sealed = seal(&[3; 32], random().unwrap(), &aad, &plain).unwrap();
            prop_assert_eq!(&*open(&[3; 32], &aad, &sealed).unwrap(), &plain);
            let mut altered = sealed.clone();
            altered[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(open(&[3; 32], &aad, &altered).is_none());
            prop_assert!(open(&[4; 32], &aad, &sealed).is_none());
            prop_assert!(open(&[3; 32], &aad, &sealed[..at.index(sealed.len())]).is_none());
            let mut other = aad.clone();
            other.push(0);
            prop_assert!(open(&[3; 32], &other, &sealed).is_none());
        }
    }
}
