//! A flipped byte in any stored file is refused, reported or repaired, and never served as truth;
//! an index that is gone is made anew from the commit files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use evidence::record::Record;
use testkit::country::Country;
use tonic::Code;
use wire::pb::command::v1::Command;
use wire::pb::common::v1::Position;

use crate::support::call::{accepted, open};
use crate::support::chance::Chance;
use crate::support::reading::Reader;
use crate::support::requests::{command, contact};
use crate::support::{Land, files, land, reading, until};

const OFFICE: &str = "KZ-75";
/// How many long contacts are recorded before anything is damaged.
const CONTACTS: usize = 110;
/// The one whose sealed part is opened beside every damage.
const OPENED: usize = CONTACTS / 2;

/// What a sound node said before anything was damaged.
struct Truth {
    /// Exact bytes of every record of every log.
    records: BTreeMap<String, Vec<Vec<u8>>>,
    /// Every row of every table.
    tables: BTreeMap<&'static str, Vec<String>>,
    /// A command that was carried out.
    done: Command,
    /// Where the contact number [`OPENED`] stands.
    sealed: Position,
    /// Copy of the data folder of the stopped node.
    data: PathBuf,
}

/// How a node dealt with its damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dealt {
    /// It did not start and named the place.
    Refused,
    /// It runs; the deep check names the place.
    Reported,
    /// It runs, and everything is as it was.
    Repaired,
}

/// Every file that a stopped region has is hit at several places, one place at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_never_served_as_truth() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = alone(&mut land).await?;
    let mut chance = Chance::new(5);
    let mut dealt: BTreeMap<String, Vec<Dealt>> = BTreeMap::new();
    for file in files::below(&truth.data)? {
        let name = file.strip_prefix(&truth.data)?.display().to_string();
        for offset in offsets(&file, &mut chance)? {
            files::copy(&truth.data, &country.installation.data(OFFICE))?;
            files::flip(&country.installation.data(OFFICE).join(&name), offset)?;
            let how = judge(country, &truth, &name)
                .await
                .with_context(|| format!("{name}, bit flipped in byte {offset}"))?;
            println!("{name} byte {offset}: {how:?}");
            dealt.entry(name.clone()).or_default().push(how);
        }
    }
    let is_hit = |part: &str| dealt.keys().any(|name| name.contains(part));
    for kind in ["commits/", "tail", "index/", "vault/", "views.sqlite"] {
        ensure!(is_hit(kind), "no file of the kind {kind} was damaged: {:?}", dealt.keys());
    }
    Ok(())
}

/// The very bytes of a record, in the oldest and in the newest commit file.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_named_and_not_served() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = alone(&mut land).await?;
    let own = &truth.records["kz-75"];
    let mut hit = Vec::new();
    for sequence in [1, own.len() - 2] {
        let record = &own[sequence];
        files::copy(&truth.data, &country.installation.data(OFFICE))?;
        let data = country.installation.data(OFFICE);
        let (file, at) = commit_file(&data, record)?;
        files::flip(&file, at + record.len() / 2)?;
        let name = file.strip_prefix(&data)?.display().to_string();
        let how = judge(country, &truth, &name)
            .await
            .with_context(|| format!("record {sequence} in {name}"))?;
        println!("record {sequence} in {name}: {how:?}");
        hit.push(name);
    }
    ensure!(hit[0] != hit[1], "both records lie in {}: make more of them", hit[0]);
    Ok(())
}

/// Damage that comes while the node runs, so that no start can find it: the deep check does.
#[tokio::test(flavor = "multi_thread")]
async fn damage_beneath_a_running_node_is_reported() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = alone(&mut land).await?;
    country.start_region(OFFICE).await?;
    let data = country.installation.data(OFFICE);
    let own = &truth.records["kz-75"];
    let mut places = Vec::new();
    for record in [&own[1], &own[own.len() - 2]] {
        let (file, at) = commit_file(&data, record)?;
        places.push((file, at + record.len() / 2));
    }
    let vault = data.join("vault/keys.vault");
    let last = fs::read(&vault)?.len() - 1;
    places.extend([0, 40, 100, last / 2, last].map(|offset| (vault.clone(), offset)));
    for (file, offset) in places {
        let name = file.strip_prefix(&data)?.display().to_string();
        files::flip(&file, offset)?;
        let report = reading::check(country, OFFICE).await?;
        ensure!(!report.intact, "{name} byte {offset} is damaged, the check finds it intact");
        let said = reading::damages(&report);
        ensure!(said.contains(kind_of(&name)), "{name} byte {offset}; the report says:\n{said}");
        println!("{name} byte {offset}: {said}");
        files::flip(&file, offset)?;
        let report = reading::check(country, OFFICE).await?;
        ensure!(report.intact, "{name} is whole again: {}", reading::damages(&report));
    }
    Ok(())
}

/// The copies of records that the index holds: found out when it is opened, or when they are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_entry_is_never_served() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = alone(&mut land).await?;
    let name = "journal/index/db";
    let index = fs::read(truth.data.join(name))?;
    let own = &truth.records["kz-75"];
    let mut hit = 0;
    for sequence in [0, 1, own.len() / 2, own.len() - 1] {
        let record = Record::parse(own[sequence].clone())?;
        // What the index has of a record: its leaf hash, beside its place, and its event id.
        for part in [&record.leaf_hash()[..], &record.header().event_id] {
            let Some(at) = files::find(&index, part) else { continue };
            hit += 1;
            files::copy(&truth.data, &country.installation.data(OFFICE))?;
            files::flip(&country.installation.data(OFFICE).join(name), at + 7)?;
            let how = judge(country, &truth, name)
                .await
                .with_context(|| format!("record {sequence} in the index, byte {at}"))?;
            println!("record {sequence} in the index, byte {at}: {how:?}");
        }
    }
    ensure!(hit > 0, "no entry was found in the index: damage it in another way");
    Ok(())
}

/// Sled's folder, deleted whole, is made anew: the same records, still found by id and command.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_is_rebuilt() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = &mut land.country;
    fs::remove_dir_all(country.installation.data(OFFICE).join("journal/index"))?;
    country.start_region(OFFICE).await?;
    same_records(country, &truth, false).await?;
    let report = reading::check(country, OFFICE).await?;
    ensure!(report.intact, "the rebuilt index: {}", reading::damages(&report));
    // The index also answers by command.
    let again = accepted(country, OFFICE, "clerk", truth.done.clone()).await?;
    ensure!(again.replayed, "a command that was carried out is not known any more");
    accepted(country, OFFICE, "clerk", filler(9)).await?;
    country.settle().await
}

/// Tables deleted while the node is down are folded anew.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_tables_are_folded_anew() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    let truth = prepare(&mut land).await?;
    let country = &mut land.country;
    for file in files::below(&country.installation.data(OFFICE))? {
        if file.display().to_string().contains("views.sqlite") {
            fs::remove_file(file)?;
        }
    }
    country.start_region(OFFICE).await?;
    until("the tables are folded", async || reading::folded(country, OFFICE, "clerk").await)
        .await?;
    let tables = reading::tables(country, OFFICE, "clerk").await?;
    ensure!(tables == truth.tables, "tables folded anew differ");
    Ok(())
}

/// A node that was there with its keys but without its vault does not begin a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_vault_is_not_made_anew() -> Result<()> {
    let mut land = land(&[OFFICE]).await?;
    prepare(&mut land).await?;
    let country = &mut land.country;
    fs::remove_dir_all(country.installation.data(OFFICE).join("vault"))?;
    let refusal = match country.start_region(OFFICE).await {
        Ok(()) => bail!("the node runs with an empty vault"),
        Err(refusal) => format!("{refusal:#}"),
    };
    ensure!(refusal.contains("vault") && refusal.contains("backup"), "it says: {refusal}");
    Ok(())
}

/// Records enough for several commit files, stops the region and keeps a copy of all it has.
async fn prepare(land: &mut Land) -> Result<Truth> {
    let country = &mut land.country;
    let done = filler(0);
    accepted(country, OFFICE, "clerk", done.clone()).await?;
    let mut sealed = None;
    for number in 1..CONTACTS {
        let receipt = accepted(country, OFFICE, "clerk", filler(number)).await?;
        if number == OPENED {
            let (log, epoch) = (receipt.log, receipt.epoch);
            sealed = Some(Position { log, epoch, sequence: receipt.first_sequence });
        }
    }
    let sealed = sealed.context("the contact to open is recorded")?;
    country.settle().await?;
    until("the tables are folded", async || reading::folded(country, OFFICE, "clerk").await)
        .await?;
    let mut records = BTreeMap::new();
    let mut reader = Reader::of(country, OFFICE).await?;
    for (log, (size, _)) in country.logs(OFFICE).await? {
        let mut bytes = Vec::new();
        for sequence in 0..size {
            bytes.push(reader.record(&log, sequence).await?.record);
        }
        records.insert(log, bytes);
    }
    let tables = reading::tables(country, OFFICE, "clerk").await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    let data = land.dir.path().join("sound");
    files::copy(&country.installation.data(OFFICE), &data)?;
    Ok(Truth { records, tables, done, sealed, data })
}

/// Stops the centre. Every trial puts back the same old data and records an opening of its own
/// behind it: sent to the centre, the second of them would be a fork of the first.
async fn alone(land: &mut Land) -> Result<&mut Country> {
    ensure!(land.country.stop_coordinator().await?, "the coordinator did not end cleanly");
    Ok(&mut land.country)
}

/// The commit file below `data` that holds the bytes of a record, and where they begin.
fn commit_file(data: &Path, record: &[u8]) -> Result<(PathBuf, usize)> {
    for file in files::below(&data.join("journal/commits"))? {
        if let Some(at) = files::find(&fs::read(&file)?, record) {
            return Ok((file, at));
        }
    }
    bail!("the record is in no commit file")
}

/// A contact with a long note: five dozen of them fill a commit file of two MiB.
fn filler(number: usize) -> Command {
    command(uuid::Uuid::now_v7(), 0, contact("A Caller", &note(number)))
}

/// The note of a contact.
fn note(number: usize) -> String {
    vec![number.to_string(); 14_000].join(" ")
}

/// Where to hit a file: its first byte, its last one that says something, and chance in between.
/// The zeros behind the last group of the last commit file say nothing (`journal/FORMAT.md`, 1)
/// and are never hit.
fn offsets(file: &Path, chance: &mut Chance) -> Result<Vec<usize>> {
    let bytes = fs::read(file)?;
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return Ok(Vec::new()) };
    let mut offsets = vec![0, last, chance.below(last as u64 + 1) as usize];
    offsets.push(chance.below(last as u64 + 1) as usize);
    offsets.sort_unstable();
    offsets.dedup();
    Ok(offsets)
}

/// Starts the damaged node and looks whether anything false is served.
async fn judge(country: &mut Country, truth: &Truth, name: &str) -> Result<Dealt> {
    let log = country.installation.folder(OFFICE).join("stderr.log");
    let before = fs::read(&log)?.len();
    if let Err(refusal) = country.start_region(OFFICE).await {
        let refusal = format!("{refusal:#}");
        let short = name.rsplit('/').next().unwrap_or(name);
        ensure!(refusal.contains(short), "it refuses to start and does not name it: {refusal}");
        return Ok(Dealt::Refused);
    }
    let outcome = served(country, truth, name).await;
    country.kill_region(OFFICE).await?;
    if let Ok(Dealt::Repaired) = outcome {
        let said = fs::read(&log)?.split_off(before);
        may_be_repaired(name, &String::from_utf8_lossy(&said))?;
    }
    outcome
}

/// What no other file can make whole again must not pass as if nothing were; `said` is what the
/// node wrote to its log.
fn may_be_repaired(name: &str, said: &str) -> Result<()> {
    let only_copy = name.contains("commits/") || name.ends_with("keys.vault");
    ensure!(!only_copy, "nobody noticed the damage of {name}");
    if name.ends_with("keys.tail") {
        // Made anew beside a whole `keys.vault`, and reported (`vault/FORMAT.md`, Opening, 4).
        ensure!(said.contains("the tail file of the vault was unreadable"), "it says: {said}");
        return Ok(());
    }
    ensure!(!name.contains("vault/"), "nobody noticed the damage of {name}");
    Ok(())
}

async fn served(country: &Country, truth: &Truth, name: &str) -> Result<Dealt> {
    same_records(country, truth, true).await?;
    // Folding may stop at a damaged record; then the tables are behind, never wrong.
    let whole =
        until("tables are folded or a record is damaged", async || {
            match reading::folded(country, OFFICE, "clerk").await {
                Ok(()) => Ok(true),
                Err(_) if !reading::check(country, OFFICE).await?.intact => Ok(false),
                Err(behind) => Err(behind),
            }
        })
        .await?;
    let report = reading::check(country, OFFICE).await?;
    same_sealed(country, truth, !report.intact).await?;
    if report.intact {
        same_records(country, truth, false).await?;
        let tables = reading::tables(country, OFFICE, "clerk").await?;
        ensure!(whole && tables == truth.tables, "the tables differ and nothing is reported");
        return Ok(Dealt::Repaired);
    }
    let said = reading::damages(&report);
    let kind = kind_of(name);
    ensure!(said.contains(kind), "{kind} is damaged, the report names other places:\n{said}");
    Ok(Dealt::Reported)
}

/// What a report may call a file: itself, or for the index and the vault what it belongs to.
fn kind_of(name: &str) -> &str {
    match name {
        name if name.contains("index/") => "index",
        name if name.contains("vault/") => "vault",
        name if name.contains("views.sqlite") => "views.sqlite",
        name => name.rsplit('/').next().unwrap_or(name),
    }
}

/// What was entered is read back from its sealed part; or, where `errors` are admitted, the
/// opening fails as damaged.
async fn same_sealed(country: &Country, truth: &Truth, errors: bool) -> Result<()> {
    match open(country, OFFICE, "clerk", truth.sealed.clone()).await? {
        Ok(opened) => {
            let whole = [note(OPENED).as_str(), "A Caller"]
                .iter()
                .all(|part| opened.personal_json.contains(&format!("\"{part}\"")));
            ensure!(whole, "the sealed part is opened with other words than were entered");
        }
        Err(status) => ensure!(
            errors && matches!(status.code(), Code::DataLoss | Code::Internal),
            "the sealed part does not open: {:?} {}",
            status.code(),
            status.message()
        ),
    }
    Ok(())
}

/// Every record reads as it was; or, where `errors` are admitted, fails as damaged.
async fn same_records(country: &Country, truth: &Truth, errors: bool) -> Result<()> {
    let mut reader = Reader::of(country, OFFICE).await?;
    for (log, records) in &truth.records {
        for (sequence, bytes) in records.iter().enumerate() {
            match reader.record(log, sequence as u64).await {
                Ok(found) => ensure!(
                    found.record == *bytes,
                    "{log} {sequence} is served with other bytes than were recorded"
                ),
                Err(status) if errors => ensure!(
                    matches!(status.code(), Code::DataLoss | Code::Internal),
                    "{log} {sequence}: {:?} {}",
                    status.code(),
                    status.message()
                ),
                Err(status) => bail!("{log} {sequence}: {}", status.message()),
            }
        }
    }
    Ok(())
}
