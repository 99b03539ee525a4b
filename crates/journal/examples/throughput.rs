//! Measures the journal against a bare append + `fdatasync` file in the same run, 512-byte records.
//!
//! `cargo run --release -p journal --example throughput -- FOLDER [RECORDS]`; FOLDER is created and
//! left behind. Read ratios, not absolutes.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evidence::log::LogName;
use evidence::record::{ActorRef, Classification, Draft, Header, ShortText, StreamRef, Urgency};
use journal::{Append, CommandClaim, CommandKey, ExpectedVersion, Journal, Options, Transaction};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A number spread over 16 bytes, as ids are.
fn id(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&number.to_be_bytes());
    out[8..].copy_from_slice(&mixed.to_be_bytes());
    out
}

/// A stream's id: random, as version 4 UUIDs are.
fn random(number: u64) -> [u8; 16] {
    let mut out = id(number);
    out.rotate_left(8);
    out
}

/// One record with a command of its own, as an import sends them; without it, as a replica does.
fn transaction(log: &LogName, number: u64, with_command: bool) -> Outcome<Transaction> {
    let stream = StreamRef { kind: 2, id: random(number / 3) };
    let header = Header {
        event_id: id(number),
        log: log.clone(),
        epoch: 1,
        seq: 0,
        stream,
        stream_version: 1,
        type_code: 0x0201,
        schema_version: 1,
        occurred_at: 0,
        recorded_at: 0,
        zone: ShortText::new("Asia/Almaty")?,
        actor: ActorRef {
            person: [1; 16],
            post: ShortText::new("kz-75/clerk")?,
            acting_for: [0; 16],
        },
        command_id: id(number),
        causation_id: [0; 16],
        correlation_id: [0; 16],
        policy_version: 1,
        calendar_version: 1,
        classifier_version: 1,
        classification: Classification::Official,
        urgency: Urgency::Normal,
        centre_head: None,
        statement: None,
        keys: vec![],
        attachments: vec![],
        trace: None,
    };
    let draft = Draft { header, blind: [3; 32], open: vec![5; 70], sealed: vec![7; 190] };
    let drafts = vec![draft];
    let key = CommandKey { principal: [2; 16], command_id: id(number) };
    Ok(Transaction {
        command: with_command.then_some(CommandClaim { key, request_hash: [4; 32] }),
        appends: vec![Append { log: log.clone(), expected: ExpectedVersion::Any, stream, drafts }],
        ..Transaction::default()
    })
}

/// The bare file: the same batches of 512-byte records, one write and one `fdatasync` each.
fn bare(path: &Path, batches: u64, batch: u64) -> Outcome<Duration> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
    let bytes = vec![9; 512 * batch as usize];
    let begun = Instant::now();
    for _ in 0..batches {
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}

/// Processor time of this process in milliseconds, all threads: what to trust on a busy machine.
/// Linux counts it in hundredths of a second (`proc(5)`, fields 14 and 15).
fn cpu_ms() -> Outcome<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').skip(11).take(2);
    Ok(fields.map(str::parse::<u64>).sum::<Result<u64, _>>()? * 10)
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn load(
    journal: &Journal,
    log: &LogName,
    dir: &Path,
    (first, batches, batch, with_command): (u64, u64, u64, bool),
) -> Outcome<()> {
    let before = journal.stats();
    let (mut spent, mut cpu, mut at) = (Duration::ZERO, 0, first);
    for _ in 0..batches {
        let group = (at..at + batch).map(|n| transaction(log, n, with_command));
        let group = group.collect::<Outcome<Vec<_>>>()?;
        at += batch;
        let (begun, before) = (Instant::now(), cpu_ms()?);
        for result in journal.commit(group, at as i64)? {
            result?;
        }
        spent += begun.elapsed();
        cpu += cpu_ms()? - before;
    }
    let file = bare(&dir.join(format!("bare-{first}")), batches, batch)?;
    let after = journal.stats();
    let (count, millis) = (batches * batch, |nanos: u64| nanos / 1_000_000);
    let commands = if with_command { "with" } else { "without" };
    println!(
        "batches of {batch} {commands} commands: {:.0} records/s, ratio to the bare file {:.2}; \
         ms: all {}, write and sync {}, index {}, processor {cpu}",
        per_second(count, spent),
        file.as_secs_f64() / spent.as_secs_f64(),
        spent.as_millis(),
        millis(after.sync_nanos - before.sync_nanos),
        millis(after.index_nanos - before.index_nanos),
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a folder is needed")?;
    let records: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let dir = Path::new(&dir);
    fs::create_dir(dir)?;
    let log = LogName::new("kz-75")?;
    let (journal, _) = Journal::open(&dir.join("journal"), Options::default())?;
    journal.ensure_own_log(&log, 1)?;
    // As a node does: the index is flushed about every second beside the commits.
    let (loading, flusher) = (Arc::new(AtomicBool::new(true)), journal.clone());
    let flag = loading.clone();
    let flusher = std::thread::spawn(move || {
        while flag.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(1));
            flusher.flush_index().map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    });
    load(&journal, &log, dir, (1 << 40, 500, 1, true))?;
    load(&journal, &log, dir, (1 << 41, 200, 16, true))?;
    load(&journal, &log, dir, (1 << 42, 200, 64, true))?;
    load(&journal, &log, dir, (1 << 43, 100, 256, true))?;
    load(&journal, &log, dir, (0, records / 1000, 1000, true))?;
    load(&journal, &log, dir, (1 << 44, records / 1000, 1000, false))?;
    loading.store(false, Ordering::Relaxed);
    flusher.join().map_err(|_| "the flusher panicked")??;
    let (size, stats) = (journal.log(&log, 1).map_or(0, |log| log.size), journal.stats());
    println!(
        "{} bytes in commit files and {} in the index a record",
        stats.commit_bytes / size,
        stats.index_bytes / size
    );
    let begun = Instant::now();
    let report = journal.verify(&mut |_| {});
    println!(
        "deep check: {:.0} records/s, {} damages",
        per_second(size, begun.elapsed()),
        report.damage_count
    );
    let begun = Instant::now();
    let read = journal.range(&log, 1, 0, 100_000, usize::MAX)?.len() as u64;
    println!("sequential read: {:.0} records/s", per_second(read, begun.elapsed()));
    journal.close();
    drop(journal);
    for what in ["as closed", "without the index"] {
        let (begun, before) = (Instant::now(), cpu_ms()?);
        let (journal, report) = Journal::open(&dir.join("journal"), Options::default())?;
        let (wall, cpu) = (begun.elapsed().as_millis(), cpu_ms()? - before);
        println!("open {what}: {wall} ms, processor {cpu} ms, {:?}", report.index);
        drop(journal);
        fs::remove_dir_all(dir.join("journal/index"))?;
    }
    let status = fs::read_to_string("/proc/self/status")?;
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
