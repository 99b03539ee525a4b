//! Whatever is sent or configured wrongly is refused in words that say what to do; the node goes
//! on, nothing is half applied.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::country::Country;
use testkit::process::binary;
use tokio::process::Command;
use tonic::Code;
use uuid::Uuid;
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command::Request;
use wire::pb::command::v1::command_outcome::Outcome;
use wire::pb::common::v1::Position;
use wire::pb::query::v1 as query;

use crate::support::call::{
    accepted, execute, fields, is_refusal, own_log, record_contacts, refused,
};
use crate::support::requests::{appeal, command as build, contact, plain_contact};
use crate::support::{land, reading};

const OFFICE: &str = "KZ-75";

/// Every field at fault is named by its path, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_commands_name_every_field() -> Result<()> {
    let land = land(&[OFFICE]).await?;
    let country = &land.country;
    let sealed = build(Uuid::now_v7(), 0, contact("A Caller", "a question"));
    accepted(country, OFFICE, "clerk", sealed).await?;
    record_contacts(country, OFFICE, 1).await?;
    let before = own_log(country, OFFICE).await?;
    malformed(country).await?;
    unknown_codes(country).await?;
    too_long(country).await?;
    not_permitted(country).await?;
    questions(country).await?;
    openings(country).await?;
    ensure!(own_log(country, OFFICE).await? == before, "something refused was recorded");
    many(country).await?;
    country.settle().await?;
    reading::all_intact(country).await
}

async fn malformed(country: &Country) -> Result<()> {
    let mut receive = appeal("A Name", "a text");
    receive.kind = "Not A Code".to_owned();
    receive.due_on = Some("tomorrow".to_owned());
    receive.contact = Some("x".to_owned());
    let mut broken = build(Uuid::now_v7(), 0, Request::ReceiveAppeal(receive));
    let meta = broken.meta.as_mut().context("meta")?;
    meta.command_id = "seven".to_owned();
    meta.zone = "Asia/Nowhere".to_owned();
    let malformed = (Code::InvalidArgument, "MALFORMED");
    let details = refused(country, OFFICE, "clerk", broken, malformed).await?;
    let wanted = [
        "receive_appeal.kind",
        "receive_appeal.contact",
        "receive_appeal.due_on",
        "meta.command_id",
        "meta.zone",
    ];
    ensure!(fields(&details) == wanted, "named: {:?}", fields(&details));
    let required = (Code::InvalidArgument, "REQUIRED");
    let empty = command::Command::default();
    let details = refused(country, OFFICE, "clerk", empty, required).await?;
    ensure!(fields(&details) == ["request", "meta"], "named: {:?}", fields(&details));
    Ok(())
}

async fn unknown_codes(country: &Country) -> Result<()> {
    let mut receive = appeal("A Name", "a text");
    receive.kind = "lawsuit".to_owned();
    let unknown = (Code::InvalidArgument, "UNKNOWN_CODE");
    let sent = build(Uuid::now_v7(), 0, Request::ReceiveAppeal(receive));
    let details = refused(country, OFFICE, "clerk", sent, unknown).await?;
    ensure!(fields(&details) == ["receive_appeal.kind"], "named: {:?}", fields(&details));
    // In time, too: nothing happens in the future.
    let mut early = plain_contact();
    let year_3000 = wire::pb::Instant { seconds: 32_503_680_000, nanos: 0 };
    early.meta.as_mut().context("meta")?.occurred_at = Some(year_3000);
    let range = (Code::InvalidArgument, "OUT_OF_RANGE");
    let details = refused(country, OFFICE, "clerk", early, range).await?;
    ensure!(fields(&details) == ["meta.occurred_at"], "named: {:?}", fields(&details));
    Ok(())
}

async fn too_long(country: &Country) -> Result<()> {
    let long = "ұ".repeat(33 * 1024);
    let receive = build(Uuid::now_v7(), 0, Request::ReceiveAppeal(appeal("A Name", &long)));
    let refusal = (Code::InvalidArgument, "TOO_LONG");
    let details = refused(country, OFFICE, "clerk", receive, refusal).await?;
    ensure!(fields(&details) == ["receive_appeal.personal.text"], "named: {:?}", fields(&details));
    // Beyond what the service takes in at all.
    let huge = "x".repeat(2 * 1024 * 1024);
    let receive = build(Uuid::now_v7(), 0, Request::ReceiveAppeal(appeal("A Name", &huge)));
    let status = execute(country, OFFICE, "clerk", receive).await?.err().context("accepted")?;
    ensure!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "a message of two MiB: {:?} {}",
        status.code(),
        status.message()
    );
    Ok(())
}

/// The certificate decides: its office, its role.
async fn not_permitted(country: &Country) -> Result<()> {
    let refusal = (Code::PermissionDenied, "NOT_PERMITTED");
    refused(country, OFFICE, "operator", plain_contact(), refusal).await?;
    let status = execute_as_node(country).await?.err().context("a node recorded a contact")?;
    ensure!(status.code() == Code::PermissionDenied, "{:?}", status.code());
    let nobody = Request::ApproveDecision(command::ApproveDecision {});
    let sent = build(Uuid::now_v7(), 0, nobody);
    refused(country, OFFICE, "clerk", sent, refusal).await?;
    Ok(())
}

/// The node's own certificate is none of a person.
async fn execute_as_node(
    country: &Country,
) -> Result<Result<command::CommandReceipt, tonic::Status>> {
    let keys = country.installation.keys(OFFICE);
    let mut target = country.target(OFFICE, "clerk")?;
    target.certificate = fs::read_to_string(keys.join("tls.pem"))?;
    target.key = fs::read_to_string(keys.join("tls.key"))?;
    let channel = target.connect().await?;
    let mut client = command::command_service_client::CommandServiceClient::new(channel);
    Ok(client.execute(plain_contact()).await.map(tonic::Response::into_inner))
}

/// Questions that mean nothing are refused, never answered with an empty table.
async fn questions(country: &Country) -> Result<()> {
    let mut queries = country.queries(OFFICE, "clerk").await?;
    let filtered = |filter| query::ListContactsRequest {
        filter: Some(filter),
        ..query::ListContactsRequest::default()
    };
    let foreign = query::Filter { audience: "judges".to_owned(), ..query::Filter::default() };
    let no_id = query::Filter { id: "seven".to_owned(), ..query::Filter::default() };
    for filter in [foreign, no_id] {
        let status = queries.list_contacts(filtered(filter)).await.err().context("answered")?;
        is_refusal(&status, Code::InvalidArgument, "MALFORMED")?;
    }
    let token = query::ListContactsRequest {
        page_token: "made up".to_owned(),
        ..query::ListContactsRequest::default()
    };
    let status = queries.list_contacts(token).await.err().context("answered")?;
    let details = is_refusal(&status, Code::InvalidArgument, "MALFORMED")?;
    ensure!(fields(&details) == ["page_token"], "named: {:?}", fields(&details));
    let none = reading::record(country, OFFICE, "kz-75", 1_000_000).await?;
    ensure!(none.is_err_and(|status| status.code() == Code::NotFound), "a record of no log");
    Ok(())
}

/// Without a purpose of the list nothing is opened and no opening is recorded.
async fn openings(country: &Country) -> Result<()> {
    let mut client = country.commands(OFFICE, "clerk").await?;
    let at = |sequence| {
        let position = Position { log: "kz-75".to_owned(), epoch: 1, sequence };
        Some(command::open_record_request::Record::Position(position))
    };
    for (record, purpose, code) in [
        (at(0), "curiosity", Code::InvalidArgument),
        (at(0), "Not A Code", Code::InvalidArgument),
        (None, "case_work", Code::InvalidArgument),
        (at(1), "case_work", Code::FailedPrecondition), // it has no sealed part
        (at(900), "case_work", Code::NotFound),
    ] {
        let request = command::OpenRecordRequest { record, purpose: purpose.to_owned() };
        let status = client.open_record(request).await.err().context("something was opened")?;
        ensure!(status.code() == code, "{purpose}: {:?} {}", status.code(), status.message());
    }
    Ok(())
}

/// In a stream of commands a refused one ends nothing; each outcome names its command.
async fn many(country: &Country) -> Result<()> {
    let mut wrong = plain_contact();
    wrong.meta.as_mut().context("meta")?.zone = "Asia/Nowhere".to_owned();
    let commands = [plain_contact(), wrong, command::Command::default(), plain_contact()];
    let ids: Vec<_> = commands.iter().flat_map(|c| &c.meta).map(|m| m.command_id.clone()).collect();
    let before = own_log(country, OFFICE).await?.0;
    let mut client = country.commands(OFFICE, "clerk").await?;
    let sent = tokio_stream::iter(commands.to_vec());
    let mut outcomes = client.execute_many(sent).await?.into_inner();
    let (mut recorded, mut failed) = (Vec::new(), Vec::new());
    while let Some(outcome) = outcomes.message().await? {
        match outcome.outcome.context("an outcome")? {
            Outcome::Receipt(_) => recorded.push(outcome.command_id),
            Outcome::Failure(failure) => {
                let named = failure.fields.first().map(|fault| fault.field.clone());
                failed.push((outcome.command_id, failure.code, named.unwrap_or_default()));
            }
        }
    }
    recorded.sort();
    failed.sort();
    ensure!(recorded == [ids[0].clone(), ids[2].clone()], "recorded: {}", recorded.len());
    let invalid = Code::InvalidArgument as i32;
    let wanted = [
        (String::new(), invalid, "request".to_owned()),
        (ids[1].clone(), invalid, "meta.zone".to_owned()),
    ];
    ensure!(failed == wanted, "failed: {failed:?}");
    let after = own_log(country, OFFICE).await?.0;
    ensure!(after == before + 2, "{} records for two accepted commands", after - before);
    Ok(())
}

/// What keeps a node from starting is said in one line, and the exit status is that of a failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_start_says_why() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let country = &mut land.country;
    let config = country.config(OFFICE)?.to_owned();
    let good = fs::read_to_string(&config)?;
    let listen = country.address(OFFICE)?.to_string();

    // A second process on the same folder; the first one does not notice.
    let second = config.with_file_name("second.toml");
    fs::write(&second, good.replace(&listen, "127.0.0.1:0"))?;
    fails("adal-region", &second, &["in use", "kz-75"]).await?;
    record_contacts(country, OFFICE, 1).await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");

    fs::write(&second, good.replace("listen", "colour = \"red\"\nlisten"))?;
    fails("adal-region", &second, &["colour", "second.toml"]).await?;
    fs::write(&second, good.replace("[journal]", "[journal]\nsegment_gib = 1"))?;
    fails("adal-region", &second, &["segment_gib"]).await?;
    fs::write(&second, good.replace("segment_mib = 2", "segment_mib = 0"))?;
    fails("adal-region", &second, &["segment_mib", "1"]).await?;
    fs::write(&second, good.replace("\"KZ-75\"", "\"KZ 75\""))?;
    fails("adal-region", &second, &["office", "KZ-75"]).await?;
    fails("adal-coordinator", &config, &["KZ-75", "adal-region"]).await?;
    fails("adal-region", country.config("KZ")?, &["adal-coordinator"]).await?;
    fails("adal-region", Path::new("no-such.toml"), &["no-such.toml"]).await?;

    let keys = country.installation.keys(OFFICE);
    without(&keys.join("trust.toml"), &config, &["trust", "adal pki init"]).await?;
    without(&keys.join("tls.pem"), &config, &["tls.pem", "adal pki issue"]).await?;
    without(&keys.join("log.key"), &config, &["log.key"]).await?;
    without(&keys.join("vault.key"), &config, &["vault.key"]).await?;
    other_vault_key(country, &config).await?;
    other_office(country, &config).await?;
    taken_port(country, &config, &good).await?;

    country.start_region(OFFICE).await?;
    accepted(country, OFFICE, "clerk", plain_contact()).await?;
    country.settle().await
}

/// A root key that does not open the vault is told from a damaged vault.
async fn other_vault_key(country: &Country, config: &Path) -> Result<()> {
    let key = country.installation.keys(OFFICE).join("vault.key");
    let ours = fs::read(&key)?;
    fs::write(&key, fs::read(country.installation.keys("KZ").join("vault.key"))?)?;
    let said = fails("adal-region", config, &["root key", "vault.key"]).await;
    fs::write(&key, ours)?;
    said
}

/// The certificate of another office is noticed before anybody is dialled.
async fn other_office(country: &Country, config: &Path) -> Result<()> {
    let tls = country.installation.keys(OFFICE).join("tls.pem");
    let key = country.installation.keys(OFFICE).join("tls.key");
    let (ours, our_key) = (fs::read(&tls)?, fs::read(&key)?);
    fs::write(&tls, fs::read(country.installation.keys("KZ").join("tls.pem"))?)?;
    fs::write(&key, fs::read(country.installation.keys("KZ").join("tls.key"))?)?;
    let said = fails("adal-region", config, &["KZ-75", "certificate"]).await;
    fs::write(&tls, ours)?;
    fs::write(&key, our_key)?;
    said
}

async fn taken_port(country: &Country, config: &Path, good: &str) -> Result<()> {
    let taken = country.address("KZ")?.to_string();
    let listen = country.address(OFFICE)?.to_string();
    let second = config.with_file_name("taken.toml");
    fs::write(&second, good.replace(&listen, &taken))?;
    fails("adal-region", &second, &[&taken, "listen"]).await
}

/// Takes a file away for one failing start.
async fn without(file: &Path, config: &Path, words: &[&str]) -> Result<()> {
    let away = file.with_extension("away");
    fs::rename(file, &away).with_context(|| format!("move {}", file.display()))?;
    let said = fails("adal-region", config, words).await;
    fs::rename(&away, file)?;
    said.with_context(|| format!("without {}", file.display()))
}

/// Starts a node that must fail soon: with one line on standard error that has all the words.
async fn fails(program: &str, config: &Path, words: &[&str]) -> Result<()> {
    let Output { status, stdout, stderr } = run(program, config).await?;
    let said = String::from_utf8_lossy(&stderr);
    let doing = format!("{program} --config {}", config.display());
    ensure!(status.code() == Some(1), "{doing}: {status}, said: {said}");
    ensure!(stdout.is_empty(), "{doing} printed: {}", String::from_utf8_lossy(&stdout));
    let last = said.lines().rfind(|line| line.starts_with(program));
    let last = last.with_context(|| format!("{doing} gives no reason: {said}"))?;
    // A TOML error shows the place on the lines that follow.
    let from = said.find(last).unwrap_or_default();
    for word in words {
        ensure!(said[from..].contains(word), "{doing} does not say \"{word}\": {said}");
    }
    ensure!(!said.contains("panicked"), "{doing} panicked: {said}");
    Ok(())
}

async fn run(program: &str, config: &Path) -> Result<Output> {
    let child = Command::new(binary(program)?)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    Ok(ended.with_context(|| format!("{program} goes on with {}", config.display()))??)
}
