//! 5,000 queued records over each kind of link: they arrive, in the time that the link allows.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::ground::{Ground, OFFICE, ground, record};

/// Fewer make a quick look.
static RECORDS: LazyLock<usize> = LazyLock::new(|| {
    let given = std::env::var_os("ADAL_LINK_RECORDS").and_then(|text| text.into_string().ok());
    given.and_then(|text| text.parse().ok()).unwrap_or(5_000)
});
const MINUTE: Duration = Duration::from_secs(60);

/// Queues the records behind a cut link, makes the link `bad`, and lets them go.
async fn backlog(
    name: &str,
    bad: impl FnOnce(&Ground) -> Result<()>,
    limit: Duration,
) -> Result<Option<Figures>> {
    let Some(ground) = ground().await? else { return Ok(None) };
    let link = &ground.country.region(OFFICE)?.link;
    link.cut();
    record(&ground.country, *RECORDS).await?;
    let size = ground.size(OFFICE).await?;
    bad(&ground)?;
    let (before, connections) = (ground.far.traffic()?, link.connections());
    link.mend();
    let took = ground.arrived(size, limit).await?;
    let after = ground.far.traffic()?;
    let connections = link.connections() - connections;
    let (up, down) = (after.0 - before.0, after.1 - before.1);
    let bytes = ground.ended().await?;
    let each = |bytes: u64| (bytes as f64 / *RECORDS as f64 * 10.0).round() / 10.0;
    let line = json!({
        "link": name,
        "records": *RECORDS,
        "seconds": took.as_secs_f64(),
        "connections": connections,
        "bytes": bytes.told(),
        "wire_up": each(up),
        "wire_down": each(down),
        "kbit_per_second": up as f64 * 8.0 / 1_000.0 / took.as_secs_f64(),
    });
    println!("{line}");
    Ok(Some(Figures { took, up }))
}

struct Figures {
    took: Duration,
    /// Bytes that left the region.
    up: u64,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_backlog_over_a_good_link() -> Result<()> {
    backlog("good", |_| Ok(()), MINUTE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_backlog_over_round_trips_of_half_a_second() -> Result<()> {
    let long = |ground: &Ground| {
        ground.country.region(OFFICE)?.link.delay(Duration::from_millis(250));
        Ok(())
    };
    backlog("500 ms round trip", long, MINUTE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_backlog_over_a_link_that_loses_five_of_a_hundred_packets() -> Result<()> {
    backlog("5 % loss", |ground| ground.far.lose(5), 2 * MINUTE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_backlog_over_a_link_that_is_long_and_lossy() -> Result<()> {
    let bad = |ground: &Ground| {
        ground.country.region(OFFICE)?.link.delay(Duration::from_millis(250));
        ground.far.lose(5)
    };
    backlog("500 ms round trip and 5 % loss", bad, 4 * MINUTE).await.map(drop)
}

/// Some proxies and firewalls end every connection, however busy it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_backlog_through_a_proxy_that_cuts_every_three_seconds() -> Result<()> {
    let cutting = |ground: &Ground| {
        ground.country.region(OFFICE)?.link.cut_after(Duration::from_secs(3));
        ground.far.rate(512)
    };
    backlog("512 kbit/s, cut every 3 s", cutting, 5 * MINUTE).await.map(drop)
}

/// A modem, or a satellite on a bad day: what is left over is used, and nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, half an hour: make links"]
async fn a_backlog_over_ten_kilobits_a_second() -> Result<()> {
    let slow = |ground: &Ground| ground.far.rate(10);
    let Some(figures) = backlog("10 kbit/s", slow, 60 * MINUTE).await? else { return Ok(()) };
    let allowed = figures.up as f64 * 8.0 / 10_000.0;
    let took = figures.took.as_secs_f64();
    ensure!(took < allowed * 1.25, "{took:.0} s for what takes {allowed:.0} s at 10 kbit/s");
    Ok(())
}
