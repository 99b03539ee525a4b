//! `adal journal`: the stored records as a whole: checked, measured, backed up, restored.

mod backup;
mod check;
mod recover;
mod restore;
mod stat;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::Output;

pub use backup::BackupArgs;
pub use check::CheckArgs;
pub use recover::RecoverArgs;
pub use restore::RestoreArgs;
pub use stat::StatArgs;

/// Commands about the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Hash everything again and name each damage (exit status 1 if there is any)
    Check(CheckArgs),
    /// Logs, files, index, room, last scrub and backup
    Stat(StatArgs),
    /// Take a checked backup of a running node's journal
    Backup(BackupArgs),
    /// Make a journal of a backup, for a node that is stopped
    Restore(RestoreArgs),
    /// Enter records of an old disk that nobody holds
    Recover(RecoverArgs),
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached; damage was found; a folder cannot be used.
pub async fn run(command: &JournalCommand, way: &Way, output: Output) -> Outcome {
    match command {
        JournalCommand::Check(args) => check::run(args, way, output).await,
        JournalCommand::Stat(args) => stat::run(args, way, output).await,
        JournalCommand::Backup(args) => backup::run(args, way, output).await,
        JournalCommand::Restore(args) => restore::run(args, output).await,
        JournalCommand::Recover(args) => recover::run(args, way, output).await,
    }
}

/// The journal that a person means by a folder: the data folder of a node, the journal in it, or a
/// backup.
fn folder(dir: &Path) -> Outcome<PathBuf> {
    let inner = dir.join("journal");
    let journal = if inner.is_dir() { inner } else { dir.to_path_buf() };
    if journal.join("commits").is_dir() {
        return Ok(journal);
    }
    Err(Failure::usage(format!(
        "{} holds no journal: name the data folder of a node (`data` in its configuration), the \
         journal in it, or a backup",
        dir.display()
    )))
}

/// Does work that waits for the disk. Ctrl-C sets the flag that it looks at.
async fn interruptible<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> Outcome<T> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let mut working = tokio::task::spawn_blocking(move || work(&seen));
    loop {
        tokio::select! {
            done = &mut working => {
                return done.map_err(|error| Failure::wrong("read the files", &error));
            }
            heard = tokio::signal::ctrl_c(), if !flag.load(Ordering::Relaxed) => {
                heard.map_err(|error| Failure::wrong("listen for Ctrl-C", &error))?;
                flag.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// What a command that Ctrl-C ended says.
pub(crate) fn interrupted(what: &str) -> Failure {
    Failure::refused(format!("interrupted: {what}"))
}

/// A bar that shows bytes or records; nothing where standard error is no terminal.
pub(crate) fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar
}

pub(crate) fn step(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    bar.set_message(what.to_owned());
    bar.set_length(total);
    bar.set_position(done);
}

/// What a phase of a copy is called.
fn phase(phase: ::journal::CopyPhase) -> &'static str {
    match phase {
        ::journal::CopyPhase::Copy => "copy",
        ::journal::CopyPhase::Check => "check",
        ::journal::CopyPhase::Open => "open",
    }
}
