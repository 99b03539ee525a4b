//! Appeals and their corrections.

use domain::appeal::{AppealCorrected, AppealFact, AppealReceived, AppealRegistered, Field};
use jiff::civil::Date;
use uuid::Uuid;

use super::{
    fold::{Fold, Folded, Statement, about},
    work::{insert, update},
};
use crate::{envelope::Envelope, error::Error};

pub(super) async fn appeal(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &AppealFact,
) -> Result<Folded, Error> {
    let statement = match fact {
        AppealFact::Received(fact) => received(fold, envelope, fact),
        AppealFact::Registered(fact) => registered(envelope, fact),
        AppealFact::Triaged(fact) => about(TRIAGED, envelope)
            .bind(fact.category.as_str())
            .bind(fact.severity.as_str())
            .bind(fact.urgency.as_str())
            .bind(fact.corruption_signs)
            .bind(fact.judicial_matter),
        AppealFact::Assigned(fact) => about(ASSIGNED, envelope).bind(fact.executor.as_str()),
        AppealFact::DecisionPrepared(fact) => about(
            update!(
                "appeals",
                "state = 'decision_prepared', decision = $7, answer_nature = $8, \
                 decided_version = $3"
            ),
            envelope,
        )
        .bind(fact.decision.as_str())
        .bind(fact.answer_nature.as_str()),
        AppealFact::DecisionApproved(_) => {
            about(update!("appeals", "state = 'approved'"), envelope)
        }
        AppealFact::AnswerSent(fact) => about(
            update!(
                "appeals",
                "state = 'answered', answer_channel = $7, answer_language = $8, \
                 answered_at = $9, answered_version = $3"
            ),
            envelope,
        )
        .bind(fact.channel.as_str())
        .bind(fact.language.as_str())
        .bind(envelope.occurred_at),
        AppealFact::Closed(fact) => about(
            update!(
                "appeals",
                "state = 'closed', closure = $7, closed_at = $8, closed_version = $3"
            ),
            envelope,
        )
        .bind(fact.closure.as_str())
        .bind(envelope.occurred_at),
        AppealFact::Voided(fact) => about(
            update!("appeals", "state = 'voided', void_reason = $7, closed_at = $8"),
            envelope,
        )
        .bind(fact.reason.as_str())
        .bind(envelope.occurred_at),
        AppealFact::Corrected(fact) => return corrected(fold, envelope, fact).await,
    };
    fold.run(statement).await
}

/// A later triage or assignment does not take a case back to an earlier state.
const TRIAGED: &str = update!(
    "appeals",
    "state = CASE WHEN state IN ('received', 'registered') THEN 'triaged' ELSE state END, \
     category = $7, severity = $8, urgency = $9, corruption_signs = $10, judicial_matter = $11, \
     triaged_version = $3"
);
const ASSIGNED: &str = update!(
    "appeals",
    "state = CASE WHEN state IN ('received', 'registered', 'triaged') THEN 'assigned' \
     ELSE state END, executor = $7"
);

fn received(fold: &mut Fold<'_>, envelope: &Envelope, fact: &AppealReceived) -> Statement<'static> {
    let at = fact.received_at.micros();
    about(
        insert!(
            "appeals",
            "at, month, zone, kind, form, applicant_character, applicants, anonymous, language, \
             channel, contact, state, received_version",
            "$7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'received', $3"
        ),
        envelope,
    )
    .bind(at)
    .bind(fold.month(at, &envelope.zone))
    .bind(envelope.zone.as_str())
    .bind(fact.kind.as_str())
    .bind(fact.form.as_str())
    .bind(fact.character.as_str())
    .bind(fact.applicants)
    .bind(fact.anonymous)
    .bind(fact.language.as_str())
    .bind(fact.channel.as_str())
    .bind(fact.contact.map(|contact| contact.uuid()))
}

fn registered(envelope: &Envelope, fact: &AppealRegistered) -> Statement<'static> {
    about(
        update!(
            "appeals",
            "state = 'registered', reg_no = $7, registered_on = $8, due_on = $9, \
             registered_version = $3"
        ),
        envelope,
    )
    .bind(fact.reg_no.to_string())
    .bind(fact.registered_on.to_string())
    .bind(fact.due_on.map(|day| day.to_string()).unwrap_or_default())
}

/// A correction is a row of its own, and the appeal's field takes the right value.
async fn corrected(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &AppealCorrected,
) -> Result<Folded, Error> {
    let counted = about(update!("appeals", "corrections = corrections + 1"), envelope);
    if matches!(fold.run(counted).await?, Folded::Orphan) {
        return Ok(Folded::Orphan);
    }
    let row = about(
        "INSERT INTO corrections (office, id, version, log, epoch, seq, at, month, \
         corrected_version, field, before_code, after_code, reason, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (id, office, version) DO NOTHING",
        envelope,
    )
    .bind(envelope.occurred_at)
    .bind(fold.month(envelope.occurred_at, &envelope.zone))
    .bind(fact.of)
    .bind(fact.field.as_str())
    .bind(fact.before.as_ref().map(|code| code.as_str()))
    .bind(fact.after.as_ref().map(|code| code.as_str()))
    .bind(fact.reason.as_str())
    .bind(Uuid::from_bytes(envelope.actor));
    fold.run(row).await?;
    let Some(field) = Field::from_name(fact.field.as_str()) else {
        return Ok(Folded::Done);
    };
    let after = fact.after.as_ref().map_or("", |code| code.as_str());
    let statement = match field {
        Field::ReceivedAt => corrected_instant(fold, envelope, fact.of, after).await?,
        _ => corrected_field(envelope, field, fact.of, after),
    };
    if let Some(statement) = statement {
        fold.run(statement).await?;
    }
    Ok(Folded::Done)
}

/// The text that sets a corrected value ($7), where the present one comes from the corrected fact
/// ($8).
macro_rules! correct {
    ($set:literal, $of:literal) => {
        concat!(
            "UPDATE appeals SET ",
            $set,
            ", version = $3, log = $4, epoch = $5, seq = $6 WHERE office = $1 AND id = $2 AND ",
            $of,
            " = $8"
        )
    };
}

/// The statement that puts a corrected value into its column; `None` for a personal field and for
/// a value that is none of the field's (such a correction is shown, not applied).
fn corrected_field(
    envelope: &Envelope,
    field: Field,
    of: u32,
    after: &str,
) -> Option<Statement<'static>> {
    let sql = match field {
        Field::Kind => correct!("kind = $7", "received_version"),
        Field::Form => correct!("form = $7", "received_version"),
        Field::Character => correct!("applicant_character = $7", "received_version"),
        Field::Language => correct!("language = $7", "received_version"),
        Field::Channel => correct!("channel = $7", "received_version"),
        Field::RegisteredOn => correct!("registered_on = $7", "registered_version"),
        Field::DueOn => correct!("due_on = $7", "registered_version"),
        Field::Category => correct!("category = $7", "triaged_version"),
        Field::Severity => correct!("severity = $7", "triaged_version"),
        Field::Urgency => correct!("urgency = $7", "triaged_version"),
        Field::Decision => correct!("decision = $7", "decided_version"),
        Field::AnswerNature => correct!("answer_nature = $7", "decided_version"),
        Field::AnswerChannel => correct!("answer_channel = $7", "answered_version"),
        Field::AnswerLanguage => correct!("answer_language = $7", "answered_version"),
        Field::Closure => correct!("closure = $7", "closed_version"),
        _ => return corrected_value(envelope, field, of, after),
    };
    let is_day = matches!(field, Field::RegisteredOn | Field::DueOn);
    if is_day && !after.is_empty() && after.parse::<Date>().is_err() {
        return None;
    }
    Some(about(sql, envelope).bind(after.to_owned()).bind(of))
}

/// The same for fields that are no text.
fn corrected_value(
    envelope: &Envelope,
    field: Field,
    of: u32,
    after: &str,
) -> Option<Statement<'static>> {
    let flag = |sql| Some(about(sql, envelope).bind(after.parse::<bool>().ok()?).bind(of));
    match field {
        Field::Anonymous => flag(correct!("anonymous = $7", "received_version")),
        Field::CorruptionSigns => flag(correct!("corruption_signs = $7", "triaged_version")),
        Field::JudicialMatter => flag(correct!("judicial_matter = $7", "triaged_version")),
        Field::Applicants => {
            let sql = correct!("applicants = $7", "received_version");
            Some(about(sql, envelope).bind(after.parse::<u32>().ok()?).bind(of))
        }
        Field::Contact => {
            let contact = match after {
                "" => None,
                id => Some(Uuid::parse_str(id).ok()?),
            };
            let sql = correct!("contact = $7", "received_version");
            Some(about(sql, envelope).bind(contact).bind(of))
        }
        _ => None,
    }
}

/// The instant of receipt decides the month too, in the zone in which the appeal was received.
async fn corrected_instant(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    of: u32,
    after: &str,
) -> Result<Option<Statement<'static>>, Error> {
    let Ok(at) = after.parse::<i64>() else {
        return Ok(None);
    };
    let zone = sqlx::query("SELECT zone FROM appeals WHERE office = $1 AND id = $2")
        .bind(envelope.office.as_str())
        .bind(Uuid::from_bytes(envelope.stream.id));
    let zone = fold.text(zone).await?.unwrap_or_default();
    let month = fold.month(at, &zone);
    let sql = correct!("at = $7, month = $9", "received_version");
    Ok(Some(about(sql, envelope).bind(at).bind(of).bind(month)))
}
