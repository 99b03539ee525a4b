//! A region loses its journal and is restored from a backup that was taken while it worked: the
//! centre, which holds more of the epoch than the backup, gives the rest back, and the region goes
//! on in the next epoch.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use testkit::country::Country;
use wire::pb::operator::v1::{ListLogsRequest, LogRow};
use wire::pb::query::v1::{Dimension, Table};

use crate::support::call::{link, record_contacts};
use crate::support::tool::{Tool, bare, ended, failed, objects};
use crate::support::{land, reading, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

/// Sizes of the epochs of a log, as an office holds them.
async fn epochs(country: &Country, office: &str, log: &str) -> Result<BTreeMap<u32, u64>> {
    let rows = country.operator(office).await?.list_logs(ListLogsRequest {}).await?.into_inner();
    let of = |row: &LogRow| (row.log == log).then_some((row.epoch, row.size));
    Ok(rows.logs.iter().filter_map(of).collect())
}

/// Contacts of the office in an office's tables.
async fn contacts(country: &Country, (office, person): (&str, &str)) -> Result<u64> {
    let by = [Dimension::Office];
    let counts = reading::totals(country, (office, person), Table::Contacts, &by).await?;
    Ok(counts.get(&vec![OFFICE.to_owned()]).copied().unwrap_or_default())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_region_goes_on_in_the_next_epoch() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let saved = land.dir.path().join("backup");
    let out = saved.display().to_string();
    let country = &mut land.country;
    record_contacts(country, OFFICE, 12).await?;
    country.settle().await?;
    let operator = Tool::of(country, OFFICE, "operator")?;
    let clerk = Tool::of(country, OFFICE, "clerk")?;
    clerk.fails(&["journal", "backup", "--out", &out], 3, &["operator"]).await?;
    ensure!(!saved.with_extension("partial").exists(), "a refused backup leaves nothing");

    // The office works on while the backup is taken, and afterwards.
    let line = ["journal", "backup", "--out", &out];
    let (backup, recorded) =
        tokio::join!(operator.one(&line), record_contacts(country, OFFICE, 20));
    let backup = backup?;
    recorded?;
    ensure!(backup["checked"] == true, "{backup}");
    record_contacts(country, OFFICE, 8).await?;
    country.settle().await?;
    let stat = operator.json(&["journal", "stat"]).await?;
    let whole = stat.last().context("the figures of the journal")?;
    ensure!(whole["index"] == "ready" && whole["backup_taken"].is_string(), "{whole}");
    ensure!(whole["restored"].is_null(), "{whole}");
    operator.fails(&line, 2, &["exists already"]).await?;

    // The journal is lost; what is made of the backup is a shorter epoch 1, and epoch 2.
    country.kill_region(OFFICE).await?;
    let data = country.installation.data(OFFICE);
    fs::remove_dir_all(data.join("journal"))?;
    let held = restore(&saved, &data).await?;
    ensure!((12..40).contains(&held), "the backup holds {held} records");
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    record_contacts(country, OFFICE, 10).await?;
    country.settle().await?;
    live(country).await?;
    // What the centre held of epoch 1 is back. The first record of epoch 2 says so.
    ensure!(epochs(country, OFFICE, LOG).await? == BTreeMap::from([(1, 40), (2, 11)]));
    ensure!(epochs(country, "KZ", LOG).await? == BTreeMap::from([(1, 40), (2, 11)]));
    until("the tables have every fact", async || {
        let centre = contacts(country, ("KZ", "national")).await?;
        let region = contacts(country, (OFFICE, "clerk")).await?;
        ensure!((centre, region) == (50, 50), "centre {centre}, region {region}");
        Ok(())
    })
    .await?;
    let stat = operator_at(country)?.json(&["journal", "stat"]).await?;
    let whole = stat.last().context("the figures of the journal")?;
    ensure!(whole["restored"].is_string() && whole["stopped"] == false, "{whole}");

    // Both start again and go on; everything is what it says it is.
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    ensure!(country.stop_coordinator().await?, "the centre did not end cleanly");
    country.start_coordinator().await?;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 5).await?;
    country.settle().await?;
    live(country).await?;
    ensure!(epochs(country, "KZ", LOG).await? == BTreeMap::from([(1, 40), (2, 16)]));
    reading::all_intact(country).await
}

/// The operator at the region's present address, which changes with each start.
fn operator_at(country: &Country) -> Result<Tool> {
    Tool::of(country, OFFICE, "operator")
}

/// Restores the journal of a data folder; the records of the own log that the backup held.
async fn restore(saved: &std::path::Path, data: &std::path::Path) -> Result<u64> {
    let (from, to) = (saved.display().to_string(), data.join("journal").display().to_string());
    let check = ["journal", "check", "--offline", &from];
    let checked = ended(bare(&check)?, &check).await?;
    ensure!(checked.status == 0, "the backup: {}{}", checked.out, checked.err);
    let line = ["journal", "restore", "--from", &from, "--to", &to, "--json"];
    let made = ended(bare(&line)?, &line).await?;
    ensure!(made.status == 0, "{}{}", made.out, made.err);
    let rows = objects(&made.out)?;
    let own = rows.iter().find(|row| row["log"] == LOG).context("the own log")?;
    ensure!(own["goes_on_in_epoch"] == 2, "{own}");
    // Never over what is there.
    failed(&ended(bare(&line)?, &line).await?, &line, 2, &["exists already"])?;
    let stat = ["journal", "stat", "--offline", &to, "--json"];
    let figures = ended(bare(&stat)?, &stat).await?;
    ensure!(figures.status == 0, "{}{}", figures.out, figures.err);
    own["records"].as_u64().context("a number of records")
}
