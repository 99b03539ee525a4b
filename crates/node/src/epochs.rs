//! Epochs of this office's own logs. One key signs one epoch.
//!
//! An epoch behind the first begins with `log.succeeds`: what its writer knows of the one before.
//! With it, in the same transaction, the statement of succession is stored in which the key of the
//! epoch before names the new one, where that key is still here.
//!
//! A new epoch is opened by a restore (`journal::restore`), or while the office works, to change
//! its key ([`rotate`]). Either may be cut short anywhere; the next start completes it
//! ([`settle`]).

use domain::code::{LogId, NameError};
use domain::ids::IntegrityId;
use domain::integrity::{IntegrityFact, KeyRotated, LogSucceeds};
use domain::{Fact, StreamKind};
use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::merkle::empty_root;
use evidence::note::{Signer, Verifier};
use evidence::record::StreamRef;
use evidence::succession::Succession;
use identity::{IdentityError, PublicKeys};
use journal::{Append, CommitError, Control, ExpectedVersion, ReadError, Role, Transaction};
use thiserror::Error;
use tracing::{info, warn};
use uuid::Uuid;

use crate::duties::keep::heed;
use crate::facts;
use crate::keys;
use crate::link::store;
use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::reseed;
use crate::seal::{self, Provenance, SealError};
use crate::writer::{Next, WriteError};

/// File of the public keys in the folder of the keys that the node makes.
const PUBLIC: &str = identity::keys::PUBLIC_KEYS;

/// Prefix of the control facts that note, before it is made, that this journal makes the key of an
/// epoch which a restore opened; the epoch follows.
const MAKES_KEY: &str = "makes_key/";

/// Pause before another try while the index is rebuilt.
const RETRY: std::time::Duration = std::time::Duration::from_millis(200);

/// Why an epoch cannot be opened or used.
#[derive(Debug, Error)]
pub enum EpochError {
    /// The seed of an epoch that is in use is not there.
    #[error(
        "the key of epoch {epoch} of {log} is not there ({file}); put the file back. A lost key is \
         never made again: if it cannot be found, restore the journal from a backup with \
         `adal journal restore`, which opens the next epoch"
    )]
    Lost {
        /// The log.
        log: LogName,
        /// The epoch.
        epoch: u32,
        /// The file that is missing.
        file: String,
    },
    /// A restore opened an epoch whose key was made before: the key may have signed other records.
    #[error(
        "epoch {epoch} of {log} was opened by a restore, but its key was there already: the epoch \
         was begun after the backup was taken, and one key never signs two histories. Nothing was \
         recorded in it. Move the restored journal away and restore it again with \
         `adal journal restore --epoch {free}`"
    )]
    Used {
        /// The log.
        log: LogName,
        /// The epoch.
        epoch: u32,
        /// One of which no key is known here.
        free: u32,
    },
    /// The key of a new epoch cannot be made.
    #[error("make the key of the next epoch")]
    Key(#[from] IdentityError),
    /// The writer does not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A record cannot be read.
    #[error("read the end of the log")]
    Read(#[from] ReadError),
    /// The first record cannot be made.
    #[error("make the record of the next epoch")]
    Seal(#[from] SealError),
    /// A name or a statement cannot be made; never with names that this program made.
    #[error("{0}")]
    Internal(String),
}

impl From<NameError> for EpochError {
    fn from(error: NameError) -> EpochError {
        EpochError::Internal(error.to_string())
    }
}

/// An own log that went on in a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The log.
    pub log: LogName,
    /// The epoch that ended.
    pub closed: u32,
    /// Its records.
    pub size: u64,
    /// The epoch that goes on.
    pub epoch: u32,
    /// Its public key.
    pub key: [u8; 32],
}

/// Completes what was begun: every own log's open epoch has its key and its first record. To be
/// called before anything else is recorded.
///
/// # Errors
/// [`EpochError`]; the node must not serve then.
pub async fn settle(office: &Office) -> Result<(), EpochError> {
    let logs = own_logs(office);
    if reseed::pending(&office.journal).is_some() {
        // The epoch is opened once the centre has given back what it holds; that it may not be is
        // said at once.
        for log in &logs {
            never_used(office, log, store::own_epoch(&office.journal, log)).await?;
        }
        return Ok(());
    }
    let mut newest = 1;
    for log in &logs {
        let open = store::own_epoch(&office.journal, log);
        let size = office.journal.log(log, open).map_or(0, |info| info.size);
        let next = match rotated(office, log, open)? {
            Some(next) => next,
            None if size == 0 => open,
            None => {
                check_key(office, log, open)?;
                newest = newest.max(open);
                continue;
            }
        };
        begin(office, log, next).await?;
        newest = newest.max(next);
    }
    // A change of the key that was cut short between two logs.
    for log in &logs {
        let open = store::own_epoch(&office.journal, log);
        if open < newest {
            info!(%log, open, newest, "a change of the key that was cut short is completed");
            // A read-only epoch ends where it stands, as in `Writer::end_epoch`.
            if store::read_only_reason(&office.journal, log).is_none() {
                while !written(office, ending(office, log, open, newest)?).await? {}
            }
            begin(office, log, newest).await?;
        }
    }
    publish(office, newest);
    Ok(())
}

/// Opens the log for one office, in the epoch that the centre's logs have reached.
///
/// # Errors
/// The journal does not take it.
pub async fn open_downlink(office: &Office, log: &LogName) -> Result<(), CommitError> {
    if office.journal.logs().iter().any(|info| info.log == *log) {
        return Ok(());
    }
    let epoch = store::own_epoch(&office.journal, &office.logs.all);
    let opened = office.journal.ensure_own_log(log, epoch).await;
    opened.inspect_err(|error| heed(office, error))
}

/// Changes the key of this office's logs: each ends its epoch with `key.rotated`, signed by the old
/// key, and goes on in the next one under a new key. Links begin again by themselves. An epoch that
/// is read-only ends without that record, where it stands: this is the way out of a contradiction.
///
/// # Errors
/// [`EpochError`]. Logs that were not reached are completed by the next start.
pub async fn rotate(office: &SharedOffice) -> Result<Vec<Rotated>, EpochError> {
    let _turn = office.rotating.lock().await;
    let open = |log: &LogName| store::own_epoch(&office.journal, log);
    let next = own_logs(office).iter().map(open).max().unwrap_or(1).saturating_add(1);
    let making = office.clone();
    let made = office.journal.on_thread(move |_| make_key(&making, next)).await;
    let key = made.map_err(|error| EpochError::Internal(error.to_string()))??;
    let mut rotated = Vec::new();
    // Looked for again each time: an office may be enrolled, and its log be opened, meanwhile.
    while let Some(log) = own_logs(office).into_iter().find(|log| open(log) < next) {
        let closed = open(&log);
        let ending = ending(office, &log, closed, next)?;
        let (of, first) = (office.clone(), log.clone());
        let first = move || first_of(&of, &first, next).map_err(|error| chain(&error));
        let then = Next { log: log.clone(), epoch: next, first: Box::new(first) };
        office.writer.end_epoch(ending, then).await?;
        let size = office.journal.log(&log, closed).map_or(0, |info| info.size);
        info!(%log, closed, size, epoch = next, "the log goes on under a new key");
        rotated.push(Rotated { log, closed, size, epoch: next, key });
    }
    publish(office, next);
    Ok(rotated)
}

/// The logs that this office writes, each once.
fn own_logs(office: &Office) -> Vec<LogName> {
    let infos = office.journal.logs().into_iter();
    let mut logs: Vec<_> =
        infos.filter(|info| info.role == Role::Own).map(|info| info.log).collect();
    logs.sort();
    logs.dedup();
    logs
}

/// The epoch that a log was to go on in, if its open one ends with a change of the key.
fn rotated(office: &Office, log: &LogName, open: u32) -> Result<Option<u32>, EpochError> {
    let size = office.journal.log(log, open).map_or(0, |info| info.size);
    let Some(last) = size.checked_sub(1) else { return Ok(None) };
    let Some(record) = office.journal.get(log, open, last)? else { return Ok(None) };
    let Fact::Integrity(IntegrityFact::KeyRotated(fact)) = facts::open_part_or_unknown(&record)
    else {
        return Ok(None);
    };
    let later = office.log_keys.epochs().into_iter().filter(|epoch| *epoch > open);
    let named = |epoch: &u32| office.log_keys.public(*epoch) == Some(fact.successor_key);
    match later.into_iter().find(named) {
        Some(next) => Ok(Some(next)),
        None => Err(EpochError::Lost {
            log: log.clone(),
            epoch: open.saturating_add(1),
            file: file(office, open.saturating_add(1)),
        }),
    }
}

fn check_key(office: &Office, log: &LogName, epoch: u32) -> Result<(), EpochError> {
    if office.log_keys.seed(epoch).is_some() {
        return Ok(());
    }
    Err(EpochError::Lost { log: log.clone(), epoch, file: file(office, epoch) })
}

fn file(office: &Office, epoch: u32) -> String {
    office.log_keys.folder().join(identity::log_key_file(epoch)).display().to_string()
}

/// Makes the key of an epoch, unless there is one.
fn make_key(office: &Office, epoch: u32) -> Result<[u8; 32], IdentityError> {
    match office.random.seed() {
        None => office.log_keys.make(epoch),
        Some(seed) => office.log_keys.make_of(epoch, seed),
    }
}

/// Makes the key of an epoch, opens it, and records how it begins; what is done already is left.
async fn begin(office: &Office, log: &LogName, epoch: u32) -> Result<(), EpochError> {
    never_used(office, log, epoch).await?;
    make_key(office, epoch)?;
    loop {
        let opened = office.journal.ensure_own_log(log, epoch).await;
        if patient(opened.map_err(WriteError::Refused)).await? {
            break;
        }
    }
    loop {
        let first = first_of(office, log, epoch)?;
        if first.appends.is_empty() {
            return Ok(());
        }
        if written(office, first).await? {
            info!(%log, epoch, "the log goes on in a new epoch");
            return Ok(());
        }
    }
}

/// Refuses an epoch that a restore opened although its key was there: whoever made the key may have
/// used it after the backup was taken, and restored records would stand where others hold its own.
/// That this journal makes the key itself is noted before it is made, so that a start that is cut
/// short goes on.
async fn never_used(office: &Office, log: &LogName, epoch: u32) -> Result<(), EpochError> {
    let restorations = office.journal.restorations();
    let mut ended = restorations.iter().flat_map(|restored| &restored.ended);
    if !ended.any(|ended| ended.log == *log && ended.successor == epoch) {
        return Ok(());
    }
    let key = format!("{MAKES_KEY}{epoch}").into_bytes();
    if office.journal.control(&key).is_some() {
        return Ok(());
    }
    if office.log_keys.seed(epoch).is_some() {
        let keyed = office.log_keys.epochs().into_iter();
        let open = own_logs(office).into_iter().map(|log| store::own_epoch(&office.journal, &log));
        let free = keyed.chain(open).max().unwrap_or(epoch).saturating_add(1);
        return Err(EpochError::Used { log: log.clone(), epoch, free });
    }
    let controls = vec![Control { key, value: Vec::new() }];
    while !written(office, Transaction { controls: controls.clone(), ..Transaction::default() })
        .await?
    {}
    Ok(())
}

/// Makes a transaction durable; false if it is to be made again.
async fn written(office: &Office, transaction: Transaction) -> Result<bool, EpochError> {
    patient(office.writer.write(transaction).await.map(drop)).await
}

/// Whether something was done; waits a moment where only the index is not ready. Nothing may be
/// recorded before an epoch is begun, so a start waits for an index that is rebuilt.
async fn patient(outcome: Result<(), WriteError>) -> Result<bool, EpochError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(WriteError::Refused(CommitError::IndexBuilding { .. })) => {
            tokio::time::sleep(RETRY).await;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// The transaction with which an epoch begins; nothing for the first one of a log.
pub(crate) fn first_of(
    office: &Office,
    log: &LogName,
    epoch: u32,
) -> Result<Transaction, EpochError> {
    let Some(closed) = before(office, log, epoch) else { return Ok(Transaction::default()) };
    let (before, size, root) = closed;
    let fact = LogSucceeds { log: LogId::new(log.as_str())?, epoch: before, size, root };
    let mut transaction = record(office, log, fact.into())?;
    if let Some(note) = state(office, log, closed, epoch)? {
        transaction.controls.push(keys::keep_statement(log, epoch, &note));
    } else {
        warn!(%log, epoch, before,
            "the key of the epoch before is not here, so it cannot name the new one: the centre \
             takes the new key with `adal office rekey` only");
    }
    Ok(transaction)
}

/// The epoch before, with what this office has of it. One whose records are lost altogether is
/// known by its key, if that was kept.
pub(crate) fn before(office: &Office, log: &LogName, epoch: u32) -> Option<(u32, u64, [u8; 32])> {
    let infos = office.journal.logs().into_iter();
    let of_log = infos.filter(|info| info.log == *log && info.epoch < epoch);
    let last = of_log.max_by_key(|info| info.epoch)?;
    let keyed = office.log_keys.epochs().into_iter().filter(|keyed| *keyed < epoch).max();
    match keyed.filter(|keyed| *keyed > last.epoch) {
        Some(keyed) => Some((keyed, 0, empty_root())),
        None => Some((last.epoch, last.size, last.root)),
    }
}

/// The statement in which the key of the epoch before names the new one's; `None` without that key.
fn state(
    office: &Office,
    log: &LogName,
    (before, size, root): (u32, u64, [u8; 32]),
    epoch: u32,
) -> Result<Option<String>, EpochError> {
    let Some(seed) = keys::signing_seed(office, log, before) else { return Ok(None) };
    let Some(key) = office.log_keys.public(epoch) else { return Ok(None) };
    let failed = |error: &dyn std::error::Error| EpochError::Internal(chain(error));
    let name = |epoch| origin(&office.options.domain, log, epoch);
    let signer = Signer::log(&name(before), &seed).map_err(|error| failed(&error))?;
    let successor = Verifier::log(&name(epoch), &key).map_err(|error| failed(&error))?;
    let closed = Checkpoint { origin: name(before), size, root };
    let note = Succession { closed, successor }.sign(&signer).map_err(|error| failed(&error))?;
    Ok(Some(note))
}

/// The last transaction of an epoch whose key is changed.
fn ending(office: &Office, log: &LogName, open: u32, next: u32) -> Result<Transaction, EpochError> {
    let lost = || EpochError::Lost { log: log.clone(), epoch: next, file: file(office, next) };
    let successor_key = office.log_keys.public(next).ok_or_else(lost)?;
    let fact = KeyRotated { log: LogId::new(log.as_str())?, epoch: open, successor_key };
    record(office, log, fact.into())
}

/// One fact of the log's own stream about itself, recorded by the node.
fn record(office: &Office, log: &LogName, fact: Fact) -> Result<Transaction, EpochError> {
    let actor = office.node_actor().map_err(EpochError::Internal)?;
    let id = IntegrityId::of_log(&LogId::new(log.as_str())?);
    let stream = StreamRef { kind: StreamKind::Integrity.code(), id: id.bytes() };
    let provenance = Provenance {
        actor: &actor,
        occurred_at: office.now(),
        zone: &office.zone,
        command: office.random.id(&office.clock),
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
    };
    let drafts = vec![seal::draft(office, log, stream, &fact, &provenance)?];
    let append = Append { log: log.clone(), expected: ExpectedVersion::Any, stream, drafts };
    Ok(Transaction { appends: vec![append], ..Transaction::default() })
}

/// Writes the public keys beside the newest one, for the centre to enrol if the old keys are lost.
pub(crate) fn publish(office: &Office, newest: u32) {
    let Some(log) = office.log_keys.public(newest).filter(|_| newest > 1) else { return };
    let path = office.log_keys.folder().join(PUBLIC);
    let saved = office.keys.public(office.code.as_str()).and_then(|keys| {
        let public = PublicKeys { epoch: newest, log, ..keys };
        match PublicKeys::load(&path) {
            Ok(there) if there == public => Ok(()),
            _ => public.save(&path),
        }
    });
    if let Err(error) = saved {
        warn!(error = chain(&error), "write the public keys");
    }
}

#[cfg(test)]
mod tests;
