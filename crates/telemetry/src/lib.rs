//! What a running node tells about itself: log lines, spans, metrics.
//!
//! # Scope
//! One `tracing` subscriber per process: text or JSON lines on stderr, spans to an OTLP collector
//! where one is configured. One meter: a Prometheus registry and the same collector, each where
//! configured, nothing at all otherwise. Metric names with unit and description. The W3C trace
//! context as bytes for record headers and as `traceparent` for gRPC metadata, so that one trace
//! runs from a region's command through replication to the centre's tables.
//!
//! # Rules for who writes spans, events and metrics
//! No payload, no personal data, no key. Span names and metric labels are static words; the only
//! variable label is an office code, on gauges (at most about 30 of them). Ids that the record
//! header holds in clear are fine on spans.
//!
//! # Not in scope
//! Serving the Prometheus text over HTTP and deciding what is healthy (`node`), dashboards
//! (`deploy/`).
//!
//! # Modules
//! * [`options`]: the `[telemetry]` part of a configuration file.
//! * [`setup`]: starts and ends it all.
//! * [`trace`]: trace context as bytes, header and span parent.
//! * [`names`]: every metric, described.
//! * [`metrics`]: the instruments.
//! * [`error`]: what can go wrong.

pub mod error;
pub mod metrics;
pub mod names;
pub mod options;
pub mod setup;
pub mod trace;

pub use error::TelemetryError;
pub use metrics::{Flow, Metrics, Outcome};
pub use options::{Format, Options};
pub use setup::{Telemetry, build, init};
pub use trace::TraceParent;
