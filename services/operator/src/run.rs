//! From the command line to an exit status.

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::errors::{Failure, Outcome};
use crate::{
    directive, evidence, generate, import, journal, logs, office, pki, policy, query, receipt,
    record, sync, vault, views,
};

/// Does what the command line says and returns the process's exit status. A failure is one line
/// on standard error.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    let ended = runtime().and_then(|runtime| {
        let ended = runtime.block_on(dispatch(&cli));
        // What still waits for a node must not hold the person.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("adal: {}", failure.text);
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::wrong("start the runtime", &error))
}

async fn dispatch(cli: &Cli) -> Outcome {
    let (way, output) = (cli.global.way(), cli.global.output());
    match &cli.command {
        Command::Journal(command) => journal::run(command, &way, output).await,
        Command::Log(command) => logs::run(command, &way, output).await,
        Command::Evidence(command) => evidence::run(command, &way, output).await,
        Command::Receipt(command) => receipt::run(command, &way, output).await,
        Command::Policy(command) => policy::run(command, &way, output).await,
        Command::Sync(command) => sync::run(command, &way, output).await,
        Command::Query(command) => query::run(command, &way, output).await,
        Command::Record(command) => record::run(command, &way, output).await,
        Command::Directive(command) => directive::run(command, &way, output).await,
        Command::Office(command) => office::run(command, &way, output).await,
        Command::Pki(command) => pki::run(command, output),
        Command::Vault(command) => vault::run(command, output),
        Command::Import(command) => import::run(command, &cli.global, output).await,
        Command::Generate(args) => generate::run(args, &way, output).await,
        Command::Views(command) => views::run(command, &way, output).await,
    }
}
