//! Everything that happens, in its order: frames sent and received, groups committed, roots,
//! states, faults. Two runs of a seed must give the same trace to the last byte.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use evidence::hash::sha256;

/// What happened so far.
#[derive(Debug, Default)]
pub struct Trace {
    digest: [u8; 32],
    lines: u64,
    last: VecDeque<String>,
    /// Lines that are kept of it.
    keep: usize,
}

impl Trace {
    /// Nothing has happened; the newest `keep` lines are kept.
    pub fn new(keep: usize) -> Trace {
        Trace { keep, ..Trace::default() }
    }

    /// Something has happened at `who`, so long after the beginning.
    pub fn line(&mut self, at: Duration, who: &str, what: &str) {
        let line = format!("{:>11.6} {who:<12} {what}", at.as_secs_f64());
        self.digest = sha256(&[&self.digest[..], line.as_bytes()].concat());
        self.lines += 1;
        self.last.push_back(line);
        if self.last.len() > self.keep {
            self.last.pop_front();
        }
    }

    /// Number of lines, and the digest of all of them.
    pub fn summary(&self) -> (u64, [u8; 32]) {
        (self.lines, self.digest)
    }

    /// The lines that are kept.
    pub fn text(&self) -> String {
        self.last.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}
