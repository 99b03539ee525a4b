//! The installation guide, by its own lines, with the tool and the binaries alone: an authority,
//! the centre, an office, the first record. A shell runs the lines as they stand; only folders and
//! ports are others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testkit::process::{Process, binary};
use tokio::process::Command;

use crate::support::tool::{Ran, bare, ended, failed, objects};
use crate::support::until;

/// The guide, with the lines of it that have been run taken out of `left`.
struct Guide {
    text: String,
    left: Vec<(String, String)>,
}

/// A person's shell on a machine of theirs.
struct Shell {
    home: PathBuf,
    /// What the guide says, and what stands for it here.
    places: Vec<(&'static str, String)>,
    /// The lines that set what holds for the rest of the shell.
    exports: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installation_guide_leads_to_a_first_record() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let base = dir.path();
    let mut guide = Guide::read()?;
    for folder in ["authority", "media/kz", "media/kz-75", "kz", "kz-75"] {
        fs::create_dir_all(base.join(folder))?;
    }
    // Built already.
    guide.take("1")?;
    let authority = base.join("authority");
    let media = ("/media/", format!("{}/media/", base.display()));
    let mut shell = Shell::new(&authority, vec![media.clone()]);
    shell.run_all(&guide.take("2")?).await?;
    secrets(&authority)?;
    nothing_is_made_twice(&authority).await?;

    let keys = ("/run/credentials/", format!("{}/media/kz/kz-keys#", base.display()));
    let centre = guide.node(base, "3", "coordinator", &[keys]).await?;
    let address = ("kz.adal.example:7475", centre.address("grpc")?.to_string());
    let mut national = Shell::new(&base.join("kz"), vec![media.clone(), address.clone()]);
    national.run_all(&guide.take("4")?).await?;

    let keys = ("/run/credentials/", format!("{}/media/kz-75/kz-75-keys#", base.display()));
    let office = guide.node(base, "5", "region", &[keys, address]).await?;
    let address = ("192.0.2.75:7475", office.address("grpc")?.to_string());
    let mut clerk = Shell::new(&base.join("kz-75"), vec![media, address]);
    clerk.run_all(&guide.take("6")?).await?;

    let at_centre = guide.take("7")?;
    let query = at_centre.lines().next().context("a line of section 7")?.to_owned();
    ensure!(query.starts_with("adal query contacts"), "{query}");
    until("the first record is in the centre's table", async || {
        let rows = objects(&national.ok(&format!("{query} --json")).await?)?;
        ensure!(rows.len() == 1, "{rows:?}");
        let rows = objects(&clerk.ok("adal sync status --json").await?)?;
        let own = rows.iter().find(|row| row["log"] == "kz-75").context("the own log")?;
        ensure!(own["state"] == "live" && own["not_held"] == 0, "{own}");
        Ok(())
    })
    .await?;
    national.run_all(&at_centre).await?;
    ensure!(guide.left.is_empty(), "lines of the guide that nobody has run: {:?}", guide.left);
    // What the guide says of the roles: the clerk may not have the node checked.
    let line = ["adal", "journal", "check"];
    let refused = clerk.run(&line.join(" ")).await?;
    failed(&refused, &line, 3, &[])
}

impl Guide {
    fn read() -> Result<Guide> {
        let text = fs::read_to_string(deploy("INSTALL.md"))?;
        let left = blocks(&text, "sh");
        Ok(Guide { text, left })
    }

    /// The shell lines of a section, to be run.
    fn take(&mut self, section: &str) -> Result<String> {
        let (taken, left) = self.left.drain(..).partition::<Vec<_>, _>(|(of, _)| of == section);
        self.left = left;
        ensure!(!taken.is_empty(), "the guide has no shell line in section {section}");
        Ok(taken.into_iter().map(|(_, lines)| lines).collect())
    }

    /// A node with the configuration of `deploy`, changed as a section says.
    async fn node(
        &self,
        base: &Path,
        section: &str,
        program: &str,
        places: &[(&'static str, String)],
    ) -> Result<Process> {
        let name = format!("adal-{program}");
        let shipped = fs::read_to_string(deploy(&format!("{program}/{program}.toml")))?;
        let mut lines: Vec<String> = shipped.lines().map(str::to_owned).collect();
        for (_, block) in blocks(&self.text, "toml").iter().filter(|(of, _)| of == section) {
            for line in block.lines().filter(|line| line.contains(" = ")) {
                let key = line.split_once('=').map_or(line, |(key, _)| key).trim();
                let sets = |line: &&mut String| {
                    let line = line.strip_prefix("# ").unwrap_or(line);
                    line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "))
                };
                let at = lines.iter_mut().find(sets).with_context(|| key.to_owned())?;
                line.clone_into(at);
            }
        }
        let mut text = lines.join("\n");
        for (said, here) in places {
            ensure!(text.contains(said), "section {section} does not say {said}");
            text = text.replace(said, here);
        }
        // The folder of credentials is named after the unit.
        text = text.replace(&format!("#{name}.service"), "");
        text = text.replace("/var/lib/", &format!("{}/", base.display()));
        for listen in ["0.0.0.0:7475", "192.0.2.75:7475", "127.0.0.1:7480"] {
            text = text.replace(&format!("= \"{listen}\""), "= \"127.0.0.1:0\"");
        }
        let config = base.join(format!("{program}.toml"));
        fs::write(&config, text)?;
        Process::start(&name, &binary(&name)?, &config).await
    }
}

impl Shell {
    fn new(home: &Path, places: Vec<(&'static str, String)>) -> Shell {
        Shell { home: home.to_owned(), places, exports: String::new() }
    }

    /// Runs all of the lines; what they export holds from then on.
    async fn run_all(&mut self, lines: &str) -> Result<()> {
        self.ok(lines).await?;
        let exports = lines.lines().filter(|line| line.starts_with("export "));
        self.exports.extend(exports.map(|line| format!("{line}\n")));
        Ok(())
    }

    /// Runs lines; each must succeed. Returns what they printed.
    async fn ok(&self, lines: &str) -> Result<String> {
        let ran = self.run(lines).await?;
        ensure!(ran.status == 0, "{lines}\nended with {}: {}", ran.status, ran.err);
        Ok(ran.out)
    }

    async fn run(&self, lines: &str) -> Result<Ran> {
        let tool = binary("adal")?;
        let folder = tool.parent().context("a folder of the binaries")?;
        let path = format!("PATH=\"{}:$PATH\"", folder.display());
        let mut script = format!("{path}\n{}{lines}", self.exports);
        for (said, here) in &self.places {
            script = script.replace(said, here);
        }
        let mut command = Command::new("bash");
        for name in ["ADAL_NODE", "ADAL_PEOPLE", "ADAL_AS", "ADAL_SERVER_NAME"] {
            command.env_remove(name);
        }
        command
            .args(["-eu", "-c", &script])
            .env("HOME", &self.home)
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        ended(command, &[lines]).await
    }
}

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

/// The blocks of a language, each with the number of its section (or its title).
fn blocks(text: &str, language: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut within: Option<&str> = None;
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("```"), within) {
            (Some(tag), None) => {
                within = Some(tag);
                if tag == language {
                    found.push((section.clone(), String::new()));
                }
            }
            (Some(_), Some(_)) => within = None,
            (None, Some(tag)) if tag == language => {
                if let Some((_, block)) = found.last_mut() {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            (None, Some(_)) => {}
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.split('.').next().unwrap_or(title).clone_into(&mut section);
                }
            }
        }
    }
    found
}

fn secrets(authority: &Path) -> Result<()> {
    for secret in [
        "pki/ca.key",
        "kz-keys/log.key",
        "kz-75-keys/vault.key",
        "kz-people/national.key",
        "kz-75-people/clerk.key",
    ] {
        let metadata = fs::metadata(authority.join(secret)).with_context(|| secret.to_owned())?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        ensure!(mode & 0o077 == 0, "{secret} may be read by others: mode {mode:o}");
    }
    Ok(())
}

async fn nothing_is_made_twice(authority: &Path) -> Result<()> {
    for (line, word) in [
        ("pki init --domain adal.example --dir pki", "pki"),
        ("pki issue node --dir pki --office KZ --out again", "handed out"),
        ("pki issue node --dir pki --office KZ-75 --out kz-75-keys", "exist"),
        ("pki issue person --dir pki --office KZ-75 --role judge --out kz-75-people", "clerk"),
        ("pki issue person --dir pki --office KZ-75 --role clerk --out kz-75-people", "exist"),
    ] {
        let line: Vec<_> = line.split_whitespace().collect();
        let mut command = bare(&line)?;
        command.current_dir(authority);
        failed(&ended(command, &line).await?, &line, 2, &[word])?;
    }
    Ok(())
}
