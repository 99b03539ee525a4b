//! What an import did, counted.

use std::time::Duration;

use crate::import::plan::Warnings;
use crate::output::{Cell, Row};

/// Counts of an import.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rows in the file.
    pub rows: u64,
    /// Rows that were imported now.
    pub imported: u64,
    /// Rows whose every command the node knew already.
    pub replayed: u64,
    /// Rows that an earlier run had finished, by the state file.
    pub finished_before: u64,
    /// Rows of offices that were not chosen.
    pub left_out: u64,
    /// Rows that were rejected, before sending or by a node.
    pub rejected: u64,
    /// Rows not sent because the import stopped.
    pub unfinished: u64,
    /// Commands acknowledged.
    pub commands: u64,
    /// Facts that they added.
    pub facts: u64,
    /// Time from the first command to the last receipt.
    pub time: Duration,
    /// Odd things that did not keep a row out.
    pub warnings: Warnings,
}

impl Report {
    /// Facts added each second.
    #[must_use]
    pub fn facts_per_second(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.facts as f64 / seconds } else { 0.0 }
    }

    /// The report as cells.
    #[must_use]
    pub fn row(&self) -> Row {
        let round = |value: f64| (value * 10.0).round() / 10.0;
        let warnings = self.warnings.0.iter().map(|(text, count)| format!("{text}: {count}"));
        vec![
            ("rows_read", Cell::number(self.rows)),
            ("imported", Cell::number(self.imported)),
            ("replayed", Cell::number(self.replayed)),
            ("finished_before", Cell::number(self.finished_before)),
            ("left_out", Cell::number(self.left_out)),
            ("rejected", Cell::number(self.rejected)),
            ("unfinished", Cell::number(self.unfinished)),
            ("commands", Cell::number(self.commands)),
            ("facts", Cell::number(self.facts)),
            ("seconds", Cell::decimal(round(self.time.as_secs_f64()))),
            ("facts_per_second", Cell::decimal(round(self.facts_per_second()))),
            ("warnings", Cell::list(warnings)),
        ]
    }
}
