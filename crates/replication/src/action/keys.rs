//! Requests about wraps of keys.

use crate::message::KeyWrap;

/// Permission to answer one [`ReadKeys`].
#[derive(Debug)]
pub struct KeysTicket {
    pub(crate) serial: u64,
}

/// Permission to answer one [`KeepKeys`].
#[derive(Debug)]
pub struct KeepTicket {
    pub(crate) serial: u64,
}

/// See [`Action::ReadKeys`](super::Action::ReadKeys).
///
/// The driver answers with what it keeps of the peer's own keys, and with wraps of this office's
/// keys: no secret, and nobody knows an id but from a record. It answers nothing of others.
#[derive(Debug)]
pub struct ReadKeys {
    /// Goes back with the answer.
    pub ticket: KeysTicket,
    /// Ids of the keys. Nothing of them was verified.
    pub ids: Vec<[u8; 16]>,
}

/// See [`Action::KeepKeys`](super::Action::KeepKeys).
#[derive(Debug)]
pub struct KeepKeys {
    /// Goes back with the answer.
    pub ticket: KeepTicket,
    /// Wraps of keys that were asked for. What is in them was not verified.
    pub wraps: Vec<KeyWrap>,
}
