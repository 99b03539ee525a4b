//! An installation on one machine: authority, keys, configuration files, one folder per node.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use identity::{Authority, NodeKeys, Role, Trust, Validity};
use uuid::Uuid;
use vault::RecoverySecret;

/// Domain of every installation of the testkit.
pub const DOMAIN: &str = "adal.example";

/// The people that each office gets, by name of their certificate's files.
const PEOPLE: [(&str, Role); 3] =
    [("clerk", Role::Clerk), ("chief", Role::Chief), ("operator", Role::Operator)];
/// The people of the centre.
const NATIONAL: [(&str, Role); 3] =
    [("national", Role::National), ("operator", Role::Operator), ("auditor", Role::Auditor)];

/// Folders and files of an installation.
#[derive(Debug)]
pub struct Installation {
    dir: PathBuf,
    authority: Authority,
}

/// What a node's configuration file says beyond the defaults, as TOML lines.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Lines of the top table, e.g. `page = "127.0.0.1:0"`.
    pub top: String,
    /// Tables, e.g. `[telemetry]\nlog = "warn"`.
    pub tables: String,
}

impl Installation {
    /// Makes an authority and the centre's keys in `dir`.
    pub fn create(dir: &Path) -> Result<Installation> {
        let now = now();
        let authority =
            Authority::create(DOMAIN, &dir.join("authority"), Validity::authority(now))?;
        let installation = Installation { dir: dir.to_owned(), authority };
        let recovery = RecoverySecret::generate()?;
        recovery.store(&installation.recovery_key())?;
        recovery.public().store(&dir.join("authority/recovery.pub"))?;
        installation.add_node("KZ", &NATIONAL)?;
        let public = NodeKeys::load(&installation.keys("KZ"))?.public("KZ")?;
        let trust = Trust { domain: DOMAIN.to_owned(), centre: (&public).into() };
        trust.save(&installation.keys("KZ").join("trust.toml"))?;
        Ok(installation)
    }

    /// The secret half of the recovery key, which no node has.
    pub fn recovery_key(&self) -> PathBuf {
        self.dir.join("authority/recovery.key")
    }

    /// Makes the keys and people of a region.
    pub fn add_region(&self, office: &str) -> Result<()> {
        self.add_node(office, &PEOPLE)?;
        let trust = self.keys("KZ").join("trust.toml");
        std::fs::copy(trust, self.keys(office).join("trust.toml")).context("copy trust.toml")?;
        Ok(())
    }

    fn add_node(&self, office: &str, people: &[(&str, Role)]) -> Result<()> {
        let keys = self.keys(office);
        let public = NodeKeys::create(&keys)?.public(office)?;
        public.save(&keys.join("public.toml"))?;
        let recovery = self.dir.join("authority/recovery.pub");
        std::fs::copy(recovery, keys.join("recovery.pub")).context("copy recovery.pub")?;
        self.authority.issue_node(office, &[], Validity::node(now()))?.write_node(&keys)?;
        for (name, role) in people {
            let id = Uuid::now_v7();
            let issued = self.authority.issue_person(office, *role, id, Validity::person(now()))?;
            issued.write_person(&self.people(office), name)?;
        }
        Ok(())
    }

    /// Writes a node's configuration file and names it. `centre` is where a region dials.
    pub fn configure(
        &self,
        office: &str,
        listen: &str,
        centre: Option<&str>,
        settings: &Settings,
    ) -> Result<PathBuf> {
        let path = self.folder(office).join("node.toml");
        let mut text = format!(
            "office = \"{office}\"\ndomain = \"{DOMAIN}\"\nlisten = \"{listen}\"\n{}\n",
            settings.top
        );
        if let Some(address) = centre {
            text.push_str(&format!("[centre]\naddress = \"{address}\"\n"));
        }
        text.push_str(&settings.tables);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A node's folder.
    pub fn folder(&self, office: &str) -> PathBuf {
        self.dir.join(office.to_ascii_lowercase())
    }

    /// A node's folder of secrets.
    pub fn keys(&self, office: &str) -> PathBuf {
        self.folder(office).join("keys")
    }

    /// The folder of an office's people's certificates.
    pub fn people(&self, office: &str) -> PathBuf {
        self.folder(office).join("people")
    }

    /// A node's data folder.
    pub fn data(&self, office: &str) -> PathBuf {
        self.folder(office).join("data")
    }
}

/// Seconds since 1970.
#[allow(clippy::disallowed_methods)] // certificates of a test are made at its own time
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
