//! `adal-fuzz-seeds`: writes the seeds of every fuzz target into a folder, for libFuzzer, and
//! prints the names of the targets.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use fuzz_tests::TARGETS;

/// Writes DIR/<target>/<n> for every seed and prints the names of the targets.
#[derive(Debug, Parser)]
#[command(name = "adal-fuzz-seeds", version)]
struct Options {
    /// The folder.
    dir: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    for target in TARGETS.concat() {
        let folder = options.dir.join(target.name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        for (i, seed) in (target.seeds)().iter().enumerate() {
            let file = folder.join(format!("seed-{i}"));
            fs::write(&file, seed).with_context(|| format!("write {}", file.display()))?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
