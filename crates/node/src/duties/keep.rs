//! Makes the journal's index durable about once a second, so that a restart has little to redo,
//! and stops the node when the journal has stopped.

use std::time::Duration;

use journal::CommitError;

use crate::office::{Office, SharedOffice};
use crate::project::chain;

const EVERY: Duration = Duration::from_secs(1);

/// Runs until shutdown. A flush that fails stops the journal's writer for good (sled is of no use
/// after an error), so it ends the node too: the next start fills in from the commit files what the
/// index lacks.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| ended.to_string())?;
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let journal = office.journal.clone();
        let flushed = tokio::task::spawn_blocking(move || journal.flush_index()).await;
        flushed
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("flush the index: {}", chain(&error)))?;
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
    use journal::{Control, Transaction};

    use super::*;
    use crate::testing::{desk, log};

    #[tokio::test]
    async fn a_flush_that_fails_ends_the_duty() {
        let desk = desk("KZ-75").await;
        let controls = vec![Control { key: b"a".to_vec(), value: Vec::new() }];
        let transaction = Transaction { controls, ..Transaction::default() };
        desk.office.writer.write(transaction).await.unwrap();
        desk.office.journal.close();
        let ended = run(desk.office.clone()).await.unwrap_err();
        assert!(ended.starts_with("flush the index"), "{ended}");
    }

    #[tokio::test]
    async fn a_stopped_journal_stops_the_node_and_other_refusals_do_not() {
        let desk = desk("KZ-75").await;
        let office = &desk.office;
        let refused = office.journal.ensure_mirror(&log("kz-75"), 1).unwrap_err();
        heed(office, &refused);
        assert!(!office.supervisor.stopping().is_cancelled(), "{refused}");
        office.journal.close();
        heed(office, &office.journal.ensure_mirror(&log("kz/all"), 1).unwrap_err());
        assert!(office.supervisor.stopping().is_cancelled());
    }
}
