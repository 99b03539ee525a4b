//! `adal`: the operator's tool. Parses the command line and ends with the tool's exit status.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    operator::run::main(operator::cli::Cli::parse())
}
