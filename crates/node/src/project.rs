//! Brings the tables up to date with the logs, and makes them anew where they are wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::OfficeCode;
use evidence::log::{LogName, LogNameError};
use evidence::record::{HeadRef, Record, TraceContext};
use journal::{LogInfo, ReadError};
use projection::{Envelope, Views};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::facts;
use crate::link::store;
use crate::marks::{self, About};
use crate::office::{Office, SharedOffice};
use crate::records::Records;
use crate::tables::{Folding, LogEpoch};
use crate::trace;

/// Records folded in one transaction of the tables.
const BATCH: usize = 1_000;
/// Bytes of records in one transaction.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Pause before another try where a log could not be folded.
const RETRY: Duration = Duration::from_secs(5);
/// Pause where nothing grows.
const IDLE: Duration = Duration::from_secs(3_600);
/// What is told of `kz/all` apart from its fold into the tables.
const PUBLISHED: &str = "what the centre published";

/// Sequences that the tables need next.
type Positions = BTreeMap<LogEpoch, u64>;

/// Why a log is not folded to its end.
#[derive(Debug, Error)]
enum FoldError {
    /// A record cannot be read; what is before it is folded.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tables do not take it.
    #[error(transparent)]
    Tables(#[from] projection::Error),
    /// A log is not named as the logs of this network are.
    #[error("{0}")]
    Name(String),
    /// The reading thread has failed.
    #[error("read a batch of records: {0}")]
    Thread(#[from] tokio::task::JoinError),
    /// It was asked to end.
    #[error("the fold was asked to end")]
    Stopped,
}

impl FoldError {
    /// Whether the tables are unusable: trying again will not help.
    fn is_ruin(&self) -> bool {
        use projection::Error::{Damaged, EpochBehind, Gap};
        matches!(self, FoldError::Tables(Damaged(_) | Gap { .. } | EpochBehind { .. }))
    }

    /// The place of the damaged record that it is about.
    fn place(&self) -> Option<String> {
        match self {
            FoldError::Read(ReadError::Damaged { log, epoch, seq, .. }) => {
                Some(format!("{log} epoch {epoch} sequence {seq}"))
            }
            _ => None,
        }
    }
}

/// Opens the tables and looks at them. Tables that hold more than the logs belong to another
/// journal: they are folded anew. Tables that hold all that the logs do may be asked at once.
///
/// # Errors
/// The tables' file cannot be opened or read.
pub async fn start(office: &Office) -> Result<(), String> {
    let opened = office.views.begin().await;
    let opened = opened.map_err(|error| format!("open the tables: {}", chain(&error)))?;
    info!(tables = ?opened, "tables opened");
    let positions = positions(&office.views).await.map_err(|error| chain(&error))?;
    let is_beyond = |((log, epoch), next): (&LogEpoch, &u64)| {
        office.journal.log(log, *epoch).is_none_or(|info| *next > info.size)
    };
    if positions.iter().any(is_beyond) {
        warn!("the tables hold more than the logs; they are folded anew");
        office.tables.doubt();
    }
    office.tables.folded(&positions, None);
    Ok(())
}

/// Folds whenever something became durable, until shutdown.
///
/// A log that cannot be read is tried again later; the others go on.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    loop {
        grown.mark_seen();
        let complete = catch_up(&office).await?;
        let pause = if complete { IDLE } else { RETRY };
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| ended.to_string())?;
            }
            () = office.tables.doubts.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Folds every log up to its durable end; false if one could not be.
///
/// # Errors
/// The tables are unusable and cannot be made anew in their file.
async fn catch_up(office: &SharedOffice) -> Result<bool, String> {
    let mut turn = office.tables.folding.lock().await;
    fold_whole(office, &mut turn, &mut |_| {}).await
}

/// Drops the tables and folds them again from the logs; `progress` hears how many records each
/// step took. They are not asked meanwhile.
///
/// # Errors
/// They could not be folded to the end of every log.
pub async fn rebuild(
    office: &SharedOffice,
    mut progress: impl FnMut(u64) + Send,
) -> Result<(), String> {
    let mut turn = office.tables.folding.lock().await;
    office.tables.doubt();
    match fold_whole(office, &mut turn, &mut progress).await? {
        true => Ok(()),
        false => Err("a log could not be folded to its end; see the node's log".to_owned()),
    }
}

/// Folds the logs into a second file, as far as the tables are, and names the tables that differ.
/// Recording and folding go on meanwhile. Tables that differ are not asked any more and are made
/// anew. Only one at a time: the caller holds `checking`. Ends soon after `stop`.
///
/// # Errors
/// What kept the comparison from being made.
pub async fn compare(
    office: &SharedOffice,
    stop: &CancellationToken,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Vec<&'static str>, String> {
    let text = |error: projection::Error| chain(&error);
    let ours = office.views.fingerprint().await.inspect_err(|error| office.tables.hear(error));
    let ours = ours.map_err(text)?;
    let folder = office.options.data.join("check");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let second = Views::open(&folder.join("views.sqlite")).await.map_err(text)?;
    let compared = async {
        second.reset().await.map_err(text)?; // what a check left that was cut short
        for held in &ours.positions {
            let log: LogName = held.log.parse().map_err(|e: LogNameError| e.to_string())?;
            let Some(mut info) = office.journal.log(&log, held.epoch) else { continue };
            info.size = held.next_seq.min(info.size);
            let mut after = |batch: &Batch, _: Duration| progress(batch.envelopes.len() as u64);
            let (journal, target) = (&office.journal, (&second, stop));
            let folded = fold_log(journal, target, &info, 0, &mut after).await;
            folded.map_err(|error| chain(&error))?;
        }
        Ok(ours.differing(&second.fingerprint().await.map_err(text)?))
    };
    let differing: Result<Vec<_>, String> = compared.await;
    second.discard().await.map_err(text)?;
    if let Ok(tables) = &differing
        && !tables.is_empty()
    {
        error!(?tables, "tables differ from a fold of the logs and are made anew");
        office.views.distrust();
        office.tables.doubt();
    }
    differing
}

/// As [`learn_now`], on a thread of its own.
///
/// # Errors
/// As [`learn_now`].
pub async fn learn(office: &SharedOffice) -> Result<(), String> {
    let office = office.clone();
    let learned = tokio::task::spawn_blocking(move || learn_now(&office)).await;
    learned.map_err(|error| error.to_string())?.map_err(|error| chain(&error))
}

/// Brings up to date what the centre has published.
///
/// # Errors
/// The first record that cannot be read; what is before it is known.
pub fn learn_now(office: &Office) -> Result<(), ReadError> {
    let log = &office.logs.all;
    for info in office.journal.logs().into_iter().filter(|info| info.log == *log) {
        if let Some(mark) = marks::of(office, About::Complete, log, info.epoch) {
            office.country.completed(info.epoch, mark.target);
        }
    }
    office.country.catch_up(&office.journal, log, |epoch| {
        let head = store::accepted(office, log, epoch)?;
        Some(HeadRef { size: head.size, root: head.root })
    })
}

/// Folds everything; tables that are wrong are made anew first, and again once where the fold
/// finds them unusable.
async fn fold_whole(
    office: &SharedOffice,
    turn: &mut Folding,
    progress: &mut (impl FnMut(u64) + Send),
) -> Result<bool, String> {
    match learn(office).await {
        Ok(()) => turn.told.forget(PUBLISHED),
        Err(reason) if turn.told.is_new(PUBLISHED, &reason) => error!(reason, "read {PUBLISHED}"),
        Err(_) => {}
    }
    loop {
        let folded = match remake(office).await {
            Ok(()) => fold_all(office, turn, progress).await,
            Err(error) => Err(error),
        };
        match folded {
            Ok(complete) => return Ok(complete),
            Err(error) if error.is_ruin() => {
                let reason = chain(&error);
                if office.tables.ruined() > 1 {
                    return Err(format!(
                        "the tables cannot be made anew in their file ({reason}); the next start \
                         makes a new file"
                    ));
                }
                error!(reason, "the tables are unusable and are made anew");
            }
            Err(error) => {
                let reason = chain(&error);
                if turn.told.is_new("tables", &reason) {
                    error!(reason, "fold the logs");
                }
                return Ok(false);
            }
        }
    }
}

/// Empties the tables if they are wrong.
async fn remake(office: &Office) -> Result<(), FoldError> {
    if office.tables.is_doubted() {
        office.views.reset().await?;
        office.tables.begin(office.journal.logs());
    }
    Ok(())
}

/// Folds every log to its end; false if one could not be.
async fn fold_all(
    office: &SharedOffice,
    turn: &mut Folding,
    progress: &mut (impl FnMut(u64) + Send),
) -> Result<bool, FoldError> {
    let stop = office.supervisor.stopping();
    let mut positions = positions(&office.views).await?;
    turn.told.forget("tables");
    let (mut complete, mut stuck) = (true, None);
    for info in office.journal.logs() {
        let key = (info.log.clone(), info.epoch);
        let next = positions.get(&key).copied().unwrap_or(0);
        let mut after = |batch: &Batch, took: Duration| {
            office.metrics.views_folded(took);
            positions.insert(key.clone(), batch.next);
            measure(office, &positions);
            mark(office, batch, turn.fresh.entry(key.clone()).or_insert(0));
            progress(batch.envelopes.len() as u64);
        };
        let target = (&office.views, &stop);
        let folded = fold_log(&office.journal, target, &info, next, &mut after).await;
        let Err(error) = folded else {
            turn.told.forget(info.log.as_str());
            continue;
        };
        complete = false;
        match error {
            error if error.is_ruin() => return Err(error),
            FoldError::Stopped => break,
            error => {
                let reason = chain(&error);
                if turn.told.is_new(info.log.as_str(), &reason) {
                    error!(log = %info.log, epoch = info.epoch, reason, "fold log");
                }
                stuck = stuck.or(error.place());
            }
        }
    }
    measure(office, &positions);
    office.tables.folded(&positions, stuck);
    Ok(complete)
}

/// How far every log is folded into `views`.
async fn positions(views: &Views) -> Result<Positions, projection::Error> {
    let mut positions = Positions::new();
    for held in views.positions().await? {
        let log = held.log.parse::<LogName>();
        let log = log.map_err(|error| projection::Error::Damaged(error.to_string()))?;
        positions.insert((log, held.epoch), held.next_seq);
    }
    Ok(positions)
}

/// Folds one log from `next` up to the size that `info` says; `after` hears of each batch and of
/// the time that the tables took. What is before a damaged record is folded. Ends soon after
/// `stop`.
async fn fold_log(
    journal: &Records,
    (views, stop): (&Views, &CancellationToken),
    info: &LogInfo,
    mut next: u64,
    after: &mut (impl FnMut(&Batch, Duration) + Send),
) -> Result<(), FoldError> {
    while next < info.size {
        if stop.is_cancelled() {
            return Err(FoldError::Stopped);
        }
        let (of, journal) = (info.clone(), journal.clone());
        let read = tokio::task::spawn_blocking(move || Batch::read(&journal, &of, next));
        let batch = read.await??;
        let began = Instant::now();
        views.apply(&batch.envelopes).await?;
        after(&batch, began.elapsed());
        next = batch.next;
        if let Some(error) = batch.stopped {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Records of one log as the tables take them.
struct Batch {
    envelopes: Vec<Envelope>,
    /// Sequence and trace of those that carry one.
    traced: Vec<(u64, TraceContext)>,
    /// The sequence behind them.
    next: u64,
    /// Why there are not more of them.
    stopped: Option<ReadError>,
}

impl Batch {
    fn read(journal: &Records, info: &LogInfo, next: u64) -> Result<Batch, FoldError> {
        let owner = owner(&info.log)?;
        let wanted = BATCH.min(usize::try_from(info.size - next).unwrap_or(BATCH));
        let range = facts::range(journal, (&info.log, info.epoch), next, wanted, BATCH_BYTES);
        if let (true, None) = (range.records.is_empty(), &range.stopped) {
            return Err(FoldError::Name(format!("{} holds no record {next}", info.log)));
        }
        let header = |record: &Record| (record.header().seq, record.header().trace);
        let traced = range.records.iter().map(header);
        Ok(Batch {
            traced: traced.filter_map(|(seq, trace)| Some((seq, trace?))).collect(),
            next: next + range.records.len() as u64,
            envelopes: range.records.iter().map(|record| envelope(record, &owner)).collect(),
            stopped: range.stopped,
        })
    }
}

/// The office that writes a log: `kz-75` is KZ-75's, everything below `kz` is the centre's.
fn owner(log: &LogName) -> Result<OfficeCode, FoldError> {
    let first = log.as_str().split('/').next().unwrap_or_default().to_ascii_uppercase();
    first.parse().map_err(|error| FoldError::Name(format!("the owner of log {log}: {error}")))
}

/// A record as the tables take it.
///
/// # Errors
/// Its log is none of an office.
pub fn envelope_of(record: &Record) -> Result<Envelope, String> {
    let owner = owner(&record.header().log).map_err(|error| chain(&error))?;
    Ok(envelope(record, &owner))
}

fn envelope(record: &Record, owner: &OfficeCode) -> Envelope {
    let header = record.header();
    Envelope {
        log: header.log.clone(),
        epoch: header.epoch,
        seq: header.seq,
        event_id: header.event_id,
        stream: header.stream,
        stream_version: header.stream_version,
        office: owner.clone(),
        occurred_at: header.occurred_at,
        recorded_at: header.recorded_at,
        zone: header.zone.as_str().to_owned(),
        actor: header.actor.person,
        type_code: header.type_code,
        fact: facts::open_part_or_unknown(record),
    }
}

/// Says how far the tables are.
fn measure(office: &Office, positions: &Positions) {
    let mut offices: BTreeMap<OfficeCode, u64> = BTreeMap::new();
    let mut lag = 0;
    for info in office.journal.logs() {
        let folded = positions.get(&(info.log.clone(), info.epoch)).copied().unwrap_or(0);
        lag += info.size.saturating_sub(folded);
        if let Ok(owner) = owner(&info.log) {
            *offices.entry(owner).or_default() += folded;
        }
    }
    office.metrics.views_lag(lag);
    for (code, records) in offices {
        office.metrics.views_position(code.as_str(), records);
    }
}

/// One span per new record that carries a trace: the last step of its way.
fn mark(office: &Office, batch: &Batch, fresh: &mut u64) {
    let log = batch.envelopes.first().map(|envelope| envelope.log.as_str()).unwrap_or_default();
    for (seq, trace) in new_traces(batch, fresh) {
        let span = tracing::info_span!("project", office = %office.code, log, seq);
        trace::adopt(&span, Some(&trace));
        span.in_scope(|| {});
    }
}

/// The traces of the batch from the first record on that is new; `fresh` moves behind them.
fn new_traces(batch: &Batch, fresh: &mut u64) -> Vec<(u64, TraceContext)> {
    let first = *fresh;
    *fresh = batch.next.max(first);
    batch.traced.iter().filter(|(seq, _)| *seq >= first).copied().collect()
}

/// An error with its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
