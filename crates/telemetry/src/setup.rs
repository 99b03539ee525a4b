//! Starts telemetry from options, hands out meter and text, ends it.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use http::Uri;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing::Dispatch;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as lines};

use crate::error::TelemetryError;
use crate::metrics::Metrics;
use crate::options::{Format, Options};

/// Name of the meter and of the tracer.
const SCOPE: &str = "adal";
/// How long one export may take; a batch that fails is dropped, never kept without bound.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Libraries whose spans never go to the collector. The exporter itself runs on the first five:
/// exporting their spans would make new ones for ever.
const SILENT: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
    "rustls",
    "sqlx",
];

/// Running telemetry. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Telemetry {
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    registry: Option<Registry>,
    metrics: Metrics,
}

/// Starts telemetry for this process: [`build`], and its subscriber becomes the process's own.
/// `service_name` is the program (`adal-region`), `office` the office's code.
///
/// # Errors
/// As [`build`], and [`TelemetryError::AlreadyStarted`].
pub fn init(
    service_name: &str,
    office: &str,
    options: &Options,
) -> Result<Telemetry, TelemetryError> {
    let (telemetry, dispatch) = build(service_name, office, options)?;
    dispatch.try_init().map_err(|source| TelemetryError::AlreadyStarted { source })?;
    Ok(telemetry)
}

/// Makes telemetry and its subscriber without installing it: for tests with several nodes in one
/// process, which use `tracing::dispatcher::with_default`.
///
/// # Errors
/// [`TelemetryError::BadFilter`], [`TelemetryError::BadEndpoint`], [`TelemetryError::NoRuntime`]
/// (with `otlp` outside of tokio), [`TelemetryError::Exporter`], [`TelemetryError::Prometheus`].
/// A collector that is away is none of them: spans are dropped until it is there.
pub fn build(
    service_name: &str,
    office: &str,
    options: &Options,
) -> Result<(Telemetry, Dispatch), TelemetryError> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|source| TelemetryError::BadFilter { filter: options.log.clone(), source })?;
    let resource = Resource::builder_empty()
        .with_service_name(service_name.to_owned())
        .with_attributes([
            KeyValue::new("service.namespace", SCOPE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", office.to_owned()),
        ])
        .build();
    let endpoint = options.otlp.as_deref().map(check_endpoint).transpose()?;
    let tracers = endpoint.map(|endpoint| tracers(endpoint, resource.clone())).transpose()?;
    let registry = options.prometheus.map(|_| Registry::new());
    let meters = meters(endpoint, registry.as_ref(), resource)?;

    let spans = tracers.as_ref().map(|tracers| {
        let silent = SILENT.map(|target| (target, LevelFilter::OFF));
        tracing_opentelemetry::layer()
            .with_tracer(tracers.tracer(SCOPE))
            // No machine paths and thread names in spans.
            .with_location(false)
            .with_threads(false)
            .with_context_activation(false)
            .with_filter(Targets::new().with_default(LevelFilter::INFO).with_targets(silent))
    });
    let text = lines::layer()
        .with_writer(std::io::stderr)
        .with_ansi(options.format == Format::Text && std::io::stderr().is_terminal());
    let text = match options.format {
        Format::Text => text.boxed(),
        Format::Json => text.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(spans).with(text.with_filter(filter));
    let metrics = Metrics::new(&meters.meter(SCOPE));
    Ok((Telemetry { meters, tracers, registry, metrics }, Dispatch::new(subscriber)))
}

impl Telemetry {
    /// The instruments of a node.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// The meter, for instruments that are not in [`crate::names`] (tests).
    pub fn meter(&self) -> Meter {
        self.meters.meter(SCOPE)
    }

    /// All metrics in Prometheus text format 0.0.4; empty where `prometheus` is not configured.
    ///
    /// # Errors
    /// [`TelemetryError::Prometheus`].
    pub fn prometheus_text(&self) -> Result<String, TelemetryError> {
        let Some(registry) = &self.registry else { return Ok(String::new()) };
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .map_err(|source| TelemetryError::Prometheus { source: Box::new(source) })
    }

    /// Sends what is waiting to the collector now. Blocks, see [`Telemetry::shutdown`].
    ///
    /// # Errors
    /// [`TelemetryError::Unsent`].
    pub fn flush(&self) -> Result<(), TelemetryError> {
        if let Some(tracers) = &self.tracers {
            sent("spans", tracers.force_flush())?;
            sent("metrics", self.meters.force_flush())?;
        }
        Ok(())
    }

    /// Sends what is waiting to the collector and ends the export; a second call does nothing.
    /// It blocks for up to some seconds while the tokio runtime does the sending: call it through
    /// `spawn_blocking`, or it times out on a runtime of one thread.
    ///
    /// # Errors
    /// [`TelemetryError::Unsent`]: the collector is away; nothing else is wrong.
    pub fn shutdown(&self) -> Result<(), TelemetryError> {
        let spans = self.tracers.as_ref().map_or(Ok(()), SdkTracerProvider::shutdown);
        let metrics = self.meters.shutdown();
        sent("spans", spans)?;
        sent("metrics", metrics)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("otlp", &self.tracers.is_some())
            .field("prometheus", &self.registry.is_some())
            .finish_non_exhaustive()
    }
}

fn sent(what: &'static str, result: Result<(), OTelSdkError>) -> Result<(), TelemetryError> {
    match result {
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => Ok(()),
        Err(source) => Err(TelemetryError::Unsent { what, source }),
    }
}

/// The exporter speaks to its collector without TLS, so only `http` is taken.
fn check_endpoint(endpoint: &str) -> Result<&str, TelemetryError> {
    let good = endpoint.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() == "/"
    });
    match good {
        true if tokio::runtime::Handle::try_current().is_ok() => Ok(endpoint),
        true => Err(TelemetryError::NoRuntime),
        false => Err(TelemetryError::BadEndpoint { endpoint: endpoint.to_owned() }),
    }
}

fn tracers(endpoint: &str, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::Exporter { source })?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn meters(
    endpoint: Option<&str>,
    registry: Option<&Registry>,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryError> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    if let Some(endpoint) = endpoint {
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|source| TelemetryError::Exporter { source })?;
        builder = builder.with_periodic_exporter(exporter);
    }
    if let Some(registry) = registry {
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|source| TelemetryError::Prometheus { source: Box::new(source) })?;
        builder = builder.with_reader(exporter);
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Flow, Outcome};
    use crate::names;

    fn with_prometheus() -> Options {
        Options { prometheus: Some(([127, 0, 0, 1], 0).into()), ..Options::default() }
    }

    fn record_everything(metrics: &Metrics) {
        let second = Duration::from_secs(1);
        metrics.group_committed(3, 2, 4000, Duration::from_millis(2));
        metrics.free_space(1 << 30);
        metrics.damaged(1);
        metrics.scrubbed(1);
        metrics.scrub_passed();
        metrics.vault_synced(second);
        metrics.records_opened(1);
        metrics.command(Outcome::Refused, second);
        metrics.link_up("KZ-75", true);
        metrics.link_state("KZ-75", "live", true);
        metrics.link_reason("KZ-75", "fork", false);
        metrics.silent("KZ-75", false);
        metrics.previews("KZ-75", 0);
        metrics.clock_ahead("KZ-75", -1_000_000);
        metrics.batch_sent(Flow::Up, 10, 900);
        metrics.head("KZ-75", Flow::Up, Duration::from_secs(1_767_225_600), second);
        metrics.lag("KZ-75", Flow::Down, 7);
        metrics.log_refused("gap");
        metrics.fork_met();
        metrics.cosigned("witness");
        metrics.evidence("KZ-75", second, 1);
        metrics.views_position("KZ-75", 100);
        metrics.views_lag(5);
        metrics.views_folded(second);
    }

    #[test]
    fn prometheus_shows_every_metric_with_its_description() {
        let (telemetry, _) = build("adal-region", "KZ-75", &with_prometheus()).unwrap();
        record_everything(&telemetry.metrics());
        let text = telemetry.prometheus_text().unwrap();
        for metric in names::ALL {
            let flat = metric.name.replace('.', "_");
            let help = text.lines().find(|line| {
                line.starts_with(&format!("# HELP {flat}")) && line.ends_with(metric.description)
            });
            assert!(help.is_some(), "{} in\n{text}", metric.name);
        }
        for line in [
            "adal_journal_records_total 3",
            "adal_journal_commit_seconds_bucket{le=\"0.0025\"} 1",
            "adal_journal_group_size_sum 5",
            "adal_commands_total{outcome=\"refused\"} 1",
            "adal_replication_lag{flow=\"down\",office=\"KZ-75\"} 7",
            "adal_replication_head_age_seconds{flow=\"up\",office=\"KZ-75\"} 1",
            "adal_replication_refused_total{reason=\"gap\"} 1",
            "adal_views_position{office=\"KZ-75\"} 100",
            "adal_journal_free_bytes 1073741824",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let info = text.lines().find(|line| line.starts_with("target_info{")).unwrap();
        assert!(info.contains("service_instance_id=\"KZ-75\""), "{info}");
        assert!(info.contains("service_name=\"adal-region\""), "{info}");
    }

    #[test]
    fn nothing_configured_is_nothing_done() {
        let (telemetry, dispatch) = build("adal-region", "KZ-75", &Options::default()).unwrap();
        record_everything(&telemetry.metrics());
        record_everything(&Metrics::disabled());
        assert_eq!(telemetry.prometheus_text().unwrap(), "");
        tracing::dispatcher::with_default(&dispatch, || {
            let span = tracing::info_span!("command");
            assert_eq!(crate::TraceParent::of(&span), None);
        });
        telemetry.flush().unwrap();
        telemetry.shutdown().unwrap();
        telemetry.shutdown().unwrap();
    }

    #[tokio::test]
    async fn bad_options_are_told_by_name() {
        let with = |log: &str, otlp: Option<&str>| {
            let otlp = otlp.map(str::to_owned);
            build("x", "KZ", &Options { log: log.into(), otlp, ..Options::default() })
        };
        let error = with("node=loud=x", None).unwrap_err().to_string();
        assert!(error.contains("telemetry.log"), "{error}");
        for bad in ["", "127.0.0.1:4317", "https://c:4317", "http://", "http://c/v1/traces"] {
            let error = with("info", Some(bad)).unwrap_err();
            assert!(matches!(error, TelemetryError::BadEndpoint { .. }), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_collector_needs_a_runtime() {
        let otlp = Some("http://127.0.0.1:4317".to_owned());
        let result = build("x", "KZ", &Options { otlp, ..Options::default() });
        assert!(matches!(result, Err(TelemetryError::NoRuntime)));
    }
}
