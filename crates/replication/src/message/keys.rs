//! What is said of the keys that open sealed parts of records. Keys themselves are never said.

use std::fmt;

/// Keys of which the sender holds records and no wrap.
///
/// Answered by [`Keys`]. Nothing more is asked for before the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysWanted {
    /// Ids of the keys, as record headers name them: at least one, at most
    /// [`KEYS_AT_ONCE`](crate::limits::KEYS_AT_ONCE).
    pub ids: Vec<[u8; 16]>,
}

/// What the sender has of the keys that were asked for; what it has nothing of is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// One for each key.
    pub wraps: Vec<KeyWrap>,
}

/// A key, wrapped for those who may recover it; or the news that it was destroyed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyWrap {
    /// Id of the key.
    pub id: [u8; 16],
    /// The wrap as the vault makes it, at most [`WRAP_BYTES`](crate::limits::WRAP_BYTES).
    pub bytes: Vec<u8>,
}

impl fmt::Debug for KeyWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyWrap({} bytes)", self.bytes.len())
    }
}
