//! Rows of the tables, as cells.

use wire::pb::common::v1::Position;
use wire::pb::query::v1 as pb;

use crate::output::{Cell, Row};

fn position(position: &Option<Position>) -> Cell {
    let text = position.as_ref().map(|at| format!("{}:{}:{}", at.log, at.epoch, at.sequence));
    Cell::text(text.unwrap_or_default())
}

/// A contact.
pub fn contact(row: &pb::ContactRow) -> Row {
    vec![
        ("office", Cell::text(&row.office)),
        ("id", Cell::text(&row.id)),
        ("channel", Cell::text(&row.channel)),
        ("line", Cell::text(&row.line)),
        ("language", Cell::text(&row.language)),
        ("state", Cell::text(&row.state)),
        ("outcome", Cell::text(&row.outcome)),
        ("started_at", Cell::time(row.started_at.as_ref())),
        ("closed_at", Cell::time(row.closed_at.as_ref())),
        ("consultations", Cell::number(row.consultations)),
        ("appeal_id", Cell::text(&row.appeal_id)),
        ("version", Cell::number(row.version)),
        ("position", position(&row.position)),
    ]
}

/// An appeal.
pub fn appeal(row: &pb::AppealRow) -> Row {
    vec![
        ("office", Cell::text(&row.office)),
        ("id", Cell::text(&row.id)),
        ("reg_no", Cell::text(&row.reg_no)),
        ("kind", Cell::text(&row.kind)),
        ("form", Cell::text(&row.form)),
        ("channel", Cell::text(&row.channel)),
        ("language", Cell::text(&row.language)),
        ("state", Cell::text(&row.state)),
        ("received_at", Cell::time(row.received_at.as_ref())),
        ("registered_on", Cell::text(&row.registered_on)),
        ("due_on", Cell::text(&row.due_on)),
        ("closed_at", Cell::time(row.closed_at.as_ref())),
        ("corruption_signs", Cell::flag(row.corruption_signs)),
        ("category", Cell::text(&row.category)),
        ("decision", Cell::text(&row.decision)),
        ("anonymous", Cell::flag(row.anonymous)),
        ("corrections", Cell::number(row.corrections)),
        ("version", Cell::number(row.version)),
        ("position", position(&row.position)),
    ]
}

/// A reception.
pub fn reception(row: &pb::ReceptionRow) -> Row {
    vec![
        ("office", Cell::text(&row.office)),
        ("id", Cell::text(&row.id)),
        ("official", Cell::text(&row.official)),
        ("planned_on", Cell::text(&row.planned_on)),
        ("mode", Cell::text(&row.mode)),
        ("state", Cell::text(&row.state)),
        ("visitors", Cell::number(row.visitors)),
        ("held_at", Cell::time(row.held_at.as_ref())),
        ("reason", Cell::text(&row.reason)),
        ("replacement_on", Cell::text(&row.replacement_on)),
        ("version", Cell::number(row.version)),
        ("position", position(&row.position)),
    ]
}

/// A preventive measure.
pub fn measure(row: &pb::MeasureRow) -> Row {
    vec![
        ("office", Cell::text(&row.office)),
        ("id", Cell::text(&row.id)),
        ("kind", Cell::text(&row.kind)),
        ("audience", Cell::text(&row.audience)),
        ("directive_id", Cell::text(&row.directive_id)),
        ("state", Cell::text(&row.state)),
        ("due_on", Cell::text(&row.due_on)),
        ("held_at", Cell::time(row.held_at.as_ref())),
        ("participants", Cell::number(row.participants)),
        ("minutes", Cell::number(row.minutes)),
        ("reason", Cell::text(&row.reason)),
        ("version", Cell::number(row.version)),
        ("position", position(&row.position)),
    ]
}

/// An activity of the image plan.
pub fn activity(row: &pb::ActivityRow) -> Row {
    vec![
        ("office", Cell::text(&row.office)),
        ("id", Cell::text(&row.id)),
        ("audience", Cell::text(&row.audience)),
        ("kind", Cell::text(&row.kind)),
        ("channel", Cell::text(&row.channel)),
        ("language", Cell::text(&row.language)),
        ("state", Cell::text(&row.state)),
        ("due_on", Cell::text(&row.due_on)),
        ("held_at", Cell::time(row.held_at.as_ref())),
        ("target_reach", Cell::number(row.target_reach)),
        ("reach", Cell::number(row.reach)),
        ("version", Cell::number(row.version)),
        ("position", position(&row.position)),
    ]
}

/// A directive at one office.
pub fn directive(row: &pb::DirectiveRow) -> Row {
    vec![
        ("directive", Cell::text(&row.directive_id)),
        ("order_number", Cell::text(&row.order_number)),
        ("office", Cell::text(&row.office)),
        ("state", Cell::text(&row.state)),
        ("due_on", Cell::text(&row.due_on)),
        ("issued_at", Cell::time(row.issued_at.as_ref())),
        ("delivered_at", Cell::time(row.delivered_at.as_ref())),
        ("acknowledged_at", Cell::time(row.acknowledged_at.as_ref())),
        ("reported_at", Cell::time(row.reported_at.as_ref())),
        ("accepted_at", Cell::time(row.accepted_at.as_ref())),
        ("returned_at", Cell::time(row.returned_at.as_ref())),
        ("version", Cell::number(row.version)),
        ("task_version", Cell::number(row.task_version)),
        ("position", position(&row.position)),
    ]
}

/// An enrolled office.
pub fn office(row: &pb::OfficeRow) -> Row {
    vec![
        ("code", Cell::text(&row.code)),
        ("name_kk", Cell::text(&row.name_kk)),
        ("name_ru", Cell::text(&row.name_ru)),
        ("name_en", Cell::text(&row.name_en)),
        ("zone", Cell::text(&row.zone)),
        ("state", Cell::text(&row.state)),
        ("since", Cell::time(row.since.as_ref())),
        ("signed_head", Cell::number(row.signed_head_size)),
        ("head_age", Cell::age(row.signed_head_age_ms)),
        ("held", Cell::number(row.held_size)),
        ("not_held", Cell::known(row.lag_records)),
        ("last_error", Cell::text(&row.last_error)),
    ]
}
