//! What the journal is made of, as the operator service tells it.

use journal::IndexStatus;
use tonic::Status;
use tracing::error;
use wire::Fault;
use wire::pb::operator::v1 as pb;

use crate::grpc::{instant, operator};
use crate::office::Office;
use crate::project::chain;
use crate::upkeep::{BackupState, ScrubState};

/// The answer to `JournalStat`.
///
/// # Errors
/// The figures cannot be had.
pub async fn stat(office: &Office) -> Result<pb::JournalStatResponse, Status> {
    let journal = &office.journal;
    let file = office.options.data.join("journal/reserve");
    // The reserve is not there after the disk was nearly full.
    let looking = journal.on_thread(move |journal| {
        let reserve = std::fs::metadata(file).map_or(0, |file| file.len());
        (journal.stats(), reserve, journal.quarantined_index())
    });
    let (stats, reserve_bytes, aside) = looking.await.map_err(|error| {
        error!(error = chain(&error), "get figures of the journal");
        Fault::Internal { doing: "get figures of the journal" }
    })?;
    let (index_state, index_detail) = index(&journal.index_status());
    let scrub = ScrubState::load(journal);
    let set = &office.options.journal;
    Ok(pb::JournalStatResponse {
        logs: journal.logs().iter().map(|info| operator::log_row(office, info)).collect(),
        records: stats.records,
        segments: stats.segments,
        commit_bytes: stats.commit_bytes,
        index_state: index_state.to_owned(),
        index_detail,
        index_bytes: stats.index_bytes,
        free_bytes: stats.free_bytes,
        watermark_bytes: stats.watermark_bytes,
        reserve_bytes,
        stopped: stats.stopped,
        scrub_rate: set.scrub_kib.saturating_mul(1_024),
        last_scrub: (scrub.passes > 0).then(|| pb::ScrubPass {
            number: scrub.passes,
            ended: Some(instant(scrub.ended)),
            bytes: scrub.bytes,
            records: scrub.records,
            damages: scrub.damages,
        }),
        last_backup: BackupState::load(journal).map(|backup| pb::BackupInfo {
            taken: Some(instant(backup.taken)),
            group: backup.group,
            bytes: backup.bytes,
        }),
        restores: journal.restorations().iter().map(restore).collect(),
        index_aside_bytes: aside.as_ref().map_or(0, |aside| aside.bytes),
        index_aside: aside.map(|aside| aside.name).unwrap_or_default(),
    })
}

fn index(status: &IndexStatus) -> (&'static str, String) {
    match status {
        IndexStatus::Ready => ("ready", String::new()),
        IndexStatus::Opening => {
            ("opening", "it is being compared with the commit files".to_owned())
        }
        IndexStatus::Building { reason, groups, of } => {
            ("building", format!("{groups} of {of} groups: {reason}"))
        }
        IndexStatus::Waiting { reason } => ("waiting", reason.clone()),
        IndexStatus::Refused(report) => ("refused", report.to_string()),
    }
}

fn restore(restored: &journal::Restored) -> pb::RestoreInfo {
    let ended = restored.ended.iter().map(|ended| pb::EndedEpoch {
        log: ended.log.to_string(),
        epoch: ended.epoch,
        size: ended.size,
        successor: ended.successor,
    });
    pb::RestoreInfo {
        restored: Some(instant(restored.at)),
        taken: Some(instant(restored.taken_at)),
        ended: ended.collect(),
    }
}
