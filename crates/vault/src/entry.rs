//! Entries of the key file: wrapped keys, tombstones, wrapped secrets. Bytes in `FORMAT.md`.

use crate::cipher;
use crate::error::VaultError;
use crate::key::{KeyId, Secret, Stream, key_commitment};
use crate::root::RootKey;

/// nonce ‖ 32 sealed bytes ‖ tag.
pub(crate) const WRAPPED: usize = cipher::NONCE + 32 + cipher::TAG;
/// The largest entry, a key; frames reckon with it.
pub(crate) const MAX_ENTRY: usize = 1 + 16 + 2 + 16 + 32 + WRAPPED;

const KEY: u8 = 1;
const TOMBSTONE: u8 = 2;
const SECRET: u8 = 3;

/// One entry as stored: keys are still wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Key { id: KeyId, stream: Stream, commitment: [u8; 32], wrapped: [u8; WRAPPED] },
    Tombstone { id: KeyId, stream: Stream },
    Secret { name: String, wrapped: [u8; WRAPPED] },
}

impl Entry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Key { id, stream, commitment, wrapped } => {
                out.push(KEY);
                put_key_id(out, id, stream);
                out.extend_from_slice(commitment);
                out.extend_from_slice(wrapped);
            }
            Entry::Tombstone { id, stream } => {
                out.push(TOMBSTONE);
                put_key_id(out, id, stream);
            }
            Entry::Secret { name, wrapped } => {
                out.push(SECRET);
                // Names are at most `MAX_NAME` bytes, checked before an entry is made.
                out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(wrapped);
            }
        }
    }

    /// All entries of a frame's body; `None` where the bytes are not whole entries.
    pub(crate) fn decode_all(mut body: &[u8]) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        while let Some((kind, rest)) = body.split_first() {
            body = rest;
            entries.push(match *kind {
                KEY => {
                    let (id, stream) = take_key_id(&mut body)?;
                    Entry::Key {
                        id,
                        stream,
                        commitment: take(&mut body)?,
                        wrapped: take(&mut body)?,
                    }
                }
                TOMBSTONE => {
                    let (id, stream) = take_key_id(&mut body)?;
                    Entry::Tombstone { id, stream }
                }
                SECRET => {
                    let [len] = take(&mut body)?;
                    let (name, rest) = body.split_at_checked(usize::from(len))?;
                    body = rest;
                    let name = String::from_utf8(name.to_vec()).ok()?;
                    Entry::Secret { name, wrapped: take(&mut body)? }
                }
                _ => return None,
            });
        }
        Some(entries)
    }
}

/// Wraps keys and secrets of one vault under its root key.
pub(crate) struct Wrapper<'a> {
    pub(crate) root: &'a RootKey,
    pub(crate) vault_id: [u8; 16],
}

impl Wrapper<'_> {
    pub(crate) fn key(&self, id: KeyId, stream: Stream, key: &Secret) -> Result<Entry, VaultError> {
        let commitment = key_commitment(key.bytes());
        let wrapped = self.wrap(&self.key_aad(id, stream, &commitment), key)?;
        Ok(Entry::Key { id, stream, commitment, wrapped })
    }

    pub(crate) fn secret(&self, name: &str, secret: &Secret) -> Result<Entry, VaultError> {
        let wrapped = self.wrap(&self.secret_aad(name), secret)?;
        Ok(Entry::Secret { name: name.to_owned(), wrapped })
    }

    /// The key of a key entry; `None` where it does not unwrap or misses its commitment.
    pub(crate) fn open_key(
        &self,
        id: KeyId,
        stream: Stream,
        commitment: &[u8; 32],
        wrapped: &[u8; WRAPPED],
    ) -> Option<Secret> {
        let key = self.unwrap(&self.key_aad(id, stream, commitment), wrapped)?;
        (key_commitment(key.bytes()) == *commitment).then_some(key)
    }

    /// The secret of a secret entry; `None` where it does not unwrap.
    pub(crate) fn open_secret(&self, name: &str, wrapped: &[u8; WRAPPED]) -> Option<Secret> {
        self.unwrap(&self.secret_aad(name), wrapped)
    }

    fn wrap(&self, aad: &[u8], key: &Secret) -> Result<[u8; WRAPPED], VaultError> {
        let nonce = cipher::random()?;
        cipher::seal(self.root.bytes(), nonce, aad, key.bytes())
            .and_then(|sealed| sealed.try_into().ok())
            .ok_or(VaultError::Random)
    }

    fn unwrap(&self, aad: &[u8], wrapped: &[u8; WRAPPED]) -> Option<Secret> {
        let plain = cipher::open(self.root.bytes(), aad, wrapped)?;
        Some(Secret::new(plain.first_chunk::<32>()?))
    }

    fn key_aad(&self, id: KeyId, stream: Stream, commitment: &[u8; 32]) -> Vec<u8> {
        let mut aad = b"adal/vault/key/v1\n".to_vec();
        aad.extend_from_slice(&self.vault_id);
        put_key_id(&mut aad, &id, &stream);
        aad.extend_from_slice(commitment);
        aad
    }

    fn secret_aad(&self, name: &str) -> Vec<u8> {
        let mut aad = b"adal/vault/secret/v1\n".to_vec();
        aad.extend_from_slice(&self.vault_id);
        aad.extend_from_slice(name.as_bytes());
        aad
    }
}

fn put_key_id(out: &mut Vec<u8>, id: &KeyId, stream: &Stream) {
    out.extend_from_slice(&id.0);
    out.extend_from_slice(&stream.kind.to_be_bytes());
    out.extend_from_slice(&stream.id);
}

fn take_key_id(body: &mut &[u8]) -> Option<(KeyId, Stream)> {
    let id = KeyId(take(body)?);
    let kind = u16::from_be_bytes(take(body)?);
    Some((id, Stream { kind, id: take(body)? }))
}

fn take<const N: usize>(body: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = body.split_first_chunk::<N>()?;
    *body = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Entry> {
        let stream = (any::<u16>(), any::<[u8; 16]>()).prop_map(|(kind, id)| Stream { kind, id });
        let wrapped = proptest::collection::vec(any::<u8>(), WRAPPED)
            .prop_map(|v| <[u8; WRAPPED]>::try_from(v).unwrap());
        prop_oneof![
            (any::<[u8; 16]>(), stream.clone(), any::<[u8; 32]>(), wrapped.clone()).prop_map(
                |(id, stream, commitment, wrapped)| Entry::Key {
                    id: KeyId(id),
                    stream,
                    commitment,
                    wrapped
                }
            ),
            (any::<[u8; 16]>(), stream)
                .prop_map(|(id, stream)| Entry::Tombstone { id: KeyId(id), stream }),
            ("[a-z0-9_.-]{1,32}", wrapped)
                .prop_map(|(name, wrapped)| Entry::Secret { name, wrapped }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back_and_cuts_are_refused(
            list in proptest::collection::vec(entries(), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut body = Vec::new();
            let mut ends = vec![0];
            for entry in &list {
                entry.encode(&mut body);
                ends.push(body.len());
            }
            prop_assert_eq!(Entry::decode_all(&body), Some(list));
            let at = cut.index(body.len() + 1);
            prop_assert_eq!(Entry::decode_all(&body[..at]).is_some(), ends.contains(&at));
        }

        #[test]
        fn a_wrap_opens_only_in_its_own_place(key in any::<[u8; 32]>()) {
            let root = RootKey::from_bytes([9; 32]);
            let here = Wrapper { root: &root, vault_id: [1; 16] };
            let there = Wrapper { root: &root, vault_id: [2; 16] };
            let (id, stream) = (KeyId([5; 16]), Stream { kind: 2, id: [6; 16] });
            let Entry::Key { commitment, wrapped, .. } =
                here.key(id, stream, &Secret::new(&key)).unwrap() else { unreachable!() };
            let opened = here.open_key(id, stream, &commitment, &wrapped);
            prop_assert_eq!(opened, Some(Secret::new(&key)));
            prop_assert!(there.open_key(id, stream, &commitment, &wrapped).is_none());
            prop_assert!(here.open_key(KeyId([0; 16]), stream, &commitment, &wrapped).is_none());
            let other = Stream { kind: 3, ..stream };
            prop_assert!(here.open_key(id, other, &commitment, &wrapped).is_none());
            prop_assert!(here.open_key(id, stream, &[0; 32], &wrapped).is_none());
            prop_assert!(here.open_secret("reg_no", &wrapped).is_none());
        }
    }
}
