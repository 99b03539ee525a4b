//! One batch of facts into the tables, in one transaction with the positions.

use std::collections::BTreeMap;

use domain::integrity::IntegrityFact;
use domain::{Fact, OfficeCode, StreamKind};
use evidence::log::LogName;
use sqlx::{Row, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;

use super::{Views, appeal, centre, directive, number, work};
use crate::{calendar::Calendar, envelope::Envelope, error::Error};

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The text that moves a row on to the envelope's version, see [`about`].
macro_rules! advance {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET version = $3, log = $4, epoch = $5, seq = $6 WHERE office = $1 AND id = $2"
        )
    };
}

/// Whether a fact had a place in the tables.
pub(super) enum Folded {
    /// It changed, or needed to change, its rows.
    Done,
    /// What it refers to is not there; streams begin with their first fact, so it never will be.
    Orphan,
    /// It does not belong into the log it came in.
    Misplaced,
}

/// The transaction of one batch.
pub(super) struct Fold<'a> {
    connection: &'a mut SqliteConnection,
    /// Days and months in zones.
    pub calendar: Calendar,
}

impl Views {
    /// Folds a batch of records, each log's in its order, into the tables. The whole batch and the
    /// positions it leads to are one transaction: after an error nothing of it is stored. Records
    /// below the position are skipped as already folded. About 1,000 records make a good batch.
    ///
    /// Facts of unknown types, and facts that do not belong into their log, are counted
    /// ([`Views::skipped`]) and passed over: they must not stop what comes after them.
    ///
    /// # Errors
    /// [`Error::Gap`], [`Error::EpochBehind`], [`Error::Database`], [`Error::Damaged`].
    pub async fn apply(&self, batch: &[Envelope]) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.doubting(self.write(batch).await)
    }

    async fn write(&self, batch: &[Envelope]) -> Result<(), Error> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut cursors = Cursors::load(&mut tx).await?;
        let mut fold = Fold { connection: &mut tx, calendar: Calendar::default() };
        for envelope in batch {
            if cursors.admits(envelope)? {
                fold.one(envelope).await?;
            }
        }
        cursors.store(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Fold<'_> {
    async fn one(&mut self, envelope: &Envelope) -> Result<(), Error> {
        let folded = match &envelope.fact {
            _ if !belongs(envelope) => Folded::Misplaced,
            Fact::Unknown { .. } => {
                self.advance(envelope).await?;
                return self.skip(envelope, "unknown").await;
            }
            Fact::Contact(fact) => work::contact(self, envelope, fact).await?,
            Fact::Appeal(fact) => appeal::appeal(self, envelope, fact).await?,
            Fact::Reception(fact) => work::reception(self, envelope, fact).await?,
            Fact::Measure(fact) => work::measure(self, envelope, fact).await?,
            Fact::Activity(fact) => work::activity(self, envelope, fact).await?,
            Fact::Directive(fact) => directive::directive(self, envelope, fact).await?,
            Fact::Dispatch(fact) => directive::dispatch(self, envelope, fact).await?,
            Fact::Task(fact) => directive::task(self, envelope, fact).await?,
            Fact::Office(fact) => centre::office(self, envelope, fact).await?,
            Fact::Classifier(fact) => centre::classifier(self, envelope, fact).await?,
            Fact::Access(fact) => centre::access(self, envelope, fact).await?,
            Fact::Integrity(fact) => centre::integrity(self, fact).await?,
        };
        match folded {
            Folded::Done => Ok(()),
            Folded::Orphan => self.skip(envelope, "orphan").await,
            Folded::Misplaced => self.skip(envelope, "misplaced").await,
        }
    }

    /// A fact of an unknown type moves its stream on all the same: the version that the next
    /// command must expect counts it.
    async fn advance(&mut self, envelope: &Envelope) -> Result<(), Error> {
        let kind = StreamKind::from_code(envelope.stream.kind);
        let statement = match kind {
            Some(StreamKind::Contact) => about(advance!("contacts"), envelope),
            Some(StreamKind::Appeal) => about(advance!("appeals"), envelope),
            Some(StreamKind::Reception) => about(advance!("receptions"), envelope),
            Some(StreamKind::Measure) => about(advance!("measures"), envelope),
            Some(StreamKind::Activity) => about(advance!("activities"), envelope),
            Some(StreamKind::Task) => directive::task_advanced(envelope),
            Some(StreamKind::Dispatch) => match directive::dispatch_advanced(envelope) {
                Some(statement) => statement,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.run(statement).await?;
        Ok(())
    }

    async fn skip(&mut self, envelope: &Envelope, reason: &'static str) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO skipped (log, reason, type_code, records) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (log, reason, type_code) DO UPDATE SET records = skipped.records + 1",
        )
        .bind(envelope.log.as_str())
        .bind(reason)
        .bind(envelope.type_code)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// The month of `micros` in a zone.
    pub(super) fn month(&mut self, micros: i64, zone: &str) -> String {
        self.calendar.month(micros, zone)
    }

    /// The text in the first column of the one row that a query finds.
    pub(super) async fn text(&mut self, query: Statement<'_>) -> Result<Option<String>, Error> {
        let row = query.fetch_optional(&mut *self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Runs a statement; says whether it changed anything.
    pub(super) async fn run(&mut self, statement: Statement<'_>) -> Result<Folded, Error> {
        let done = statement.execute(&mut *self.connection).await?;
        Ok(if done.rows_affected() == 0 { Folded::Orphan } else { Folded::Done })
    }
}

/// A statement about the row of the envelope's own stream. Its values $1 to $6 are office, stream,
/// stream version, log, epoch and sequence; further ones are bound by the caller.
pub(super) fn about(sql: &'static str, envelope: &Envelope) -> Statement<'static> {
    sqlx::query(sql)
        .bind(envelope.office.as_str())
        .bind(Uuid::from_bytes(envelope.stream.id))
        .bind(envelope.stream_version)
        .bind(envelope.log.as_str())
        .bind(envelope.epoch)
        .bind(number(envelope.seq))
}

/// Whether a fact stands in a log it may stand in: an office's work in the office's own log, what
/// the centre says to all in `<centre>/all`, a dispatch in `<centre>/<office>`. A log of a region
/// can therefore neither enrol an office nor speak for another one. Streams of kinds that this
/// build does not know may stand anywhere: nothing is made of them.
fn belongs(envelope: &Envelope) -> bool {
    let fact = envelope.fact.stream_kind();
    let is_unknown = matches!(envelope.fact, Fact::Unknown { .. });
    let Some(kind) = StreamKind::from_code(envelope.stream.kind) else {
        return is_unknown;
    };
    if !is_unknown && fact != Some(kind) {
        return false;
    }
    let log = envelope.log.as_str();
    let office = &envelope.office;
    match kind {
        StreamKind::Office | StreamKind::Classifier => {
            office.is_centre() && log == format!("{}/all", office.lower())
        }
        StreamKind::Dispatch => office.is_centre() && addressee(&envelope.log, office).is_some(),
        StreamKind::Directive => office.is_centre() && is_own(log, office),
        // What a log says of itself stands in that log, what the centre says of logs in the one
        // that all read.
        StreamKind::Integrity => match &envelope.fact {
            Fact::Integrity(IntegrityFact::Succeeds(fact)) => fact.log == log,
            Fact::Integrity(IntegrityFact::KeyRotated(fact)) => fact.log == log,
            Fact::Integrity(IntegrityFact::Recovered(fact)) => fact.log == log,
            Fact::Integrity(IntegrityFact::HeadsAccepted(_) | IntegrityFact::Closed(_)) => {
                office.is_centre() && log == format!("{}/all", office.lower())
            }
            _ => true,
        },
        _ => is_own(log, office),
    }
}

fn is_own(log: &str, office: &OfficeCode) -> bool {
    log.eq_ignore_ascii_case(office.as_str())
}

/// The office that the centre's log `<centre>/<office>` is written to.
pub(super) fn addressee(log: &LogName, centre: &OfficeCode) -> Option<OfficeCode> {
    let (writer, reader) = log.as_str().split_once('/')?;
    if !is_own(writer, centre) {
        return None;
    }
    OfficeCode::new(&reader.to_ascii_uppercase()).ok().filter(|office| !office.is_centre())
}

/// The sequences that come next, as the transaction sees them.
struct Cursors {
    next: BTreeMap<(LogName, u32), u64>,
    changed: BTreeMap<(LogName, u32), u64>,
}

impl Cursors {
    async fn load(connection: &mut SqliteConnection) -> Result<Self, Error> {
        let rows =
            sqlx::query("SELECT log, epoch, next_seq FROM positions").fetch_all(connection).await?;
        let mut next = BTreeMap::new();
        for row in rows {
            let log: String = row.try_get(0)?;
            let log = LogName::new(&log).map_err(|error| Error::Damaged(error.to_string()))?;
            next.insert((log, row.try_get(1)?), row.try_get(2)?);
        }
        Ok(Self { next, changed: BTreeMap::new() })
    }

    /// Whether the record is the next one of its log (then it is counted), or known already.
    fn admits(&mut self, envelope: &Envelope) -> Result<bool, Error> {
        let key = (envelope.log.clone(), envelope.epoch);
        let expected = self.next.get(&key).copied().unwrap_or(0);
        if envelope.seq < expected {
            return Ok(false);
        }
        let (log, epoch) = key.clone();
        if envelope.seq > expected {
            return Err(Error::Gap { log, epoch, expected, got: envelope.seq });
        }
        let later = (log.clone(), epoch.saturating_add(1))..=(log.clone(), u32::MAX);
        if let Some(((_, open), _)) = self.next.range(later).find(|((_, open), _)| *open > epoch) {
            return Err(Error::EpochBehind { log, epoch, open: *open });
        }
        self.next.insert(key.clone(), expected + 1);
        self.changed.insert(key, expected + 1);
        Ok(true)
    }

    async fn store(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        for ((log, epoch), next) in self.changed {
            sqlx::query(
                "INSERT INTO positions (log, epoch, next_seq) VALUES ($1, $2, $3) \
                 ON CONFLICT (log, epoch) DO UPDATE SET next_seq = excluded.next_seq",
            )
            .bind(log.as_str())
            .bind(epoch)
            .bind(number(next))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}
