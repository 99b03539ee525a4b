//! The real tables: the final logs folded in several orders, each of which keeps the order of each
//! log, give equal rows. Outside simulated time, because SQLite has threads.

use std::collections::{BTreeMap, VecDeque};

use evidence::log::LogName;
use node::facts;
use node::project;
use projection::{Envelope, Views};

use crate::chance::Chance;
use crate::country::Country;

/// Orders that are tried.
const ORDERS: u64 = 3;
/// Records that are applied together, at most.
const BATCH: u64 = 40;

/// Folds what the centre holds; says which tables differ.
pub fn judge(country: &Country) -> Option<String> {
    let office = country.office("kz")?;
    // The epochs of a log follow each other.
    let mut logs: BTreeMap<LogName, VecDeque<Envelope>> = BTreeMap::new();
    for info in office.journal.logs() {
        let records =
            facts::range(&office.journal, (&info.log, info.epoch), 0, usize::MAX, usize::MAX);
        let envelopes = records.records.iter().map(|record| project::envelope_of(record).unwrap());
        logs.entry(info.log.clone()).or_default().extend(envelopes);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut first = None;
        for order in 0..ORDERS {
            let mut chance = Chance::of(country.seed, &format!("order {order}"));
            let views = Views::open(&folder.path().join(format!("{order}.sqlite"))).await.unwrap();
            let mut left: Vec<_> = logs.values().cloned().collect();
            while left.iter().any(|log| !log.is_empty()) {
                let at = chance.below(left.len() as u64) as usize;
                let many = (chance.below(BATCH) as usize).min(left[at].len());
                let batch: Vec<_> = left[at].drain(..many).collect();
                if let Err(error) = views.apply(&batch).await {
                    return Some(format!("order {order} cannot be folded: {error}"));
                }
            }
            let print = views.fingerprint().await.unwrap();
            views.close().await.unwrap();
            let before = first.get_or_insert_with(|| print.clone());
            let differing = before.differing(&print);
            if !differing.is_empty() {
                return Some(format!("{differing:?} differ in order {order}"));
            }
        }
        None
    })
}
