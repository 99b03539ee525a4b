//! Attachments that records name and that are not here: how far each log was looked through, and
//! what it lacks. Nothing of it is stored: a process that starts finds out anew from the journal.
//!
//! The journal refuses an own record whose attachment is not here. What can be lacking is what
//! other offices' records name, and what the records name that a lost server was given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::hash::Hash;
use evidence::log::LogName;
use journal::{LogInfo, MissingAttachments, Role};
use replication::action::NamedAttachment;
use replication::limits::ATTACHMENTS_WAITING;

use crate::office::Office;
use crate::reseed;

/// Missing attachments of one epoch that are known at a time; it is looked through further when
/// some have come.
const KNOWN: usize = 4_096;

/// What is lacking. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Attachments(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    logs: BTreeMap<(LogName, u32), Looked>,
    /// Attachments that are being stored.
    storing: BTreeSet<Hash>,
    /// Grows with every change of `logs`.
    changes: u64,
}

#[derive(Debug, Default)]
struct Looked {
    /// Records that were looked at.
    records: u64,
    /// What they lack, by the sequence of the record that names it, with its size.
    missing: BTreeMap<(u64, Hash), u64>,
}

/// Leave to store an attachment, for one at a time.
#[derive(Debug)]
pub struct Claim {
    attachments: Attachments,
    hash: Hash,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.attachments.lock().storing.remove(&self.hash);
    }
}

impl Attachments {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that grows with every change.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The first of `size` records that is to be looked at; `None`: not now.
    pub fn next(&self, log: &LogName, epoch: u32, size: u64) -> Option<u64> {
        let mut state = self.lock();
        let looked = state.logs.entry((log.clone(), epoch)).or_default();
        (looked.records < size && looked.missing.len() < KNOWN).then_some(looked.records)
    }

    /// Takes up what was found from record `from` on.
    pub fn found(&self, log: &LogName, epoch: u32, from: u64, page: MissingAttachments) {
        let mut state = self.lock();
        let looked = state.logs.entry((log.clone(), epoch)).or_default();
        if looked.records != from {
            return;
        }
        looked.records = page.next;
        let missing = page.missing.into_iter();
        let entry = |lacks: journal::MissingAttachment| {
            ((lacks.position.seq, lacks.attachment.hash), lacks.attachment.size)
        };
        looked.missing.extend(missing.map(entry));
        state.changes += 1;
    }

    /// The records from `first` to before `end` are durable and name no attachment.
    pub fn passed(&self, log: &LogName, epoch: u32, first: u64, end: u64) {
        let mut state = self.lock();
        let looked = state.logs.entry((log.clone(), epoch)).or_default();
        if looked.records == first {
            looked.records = end;
            state.changes += 1;
        }
    }

    /// An attachment is durable here.
    pub fn arrived(&self, hash: &Hash) {
        let mut state = self.lock();
        for looked in state.logs.values_mut() {
            looked.missing.retain(|(_, missing), _| missing != hash);
        }
        state.changes += 1;
    }

    /// Records of a log of which every attachment is here.
    pub fn complete(&self, log: &LogName, epoch: u32) -> u64 {
        let state = self.lock();
        let Some(looked) = state.logs.get(&(log.clone(), epoch)) else { return 0 };
        looked.missing.first_key_value().map_or(looked.records, |((seq, _), _)| *seq)
    }

    /// Attachments that a log is known to lack, over all its epochs.
    pub fn pending(&self, log: &LogName) -> u64 {
        let state = self.lock();
        let of_log = state.logs.iter().filter(|((of, _), _)| of == log);
        of_log.map(|(_, looked)| looked.missing.len() as u64).sum()
    }

    /// What an epoch of a log is known to lack, in the order of its records; the first of it.
    pub fn missing(&self, log: &LogName, epoch: u32) -> Vec<NamedAttachment> {
        let state = self.lock();
        let looked = state.logs.get(&(log.clone(), epoch));
        let missing = looked.into_iter().flat_map(|looked| &looked.missing);
        let missing = missing.take(ATTACHMENTS_WAITING);
        let named = missing.map(|((seq, hash), size)| NamedAttachment {
            log: log.clone(),
            epoch,
            seq: *seq,
            hash: *hash,
            size: *size,
        });
        named.collect()
    }

    /// Leave to store an attachment; `None` while another one stores it.
    pub fn claim(&self, hash: Hash) -> Option<Claim> {
        let is_free = self.lock().storing.insert(hash);
        is_free.then(|| Claim { attachments: self.clone(), hash })
    }
}

/// The epochs among `logs` that may lack attachments: those of other offices' logs, and those of
/// the own log that are closed, or that are being taken back.
pub fn may_lack(office: &Office, logs: &[LogName]) -> Vec<LogInfo> {
    let open = office.own_epoch();
    let comes_back = reseed::pending(&office.journal).is_some();
    let lacks = |info: &LogInfo| match info.role {
        Role::Mirror => true,
        Role::Own => info.log == office.logs.own && (comes_back || info.epoch < open),
    };
    let infos = office.journal.logs().into_iter();
    infos.filter(|info| logs.contains(&info.log) && lacks(info)).collect()
}
