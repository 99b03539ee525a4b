//! What the centre has published to every office: enrolled offices and classifiers.
//!
//! Folded from `kz/all`, which the centre writes and every region mirrors, so each office knows
//! it with no network. Until the first record arrives the built-in classifiers hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use domain::integrity::{IntegrityFact, LogClosed};
use domain::office::{OfficeEnrolled, OfficeFact, OfficeRekeyed};
use domain::{Classifiers, Fact, OfficeCode};
use evidence::log::LogName;
use evidence::record::HeadRef;
use journal::{LogInfo, ReadError, Role};

use crate::facts;
use crate::records::Records;

/// Records read from the journal at once.
const BATCH: usize = 256;
/// Bytes read from the journal at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// A public key, with epoch and sequence of the record that names it.
pub type NamedKey = ((u32, u64), [u8; 32]);

/// The keys that replaced those of an office's enrolment, by the epoch that they are for.
pub type NewKeys = BTreeMap<u32, OfficeRekeyed>;

/// What is known at one moment. Immutable: readers keep their copy while the next one is made.
#[derive(Clone)]
pub struct Known {
    /// Enrolled offices by code. Keys of witness and mirror are the newest, that of the log is the
    /// first epoch's.
    pub offices: BTreeMap<OfficeCode, OfficeEnrolled>,
    /// The witness keys that each one has had, with epoch and sequence of the record that names
    /// them: that of its enrolment first, the newest last.
    pub witness_keys: BTreeMap<OfficeCode, Vec<NamedKey>>,
    /// Offices that were enrolled once more with other keys, and where: the first enrolment holds.
    pub again: BTreeMap<OfficeCode, (u32, u64)>,
    /// Epoch and size of the newest head of the log that was complete here: the offices enrolled
    /// below it are who must sign the next one. `None`: none was yet.
    pub complete: Option<(u32, u64)>,
    /// New keys of offices that lost theirs, by the epoch of their log that they are for.
    pub rekeyed: BTreeMap<OfficeCode, NewKeys>,
    /// Closed epochs of logs, with the keys of their successors.
    pub closed: BTreeMap<(LogName, u32), LogClosed>,
    /// The classifiers in force.
    pub classifiers: Classifiers,
    /// The newest head of `kz/all` that the centre signed, this node accepted, and what is known
    /// here covers. At the centre: what it has itself recorded.
    pub head: Option<HeadRef>,
}

impl Known {
    /// The keys that replaced those of an office's enrolment.
    pub fn new_keys(&self, office: &OfficeCode) -> NewKeys {
        self.rekeyed.get(office).cloned().unwrap_or_default()
    }
}

/// Holds the newest [`Known`].
pub struct Country {
    known: RwLock<Arc<Known>>,
    /// Epoch and next sequence to fold; locked while folding, so folds do not overtake.
    next: Mutex<(u32, u64)>,
}

impl Country {
    /// Knows nothing but the built-in classifiers.
    pub fn new(built_in: Classifiers) -> Country {
        let known = Known {
            offices: BTreeMap::new(),
            witness_keys: BTreeMap::new(),
            again: BTreeMap::new(),
            complete: None,
            rekeyed: BTreeMap::new(),
            closed: BTreeMap::new(),
            classifiers: built_in,
            head: None,
        };
        Country { known: RwLock::new(Arc::new(known)), next: Mutex::new((1, 0)) }
    }

    /// What is known now.
    pub fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Folds what the journal holds of `log` beyond the last call. `accepted` tells the newest
    /// accepted head of an epoch of the mirrored log; it is not asked about an own log. A record
    /// that is not understood is passed over, so that the others are known.
    ///
    /// # Errors
    /// The first record that cannot be read; what was folded before it is known, and the next call
    /// begins with it.
    pub fn catch_up(
        &self,
        journal: &Records,
        log: &LogName,
        accepted: impl Fn(u32) -> Option<HeadRef>,
    ) -> Result<(), ReadError> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        for info in journal.logs().into_iter().filter(|info| info.log == *log) {
            // The rest of an epoch arrives before the first record of the next one.
            if info.epoch > next.0 && info.size > 0 {
                *next = (info.epoch, 0);
            }
            let mut stopped = None;
            while info.epoch == next.0 && next.1 < info.size {
                let range = facts::range(journal, (log, info.epoch), next.1, BATCH, BATCH_BYTES);
                let mut known = (*self.known()).clone();
                for (seq, record) in (next.1..).zip(&range.records) {
                    fold(&mut known, (next.0, seq), facts::open_part_or_unknown(record));
                }
                // Known first, then passed over: a record is never lost between the two.
                self.publish(known);
                next.1 += range.records.len() as u64;
                stopped = range.stopped;
                if stopped.is_some() || range.records.is_empty() {
                    break;
                }
            }
            if info.epoch == next.0 {
                self.look_for_head(journal, &info, next.1, &accepted)?;
            }
            if let Some(error) = stopped {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes over the newest head that covers no more than the first `folded` records.
    fn look_for_head(
        &self,
        journal: &Records,
        info: &LogInfo,
        folded: u64,
        accepted: &impl Fn(u32) -> Option<HeadRef>,
    ) -> Result<(), ReadError> {
        let head = match info.role {
            Role::Own if folded > 0 => {
                let root = journal.root_at(&info.log, info.epoch, folded)?;
                Some(HeadRef { size: folded, root })
            }
            Role::Own => None,
            Role::Mirror => accepted(info.epoch).filter(|head| (1..=folded).contains(&head.size)),
        };
        let known = self.known();
        if head.is_some() && head != known.head {
            self.publish(Known { head, ..(*known).clone() });
        }
        Ok(())
    }

    /// A head of this epoch and size was complete here; one that is older changes nothing.
    pub fn completed(&self, epoch: u32, size: u64) {
        let _turn = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known();
        if known.complete.is_none_or(|before| before < (epoch, size)) {
            self.publish(Known { complete: Some((epoch, size)), ..(*known).clone() });
        }
    }

    fn publish(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }
}

fn fold(known: &mut Known, at: (u32, u64), fact: Fact) {
    match fact {
        // The first one holds: a second could give an office's first epoch another key.
        Fact::Office(OfficeFact::Enrolled(office)) => match known.offices.get(&office.code) {
            None => {
                known.witness_keys.insert(office.code.clone(), vec![(at, office.witness_key)]);
                known.offices.insert(office.code.clone(), office);
            }
            Some(first) => {
                let is_same = (first.log_key, first.witness_key, first.mirror_key)
                    == (office.log_key, office.witness_key, office.mirror_key);
                if !is_same {
                    known.again.entry(office.code).or_insert(at);
                }
            }
        },
        Fact::Office(OfficeFact::Rekeyed(fact)) => {
            if let Some(office) = known.offices.get_mut(&fact.code) {
                if office.witness_key != fact.witness_key {
                    let keys = known.witness_keys.entry(fact.code.clone()).or_default();
                    keys.push((at, fact.witness_key));
                }
                office.witness_key = fact.witness_key;
                office.mirror_key = fact.mirror_key.or(office.mirror_key);
                known.rekeyed.entry(fact.code.clone()).or_default().insert(fact.epoch, fact);
            }
        }
        Fact::Integrity(IntegrityFact::Closed(fact)) => {
            // A name that no log can have names none.
            if let Ok(log) = fact.log.as_str().parse() {
                known.closed.entry((log, fact.epoch)).or_insert(fact);
            }
        }
        other => {
            known.classifiers.apply(&other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{desk, enrolment, log};

    #[tokio::test]
    async fn the_head_is_one_that_was_accepted_and_is_covered() {
        let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
        let all = log("kz/all");
        centre.record(&all, &[enrolment("KZ-71"), enrolment("KZ-75")]).await;
        region.mirror(&centre, &all).await;
        let country = Country::new(Classifiers::built_in().unwrap());
        let journal = &region.office.journal;
        let head = |size, byte| HeadRef { size, root: [byte; 32] };
        country.catch_up(journal, &all, |_| None).unwrap();
        assert_eq!(country.known().head, None, "none was accepted");
        country.catch_up(journal, &all, |_| Some(head(3, 3))).unwrap();
        assert_eq!(country.known().head, None, "it covers more than is known");
        country.catch_up(journal, &all, |_| Some(head(2, 2))).unwrap();
        assert_eq!(country.known().head, Some(head(2, 2)));
        country.catch_up(journal, &all, |_| Some(head(3, 3))).unwrap();
        assert_eq!(country.known().head, Some(head(2, 2)), "the covered one stays");
        assert_eq!(country.known().offices.len(), 2);
    }

    #[tokio::test]
    async fn the_centre_covers_what_it_has_recorded() {
        let centre = desk("KZ").await;
        let all = log("kz/all");
        let country = &centre.office.country;
        country.catch_up(&centre.office.journal, &all, |_| None).unwrap();
        assert_eq!(country.known().head, None);
        centre.record(&all, &[enrolment("KZ-71")]).await;
        country.catch_up(&centre.office.journal, &all, |_| None).unwrap();
        let info = centre.office.journal.log(&all, 1).unwrap();
        assert_eq!(country.known().head, Some(HeadRef { size: 1, root: info.root }));
    }
}
