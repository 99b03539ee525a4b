//! Who else signs: the centre shows each office's heads to its peers and passes their lines on.
//!
//! The centre co-signs a head as witness and as mirror; that note is kept and goes round, at most
//! once per `replication.relay_interval_ms`, the newest only. Each link asks its peer for what
//! [`wanted`] says and tells it what [`Passing::lines`] gives. Everything follows from the notes
//! kept ([`crate::notes`]), so a restart of either side loses nothing: a line that is not there is
//! asked for again.

mod closed;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::OfficeCode;
use evidence::log::LogName;
use evidence::note::{SignedNote, Verifier};
use replication::{Candidate, Cosigned, Mirrored, Offer, Schedule};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use crate::country::Known;
use crate::heads;
use crate::keys;
use crate::link::store;
use crate::notes::NotesError;
use crate::office::{Office, downlink, own_log};
use crate::policy::{self, Part};
use crate::project::chain;

/// When heads go round.
#[derive(Debug)]
pub struct Relay {
    schedule: Mutex<Schedule>,
    began: Instant,
    /// Whether the last heads of closed epochs were looked for since the node started.
    looked_back: AtomicBool,
    /// Heard when something was offered.
    pub(crate) offered: Notify,
}

impl Relay {
    /// Nothing went round yet.
    pub fn new(interval: Duration) -> Relay {
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let schedule = Mutex::new(Schedule::new(micros));
        let looked_back = AtomicBool::new(false);
        Relay { schedule, began: Instant::now(), looked_back, offered: Notify::new() }
    }

    /// A head that this office has co-signed in both ways may go round.
    pub fn offer(&self, mirrored: Mirrored) {
        let Mirrored { log, epoch, size, note, lines: [witness, mirror] } = mirrored;
        let note = format!("{note}{witness}{mirror}");
        self.lock().offer(Candidate { log, epoch, size, note });
        self.offered.notify_one();
    }

    /// Time until a head is due; `None`: none waits.
    pub(crate) fn wake_in(&self) -> Option<Duration> {
        let due = self.lock().wakeup()?;
        Some(Duration::from_micros(due.saturating_sub(self.now())))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the heads that are due go round: they are kept as notes, of which the links hear.
pub fn go_round(office: &Office) {
    if office.code.is_centre() {
        offer_own(office);
        if !office.relay.looked_back.swap(true, Ordering::Relaxed) {
            closed::offer(office);
        }
    }
    let due = office.relay.lock().due(office.relay.now());
    for candidate in due {
        let Candidate { log, epoch, note, .. } = &candidate;
        let lines = lines_of(note);
        match office.notes.add(office, (log, *epoch), note, &lines) {
            Ok(_) => {}
            Err(error) => {
                if !matches!(error, NotesError::Policy(_)) {
                    warn!(%log, epoch, error = chain(&error), "keep a head that goes round");
                }
                if error.passes() {
                    office.relay.lock().missed(candidate);
                }
            }
        }
    }
}

/// The centre's own work has no mirror elsewhere: its heads go round as they grow.
fn offer_own(office: &Office) {
    let log = &office.logs.own;
    let logs = office.journal.logs().into_iter().filter(|info| info.log == *log);
    let Some(info) = logs.max_by_key(|info| info.epoch).filter(|info| info.size > 0) else {
        return;
    };
    if let Ok(note) = heads::sign(office, log, info.epoch, info.size) {
        let (log, epoch, size) = (log.clone(), info.epoch, info.size);
        office.relay.lock().offer(Candidate { log, epoch, size, note });
    }
}

/// The signature lines of a note, each as text.
fn lines_of(note: &str) -> Vec<String> {
    let note = SignedNote::parse(note);
    note.map_or(Vec::new(), |note| note.signatures().iter().map(ToString::to_string).collect())
}

/// The key with which an office co-signs as a witness, as it is enrolled now.
fn witness_key(office: &Office, known: &Known, peer: &OfficeCode) -> Option<Verifier> {
    let name = policy::key_name(&office.options.domain, "witness", peer.as_str());
    Verifier::cosigner(&name, &known.offices.get(peer)?.witness_key).ok()
}

/// The heads that `peer` is to co-sign as a further witness and has not: the newest note of every
/// log of which it is a witness, and no other part.
pub fn wanted(office: &Office, peer: &OfficeCode) -> Vec<(Offer, u64)> {
    if !office.code.is_centre() {
        return Vec::new();
    }
    let known = office.country.known();
    let Some(key) = witness_key(office, &known, peer) else { return Vec::new() };
    let mut wanted = Vec::new();
    for (log, epoch) in office.notes.logs() {
        let own = match policy::part(&log) {
            Some(Part::Region(code)) if policy::peers(&known, &code).contains(peer) => false,
            Some(Part::Centre) if log == office.logs.own => true,
            _ => continue,
        };
        let Some(newest) = office.notes.of(office, &log, epoch).into_iter().next() else {
            continue;
        };
        // Nobody is asked for a line on one of two histories.
        if store::frozen(office, &log, epoch).is_some() {
            continue;
        }
        if newest.has(&key) {
            continue;
        }
        let verifier = keys::log_key(office, &log, epoch)
            .and_then(|key| heads::log_verifier(&office.options.domain, &log, epoch, &key).ok());
        if let Some(verifier) = verifier {
            let (size, note) = (newest.head.size, newest.head.note);
            wanted.push((Offer { log, epoch, verifier, note, own }, size));
        }
    }
    wanted
}

/// What was passed on over one link.
#[derive(Debug, Default)]
pub struct Passing {
    /// Log, epoch, size of the head, name and id of the key.
    passed: BTreeSet<(LogName, u32, u64, String, u32)>,
}

impl Passing {
    /// The lines that `peer` lacks on heads that it knows: those of its own log, and those of the
    /// centre's logs of which it has co-signed the head.
    pub fn lines(&mut self, office: &Office, peer: &OfficeCode) -> Vec<Cosigned> {
        if !office.code.is_centre() {
            return Vec::new();
        }
        let own = own_log(peer).ok();
        let shared =
            [Some(office.logs.all.clone()), Some(office.logs.own.clone()), downlink(peer).ok()];
        let Some(witness) = witness_key(office, &office.country.known(), peer) else {
            return Vec::new();
        };
        let (mut lines, mut known) = (Vec::new(), BTreeSet::new());
        for (log, epoch) in office.notes.logs() {
            let is_own = own.as_ref() == Some(&log);
            if !is_own && !shared.contains(&Some(log.clone())) {
                continue;
            }
            for kept in office.notes.of(office, &log, epoch) {
                if !is_own && !kept.has(&witness) {
                    continue;
                }
                let head = kept.head;
                let Ok(note) = SignedNote::parse(&head.note) else { continue };
                let origin = policy::origin_of(office, &log, epoch);
                for line in note.signatures().iter().filter(|line| line.name() != origin) {
                    let (name, id) = (line.name().to_owned(), line.key_id());
                    let key = (log.clone(), epoch, head.size, name, id);
                    known.insert(key.clone());
                    if !self.passed.contains(&key) {
                        let (log, size) = (log.clone(), head.size);
                        lines.push(Cosigned { log, epoch, size, cosignature: line.to_string() });
                    }
                }
            }
        }
        // What is no longer kept need not be remembered.
        self.passed = known;
        lines
    }
}

#[cfg(test)]
mod tests;
