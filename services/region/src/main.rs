//! `adal-region`: the node of one regional office.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use node::run::Kind;

/// The regional node of Adal: records what happens in one office and keeps working with no network.
#[derive(Debug, Parser)]
#[command(name = "adal-region", version)]
struct Arguments {
    /// Configuration file (deploy/region/region.toml shows every key and its default).
    #[arg(long, env = "ADAL_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, print what is in effect, and end.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { config, check } = arguments;
    node::run::main("adal-region", &config, check, Kind::Region, |_| Box::pin(async { Ok(None) }))
}
