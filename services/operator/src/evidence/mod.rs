//! `adal evidence`: what an auditor takes away, checks and compares.

mod compare;
mod export;
mod folder;
mod tiler;
mod verify;

use std::fs;
use std::path::Path;

use clap::Subcommand;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::Output;

pub use compare::CompareArgs;
pub use export::ExportArgs;
pub use verify::VerifyArgs;

/// Commands about evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Write the bundle of a log that an auditor takes away
    Export(ExportArgs),
    /// Check a bundle with no network (exit status 1 if it is refused)
    Verify(VerifyArgs),
    /// Hold a head that somebody else was shown against this node's view
    Compare(CompareArgs),
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached; a check failed; a folder cannot be used.
pub async fn run(command: &EvidenceCommand, way: &Way, output: Output) -> Outcome {
    match command {
        EvidenceCommand::Export(args) => export::run(args, way, output).await,
        EvidenceCommand::Verify(args) => verify::run(args, output).await,
        EvidenceCommand::Compare(args) => compare::run(args, way, output).await,
    }
}

/// The text of a file of at most `limit` bytes.
fn read_text(path: &Path, limit: usize) -> Outcome<String> {
    let doing = || format!("read {}", path.display());
    let size = fs::metadata(path).map_err(|error| Failure::wrong(doing(), &error))?.len();
    if size > limit as u64 {
        return Err(Failure::usage(format!(
            "{} has {size} bytes; what it should be has at most {limit}",
            path.display()
        )));
    }
    fs::read_to_string(path).map_err(|error| Failure::wrong(doing(), &error))
}
