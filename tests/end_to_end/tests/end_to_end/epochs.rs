//! One key per epoch, on real processes: keys changed while an office works, an office restored
//! with its old key at hand, and one whose keys are burnt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::note::Verifier;
use identity::{NodeKeys, PublicKeys};
use serde_json::Value;
use testkit::country::Country;
use testkit::installation::DOMAIN;
use uuid::Uuid;
use wire::pb::operator::v1::{ListLogsRequest, LogRow};

use crate::support::call::{accepted, link, record_contacts};
use crate::support::requests::{command, contact};
use crate::support::tool::{Tool, bare, ended, text};
use crate::support::{hasty, land, land_with, reading, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

async fn rows(country: &Country, office: &str, log: &str) -> Result<Vec<LogRow>> {
    let rows = country.operator(office).await?.list_logs(ListLogsRequest {}).await?.into_inner();
    Ok(rows.logs.into_iter().filter(|row| row.log == log).collect())
}

/// Sizes of the epochs of a log, as an office holds them.
async fn epochs(country: &Country, office: &str, log: &str) -> Result<BTreeMap<u32, u64>> {
    Ok(rows(country, office, log).await?.iter().map(|row| (row.epoch, row.size)).collect())
}

/// Waits until both hold the same epochs of a log, of these sizes.
async fn both_hold(country: &Country, log: &str, sizes: &[(u32, u64)]) -> Result<()> {
    let wanted: BTreeMap<_, _> = sizes.iter().copied().collect();
    until("both offices hold every epoch", async || {
        for office in [OFFICE, "KZ"] {
            let held = epochs(country, office, log).await?;
            ensure!(held == wanted, "{office} holds {held:?} of {log}, not {wanted:?}");
        }
        Ok(())
    })
    .await
}

/// The centre's heads of a log are signed by these keys, each epoch's by its own and no other.
async fn signed_by(country: &Country, log: &str, keys: &[Verifier]) -> Result<()> {
    until("the centre has accepted the newest heads", async || {
        for row in rows(country, "KZ", log).await? {
            for (at, key) in (1..).zip(keys) {
                let opened = Checkpoint::open(&row.head, key);
                ensure!(opened.is_ok() == (at == row.epoch), "epoch {}: {opened:?}", row.epoch);
                ensure!(opened.is_err() || opened?.size == row.size, "epoch {}", row.epoch);
            }
        }
        Ok(())
    })
    .await
}

/// The key of the office's first epoch, as it was enrolled.
fn first_key(country: &Country, office: &str) -> Result<Verifier> {
    let public = PublicKeys::load(&country.installation.keys(office).join("public.toml"))?;
    let log = office.to_ascii_lowercase().parse()?;
    Ok(Verifier::log(&origin(DOMAIN, &log, 1), &public.log)?)
}

/// Every `log.closed` that an office has of a log, once there are so many.
async fn closings(country: &Country, office: &str, log: &str, count: usize) -> Result<Vec<Value>> {
    until("closed epochs are known", async || {
        let records = reading::records(country, office, "kz/all").await?;
        let closed = records.iter().filter(|record| record.type_name == "log.closed");
        let bodies = closed.map(|record| serde_json::from_str(&record.open_json));
        let bodies: Vec<Value> = bodies.collect::<Result<_, _>>()?;
        let of_log: Vec<_> = bodies.into_iter().filter(|body| body["log"] == log).collect();
        ensure!(of_log.len() == count, "{office} knows {of_log:?}");
        Ok(of_log)
    })
    .await
}

/// Both ends of the link are live, and no log of it is refused.
async fn live(country: &Country) -> Result<()> {
    until("the link is live", async || {
        for (office, peer) in [(OFFICE, "KZ"), ("KZ", OFFICE)] {
            let link = link(country, office, peer).await?;
            ensure!(link.state == "live", "{office}: {} ({})", link.state, link.last_error);
            let refused = link.logs.iter().find(|log| !log.refused.is_empty());
            ensure!(refused.is_none(), "{office}: {refused:?}");
        }
        Ok(())
    })
    .await
}

/// Changes the key of an office by the operator's tool; the key that signs `log` now.
async fn rotate(country: &Country, office: &str, log: &str) -> Result<Verifier> {
    let operator = Tool::of(country, office, "operator")?;
    let rows = operator.json(&["office", "rotate-key", "--code", office, "--yes"]).await?;
    let row = rows.iter().find(|row| row["log"] == log).context("the log")?;
    Ok(text(row, "verifier_key")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_while_the_office_works() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let country = &mut land.country;
    let mut keys = vec![first_key(country, OFFICE)?];
    record_contacts(country, OFFICE, 6).await?;
    let line = ["office", "rotate-key", "--code", OFFICE];
    let operator = Tool::of(country, OFFICE, "operator")?;
    operator.fails(&line, 2, &["--yes", "no way back"]).await?;
    let sure = [&line[..], &["--yes"]].concat();
    Tool::of(country, OFFICE, "clerk")?.fails(&sure, 3, &["operator"]).await?;
    let other = ["office", "rotate-key", "--code", "KZ-10", "--yes"];
    operator.fails(&other, 3, &["KZ-75"]).await?;

    // With a link: the centre takes the new key by itself.
    keys.push(rotate(country, OFFICE, LOG).await?);
    record_contacts(country, OFFICE, 4).await?;
    both_hold(country, LOG, &[(1, 7), (2, 5)]).await?;
    live(country).await?;
    signed_by(country, LOG, &keys).await?;

    // After a power cut, and without a link, twice.
    country.kill_region(OFFICE).await?;
    country.region(OFFICE)?.link.cut();
    country.start_region(OFFICE).await?;
    keys.push(rotate(country, OFFICE, LOG).await?);
    record_contacts(country, OFFICE, 3).await?;
    keys.push(rotate(country, OFFICE, LOG).await?);
    record_contacts(country, OFFICE, 2).await?;
    country.region(OFFICE)?.link.mend();
    let all = [(1, 7), (2, 6), (3, 5), (4, 3)];
    both_hold(country, LOG, &all).await?;
    live(country).await?;
    signed_by(country, LOG, &keys).await?;
    for office in ["KZ", OFFICE] {
        let closed = closings(country, office, LOG, 3).await?;
        for (body, (epoch, size)) in closed.iter().zip(all) {
            ensure!(body["epoch"] == epoch && body["size"] == size, "{body}");
            ensure!(body["reason"] == "succeeded" && body["missing_from"].is_null(), "{body}");
        }
    }

    // The centre changes its own, and both start again.
    rotate(country, "KZ", "kz/all").await?;
    country.settle().await?;
    live(country).await?;
    ensure!(epochs(country, OFFICE, "kz/all").await?.len() == 2);
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    ensure!(country.stop_coordinator().await?, "the centre did not end cleanly");
    country.start_coordinator().await?;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 1).await?;
    both_hold(country, LOG, &[(1, 7), (2, 6), (3, 5), (4, 4)]).await?;
    live(country).await?;
    signed_by(country, LOG, &keys).await?;
    reading::all_intact(country).await
}

/// Takes a backup of the office's journal.
async fn back_up(country: &Country, to: &Path) -> Result<()> {
    let to = to.display().to_string();
    let operator = Tool::of(country, OFFICE, "operator")?;
    operator.one(&["journal", "backup", "--out", &to]).await.map(drop)
}

/// The office's journal is lost, and made anew of a backup.
async fn restore(country: &mut Country, from: &Path) -> Result<()> {
    country.kill_region(OFFICE).await?;
    let journal = country.installation.data(OFFICE).join("journal");
    fs::remove_dir_all(&journal)?;
    let (from, to) = (from.display().to_string(), journal.display().to_string());
    let line = ["journal", "restore", "--from", &from, "--to", &to];
    let made = ended(bare(&line)?, &line).await?;
    ensure!(made.status == 0, "{}{}", made.out, made.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_co_signed_and_lost_is_named_to_the_record() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let saved = land.dir.path().join("backup");
    let country = &mut land.country;
    record_contacts(country, OFFICE, 5).await?;
    country.settle().await?;
    back_up(country, &saved).await?;
    // The link breaks in the middle of what it carries: the head is there, most records are not.
    country.region(OFFICE)?.link.cut();
    let note = "x".repeat(8_000);
    for _ in 0..150 {
        let command = command(Uuid::now_v7(), 0, contact("Someone", &note));
        accepted(country, OFFICE, "clerk", command).await?;
    }
    country.region(OFFICE)?.link.mend_for(300_000);
    let signed = until("the centre has the head and not the records", async || {
        let row = rows(country, "KZ", LOG).await?.remove(0);
        let head = Checkpoint::parse(&row.head)?;
        ensure!(head.size == 155 && row.size < 155, "head {}, {} records", head.size, row.size);
        Ok(head.size)
    })
    .await?;
    restore(country, &saved).await?;
    country.region(OFFICE)?.link.cut();
    country.region(OFFICE)?.link.mend();
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    record_contacts(country, OFFICE, 3).await?;
    let closed = closings(country, OFFICE, LOG, 1).await?.remove(0);
    live(country).await?;
    let held = epochs(country, "KZ", LOG).await?;
    ensure!(held[&2] == 4 && held[&1] >= 5 && held[&1] < signed, "{held:?}");
    ensure!(closed["reason"] == "succeeded" && closed["size"] == signed, "{closed}");
    ensure!(closed["missing_from"] == held[&1] && closed["missing_to"] == signed, "{closed}");
    ensure!(epochs(country, OFFICE, LOG).await? == held, "the rest of epoch 1 is back");
    reading::all_intact(country).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_before_a_change_of_the_key_opens_no_epoch_twice() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let saved = land.dir.path().join("backup");
    let country = &mut land.country;
    let mut keys = vec![first_key(country, OFFICE)?];
    record_contacts(country, OFFICE, 5).await?;
    country.settle().await?;
    back_up(country, &saved).await?;
    keys.push(rotate(country, OFFICE, LOG).await?);
    record_contacts(country, OFFICE, 6).await?;
    both_hold(country, LOG, &[(1, 6), (2, 7)]).await?;
    // The key of epoch 2 lies beside the lost journal: the restore opens the third.
    restore(country, &saved).await?;
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    record_contacts(country, OFFICE, 2).await?;
    until("the centre mirrors the third epoch", async || {
        let held = epochs(country, "KZ", LOG).await?;
        ensure!(held == BTreeMap::from([(1, 6), (2, 7), (3, 3)]), "{held:?}");
        Ok(())
    })
    .await?;
    // What the backup lacks of its own epoch has come back.
    ensure!(epochs(country, OFFICE, LOG).await? == BTreeMap::from([(1, 6), (3, 3)]));
    let closed = closings(country, OFFICE, LOG, 2).await?;
    for (body, (epoch, size)) in closed.iter().zip([(1, 6), (2, 7)]) {
        ensure!(body["epoch"] == epoch && body["size"] == size, "{body}");
        ensure!(body["reason"] == "succeeded" && body["missing_from"].is_null(), "{body}");
    }
    live(country).await?;
    for row in rows(country, "KZ", LOG).await?.iter().filter(|row| row.epoch < 3) {
        let key = &keys[row.epoch as usize - 1];
        ensure!(Checkpoint::open(&row.head, key).is_ok(), "epoch {}", row.epoch);
    }
    reading::all_intact(country).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_whose_keys_are_burnt_comes_back_with_new_ones() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let saved = land.dir.path().join("backup");
    let country = &mut land.country;
    record_contacts(country, OFFICE, 6).await?;
    country.settle().await?;
    back_up(country, &saved).await?;
    record_contacts(country, OFFICE, 4).await?;
    country.settle().await?;
    restore(country, &saved).await?;
    let (keys, made) = (country.installation.keys(OFFICE), land.dir.path().join("new"));
    NodeKeys::create(&made)?;
    for name in ["log.key", "witness.key", "mirror.key"] {
        fs::copy(made.join(name), keys.join(name))?;
    }
    // Without asking what the centre holds: what was recorded after the backup stays there.
    country.start_region_with(OFFICE, &["--without-centre"]).await?;
    record_contacts(country, OFFICE, 2).await?;

    // Refused on both sides, in words that say what to do; nothing else stops.
    until("the new epoch is refused on both sides", async || {
        for (office, peer) in [(OFFICE, "KZ"), ("KZ", OFFICE)] {
            let link = link(country, office, peer).await?;
            let log = link.logs.iter().find(|log| log.log == LOG).context("the log")?;
            ensure!(log.refused.starts_with("wrong_key"), "{office}: {log:?}");
            ensure!(log.refused.contains("adal office rekey --code KZ-75"), "{}", log.refused);
        }
        Ok(())
    })
    .await?;
    ensure!(epochs(country, "KZ", LOG).await? == BTreeMap::from([(1, 10)]));

    // The file that the office's node wrote lets it in; a person says so at the centre.
    let public = country.installation.data(OFFICE).join("keys/public.toml");
    let public = public.display().to_string();
    let centre = Tool::of(country, "KZ", "national")?;
    let old = keys.join("public.toml").display().to_string();
    let line = ["office", "rekey", "--code", OFFICE, "--public"];
    centre.fails(&[&line[..], &[&old, "--yes"]].concat(), 2, &["first epoch"]).await?;
    centre.fails(&[&line[..], &[&public]].concat(), 2, &["--yes", "certainly lost"]).await?;
    centre.ok(&[&line[..], &[&public, "--yes"]].concat()).await?;
    record_contacts(country, OFFICE, 1).await?;
    until("the centre mirrors the new epoch", async || {
        let held = epochs(country, "KZ", LOG).await?;
        ensure!(held == BTreeMap::from([(1, 10), (2, 4)]), "{held:?}");
        Ok(())
    })
    .await?;
    let closed = closings(country, OFFICE, LOG, 1).await?.remove(0);
    ensure!(closed["reason"] == "rekeyed" && closed["size"] == 10, "{closed}");
    ensure!(closed["missing_from"].is_null(), "{closed}");
    live(country).await?;
    // In use now, so it has its key for ever.
    centre.fails(&[&line[..], &[&public, "--yes"]].concat(), 3, &["mirrored here already"]).await?;
    reading::all_intact(country).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_every_epoch_is_accepted_and_needs_each_of_them() -> Result<()> {
    let land = land_with(&["KZ-71", OFFICE, "KZ-79"], hasty()).await?;
    let country = &land.country;
    record_contacts(country, OFFICE, 6).await?;
    rotate(country, OFFICE, LOG).await?;
    record_contacts(country, OFFICE, 4).await?;
    rotate(country, OFFICE, LOG).await?;
    record_contacts(country, OFFICE, 3).await?;
    both_hold(country, LOG, &[(1, 7), (2, 6), (3, 4)]).await?;
    let (auditor, out) = (Tool::of(country, "KZ", "auditor")?, land.dir.path().join("bundle"));
    let (shown, policy) = (out.display().to_string(), land.dir.path().join("policy"));
    let export = ["evidence", "export", "--log", LOG, "--out", &shown];
    let row = until("every epoch has a complete head", async || {
        let row = auditor.one(&export).await?;
        let heads = fs::read_dir(out.join("checkpoints"))?.count();
        ensure!(heads >= 3, fs::remove_dir_all(&out).map(|()| format!("{heads} heads"))?);
        Ok(row)
    })
    .await?;
    ensure!(row["checked"] == true, "{row}");
    fs::write(&policy, auditor.ok(&["policy", "show", "--log", LOG]).await?)?;
    let policy = policy.display().to_string();
    let verify = ["evidence", "verify", &shown, "--policy", &policy];
    let rows = auditor.json(&verify).await?;
    for epoch in ["kz-75", "kz-75.e2", "kz-75.e3"] {
        let origin = format!("log/{epoch}");
        let named = rows.iter().any(|row| row.to_string().contains(&origin));
        ensure!(named, "{origin} is not judged: {rows:?}");
    }
    // Without the receipt that opens an epoch, nobody knows where the one before it ended.
    let receipts = fs::read_dir(out.join("receipts"))?.collect::<Result<Vec<_>, _>>()?;
    let first = receipts.iter().map(fs::DirEntry::path);
    let first = first.filter(|path| path.to_string_lossy().contains("e3-0"));
    let first: Vec<_> = first.collect();
    ensure!(first.len() == 1, "{receipts:?}");
    fs::remove_file(&first[0])?;
    auditor.fails(&verify, 1, &["REFUSED", "kz-75.e3"]).await
}
