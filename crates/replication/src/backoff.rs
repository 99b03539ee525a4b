//! When to dial again: exponential, jittered, with a wake-up.
//!
//! The driver owns one per peer: [`Backoff::failed`] after a link ended or could not be made,
//! [`Backoff::succeeded`] once the peer's hello has been accepted
//! ([`Action::Greeted`](crate::action::Action::Greeted), not the mere TCP connection),
//! [`Backoff::wake`] when there is a reason to try at once (an interface came up, an operator
//! asked).

use thiserror::Error;

/// The waiting times of one peer. Times are monotonic microseconds.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: u64,
    max: u64,
    failures: u32,
    due: u64,
}

/// Bounds that make no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("back-off from {min} to {max} µs: allowed is 1000 <= min <= max <= 3600000000")]
pub struct BackoffError {
    /// The lower bound given.
    pub min: u64,
    /// The upper bound given.
    pub max: u64,
}

impl Backoff {
    /// A back-off that waits about `min` after the first failure, twice as long after each
    /// further one, at most `max`. The first attempt is due at once.
    ///
    /// # Errors
    /// Bounds outside 1 ms ..= 1 h, or in the wrong order.
    pub fn new(min: u64, max: u64) -> Result<Backoff, BackoffError> {
        if min < 1_000 || min > max || max > 3_600_000_000 {
            return Err(BackoffError { min, max });
        }
        Ok(Backoff { min, max, failures: 0, due: 0 })
    }

    /// An attempt failed or a link ended at `now`. `random` is any uniformly random number; the
    /// wait is between one half of the exponential step and the whole of it, so that offices cut
    /// off together do not come back together. Returns the moment of the next attempt.
    pub fn failed(&mut self, now: u64, random: u64) -> u64 {
        let step = self
            .min
            .checked_shl(self.failures.min(40))
            .filter(|step| step >> self.failures.min(40) == self.min)
            .map_or(self.max, |step| step.min(self.max));
        self.failures = self.failures.saturating_add(1);
        let half = step / 2;
        self.due = now.saturating_add(half).saturating_add(random % (step - half + 1));
        self.due
    }

    /// The peer has greeted: the next failure waits the minimum again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Makes the next attempt due at `now`. What was learnt about the peer stays: if this
    /// attempt fails too, the wait goes on growing.
    pub fn wake(&mut self, now: u64) {
        self.due = self.due.min(now);
    }

    /// When the next attempt is due; a moment in the past means at once.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Attempts that failed since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_checked() {
        assert!(Backoff::new(999, 5_000).is_err());
        assert!(Backoff::new(5_000, 4_999).is_err());
        assert!(Backoff::new(1_000, 3_600_000_001).is_err());
        assert!(Backoff::new(1_000, 1_000).is_ok());
    }

    #[test]
    fn wake_is_immediate_and_keeps_the_growth() {
        let mut b = Backoff::new(1_000, 64_000).unwrap();
        assert_eq!(b.due(), 0);
        for _ in 0..3 {
            b.failed(10, u64::MAX - 1);
        }
        b.wake(500);
        assert_eq!(b.due(), 500);
        let due = b.failed(1_000, 0);
        assert_eq!(due, 1_000 + 4_000, "fourth failure: step 8 ms, at least half of it");
        b.wake(u64::MAX);
        assert_eq!(b.due(), due, "a late wake-up postpones nothing");
        b.succeeded();
        assert!(b.failed(0, u64::MAX) <= 1_000);
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds_and_grow(
            min in 1_000u64..1_000_000,
            factor in 1u64..3_000,
            randoms in prop::collection::vec(any::<u64>(), 1..80),
        ) {
            let max = (min * factor).min(3_600_000_000);
            let mut b = Backoff::new(min, max).unwrap();
            for (n, random) in randoms.into_iter().enumerate() {
                let wait = b.failed(7, random) - 7;
                let step = (u128::from(min) << n.min(60)).min(u128::from(max)) as u64;
                prop_assert!(wait >= step / 2 && wait <= step, "{wait} of {step}");
            }
        }
    }
}
