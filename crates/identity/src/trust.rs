//! The public keys that every node of an installation starts from. No trust on first use.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::IdentityError;
use crate::files;
use crate::keys::{PublicKeys, decode_key, parse_toml};
use crate::name::check_domain;

/// File of the trust roots, the same on every node of an installation.
pub const TRUST: &str = "trust.toml";

/// What a node believes before it has read any log: the domain and the centre's keys. The keys of
/// regions come from facts in the centre's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Domain of the installation, first part of every key name and log origin.
    pub domain: String,
    /// Keys of the centre.
    pub centre: CentreKeys,
}

/// The centre's public keys: raw Ed25519, 32 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CentreKeys {
    /// Key of the centre's logs.
    pub log: [u8; 32],
    /// Key of the centre as witness of regional heads.
    pub witness: [u8; 32],
    /// Key of the centre as mirror of regional logs.
    pub mirror: [u8; 32],
}

impl From<&PublicKeys> for CentreKeys {
    fn from(keys: &PublicKeys) -> CentreKeys {
        CentreKeys { log: keys.log, witness: keys.witness, mirror: keys.mirror }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    domain: String,
    centre: CentreFile,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CentreFile {
    log: String,
    witness: String,
    mirror: String,
}

impl Trust {
    /// Reads `trust.toml`.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::NotToml`], [`IdentityError::BadDomain`],
    /// [`IdentityError::BadPublicKey`].
    pub fn load(path: &Path) -> Result<Trust, IdentityError> {
        let file: TrustFile = parse_toml(path, "the trust roots of an installation")?;
        check_domain(&file.domain)?;
        let centre = CentreKeys {
            log: decode_key(path, "centre.log", &file.centre.log)?,
            witness: decode_key(path, "centre.witness", &file.centre.witness)?,
            mirror: decode_key(path, "centre.mirror", &file.centre.mirror)?,
        };
        Ok(Trust { domain: file.domain, centre })
    }

    /// Writes `trust.toml`, in the place of an older one.
    ///
    /// # Errors
    /// [`IdentityError::BadDomain`], [`IdentityError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        check_domain(&self.domain)?;
        let text = format!(
            "# What every node of this installation trusts from the start; public.\n\
             domain = \"{}\"\n\n[centre]\nlog = \"{}\"\nwitness = \"{}\"\nmirror = \"{}\"\n",
            self.domain,
            STANDARD.encode(self.centre.log),
            STANDARD.encode(self.centre.witness),
            STANDARD.encode(self.centre.mirror),
        );
        files::replace(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeKeys;
    use std::fs;

    #[test]
    fn comes_back_and_refuses_what_it_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let keys = NodeKeys::create(dir.path()).unwrap().public("KZ").unwrap();
        let trust = Trust { domain: "adal.example".into(), centre: (&keys).into() };
        let path = dir.path().join(TRUST);
        trust.save(&path).unwrap();
        assert_eq!(Trust::load(&path).unwrap(), trust);
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            format!("{good}office = \"KZ\"\n"),
            good.replace("adal.example", "Adal"),
            good.replace("[centre]", "[center]"),
            good.replace("mirror = \"", "mirror = \"!"),
        ] {
            fs::write(&path, &bad).unwrap();
            let error = Trust::load(&path).unwrap_err();
            assert!(!error.to_string().is_empty(), "{bad}");
        }
        fs::remove_file(&path).unwrap();
        assert!(Trust::load(&path).unwrap_err().to_string().contains(TRUST));
        assert!(Trust { domain: "a\"b".into(), ..trust }.save(&path).is_err());
    }
}
