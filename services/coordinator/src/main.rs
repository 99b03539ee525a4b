//! `adal-coordinator`: the node of the national department, with its page.

mod page;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use node::run::{Kind, Order};

/// The central coordinator of Adal: mirrors every regional log, folds them into national tables,
/// and sends directives back the same way.
#[derive(Debug, Parser)]
#[command(name = "adal-coordinator", version)]
struct Arguments {
    /// Configuration file (deploy/coordinator/coordinator.toml shows every key and its default).
    #[arg(long, env = "ADAL_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, print what is in effect, and end.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let Arguments { config, check } = Arguments::parse();
    let order = Order { check, ..Order::default() };
    node::run::main("adal-coordinator", &config, order, Kind::Coordinator, |office| {
        Box::pin(async move {
            let address = page::serve(&office).await?;
            Ok(address.map(|address| format!("page={address}")))
        })
    })
}
