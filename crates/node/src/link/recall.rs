//! What this office co-signed, if its own memory of it was lost: a journal that was restored from a
//! backup is behind its own cosignatures, and a witness that goes on from there would sign a second
//! root for one size.
//!
//! Every office shows its peer the newest heads with the peer's line ([`shown`]). Who is shown a
//! head with a line of its own key that it does not remember takes it for its memory ([`recall`]).
//! After a restore nothing is co-signed for an office before it has shown what it has:
//! `recalled/<office>` names the restore after which it did, by its time.
//!
//! What is left: an office that hides what it was given can get a second line on it from a restored
//! one. Its peers were shown the first head, or can be.

use std::collections::BTreeMap;

use domain::OfficeCode;
use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::note::{NoteError, SignedNote, Signer, Verifier};
use journal::{Control, Role, Transaction};
use replication::action::{Failure, Fault, PeerForgot};
use replication::{CosignatureKind, Party, RefusalCode, WitnessedHead};
use tracing::{error, warn};

use crate::link::store::{self, Head, Turn};
use crate::office::{Office, downlink};
use crate::policy;
use crate::project::chain;

/// Kind of the fault that is kept where a peer co-signs on although it has lost its memory.
pub const PEER_MEMORY: &str = "peer_memory";
const RECALLED: &str = "recalled/";

/// The newest head of each log and epoch that carries a line of the peer's present key, with it.
pub fn shown(office: &Office, peer: &OfficeCode, key: &Verifier) -> Vec<WitnessedHead> {
    let mut newest: BTreeMap<(LogName, u32), Head> = BTreeMap::new();
    let mut add = |log: &LogName, epoch: u32, head: Head| {
        if !has_line(&head.note, key) {
            return;
        }
        let known = newest.get(&(log.clone(), epoch));
        if known.is_none_or(|known| known.size < head.size) {
            newest.insert((log.clone(), epoch), head);
        }
    };
    for info in office.journal.logs().into_iter().filter(|info| info.role == Role::Own) {
        let kind = CosignatureKind::Witness;
        if let Some(head) = store::cosigned_by(office, &info.log, info.epoch, kind, peer.as_str()) {
            add(&info.log, info.epoch, head);
        }
    }
    for (log, epoch) in office.notes.logs() {
        for kept in office.notes.of(office, &log, epoch) {
            add(&log, epoch, kept.head);
        }
    }
    let heads = newest.into_iter();
    heads.map(|((log, epoch), head)| WitnessedHead { log, epoch, note: head.note }).collect()
}

fn has_line(note: &str, key: &Verifier) -> bool {
    let is_its = |line: &str| verify_cosignature(note, line, key).is_ok();
    let Ok(parsed) = SignedNote::parse(note) else { return false };
    parsed.signatures().iter().any(|line| is_its(&format!("{line}")))
}

/// Whether this journal was restored since the peer last showed what this office had co-signed.
pub fn forgotten(office: &Office, peer: &OfficeCode) -> bool {
    let newest = office.journal.restorations().into_iter().map(|restored| restored.at).max();
    let recalled = office.journal.control(&recalled_key(peer));
    newest.is_some_and(|newest| recalled.as_deref() != Some(&newest.to_be_bytes()))
}

fn recalled_key(peer: &OfficeCode) -> Vec<u8> {
    format!("{RECALLED}{}", peer.as_str().to_ascii_lowercase()).into_bytes()
}

/// Takes up what the peer shows of this office's cosignatures, durably; true if something of it was
/// not remembered, or contradicts what is: the link is to be planned anew then.
///
/// # Errors
/// It cannot be stored.
pub async fn recall(
    office: &Office,
    peer: &OfficeCode,
    shown: Vec<WitnessedHead>,
) -> Result<bool, Failure> {
    let keys = own_keys(office).map_err(|error| {
        error!(error = chain(&error), "use this office's own keys");
        Failure::Internal
    })?;
    let turn = office.keeping.lock().await;
    let mut controls = Vec::new();
    for WitnessedHead { log, epoch, note } in shown {
        // A line of another key is nobody's memory here: an office that was installed anew.
        if keys.iter().any(|key| has_line(&note, key)) {
            controls.extend(remember(office, &turn, peer, (&log, epoch), note)?);
        }
    }
    let is_new = !controls.is_empty();
    if forgotten(office, peer)
        && let Some(at) = office.journal.restorations().iter().map(|restored| restored.at).max()
    {
        controls.push(Control { key: recalled_key(peer), value: at.to_be_bytes().to_vec() });
    }
    if !controls.is_empty() {
        let transaction = Transaction { controls, ..Transaction::default() };
        office.writer.write(transaction).await.map_err(|error| {
            error!(error = chain(&error), "keep what this office had co-signed");
            Failure::Internal
        })?;
    }
    Ok(is_new)
}

/// The keys with which this office co-signs.
fn own_keys(office: &Office) -> Result<[Verifier; 2], NoteError> {
    let (domain, code) = (&office.options.domain, office.code.as_str());
    let verifier = |kind, seed| {
        Signer::cosigner(&policy::key_name(domain, kind, code), seed).map(|key| key.verifier())
    };
    Ok([
        verifier("witness", office.keys.witness_seed())?,
        verifier("mirror", office.keys.mirror_seed())?,
    ])
}

/// What is to be kept of one head that carries our line.
fn remember(
    office: &Office,
    turn: &Turn<'_>,
    peer: &OfficeCode,
    (log, epoch): (&LogName, u32),
    note: String,
) -> Result<Vec<Control>, Failure> {
    let Some(head) = store::head_of_note(&note, office.clock.now()) else { return Ok(Vec::new()) };
    let origin = Checkpoint::parse(&note).map(|checkpoint| checkpoint.origin);
    if origin != Ok(policy::origin_of(office, log, epoch)) {
        return Ok(Vec::new());
    }
    // Of logs that are not mirrored here this office is a further witness.
    let is_mirrored = office.code.is_centre()
        || *log == office.logs.all
        || downlink(&office.code).is_ok_and(|down| *log == down);
    let before = match is_mirrored {
        true => store::accepted(office, log, epoch),
        false => store::witnessed(office, log, epoch),
    };
    let known = before.as_ref().map_or(0, |before| before.size);
    if head.size > known {
        warn!(%peer, %log, epoch, size = head.size, known,
            "this office had co-signed a head that it does not remember: it is taken up");
        return Ok(vec![match is_mirrored {
            true => store::accept(log, epoch, &head),
            false => store::witness(log, epoch, &head),
        }]);
    }
    let root = root_here(office, log, epoch, before.as_ref(), head.size)?;
    if root.is_none_or(|root| root == head.root) {
        return Ok(Vec::new());
    }
    let text = format!(
        "{peer} shows a head of {log} of size {} with the cosignature of this office that is not \
         of the history that this office holds: it co-signed two histories, before and after it \
         was restored from a backup; both notes are kept, nothing more of this epoch is co-signed",
        head.size
    );
    let notes = before.into_iter().map(|before| before.note).chain([note]).collect();
    let fault = Fault {
        log: log.clone(),
        epoch,
        own: false,
        code: RefusalCode::Fork,
        found_by: Party::Us,
        text,
        notes,
        proof: Vec::new(),
    };
    Ok(store::evidence(office, turn, &fault))
}

/// The root of this size in the history that is remembered here, as far as it can be known.
fn root_here(
    office: &Office,
    log: &LogName,
    epoch: u32,
    remembered: Option<&Head>,
    size: u64,
) -> Result<Option<Hash>, Failure> {
    if let Some(head) = remembered.filter(|head| head.size == size) {
        return Ok(Some(head.root));
    }
    let held = office.journal.log(log, epoch).filter(|info| info.size >= size);
    let root = held.map(|_| office.journal.root_at(log, epoch, size)).transpose();
    root.map_err(|error| {
        error!(%log, epoch, error = chain(&error), "read the root of a head");
        Failure::Internal
    })
}

/// Keeps the evidence that a peer which was shown its own line goes on as if it had not given it.
pub async fn peer_forgot(office: &Office, peer: &OfficeCode, forgot: PeerForgot) {
    let PeerForgot { log, epoch, cosigned, remembered, now: [head, line] } = forgot;
    let size = |note: &str| Checkpoint::parse(note).map_or(0, |checkpoint| checkpoint.size);
    let text = format!(
        "{peer} co-signed {} records of {log}, remembers {} and co-signs on: it lost its memory as \
         a witness and may co-sign another history of the same records; both notes are kept: have \
         its operators restore it with `adal journal restore`, and compare heads: adal evidence \
         compare",
        size(&cosigned),
        remembered.as_deref().map_or(0, size)
    );
    let notes = [cosigned, remembered.unwrap_or_default(), format!("{head}{line}")];
    match store::keep_found(office, (&log, epoch), PEER_MEMORY, &text, notes).await {
        Ok(false) => {}
        Ok(true) => error!(%peer, %log, epoch, text, "a witness without memory"),
        Err(error) => error!(error = chain(&error), text, "keep the evidence of a fault"),
    }
}

#[cfg(test)]
mod tests;
