//! The operator's tool `adal` as a person runs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::country::Country;
use testkit::process::binary;
use tokio::process::{Child, Command};

/// Time for one run of the tool, imports included.
const LIMIT: Duration = Duration::from_secs(1_800);

/// The tool in the hands of one person at one node.
pub struct Tool {
    node: String,
    people: PathBuf,
    person: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; -1 if a signal ended it.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Tool {
    /// The tool of a person at the own office's node.
    pub fn of(country: &Country, office: &str, person: &str) -> Result<Tool> {
        let people = country.installation.people(office);
        Ok(Tool::at(&country.address(office)?.to_string(), &people, person))
    }

    /// The tool of a person whose files lie in `people`, at any address.
    pub fn at(node: &str, people: &Path, person: &str) -> Tool {
        Tool { node: node.to_owned(), people: people.to_owned(), person: person.to_owned() }
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = bare(args)?;
        command
            .env("ADAL_NODE", &self.node)
            .env("ADAL_PEOPLE", &self.people)
            .env("ADAL_AS", &self.person);
        Ok(command)
    }

    /// Runs it to its end, however that is.
    pub async fn run(&self, args: &[&str]) -> Result<Ran> {
        ended(self.command(args)?, args).await
    }

    /// Runs it; it must succeed. Returns what it printed.
    pub async fn ok(&self, args: &[&str]) -> Result<String> {
        let ran = self.run(args).await?;
        ensure!(ran.status == 0, "adal {args:?} ended with {}: {}", ran.status, ran.err);
        Ok(ran.out)
    }

    /// Runs it with `--json`; every line that it prints must be an object.
    pub async fn json(&self, args: &[&str]) -> Result<Vec<Value>> {
        let args = [args, &["--json"]].concat();
        let ran = self.run(&args).await?;
        ensure!(ran.status == 0, "adal {args:?} ended with {}: {}", ran.status, ran.err);
        ensure!(ran.err.is_empty(), "adal {args:?} remarks for programs: {}", ran.err);
        objects(&ran.out).with_context(|| format!("adal {args:?}"))
    }

    /// Runs it with `--json`; it must print one object.
    pub async fn one(&self, args: &[&str]) -> Result<Value> {
        let mut rows = self.json(args).await?;
        ensure!(rows.len() == 1, "adal {args:?} printed {} objects", rows.len());
        Ok(rows.remove(0))
    }

    /// Runs it; it must end with `status` and say all of the words, on one line.
    pub async fn fails(&self, args: &[&str], status: i32, words: &[&str]) -> Result<()> {
        failed(&self.run(args).await?, args, status, words)
    }

    /// Starts it with its output to be read; it is ended with the value.
    pub fn start(&self, args: &[&str]) -> Result<Child> {
        let mut command = self.command(args)?;
        Ok(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?)
    }
}

/// The tool with no node and no person.
pub fn bare(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary("adal")?);
    for name in ["ADAL_NODE", "ADAL_PEOPLE", "ADAL_AS", "ADAL_SERVER_NAME"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs a command to its end.
pub async fn ended(mut command: Command, args: &[&str]) -> Result<Ran> {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.with_context(|| format!("adal {args:?} does not end"))??;
    Ok(Ran {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).context("UTF-8 on standard output")?,
        err: String::from_utf8(output.stderr).context("UTF-8 on standard error")?,
    })
}

/// Checks that a run failed as it should.
pub fn failed(ran: &Ran, args: &[&str], status: i32, words: &[&str]) -> Result<()> {
    ensure!(
        ran.status == status,
        "adal {args:?} ended with {} instead of {status}: {}{}",
        ran.status,
        ran.out,
        ran.err
    );
    for word in words {
        ensure!(ran.err.contains(word), "adal {args:?} does not say \"{word}\": {}", ran.err);
    }
    ensure!(!ran.err.contains("panicked"), "adal {args:?} panicked: {}", ran.err);
    Ok(())
}

/// One JSON object per line.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let parse = |line: &str| -> Result<Value> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("line: {line}"))?;
        ensure!(value.is_object(), "no object: {line}");
        Ok(value)
    };
    text.lines().map(parse).collect()
}

/// A text of an object.
pub fn text<'a>(object: &'a Value, key: &str) -> Result<&'a str> {
    object[key].as_str().with_context(|| format!("no text {key} in {object}"))
}
