//! Whether the centre can be reached, asked by bare TCP connections.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Time between two attempts. Each costs a packet or two: a waiting office must not fill a slow
/// line, and must not let a line that is there again lie unused.
const EVERY: Duration = Duration::from_millis(400);
/// Time that one attempt has: longer than any round trip, a full queue before a slow line included.
const LIMIT: Duration = Duration::from_secs(10);
/// Attempts under way at once.
const AT_ONCE: usize = 8;

/// Ends when a connection to `address` could be made; how long that one took. Where packets vanish,
/// an attempt repeats its first packet after ever longer pauses, so new ones are begun meanwhile.
pub async fn answered(address: &str) -> Duration {
    let mut attempts = FuturesUnordered::new();
    loop {
        if attempts.len() < AT_ONCE {
            attempts.push(attempt(address));
        }
        let next = tokio::time::sleep(EVERY);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                Some(took) = attempts.next() => {
                    if let Some(took) = took {
                        return took;
                    }
                }
                () = &mut next => break,
            }
        }
    }
}

async fn attempt(address: &str) -> Option<Duration> {
    let began = Instant::now();
    let ended = tokio::time::timeout(LIMIT, TcpStream::connect(address)).await;
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
