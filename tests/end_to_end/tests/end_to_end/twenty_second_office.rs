//! Who may link: an office that is enrolled, with a certificate of our authority, on one machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use identity::{Authority, Validity};
use testkit::country::Country;
use testkit::installation::DOMAIN;
use testkit::process::{Process, binary};
use tonic::Code;
use wire::client::Target;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::operator::v1 as operator;
use wire::pb::operator::v1::operator_service_client::OperatorServiceClient;
use wire::pb::query::v1 as query;

use crate::support::call::{link, record_contacts};
use crate::support::requests::plain_contact;
use crate::support::{Land, files, land, reading, until};

/// A code that no list of courts has.
const NEW: &str = "KZ-99";

/// An office of which nobody knew is added by data alone, while everything runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_is_added_by_data_alone() -> Result<()> {
    let mut land = land(&["KZ-71"]).await?;
    let country = &mut land.country;
    record_contacts(country, "KZ-71", 1).await?;
    country.add_region(NEW).await?;
    record_contacts(country, NEW, 3).await?;
    country.settle().await?;
    ensure!(country.logs("KZ").await?["kz-99"].0 == 3, "the new office's records are missing");
    let mut queries = country.queries("KZ", "national").await?;
    until("the new office is live in the list", async || {
        let rows =
            queries.list_offices(query::ListOfficesRequest::default()).await?.into_inner().rows;
        let row = rows.iter().find(|row| row.code == NEW).context("it is not in the list")?;
        ensure!(row.state == "live" && row.held_size == 3, "{row:?}");
        Ok(())
    })
    .await
}

/// A node whose office is not enrolled works on alone, says so, and is let in once it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_is_not_enrolled_is_refused_and_told_what_to_do() -> Result<()> {
    let mut land = land(&["KZ-71"]).await?;
    let country = &mut land.country;
    country.prepare_region(NEW).await?;
    // It cannot ask the centre whether it is new, and is told to do without.
    country.start_region_with(NEW, &["--without-centre"]).await?;
    record_contacts(country, NEW, 2).await?;
    until("the refused office says so", async || {
        let seen = link(country, NEW, "KZ").await?;
        ensure!(
            matches!(seen.state.as_str(), "refused" | "never connected"),
            "it calls itself {}",
            seen.state
        );
        for word in [NEW, "not enrolled", "adal office enrol"] {
            ensure!(seen.last_error.contains(word), "no \"{word}\" in \"{}\"", seen.last_error);
        }
        Ok(())
    })
    .await?;
    for office in [NEW, "KZ"] {
        let said = fs::read_to_string(country.installation.folder(office).join("stderr.log"))?;
        for word in [NEW, "not enrolled", "adal office enrol"] {
            ensure!(said.contains(word), "{office} does not say \"{word}\" on standard error");
        }
    }
    let logs = country.logs("KZ").await?;
    ensure!(!logs.contains_key("kz-99"), "the centre holds a log of an office it does not know");

    country.enrol(NEW).await?;
    country.settle().await?;
    ensure!(country.logs("KZ").await?["kz-99"].0 == 2, "what it recorded alone is missing");
    Ok(())
}

/// Who enrols an office that is there already is told so, and nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn an_office_is_enrolled_once() -> Result<()> {
    let land = land(&["KZ-71"]).await?;
    let country = &land.country;
    let before = country.logs("KZ").await?["kz/all"].clone();
    let refusal = country.enrol("KZ-71").await.err().context("it was enrolled twice")?;
    let said = format!("{refusal:#}");
    ensure!(said.contains("enrolled already"), "it says: {said}");
    ensure!(country.logs("KZ").await?["kz/all"] == before, "a second enrolment was recorded");
    Ok(())
}

/// A node of another authority is refused at the door, whatever it calls itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_authority_is_refused() -> Result<()> {
    let mut land = land(&["KZ-71"]).await?;
    let foreign = foreign_authority(&land)?;
    let country = &mut land.country;
    record_contacts(country, "KZ-71", 1).await?;
    country.settle().await?;
    ensure!(country.stop_region("KZ-71").await?, "the region did not end cleanly");
    let keys = country.installation.keys("KZ-71");
    let issued = foreign.issue_node("KZ-71", &[], Validity::node(jiff_now()))?;
    // Over the real ones, so that their modes stay.
    fs::write(keys.join("tls.pem"), issued.certificate_pem())?;
    fs::write(keys.join("tls.key"), issued.key_pem())?;
    country.start_region("KZ-71").await.context("start with a foreign certificate")?;
    // Nobody can ask this node: its certificate is refused by people's clients too.
    let stderr = country.installation.folder("KZ-71").join("stderr.log");
    until("the node says that it is refused", async || {
        // Which end hears of it first is chance: one of the lines says it.
        let said = fs::read_to_string(&stderr)?;
        let mut lines = said.lines().filter(|line| line.contains("dial the centre"));
        let clear = |line: &&str| line.contains("certificate") && line.contains("adal pki issue");
        ensure!(lines.any(|line| clear(&line)), "it does not say what to do: {said}");
        Ok(())
    })
    .await?;
    let seen = link(country, "KZ", "KZ-71").await?;
    ensure!(seen.state != "live", "the centre calls the link live");
    Ok(())
}

/// An office that signs with another key than it is enrolled with cannot add to its mirror.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_signing_key_is_refused() -> Result<()> {
    let mut land = land(&["KZ-71", "KZ-75"]).await?;
    let country = &mut land.country;
    record_contacts(country, "KZ-71", 2).await?;
    country.settle().await?;
    ensure!(country.stop_region("KZ-71").await?, "the region did not end cleanly");
    let own = country.installation.keys("KZ-71").join("log.key");
    let before = fs::read(&own)?;
    fs::write(&own, fs::read(country.installation.keys("KZ-75").join("log.key"))?)?;
    country.start_region("KZ-71").await?;
    record_contacts(country, "KZ-71", 1).await?;
    until("the wrong key is told", async || {
        let (here, there) =
            (link(country, "KZ-71", "KZ").await?, link(country, "KZ", "KZ-71").await?);
        for seen in [&here, &there] {
            ensure!(seen.state == "refused", "the link to {} reads {}", seen.peer, seen.state);
        }
        let said = format!("{here:?}");
        ensure!(said.contains("key"), "the office does not learn why: {said}");
        Ok(())
    })
    .await?;
    ensure!(country.logs("KZ").await?["kz-71"].0 == 2, "the mirror has grown all the same");
    // With its own key again it goes on; what it recorded meanwhile is not lost.
    ensure!(country.stop_region("KZ-71").await?, "the region did not end cleanly");
    fs::write(&own, before)?;
    country.start_region("KZ-71").await?;
    country.settle().await
}

/// A copy of an office's machine is started: whatever both record, the centre's mirror is the log
/// of one of them, and somebody says what has happened.
#[tokio::test(flavor = "multi_thread")]
async fn two_machines_as_one_office_never_fork_the_mirror() -> Result<()> {
    let mut land = land(&["KZ-71"]).await?;
    record_contacts(&land.country, "KZ-71", 3).await?;
    land.country.settle().await?;
    ensure!(land.country.stop_region("KZ-71").await?, "the region did not end cleanly");
    let config = copy_machine(&land)?;
    let country = &mut land.country;

    // The original records what does not travel; the copy records something else, which does.
    country.region("KZ-71")?.link.cut();
    country.start_region("KZ-71").await?;
    record_contacts(country, "KZ-71", 2).await?;
    let copy = Process::start("the copy", &binary("adal-region")?, &config).await?;
    let target = |person| -> Result<Target> {
        let target = country.target("KZ-71", person)?;
        Ok(Target { address: copy.address("grpc")?.to_string(), ..target })
    };
    let mut clerk = CommandServiceClient::new(target("clerk")?.connect().await?);
    clerk.execute(plain_contact()).await?;
    until("the copy's record is at the centre", async || {
        let held = country.logs("KZ").await?["kz-71"].0;
        ensure!(held == 4, "the centre holds {held} records");
        Ok(())
    })
    .await?;

    country.region("KZ-71")?.link.mend();
    until("the contradiction is noticed", async || {
        let (here, there) =
            (link(country, "KZ-71", "KZ").await?, link(country, "KZ", "KZ-71").await?);
        ensure!(here.state != "live", "the original calls its link live");
        let said = format!("{here:?} {there:?}").to_ascii_lowercase();
        let told = ["two machines", "fork", "duplicate", "contradict"];
        ensure!(told.iter().any(|word| said.contains(word)), "nobody says anything: {said}");
        Ok(())
    })
    .await?;
    let mut operator = OperatorServiceClient::new(target("operator")?.connect().await?);
    mirror_is_of_one(country, &mut operator).await?;

    // Both may still be used; the mirror stays that of one machine.
    for outcome in [clerk.execute(plain_contact()).await, {
        country.commands("KZ-71", "clerk").await?.execute(plain_contact()).await
    }] {
        if let Err(status) = outcome {
            ensure!(status.code() == Code::FailedPrecondition, "it says: {status:?}");
        }
    }
    mirror_is_of_one(country, &mut operator).await
}

/// The leaves of the centre's mirror are a beginning of one machine's log.
async fn mirror_is_of_one(
    country: &Country,
    copy: &mut OperatorServiceClient<tonic::transport::Channel>,
) -> Result<()> {
    let leaves = |records: Vec<operator::RecordSummary>| -> Vec<Vec<u8>> {
        records.into_iter().map(|record| record.leaf_hash).collect()
    };
    let mirror = leaves(reading::records(country, "KZ", "kz-71").await?);
    let original = leaves(reading::records(country, "KZ-71", "kz-71").await?);
    let request = operator::ReadLogRequest { log: "kz-71".to_owned(), ..Default::default() };
    let mut stream = copy.read_log(request).await?.into_inner();
    let mut copied = Vec::new();
    while let Some(record) = stream.message().await? {
        copied.push(record.leaf_hash);
    }
    ensure!(mirror.len() >= 4, "the mirror has lost records: {} are left", mirror.len());
    ensure!(original[3] != copied[3], "the two machines did not part");
    ensure!(
        copied.starts_with(&mirror) || original.starts_with(&mirror),
        "the mirror of {} records is no beginning of either log",
        mirror.len()
    );
    let report = reading::check(country, "KZ").await?;
    ensure!(report.intact, "the centre is not intact:\n{}", reading::damages(&report));
    Ok(())
}

/// Copies the folder of a machine; the copy dials the centre itself. Returns its configuration.
fn copy_machine(land: &Land) -> Result<PathBuf> {
    let country = &land.country;
    let copy = land.dir.path().join("copy-of-kz-71");
    files::copy(&country.installation.folder("KZ-71"), &copy)?;
    let listen = country.address("KZ-71")?.to_string();
    let dialled = country.region("KZ-71")?.link.address().to_string();
    let config = fs::read_to_string(country.config("KZ-71")?)?;
    let config = config
        .replace(&listen, "127.0.0.1:0")
        .replace(&dialled, &country.address("KZ")?.to_string());
    let path = copy.join("node.toml");
    fs::write(&path, config)?;
    Ok(path)
}

fn foreign_authority(land: &Land) -> Result<Authority> {
    let dir = land.dir.path().join("foreign");
    Ok(Authority::create(DOMAIN, &dir, Validity::authority(jiff_now()))?)
}

/// Seconds since 1970.
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}
