//! The only place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The office's clock: microseconds since 1970-01-01 UTC.
///
/// Passed on by those who are given one, never made in between. The journal makes the recorded
/// times of one log monotonic whatever the clock does.
#[derive(Clone, Debug)]
pub struct Clock(());

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(())
    }

    /// Now, in microseconds since 1970-01-01 UTC. Before 1970 reads as 0.
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}
