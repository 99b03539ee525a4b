//! From a person's command to durable facts, or to a reason why not.
//!
//! The way: known already? → load the stream → the pure rule in `domain` → seal and encode → one
//! transaction for all streams of the decision → answered when it is durable.

use domain::appeal::{AppealFact, AppealRequest};
use domain::decide::{Context, Decision, LogTarget};
use domain::directive::DispatchRequest;
use domain::ids::DirectiveId;
use domain::number::NumberError;
use domain::permission::{self, Actor};
use domain::task::TaskFact;
use domain::{Fact, OfficeCode, Refusal, RegistrationNumber, Request, StreamKind, Timestamp, Zone};
use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::record::StreamRef;
use journal::{Append, CommandClaim, CommandKey, CommitError, ExpectedVersion, ReadError};
use journal::{Committed, Role, Transaction, UNKNOWN_REQUEST};
use thiserror::Error;
use uuid::Uuid;

use crate::epochs;
use crate::facts::{self, FactsError};
use crate::numbers::NumbersError;
use crate::office::{Office, downlink, own_log};
use crate::project;
use crate::reseed;
use crate::seal::{self, Provenance, SealError};
use crate::writer::WriteError;

/// A command after decoding.
#[derive(Clone, Debug)]
pub struct Order {
    /// Chosen by the caller: the same for every repetition.
    pub command_id: Uuid,
    /// The stream it is about. Streams whose id follows from their content ignore it.
    pub stream_id: Uuid,
    /// Version of the stream that the caller has seen; 0 begins one.
    pub expected_version: u32,
    /// When it happened; `None`: now.
    pub occurred_at: Option<Timestamp>,
    /// Where it happened; `None`: in the office's zone.
    pub zone: Option<Zone>,
    /// What led to it; nil: nothing.
    pub causation: Uuid,
    /// What one undertaking shares; nil: nothing.
    pub correlation: Uuid,
    /// What is asked.
    pub request: Request,
    /// Hash over everything that makes a repetition the same command.
    pub request_hash: Hash,
    /// Control facts to commit with it, e.g. the cursor of a duty.
    pub controls: Vec<journal::Control>,
}

/// What a command led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// First fact.
    pub first: Position,
    /// Sequence of the last fact of the command's own stream.
    pub last_sequence: u64,
    /// The stream.
    pub stream_id: Uuid,
    /// Its version now.
    pub stream_version: u32,
    /// The writer's clock, microseconds since 1970.
    pub recorded_at: i64,
    /// Nothing was appended: this command had been carried out before.
    pub replayed: bool,
    /// The registration number, if the command registered an appeal.
    pub reg_no: Option<String>,
}

/// Why a command recorded nothing.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The stream has moved on, or has not come so far.
    #[error("the stream is at version {actual}, the command expects {expected}; read it again")]
    VersionConflict {
        /// As the command says.
        expected: u32,
        /// As it is.
        actual: u32,
    },
    /// The command id belongs to another request.
    #[error("this command id was used for another request; choose a new one")]
    CommandReused,
    /// The journal refused or has stopped.
    #[error(transparent)]
    Write(WriteError),
    /// The stream cannot be read.
    #[error("load the stream")]
    Load(#[from] FactsError),
    /// The personal part cannot be sealed.
    #[error("seal the personal part")]
    Seal(#[from] SealError),
    /// This year's registration numbers are used up.
    #[error("give a registration number")]
    Number(#[from] NumberError),
    /// No registration number can be handed out; the text says what to do.
    #[error(transparent)]
    Numbers(NumbersError),
    /// A log name cannot be made from an office code.
    #[error("name the log")]
    Log(#[from] evidence::log::LogNameError),
}

impl From<WriteError> for ExecuteError {
    fn from(error: WriteError) -> ExecuteError {
        match error {
            WriteError::Refused(CommitError::VersionConflict { expected, actual, .. }) => {
                ExecuteError::VersionConflict { expected, actual }
            }
            WriteError::Refused(CommitError::CommandReused) => ExecuteError::CommandReused,
            other => ExecuteError::Write(other),
        }
    }
}

impl From<ReadError> for ExecuteError {
    fn from(error: ReadError) -> ExecuteError {
        ExecuteError::Load(FactsError::Read(error))
    }
}

/// Carries out one command for an authenticated actor.
///
/// # Errors
/// [`ExecuteError`]; nothing is recorded then, except that after [`WriteError::Stopped`] the
/// outcome is unknown: the same command with the same id tells.
pub async fn execute(
    office: &Office,
    actor: &Actor,
    order: Order,
) -> Result<Receipt, ExecuteError> {
    permission::check(actor, &office.code, &order.request)?;
    // Before anything is decided: numbers and versions follow from what may still come back.
    if let Some(reason) = reseed::reason(&office.journal, &office.logs.own) {
        let log = office.logs.own.clone();
        return Err(ExecuteError::Write(WriteError::ReadOnly { log, reason }));
    }
    let key =
        CommandKey { principal: actor.person.bytes(), command_id: *order.command_id.as_bytes() };
    if let Some(hit) = office.journal.find_command(&key).await? {
        if hit.request_hash != order.request_hash && hit.request_hash != UNKNOWN_REQUEST {
            return Err(ExecuteError::CommandReused);
        }
        return replayed(office, &hit).await;
    }
    let decided = decide(office, actor, &order).await?;
    let transaction = transaction(office, actor, &order, key, &decided).await?;
    let committed = office.writer.write(transaction).await?;
    if decided.decision.streams.iter().any(|(target, _)| target.log == LogTarget::All) {
        // What the centre publishes takes effect with the answer. It is recorded even where an
        // older record cannot be read; the fold of the tables tells of that.
        let _ = project::learn_now(office);
        if let Request::Office(request) = &order.request {
            // Its next link is made with the new keys.
            office.links.end(request.code());
        }
    }
    if committed.replayed {
        // The same command came twice at once; the other one was first.
        return match office.journal.find_command(&key).await? {
            Some(hit) => replayed(office, &hit).await,
            None => Err(ExecuteError::Write(WriteError::Stopped)),
        };
    }
    receipt(&decided, &committed).ok_or(ExecuteError::Write(WriteError::Stopped))
}

struct Decided {
    decision: Decision,
    /// Version of the command's own stream that the decision rests on.
    version: u32,
    occurred_at: Timestamp,
    zone: Zone,
}

async fn decide(office: &Office, actor: &Actor, order: &Order) -> Result<Decided, ExecuteError> {
    let now = Timestamp::from_micros(office.clock.now());
    let occurred_at = order.occurred_at.unwrap_or(now);
    let zone = order.zone.clone().unwrap_or_else(|| office.zone.clone());
    let known = office.country.known();
    let kind = order.request.stream_kind();
    let log = log_of(office, &order.request.log())?;
    let stream = StreamRef { kind: kind.code(), id: *order.stream_id.as_bytes() };
    // Openings are independent of each other: nothing of the past is asked, any version will do.
    let history = match kind {
        StreamKind::Access => Vec::new(),
        _ => history(office, &log, stream).await?,
    };
    let version = history.len() as u32;
    // A stream that follows from its content (an office) is begun by whoever comes first: the
    // rule says so to the second in better words than a version does.
    let begins_again = order.expected_version == 0 && order.request.derived_stream().is_some();
    let any = kind == StreamKind::Access || begins_again;
    if !any && version != order.expected_version {
        return Err(ExecuteError::VersionConflict {
            expected: order.expected_version,
            actual: version,
        });
    }
    let number = match &order.request {
        Request::Appeal(AppealRequest::Receive(_)) => Some(registration_number(office, now).await?),
        _ => None,
    };
    let report = match &order.request {
        Request::Dispatch(DispatchRequest::Accept(asked)) => {
            last_report(office, asked.directive, &asked.office).await?
        }
        Request::Dispatch(DispatchRequest::Return(asked)) => {
            last_report(office, asked.directive, &asked.office).await?
        }
        _ => None,
    };
    let offices: Vec<OfficeCode> = known.offices.keys().cloned().collect();
    let context = Context {
        office: &office.code,
        stream: order.stream_id,
        now,
        occurred_at,
        zone: &zone,
        actor,
        classifiers: &known.classifiers,
        number: number.as_ref(),
        offices: &offices,
        report,
        epoch: mirrored_epoch(office, &order.request)?,
    };
    let decision = domain::decide::decide(&history, &order.request, &context)?;
    let version = if begins_again { version } else { order.expected_version };
    Ok(Decided { decision, version, occurred_at, zone })
}

async fn history(
    office: &Office,
    log: &LogName,
    stream: StreamRef,
) -> Result<Vec<Fact>, ExecuteError> {
    let records = office.journal.stream(log, stream).await?;
    Ok(records.iter().map(facts::open_part).collect::<Result<_, _>>()?)
}

/// The newest epoch that this office mirrors of the log of the office that the request is about.
fn mirrored_epoch(office: &Office, request: &Request) -> Result<Option<u32>, ExecuteError> {
    let Request::Office(request) = request else { return Ok(None) };
    let log = own_log(request.code())?;
    let logs = office.journal.logs().into_iter();
    let mirrored = logs.filter(|info| info.role == Role::Mirror && info.log == log);
    Ok(mirrored.map(|info| info.epoch).max())
}

/// Version of the last report in the office's task stream that this node holds.
async fn last_report(
    office: &Office,
    directive: DirectiveId,
    addressee: &OfficeCode,
) -> Result<Option<u32>, ExecuteError> {
    let task = StreamRef { kind: StreamKind::Task.code(), id: directive.bytes() };
    let facts = history(office, &own_log(addressee)?, task).await?;
    let last = facts.iter().rposition(|fact| matches!(fact, Fact::Task(TaskFact::Reported(_))));
    Ok(last.map(|index| index as u32 + 1))
}

/// The next number of the year in which the office registers, which is now.
async fn registration_number(
    office: &Office,
    now: Timestamp,
) -> Result<RegistrationNumber, ExecuteError> {
    let year = office.zone.date_of(now).map_or(1970, domain::number::year_of);
    let counter = office.numbers.next(year, &office.journal, &office.writer).await?;
    let epoch = office.own_epoch();
    Ok(RegistrationNumber::issue(&office.code, year, epoch, counter, &office.number_key)?)
}

fn log_of(office: &Office, target: &LogTarget) -> Result<LogName, evidence::log::LogNameError> {
    match target {
        LogTarget::Own => Ok(office.logs.own.clone()),
        LogTarget::All => Ok(office.logs.all.clone()),
        LogTarget::To(addressee) => downlink(addressee),
    }
}

async fn transaction(
    office: &Office,
    actor: &Actor,
    order: &Order,
    key: CommandKey,
    decided: &Decided,
) -> Result<Transaction, ExecuteError> {
    let provenance = Provenance {
        actor,
        occurred_at: decided.occurred_at,
        zone: &decided.zone,
        command: order.command_id,
        causation: order.causation,
        correlation: order.correlation,
    };
    let mut appends = Vec::with_capacity(decided.decision.streams.len());
    for (index, (target, facts)) in decided.decision.streams.iter().enumerate() {
        let log = log_of(office, &target.log)?;
        if matches!(target.log, LogTarget::To(_)) {
            epochs::open_downlink(office, &log).await.map_err(WriteError::Refused)?;
        }
        let stream = StreamRef { kind: target.kind.code(), id: *target.id.as_bytes() };
        let drafts = facts
            .iter()
            .map(|fact| seal::draft(office, &log, stream, fact, &provenance))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = match (index, target.kind) {
            (_, StreamKind::Access) => ExpectedVersion::Any,
            (0, _) => ExpectedVersion::Exact(decided.version),
            _ => ExpectedVersion::Exact(0),
        };
        appends.push(Append { log, expected, stream, drafts });
    }
    Ok(Transaction {
        command: Some(CommandClaim { key, request_hash: order.request_hash }),
        appends,
        controls: order.controls.clone(),
        ..Transaction::default()
    })
}

fn receipt(decided: &Decided, committed: &Committed) -> Option<Receipt> {
    let (target, facts) = decided.decision.streams.first()?;
    let own = committed.positions.get(..facts.len())?;
    let (_, stream_version) = committed.versions.first()?;
    Some(Receipt {
        first: own.first()?.clone(),
        last_sequence: own.last()?.seq,
        stream_id: target.id,
        stream_version: *stream_version,
        recorded_at: committed.recorded_at,
        replayed: false,
        reg_no: decided.decision.registration().map(ToString::to_string),
    })
}

/// Waits until the records of a command are published: its repetition may come at the very
/// moment at which the first one becomes durable.
async fn published(
    office: &Office,
    log: &LogName,
    hit: &journal::CommandHit,
) -> Result<(), ExecuteError> {
    let mut grown = office.writer.grown();
    loop {
        grown.mark_seen();
        let size = office.journal.log(log, hit.epoch).map_or(0, |info| info.size);
        if size >= hit.first_seq + hit.count {
            return Ok(());
        }
        grown.changed().await.map_err(|_| ExecuteError::Write(WriteError::Stopped))?;
    }
}

/// The receipt of a command that was carried out before, made from its records.
async fn replayed(office: &Office, hit: &journal::CommandHit) -> Result<Receipt, ExecuteError> {
    let count = usize::try_from(hit.count).unwrap_or(usize::MAX);
    let log = hit.log.as_ref().ok_or(ExecuteError::Write(WriteError::Stopped))?;
    published(office, log, hit).await?;
    let records = office.journal.range(log, hit.epoch, hit.first_seq, count, usize::MAX)?;
    let first = records.first().ok_or(ExecuteError::Write(WriteError::Stopped))?;
    let stream = first.header().stream;
    let own = records.iter().take_while(|record| record.header().stream == stream);
    let last = own.last().unwrap_or(first).header();
    let mut number = None;
    for record in &records {
        number = number.or(reg_no(&facts::open_part(record)?));
    }
    Ok(Receipt {
        first: first.header().position(),
        last_sequence: last.seq,
        stream_id: Uuid::from_bytes(stream.id),
        stream_version: last.stream_version,
        recorded_at: last.recorded_at,
        replayed: true,
        reg_no: number,
    })
}

fn reg_no(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Appeal(AppealFact::Registered(registered)) => Some(registered.reg_no.to_string()),
        _ => None,
    }
}
