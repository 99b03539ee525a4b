//! Looks at the links: says once when another office falls silent for too long and when it is heard
//! again, once when its clock is wrong, and writes down when it was heard ([`silence`]).

use std::collections::BTreeSet;
use std::time::Duration;

use domain::OfficeCode;
use journal::Transaction;
use tracing::{error, info, warn};

use crate::grpc::sync;
use crate::link::{peer_clock, silence};
use crate::office::SharedOffice;
use crate::project::chain;
use crate::told::Told;

const SUBJECT: &str = "write down when offices were heard";
/// Longest time between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// Looks per time of the alarm, where that is short.
const LOOKS: u32 = 5;

/// What was said about the links.
#[derive(Debug, Default)]
struct Said {
    silent: BTreeSet<OfficeCode>,
    /// Those whose clock is wrong, and whether it is ahead.
    clocks: BTreeSet<(OfficeCode, bool)>,
    told: Told,
}

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let pause = LOOK.min(silence::limit(&office) / LOOKS);
    let mut said = Said::default();
    loop {
        look(&office, &mut said).await;
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn look(office: &SharedOffice, said: &mut Said) {
    let lines = sync::lines(office);
    let mut controls = Vec::new();
    for (peer, line) in &lines {
        match (line.alarm.is_empty(), said.silent.contains(peer)) {
            (false, false) => {
                warn!(%peer, text = line.alarm, "ALARM: an office is silent");
                said.silent.insert(peer.clone());
            }
            (true, true) => {
                info!(%peer, "the office is heard again: the alarm is over");
                said.silent.remove(peer);
            }
            _ => {}
        }
        if let Some(clock) = &line.clock {
            let ahead = clock.ahead > 0;
            if !peer_clock::is_wrong(clock) {
                said.clocks.retain(|(of, _)| of != peer);
            } else if said.clocks.insert((peer.clone(), ahead)) {
                said.clocks.remove(&(peer.clone(), !ahead));
                warn!(%peer, text = peer_clock::words(peer, clock), "a clock is wrong");
            }
        }
        controls.extend(silence::mark(office, line));
    }
    if controls.is_empty() {
        return;
    }
    let transaction = Transaction { controls, ..Transaction::default() };
    match office.writer.write(transaction).await {
        Ok(_) => said.told.forget(SUBJECT),
        Err(error) => {
            let reason = chain(&error);
            if said.told.is_new(SUBJECT, &reason) {
                error!(reason, "{SUBJECT}");
            }
        }
    }
}
