//! What is personal is found in no file of any node, and read back by those who may.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use testkit::Settings;
use testkit::country::Country;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use uuid::Uuid;
use wire::pb::appeal::v1::{CorrectionPart, DecisionPart};
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command::Request;
use wire::pb::common::v1::Position;

use crate::support::call::{accepted, execute, open, open_elsewhere};
use crate::support::requests::{appeal, command as build, contact};
use crate::support::{files, land_with, quick, reading, until};

const NAME: &str = "Zhanbolat Qwyxzelov-Markedname";
const CYRILLIC: &str = "Жанболат Ықпалбеков-Белгісі";
const TEXT: &str = "a marked complaint about Xylophanes-7391";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_personal_stays_sealed() -> Result<()> {
    // Everything that a node can be made to say about itself.
    let quick = quick();
    let settings = Settings { tables: quick.tables.replace("\"warn\"", "\"trace\""), ..quick };
    let mut land = land_with(&["KZ-71", "KZ-75"], settings).await?;
    let country = &land.country;
    the_search_finds(land.dir.path())?;
    let receipt = enter(country).await?;
    country.settle().await?;
    until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await?;
    nowhere(land.dir.path())?;

    let at = |sequence| Position { log: receipt.log.clone(), epoch: receipt.epoch, sequence };
    let opened = open(country, "KZ-75", "clerk", at(receipt.first_sequence)).await?;
    let opened = opened.map_err(|status| anyhow::anyhow!("the clerk is refused: {status:?}"))?;
    ensure!(opened.personal_json.contains(CYRILLIC), "the name is not read back");
    ensure!(opened.personal_json.contains(TEXT), "the text is not read back");
    ensure!(!opened.open_json.contains(TEXT), "the open part holds the text");
    opening_is_recorded(country, &opened).await?;

    // Whose role opens nothing, and whose role does, but at another office.
    for (home, person) in [
        ("KZ-75", "operator"),
        ("KZ-71", "clerk"),
        ("KZ-71", "chief"),
        ("KZ", "national"),
        ("KZ", "auditor"),
    ] {
        let at = at(receipt.first_sequence);
        let refused = open_elsewhere(country, (home, person), "KZ-75", at).await?;
        let who = format!("{person} of {home}");
        let status = refused.err().with_context(|| format!("{who} opened a sealed part"))?;
        ensure!(status.code() == Code::PermissionDenied, "{who}: {:?}", status.code());
        silent(&status)?;
    }
    for person in ["national", "auditor"] {
        let refused = open(country, "KZ", person, at(receipt.first_sequence)).await?;
        let status = refused.err().context("the centre opened what only the region can")?;
        ensure!(status.code() == Code::FailedPrecondition, "{person}: {status:?}");
        silent(&status)?;
    }
    shown_nowhere(country, &receipt).await?;
    page(country).await?;
    stop(&mut land.country).await?;
    nowhere(land.dir.path())
}

/// Enters marked texts through every part that takes one; returns the appeal's receipt.
async fn enter(country: &Country) -> Result<command::CommandReceipt> {
    let note = format!("{TEXT} {CYRILLIC}");
    let call = build(Uuid::now_v7(), 0, contact(NAME, &note));
    accepted(country, "KZ-75", "clerk", call).await?;
    let stream = Uuid::now_v7();
    let receive = Request::ReceiveAppeal(appeal(CYRILLIC, TEXT));
    let receipt = accepted(country, "KZ-75", "clerk", build(stream, 0, receive)).await?;
    let correct = Request::CorrectAppeal(command::CorrectAppeal {
        of: Some(1),
        field: "applicant_name".to_owned(),
        reason: "typing_error".to_owned(),
        personal: Some(CorrectionPart {
            before: Some(CYRILLIC.to_owned()),
            after: Some(NAME.to_owned()),
        }),
        ..command::CorrectAppeal::default()
    });
    accepted(country, "KZ-75", "clerk", build(stream, 2, correct)).await?;
    // Refusals carry personal parts through other code: they must leave no trace either.
    let prepare = Request::PrepareDecision(command::PrepareDecision {
        decision: "answer".to_owned(),
        answer_nature: "explained".to_owned(),
        personal: Some(DecisionPart { text: Some(note) }),
    });
    let too_early = execute(country, "KZ-75", "clerk", build(stream, 3, prepare)).await?;
    silent(&too_early.err().context("a decision was accepted before triage")?)?;
    let mut unknown = appeal(NAME, TEXT);
    unknown.kind = NAME.to_ascii_lowercase();
    let malformed = build(Uuid::now_v7(), 0, Request::ReceiveAppeal(unknown));
    let refused = execute(country, "KZ-75", "clerk", malformed).await?;
    silent(&refused.err().context("a name was accepted as a code")?)?;
    Ok(receipt)
}

/// A refusal repeats nothing personal.
fn silent(status: &tonic::Status) -> Result<()> {
    let said = [status.message().as_bytes(), status.details()].concat();
    match marks().into_iter().find(|mark| files::find(&said, mark).is_some()) {
        None => Ok(()),
        Some(_) => bail!("a refusal repeats what is personal: {:?}", status.code()),
    }
}

/// Every spelling that is searched for: each mark in UTF-8 and both orders of UTF-16.
fn marks() -> Vec<Vec<u8>> {
    let mut marks = Vec::new();
    let lower = NAME.to_ascii_lowercase();
    for mark in [NAME, &lower, "Qwyxzelov", CYRILLIC, "Ықпалбеков", TEXT, "Xylophanes"] {
        marks.push(mark.as_bytes().to_vec());
        marks.push(mark.encode_utf16().flat_map(u16::to_le_bytes).collect());
        marks.push(mark.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    marks
}

/// No file below `dir` (data, logs, standard error, keys) holds a mark.
fn nowhere(dir: &Path) -> Result<()> {
    let marks = marks();
    let files = files::below(dir)?;
    let named = |part: &str| files.iter().any(|file| file.display().to_string().contains(part));
    for part in ["stderr.log", "/kz/data/", "/kz-71/data/", "/kz-75/data/", ".seg", "views.sqlite"]
    {
        ensure!(named(part), "there is no file {part} to search");
    }
    for file in files {
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue, // just removed
            Err(error) => return Err(error).context(file.display().to_string()),
        };
        let found = marks.iter().find_map(|mark| files::find(&bytes, mark));
        ensure!(found.is_none(), "{} holds a marked text at byte {found:?}", file.display());
    }
    Ok(())
}

/// A mark that lies somewhere is found, or nothing below means anything.
fn the_search_finds(dir: &Path) -> Result<()> {
    for mark in marks().into_iter().take(3) {
        let planted = dir.join("kz/data/planted");
        fs::write(&planted, [b"before", mark.as_slice(), b"after"].concat())?;
        let found = nowhere(dir);
        fs::remove_file(planted)?;
        ensure!(found.is_err(), "a planted mark was not found");
    }
    nowhere(dir)
}

/// The opening is a fact with its purpose, by the person who opened, before anything was shown.
async fn opening_is_recorded(
    country: &Country,
    opened: &command::OpenRecordResponse,
) -> Result<()> {
    let at = opened.opening.clone().context("the opening has no position")?;
    let found = reading::record(country, "KZ-75", &at.log, at.sequence).await??;
    let summary = found.summary.context("a summary")?;
    ensure!(summary.type_name == "access.records_opened", "it is {}", summary.type_name);
    ensure!(summary.open_json.contains("case_work"), "no purpose in {}", summary.open_json);
    let post = summary.actor.context("an actor")?.post;
    ensure!(post == "kz-75/clerk", "the opening is recorded for {post}");
    Ok(())
}

/// What operators and tables show of the record holds nothing personal.
async fn shown_nowhere(country: &Country, receipt: &command::CommandReceipt) -> Result<()> {
    let mut shown = String::new();
    for office in ["KZ-75", "KZ"] {
        for record in reading::records(country, office, &receipt.log).await? {
            shown.push_str(&format!("{record:?}"));
        }
        let person = if office == "KZ" { "national" } else { "clerk" };
        shown.push_str(&format!("{:?}", reading::tables(country, office, person).await?));
    }
    ensure!(shown.contains("appeal.received"), "the record is not shown at all");
    let found = marks().iter().any(|mark| files::find(shown.as_bytes(), mark).is_some());
    ensure!(!found, "a summary or a table shows what is personal");
    Ok(())
}

/// The national page answers, and shows nothing personal.
async fn page(country: &Country) -> Result<()> {
    let coordinator = country.coordinator.as_ref().context("the coordinator runs")?;
    let address = coordinator.address("page")?;
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /?lang=en HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let first = text.lines().next().unwrap_or_default();
    ensure!(first.contains("200"), "the page answers: {first}");
    ensure!(text.contains("KZ-75"), "the page does not name the office");
    ensure!(!marks().iter().any(|mark| files::find(&answer, mark).is_some()), "the page shows it");
    Ok(())
}

async fn stop(country: &mut Country) -> Result<()> {
    for office in ["KZ-71", "KZ-75"] {
        ensure!(country.stop_region(office).await?, "{office} did not end cleanly");
    }
    ensure!(country.stop_coordinator().await?, "the coordinator did not end cleanly");
    Ok(())
}
