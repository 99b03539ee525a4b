//! The server of an office is destroyed while the country goes on working: another one, with new
//! keys, is filled from the centre and goes on; what had reached nobody is named exactly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use evidence::checkpoint::Checkpoint;
use serde_json::Value;
use testkit::country::Country;
use tonic::Code;
use uuid::Uuid;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::command::Request;
use wire::pb::common::v1::Position;
use wire::pb::operator::v1::{ListLogsRequest, LogRow, ReadLogRequest};
use wire::pb::query::v1::{Dimension, Table};

use crate::support::call::{accepted, execute, open, record_contacts};
use crate::support::requests::{appeal, command, contact};
use crate::support::tool::{Tool, bare, ended};
use crate::support::{land, reading, until};

const OFFICE: &str = "KZ-75";
const OTHER: &str = "KZ-10";
const LOG: &str = "kz-75";

async fn rows(country: &Country, office: &str) -> Result<BTreeMap<u32, LogRow>> {
    let rows = country.operator(office).await?.list_logs(ListLogsRequest {}).await?.into_inner();
    let of_log = rows.logs.into_iter().filter(|row| row.log == LOG);
    Ok(of_log.map(|row| (row.epoch, row)).collect())
}

/// Event ids of the first epoch of the office's log, in their order, as an office has them.
async fn events(country: &Country, office: &str) -> Result<Vec<String>> {
    let mut client = country.operator(office).await?;
    let request = ReadLogRequest { log: LOG.to_owned(), epoch: 1, ..Default::default() };
    let mut stream = client.read_log(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(record) = stream.message().await? {
        events.push(record.event_id);
    }
    Ok(events)
}

/// What `kz/all` says of the end of the office's epochs, at an office.
async fn closings(country: &Country, office: &str) -> Result<Vec<Value>> {
    let records = reading::records(country, office, "kz/all").await?;
    let closed = records.iter().filter(|record| record.type_name == "log.closed");
    closed.map(|record| Ok(serde_json::from_str(&record.open_json)?)).collect()
}

/// Work of the office before the loss: an appeal that was answered to, and contacts with texts.
struct Work {
    appeal: pb::Command,
    receipt: pb::CommandReceipt,
    /// The stream of a contact.
    contact: Uuid,
    /// Where the record stands that names a file of it, as `adal record attach` says, and the file.
    attached: Value,
    file: Vec<u8>,
}

async fn work(country: &Country, dir: &Path) -> Result<Work> {
    let appeal = Request::ReceiveAppeal(appeal("A Name", "The text of it"));
    let appeal = command(Uuid::now_v7(), 0, appeal);
    let receipt = accepted(country, OFFICE, "clerk", appeal.clone()).await?;
    let first = Uuid::now_v7();
    accepted(country, OFFICE, "clerk", command(first, 0, contact("Caller", "a note"))).await?;
    for number in 0..300 {
        let contact = command(Uuid::now_v7(), 0, contact("Someone", &format!("note {number}")));
        accepted(country, OFFICE, "clerk", contact).await?;
    }
    let (path, file) = (dir.join("recording.ogg"), b"a recording ".repeat(20_000));
    fs::write(&path, &file)?;
    let (contact, path) = (first.to_string(), path.display().to_string());
    let line = ["record", "attach", "--contact", &contact, &path];
    let attached = Tool::of(country, OFFICE, "clerk")?.one(&line).await?;
    country.settle().await?;
    Ok(Work { appeal, receipt, contact: first, attached, file })
}

/// The file of before is read back on the new server.
async fn file_opens(country: &Country, work: &Work, dir: &Path) -> Result<()> {
    let position = work.attached["position"].as_str().context("position")?;
    let out = dir.join("read-back.ogg");
    let to = out.display().to_string();
    let line = ["record", "file", position, "--purpose", "case_work", "--out", &to];
    let clerk = Tool::of(country, OFFICE, "clerk")?;
    until("the file is back", async || clerk.one(&line).await).await?;
    ensure!(fs::read(out)? == work.file, "another file");
    Ok(())
}

/// The machine is destroyed in the middle of what its link carries: the centre has the head and
/// not all records. The number of records that the office has signed.
async fn destroyed(country: &mut Country) -> Result<u64> {
    country.region(OFFICE)?.link.cut();
    let note = "x".repeat(8_000);
    for _ in 0..150 {
        let contact = command(Uuid::now_v7(), 0, contact("Someone", &note));
        accepted(country, OFFICE, "clerk", contact).await?;
    }
    let all = rows(country, OFFICE).await?[&1].size;
    country.region(OFFICE)?.link.mend_for(400_000);
    until("the centre has the head and not the records", async || {
        let row = rows(country, "KZ").await?.remove(&1).context("epoch 1")?;
        let head = Checkpoint::parse(&row.head)?;
        ensure!(head.size == all && row.size < all, "head {}, {} records", head.size, row.size);
        Ok(())
    })
    .await?;
    country.kill_region(OFFICE).await?;
    country.region(OFFICE)?.link.cut();
    Ok(all)
}

/// New keys from the offline machine; nothing of the old server is left.
async fn new_keys(country: &Country, dir: &Path) -> Result<()> {
    let (authority, made) = (dir.join("authority"), dir.join("new-keys"));
    let keys = country.installation.keys(OFFICE);
    let (trust, had) = (authority.join("trust.toml"), keys.join("trust.toml"));
    fs::copy(had, trust)?;
    let (authority, out) = (authority.display().to_string(), made.display().to_string());
    let line =
        ["pki", "issue", "node", "--dir", &authority, "--office", OFFICE, "--epoch", "2", "--out"];
    let line = [&line[..], &[out.as_str()]].concat();
    let issued = ended(bare(&line)?, &line).await?;
    ensure!(issued.status == 0, "{}{}", issued.out, issued.err);
    ensure!(made.join("recovery.pub").is_file(), "new keys come without the recovery key");
    fs::remove_dir_all(&keys)?;
    fs::rename(&made, &keys)?;
    let public = keys.join("public.toml").display().to_string();
    let centre = Tool::of(country, "KZ", "national")?;
    centre.ok(&["office", "rekey", "--code", OFFICE, "--public", &public, "--yes"]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_is_filled_from_the_centre_and_goes_on() -> Result<()> {
    let mut land = land(&[OFFICE, OTHER]).await?;
    let dir = land.dir.path().to_path_buf();
    let country = &mut land.country;
    let process = |country: &Country| country.coordinator.as_ref().and_then(|p| p.id());
    let centre_process = process(country);
    let work = work(country, &dir).await?;
    let signed = destroyed(country).await?;
    country.region(OFFICE)?.link.mend();
    let data = country.installation.data(OFFICE);
    let old_disk = dir.join("old-disk");
    fs::rename(&data, &old_disk)?;
    record_contacts(country, OTHER, 20).await?;

    // An empty folder is never taken for a new office.
    country.start_region(OFFICE).await?;
    until("the centre knows better", async || {
        let said = country.read_only(OFFICE).await?;
        ensure!(said.contains("its server was lost") && said.contains("--reseed"), "{said}");
        Ok(())
    })
    .await?;
    // Its link was made when the old one was over: nothing of that is on its way any more.
    let before = events(country, "KZ").await?;
    let held = before.len() as u64;
    ensure!(held > 301 && held < signed, "{held} of {signed}");
    let refused = execute(country, OFFICE, "clerk", work.appeal.clone()).await?;
    let refused = refused.err().context("an empty office records")?;
    ensure!(refused.code() == Code::FailedPrecondition, "{refused:?}");
    ensure!(refused.message().contains("its server was lost"), "{refused:?}");
    country.stop_region(OFFICE).await?;
    fs::remove_dir_all(&data)?;

    let began = Instant::now();
    new_keys(country, &dir).await?;
    refill(country, held).await?;
    let filled = began.elapsed();
    compare(country, &before, (held, signed)).await?;
    let recovered = texts(country, &work).await?;
    file_opens(country, &work, &dir).await?;
    goes_on(country, &work).await?;
    println!(
        "reseed: {held} records, two kills on the way, {} ms until the office records again, \
         {recovered} keys recovered",
        filled.as_millis()
    );
    ensure!(process(country) == centre_process, "the centre was restarted");
    found(country, &old_disk, signed - held).await?;
    country.settle().await?;
    reading::all_intact(country).await
}

/// Fills the new server, which is killed twice on the way, while the others work.
async fn refill(country: &mut Country, held: u64) -> Result<()> {
    country.region(OFFICE)?.link.cut();
    country.start_region_with(OFFICE, &["--reseed"]).await?;
    for bytes in [60_000, 60_000] {
        country.region(OFFICE)?.link.mend_for_answers(bytes);
        let part = until("a part is there", async || {
            record_contacts(country, OTHER, 1).await?;
            let here = rows(country, OFFICE).await?.remove(&1).map_or(0, |row| row.size);
            ensure!((1..held).contains(&here), "{here} of {held} records");
            Ok(here)
        })
        .await?;
        let said = country.read_only(OFFICE).await?;
        ensure!(said.contains("being reseeded") && said.contains(&held.to_string()), "{said}");
        ensure!(part < held && !said.contains("not reached"), "{said}");
        country.kill_region(OFFICE).await?;
        // It goes on by itself: only the first start is told.
        country.start_region(OFFICE).await?;
    }
    country.region(OFFICE)?.link.mend();
    country.until_writable(OFFICE).await
}

/// The texts of the old server, whose vault is gone: they do not open, their keys come back from
/// the centre, and the holder of the recovery key opens them. Of what the centre held nothing lacks
/// but the keys of what came in the last moment, which are counted. The number of keys recovered.
async fn texts(country: &mut Country, work: &Work) -> Result<u64> {
    let first = Position { log: LOG.to_owned(), epoch: 1, sequence: 0 };
    let closed = open(country, OFFICE, "clerk", first.clone()).await?;
    ensure!(closed.is_err(), "a text opens without its key: {closed:?}");
    let custody = rows(country, "KZ").await?[&1].clone();
    let mut before = None;
    let lacking = until("what the centre keeps of the keys is here", async || {
        let rows = Tool::of(country, OFFICE, "operator")?.json(&["sync", "status"]).await?;
        let lacking = rows.first().and_then(|row| row["keys_lacking"].as_u64());
        let lacking = lacking.context("keys_lacking")?;
        let settled = before.replace(lacking) == Some(lacking) && lacking <= 150;
        tokio::time::sleep(Duration::from_secs(1)).await;
        ensure!(settled, "{lacking} keys are lacking");
        Ok(lacking)
    })
    .await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    let (data, keys) = (country.installation.data(OFFICE), country.installation.keys(OFFICE));
    let [data, keys, key] =
        [data, keys, country.installation.recovery_key()].map(|path| path.display().to_string());
    let line = ["vault", "recover", "--office", OFFICE, "--data", &data, "--keys", &keys];
    let line = [&line[..], &["--recovery-key", &key, "--json"]].concat();
    let said = ended(bare(&line)?, &line).await?;
    ensure!(said.status == 0, "{}{}", said.out, said.err);
    let row: Value = serde_json::from_str(&said.out)?;
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    let recovered = row["recovered"].as_u64().context("recovered")?;
    let readable = custody.size - lacking;
    for sequence in 0..custody.size {
        let at = Position { sequence, ..first.clone() };
        let opened = open(country, OFFICE, "clerk", at).await?;
        let opens = opened.as_ref().err().is_none_or(|s| s.message().contains("no sealed part"));
        ensure!(opens == (sequence < readable), "record {sequence} of {readable}: {opened:?}");
    }
    ensure!(recovered > 301 && work.receipt.epoch == 1, "{recovered} keys");
    Ok(recovered)
}

/// The same events under the same roots at both, and the hole that is declared, exactly.
async fn compare(country: &Country, before: &[String], (held, signed): (u64, u64)) -> Result<()> {
    let (here, there) = (rows(country, OFFICE).await?, rows(country, "KZ").await?);
    ensure!(here[&1].size == held && here[&1].root == there[&1].root, "{here:?}");
    let events = events(country, OFFICE).await?;
    ensure!(events == before, "{} events instead of {}", events.len(), before.len());
    for office in ["KZ", OFFICE, OTHER] {
        until("the hole is known", async || {
            let closed = closings(country, office).await?;
            let [body] = &closed[..] else { anyhow::bail!("{office} knows {closed:?}") };
            ensure!(body["size"] == signed && body["successor_epoch"] == 2, "{body}");
            ensure!(body["missing_from"] == held && body["missing_to"] == signed, "{body}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The old disk is found: what nobody held is entered, once, and counted once.
async fn found(country: &Country, old_disk: &Path, lost: u64) -> Result<()> {
    let contacts = async |office, person| -> Result<u64> {
        let by = [Dimension::Office];
        let counts = reading::totals(country, (office, person), Table::Contacts, &by).await?;
        Ok(counts.get(&vec![OFFICE.to_owned()]).copied().unwrap_or_default())
    };
    country.settle().await?;
    let before = contacts(OFFICE, "clerk").await?;
    let from = old_disk.display().to_string();
    let line = ["journal", "recover", "--from", &from];
    Tool::of(country, OFFICE, "clerk")?.fails(&line, 3, &["operator"]).await?;
    let operator = Tool::of(country, OFFICE, "operator")?;
    let all = operator.one(&line).await?;
    let count = |row: &Value, key: &str| row[key].as_u64().unwrap_or(u64::MAX);
    ensure!(count(&all, "entered") == lost && count(&all, "proved") == lost, "{all}");
    ensure!(count(&all, "kept_apart") == 0 && count(&all, "found") > lost, "{all}");
    let again = operator.one(&line).await?;
    ensure!(count(&again, "entered") == 0, "{again}");
    ensure!(count(&again, "known") == count(&all, "found"), "{again}");
    until("both tables count what was found, once", async || {
        for (office, person) in [(OFFICE, "clerk"), ("KZ", "national")] {
            let now = contacts(office, person).await?;
            ensure!(now == before + lost, "{office}: {now} after {before}, {lost} were lost");
        }
        Ok(())
    })
    .await
}

/// Commands, numbers, streams and texts of before hold.
async fn goes_on(country: &Country, work: &Work) -> Result<()> {
    let place = |r: &pb::CommandReceipt| (r.reg_no.clone(), r.epoch, r.first_sequence);
    let again = accepted(country, OFFICE, "clerk", work.appeal.clone()).await?;
    ensure!(again.replayed && place(&again) == place(&work.receipt), "{again:?}");
    let other = Request::ReceiveAppeal(appeal("Another Name", "Another text"));
    let other = command(Uuid::now_v7(), 0, other);
    let other = accepted(country, OFFICE, "clerk", other).await?;
    ensure!(other.epoch == 2 && other.reg_no != work.receipt.reg_no, "{other:?}");
    // The letter of the epoch keeps all its numbers apart from those of the one before.
    ensure!(other.reg_no.matches("B-").count() == 1, "{}", other.reg_no);
    let consult = || Request::GiveConsultation(pb::GiveConsultation { topic: "other".to_owned() });
    let late = execute(country, OFFICE, "clerk", command(work.contact, 3, consult())).await?;
    ensure!(late.is_err_and(|status| status.code() == Code::Aborted), "a version was invented");
    let next = accepted(country, OFFICE, "clerk", command(work.contact, 2, consult())).await?;
    ensure!((next.epoch, next.stream_version) == (2, 3), "{next:?}");
    let at = Position { log: LOG.to_owned(), epoch: 1, sequence: 0 };
    let opened = open(country, OFFICE, "clerk", at).await?;
    ensure!(opened.is_ok(), "a text of before does not open: {opened:?}");
    Ok(())
}
