//! One command to a node, and again where the node is away for the moment.

use std::time::Duration;

use domain::ids::CommandId;
use domain::{Request, Timestamp, Zone};
use rand::RngExt;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;
use wire::CommandMeta;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::command_service_client::CommandServiceClient;

use crate::errors::{Failure, Outcome, is_away, status_text};

/// First pause before a repetition; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause: a node that comes back is not left waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a command whose version was not given follows a stream that moves.
const VERSION_TRIES: usize = 5;

/// Growing pauses between repetitions, each up to a half shorter by chance, so that many callers
/// do not come back at once.
#[derive(Clone, Debug)]
pub struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Pauses {
    /// The next pause.
    pub fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// What a person's command carries besides its request.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The stream; `None` where it follows from the request.
    pub stream: Option<Uuid>,
    /// Version of the stream that the person has seen; `None`: whatever it is now.
    pub expected: Option<u32>,
    /// Id of the command, the same for every repetition.
    pub command: Uuid,
    /// When it happened; `None`: now.
    pub at: Option<Timestamp>,
    /// Where it happened; `None`: in the office's zone.
    pub zone: Option<Zone>,
    /// What belongs together.
    pub correlation: Option<Uuid>,
}

/// The command of a request.
///
/// # Errors
/// No command carries such a request.
pub fn command(meta: &Meta, expected: u32, request: &Request) -> Outcome<pb::Command> {
    let stream = meta.stream.or_else(|| request.derived_stream());
    let stream = stream.ok_or_else(|| Failure::usage("the command names no stream"))?;
    let meta = CommandMeta {
        command_id: CommandId::new(meta.command),
        stream,
        expected_version: expected,
        occurred_at: meta.at,
        zone: meta.zone.clone(),
        causation: None,
        correlation: meta.correlation,
    };
    wire::encode_command(&meta, request)
        .ok_or_else(|| Failure::usage(format!("no command carries {}", request.name())))
}

/// Sends a person's command once. Where the person named no version, the node's answer to a wrong
/// guess says which version the stream has, and the command is sent for that one.
///
/// # Errors
/// The node refused it, or could not be reached; then the outcome is unknown, and the message
/// names the command id with which to ask again.
pub async fn execute(
    client: &mut CommandServiceClient<Channel>,
    meta: &Meta,
    request: &Request,
) -> Outcome<pb::CommandReceipt> {
    let mut expected = meta.expected.unwrap_or(1);
    let mut tries = if meta.expected.is_some() { 0 } else { VERSION_TRIES };
    loop {
        let status = match client.execute(command(meta, expected, request)?).await {
            Ok(receipt) => return Ok(receipt.into_inner()),
            Err(status) => status,
        };
        match actual_version(&status) {
            Some(actual) if tries > 0 => {
                expected = actual;
                tries -= 1;
            }
            _ if is_away(&status) => {
                return Err(Failure::refused(format!(
                    "{}; whether it was recorded is unknown: repeat the same command with \
                     --command-id {}, it is recorded once",
                    status_text(&status),
                    meta.command
                )));
            }
            _ => return Err(status.into()),
        }
    }
}

/// The version that the stream has, from the answer to a wrong expectation.
fn actual_version(status: &Status) -> Option<u32> {
    if status.code() != Code::Aborted {
        return None;
    }
    let info = status.get_details_error_info()?;
    (info.reason == "VERSION_CONFLICT").then(|| info.metadata.get("actual")?.parse().ok())?
}

/// Sends a command until it is answered, for as long as `patience` after the last sign of life.
///
/// # Errors
/// The node refused it, or stayed away for longer.
pub async fn persist(
    client: &mut CommandServiceClient<Channel>,
    command: &pb::Command,
    patience: Duration,
) -> Outcome<pb::CommandReceipt> {
    let deadline = Instant::now() + patience;
    let mut pauses = Pauses::default();
    loop {
        match client.execute(command.clone()).await {
            Ok(receipt) => return Ok(receipt.into_inner()),
            Err(status) if is_away(&status) && Instant::now() < deadline => {
                tokio::time::sleep(pauses.take()).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

/// Facts that a receipt added: none where the command had been carried out before.
#[must_use]
pub fn facts(receipt: &pb::CommandReceipt) -> u64 {
    match receipt.replayed {
        true => 0,
        false => receipt.last_sequence.saturating_sub(receipt.first_sequence) + 1,
    }
}

#[cfg(test)]
mod tests {
    use domain::contact::GiveConsultation;
    use wire::status::Fault;

    use super::*;

    #[test]
    fn the_node_says_which_version_there_is() {
        let conflict: Status = Fault::VersionConflict { expected: 1, actual: 7 }.into();
        assert_eq!(actual_version(&conflict), Some(7));
        let stale: Status = Status::aborted("something else");
        assert_eq!(actual_version(&stale), None);
        let reused: Status = Fault::CommandReused.into();
        assert_eq!(actual_version(&reused), None);
    }

    #[test]
    fn pauses_grow_up_to_their_limit() {
        let mut pauses = Pauses::default();
        let all: Vec<Duration> = (0..12).map(|_| pauses.take()).collect();
        assert!(all[0] >= FIRST_PAUSE / 2 && all[0] <= FIRST_PAUSE);
        assert!(all[11] >= LONGEST_PAUSE / 2 && all[11] <= LONGEST_PAUSE);
    }

    #[test]
    fn a_command_without_a_stream_is_not_made() {
        let request: Request = GiveConsultation { topic: "other".parse().unwrap() }.into();
        let meta = Meta {
            stream: None,
            expected: None,
            command: Uuid::from_u128(1),
            at: None,
            zone: None,
            correlation: None,
        };
        assert!(command(&meta, 1, &request).is_err());
        let meta = Meta { stream: Some(Uuid::from_u128(2)), ..meta };
        let made = command(&meta, 3, &request).unwrap().meta.unwrap();
        assert_eq!(made.expected_version, Some(3));
        assert_eq!(made.stream_id, Uuid::from_u128(2).to_string());
    }
}
