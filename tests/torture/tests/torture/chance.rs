//! Seeded chance, so that a failure can be played again.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The chance of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number in `from..to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// True in `percent` of the cases.
    pub fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The seed of a run: drawn anew for each, and printed, so that every run tries other moments.
/// `ADAL_TORTURE_SEED` plays one again.
pub fn seed() -> u64 {
    let given = std::env::var_os("ADAL_TORTURE_SEED");
    let given = given.and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or_else(|| {
        use std::hash::{BuildHasher, Hasher, RandomState};
        RandomState::new().build_hasher().finish()
    })
}
