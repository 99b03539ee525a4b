//! Contenders in turn, round after round, and the medians of the rounds.

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use crate::front::{Contender, Load, Slice};
use crate::stats::{median, percentile};
use crate::table::number;

/// What the rounds of one contender give.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Name of the contender.
    pub name: &'static str,
    /// Records a second.
    pub rate: f64,
    /// Records a second if what was put off is counted.
    pub settled_rate: f64,
    /// Its rate divided by the reference's, each round for itself.
    pub ratio: f64,
    /// The smallest and the largest of these: how much the machine's other work disturbs.
    pub spread: (f64, f64),
    /// The same with what was put off.
    pub settled_ratio: f64,
    /// Median acknowledgement in microseconds.
    pub p50: f64,
    /// 99 of 100 acknowledgements take no longer, in microseconds.
    pub p99: f64,
    /// Its p99 divided by the reference's, each round for itself.
    pub p99_ratio: f64,
    /// Processor time of a record in microseconds.
    pub cpu: f64,
}

/// Runs `load` on all contenders in turn, once to warm up and then `rounds` times. `reference` is
/// the name of the one that the others are compared with.
pub fn contest<'a>(
    contenders: &mut [Box<dyn Contender + 'a>],
    reference: &str,
    load: Load,
    rounds: usize,
    bar: &ProgressBar,
) -> Result<Vec<Summary>> {
    let mut slices: Vec<Vec<Slice>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, slices) in contenders.iter_mut().zip(&mut slices) {
            bar.set_message(contender.name());
            let load = if round == 0 { load.warm_up() } else { load };
            let slice = contender.slice(load).with_context(|| contender.name().to_owned())?;
            if round > 0 {
                slices.push(slice);
            }
            bar.inc(1);
        }
    }
    let at = contenders.iter().position(|contender| contender.name() == reference);
    let reference = slices.get(at.context("the reference does not take part")?).cloned();
    let reference = reference.unwrap_or_default();
    let names = contenders.iter().map(|contender| contender.name());
    Ok(names.zip(&slices).map(|(name, slices)| summary(name, slices, &reference)).collect())
}

impl Summary {
    /// The ratio and its spread, for a table.
    pub fn ratio_text(&self) -> String {
        let (low, high) = self.spread;
        format!("{} [{} {}]", number(self.ratio), number(low), number(high))
    }
}

/// Slices that [`contest`] runs.
pub fn steps(contenders: usize, rounds: usize) -> u64 {
    (contenders * (rounds + 1)) as u64
}

fn summary(name: &'static str, slices: &[Slice], reference: &[Slice]) -> Summary {
    let each = |of: &dyn Fn(&Slice) -> f64| median(slices.iter().map(of));
    let rounds = || slices.iter().zip(reference);
    let ratios = || rounds().map(|(slice, bare)| slice.rate() / bare.rate());
    let micros = |slice: &Slice, rank| percentile(&slice.latencies, rank) as f64 / 1000.0;
    Summary {
        name,
        rate: each(&Slice::rate),
        settled_rate: each(&Slice::settled_rate),
        ratio: median(ratios()),
        spread: (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max)),
        settled_ratio: median(rounds().map(|(slice, bare)| slice.settled_rate() / bare.rate())),
        p50: each(&|slice| micros(slice, 500)),
        p99: each(&|slice| micros(slice, 990)),
        p99_ratio: median(rounds().map(|(slice, bare)| micros(slice, 990) / micros(bare, 990))),
        cpu: each(&Slice::cpu_micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn slice(millis: u64, latency: u64) -> Slice {
        let elapsed = Duration::from_millis(millis);
        let latencies = vec![latency; 100];
        Slice { records: 1000, elapsed, settled: elapsed * 2, cpu: elapsed, latencies }
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        // Twice as slow in every round, whatever the machine did in that round.
        let bare = [slice(100, 5000), slice(900, 50_000), slice(300, 1000)];
        let other = [slice(200, 10_000), slice(1800, 100_000), slice(600, 2000)];
        let found = summary("other", &other, &bare);
        let close = |found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} instead of {expected}");
        };
        close(found.ratio, 0.5);
        assert_eq!(found.ratio_text(), "0.50 [0.50 0.50]");
        close(found.settled_ratio, 0.25);
        close(found.p99_ratio, 2.0);
        close(found.rate, 1000.0 / 0.6);
        close(found.p99, 10.0);
        close(found.cpu, 600.0);
    }
}
