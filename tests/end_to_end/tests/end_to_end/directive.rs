//! A directive to all regions, one of them offline: every state with its time at the centre, one
//! report returned for rework, the absent office catching up later, delivered exactly once.

use anyhow::{Result, ensure};
use testkit::country::Country;
use tonic::Code;
use uuid::Uuid;
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command::Request;
use wire::pb::query::v1 as query;
use wire::pb::task::v1::IndicatorValue;

use crate::support::call::{accepted, refused};
use crate::support::requests::command as build;
use crate::support::{land, reading, until};

const OFFICES: [&str; 3] = ["KZ-71", "KZ-75", "KZ-79"];
/// Its first report is returned.
const RETURNED: &str = "KZ-75";
/// It is down when the directive is issued.
const ABSENT: &str = "KZ-79";

#[tokio::test(flavor = "multi_thread")]
async fn a_directive_is_carried_out_everywhere() -> Result<()> {
    let mut land = land(&OFFICES).await?;
    let country = &mut land.country;
    country.kill_region(ABSENT).await?;
    let directive = Uuid::now_v7();
    accepted(country, "KZ", "national", build(directive, 0, issue())).await?;

    for office in ["KZ-71", RETURNED] {
        let row = reaches(country, directive, office, "delivered").await?;
        ensure!(row.delivered_at.is_some() && row.due_on == "2030-12-31", "{office}: {row:?}");
        too_early(country, directive, office).await?;
        let acknowledge = Request::AcknowledgeTask(command::AcknowledgeTask {});
        accepted(country, office, "chief", build(directive, 1, acknowledge)).await?;
        reaches(country, directive, office, "acknowledged").await?;
        accepted(country, office, "clerk", build(directive, 2, report(3))).await?;
        reaches(country, directive, office, "reported").await?;
    }
    let absent = rows(country, directive, ABSENT).await?;
    ensure!(absent.state == "issued" && absent.delivered_at.is_none(), "{absent:?}");

    accept(country, directive, "KZ-71", 1).await?;
    rework(country, directive).await?;

    country.start_region(ABSENT).await?;
    reaches(country, directive, ABSENT, "delivered").await?;
    let acknowledge = Request::AcknowledgeTask(command::AcknowledgeTask {});
    accepted(country, ABSENT, "chief", build(directive, 1, acknowledge)).await?;
    accepted(country, ABSENT, "clerk", build(directive, 2, report(9))).await?;
    reaches(country, directive, ABSENT, "reported").await?;
    accept(country, directive, ABSENT, 1).await?;

    for office in OFFICES {
        in_order(&reaches(country, directive, office, "accepted").await?)?;
        // Again from the start, with the mirror full: nothing is delivered a second time.
        country.kill_region(office).await?;
        country.start_region(office).await?;
    }
    country.settle().await?;
    for office in OFFICES {
        delivered_once(country, directive, office).await?;
    }
    Ok(())
}

fn issue() -> Request {
    Request::IssueDirective(command::IssueDirective {
        targets: OFFICES.map(str::to_owned).to_vec(),
        due: "2030-12-31".to_owned(),
        subject: "preventive_measures".to_owned(),
        order_number: Some("12-3/45".to_owned()),
        indicators: vec!["measures_held".to_owned()],
        evidence_required: vec!["report".to_owned()],
    })
}

fn report(value: i64) -> Request {
    let value = IndicatorValue { indicator: "measures_held".to_owned(), value };
    let evidence = vec!["report".to_owned()];
    Request::ReportTask(command::ReportTask { values: vec![value], evidence })
}

/// An execution that nobody has reported cannot be accepted.
async fn too_early(country: &Country, directive: Uuid, office: &str) -> Result<()> {
    let request = acceptance(directive, office);
    let refusal = (Code::FailedPrecondition, "WRONG_STATE");
    refused(country, "KZ", "national", build(Uuid::nil(), 1, request), refusal).await?;
    Ok(())
}

fn acceptance(directive: Uuid, office: &str) -> Request {
    Request::AcceptExecution(command::AcceptExecution {
        directive: directive.to_string(),
        office: office.to_owned(),
        report: None,
    })
}

async fn accept(country: &Country, directive: Uuid, office: &str, version: u32) -> Result<()> {
    let command = build(Uuid::nil(), version, acceptance(directive, office));
    accepted(country, "KZ", "national", command).await?;
    Ok(())
}

/// The first report is returned with a new day, the second one is accepted.
async fn rework(country: &Country, directive: Uuid) -> Result<()> {
    let request = Request::ReturnExecution(command::ReturnExecution {
        directive: directive.to_string(),
        office: RETURNED.to_owned(),
        report: None,
        remarks: "incomplete".to_owned(),
        new_due: "2031-01-31".to_owned(),
    });
    accepted(country, "KZ", "national", build(Uuid::nil(), 1, request)).await?;
    let row = reaches(country, directive, RETURNED, "returned").await?;
    ensure!(row.due_on == "2031-01-31" && row.returned_at.is_some(), "{row:?}");
    // The returned report cannot be accepted after all.
    let refusal = (Code::FailedPrecondition, "WRONG_STATE");
    let accept_it = build(Uuid::nil(), 2, acceptance(directive, RETURNED));
    refused(country, "KZ", "national", accept_it, refusal).await?;
    accepted(country, RETURNED, "clerk", build(directive, 3, report(4))).await?;
    reaches(country, directive, RETURNED, "reported").await?;
    accept(country, directive, RETURNED, 2).await
}

/// The centre's row of one addressee.
async fn rows(country: &Country, directive: Uuid, office: &str) -> Result<query::DirectiveRow> {
    let mut queries = country.queries("KZ", "national").await?;
    let filter = query::Filter {
        directive_id: directive.to_string(),
        office: office.to_owned(),
        ..query::Filter::default()
    };
    let request = query::ListDirectivesRequest { filter: Some(filter), ..Default::default() };
    let mut rows = queries.list_directives(request).await?.into_inner().rows;
    ensure!(rows.len() == 1, "{} rows of the directive at {office}", rows.len());
    Ok(rows.remove(0))
}

async fn reaches(
    country: &Country,
    directive: Uuid,
    office: &str,
    state: &str,
) -> Result<query::DirectiveRow> {
    until(&format!("{office} is {state}"), async || {
        let row = rows(country, directive, office).await?;
        ensure!(row.state == state, "the centre sees {}", row.state);
        Ok(row)
    })
    .await
}

/// Every state has its time, none before the one it follows.
fn in_order(row: &query::DirectiveRow) -> Result<()> {
    let times =
        [row.issued_at, row.delivered_at, row.acknowledged_at, row.reported_at, row.accepted_at];
    let times: Vec<_> = times.iter().flatten().map(|at| (at.seconds, at.nanos)).collect();
    ensure!(times.len() == 5, "a state has no time: {row:?}");
    ensure!(times.is_sorted(), "the times are not in order: {row:?}");
    let returned = row.returned_at.map(|at| (at.seconds, at.nanos));
    if row.office == RETURNED {
        ensure!(returned.is_some_and(|at| at < times[3]), "returned after the report: {row:?}");
    } else {
        ensure!(returned.is_none(), "nobody returned this: {row:?}");
    }
    Ok(())
}

async fn delivered_once(country: &Country, directive: Uuid, office: &str) -> Result<()> {
    let own = office.to_ascii_lowercase();
    let of_directive = directive.to_string();
    let tasks = reading::records(country, office, &own).await?;
    let delivered = |record: &&wire::pb::operator::v1::RecordSummary| {
        record.type_name == "task.delivered" && record.stream_id == of_directive
    };
    let count = tasks.iter().filter(delivered).count();
    ensure!(count == 1, "the directive was delivered {count} times at {office}");
    let downlink = format!("kz/{own}");
    let sent = reading::records(country, office, &downlink).await?;
    let issued = sent.iter().filter(|record| record.type_name == "dispatch.issued").count();
    ensure!(issued == 1, "{issued} dispatches in {downlink}");
    ensure!(
        sent == reading::records(country, "KZ", &downlink).await?,
        "{office} holds another {downlink} than the centre"
    );
    Ok(())
}
