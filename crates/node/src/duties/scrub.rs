//! Hashes everything that is stored again and again, slowly, so that a disk that goes bad is
//! noticed while other offices still hold good copies.
//!
//! It reads a small piece, sleeps for as long as the configured rate allows, and so leaves disk and
//! processor to the office's work. A pass starts at most once a day; after a restart it goes on
//! near where it was.

use std::time::Duration;

use journal::{IndexStatus, Scrub, ScrubStep, Transaction};
use tracing::{error, info, warn};

use crate::office::{Office, SharedOffice};
use crate::project::chain;
use crate::upkeep::ScrubState;

/// Time after the start in which the disk is left to what the office needs to serve.
const START_AFTER: Duration = Duration::from_secs(60);
/// Time between the end of a pass and the next one: disks go bad slowly, and a small journal is
/// through in a second.
const PASS_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Bytes read at once: a millisecond of a disk.
const STEP: u64 = 256 * 1_024;
/// Commit files after which the place is stored: a restart repeats at most a gigabyte.
const STORE_EVERY: u64 = 16;
/// Damages of a pass that are logged one by one; the rest is counted.
const LOGGED: u64 = 100;

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let rate = office.options.journal.scrub_kib.saturating_mul(1_024);
    if rate == 0 {
        return until_shutdown(&office).await;
    }
    if !pause(&office, START_AFTER).await {
        return Ok(());
    }
    loop {
        let state = ScrubState::load(&office.journal);
        if !pause(&office, until_due(&state, office.clock.now())).await {
            return Ok(());
        }
        if !pass(&office, rate).await? {
            return Ok(());
        }
    }
}

async fn until_shutdown(office: &Office) -> Result<(), String> {
    office.supervisor.stopping().cancelled().await;
    Ok(())
}

/// Sleeps; false if the node stops.
async fn pause(office: &Office, time: Duration) -> bool {
    let stopping = office.supervisor.stopping();
    tokio::select! {
        () = stopping.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// How long the next pass has to wait. A clock that was set back makes nobody wait for longer than
/// a whole interval.
fn until_due(state: &ScrubState, now: i64) -> Duration {
    if state.passes == 0 || state.segment > 0 {
        return Duration::ZERO;
    }
    let since = u64::try_from(now.saturating_sub(state.ended)).unwrap_or(0);
    PASS_AFTER.saturating_sub(Duration::from_micros(since))
}

/// One pass from where the last one was cut; false if the node stops.
async fn pass(office: &SharedOffice, rate: u64) -> Result<bool, String> {
    let mut state = ScrubState::load(&office.journal);
    let from = state.segment;
    let scrub = office.journal.on_thread(move |journal| journal.scrub_from(from)).await;
    let mut scrub = scrub.map_err(|error| error.to_string())?;
    let (mut stored, mut damages) = (scrub.segment(), 0);
    loop {
        if office.journal.index_status() != IndexStatus::Ready {
            // What is being rebuilt is not compared with anything.
            if !pause(office, Duration::from_secs(1)).await {
                return Ok(false);
            }
            continue;
        }
        let (back, step) = step(scrub, STEP.min(rate)).await?;
        scrub = back;
        tell(office, &step, &mut damages);
        if let Some(report) = &step.finished {
            state = ScrubState {
                passes: state.passes + 1,
                ended: office.clock.now(),
                bytes: report.bytes,
                records: report.records,
                damages: report.damage_count,
                segment: 0,
            };
            office.metrics.scrub_passed();
            if let Some(reason) = &report.index_not_compared {
                warn!(%reason, "the index was not compared in this pass");
            }
            store(office, &state).await;
            info!(pass = state.passes, bytes = state.bytes, damages = state.damages, "scrubbed");
            return Ok(true);
        }
        if scrub.segment() >= stored + STORE_EVERY {
            stored = scrub.segment();
            state.segment = stored;
            store(office, &state).await;
        }
        let took = Duration::from_micros(step.bytes.saturating_mul(1_000_000) / rate.max(1));
        if !pause(office, took).await {
            return Ok(false);
        }
    }
}

/// One step, on a thread where it may wait for the disk.
async fn step(mut scrub: Scrub, budget: u64) -> Result<(Scrub, ScrubStep), String> {
    let stepped = tokio::task::spawn_blocking(move || {
        let step = scrub.step(budget);
        (scrub, step)
    });
    stepped.await.map_err(|error| error.to_string())
}

/// Measures a step and logs what it found.
fn tell(office: &Office, step: &ScrubStep, damages: &mut u64) {
    office.metrics.scrubbed(step.bytes);
    if step.damages.is_empty() {
        return;
    }
    office.metrics.damaged(step.damages.len() as u64);
    for damage in &step.damages {
        *damages += 1;
        if *damages <= LOGGED {
            error!(%damage, "stored data is damaged; run `adal journal check` and follow it");
        }
    }
}

/// Keeps the state. If the disk takes nothing more, the next pass starts earlier than it must.
async fn store(office: &Office, state: &ScrubState) {
    let transaction = Transaction { controls: vec![state.control()], ..Transaction::default() };
    if let Err(error) = office.writer.write(transaction).await {
        error!(error = chain(&error), "keep the state of the scrub");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contact, desk, log};

    #[tokio::test]
    async fn a_pass_is_counted_and_the_next_one_waits_a_day() {
        let desk = desk("KZ-75").await;
        desk.record(&log("kz-75"), &[contact(1), contact(2)]).await;
        assert_eq!(pass(&desk.office, 1 << 30).await, Ok(true));
        let state = ScrubState::load(&desk.office.journal);
        assert_eq!((state.passes, state.records, state.damages, state.segment), (1, 2, 0, 0));
        let day = 24 * 3_600 * 1_000_000;
        assert_eq!(until_due(&state, state.ended), PASS_AFTER);
        assert_eq!(until_due(&state, state.ended - day), PASS_AFTER, "the clock was set back");
        assert_eq!(until_due(&state, state.ended + day), Duration::ZERO);
        assert_eq!(until_due(&ScrubState { segment: 4, ..state }, state.ended), Duration::ZERO);
        assert_eq!(until_due(&ScrubState::default(), 0), Duration::ZERO);
    }

    #[tokio::test]
    async fn damage_is_found_and_counted() {
        let desk = desk("KZ-75").await;
        desk.record(&log("kz-75"), &[contact(1), contact(2)]).await;
        let record = &desk.records(&log("kz-75"))[1];
        desk.flip(record);
        assert_eq!(pass(&desk.office, 1 << 30).await, Ok(true));
        assert!(ScrubState::load(&desk.office.journal).damages > 0);
    }

    #[tokio::test]
    async fn a_stop_ends_a_pass() {
        let desk = desk("KZ-75").await;
        desk.record(&log("kz-75"), &[contact(1)]).await;
        desk.office.supervisor.stop();
        assert_eq!(pass(&desk.office, 1).await, Ok(false));
        assert_eq!(run(desk.office.clone()).await, Ok(()));
    }
}
