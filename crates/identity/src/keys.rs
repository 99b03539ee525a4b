//! A node's signing keys and their public halves.
//!
//! Each secret is 32 random bytes in a file of 64 hexadecimal digits and a newline, mode 0600.
//! The keys are separate because an Ed25519 cosignature does not cover the witness's name
//! (C2SP tlog-cosignature). A log key belongs to one epoch and is in no backup (ARCHITECTURE.md,
//! Replication): a lost one is never made again in silence.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::IdentityError;
use crate::files;
use crate::name::office_label;

/// File of the log key's seed.
pub const LOG_KEY: &str = "log.key";
/// File of the witness key's seed.
pub const WITNESS_KEY: &str = "witness.key";
/// File of the mirror key's seed.
pub const MIRROR_KEY: &str = "mirror.key";
/// File of the vault's root key. Made here together with the others, because an operator's tool
/// makes a node's whole folder of secrets; used by `vault` alone, which has the same format.
pub const VAULT_KEY: &str = "vault.key";
/// File of the public halves.
pub const PUBLIC_KEYS: &str = "public.toml";

/// The Ed25519 seeds of a node, wiped when dropped.
pub struct NodeKeys {
    log: Zeroizing<[u8; 32]>,
    witness: Zeroizing<[u8; 32]>,
    mirror: Zeroizing<[u8; 32]>,
}

impl NodeKeys {
    /// Makes new keys, and the vault's root key, in `dir` (which is made where it is missing).
    ///
    /// # Errors
    /// [`IdentityError::Exists`] where any of the four files exists, before anything is made:
    /// keys are never overwritten and never completed. [`IdentityError::Io`],
    /// [`IdentityError::Random`].
    pub fn create(dir: &Path) -> Result<NodeKeys, IdentityError> {
        files::make_folder(dir)?;
        files::none_exists(dir, &[LOG_KEY, WITNESS_KEY, MIRROR_KEY, VAULT_KEY])?;
        let make = |name| -> Result<_, IdentityError> {
            let seed = files::random_seed()?;
            files::write_new(&dir.join(name), &to_hex(&seed), files::SECRET)?;
            Ok(seed)
        };
        make(VAULT_KEY)?;
        Ok(NodeKeys { log: make(LOG_KEY)?, witness: make(WITNESS_KEY)?, mirror: make(MIRROR_KEY)? })
    }

    /// Reads the keys of `dir`.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::NotASeed`], [`IdentityError::Exposed`].
    pub fn load(dir: &Path) -> Result<NodeKeys, IdentityError> {
        let read = |name| {
            let path = dir.join(name);
            let text = files::read_secret(&path)?;
            from_hex(text.trim_ascii()).ok_or(IdentityError::NotASeed { path })
        };
        Ok(NodeKeys { log: read(LOG_KEY)?, witness: read(WITNESS_KEY)?, mirror: read(MIRROR_KEY)? })
    }

    /// Seed of the key that signs this node's log heads in their first epoch; see
    /// [`LogKeys`](crate::LogKeys) for all of them.
    pub fn log_seed(&self) -> &[u8; 32] {
        &self.log
    }

    /// Seed of the key that cosigns heads as witness.
    pub fn witness_seed(&self) -> &[u8; 32] {
        &self.witness
    }

    /// Seed of the key that cosigns heads as mirror.
    pub fn mirror_seed(&self) -> &[u8; 32] {
        &self.mirror
    }

    /// The public halves, for the enrolment of this office.
    ///
    /// # Errors
    /// [`IdentityError::BadOffice`].
    pub fn public(&self, office: &str) -> Result<PublicKeys, IdentityError> {
        office_label(office)?;
        let public = |seed| SigningKey::from_bytes(seed).verifying_key().to_bytes();
        Ok(PublicKeys {
            office: office.to_owned(),
            epoch: 1,
            log: public(&self.log),
            witness: public(&self.witness),
            mirror: public(&self.mirror),
        })
    }
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKeys(..)")
    }
}

/// The public keys of an office: raw Ed25519, 32 bytes each. `public.toml` holds them in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys {
    /// Office code, such as `KZ-75`.
    pub office: String,
    /// The epoch that the log key signs.
    pub epoch: u32,
    /// Public key of the office's logs in that epoch.
    pub log: [u8; 32],
    /// Public key of the office as witness.
    pub witness: [u8; 32],
    /// Public key of the office as mirror.
    pub mirror: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicFile {
    office: String,
    #[serde(default = "first")]
    epoch: u32,
    log: String,
    witness: String,
    mirror: String,
}

/// Files of before keys had epochs are about the first one.
fn first() -> u32 {
    1
}

impl PublicKeys {
    /// Reads `public.toml`.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::NotToml`], [`IdentityError::BadPublicKey`],
    /// [`IdentityError::BadOffice`].
    pub fn load(path: &Path) -> Result<PublicKeys, IdentityError> {
        let file: PublicFile = parse_toml(path, "the public keys of an office")?;
        office_label(&file.office)?;
        Ok(PublicKeys {
            log: decode_key(path, "log", &file.log)?,
            witness: decode_key(path, "witness", &file.witness)?,
            mirror: decode_key(path, "mirror", &file.mirror)?,
            epoch: file.epoch,
            office: file.office,
        })
    }

    /// Writes `public.toml`, in the place of an older one.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let epoch = match self.epoch {
            1 => String::new(),
            later => format!("epoch = {later}\n"),
        };
        let use_of = if self.epoch == 1 { "enrol" } else { "rekey" };
        let text = format!(
            "# Public keys of an office (Ed25519, base64): for `adal office {use_of}`.\n\
             office = \"{}\"\n{epoch}log = \"{}\"\nwitness = \"{}\"\nmirror = \"{}\"\n",
            self.office,
            STANDARD.encode(self.log),
            STANDARD.encode(self.witness),
            STANDARD.encode(self.mirror),
        );
        files::replace(path, text.as_bytes())
    }
}

pub(crate) fn parse_toml<T: serde::de::DeserializeOwned>(
    path: &Path,
    what: &'static str,
) -> Result<T, IdentityError> {
    let text = files::read(path)?;
    toml::from_str(&text).map_err(|source| IdentityError::NotToml {
        path: path.to_path_buf(),
        what,
        source: Box::new(source),
    })
}

/// A public key of a file: a point of the curve that is not of small order.
pub(crate) fn decode_key(
    path: &Path,
    field: &'static str,
    text: &str,
) -> Result<[u8; 32], IdentityError> {
    let key = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.filter(|key| VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak()))
        .ok_or(IdentityError::BadPublicKey { path: path.to_path_buf(), field })
}

pub(crate) fn to_hex(bytes: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(Vec::with_capacity(65));
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text.push(b'\n');
    text
}

pub(crate) fn from_hex(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_come_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("keys");
        let made = NodeKeys::create(&dir).unwrap();
        let read = NodeKeys::load(&dir).unwrap();
        assert_eq!(made.log_seed(), read.log_seed());
        assert_eq!(made.witness_seed(), read.witness_seed());
        assert_eq!(made.mirror_seed(), read.mirror_seed());
        assert_ne!(made.log_seed(), made.witness_seed());
        assert_ne!(made.log_seed(), made.mirror_seed());
        assert_eq!(format!("{made:?}"), "NodeKeys(..)");
        for name in [LOG_KEY, WITNESS_KEY, MIRROR_KEY, VAULT_KEY] {
            let meta = fs::metadata(dir.join(name)).unwrap();
            assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (65, 0o600), "{name}");
        }
        // With any one of them left nothing is made and nothing is touched.
        for kept in [LOG_KEY, WITNESS_KEY, MIRROR_KEY, VAULT_KEY] {
            let part = root.path().join(kept);
            fs::create_dir(&part).unwrap();
            fs::copy(dir.join(kept), part.join(kept)).unwrap();
            assert!(matches!(NodeKeys::create(&part), Err(IdentityError::Exists { .. })));
            assert_eq!(fs::read_dir(&part).unwrap().count(), 1);
            assert_eq!(fs::read(part.join(kept)).unwrap(), fs::read(dir.join(kept)).unwrap());
        }
    }

    #[test]
    fn a_bad_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        NodeKeys::create(dir.path()).unwrap();
        let path = dir.path().join(WITNESS_KEY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        let error = NodeKeys::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(WITNESS_KEY) && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "0123").unwrap();
        let error = NodeKeys::load(dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::NotASeed { .. }), "{error}");
        assert!(error.to_string().contains(WITNESS_KEY), "{error}");
        fs::remove_file(&path).unwrap();
        let error = NodeKeys::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(WITNESS_KEY), "{error}");
    }

    #[test]
    fn public_keys_are_those_of_the_seeds() {
        // RFC 8032, section 7.1, test 1.
        let seed = from_hex(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let seed = seed.unwrap();
        let keys = NodeKeys { log: seed.clone(), witness: seed.clone(), mirror: seed };
        let public = keys.public("KZ-75").unwrap();
        let expected = b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(public.log, *from_hex(expected).unwrap());
        assert!(keys.public("kz-75").is_err());

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PUBLIC_KEYS);
        public.save(&path).unwrap();
        public.save(&path).unwrap();
        assert_eq!(PublicKeys::load(&path).unwrap(), public);
        assert!(!fs::read_to_string(&path).unwrap().contains("epoch"), "read by older tools");
        let later = PublicKeys { epoch: 7, ..public };
        later.save(&path).unwrap();
        assert_eq!(PublicKeys::load(&path).unwrap(), later);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn wrong_public_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PUBLIC_KEYS);
        NodeKeys::create(dir.path()).unwrap().public("KZ").unwrap().save(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let log = good.lines().find(|line| line.starts_with("log")).unwrap();
        let weak = format!("log = \"{}\"", STANDARD.encode([0; 32]));
        for bad in [
            format!("{good}more = 1\n"),
            good.replace("office = \"KZ\"", "office = \"kz\""),
            good.replace(log, ""),
            good.replace(log, "log = \"AAAA\""),
            good.replace(log, &weak),
        ] {
            fs::write(&path, &bad).unwrap();
            assert!(PublicKeys::load(&path).is_err(), "{bad}");
        }
    }
}
