//! What can go wrong with the vault. No variant carries a key or a sealed text.

use std::io;
use std::path::{Path, PathBuf};

use crate::key::KeyId;

/// An operation of the vault failed. Messages name the file and say what to do; the cause, where
/// there is one, is the source of the error and is not repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A file operation failed; nothing was changed by it.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, as a short verb phrase.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process (or another handle of this one) has the vault open.
    #[error("the vault {} is in use by another process: stop it first", path.display())]
    InUse {
        /// The vault's folder.
        path: PathBuf,
    },
    /// The root key is not the one that this vault was made with.
    #[error(
        "the root key does not open the vault {}: put back the vault.key that this vault was \
         made with",
        path.display()
    )]
    WrongRootKey {
        /// The vault's key file.
        path: PathBuf,
    },
    /// The key file is gone while other files of the vault are still there.
    #[error(
        "{} is missing, although the vault was used before: restore it from its backup; it is \
         never made anew in silence",
        path.display()
    )]
    Missing {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The file is not a vault key file at all.
    #[error("{} is not a vault file: restore it from its backup", path.display())]
    NotAVault {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error("{} has format version {found}, this program knows {known}: use a newer release",
        path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u16,
        /// The newest version that this program reads.
        known: u16,
    },
    /// The file is damaged at a place where an interrupted append cannot be the reason.
    #[error("{} is damaged at byte {offset} ({what}): restore the vault folder from its backup",
        path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file that would be made exists; it is never overwritten.
    #[error("{} exists and is not overwritten: move it away first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The root key file does not hold a root key.
    #[error("{} is not a root key file: it must hold 64 hexadecimal digits", path.display())]
    NotARootKey {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold this half of a recovery key.
    #[error("{} is not a recovery key: it must hold `{name}` and 64 hexadecimal digits",
        path.display())]
    NotARecoveryKey {
        /// The file.
        path: PathBuf,
        /// The word that it must begin with.
        name: &'static str,
    },
    /// Everybody on the machine may read the root key file.
    #[error("{} may be read by everybody (mode {mode:o}): run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// No key of this id was ever in this vault.
    #[error("key {key} is not in this vault")]
    UnknownKey {
        /// The id asked for.
        key: KeyId,
    },
    /// The key was destroyed; what it sealed can be opened by nobody.
    #[error("key {key} was destroyed")]
    Destroyed {
        /// The id asked for.
        key: KeyId,
    },
    /// The sealed bytes do not open under this key and this context.
    #[error("the sealed bytes do not open under key {key}: they or their context were altered")]
    NotAuthentic {
        /// The key that was tried.
        key: KeyId,
    },
    /// The text to seal is larger than the vault takes.
    #[error("{bytes} bytes to seal, the limit is {limit}")]
    TooLarge {
        /// Size of the text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A name of a secret is empty, too long or holds other characters than `a-z 0-9 _ . -`.
    #[error("a secret's name is 1 to 32 characters of a-z 0-9 _ . -")]
    BadName,
    /// An earlier write or sync of the key file failed: what is on the disk is not known, so the
    /// vault writes nothing more. Restart the process; opening again finds out.
    #[error("the vault {} stopped writing after a failed write: restart the process",
        path.display())]
    Stopped {
        /// The vault's key file.
        path: PathBuf,
    },
}

impl VaultError {
    /// Wraps an operating system error together with what was tried on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
        let path = path.to_path_buf();
        move |source| VaultError::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, what: &'static str) -> VaultError {
        VaultError::Damaged { path: path.to_path_buf(), offset, what }
    }
}
