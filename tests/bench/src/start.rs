//! How long a journal takes from its files to the first reading and the first commit.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use journal::{CommitError, Journal, Options};
use serde::{Deserialize, Serialize};

use crate::contenders::own_log;
use crate::draft::Maker;
use crate::machine::{peak_rss, process_cpu};

/// Numbers of records beside the imported ones begin here.
pub const FIRST_EXTRA: u64 = 1 << 40;

/// How long the first commit may be refused. Rebuilding ten million records stays far below.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// What a start took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// Milliseconds until `open` returned.
    pub open_ms: f64,
    /// Milliseconds from the start until the first records were read by sequence.
    pub read_ms: f64,
    /// Milliseconds from the start until a commit was accepted and durable.
    pub commit_ms: f64,
    /// Processor time until then, in milliseconds.
    pub cpu_ms: f64,
    /// What `open` told about the index.
    pub index: String,
    /// Records found.
    pub records: u64,
    /// Largest resident set in bytes.
    pub peak_rss: u64,
}

/// Opens the journal in `dir`, reads its first records, commits one, and closes it.
pub fn run(dir: &Path, number: u64) -> Result<Started> {
    let (cpu, begun) = (process_cpu(), Instant::now());
    let millis = || begun.elapsed().as_secs_f64() * 1000.0;
    let (journal, report) = Journal::open(dir, Options::default())?;
    let open_ms = millis();
    let first = journal.range(&own_log()?, 1, 0, 100, usize::MAX)?;
    let read_ms = millis();
    ensure!(!first.is_empty(), "nothing could be read after open");
    until_accepted(&journal, number)?;
    let commit_ms = millis();
    let cpu_ms = (process_cpu() - cpu).as_secs_f64() * 1000.0;
    journal.close();
    let index = format!("{:?}", report.index);
    let (records, peak_rss) = (report.records, peak_rss()?);
    Ok(Started { open_ms, read_ms, commit_ms, cpu_ms, index, records, peak_rss })
}

/// Commits the record with this number; tries again while it is refused, as it is until the index
/// is there.
pub fn until_accepted(journal: &Journal, number: u64) -> Result<()> {
    let (maker, begun) = (Maker::new(&own_log()?)?, Instant::now());
    loop {
        let group = vec![maker.transaction(number, false)];
        let results = journal.commit(group, number as i64)?;
        match results.into_iter().next().context("a commit without an answer")? {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => bail!("no commit is accepted: {error}"),
            Err(CommitError::IndexBuilding { .. }) => std::thread::sleep(PAUSE),
            Err(error) => bail!("no commit is accepted: {error}"),
        }
    }
}
