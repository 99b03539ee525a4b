//! What opening and checking a vault found.

/// What [`crate::Vault::open`] found in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The vault was made by this open: the folder held none.
    pub created: bool,
    /// Live keys.
    pub keys: u64,
    /// Destroyed keys.
    pub destroyed: u64,
    /// Named secrets.
    pub secrets: u64,
    /// Bytes of an append that was interrupted before its fdatasync returned, dropped. Nothing
    /// that was acknowledged can be among them.
    pub unfinished_bytes: u64,
    /// What the tail file said.
    pub tail: TailState,
}

/// What the tail file (`keys.tail`) said about the key file when the vault was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailState {
    /// It names the very end of the key file.
    Agrees,
    /// It names an earlier end: it is written without a sync, so a power cut may undo it.
    Behind,
    /// It was not there (or the vault was just made). Made anew.
    Missing,
    /// It was unreadable. Made anew; worth a look at the disk.
    Damaged,
}

/// What [`crate::Vault::check`] found: every byte of the key file was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Size of the key file in bytes.
    pub bytes: u64,
    /// Frames in it.
    pub frames: u64,
    /// Live keys in it, each unwrapped and compared with its commitment.
    pub keys: u64,
    /// Tombstones of destroyed keys in it.
    pub destroyed: u64,
    /// Named secrets in it, each unwrapped.
    pub secrets: u64,
}
