//! `adal-demo`: the main job of Adal on one machine, with real processes, faults and a directive.

mod directive;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Runs a coordinator and three regions on this machine, feeds them made-up working days, cuts a
/// link, kills a region and the coordinator, and shows that everything arrives.
#[derive(Debug, Parser)]
#[command(name = "adal-demo", version)]
struct Arguments {
    /// End with a summary instead of running until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Folder for keys and data; it is emptied first.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    dir: PathBuf,
    /// Working days to play, in calendar days.
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// Seed of the made-up days: the same seed gives the same days.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("adal-demo: start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let told = runtime.block_on(story::tell(&story::Plan {
        dir: arguments.dir,
        once: arguments.once,
        days: arguments.days,
        seed: arguments.seed,
    }));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adal-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
