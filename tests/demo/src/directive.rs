//! A directive from the centre's desk to the accepted reports of every office.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::country::{Country, PATIENCE};
use testkit::feed::repeat;
use uuid::Uuid;
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command::Request;
use wire::pb::query::v1 as query;
use wire::pb::task::v1 as task;

use crate::story::{OFFICES, say};

/// Issues a directive and plays every office's part; shows each state with its time.
pub async fn carry_out(country: &Country) -> Result<()> {
    let directive = Uuid::now_v7();
    let issue = command::IssueDirective {
        targets: OFFICES.map(str::to_owned).to_vec(),
        due: "2030-12-31".to_owned(),
        subject: "preventive_measures".to_owned(),
        order_number: Some("12-3/45".to_owned()),
        indicators: vec!["measures_held".to_owned()],
        evidence_required: Vec::new(),
    };
    send(country, "KZ", "national", directive, 0, Request::IssueDirective(issue)).await?;
    say(&format!("directive {directive} is issued to {}", OFFICES.join(", ")));

    wait(country, directive, "delivered").await?;
    for office in OFFICES {
        let acknowledge = Request::AcknowledgeTask(command::AcknowledgeTask {});
        send(country, office, "chief", directive, 1, acknowledge).await?;
        let value = task::IndicatorValue { indicator: "measures_held".to_owned(), value: 3 };
        let report = command::ReportTask { values: vec![value], evidence: Vec::new() };
        send(country, office, "clerk", directive, 2, Request::ReportTask(report)).await?;
    }
    wait(country, directive, "reported").await?;
    for office in OFFICES {
        let accept = command::AcceptExecution {
            directive: directive.to_string(),
            office: office.to_owned(),
            report: None,
        };
        let request = Request::AcceptExecution(accept);
        let dispatch = Uuid::nil(); // the stream follows from directive and office
        send(country, "KZ", "national", dispatch, 1, request).await?;
    }
    for row in wait(country, directive, "accepted").await? {
        let times = [row.delivered_at, row.acknowledged_at, row.reported_at, row.accepted_at];
        let times = times.map(|at| at.and_then(|at| clock(&at)).unwrap_or_default());
        say(&format!(
            "{}: delivered {}, acknowledged {}, reported {}, accepted {}",
            row.office, times[0], times[1], times[2], times[3]
        ));
    }
    Ok(())
}

async fn send(
    country: &Country,
    office: &str,
    person: &str,
    stream: Uuid,
    expected: u32,
    request: Request,
) -> Result<()> {
    let stream_id = if stream.is_nil() { String::new() } else { stream.to_string() };
    let meta = command::CommandMeta {
        command_id: Uuid::now_v7().to_string(),
        stream_id,
        expected_version: (expected > 0).then_some(expected),
        ..command::CommandMeta::default()
    };
    let mut client = country.commands(office, person).await?;
    let command = command::Command { meta: Some(meta), request: Some(request) };
    repeat(&mut client, command).await.with_context(|| format!("a command at {office}"))?;
    Ok(())
}

/// Waits until the centre's table shows every office in `state`.
async fn wait(country: &Country, directive: Uuid, state: &str) -> Result<Vec<query::DirectiveRow>> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut queries = country.queries("KZ", "national").await?;
    loop {
        let filter =
            query::Filter { directive_id: directive.to_string(), ..query::Filter::default() };
        let request = query::ListDirectivesRequest {
            filter: Some(filter),
            ..query::ListDirectivesRequest::default()
        };
        let rows = queries.list_directives(request).await?.into_inner().rows;
        if rows.len() == OFFICES.len() && rows.iter().all(|row| row.state == state) {
            return Ok(rows);
        }
        if tokio::time::Instant::now() > deadline {
            let states: Vec<_> = rows.iter().map(|row| (&row.office, &row.state)).collect();
            bail!("the directive is not {state} everywhere: {states:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The time of day in UTC.
fn clock(at: &wire::pb::Instant) -> Option<String> {
    let instant = wire::instant(at)?.to_jiff()?;
    Some(instant.strftime("%H:%M:%S%.3fZ").to_string())
}
