//! One journal that grows: imported by a process that is killed, then started, read and checked by
//! processes of their own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use crate::child::{Task, call};
use crate::flat;
use crate::import::{Imported, Step};
use crate::machine::{disk_bytes, evict};
use crate::options::Phase;
use crate::progress;
use crate::scan::{Checked, Read};
use crate::start::{FIRST_EXTRA, Started};
use crate::stats::median;
use crate::table::{Aim, Report, Section, number};

/// The size that the aims are stated for.
const AIM_SIZE: u64 = 1_000_000;

/// Records of a step of the import, unless that makes fewer than ten.
const STEP: u64 = 100_000;

/// Starts of a journal that was closed; their median counts.
const STARTS: u64 = 5;

/// The aims: milliseconds of a start, records a second of the check on one core,
/// bytes of a record on the disk (1.4 KB), resident bytes (160 MB).
const START_MS: f64 = 1000.0;
const CHECK_RATE: f64 = 200_000.0;
const DISK_BYTES: f64 = 1400.0;
const RSS_MB: f64 = 160.0;

/// The journal and how far it is.
struct Large<'a> {
    dir: PathBuf,
    size: u64,
    /// Starts so far: each commits a record with a number of its own.
    starts: u64,
    phases: &'a [Phase],
}

/// Imports `records`, stopping at a million on the way, and measures `phases` at each stop. Hands
/// tables to `show` when they are there, and returns the steps.
pub fn run(
    dir: &Path,
    records: u64,
    phases: &[Phase],
    report: &mut Report,
    show: fn(&[Section]),
) -> Result<Vec<Step>> {
    let mut large = Large { dir: dir.join("large"), size: 0, starts: 0, phases };
    let (mut steps, mut stops) = (Vec::new(), vec![records.min(AIM_SIZE), records]);
    stops.dedup();
    let bar = progress::bar("import", records);
    for stop in stops {
        let imported = large.import(stop, records, &bar)?;
        bar.set_message("start, read, check");
        let section = large.measure(&imported, stop == records, report)?;
        bar.suspend(|| show(&[section]));
        steps.extend(imported.steps);
    }
    bar.finish_and_clear();
    if phases.contains(&Phase::Flat) {
        show(&flat::section(&steps, report));
    }
    Ok(steps)
}

impl Large<'_> {
    fn import(&mut self, to: u64, records: u64, bar: &ProgressBar) -> Result<Imported> {
        bar.set_message("import");
        // Whole batches, so that steps are alike.
        let step = STEP.min(records.div_ceil(10).next_multiple_of(1000));
        let task = Task::Import { dir: self.dir.clone(), from: self.size, to, step };
        let imported = call(&task, &mut |done| bar.set_position(done))?;
        self.size = to;
        Ok(imported)
    }

    fn start(&mut self) -> Result<Started> {
        self.starts += 1;
        let number = 2 * FIRST_EXTRA - self.starts;
        call(&Task::Start { dir: self.dir.clone(), number }, &mut |_| {})
    }

    /// Starts without an index. The old one is put back afterwards, unless this is the end.
    fn start_without_index(&mut self, last: bool) -> Result<Started> {
        if last {
            // Two indexes would take much room for nothing.
            fs::remove_dir_all(self.dir.join("index")).context("remove the index")?;
            return self.start();
        }
        let (index, aside) = (self.dir.join("index"), self.dir.with_extension("index"));
        fs::rename(&index, &aside).context("move the index away")?;
        let started = self.start()?;
        fs::remove_dir_all(&index).context("remove the new index")?;
        fs::rename(&aside, &index).context("move the index back")?;
        self.start()?;
        Ok(started)
    }

    fn measure(&mut self, imported: &Imported, last: bool, report: &mut Report) -> Result<Section> {
        let title = format!("One journal of {} records", number(self.size as f64));
        let mut table = Table { size: self.size, section: Section::of_figures(title), report };
        let rates = imported.steps.iter().map(|step| step.rate);
        table.add("import, batches of 1,000", "import/rate", (median(rates), "records/s"), None);
        let cpu = imported.steps.iter().map(|step| step.cpu);
        table.add("processor time", "import/cpu", (median(cpu), "µs/record"), None);
        table.rss("import", imported.peak_rss);
        let each = |bytes: u64| bytes as f64 / imported.records as f64;
        let (files, index) =
            (each(imported.commit_bytes), each(disk_bytes(&self.dir.join("index"))?));
        table.add("disk: commit files, up to the last group", "disk/commit", (files, "B"), None);
        table.add("disk: index, as du counts it", "disk/index", (index, "B"), None);
        let aim = Some(Aim::AtMost(DISK_BYTES));
        table.add("disk: both, per record", "disk/both", (files + index, "B"), aim);
        if self.phases.contains(&Phase::Start) {
            self.starts(&mut table)?;
        } else {
            // The kill leaves work for the next start, which is not what is measured.
            self.start()?;
        }
        if self.phases.contains(&Phase::Read) {
            let task = Task::Read { dir: self.dir.clone(), records: self.size };
            table.reads(&call(&task, &mut |_| {})?);
        }
        if self.phases.contains(&Phase::Check) {
            table.check(&call(&Task::Check { dir: self.dir.clone() }, &mut |_| {})?);
        }
        if self.phases.contains(&Phase::Start) {
            let started = self.start_without_index(last)?;
            table.start("without the index", "no_index", &[started], None);
        }
        table.section.note("Import, starts, reading and check: a process each; import is killed.");
        table
            .section
            .note("A start lasts until a commit is accepted; before it, reads are served.");
        Ok(table.section)
    }

    fn starts(&mut self, table: &mut Table<'_>) -> Result<()> {
        let judged = Some(Aim::AtMost(START_MS));
        table.start("after a kill", "killed", &[self.start()?], judged);
        let closed = (0..STARTS).map(|_| self.start()).collect::<Result<Vec<_>>>()?;
        table.start("as closed", "closed", &closed, judged);
        evict(&self.dir)?;
        table.start("page cache empty", "cold", &[self.start()?], judged);
        Ok(())
    }
}

/// The table of one size.
struct Table<'a> {
    size: u64,
    section: Section,
    report: &'a mut Report,
}

impl Table<'_> {
    /// Adds a figure. The aim is for a million records; another size has none.
    fn add(&mut self, label: &str, id: &str, value: (f64, &'static str), aim: Option<Aim>) {
        self.add_judged(label, id, value, aim.filter(|_| self.size == AIM_SIZE));
    }

    /// Adds a figure whose aim is for any size.
    fn add_judged(&mut self, label: &str, id: &str, value: (f64, &'static str), aim: Option<Aim>) {
        let id = format!("large/{}/{id}", self.size);
        self.report.add(&mut self.section, label, id, value, aim);
    }

    fn rss(&mut self, what: &str, bytes: u64) {
        let (label, id) = (format!("peak RSS: {what}"), format!("rss/{what}"));
        self.add(&label, &id, (bytes as f64 / 1e6, "MB"), Some(Aim::AtMost(RSS_MB)));
    }

    fn start(&mut self, label: &str, id: &str, starts: &[Started], aim: Option<Aim>) {
        let of = |value: &dyn Fn(&Started) -> f64| (median(starts.iter().map(value)), "ms");
        let mut add = |what: &str, key: &str, value, aim| {
            self.add(&format!("start {label}: {what}"), &format!("start/{id}/{key}"), value, aim);
        };
        add("open returns", "open", of(&|start| start.open_ms), aim);
        add("first records read", "read", of(&|start| start.read_ms), None);
        add("first commit", "commit", of(&|start| start.commit_ms), aim);
        add("processor time", "cpu", of(&|start| start.cpu_ms), None);
        let peak = starts.iter().map(|start| start.peak_rss).max();
        self.rss(&format!("start {label}"), peak.unwrap_or(0));
        if let Some(last) = starts.last() {
            let (records, index) = (number(last.records as f64), &last.index);
            self.section.note(format!("start {label}: {records} records, {index}"));
        }
    }

    fn reads(&mut self, read: &Read) {
        for (label, id, rate) in [
            ("range scan forwards, pages of 1,000", "range", read.range),
            ("random get", "get", read.get),
            ("streams, their records", "stream", read.stream),
            ("event by id", "event", read.event),
            ("command by id", "command", read.command),
        ] {
            self.add(label, &format!("read/{id}"), (rate, "/s"), None);
        }
        self.rss("reads", read.peak_rss);
    }

    fn check(&mut self, check: &Checked) {
        let records = check.records as f64;
        self.add("deep check", "check/rate", (records / check.seconds, "records/s"), None);
        // One core is as long at work as the threads together, and no shorter than the check.
        let per_core = records / check.seconds.max(check.cpu_seconds);
        let aim = Some(Aim::AtLeast(CHECK_RATE));
        let per_core = (per_core, "records/s");
        self.add_judged("deep check, on one core", "check/per_core", per_core, aim);
        self.rss("deep check", check.peak_rss);
    }
}
