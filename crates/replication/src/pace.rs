//! How much to have on the way, and how often a head: a window that follows the measured link.
//!
//! A fixed window of a mebibyte is right on a good line and means ten minutes of queue on one of
//! 10 kbit/s, in which a head or a pong would be stuck. So the sender measures how fast bytes
//! become durable at the other side and keeps about two seconds of that on the way, in batches
//! of about half a second; at the beginning no more than one batch and what has become durable, so
//! that the first samples, which a queue on the way takes in at once, flood no slow line. Samples
//! taken while there was nothing more to send say nothing about the link and may only raise the
//! estimate.
//!
//! What was recorded is seen by the other side when a head covers it. Where heads are answered at
//! once the next one may follow soon; where an answer takes long, because the line is long or the
//! other side has much to do, they are as rare as the limit allows.

use std::collections::VecDeque;

use crate::limits::{BATCH_FLOOR, BATCHES_IN_FLIGHT, Limits};

/// Window before anything was measured, one batch: what a line of 10 kbit/s carries in three
/// seconds, and what the queue of a modem holds. More would be lost there, sent again, lost again,
/// and keep pings waiting until the link is taken for dead. A good line makes up for it in a few
/// round trips.
const FIRST_WINDOW: usize = BATCH_FLOOR;

/// Times that an answer takes between two heads: three quarters of the time are for records.
const HEAD_SHARE: u64 = 4;
/// Least time between two heads, in microseconds: each costs both sides a durable write.
const HEAD_FLOOR: u64 = 4_000;

#[derive(Clone, Debug)]
struct Batch {
    /// Size of the log after it.
    end: u64,
    bytes: usize,
    sent_at: u64,
    /// Bytes that were durable when it was sent, and since when.
    done: u64,
    done_at: u64,
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
    /// Bytes that have become durable, and when the last of them did.
    done: u64,
    done_at: u64,
    /// How long heads take to be answered; `None` before the first.
    answer: Option<u64>,
    head_interval: u64,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Pace {
        Pace {
            window_max: limits.window_bytes,
            batch_max: limits.batch_bytes,
            rate: 0,
            in_flight: VecDeque::new(),
            bytes: 0,
            done: 0,
            done_at: 0,
            answer: None,
            head_interval: limits.head_interval,
        }
    }

    /// A head was answered after this time, in microseconds.
    pub(crate) fn answered(&mut self, took: u64) {
        let old = self.answer.unwrap_or(took);
        self.answer = Some(old.saturating_mul(3).saturating_add(took) / 4);
    }

    /// Shortest time between two heads of a log that is growing, in microseconds.
    pub(crate) fn head_interval(&self) -> u64 {
        let longest = self.head_interval;
        let wanted = self.answer.map_or(longest, |answer| answer.saturating_mul(HEAD_SHARE));
        wanted.max(HEAD_FLOOR).min(longest)
    }

    /// Bytes per second that become durable, as measured; 0 before the first sample.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    fn window(&self) -> usize {
        if self.rate == 0 {
            return FIRST_WINDOW;
        }
        let wanted = usize::try_from(self.rate.saturating_mul(2)).unwrap_or(usize::MAX);
        let begun = FIRST_WINDOW.saturating_add(usize::try_from(self.done).unwrap_or(usize::MAX));
        wanted.max(2 * BATCH_FLOOR).min(begun).min(self.window_max)
    }

    /// Bytes the next batch may have; `None`: wait for an answer. The last crumb of the window is
    /// left: each batch carries a proof of its own.
    pub(crate) fn room(&self) -> Option<usize> {
        let left = self.window().saturating_sub(self.bytes);
        if self.in_flight.len() >= BATCHES_IN_FLIGHT || left < BATCH_FLOOR / 2 {
            return None;
        }
        let batch = usize::try_from(self.rate / 2).unwrap_or(usize::MAX);
        Some(batch.clamp(BATCH_FLOOR, self.batch_max).min(left))
    }

    /// A batch that ends at `end` was handed to the link; `more`: further records are waiting.
    pub(crate) fn sent(&mut self, now: u64, end: u64, bytes: usize, more: bool) {
        self.bytes += bytes;
        // After a pause the time before it says nothing about the link.
        let done_at = if self.in_flight.is_empty() { now } else { self.done_at };
        let done = self.done;
        self.in_flight.push_back(Batch {
            end,
            bytes,
            sent_at: now,
            done,
            done_at,
            saturated: more,
        });
    }

    /// Everything below `size` is durable at the follower.
    pub(crate) fn held(&mut self, now: u64, size: u64) {
        let mut saturated = true;
        let mut newest = None;
        while let Some(batch) = self.in_flight.front().filter(|b| b.end <= size) {
            self.bytes -= batch.bytes;
            self.done = self.done.saturating_add(batch.bytes as u64);
            saturated &= batch.saturated;
            newest = self.in_flight.pop_front();
        }
        let Some(batch) = newest else { return };
        self.done_at = now;
        // Over the whole time for which it was on the way: answers that come in a clump, because
        // the first of them was lost and sent again, make no fast link.
        let elapsed = now.saturating_sub(batch.done_at).max(1_000);
        let sample = (self.done - batch.done).saturating_mul(1_000_000) / elapsed;
        if saturated || sample > self.rate {
            let old = if self.rate == 0 { sample } else { self.rate };
            self.rate = ((old.saturating_mul(3)).saturating_add(sample) / 4).max(1);
        }
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

    /// A modem takes ten kilobytes at once and then 1,250 a second.
    #[test]
    fn the_queue_of_a_modem_is_not_flooded() {
        let mut pace = Pace::new(&Limits::default());
        let (mut now, mut end, mut queued) = (0u64, 0u64, 0usize);
        let mut on_the_way: VecDeque<(u64, usize)> = VecDeque::new();
        let mut free_at = 0u64;
        for _ in 0..500 {
            while let Some(bytes) = pace.room() {
                end += 1;
                // What fits into the burst of the modem leaves at once.
                let burst = 2_560_000; // what 3,200 bytes take, in microseconds
                free_at = free_at.max(now.saturating_sub(burst)) + bytes as u64 * 800;
                on_the_way.push_back((free_at.max(now) + 200_000, bytes));
                queued += bytes;
                assert!(queued <= 10_000, "{queued} bytes in the queue at {now} µs");
                pace.sent(now, end, bytes, true);
            }
            let (at, bytes) = on_the_way.pop_front().unwrap();
            (now, queued) = (at, queued - bytes);
            pace.held(now, end - on_the_way.len() as u64);
        }
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
        for n in 0..50 {
            pace.sent(n * 10_000, n, 60_000, true);
            pace.held(n * 10_000 + 10_000, n);
        }
        let before = pace.room();
        for n in 50..100 {
            let at = n * 2_000_000;
            pace.sent(at, n, 600, false);
            pace.held(at + 500_000, n);
        }
        assert_eq!(pace.room(), before);
    }

    /// Batches end between two records, so a little of the window is always left.
    #[test]
    fn the_rest_of_the_window_is_not_sent_as_a_crumb() {
        let mut pace = Pace::new(&Limits::default());
        let (mut now, mut end) = (0, 0);
        for _ in 0..100 {
            while let Some(room) = pace.room() {
                assert!(room >= BATCH_FLOOR / 2, "{room} bytes");
                end += 1;
                pace.sent(now, end, room / 451 * 451, true);
            }
            now += 3_000_000;
            pace.held(now, end);
        }
    }

    /// Answers wait behind a packet that was lost, and come all at once.
    #[test]
    fn answers_in_a_clump_make_no_fast_link() {
        let mut pace = Pace::new(&Limits::default());
        let (mut now, mut end) = (0, 0);
        for _ in 0..50 {
            let (sent, mut bytes) = (end, 0);
            while let Some(room) = pace.room() {
                (end, bytes) = (end + 1, bytes + room);
                pace.sent(now, end, room, true);
            }
            now += bytes as u64 * 800; // 1,250 bytes a second
            (sent + 1..=end).for_each(|size| pace.held(now, size));
        }
        assert!((800..1_500).contains(&pace.rate), "{} B/s", pace.rate);
    }

    #[test]
    fn heads_are_as_frequent_as_they_are_answered() {
        let mut pace = Pace::new(&Limits { head_interval: 200_000, ..Limits::default() });
        assert_eq!(pace.head_interval(), 200_000, "nothing was measured");
        for (took, interval) in [(2_000, 8_000), (100, HEAD_FLOOR), (500_000, 200_000)] {
            (0..50).for_each(|_| pace.answered(took));
            let found = pace.head_interval();
            assert!(found.abs_diff(interval) < 100, "{found} µs where answers take {took} µs");
        }
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
