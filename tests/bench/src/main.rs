//! `adal-bench`: the journal beside a bare append + `fdatasync` file and plain sled, in one run.
//!
//! Scope: throughput and latency of acknowledgement, bulk import, start, reading, deep check, disk,
//! memory, and whether an import stays as fast; each figure beside the aim that is stated for it.
//! Everything but time is the same in every run.
//!
//! `adal-bench evidence` measures hashing, signing, proving and checking instead, `adal-bench
//! replication` real nodes that bring each other records.
//!
//! Not in scope: correctness under kills and damage (tests of `journal`), long and lossy links.
//!
//! * [`contenders`], [`front`], [`contest`]: stores, loads, rounds.
//! * [`producers`], [`bulk`]: the phases that compare stores.
//! * [`large`]: one growing journal, in processes of their own ([`child`]): [`import`], [`start`],
//!   [`scan`], [`flat`].
//! * [`evidence`], [`evidence_log`]: `adal-bench evidence`, without a disk.
//! * [`replication`]: `adal-bench replication`, with the binaries of a region and the centre.
//! * [`draft`], [`machine`], [`stats`], [`table`], [`progress`], [`options`]: what they share.

mod bulk;
mod child;
mod contenders;
mod contest;
mod draft;
mod evidence;
mod evidence_log;
mod flat;
mod front;
mod import;
mod large;
mod machine;
mod options;
mod producers;
mod progress;
mod replication;
mod scan;
mod start;
mod stats;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use crate::import::Step;
use crate::options::{Options, Phase, What};
use crate::table::{Figure, Report, Section, number};

/// Free bytes asked for each record of the large journal: half more than its commit files and index
/// take, for sled writes anew before it frees.
const FREE_PER_RECORD: u64 = 1_600;

/// Free bytes asked for everything else.
const FREE_BESIDE: u64 = 2_000_000_000;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match (&options.child, &options.what) {
        (Some(task), _) => child::work(task).map(|()| true),
        (None, Some(What::Evidence { entries, json })) => run_evidence(*entries, json.as_deref()),
        (None, Some(What::Replication { records, seconds, dir, json, strict })) => {
            let met = run_replication(dir.as_deref(), (*records, *seconds), json.as_deref());
            met.map(|met| met || !strict)
        }
        (None, None) => run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("adal-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures `evidence` and prints. False if an aim is missed.
fn run_evidence(entries: u64, json: Option<&Path>) -> Result<bool> {
    println!("{}, {} cores", machine::kernel(), machine::cores());
    warn_of_debug();
    let mut report = Report::default();
    print(&evidence::run(entries, &mut report)?);
    conclude(&report, json)
}

/// Measures replication of `amount`: records, seconds of load. False if an aim is missed.
fn run_replication(dir: Option<&Path>, amount: (u64, u64), json: Option<&Path>) -> Result<bool> {
    println!("{}, {} cores", machine::kernel(), machine::cores());
    warn_of_debug();
    let mut report = Report::default();
    replication::in_temporary(dir.map(Path::to_path_buf), amount, &mut report, print)?;
    conclude(&report, json)
}

/// Writes the figures and says how many aims are met. False if one is missed and that matters.
fn conclude(report: &Report, json: Option<&Path>) -> Result<bool> {
    if let Some(path) = json {
        write(path, &serde_json::to_string_pretty(report.figures())?)?;
    }
    let (aims, missed) = report.missed();
    println!("{} of {aims} aims met", aims - missed.len());
    Ok(missed.is_empty() || cfg!(debug_assertions))
}

/// Says before any figure that it is worth nothing.
fn warn_of_debug() {
    if cfg!(debug_assertions) {
        println!("WARNING: not a release build, the figures mean nothing");
    }
}

/// The machine, as far as figures depend on it.
#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    cores: usize,
    filesystem: String,
    optimised: bool,
}

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct Everything<'a> {
    machine: &'a Machine,
    records: u64,
    rounds: u64,
    scale: f64,
    figures: &'a [Figure],
    steps: &'a [Step],
}

/// Measures and prints. False if an aim is missed and that matters.
fn run(options: &Options) -> Result<bool> {
    let temporary = temporary(options)?;
    let machine = Machine {
        kernel: machine::kernel(),
        cores: machine::cores(),
        filesystem: machine::filesystem(temporary.path())?,
        optimised: !cfg!(debug_assertions),
    };
    print_machine(&machine, temporary.path());
    let mut report = Report::default();
    let outcome = measure(options, temporary.path(), &mut report);
    if options.keep {
        println!("kept: {}", temporary.keep().display());
    }
    let steps = outcome?;
    if let Some(path) = &options.svg
        && !steps.is_empty()
    {
        write(path, &flat::svg(&steps))?;
    }
    if let Some(path) = &options.json {
        let (records, rounds, scale) = (options.records, options.rounds, options.scale);
        let (machine, figures, steps) = (&machine, report.figures(), &steps);
        let all = Everything { machine, records, rounds, scale, figures, steps };
        write(path, &serde_json::to_string_pretty(&all)?)?;
    }
    let (aims, missed) = report.missed();
    println!("{} of {aims} aims met", aims - missed.len());
    for figure in &missed {
        let aim = figure.aim.map(|aim| aim.to_string()).unwrap_or_default();
        println!("  not met: {} is {} {}, aim {aim}", figure.id, number(figure.value), figure.unit);
    }
    Ok(missed.is_empty() || !options.strict)
}

fn print_machine(machine: &Machine, dir: &Path) {
    println!("{}, {} cores, {}", machine.kernel, machine.cores, machine.filesystem);
    println!("folder {}", dir.display());
    if machine.filesystem.starts_with("tmpfs") {
        println!("WARNING: this file system is in memory, its fdatasync costs nothing: use --dir");
    }
    warn_of_debug();
    println!();
}

/// A new folder on the disk that is to be measured, with room enough.
fn temporary(options: &Options) -> Result<tempfile::TempDir> {
    let program = || {
        let program = std::env::current_exe().context("find this program")?;
        Ok::<PathBuf, anyhow::Error>(program.parent().context("no folder")?.to_path_buf())
    };
    let within = options.dir.clone().map_or_else(program, Ok)?;
    fs::create_dir_all(&within).with_context(|| format!("create {}", within.display()))?;
    let large = options.phases().into_iter().any(Phase::needs_import);
    let needed = FREE_BESIDE + if large { options.records * FREE_PER_RECORD } else { 0 };
    let free = machine::free_bytes(&within)?;
    let gigabytes = |bytes: u64| number(bytes as f64 / 1e9);
    ensure!(
        free >= needed,
        "{} GB are free, {} GB may be needed: ask for fewer --records or name another --dir",
        gigabytes(free),
        gigabytes(needed)
    );
    let made = tempfile::Builder::new().prefix("bench-").tempdir_in(&within);
    made.with_context(|| format!("create a folder in {}", within.display()))
}

/// Runs the phases, printing each table when it is there. Returns the steps of the import.
fn measure(options: &Options, dir: &Path, report: &mut Report) -> Result<Vec<Step>> {
    let (phases, mut steps) = (options.phases(), Vec::new());
    let (rounds, scale) = (options.rounds as usize, options.scale);
    let compared: [(Phase, &str, Compare); 3] = [
        (Phase::Producers, "producers", producers::run),
        (Phase::Groups, "groups", bulk::groups),
        (Phase::Bulk, "bulk", bulk::import),
    ];
    for (phase, name, compare) in compared {
        if phases.contains(&phase) {
            in_folder(&dir.join(name), options.keep, |dir| {
                print(&compare(dir, rounds, scale, report).context(name)?);
                Ok(())
            })?;
        }
    }
    if phases.iter().any(|phase| phase.needs_import()) {
        in_folder(&dir.join("large"), options.keep, |dir| {
            steps = large::run(dir, options.records, &phases, report, print)?;
            Ok(())
        })?;
    }
    Ok(steps)
}

/// A phase that compares stores in a new folder: rounds, scale.
type Compare = fn(&Path, usize, f64, &mut Report) -> Result<Vec<Section>>;

/// Runs a phase in a new folder, which gives its room back afterwards.
fn in_folder(dir: &Path, keep: bool, phase: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
    phase(dir)?;
    if keep {
        return Ok(());
    }
    fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))
}

fn print(sections: &[Section]) {
    for section in sections {
        println!("{section}");
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
