//! What the generator's steps should lead to, counted from the steps alone.

use std::collections::BTreeMap;

use domain::Request;
use domain::appeal::AppealRequest;
use domain::contact::ContactRequest;
use domain::image::ActivityRequest;
use domain::measure::MeasureRequest;
use domain::reception::ReceptionRequest;
use generator::Step;
use uuid::Uuid;
use wire::pb::query::v1::Table;

/// What one stream should look like in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// The office.
    pub office: String,
    /// The state.
    pub state: &'static str,
    /// The channel, for the tables that have one.
    pub channel: Option<String>,
}

/// One row per stream of the steps.
pub fn rows(steps: &[Step]) -> BTreeMap<Uuid, Row> {
    let mut rows = BTreeMap::new();
    for step in steps {
        let office = step.office.as_str();
        let (table, state, channel) = meaning(&step.request);
        let row = rows.entry(step.stream).or_insert_with(|| Row {
            table,
            office: office.to_owned(),
            state: "",
            channel: None,
        });
        if let Some(state) = state {
            row.state = state;
        }
        row.channel = channel.or(row.channel.take());
    }
    rows
}

/// Table, new state and new channel.
fn meaning(request: &Request) -> (Table, Option<&'static str>, Option<String>) {
    match request {
        Request::Contact(request) => contact(request),
        Request::Appeal(request) => appeal(request),
        Request::Reception(request) => {
            let state = match request {
                ReceptionRequest::Plan(_) => "planned",
                ReceptionRequest::ReceiveVisitor(_) => "open",
                ReceptionRequest::Hold(_) => "held",
                ReceptionRequest::Miss(_) => "not_held",
            };
            (Table::Receptions, Some(state), None)
        }
        Request::Measure(request) => {
            let state = match request {
                MeasureRequest::Plan(_) => "planned",
                MeasureRequest::Hold(_) => "held",
                MeasureRequest::Cancel(_) => "cancelled",
            };
            (Table::Measures, Some(state), None)
        }
        Request::Activity(request) => {
            let (state, channel) = match request {
                ActivityRequest::Plan(plan) => ("planned", Some(plan.channel.to_string())),
                ActivityRequest::Hold(_) => ("held", None),
            };
            (Table::Activities, Some(state), channel)
        }
        other => panic!("the generator plays no {}", other.name()),
    }
}

fn contact(request: &ContactRequest) -> (Table, Option<&'static str>, Option<String>) {
    let (state, channel) = match request {
        ContactRequest::Open(open) => (Some("open"), Some(open.channel.to_string())),
        ContactRequest::Consult(_) | ContactRequest::Link(_) | ContactRequest::Attach(_) => {
            (None, None)
        }
        ContactRequest::Close(_) => (Some("closed"), None),
    };
    (Table::Contacts, state, channel)
}

fn appeal(request: &AppealRequest) -> (Table, Option<&'static str>, Option<String>) {
    let (state, channel) = match request {
        AppealRequest::Receive(receive) => (Some("registered"), Some(receive.channel.to_string())),
        AppealRequest::Triage(_) => (Some("triaged"), None),
        AppealRequest::Assign(_) => (Some("assigned"), None),
        AppealRequest::Prepare(_) => (Some("decision_prepared"), None),
        AppealRequest::Approve(_) => (Some("approved"), None),
        AppealRequest::Answer(_) => (Some("answered"), None),
        AppealRequest::Close(_) => (Some("closed"), None),
        AppealRequest::Void(_) => (Some("voided"), None),
        AppealRequest::Correct(correct) if correct.field == "channel" => {
            (None, correct.after.as_ref().map(ToString::to_string))
        }
        AppealRequest::Correct(_) => (None, None),
    };
    (Table::Appeals, state, channel)
}

/// Rows of one table by office and state.
pub fn by_state(rows: &BTreeMap<Uuid, Row>, table: Table) -> BTreeMap<Vec<String>, u64> {
    count(rows, table, |row| row.state.to_owned())
}

/// Rows of one table by office and channel.
pub fn by_channel(rows: &BTreeMap<Uuid, Row>, table: Table) -> BTreeMap<Vec<String>, u64> {
    count(rows, table, |row| row.channel.clone().unwrap_or_default())
}

fn count(
    rows: &BTreeMap<Uuid, Row>,
    table: Table,
    key: impl Fn(&Row) -> String,
) -> BTreeMap<Vec<String>, u64> {
    let mut counts = BTreeMap::new();
    for row in rows.values().filter(|row| row.table == table) {
        *counts.entry(vec![row.office.clone(), key(row)]).or_default() += 1;
    }
    counts
}

/// Facts that a step records: the registration of an appeal comes with its receipt.
pub fn facts(step: &Step) -> u64 {
    match step.request {
        Request::Appeal(AppealRequest::Receive(_)) => 2,
        _ => 1,
    }
}

/// How many records each command of an office should have.
pub fn commands(steps: &[Step], office: &str) -> BTreeMap<String, u64> {
    let own = steps.iter().filter(|step| step.office.as_str() == office);
    own.map(|step| (step.command.to_string(), facts(step))).collect()
}
