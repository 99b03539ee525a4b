//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// 1, 16, 64, 256 producers, each waiting for its acknowledgement.
    Producers,
    /// The writer alone, groups of 1, 16, 64, 256.
    Groups,
    /// Bulk import in batches of 1,000, own log and mirror; disk of a mirror.
    Bulk,
    /// Import of RECORDS: does it stay as fast?
    Flat,
    /// From the files to the first commit: after a kill, closed, cold, without the index.
    Start,
    /// Range, random records, streams, events, commands.
    Read,
    /// The deep check.
    Check,
}

impl Phase {
    /// Whether it needs the large journal.
    pub fn needs_import(self) -> bool {
        matches!(self, Self::Flat | Self::Start | Self::Read | Self::Check)
    }
}

/// Measures the journal beside a bare file with fdatasync and beside plain sled, in one run and in
/// turn, with 512-byte records. Read ratios, not absolutes; build with --release.
///
/// The phases flat, start, read and check share one journal of RECORDS records (disk and memory are
/// told with it); above a million, the last three are measured at a million, for which the aims are
/// stated, and at the end.
#[derive(Debug, Parser)]
#[command(name = "adal-bench", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Phases, separated by commas; all if none is named.
    #[arg(long, value_delimiter = ',', value_name = "PHASES")]
    pub only: Vec<Phase>,
    /// Records of the large journal. Ten million take about 25 GB while it runs.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub records: u64,
    /// Rounds of the phases that compare stores; a shorter one before them warms up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..1000))]
    pub rounds: u64,
    /// Multiplies the records of a round; below 1 for a quick look.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Folder in which a temporary folder is made, removed at the end. It decides which disk is
    /// measured. Default: the folder of this program.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Keep the temporary folder.
    #[arg(long)]
    pub keep: bool,
    /// Write all figures, with aims and verdicts, to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the plot of the phase flat to this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// End with status 1 if an aim is not met.
    #[arg(long)]
    pub strict: bool,
    /// What else to measure.
    #[command(subcommand)]
    pub what: Option<What>,
    /// A task for this process alone; the program gives it to itself.
    #[arg(long, hide = true, value_name = "JSON")]
    pub child: Option<String>,
}

/// What is measured instead of the journal.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Hashing, signing, proving and checking, in memory; and the sizes of what they make.
    Evidence {
        /// Entries of the log; a million take 300 MB of memory.
        #[arg(long, default_value_t = 1_000_000)]
        #[arg(value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
        entries: u64,
        /// Write all figures, with aims and verdicts, to this file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Catch-up of one region and of twenty, lag under load, the centre's return: real nodes over
    /// loopback, beside an import into a local journal and a bare file. Needs the binaries
    /// adal-region and adal-coordinator beside this one.
    Replication {
        /// Queued records of 256-byte bodies, of one region and of twenty together.
        #[arg(long, default_value_t = 200_000)]
        #[arg(value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
        records: u64,
        /// Seconds of steady load for the lag.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// Folder in which a temporary folder is made, removed at the end. Default: the folder of
        /// this program.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Write all figures, with aims and verdicts, to this file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// End with status 1 if an aim is not met.
        #[arg(long)]
        strict: bool,
    },
}

impl Options {
    /// The phases to run.
    pub fn phases(&self) -> Vec<Phase> {
        let all = Phase::value_variants().iter().copied();
        all.filter(|phase| self.only.is_empty() || self.only.contains(phase)).collect()
    }
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1000.0).contains(&scale) { Ok(scale) } else { Err("not in 0.001..1000".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn phases_run_in_their_order() {
        let phases = |line: &[&str]| Options::try_parse_from(line).map(|options| options.phases());
        assert_eq!(phases(&["x"]).unwrap(), Phase::value_variants());
        let some = phases(&["x", "--only", "check,producers"]).unwrap();
        assert_eq!(some, [Phase::Producers, Phase::Check]);
        assert!(phases(&["x", "--only", "nothing"]).is_err());
        assert!(phases(&["x", "--scale", "0"]).is_err());
    }

    #[test]
    fn replication_is_measured_by_itself() {
        let what = |line: &[&str]| Options::try_parse_from(line).map(|options| options.what);
        assert!(matches!(
            what(&["x", "replication", "--records", "1000", "--seconds", "2"]),
            Ok(Some(What::Replication { records: 1000, seconds: 2, strict: false, .. }))
        ));
        assert!(what(&["x", "replication", "--records", "1"]).is_err());
    }

    #[test]
    fn evidence_is_measured_by_itself() {
        let what = |line: &[&str]| Options::try_parse_from(line).map(|options| options.what);
        assert!(matches!(
            what(&["x", "evidence", "--entries", "1000"]),
            Ok(Some(What::Evidence { entries: 1000, json: None }))
        ));
        assert!(what(&["x", "evidence", "--entries", "0"]).is_err());
        assert!(what(&["x", "--rounds", "2", "evidence"]).is_err());
    }
}
