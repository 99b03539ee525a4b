//! Reading a large journal in all ways, and its deep check.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use journal::{Journal, Options};
use serde::{Deserialize, Serialize};

use crate::contenders::own_log;
use crate::draft::{command_of, event_id, mix, stream_of};
use crate::machine::{peak_rss, process_cpu};
use crate::start::{FIRST_EXTRA, until_accepted};

/// Records of a page, as readers ask for them.
const PAGE: usize = 1000;

/// Random accesses of each kind.
const PROBES: u64 = 50_000;

/// What reading took; all rates are a second, by one thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Read {
    /// Records forwards from the first to the last, in pages of 1,000.
    pub range: f64,
    /// Records at random places.
    pub get: f64,
    /// Records of random streams, read stream by stream.
    pub stream: f64,
    /// Events found by their id.
    pub event: f64,
    /// Commands found by their id.
    pub command: f64,
    /// Largest resident set in bytes.
    pub peak_rss: u64,
}

/// What the deep check took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// Records that were hashed again.
    pub records: u64,
    /// Seconds.
    pub seconds: f64,
    /// Seconds of processor time, all threads.
    pub cpu_seconds: f64,
    /// Largest resident set in bytes.
    pub peak_rss: u64,
}

/// Opens a journal and waits until everything works.
fn ready(dir: &Path, number: u64) -> Result<Journal> {
    let (journal, _) = Journal::open(dir, Options::default())?;
    until_accepted(&journal, number)?;
    Ok(journal)
}

/// Runs `probe` on numbers below `records` spread by chance, and gives what it counted a second.
fn probes(records: u64, mut probe: impl FnMut(u64) -> Result<u64>) -> Result<f64> {
    let (begun, mut count) = (Instant::now(), 0);
    for at in 0..PROBES.min(records) {
        count += probe(mix(at) % records)?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Reads the journal in `dir`, which holds the records with the numbers `0..records`.
pub fn read(dir: &Path, records: u64) -> Result<Read> {
    let (journal, log) = (ready(dir, FIRST_EXTRA << 1)?, own_log()?);
    let size = journal.log(&log, 1).context("the log is not there")?.size;
    let (begun, mut at) = (Instant::now(), 0);
    while at < size {
        let page = journal.range(&log, 1, at, PAGE, usize::MAX)?;
        ensure!(!page.is_empty(), "the range ends at {at} of {size}");
        at += page.len() as u64;
    }
    let range = size as f64 / begun.elapsed().as_secs_f64();
    let get = probes(size, |seq| {
        journal.get(&log, 1, seq)?.with_context(|| format!("record {seq} is not there"))?;
        Ok(1)
    })?;
    let stream = probes(records, |number| {
        let found = journal.stream(&log, stream_of(number))?.len() as u64;
        ensure!(found > 0, "the stream of record {number} is not there");
        Ok(found)
    })?;
    let event = probes(records, |number| {
        let found = journal.find_event(&event_id(number))?;
        found.with_context(|| format!("event {number} is not there"))?;
        Ok(1)
    })?;
    let command = probes(records, |number| {
        let found = journal.find_command(&command_of(number))?;
        found.with_context(|| format!("command {number} is not there"))?;
        Ok(1)
    })?;
    journal.close();
    Ok(Read { range, get, stream, event, command, peak_rss: peak_rss()? })
}

/// Runs the deep check on the journal in `dir`; damage is an error.
pub fn check(dir: &Path) -> Result<Checked> {
    let journal = ready(dir, (FIRST_EXTRA << 1) + 1)?;
    let (cpu, begun) = (process_cpu(), Instant::now());
    let report = journal.check(&mut |_| ControlFlow::Continue(()));
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), process_cpu() - cpu);
    ensure!(report.is_clean(), "the check found {} damages", report.damage_count);
    let (records, cpu_seconds) = (report.records, cpu.as_secs_f64());
    journal.close();
    Ok(Checked { records, seconds, cpu_seconds, peak_rss: peak_rss()? })
}
