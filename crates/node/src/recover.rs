//! Records of an abandoned epoch of this office's log that were found later, on an old disk.
//!
//! What nobody held is recorded now: the fact again in its own stream, with its event id, its
//! command, its sealed part, who did it and when, and beside it `log.recovered` with the exact
//! bytes. Both are one commit, so a second run, or the old command, finds them and adds nothing.
//! Where a stream went on meanwhile, or the command was carried out again, only `log.recovered` is
//! recorded: a machine does not decide between two histories.

use std::collections::{BTreeMap, BTreeSet};

use domain::StreamKind;
use domain::code::{LogId, NameError};
use domain::ids::IntegrityId;
use domain::integrity::{LogRecovered, StoredBytes};
use evidence::log::LogName;
use evidence::record::{Draft, Record, StreamRef};
use journal::{
    Append, CommandClaim, CommandKey, CommitError, ExpectedVersion, ReadError, Transaction,
    UNKNOWN_REQUEST,
};
use thiserror::Error;
use tracing::info;
use uuid::Uuid;

use crate::link::store;
use crate::office::Office;
use crate::seal::{self, Provenance, SealError};
use crate::writer::WriteError;

/// Largest record whose bytes are kept in another one, which has a header of its own.
const CARRIED: usize = 200 * 1024;

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Their facts were entered.
    pub entered: u64,
    /// They are kept in `log.recovered` alone.
    pub kept_apart: u64,
    /// They are held, or were recovered before.
    pub known: u64,
    /// Of the new ones: how many lie below a head that was signed.
    pub proved: u64,
}

/// Why records cannot be entered.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// A record of another log, or of the epoch that is open.
    #[error(
        "record {place} is none of an epoch of {log} that is over: only those can be recovered; \
         the open one is epoch {open}"
    )]
    Foreign {
        /// Where it was.
        place: String,
        /// This office's log.
        log: LogName,
        /// Its open epoch.
        open: u32,
    },
    /// What is here cannot be read.
    #[error("look for what is here already")]
    Read(#[from] ReadError),
    /// It is not recorded.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The record about it cannot be made.
    #[error("make the record of what was found")]
    Seal(#[from] SealError),
    /// A name cannot be made; never with names that this program made.
    #[error("{0}")]
    Internal(String),
}

impl From<NameError> for RecoverError {
    fn from(error: NameError) -> RecoverError {
        RecoverError::Internal(error.to_string())
    }
}

/// Enters those of the records that nobody holds. What was entered before an error stays.
///
/// # Errors
/// [`RecoverError`].
pub async fn recover(office: &Office, records: Vec<Record>) -> Result<Summary, RecoverError> {
    let (own, open) = (&office.logs.own, office.own_epoch());
    if let Some(reason) = store::read_only_reason(&office.journal, own) {
        return Err(WriteError::ReadOnly { log: own.clone(), reason }.into());
    }
    let mut found = BTreeMap::new();
    for record in records {
        let header = record.header();
        if header.log != *own || header.epoch >= open {
            let (place, log) = (header.position().to_string(), own.clone());
            return Err(RecoverError::Foreign { place, log, open });
        }
        found.entry((header.epoch, header.seq)).or_insert(record);
    }
    let proved = proved(office, &found);
    let mut summary = Summary::default();
    for command in commands(found) {
        let count = command.len() as u64;
        let mut new = Vec::new();
        for record in command {
            if !is_known(office, &record).await? {
                new.push(record);
            }
        }
        summary.known += count - new.len() as u64;
        let count = new.len() as u64;
        let heads: Vec<_> = new.iter().map(|r| proved.get(&place(r)).cloned()).collect();
        summary.proved += heads.iter().flatten().count() as u64;
        match enter(office, &new, &heads).await? {
            true => summary.entered += count,
            false => summary.kept_apart += count,
        }
    }
    info!(?summary, "records that were found are recovered");
    Ok(summary)
}

fn place(record: &Record) -> (u32, u64) {
    (record.header().epoch, record.header().seq)
}

/// The records of one command each, which lie one behind the other.
fn commands(found: BTreeMap<(u32, u64), Record>) -> Vec<Vec<Record>> {
    let mut commands: Vec<Vec<Record>> = Vec::new();
    for record in found.into_values() {
        let is_next = |last: &Vec<Record>| {
            last.last().is_some_and(|last| {
                let (epoch, seq) = place(last);
                key(last) == key(&record) && place(&record) == (epoch, seq + 1)
            })
        };
        match commands.last_mut().filter(|last| is_next(last)) {
            Some(command) => command.push(record),
            None => commands.push(vec![record]),
        }
    }
    commands
}

fn key(record: &Record) -> CommandKey {
    let header = record.header();
    CommandKey { principal: header.actor.person, command_id: header.command_id }
}

/// The event id of the record about a found one.
fn id_of(record: &Record) -> [u8; 16] {
    *Uuid::new_v5(&Uuid::from_bytes(record.header().event_id), b"recovered").as_bytes()
}

/// Whether it is held, or was recovered before.
async fn is_known(office: &Office, record: &Record) -> Result<bool, RecoverError> {
    for id in [record.header().event_id, id_of(record)] {
        if office.journal.find_event(&id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The signed head under which each found record lies: the largest one of its epoch, if what is
/// held and what was found lead to it.
fn proved(office: &Office, found: &BTreeMap<(u32, u64), Record>) -> BTreeMap<(u32, u64), String> {
    let own = &office.logs.own;
    let epochs: BTreeSet<u32> = found.keys().map(|(epoch, _)| *epoch).collect();
    let mut proved = BTreeMap::new();
    for epoch in epochs {
        let Some(head) = store::accepted(office, own, epoch) else { continue };
        let Some(mut edge) = office.journal.frontier(own, epoch) else { continue };
        let run: Vec<_> = (edge.size()..head.size).map(|seq| (epoch, seq)).collect();
        if !run.iter().all(|at| found.contains_key(at)) {
            continue;
        }
        for record in run.iter().filter_map(|at| found.get(at)) {
            edge.append(record.leaf_hash());
        }
        if edge.root() == head.root {
            proved.extend(run.into_iter().map(|at| (at, head.note.clone())));
        }
    }
    proved
}

/// Records the facts of one command again, with what is known of each; where they do not fit, that
/// alone. True if they were entered.
async fn enter(
    office: &Office,
    records: &[Record],
    heads: &[Option<String>],
) -> Result<bool, RecoverError> {
    let Some(first) = records.first() else { return Ok(true) };
    let about = |entered| -> Result<Append, RecoverError> {
        let drafts = records.iter().zip(heads);
        let drafts = drafts.map(|(record, head)| about(office, record, entered, head.clone()));
        let drafts = drafts.collect::<Result<Vec<_>, _>>()?;
        let stream = drafts.first().map_or(first.header().stream, |draft| draft.header.stream);
        let log = office.logs.own.clone();
        Ok(Append { log, expected: ExpectedVersion::Any, stream, drafts })
    };
    if let Some(mut transaction) = again(office, records).await? {
        transaction.appends.push(about(true)?);
        match office.writer.write(transaction).await {
            Ok(committed) if !committed.replayed => return Ok(true),
            // Somebody was faster, or what it names is not here.
            Ok(_)
            | Err(WriteError::Refused(
                CommitError::VersionConflict { .. }
                | CommitError::CommandReused
                | CommitError::StreamInOtherLog { .. }
                | CommitError::AttachmentMissing { .. },
            )) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let appends = vec![about(false)?];
    office.writer.write(Transaction { appends, ..Transaction::default() }).await?;
    Ok(false)
}

/// The facts as they were, at the places that they have now; `None` if they do not fit.
async fn again(office: &Office, records: &[Record]) -> Result<Option<Transaction>, RecoverError> {
    let Some(first) = records.first() else { return Ok(None) };
    let key = key(first);
    let is_named = key.command_id != [0; 16];
    let hit = office.journal.find_command(&key).await?.filter(|_| is_named);
    // A part of it may be held already; anything else was carried out again.
    let (epoch, seq) = place(first);
    let goes_on =
        |hit: &journal::CommandHit| (hit.epoch, hit.first_seq + hit.count) == (epoch, seq);
    if hit.as_ref().is_some_and(|hit| !goes_on(hit)) {
        return Ok(None);
    }
    let mut appends: Vec<Append> = Vec::new();
    for record in records {
        let header = record.header();
        let at = match appends.iter().position(|append| append.stream == header.stream) {
            Some(at) => at,
            None => {
                // What a log said of itself belongs to the epoch that is over.
                let is_own = header.stream.kind == StreamKind::Integrity.code();
                let stored = office.journal.stream(&office.logs.own, header.stream).await?;
                if is_own || stored.len() as u64 + 1 != u64::from(header.stream_version) {
                    return Ok(None);
                }
                let expected = ExpectedVersion::Exact(header.stream_version.saturating_sub(1));
                let (log, stream) = (office.logs.own.clone(), header.stream);
                appends.push(Append { log, expected, stream, drafts: Vec::new() });
                appends.len() - 1
            }
        };
        let (open, sealed) = (record.open().to_vec(), record.sealed().to_vec());
        let draft = Draft { header: header.clone(), blind: record.blind(), open, sealed };
        appends[at].drafts.push(draft);
    }
    let claim = CommandClaim { key, request_hash: UNKNOWN_REQUEST };
    let command = Some(claim).filter(|_| is_named && hit.is_none());
    Ok(Some(Transaction { command, appends, ..Transaction::default() }))
}

/// The record about a found one.
fn about(
    office: &Office,
    record: &Record,
    entered: bool,
    head: Option<String>,
) -> Result<Draft, RecoverError> {
    let header = record.header();
    let log = LogId::new(office.logs.own.as_str())?;
    let id = IntegrityId::of_log(&log);
    let stream = StreamRef { kind: StreamKind::Integrity.code(), id: id.bytes() };
    let bytes = record.bytes();
    let fact = LogRecovered {
        log,
        epoch: header.epoch,
        sequence: header.seq,
        leaf: record.leaf_hash(),
        record: (bytes.len() <= CARRIED).then(|| StoredBytes(bytes.to_vec())),
        entered,
        head,
    };
    let actor = office.node_actor().map_err(RecoverError::Internal)?;
    let provenance = Provenance {
        actor: &actor,
        occurred_at: office.now(),
        zone: &office.zone,
        command: Uuid::now_v7(),
        causation: Uuid::from_bytes(header.event_id),
        correlation: Uuid::nil(),
    };
    let mut draft = seal::draft(office, &office.logs.own, stream, &fact.into(), &provenance)?;
    draft.header.event_id = id_of(record);
    Ok(draft)
}

#[cfg(test)]
mod tests;
