//! `adal vault`: keys of sealed parts that were lost with a server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use identity::keys::VAULT_KEY;
use vault::{Recovered, RecoverySecret, RootKey, Vault, VaultError, WrapStore};

use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output, Row};

/// Commands about the vault.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Put the keys of a lost vault into the new one
    Recover(RecoverArgs),
}

/// Whose keys, and with what.
#[derive(Debug, Args)]
#[command(
    after_help = "After `--reseed` the node takes the wraps of its keys back from the centre \
                        (`adal sync status` shows how many are lacking). Stop it, run this as the \
                        user of the node, and start it again: what was sealed with these keys \
                        opens. FILE opens every sealed text of the country: bring it on a medium \
                        of its own, and take it away again.\n\n\
                        Example:\n  adal vault recover --office KZ-75 \\\n    \
                        --data /var/lib/adal-region/data --keys /etc/adal-region/keys \\\n    \
                        --recovery-key /media/recovery/recovery.key"
)]
pub struct RecoverArgs {
    /// Code of the office.
    #[arg(long, value_parser = input::office)]
    office: domain::OfficeCode,
    /// The node's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The node's folder of secrets.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The secret half of the national recovery key.
    #[arg(long, value_name = "FILE")]
    recovery_key: PathBuf,
}

/// Carries out one of them.
///
/// # Errors
/// A file is missing, is not what it should be, or belongs to another installation.
pub fn run(command: &VaultCommand, output: Output) -> Outcome {
    let VaultCommand::Recover(args) = command;
    output.one(&recover(args)?)
}

fn recover(args: &RecoverArgs) -> Outcome<Row> {
    let secret = RecoverySecret::load(&args.recovery_key).map_err(failure)?;
    let root = RootKey::load(&args.keys.join(VAULT_KEY)).map_err(failure)?;
    let folder = args.data.join("vault");
    there(&folder, "start the node once with --reseed, then stop it")?;
    let vault = Vault::open(&folder, &root).map_err(failure)?;
    let wraps = args.data.join("wraps").join(args.office.as_str().to_ascii_lowercase());
    there(&wraps, "no wraps came back: link the node with the centre first")?;
    let wraps = WrapStore::open(&wraps).map_err(failure)?;
    let mut recovered: Vec<Recovered> = Vec::new();
    let (mut destroyed, mut unopened) = (0u64, 0u64);
    for wrap in wraps.all() {
        match secret.open(wrap) {
            Ok(Some(key)) => recovered.push(key),
            Ok(None) => destroyed += 1,
            // One that is damaged or for another recovery key holds back none of the others.
            Err(VaultError::NotAuthentic { .. }) => unopened += 1,
            Err(error) => return Err(failure(error)),
        }
    }
    if recovered.is_empty() && unopened > 0 {
        return Err(Failure::usage(
            "the keys are wrapped for another recovery key: bring that of this installation",
        ));
    }
    let all = recovered.len();
    let new = vault.take_up(recovered).map_err(failure)?;
    Ok(vec![
        ("office", Cell::text(args.office.as_str())),
        ("recovered", Cell::number(new as u64)),
        ("there_before", Cell::number((all - new) as u64)),
        ("destroyed", Cell::number(destroyed)),
        ("not_opened", Cell::number(unopened)),
    ])
}

fn there(folder: &Path, what: &str) -> Outcome {
    match folder.is_dir() {
        true => Ok(()),
        false => Err(Failure::usage(format!("{} is not there: {what}", folder.display()))),
    }
}

fn failure(error: VaultError) -> Failure {
    Failure::wrong("recover keys", &error)
}

#[cfg(test)]
mod tests {
    use vault::Wrap;

    use super::*;

    /// A new node beside what came back of its lost vault; the old one, and what it sealed.
    fn node(dir: &Path) -> (RecoverArgs, Vault, vault::KeyId, Vec<u8>) {
        let (data, keys) = (dir.join("data"), dir.join("keys"));
        std::fs::create_dir_all(&keys).unwrap();
        let secret = RecoverySecret::generate().unwrap();
        secret.store(&dir.join("recovery.key")).unwrap();
        let lost = Vault::open(&dir.join("lost"), &RootKey::generate().unwrap()).unwrap();
        let key = lost.key_for(2, [5; 16]).unwrap();
        let gone = lost.key_for(2, [6; 16]).unwrap();
        let sealed = lost.seal(key, b"here", b"a name").unwrap();
        lost.persist().unwrap();
        lost.destroy(gone).unwrap();
        let wrap = |key| lost.wrap(key, &secret.public()).unwrap();
        let wraps: Vec<Wrap> = [key, gone].map(wrap).to_vec();
        WrapStore::open(&data.join("wraps/kz-75")).unwrap().keep(wraps).unwrap();
        let root = RootKey::create(&keys.join(VAULT_KEY)).unwrap();
        drop(Vault::open(&data.join("vault"), &root).unwrap());
        let recovery_key = dir.join("recovery.key");
        let args = RecoverArgs { office: "KZ-75".parse().unwrap(), data, keys, recovery_key };
        (args, lost, key, sealed)
    }

    #[test]
    fn what_the_lost_vault_sealed_opens_in_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (args, _lost, key, sealed) = node(dir.path());
        for (new, before) in [(1u64, 0u64), (0, 1)] {
            let row = recover(&args).unwrap();
            let number = |name| row.iter().find(|(n, _)| *n == name).unwrap().1.clone();
            assert_eq!(number("recovered"), Cell::number(new));
            assert_eq!(number("there_before"), Cell::number(before));
            assert_eq!(number("destroyed"), Cell::number(1u64));
        }
        let root = RootKey::load(&args.keys.join(VAULT_KEY)).unwrap();
        let vault = Vault::open(&args.data.join("vault"), &root).unwrap();
        assert_eq!(&*vault.open_sealed(key, b"here", &sealed).unwrap(), b"a name");
    }

    #[test]
    fn what_is_missing_or_foreign_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let (args, ..) = node(dir.path());
        let other = dir.path().join("other.key");
        RecoverySecret::generate().unwrap().store(&other).unwrap();
        let foreign = recover(&RecoverArgs { recovery_key: other, ..clone(&args) }).unwrap_err();
        assert!(foreign.text.contains("another recovery key"), "{foreign}");
        let office = "KZ-71".parse().unwrap();
        let none = recover(&RecoverArgs { office, ..clone(&args) }).unwrap_err();
        assert!(none.text.contains("kz-71") && none.text.contains("link the node"), "{none}");
    }

    fn clone(args: &RecoverArgs) -> RecoverArgs {
        RecoverArgs {
            office: args.office.clone(),
            data: args.data.clone(),
            keys: args.keys.clone(),
            recovery_key: args.recovery_key.clone(),
        }
    }
}
