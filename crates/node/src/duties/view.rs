//! A region holds the centre to its word: each list of accepted heads in the mirror of `kz/all`
//! must name this office's own log as this office has it, and every fact there that names a key, an
//! epoch or the end of an epoch of this office must name one that it has.
//!
//! The same size under another digest, a size or an epoch that this office never had, or a key that
//! it never made, means that the centre shows others a log that this office has not written; a list
//! that goes back behind an earlier one hides what it has written. That is kept for ever, as
//! `centre_view` (`link/store.rs`), and shown until a person has acted.
//!
//! The largest head that a list has named is the control fact `listed/<epoch of kz/all>`:
//! `epoch u32 | size u64`, big-endian. How long none has named what the centre co-signed is told by
//! a mark ([`crate::marks`]).

mod closing;

use std::sync::{Mutex, PoisonError};

use domain::Fact;
use domain::integrity::{AcceptedHead, HeadsAccepted, IntegrityFact, LogClosed};
use domain::office::{OfficeEnrolled, OfficeFact, OfficeRekeyed};
use evidence::hash::hex;
use evidence::record::Record;
use journal::{Control, Transaction};
use replication::CosignatureKind;
use tracing::error;

use crate::duties::accepted::digest;
use crate::duties::growth::{self, Cursor};
use crate::facts;
use crate::heads;
use crate::link::store::{self, Turn};
use crate::marks::{self, About, Mark};
use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::reseed;

const BATCH: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;
/// Kind of the fault that is kept.
pub const CENTRE_VIEW: &str = "centre_view";

/// What the newest lists say of this office's log.
#[derive(Debug, Default)]
pub struct View {
    /// When this office met the first of the newest lists that all leave it out, by its own clock,
    /// microseconds since 1970; `None`: the newest one names it.
    left_out: Mutex<Option<i64>>,
}

impl View {
    /// Since when the lists leave this office's log out, microseconds since 1970.
    pub fn left_out_since(&self) -> Option<i64> {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, listed: bool, at: i64) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        *left_out = if listed { None } else { Some(left_out.map_or(at, |since| since.min(at))) };
    }
}

/// Runs until shutdown; the centre has no such duty.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    growth::at_growth(&office, "check the centre's view", async |office| check_all(office).await)
        .await
}

/// Checks everything that has arrived since the last call.
pub(crate) async fn check_all(office: &Office) -> Result<(), String> {
    if reseed::pending(&office.journal).is_some() {
        return Ok(()); // what is compared comes back first
    }
    let log = &office.logs.all;
    for info in office.journal.logs().into_iter().filter(|info| info.log == *log) {
        let mut cursor = Cursor::of(office, "view", log, info.epoch);
        while cursor.next < info.size {
            let from = (log, info.epoch);
            let range = facts::range(&office.journal, from, cursor.next, BATCH, BATCH_BYTES);
            let mut checking = Checking::new(office, office.keeping.lock().await, info.epoch);
            for record in &range.records {
                cursor.next += 1;
                match facts::open_part_or_unknown(record) {
                    Fact::Integrity(IntegrityFact::HeadsAccepted(list)) => {
                        checking.list(record, &list)?;
                    }
                    fact => checking.claim(record, &fact)?,
                }
            }
            checking.write(cursor.control()).await?;
            match range.stopped {
                Some(error) => return Err(chain(&error)),
                None if range.records.is_empty() => {
                    return Err(format!("no record {}", cursor.next));
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// A batch of records that is checked, and what is to be kept of it.
struct Checking<'a> {
    office: &'a Office,
    /// Held until what is found is durable.
    turn: Turn<'a>,
    /// Key of the control fact that keeps `listed`.
    key: Vec<u8>,
    /// Epoch and size of the largest head of this office's log that a list has named.
    listed: Option<(u32, u64)>,
    mark: Option<Mark>,
    /// Whether these two are to be kept.
    is_changed: bool,
    /// The contradictions with the epoch and the text of each, one of a kind.
    faults: Vec<(u32, String, Control)>,
}

impl<'a> Checking<'a> {
    fn new(office: &'a Office, turn: Turn<'a>, epoch: u32) -> Checking<'a> {
        let key = format!("listed/{epoch}").into_bytes();
        let stored = office.journal.control(&key);
        let listed = stored.as_deref().and_then(|value| {
            let (epoch, size) = value.split_first_chunk::<4>()?;
            Some((u32::from_be_bytes(*epoch), u64::from_be_bytes(size.try_into().ok()?)))
        });
        let mark = marks::of(office, About::Unlisted, &office.logs.own, office.own_epoch());
        Checking { office, turn, key, listed, mark, is_changed: false, faults: Vec::new() }
    }

    /// Makes durable what was found; each contradiction is told once it is.
    async fn write(self, cursor: Control) -> Result<(), String> {
        let Checking { office, turn, key, listed, mark, is_changed, faults } = self;
        let (listed, mark) = (listed.filter(|_| is_changed), mark.filter(|_| is_changed));
        let own = &office.logs.own;
        let mut controls: Vec<Control> = faults.iter().map(|(.., kept)| kept.clone()).collect();
        controls.extend(listed.map(|(epoch, size)| {
            let value = [&epoch.to_be_bytes()[..], &size.to_be_bytes()[..]].concat();
            Control { key, value }
        }));
        controls.extend(mark.map(|mark| mark.control(About::Unlisted, own, office.own_epoch())));
        controls.push(cursor);
        let transaction = Transaction { controls, ..Transaction::default() };
        office.writer.write(transaction).await.map_err(|error| chain(&error))?;
        drop(turn);
        for (epoch, text, _) in faults {
            error!(log = %own, epoch, text, "the centre's view");
            office.metrics.fork_met();
        }
        Ok(())
    }

    /// Checks one list.
    fn list(&mut self, record: &Record, list: &HeadsAccepted) -> Result<(), String> {
        let (office, own) = (self.office, self.office.logs.own.as_str());
        let ours: Vec<_> = list.heads.iter().filter(|head| head.log.as_str() == own).collect();
        office.view.note(!ours.is_empty(), office.clock.now());
        for head in ours {
            let text = match contradiction(office, record, head)? {
                None => self.goes_back(record, head),
                contradicts => contradicts,
            };
            let Some(text) = text else {
                self.named(head);
                continue;
            };
            let listed = format!(
                "listed: {own} epoch {} size {} digest {}\n",
                head.epoch,
                head.size,
                hex(&head.digest)
            );
            let ours = held(office, head.epoch, head.size);
            self.keep(head.epoch, text, [listed, ours]);
        }
        Ok(())
    }

    /// A head that is this office's own and no smaller than any before.
    fn named(&mut self, head: &AcceptedHead) {
        self.listed = Some((head.epoch, head.size));
        self.is_changed = true;
        let is_met = self.mark.is_none_or(|mark| mark.target <= head.size);
        if head.epoch == self.office.own_epoch() && is_met {
            let target = cosigned(self.office).unwrap_or(0).max(head.size);
            self.mark = Some(Mark { target, at: self.office.clock.now() });
        }
    }

    fn goes_back(&self, record: &Record, head: &AcceptedHead) -> Option<String> {
        let (epoch, size) = self.listed.filter(|listed| (head.epoch, head.size) < *listed)?;
        let own = &self.office.logs.own;
        Some(format!(
            "the centre lists {own} epoch {} with {} records (record {}) after it has listed epoch \
             {epoch} with {size}: it hides from the other offices what it has accepted; tell them \
             and compare heads: adal evidence compare",
            head.epoch,
            head.size,
            place(record)
        ))
    }

    /// Checks a fact that may name a key, an epoch or an end of this office's log.
    fn claim(&mut self, record: &Record, fact: &Fact) -> Result<(), String> {
        let office = self.office;
        let (epoch, what) = match fact {
            Fact::Office(OfficeFact::Enrolled(fact)) if fact.code == office.code => {
                (1, enrolled(office, fact))
            }
            Fact::Office(OfficeFact::Rekeyed(fact)) if fact.code == office.code => {
                (fact.epoch, rekeyed(office, fact))
            }
            Fact::Integrity(IntegrityFact::Closed(fact))
                if fact.log.as_str() == office.logs.own.as_str() =>
            {
                self.end(record, fact)?;
                (fact.successor_epoch, closed(office, fact))
            }
            _ => return Ok(()),
        };
        let Some(what) = what else { return Ok(()) };
        let text = format!(
            "the centre tells all offices {what} (record {}): others take records under it for \
             this office's; unless this node was installed anew with other keys, tell the other \
             offices, and compare heads: adal evidence compare",
            place(record)
        );
        // The open epoch answers for it: that of the claim may be none that this office has.
        let open = office.own_epoch();
        let size = office.journal.log(&office.logs.own, open).map_or(0, |info| info.size);
        self.keep(epoch, text, [held(office, open, size)]);
        Ok(())
    }

    /// Checks the end that an epoch of this office's log is said to have.
    fn end(&mut self, record: &Record, fact: &LogClosed) -> Result<(), String> {
        let office = self.office;
        let Some(what) = closing::false_end(office, fact)? else { return Ok(()) };
        let text = format!(
            "the centre tells all offices {what} (record {}): the other offices take nothing \
             beyond it for this office's any more; unless the centre was restored from a backup, \
             tell the other offices and compare heads: adal evidence compare",
            place(record)
        );
        let cosigned = [CosignatureKind::Witness, CosignatureKind::Mirror];
        let cosigned = cosigned.map(|kind| {
            let head = store::cosigned(office, &office.logs.own, fact.epoch, kind);
            head.map_or_else(String::new, |head| head.note)
        });
        let said = format!(
            "closed: {} epoch {} size {} root {}\n",
            fact.log,
            fact.epoch,
            fact.size,
            hex(&fact.root)
        );
        let held = held(office, fact.epoch, fact.size);
        self.keep(fact.epoch, text, [said, held].into_iter().chain(cosigned));
        Ok(())
    }

    fn keep(&mut self, epoch: u32, text: String, notes: impl IntoIterator<Item = String>) {
        let at = (&self.office.logs.own, epoch);
        let kept = store::fault_control(self.office, &self.turn, at, CENTRE_VIEW, &text, notes);
        // The first one of a kind stays, in one batch as behind it.
        let Some(kept) = kept else { return };
        if self.faults.iter().all(|(other, ..)| *other != epoch) {
            self.faults.push((epoch, text, kept));
        }
    }
}

fn place(record: &Record) -> String {
    format!("{}:{}", record.header().log, record.header().seq)
}

/// Size of the newest head of the open epoch that the centre has co-signed.
pub(crate) fn cosigned(office: &Office) -> Option<u64> {
    let (own, epoch) = (&office.logs.own, office.own_epoch());
    store::cosigned(office, own, epoch, CosignatureKind::Witness).map(|head| head.size)
}

/// This office's own head of this size: signed, as it was kept where its key is lost, or at least
/// its root.
fn held(office: &Office, epoch: u32, size: u64) -> String {
    let own = &office.logs.own;
    let size = size.min(office.journal.log(own, epoch).map_or(0, |info| info.size));
    if let Ok(note) = heads::sign(office, own, epoch, size) {
        return note;
    }
    let mut kept = office.notes.of(office, own, epoch).into_iter().map(|kept| kept.head);
    if let Some(head) = kept.find(|head| head.size == size) {
        return head.note;
    }
    let root = office.journal.root_at(own, epoch, size).map(|root| hex(&root).to_string());
    let root = root.unwrap_or_else(|error| chain(&error));
    format!("held: {own} epoch {epoch} size {size} root {root}; the key to sign it is not here\n")
}

/// What an enrolment says of this office that is not so. The witness's and the mirror's keys are
/// those of the open epoch's installation.
fn enrolled(office: &Office, fact: &OfficeEnrolled) -> Option<String> {
    let keys = (fact.log_key, fact.witness_key, fact.mirror_key);
    strange_key(office, 1, keys).map(|key| format!("that it enrolled {} with {key}", fact.code))
}

/// The same of new keys.
fn rekeyed(office: &Office, fact: &OfficeRekeyed) -> Option<String> {
    let (code, epoch) = (&fact.code, fact.epoch);
    if epoch > office.own_epoch() {
        return Some(format!("new keys of {code} for epoch {epoch}, which it never opened"));
    }
    let keys = (fact.log_key, fact.witness_key, fact.mirror_key);
    strange_key(office, epoch, keys).map(|key| format!("that {code} goes on with {key}"))
}

/// The same of a successor.
fn closed(office: &Office, fact: &LogClosed) -> Option<String> {
    let LogClosed { log, epoch, successor_epoch: next, successor_key, .. } = fact;
    if *next > office.own_epoch() {
        return Some(format!(
            "that epoch {epoch} of {log} is closed and goes on in epoch {next}, which this office \
             never opened"
        ));
    }
    let ours = office.log_keys.public(*next)?;
    (ours != *successor_key)
        .then(|| format!("that epoch {next} of {log} has a log key that this office never made"))
}

/// The key among those of an epoch that is not this office's. Where it lost its own, it cannot say.
fn strange_key(
    office: &Office,
    epoch: u32,
    (log, witness, mirror): ([u8; 32], [u8; 32], Option<[u8; 32]>),
) -> Option<String> {
    let ours = office.keys.public(office.code.as_str()).ok()?;
    let is_open = epoch == office.own_epoch();
    let kind = match office.log_keys.public(epoch) {
        // The first epoch's key is also what a node that was installed anew begins with.
        Some(key) if key != log && (is_open || epoch > 1) => "log",
        _ if is_open && witness != ours.witness => "witness",
        _ if is_open && mirror.is_some_and(|mirror| mirror != ours.mirror) => "mirror",
        _ => return None,
    };
    Some(format!("a {kind} key for epoch {epoch} that this office never made"))
}

/// How a listed head contradicts this office's own log.
fn contradiction(
    office: &Office,
    record: &Record,
    head: &AcceptedHead,
) -> Result<Option<String>, String> {
    let own = &office.logs.own;
    let open = office.own_epoch();
    let place = place(record);
    if head.epoch > open {
        return Ok(Some(format!(
            "the centre lists {own} epoch {} with {} records (record {place}), this office never \
             opened an epoch behind {open}: either this office lost it, or the centre shows others \
             records that this office did not write; compare both heads, adal evidence compare",
            head.epoch, head.size
        )));
    }
    let size = office.journal.log(own, head.epoch).map(|info| info.size);
    // A closed epoch may be shorter here than it was, or be gone: that is why it has a successor.
    if size.is_none_or(|size| head.size > size) && head.epoch < open {
        return Ok(None);
    }
    let size = size.unwrap_or(0);
    if head.size > size {
        return Ok(Some(format!(
            "the centre lists {own} with {} records (record {place}), this office has written \
             {size}: either this office lost its end, or the centre shows others records that \
             this office did not write; nothing is overwritten: compare both heads, adal evidence \
             compare",
            head.size
        )));
    }
    let root = office.journal.root_at(own, head.epoch, head.size);
    let root = root.map_err(|error| chain(&error))?;
    if digest(office, own, head.epoch, head.size, root) == head.digest {
        return Ok(None);
    }
    Ok(Some(format!(
        "the centre lists another head of {own} of size {} (record {place}) than this office \
         signed: it shows others a log in which a record of this office was changed or dropped; \
         both sides are kept, tell the other offices and compare heads: adal evidence compare",
        head.size
    )))
}

#[cfg(test)]
mod tests;
