//! Wraps of keys: what this office keeps of the keys of others, what it lacks, what it gives.
//!
//! Where an installation has a national recovery key (`recovery.pub` among the keys of each node),
//! whoever holds sealed records of another office keeps the wraps of their keys, below `wraps` in
//! its data folder, and an office whose vault was lost takes them back; the holder of the secret
//! half opens them (`adal vault recover`). Which are lacking follows from the records that are
//! held: nothing else is remembered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::OfficeCode;
use evidence::log::LogName;
use journal::LogInfo;
use replication::{Failure, KeyWrap};
use tracing::error;
use vault::{KeyId, RecoveryPublic, Vault, VaultError, Wrap, WrapStore};

use crate::options::Options;
use crate::project::chain;
use crate::records::Records;

/// Name of the public recovery key in the folder of secrets.
const RECOVERY: &str = "recovery.pub";
/// Folder of the wraps in the data folder; in it one for each office.
const WRAPS: &str = "wraps";

/// See the module's text.
pub struct Escrow {
    dir: PathBuf,
    recovery: Option<RecoveryPublic>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stores: BTreeMap<OfficeCode, WrapStore>,
    /// Counts the changes: who has seen as many need not look again.
    changes: u64,
    /// Records of each log and epoch that were looked through.
    looked: BTreeMap<(LogName, u32), u64>,
    /// What each office is asked for.
    wanted: BTreeMap<OfficeCode, BTreeMap<KeyId, Wanted>>,
}

/// A key of which nothing is kept.
#[derive(Clone)]
struct Wanted {
    /// Whose key it is.
    of: OfficeCode,
    /// The first record that names it.
    at: (LogName, u32, u64),
}

impl State {
    /// The wraps of an office's keys.
    fn store(
        &mut self,
        dir: &std::path::Path,
        of: &OfficeCode,
    ) -> Result<&mut WrapStore, VaultError> {
        if !self.stores.contains_key(of) {
            let store = WrapStore::open(&dir.join(of.as_str().to_ascii_lowercase()))?;
            self.stores.insert(of.clone(), store);
        }
        self.stores.get_mut(of).ok_or(VaultError::BadName)
    }
}

impl Escrow {
    /// Looks for the recovery key; without one nothing is kept and nothing is given.
    ///
    /// # Errors
    /// The file of the recovery key is there and holds none.
    pub fn open(options: &Options) -> Result<Escrow, VaultError> {
        let file = options.keys.join(RECOVERY);
        let recovery = match file.exists() {
            true => Some(RecoveryPublic::load(&file)?),
            false => None,
        };
        Ok(Escrow { dir: options.data.join(WRAPS), recovery, state: Mutex::default() })
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
        named: impl Iterator<Item = (u64, KeyId)>,
    ) -> Result<(), VaultError> {
        let mut state = self.lock();
        for (seq, id) in named {
            if state.store(&self.dir, of)?.get(id).is_none() {
                let wanted = Wanted { of: of.clone(), at: (log.clone(), epoch, seq) };
                state.wanted.entry(peer.clone()).or_default().entry(id).or_insert(wanted);
            }
        }
        if state.looked.insert((log.clone(), epoch), end) != Some(end) {
            state.changes += 1;
        }
        Ok(())
    }

    /// What a peer is to be asked for, unless nothing has changed since `seen`; and what to say
    /// then the next time.
    pub fn wanted(&self, peer: &OfficeCode, seen: u64) -> Option<(u64, Vec<[u8; 16]>)> {
        let state = self.lock();
        let wanted = state.wanted.get(peer).into_iter().flatten();
        (state.changes > seen).then(|| (state.changes, wanted.map(|(id, _)| id.0).collect()))
    }

    /// Records of an epoch of a log whose keys are kept, durably, without a gap from the first on;
    /// `None`: there is no recovery key.
    pub fn kept(&self, log: &LogName, epoch: u32) -> Option<u64> {
        self.recovery.as_ref()?;
        let state = self.lock();
        let wanted = state.wanted.values().flat_map(BTreeMap::values);
        let first = wanted.filter(|wanted| (&wanted.at.0, wanted.at.1) == (log, epoch));
        let first = first.map(|wanted| wanted.at.2).min();
        first.or_else(|| state.looked.get(&(log.clone(), epoch)).copied()).or(Some(0))
    }

    /// How many keys a peer is to be asked for; `None`: there is no recovery key, or what is held
    /// was not looked through to its end.
    pub fn lacking(&self, journal: &Records, peer: &OfficeCode) -> Option<u64> {
        self.recovery.as_ref()?;
        let state = self.lock();
        let looked = |info: &LogInfo| state.looked.get(&(info.log.clone(), info.epoch)).copied();
        let all = journal.logs().iter().all(|info| looked(info).unwrap_or(0) >= info.size);
        all.then(|| state.wanted.get(peer).map_or(0, |wanted| wanted.len() as u64))
    }

    /// What is here of keys that a peer asks for: what is kept of its own keys, wraps of ours.
    pub fn read(&self, vault: &Vault, peer: &OfficeCode, ids: &[[u8; 16]]) -> Vec<KeyWrap> {
        let Some(recovery) = &self.recovery else { return Vec::new() };
        let mut wraps = BTreeMap::new();
        for id in ids.iter().copied().map(KeyId) {
            let kept = self.lock().store(&self.dir, peer).map(|store| store.get(id).cloned());
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
        let mut state = self.lock();
        let asked = state.wanted.get(peer).cloned().unwrap_or_default();
        let mut by_office: BTreeMap<&OfficeCode, Vec<Wrap>> = BTreeMap::new();
        for KeyWrap { id, bytes } in came {
            let wrap = Wrap::from_bytes(bytes).filter(|wrap| wrap.id().0 == id);
            match (wrap, asked.get(&KeyId(id))) {
                (Some(wrap), Some(wanted)) => by_office.entry(&wanted.of).or_default().push(wrap),
                _ => error!(%peer, "what came as the wrap of a key is none"),
            }
        }
        for (of, wraps) in by_office {
            let ids: Vec<KeyId> = wraps.iter().map(Wrap::id).collect();
            let kept = state.store(&self.dir, of).and_then(|store| store.keep(wraps));
            if let Err(error) = kept {
                error!(office = %of, error = chain(&error), "keep wraps of keys");
                return Err(Failure::Internal);
            }
            if let Some(wanted) = state.wanted.get_mut(peer) {
                wanted.retain(|id, _| !ids.contains(id));
            }
            state.changes += 1;
        }
        Ok(())
    }

    // Every change leaves a whole state, so a poisoned lock still guards one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
