//! Takes the times from which alarms measure ([`crate::marks`]): whoever is suspected does not
//! choose them.

use std::time::Duration;

use journal::Transaction;
use tracing::error;

use crate::alarms;
use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::told::Told;

const SUBJECT: &str = "watch the evidence";
/// Looks per time of the alarm.
const LOOKS: u32 = 10;

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let late = Duration::from_millis(office.options.evidence.cosignature_alarm_ms);
    let mut told = Told::default();
    loop {
        match look(&office, office.clock.now()).await {
            Ok(()) => told.forget(SUBJECT),
            Err(reason) if told.is_new(SUBJECT, &reason) => error!(reason, "{SUBJECT}"),
            Err(_) => {}
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(late / LOOKS) => {}
        }
    }
}

/// Takes the marks that are due at `now`, microseconds since 1970.
///
/// # Errors
/// What kept them from being durable, in words.
pub(crate) async fn look(office: &Office, now: i64) -> Result<(), String> {
    let controls = alarms::marks(office, now);
    if controls.is_empty() {
        return Ok(());
    }
    let transaction = Transaction { controls, ..Transaction::default() };
    office.writer.write(transaction).await.map(drop).map_err(|error| chain(&error))
}
