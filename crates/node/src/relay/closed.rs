//! The last head of an epoch that is over. No link offers it again: nothing more of it is to be
//! sent. If the centre ended before it went round, the records at the end of the epoch would never
//! get the lines of others.

use evidence::checkpoint::cosign;
use evidence::note::{NoteError, Signer};
use journal::{LogInfo, Role};
use replication::Candidate;
use tracing::warn;

use crate::heads;
use crate::link::store;
use crate::office::Office;
use crate::policy;
use crate::project::chain;

/// Offers the last head of every closed epoch of which no note is kept.
pub(super) fn offer(office: &Office) {
    let logs = office.journal.logs();
    let is_over = |info: &&LogInfo| {
        let goes_on = |other: &LogInfo| other.log == info.log && other.epoch > info.epoch;
        info.size > 0 && logs.iter().any(goes_on)
    };
    for info in logs.iter().filter(is_over) {
        let (log, epoch, size) = (&info.log, info.epoch, info.size);
        let kept = office.notes.of(office, log, epoch);
        let is_kept = kept.first().is_some_and(|kept| kept.head.size >= size);
        if is_kept || store::frozen(office, log, epoch).is_some() {
            continue;
        }
        let note = match info.role {
            Role::Own if *log == office.logs.own => heads::sign(office, log, epoch, size).ok(),
            Role::Own => None, // its readers' lines come with the link
            Role::Mirror => mirrored(office, info),
        };
        if let Some(note) = note {
            office.relay.lock().offer(Candidate { log: log.clone(), epoch, size, note });
        }
    }
}

/// The accepted head with both of our lines, once more; `None` while records below it are missing.
fn mirrored(office: &Office, info: &LogInfo) -> Option<String> {
    let head = store::accepted(office, &info.log, info.epoch)?;
    if (head.size, head.root) != (info.size, info.root) {
        return None;
    }
    let (domain, code) = (&office.options.domain, office.code.as_str());
    let seconds = u64::try_from(office.clock.now() / 1_000_000).unwrap_or(0);
    let line = |kind, seed| -> Result<String, NoteError> {
        let signer = Signer::cosigner(&policy::key_name(domain, kind, code), seed)?;
        cosign(&head.note, &signer, seconds)
    };
    let lines = line("witness", office.keys.witness_seed())
        .and_then(|witness| Ok(witness + &line("mirror", office.keys.mirror_seed())?));
    match lines {
        Ok(lines) => Some(format!("{}{lines}", head.note)),
        Err(error) => {
            let (log, epoch) = (&info.log, info.epoch);
            warn!(%log, epoch, error = chain(&error), "co-sign a last head");
            None
        }
    }
}
