//! Writes the notes that have changed, together, [`WRITE_EVERY`] after the first of them has.

use std::time::Duration;

use tracing::error;

use crate::notes::WRITE_EVERY;
use crate::office::SharedOffice;
use crate::project::chain;
use crate::told::Told;

const RETRY: Duration = Duration::from_secs(5);
const SUBJECT: &str = "notes";

/// Runs until shutdown, and writes once more then.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut changed = office.notes.changed();
    let mut told = Told::default();
    loop {
        changed.take();
        let done = office.notes.write(&office).await;
        match &done {
            Ok(_) => told.forget(SUBJECT),
            Err(failed) => {
                let error = chain(failed);
                if told.is_new(SUBJECT, &error) {
                    error!(error, "write the notes; they are written again and again");
                }
            }
        }
        if stopping.is_cancelled() {
            return Ok(());
        }
        let pause = async {
            match &done {
                Ok(_) => {
                    changed.changed().await;
                    tokio::time::sleep(WRITE_EVERY).await;
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = pause => {}
        }
    }
}
