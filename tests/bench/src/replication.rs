//! `adal-bench replication`: real nodes, real journals, mutual TLS over loopback.
//!
//! Every figure is taken in the same run as two others: the same records imported into a local
//! journal, and the same bytes written to a bare file with `fdatasync`. Held at the centre means
//! verified and durable there; how long the tables take is stated apart.
//!
//! * [`queue`]: records that wait in a region's journal, made without its node.
//! * [`land`]: the nodes, what the centre holds, processor time.
//! * [`lag`]: from an acknowledgement at a region to the record at the centre.

mod lag;
mod land;
mod queue;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::progress;
use crate::replication::land::{CaughtUp, Land};
use crate::replication::queue::{Maker, Queued};
use crate::stats::percentile;
use crate::table::{Aim, Report, Section};

/// Regions that catch up at once.
const REGIONS: u64 = 20;

/// Records that wait while the centre is away.
const AWAY_RECORDS: u64 = 20_000;

/// How long the centre is away.
const AWAY: Duration = Duration::from_secs(8);

/// The shortest head interval that a node accepts, in milliseconds.
const SHORTEST_INTERVAL: u64 = 10;

/// Records from which on a rate is judged: connecting weighs too much before.
const JUDGED: u64 = 100_000;

/// Measures in the new folder `dir`, printing each table when it is there: a queue of `records`,
/// and `seconds` of steady load.
///
/// # Errors
/// A node does not start or does not get there in time.
pub fn run(
    dir: &Path,
    (records, seconds): (u64, u64),
    report: &mut Report,
    print: fn(&[Section]),
) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(async {
        let mut maker = Maker::default();
        let bar = progress::bar("one region", 3);
        let mut land = Land::start(&dir.join("one"), &["KZ-75".to_owned()]).await?;
        let section = one(&mut land, &mut maker, records, report).await.context("catch up")?;
        bar.inc(1);
        bar.suspend(|| print(&[section]));
        let section = away(&mut land, &mut maker, records, report).await.context("away")?;
        bar.inc(1);
        bar.suspend(|| print(&[section]));
        let section = steady(&mut land, seconds, report).await.context("lag")?;
        bar.finish_and_clear();
        print(&[section]);
        land.stop().await?;
        let bar = progress::bar("20 regions", 1);
        let offices: Vec<String> = (0..REGIONS).map(|n| format!("KZ-{}", 10 + n)).collect();
        let mut land = Land::start(&dir.join("all"), &offices).await?;
        let section = all(&mut land, &mut maker, records, report).await.context("20 regions")?;
        bar.finish_and_clear();
        print(&[section]);
        land.stop().await
    })
}

/// What is measured beside: import into a local journal, a bare file with the same bytes.
fn beside(section: &mut Section, report: &mut Report, queued: &Queued, bare: f64) {
    for (label, id, value) in [
        ("import of the same into a local journal", "import/rate", queued.rate),
        ("the same bytes to a bare file, fdatasync", "bare/rate", bare),
    ] {
        let value = (value, "records/s");
        report.add(section, label, format!("replication/one/{id}"), value, None);
    }
}

/// One region with a queue, from the first sign of it to the last record.
async fn one(
    land: &mut Land,
    maker: &mut Maker,
    records: u64,
    report: &mut Report,
) -> Result<Section> {
    let queued = land.queue(maker, records).await?;
    let bare = queue::bare(land.dir(), records, queued.bytes)?;
    let caught = land.catch_up(records).await?;
    let folded = land.centre_folded().await?;
    let mut section = Section::of_figures(format!("{records} queued records of one region"));
    beside(&mut section, report, &queued, bare);
    let judged = |aim| (records >= JUDGED).then_some(Aim::AtLeast(aim));
    let rate = records as f64 / caught.moving.as_secs_f64();
    let mut add = |label: &str, id: &str, value, aim| {
        report.add(&mut section, label, format!("replication/one/{id}"), value, aim);
    };
    add("verified and durable at the centre", "rate", (rate, "records/s"), judged(100_000.0));
    add("ratio to the import", "ratio_import", (rate / queued.rate, ""), judged(0.8));
    add("ratio to the bare file", "ratio_bare", (rate / bare, ""), None);
    let connecting = (caught.total - caught.moving).as_secs_f64() * 1e3;
    add("from the centre's start to the first record", "connect", (connecting, "ms"), None);
    let folding = (caught.total + folded).as_secs_f64();
    add("the centre's tables, from its start", "fold", (folding, "s"), None);
    add("import, processor time of a record", "import/cpu", (queued.cpu, "µs"), None);
    processor_time(&mut section, report, "one", &caught, records);
    Ok(section)
}

/// The centre is away, records queue up, it comes back.
async fn away(
    land: &mut Land,
    maker: &mut Maker,
    records: u64,
    report: &mut Report,
) -> Result<Section> {
    let records = records.min(AWAY_RECORDS);
    let begun = tokio::time::Instant::now();
    land.queue(maker, records).await?;
    tokio::time::sleep_until(begun + AWAY).await;
    let caught = land.catch_up(records).await?;
    land.centre_folded().await?;
    let title = format!("The centre away for {} s, {records} records queued", AWAY.as_secs());
    let mut section = Section::of_figures(title);
    let aim = (records == AWAY_RECORDS).then_some(Aim::AtMost(0.5));
    let total = (caught.total.as_secs_f64(), "s");
    report.add(&mut section, "from its return to the last", "replication/away/total", total, aim);
    let moving = (caught.moving.as_secs_f64(), "s");
    let label = "of it from the first record on";
    report.add(&mut section, label, "replication/away/moving", moving, None);
    section.note("Its return: when the process says that it is ready.");
    Ok(section)
}

/// Steady load: how far the centre is behind an acknowledgement, as nodes are set up and with heads
/// as often as they may go out.
async fn steady(land: &mut Land, seconds: u64, report: &mut Report) -> Result<Section> {
    let title = format!("Lag at {} records per second", lag::PER_SECOND);
    let mut section = Section::of_figures(title);
    for (name, interval) in [("default", None), ("shortest", Some(SHORTEST_INTERVAL))] {
        if let Some(interval) = interval {
            land.set_head_interval("KZ-75", interval).await?;
        }
        let measured = lag::run(land.country(), "KZ-75", seconds).await?;
        let millis = |thousandths| percentile(&measured.micros, thousandths) as f64 / 1e3;
        for (id, value, aim) in [
            ("p50", millis(500), Some(2.0)),
            ("p99", millis(990), Some(10.0)),
            ("max", millis(1000), None),
        ] {
            let (label, id) = (format!("{id}, {name} head interval"), format!("{name}/{id}"));
            let id = format!("replication/lag/{id}");
            report.add(&mut section, &label, id, (value, "ms"), aim.map(Aim::AtMost));
        }
        let (label, rate) = (format!("acknowledged, {name}"), (measured.rate, "records/s"));
        report.add(&mut section, &label, format!("replication/lag/{name}/rate"), rate, None);
    }
    section.note("From the acknowledgement to a client that follows the log at the centre.");
    section.note("A record waits for a signed head: four answers long, at most one head interval.");
    Ok(section)
}

/// All regions at once.
async fn all(
    land: &mut Land,
    maker: &mut Maker,
    records: u64,
    report: &mut Report,
) -> Result<Section> {
    let each = (records / REGIONS).max(1);
    land.queue(maker, each).await?;
    let caught = land.catch_up(each).await?;
    let sum = each * REGIONS;
    let title = format!("{sum} queued records of {REGIONS} regions at once");
    let mut section = Section::of_figures(title);
    let rate = (sum as f64 / caught.moving.as_secs_f64(), "records/s");
    report.add(&mut section, "durable at the centre", "replication/all/rate", rate, None);
    processor_time(&mut section, report, "all", &caught, sum);
    Ok(section)
}

/// Processor time of a record: centre, regions, and the centre's by kind of thread.
fn processor_time(
    section: &mut Section,
    report: &mut Report,
    phase: &str,
    caught: &CaughtUp,
    records: u64,
) {
    let each = |time: Duration| (time.as_secs_f64() * 1e6 / records as f64, "µs/record");
    let mut add = |label: &str, id: String, time| {
        report.add(section, label, format!("replication/{phase}/cpu/{id}"), each(time), None);
    };
    add("processor time, centre with its tables", "centre".to_owned(), caught.centre);
    add("processor time, region", "region".to_owned(), caught.regions);
    for (name, time) in &caught.threads {
        add(&format!("  centre, threads {name}"), format!("centre/{name}"), *time);
    }
}

/// Measures in a new folder below `dir`, removed at the end.
///
/// # Errors
/// As [`run`].
pub fn in_temporary(
    dir: Option<PathBuf>,
    amount: (u64, u64),
    report: &mut Report,
    print: fn(&[Section]),
) -> Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    let within = dir.or(program.parent().map(Path::to_path_buf)).context("no folder")?;
    std::fs::create_dir_all(&within).with_context(|| format!("create {}", within.display()))?;
    let made = tempfile::Builder::new().prefix("bench-").tempdir_in(&within);
    let made = made.with_context(|| format!("create a folder in {}", within.display()))?;
    println!("{}\n", crate::machine::filesystem(made.path())?);
    run(made.path(), amount, report, print)
}
