//! Enters steps of the generator at real nodes, through kills and restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::Role;
use generator::Step;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::CommandMeta;
use wire::client::Target;
use wire::pb::command::v1::Command;
use wire::pb::command::v1::command_service_client::CommandServiceClient;

/// Commands of one office under way at once; those of one stream keep their order.
const LANES: usize = 32;
/// Pause before a command is repeated at a node that does not answer.
const REPEAT: Duration = Duration::from_millis(100);
/// Time a node may be away.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts what was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Fed {
    commands: Arc<AtomicU64>,
    facts: Arc<AtomicU64>,
}

impl Fed {
    /// Commands acknowledged so far.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// Facts acknowledged so far.
    pub fn facts(&self) -> u64 {
        self.facts.load(Ordering::Relaxed)
    }
}

/// The two people who enter an office's steps.
#[derive(Clone)]
pub struct Desk {
    clerk: CommandServiceClient<Channel>,
    chief: CommandServiceClient<Channel>,
}

impl Desk {
    /// The desk of the people behind these targets; it connects when needed, again and again.
    pub fn new(clerk: &Target, chief: &Target) -> Result<Desk> {
        let client = |target: &Target| target.lazy().map(CommandServiceClient::new);
        Ok(Desk { clerk: client(clerk)?, chief: client(chief)? })
    }

    /// Enters the steps of one office; returns when each is acknowledged. A node that goes away
    /// is asked again, with the same command id, until it is back.
    pub async fn enter(&self, steps: Vec<Step>, fed: &Fed) -> Result<()> {
        let mut lanes: Vec<Vec<Step>> = vec![Vec::new(); LANES];
        for step in steps {
            let lane = usize::from(step.stream.as_bytes()[15]) % LANES;
            lanes[lane].push(step);
        }
        let mut running = JoinSet::new();
        for lane in lanes {
            let (desk, fed) = (self.clone(), fed.clone());
            running.spawn(async move { desk.lane(lane, &fed).await });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn lane(mut self, steps: Vec<Step>, fed: &Fed) -> Result<()> {
        for step in steps {
            let receipt = {
                let client = match step.role {
                    Role::Chief => &mut self.chief,
                    _ => &mut self.clerk,
                };
                repeat(client, command(&step)?).await.with_context(|| {
                    format!("{} at {} for {}", step.request.name(), step.occurred_at, step.office)
                })?
            };
            fed.commands.fetch_add(1, Ordering::Relaxed);
            let facts = receipt.last_sequence - receipt.first_sequence + 1;
            fed.facts.fetch_add(facts, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A step as a command.
pub fn command(step: &Step) -> Result<Command> {
    let meta = CommandMeta {
        command_id: step.command,
        stream: step.stream,
        expected_version: step.expected_version,
        occurred_at: Some(step.occurred_at),
        zone: None,
        causation: None,
        correlation: None,
    };
    wire::encode_command(&meta, &step.request).context("no command carries this request")
}

/// Executes a command, again where the node did not answer.
pub async fn repeat(
    client: &mut CommandServiceClient<Channel>,
    command: Command,
) -> Result<wire::pb::command::v1::CommandReceipt> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match client.execute(command.clone()).await {
            Ok(receipt) => return Ok(receipt.into_inner()),
            Err(status) if is_away(&status) => {
                if tokio::time::Instant::now() > deadline {
                    bail!("the node did not come back: {}", status.message());
                }
                tokio::time::sleep(REPEAT).await;
            }
            Err(status) => bail!("{:?}: {}", status.code(), status.message()),
        }
    }
}

/// Whether a status says that the node, or the way to it, is gone for the moment.
pub fn is_away(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
    )
}
