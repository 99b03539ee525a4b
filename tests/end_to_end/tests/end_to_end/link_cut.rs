//! A cut link and a centre that is down: offices go on recording, both sides say honestly how it
//! stands, and everything catches up by itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::Settings;
use testkit::country::Country;
use testkit::proxy::LinkProxy;
use tokio::time::Instant;
use wire::pb::query::v1 as query;

use crate::support::call::{link, log, record_contacts};
use crate::support::{Land, land, land_with, until};

const CUT: &str = "KZ-75";
const OTHER: &str = "KZ-71";

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_told_honestly_and_catches_up() -> Result<()> {
    cut(land(&[OTHER, CUT]).await?, LinkProxy::cut, Duration::ZERO).await
}

/// The connection stays open and nothing passes: silence is not taken for health.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_link_is_told_honestly_and_catches_up() -> Result<()> {
    cut(land(&[OTHER, CUT]).await?, LinkProxy::black_hole, Duration::ZERO).await
}

/// As the gate says: a minute, with the intervals of a real installation.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make verify"]
async fn a_link_cut_for_a_minute_catches_up() -> Result<()> {
    let land = land_with(&[OTHER, CUT], Settings::default()).await?;
    cut(land, LinkProxy::cut, Duration::from_secs(60)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_centre_down_offices_go_on_and_catch_up() -> Result<()> {
    centre_down(land(&[OTHER, CUT]).await?, Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make verify"]
async fn with_the_centre_down_for_a_minute_offices_catch_up() -> Result<()> {
    let land = land_with(&[OTHER, CUT], Settings::default()).await?;
    centre_down(land, Duration::from_secs(60)).await
}

async fn cut(land: Land, break_it: fn(&LinkProxy), length: Duration) -> Result<()> {
    let country = &land.country;
    record_contacts(country, CUT, 3).await?;
    country.settle().await?;
    live(country, CUT).await?;

    break_it(&country.region(CUT)?.link);
    let began = Instant::now();
    let mut recorded = 3 + record_for(country, CUT, length, began).await?;
    region_admits(country, CUT, recorded).await?;
    centre_admits(country, CUT, 3).await?;
    recorded += record_for(country, CUT, Duration::ZERO, began).await?;
    region_admits(country, CUT, recorded).await?;
    ensure!(country.logs(CUT).await?["kz-75"].0 == recorded, "the region lost records");
    ensure!(country.logs("KZ").await?["kz-75"].0 == 3, "records came through a cut link");

    // The other office does not notice.
    record_contacts(country, OTHER, 2).await?;
    until("the other office's records arrive", async || {
        let there = country.logs("KZ").await?["kz-71"].0;
        ensure!(there == 2, "{there} of 2 records of {OTHER} are at the centre");
        Ok(())
    })
    .await?;

    country.region(CUT)?.link.mend();
    country.settle().await?;
    live(country, CUT).await
}

async fn centre_down(mut land: Land, length: Duration) -> Result<()> {
    let country = &mut land.country;
    for office in [CUT, OTHER] {
        record_contacts(country, office, 2).await?;
    }
    country.settle().await?;
    country.kill_coordinator().await?;
    let began = Instant::now();
    let mut recorded = 2;
    for office in [CUT, OTHER] {
        let more = record_for(country, office, length / 2, Instant::now()).await?;
        region_admits(country, office, 2 + more).await?;
        recorded += more;
    }
    ensure!(began.elapsed() >= length, "the centre was not down long enough");
    country.start_coordinator().await?;
    country.settle().await?;
    for office in [CUT, OTHER] {
        live(country, office).await?;
    }
    let logs = country.logs("KZ").await?;
    let held = logs["kz-75"].0 + logs["kz-71"].0;
    ensure!(held == recorded + 2, "{} records acknowledged, {held} are here", recorded + 2);
    Ok(())
}

/// Records contacts, at least five, until `length` has passed; returns how many.
async fn record_for(
    country: &Country,
    office: &str,
    length: Duration,
    began: Instant,
) -> Result<u64> {
    let mut recorded = 0;
    while recorded < 5 || began.elapsed() < length {
        record_contacts(country, office, 1).await?;
        recorded += 1;
        if !length.is_zero() {
            // The pace of a busy office; nothing waits for it.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(recorded)
}

/// Both sides say that everything is there, by a recent signed head.
async fn live(country: &Country, office: &str) -> Result<()> {
    let own = office.to_ascii_lowercase();
    until("both sides of the link are live", async || {
        for (here, peer) in [(office, "KZ"), ("KZ", office)] {
            let seen = link(country, here, peer).await?;
            ensure!(seen.state == "live", "{here} sees {peer} as {}", seen.state);
            for log in &seen.logs {
                ensure!(
                    log.lag_records == Some(0) && log.signed_head_size == log.own_size,
                    "{here} counts {:?} records behind in {}",
                    log.lag_records,
                    log.log
                );
                ensure!(log.refused.is_empty(), "{here} refuses {}: {}", log.log, log.refused);
            }
        }
        let seen = link(country, office, "KZ").await?;
        let sent = log(&seen, &own)?;
        ensure!(
            sent.cosigned_size == sent.own_size && sent.peer_size == sent.own_size,
            "{office} has {} records, the centre's cosignature covers {}",
            sent.own_size,
            sent.cosigned_size
        );
        Ok(())
    })
    .await
}

/// The office counts what the centre does not hold, and calls nothing live.
async fn region_admits(country: &Country, office: &str, recorded: u64) -> Result<()> {
    let own = office.to_ascii_lowercase();
    until("the office knows that it is cut off", async || {
        let seen = link(country, office, "KZ").await?;
        ensure!(seen.state != "live", "{office} calls the link live");
        let log = log(&seen, &own)?;
        ensure!(log.own_size == recorded, "{} of {recorded} records", log.own_size);
        ensure!(
            log.own_size > log.peer_size && log.lag_records == Some(log.own_size - log.peer_size),
            "{office} holds {}, says that the centre holds {} and lacks {:?}",
            log.own_size,
            log.peer_size,
            log.lag_records
        );
        Ok(())
    })
    .await
}

/// The centre says since when it has heard nothing, and its last head only grows older.
async fn centre_admits(country: &Country, office: &str, held: u64) -> Result<()> {
    let own = office.to_ascii_lowercase();
    let since = until("the centre knows that the office is silent", async || {
        let seen = link(country, "KZ", office).await?;
        ensure!(seen.state == "silent since", "the centre sees {office} as {}", seen.state);
        let heard = seen.last_contact.map(|at| at.seconds);
        let since = seen.since.map(|at| at.seconds);
        ensure!(since.is_some() && since == heard, "silent since {since:?}, heard at {heard:?}");
        Ok(since)
    })
    .await?;
    let first = link(country, "KZ", office).await?;
    let first_age = log(&first, &own)?.signed_head_age_ms;
    until("the head of a silent office grows older", async || {
        let seen = link(country, "KZ", office).await?;
        let log = log(&seen, &own)?;
        ensure!(log.own_size == held && log.signed_head_size == held, "the mirror has moved");
        ensure!(log.signed_head_age_ms > first_age, "the age stays {first_age:?}");
        ensure!(seen.since.map(|at| at.seconds) == since, "the silence begins anew");
        Ok(())
    })
    .await?;
    let mut queries = country.queries("KZ", "national").await?;
    let offices =
        queries.list_offices(query::ListOfficesRequest::default()).await?.into_inner().rows;
    let row = offices.iter().find(|row| row.code == office);
    let state = row.map_or("", |row| row.state.as_str());
    ensure!(state.starts_with("silent since 20"), "the list of offices says {state} of {office}");
    Ok(())
}
