//! The deep check spread over time: one bounded step after the other, again and again, so that a
//! disk that goes bad is noticed while the copies elsewhere are still good.

use super::walk::{Walked, Walker};
use super::{CheckProgress, CheckReport, Published};
use crate::files;
use crate::journal::Journal;
use crate::report::Damage;

/// A check that never ends: reads everything, then starts again at the front. It has no clock and
/// no thread of its own: the caller says when and how much. Holds the journal like a clone of it.
pub struct Scrub {
    journal: Journal,
    /// Where the next pass starts.
    first: u64,
    pass: Option<(Walker, Published)>,
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrub").field("segment", &self.segment()).finish_non_exhaustive()
    }
}

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubStep {
    /// Bytes read in this step: of commit files, attachments and the index.
    pub bytes: u64,
    /// Damages found in this step; a pass that finds more than 1,000 counts the rest.
    pub damages: Vec<Damage>,
    /// How far the pass is.
    pub progress: CheckProgress,
    /// The pass ended with this step: what it found as a whole. The next step starts again at the
    /// front.
    pub finished: Option<CheckReport>,
}

impl Journal {
    /// A scrub that starts at the front.
    #[must_use]
    pub fn scrub(&self) -> Scrub {
        self.scrub_from(1)
    }

    /// A scrub whose first pass starts at segment `first`, as [`Scrub::segment`] gave it before a
    /// restart; at the front if there is no such segment any more.
    #[must_use]
    pub fn scrub_from(&self, first: u64) -> Scrub {
        let last = self.writer_even_stopped().published.segment;
        let first = if (1..=last).contains(&first) { first } else { 1 };
        Scrub { journal: self.clone(), first, pass: None }
    }
}

impl Scrub {
    /// The segment that is read next: what is needed to go on after a restart.
    #[must_use]
    pub fn segment(&self) -> u64 {
        self.pass.as_ref().map_or(self.first, |(walker, _)| walker.segment())
    }

    /// Checks about `budget` bytes more: at least one group (at most 64 MiB) or the end of a pass,
    /// and a damaged segment whole. A pass covers what was published when it began; damages are
    /// found as [`Journal::check`] finds them, in the index too. An error of the operating system
    /// is a damage here: what cannot be read is not there.
    pub fn step(&mut self, budget: u64) -> ScrubStep {
        let (mut walker, published) =
            self.pass.take().unwrap_or_else(|| self.journal.walker(self.first));
        let (from, listed) = (walker.read(), walker.report.damages.len());
        let ended = loop {
            match walker.step() {
                Ok(Walked::End) => {
                    self.journal.conclude(&mut walker, &published);
                    break true;
                }
                Ok(_) if walker.read() - from >= budget.max(1) => break false,
                Ok(_) => {}
                Err(error) => {
                    walker.damage(files::COMMITS, None, None, &error.to_string());
                    break true;
                }
            }
        };
        let mut step = ScrubStep {
            bytes: walker.read() - from,
            damages: walker.report.damages[listed..].to_vec(),
            progress: walker.progress,
            finished: None,
        };
        if ended {
            self.first = 1;
            step.finished = Some(walker.report);
        } else {
            self.pass = Some((walker, published));
        }
        step
    }
}
