//! Contacts, receptions, measures and activities.

use domain::{
    contact::ContactFact, image::ActivityFact, measure::MeasureFact, reception::ReceptionFact,
};

use super::fold::{Fold, Folded, about};
use crate::{calendar::month_of, envelope::Envelope, error::Error};

/// The text of an update of the envelope's own row, see [`about`].
macro_rules! update {
    ($table:literal, $set:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET ",
            $set,
            ", version = $3, log = $4, epoch = $5, seq = $6 WHERE office = $1 AND id = $2"
        )
    };
}
pub(super) use update;

/// The text of an insert of the envelope's own row, which must not be there yet, see [`about`].
macro_rules! insert {
    ($table:literal, $columns:literal, $values:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (office, id, version, log, epoch, seq, ",
            $columns,
            ") VALUES ($1, $2, $3, $4, $5, $6, ",
            $values,
            ") ON CONFLICT (id, office) DO NOTHING"
        )
    };
}
pub(super) use insert;

pub(super) async fn contact(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &ContactFact,
) -> Result<Folded, Error> {
    let statement = match fact {
        ContactFact::Opened(fact) => about(
            insert!(
                "contacts",
                "at, month, channel, line, language, state",
                "$7, $8, $9, $10, $11, 'open'"
            ),
            envelope,
        )
        .bind(envelope.occurred_at)
        .bind(fold.month(envelope.occurred_at, &envelope.zone))
        .bind(fact.channel.as_str())
        .bind(fact.line.as_ref().map_or("", |line| line.as_str()))
        .bind(fact.language.as_str()),
        ContactFact::Consulted(_) => {
            about(update!("contacts", "consultations = consultations + 1"), envelope)
        }
        ContactFact::FileAttached(_) => about(update!("contacts", "state = state"), envelope),
        ContactFact::Linked(fact) => about(
            update!("contacts", "appeal = COALESCE(appeal, $7), appeals = appeals + 1"),
            envelope,
        )
        .bind(fact.appeal.uuid()),
        ContactFact::Closed(fact) => {
            about(update!("contacts", "state = 'closed', outcome = $7, closed_at = $8"), envelope)
                .bind(fact.outcome.as_str())
                .bind(envelope.occurred_at)
        }
    };
    fold.run(statement).await
}

pub(super) async fn reception(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &ReceptionFact,
) -> Result<Folded, Error> {
    let statement = match fact {
        ReceptionFact::Planned(fact) => about(
            insert!("receptions", "at, month, due_on, post, state", "$7, $8, $9, $10, 'planned'"),
            envelope,
        )
        .bind(fold.calendar.start_of(fact.on, &envelope.zone))
        .bind(month_of(fact.on))
        .bind(fact.on.to_string())
        .bind(fact.post.as_str()),
        ReceptionFact::VisitorReceived(_) => about(
            update!(
                "receptions",
                "received = received + 1, \
                 state = CASE state WHEN 'planned' THEN 'open' ELSE state END"
            ),
            envelope,
        ),
        ReceptionFact::Held(fact) => about(
            update!(
                "receptions",
                "state = 'held', mode = $7, visitors = $8, held_at = $9, closed_at = $10"
            ),
            envelope,
        )
        .bind(fact.mode.as_str())
        .bind(fact.visitors)
        .bind(fact.opened_at.micros())
        .bind(fact.closed_at.micros()),
        ReceptionFact::NotHeld(fact) => about(
            update!("receptions", "state = 'not_held', reason = $7, replacement_on = $8"),
            envelope,
        )
        .bind(fact.reason.as_str())
        .bind(fact.replacement_on.map(|day| day.to_string()).unwrap_or_default()),
    };
    fold.run(statement).await
}

pub(super) async fn measure(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &MeasureFact,
) -> Result<Folded, Error> {
    let statement = match fact {
        MeasureFact::Planned(fact) => about(
            insert!(
                "measures",
                "at, month, due_on, kind, audience, directive, state",
                "$7, $8, $9, $10, $11, $12, 'planned'"
            ),
            envelope,
        )
        .bind(fold.calendar.start_of(fact.due, &envelope.zone))
        .bind(month_of(fact.due))
        .bind(fact.due.to_string())
        .bind(fact.kind.as_str())
        .bind(fact.audience.as_str())
        .bind(fact.directive.map(|directive| directive.uuid())),
        MeasureFact::Held(fact) => about(
            update!("measures", "state = 'held', held_at = $7, participants = $8, minutes = $9"),
            envelope,
        )
        .bind(envelope.occurred_at)
        .bind(fact.participants.iter().map(|class| i64::from(class.count)).sum::<i64>())
        .bind(fact.minutes),
        MeasureFact::Cancelled(fact) => {
            about(update!("measures", "state = 'cancelled', reason = $7"), envelope)
                .bind(fact.reason.as_str())
        }
    };
    fold.run(statement).await
}

pub(super) async fn activity(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &ActivityFact,
) -> Result<Folded, Error> {
    let statement = match fact {
        ActivityFact::Planned(fact) => about(
            insert!(
                "activities",
                "at, month, due_on, audience, kind, channel, language, target_reach, state",
                "$7, $8, $9, $10, $11, $12, $13, $14, 'planned'"
            ),
            envelope,
        )
        .bind(fold.calendar.start_of(fact.due, &envelope.zone))
        .bind(month_of(fact.due))
        .bind(fact.due.to_string())
        .bind(fact.audience.as_str())
        .bind(fact.kind.as_str())
        .bind(fact.channel.as_str())
        .bind(fact.language.as_str())
        .bind(fact.target_reach),
        ActivityFact::Held(fact) => {
            about(update!("activities", "state = 'held', held_at = $7, reach = $8"), envelope)
                .bind(envelope.occurred_at)
                .bind(fact.reach)
        }
    };
    fold.run(statement).await
}
