//! What an installation sets: the configuration file of a region or of the coordinator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::{OfficeCode, Zone};
use evidence::note::{Kind, Verifier};
use replication::{Backoff, Limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The whole configuration of one node. Unknown keys are errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Office code: `KZ` for the centre, `KZ-75` for a region.
    pub office: String,
    /// The installation's domain: the prefix of every log origin and the name in certificates.
    #[serde(default = "defaults::domain")]
    pub domain: String,
    /// IANA time zone in which the office counts its days.
    #[serde(default = "defaults::zone")]
    pub zone: String,
    /// Folder of the journal, the vault and the views. Relative to the file's folder.
    #[serde(default = "defaults::data")]
    pub data: PathBuf,
    /// Folder of certificates and secret keys. Relative to the file's folder.
    #[serde(default = "defaults::keys")]
    pub keys: PathBuf,
    /// Address of the gRPC services (mutual TLS). Port 0 takes a free one.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// Address of the national page; the coordinator only, loopback only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<SocketAddr>,
    /// Where a region finds the centre; absent on the coordinator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<Centre>,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub telemetry: telemetry::Options,
    /// The journal's sizes.
    #[serde(default)]
    pub journal: Journal,
    /// The links' intervals and windows.
    #[serde(default)]
    pub replication: Replication,
    /// What is published of heads, and when their lack is an alarm.
    #[serde(default)]
    pub evidence: Evidence,
    /// What this start was told on the command line.
    #[serde(skip)]
    pub begin: Begin,
    /// Whether a region with an empty data folder asks the centre before it records anything. Set
    /// by the binaries.
    #[serde(skip)]
    pub asks_first: bool,
}

/// What one start of a region is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// Nothing: it goes on with what is there.
    #[default]
    Normal,
    /// The office's server was lost: an empty folder is filled from the centre.
    Reseed,
    /// It goes on without asking the centre what it holds.
    WithoutCentre,
}

/// Where a region finds the centre.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Centre {
    /// `host:port` to dial.
    pub address: String,
    /// The name that the centre's certificate must carry; `kz.<domain>` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// The journal's sizes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Size of one commit file, MiB.
    pub segment_mib: u64,
    /// Memory for the index's cache, MiB.
    pub sled_cache_mib: u64,
    /// Free space below which new facts are refused, MiB.
    pub free_space_watermark_mib: u64,
    /// Stored bytes that are hashed again per second in the background, KiB; 0: none.
    pub scrub_kib: u64,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            segment_mib: 16,
            sled_cache_mib: 64,
            free_space_watermark_mib: 32,
            scrub_kib: 1_024,
        }
    }
}

/// The links' intervals and windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replication {
    /// Longest time between two signed heads of a log that is growing, milliseconds; where they are
    /// answered sooner, they are sent sooner.
    pub head_interval_ms: u64,
    /// Time between two signs of life on an idle link, milliseconds.
    pub heartbeat_ms: u64,
    /// Bytes of records under way per log, KiB.
    pub window_kib: u64,
    /// First and longest pause before dialling again, milliseconds.
    pub backoff_min_ms: u64,
    /// See `backoff_min_ms`.
    pub backoff_max_ms: u64,
    /// Shortest time between two heads of one log that the centre shows to the office's peers,
    /// milliseconds.
    pub relay_interval_ms: u64,
    /// Time without any sign of life of another office after which that is an alarm, milliseconds.
    pub silence_alarm_ms: u64,
}

impl Default for Replication {
    fn default() -> Replication {
        Replication {
            head_interval_ms: 200,
            heartbeat_ms: 5_000,
            window_kib: 2_048,
            backoff_min_ms: 200,
            backoff_max_ms: 15_000,
            relay_interval_ms: 30_000,
            silence_alarm_ms: 900_000,
        }
    }
}

impl Replication {
    /// What a link works with. [`Options::load`] has checked that the protocol takes it.
    pub fn limits(&self) -> Limits {
        let micros = |millis: u64| millis.saturating_mul(1_000);
        let window = usize::try_from(self.window_kib.saturating_mul(1_024));
        let window_bytes = window.unwrap_or(usize::MAX);
        Limits {
            head_interval: micros(self.head_interval_ms),
            heartbeat: micros(self.heartbeat_ms.max(self.head_interval_ms)),
            ping_interval: micros(self.heartbeat_ms),
            window_bytes,
            batch_bytes: Limits::default().batch_bytes.min(window_bytes),
            ..Limits::default()
        }
    }

    /// The key that cannot be used, and what is accepted.
    fn check(&self) -> Result<(), (&'static str, String)> {
        // At least one record, at most what the protocol allows.
        between("replication.window_kib", self.window_kib, 256, 16 * 1_024)?;
        // Long enough to be meant; a link that stalls for two minutes is given up.
        between("replication.heartbeat_ms", self.heartbeat_ms, 100, 120_000)?;
        between("replication.head_interval_ms", self.head_interval_ms, 10, 120_000)?;
        let (min, max) = (self.backoff_min_ms, self.backoff_max_ms);
        between("replication.backoff_max_ms", max, 1, 3_600_000)?;
        between("replication.backoff_min_ms", min, 1, max)?;
        between("replication.relay_interval_ms", self.relay_interval_ms, 10, 3_600_000)?;
        between("replication.silence_alarm_ms", self.silence_alarm_ms, 100, 604_800_000)?;
        // The protocol has the last word, so that no dial fails by what was accepted here.
        self.limits().validate().map_err(|error| ("replication", error.to_string()))?;
        Backoff::new(min * 1_000, max * 1_000)
            .map(drop)
            .map_err(|error| ("replication.backoff_min_ms", error.to_string()))
    }
}

/// What is published of heads, and when their lack is an alarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Time between two lists of the heads that the centre has accepted, if any has changed,
    /// milliseconds; the coordinator only. Without a change there is one list an hour.
    pub heads_interval_ms: u64,
    /// Age, in milliseconds, at which a record without a complete set of cosignatures above it is
    /// an alarm.
    pub cosignature_alarm_ms: u64,
    /// Verifier keys of other offices' witnesses that were compared with these offices by another
    /// way: a new one counts for the centre's logs although too few of the keys before it can
    /// co-sign that it is there.
    pub confirmed_keys: Vec<String>,
}

impl Default for Evidence {
    fn default() -> Evidence {
        Evidence {
            heads_interval_ms: 60_000,
            cosignature_alarm_ms: 600_000,
            confirmed_keys: Vec::new(),
        }
    }
}

impl Evidence {
    /// The key that cannot be used, and what is accepted.
    fn check(&self) -> Result<(), (&'static str, String)> {
        between("evidence.heads_interval_ms", self.heads_interval_ms, 100, 3_600_000)?;
        between("evidence.cosignature_alarm_ms", self.cosignature_alarm_ms, 100, 604_800_000)?;
        for key in &self.confirmed_keys {
            let verifier = key.parse::<Verifier>();
            let is_cosigner = verifier.is_ok_and(|verifier| verifier.kind() == Kind::Cosigner);
            if !is_cosigner {
                let text = format!("{key} is no verifier key of a witness");
                return Err(("evidence.confirmed_keys", text));
            }
        }
        Ok(())
    }
}

fn between(
    key: &'static str,
    value: u64,
    from: u64,
    to: u64,
) -> Result<(), (&'static str, String)> {
    match (from..=to).contains(&value) {
        true => Ok(()),
        false => Err((key, format!("is {value}, it must lie between {from} and {to}"))),
    }
}

mod defaults {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::PathBuf;

    pub fn domain() -> String {
        "adal.example".to_owned()
    }
    pub fn zone() -> String {
        "Asia/Almaty".to_owned()
    }
    pub fn data() -> PathBuf {
        "data".into()
    }
    pub fn keys() -> PathBuf {
        "keys".into()
    }
    pub fn listen() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 7475))
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// The file cannot be read.
    #[error("read configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML of the expected form.
    #[error("configuration {path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Place and reason.
        message: String,
    },
    /// A value cannot be used.
    #[error("configuration {path}: `{key}` {message}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong and what is accepted.
        message: String,
    },
}

impl Options {
    /// Reads and checks a configuration file; folders become absolute or relative to its folder.
    pub fn load(path: &Path) -> Result<Options, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
        let mut options: Options = toml::from_str(&text).map_err(|error| OptionsError::Parse {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        options.data = base.join(&options.data);
        options.keys = base.join(&options.keys);
        options.check(path)?;
        Ok(options)
    }

    /// The effective configuration as TOML, for `--check`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    fn check(&self, path: &Path) -> Result<(), OptionsError> {
        let wrong =
            |key, message: String| Err(OptionsError::Value { path: path.to_owned(), key, message });
        let Ok(office) = self.office.parse::<OfficeCode>() else {
            return wrong("office", "is not an office code such as KZ or KZ-75".to_owned());
        };
        if Zone::new(&self.zone).is_err() {
            return wrong("zone", "is not an IANA time zone such as Asia/Almaty".to_owned());
        }
        if self.domain.is_empty() || self.domain.contains(|c: char| !is_domain_character(c)) {
            return wrong("domain", "must be a lower-case DNS name".to_owned());
        }
        match (&self.centre, office.is_centre()) {
            (None, false) => {
                return wrong("centre", "is missing: a region must know it".to_owned());
            }
            (Some(_), true) => return wrong("centre", "is for regions only".to_owned()),
            _ => {}
        }
        if let Some(page) = self.page {
            if !office.is_centre() {
                return wrong("page", "is for the coordinator only".to_owned());
            }
            if !page.ip().is_loopback() {
                return wrong("page", "must be a loopback address".to_owned());
            }
        }
        if !(1..=1_024).contains(&self.journal.segment_mib) {
            return wrong("journal.segment_mib", "must lie between 1 and 1024".to_owned());
        }
        // A gigabyte a second is more than disks give: it was meant in bytes.
        if self.journal.scrub_kib > 1_024 * 1_024 {
            return wrong("journal.scrub_kib", "must lie between 0 and 1048576".to_owned());
        }
        let checked = self.replication.check().and_then(|()| self.evidence.check());
        checked.or_else(|(key, message)| wrong(key, message))
    }
}

fn is_domain_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Options, OptionsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region.toml");
        let whole = format!("office = \"KZ-75\"\n[centre]\naddress = \"kz:7475\"\n{text}");
        std::fs::write(&path, whole).unwrap();
        Options::load(&path)
    }

    #[test]
    fn what_is_accepted_a_link_can_work_with() {
        for (window, heartbeat, interval) in
            [(256, 100, 10), (16_384, 120_000, 120_000), (256, 100, 120_000), (2_048, 5_000, 200)]
        {
            let text = format!(
                "[replication]\nwindow_kib = {window}\nheartbeat_ms = {heartbeat}\n\
                 head_interval_ms = {interval}"
            );
            let limits = load(&text).unwrap().replication.limits();
            assert_eq!(limits.validate(), Ok(()), "{text}");
        }
        assert!(load("").is_ok());
    }

    #[test]
    fn what_a_link_could_not_work_with_is_refused_by_its_key() {
        for (key, value) in [
            ("window_kib", 255),
            ("window_kib", 16_385),
            ("window_kib", u64::MAX >> 1),
            ("heartbeat_ms", 99),
            ("heartbeat_ms", 120_001),
            ("heartbeat_ms", u64::MAX >> 1),
            ("head_interval_ms", 9),
            ("head_interval_ms", 120_001),
            ("backoff_min_ms", 0),
            ("backoff_max_ms", 3_600_001),
            ("backoff_max_ms", 100),
            ("relay_interval_ms", 9),
            ("relay_interval_ms", 3_600_001),
            ("silence_alarm_ms", 99),
            ("silence_alarm_ms", 604_800_001),
        ] {
            let refused = load(&format!("[replication]\n{key} = {value}")).unwrap_err();
            let OptionsError::Value { key: named, .. } = &refused else { panic!("{refused}") };
            // A longest pause below the first one is a fault of either.
            let named =
                named.replace("backoff_min_ms", "backoff").replace("backoff_max_ms", "backoff");
            let key = key.replace("backoff_min_ms", "backoff").replace("backoff_max_ms", "backoff");
            assert_eq!(named, format!("replication.{key}"), "{refused}");
        }
    }
}
