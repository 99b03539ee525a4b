//! The pieces of a transaction: records at their places, the frame of a command, limits.

use evidence::log::LogName;
use evidence::record::{Draft, Record};

use super::Plan;
use crate::error::CommitError;
use crate::group::{Done, Run};
use crate::transaction::CommandClaim;

/// A draft as the record that it becomes at its place.
pub(super) fn placed(
    mut draft: Draft,
    log: &LogName,
    epoch: u32,
    seq: u64,
    stream_version: u32,
    recorded_at: i64,
) -> Result<Record, CommitError> {
    let header = &mut draft.header;
    header.log = log.clone();
    (header.epoch, header.seq) = (epoch, seq);
    (header.stream_version, header.recorded_at) = (stream_version, recorded_at);
    Ok(draft.into_record()?)
}

/// What a command did, with neighbouring records joined.
pub(super) fn done(claim: CommandClaim, plan: &Plan) -> Done {
    let mut runs: Vec<Run> = Vec::new();
    for (log_no, record) in &plan.records {
        let (epoch, seq) = (record.header().epoch, record.header().seq);
        match runs.last_mut() {
            Some(run)
                if (run.log_no, run.epoch) == (*log_no, epoch)
                    && run.first_seq + u64::from(run.count) == seq =>
            {
                run.count += 1;
            }
            _ => runs.push(Run { log_no: *log_no, epoch, first_seq: seq, count: 1 }),
        }
    }
    Done {
        key: claim.key,
        request_hash: claim.request_hash,
        recorded_at: plan.committed.recorded_at,
        runs,
        versions: plan.committed.versions.clone(),
    }
}

/// Refuses what exceeds a limit.
pub(super) fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), CommitError> {
    if found <= limit {
        return Ok(());
    }
    Err(CommitError::TooLarge { what, found: found as u64, limit: limit as u64 })
}
