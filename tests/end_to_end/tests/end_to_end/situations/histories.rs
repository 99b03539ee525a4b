//! A log that is not the one that was signed: restored old backup, rollback, fork, re-created log;
//! and a key that is not the one that signed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use identity::NodeKeys;
use tonic::Code;

use super::{Seen, held, kept, live, reads};
use crate::support::call::{execute, record_contacts};
use crate::support::requests::plain_contact;
use crate::support::tool::{Tool, bare, ended};
use crate::support::{Land, files, land, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

/// An office with seven records, all held by the centre, and an image of its data and a backup from
/// when it had three. It is stopped, with its link cut.
struct Past {
    land: Land,
    /// The data folder of then.
    old: PathBuf,
    /// The backup of then.
    backup: PathBuf,
    /// What the centre holds.
    held: (u64, Vec<u8>),
}

async fn past() -> Result<Past> {
    let mut land = land(&[OFFICE]).await?;
    let (old, backup) = (land.dir.path().join("old"), land.dir.path().join("backup"));
    let country = &mut land.country;
    record_contacts(country, OFFICE, 3).await?;
    country.settle().await?;
    let operator = Tool::of(country, OFFICE, "operator")?;
    operator.ok(&["journal", "backup", "--out", &backup.display().to_string()]).await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    files::copy(&country.installation.data(OFFICE), &old)?;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 4).await?;
    country.settle().await?;
    live(country, OFFICE).await?;
    let held = held(country, OFFICE).await?;
    ensure!(held.0 == 7, "the centre holds {}", held.0);
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    country.region(OFFICE)?.link.cut();
    Ok(Past { land, old, backup, held })
}

impl Past {
    /// Puts the old data back and records so many more, before the link is there again.
    async fn put_back(&mut self, more: usize) -> Result<()> {
        let country = &mut self.land.country;
        files::copy(&self.old, &country.installation.data(OFFICE))?;
        country.start_region(OFFICE).await?;
        record_contacts(country, OFFICE, more).await?;
        country.region(OFFICE)?.link.mend();
        Ok(())
    }

    /// Nothing of the false history is at the centre, and the office records nothing more.
    async fn nothing_entered(&self) -> Result<()> {
        let country = &self.land.country;
        ensure!(held(country, OFFICE).await? == self.held, "the mirror has changed");
        let refused = execute(country, OFFICE, "clerk", plain_contact()).await?;
        let refused = refused.err().context("a read-only log took a record")?;
        ensure!(refused.code() == Code::FailedPrecondition, "{refused:?}");
        Ok(())
    }

    /// Moves the journal aside and restores a backup, as the text says; then the link is live.
    async fn restore(mut self, from: PathBuf) -> Result<()> {
        let country = &mut self.land.country;
        country.stop_region(OFFICE).await?;
        let journal = country.installation.data(OFFICE).join("journal");
        fs::rename(&journal, self.land.dir.path().join("aside"))?;
        let (from, to) = (from.display().to_string(), journal.display().to_string());
        let line = ["journal", "restore", "--from", &from, "--to", &to];
        let made = ended(bare(&line)?, &line).await?;
        ensure!(made.status == 0, "{}{}", made.out, made.err);
        country.start_region(OFFICE).await?;
        country.until_writable(OFFICE).await?;
        record_contacts(country, OFFICE, 2).await?;
        live(country, OFFICE).await?;
        until("the centre holds the new epoch", async || {
            let held = held(country, OFFICE).await?;
            ensure!(held.0 == 3, "{} records of the new epoch", held.0);
            Ok(())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_is_told_on_both_sides_and_goes_on_in_a_new_epoch() -> Result<()> {
    let mut past = past().await?;
    past.put_back(0).await?;
    let (country, dir) = (&past.land.country, past.land.dir.path());
    let says = "kz-75 has 3 records at the office that writes it, the first of the 7 that this \
                office co-signed: an old copy of the journal was put back there";
    let seen = |state| Seen { state, code: "old_backup", log: LOG, found_by: "KZ", says };
    reads(country, ("KZ", OFFICE), seen("refused: old_backup")).await?;
    reads(country, (OFFICE, "KZ"), seen("read-only: old_backup")).await?;
    kept(country, ("KZ", OFFICE), ("old_backup", 1), dir).await?;
    kept(country, (OFFICE, "KZ"), ("rollback", 1), dir).await?;
    past.nothing_entered().await?;
    // "Otherwise": a backup of what is there.
    let now = dir.join("now");
    let operator = Tool::of(country, OFFICE, "operator")?;
    operator.ok(&["journal", "backup", "--out", &now.display().to_string()]).await?;
    past.restore(now).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_told_on_both_sides_and_goes_on_in_a_new_epoch() -> Result<()> {
    let mut past = past().await?;
    past.put_back(2).await?;
    let (country, dir) = (&past.land.country, past.land.dir.path());
    let seen = Seen {
        state: "refused: rollback",
        code: "rollback",
        log: LOG,
        found_by: "KZ",
        says: "kz-75 has 5 records at the office that writes it, and they are not the first of the \
               7 that this office co-signed: the journal there went back and went on otherwise",
    };
    reads(country, ("KZ", OFFICE), seen).await?;
    let seen = Seen {
        state: "read-only: rollback",
        code: "rollback",
        log: LOG,
        found_by: OFFICE,
        says: "the other office co-signed 7 records of kz-75, this office holds 5: its journal \
               went back or lost its end; go on in a successor epoch",
    };
    reads(country, (OFFICE, "KZ"), seen).await?;
    for office in [("KZ", OFFICE), (OFFICE, "KZ")] {
        kept(country, office, ("rollback", 1), dir).await?;
    }
    past.nothing_entered().await?;
    let backup = past.backup.clone();
    past.restore(backup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_told_on_both_sides_and_a_backup_from_before_goes_on() -> Result<()> {
    let mut past = past().await?;
    past.put_back(6).await?;
    let (country, dir) = (&past.land.country, past.land.dir.path());
    let says = "the first 7 records of kz-75 here are not the ones whose head this office signed \
                and the other one co-signed: two histories; nothing is sent, keep both, open a \
                successor epoch";
    let seen = |state| Seen { state, code: "fork", log: LOG, found_by: OFFICE, says };
    let explained = reads(country, (OFFICE, "KZ"), seen("read-only: fork")).await?;
    let risk = "which of the 9 records of kz-75 here KZ has is not known: keep this journal";
    ensure!(explained["at_risk"] == risk, "{explained:#}");
    reads(country, ("KZ", OFFICE), seen("refused: fork")).await?;
    for office in [("KZ", OFFICE), (OFFICE, "KZ")] {
        kept(country, office, ("fork", 1), dir).await?;
    }
    past.nothing_entered().await?;
    let backup = past.backup.clone();
    past.restore(backup).await
}

/// Longer than the log that was signed, so that its length alone would make it a fork.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_made_anew_is_told_on_both_sides_until_the_old_one_is_back() -> Result<()> {
    let mut past = past().await?;
    let country = &mut past.land.country;
    let (data, aside) = (country.installation.data(OFFICE), past.land.dir.path().join("aside"));
    fs::rename(&data, &aside)?;
    country.start_region_with(OFFICE, &["--without-centre"]).await?;
    record_contacts(country, OFFICE, 9).await?;
    country.region(OFFICE)?.link.mend();
    let (country, dir) = (&past.land.country, past.land.dir.path());
    let seen = Seen {
        state: "refused: recreated_log",
        code: "recreated_log",
        log: LOG,
        found_by: "KZ",
        says: "kz-75 has 9 records at the office that writes it, which begin anew; this office \
               co-signed 7 others: the journal there was made anew under the same key",
    };
    reads(country, ("KZ", OFFICE), seen).await?;
    let seen = Seen {
        state: "read-only: recreated_log",
        code: "recreated_log",
        log: LOG,
        found_by: OFFICE,
        says: "the 9 records of kz-75 here begin with another one than the 7 that this office \
               signed: the journal was made anew under the same key",
    };
    reads(country, (OFFICE, "KZ"), seen).await?;
    for office in [("KZ", OFFICE), (OFFICE, "KZ")] {
        kept(country, office, ("recreated_log", 1), dir).await?;
    }
    past.nothing_entered().await?;

    // The right disk is mounted again.
    let country = &mut past.land.country;
    country.stop_region(OFFICE).await?;
    fs::rename(&data, past.land.dir.path().join("anew"))?;
    fs::rename(&aside, &data)?;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 1).await?;
    live(country, OFFICE).await?;
    ensure!(held(country, OFFICE).await?.0 == 8, "the old log goes on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_on_both_sides_until_the_right_one_is_back() -> Result<()> {
    let mut past = past().await?;
    let key = past.land.country.installation.keys(OFFICE).join("log.key");
    let (right, made) = (fs::read(&key)?, past.land.dir.path().join("new"));
    NodeKeys::create(&made)?;
    fs::write(&key, fs::read(made.join("log.key"))?)?;
    let country = &mut past.land.country;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 1).await?;
    country.region(OFFICE)?.link.mend();
    let (country, dir) = (&past.land.country, past.land.dir.path());
    let says = "the other office holds a head of kz-75 epoch 1 that was signed by another key than \
                this node has: an epoch has one key for ever, and this one was opened before. Put \
                back the key that signed it; if it is lost, go on in an epoch that was never used \
                (`adal journal restore --epoch N`) and have the centre run `adal office rekey`";
    let state = "refused: wrong_key";
    for office in [(OFFICE, "KZ"), ("KZ", OFFICE)] {
        let seen = Seen { state, code: "wrong_key", log: LOG, found_by: OFFICE, says };
        reads(country, office, seen).await?;
        kept(country, office, ("wrong_key", 1), dir).await?;
    }
    ensure!(held(country, OFFICE).await? == past.held, "the mirror has changed");

    let country = &mut past.land.country;
    country.stop_region(OFFICE).await?;
    fs::write(&key, right)?;
    country.start_region(OFFICE).await?;
    live(country, OFFICE).await?;
    ensure!(held(country, OFFICE).await?.0 == 8, "what waited has arrived");
    Ok(())
}
