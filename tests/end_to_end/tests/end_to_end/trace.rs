//! One trace leads from a person's command in a region to the centre's tables.

use anyhow::{Context, Result, ensure};
use testkit::Settings;
use testkit::collector::{Collector, Span};
use tonic::Request;

use crate::support::requests::plain_contact;
use crate::support::{land_with, quick, reading, until};

/// The caller's own trace.
const CALLER: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_the_command_to_the_centres_tables() -> Result<()> {
    let (collector, address) = Collector::start().await?;
    let quick = quick();
    let log = "log = \"warn\"\n";
    let with = format!("{log}otlp = \"http://{address}\"\n");
    let settings = Settings { tables: quick.tables.replace(log, &with), ..quick };
    ensure!(settings.tables.contains("otlp"), "the collector is in no configuration");
    let land = land_with(&["KZ-75"], settings).await?;
    let country = &land.country;

    // One command begins its own trace, one belongs to the caller's.
    let mut client = country.commands("KZ-75", "clerk").await?;
    client.execute(plain_contact()).await?;
    let mut called = Request::new(plain_contact());
    let parent = format!("00-{CALLER}-b7ad6b7169203331-01");
    called.metadata_mut().insert("traceparent", parent.parse()?);
    client.execute(called).await?;
    country.settle().await?;

    let records = reading::records(country, "KZ-75", "kz-75").await?;
    let traces: Vec<_> = records.iter().map(|record| trace_id(&record.traceparent)).collect();
    let [Some(own), Some(called)] = traces.as_slice() else {
        anyhow::bail!("the records name these traces: {traces:?}")
    };
    ensure!(called == CALLER, "the caller's trace is not in the record: {called}");
    ensure!(own != CALLER, "two commands share a trace");
    for (sequence, trace) in [own, called].into_iter().enumerate() {
        until(&format!("the collector has the whole trace of record {sequence}"), async || {
            whole(&collector.spans(), trace, sequence)
        })
        .await?;
    }
    Ok(())
}

/// The four steps are there, each by the node that does it, all of one trace.
fn whole(spans: &[Span], trace: &str, sequence: usize) -> Result<()> {
    let steps = [
        ("command", "adal-region"),
        ("replicate.send", "adal-region"),
        ("replicate.store", "adal-coordinator"),
        ("project", "adal-coordinator"),
    ];
    for (name, service) in steps {
        let named = spans.iter().filter(|span| span.name == name && span.trace_id == trace);
        let there: Vec<_> = named.clone().map(|span| span.service.as_str()).collect();
        let found = named
            .filter(|span| span.service.contains(service))
            .find(|span| name == "command" || says_sequence(span, sequence));
        let found = found.with_context(|| format!("no {name} of {service}, only by {there:?}"))?;
        if name != "command" {
            ensure!(!found.parent.is_empty(), "{name} hangs on nothing");
        }
    }
    Ok(())
}

fn says_sequence(span: &Span, sequence: usize) -> bool {
    let is_value = |attribute: &String| {
        let number: String = attribute.chars().filter(char::is_ascii_digit).collect();
        attribute.starts_with("seq=") && number == sequence.to_string()
    };
    span.attributes.iter().any(is_value)
}

/// The trace id of a W3C traceparent.
fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).map(str::to_owned)
}
