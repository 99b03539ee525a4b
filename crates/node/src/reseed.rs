//! An office whose server was lost, restored or begun anew: until the centre has given back what
//! it holds of the office's log, nothing is recorded.
//!
//! The control fact `reseed` says that it is so, since the journal was made; the order is:
//! 1. The link brings what the centre published and says which epochs of the log it holds
//!    ([`taking`]). Each is opened here and taken back, verified with the key that signed it.
//! 2. The commands of these records are noted, so that none is carried out twice ([`complete`]).
//! 3. The successor epoch is opened: the one for which the centre has the office's new key, or the
//!    next one, if the key of the one before is still here. Its first record says what was got, and
//!    the same commit ends the state.
//!
//! Each step may be cut short anywhere; the next start goes on.

mod complete;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evidence::log::LogName;
use journal::{Control, Role, Transaction};
use tokio::sync::Notify;
use tracing::info;

use crate::office::Office;
use crate::options::Begin;
use crate::records::Records;
use crate::writer::WriteError;

pub use complete::run;
pub use taking::{epochs, offered, recover, recovered};

/// Key of the control fact.
const KEY: &[u8] = b"reseed";
/// Its first line; the number is the version of the format.
const FIRST: &str = "adal reseed 1";

/// Why an office waits for what the centre holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its data folder is empty: a new office, unless the centre knows better.
    New,
    /// Its server was replaced.
    Reseeded,
    /// Its journal was made of a backup; the time of that, microseconds since 1970.
    Restored(i64),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Why.
    pub kind: Kind,
    /// Records of each epoch that the centre holds; `None` before it was asked.
    pub offered: Option<BTreeMap<u32, u64>>,
    /// What else keeps it from going on, and what to do.
    pub waits: Option<String>,
}

/// What the present link has brought.
#[derive(Debug, Default)]
pub struct Reseed {
    state: Mutex<State>,
    /// Rings when an epoch is whole.
    whole: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Epochs that the centre offered on this link and that are not whole yet.
    left: BTreeSet<u32>,
    is_offered: bool,
    /// Each epoch that came, with its records and what was signed of it.
    whole: BTreeMap<u32, (u64, u64)>,
}

impl Reseed {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every epoch that the centre holds is here, as far as it can be.
    fn is_whole(&self) -> bool {
        let state = self.lock();
        state.is_offered && state.left.is_empty()
    }
}

impl Pending {
    fn control(&self) -> Control {
        let mut text = format!("{FIRST}\n");
        let kind = match self.kind {
            Kind::New => "new".to_owned(),
            Kind::Reseeded => "reseeded".to_owned(),
            Kind::Restored(at) => format!("restored {at}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "pending {kind}");
        for (epoch, size) in self.offered.iter().flatten() {
            let _ = writeln!(text, "offered {epoch} {size}");
        }
        if self.offered.as_ref().is_some_and(BTreeMap::is_empty) {
            text.push_str("offered nothing\n");
        }
        if let Some(waits) = &self.waits {
            let _ = writeln!(text, "waits {waits}");
        }
        Control { key: KEY.to_vec(), value: text.into_bytes() }
    }

    /// Why nothing is recorded now, in words for people.
    fn reason(&self, journal: &Records, log: &LogName) -> String {
        let Some(offered) = &self.offered else {
            return match self.kind {
                Kind::New => format!(
                    "this data folder is new, and the centre was not asked yet whether it holds \
                     records of {log}: link this node with it, or start it once with \
                     --without-centre"
                ),
                _ => "being reseeded from the centre, which was not reached yet".to_owned(),
            };
        };
        let all: u64 = offered.values().sum();
        if self.kind == Kind::New {
            return format!(
                "this data folder is empty, and the centre holds {all} records of {log}: the \
                 office is not new, its server was lost. Stop this node and start it once with \
                 --reseed (INSTALL.md, Replacing a lost server)"
            );
        }
        let held = offered
            .iter()
            .map(|(epoch, size)| journal.log(log, *epoch).map_or(0, |info| info.size).min(*size));
        let progress =
            format!("being reseeded from the centre, {} of {all} records", held.sum::<u64>());
        match &self.waits {
            Some(waits) => format!("{progress}; {waits}"),
            None => progress,
        }
    }
}

/// What is waited for; `None` if nothing is.
pub fn pending(journal: &Records) -> Option<Pending> {
    decode(&journal.control(KEY)?)
}

fn decode(value: &[u8]) -> Option<Pending> {
    let mut lines = str::from_utf8(value).ok()?.lines();
    (lines.next()? == FIRST).then_some(())?;
    let kind = match lines.next()?.strip_prefix("pending ")? {
        "new" => Kind::New,
        "reseeded" => Kind::Reseeded,
        restored => Kind::Restored(restored.strip_prefix("restored ")?.parse().ok()?),
    };
    let mut pending = Pending { kind, offered: None, waits: None };
    for line in lines {
        if line == "offered nothing" {
            pending.offered.get_or_insert_default();
        } else if let Some(offered) = line.strip_prefix("offered ") {
            let (epoch, size) = offered.split_once(' ')?;
            let offered = pending.offered.get_or_insert_default();
            offered.insert(epoch.parse().ok()?, size.parse().ok()?);
        } else if let Some(waits) = line.strip_prefix("waits ") {
            pending.waits = Some(waits.to_owned());
        }
    }
    Some(pending)
}

/// Why an own log accepts no facts for that reason; `None` if it does.
pub fn reason(journal: &Records, log: &LogName) -> Option<String> {
    pending(journal).map(|pending| pending.reason(journal, log))
}

/// The control fact with which a journal is begun for an office whose server was lost.
pub fn marker() -> Control {
    Pending { kind: Kind::Reseeded, offered: None, waits: None }.control()
}

/// The control fact that ends the state. `whole`: what came, with what was signed of it.
fn done(kind: Kind, at: i64, whole: &BTreeMap<u32, (u64, u64)>) -> Control {
    let kind = match kind {
        Kind::New => "new".to_owned(),
        Kind::Reseeded => "reseeded".to_owned(),
        Kind::Restored(at) => format!("restored {at}"),
    };
    let mut text = format!("{FIRST}\ndone {kind} {at}\n");
    for (epoch, (size, signed)) in whole {
        let _ = writeln!(text, "epoch {epoch} {size} {signed}");
    }
    Control { key: KEY.to_vec(), value: text.into_bytes() }
}

/// Notes what this start finds: a journal of a backup, an empty folder, an order of its operator.
/// To be called before anything is recorded.
///
/// # Errors
/// The order does not fit what is here, in words for the operator.
pub async fn notice(office: &Office) -> anyhow::Result<()> {
    if office.code.is_centre() {
        return Ok(());
    }
    let (own, journal) = (&office.logs.own, &office.journal);
    let logs = journal.logs();
    let records: u64 = logs.iter().map(|info| info.size).sum();
    let of_own: u64 = logs.iter().filter(|i| i.role == Role::Own).map(|info| info.size).sum();
    let known = pending(journal);
    let new = match (office.options.begin, &known) {
        (Begin::Reseed, Some(Pending { kind: Kind::New, .. })) if of_own == 0 => {
            Some(Kind::Reseeded)
        }
        (Begin::Reseed, Some(_)) => None,
        (Begin::Reseed, None) => anyhow::bail!(
            "the data folder holds {of_own} records of {own} and is not to be reseeded: start it \
             without --reseed; to begin with an empty folder, move this one away first"
        ),
        (Begin::WithoutCentre, Some(Pending { kind: Kind::Reseeded, .. })) => anyhow::bail!(
            "a server that was lost has nothing to go on with but what the centre gives back"
        ),
        (Begin::WithoutCentre, Some(pending)) => {
            let kind = pending.kind;
            write(office, done(kind, office.clock.now(), &BTreeMap::new())).await?;
            info!(?kind, "the office goes on without asking the centre");
            None
        }
        (Begin::WithoutCentre, None) | (Begin::Normal, Some(_)) => None,
        (Begin::Normal, None) => {
            let open = journal.log(own, office.own_epoch()).map_or(0, |info| info.size);
            let restored = journal.restorations().last().map(|restored| restored.at);
            let heeded = restored.is_none_or(|at| is_heeded(journal, at));
            match restored {
                Some(at) if open == 0 && !heeded => Some(Kind::Restored(at)),
                None if records == 0 && office.options.asks_first => Some(Kind::New),
                _ => None,
            }
        }
    };
    if let Some(kind) = new {
        info!(?kind, "nothing is recorded before the centre has given back what it holds");
        write(office, Pending { kind, offered: None, waits: None }.control()).await?;
    }
    Ok(())
}

/// Whether this restore was heeded already.
fn is_heeded(journal: &Records, at: i64) -> bool {
    let value = journal.control(KEY).unwrap_or_default();
    let text = String::from_utf8_lossy(&value);
    text.lines().any(|line| line.starts_with(&format!("done restored {at} ")))
}

async fn write(office: &Office, control: Control) -> Result<(), WriteError> {
    let transaction = Transaction { controls: vec![control], ..Transaction::default() };
    office.writer.write(transaction).await.map(drop)
}

#[cfg(test)]
mod tests;
