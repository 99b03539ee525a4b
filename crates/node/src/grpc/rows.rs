//! Rows of the tables as messages.

use projection::rows;
use uuid::Uuid;
use wire::pb::common::v1::Position;
use wire::pb::query::v1 as pb;

use crate::grpc::instant;
use crate::grpc::sync::OfficeLine;

fn at(log: String, epoch: u32, sequence: u64) -> Option<Position> {
    (!log.is_empty()).then_some(Position { log, epoch, sequence })
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// A contact.
pub fn contact(row: rows::ContactRow) -> pb::ContactRow {
    pb::ContactRow {
        office: row.office,
        id: row.id.to_string(),
        channel: row.channel,
        line: row.line,
        language: row.language,
        state: row.state,
        outcome: row.outcome,
        started_at: Some(instant(row.started_at)),
        closed_at: row.closed_at.map(instant),
        consultations: row.consultations,
        appeal_id: text(row.appeal),
        version: row.version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// An appeal.
pub fn appeal(row: rows::AppealRow) -> pb::AppealRow {
    pb::AppealRow {
        office: row.office,
        id: row.id.to_string(),
        reg_no: row.reg_no,
        kind: row.kind,
        form: row.form,
        channel: row.channel,
        language: row.language,
        state: row.state,
        received_at: Some(instant(row.received_at)),
        registered_on: row.registered_on,
        due_on: row.due_on,
        closed_at: row.closed_at.map(instant),
        corruption_signs: row.corruption_signs,
        category: row.category,
        decision: row.decision,
        anonymous: row.anonymous,
        corrections: row.corrections,
        version: row.version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// A reception.
pub fn reception(row: rows::ReceptionRow) -> pb::ReceptionRow {
    pb::ReceptionRow {
        office: row.office,
        id: row.id.to_string(),
        official: row.post,
        planned_on: row.planned_on,
        mode: row.mode,
        state: row.state,
        // What was stated at the end; until then, who was recorded one by one.
        visitors: row.visitors.max(row.received),
        held_at: row.held_at.map(instant),
        reason: row.reason,
        replacement_on: row.replacement_on,
        version: row.version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// A preventive measure.
pub fn measure(row: rows::MeasureRow) -> pb::MeasureRow {
    pb::MeasureRow {
        office: row.office,
        id: row.id.to_string(),
        kind: row.kind,
        audience: row.audience,
        directive_id: text(row.directive),
        state: row.state,
        due_on: row.due_on,
        held_at: row.held_at.map(instant),
        participants: u32::try_from(row.participants).unwrap_or(u32::MAX),
        minutes: row.minutes,
        reason: row.reason,
        version: row.version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// An activity of the image plan.
pub fn activity(row: rows::ActivityRow) -> pb::ActivityRow {
    pb::ActivityRow {
        office: row.office,
        id: row.id.to_string(),
        audience: row.audience,
        kind: row.kind,
        channel: row.channel,
        language: row.language,
        state: row.state,
        due_on: row.due_on,
        held_at: row.held_at.map(instant),
        target_reach: row.target_reach,
        reach: row.reach,
        version: row.version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// A directive at one office.
pub fn directive(row: rows::DirectiveRow) -> pb::DirectiveRow {
    pb::DirectiveRow {
        directive_id: row.id.to_string(),
        order_number: row.order_number,
        office: row.office,
        state: row.state,
        issued_at: row.issued_at.map(instant),
        delivered_at: row.delivered_at.map(instant),
        acknowledged_at: row.acknowledged_at.map(instant),
        reported_at: row.reported_at.map(instant),
        accepted_at: row.accepted_at.map(instant),
        returned_at: row.returned_at.map(instant),
        due_on: row.due_on,
        version: row.version,
        task_version: row.task_version,
        position: at(row.log, row.epoch, row.seq),
    }
}

/// An office, with what is known of its link.
pub fn office(line: OfficeLine, row: rows::OfficeRow) -> pb::OfficeRow {
    pb::OfficeRow {
        code: row.code,
        name_kk: row.name_kk,
        name_ru: row.name_ru,
        name_en: row.name_en,
        zone: row.zone,
        state: line.state.map_or_else(|| "unknown".to_owned(), |state| state.text()),
        since: line.state.and_then(|state| state.since).map(instant),
        signed_head_size: line.head_size.unwrap_or(0),
        signed_head_age_ms: line.head_age_ms,
        held_size: line.held,
        lag_records: line.lag,
        last_error: line.last_error,
        alarm: line.alarm,
    }
}
