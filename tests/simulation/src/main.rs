//! Runs seeds: `adal-sim --seeds 1000`, or one again: `adal-sim --seed 17`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use simulation_tests::run::{KEEP, Outcome, run};

#[derive(Parser)]
#[command(about = "Simulates a country of offices under faults and watches it from outside")]
struct Arguments {
    /// How many seeds, from `--first` on.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One seed alone, with the last lines of its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Lines of the trace that are shown of it.
    #[arg(long, default_value_t = KEEP)]
    lines: usize,
    /// Simulations at once.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Stop at the first violation.
    #[arg(long)]
    stop: bool,
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    elapsed: Duration,
    slowest: Duration,
    records: u64,
    faults: BTreeMap<&'static str, u64>,
    broken: Vec<(u64, String)>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.elapsed += outcome.elapsed;
        self.slowest = self.slowest.max(outcome.healing);
        self.records += outcome.records;
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind).or_insert(0) += count;
        }
        if let Some(first) = outcome.violations.first() {
            self.broken.push((outcome.seed, first.invariant.to_owned()));
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let outcome = run(seed, arguments.lines);
        if outcome.violations.is_empty() {
            print!("{}", outcome.last);
        }
        println!("{outcome}");
        return if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (next, sum) = (AtomicU64::new(arguments.first), Mutex::new(Sum::default()));
    let end = arguments.first + arguments.seeds;
    let took = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| work(&arguments, &next, end, &sum));
        }
    });
    let sum = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let faults: Vec<_> = sum.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!(
        "{} seeds in {:.0} s: {:.1} simulated hours, {} records held in the end, slowest recovery \
         {:.1} s; {}; {} with violations",
        sum.seeds,
        took.elapsed().as_secs_f64(),
        sum.elapsed.as_secs_f64() / 3_600.0,
        sum.records,
        sum.slowest.as_secs_f64(),
        faults.join(", "),
        sum.broken.len(),
    );
    for (seed, invariant) in &sum.broken {
        println!("seed {seed}: {invariant}; again: make sim SEED={seed}");
    }
    if sum.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(arguments: &Arguments, next: &AtomicU64, end: u64, sum: &Mutex<Sum>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let enough = |sum: &Sum| arguments.stop && !sum.broken.is_empty();
        if seed >= end || sum.lock().is_ok_and(|sum| enough(&sum)) {
            return;
        }
        let Ok(outcome) = std::panic::catch_unwind(|| run(seed, KEEP)) else {
            println!("seed {seed} panicked; again: make sim SEED={seed}");
            if let Ok(mut sum) = sum.lock() {
                sum.broken.push((seed, "panic".to_owned()));
            }
            continue;
        };
        let Ok(mut sum) = sum.lock() else { return };
        sum.add(&outcome);
        if !outcome.violations.is_empty() {
            println!("{outcome}");
        }
        if sum.seeds.is_multiple_of(20) {
            let broken = sum.broken.len();
            println!("{} of {} seeds, {broken} with violations", sum.seeds, arguments.seeds);
        }
    }
}
