//! How much to have on the way: a window that follows the measured link.
//!
//! A fixed window of a mebibyte is right on a good line and means ten minutes of queue on one of
//! 10 kbit/s, in which a head or a pong would be stuck. So the sender measures how fast bytes
//! become durable at the other side and keeps about two seconds of that on the way, in batches
//! of about half a second. Samples taken while there was nothing more to send say nothing about
//! the link and may only raise the estimate.

use std::collections::VecDeque;

use crate::limits::{BATCH_FLOOR, BATCHES_IN_FLIGHT, Limits};

/// Window before anything was measured: what a line of 10 kbit/s carries in a dozen seconds. More
/// would keep pings waiting until the link is taken for dead, again and again.
const FIRST_WINDOW: usize = 16 * 1024;

/// Batch before anything was measured.
const FIRST_BATCH: usize = 8 * 1024;

#[derive(Clone, Debug)]
struct Batch {
    /// Size of the log after it.
    end: u64,
    bytes: usize,
    sent_at: u64,
    /// More was waiting when it was sent: its sample measures the link.
    saturated: bool,
}

/// What one log has on the way, and how much may be.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    window_max: usize,
    batch_max: usize,
    /// Bytes per second; 0 before the first sample.
    rate: u64,
    in_flight: VecDeque<Batch>,
    bytes: usize,
    last_answer: u64,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Pace {
        Pace {
            window_max: limits.window_bytes,
            batch_max: limits.batch_bytes,
            rate: 0,
            in_flight: VecDeque::new(),
            bytes: 0,
            last_answer: 0,
        }
    }

    fn window(&self) -> usize {
        let wanted = match self.rate {
            0 => FIRST_WINDOW,
            rate => usize::try_from(rate.saturating_mul(2)).unwrap_or(usize::MAX),
        };
        wanted.max(2 * BATCH_FLOOR).min(self.window_max)
    }

    /// Bytes the next batch may have; `None`: wait for an answer.
    pub(crate) fn room(&self) -> Option<usize> {
        let window = self.window();
        if self.in_flight.len() >= BATCHES_IN_FLIGHT || self.bytes >= window {
            return None;
        }
        let batch = match self.rate {
            0 => FIRST_BATCH,
            rate => usize::try_from(rate / 2).unwrap_or(usize::MAX),
        };
        Some(batch.clamp(BATCH_FLOOR, self.batch_max).min(window - self.bytes).max(1))
    }

    /// A batch that ends at `end` was handed to the link; `more`: further records are waiting.
    pub(crate) fn sent(&mut self, now: u64, end: u64, bytes: usize, more: bool) {
        self.bytes += bytes;
        self.in_flight.push_back(Batch { end, bytes, sent_at: now, saturated: more });
    }

    /// Everything below `size` is durable at the follower.
    pub(crate) fn held(&mut self, now: u64, size: u64) {
        let mut bytes = 0usize;
        let mut saturated = true;
        let mut since = None;
        while let Some(batch) = self.in_flight.front().filter(|b| b.end <= size) {
            bytes += batch.bytes;
            saturated &= batch.saturated;
            since = since.or(Some(batch.sent_at));
            self.in_flight.pop_front();
        }
        self.bytes -= bytes;
        if let Some(sent_at) = since {
            let elapsed = now.saturating_sub(sent_at.max(self.last_answer)).max(1_000);
            let sample = (bytes as u64).saturating_mul(1_000_000) / elapsed;
            if saturated || sample > self.rate {
                let old = if self.rate == 0 { sample } else { self.rate };
                self.rate = ((old.saturating_mul(3)).saturating_add(sample) / 4).max(1);
            }
        }
        self.last_answer = now;
    }

    /// Forgets what is on the way: the follower dropped it.
    pub(crate) fn rewind(&mut self) {
        self.in_flight.clear();
        self.bytes = 0;
    }

    /// When the oldest unanswered batch was sent.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.in_flight.front().map(|b| b.sent_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link of `rate` bytes per second and a fixed delay, saturated; returns the longest time
    /// a batch had to wait and the mean throughput of the second half.
    fn run(rate: u64, delay: u64) -> (u64, u64) {
        let mut pace = Pace::new(&Limits::default());
        let (mut now, mut end, mut free_at) = (0u64, 0u64, 0u64);
        let mut answers: VecDeque<(u64, u64, u64, u64)> = VecDeque::new();
        let (mut worst, mut delivered, mut from) = (0, 0, 0);
        for step in 0..4_000 {
            while let Some(bytes) = pace.room() {
                end += 1;
                free_at = free_at.max(now) + bytes as u64 * 1_000_000 / rate;
                answers.push_back((free_at + delay, end, now, bytes as u64));
                pace.sent(now, end, bytes, true);
            }
            let (at, size, sent, bytes) = answers.pop_front().unwrap();
            now = at;
            pace.held(now, size);
            if step == 2_000 {
                (delivered, from) = (0, now);
            }
            if step > 100 {
                worst = worst.max(now - sent);
            }
            delivered += bytes;
        }
        (worst, delivered * 1_000_000 / (now - from))
    }

    #[test]
    fn a_slow_link_has_seconds_of_queue_not_minutes() {
        let (worst, throughput) = run(1_250, 500_000);
        assert!(worst < 15_000_000, "{worst} µs");
        assert!(throughput > 1_000, "{throughput} B/s");
    }

    #[test]
    fn a_fast_long_link_is_filled() {
        let (_, throughput) = run(10_000_000, 500_000);
        assert!(throughput > 1_500_000, "{throughput} B/s"); // window 1 MiB per half second
        let (_, throughput) = run(10_000_000, 1_000);
        assert!(throughput > 9_000_000, "{throughput} B/s");
    }

    #[test]
    fn single_records_of_a_quiet_log_do_not_slow_it() {
        let mut pace = Pace::new(&Limits::default());
        pace.sent(0, 1, 60_000, true);
        pace.held(10_000, 1);
        let before = pace.room();
        for n in 2..50 {
            let at = n * 2_000_000;
            pace.sent(at, n, 600, false);
            pace.held(at + 500_000, n);
        }
        assert_eq!(pace.room(), before);
    }

    #[test]
    fn never_more_than_the_window_or_the_number_of_batches() {
        let limits = Limits { window_bytes: 100_000, batch_bytes: 50_000, ..Limits::default() };
        let mut pace = Pace::new(&limits);
        let mut sent = 0;
        for end in 1..100 {
            if pace.room().is_none() {
                break;
            }
            sent = end;
            pace.sent(0, end, 10, true);
        }
        assert_eq!(sent, BATCHES_IN_FLIGHT as u64);
        pace.rewind();
        while let Some(bytes) = pace.room() {
            pace.sent(0, 1, bytes, true);
        }
        assert!(pace.bytes <= 100_000, "{}", pace.bytes);
    }
}
