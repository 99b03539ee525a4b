//! Who comes to the link: a second machine, another version, a program that is not right, a clock
//! that is wrong. What no right program does is done by `testkit::peer`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use replication::RefusalCode;
use testkit::country::Country;
use testkit::peer::{Claimed, Peer, Twist};
use testkit::process::{Process, binary};

use super::{Seen, held, kept, live, reads};
use crate::support::call::record_contacts;
use crate::support::tool::Tool;
use crate::support::{Land, files, land, quick, until};

const OFFICE: &str = "KZ-75";
const DAY: i64 = 86_400;

/// Copies the folder of a stopped machine; the copy dials the centre itself.
fn copy_machine(land: &Land) -> Result<PathBuf> {
    let (country, copy) = (&land.country, land.dir.path().join("copy"));
    files::copy(&country.installation.folder(OFFICE), &copy)?;
    let listen = country.address(OFFICE)?.to_string();
    let dialled = country.region(OFFICE)?.link.address().to_string();
    let config = fs::read_to_string(country.config(OFFICE)?)?;
    let config = config.replace(&listen, "127.0.0.1:0");
    let path = copy.join("node.toml");
    fs::write(&path, config.replace(&dialled, &country.address("KZ")?.to_string()))?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_is_told_on_both_sides_until_the_real_one_starts_anew() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    record_contacts(&land.country, OFFICE, 2).await?;
    land.country.settle().await?;
    land.country.stop_region(OFFICE).await?;
    let config = copy_machine(&land)?;
    land.country.start_region(OFFICE).await?;
    live(&land.country, OFFICE).await?;
    let before = held(&land.country, OFFICE).await?;
    let mut copy = Process::start("the copy", &binary("adal-region")?, &config).await?;

    let (country, dir) = (&land.country, land.dir.path());
    let says = "two machines run as KZ-75: one of them holds a copy of the other's keys and data; \
                stop the copy, and restart the real node";
    let state = "refused: duplicate_office";
    for office in [(OFFICE, "KZ"), ("KZ", OFFICE)] {
        let seen = Seen { state, code: "duplicate_office", log: "", found_by: "KZ", says };
        reads(country, office, seen).await?;
        kept(country, office, ("duplicate_office", 0), dir).await?;
    }
    ensure!(held(country, OFFICE).await? == before, "the mirror has changed");

    copy.kill().await?;
    let country = &mut land.country;
    country.stop_region(OFFICE).await?;
    country.start_region(OFFICE).await?;
    record_contacts(country, OFFICE, 1).await?;
    live(country, OFFICE).await?;
    ensure!(held(country, OFFICE).await?.0 == 3, "the real one goes on");
    Ok(())
}

/// An office that is enrolled; its node has not been started.
async fn enrolled(settings: testkit::Settings) -> Result<Land> {
    let mut land = crate::support::land_with(&[], settings).await?;
    land.country.prepare_region(OFFICE).await?;
    land.country.enrol(OFFICE).await?;
    Ok(land)
}

/// Has the office dial another centre, or the real one again; it must not be running.
fn dial(country: &Country, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let path = country.config(OFFICE)?;
    let config = fs::read_to_string(path)?;
    let (from, to) = (from.to_string(), to.to_string());
    ensure!(config.contains(&from), "the office does not dial {from}");
    Ok(fs::write(path, config.replace(&from, &to))?)
}

fn stranger(
    country: &Country,
    pair: (&str, &str),
    claimed: &Claimed,
    twist: Twist,
) -> Result<Peer> {
    Peer::new(&country.installation, pair, claimed, twist)
}

const VERSION: &str = "protocol 2 is spoken there, 1 here: update the older office";

#[tokio::test(flavor = "multi_thread")]
async fn an_office_of_another_version_is_told_at_the_centre() -> Result<()> {
    let mut land = enrolled(quick()).await?;
    let country = &land.country;
    let peer = stranger(country, (OFFICE, "KZ"), &Claimed::new(), Twist::Protocol(2))?;
    let speaking = peer.dial(country.address("KZ")?).await?;
    let state = "refused: incompatible_version";
    let code = "incompatible_version";
    let seen = Seen { state, code, log: "", found_by: "KZ", says: VERSION };
    reads(country, ("KZ", OFFICE), seen).await?;
    kept(country, ("KZ", OFFICE), (code, 0), land.dir.path()).await?;
    until("the other side is told the same", async || {
        let told = speaking.refused();
        let is = |r: &replication::Refused| {
            (r.code, r.text.as_str()) == (RefusalCode::IncompatibleVersion, VERSION)
        };
        ensure!(told.iter().any(is), "it was told {told:?}");
        Ok(())
    })
    .await?;
    drop(speaking);
    // The office is updated.
    land.country.start_region(OFFICE).await?;
    land.country.until_writable(OFFICE).await?;
    record_contacts(&land.country, OFFICE, 1).await?;
    live(&land.country, OFFICE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_of_another_version_is_told_at_the_office() -> Result<()> {
    let mut land = enrolled(quick()).await?;
    let country = &mut land.country;
    let peer = stranger(country, ("KZ", OFFICE), &Claimed::new(), Twist::Protocol(2))?;
    let (address, _speaking) = peer.serve().await?;
    let real = country.region(OFFICE)?.link.address();
    dial(country, real, address)?;
    country.start_region_with(OFFICE, &["--without-centre"]).await?;
    let state = "refused: incompatible_version";
    let code = "incompatible_version";
    let seen = Seen { state, code, log: "", found_by: OFFICE, says: VERSION };
    reads(country, (OFFICE, "KZ"), seen).await?;
    kept(country, (OFFICE, "KZ"), (code, 0), land.dir.path()).await?;
    record_contacts(country, OFFICE, 2).await?; // it works on
    country.stop_region(OFFICE).await?;
    dial(country, address, real)?;
    country.start_region(OFFICE).await?;
    live(country, OFFICE).await?;
    ensure!(held(country, OFFICE).await?.0 == 2, "what waited has arrived");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_at_the_centre_and_the_right_program_goes_on() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    record_contacts(&land.country, OFFICE, 5).await?;
    land.country.settle().await?;
    live(&land.country, OFFICE).await?;
    land.country.stop_region(OFFICE).await?;
    let country = &land.country;
    let before = held(country, OFFICE).await?;
    let root = before.1.clone().try_into().ok().context("a root of 32 bytes")?;
    let claimed = Claimed::from([("kz-75".parse()?, (before.0, root))]);
    let peer = stranger(country, (OFFICE, "KZ"), &claimed, Twist::Gap)?;
    let speaking = peer.dial(country.address("KZ")?).await?;
    let says = "records of kz-75 keep coming from 7 on, 5 are held here";
    let state = "refused: gap";
    let seen = Seen { state, code: "gap", log: "kz-75", found_by: "KZ", says };
    reads(country, ("KZ", OFFICE), seen).await?;
    kept(country, ("KZ", OFFICE), ("gap", 1), land.dir.path()).await?;
    let told = speaking.refused();
    ensure!(told.iter().any(|r| (r.code, r.text.as_str()) == (RefusalCode::Gap, says)), "{told:?}");
    ensure!(held(country, OFFICE).await? == before, "the mirror has changed");
    drop(speaking);
    land.country.start_region(OFFICE).await?;
    record_contacts(&land.country, OFFICE, 1).await?;
    live(&land.country, OFFICE).await?;
    ensure!(held(&land.country, OFFICE).await?.0 == 6, "it goes on from what the centre held");
    Ok(())
}

/// The other side of the same: an office reads what the centre says of its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_the_centre_finds_is_told_at_the_office() -> Result<()> {
    let mut land = enrolled(quick()).await?;
    let country = &mut land.country;
    let peer = stranger(country, ("KZ", OFFICE), &Claimed::new(), Twist::AccusesOfGap)?;
    let (address, speaking) = peer.serve().await?;
    let real = country.region(OFFICE)?.link.address();
    dial(country, real, address)?;
    country.start_region_with(OFFICE, &["--without-centre"]).await?;
    let says = "records of kz-75 keep coming from 9 on, 0 are held here";
    let state = "refused: gap";
    let seen = Seen { state, code: "gap", log: "kz-75", found_by: "KZ", says };
    reads(country, (OFFICE, "KZ"), seen).await?;
    kept(country, (OFFICE, "KZ"), ("gap", 1), land.dir.path()).await?;
    drop(speaking);
    country.stop_region(OFFICE).await?;
    dial(country, address, real)?;
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    record_contacts(country, OFFICE, 1).await?;
    live(country, OFFICE).await
}

/// Nothing is refused for a clock, however wrong: it is noted, in status, explain, log and metrics.
async fn noted(country: &Country, pair: (&str, &str), ahead: i64) -> Result<()> {
    let (office, peer) = pair;
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let says = format!(
        "the clock of {peer} is 100 days {way} that of this office; it is noted, nothing is \
         refused for it: set the one right that is wrong"
    );
    let seen = Seen { state: "live", code: "wrong_clock", log: "", found_by: office, says: &says };
    let explained = reads(country, pair, seen).await?;
    let shown = explained["clock_ahead_ms"].as_i64().context("the difference")?;
    ensure!((shown - ahead * 1_000).abs() < 10_000, "{shown} ms");
    let operator = Tool::of(country, office, "operator")?;
    let status = operator.run(&["sync", "status"]).await?;
    ensure!(status.err.contains(&says) && status.out.contains("clock is wrong"), "{status:?}");
    until("the log says it once", async || {
        let log = fs::read_to_string(country.installation.folder(office).join("stderr.log"))?;
        ensure!(log.matches(&says).count() == 1, "{log}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_far_ahead_or_behind_is_noted_at_the_centre() -> Result<()> {
    let mut settings = quick();
    settings.tables =
        settings.tables.replace("[telemetry]\n", "[telemetry]\nprometheus = \"127.0.0.1:0\"\n");
    let mut land = enrolled(settings).await?;
    for ahead in [100 * DAY + 3_600, -100 * DAY - 3_600] {
        let country = &land.country;
        let peer = stranger(country, (OFFICE, "KZ"), &Claimed::new(), Twist::Clock(ahead))?;
        let _speaking = peer.dial(country.address("KZ")?).await?;
        noted(country, ("KZ", OFFICE), ahead).await?;
        let centre = country.coordinator.as_ref().context("the centre")?;
        let metrics = super::silence::get(centre.address("prometheus")?, "/metrics").await?;
        let line =
            metrics.lines().find(|line| line.starts_with("adal_replication_clock_ahead_seconds{"));
        let line = line.with_context(|| metrics.clone())?;
        ensure!(line.contains("} -8643") == (ahead < 0), "{line}");
    }
    // The centre has seen heads of this office: an empty folder is not taken for a new office.
    land.country.start_region_with(OFFICE, &["--without-centre"]).await?;
    live(&land.country, OFFICE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_far_behind_is_noted_at_the_office() -> Result<()> {
    let mut land = enrolled(quick()).await?;
    let country = &mut land.country;
    let ahead = -100 * DAY - 3_600;
    let peer = stranger(country, ("KZ", OFFICE), &Claimed::new(), Twist::Clock(ahead))?;
    let (address, _speaking) = peer.serve().await?;
    dial(country, country.region(OFFICE)?.link.address(), address)?;
    country.start_region_with(OFFICE, &["--without-centre"]).await?;
    record_contacts(country, OFFICE, 3).await?;
    noted(country, (OFFICE, "KZ"), ahead).await
}
