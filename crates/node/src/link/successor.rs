//! Whether a new epoch of a mirrored log is taken up: only if its key is named by the key of the
//! epoch before, or was enrolled anew at the centre. Nothing is believed on first sight.

use evidence::log::{LogName, origin};
use evidence::succession::Succession;
use journal::{CommitError, Control, Role, Transaction};
use replication::RefusalCode;
use replication::action::EpochRefused;
use tracing::{error, info};

use crate::duties::keep::heed;
use crate::heads;
use crate::keys;
use crate::link::store;
use crate::office::{Office, SharedOffice};
use crate::project::chain;

/// Takes up an epoch that the peer has opened: its key is known and durable, and its mirror open,
/// when this returns. `succession` is what the peer shows for its key.
///
/// # Errors
/// Why it is not taken up, in words for the operators of both offices.
pub async fn take_up(
    office: &SharedOffice,
    log: LogName,
    epoch: u32,
    succession: Option<String>,
) -> Result<(), EpochRefused> {
    let failed = |code, why: String| {
        error!(%log, epoch, why, "take up a new epoch");
        let text = format!("epoch {epoch} of {log} cannot be mirrored: {why}");
        EpochRefused { code, text, notes: Vec::new() }
    };
    let controls = admit(office, &log, epoch, succession.as_deref())?;
    let by = if controls.is_empty() { "the keys known here" } else { "its statement" };
    if !controls.is_empty() {
        let transaction = Transaction { controls, ..Transaction::default() };
        let kept = office.writer.write(transaction).await;
        kept.map_err(|error| failed(RefusalCode::Internal, chain(&error)))?;
    }
    let opened = office.journal.ensure_mirror(&log, epoch).await;
    match opened.inspect_err(|error| heed(office, error)) {
        Ok(()) => {
            info!(%log, epoch, by, "the new epoch is mirrored from now on");
            Ok(())
        }
        Err(error @ CommitError::DiskFull { .. }) => {
            Err(failed(RefusalCode::DiskFull, chain(&error)))
        }
        Err(error @ CommitError::IndexBuilding { .. }) => {
            Err(failed(RefusalCode::IndexBuilding, chain(&error)))
        }
        Err(error) => Err(failed(RefusalCode::Internal, chain(&error))),
    }
}

/// What is to be kept for an epoch that may be taken up.
fn admit(
    office: &Office,
    log: &LogName,
    epoch: u32,
    succession: Option<&str>,
) -> Result<Vec<Control>, EpochRefused> {
    let shown: Vec<String> = succession.map(str::to_owned).into_iter().collect();
    let refuse = |code, text| EpochRefused { code, text, notes: shown.clone() };
    let wrong_key = |why: &str| {
        refuse(RefusalCode::WrongKey, format!("epoch {epoch} of {log} {why}; {}", way_out(log)))
    };
    let known = office.country.known();
    let rekeyed = keys::owner(log).and_then(|owner| known.rekeyed.get(&owner));
    match rekeyed.and_then(|epochs| epochs.keys().last().copied()) {
        Some(enrolled) if enrolled == epoch => return Ok(Vec::new()),
        Some(enrolled) if enrolled > epoch => {
            let why = format!("comes before epoch {enrolled}, for which the centre has a new key");
            return Err(wrong_key(&why));
        }
        _ => {}
    }
    let Some(note) = succession else {
        return match keys::log_key(office, log, epoch) {
            Some(_) => Ok(Vec::new()),
            None => Err(wrong_key("has a key that the key of the epoch before does not name")),
        };
    };
    let domain = &office.options.domain;
    let statement = Succession::parse(note).map_err(|error| {
        refuse(RefusalCode::BadSignature, format!("what is shown for epoch {epoch}: {error}"))
    })?;
    if statement.successor.name() != origin(domain, log, epoch) {
        return Err(wrong_key("is shown with the statement of another epoch"));
    }
    let logs = office.journal.logs().into_iter();
    let mirrored = logs.filter(|info| info.role == Role::Mirror && info.log == *log);
    let newest = mirrored.map(|info| info.epoch).max().unwrap_or(1);
    let before = keys::epoch_of_origin(domain, log, &statement.closed.origin);
    let Some(before) = before.filter(|before| (newest..epoch).contains(before)) else {
        let why = format!("does not follow epoch {newest}, the newest that is known here");
        return Err(wrong_key(&why));
    };
    let key = keys::log_key(office, log, before);
    let verifier = key.and_then(|key| heads::log_verifier(domain, log, before, &key).ok());
    let opened = verifier.map(|verifier| Succession::open(note, &verifier));
    if !matches!(opened, Some(Ok(_))) {
        return Err(wrong_key("has a key that the known key of the epoch before did not name"));
    }
    if let Some(held) = contradicts(office, log, before, &statement) {
        let text = format!(
            "epoch {before} of {log} is said to have ended with {} records that are not the ones \
             which its office signed and this office holds: two histories, nothing is taken up",
            statement.closed.size
        );
        let notes = held.into_iter().chain(shown).collect();
        return Err(EpochRefused { code: RefusalCode::Fork, text, notes });
    }
    Ok(vec![keys::keep_statement(log, epoch, note)])
}

/// What the operators can do where a key is not believed.
fn way_out(log: &LogName) -> String {
    match keys::owner(log) {
        Some(owner) if !owner.is_centre() => format!(
            "if {owner} has lost the old key, run at the centre `adal office rekey --code {owner} \
             --public FILE`, with the public.toml that its node wrote into the folder `keys` of \
             its data; otherwise put the old key back there"
        ),
        _ => "ask the centre by another way whether its key was lost; nothing of this epoch is \
              taken from it until its old key names the new one"
            .to_owned(),
    }
}

/// The accepted head (if there is one) where what is held here contradicts the statement.
fn contradicts(
    office: &Office,
    log: &LogName,
    before: u32,
    statement: &Succession,
) -> Option<Option<String>> {
    let (size, root) = (statement.closed.size, statement.closed.root);
    let accepted = store::accepted(office, log, before);
    let held = office.journal.log(log, before).map_or(0, |info| info.size);
    let is_other = if size <= held {
        office.journal.root_at(log, before, size).is_ok_and(|held| held != root)
    } else {
        accepted.as_ref().is_some_and(|head| head.size == size && head.root != root)
    };
    is_other.then(|| accepted.map(|head| head.note))
}

#[cfg(test)]
mod tests;
