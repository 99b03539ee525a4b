//! Urgent records that other offices show ahead of a backlog, until they are held here.
//!
//! They are kept in memory alone: nothing that was not proved complete enters a mirror. A link that
//! begins shows them anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::log::LogName;
use evidence::record::Record;
use replication::action::Previewed;

/// Records of one epoch of a log that are kept.
const RECORDS: usize = 256;
/// Their bytes.
const BYTES: usize = 4 * 1024 * 1024;

/// By log and epoch, then by sequence.
type Shown = BTreeMap<(LogName, u32), BTreeMap<u64, Previewed>>;

/// What is shown ahead. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Previews(Arc<Mutex<Shown>>);

impl Previews {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one up, unless it is known or there are too many: false then. Of its epoch so many
    /// records are `held`: they need no room any more.
    pub fn show(&self, preview: Previewed, held: u64) -> bool {
        let header = preview.record.header();
        let (place, seq) = ((header.log.clone(), header.epoch), header.seq);
        let mut logs = self.lock();
        let shown = logs.entry(place).or_default();
        *shown = shown.split_off(&held);
        let size = |previewed: &Previewed| Record::bytes(&previewed.record).len();
        let bytes: usize = shown.values().map(size).sum();
        let fits = shown.len() < RECORDS && bytes + size(&preview) <= BYTES;
        let is_new = fits && seq >= held && !shown.contains_key(&seq);
        if is_new {
            shown.insert(seq, preview);
        }
        is_new
    }

    /// Those that are not held, by log, epoch and sequence; `held`: durable records of a mirror.
    /// The others are forgotten.
    pub fn list(&self, held: impl Fn(&LogName, u32) -> u64) -> Vec<Previewed> {
        let mut logs = self.lock();
        logs.retain(|(log, epoch), shown| {
            let held = held(log, *epoch);
            shown.retain(|seq, _| *seq >= held);
            !shown.is_empty()
        });
        logs.values().flat_map(|shown| shown.values().cloned()).collect()
    }

    /// How many of a log, in all its epochs, are not held.
    pub fn count(&self, log: &LogName, held: impl Fn(&LogName, u32) -> u64) -> u64 {
        let logs = self.lock();
        let of_log = logs.iter().filter(|((of, _), _)| of == log);
        of_log.map(|((_, epoch), shown)| shown.range(held(log, *epoch)..).count() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, desk};

    async fn previewed(count: u128) -> Vec<Previewed> {
        let desk = desk("KZ-75").await;
        let facts: Vec<_> = (1..=count).map(testing::contact).collect();
        let log = testing::log("kz-75");
        desk.record(&log, &facts).await;
        desk.records(&log).into_iter().map(|record| Previewed { record, at: 7 }).collect()
    }

    #[tokio::test]
    async fn what_is_held_is_no_longer_shown_ahead() {
        let (previews, log) = (Previews::default(), testing::log("kz-75"));
        let all = previewed(5).await;
        let size = all.len() as u64;
        assert!(all.iter().all(|preview| previews.show(preview.clone(), 0)));
        assert!(!previews.show(all[0].clone(), 0), "each once");
        let seqs = |held| -> Vec<u64> {
            let list = previews.list(|_, _| held);
            list.iter().map(|preview| preview.record.header().seq).collect()
        };
        assert_eq!(previews.count(&log, |_, _| 2), size - 2);
        assert_eq!(seqs(2), (2..size).collect::<Vec<u64>>());
        assert_eq!(seqs(0), (2..size).collect::<Vec<u64>>(), "forgotten once it was held");
        assert!(seqs(size).is_empty());
        assert_eq!(previews.count(&log, |_, _| 0), 0);
    }

    #[tokio::test]
    async fn a_peer_cannot_fill_the_memory() {
        let previews = Previews::default();
        let all = previewed(RECORDS as u128 + 10).await;
        let takes =
            |held| all.iter().filter(|preview| previews.show((*preview).clone(), held)).count();
        assert_eq!(takes(0), RECORDS);
        assert_eq!(takes(5), 5, "what is held makes room");
    }
}
