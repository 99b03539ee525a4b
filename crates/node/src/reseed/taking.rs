//! What the link brings: which epochs the centre holds, and that one of them is whole.

use std::collections::{BTreeMap, BTreeSet};

use evidence::note::NoteError;
use journal::{LogInfo, Role};
use replication::{LostEpoch, Offered, Recover, Recovered};
use tracing::{info, warn};

use super::{Kind, Pending, done, pending, write};
use crate::heads;
use crate::keys;
use crate::link::store;
use crate::office::Office;
use crate::project::chain;

/// The epochs that a link could take back now; `None` if nothing is waited for.
pub fn epochs(office: &Office) -> Option<Vec<u32>> {
    let waiting = pending(&office.journal)?;
    Some(lost(office, &waiting).map(|(info, _)| info.epoch).collect())
}

/// Own epochs whose key is known. Without the key that signed it nothing of an epoch can be
/// believed; an empty folder takes nothing before its operator says that it should.
fn lost(office: &Office, waiting: &Pending) -> impl Iterator<Item = (LogInfo, [u8; 32])> {
    let own = office.logs.own.clone();
    let is_new = waiting.kind == Kind::New;
    let infos = office.journal.logs().into_iter();
    let infos = infos.filter(move |i| i.role == Role::Own && i.log == own && !is_new);
    infos.filter_map(|info| {
        let key = keys::log_key(office, &info.log, info.epoch)?;
        Some((info, key))
    })
}

/// What a link to the centre takes back; `None` if nothing is waited for.
///
/// # Errors
/// A key that cannot be used.
pub fn recover(office: &Office) -> Result<Option<Recover>, NoteError> {
    if office.code.is_centre() {
        return Ok(None);
    }
    let Some(waiting) = pending(&office.journal) else { return Ok(None) };
    let log = office.logs.own.clone();
    let mut epochs = Vec::new();
    for (info, key) in lost(office, &waiting) {
        epochs.push(LostEpoch {
            epoch: info.epoch,
            verifier: heads::log_verifier(&office.options.domain, &log, info.epoch, &key)?,
            frontier: office.journal.frontier(&log, info.epoch).unwrap_or_default(),
            head: store::accepted(office, &log, info.epoch).map(|head| head.note),
        });
    }
    Ok(Some(Recover { log, epochs }))
}

/// The centre says what it holds of this office's log.
///
/// # Errors
/// What kept it from being noted, in words; the next link says it again.
pub async fn offered(office: &Office, offered: Offered) -> Result<(), String> {
    let Some(before) = pending(&office.journal) else { return Ok(()) };
    let is_known = offered.signed || offered.epochs.len() > 1;
    let epochs: BTreeMap<u32, u64> = offered.epochs.into_iter().collect();
    if before.kind == Kind::New && !is_known {
        let ended = done(before.kind, office.clock.now(), &BTreeMap::new());
        write(office, ended).await.map_err(|error| chain(&error))?;
        info!("the centre holds nothing of this office's log: it is new");
        return Ok(());
    }
    if before.kind != Kind::New {
        let mut left = BTreeSet::new();
        for epoch in epochs.keys() {
            if open(office, *epoch).await? {
                left.insert(*epoch);
            }
        }
        let mut state = office.reseed.lock();
        state.left = left;
        state.is_offered = true;
        drop(state);
        office.reseed.whole.notify_one();
    }
    let now = Pending { offered: Some(epochs), ..before.clone() };
    if now != before {
        write(office, now.control()).await.map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// Opens an epoch that the centre holds; false for one below the open one that is not here: it
/// stays with the centre, because epochs of an own log are opened upwards.
async fn open(office: &Office, epoch: u32) -> Result<bool, String> {
    let own = &office.logs.own;
    if office.journal.log(own, epoch).is_some() {
        return Ok(true);
    }
    if epoch < office.own_epoch() {
        warn!(log = %own, epoch, "an epoch that the backup did not have is not taken back");
        return Ok(false);
    }
    let opened = office.journal.ensure_own_log(own, epoch).await;
    opened.map(|()| true).map_err(|error| chain(&error))
}

/// All that the centre can prove of an epoch is here.
pub fn recovered(office: &Office, recovered: &Recovered) {
    let Recovered { log, epoch, size, signed } = recovered;
    match signed.checked_sub(*size) {
        None | Some(0) => info!(%log, epoch, size, "an epoch is whole again"),
        Some(lost) => {
            warn!(%log, epoch, size, signed, lost, "an epoch is here as far as anybody holds it")
        }
    }
    let mut state = office.reseed.lock();
    state.left.remove(epoch);
    state.whole.insert(*epoch, (*size, *signed));
    drop(state);
    office.reseed.whole.notify_one();
}
