//! What the duties that read a log to its end have in common: they are woken by growth, go on at a
//! cursor that is committed with what they do, and tell a fault that lasts once.

use std::time::Duration;

use evidence::log::LogName;
use tracing::error;

use crate::office::{Office, SharedOffice};
use crate::told::Told;

/// Pause before what went wrong is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Does the work at the start and after every group that was written, until shutdown; after a
/// failure also without one. `subject` is what the work is called where it fails.
///
/// # Errors
/// The writer has ended.
pub(super) async fn at_growth(
    office: &SharedOffice,
    subject: &'static str,
    work: impl AsyncFn(&Office) -> Result<(), String>,
) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let mut grown = office.writer.grown();
    let mut told = Told::default();
    loop {
        grown.mark_seen();
        let done = work(office).await;
        match &done {
            Ok(()) => told.forget(subject),
            // It is met again after every group: once is enough.
            Err(reason) if told.is_new(subject, reason) => error!(reason, "{subject}"),
            Err(_) => {}
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            changed = grown.changed() => {
                changed.map_err(|ended| ended.to_string())?;
            }
            () = tokio::time::sleep(RETRY), if done.is_err() => {}
        }
    }
}

/// Where a duty has got to in an epoch of a log.
pub(super) struct Cursor {
    /// Key of the control fact.
    pub(super) key: Vec<u8>,
    /// The next record to read.
    pub(super) next: u64,
}

impl Cursor {
    /// The cursor that is stored; without one, the start.
    pub(super) fn of(office: &Office, duty: &str, log: &LogName, epoch: u32) -> Cursor {
        let key = format!("duty/{duty}/{log}/{epoch}").into_bytes();
        let stored = office.journal.control(&key);
        let next = stored.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        Cursor { key, next }
    }

    /// The control fact that says that it is here.
    pub(super) fn control(&self) -> journal::Control {
        journal::Control { key: self.key.clone(), value: self.next.to_be_bytes().to_vec() }
    }
}
