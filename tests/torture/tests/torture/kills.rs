//! `kill -9` at random moments, half of them while the journal opens.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::auditor::Auditor;
use crate::chance::{Chance, seed};
use crate::process::{Ended, Process};

/// After this many kills a new folder is begun, so that opens stay short and creations are hit.
const ROUNDS: u32 = 14;
/// No step of a healthy process takes as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the kills met.
#[derive(Debug, Default)]
struct Tally {
    opening: u64,
    writing: u64,
    rebuilding: u64,
    folders: u64,
    records: u64,
    unannounced: u64,
    dropped: u64,
    rebuilt: u64,
    commands: u64,
    joint: u64,
}

#[test]
fn a_few_kills_lose_nothing() {
    let tally = run(6, seed());
    println!("kills: {tally:?}");
}

#[test]
#[ignore = "takes minutes: make torture"]
fn a_hundred_kills_lose_nothing() {
    let tally = run(60, seed());
    assert!(tally.opening + tally.writing >= 100 && tally.rebuilding > 0, "{tally:?}");
    println!("kills: {tally:?}");
}

/// Kills until both kinds of moments were met `each` times.
fn run(each: u64, seed: u64) -> Tally {
    let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
    while tally.opening < each || tally.writing < each {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let (mut auditor, mut opens) = (Auditor::default(), Duration::from_millis(60));
        tally.folders += 1;
        for generation in 0..ROUNDS {
            let at_open = tally.writing >= each || (tally.opening < each && chance.is(70));
            let moment = Moment { seed, generation, at_open };
            let outcome =
                round(&journal, moment, &mut chance, &mut auditor, &mut opens, &mut tally);
            if let Err(error) = outcome {
                let kept = dir.keep();
                panic!("seed {seed}, generation {generation}, {}: {error}", kept.display());
            }
            if tally.opening >= each && tally.writing >= each {
                break;
            }
        }
        tally.records += auditor.records() as u64;
    }
    tally
}

/// Which kill it is.
#[derive(Clone, Copy)]
struct Moment {
    seed: u64,
    generation: u32,
    at_open: bool,
}

/// One kill and one audit.
fn round(
    dir: &Path,
    Moment { seed, generation, at_open }: Moment,
    chance: &mut Chance,
    auditor: &mut Auditor,
    opens: &mut Duration,
    tally: &mut Tally,
) -> Result<(), String> {
    let hurt = at_open && chance.is(40) && hurt_index(dir, chance);
    let writer = Process::start("write", seed, generation, 0, dir);
    if !writer.hear("opening", PATIENCE) {
        return Err(format!("it does not start: {}", writer.kill().errors));
    }
    if at_open {
        std::thread::sleep(opens.mul_f64(chance.below(1000) as f64 / 900.0));
    } else {
        if !writer.hear("ready", PATIENCE) {
            return Err(format!("it does not open: {}", told(&writer.kill())));
        }
        std::thread::sleep(Duration::from_millis(chance.between(5, 350)));
    }
    let ended = writer.kill();
    if ended.said("refused") || ended.panicked() {
        return Err(told(&ended));
    }
    match (ended.said("ready"), hurt) {
        (true, _) => tally.writing += 1,
        (false, hurt) => {
            tally.opening += 1;
            tally.rebuilding += u64::from(hurt);
        }
    }
    auditor.hear(&ended.lines)?;
    let reader = Process::start("dump", seed, generation, 0, dir);
    reader.hear("opening", PATIENCE);
    let begun = Instant::now();
    reader.hear("ready", PATIENCE);
    *opens = begun.elapsed().max(Duration::from_millis(10));
    let dump = reader.wait(PATIENCE);
    if !dump.said("closed") {
        return Err(told(&dump));
    }
    let ready = dump.lines.iter().find(|line| line.starts_with("ready"));
    tally.dropped += u64::from(ready.is_some_and(|line| line.contains("dropped: Some")));
    tally.rebuilt += u64::from(ready.is_some_and(|line| line.contains("Rebuilt")));
    let found = auditor.audit(&dump.lines)?;
    tally.unannounced += found.unannounced;
    tally.commands += found.commands;
    tally.joint += found.joint;
    Ok(())
}

/// How a process ended, in words.
pub fn told(ended: &Ended) -> String {
    let last = ended.lines.iter().rev().find(|line| line.starts_with("refused"));
    format!("{}: {last:?} {}", ended.status, ended.errors)
}

/// Deletes or damages the index, so that it is rebuilt; false if there is none.
fn hurt_index(dir: &Path, chance: &mut Chance) -> bool {
    let index = dir.join("index");
    let Ok(bytes) = fs::read(index.join("db")) else { return false };
    match chance.below(3) {
        0 => fs::remove_dir_all(&index).unwrap(),
        1 => {
            let len = chance.below(bytes.len() as u64) as usize;
            fs::write(index.join("db"), &bytes[..len]).unwrap();
        }
        _ => {
            let mut bytes = bytes;
            for _ in 0..40 {
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] ^= 0x40;
            }
            fs::write(index.join("db"), bytes).unwrap();
        }
    }
    true
}
