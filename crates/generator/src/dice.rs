//! The source of chance: SplitMix64 (Steele, Lea, Flood 2014), written out here so that a seed
//! means the same play for ever, whatever a library changes.

use uuid::Uuid;

/// A stream of pseudo-random numbers. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a seed and a name (an office).
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a over the name, then mixed with the seed by the first throw.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut dice = Self(seed ^ hash);
        Self(dice.next() ^ seed.rotate_left(32))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included; `low` when the range is empty.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        let size = u64::from(high.saturating_sub(low)) + 1;
        // The remainder favours small numbers by less than 2^-31: of no matter for a play.
        low + u32::try_from(self.next() % size).unwrap_or(0)
    }

    /// Whether an event of so many in a hundred happens.
    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.between(1, 100) <= chance
    }

    /// A member of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, members: &'a [T]) -> &'a T {
        let last = u32::try_from(members.len().saturating_sub(1)).unwrap_or(0);
        &members[self.between(0, last) as usize]
    }

    /// A member of a list that is not empty, by weight.
    pub(crate) fn weighted<'a, T>(&mut self, members: &'a [(T, u32)]) -> &'a T {
        let total: u32 = members.iter().map(|(_, weight)| weight).sum();
        let mut left = self.between(1, total);
        for (member, weight) in members {
            if left <= *weight {
                return member;
            }
            left -= weight;
        }
        &members[0].0
    }

    /// An identifier in the form of a random (version 4) UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let bytes = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_and_in_range() {
        let mut dice = Dice(0);
        // First outputs of SplitMix64 with seed 0, as published with the algorithm.
        assert_eq!(dice.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(dice.next(), 0x6e78_9e6a_a1b9_65f4);
        let mut dice = Dice::new(7, "KZ-75");
        for _ in 0..1_000 {
            assert!((3..=5).contains(&dice.between(3, 5)));
            assert!([1, 2].contains(dice.pick(&[1, 2])));
            assert_eq!(*dice.weighted(&[(1, 0), (2, 5)]), 2);
        }
        assert_eq!(dice.between(5, 3), 5);
        assert_ne!(Dice::new(7, "KZ-75").next(), Dice::new(7, "KZ-71").next());
        assert_ne!(Dice::new(7, "KZ-75").next(), Dice::new(8, "KZ-75").next());
        assert_eq!(dice.uuid().get_version_num(), 4);
    }
}
