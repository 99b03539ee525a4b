//! The commented configuration files of `deploy/` say what the code does by default.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use node::Options;
use testkit::process::binary;
use tokio::process::Command;
use toml::Table;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

/// Kind of node, its file, and the least that such a file must say.
const NODES: [(&str, &str, &str); 2] = [
    (
        "adal-region",
        "region/region.toml",
        "office = \"KZ-75\"\n[centre]\naddress = \"kz.adal.example:7475\"\n",
    ),
    ("adal-coordinator", "coordinator/coordinator.toml", "office = \"KZ\"\n"),
];

/// What options amount to, with folders as a file would name them.
fn effective(options: &Options, base: &Path) -> Result<Table> {
    let mut options = options.clone();
    options.data = options.data.strip_prefix(base)?.to_owned();
    options.keys = options.keys.strip_prefix(base)?.to_owned();
    Ok(toml::from_str(&options.to_toml())?)
}

fn base(file: &Path) -> Result<&Path> {
    file.parent().context("a file in a folder")
}

#[test]
fn commented_files_are_the_defaults() -> Result<()> {
    for (program, file, least) in NODES {
        let dir = tempfile::tempdir()?;
        let bare = dir.path().join("bare.toml");
        fs::write(&bare, least)?;
        let bare = effective(&Options::load(&bare)?, dir.path())?;
        let file = deploy(file);
        let deployed = effective(&Options::load(&file)?, base(&file)?)?;
        ensure!(deployed == bare, "{program}: the file gives\n{deployed}\nthe code\n{bare}");

        // The file itself names every key that has a default, not only those that differ.
        let written: Table = toml::from_str(&fs::read_to_string(&file)?)?;
        ensure!(written == bare, "{program}: the file says\n{written}\nthe code has\n{bare}");
    }
    Ok(())
}

/// Keys that stand in comments because they are off by default are real keys.
#[test]
fn commented_out_keys_exist() -> Result<()> {
    for (program, file, _) in NODES {
        let text = fs::read_to_string(deploy(file))?;
        let mut optional = Vec::new();
        let lines = text.lines().map(|line| match line.strip_prefix("# ").map(key_of) {
            Some(Some(key)) => {
                optional.push(key);
                line.trim_start_matches("# ")
            }
            _ => line,
        });
        let uncommented: Vec<_> = lines.collect();
        let dir = tempfile::tempdir()?;
        let all = dir.path().join("all.toml");
        fs::write(&all, uncommented.join("\n"))?;
        let effective = match Options::load(&all) {
            Ok(options) => options.to_toml(),
            Err(error) => bail!("{program}: with every optional key: {error}"),
        };
        ensure!(!optional.is_empty(), "{program}: no optional key was found in {text}");
        for key in optional {
            ensure!(effective.contains(&format!("{key} = ")), "{program}: {key} has no effect");
        }
    }
    Ok(())
}

/// The key of a line like `otlp = "…"`.
fn key_of(line: &str) -> Option<String> {
    let (key, _) = line.split_once(" = ")?;
    let is_key = |c: char| c.is_ascii_lowercase() || c == '_';
    (!key.is_empty() && key.chars().all(is_key)).then(|| key.to_owned())
}

/// `--check` prints what is in effect and starts nothing.
#[tokio::test]
async fn check_prints_the_effective_configuration() -> Result<()> {
    for (program, file, least) in NODES {
        let file = deploy(file);
        let printed = check(program, &file).await?;
        let options = Options::load(&file)?;
        let whole: Table = toml::from_str(&options.to_toml())?;
        ensure!(printed == whole, "{program} --check prints\n{printed}\ninstead of\n{whole}");

        let dir = tempfile::tempdir()?;
        let own = dir.path().join("own.toml");
        fs::write(&own, format!("zone = \"Asia/Almaty\"\ndata = \"/elsewhere\"\n{least}"))?;
        let printed = check(program, &own).await?;
        let data = printed.get("data").and_then(|value| value.as_str());
        ensure!(data == Some("/elsewhere"), "{program} says that the data are in {data:?}");
        let left = fs::read_dir(dir.path())?.count();
        ensure!(left == 1, "{program} --check made files");
    }
    Ok(())
}

async fn check(program: &str, config: &Path) -> Result<Table> {
    let program = binary(program)?;
    let Output { status, stdout, stderr } =
        Command::new(program).arg("--check").arg("--config").arg(config).output().await?;
    ensure!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    Ok(toml::from_str(std::str::from_utf8(&stdout)?)?)
}
