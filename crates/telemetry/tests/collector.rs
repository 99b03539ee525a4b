//! Against a real OTLP collector's gRPC services on a loopback port.

#![allow(clippy::unwrap_used)] // helpers of tests, not tests themselves

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use telemetry::{Options, Telemetry, TraceParent};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    #[allow(clippy::disallowed_methods)] // a test has no supervisor
    async fn start() -> (Collector, SocketAddr) {
        let collector = Collector::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        (collector, address)
    }

    /// Every span received, with the name and office of the service it came from.
    fn spans(&self) -> Vec<(String, String, Span)> {
        let mut spans = Vec::new();
        for request in self.traces.lock().unwrap().iter() {
            for resource in &request.resource_spans {
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                let attribute = |key: &str| {
                    let found = attributes.iter().find(|pair| pair.key == key).unwrap();
                    match found.value.as_ref().unwrap().value.as_ref().unwrap() {
                        Value::StringValue(text) => text.clone(),
                        other => panic!("{other:?}"),
                    }
                };
                let from = (attribute("service.name"), attribute("service.instance.id"));
                for scope in &resource.scope_spans {
                    for span in &scope.spans {
                        spans.push((from.0.clone(), from.1.clone(), span.clone()));
                    }
                }
            }
        }
        spans
    }
}

fn options(address: SocketAddr) -> Options {
    Options { log: "off".into(), otlp: Some(format!("http://{address}")), ..Options::default() }
}

async fn end(telemetry: Telemetry) {
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.unwrap().unwrap();
}

/// A command at a region, its record's header, replication to the centre: one trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_runs_through_two_offices() {
    let (collector, address) = Collector::start().await;
    let (region, at_region) = telemetry::build("adal-region", "KZ-75", &options(address)).unwrap();
    let (centre, at_centre) =
        telemetry::build("adal-coordinator", "KZ", &options(address)).unwrap();

    let client: TraceParent =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let mut metadata = tonic::metadata::MetadataMap::new();
    client.inject_metadata(&mut metadata);

    let header = tracing::dispatcher::with_default(&at_region, || {
        let command = tracing::info_span!("command", kind = "open_contact");
        assert!(TraceParent::extract_metadata(&metadata).unwrap().adopt(&command));
        command.in_scope(|| {
            tracing::debug_span!("too fine to export").in_scope(|| {});
            tracing::info_span!(target: "h2::proto", "of the exporter itself").in_scope(|| {});
            let commit = tracing::info_span!("commit");
            commit.in_scope(|| TraceParent::current().unwrap())
        })
    });
    assert_eq!((header.trace_id, header.flags), (client.trace_id, 1));

    tracing::dispatcher::with_default(&at_centre, || {
        let project = tracing::info_span!("project");
        assert!(header.adopt(&project));
        project.in_scope(|| tracing::info!("folded"));
        assert_eq!(TraceParent::of(&project).unwrap().trace_id, header.trace_id);
        assert!(!header.adopt(&project), "a span whose position is known keeps its parent");
    });
    end(region).await;
    end(centre).await;

    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|(.., span)| span.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let find = |name: &str| spans.iter().find(|(.., span)| span.name == name).unwrap();
    assert!(spans.iter().all(|(.., span)| span.trace_id == client.trace_id));
    let (service, office, command) = find("command");
    assert_eq!((service.as_str(), office.as_str()), ("adal-region", "KZ-75"));
    assert_eq!(command.parent_span_id, client.span_id);
    let (_, _, commit) = find("commit");
    assert_eq!(
        (&commit.parent_span_id, &commit.span_id[..]),
        (&command.span_id, &header.span_id[..])
    );
    let (service, office, project) = find("project");
    assert_eq!((service.as_str(), office.as_str()), ("adal-coordinator", "KZ"));
    assert_eq!(project.parent_span_id, header.span_id);
    assert_eq!(project.events.len(), 1);
    let keys: Vec<&str> = command.attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert!(keys.contains(&"kind"), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("file") || key.contains("thread")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_reach_the_collector_too() {
    let (collector, address) = Collector::start().await;
    let (telemetry, _) = telemetry::build("adal-region", "KZ-75", &options(address)).unwrap();
    telemetry.metrics().fork_met();
    end(telemetry).await;
    let requests = collector.metrics.lock().unwrap();
    let metrics: Vec<_> = requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .collect();
    let fork = metrics.iter().find(|metric| metric.name == telemetry::names::FORKS.name).unwrap();
    assert_eq!(fork.description, telemetry::names::FORKS.description);
    assert_eq!(fork.unit, telemetry::names::FORKS.unit);
}

/// A collector that is away costs spans, nothing else, and is told at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_harms_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (telemetry, dispatch) = telemetry::build("x", "KZ", &options(address)).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("command");
        assert!(TraceParent::of(&span).is_some());
    });
    telemetry.metrics().fork_met();
    let handle = telemetry.clone();
    let result = tokio::task::spawn_blocking(move || handle.flush()).await.unwrap();
    assert!(matches!(result, Err(telemetry::TelemetryError::Unsent { .. })), "{result:?}");
}

/// `init` is once per process, and this is the only test here that installs anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_starts_telemetry_once() {
    let options = Options { log: "off".into(), ..Options::default() };
    telemetry::init("adal-region", "KZ-75", &options).unwrap();
    let again = telemetry::init("adal-region", "KZ-75", &options);
    assert!(matches!(again, Err(telemetry::TelemetryError::AlreadyStarted { .. })));
}
