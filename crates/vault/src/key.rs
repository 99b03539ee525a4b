//! Key ids, streams and the key commitment.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Id of a sealing key: 16 random bytes, no secret. Records carry it in their header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The stream whose personal parts a key seals: kind and id as in the record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// Stream kind, as in the record header.
    pub kind: u16,
    /// Stream id, as in the record header.
    pub id: [u8; 16],
}

/// The commitment to a key that a record header holds: `SHA-256("adal/key/v1\n" ‖ key)`
/// (`FORMAT.md` of the crate `evidence`). It is needed because AEADs do not commit to their key.
pub fn key_commitment(key: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"adal/key/v1\n");
    hash.update(key);
    hash.finalize().into()
}

/// 32 secret bytes at one place in memory, wiped when dropped; a growing table that holds it
/// moves the pointer, not the bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Box<Zeroizing<[u8; 32]>>);

impl Secret {
    pub(crate) fn new(bytes: &[u8; 32]) -> Secret {
        Secret(Box::new(Zeroizing::new(*bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed outside this project: printf 'adal/key/v1\n' and 32 bytes 00..1f | sha256sum.
    #[test]
    fn commitment_is_the_documented_hash() {
        let key: [u8; 32] = std::array::from_fn(|i| i as u8);
        let hex: String = key_commitment(&key).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "63e9bdf1ceca6064850a7678821550ca05bebe685c427889d0c221c4b383b0be");
    }

    #[test]
    fn debug_shows_the_id_and_never_the_key() {
        assert_eq!(format!("{:?}", KeyId([0xab; 16])), format!("KeyId({})", "ab".repeat(16)));
        assert_eq!(format!("{:?}", Secret::new(&[7; 32])), "Secret(..)");
    }
}
