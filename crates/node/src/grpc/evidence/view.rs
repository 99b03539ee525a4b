//! What this office knows of a log: its policy, and the heads that are kept of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::log::LogName;
use evidence::note::SignedNote;
use evidence::policy::Policy;
use journal::Role;
use tonic::Status;
use tracing::error;
use wire::status::Fault;

use super::not_ready;
use crate::heads;
use crate::link::store::{self, Head};
use crate::office::Office;
use crate::policy::PolicyError;
use crate::project::chain;

/// The policy of a log that is written or mirrored here, with the keys of all its epochs.
pub fn policy_of(office: &Office, log: &LogName) -> Result<Arc<Policy>, Status> {
    let logs = office.journal.logs();
    let epochs = logs.iter().filter(|info| info.log == *log).map(|info| info.epoch);
    office.notes.policy(office, log, epochs.min().unwrap_or(1)).map_err(|problem| match problem {
        PolicyError::NobodyEnrolled(_) => not_ready(problem.to_string()),
        _ => {
            error!(error = chain(&problem), %log, "make the policy of a log");
            Fault::Internal { doing: "make the policy of the log" }.into()
        }
    })
}

/// The heads that are kept of an epoch, over what is held here, each with the lines collected so
/// far; the smallest first.
pub fn notes_of(office: &Office, log: &LogName, epoch: u32) -> Vec<Head> {
    let Some(info) = office.journal.log(log, epoch) else { return Vec::new() };
    let now = match info.role {
        Role::Mirror => store::accepted(office, log, epoch),
        Role::Own => {
            let note = heads::sign(office, log, epoch, info.size).ok();
            note.and_then(|note| store::head_of_note(&note, office.clock.now()))
        }
    };
    let mut notes: BTreeMap<u64, Head> = now.map(|head| (head.size, head)).into_iter().collect();
    let kept = office.notes.of(office, log, epoch).into_iter();
    notes.extend(kept.map(|kept| (kept.head.size, kept.head)));
    notes.into_values().filter(|head| head.size <= info.size).collect()
}

/// What a policy still wants of a signed head, in words; `None` if its lines meet the policy.
pub fn missing(policy: &Policy, note: &SignedNote) -> Option<String> {
    match policy.evaluate(note) {
        Ok(evaluation) => evaluation.missing.map(|missing| missing.to_string()),
        Err(refusal) => Some(refusal.to_string()),
    }
}

/// A note that is kept here.
pub fn parsed(note: &str) -> Result<SignedNote, Status> {
    SignedNote::parse(note).map_err(|failed| {
        error!(error = chain(&failed), "read a kept head");
        Fault::Internal { doing: "read a kept head" }.into()
    })
}
