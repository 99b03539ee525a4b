//! What two offices still tell each other when a link ends.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use wire::pb::replication::v1::Frame;

use super::{Driver, Ended, Storing};

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
