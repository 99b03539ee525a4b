//! Nodes die at any moment, as in a power cut of the machine they run on: nothing acknowledged is
//! lost or doubled, and the tables are what a fold from scratch gives.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use generator::Step;
use projection::{Fingerprint, Views};
use testkit::country::Country;
use wire::pb::query::v1::{Dimension, Table};

use crate::support::chance::Chance;
use crate::support::{Feeding, expected, files, land, play, reading, until};

const OFFICES: [&str; 3] = ["KZ-71", "KZ-75", "KZ-79"];

/// Six kills, for every run of the tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_kills_lose_nothing() -> Result<()> {
    under_kills(7, 6, 14).await
}

/// Many kills over months of work.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make verify"]
async fn many_kills_lose_nothing() -> Result<()> {
    under_kills(11, 40, 112).await
}

/// Plays so many days with so many kills, each in the middle of its share of the work.
async fn under_kills(seed: u64, kills: usize, days: u32) -> Result<()> {
    let mut land = land(&OFFICES).await?;
    let steps = play(seed, &OFFICES, days)?;
    let mut chance = Chance::new(seed);
    let mut acknowledged = 0;
    for (number, share) in steps.chunks(steps.len().div_ceil(kills)).enumerate() {
        let mut feeding = Feeding::start(&land.country, share)?;
        feeding.reach(chance.below(share.len() as u64 * 2 / 3)).await?;
        // The first two are one of each kind, the others as chance wants it.
        let victims = match number {
            0 => vec!["KZ"],
            1 => vec![OFFICES[0]],
            _ if chance.below(4) == 0 => vec!["KZ", *chance.pick(&OFFICES)],
            _ => vec![*chance.pick(&["KZ", OFFICES[0], OFFICES[1], OFFICES[2]])],
        };
        let done = acknowledged + feeding.fed.commands();
        // Every fifth is asked to end, as for an update; it must, with success.
        let kindly = number % 5 == 4;
        let how = if kindly { "stop" } else { "kill" };
        println!("{how} {:>2}: {} after {done} commands", number + 1, victims.join(" and "));
        end(&mut land.country, &victims, kindly).await?;
        acknowledged += feeding.finish().await?.commands();
    }
    println!("{acknowledged} commands acknowledged");
    ensure!(acknowledged == steps.len() as u64, "{} steps were entered", steps.len());
    let country = &mut land.country;
    country.settle().await?;
    for office in OFFICES {
        once_each(country, office, &steps).await?;
    }
    reading::all_intact(country).await?;
    counted(country, &steps).await?;
    tables_equal_a_fold_from_scratch(country, land.dir.path()).await
}

/// Ends all of them, then starts them again.
async fn end(country: &mut Country, offices: &[&str], kindly: bool) -> Result<()> {
    for office in offices {
        let ended = match (*office, kindly) {
            ("KZ", true) => country.stop_coordinator().await?,
            (region, true) => country.stop_region(region).await?,
            ("KZ", false) => country.kill_coordinator().await.map(|()| true)?,
            (region, false) => country.kill_region(region).await.map(|()| true)?,
        };
        ensure!(ended, "{office} did not end cleanly");
    }
    for office in offices {
        match *office {
            "KZ" => country.start_coordinator().await?,
            region => country.start_region(region).await?,
        }
    }
    Ok(())
}

/// Every command of the office is in its log and in the mirror: all of its facts, together, once.
async fn once_each(country: &Country, office: &str, steps: &[Step]) -> Result<()> {
    let log = office.to_ascii_lowercase();
    let wanted = expected::commands(steps, office);
    for holder in [office, "KZ"] {
        let records = reading::records(country, holder, &log).await?;
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for record in &records {
            *found.entry(record.command_id.clone()).or_default() += 1;
        }
        for (command, facts) in &wanted {
            let there = found.get(command).copied().unwrap_or_default();
            ensure!(
                there == *facts,
                "command {command} of {office} was acknowledged; {holder} holds {there} of its \
                 {facts} facts"
            );
        }
        let unknown = found.keys().find(|command| !wanted.contains_key(*command));
        ensure!(unknown.is_none(), "{holder} holds facts of a command that nobody sent");
        let ids: Vec<_> = records.iter().map(|record| &record.command_id).collect();
        let runs = ids.chunk_by(|a, b| a == b).count();
        ensure!(runs == wanted.len(), "facts of one command of {office} lie apart in {holder}");
    }
    Ok(())
}

async fn counted(country: &Country, steps: &[Step]) -> Result<()> {
    until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await?;
    let rows = expected::rows(steps);
    let (office, state, channel) = (Dimension::Office, Dimension::State, Dimension::Channel);
    for (table, by, wanted) in [
        (Table::Contacts, state, expected::by_state(&rows, Table::Contacts)),
        (Table::Appeals, channel, expected::by_channel(&rows, Table::Appeals)),
        (Table::Receptions, state, expected::by_state(&rows, Table::Receptions)),
        (Table::Measures, state, expected::by_state(&rows, Table::Measures)),
        (Table::Activities, state, expected::by_state(&rows, Table::Activities)),
    ] {
        let here = reading::totals(country, ("KZ", "national"), table, &[office, by]).await?;
        ensure!(here == wanted, "{table:?}: the centre counts {here:?}, the steps {wanted:?}");
    }
    Ok(())
}

/// What the tables were after all the kills is what they are when folded anew.
pub async fn tables_equal_a_fold_from_scratch(country: &mut Country, dir: &Path) -> Result<()> {
    let rows = reading::tables(country, "KZ", "national").await?;
    ensure!(country.stop_coordinator().await?, "the coordinator did not end cleanly");
    let before = fingerprint(country, dir).await?;
    country.start_coordinator().await?;
    reading::rebuild(country, "KZ").await?;
    let again = reading::tables(country, "KZ", "national").await?;
    for (table, rows) in &rows {
        let differ = rows != &again[table];
        ensure!(!differ, "{table}: {} rows, {} from scratch", rows.len(), again[table].len());
    }
    ensure!(country.stop_coordinator().await?, "the coordinator did not end cleanly");
    let after = fingerprint(country, dir).await?;
    let differing = before.differing(&after);
    ensure!(differing.is_empty(), "a fold from scratch gives other rows in {differing:?}");
    Ok(())
}

/// The fingerprint of the centre's tables, taken from a copy of the stopped node's file.
async fn fingerprint(country: &Country, dir: &Path) -> Result<Fingerprint> {
    let copy = dir.join("views-copy");
    std::fs::create_dir_all(&copy)?;
    for file in files::below(&country.installation.data("KZ"))? {
        let name = file.file_name().and_then(|name| name.to_str()).context("a file's name")?;
        if name.starts_with("views.sqlite") {
            std::fs::copy(&file, copy.join(name))?;
        }
    }
    let views = Views::open(&copy.join("views.sqlite")).await?;
    let fingerprint = views.fingerprint().await?;
    views.close().await?;
    std::fs::remove_dir_all(&copy)?;
    Ok(fingerprint)
}
