//! Time, as the driver passes it in. This crate never reads a clock.

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic microseconds since any fixed moment of this process. All waiting is counted on
    /// this one, so a wall clock that is set forward or back breaks no link.
    pub mono: u64,
    /// Wall clock, microseconds since 1970-01-01T00:00:00Z. Goes into cosignatures and into
    /// [`Status`](crate::status::Status).
    pub unix: i64,
}

impl Now {
    /// Whole seconds since 1970 for a cosignature; a clock before 1970 counts as 0.
    #[must_use]
    pub(crate) fn unix_seconds(self) -> u64 {
        u64::try_from(self.unix / 1_000_000).unwrap_or(0)
    }
}
