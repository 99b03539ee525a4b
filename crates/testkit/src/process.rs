//! Real node processes: started on free ports, awaited by their ready line, killed at will.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Time a node has to say that it is ready; recovery of a big journal included.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// The folder in which cargo put our binaries: that of the running test or tool.
pub fn binary(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("find the running program")?;
    let found = me.ancestors().skip(1).take(3).map(|dir| dir.join(name)).find(|p| p.is_file());
    found.ok_or_else(|| anyhow!("{name} is not built; run `cargo build --bins` first"))
}

/// A command that runs a program here or in a network namespace; its process is the program's.
fn command(namespace: Option<&str>, binary: &Path) -> Command {
    let Some(namespace) = namespace else { return Command::new(binary) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(binary);
    command
}

/// One running node.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// What the node said in its ready line, e.g. `grpc` and `page`.
    ready: HashMap<String, String>,
}

impl Process {
    /// Starts `binary --config config` and waits for its ready line. Standard error goes to
    /// `<folder of config>/stderr.log`, appended.
    pub async fn start(name: &str, binary: &Path, config: &Path) -> Result<Process> {
        Process::start_in(None, name, binary, config, &[]).await
    }

    /// As [`Process::start`], in a network namespace and with further arguments.
    pub async fn start_in(
        namespace: Option<&str>,
        name: &str,
        binary: &Path,
        config: &Path,
        more: &[&str],
    ) -> Result<Process> {
        let log_path = config.with_file_name("stderr.log");
        let log = File::options().create(true).append(true).open(&log_path)?;
        let mut child = command(namespace, binary)
            .arg("--config")
            .arg(config)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("no standard output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(READY_LIMIT, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(rest) = line.strip_prefix("ready ") {
                    return Ok(rest.to_owned());
                }
            }
            bail!("it ended before it was ready")
        });
        let line = match ready.await.context("it was not ready in time").and_then(|r| r) {
            Ok(line) => line,
            Err(error) => {
                let _ = child.start_kill();
                let said = std::fs::read_to_string(&log_path).unwrap_or_default();
                let last = said.lines().rev().take(5).collect::<Vec<_>>();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(error.context(format!("{name} did not start; it said:\n{last}")));
            }
        };
        let ready = line
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Process { name: name.to_owned(), child, ready })
    }

    /// The address that the ready line gives for `key`: `grpc`, `page` or `prometheus`.
    pub fn address(&self, key: &str) -> Result<SocketAddr> {
        let text = self.ready.get(key).ok_or_else(|| anyhow!("{} has no {key}", self.name))?;
        Ok(text.parse()?)
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("kill {}", self.name))
    }

    /// Asks the process to end (SIGTERM) and waits; true if it ended with success.
    pub async fn stop(&mut self) -> Result<bool> {
        let Some(id) = self.child.id() else { return Ok(true) };
        let told = Command::new("kill").arg("-TERM").arg(id.to_string()).status().await?;
        if !told.success() {
            bail!("{} could not be told to stop", self.name);
        }
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not stop in time", self.name))??.success())
    }
}
