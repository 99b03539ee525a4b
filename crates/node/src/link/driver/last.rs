//! What two offices still tell each other when a link ends, and what the store says.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use journal::{CommitError, ReadError};
use replication::action::Failure;
use tonic::Status;
use tracing::{error, warn};
use wire::pb::replication::v1::Frame;

use super::{Driver, Ended, STORING_LIMIT, Storing};
use crate::project::chain;
use crate::writer::{Submitted, WriteError};

/// Time that the peer has to take, or to say, the last of it.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Driver {
    /// Sends what is left, as far as the peer takes it at once.
    pub(super) async fn flush(&self, outgoing: VecDeque<Frame>) {
        let sending = async {
            for frame in outgoing {
                if self.outbound.send(frame).await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, sending).await;
    }

    /// Hears what a peer said before it stopped listening: most of all, why it refused. It ends its
    /// half of the connection as soon as that is said, and the transport tells of the end before
    /// it hands over the words.
    pub(super) async fn hear_out(&mut self, storing: &mut Storing) -> Ended {
        let heard = tokio::time::timeout(LAST_WORDS, async {
            while let Some(Ok(frame)) = self.inbound.next().await {
                self.receive(frame);
                // No answer reaches the peer any more.
                if let Some(ended) = self.carry_out(&mut VecDeque::new(), storing).await {
                    return Some(ended);
                }
            }
            None
        });
        let ended = heard.await.ok().flatten();
        ended.unwrap_or_else(|| Ended::Broken("the stream to the peer has ended".to_owned()))
    }
}

/// Waits until everything that a link submitted is answered.
pub(super) async fn settle<T>(peer: &domain::OfficeCode, mut storing: Storing<T>) {
    let left = async { while storing.next().await.is_some() {} };
    if tokio::time::timeout(STORING_LIMIT, left).await.is_err() {
        warn!(%peer, left = storing.len(), "the disk still has work of a link that ended");
    }
}

pub(super) async fn outcome(submitted: Submitted) -> Result<(), Failure> {
    let Err(error) = submitted.outcome().await else { return Ok(()) };
    Err(match &error {
        WriteError::Refused(CommitError::DiskFull { .. }) => Failure::DiskFull,
        WriteError::Refused(CommitError::MirrorOutOfStep { .. }) => Failure::OutOfStep,
        WriteError::Refused(
            CommitError::IndexBuilding { .. } | CommitError::Read(ReadError::IndexBuilding { .. }),
        ) => Failure::IndexBuilding,
        _ => {
            error!(error = chain(&error), "store what the peer sent");
            Failure::Internal
        }
    })
}

/// What the transport says, with the causes.
pub fn describe(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
