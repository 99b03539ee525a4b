//! How soon the first record arrives when a link is there again.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::ground::{Ground, OFFICE, ground, record};

/// Long enough for every pause between two attempts to have grown.
const AWAY: Duration = Duration::from_secs(25);
const LIMIT: Duration = Duration::from_secs(60);

/// Breaks the link, records while it is away, mends it; time until the record is at the centre.
async fn returning(
    name: &str,
    broken: impl Fn(&Ground) -> Result<()>,
    mended: impl Fn(&Ground) -> Result<()>,
) -> Result<Option<Duration>> {
    let Some(ground) = ground().await? else { return Ok(None) };
    broken(&ground)?;
    tokio::time::sleep(AWAY / 2).await;
    record(&ground.country, 1).await?;
    let size = ground.size(OFFICE).await?;
    tokio::time::sleep(AWAY / 2).await;
    mended(&ground)?;
    let took = ground.arrived(size, LIMIT).await?;
    println!(
        "{}",
        json!({ "link": name, "away": AWAY.as_secs(), "first_record": took.as_secs_f64() })
    );
    ground.ended().await?;
    Ok(Some(took))
}

fn soon(took: Option<Duration>) -> Result<()> {
    let Some(took) = took else { return Ok(()) };
    ensure!(took <= Duration::from_secs(1), "the first record needed {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_link_that_was_cut_is_there_again() -> Result<()> {
    let link = |ground: &Ground, act: fn(&testkit::proxy::LinkProxy)| {
        act(&ground.country.region(OFFICE)?.link);
        Ok(())
    };
    let cut = returning("cut", |g| link(g, |l| l.cut()), |g| link(g, |l| l.mend()));
    soon(cut.await?)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_cable_is_plugged_in_again() -> Result<()> {
    soon(returning("unplugged", |g| g.far.plug(false), |g| g.far.plug(true)).await?)
}

/// Nobody is told that the link is away, nor that it is there again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make links"]
async fn a_link_that_was_silent_passes_again() -> Result<()> {
    soon(returning("silent", |g| g.far.lose(100), |g| g.far.lose_nothing()).await?)
}
