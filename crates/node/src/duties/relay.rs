//! Lets heads go round among the offices, when their time has come; the centre's duty.

use std::time::Duration;

use crate::office::SharedOffice;
use crate::relay;

/// Longest pause: the centre's own log is looked at this often, whatever else happens.
const LONGEST: Duration = Duration::from_secs(5);

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    loop {
        relay::go_round(&office);
        let interval = Duration::from_millis(office.options.replication.relay_interval_ms);
        let pause = office.relay.wake_in().unwrap_or(interval).min(interval).min(LONGEST);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = office.relay.offered.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
