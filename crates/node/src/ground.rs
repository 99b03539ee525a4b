//! What an office stands on: its clock, its randomness, the disk of its journal, and who works for
//! it. A running node stands on the machine ([`Ground::machine`]). A simulation gives ground of its
//! own, where the same seed gives the same history, and the rest of the node is the real one.
//!
//! What is not given here is none of the ground's affair: monotonic time is the runtime's
//! (`tokio::time`), which a simulation has in its hand anyway; keys and vault lie in real folders.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use journal::Journal;
use journal::disk::Disk;
use journal::disk::os::OsDisk;
use rand::Rng;
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::records::Opening;

/// What an office stands on.
pub struct Ground<'a> {
    /// The wall clock.
    pub clock: Clock,
    /// Ids, blinds and jitter.
    pub random: Random,
    /// Where the journal's files lie.
    pub disk: Arc<dyn Disk>,
    /// How the journal is opened there.
    pub opening: &'a Opening,
    /// Who waits for the disk.
    pub working: Working,
}

impl Ground<'static> {
    /// The machine: the system's clock and randomness, its disk, threads.
    pub fn machine() -> Ground<'static> {
        Ground {
            clock: Clock::system(),
            random: Random::system(),
            disk: Arc::new(OsDisk),
            opening: &Journal::open,
            working: Working::Threads,
        }
    }
}

/// Who waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Working {
    /// Threads of their own, so that the runtime waits for nobody.
    Threads,
    /// The tasks themselves, one after the other: for a disk that answers at once, where the order
    /// of everything is to follow from a seed.
    Inline,
}

/// A source of random bytes.
type Source = dyn FnMut(&mut [u8]) + Send;

/// Where ids, blinds and jitter come from. Clones share the source.
#[derive(Clone)]
pub struct Random(Option<Arc<Mutex<Source>>>);

impl Random {
    /// The system's, seeded by the operating system.
    pub fn system() -> Random {
        Random(None)
    }

    /// This source alone.
    pub fn given(source: impl FnMut(&mut [u8]) + Send + 'static) -> Random {
        Random(Some(Arc::new(Mutex::new(source))))
    }

    /// Fills a field with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            None => rand::rng().fill_bytes(bytes),
            Some(source) => source.lock().unwrap_or_else(PoisonError::into_inner)(bytes),
        }
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A new id (UUID version 7). The system's are in the order in which they were made; those of
    /// a given source begin with the time that `clock` shows.
    pub fn id(&self, clock: &Clock) -> Uuid {
        if self.0.is_none() {
            return Uuid::now_v7();
        }
        let millis = u64::try_from(clock.now() / 1_000).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// The seed of a new key, if keys are to come from a given source too; `None`: whoever makes
    /// the key asks the operating system.
    pub(crate) fn seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.0.as_ref().map(|_| Zeroizing::new(self.bytes()))
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Random(system)" } else { "Random(given)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> Random {
        let mut next = 0;
        Random::given(move |bytes| {
            for byte in bytes {
                *byte = next;
                next += 1;
            }
        })
    }

    #[test]
    fn a_given_source_is_the_only_one() {
        let (random, clock) = (counting(), Clock::given(|| 1_770_000_000_000_000));
        assert_eq!(random.bytes::<3>(), [0, 1, 2]);
        assert_eq!(random.clone().bytes::<2>(), [3, 4], "clones share it");
        let id = random.id(&clock);
        assert_eq!(id.get_version_num(), 7);
        let stamp = id.get_timestamp().unwrap().to_unix();
        assert_eq!(stamp, (1_770_000_000, 0));
        assert_eq!(random.seed().unwrap()[0], 15);
        assert!(Random::system().seed().is_none());
        assert_ne!(Random::system().number(), Random::system().number());
    }
}
