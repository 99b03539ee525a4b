//! Producers of single records, each waiting for its acknowledgement.

use std::path::Path;

use anyhow::Result;

use crate::contenders::{Bare, Nothing, Own, PlainSled};
use crate::contest::{Summary, contest, steps};
use crate::front::{Contender, Load};
use crate::progress;
use crate::table::{Aim, Report, Section, number};

/// Producers, records of a slice at scale 1 (about a second of a bare file on a common SSD), and
/// the aim for the journal's throughput as a share of the bare file's.
const CASES: [(usize, usize, f64); 4] =
    [(1, 800, 0.9), (16, 6_400, 0.8), (64, 16_000, 0.6), (256, 32_000, 0.5)];

/// The aim for p99: at most this many times the bare file's.
const P99: f64 = 2.0;

/// Measures all cases in the new folder `dir`.
pub fn run(dir: &Path, rounds: usize, scale: f64, report: &mut Report) -> Result<Vec<Section>> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Nothing),
        Box::new(Bare::create(dir)?),
        Box::new(PlainSled::create(dir)?),
        Box::new(Own::create(dir, true)?),
    ];
    let total = CASES.len() as u64 * steps(contenders.len(), rounds);
    let bar = progress::bar("producers", total);
    let headers = ["producers", "", "records/s", "ratio to file [range]", "aim", "settled ratio"];
    let headers =
        [&headers[..], &["p50 µs", "p99 µs", "p99 ratio", "aim", "cpu µs/record"]].concat();
    let mut section =
        Section::new("Acknowledged one by one, 512-byte records, group commit", &headers);
    for (producers, records, aim) in CASES {
        let records = ((records as f64 * scale) as usize).max(producers);
        let load = Load::Producers { producers, records };
        for summary in contest(&mut contenders, "bare file", load, rounds, &bar)? {
            row(&mut section, report, producers, aim, &summary);
        }
    }
    bar.finish_and_clear();
    section.note(format!("Medians of {rounds} rounds in turn; ratios are taken in each round."));
    section.note("Settled: with the work that a store puts off behind its acknowledgements.");
    section.note(
        "Plain sled is not durable: its flush never calls fsync on Linux (spacejam/sled #1452).",
    );
    section.note("The front alone answers without storing: what the threads and channels allow.");
    Ok(vec![section])
}

fn row(section: &mut Section, report: &mut Report, producers: usize, aim: f64, of: &Summary) {
    let id = |what: &str| format!("producers/{producers}/{}/{what}", of.name);
    let judged = of.name == "journal";
    let mut figure =
        |what, value, unit, aim: Aim| report.figure(id(what), value, unit, judged.then_some(aim));
    let aim = figure("ratio", of.ratio, "", Aim::AtLeast(aim));
    let p99_aim = figure("p99_ratio", of.p99_ratio, "", Aim::AtMost(P99));
    for (what, value, unit) in [
        ("rate", of.rate, "records/s"),
        ("ratio_low", of.spread.0, ""),
        ("ratio_high", of.spread.1, ""),
        ("settled_ratio", of.settled_ratio, ""),
        ("p50", of.p50, "µs"),
        ("p99", of.p99, "µs"),
        ("cpu", of.cpu, "µs/record"),
    ] {
        report.figure(id(what), value, unit, None);
    }
    section.row([
        producers.to_string(),
        of.name.to_owned(),
        number(of.rate),
        of.ratio_text(),
        aim,
        number(of.settled_ratio),
        number(of.p50),
        number(of.p99),
        number(of.p99_ratio),
        p99_aim,
        number(of.cpu),
    ]);
}
