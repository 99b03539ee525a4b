//! `adal-region`: the node of one regional office.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use node::options::Begin;
use node::run::{Kind, Order};

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
    /// The office's server was lost: fill an empty data folder with what the centre holds.
    #[arg(long, conflicts_with = "check")]
    reseed: bool,
    /// Record facts although the centre was not asked what it holds of this office's log.
    #[arg(long, conflicts_with_all = ["check", "reseed"])]
    without_centre: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { config, check, reseed, without_centre } = arguments;
    let begin = match (reseed, without_centre) {
        (true, _) => Begin::Reseed,
        (_, true) => Begin::WithoutCentre,
        _ => Begin::Normal,
    };
    let order = Order { check, begin };
    node::run::main("adal-region", &config, order, Kind::Region, |_| Box::pin(async { Ok(None) }))
}
