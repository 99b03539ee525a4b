//! Calls to nodes, and what refusals say.

use anyhow::{Context, Result, bail, ensure};
use testkit::country::Country;
use testkit::installation::DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wire::client::Target;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::command::v1::open_record_request::Record;
use wire::pb::command::v1::{Command, CommandReceipt, OpenRecordRequest, OpenRecordResponse};
use wire::pb::common::v1::Position;
use wire::pb::operator::v1::{LinkStatus, LogSync};

use super::requests::plain_contact;

/// Executes a command; the outer error is that of the connection.
pub async fn execute(
    country: &Country,
    office: &str,
    person: &str,
    command: Command,
) -> Result<Result<CommandReceipt, Status>> {
    let mut client = country.commands(office, person).await?;
    Ok(client.execute(command).await.map(tonic::Response::into_inner))
}

/// Executes a command that must be accepted.
pub async fn accepted(
    country: &Country,
    office: &str,
    person: &str,
    command: Command,
) -> Result<CommandReceipt> {
    match execute(country, office, person, command).await? {
        Ok(receipt) => Ok(receipt),
        Err(status) => bail!("{office} refused {person}: {:?} {}", status.code(), status.message()),
    }
}

/// Executes a command that must be refused with `code` and `reason`; returns the details.
pub async fn refused(
    country: &Country,
    office: &str,
    person: &str,
    command: Command,
    (code, reason): (Code, &str),
) -> Result<ErrorDetails> {
    match execute(country, office, person, command).await? {
        Ok(receipt) => bail!("{office} accepted what it must refuse ({reason}): {receipt:?}"),
        Err(status) => is_refusal(&status, code, reason),
    }
}

/// Checks the code and the reason of a status; returns its details.
pub fn is_refusal(status: &Status, code: Code, reason: &str) -> Result<ErrorDetails> {
    ensure!(status.code() == code, "{:?} instead of {code:?}: {}", status.code(), status.message());
    let details = status.get_error_details();
    let info = details.error_info().context("a refusal without google.rpc.ErrorInfo")?;
    ensure!(
        info.domain == wire::status::ERROR_DOMAIN && info.reason == reason,
        "reason {}/{} instead of {reason}",
        info.domain,
        info.reason
    );
    Ok(details)
}

/// The fields at fault that a refusal names.
pub fn fields(details: &ErrorDetails) -> Vec<&str> {
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    violations.unwrap_or_default().iter().map(|violation| violation.field.as_str()).collect()
}

/// Records `count` contacts at an office.
pub async fn record_contacts(country: &Country, office: &str, count: usize) -> Result<()> {
    let mut client = country.commands(office, "clerk").await?;
    for _ in 0..count {
        client.execute(plain_contact()).await.with_context(|| format!("record at {office}"))?;
    }
    Ok(())
}

/// Size and root of the log that an office writes itself. Its other logs come from the centre and
/// grow when they arrive.
pub async fn own_log(country: &Country, office: &str) -> Result<(u64, Vec<u8>)> {
    let own = office.to_ascii_lowercase();
    let mut logs = country.logs(office).await?;
    logs.remove(&own).with_context(|| format!("{office} has no log {own}"))
}

/// Asks to open the sealed part of a record.
pub async fn open(
    country: &Country,
    office: &str,
    person: &str,
    at: Position,
) -> Result<Result<OpenRecordResponse, Status>> {
    open_elsewhere(country, (office, person), office, at).await
}

/// A person of one office asks the node of `office` to open the sealed part of a record.
pub async fn open_elsewhere(
    country: &Country,
    (home, person): (&str, &str),
    office: &str,
    at: Position,
) -> Result<Result<OpenRecordResponse, Status>> {
    let request =
        OpenRecordRequest { record: Some(Record::Position(at)), purpose: "case_work".to_owned() };
    let target = Target {
        address: country.address(office)?.to_string(),
        server_name: format!("{}.{DOMAIN}", office.to_ascii_lowercase()),
        ..country.target(home, person)?
    };
    let mut client = CommandServiceClient::new(target.connect().await?);
    Ok(client.open_record(request).await.map(tonic::Response::into_inner))
}

/// How an office sees its link to `peer`.
pub async fn link(country: &Country, office: &str, peer: &str) -> Result<LinkStatus> {
    let status = country.sync_status(office).await?;
    let link = status.links.into_iter().find(|link| link.peer == peer);
    link.with_context(|| format!("{office} names no link to {peer}"))
}

/// One log of a link.
pub fn log<'a>(link: &'a LinkStatus, name: &str) -> Result<&'a LogSync> {
    let found = link.logs.iter().find(|log| log.log == name);
    found.with_context(|| format!("the link to {} names no log {name}", link.peer))
}
