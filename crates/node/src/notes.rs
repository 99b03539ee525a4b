//! Heads with the cosignatures that were collected on them: what receipts and audits are made of.
//!
//! Of each epoch of a log the newest complete note is kept (one that meets the log's policy) and at
//! most [`NEWER`] newer ones. They are control facts of the journal, `note/<log>/<epoch>/<slot>`,
//! each a head as in [`store`]; a slot is used again when its note is no longer needed,
//! because the journal replaces control facts and never removes one. All of them are in memory too:
//! every link looks at them.
//!
//! A line is added only if it is of a key of the policy and verifies; of each key there is one.
//!
//! Lines come one by one, each makes its note another one, and a note of twenty offices is some
//! 3 KB: so the notes that have changed are written together, once per [`WRITE_EVERY`]
//! ([`crate::duties::notes`]). What a crash loses is asked for again; what cannot be written stays
//! to be written.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evidence::log::LogName;
use evidence::note::{NoteError, SignedNote, Verifier};
use evidence::policy::{Missing, Policy, PolicyRefusal};
use journal::{Control, LogInfo, Role, Transaction};
use thiserror::Error;

use crate::changes::{Changes, Heard};
use crate::country::Known;
use crate::heads;
use crate::link::store::{self, Head};
use crate::office::Office;
use crate::policy::{self, PolicyError};
use crate::records::Records;
use crate::writer::WriteError;

use lines::{bare, current, is_of, judged, with_lines};

/// Notes that are kept beside the newest complete one and are newer than it.
pub const NEWER: usize = 8;
const SLOTS: usize = NEWER + 1;
/// Time for which lines are collected before the notes that they change are written.
pub const WRITE_EVERY: Duration = Duration::from_secs(1);
const PREFIX: &str = "note/";

/// Why a line is not on a note now.
#[derive(Debug, Error)]
pub enum NotesError {
    /// The log has no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The head is malformed or not signed by its log.
    #[error("the head cannot be kept: {0}")]
    Head(#[from] PolicyRefusal),
    /// The head or a line is malformed.
    #[error("a note or a line of it: {0}")]
    Note(#[from] NoteError),
    /// A line under a name of the policy that does not verify on this head.
    #[error("the cosignature of {name} is not of this head")]
    OtherHead {
        /// The cosigner's key name.
        name: String,
    },
    /// Another head of the same size is kept already.
    #[error("another head of {log} of size {size} is kept already")]
    TwoHeads {
        /// The log.
        log: LogName,
        /// The size of both.
        size: u64,
    },
}

impl NotesError {
    /// Whether the same may be kept later: when somebody is enrolled.
    pub fn passes(&self) -> bool {
        matches!(self, NotesError::Policy(_))
    }
}

/// What became of lines that were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The note has changed.
    New,
    /// Everything was on it already, or nobody needs the note any more.
    Known,
    /// A line is of a key that is not in the policy, as far as it is known here.
    Stranger,
}

/// A note that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The head with its lines.
    pub head: Head,
    /// What its policy misses; `None`: it is complete.
    pub missing: Option<Missing>,
}

impl Kept {
    /// Whether it carries a line of this key: one of another key under the same name is none.
    pub fn has(&self, key: &Verifier) -> bool {
        let note = SignedNote::parse(&self.head.note);
        note.is_ok_and(|note| note.signatures().iter().any(|line| is_of(line, key)))
    }
}

#[derive(Debug, Default)]
struct Log {
    policy: Option<Arc<Policy>>,
    slots: BTreeMap<usize, Kept>,
    /// A sequence and when that record was recorded: asked for again and again.
    recorded: Option<(u64, i64)>,
    /// Slots whose note is not durable as it is here.
    unwritten: BTreeSet<usize>,
}

/// The notes of this office.
pub struct Notes {
    logs: Mutex<BTreeMap<(LogName, u32), Log>>,
    /// Held while notes are written, so that an older one never replaces a newer one.
    turn: tokio::sync::Mutex<()>,
    changed: Changes,
    policies: Mutex<Policies>,
}

/// Policies that were made, and of what: making one takes a point of the curve per key.
#[derive(Default)]
struct Policies {
    known: Option<Arc<Known>>,
    epochs: usize,
    made: BTreeMap<(LogName, u32), Arc<Policy>>,
}

impl Notes {
    /// What the journal holds.
    pub fn load(journal: &Records) -> Notes {
        let mut logs: BTreeMap<(LogName, u32), Log> = BTreeMap::new();
        for (key, value) in journal.controls(PREFIX.as_bytes()) {
            let Some(((log, epoch, slot), head)) = place(&key).zip(Head::decode(&value)) else {
                continue; // a newer node's
            };
            // Its policy is not known yet; it is judged when it is first asked for.
            let kept = Kept { head, missing: None };
            logs.entry((log, epoch)).or_default().slots.insert(slot, kept);
        }
        let (logs, turn) = (Mutex::new(logs), tokio::sync::Mutex::default());
        let policies = Mutex::default();
        Notes { logs, turn, changed: Changes::new(), policies }
    }

    /// The policy of a log, as [`policy::of`] makes it, kept until what is published changes.
    ///
    /// # Errors
    /// As [`policy::of`].
    pub fn policy(
        &self,
        office: &Office,
        log: &LogName,
        epoch: u32,
    ) -> Result<Arc<Policy>, PolicyError> {
        let (known, epochs) = (office.country.known(), office.journal.logs().len());
        let mut cache = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let same = cache.known.as_ref().is_some_and(|before| Arc::ptr_eq(before, &known));
        if !same || cache.epochs != epochs {
            *cache = Policies { known: Some(known), epochs, made: BTreeMap::new() };
        }
        let key = (log.clone(), epoch);
        if let Some(policy) = cache.made.get(&key) {
            return Ok(policy.clone());
        }
        let policy = Arc::new(policy::of(office, log, epoch)?);
        cache.made.insert(key, policy.clone());
        Ok(policy)
    }

    /// Tells each time that a note has changed.
    pub fn changed(&self) -> Heard {
        self.changed.hear()
    }

    /// The notes of a log's epoch, newest first, down to the newest complete one.
    pub fn of(&self, office: &Office, log: &LogName, epoch: u32) -> Vec<Kept> {
        let mut logs = self.lock();
        let Some(entry) = logs.get_mut(&(log.clone(), epoch)) else { return Vec::new() };
        // Without a policy nothing is complete, and nothing is wrong: nobody is enrolled yet.
        let Ok(policy) = self.policy(office, log, epoch) else { return Vec::new() };
        entry.judge(&policy);
        let current = |kept: &Kept| Kept { head: current(&kept.head, &policy), ..kept.clone() };
        let mut notes: Vec<Kept> = entry.slots.values().map(current).collect();
        notes.sort_by_key(|kept| std::cmp::Reverse(kept.head.size));
        let complete = notes.iter().position(|kept| kept.missing.is_none());
        notes.truncate(complete.map_or(notes.len(), |at| at + 1));
        notes
    }

    /// Logs and epochs of which notes are kept.
    pub fn logs(&self) -> Vec<(LogName, u32)> {
        let logs = self.lock();
        let kept = logs.iter().filter(|(_, log)| !log.slots.is_empty());
        kept.map(|(key, _)| key.clone()).collect()
    }

    /// When a record was recorded, microseconds since 1970; `None` where it cannot be read.
    pub fn recorded_at(&self, journal: &Records, info: &LogInfo, seq: u64) -> Option<i64> {
        let key = (info.log.clone(), info.epoch);
        let known = self.lock().get(&key).and_then(|log| log.recorded);
        if let Some((_, at)) = known.filter(|(of, _)| *of == seq) {
            return Some(at);
        }
        let record = journal.get(&info.log, info.epoch, seq).ok()??;
        let at = record.header().recorded_at;
        self.lock().entry(key).or_default().recorded = Some((seq, at));
        Some(at)
    }

    /// Adds lines to the head of `note`, which is kept from now on; it is durable when
    /// [`Notes::write`] has written it.
    ///
    /// # Errors
    /// [`NotesError`]; nothing is changed then.
    pub fn add(
        &self,
        office: &Office,
        (log, epoch): (&LogName, u32),
        note: &str,
        lines: &[String],
    ) -> Result<Added, NotesError> {
        let policy = self.policy(office, log, epoch)?;
        let (added, changed) = self.change(&policy, office, (log, epoch), note, lines)?;
        if changed {
            self.changed.tell();
        }
        Ok(added)
    }

    /// Makes every note durable that has changed since the last call; how many those were. All of
    /// one epoch are written together: a slot is used again only if its note is not needed beside
    /// the others.
    ///
    /// # Errors
    /// They cannot be written: those that are not written stay to be written.
    pub async fn write(&self, office: &Office) -> Result<usize, WriteError> {
        let _turn = self.turn.lock().await;
        let mut written = 0;
        let changed: Vec<(LogName, u32)> = {
            let logs = self.lock();
            let unwritten = logs.iter().filter(|(_, log)| !log.unwritten.is_empty());
            unwritten.map(|(key, _)| key.clone()).collect()
        };
        for key in changed {
            let notes = self.unwritten(&key);
            let control = |(slot, head): &(usize, Head)| {
                let key = format!("{PREFIX}{}/{}/{slot}", key.0, key.1).into_bytes();
                Control { key, value: head.encode() }
            };
            let controls = notes.iter().map(control).collect();
            office.writer.write(Transaction { controls, ..Transaction::default() }).await?;
            written += notes.len();
            let mut logs = self.lock();
            let Some(entry) = logs.get_mut(&key) else { continue };
            for (slot, head) in notes {
                // A line that came meanwhile is written next time.
                if entry.slots.get(&slot).is_some_and(|kept| kept.head == head) {
                    entry.unwritten.remove(&slot);
                }
            }
        }
        Ok(written)
    }

    /// The slots of an epoch whose notes are to be written, with their notes.
    fn unwritten(&self, key: &(LogName, u32)) -> Vec<(usize, Head)> {
        let logs = self.lock();
        let Some(entry) = logs.get(key) else { return Vec::new() };
        let note = |slot: &usize| Some((*slot, entry.slots.get(slot)?.head.clone()));
        entry.unwritten.iter().filter_map(note).collect()
    }

    /// What became of the lines, and whether a note has changed.
    fn change(
        &self,
        policy: &Arc<Policy>,
        office: &Office,
        (log, epoch): (&LogName, u32),
        note: &str,
        lines: &[String],
    ) -> Result<(Added, bool), NotesError> {
        let offered = SignedNote::parse(note)?;
        let head = policy.evaluate(&bare(&offered, policy)?)?.checkpoint;
        if head.origin != policy::origin_of(office, log, epoch) {
            return Err(PolicyRefusal::UnknownOrigin.into());
        }
        let mut logs = self.lock();
        let entry = logs.entry((log.clone(), epoch)).or_default();
        entry.judge(policy);
        if entry.complete().is_some_and(|complete| head.size < complete) {
            return Ok((Added::Known, false)); // an older head that nobody needs
        }
        let found = entry.slots.iter().find(|(_, kept)| kept.head.size == head.size);
        let (slot, before) = match found {
            Some((slot, kept)) => (*slot, Some(kept.head.clone())),
            None => (entry.free(), None),
        };
        let base = match &before {
            Some(before) if before.root != head.root => {
                return Err(NotesError::TwoHeads { log: log.clone(), size: head.size });
            }
            Some(before) => SignedNote::parse(&before.note)?,
            None => bare(&offered, policy)?,
        };
        let (merged, stranger) = with_lines(base, lines, policy)?;
        let added = |otherwise| if stranger { Added::Stranger } else { otherwise };
        if before.as_ref().is_some_and(|before| before.note == merged) {
            return Ok((added(Added::Known), false));
        }
        let at = before.map_or_else(|| office.clock.now(), |before| before.at);
        let head = Head { at, size: head.size, root: head.root, note: merged };
        let missing = judged(&head, policy);
        entry.slots.insert(slot, Kept { head, missing });
        entry.unwritten.insert(slot);
        Ok((added(Added::New), true))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(LogName, u32), Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Judges every note by the policy, if it is another one than before.
    fn judge(&mut self, policy: &Arc<Policy>) {
        if self.policy.as_ref().is_some_and(|before| Arc::ptr_eq(before, policy)) {
            return;
        }
        for kept in self.slots.values_mut() {
            kept.missing = judged(&kept.head, policy);
        }
        self.policy = Some(policy.clone());
    }

    /// Size of the newest complete note.
    fn complete(&self) -> Option<u64> {
        let complete = self.slots.values().filter(|kept| kept.missing.is_none());
        complete.map(|kept| kept.head.size).max()
    }

    /// The slot for one more note: an empty one, else that of the oldest note, but never that of
    /// the newest complete one.
    fn free(&self) -> usize {
        if let Some(slot) = (0..SLOTS).find(|slot| !self.slots.contains_key(slot)) {
            return slot;
        }
        let newest = self.complete();
        let others = self.slots.iter().filter(|(_, kept)| Some(kept.head.size) != newest);
        others.min_by_key(|(_, kept)| kept.head.size).map_or(0, |(slot, _)| *slot)
    }
}

fn place(key: &[u8]) -> Option<(LogName, u32, usize)> {
    let text = str::from_utf8(key).ok()?.strip_prefix(PREFIX)?;
    let mut parts = text.rsplitn(3, '/');
    let (slot, epoch, log) = (parts.next()?, parts.next()?, parts.next()?);
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    Some((log.parse().ok()?, epoch.parse().ok()?, slot))
}

/// The head of this size that a line passed on by the centre can be of: of an own log what was
/// signed here, of others what is held. `None`: it is not, or no longer, held here.
pub fn base(office: &Office, log: &LogName, epoch: u32, size: u64) -> Option<String> {
    let kept = office.notes.of(office, log, epoch).into_iter();
    if let Some(kept) = kept.map(|kept| kept.head).find(|head| head.size == size) {
        return Some(kept.note);
    }
    match office.journal.log(log, epoch) {
        Some(info) if info.role == Role::Own && size <= info.size => {
            heads::sign(office, log, epoch, size).ok()
        }
        _ => held(office, log, epoch).filter(|head| head.size == size).map(|head| head.note),
    }
}

/// The newest head that was accepted or witnessed of somebody else's log.
fn held(office: &Office, log: &LogName, epoch: u32) -> Option<Head> {
    store::accepted(office, log, epoch).or_else(|| store::witnessed(office, log, epoch))
}

/// Size of the newest head that is known of a log.
pub fn newest(office: &Office, log: &LogName, epoch: u32) -> u64 {
    let own = office.journal.log(log, epoch).filter(|info| info.role == Role::Own);
    let head = held(office, log, epoch).map(|head| head.size);
    own.map(|info| info.size).or(head).unwrap_or(0)
}

#[cfg(test)]
mod tests;
