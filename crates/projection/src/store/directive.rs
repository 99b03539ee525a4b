//! Directives: one row per directive and office, from three kinds of logs in any order.
//!
//! The directive's own stream writes `directive_heads` and makes the rows of its addressees; a
//! dispatch and a task each write their own columns of the row. No column has two writers, and a
//! row is made by whichever comes first, so the order of the logs cannot show.

use domain::{
    OfficeCode,
    directive::{DirectiveFact, DirectiveIssued, DispatchFact},
    ids::DispatchId,
    task::{ExecutionReported, TaskFact},
};
use uuid::Uuid;

use super::{
    fold::{Fold, Folded, Statement, about, addressee},
    number,
};
use crate::{envelope::Envelope, error::Error};

pub(super) async fn directive(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &DirectiveFact,
) -> Result<Folded, Error> {
    match fact {
        DirectiveFact::Issued(fact) => issued(fold, envelope, fact).await,
    }
}

async fn issued(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &DirectiveIssued,
) -> Result<Folded, Error> {
    let id = Uuid::from_bytes(envelope.stream.id);
    let head = sqlx::query(
        "INSERT INTO directive_heads (id, at, month, subject, order_number, due_on, log, epoch, \
         seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(envelope.occurred_at)
    .bind(fold.month(envelope.occurred_at, &envelope.zone))
    .bind(fact.subject.as_str())
    .bind(fact.order_number.as_ref().map_or("", |number| number.as_str()))
    .bind(fact.due.to_string())
    .bind(envelope.log.as_str())
    .bind(envelope.epoch)
    .bind(number(envelope.seq));
    if matches!(fold.run(head).await?, Folded::Orphan) {
        return Ok(Folded::Orphan);
    }
    for office in &fact.targets {
        let row = sqlx::query(
            "INSERT INTO directive_offices (id, office) VALUES ($1, $2) \
             ON CONFLICT (id, office) DO NOTHING",
        )
        .bind(id)
        .bind(office.as_str());
        fold.run(row).await?;
    }
    Ok(Folded::Done)
}

/// The text of an update of the dispatch's columns, see [`about_dispatch`].
macro_rules! dispatched {
    ($set:literal) => {
        concat!(
            "UPDATE directive_offices SET ",
            $set,
            "dispatch_version = $3, dispatch_log = $4, dispatch_epoch = $5, dispatch_seq = $6, \
             dispatch_recorded_at = $7 WHERE dispatch = $2 AND office = $1"
        )
    };
}

/// A statement about the row of a dispatch: $1 to $6 as in [`about`], but with the addressed
/// office for $1; $7 is the time of recording.
fn about_dispatch(
    sql: &'static str,
    office: &OfficeCode,
    envelope: &Envelope,
) -> Statement<'static> {
    sqlx::query(sql)
        .bind(office.as_str())
        .bind(Uuid::from_bytes(envelope.stream.id))
        .bind(envelope.stream_version)
        .bind(envelope.log.as_str())
        .bind(envelope.epoch)
        .bind(number(envelope.seq))
        .bind(envelope.recorded_at)
}

/// The statement that moves a dispatch on to the envelope's version; `None` in a wrong log.
pub(super) fn dispatch_advanced(envelope: &Envelope) -> Option<Statement<'static>> {
    let office = addressee(&envelope.log, &envelope.office)?;
    Some(about_dispatch(dispatched!(""), &office, envelope))
}

pub(super) async fn dispatch(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &DispatchFact,
) -> Result<Folded, Error> {
    let Some(office) = addressee(&envelope.log, &envelope.office) else {
        return Ok(Folded::Misplaced);
    };
    let statement = match fact {
        DispatchFact::Issued(fact) => {
            let stream = DispatchId::of(fact.directive, &fact.office);
            if fact.office != office || stream.bytes() != envelope.stream.id {
                return Ok(Folded::Misplaced);
            }
            let order_number = fact.order_number.as_ref().map_or("", |number| number.as_str());
            about_dispatch(DISPATCH_ISSUED, &office, envelope)
                .bind(fact.directive.uuid())
                .bind(envelope.occurred_at)
                .bind(fold.month(envelope.occurred_at, &envelope.zone))
                .bind(fact.subject.as_str())
                .bind(order_number)
                .bind(fact.due.to_string())
        }
        DispatchFact::Accepted(fact) => {
            let sql = dispatched!("accepted_report = $8, accepted_at = $9, ");
            about_dispatch(sql, &office, envelope).bind(fact.report).bind(envelope.occurred_at)
        }
        DispatchFact::Returned(fact) => {
            let sql = dispatched!(
                "returned_report = $8, returned_at = $9, remarks = $10, dispatch_due_on = $11, "
            );
            about_dispatch(sql, &office, envelope)
                .bind(fact.report)
                .bind(envelope.occurred_at)
                .bind(fact.remarks.as_str())
                .bind(fact.new_due.to_string())
        }
    };
    fold.run(statement).await
}

const DISPATCH_ISSUED: &str = "INSERT INTO directive_offices \
     (office, dispatch, dispatch_version, dispatch_log, dispatch_epoch, dispatch_seq, \
     dispatch_recorded_at, id, dispatch_at, dispatch_month, dispatch_subject, \
     dispatch_order_number, dispatch_due_on) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
     ON CONFLICT (id, office) DO UPDATE SET dispatch = excluded.dispatch, \
     dispatch_version = excluded.dispatch_version, dispatch_log = excluded.dispatch_log, \
     dispatch_epoch = excluded.dispatch_epoch, dispatch_seq = excluded.dispatch_seq, \
     dispatch_recorded_at = excluded.dispatch_recorded_at, dispatch_at = excluded.dispatch_at, \
     dispatch_month = excluded.dispatch_month, dispatch_subject = excluded.dispatch_subject, \
     dispatch_order_number = excluded.dispatch_order_number, \
     dispatch_due_on = excluded.dispatch_due_on \
     WHERE directive_offices.dispatch IS NULL";

/// The text of an update of the task's columns, see [`about`]; $7 is the time of recording.
macro_rules! task {
    ($set:literal) => {
        concat!(
            "UPDATE directive_offices SET ",
            $set,
            "task_version = $3, task_log = $4, task_epoch = $5, task_seq = $6, \
             task_recorded_at = $7 WHERE office = $1 AND id = $2 AND task_version IS NOT NULL"
        )
    };
}

/// The statement that moves a task on to the envelope's version.
pub(super) fn task_advanced(envelope: &Envelope) -> Statement<'static> {
    about(task!(""), envelope).bind(envelope.recorded_at)
}

const TASK_DELIVERED: &str = "INSERT INTO directive_offices \
     (office, id, task_version, task_log, task_epoch, task_seq, task_recorded_at, delivered_at, \
     task_due_on) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (id, office) DO UPDATE SET task_version = excluded.task_version, \
     task_log = excluded.task_log, task_epoch = excluded.task_epoch, \
     task_seq = excluded.task_seq, task_recorded_at = excluded.task_recorded_at, \
     delivered_at = excluded.delivered_at, task_due_on = excluded.task_due_on \
     WHERE directive_offices.task_version IS NULL";

pub(super) async fn task(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &TaskFact,
) -> Result<Folded, Error> {
    let about_row = |sql| about(sql, envelope).bind(envelope.recorded_at);
    let statement = match fact {
        TaskFact::Delivered(fact) => {
            about_row(TASK_DELIVERED).bind(envelope.occurred_at).bind(fact.due.to_string())
        }
        TaskFact::Acknowledged(_) => {
            about_row(task!("acknowledged_at = $8, ")).bind(envelope.occurred_at)
        }
        TaskFact::Reported(fact) => return reported(fold, envelope, fact).await,
    };
    fold.run(statement).await
}

async fn reported(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &ExecutionReported,
) -> Result<Folded, Error> {
    let row = about(task!("report = $3, reported_at = $8, "), envelope)
        .bind(envelope.recorded_at)
        .bind(envelope.occurred_at);
    if matches!(fold.run(row).await?, Folded::Orphan) {
        return Ok(Folded::Orphan);
    }
    let line = |item: &'static str| -> Statement<'static> {
        sqlx::query(
            "INSERT INTO reports (office, id, report, item, code, value) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id, office, report, item, code) \
             DO UPDATE SET value = excluded.value",
        )
        .bind(envelope.office.as_str())
        .bind(Uuid::from_bytes(envelope.stream.id))
        .bind(envelope.stream_version)
        .bind(item)
    };
    for value in &fact.values {
        fold.run(line("indicator").bind(value.indicator.as_str()).bind(value.value)).await?;
    }
    for evidence in &fact.evidence {
        fold.run(line("evidence").bind(evidence.as_str()).bind(None::<i64>)).await?;
    }
    Ok(Folded::Done)
}
