//! The keys that sign an office's logs: one for each epoch.
//!
//! The first epoch's seed is [`LOG_KEY`] in the node's folder of secrets. Every later epoch has a
//! file of its own, `log+e2.key` and so on, which the node makes when it opens the epoch. That
//! folder may be handed to the node for reading only (systemd's credentials), so what the node
//! makes lies in a second folder, `keys` in its data folder; a file of the same name in the folder
//! of secrets counts first. All of an office's logs share the key of an epoch: their heads differ
//! in the origin. No key is in any backup of the journal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::error::IdentityError;
use crate::files;
use crate::keys::{LOG_KEY, from_hex, to_hex};

/// Highest epoch that has a key; far more than an office opens in a century.
const LAST_EPOCH: u32 = 9_999;

/// File of the seed of an epoch's log key.
#[must_use]
pub fn log_key_file(epoch: u32) -> String {
    if epoch <= 1 { LOG_KEY.to_owned() } else { format!("log+e{epoch}.key") }
}

/// The epoch whose seed a file holds, read in its only spelling.
fn epoch_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix("log+e")?.strip_suffix(".key")?;
    let epoch = number.parse().ok()?;
    (log_key_file(epoch) == name && (2..=LAST_EPOCH).contains(&epoch)).then_some(epoch)
}

/// The seeds of an office's log keys by epoch, wiped when dropped.
pub struct LogKeys {
    /// Where the node makes new ones.
    made: PathBuf,
    seeds: RwLock<BTreeMap<u32, Zeroizing<[u8; 32]>>>,
}

impl LogKeys {
    /// Reads the seeds: that of the first epoch and any later ones from `secrets`, further ones
    /// from `made`, which need not be there.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::NotASeed`], [`IdentityError::Exposed`].
    pub fn load(secrets: &Path, made: &Path) -> Result<LogKeys, IdentityError> {
        let mut seeds = BTreeMap::new();
        for folder in [made, secrets] {
            for epoch in log_key_epochs(folder)? {
                seeds.insert(epoch, read(&folder.join(log_key_file(epoch)))?);
            }
        }
        seeds.insert(1, read(&secrets.join(LOG_KEY))?);
        Ok(LogKeys { made: made.to_path_buf(), seeds: RwLock::new(seeds) })
    }

    /// The seed of an epoch's key; `None` if this node does not have it.
    pub fn seed(&self, epoch: u32) -> Option<Zeroizing<[u8; 32]>> {
        self.seeds.read().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }

    /// The public key of an epoch; `None` if this node does not have its seed.
    pub fn public(&self, epoch: u32) -> Option<[u8; 32]> {
        self.seed(epoch).map(|seed| SigningKey::from_bytes(&seed).verifying_key().to_bytes())
    }

    /// The epochs whose keys this node has, in their order.
    pub fn epochs(&self) -> Vec<u32> {
        let seeds = self.seeds.read().unwrap_or_else(PoisonError::into_inner);
        seeds.keys().copied().collect()
    }

    /// Makes the key of an epoch, durably, unless there is one. Returns its public half. To be
    /// called before the epoch's first head; a key that was lost is never made again in silence,
    /// so the caller knows that the epoch is new.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::Random`]; nothing was made then.
    pub fn make(&self, epoch: u32) -> Result<[u8; 32], IdentityError> {
        self.make_with(epoch, files::random_seed)
    }

    /// As [`LogKeys::make`], of a seed that is given: for a simulation, whose keys must not be
    /// others each time. Nobody else may know the seed of a key.
    ///
    /// # Errors
    /// As there.
    pub fn make_of(
        &self,
        epoch: u32,
        seed: Zeroizing<[u8; 32]>,
    ) -> Result<[u8; 32], IdentityError> {
        self.make_with(epoch, || Ok(seed))
    }

    fn make_with(
        &self,
        epoch: u32,
        seed: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, IdentityError>,
    ) -> Result<[u8; 32], IdentityError> {
        let mut seeds = self.seeds.write().unwrap_or_else(PoisonError::into_inner);
        let seed = match seeds.get(&epoch) {
            Some(seed) => seed.clone(),
            None => {
                files::make_folder(&self.made)?;
                let seed = seed()?;
                let path = self.made.join(log_key_file(epoch));
                files::replace_secret(&path, &to_hex(&seed))?;
                seeds.insert(epoch, seed.clone());
                seed
            }
        };
        Ok(SigningKey::from_bytes(&seed).verifying_key().to_bytes())
    }

    /// The folder in which new keys are made.
    pub fn folder(&self) -> &Path {
        &self.made
    }
}

impl fmt::Debug for LogKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKeys(epochs {:?})", self.epochs())
    }
}

/// Epochs behind the first whose seeds lie in a folder, in no order; none where there is no folder.
/// An epoch that has a key may have been used, whatever the journal says.
///
/// # Errors
/// [`IdentityError::Io`].
pub fn log_key_epochs(folder: &Path) -> Result<Vec<u32>, IdentityError> {
    let failed = IdentityError::io("read the folder", folder);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut epochs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(IdentityError::io("read the folder", folder))?;
        epochs.extend(entry.file_name().to_str().and_then(epoch_of));
    }
    Ok(epochs)
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let text = files::read_secret(path)?;
    from_hex(text.trim_ascii()).ok_or_else(|| IdentityError::NotASeed { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeKeys;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let (secrets, made) = (root.path().join("secrets"), root.path().join("data/keys"));
        NodeKeys::create(&secrets).unwrap();
        (root, secrets, made)
    }

    #[test]
    fn each_epoch_has_its_own_key_which_is_made_once() {
        let (_root, secrets, made) = folders();
        let keys = LogKeys::load(&secrets, &made).unwrap();
        assert_eq!(keys.epochs(), [1]);
        assert_eq!((keys.seed(2), keys.public(2)), (None, None));
        let second = keys.make(2).unwrap();
        assert_ne!(Some(second), keys.public(1));
        assert_eq!(keys.make(2).unwrap(), second, "not made twice");
        let path = made.join("log+e2.key");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (65, 0o600));
        assert_eq!(fs::read_dir(&made).unwrap().count(), 1, "nothing is left beside it");
        // The next start has it, wherever it lies.
        assert_eq!(LogKeys::load(&secrets, &made).unwrap().public(2), Some(second));
        fs::rename(&path, secrets.join("log+e2.key")).unwrap();
        let moved = LogKeys::load(&secrets, &made).unwrap();
        assert_eq!((moved.public(2), moved.epochs()), (Some(second), vec![1, 2]));
        assert_eq!(format!("{moved:?}"), "LogKeys(epochs [1, 2])");
    }

    #[test]
    fn a_key_that_was_cut_off_while_it_was_made_is_none() {
        let (_root, secrets, made) = folders();
        fs::create_dir_all(&made).unwrap();
        fs::write(made.join("log+e2.key.new"), "01").unwrap();
        let keys = LogKeys::load(&secrets, &made).unwrap();
        assert_eq!(keys.epochs(), [1]);
        keys.make(2).unwrap();
        assert_eq!(LogKeys::load(&secrets, &made).unwrap().epochs(), [1, 2]);
    }

    #[test]
    fn files_of_other_names_are_no_keys_and_bad_ones_are_named() {
        let (_root, secrets, made) = folders();
        fs::create_dir_all(&made).unwrap();
        for name in ["log+e1.key", "log+e02.key", "log+e2.key~", "log+e10000.key", "log+e.key"] {
            fs::write(made.join(name), "x").unwrap();
        }
        assert_eq!(LogKeys::load(&secrets, &made).unwrap().epochs(), [1]);
        fs::write(made.join("log+e3.key"), "x").unwrap();
        fs::set_permissions(made.join("log+e3.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let error = LogKeys::load(&secrets, &made).unwrap_err().to_string();
        assert!(error.contains("log+e3.key"), "{error}");
    }
}
