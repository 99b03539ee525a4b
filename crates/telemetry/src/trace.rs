//! The W3C trace context (w3.org/TR/trace-context) of spans: as bytes for record headers, as the
//! `traceparent` header of gRPC metadata, as the parent of a span that continues a trace.
//! `tracestate` is not used.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// A position in a trace: what `evidence::record::TraceContext` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never zero in a valid context.
    pub trace_id: [u8; 16],
    /// The span in it; never zero in a valid context.
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

/// A `traceparent` value does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct BadTraceParent;

impl TraceParent {
    /// Where the current span is; `None` without a span, or where no collector is configured.
    pub fn current() -> Option<TraceParent> {
        TraceParent::of(&Span::current())
    }

    /// Where a span is; `None` for a disabled one, or where no collector is configured. The
    /// span's own parent can no longer be set afterwards.
    pub fn of(span: &Span) -> Option<TraceParent> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| TraceParent {
            trace_id: span.trace_id().to_bytes(),
            span_id: span.span_id().to_bytes(),
            flags: span.trace_flags().to_u8(),
        })
    }

    /// Neither id is zero.
    pub fn is_valid(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }

    /// Makes `span` a child of this position, in another process or in the past. Call it right
    /// after the span was made. False where it had no effect: no collector is configured, the
    /// span is disabled, it already has children or was asked for its own position, or this
    /// position is not valid.
    pub fn adopt(&self, span: &Span) -> bool {
        if !self.is_valid() {
            return false;
        }
        let remote = SpanContext::new(
            TraceId::from_bytes(self.trace_id),
            SpanId::from_bytes(self.span_id),
            TraceFlags::new(self.flags),
            true,
            TraceState::NONE,
        );
        span.set_parent(Context::new().with_remote_span_context(remote)).is_ok()
    }

    /// Writes the header, in the place of an older one. An invalid position writes none.
    pub fn inject(&self, headers: &mut HeaderMap) {
        let value = HeaderValue::try_from(self.to_string()).ok().filter(|_| self.is_valid());
        match value {
            Some(value) => headers.insert(TRACEPARENT, value),
            None => headers.remove(TRACEPARENT),
        };
    }

    /// Reads the header; `None` where there is none, more than one, or it does not parse (a bad
    /// trace context is never a reason to refuse a call).
    pub fn extract(headers: &HeaderMap) -> Option<TraceParent> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok()?.parse().ok(),
            _ => None,
        }
    }

    /// As [`TraceParent::inject`], for the metadata of a gRPC request.
    pub fn inject_metadata(&self, metadata: &mut MetadataMap) {
        self.inject(metadata.as_mut());
    }

    /// As [`TraceParent::extract`], for the metadata of a gRPC request.
    pub fn extract_metadata(metadata: &MetadataMap) -> Option<TraceParent> {
        TraceParent::extract(metadata.as_ref())
    }
}

/// The header's value, version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = BadTraceParent;

    /// Reads a header's value: version 00 exactly, of later versions what version 00 knows.
    fn from_str(text: &str) -> Result<TraceParent, BadTraceParent> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(BadTraceParent);
        let [version] = hex(next()?)?;
        let parent = TraceParent {
            trace_id: hex(next()?)?,
            span_id: hex(next()?)?,
            flags: hex::<1>(next()?)?[0],
        };
        let more = parts.next().is_some();
        match version {
            0xff => Err(BadTraceParent),
            0 if more => Err(BadTraceParent),
            _ if !parent.is_valid() => Err(BadTraceParent),
            _ => Ok(parent),
        }
    }
}

fn hex<const N: usize>(text: &str) -> Result<[u8; N], BadTraceParent> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(BadTraceParent),
    };
    if text.len() != 2 * N {
        return Err(BadTraceParent);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return Err(BadTraceParent) };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the recommendation, section 3.2.
    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_and_writes_the_example() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!((parent.trace_id[0], parent.span_id[7], parent.flags), (0x0a, 0x31, 1));
        assert_eq!(parent.to_string(), EXAMPLE);
        // A later version may say more; what version 00 knows is taken.
        assert_eq!(EXAMPLE.replacen("00", "cc", 1).parse(), Ok(parent));
        assert_eq!(format!("{}-what-comes", EXAMPLE.replacen("00", "cc", 1)).parse(), Ok(parent));
    }

    #[test]
    fn refuses_what_the_recommendation_calls_invalid() {
        for bad in [
            "",
            "00",
            &EXAMPLE[..54],
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00", "ff", 1),
            &format!("{EXAMPLE}-more"),
            &format!("{EXAMPLE}-"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(BadTraceParent), "{bad}");
        }
    }

    #[test]
    fn metadata_carries_one_valid_context_or_none() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        let mut metadata = MetadataMap::new();
        assert_eq!(TraceParent::extract_metadata(&metadata), None);
        parent.inject_metadata(&mut metadata);
        parent.inject_metadata(&mut metadata);
        assert_eq!(TraceParent::extract_metadata(&metadata), Some(parent));
        let mut headers = metadata.into_headers();
        headers.append(TRACEPARENT, HeaderValue::from_static(EXAMPLE));
        assert_eq!(TraceParent::extract(&headers), None);
        let invalid = TraceParent { span_id: [0; 8], ..parent };
        invalid.inject(&mut headers);
        assert!(headers.is_empty() && !invalid.adopt(&tracing::info_span!("x")));
    }

    #[test]
    fn without_a_collector_there_is_no_context_and_no_failure() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        let span = tracing::info_span!("x");
        assert!(!parent.adopt(&span));
        assert_eq!((TraceParent::of(&span), TraceParent::current()), (None, None));
    }

    proptest! {
        #[test]
        fn every_valid_context_comes_back(
            trace_id in any::<[u8; 16]>().prop_filter("zero", |id| *id != [0; 16]),
            span_id in any::<[u8; 8]>().prop_filter("zero", |id| *id != [0; 8]),
            flags in any::<u8>(),
        ) {
            let parent = TraceParent { trace_id, span_id, flags };
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<TraceParent>();
        }
    }
}
