//! One writer, batch after batch: the writer's groups without any front, and bulk import.

use std::path::Path;

use anyhow::Result;

use crate::contenders::{Bare, Mirror, Own, PlainSled, Store};
use crate::contest::{Summary, contest, steps};
use crate::front::{Contender, Load, Slice};
use crate::progress;
use crate::table::{Aim, Report, Section, number};

/// Records of a batch and batches of a slice at scale 1.
const GROUPS: [(usize, usize); 4] = [(1, 400), (16, 300), (64, 200), (256, 100)];

/// Records of a batch of an import.
pub const BATCH: usize = 1000;

/// Batches of a slice of the import at scale 1.
const BATCHES: usize = 40;

/// The aim for bulk import as a share of the bare file.
const AIM: f64 = 0.45;

/// The aim for what a mirrored record of 512 bytes takes on the disk: 0.8 KB.
const MIRROR_BYTES: f64 = 800.0;

/// From this many records on it is judged: an index takes some megabytes before the first.
const JUDGED: u64 = 100_000;

const HEADERS: [&str; 8] =
    ["batch", "", "records/s", "ratio to file [range]", "aim", "settled", "ratio", "cpu µs/record"];

/// A mirror that is still there after the rounds, to ask how large it is.
struct Shared<'a>(&'a mut Mirror);

impl Contender for Shared<'_> {
    fn name(&self) -> &'static str {
        self.0.label()
    }

    fn slice(&mut self, load: Load) -> Result<Slice> {
        self.0.slice(load)
    }
}

/// Groups of the sizes that a front makes, in the new folder `dir`.
pub fn groups(dir: &Path, rounds: usize, scale: f64, report: &mut Report) -> Result<Vec<Section>> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Bare::create(dir)?),
        Box::new(PlainSled::create(dir)?),
        Box::new(Own::create(dir, true)?),
    ];
    let bar = progress::bar("groups", GROUPS.len() as u64 * steps(contenders.len(), rounds));
    let mut section = Section::new("The writer alone: groups without a front", &HEADERS);
    for (size, batches) in GROUPS {
        let load = Load::Batches { size, batches: scaled(batches, scale) };
        for summary in contest(&mut contenders, "bare file", load, rounds, &bar)? {
            row(&mut section, report, ("groups", size), None, &summary);
        }
    }
    bar.finish_and_clear();
    section.note("Settled: with the work that a store puts off behind its acknowledgements.");
    Ok(vec![section])
}

/// Bulk import, in the new folder `dir`.
pub fn import(dir: &Path, rounds: usize, scale: f64, report: &mut Report) -> Result<Vec<Section>> {
    let mut mirror = Mirror::create(dir)?;
    let mut section = Section::new("Bulk import, batches of 1,000 512-byte records", &HEADERS);
    {
        let mut contenders: Vec<Box<dyn Contender + '_>> = vec![
            Box::new(Bare::create(dir)?),
            Box::new(PlainSled::create(dir)?),
            Box::new(Own::create(dir, true)?),
            Box::new(Own::create(dir, false)?),
            Box::new(Shared(&mut mirror)),
        ];
        let bar = progress::bar("bulk", steps(contenders.len(), rounds));
        let load = Load::Batches { size: BATCH, batches: scaled(BATCHES, scale) };
        for summary in contest(&mut contenders, "bare file", load, rounds, &bar)? {
            let judged = matches!(summary.name, "journal" | "journal, no commands");
            row(&mut section, report, ("bulk", BATCH), judged.then_some(AIM), &summary);
        }
        bar.finish_and_clear();
    }
    section.note("The mirror's figure includes parsing, hashing and verifying the batch.");
    section.note("Settled: with the work that a store puts off behind its acknowledgements.");
    let (files, index) = mirror.disk_per_record()?;
    let mut disk = Section::of_figures("Disk of a mirror, per 512-byte record");
    let mut add = |label, id: &str, value, aim| {
        report.add(&mut disk, label, format!("mirror/{id}"), (value, "B"), aim);
    };
    add("commit files, up to the last group", "commit_bytes", files, None);
    add("index, as du counts it", "index_bytes", index, None);
    let judged = mirror.records() >= JUDGED;
    add("both", "disk_bytes", files + index, judged.then_some(Aim::AtMost(MIRROR_BYTES)));
    Ok(vec![section, disk])
}

fn scaled(batches: usize, scale: f64) -> usize {
    ((batches as f64 * scale) as usize).max(1)
}

fn row(
    section: &mut Section,
    report: &mut Report,
    (phase, size): (&str, usize),
    aim: Option<f64>,
    of: &Summary,
) {
    let id = |what: &str| format!("{phase}/{size}/{}/{what}", of.name);
    let aim = report.figure(id("ratio"), of.ratio, "", aim.map(Aim::AtLeast));
    for (what, value, unit) in [
        ("rate", of.rate, "records/s"),
        ("ratio_low", of.spread.0, ""),
        ("ratio_high", of.spread.1, ""),
        ("settled_rate", of.settled_rate, "records/s"),
        ("settled_ratio", of.settled_ratio, ""),
        ("p99", of.p99, "µs/batch"),
        ("cpu", of.cpu, "µs/record"),
    ] {
        report.figure(id(what), value, unit, None);
    }
    section.row([
        size.to_string(),
        of.name.to_owned(),
        number(of.rate),
        of.ratio_text(),
        aim,
        number(of.settled_rate),
        number(of.settled_ratio),
        number(of.cpu),
    ]);
}
