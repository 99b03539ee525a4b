//! Makes the journal's index durable about once a second, so that a restart has little to redo,
//! looks after the reserve now and then, and stops the node when the journal has stopped.

use std::time::Duration;

use journal::{CommitError, IndexStatus, Journal};

use crate::office::{Office, SharedOffice};
use crate::project::chain;

const EVERY: Duration = Duration::from_secs(1);
/// Time after which it is done though nothing was committed: while the reserve is missing facts may
/// be refused, and then nothing is.
const QUIET: Duration = Duration::from_secs(60);

/// Runs until shutdown. A flush that fails stops the journal's writer for good (sled is of no use
/// after an error), so it ends the node too: the next start fills in from the commit files what the
/// index lacks.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    keep(&office, QUIET).await
}

async fn keep(office: &Office, quiet: Duration) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| reason(office, ended.to_string()))?;
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return Ok(()),
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            () = tokio::time::sleep(quiet) => {}
        }
        let flushed = office.journal.on_thread(Journal::flush_index).await;
        let failed = |error| reason(office, format!("flush the index: {}", chain(&error)));
        flushed.map_err(|error| error.to_string())?.map_err(failed)?;
    }
}

/// Why the journal has stopped: the damage that its index found, if it was that, else `other`.
fn reason(office: &Office, other: String) -> String {
    match office.journal.index_status() {
        IndexStatus::Refused(report) => report.to_string(),
        _ => other,
    }
}

/// Hears why a log could not be opened: a journal that has stopped takes nothing more, so the node
/// ends, whoever was the first to meet it.
pub fn heed(office: &Office, error: &CommitError) {
    if let CommitError::Stopped(stopped) = error {
        office.supervisor.fail(stopped.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use journal::{Control, Transaction};
    use telemetry::Metrics;

    use super::*;
    use crate::grpc::stat;
    use crate::start;
    use crate::supervisor::{OnEnd, Supervisor};
    use crate::testing::{Desk, desk, log};

    /// Writes a control fact.
    async fn note(office: &Office) {
        let controls = vec![Control { key: b"a".to_vec(), value: Vec::new() }];
        let transaction = Transaction { controls, ..Transaction::default() };
        office.writer.write(transaction).await.unwrap();
    }

    #[tokio::test]
    async fn damage_that_the_index_finds_after_open_ends_the_node_with_the_report() {
        let Desk { office, dir } = desk("KZ-75").await;
        let journal = dir.path().join("data/journal");
        let segment = journal.join("commits/0000000001.seg");
        note(&office).await;
        let older = fs::read(&segment).unwrap();
        note(&office).await;
        office.journal.on_thread(Journal::flush_index).await.unwrap().unwrap();
        let options = office.options.clone();
        // The writer's thread holds the journal until the last handle is gone.
        let mut grown = office.writer.grown();
        drop(office);
        while grown.changed().await.is_ok() {}
        // Without the tail file only the index knows that there was more; and sled hangs on it.
        fs::write(&segment, older).unwrap();
        fs::remove_file(journal.join("tail")).unwrap();
        let hanging = journal.join("index/conf");
        fs::remove_file(&hanging).unwrap();
        assert!(Command::new("mkfifo").arg(&hanging).status().unwrap().success());
        let supervisor = Supervisor::new();
        let open = || {
            start::open(options.clone(), Metrics::disabled(), supervisor.clone(), &Journal::open)
        };
        let office = loop {
            match open().await {
                Ok(office) => break office,
                Err(error) => assert!(format!("{error:#}").contains("in use"), "{error:#}"),
            }
        };
        assert_eq!(office.journal.index_status(), IndexStatus::Opening);
        supervisor.spawn("keep the index", OnEnd::StopNode, run(office.clone()));
        let _pipe = fs::File::options().read(true).write(true).open(&hanging).unwrap();
        supervisor.stopped().await;
        let ended = supervisor.drain(Duration::from_secs(60)).await.unwrap_err();
        let IndexStatus::Refused(report) = office.journal.index_status() else { panic!("{ended}") };
        assert!(report.what.contains("the index knows group"), "{report}");
        assert_eq!(ended, format!("keep the index: {report}"));
    }

    #[tokio::test]
    async fn a_flush_that_fails_ends_the_duty() {
        let desk = desk("KZ-75").await;
        note(&desk.office).await;
        desk.office.journal.on_thread(Journal::close).await.unwrap();
        let ended = run(desk.office.clone()).await.unwrap_err();
        assert!(ended.starts_with("flush the index"), "{ended}");
    }

    #[tokio::test]
    async fn a_reserve_that_was_given_up_is_made_again_though_nothing_is_committed() {
        let desk = desk("KZ-75").await;
        let reserve = desk.dir.path().join("data/journal/reserve");
        std::fs::remove_file(&reserve).unwrap();
        let stat = stat::stat(&desk.office).await.unwrap();
        assert_eq!(stat.reserve_bytes, 0);
        let made = async {
            while !reserve.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let limit = tokio::time::sleep(Duration::from_secs(20));
        tokio::select! {
            ended = keep(&desk.office, Duration::from_millis(1)) => panic!("{ended:?}"),
            () = limit => panic!("no reserve is made"),
            () = made => {}
        }
    }

    #[tokio::test]
    async fn a_stopped_journal_stops_the_node_and_other_refusals_do_not() {
        let desk = desk("KZ-75").await;
        let office = &desk.office;
        let refused = office.journal.ensure_mirror(&log("kz-75"), 1).await.unwrap_err();
        heed(office, &refused);
        assert!(!office.supervisor.stopping().is_cancelled(), "{refused}");
        office.journal.on_thread(Journal::close).await.unwrap();
        heed(office, &office.journal.ensure_mirror(&log("kz/all"), 1).await.unwrap_err());
        assert!(office.supervisor.stopping().is_cancelled());
    }
}
