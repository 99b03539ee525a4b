//! `adal import`: rows of a foreign register become commands at the offices that they belong to,
//! with their own times. `MAPPING.md` describes the mapping.
//!
//! Every row is checked with the rules of `domain` before anything is sent. Ids follow from the
//! mapping's name and the case, so a second run adds nothing, and an interrupted one goes on.

pub mod drive;
pub mod fields;
pub mod mapping;
pub mod moment;
pub mod nodes;
pub mod plan;
pub mod rejects;
pub mod report;
pub mod source;
pub mod state;
pub mod worker;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use domain::OfficeCode;

use crate::cli::Global;
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::import::drive::{Collector, Survey, Task};
use crate::import::mapping::Mapping;
use crate::import::nodes::Node;
use crate::import::rejects::{Limit, Rejects};
use crate::import::state::{State, StateFile};
use crate::import::worker::Settings;
use crate::input;
use crate::output::{Cell, Output, Row};

/// Most commands under way at one office: as many as a node takes from one stream.
const MOST_CONCURRENCY: u64 = 256;

/// Commands of the import.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import a CSV file (.csv or .csv.gz) by a mapping
    Csv(CsvArgs),
}

/// What to import, and how.
#[derive(Debug, Args)]
#[command(after_help = "The nodes file has a table for each office:\n  \
                        people = \"{office}/people\"\n  as = \"clerk\"\n  \
                        [node.KZ-75]\n  address = \"127.0.0.1:7475\"\n\n\
                        A second run adds nothing. An interrupted run goes on when it is started \
                        again; with --state it does so quickly.\n\n\
                        Example:\n  adal import csv --mapping boston311.toml \
                        --nodes nodes.toml --input boston311.csv.gz \\\n    \
                        --rejects rejects.csv --state import.state")]
pub struct CsvArgs {
    /// The mapping.
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// The register.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the nodes are [default: --node, for a single office].
    #[arg(long, value_name = "FILE", env = "ADAL_NODES")]
    nodes: Option<PathBuf>,
    /// Write rejected rows to this file: row, line, column, code, reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Keep in this file how far the import came.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Commands under way at once at each office.
    #[arg(long, value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u64).range(1..=MOST_CONCURRENCY))]
    concurrency: u64,
    /// Import the rows of these offices only, divided by commas.
    #[arg(long, value_name = "CODE,..", value_parser = input::office, value_delimiter = ',')]
    only: Vec<OfficeCode>,
    /// How long a node may stay away: 90s, 10m, 2h.
    #[arg(long, value_name = "SPAN", value_parser = input::span, default_value = "10m")]
    patience: Duration,
    /// Most rows that may be rejected, as a number or a percentage; with more, nothing is sent.
    #[arg(long, value_name = "N|P%", value_parser = rejects::limit, default_value = "10%")]
    max_rejects: Limit,
    /// Check every row, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Carries out one of them.
///
/// # Errors
/// A file is wrong (2), too many rows are rejected (1), a node stayed away or refused (3).
pub async fn run(command: &ImportCommand, global: &Global, output: Output) -> Outcome {
    let ImportCommand::Csv(args) = command;
    csv(args, &global.way(), output).await
}

async fn csv(args: &CsvArgs, way: &Way, output: Output) -> Outcome {
    let mapping = Mapping::load(&args.mapping)?;
    for remark in &mapping.unknown_codes {
        output.note(&format!("{remark}; the node decides"))?;
    }
    let offices = chosen(args, &mapping)?;
    let task = Task { input: &args.input, mapping: &mapping, offices: &offices, now: input::now() };
    let nodes = match args.dry_run {
        true => Vec::new(),
        false => nodes::nodes(args.nodes.as_deref(), way, &offices)?,
    };
    let (file, state) = open_state(args, &nodes)?;
    let mut rejects = Rejects::create(args.rejects.as_deref())?;
    let survey = task.survey(&state, &mut rejects)?;
    rejects.finish()?;
    if args.max_rejects.is_exceeded(rejects.count(), survey.rows) {
        show_rejects(&rejects, args, output)?;
        return Err(too_many(args, rejects.count(), survey.rows, "nothing was sent"));
    }
    if args.dry_run {
        output.table(&surveyed(&survey, &rejects), "no row")?;
        return show_rejects(&rejects, args, output);
    }
    send(args, &task, nodes, (survey, rejects, file, state), output).await
}

async fn send(
    args: &CsvArgs,
    task: &Task<'_>,
    nodes: Vec<Node>,
    (survey, mut rejects, file, state): (Survey, Rejects, StateFile, State),
    output: Output,
) -> Outcome {
    let settings = Settings {
        concurrency: usize::try_from(args.concurrency).unwrap_or(1),
        patience: args.patience,
        zone: task.mapping.source.zone.clone(),
    };
    let mut collector = Collector::new(&survey, &mut rejects, file, state, output.is_json());
    let ended = task.send(nodes, &settings, &mut collector).await;
    collector.finish()?;
    let report = collector.report.clone();
    output.one(&report.row())?;
    show_rejects(&rejects, args, output)?;
    ended?;
    if args.max_rejects.is_exceeded(report.rejected, report.rows) {
        return Err(too_many(args, report.rejected, report.rows, "all other rows are imported"));
    }
    Ok(())
}

/// The offices whose rows are wanted.
fn chosen(args: &CsvArgs, mapping: &Mapping) -> Outcome<BTreeSet<OfficeCode>> {
    let all = mapping.office_codes();
    if args.only.is_empty() {
        return Ok(all);
    }
    let foreign = args.only.iter().find(|office| !all.contains(office));
    match foreign {
        None => Ok(args.only.iter().cloned().collect()),
        Some(office) => Err(Failure::usage(format!(
            "--only {office}: the mapping sends no rows there; it has: {}",
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn open_state(args: &CsvArgs, nodes: &[Node]) -> Outcome<(StateFile, State)> {
    if args.state.is_none() || args.dry_run {
        return StateFile::open(None, String::new(), String::new());
    }
    let mapping = std::fs::read_to_string(&args.mapping)
        .map_err(|error| Failure::wrong("read the mapping again", &error))?;
    let places = nodes.iter().flat_map(|node| [node.office.as_str(), &node.target.address]);
    let digest = state::digest(std::iter::once(mapping.as_str()).chain(places));
    StateFile::open(args.state.as_deref(), source::digest(&args.input)?, digest)
}

fn too_many(args: &CsvArgs, rejected: u64, rows: u64, what: &str) -> Failure {
    let look = match &args.rejects {
        Some(path) => format!("{} says why", path.display()),
        None => "--rejects FILE tells all of them".to_owned(),
    };
    Failure::bad(format!(
        "{rejected} of {rows} rows are rejected, more than --max-rejects {}: {what}; {look}",
        args.max_rejects
    ))
}

fn show_rejects(rejects: &Rejects, args: &CsvArgs, output: Output) -> Outcome {
    for reject in rejects.first() {
        output.note(&reject)?;
    }
    if rejects.count() > 0 && args.rejects.is_none() {
        output.note("--rejects FILE tells all rejected rows")?;
    }
    Ok(())
}

/// What a dry run found, by office.
fn surveyed(survey: &Survey, rejects: &Rejects) -> Vec<Row> {
    let line =
        |name: &str, rows: u64| vec![("office", Cell::text(name)), ("rows", Cell::number(rows))];
    let offices = survey.offices.iter().map(|(office, rows)| line(office.as_str(), *rows));
    let rest = [line("left out", survey.left_out), line("rejected", rejects.count())];
    let warnings = survey.warnings.0.iter().map(|(text, rows)| line(text, *rows));
    offices.chain(rest).chain(warnings).collect()
}
