//! The deep check of everything an office stores, as the operator service tells it.
//!
//! Three parts: the journal (every frame, record, hash and root, against the index), the vault
//! (every key; what needs a new key waits meanwhile, see [`vault::Vault::check`]), the tables
//! (folded again from the logs into a second file and compared; tables that differ are made anew).
//! Nothing else is changed. One check at a time; it ends when the node stops or the asker hangs up.

use std::future::pending;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use journal::{CheckProgress, CheckReport, Damage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::error;
use wire::Fault;
use wire::pb::common::v1::Position;
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::check_journal_event::Event;

use crate::grpc::operator;
use crate::office::SharedOffice;
use crate::project::{self, chain};

/// Damages listed in one report; the rest is counted.
const DAMAGES: usize = 1_000;
/// Files whose counts one report lists: some 600 KB of a message.
const FILES: usize = 10_000;
/// What has failed where the check itself does.
const FAILED: Fault = Fault::Internal { doing: "check what is stored" };

type Answer = mpsc::Sender<Result<pb::CheckJournalEvent, Status>>;

/// Checks and tells; `only` leaves out damage that is known to concern another log. The last thing
/// told is the report, or why there is none.
pub async fn run(office: SharedOffice, only: String, send: Answer) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let last = {
        let turn = office.tables.checking.try_lock();
        let stop = stopping.child_token();
        let hang_up = async {
            send.closed().await;
            stop.cancel();
            pending::<()>().await;
        };
        match turn {
            Err(_) => Err(Fault::Busy),
            Ok(_turn) => tokio::select! {
                checked = AssertUnwindSafe(check(&office, &only, &send, &stop)).catch_unwind() => {
                    checked.unwrap_or(Err(FAILED))
                }
                () = hang_up => Err(Fault::Stopping),
            },
        }
    };
    let last = last.map(|report| pb::CheckJournalEvent { event: Some(Event::Report(report)) });
    tokio::select! {
        biased;
        // An asker that has gone misses nothing.
        _ = send.send(last.map_err(Status::from)) => {}
        () = stopping.cancelled() => {}
    }
    Ok(())
}

async fn check(
    office: &SharedOffice,
    only: &str,
    send: &Answer,
    stop: &CancellationToken,
) -> Result<pb::CheckReport, Fault> {
    let (report, vault) = stored(office, send, stop).await?;
    let mut damages: Vec<pb::Damage> = report.damages.iter().map(damage).collect();
    damages.extend(vault);
    if report.damage_count == 0 {
        // Tables are compared with what the logs say, so the logs must be sound.
        damages.extend(tables(office, send, stop).await?);
    }
    damages.retain(|damage| {
        let log = damage.position.as_ref().map(|position| position.log.as_str());
        only.is_empty() || log.is_none_or(|log| log == only)
    });
    if !damages.is_empty() {
        office.metrics.damaged(damages.len() as u64);
    }
    Ok(whole(&report, damages))
}

/// The journal's report, and what is wrong with the vault.
async fn stored(
    office: &SharedOffice,
    send: &Answer,
    stop: &CancellationToken,
) -> Result<(CheckReport, Option<pb::Damage>), Fault> {
    let vault = office.vault.clone();
    let (progress, stopped) = (send.clone(), stop.clone());
    let checking = office.journal.on_thread(move |journal| {
        let report = journal.check(&mut |step| {
            if stopped.is_cancelled() {
                return ControlFlow::Break(());
            }
            tell(&progress, "journal", step_of(step));
            ControlFlow::Continue(())
        });
        if stopped.is_cancelled() {
            return (report, None);
        }
        tell(&progress, "vault", (0, 1));
        let vault = vault.check().err().map(|error| problem("vault", chain(&error)));
        tell(&progress, "vault", (1, 1));
        (report, vault)
    });
    let stopping = office.supervisor.stopping();
    let checked = tokio::select! {
        checked = checking => checked,
        () = stopping.cancelled() => return Err(Fault::Stopping),
    };
    if stop.is_cancelled() {
        return Err(Fault::Stopping);
    }
    checked.map_err(|error| {
        error!(error = chain(&error), "the deep check has failed");
        FAILED
    })
}

/// Tells a step; a slow reader misses steps, never the report.
fn tell(send: &Answer, what: &str, (done, total): (u64, u64)) {
    let progress = pb::CheckProgress { what: what.to_owned(), done, total };
    let _ = send.try_send(Ok(pb::CheckJournalEvent { event: Some(Event::Progress(progress)) }));
}

fn step_of(step: &CheckProgress) -> (u64, u64) {
    (step.bytes, step.bytes_total)
}

async fn tables(
    office: &SharedOffice,
    send: &Answer,
    stop: &CancellationToken,
) -> Result<Vec<pb::Damage>, Fault> {
    let total = office.journal.logs().iter().map(|info| info.size).sum();
    let mut done = 0;
    let compared = project::compare(office, stop, |records| {
        done += records;
        tell(send, "tables", (done, total));
    });
    match compared.await {
        Ok(differing) => Ok(differing
            .into_iter()
            .map(|table| {
                let what = "differs from a fold of the logs; all tables are being made anew";
                problem("views.sqlite", format!("table {table} {what}"))
            })
            .collect()),
        Err(_) if stop.is_cancelled() => Err(Fault::Stopping),
        Err(reason) => Ok(vec![problem("views.sqlite", reason)]),
    }
}

fn problem(file: &str, problem: String) -> pb::Damage {
    pb::Damage { file: file.to_owned(), offset: None, position: None, problem }
}

fn damage(found: &Damage) -> pb::Damage {
    pb::Damage {
        file: format!("journal/{}", found.file),
        offset: found.offset,
        position: found.position.as_ref().map(|at| Position {
            log: at.log.to_string(),
            epoch: at.epoch,
            sequence: at.seq,
        }),
        problem: found.what.clone(),
    }
}

fn whole(report: &CheckReport, mut damages: Vec<pb::Damage>) -> pb::CheckReport {
    let unlisted = report.damage_count.saturating_sub(report.damages.len() as u64);
    let cut = damages.len().saturating_sub(DAMAGES) as u64;
    damages.truncate(DAMAGES);
    let files = report.files.iter().take(FILES).map(|file| pb::CheckedFile {
        file: format!("journal/{}", file.file),
        bytes: file.bytes,
        groups: file.groups,
        records: file.records,
        damages: file.damages,
    });
    let logs = report.logs.iter().map(|info| pb::CheckedLog {
        log: info.log.to_string(),
        epoch: info.epoch,
        role: operator::log_role(info.role).into(),
        size: info.size,
        root: info.root.to_vec(),
    });
    pb::CheckReport {
        intact: damages.is_empty() && unlisted == 0 && !report.interrupted,
        files: report.segments,
        groups: report.groups,
        records: report.records,
        bytes: report.bytes,
        damages,
        damages_left_out: unlisted + cut,
        index_entries: report.index_entries,
        interrupted: report.interrupted,
        logs: logs.collect(),
        file_counts: files.collect(),
        index_not_compared: report.index_not_compared.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;

    use super::*;
    use crate::testing::{Desk, contact, desk, log};

    /// The last thing that a check says.
    async fn last(desk: &Desk) -> Option<Result<pb::CheckJournalEvent, Status>> {
        let (send, mut answer) = mpsc::channel(64);
        run(desk.office.clone(), String::new(), send).await.unwrap();
        let mut last = None;
        while let Some(said) = answer.recv().await {
            last = Some(said);
        }
        last
    }

    #[tokio::test]
    async fn a_check_ends_with_its_report() {
        let desk = desk("KZ-75").await;
        desk.record(&log("kz-75"), &[contact(1)]).await;
        let Some(Ok(pb::CheckJournalEvent { event: Some(Event::Report(report)) })) =
            last(&desk).await
        else {
            panic!("no report")
        };
        assert!(report.intact, "{report:?}");
        assert_eq!((report.records, report.index_not_compared.as_str()), (1, ""));
        assert!(report.index_entries > 0);
    }

    #[test]
    fn an_index_that_was_not_compared_is_told() {
        let reason = "the index is being rebuilt";
        let index_not_compared = Some(reason.to_owned());
        let report = CheckReport { index_not_compared, ..CheckReport::default() };
        assert_eq!(whole(&report, vec![]).index_not_compared, reason);
    }

    #[tokio::test]
    async fn a_second_check_is_refused_while_one_runs() {
        let desk = desk("KZ-75").await;
        let turn = desk.office.tables.checking.lock().await;
        let refused = last(&desk).await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        drop(turn);
        assert!(last(&desk).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_stop_ends_a_check_with_an_error() {
        let desk = desk("KZ-75").await;
        desk.office.supervisor.stop();
        let ended = last(&desk).await.unwrap().unwrap_err();
        assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    }

    #[tokio::test]
    async fn an_asker_that_hangs_up_ends_a_check() {
        let desk = desk("KZ-75").await;
        let (send, answer) = mpsc::channel(1);
        drop(answer);
        let ended = run(desk.office.clone(), String::new(), send);
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
        assert!(desk.office.tables.checking.try_lock().is_ok(), "the next one has its turn");
    }
}
