//! The trace context between spans and record headers.

use evidence::record::TraceContext;
use telemetry::trace::TraceParent;
use tonic::metadata::MetadataMap;
use tracing::Span;

/// The context of the current span; `None` where nothing is traced.
pub fn current() -> Option<TraceContext> {
    TraceParent::current().map(|TraceParent { trace_id, span_id, flags }| TraceContext {
        trace_id,
        span_id,
        flags,
    })
}

/// Makes `span` a child of what a record's header says, if it says anything.
pub fn adopt(span: &Span, trace: Option<&TraceContext>) {
    if let Some(TraceContext { trace_id, span_id, flags }) = trace.copied() {
        TraceParent { trace_id, span_id, flags }.adopt(span);
    }
}

/// Where the caller of a method is in its trace, if it says so.
pub fn of_call(metadata: &MetadataMap) -> Option<TraceParent> {
    TraceParent::extract_metadata(metadata)
}

/// Makes `span` a child of what the caller's metadata says, if it says anything.
pub fn adopt_call(span: &Span, metadata: &MetadataMap) {
    if let Some(parent) = of_call(metadata) {
        parent.adopt(span);
    }
}
