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
use replication::limits::{ATTACHMENTS_LATER, ATTACHMENTS_WAITING};

use crate::office::Office;
use crate::reseed;

/// Missing attachments of one epoch that are known at a time, but for those that did not come when
/// they were asked for; it is looked through further when some have come or did not.
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
    /// Those of them that were asked for and did not come.
    lost: BTreeSet<(u64, Hash)>,
}

impl Looked {
    /// Whether it is to be looked through further.
    fn has_room(&self) -> bool {
        self.lost.len() < ATTACHMENTS_LATER && self.missing.len() - self.lost.len() < KNOWN
    }
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
        (looked.records < size && looked.has_room()).then_some(looked.records)
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

    /// An attachment of this size is durable here.
    pub fn arrived(&self, hash: &Hash, size: u64) {
        let mut state = self.lock();
        for looked in state.logs.values_mut() {
            let Looked { missing, lost, .. } = looked;
            missing.retain(|(_, missing), of| missing != hash || *of != size);
            lost.retain(|place| missing.contains_key(place));
        }
        state.changes += 1;
    }

    /// An attachment was asked for and did not come: others are looked for past it. Whether that
    /// is new.
    pub fn did_not_come(&self, named: &NamedAttachment) -> bool {
        let (mut state, place) = (self.lock(), (named.seq, named.hash));
        let looked = state.logs.get_mut(&(named.log.clone(), named.epoch));
        let looked = looked.filter(|looked| looked.missing.contains_key(&place));
        let is_new = looked.is_some_and(|looked| looked.lost.insert(place));
        state.changes += u64::from(is_new);
        is_new
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

    /// What an epoch of a log is known to lack, in the order of its records; the first of what
    /// somebody does not know yet.
    pub fn missing(
        &self,
        log: &LogName,
        epoch: u32,
        knows: impl Fn(&Hash, u64) -> bool,
    ) -> Vec<NamedAttachment> {
        let state = self.lock();
        let looked = state.logs.get(&(log.clone(), epoch));
        let missing = looked.into_iter().flat_map(|looked| &looked.missing);
        let missing = missing.filter(|((_, hash), size)| !knows(hash, **size));
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

#[cfg(test)]
mod tests {
    use evidence::log::Position;
    use evidence::record::AttachmentRef;
    use journal::MissingAttachment;

    use super::*;
    use crate::testing::log;

    /// A page of records from `from` on that lack one attachment each.
    fn page(from: u64, count: u64) -> MissingAttachments {
        let lacks = |seq: u64| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&seq.to_be_bytes());
            let position = Position { log: log("kz-75"), epoch: 1, seq };
            MissingAttachment { position, attachment: AttachmentRef { hash, size: seq, media: 1 } }
        };
        MissingAttachments {
            missing: (from..from + count).map(lacks).collect(),
            next: from + count,
        }
    }

    #[test]
    fn a_log_is_looked_through_past_what_did_not_come() {
        let (attachments, log, known) = (Attachments::default(), log("kz-75"), KNOWN as u64);
        attachments.found(&log, 1, 0, page(0, known));
        assert_eq!(attachments.next(&log, 1, 2 * known), None, "enough is known");
        let first = attachments.missing(&log, 1, |_, _| false);
        assert_eq!(first.len(), ATTACHMENTS_WAITING);
        let before = attachments.changes();
        assert!(attachments.did_not_come(&first[0]) && !attachments.did_not_come(&first[0]));
        assert_eq!(attachments.changes(), before + 1, "a link is told that there is room");
        assert_eq!(attachments.next(&log, 1, 2 * known), Some(known));
        let next = attachments.missing(&log, 1, |hash, _| first.iter().any(|n| n.hash == *hash));
        assert_eq!(next[0].seq, ATTACHMENTS_WAITING as u64, "those behind them come next");
        assert_eq!(attachments.complete(&log, 1), 0, "what is lost still lacks");
        attachments.arrived(&first[0].hash, first[0].size + 1);
        assert_eq!(attachments.complete(&log, 1), 0, "another size is another file");
        attachments.arrived(&first[0].hash, first[0].size);
        assert_eq!((attachments.complete(&log, 1), attachments.pending(&log)), (1, known - 1));
        assert_eq!(attachments.next(&log, 1, 2 * known), Some(known));
    }
}
