//! Work in a process of its own, so that its memory and its start are those of the journal alone.
//!
//! The parent gives the task as JSON in an argument. The child writes lines on standard output:
//! `at N` while it works, then `done JSON`. A task that has to be killed waits for it after that.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{import, scan, start};

/// What a child does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    /// Imports records `from..to`, measuring each `step`, and is killed then.
    Import {
        /// Folder of the journal.
        dir: PathBuf,
        /// First record.
        from: u64,
        /// Behind the last record.
        to: u64,
        /// Records of a step.
        step: u64,
    },
    /// Opens the journal, reads, commits a record with this number, and closes it.
    Start {
        /// Folder of the journal.
        dir: PathBuf,
        /// Number of the record that it commits; never used before.
        number: u64,
    },
    /// Reads the journal, which holds records `0..records`, in all ways.
    Read {
        /// Folder of the journal.
        dir: PathBuf,
        /// How many were imported.
        records: u64,
    },
    /// Runs the deep check.
    Check {
        /// Folder of the journal.
        dir: PathBuf,
    },
}

impl Task {
    fn is_killed(&self) -> bool {
        matches!(self, Self::Import { .. })
    }
}

/// The child's side: does the task and tells.
pub fn work(task: &str) -> Result<()> {
    let task: Task = serde_json::from_str(task).context("read the task")?;
    let done = match &task {
        Task::Import { dir, from, to, step } => told(&import::run(dir, *from..*to, *step, tell)?),
        Task::Start { dir, number } => told(&start::run(dir, *number)?),
        Task::Read { dir, records } => told(&scan::read(dir, *records)?),
        Task::Check { dir } => told(&scan::check(dir)?),
    };
    println!("done {}", done?);
    if task.is_killed() {
        // Ends here, by the parent's kill or with its death.
        std::io::stdin().read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

fn told<T: Serialize>(result: &T) -> Result<String> {
    Ok(serde_json::to_string(result)?)
}

fn tell(done: u64) {
    println!("at {done}");
}

/// The parent's side: lets a child do the task and returns what it found. `progress` is called with
/// what the child has done.
pub fn call<T: DeserializeOwned>(task: &Task, progress: &mut dyn FnMut(u64)) -> Result<T> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.arg("--child").arg(serde_json::to_string(task)?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("the child has no output")?;
    let mut found = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(done) = line.strip_prefix("at ") {
            progress(done.parse()?);
        } else if let Some(done) = line.strip_prefix("done ") {
            found = Some(serde_json::from_str(done).context("read the child's result")?);
            if task.is_killed() {
                child.kill().context("kill the child")?;
            }
        }
    }
    let status = child.wait()?;
    ensure!(task.is_killed() || status.success(), "the child ended with {status}");
    found.context("the child ended without a result")
}
