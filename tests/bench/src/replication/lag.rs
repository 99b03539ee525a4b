//! From the acknowledgement of a command at a region to its record at the centre.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::Country;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;
use wire::pb::command::v1 as command;
use wire::pb::operator::v1::ReadLogRequest;

/// Commands a second.
pub const PER_SECOND: u64 = 1_000;

/// Callers, each with one command at a time.
const CALLERS: u64 = 50;

/// Connections of all callers.
const CONNECTIONS: u64 = 4;

/// How long the centre may be behind at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
pub struct Measured {
    /// From acknowledgement to reading, microseconds, in order; 0: read before.
    pub micros: Vec<u64>,
    /// Acknowledged commands a second.
    pub rate: f64,
}

/// When each record of the log was acknowledged or read, by sequence.
type Times = HashMap<u64, Instant>;

/// Sends [`PER_SECOND`] commands for `seconds` to `office` and follows its log at the centre.
pub async fn run(country: &Country, office: &str, seconds: u64) -> Result<Measured> {
    let log = office.to_ascii_lowercase();
    let from = country.logs(office).await?.get(&log).map_or(0, |(size, _)| *size);
    let request = ReadLogRequest { log, from: Some(from), follow: true, ..Default::default() };
    let mut stream = country.operator("KZ").await?.read_log(request).await?.into_inner();
    let wanted = seconds * PER_SECOND;
    let mut running = JoinSet::new();
    running.spawn(async move {
        let mut read = Times::new();
        while (read.len() as u64) < wanted {
            let next = tokio::time::timeout(PATIENCE, stream.message()).await;
            let record = next.context("the centre has no more")??.context("the centre ended")?;
            let position = record.position.context("a record without a position")?;
            read.insert(position.sequence, Instant::now());
        }
        Ok::<Times, anyhow::Error>(read)
    });
    let (begun, acknowledged) = (Instant::now(), Arc::new(Mutex::new(Times::new())));
    let mut calling = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(country.commands(office, "clerk").await?);
    }
    for (caller, client) in (0..CALLERS).zip(clients.iter().cycle()) {
        let (mut client, acknowledged) = (client.clone(), acknowledged.clone());
        calling.spawn(async move {
            let numbers = (caller..wanted).step_by(CALLERS as usize);
            for number in numbers {
                let due = Duration::from_micros(number * 1_000_000 / PER_SECOND);
                tokio::time::sleep_until(begun + due).await;
                let receipt = client.execute(contact()).await?.into_inner();
                let at = Instant::now();
                acknowledged.lock().await.insert(receipt.last_sequence, at);
            }
            Ok::<(), anyhow::Error>(())
        });
    }
    while let Some(ended) = calling.join_next().await {
        ended??;
    }
    let rate = wanted as f64 / begun.elapsed().as_secs_f64();
    let Some(read) = running.join_next().await else { bail!("nobody followed the log") };
    let (read, acknowledged) = (read??, acknowledged.lock().await);
    let behind = |(sequence, at): (&u64, &Instant)| {
        let seen = read.get(sequence).context("a record was not read at the centre")?;
        Ok(seen.saturating_duration_since(*at).as_micros() as u64)
    };
    let mut micros = acknowledged.iter().map(behind).collect::<Result<Vec<u64>>>()?;
    micros.sort_unstable();
    Ok(Measured { micros, rate })
}

/// A contact about which nothing personal is known.
fn contact() -> command::Command {
    let request = command::OpenContact {
        channel: "call".to_owned(),
        line: None,
        language: "kk".to_owned(),
        personal: None,
    };
    let (command_id, stream_id) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let meta = command::CommandMeta { command_id, stream_id, ..command::CommandMeta::default() };
    let request = Some(command::command::Request::OpenContact(request));
    command::Command { meta: Some(meta), request }
}
