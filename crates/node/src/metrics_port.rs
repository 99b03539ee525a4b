//! Keeps the gauges true, and serves the metrics as Prometheus text if the configuration names an
//! address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use replication::RefusalCode;
use telemetry::Telemetry;
use telemetry::metrics::Flow;
use tokio::net::TcpListener;

use crate::alarms::{self, EvidenceLine};
use crate::grpc::sync::{self, LinkLine, LinkWord, LogLine};
use crate::office::SharedOffice;
use crate::policy;
use crate::supervisor::OnEnd;

/// How often the gauges are set. Whoever collects them sees them at most this much older.
const OBSERVE_EVERY: Duration = Duration::from_secs(5);

/// Sets the gauges from now on; binds and serves `/metrics` until shutdown, `None` if no address is
/// configured.
pub async fn serve(
    office: &SharedOffice,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<SocketAddr>> {
    let shown = Shown::default();
    let seen = shown.clone();
    let (watched, stopping) = (office.clone(), office.supervisor.stopping());
    office.supervisor.spawn("set the gauges", OnEnd::StopNode, async move {
        loop {
            observe(&watched, &seen).await;
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(OBSERVE_EVERY) => {}
            }
        }
    });
    let Some(wanted) = office.options.telemetry.prometheus else { return Ok(None) };
    let listener = TcpListener::bind(wanted)
        .await
        .with_context(|| format!("listen on {wanted} for metrics"))?;
    let address = listener.local_addr()?;
    let (shared, telemetry) = (office.clone(), telemetry.clone());
    let metrics = move || async move {
        observe(&shared, &shown).await;
        let text = telemetry.prometheus_text();
        text.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    };
    let app = Router::new().route("/metrics", get(metrics));
    let stopping = office.supervisor.stopping();
    office.supervisor.spawn("serve metrics", OnEnd::StopNode, async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(stopping.cancelled_owned())
            .await
            .map_err(|error| error.to_string())
    });
    Ok(Some(address))
}

/// What the gauges of links have shown, so that a reason that is over goes back to 0.
type Shown = Arc<tokio::sync::Mutex<Reasons>>;

/// Reasons for which a link was ever refused or read-only, by peer.
#[derive(Debug, Default)]
struct Reasons(BTreeSet<(String, RefusalCode)>);

impl Reasons {
    /// Shows the state of one link, as [`sync`] decides it.
    fn show(&mut self, office: &SharedOffice, line: &LinkLine) {
        let (peer, metrics) = (line.peer.as_str(), &office.metrics);
        metrics.link_up(peer, line.state.word == LinkWord::Live);
        for word in LinkWord::ALL {
            metrics.link_state(peer, word.text(), word == line.state.word);
        }
        self.0.extend(line.state.reason.map(|reason| (peer.to_owned(), reason)));
        for (_, reason) in self.0.iter().filter(|(of, _)| of == peer) {
            metrics.link_reason(peer, reason.as_str(), line.state.reason == Some(*reason));
        }
        metrics.silent(peer, !line.alarm.is_empty());
        if let Some(clock) = line.clock {
            metrics.clock_ahead(peer, clock.ahead);
        }
    }
}

/// Sets the gauges of links and of the disk.
async fn observe(office: &SharedOffice, shown: &Shown) {
    let mut links = shown.lock().await;
    let now = office.clock.now();
    let lines = sync::lines(office);
    for line in lines.values() {
        let peer = line.peer.as_str();
        links.show(office, line);
        office.metrics.previews(peer, line.logs.iter().map(|log| log.previews).sum());
        for (flow, known) in flows(line, office.code.is_centre()) {
            if let Some(at) = known.head_at {
                let time = Duration::from_micros(u64::try_from(at).unwrap_or(0));
                let age = Duration::from_millis(sync::age_ms(at, now));
                office.metrics.head(peer, flow, time, age);
            }
            if let Some(lag) = known.lag {
                office.metrics.lag(peer, flow, lag);
            }
        }
    }
    for (writer, (waiting, alarms)) in evidence(&alarms::lines(office, lines.values()), now) {
        office.metrics.evidence(&writer, waiting, alarms);
    }
    // It waits for the writer, which may be in the middle of a sync.
    if let Ok(stats) = office.journal.stats().await {
        office.metrics.free_space(stats.free_bytes);
    }
}

/// By writer of the logs: the longest wait for cosignatures, and the number of alarms.
fn evidence(lines: &[EvidenceLine], now: i64) -> BTreeMap<String, (Duration, u64)> {
    let mut offices: BTreeMap<String, (Duration, u64)> = BTreeMap::new();
    for line in lines {
        let Some(writer) = policy::writer(&line.log) else { continue };
        let (waiting, alarms) = offices.entry(writer).or_default();
        let age = line.waiting_since.map_or(0, |at| sync::age_ms(at, now));
        *waiting = Duration::from_millis(age).max(*waiting);
        *alarms += u64::from(!line.alarm.is_empty());
    }
    offices
}

/// What is known of all logs that go one way over a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// When the oldest of their newest heads came in or was cosigned.
    head_at: Option<i64>,
    /// Records that the receiver lacks; `None`: not known of one of them.
    lag: Option<u64>,
}

/// Both ways of a link: up, the region's log to the centre; down, the centre's logs to the region.
fn flows(line: &LinkLine, at_centre: bool) -> [(Flow, Known); 2] {
    let known = |own: bool| {
        let logs: Vec<&LogLine> = line.logs.iter().filter(|log| log.own == own).collect();
        Known {
            head_at: logs.iter().filter_map(|log| log.head_at).min(),
            lag: logs.iter().map(|log| log.lag).sum(),
        }
    };
    [(Flow::Up, known(!at_centre)), (Flow::Down, known(at_centre))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::sync::State;

    fn log(own: bool, head_at: Option<i64>, lag: Option<u64>) -> LogLine {
        LogLine {
            log: "kz-75".parse().unwrap(),
            epoch: 1,
            own,
            own_size: 9,
            head_size: None,
            head_at,
            peer_size: 0,
            lag,
            cosigned: 0,
            refused: String::new(),
            attachments_pending: 0,
            previews: 0,
        }
    }

    #[test]
    fn a_region_exports_what_the_centre_does_not_hold_yet() {
        let state = State { word: LinkWord::Live, since: None, reason: None };
        let logs = vec![
            log(true, Some(50), Some(4)),
            log(false, Some(40), Some(1)),
            log(false, Some(30), Some(2)),
        ];
        let mut line = LinkLine {
            peer: "KZ".parse().unwrap(),
            state,
            last_contact: None,
            last_error: String::new(),
            logs,
            peer_software: String::new(),
            connects: 1,
            alarm: String::new(),
            clock: None,
            keys_lacking: None,
        };
        let [up, down] = flows(&line, false);
        assert_eq!(up, (Flow::Up, Known { head_at: Some(50), lag: Some(4) }));
        assert_eq!(down, (Flow::Down, Known { head_at: Some(30), lag: Some(3) }));
        line.logs[2].lag = None;
        assert_eq!(flows(&line, false)[1].1.lag, None, "no figure rather than a wrong one");
        assert_eq!(flows(&line, true)[1].1, up.1, "at the centre, own logs go down");
    }
}
