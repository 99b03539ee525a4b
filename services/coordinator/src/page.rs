//! The national page: gathers its figures and serves it on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use node::alarms::{self, EvidenceLine};
use node::grpc::sync::{self, LinkWord};
use node::link::state::RefusalCode;
use node::office::SharedOffice;
use node::situations::{self, Names, Situation};
use node::supervisor::OnEnd;
use projection::Table;
use projection::rows::{OverdueRow, Summary};
use serde::Deserialize;
use ui::{Cosignatures, Lang, LinkState, NationalView, OfficeLine, Overdue, Work, WorkLine};

/// Seconds between automatic renewals of the page.
const REFRESH: u32 = 10;

/// Binds the configured address and serves until shutdown; `None` if none is configured.
pub async fn serve(office: &SharedOffice) -> anyhow::Result<Option<SocketAddr>> {
    let Some(wanted) = office.options.page else { return Ok(None) };
    let listener = tokio::net::TcpListener::bind(wanted)
        .await
        .with_context(|| format!("listen on {wanted} for the page"))?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/", get(national)).with_state(office.clone());
    let stopping = office.supervisor.stopping();
    office.supervisor.spawn("serve the page", OnEnd::StopNode, async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(stopping.cancelled_owned())
            .await
            .map_err(|error| error.to_string())
    });
    Ok(Some(address))
}

#[derive(Deserialize)]
struct Wishes {
    lang: Option<String>,
    refresh: Option<u32>,
}

async fn national(State(office): State<SharedOffice>, Query(wishes): Query<Wishes>) -> Response {
    if let Err(fault) = office.tables.ready() {
        // Figures of unfinished tables are not shown, not even with a warning.
        let headers = [(header::RETRY_AFTER, REFRESH), (header::REFRESH, REFRESH)];
        return (StatusCode::SERVICE_UNAVAILABLE, headers.map(text), fault.to_string())
            .into_response();
    }
    let lang = Lang::of(wishes.lang.as_deref());
    let refresh = wishes.refresh.unwrap_or(REFRESH);
    let html = match view(&office, refresh).await {
        Ok(view) => ui::national_page(&view, lang).map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match html {
        Ok(html) => {
            let headers: [(HeaderName, &str); 5] = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CACHE_CONTROL, "no-store"),
                (header::CONTENT_SECURITY_POLICY, ui::CONTENT_SECURITY_POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            (headers, html).into_response()
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "national page");
            (StatusCode::SERVICE_UNAVAILABLE, "the tables cannot be read now; see the node's log")
                .into_response()
        }
    }
}

fn text((name, seconds): (HeaderName, u32)) -> (HeaderName, String) {
    (name, seconds.to_string())
}

async fn view(office: &SharedOffice, refresh_seconds: u32) -> anyhow::Result<NationalView> {
    let today = office.zone.date_of(office.now()).context("today")?;
    let summary = office.views.summary(today).await;
    let summary = summary.inspect_err(|error| office.tables.hear(error))?;
    let overdue = overdue_by_office(&summary.overdue);
    Ok(NationalView {
        as_of: office.clock.now(),
        zone: office.zone.name().to_owned(),
        refresh_seconds,
        offices: offices(office, &summary, &overdue),
        totals: totals(&summary),
    })
}

fn offices(
    office: &SharedOffice,
    summary: &Summary,
    overdue: &BTreeMap<String, Overdue>,
) -> Vec<OfficeLine> {
    let lines = sync::lines(office);
    let (evidence, now) = (alarms::lines(office, lines.values()), office.clock.now());
    let line = |row: &projection::rows::OfficeRow| {
        let line = sync::office_line(office, &row.code, &lines);
        let reason = line.state.and_then(|state| state.reason);
        OfficeLine {
            code: row.code.clone(),
            names: [row.name_kk.clone(), row.name_ru.clone(), row.name_en.clone()],
            state: line.state.map_or(LinkState::NeverSeen, |state| link_state(state.word)),
            since: line.state.and_then(|state| state.since),
            reason: reason.map_or("", RefusalCode::as_str).to_owned(),
            meaning: meaning(row, reason),
            is_silence_alarm: !line.alarm.is_empty(),
            head_age_seconds: line.head_age_ms.map(|age| age / 1_000),
            lag: line.lag,
            previews: line.previews,
            held: line.held,
            cosignatures: cosignatures(&evidence, &row.code, now),
            overdue: overdue.get(&row.code).copied().unwrap_or_default(),
        }
    };
    summary.offices.iter().map(line).collect()
}

/// What the reason of a refusal means, in the words of `adal sync explain`.
fn meaning(row: &projection::rows::OfficeRow, reason: Option<RefusalCode>) -> String {
    let Some(situation) = reason.and_then(Situation::of) else { return String::new() };
    let log = row.code.to_ascii_lowercase();
    let names = Names { writer: &row.code, mirror: "KZ", log: &log };
    format!("{}: {}", situation.title, situations::fill(situation.meaning, &names))
}

fn cosignatures(lines: &[EvidenceLine], code: &str, now: i64) -> Cosignatures {
    let line = code.parse().ok().and_then(|code| alarms::of_office(lines, &code));
    match line {
        None => Cosignatures::Unknown,
        Some(line) if !line.alarm.is_empty() => Cosignatures::Alarm,
        Some(line) => line.waiting_since.map_or(Cosignatures::Complete, |at| {
            Cosignatures::Waiting(sync::age_ms(at, now) / 1_000)
        }),
    }
}

fn link_state(word: LinkWord) -> LinkState {
    match word {
        LinkWord::Live => LinkState::Live,
        LinkWord::CatchingUp => LinkState::CatchingUp,
        LinkWord::Connecting => LinkState::Connecting,
        LinkWord::SilentSince => LinkState::Silent,
        LinkWord::Refused => LinkState::Refused,
        LinkWord::ReadOnly => LinkState::ReadOnly,
        LinkWord::NeverConnected => LinkState::NeverSeen,
    }
}

fn overdue_by_office(rows: &[OverdueRow]) -> BTreeMap<String, Overdue> {
    let mut offices: BTreeMap<String, Overdue> = BTreeMap::new();
    for row in rows {
        let cells = offices.entry(row.office.clone()).or_default();
        let cell = match row.table {
            Table::Appeals => &mut cells.appeals,
            Table::Receptions => &mut cells.receptions,
            Table::Measures => &mut cells.measures,
            Table::Activities => &mut cells.activities,
            Table::Directives => &mut cells.directives,
            Table::Contacts | Table::Corrections | Table::Openings => continue,
        };
        *cell += row.count;
    }
    offices
}

fn totals(summary: &Summary) -> Vec<WorkLine> {
    let line = |row: &projection::rows::WorkRow| {
        let work = match row.table {
            Table::Contacts => Work::Contacts,
            Table::Appeals => Work::Appeals,
            Table::Receptions => Work::Receptions,
            Table::Measures => Work::Measures,
            Table::Activities => Work::Activities,
            Table::Directives => Work::Directives,
            Table::Corrections | Table::Openings => return None,
        };
        Some(WorkLine { work, total: row.total, open: row.open, overdue: row.overdue })
    };
    summary.work.iter().filter_map(line).collect()
}
