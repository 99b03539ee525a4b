//! The end of it: commands are noted, the successor epoch is opened.

use std::collections::BTreeSet;
use std::time::Duration;

use evidence::log::LogName;
use evidence::record::Record;
use journal::{CommandKey, KnownCommand, LogInfo, Role, Transaction};
use tracing::{info, warn};

use super::{Kind, Pending, done, pending, write};
use crate::epochs::{self, EpochError};
use crate::facts;
use crate::keys;
use crate::office::{Office, SharedOffice};
use crate::options::Begin;
use crate::project::chain;
use crate::run::say;
use crate::writer::Next;

/// How often progress is told, and what can go on is tried again.
const EVERY: Duration = Duration::from_secs(1);
/// Records read at once.
const BATCH: usize = 4_096;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Commands noted in one transaction.
const COMMANDS: usize = 1_024;

/// Runs until nothing is waited for.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut told = String::new();
    while let Some(waiting) = pending(&office.journal) {
        tell(&office, &waiting, &mut told);
        if office.reseed.is_whole() && waiting.kind != Kind::New {
            match complete(&office, &waiting).await {
                Ok(()) => continue,
                Err(reason) => wait_for(&office, &waiting, reason).await,
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = office.reseed.whole.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if !told.is_empty() {
        tell_end(&office);
    }
    Ok(())
}

/// Tells what changed: in the log, and on the terminal of who asked for it.
fn tell(office: &Office, waiting: &Pending, told: &mut String) {
    let reason = waiting.reason(&office.journal, &office.logs.own);
    if reason != *told {
        info!(reason, "read-only");
        print(office, &reason);
        *told = reason;
    }
}

fn tell_end(office: &Office) {
    let (own, open) = (&office.logs.own, office.own_epoch());
    let whole = office.reseed.lock().whole.clone();
    let mut text = format!("{own} goes on in epoch {open}");
    for (epoch, (size, signed)) in whole {
        let lost = match signed > size {
            true => format!(", {size} to {} were signed and nobody holds them", signed - 1),
            false => String::new(),
        };
        text = format!("{text}; epoch {epoch}: {size} records{lost}");
    }
    info!(text, "reseeded");
    print(office, &text);
}

fn print(office: &Office, text: &str) {
    if office.options.begin == Begin::Reseed {
        say(&format!("reseed: {text}"));
    }
}

/// Notes what keeps it from going on.
async fn wait_for(office: &Office, waiting: &Pending, reason: String) {
    if waiting.waits.as_ref() == Some(&reason) {
        return;
    }
    warn!(reason, "the office cannot go on yet");
    let now = Pending { waits: Some(reason), ..waiting.clone() };
    if let Err(error) = write(office, now.control()).await {
        warn!(error = chain(&error), "note why the office waits");
    }
}

/// Goes on in the successor epoch; why it cannot, in words for the operator.
async fn complete(office: &SharedOffice, waiting: &Pending) -> Result<(), String> {
    let next = successor(office, waiting).map_err(|error| chain_of(&error))??;
    note_commands(office).await?;
    let whole = office.reseed.lock().whole.clone();
    let (of, log, kind) = (office.clone(), office.logs.own.clone(), waiting.kind);
    let first = move || {
        let mut first = epochs::first_of(&of, &log, next).map_err(|error| chain(&error))?;
        first.controls.push(done(kind, of.clock.now(), &whole));
        Ok(first)
    };
    let log = office.logs.own.clone();
    let then = Next { log, epoch: next, first: Box::new(first) };
    let ended = office.writer.end_epoch(Transaction::default(), then).await;
    ended.map_err(|error| chain(&error))?;
    epochs::publish(office, next);
    Ok(())
}

fn chain_of(error: &EpochError) -> String {
    chain(error)
}

/// The epoch in which the office goes on: above all that anybody holds, and with a key that the
/// centre knows, or that the key of the epoch before can name. The inner error says what a person
/// has to do.
pub(super) fn successor(
    office: &Office,
    waiting: &Pending,
) -> Result<Result<u32, String>, EpochError> {
    let own = own_epochs(office);
    let held = own.iter().filter(|info| info.size > 0).map(|info| info.epoch);
    let offered = waiting.offered.iter().flatten().map(|(epoch, _)| *epoch);
    let newest = held.chain(offered).max().unwrap_or(0);
    let open = own.iter().map(|info| info.epoch).max().unwrap_or(0);
    let free = if open > newest { open } else { newest.saturating_add(1) };
    let known = office.country.known();
    let rekeyed = known.rekeyed.get(&office.code).and_then(|epochs| epochs.last_key_value());
    if let Some((epoch, fact)) = rekeyed.filter(|(epoch, _)| **epoch >= free) {
        if office.log_keys.public(*epoch) == Some(fact.log_key) {
            return Ok(Ok(*epoch));
        }
        return Ok(Err(format!(
            "the centre has taken a key for epoch {epoch} that is not the one of this node: put \
             {} where its keys are, and start it again",
            identity::log_key_file(*epoch)
        )));
    }
    office.log_keys.make(free)?;
    let named = epochs::before(office, &office.logs.own, free)
        .is_some_and(|(before, ..)| keys::signing_seed(office, &office.logs.own, before).is_some());
    if named {
        return Ok(Ok(free));
    }
    epochs::publish(office, free);
    let folder = office.log_keys.folder().join(identity::keys::PUBLIC_KEYS);
    Ok(Err(format!(
        "the centre does not know this node's key for epoch {free}: carry {} there and run `adal \
         office rekey --code {} --public FILE`",
        folder.display(),
        office.code
    )))
}

fn own_epochs(office: &Office) -> Vec<LogInfo> {
    let logs = office.journal.logs().into_iter();
    logs.filter(|info| info.role == Role::Own && info.log == office.logs.own).collect()
}

/// Notes the commands of all records, so that a repetition gets the old answer. What is noted
/// already is left.
pub(super) async fn note_commands(office: &SharedOffice) -> Result<(), String> {
    for info in own_epochs(office) {
        let mut next = 0;
        let mut open: Option<KnownCommand> = None;
        let mut known = Known::default();
        while next < info.size {
            let (of, log, epoch) = (office.clone(), info.log.clone(), info.epoch);
            let read = move || facts::range(&of.journal, (&log, epoch), next, BATCH, BATCH_BYTES);
            let read = tokio::task::spawn_blocking(read).await;
            let range = read.map_err(|error| error.to_string())?;
            for record in &range.records {
                if let Some(whole) = gather(&mut open, record, &info.log, (info.epoch, next)) {
                    known.add(office, whole).await?;
                }
                next += 1;
            }
            match range.stopped {
                Some(error) => return Err(chain(&error)),
                None if range.records.is_empty() => return Err(format!("no record {next}")),
                None => {}
            }
        }
        if let Some(last) = open {
            known.add(office, last).await?;
        }
        known.write(office).await?;
    }
    Ok(())
}

/// Adds a record to the command that it belongs to; the one before, if that is whole now.
fn gather(
    open: &mut Option<KnownCommand>,
    record: &Record,
    log: &LogName,
    (epoch, seq): (u32, u64),
) -> Option<KnownCommand> {
    let header = record.header();
    let key = CommandKey { principal: header.actor.person, command_id: header.command_id };
    let version = (header.stream, header.stream_version);
    if let Some(command) = open.as_mut().filter(|command| command.key == key) {
        command.count += 1;
        command.recorded_at = header.recorded_at;
        match command.versions.iter_mut().find(|(stream, _)| *stream == header.stream) {
            Some(known) => *known = version,
            None => command.versions.push(version),
        }
        return None;
    }
    let began = KnownCommand {
        key,
        log: log.clone(),
        epoch,
        first_seq: seq,
        count: 1,
        recorded_at: header.recorded_at,
        versions: vec![version],
    };
    open.replace(began)
}

/// Commands that wait to be noted.
#[derive(Default)]
struct Known {
    commands: Vec<KnownCommand>,
    keys: BTreeSet<CommandKey>,
}

impl Known {
    async fn add(&mut self, office: &Office, command: KnownCommand) -> Result<(), String> {
        let is_named = command.key.command_id != [0; 16];
        if !is_named || self.keys.contains(&command.key) {
            return Ok(());
        }
        let found = office.journal.find_command(&command.key).await;
        if found.map_err(|error| chain(&error))?.is_some() {
            return Ok(());
        }
        self.keys.insert(command.key);
        self.commands.push(command);
        if self.commands.len() >= COMMANDS { self.write(office).await } else { Ok(()) }
    }

    async fn write(&mut self, office: &Office) -> Result<(), String> {
        self.keys.clear();
        let known = std::mem::take(&mut self.commands);
        if known.is_empty() {
            return Ok(());
        }
        let transaction = Transaction { known, ..Transaction::default() };
        office.writer.write(transaction).await.map(drop).map_err(|error| chain(&error))
    }
}
