//! Banned and doubled packages. The policy is `deny.toml`, which cargo-deny reads too; this check
//! needs no tool and no network, so it runs with every `make test`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::licence::Allowed;
use crate::report::{Finding, Rule};

/// A package that the policy bans.
pub const BANNED: Rule = Rule {
    name: "banned-package",
    says: "The lock file holds no package that deny.toml bans.",
    remedy: "Find who brings it with `cargo tree --invert NAME --edges features`, and switch that \
             feature off.",
};
/// Two versions of a package that must be there once.
pub const DOUBLED: Rule = Rule {
    name: "doubled-package",
    says: "Packages marked `deny-multiple-versions` in deny.toml are in the lock file once.",
    remedy: "Bring both users to one version (`cargo tree --duplicates` shows them).",
};

/// What we read of `deny.toml`.
#[derive(Debug, Deserialize)]
pub struct Policy {
    /// Banned and single packages.
    pub bans: Bans,
    /// Licences that may be linked.
    pub licenses: Allowed,
}

/// The section `[bans]`.
#[derive(Debug, Deserialize)]
pub struct Bans {
    /// Its entries.
    pub deny: Vec<Ban>,
}

/// One entry of `bans.deny`.
#[derive(Debug, Deserialize)]
pub struct Ban {
    /// Package name, without a version.
    #[serde(rename = "crate")]
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The package is welcome, but only in one version.
    #[serde(default, rename = "deny-multiple-versions")]
    pub once: bool,
}

/// Reads the policy.
///
/// # Errors
/// Text that is not TOML or lacks a section.
pub fn policy(text: &str) -> Result<Policy, toml::de::Error> {
    toml::from_str(text)
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// A package of the lock file.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Reads `Cargo.lock`.
///
/// # Errors
/// Text that is not a lock file.
pub fn locked(text: &str) -> Result<Vec<Locked>, toml::de::Error> {
    toml::from_str::<Lock>(text).map(|lock| lock.package)
}

/// Banned and doubled packages.
pub fn check(bans: &Bans, packages: &[Locked]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let mut findings = Vec::new();
    for ban in &bans.deny {
        let Some(found) = versions.get(ban.name.as_str()) else { continue };
        let list: Vec<&str> = found.iter().copied().collect();
        let what = format!("{} {}: {}", ban.name, list.join(" and "), ban.reason);
        if !ban.once {
            findings.push(Finding::new(BANNED, "Cargo.lock", what));
        } else if found.len() > 1 {
            findings.push(Finding::new(DOUBLED, "Cargo.lock", what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[bans]\ndeny = [\n{ crate = \"openssl\", reason = \"one TLS stack\" },\n\
        { crate = \"tonic\", deny-multiple-versions = true, reason = \"one gRPC\" },\n]\n\
        [licenses]\nallow = [\"MIT\"]\n";

    fn names(lock: &[(&str, &str)]) -> Vec<&'static str> {
        let policy = policy(DENY).unwrap();
        let lock: String = lock
            .iter()
            .map(|(n, v)| format!("[[package]]\nname = \"{n}\"\nversion = \"{v}\"\n"))
            .collect();
        check(&policy.bans, &locked(&lock).unwrap()).iter().map(|f| f.rule.name).collect()
    }

    #[test]
    fn a_banned_package_is_found() {
        assert_eq!(names(&[("openssl", "0.10.1")]), ["banned-package"]);
        assert!(names(&[("openssl-probe", "0.1.0")]).is_empty());
    }

    #[test]
    fn a_second_version_is_found_only_where_one_is_asked() {
        assert!(names(&[("tonic", "0.14.9"), ("rand", "0.9.0"), ("rand", "0.10.0")]).is_empty());
        assert_eq!(names(&[("tonic", "0.14.9"), ("tonic", "0.13.0")]), ["doubled-package"]);
    }
}
