//! The rows that answer queries.
//!
//! Days are text, `YYYY-MM-DD`; an empty text means that there is none (yet). Instants are
//! microseconds since 1970 UTC. Codes are those of the classifiers, unknown ones included. No row
//! holds personal data or free text.

use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{envelope::LogPosition, query::Table};

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ContactRow {
    /// Office that recorded it.
    pub office: String,
    /// Its id.
    pub id: Uuid,
    /// When it began.
    #[sqlx(rename = "at")]
    pub started_at: i64,
    /// Month of it in the office's zone.
    pub month: String,
    /// Channel code.
    pub channel: String,
    /// Line code; empty = none.
    pub line: String,
    /// Language code.
    pub language: String,
    /// `open` or `closed`.
    pub state: String,
    /// Outcome code; empty while open.
    pub outcome: String,
    /// When it was closed.
    pub closed_at: Option<i64>,
    /// Consultations given.
    pub consultations: u32,
    /// The first appeal that came of it.
    pub appeal: Option<Uuid>,
    /// How many appeals came of it.
    pub appeals: u32,
    /// Version of the stream.
    pub version: u32,
    /// Log of the newest record of the stream.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One appeal.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct AppealRow {
    /// Office that holds it.
    pub office: String,
    /// Its id.
    pub id: Uuid,
    /// When it was received.
    #[sqlx(rename = "at")]
    pub received_at: i64,
    /// Month of it in the office's zone.
    pub month: String,
    /// Registration number; empty before registration.
    pub reg_no: String,
    /// Kind code.
    pub kind: String,
    /// Form code.
    pub form: String,
    /// Character code: individual, collective.
    #[sqlx(rename = "applicant_character")]
    pub character: String,
    /// Number of applicants.
    pub applicants: u32,
    /// Whether the applicant is unnamed.
    pub anonymous: bool,
    /// Language code.
    pub language: String,
    /// Channel code.
    pub channel: String,
    /// The contact that brought it.
    pub contact: Option<Uuid>,
    /// `received`, `registered`, `triaged`, `assigned`, `decision_prepared`, `approved`,
    /// `answered`, `closed` or `voided`.
    pub state: String,
    /// Day of registration.
    pub registered_on: String,
    /// Last day of the term; empty = no term.
    pub due_on: String,
    /// Coarse category code; empty before triage.
    pub category: String,
    /// Severity code; empty before triage.
    pub severity: String,
    /// Urgency code; empty before triage.
    pub urgency: String,
    /// Whether triage found signs of corruption.
    pub corruption_signs: bool,
    /// Whether it belongs to court proceedings.
    pub judicial_matter: bool,
    /// Post that handles it; empty before assignment.
    pub executor: String,
    /// Decision code; empty before a decision.
    pub decision: String,
    /// Nature code of the answer; empty before a decision.
    pub answer_nature: String,
    /// Channel code of the answer; empty before it.
    pub answer_channel: String,
    /// Language code of the answer; empty before it.
    pub answer_language: String,
    /// When the answer was sent.
    pub answered_at: Option<i64>,
    /// When it was closed.
    pub closed_at: Option<i64>,
    /// Closure code; empty before closure.
    pub closure: String,
    /// Reason code of a voided registration; empty otherwise.
    pub void_reason: String,
    /// Corrections made to it.
    pub corrections: u32,
    /// Version of the stream.
    pub version: u32,
    /// Log of the newest record of the stream.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One personal reception.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ReceptionRow {
    /// Office that holds it.
    pub office: String,
    /// Its id.
    pub id: Uuid,
    /// Begin of the planned day.
    pub at: i64,
    /// Month of it.
    pub month: String,
    /// Post that receives.
    pub post: String,
    /// Planned day.
    #[sqlx(rename = "due_on")]
    pub planned_on: String,
    /// `planned`, `open` (a visitor was received), `held` or `not_held`.
    pub state: String,
    /// Mode code; empty until held.
    pub mode: String,
    /// Visitors as the office stated them when it was held.
    pub visitors: u32,
    /// Visitors recorded one by one.
    pub received: u32,
    /// When the door opened.
    pub held_at: Option<i64>,
    /// When it closed.
    pub closed_at: Option<i64>,
    /// Reason code if it was not held.
    pub reason: String,
    /// Replacement day if it was not held.
    pub replacement_on: String,
    /// Version of the stream.
    pub version: u32,
    /// Log of the newest record of the stream.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One preventive measure.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct MeasureRow {
    /// Office that plans it.
    pub office: String,
    /// Its id.
    pub id: Uuid,
    /// Begin of the planned day.
    pub at: i64,
    /// Month of it.
    pub month: String,
    /// Kind code.
    pub kind: String,
    /// Audience code.
    pub audience: String,
    /// Directive that asks for it.
    pub directive: Option<Uuid>,
    /// `planned`, `held` or `cancelled`.
    pub state: String,
    /// Planned day.
    pub due_on: String,
    /// When it was held.
    pub held_at: Option<i64>,
    /// Participants in all.
    pub participants: u64,
    /// Length in minutes.
    pub minutes: u32,
    /// Reason code if it was cancelled.
    pub reason: String,
    /// Version of the stream.
    pub version: u32,
    /// Log of the newest record of the stream.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One activity of the image-policy plan.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ActivityRow {
    /// Office that plans it.
    pub office: String,
    /// Its id.
    pub id: Uuid,
    /// Begin of the planned day.
    pub at: i64,
    /// Month of it.
    pub month: String,
    /// Audience code.
    pub audience: String,
    /// Kind code.
    pub kind: String,
    /// Channel code.
    pub channel: String,
    /// Language code.
    pub language: String,
    /// `planned` or `held`.
    pub state: String,
    /// Planned day.
    pub due_on: String,
    /// When it was held.
    pub held_at: Option<i64>,
    /// People to reach.
    pub target_reach: u64,
    /// People reached.
    pub reach: u64,
    /// Version of the stream.
    pub version: u32,
    /// Log of the newest record of the stream.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One directive at one addressed office.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct DirectiveRow {
    /// The addressed office.
    pub office: String,
    /// Id of the directive.
    pub id: Uuid,
    /// Month of issue; empty while only the office's own facts are here.
    pub month: String,
    /// Subject code.
    pub subject: String,
    /// Number of the order; empty = none.
    pub order_number: String,
    /// Last day of the term, a newer one after a return included.
    pub due_on: String,
    /// `issued`, `delivered`, `acknowledged`, `reported`, `returned` or `accepted`.
    pub state: String,
    /// When the centre issued it.
    pub issued_at: Option<i64>,
    /// When the office held it.
    pub delivered_at: Option<i64>,
    /// When the office's chief acknowledged it.
    pub acknowledged_at: Option<i64>,
    /// Version in `task/D` of the last report.
    pub report: Option<u32>,
    /// When execution was last reported.
    pub reported_at: Option<i64>,
    /// Version in `task/D` of the accepted report.
    pub accepted_report: Option<u32>,
    /// When the centre accepted the execution.
    pub accepted_at: Option<i64>,
    /// Version in `task/D` of the report last returned.
    pub returned_report: Option<u32>,
    /// When the centre last returned it.
    pub returned_at: Option<i64>,
    /// Remark code of the last return.
    pub remarks: String,
    /// Version of the dispatch stream; 0 = none here.
    pub version: u32,
    /// Version of the task stream; 0 = none here.
    pub task_version: u32,
    /// Log of the newer of the newest records of both streams.
    pub log: String,
    /// Its epoch.
    pub epoch: u32,
    /// Its sequence.
    pub seq: u64,
}

/// One line of a report of execution.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ReportRow {
    /// Version in `task/D` of the report.
    pub report: u32,
    /// `indicator` or `evidence`.
    pub item: String,
    /// Code of the indicator or of the kind of evidence.
    pub code: String,
    /// Value of the indicator; `None` for evidence.
    pub value: Option<i64>,
}

/// One enrolled office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfficeRow {
    /// Its code.
    pub code: String,
    /// Name in Kazakh.
    pub name_kk: String,
    /// Name in Russian.
    pub name_ru: String,
    /// Name in English.
    pub name_en: String,
    /// IANA zone.
    pub zone: String,
    /// Ed25519 public key of its log's newest epoch, hexadecimal.
    pub log_key: String,
    /// Ed25519 public key of its witness, hexadecimal.
    pub witness_key: String,
    /// When it was enrolled.
    pub enrolled_at: i64,
    /// Records of its own log, all epochs, that the tables include.
    pub records: u64,
}

/// One correction of an appeal.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct CorrectionRow {
    /// Office that made it.
    pub office: String,
    /// The appeal.
    pub id: Uuid,
    /// Version of the stream with the correction.
    pub version: u32,
    /// When it was made.
    pub at: i64,
    /// Version of the corrected fact.
    pub corrected_version: u32,
    /// The field.
    pub field: String,
    /// The recorded value; `None` = none, or personal.
    #[sqlx(rename = "before_code")]
    pub before: Option<String>,
    /// The right value; `None` = taken away, or personal.
    #[sqlx(rename = "after_code")]
    pub after: Option<String>,
    /// Reason code.
    pub reason: String,
    /// Pseudonym of the person.
    pub actor: Uuid,
}

/// One label of a classifier's newest version.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct ClassifierRow {
    /// The classifier.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The code.
    pub code: String,
    /// Label in Kazakh.
    pub name_kk: String,
    /// Label in Russian.
    pub name_ru: String,
    /// Label in English.
    pub name_en: String,
}

/// Work of one kind and office past its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverdueRow {
    /// The kind of work.
    pub table: Table,
    /// The office.
    pub office: String,
    /// How many.
    pub count: u64,
    /// The earliest day that has passed.
    pub oldest: String,
}

/// One kind of work, over all offices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkRow {
    /// The kind of work.
    pub table: Table,
    /// Everything recorded.
    pub total: u64,
    /// Of it, not finished.
    pub open: u64,
    /// Of it, past its day; `None` where this kind of work has none.
    pub overdue: Option<u64>,
}

/// What the national page shows, read at one state of the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Enrolled offices by code, with the state of their replication.
    pub offices: Vec<OfficeRow>,
    /// Every kind of work.
    pub work: Vec<WorkRow>,
    /// Work past its day, by kind and office; nothing where there is none.
    pub overdue: Vec<OverdueRow>,
    /// How far each log is included.
    pub freshness: Vec<LogPosition>,
}

/// Records of a log that are in no table, and why.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct SkippedRow {
    /// The log.
    pub log: String,
    /// `unknown`: a type of newer software. `misplaced`: a fact that does not belong into this
    /// log. `orphan`: a fact of a stream that does not begin with what it refers to.
    pub reason: String,
    /// Type code of the facts.
    pub type_code: u32,
    /// How many.
    pub records: u64,
}
