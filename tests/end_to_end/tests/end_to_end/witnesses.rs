//! Offices witness each other's heads through the centre: complete notes everywhere, one peer is
//! enough, and without any there is an alarm that names them.

use anyhow::{Context, Result, ensure};
use evidence::note::SignedNote;
use testkit::country::Country;
use wire::pb::operator::v1 as operator;

use crate::support::call::record_contacts;
use crate::support::tool::Tool;
use crate::support::{hasty, land_with, until};

const OFFICES: [&str; 3] = ["KZ-27", "KZ-71", "KZ-75"];

/// What an office says of the cosignatures on a log.
async fn evidence(country: &Country, office: &str, log: &str) -> Result<operator::EvidenceStatus> {
    let status = country.sync_status(office).await?;
    let lines = status.evidence.into_iter();
    let mut of_log = lines.filter(|line| line.log == log);
    of_log.next().with_context(|| format!("{office} says nothing of {log}"))
}

async fn complete(country: &Country, office: &str, log: &str) -> Result<()> {
    let line = evidence(country, office, log).await?;
    ensure!(line.size > 0 && line.complete_size == line.size, "{office}: {line:?}");
    ensure!(line.missing.is_empty() && line.alarm.is_empty(), "{office}: {line:?}");
    Ok(())
}

/// Names of the keys on the newest note of a log.
async fn names(country: &Country, office: &str, log: &str) -> Result<Vec<String>> {
    let mut operator = country.operator(office).await?;
    let logs = operator.list_logs(operator::ListLogsRequest {}).await?.into_inner().logs;
    let row = logs.into_iter().find(|row| row.log == log).context("no such log")?;
    let note = SignedNote::parse(&row.head)?;
    Ok(note.signatures().iter().map(|line| line.name().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn offices_witness_each_other_through_the_centre() -> Result<()> {
    let mut land = land_with(&OFFICES, hasty()).await?;
    let country = &mut land.country;
    for office in OFFICES {
        record_contacts(country, office, 2).await?;
    }
    until("every log is complete everywhere", async || {
        for office in OFFICES {
            let own = office.to_ascii_lowercase();
            complete(country, office, &own).await?;
            complete(country, "KZ", &own).await?;
            complete(country, office, "kz/all").await?;
        }
        complete(country, "KZ", "kz/all").await
    })
    .await?;
    let signed = names(country, "KZ-75", "kz-75").await?;
    for name in ["log/kz-75", "witness/kz", "mirror/kz"] {
        let name = format!("adal.example/{name}");
        ensure!(signed.contains(&name), "{name} is missing: {signed:?}");
    }
    ensure!(signed.iter().any(|name| name.contains("/witness/kz-")), "no peer: {signed:?}");

    country.kill_region("KZ-27").await?;
    record_contacts(country, "KZ-75", 1).await?;
    until("one peer is enough", async || complete(country, "KZ-75", "kz-75").await).await?;
    let signed = names(country, "KZ-75", "kz-75").await?;
    ensure!(signed.contains(&"adal.example/witness/kz-71".to_owned()), "{signed:?}");

    country.kill_region("KZ-71").await?;
    record_contacts(country, "KZ-75", 1).await?;
    let peers = "1 of (adal.example/witness/kz-27, adal.example/witness/kz-71)";
    for office in ["KZ-75", "KZ"] {
        until("without peers there is an alarm with names", async || {
            let line = evidence(country, office, "kz-75").await?;
            ensure!(line.alarm.contains(&format!("missing: {peers}")), "{office}: {line:?}");
            ensure!(line.alarm.starts_with("kz-75 lacks cosignatures above record "), "{line:?}");
            Ok(())
        })
        .await?;
    }
    let shown = Tool::of(country, "KZ-75", "operator")?.ok(&["sync", "status"]).await?;
    ensure!(shown.contains("ALARM"), "the tool shows it: {shown}");

    country.start_region("KZ-27").await?;
    until("the alarm is over", async || complete(country, "KZ-75", "kz-75").await).await?;
    country.start_region("KZ-71").await?;
    until("all agree on the centre's log", async || {
        for office in ["KZ-27", "KZ-71", "KZ-75", "KZ"] {
            complete(country, office, "kz/all").await?;
        }
        Ok(())
    })
    .await
}
