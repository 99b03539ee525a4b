//! An urgent record behind a backlog on a slow line is seen at the centre before its turn, counts
//! as held only in its turn, and leaves the list then.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::country::Country;
use uuid::Uuid;
use wire::pb::command::v1::TriageAppeal;
use wire::pb::command::v1::command::Request;

use crate::support::call::{accepted, link, log, record_contacts};
use crate::support::requests::{appeal, command, contact};
use crate::support::tool::{Tool, text};
use crate::support::{land, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";
/// Bytes a second: the backlog, sealed and so not to be compressed, takes a quarter of a minute.
const SLOW: u32 = 20_000;
const BACKLOG: usize = 400;

/// Receives an appeal and finds it urgent.
async fn urgent_appeal(country: &Country) -> Result<Uuid> {
    let stream = Uuid::now_v7();
    let receive = Request::ReceiveAppeal(appeal("Made-up Name", "Made-up text"));
    accepted(country, OFFICE, "clerk", command(stream, 0, receive)).await?;
    let triage = Request::TriageAppeal(TriageAppeal {
        category: "corruption".to_owned(),
        severity: "critical".to_owned(),
        urgency: "urgent".to_owned(),
        corruption_signs: true,
        judicial_matter: false,
    });
    accepted(country, OFFICE, "clerk", command(stream, 2, triage)).await?;
    Ok(stream)
}

/// What the centre shows ahead.
async fn shown(tool: &Tool) -> Result<Vec<Value>> {
    tool.json(&["sync", "previews"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_record_is_seen_before_its_turn_on_a_slow_line() -> Result<()> {
    let land = land(&[OFFICE]).await?;
    let country = &land.country;
    let tool = Tool::of(country, "KZ", "operator")?;
    country.settle().await?;
    ensure!(shown(&tool).await?.is_empty(), "nothing is urgent");

    let line = &country.region(OFFICE)?.link;
    line.cut();
    let mut clerk = country.commands(OFFICE, "clerk").await?;
    for _ in 0..BACKLOG {
        let contact = contact("Made-up Name", &"Made-up text. ".repeat(40));
        clerk.execute(command(Uuid::now_v7(), 0, contact)).await?;
    }
    let stream = urgent_appeal(country).await?;
    record_contacts(country, OFFICE, 1).await?;
    line.rate(Some(SLOW));
    line.mend();

    let seen = until("the centre sees the urgent record", async || {
        shown(&tool).await?.pop().context("nothing is shown")
    })
    .await?;
    ensure!(text(&seen, "type")? == "appeal.triaged", "{seen}");
    ensure!(text(&seen, "stream")?.ends_with(&stream.to_string()), "{seen}");
    ensure!(seen["open"].to_string().contains("critical"), "{seen}");
    let seq = seen["seq"].as_u64().context("a sequence")?;
    let behind = seen["behind"].as_u64().context("how many are before it")?;
    ensure!(behind > 0 && behind <= seq, "{seen}");

    // It is seen, and neither held nor in a figure.
    let there = link(country, "KZ", OFFICE).await?;
    let there = log(&there, LOG)?;
    ensure!(there.previews == 1 && there.own_size <= seq, "{there:?}");
    let status = tool.run(&["sync", "status"]).await?;
    ensure!(status.err.contains("shown ahead of the backlog: 1"), "{}{}", status.out, status.err);

    line.rate(None);
    country.settle().await?;
    ensure!(shown(&tool).await?.is_empty(), "it is held");
    let there = link(country, "KZ", OFFICE).await?;
    let there = log(&there, LOG)?;
    ensure!(there.previews == 0 && there.own_size > seq, "{there:?}");
    Ok(())
}
