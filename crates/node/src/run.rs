//! From a configuration file to a running node and back: what both binaries do.

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use telemetry::Telemetry;

use crate::office::SharedOffice;
use crate::options::{Begin, Options};
use crate::start::{self, Running};
use crate::supervisor;

/// Time between "do not send me anything new" and the end of service.
const LEAVE: Duration = Duration::from_millis(200);
/// Time that tasks have to end after a signal.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// Time that work on blocking threads has to end after everything is closed. A deep check can
/// take hours and holds nothing that must be closed.
const BLOCKING_LIMIT: Duration = Duration::from_secs(2);

/// Which of the two kinds of node a binary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An office's node.
    Region,
    /// The national department's node.
    Coordinator,
}

/// What one start is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Check the configuration, print what is in effect, and end.
    pub check: bool,
    /// How the office begins.
    pub begin: Begin,
}

/// Something that a binary adds to the node, e.g. its pages; returns what to say of it in the
/// ready line.
pub type Extra = Pin<Box<dyn Future<Output = anyhow::Result<Option<String>>> + Send>>;

/// The whole life of a node's process. Prints one `ready …` line on standard output.
pub fn main(
    program: &'static str,
    config: &Path,
    order: Order,
    kind: Kind,
    extra: impl FnOnce(SharedOffice) -> Extra,
) -> ExitCode {
    match live(program, config, order, kind, extra) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain in one line: each cause says one thing. Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn live(
    program: &'static str,
    config: &Path,
    order: Order,
    kind: Kind,
    extra: impl FnOnce(SharedOffice) -> Extra,
) -> anyhow::Result<()> {
    let mut options = Options::load(config)?;
    let is_centre = options.centre.is_none();
    anyhow::ensure!(
        is_centre == (kind == Kind::Coordinator),
        "office {} is {}; start it with {}",
        options.office,
        if is_centre { "the centre" } else { "a region" },
        if is_centre { "adal-coordinator" } else { "adal-region" },
    );
    (options.begin, options.asks_first) = (order.begin, true);
    if order.check {
        say(options.to_toml().trim_end());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let outcome = runtime.block_on(async {
        let telemetry = telemetry::init(program, &options.office, &options.telemetry)?;
        std::panic::set_hook(Box::new(tell_panic));
        let outcome = serve(options, &telemetry, extra).await;
        // What is still unsent to the collector is no reason to fail.
        let _ = tokio::task::spawn_blocking(move || telemetry.shutdown()).await;
        outcome
    });
    runtime.shutdown_timeout(BLOCKING_LIMIT);
    outcome
}

/// One line for a panic: where it was, and its text if that stands in the source. The standard
/// hook would print whatever was formatted into it.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(|place| (file_name(place.file()), place.line()));
    let (file, line) = place.unwrap_or(("unknown", 0));
    tracing::error!(file, line, said = supervisor::words(panic.payload()), "panic");
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

async fn serve(
    options: Options,
    telemetry: &Telemetry,
    extra: impl FnOnce(SharedOffice) -> Extra,
) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let Running { office, grpc, prometheus } = start::start(options, telemetry).await?;
    let supervisor = office.supervisor.clone();
    let extra = extra(office.clone()).await;
    if let Ok(said) = &extra {
        let mut ready = format!("ready office={} grpc={grpc}", office.code);
        if let Some(said) = said {
            ready = format!("{ready} {said}");
        }
        if let Some(address) = prometheus {
            ready = format!("{ready} prometheus={address}");
        }
        say(&ready);
        tokio::select! {
            name = signals.first() => tracing::info!(signal = name, "shutting down"),
            () = supervisor.stopped() => {}
        }
        // First the health answer, then the services: a balancer looks before it sends.
        supervisor.leave();
        tokio::select! {
            () = tokio::time::sleep(LEAVE) => {}
            () = supervisor.stopped() => {}
        }
    }
    supervisor.stop();
    let outcome = supervisor.drain(DRAIN_LIMIT).await;
    start::close(&office).await;
    extra?;
    outcome.map_err(anyhow::Error::msg)
}

/// Says a line on standard output. Nobody need be listening there: a node whose starter has gone
/// works on.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
        })
    }

    async fn first(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
