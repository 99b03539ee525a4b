//! Wraps of keys: what this office keeps of the keys of others, what it lacks, what it gives.
//!
//! Where an installation has a national recovery key (`recovery.pub` among the keys of each node),
//! whoever holds sealed records of another office keeps the wraps of their keys, below `wraps` in
//! its data folder, and an office whose vault was lost takes them back; the holder of the secret
//! half opens them (`adal vault recover`). Which are lacking follows from the records that are
//! held: nothing else is remembered.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::OfficeCode;
use evidence::log::LogName;
use journal::LogInfo;
use replication::{Failure, KeyWrap};
use tracing::error;
use vault::{KeyId, RecoveryPublic, Stream, Vault, VaultError, Wrap, WrapStore};

use crate::options::Options;
use crate::project::chain;

/// Name of the public recovery key in the folder of secrets.
const RECOVERY: &str = "recovery.pub";
/// Folder of the wraps in the data folder; in it one for each office.
const WRAPS: &str = "wraps";

/// See the module's text.
pub struct Escrow {
    dir: PathBuf,
    recovery: Option<RecoveryPublic>,
    /// Locked while the disk works; never while `state` is.
    stores: Mutex<BTreeMap<OfficeCode, WrapStore>>,
    state: Mutex<State>,
}

struct State {
    /// Counts the changes: who has seen as many need not look again.
    changes: u64,
    /// Records of each log and epoch that were looked through.
    looked: BTreeMap<(LogName, u32), u64>,
    /// The first record of each log and epoch that names a key which is wanted.
    lacking: BTreeMap<(LogName, u32), BTreeSet<(u64, KeyId)>>,
    /// What each office is asked for.
    wanted: BTreeMap<OfficeCode, Wants>,
}

/// What one office is asked for.
#[derive(Default)]
struct Wants {
    keys: HashMap<KeyId, Wanted>,
    /// In the order in which it was found; numbers go up. Some of it has come since.
    order: VecDeque<(u64, KeyId)>,
    /// The last number.
    added: u64,
}

/// A key of which nothing is kept.
struct Wanted {
    /// Whose key it is.
    of: OfficeCode,
    key: NamedKey,
    /// The first record of each log and epoch that names it.
    places: BTreeMap<(LogName, u32), u64>,
}

/// A key as the header of a record names it.
#[derive(Clone, Copy, Debug)]
pub struct NamedKey {
    /// Its id.
    pub id: KeyId,
    /// What is said of it for ever.
    pub commitment: [u8; 32],
    /// What it seals.
    pub stream: Stream,
}

impl NamedKey {
    /// Whether a wrap is one of this key: a mirror takes no other for it.
    fn is_in(&self, wrap: &Wrap) -> bool {
        let of_key = wrap.commitment().is_none_or(|commitment| commitment == self.commitment);
        wrap.id() == self.id && wrap.stream() == self.stream && of_key
    }
}

/// How many keys an office has not given yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Those that are known.
    pub keys: u64,
    /// There may be more: what is held is still looked through.
    pub at_least: bool,
}

/// What a link has seen of what is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    changes: u64,
    added: u64,
}

impl State {
    fn want(
        &mut self,
        (peer, of): (&OfficeCode, &OfficeCode),
        key: NamedKey,
        (place, seq): ((LogName, u32), u64),
    ) {
        let wants = self.wanted.entry(peer.clone()).or_default();
        let wanted = wants.keys.entry(key.id).or_insert_with(|| {
            wants.added += 1;
            wants.order.push_back((wants.added, key.id));
            Wanted { of: of.clone(), key, places: BTreeMap::new() }
        });
        if let Entry::Vacant(vacant) = wanted.places.entry(place.clone()) {
            vacant.insert(seq);
            self.lacking.entry(place).or_default().insert((seq, key.id));
            self.changes += 1;
        }
    }

    /// A wrap of it is kept.
    fn came(&mut self, peer: &OfficeCode, id: KeyId) {
        let Some(wants) = self.wanted.get_mut(peer) else { return };
        let Some(Wanted { places, .. }) = wants.keys.remove(&id) else { return };
        while wants.order.front().is_some_and(|(_, id)| !wants.keys.contains_key(id)) {
            wants.order.pop_front();
        }
        for (place, seq) in places {
            if let Some(lacking) = self.lacking.get_mut(&place) {
                lacking.remove(&(seq, id));
            }
        }
        self.changes += 1;
    }
}

impl Escrow {
    /// Looks for the recovery key; without one nothing is kept and nothing is given.
    ///
    /// # Errors
    /// The file of the recovery key is there and holds none.
    pub fn open(options: &Options) -> Result<Escrow, VaultError> {
        let file = options.keys.join(RECOVERY);
        let is_there = file.try_exists();
        let source = |source| VaultError::Io { action: "look for", path: file.clone(), source };
        let recovery = match is_there.map_err(source)? {
            true => Some(RecoveryPublic::load(&file)?),
            false => None,
        };
        Ok(Escrow::of(options.data.join(WRAPS), recovery))
    }

    fn of(dir: PathBuf, recovery: Option<RecoveryPublic>) -> Escrow {
        // A link has seen no change yet: there is one.
        let state = State {
            changes: 1,
            looked: BTreeMap::new(),
            lacking: BTreeMap::new(),
            wanted: BTreeMap::new(),
        };
        Escrow { dir, recovery, stores: Mutex::default(), state: Mutex::new(state) }
    }

    /// Works with the wraps of an office's keys.
    fn stored<T>(
        &self,
        of: &OfficeCode,
        work: impl FnOnce(&mut WrapStore) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if !stores.contains_key(of) {
            let store = WrapStore::open(&self.dir.join(of.as_str().to_ascii_lowercase()))?;
            stores.insert(of.clone(), store);
        }
        stores.get_mut(of).map_or(Err(VaultError::BadName), work)
    }

    /// Whether there is a recovery key.
    pub fn is_on(&self) -> bool {
        self.recovery.is_some()
    }

    /// How many records of an epoch of a log were looked through.
    pub fn looked(&self, log: &LogName, epoch: u32) -> Option<u64> {
        self.lock().looked.get(&(log.clone(), epoch)).copied()
    }

    /// Notes that records up to `end` were looked through, and that `peer` is to be asked for those
    /// of the keys, each with the record that names it, of which nothing is kept.
    ///
    /// # Errors
    /// The wraps of that office cannot be opened.
    pub fn look_on(
        &self,
        (peer, of): (&OfficeCode, &OfficeCode),
        (log, epoch, end): (&LogName, u32, u64),
        named: &[(u64, NamedKey)],
    ) -> Result<(), VaultError> {
        let lacks = |store: &mut WrapStore| {
            Ok(named.iter().filter(|(_, key)| store.get(key.id).is_none()).collect())
        };
        let lacking: Vec<&(u64, NamedKey)> = match named.is_empty() {
            true => Vec::new(),
            false => self.stored(of, lacks)?,
        };
        let mut state = self.lock();
        for (seq, key) in lacking {
            state.want((peer, of), *key, ((log.clone(), epoch), *seq));
        }
        if state.looked.insert((log.clone(), epoch), end) != Some(end) {
            state.changes += 1;
        }
        Ok(())
    }

    /// What a peer is to be asked for beyond what was `seen`, unless nothing has changed; and what
    /// to say then the next time.
    pub fn wanted(&self, peer: &OfficeCode, seen: Seen) -> Option<(Seen, Vec<[u8; 16]>)> {
        let state = self.lock();
        if state.changes <= seen.changes {
            return None;
        }
        let Some(wants) = state.wanted.get(peer) else {
            return Some((Seen { changes: state.changes, ..seen }, Vec::new()));
        };
        let from = wants.order.partition_point(|(number, _)| *number <= seen.added);
        let new = wants.order.range(from..).map(|(_, id)| id);
        let new = new.filter(|id| wants.keys.contains_key(id)).map(|id| id.0);
        Some((Seen { changes: state.changes, added: wants.added }, new.collect()))
    }

    /// Records of an epoch of a log whose keys are kept, durably, without a gap from the first on;
    /// `None`: there is no recovery key.
    pub fn kept(&self, log: &LogName, epoch: u32) -> Option<u64> {
        self.recovery.as_ref()?;
        let (state, place) = (self.lock(), (log.clone(), epoch));
        let first = state.lacking.get(&place).and_then(BTreeSet::first).map(|(seq, _)| *seq);
        first.or_else(|| state.looked.get(&place).copied()).or(Some(0))
    }

    /// How many keys a peer is to be asked for; `None`: there is no recovery key.
    pub fn lacking(&self, logs: &[LogInfo], peer: &OfficeCode) -> Option<Lacking> {
        self.recovery.as_ref()?;
        let state = self.lock();
        let looked = |info: &LogInfo| state.looked.get(&(info.log.clone(), info.epoch)).copied();
        let all = logs.iter().all(|info| looked(info).unwrap_or(0) >= info.size);
        let wants = state.wanted.get(peer);
        let keys = wants.map_or(0, |wants| wants.keys.len() as u64);
        Some(Lacking { keys, at_least: !all })
    }

    /// What is here of keys that a peer asks for: what is kept of its own keys, wraps of ours.
    pub fn read(&self, vault: &Vault, peer: &OfficeCode, ids: &[[u8; 16]]) -> Vec<KeyWrap> {
        let Some(recovery) = &self.recovery else { return Vec::new() };
        let mut wraps = BTreeMap::new();
        for id in ids.iter().copied().map(KeyId) {
            let kept = self.stored(peer, |store| Ok(store.get(id).cloned()));
            let wrap = match kept {
                Ok(Some(wrap)) => Ok(wrap),
                Ok(None) if vault.stream_of_key(id).is_none() => continue,
                Ok(None) => vault.wrap(id, recovery),
                Err(error) => Err(error),
            };
            match wrap {
                Ok(wrap) => drop(wraps.insert(id.0, wrap.bytes().to_vec())),
                Err(error) => error!(%peer, error = chain(&error), "give the wrap of a key"),
            }
        }
        wraps.into_iter().map(|(id, bytes)| KeyWrap { id, bytes }).collect()
    }

    /// Keeps what came of what was asked for, durably. What is no wrap is passed over, and asked
    /// for again on the next link.
    ///
    /// # Errors
    /// They cannot be stored.
    pub fn keep(&self, peer: &OfficeCode, came: Vec<KeyWrap>) -> Result<(), Failure> {
        let mut by_office: BTreeMap<OfficeCode, Vec<Wrap>> = BTreeMap::new();
        let state = self.lock();
        let wants = state.wanted.get(peer);
        for KeyWrap { id, bytes } in came {
            let wrap = Wrap::from_bytes(bytes).filter(|wrap| self.is_for_us(wrap));
            let wanted = wants.and_then(|wants| wants.keys.get(&KeyId(id)));
            match wrap.zip(wanted).filter(|(wrap, wanted)| wanted.key.is_in(wrap)) {
                Some((wrap, wanted)) => by_office.entry(wanted.of.clone()).or_default().push(wrap),
                None => error!(
                    %peer,
                    "what came as the wrap of a key is none, or is for another recovery key"
                ),
            }
        }
        drop(state);
        for (of, wraps) in by_office {
            let ids: Vec<KeyId> = wraps.iter().map(Wrap::id).collect();
            if let Err(error) = self.stored(&of, |store| store.keep(wraps)) {
                error!(office = %of, error = chain(&error), "keep wraps of keys");
                return Err(Failure::Internal);
            }
            let mut state = self.lock();
            ids.into_iter().for_each(|id| state.came(peer, id));
        }
        Ok(())
    }

    fn is_for_us(&self, wrap: &Wrap) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.is_recipient_of(wrap))
    }

    // Every change leaves a whole state, so a poisoned lock still guards one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vault::{RecoverySecret, RootKey};

    use super::*;
    use crate::testing::log;

    fn escrow(dir: &Path, secret: &RecoverySecret) -> Escrow {
        Escrow::of(dir.join("wraps"), Some(secret.public()))
    }

    /// Says that records up to `end` were looked through, and which of them name which keys.
    fn look(escrow: &Escrow, end: u64, named: &[(u64, NamedKey)]) {
        let office: OfficeCode = "KZ-75".parse().unwrap();
        escrow.look_on((&office, &office), (&log("kz-75"), 1, end), named).unwrap();
    }

    /// A log of so many records.
    fn info(size: u64) -> LogInfo {
        let (log, role, root) = (log("kz-75"), journal::Role::Mirror, [0; 32]);
        LogInfo { log, epoch: 1, role, size, root, last_recorded_at: 0 }
    }

    /// Makes the key of a stream.
    fn key(vault: &Vault, n: u8) -> NamedKey {
        let stream = Stream { kind: 1, id: [n; 16] };
        let id = vault.key_for(stream.kind, stream.id).unwrap();
        NamedKey { id, commitment: vault.commitment(id).unwrap(), stream }
    }

    #[tokio::test]
    async fn what_is_wanted_is_told_once_and_what_comes_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let secret = RecoverySecret::generate().unwrap();
        let lost = Vault::open(&dir.path().join("lost"), &RootKey::generate().unwrap()).unwrap();
        let [one, two, three, four] = [1, 2, 3, 4].map(|n| key(&lost, n));
        let centre = escrow(dir.path(), &secret);
        let office: OfficeCode = "KZ-75".parse().unwrap();
        let kept = |centre: &Escrow| centre.kept(&log("kz-75"), 1);
        assert_eq!(kept(&centre), Some(0), "nothing was looked through");
        look(&centre, 6, &[(0, one), (2, two), (5, one), (5, three)]);
        let (seen, mut ids) = centre.wanted(&office, Seen::default()).unwrap();
        ids.sort_unstable();
        let mut all = [one.id.0, two.id.0, three.id.0];
        all.sort_unstable();
        assert_eq!((&ids[..], kept(&centre)), (&all[..], Some(0)));
        assert!(centre.wanted(&office, seen).is_none(), "nothing new");

        // The region gives wraps of its keys, of others nothing.
        let region = escrow(&dir.path().join("region"), &secret);
        let peer: OfficeCode = "KZ".parse().unwrap();
        let came = region.read(&lost, &peer, &[one.id.0, three.id.0, [9; 16]]);
        assert_eq!(came.len(), 2);
        let bent = KeyWrap { id: two.id.0, bytes: came[0].bytes.clone() };
        let foreign = KeyWrap { id: four.id.0, bytes: came[0].bytes.clone() };
        let other = RecoverySecret::generate().unwrap();
        let elsewhere = escrow(&dir.path().join("elsewhere"), &other);
        let wrong = elsewhere.read(&lost, &peer, &[two.id.0]);
        centre.keep(&office, wrong).unwrap();
        centre.keep(&office, [came, vec![bent, foreign]].concat()).unwrap();
        assert_eq!(kept(&centre), Some(2), "the second key lacks");
        look(&centre, 9, &[(7, four), (8, one)]);
        let (_, ids) = centre.wanted(&office, seen).unwrap();
        assert_eq!(ids, [four.id.0], "what was told before is not told again");

        // After a restart what is kept is not asked for.
        let again = escrow(dir.path(), &secret);
        look(&again, 9, &[(0, one), (2, two), (5, three), (7, four)]);
        let (_, ids) = again.wanted(&office, Seen::default()).unwrap();
        assert_eq!((ids.len(), kept(&again)), (2, Some(2)));
        for (size, at_least) in [(9, false), (10, true)] {
            let lacking = again.lacking(&[info(size)], &office);
            assert_eq!(lacking, Some(Lacking { keys: 2, at_least }), "of {size} records");
        }
        let came = region.read(&lost, &peer, &[two.id.0, four.id.0]);
        again.keep(&office, came).unwrap();
        assert_eq!(kept(&again), Some(9));
        let lacking = again.lacking(&[info(9)], &office);
        assert_eq!(lacking, Some(Lacking { keys: 0, at_least: false }));
        // The office lost its vault and asks for its own.
        let empty = Vault::open(&dir.path().join("new"), &RootKey::generate().unwrap()).unwrap();
        let back = again.read(&empty, &office, &[one.id.0, two.id.0]);
        let wrap = Wrap::from_bytes(back[0].bytes.clone()).unwrap();
        assert!(secret.open(&wrap).unwrap().is_some() && back.len() == 2);
    }

    #[test]
    fn without_a_recovery_key_nothing_waits_and_nothing_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let escrow = Escrow::of(dir.path().into(), None);
        assert!(!escrow.is_on() && escrow.kept(&log("kz-75"), 1).is_none());
        let vault = Vault::open(&dir.path().join("v"), &RootKey::generate().unwrap()).unwrap();
        let key = vault.key_for(1, [1; 16]).unwrap();
        assert!(escrow.read(&vault, &"KZ".parse().unwrap(), &[key.0]).is_empty());
    }
}
