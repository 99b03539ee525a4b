//! Every file of a journal truncated, flipped, zeroed and deleted, at head, middle and tail: each
//! case must end intact, repaired, reported or refused, never in a silent loss.

mod judge;
mod places;
mod sample;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use self::judge::{Outcome, judge};
use self::sample::Sample;
use crate::chance::{Chance, seed};

/// Bytes that are zeroed.
const HOLE: usize = 64;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Cut off at a byte.
    Truncate,
    /// One bit of a byte.
    Flip,
    /// Some bytes set to zero.
    Zero,
    /// The file or the folder is gone.
    Delete,
}

/// A damage of one file.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file, relative to the folder; a folder if it ends with `/`.
    pub file: String,
    /// What is done.
    pub harm: Harm,
    /// Where: what is lost of the file.
    pub at: Range<usize>,
}

#[test]
fn a_part_of_the_damage_sweep_has_no_silent_loss() {
    let seed = seed();
    let (closed, killed) = (Sample::closed(seed), Sample::killed(seed));
    let mut chance = Chance::new(seed);
    let mut cases = Vec::new();
    for sample in [&closed, &killed] {
        let all = cases_of(sample, 1, &mut chance);
        cases.extend(all.into_iter().filter(|_| chance.is(35)).map(|case| (sample, case)));
    }
    sweep(cases, seed);
}

#[test]
#[ignore = "takes minutes: make torture"]
fn the_whole_damage_sweep_has_no_silent_loss() {
    let seed = seed();
    let (closed, killed) = (Sample::closed(seed), Sample::killed(seed));
    let mut chance = Chance::new(seed);
    let mut cases = Vec::new();
    for sample in [&closed, &killed] {
        cases.extend(cases_of(sample, 4, &mut chance).into_iter().map(|case| (sample, case)));
    }
    sweep(cases, seed);
}

/// All damages of a sample; each place is met `times` times, a little apart.
fn cases_of(sample: &Sample, times: u64, chance: &mut Chance) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in &sample.files {
        let bytes = fs::read(sample.dir().join(file)).unwrap();
        let case = |harm, at| Case { file: file.clone(), harm, at };
        cases.push(case(Harm::Delete, 0..bytes.len()));
        if bytes.is_empty() {
            continue;
        }
        for at in spots(&bytes, times, chance) {
            cases.push(case(Harm::Truncate, at..bytes.len()));
            cases.push(case(Harm::Flip, at..at + 1));
            cases.push(case(Harm::Zero, at..(at + HOLE).min(bytes.len())));
        }
    }
    for folder in ["commits/", "index/", "set-aside/"] {
        if sample.files.iter().any(|file| file.starts_with(folder)) {
            cases.push(Case { file: folder.to_owned(), harm: Harm::Delete, at: 0..usize::MAX });
        }
    }
    cases
}

/// Head, middle and tail of what was written, and the last byte of the file.
fn spots(bytes: &[u8], times: u64, chance: &mut Chance) -> Vec<usize> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let mut spots = vec![0, used / 2, used - 1, bytes.len() - 1];
    for _ in 1..times {
        let near = |end: usize, chance: &mut Chance| chance.below(end.min(300) as u64) as usize;
        spots.push(near(used, chance));
        spots.push((used / 2 + near(used, chance)).min(used - 1));
        spots.push(used - 1 - near(used, chance));
        spots.push(bytes.len() - 1 - near(bytes.len(), chance));
    }
    spots.sort_unstable();
    spots.dedup();
    spots
}

/// Does a damage. False if it changes nothing.
fn inflict(dir: &Path, case: &Case) -> bool {
    let path = dir.join(&case.file);
    if case.file.ends_with('/') {
        fs::remove_dir_all(&path).unwrap();
        return true;
    }
    let old = fs::read(&path).unwrap();
    let mut new = old.clone();
    match case.harm {
        Harm::Delete => {
            fs::remove_file(&path).unwrap();
            return true;
        }
        Harm::Truncate => new.truncate(case.at.start),
        Harm::Flip => new[case.at.start] ^= 0x10,
        Harm::Zero => new[case.at.clone()].fill(0),
    }
    fs::write(&path, &new).unwrap();
    old != new
}

/// What kind of file it is, for the table.
fn kind(sample: &Sample, file: &str) -> String {
    let segments = sample.files.iter().filter(|file| file.starts_with("commits/"));
    let last = segments.max().map(String::as_str);
    let quarter = |file: &str| {
        file.split('/').next_back().map(|name| name.split('.').next().unwrap_or(name).to_owned())
    };
    match file {
        _ if Some(file) == last => "active segment".to_owned(),
        _ if file.ends_with('/') => format!("folder {file}"),
        _ if file.starts_with("commits/") => "sealed segment".to_owned(),
        _ if file.starts_with("index/blobs") => "sled: a blob".to_owned(),
        _ if file.starts_with("index/") => format!("sled: {}", quarter(file).unwrap_or_default()),
        _ if file.starts_with("set-aside/") => "set aside".to_owned(),
        _ => file.to_owned(),
    }
}

/// Runs the cases, prints a table, and fails if one of them was a silent loss.
fn sweep(cases: Vec<(&Sample, Case)>, seed: u64) {
    let mut table: BTreeMap<(String, Harm), BTreeMap<&str, u64>> = BTreeMap::new();
    let (mut silent, mut count) = (Vec::new(), 0);
    for (sample, case) in cases {
        let copy = tempfile::tempdir().unwrap();
        sample::copy_all(&sample.dir(), &sample.files, &case.file, copy.path());
        if !inflict(copy.path(), &case) {
            continue;
        }
        let begun = std::time::Instant::now();
        let outcome = judge(sample, &case, copy.path());
        if begun.elapsed().as_secs() > 1 {
            eprintln!("SLOW {:?} {case:?} {outcome:?}", begun.elapsed());
        }
        let row = table.entry((kind(sample, &case.file), case.harm)).or_default();
        *row.entry(outcome.name()).or_default() += 1;
        count += 1;
        if let Outcome::Silent(why) = outcome {
            silent.push(format!("{} {case:?}: {why}", sample.name));
        }
    }
    println!("damage sweep, {count} damages that changed something:");
    let names = ["intact", "repaired", "reported", "refused", "SILENT"];
    println!("{:<16}{:<10}{}", "file", "damage", names.map(|name| format!("{name:>10}")).concat());
    for ((file, harm), row) in &table {
        let cells = names.map(|name| format!("{:>10}", row.get(name).unwrap_or(&0))).concat();
        println!("{file:<16}{:<10}{cells}", format!("{harm:?}"));
    }
    let shown: Vec<String> =
        silent.iter().take(12).map(|s| s.chars().take(600).collect()).collect();
    assert!(silent.is_empty(), "seed {seed}: {} silent:\n{}", silent.len(), shown.join("\n"));
}
