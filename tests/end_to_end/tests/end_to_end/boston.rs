//! Real records: a city's call centre (four months, twelve districts, six channels) imported into
//! as many offices through real processes, and the same under kills.
//!
//! The expected counts are made here from the file itself, with tables of this test and none of
//! the mapping's, so that a wrong mapping shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use testkit::country::Country;
use testkit::{Installation, Settings};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::pb::query::v1::{Dimension, Table};

use crate::kills::tables_equal_a_fold_from_scratch;
use crate::support::chance::Chance;
use crate::support::tool::{Tool, objects};
use crate::support::{Land, reading};

/// The city's calls of the second half of 2011, in the folder that `ADAL_REGISTERS` names.
const FILE: &str = "boston311_2011h2.csv.gz";
/// What each channel of the city is in the offices' lists.
const CHANNELS: [(&str, &str); 6] = [
    ("Constituent Call", "call"),
    ("Employee Generated", "staff"),
    ("Self Service", "web"),
    ("Citizens Connect App", "mobile_app"),
    ("Maximo Integration", "outside_register"),
    ("Twitter", "social_network"),
];

/// What stands in the file, counted.
#[derive(Debug, Default)]
struct Expected {
    rows: u64,
    valid: u64,
    /// Facts of all valid rows: contact opened, appeal received and registered; both closed.
    facts: u64,
    closed: u64,
    /// Valid rows by office, channel and month of opening, as the city's clocks had it.
    counts: BTreeMap<Vec<String>, u64>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make verify"]
async fn a_citys_call_centre_is_imported() -> Result<()> {
    let Some(data) = registers()? else { return Ok(()) };
    let expected = Expected::read(&data)?;
    let (land, import) = prepare(&data).await?;
    let country = &land.country;
    let began = Instant::now();
    let report = import.run().await?;
    settle(country).await?;
    let seconds = began.elapsed().as_secs_f64();
    imported(&report, &expected, &land)?;
    compare(country, &expected).await?;
    reading::all_intact(country).await?;
    println!(
        "{} rows, {} rejected, {} facts in {seconds:.1} s until the centre held them: {:.0} \
         facts/s (tool: {} s, {} facts/s)",
        expected.rows,
        expected.rows - expected.valid,
        expected.facts,
        expected.facts as f64 / seconds,
        report["seconds"],
        report["facts_per_second"],
    );
    for (keys, count) in &expected.counts {
        println!("{:<8} {:<17} {} {count:>6}", keys[0], keys[1], keys[2]);
    }

    let before = sizes(country).await?;
    let again = import.run().await?;
    println!("second run: {again}");
    for key in ["imported", "facts"] {
        ensure!(again[key] == 0, "a second run has {key}: {again}");
    }
    ensure!(again["replayed"] == expected.valid, "a second run: {again}");
    ensure!(sizes(country).await? == before, "a second run has changed a log");
    compare(country, &expected).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make verify"]
async fn a_citys_call_centre_is_imported_through_kills() -> Result<()> {
    const KILLS: u64 = 24;
    let Some(data) = registers()? else { return Ok(()) };
    let expected = Expected::read(&data)?;
    let (mut land, import) = prepare(&data).await?;
    let mut chance = Chance::new(311);
    let offices: Vec<_> = land.country.regions.keys().cloned().collect();
    let country = &mut land.country;
    let mut importing = JoinSet::new();
    let running = importing.spawn(async move { import.run().await });
    let mut at_work = 0;
    for number in 0..KILLS {
        // Each in its share of the work, so that nearly all of them meet nodes at work.
        let share = expected.facts * 4 / 5 / KILLS;
        let moment = share * number + chance.below(share);
        reach(country, moment).await?;
        at_work += u64::from(!running.is_finished());
        // Every third kill is the centre's.
        let victim = if number % 3 == 0 { "KZ" } else { chance.pick(&offices) };
        println!("kill {:>2}: {victim} at {moment} facts", number + 1);
        kill(country, victim).await?;
    }
    let report = importing.join_next().await.context("the import is awaited once")???;
    ensure!(at_work >= 20, "only {at_work} kills met the import at work");
    settle(country).await?;
    println!("{report}");
    ensure!(report["rejected"] == expected.rows - expected.valid, "report: {report}");
    ensure!(report["unfinished"] == 0, "report: {report}");
    compare(country, &expected).await?;
    reading::all_intact(country).await?;
    tables_equal_a_fold_from_scratch(country, land.dir.path()).await
}

/// Kills a node and starts it again.
async fn kill(country: &mut Country, office: &str) -> Result<()> {
    if office == "KZ" {
        country.kill_coordinator().await?;
        return country.start_coordinator().await;
    }
    country.kill_region(office).await?;
    country.start_region(office).await
}

/// Waits until the centre holds so many facts of the import.
async fn reach(country: &Country, facts: u64) -> Result<()> {
    while held(country).await? < facts {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Facts of the import at the centre: mirrors of offices, and its own log.
async fn held(country: &Country) -> Result<u64> {
    let logs = country.logs("KZ").await?;
    Ok(logs.iter().filter(|(log, _)| !log.contains('/')).map(|(_, (size, _))| size).sum())
}

async fn sizes(country: &Country) -> Result<BTreeMap<String, (u64, Vec<u8>)>> {
    country.logs("KZ").await
}

/// A backlog of a hundred thousand records may take longer than a test's usual patience.
async fn settle(country: &Country) -> Result<()> {
    let mut last = country.settle().await;
    for _ in 0..10 {
        if last.is_ok() {
            break;
        }
        last = country.settle().await;
    }
    last?;
    crate::support::until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await
}

/// The tool's own report agrees with the file, and the file of rejects accounts for the rest.
fn imported(report: &Value, expected: &Expected, land: &Land) -> Result<()> {
    let rejected = expected.rows - expected.valid;
    for (key, count) in [
        ("rows_read", expected.rows),
        ("imported", expected.valid),
        ("rejected", rejected),
        ("facts", expected.facts),
        ("unfinished", 0),
    ] {
        ensure!(report[key] == count, "{key} should be {count}: {report}");
    }
    let mut rejects = csv::Reader::from_path(land.dir.path().join("rejects.csv"))?;
    let listed = rejects.records().collect::<Result<Vec<_>, _>>()?.len() as u64;
    ensure!(listed == rejected, "{listed} rejects are listed, {rejected} rows are missing");
    Ok(())
}

/// What the centre counts is what stands in the file.
async fn compare(country: &Country, expected: &Expected) -> Result<()> {
    let (office, channel, month) = (Dimension::Office, Dimension::Channel, Dimension::Month);
    for table in [Table::Contacts, Table::Appeals] {
        let by = [office, channel, month];
        let here = reading::totals(country, ("KZ", "national"), table, &by).await?;
        for (keys, count) in &expected.counts {
            let there = here.get(keys).copied().unwrap_or_default();
            ensure!(there == *count, "{table:?} {keys:?}: {there} at the centre, {count} rows");
        }
        ensure!(here.len() == expected.counts.len(), "{table:?}: the centre counts more groups");
        let states = reading::totals(country, ("KZ", "national"), table, &[Dimension::State]);
        let closed = states.await?.get(&vec!["closed".to_owned()]).copied();
        ensure!(closed == Some(expected.closed), "{table:?}: {closed:?} closed");
    }
    let facts = held(country).await?;
    ensure!(facts == expected.facts, "{facts} facts at the centre, {} expected", expected.facts);
    Ok(())
}

/// The folder of the city's file and of the map of its districts to offices, as the environment
/// names it; `None` where it says that there is none.
fn registers() -> Result<Option<PathBuf>> {
    let folder = std::env::var_os("ADAL_REGISTERS").unwrap_or_default();
    if folder == "none" {
        println!("skipped, as ADAL_REGISTERS=none says: no call centre is imported");
        return Ok(None);
    }
    ensure!(
        !folder.is_empty(),
        "set ADAL_REGISTERS to the folder that holds {FILE} (or to none, to leave this out)"
    );
    let folder = PathBuf::from(folder);
    ensure!(
        folder.join(FILE).is_file(),
        "{} has no {FILE}: set ADAL_REGISTERS to the folder that holds it",
        folder.display()
    );
    Ok(Some(folder))
}

impl Expected {
    /// Reads the file and the map of its districts to offices.
    fn read(data: &Path) -> Result<Expected> {
        let mut offices = BTreeMap::new();
        let mut map = csv::Reader::from_path(data.join("reference/office_map.csv"))?;
        for row in map.records() {
            let row = row?;
            if &row[0] == "boston311" {
                offices.insert(row[1].to_owned(), row[2].to_owned());
            }
        }
        ensure!(offices.len() == 13, "{} districts are mapped to offices", offices.len());
        let file = fs::File::open(data.join(FILE))?;
        let mut rows = csv::Reader::from_reader(GzDecoder::new(file));
        let header = rows.headers()?.clone();
        let column = |name: &str| {
            header.iter().position(|column| column == name).with_context(|| name.to_owned())
        };
        let (office, channel) = (column("office")?, column("channel")?);
        let (opened, closed) = (column("opened_at")?, column("closed_at")?);
        let channels = BTreeMap::from(CHANNELS);
        let mut expected = Expected::default();
        for row in rows.records() {
            let row = row?;
            expected.rows += 1;
            let known = offices.get(&row[office]).zip(channels.get(&row[channel]));
            let Some((office, channel)) = known.filter(|_| row[opened].len() == 19) else {
                continue;
            };
            expected.valid += 1;
            expected.facts += if row[closed].is_empty() { 3 } else { 5 };
            expected.closed += u64::from(!row[closed].is_empty());
            let month = row[opened][..7].to_owned();
            let keys = vec![office.clone(), (*channel).to_owned(), month];
            *expected.counts.entry(keys).or_default() += 1;
        }
        Ok(expected)
    }
}

/// The import, ready to be run again and again.
struct Import {
    tool: Tool,
    args: Vec<String>,
}

impl Import {
    /// Runs it to its end; returns its report.
    async fn run(&self) -> Result<Value> {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let ran = self.tool.run(&args).await?;
        ensure!(ran.status == 0, "the import ended with {}: {}{}", ran.status, ran.out, ran.err);
        objects(&ran.out)?.pop().context("the import printed no report")
    }
}

/// Starts twelve offices and writes the files of the import.
async fn prepare(data: &Path) -> Result<(Land, Import)> {
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/boston311.toml");
    let offices = [
        "KZ-10", "KZ-11", "KZ-15", "KZ-19", "KZ-23", "KZ-27", "KZ-31", "KZ-33", "KZ-35", "KZ-39",
        "KZ-43", "KZ-47",
    ];
    let settings = Settings {
        tables: "[telemetry]\nlog = \"warn\"\n[journal]\nsegment_mib = 16\n".to_owned(),
        ..Settings::default()
    };
    let land = crate::support::land_with(&offices, settings).await?;
    let nodes = land.dir.path().join("nodes.toml");
    fs::write(&nodes, nodes_file(&land.country, &land.country.installation)?)?;
    let path = |path: &Path| path.display().to_string();
    let args = vec![
        "import".to_owned(),
        "csv".to_owned(),
        "--json".to_owned(),
        "--mapping".to_owned(),
        path(&mapping),
        "--nodes".to_owned(),
        path(&nodes),
        "--input".to_owned(),
        path(&data.join(FILE)),
        "--rejects".to_owned(),
        path(&land.dir.path().join("rejects.csv")),
    ];
    let tool = Tool::of(&land.country, "KZ", "national")?;
    Ok((land, Import { tool, args }))
}

fn nodes_file(country: &Country, installation: &Installation) -> Result<String> {
    let mut text = String::new();
    let offices = country.regions.keys().map(String::as_str);
    for (office, person) in offices.map(|office| (office, "clerk")).chain([("KZ", "national")]) {
        let people = installation.people(office);
        text.push_str(&format!(
            "[node.{office}]\naddress = \"{}\"\npeople = \"{}\"\nas = \"{person}\"\n",
            country.address(office)?,
            people.display()
        ));
    }
    Ok(text)
}
