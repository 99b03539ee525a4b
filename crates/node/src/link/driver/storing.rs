//! What a link has asked of the disk and has no answer to yet.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};

use super::Stored;

/// Work of one link that has no answer yet.
pub(super) struct Storing<T = Stored> {
    /// Answered in the order in which it was submitted: a stored batch proves those before it.
    writes: FuturesOrdered<BoxFuture<'static, T>>,
    /// Wraps of keys, read and kept beside the journal: no write waits for them.
    keys: FuturesUnordered<BoxFuture<'static, T>>,
}

impl<T> Storing<T> {
    pub(super) fn new() -> Storing<T> {
        Storing { writes: FuturesOrdered::new(), keys: FuturesUnordered::new() }
    }

    /// What was submitted to the writer.
    pub(super) fn push_write(&mut self, write: impl Future<Output = T> + Send + 'static) {
        self.writes.push_back(Box::pin(write));
    }

    /// Work with wraps of keys.
    pub(super) fn push_keys(&mut self, work: impl Future<Output = T> + Send + 'static) {
        self.keys.push(Box::pin(work));
    }

    /// The next answer; `None`: nothing is waited for.
    pub(super) async fn next(&mut self) -> Option<T> {
        tokio::select! {
            biased;
            Some(done) = self.writes.next() => Some(done),
            Some(done) = self.keys.next() => Some(done),
            else => None,
        }
    }

    /// Answers that have not come.
    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn slow_keys_hold_up_no_acknowledgement_and_writes_keep_their_order() {
        let mut storing = Storing::new();
        assert_eq!(storing.next().await, None);
        storing.push_keys(pending());
        let (first, stored) = tokio::sync::oneshot::channel();
        storing.push_write(async { stored.await.unwrap() });
        storing.push_write(ready(2));
        storing.push_keys(ready(9));
        assert_eq!(storing.next().await, Some(9), "keys wait for no write either");
        first.send(1).unwrap();
        assert_eq!((storing.next().await, storing.next().await), (Some(1), Some(2)));
        assert_eq!(storing.len(), 1);
        let next = storing.next();
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending(), "the slow keys are still awaited");
    }
}
