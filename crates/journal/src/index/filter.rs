//! A Bloom filter: says for certain that something is not in a run, without reading it.

use super::entry::mix;

/// Bits for each entry: with [`PROBES`] probes one question in a hundred is answered wrongly, by
/// an unneeded look.
const BITS: usize = 10;
/// Bits that an entry sets: ln 2 × bits for each entry.
const PROBES: u64 = 7;

/// The filter of one run.
pub(crate) struct Filter(Vec<u64>);

impl Filter {
    /// An empty filter for so many entries.
    pub(crate) fn new(entries: u64) -> Self {
        let words = (entries as usize * BITS).div_ceil(64).max(1);
        Self(vec![0; words])
    }

    /// The bits of a subject: word and mask.
    fn bits(&self, subject: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let count = self.0.len() as u64 * 64;
        let hash = mix(subject);
        // Two halves make all probes (Kirsch and Mitzenmacher, 2006).
        let (base, stride) = (hash, (hash >> 32) | 1);
        (0..PROBES).map(move |i| {
            let bit = base.wrapping_add(i.wrapping_mul(stride)) % count;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    /// Adds a subject.
    pub(crate) fn add(&mut self, subject: &[u8]) {
        for (word, mask) in self.bits(subject) {
            self.0[word] |= mask;
        }
    }

    /// Whether a subject may have been added.
    pub(crate) fn may_hold(&self, subject: &[u8]) -> bool {
        self.bits(subject).all(|(word, mask)| self.0[word] & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let subject = |number: u64| [&number.to_be_bytes()[..], &[7; 9]].concat();
        let mut filter = Filter::new(10_000);
        (0..10_000).for_each(|number| filter.add(&subject(number)));
        assert!((0..10_000).all(|number| filter.may_hold(&subject(number))));
        let wrong = (10_000..110_000).filter(|number| filter.may_hold(&subject(*number))).count();
        assert!(wrong < 2_000, "{wrong} of 100,000");
    }
}
