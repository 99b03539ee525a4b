//! The only place that reads the wall clock.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The office's clock: microseconds since 1970-01-01 UTC.
///
/// Passed on by those who are given one, never made in between. The journal makes the recorded
/// times of one log monotonic whatever the clock does.
#[derive(Clone)]
pub struct Clock(Option<Arc<dyn Fn() -> i64 + Send + Sync>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that shows what it is told to: microseconds since 1970-01-01 UTC.
    pub fn given(shown: impl Fn() -> i64 + Send + Sync + 'static) -> Clock {
        Clock(Some(Arc::new(shown)))
    }

    /// Now, in microseconds since 1970-01-01 UTC. Before 1970 reads as 0.
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn now(&self) -> i64 {
        if let Some(shown) = &self.0 {
            return shown();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Clock(system)" } else { "Clock(given)" })
    }
}
