//! A long import into one journal, step by step, beside a bare file: does it stay as fast?

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::bulk::BATCH;
use crate::contenders::{OpenJournal, own_log};
use crate::draft::{Maker, RECORD};
use crate::machine::{peak_rss, process_cpu, thread_cpu};
use crate::start;

/// Batches of the bare file after each step: enough for a mean, little beside the step.
const BARE_BATCHES: u32 = 30;

/// Some records of the import.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Step {
    /// Records of the log at its end.
    pub reached: u64,
    /// Records a second, from call to acknowledgement.
    pub rate: f64,
    /// Processor time of a record in microseconds, all threads but for making the records.
    pub cpu: f64,
    /// Records a second of a bare file with the same batches, right after it.
    pub bare: f64,
}

/// What an import took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Imported {
    /// Its steps.
    pub steps: Vec<Step>,
    /// Largest resident set in bytes.
    pub peak_rss: u64,
    /// Bytes of the commit files up to the last group.
    pub commit_bytes: u64,
    /// Records of all logs.
    pub records: u64,
}

/// Imports `numbers`, each with a command of its own, and leaves the journal open.
pub fn run(dir: &Path, numbers: Range<u64>, step: u64, tell: fn(u64)) -> Result<Imported> {
    let log = own_log()?;
    let (journal, _) = journal::Journal::open(dir, journal::Options::default())?;
    journal.ensure_own_log(&log, 1)?;
    start::until_accepted(&journal, start::FIRST_EXTRA + numbers.start)?;
    let (open, maker) = (OpenJournal::beside(journal)?, Maker::new(&log)?);
    let (mut steps, mut at) = (Vec::new(), numbers.start);
    while at < numbers.end {
        let end = (at + step).min(numbers.end);
        let (mut spent, mut making) = (Duration::ZERO, Duration::ZERO);
        let (cpu, first) = (process_cpu(), at);
        while at < end {
            let next = (at + BATCH as u64).min(end);
            let begun = thread_cpu();
            let group = (at..next).map(|number| maker.transaction(number, true)).collect();
            making += thread_cpu() - begun;
            let begun = Instant::now();
            open.commit(group, next as i64)?;
            spent += begun.elapsed();
            at = next;
        }
        let (records, cpu) = ((at - first) as f64, process_cpu() - cpu - making);
        let rate = records / spent.as_secs_f64();
        let cpu = cpu.as_secs_f64() * 1e6 / records;
        steps.push(Step { reached: at, rate, cpu, bare: bare(dir)? });
        tell(at);
    }
    let stats = open.journal.stats();
    let (commit_bytes, records) = (stats.commit_bytes, stats.records);
    // Neither flushed nor closed: a kill follows.
    std::mem::forget(open);
    Ok(Imported { steps, peak_rss: peak_rss()?, commit_bytes, records })
}

/// Records a second of a bare file beside the journal's folder.
fn bare(dir: &Path) -> Result<f64> {
    let path = dir.with_extension("bare");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let bytes = vec![9; RECORD * BATCH];
    let begun = Instant::now();
    for _ in 0..BARE_BATCHES {
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    let elapsed = begun.elapsed();
    fs::remove_file(path)?;
    Ok(f64::from(BARE_BATCHES) * BATCH as f64 / elapsed.as_secs_f64())
}
