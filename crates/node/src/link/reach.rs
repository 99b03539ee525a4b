//! Whether the centre can be reached, asked by bare TCP connections.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Time between two attempts. Each costs a packet or two: a waiting office must not fill a slow
/// line, and must not let a line that is there again lie unused.
const EVERY: Duration = Duration::from_millis(400);
/// Time that an attempt has: less than it takes to repeat its first packet.
const SHORT: Duration = Duration::from_millis(900);
/// Time that one of [`FEW`] has: longer than any round trip, a full queue before a slow line
/// included.
const LONG: Duration = Duration::from_secs(10);
/// See [`LONG`].
const FEW: u64 = 6;

/// Ends when a connection to `address` could be made; how long one takes. Where packets vanish, an
/// attempt repeats its first packet after ever longer pauses, so new ones are begun meanwhile, and
/// when one has ended well, the time is that of another, which no such pause has made longer.
pub async fn answered(address: &str) -> Duration {
    let mut attempts = FuturesUnordered::new();
    let mut begun = 0_u64;
    loop {
        let limit = if begun.is_multiple_of(FEW) { LONG } else { SHORT };
        begun += 1;
        attempts.push(attempt(address, limit));
        let next = tokio::time::sleep(EVERY);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                Some(took) = attempts.next() => {
                    if let Some(took) = took {
                        return attempt(address, took).await.unwrap_or(took);
                    }
                }
                () = &mut next => break,
            }
        }
    }
}

async fn attempt(address: &str, limit: Duration) -> Option<Duration> {
    let began = Instant::now();
    let ended = tokio::time::timeout(limit, TcpStream::connect(address)).await;
    matches!(ended, Ok(Ok(_))).then(|| began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn who_is_away_is_asked_until_he_answers() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = taken.local_addr().unwrap();
        drop(taken);
        let asked = address.to_string();
        let mut asking = std::pin::pin!(answered(&asked));
        let early = tokio::time::timeout(2 * EVERY, &mut asking).await;
        assert!(early.is_err(), "nobody listens");
        let _back = TcpListener::bind(address).await.unwrap();
        asking.await;
    }
}
