//! Tells tasks of a change. Those who wait are woken in the order in which they began to: a
//! simulation must run the same way each time, which `tokio::sync::watch` does not promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts changes.
#[derive(Debug, Default)]
pub struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    waiting: Notify,
}

impl Changes {
    /// Nothing has changed yet.
    pub fn new() -> Changes {
        Changes::default()
    }

    /// Something has changed: wakes everybody who waits.
    pub fn tell(&self) {
        self.0.count.fetch_add(1, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    /// Hears of every change from now on.
    pub fn hear(&self) -> Heard {
        Heard { seen: self.0.count.load(Ordering::Acquire), of: self.0.clone() }
    }
}

/// Hears of changes: several at once count as one.
#[derive(Debug)]
pub struct Heard {
    of: Arc<Shared>,
    seen: u64,
}

impl Heard {
    /// Whether something has changed that was not seen; it is seen now.
    pub fn take(&mut self) -> bool {
        let count = self.of.count.load(Ordering::Acquire);
        std::mem::replace(&mut self.seen, count) != count
    }

    /// Waits until something has changed that was not seen; it is seen then. Dropping the future
    /// loses nothing.
    pub async fn changed(&mut self) {
        loop {
            let of = self.of.clone();
            let mut waiting = std::pin::pin!(of.waiting.notified());
            // From here on a change wakes this task, so that none is missed behind the look.
            waiting.as_mut().enable();
            if self.take() {
                return;
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn changes_are_heard_once_and_none_is_missed() {
        let changes = Changes::new();
        changes.tell();
        let (mut first, mut second) = (changes.hear(), changes.hear());
        assert!(!first.take(), "what was before is not heard");
        assert!(first.changed().now_or_never().is_none());
        changes.tell();
        changes.tell();
        assert!(first.changed().now_or_never().is_some(), "a change between two waits");
        assert!(first.changed().now_or_never().is_none(), "two changes count as one");
        assert!(second.take() && !second.take());
        let mut waiting = Box::pin(second.changed());
        assert!(waiting.as_mut().now_or_never().is_none());
        changes.tell();
        assert!(waiting.now_or_never().is_some());
    }
}
