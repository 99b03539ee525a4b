//! What can go wrong with telemetry. Messages name the option and say what to do.

/// Telemetry could not be started, read or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("telemetry.log {filter:?} is not a filter such as \"info\" or \"info,node=debug\"")]
    BadFilter {
        /// What was configured.
        filter: String,
        /// Where it fails.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The collector's address is not one.
    #[error(
        "telemetry.otlp {endpoint:?} is not an address such as http://127.0.0.1:4317 (a collector \
         on another machine is reached through one on this machine)"
    )]
    BadEndpoint {
        /// What was configured.
        endpoint: String,
    },
    /// An exporter was asked for outside of a tokio runtime.
    #[error("telemetry.otlp needs a running tokio runtime: start telemetry inside of it")]
    NoRuntime,
    /// The OTLP exporter could not be made.
    #[error("make the OTLP exporter")]
    Exporter {
        /// What the library said.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The Prometheus registry could not be made or read.
    #[error("collect metrics for Prometheus")]
    Prometheus {
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The process already has a subscriber.
    #[error("telemetry was already started in this process")]
    AlreadyStarted {
        /// What the library said.
        source: tracing_subscriber::util::TryInitError,
    },
    /// Not everything reached the collector in time.
    #[error("send the last {what} to the OTLP collector")]
    Unsent {
        /// Spans or metrics.
        what: &'static str,
        /// What the library said.
        source: opentelemetry_sdk::error::OTelSdkError,
    },
}
