//! Logs and tables read whole, as a test compares them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use testkit::country::Country;
use tonic::Status;
use tonic::transport::Channel;
use wire::pb::common::v1::Position;
use wire::pb::operator::v1 as operator;
use wire::pb::operator::v1::check_journal_event::Event;
use wire::pb::operator::v1::get_record_request::Record;
use wire::pb::operator::v1::operator_service_client::OperatorServiceClient;
use wire::pb::query::v1 as query;

/// Every record of a log as an office shows it.
pub async fn records(
    country: &Country,
    office: &str,
    log: &str,
) -> Result<Vec<operator::RecordSummary>> {
    let mut client = country.operator(office).await?;
    let request = operator::ReadLogRequest { log: log.to_owned(), ..Default::default() };
    let mut stream = client.read_log(request).await?.into_inner();
    let mut records = Vec::new();
    while let Some(record) = stream.message().await? {
        records.push(record);
    }
    Ok(records)
}

/// Reads single records of an office over one connection.
pub struct Reader(OperatorServiceClient<Channel>);

impl Reader {
    /// A reader of an office's records.
    pub async fn of(country: &Country, office: &str) -> Result<Reader> {
        Ok(Reader(country.operator(office).await?))
    }

    /// One record with its exact bytes, or how its reading fails.
    pub async fn record(
        &mut self,
        log: &str,
        sequence: u64,
    ) -> Result<operator::GetRecordResponse, Status> {
        let position = Position { log: log.to_owned(), epoch: 1, sequence };
        let request = operator::GetRecordRequest { record: Some(Record::Position(position)) };
        self.0.get_record(request).await.map(tonic::Response::into_inner)
    }
}

/// One record of an office; see [`Reader::record`].
pub async fn record(
    country: &Country,
    office: &str,
    log: &str,
    sequence: u64,
) -> Result<Result<operator::GetRecordResponse, Status>> {
    Ok(Reader::of(country, office).await?.record(log, sequence).await)
}

/// The report of a deep check.
pub async fn check(country: &Country, office: &str) -> Result<operator::CheckReport> {
    let mut client = country.operator(office).await?;
    let request = operator::CheckJournalRequest::default();
    let mut stream = client.check_journal(request).await?.into_inner();
    let mut report = None;
    while let Some(event) = stream.message().await? {
        if let Some(Event::Report(last)) = event.event {
            report = Some(last);
        }
    }
    report.context("the check ended without a report")
}

/// The damages of a report in words.
pub fn damages(report: &operator::CheckReport) -> String {
    let line = |damage: &operator::Damage| format!("{}: {}", damage.file, damage.problem);
    report.damages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Checks every node that runs.
pub async fn all_intact(country: &Country) -> Result<()> {
    let running = country.regions.iter().filter(|(_, region)| region.process.is_some());
    for office in running.map(|(office, _)| office.as_str()).chain(["KZ"]) {
        let report = check(country, office).await?;
        ensure!(report.intact, "{office} is not intact:\n{}", damages(&report));
    }
    Ok(())
}

/// Counts of one table by the given dimensions, as an office tells them.
pub async fn totals(
    country: &Country,
    (office, person): (&str, &str),
    table: query::Table,
    by: &[query::Dimension],
) -> Result<BTreeMap<Vec<String>, u64>> {
    let mut client = country.queries(office, person).await?;
    let request = query::TotalsRequest {
        table: table.into(),
        group_by: by.iter().map(|dimension| (*dimension).into()).collect(),
        filter: None,
    };
    let answer = client.totals(request).await?.into_inner();
    let sum: u64 = answer.rows.iter().map(|row| row.count).sum();
    ensure!(sum == answer.total, "the counts sum up to {sum}, the total says {}", answer.total);
    Ok(answer.rows.into_iter().map(|row| (row.keys, row.count)).collect())
}

/// Collects every page of one listing as one text per row.
macro_rules! pages {
    ($client:ident, $method:ident, $request:ident) => {{
        let mut rows = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = query::$request { page_size: 1000, page_token, ..Default::default() };
            let answer = $client.$method(request).await?.into_inner();
            rows.extend(answer.rows.iter().map(|row| format!("{row:?}")));
            if answer.next_page_token.is_empty() {
                ensure!(
                    rows.len() as u64 == answer.total,
                    "{}: {} rows on all pages, the total says {}",
                    stringify!($method),
                    rows.len(),
                    answer.total
                );
                break rows;
            }
            page_token = answer.next_page_token;
        }
    }};
}

/// Every row of every table of an office, by table.
pub async fn tables(
    country: &Country,
    office: &str,
    person: &str,
) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let mut client = country.queries(office, person).await?;
    Ok(BTreeMap::from([
        ("contacts", pages!(client, list_contacts, ListContactsRequest)),
        ("appeals", pages!(client, list_appeals, ListAppealsRequest)),
        ("receptions", pages!(client, list_receptions, ListReceptionsRequest)),
        ("measures", pages!(client, list_measures, ListMeasuresRequest)),
        ("activities", pages!(client, list_activities, ListActivitiesRequest)),
        ("directives", pages!(client, list_directives, ListDirectivesRequest)),
    ]))
}

/// Whether an office's tables include every record of its logs; an error says which does not.
pub async fn folded(country: &Country, office: &str, person: &str) -> Result<()> {
    let logs = country.logs(office).await?;
    let mut client = country.queries(office, person).await?;
    let answer = client.list_contacts(query::ListContactsRequest::default()).await?.into_inner();
    for (log, (size, _)) in logs.iter().filter(|(_, (size, _))| *size > 0) {
        let read = answer.freshness.iter().find(|read| read.log == *log).map_or(0, |r| r.size);
        ensure!(read == *size, "{office} has folded {read} of {size} records of {log}");
    }
    Ok(())
}

/// Has an office drop its tables and fold them again; waits until it says that it is done.
pub async fn rebuild(country: &Country, office: &str) -> Result<()> {
    let mut client = country.operator(office).await?;
    let mut stream = client.rebuild_views(operator::RebuildViewsRequest {}).await?.into_inner();
    let mut finished = false;
    while let Some(event) = stream.message().await? {
        finished |= event.finished;
    }
    ensure!(finished, "{office} did not finish its rebuild");
    Ok(())
}
