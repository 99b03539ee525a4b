//! Hands out the counters behind registration numbers: each once, whatever crashes.
//!
//! A block of counters is reserved by a control fact in the journal before the first of them is
//! used; after a crash the rest of the block is skipped. Gaps betray nothing, because the digits
//! that people see are a keyed permutation of the counter (`domain::number`).

use std::collections::BTreeMap;

use domain::number::OPEN_COUNTERS;
use journal::{Control, Transaction};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::decide::ExecuteError;
use crate::records::Records;
use crate::writer::{WriteError, Writer};

/// Counters reserved by one control fact: one more sync in 64 registrations.
const BLOCK: u32 = 64;

/// Why no counter was handed out.
#[derive(Debug, Error)]
pub enum NumbersError {
    /// The reservation was not made durable.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What the journal holds of the year is no number of reserved counters. Counting anew would
    /// give out numbers that are taken.
    #[error(
        "the journal does not say which registration numbers of {year} are taken: its control \
         fact number/{year} is unreadable; no appeal can be registered until it is mended: run \
         `adal journal check`, and an update of this node if it reports nothing"
    )]
    Unreadable {
        /// The year of registration.
        year: i16,
    },
    /// Every counter of the year that ordinary appeals may have is given out.
    #[error(
        "all {OPEN_COUNTERS} registration numbers of {year} are given out; register further \
         appeals at another office, and tell the centre"
    )]
    Exhausted {
        /// The year of registration.
        year: i16,
    },
}

/// The counters of this office, one per year of registration.
#[derive(Debug, Default)]
pub struct Numbers {
    years: Mutex<BTreeMap<i16, Block>>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    next: u32,
    end: u32,
}

impl Numbers {
    /// No block is reserved yet: the first use of a year reserves one behind the last.
    pub fn new() -> Numbers {
        Numbers::default()
    }

    /// The next counter of `year`, below [`OPEN_COUNTERS`]. Durable before it returns, so it is
    /// never given twice.
    ///
    /// # Errors
    /// [`NumbersError`]; nothing was handed out.
    pub async fn next(
        &self,
        year: i16,
        journal: &Records,
        writer: &Writer,
    ) -> Result<u32, NumbersError> {
        let mut years = self.years.lock().await;
        let block = match years.get(&year) {
            Some(block) if block.next < block.end => *block,
            _ => reserve(year, journal, writer).await?,
        };
        years.insert(year, Block { next: block.next + 1, ..block });
        Ok(block.next)
    }
}

fn key(year: i16) -> Vec<u8> {
    format!("number/{year}").into_bytes()
}

impl From<NumbersError> for ExecuteError {
    fn from(error: NumbersError) -> ExecuteError {
        match error {
            NumbersError::Write(error) => error.into(),
            other => ExecuteError::Numbers(other),
        }
    }
}

async fn reserve(year: i16, journal: &Records, writer: &Writer) -> Result<Block, NumbersError> {
    let block = after(year, journal.control(&key(year)))?;
    let control = Control { key: key(year), value: block.end.to_be_bytes().to_vec() };
    writer.write(Transaction { controls: vec![control], ..Transaction::default() }).await?;
    Ok(block)
}

/// The block behind what is reserved by the year's control fact, if there is one.
fn after(year: i16, reserved: Option<Vec<u8>>) -> Result<Block, NumbersError> {
    let next = match reserved {
        None => 0,
        Some(value) => match value.try_into().map(u32::from_be_bytes) {
            Ok(reserved) if reserved <= OPEN_COUNTERS => reserved,
            _ => return Err(NumbersError::Unreadable { year }),
        },
    };
    match next {
        OPEN_COUNTERS => Err(NumbersError::Exhausted { year }),
        next => Ok(Block { next, end: OPEN_COUNTERS.min(next + BLOCK) }),
    }
}

#[cfg(test)]
mod tests {
    use journal::Journal;
    use telemetry::Metrics;
    use vault::{RootKey, Vault};

    use super::*;
    use crate::clock::Clock;
    use crate::ground::Working;
    use crate::supervisor::Supervisor;

    struct Desk {
        journal: Records,
        writer: Writer,
        _dir: tempfile::TempDir,
    }

    fn desk() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) =
            Journal::open(&dir.path().join("journal"), journal::Options::default()).unwrap();
        let root = RootKey::from_bytes([7; 32]);
        let vault = Vault::open(&dir.path().join("vault"), &root).unwrap();
        let (clock, metrics) = (Clock::system(), Metrics::disabled());
        let supervisor = Supervisor::new();
        let writer =
            Writer::start(journal.clone(), vault, clock, metrics, Working::Threads, &supervisor)
                .unwrap();
        Desk { journal: Records::new(journal), writer, _dir: dir }
    }

    async fn keep(desk: &Desk, year: i16, value: &[u8]) {
        let control = Control { key: key(year), value: value.to_vec() };
        let transaction = Transaction { controls: vec![control], ..Transaction::default() };
        desk.writer.write(transaction).await.unwrap();
    }

    async fn next(numbers: &Numbers, desk: &Desk, year: i16) -> Result<u32, NumbersError> {
        numbers.next(year, &desk.journal, &desk.writer).await
    }

    #[tokio::test]
    async fn no_counter_is_given_twice_whatever_crashes() {
        let desk = desk();
        let numbers = Numbers::new();
        for wanted in 0..BLOCK + 3 {
            assert_eq!(next(&numbers, &desk, 2026).await.unwrap(), wanted);
        }
        assert_eq!(next(&numbers, &desk, 2027).await.unwrap(), 0, "each year counts for itself");
        let restarted = Numbers::new();
        assert_eq!(next(&restarted, &desk, 2026).await.unwrap(), 2 * BLOCK);
    }

    #[tokio::test]
    async fn an_unreadable_reservation_gives_out_nothing() {
        let desk = desk();
        for value in [&[1, 2, 3][..], &(OPEN_COUNTERS + 1).to_be_bytes()[..], &[]] {
            keep(&desk, 2026, value).await;
            let failed = next(&Numbers::new(), &desk, 2026).await.unwrap_err();
            assert!(matches!(failed, NumbersError::Unreadable { year: 2026 }), "{failed}");
            assert_eq!(desk.journal.control(&key(2026)).unwrap(), value, "it is left as it is");
        }
    }

    #[tokio::test]
    async fn the_kept_part_of_the_numbers_is_never_given_out() {
        let desk = desk();
        keep(&desk, 2026, &(OPEN_COUNTERS - 2).to_be_bytes()).await;
        let numbers = Numbers::new();
        assert_eq!(next(&numbers, &desk, 2026).await.unwrap(), OPEN_COUNTERS - 2);
        assert_eq!(next(&numbers, &desk, 2026).await.unwrap(), OPEN_COUNTERS - 1);
        for _ in 0..2 {
            let failed = next(&numbers, &desk, 2026).await.unwrap_err();
            assert!(matches!(failed, NumbersError::Exhausted { year: 2026 }), "{failed}");
        }
    }
}
