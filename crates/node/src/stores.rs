//! Opens journal and vault as the pair they are, or says which one is missing.
//!
//! Each names the other, so that neither is begun anew while the other goes on: records whose keys
//! are lost could never be opened, and a journal begun anew would sign other records under
//! positions, and give out registration numbers, that are taken.
//!
//! | where | what |
//! |---|---|
//! | journal, control `vault/id` | id of the vault with the keys of its records, 16 bytes |
//! | vault, secret `journal` | there once a journal names this vault; its value says nothing |
//!
//! At the first start they are made in this order: journal, vault, control, secret; records only
//! after that. A start that was cut short in between is completed by the next one. Nothing is made
//! before it is known that nothing is missing, so a refusal is the same at every start.

use std::path::Path;

use anyhow::{Context, ensure};
use evidence::hash::hex;
use journal::disk::Disk;
use journal::{Control, Journal, Transaction};
use tracing::info;
use vault::{RootKey, Vault};

use crate::options::{Begin, Options};
use crate::records::{self, Opening};
use crate::reseed;

/// The control fact with the vault's id.
const VAULT: &[u8] = b"vault/id";
/// The secret that says that a journal names this vault.
const JOURNAL: &str = "journal";

/// Opens both; makes both where there is neither.
///
/// # Errors
/// One of the two is missing or belongs to another office, is in use, or is damaged. The text says
/// what to do.
pub fn open(
    options: &Options,
    root: &RootKey,
    disk: &dyn Disk,
    opening: &Opening,
) -> anyhow::Result<(Journal, Vault)> {
    let (journal_dir, vault_dir) = (options.data.join("journal"), options.data.join("vault"));
    let was_there = Vault::exists(&vault_dir)?;
    let open_vault = || Vault::open(&vault_dir, root).context("open the vault");
    let mut vault = None;
    if was_there && !is_begun(disk, &journal_dir)? {
        let found = open_vault()?;
        let asked = options.begin == Begin::Reseed || !found.has_secret(JOURNAL);
        ensure!(asked, lost_journal(&journal_dir));
        vault = Some(found);
    }
    let journal = open_journal(options, &journal_dir, opening)?;
    let named = journal.control(VAULT);
    let records: u64 = journal.logs().iter().map(|info| info.size).sum();
    ensure!(was_there || (named.is_none() && records == 0), lost_vault(&vault_dir));
    let vault = match vault {
        Some(vault) => vault,
        None => open_vault()?,
    };
    match named {
        Some(id) => ensure!(id == vault.id(), strangers(&id, &vault)),
        None => {
            // A journal begun anew beside an old vault says so in the same commit.
            let reseed = options.begin == Begin::Reseed;
            ensure!(reseed || !vault.has_secret(JOURNAL), lost_journal(&journal_dir));
            ensure!(records == 0, lost_vault(&vault_dir));
            name_vault(&journal, &vault, reseed.then(reseed::marker))?;
        }
    }
    vault.named_secret(JOURNAL).context("note in the vault that a journal names it")?;
    Ok((journal, vault))
}

/// Whether there is a journal or anything left of one. The lock and an empty folder are what a
/// start leaves that was cut short before it made anything.
fn is_begun(disk: &dyn Disk, dir: &Path) -> anyhow::Result<bool> {
    let names = |dir: &Path| disk.list(dir).with_context(|| format!("look into {}", dir.display()));
    for name in names(dir)? {
        let counts = match name.as_str() {
            "lock" => false,
            "commits" => !names(&dir.join(name))?.is_empty(),
            _ => true,
        };
        if counts {
            return Ok(true);
        }
    }
    Ok(false)
}

fn open_journal(options: &Options, dir: &Path, opening: &Opening) -> anyhow::Result<Journal> {
    const MIB: u64 = 1024 * 1024;
    let sizes = journal::Options {
        segment_bytes: options.journal.segment_mib.saturating_mul(MIB),
        sled_cache_bytes: options.journal.sled_cache_mib.saturating_mul(MIB),
        free_space_watermark: options.journal.free_space_watermark_mib.saturating_mul(MIB),
        ..journal::Options::default()
    };
    let (journal, report) = records::open(opening, dir, sizes).context("open the journal")?;
    info!(?report, "journal opened");
    Ok(journal)
}

fn name_vault(journal: &Journal, vault: &Vault, more: Option<Control>) -> anyhow::Result<()> {
    let control = Control { key: VAULT.to_vec(), value: vault.id().to_vec() };
    let controls = [control].into_iter().chain(more).collect();
    let transaction = Transaction { controls, ..Transaction::default() };
    records::wait_for_index(journal, records::patience());
    // The time of a group is that of its records, and there are none.
    for outcome in journal.commit(vec![transaction], 0)? {
        outcome.context("note in the journal which vault belongs to it")?;
    }
    Ok(())
}

fn lost_vault(dir: &Path) -> String {
    format!(
        "the vault that belongs to the journal is not in {}: without it no sealed part could be \
         opened. Restore the vault folder from its backup; nothing was made in its place",
        dir.display()
    )
}

fn lost_journal(dir: &Path) -> String {
    format!(
        "the journal that belongs to the vault is not in {}: begun anew, it would give out \
         positions and registration numbers that are taken. Put the journal folder of the old disk \
         there, make one of a backup with `adal journal restore`, or, if there is neither, have it \
         filled from the centre with --reseed; nothing was made in its place",
        dir.display()
    )
}

fn strangers(id: &[u8], vault: &Vault) -> String {
    format!(
        "journal and vault do not belong together: the journal names the vault {}, the folder \
         holds the vault {}; restore both folders from the same office's backup",
        hex(id),
        hex(&vault.id())
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use journal::disk::os::OsDisk;
    use tempfile::TempDir;

    use super::*;
    use crate::records::Records;

    const ROOT: [u8; 32] = [9; 32];

    fn options(dir: &TempDir) -> Options {
        let file = dir.path().join("office.toml");
        let text = "office = \"KZ\"\n[journal]\nsegment_mib = 1\nfree_space_watermark_mib = 1\n";
        fs::write(&file, text).unwrap();
        Options::load(&file).unwrap()
    }

    fn start(dir: &TempDir) -> anyhow::Result<[u8; 16]> {
        let root = RootKey::from_bytes(ROOT);
        let (journal, vault) = open(&options(dir), &root, &OsDisk, &Journal::open)?;
        journal.ensure_own_log(&"kz".parse()?, 1)?;
        Ok(vault.id())
    }

    fn folder(dir: &TempDir, name: &str) -> PathBuf {
        dir.path().join("data").join(name)
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy(&path, &to);
            } else {
                fs::copy(&path, &to).unwrap();
            }
        }
    }

    /// Refused at every start with the same words, and nothing is made.
    fn refused(dir: &TempDir, name: &str) -> String {
        let first = start(dir).unwrap_err().to_string();
        for _ in 0..2 {
            assert_eq!(start(dir).unwrap_err().to_string(), first);
            assert!(!folder(dir, name).exists(), "{name} was made");
        }
        first
    }

    #[test]
    fn a_pair_opens_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let id = start(&dir).unwrap();
        for _ in 0..2 {
            assert_eq!(start(&dir).unwrap(), id);
        }
    }

    #[test]
    fn a_lost_vault_is_not_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let id = start(&dir).unwrap();
        let (vault, backup) = (folder(&dir, "vault"), folder(&dir, "backup"));
        fs::rename(&vault, &backup).unwrap();
        let said = refused(&dir, "vault");
        assert!(said.contains("vault") && said.contains("Restore"), "{said}");
        fs::rename(&backup, &vault).unwrap();
        assert_eq!(start(&dir).unwrap(), id, "the backup is what it wants");
    }

    #[test]
    fn a_lost_journal_is_not_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        start(&dir).unwrap();
        let (journal, backup) = (folder(&dir, "journal"), folder(&dir, "backup"));
        fs::rename(&journal, &backup).unwrap();
        let said = refused(&dir, "journal");
        assert!(said.contains("adal journal restore"), "{said}");
        // An empty folder in its place, as a mount that is missing leaves it, is none either.
        fs::create_dir_all(journal.join("commits")).unwrap();
        for _ in 0..2 {
            assert_eq!(start(&dir).unwrap_err().to_string(), said);
        }
        fs::remove_dir_all(&journal).unwrap();
        fs::rename(&backup, &journal).unwrap();
        start(&dir).unwrap();
    }

    #[test]
    fn a_journal_without_its_commit_files_is_not_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        start(&dir).unwrap();
        fs::remove_dir_all(folder(&dir, "journal/commits")).unwrap();
        for _ in 0..2 {
            assert!(start(&dir).is_err());
        }
    }

    #[test]
    fn the_vault_of_another_office_is_refused() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        start(&dir).unwrap();
        start(&other).unwrap();
        fs::remove_dir_all(folder(&dir, "vault")).unwrap();
        copy(&folder(&other, "vault"), &folder(&dir, "vault"));
        for _ in 0..2 {
            let said = start(&dir).unwrap_err().to_string();
            assert!(said.contains("do not belong together"), "{said}");
        }
    }

    #[test]
    fn only_an_order_begins_a_journal_beside_an_old_vault() {
        let (dir, root) = (tempfile::tempdir().unwrap(), RootKey::from_bytes(ROOT));
        let id = start(&dir).unwrap();
        fs::remove_dir_all(folder(&dir, "journal")).unwrap();
        assert!(refused(&dir, "journal").contains("--reseed"));
        let ordered = Options { begin: Begin::Reseed, ..options(&dir) };
        // A start that was cut short before it noted anything is ordered again.
        drop(open_journal(&ordered, &folder(&dir, "journal"), &Journal::open).unwrap());
        assert!(start(&dir).unwrap_err().to_string().contains("--reseed"));
        let (journal, vault) = open(&ordered, &root, &OsDisk, &Journal::open).unwrap();
        assert_eq!(vault.id(), id, "the texts of before can be read");
        assert!(reseed::pending(&Records::new(journal)).is_some(), "noted in the same commit");
        drop(vault);
        // From then on it goes on by itself.
        let (journal, _) = open(&options(&dir), &root, &OsDisk, &Journal::open).unwrap();
        assert!(reseed::pending(&Records::new(journal)).is_some());
    }

    #[test]
    fn a_first_start_that_was_cut_short_is_completed() {
        let root = RootKey::from_bytes(ROOT);
        // Before the vault.
        let dir = tempfile::tempdir().unwrap();
        open_journal(&options(&dir), &folder(&dir, "journal"), &Journal::open).unwrap();
        start(&dir).unwrap();
        // Before the control: the vault says nothing yet.
        let dir = tempfile::tempdir().unwrap();
        let id = Vault::open(&folder(&dir, "vault"), &root).unwrap().id();
        assert_eq!(start(&dir).unwrap(), id);
        // Between control and secret.
        let dir = tempfile::tempdir().unwrap();
        let journal =
            open_journal(&options(&dir), &folder(&dir, "journal"), &Journal::open).unwrap();
        let vault = Vault::open(&folder(&dir, "vault"), &root).unwrap();
        name_vault(&journal, &vault, None).unwrap();
        drop((journal, vault));
        start(&dir).unwrap();
        fs::remove_dir_all(folder(&dir, "journal")).unwrap();
        refused(&dir, "journal");
    }
}
