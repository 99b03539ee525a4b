//! Closes epochs at the centre: for each log that goes on in a new epoch the centre records in
//! `kz/all` where the old one ended, whose key goes on, and which records nobody has any more.
//!
//! An epoch is closed once, when its end is final: everything that its writer kept of it is here,
//! or can never be proved. Its stream's version and what `kz/all` says already keep a second run
//! from closing it twice.

use std::collections::BTreeSet;

use domain::code::LogId;
use domain::ids::IntegrityId;
use domain::integrity::{IntegrityFact, LogClosed, LogSucceeds, REKEYED, SUCCEEDED};
use domain::{Fact, StreamKind};
use evidence::log::LogName;
use evidence::merkle::empty_root;
use evidence::record::StreamRef;
use journal::{Append, ExpectedVersion, LogInfo, Role, Transaction};
use replication::action::Fault;
use replication::{Party, RefusalCode};
use tracing::{error, info};
use uuid::Uuid;

use crate::facts;
use crate::keys;
use crate::link::store;
use crate::office::{Office, SharedOffice};
use crate::project::{self, chain};
use crate::seal::{self, Provenance};
use crate::told::Told;

const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs until shutdown, at the centre.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    let mut duty = Duty::default();
    loop {
        grown.mark_seen();
        let done = duty.close_all(&office).await;
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| ended.to_string())?;
            }
            () = tokio::time::sleep(RETRY), if !done => {}
        }
    }
}

/// What one run remembers.
#[derive(Default)]
struct Duty {
    /// Epochs whose predecessor is closed.
    done: BTreeSet<(LogName, u32)>,
    told: Told,
}

/// How an epoch ends.
enum End {
    /// It can be closed.
    Final(LogClosed),
    /// Its rest is still on the way.
    Growing,
    /// What its writer says of it is not what it signed before.
    Contradiction(Box<Fault>),
}

impl Duty {
    /// Closes what can be closed; false if something is to be tried again.
    async fn close_all(&mut self, office: &Office) -> bool {
        let mut complete = true;
        for info in office.journal.logs() {
            let key = (info.log.clone(), info.epoch);
            if info.epoch < 2 || info.size == 0 || self.done.contains(&key) {
                continue;
            }
            match self.close_before(office, &info).await {
                Ok(true) => drop(self.done.insert(key)),
                Ok(false) => {}
                Err(reason) => {
                    complete = false;
                    if self.told.is_new(info.log.as_str(), &reason) {
                        error!(log = %info.log, epoch = info.epoch, reason, "close an epoch");
                    }
                }
            }
        }
        complete
    }

    /// Closes the epoch that this one succeeds; true if nothing is left to do.
    async fn close_before(&mut self, office: &Office, next: &LogInfo) -> Result<bool, String> {
        let first = office.journal.get(&next.log, next.epoch, 0).map_err(|error| chain(&error))?;
        let fact = first.as_ref().map(facts::open_part_or_unknown);
        let Some(Fact::Integrity(IntegrityFact::Succeeds(fact))) = fact else {
            return Ok(true); // written by software that did not say it yet
        };
        let is_own = fact.log.as_str() == next.log.as_str() && fact.epoch < next.epoch;
        let closed = (next.log.clone(), fact.epoch);
        if !is_own || office.country.known().closed.contains_key(&closed) {
            return Ok(true);
        }
        match end_of(office, next, &fact)? {
            End::Growing => Ok(false),
            End::Final(fact) => {
                record(office, fact).await?;
                Ok(true)
            }
            End::Contradiction(fault) => {
                if self.told.is_new(next.log.as_str(), &fault.text) {
                    error!(log = %next.log, epoch = fault.epoch, text = fault.text,
                        "an epoch is not closed");
                }
                let kept = store::keep(office, &fault).await;
                kept.map(|_| false).map_err(|error| chain(&error))
            }
        }
    }
}

/// How the epoch ends that `next` succeeds, as far as this office can know.
fn end_of(office: &Office, next: &LogInfo, kept: &LogSucceeds) -> Result<End, String> {
    let (log, epoch) = (&next.log, kept.epoch);
    let Some(successor_key) = keys::log_key(office, log, next.epoch) else {
        return Err("its successor's key is not known".to_owned());
    };
    let known = office.country.known();
    let rekeyed = keys::owner(log).and_then(|owner| known.rekeyed.get(&owner));
    let is_rekeyed = rekeyed.is_some_and(|epochs| epochs.contains_key(&next.epoch));
    let held = office.journal.log(log, epoch);
    let (held, held_root) = held.map_or((0, empty_root()), |info| (info.size, info.root));
    let accepted = match next.role {
        Role::Mirror => store::accepted(office, log, epoch),
        Role::Own => None,
    };
    let (signed, signed_root) = match &accepted {
        Some(head) if head.size >= held => (head.size, head.root),
        _ => (held, held_root),
    };
    let root_here = match kept.size {
        size if size <= held => Some(office.journal.root_at(log, epoch, size)),
        size if size == signed => Some(Ok(signed_root)),
        _ => None,
    };
    let root_here = root_here.transpose().map_err(|error| chain(&error))?;
    if root_here.is_some_and(|root| root != kept.root) {
        let text = format!(
            "epoch {epoch} of {log} is said to have ended with {} records that are not the ones \
             which its office signed and this office holds: two histories; both are kept, and the \
             epoch is not closed",
            kept.size
        );
        return Ok(End::Contradiction(Box::new(Fault {
            log: log.clone(),
            epoch,
            own: false,
            code: RefusalCode::Fork,
            found_by: Party::Us,
            text,
            notes: accepted.map(|head| head.note).into_iter().collect(),
            proof: Vec::new(),
        })));
    }
    // Without the old key nothing more can be proved of the old epoch.
    let (size, root) = match kept.size >= signed && !is_rekeyed {
        true if held < kept.size => return Ok(End::Growing),
        true => (kept.size, kept.root),
        false => (signed, signed_root),
    };
    let missing = held.max(kept.size)..size;
    let missing = (!missing.is_empty()).then_some(missing);
    let log = LogId::new(log.as_str()).map_err(|error| error.to_string())?;
    Ok(End::Final(LogClosed {
        log,
        epoch,
        size,
        root,
        successor_epoch: next.epoch,
        successor_key,
        reason: if is_rekeyed { REKEYED } else { SUCCEEDED },
        missing_from: missing.as_ref().map(|range| range.start),
        missing_to: missing.map(|range| range.end),
    }))
}

/// Records it in `kz/all`.
async fn record(office: &Office, fact: LogClosed) -> Result<(), String> {
    let all = office.logs.all.clone();
    let id = IntegrityId::of_closings(&fact.log).bytes();
    let stream = StreamRef { kind: StreamKind::Integrity.code(), id };
    let before = office.journal.stream(&all, stream).await.map_err(|error| chain(&error))?;
    let version = u32::try_from(before.len()).unwrap_or(u32::MAX);
    let actor = office.node_actor()?;
    let provenance = Provenance {
        actor: &actor,
        occurred_at: office.now(),
        zone: &office.zone,
        command: office.random.id(&office.clock),
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
    };
    let said = fact.clone();
    let draft = seal::draft(office, &all, stream, &fact.into(), &provenance);
    let drafts = vec![draft.map_err(|error| chain(&error))?];
    let append = Append { log: all, expected: ExpectedVersion::Exact(version), stream, drafts };
    let transaction = Transaction { appends: vec![append], ..Transaction::default() };
    office.writer.write(transaction).await.map_err(|error| chain(&error))?;
    info!(log = %said.log, epoch = said.epoch, size = said.size, reason = %said.reason,
        missing_from = said.missing_from, missing_to = said.missing_to, "an epoch is closed");
    // Others learn of it from the mirror; here it holds at once.
    project::learn_now(office).map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests;
