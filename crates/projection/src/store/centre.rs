//! What the centre says to all: offices and classifiers; and openings of sealed parts anywhere.

use domain::{
    access::AccessFact, classifier::ClassifierFact, ids::ClassifierId, ids::OfficeId,
    integrity::IntegrityFact, office::OfficeFact,
};
use evidence::hash::hex;
use uuid::Uuid;

use super::{
    fold::{Fold, Folded},
    number,
};
use crate::{envelope::Envelope, error::Error};

pub(super) async fn office(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &OfficeFact,
) -> Result<Folded, Error> {
    let code = match fact {
        OfficeFact::Enrolled(fact) => &fact.code,
        OfficeFact::Rekeyed(fact) => &fact.code,
    };
    if OfficeId::of(code).bytes() != envelope.stream.id {
        return Ok(Folded::Misplaced);
    }
    let fact = match fact {
        OfficeFact::Enrolled(fact) => fact,
        OfficeFact::Rekeyed(fact) => {
            let sql = "UPDATE offices SET log_key = $2, witness_key = $3 WHERE code = $1";
            let statement = sqlx::query(sql)
                .bind(fact.code.as_str())
                .bind(hex(&fact.log_key))
                .bind(hex(&fact.witness_key));
            return fold.run(statement).await;
        }
    };
    let statement = sqlx::query(
        "INSERT INTO offices (code, name_kk, name_ru, name_en, zone, log_key, witness_key, \
         enrolled_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (code) DO NOTHING",
    )
    .bind(fact.code.as_str())
    .bind(fact.name_kk.as_str())
    .bind(fact.name_ru.as_str())
    .bind(fact.name_en.as_str())
    .bind(fact.zone.as_str())
    .bind(hex(&fact.log_key))
    .bind(hex(&fact.witness_key))
    .bind(envelope.occurred_at);
    fold.run(statement).await
}

/// A closed epoch gives the office's log the key of the next one. Nothing else that logs say of
/// logs has a table: it is evidence, and read from the logs.
pub(super) async fn integrity(fold: &mut Fold<'_>, fact: &IntegrityFact) -> Result<Folded, Error> {
    if let IntegrityFact::Closed(fact) = fact {
        let statement = sqlx::query("UPDATE offices SET log_key = $2 WHERE code = upper($1)")
            .bind(fact.log.as_str())
            .bind(hex(&fact.successor_key));
        // The centre closes epochs of its own logs too, which belong to no row.
        fold.run(statement).await?;
    }
    Ok(Folded::Done)
}

pub(super) async fn classifier(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &ClassifierFact,
) -> Result<Folded, Error> {
    let ClassifierFact::Published(fact) = fact;
    if ClassifierId::of(&fact.id).bytes() != envelope.stream.id {
        return Ok(Folded::Misplaced);
    }
    for (place, entry) in (0_u64..).zip(&fact.entries) {
        let statement = sqlx::query(
            "INSERT INTO classifiers (id, version, code, place, name_kk, name_ru, name_en) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id, version, code) DO NOTHING",
        )
        .bind(fact.id.as_str())
        .bind(fact.version)
        .bind(entry.code.as_str())
        .bind(number(place))
        .bind(entry.kk.as_str())
        .bind(entry.ru.as_str())
        .bind(entry.en.as_str());
        fold.run(statement).await?;
    }
    Ok(Folded::Done)
}

pub(super) async fn access(
    fold: &mut Fold<'_>,
    envelope: &Envelope,
    fact: &AccessFact,
) -> Result<Folded, Error> {
    let AccessFact::RecordsOpened(fact) = fact;
    let records = u64::try_from(fact.events.len()).unwrap_or(u64::MAX);
    let statement = sqlx::query(
        "INSERT INTO openings (office, id, log, epoch, seq, at, month, purpose, actor, records) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (log, epoch, seq) DO NOTHING",
    )
    .bind(envelope.office.as_str())
    .bind(Uuid::from_bytes(envelope.event_id))
    .bind(envelope.log.as_str())
    .bind(envelope.epoch)
    .bind(number(envelope.seq))
    .bind(envelope.occurred_at)
    .bind(fold.month(envelope.occurred_at, &envelope.zone))
    .bind(fact.purpose.as_str())
    .bind(Uuid::from_bytes(envelope.actor))
    .bind(number(records));
    fold.run(statement).await
}
