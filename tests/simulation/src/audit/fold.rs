//! A view in memory with a cursor: what every office folds its logs into here.

use std::collections::BTreeMap;

use evidence::log::Position;
use node::office::Office;

use super::{Auditor, Epoch};

/// Records that are read at once.
const READ: usize = 1_024;

/// The view of one process.
#[derive(Default)]
pub struct Fold {
    cursors: BTreeMap<Epoch, u64>,
    /// Where each event was applied.
    events: BTreeMap<[u8; 16], Position>,
    /// Versions of streams, by log and stream: each record makes the next one.
    versions: BTreeMap<(Epoch, u16, [u8; 16]), u32>,
}

impl Auditor {
    /// A process begins with an empty view.
    pub fn fold_anew(&mut self, name: &str) {
        self.folds.insert(name.to_owned(), Fold::default());
    }

    /// Applies what is new in every log.
    pub fn fold(&mut self, name: &str, office: &Office) {
        let mut fold = self.folds.remove(name).unwrap_or_default();
        for info in office.journal.logs() {
            let key = (info.log.clone(), info.epoch);
            let mut next = fold.cursors.get(&key).copied().unwrap_or(0);
            while next < info.size {
                let read = office.journal.range(&info.log, info.epoch, next, READ, usize::MAX);
                let Ok(records) = read else { break };
                if records.is_empty() {
                    break;
                }
                for record in records {
                    let header = record.header();
                    let place = Position { log: key.0.clone(), epoch: key.1, seq: next };
                    let in_order = header.seq == next && header.log == key.0;
                    self.must(in_order, "applied-once", || {
                        format!("{name} reads {}:{} at {place}", header.log, header.seq)
                    });
                    let before = fold.events.insert(header.event_id, place.clone());
                    self.must(before.is_none(), "applied-once", || {
                        let before = before.map(|before| before.to_string());
                        format!("{name} applies the event of {place} again, first at {before:?}")
                    });
                    let stream = (key.clone(), header.stream.kind, header.stream.id);
                    let version = fold.versions.entry(stream).or_insert(0);
                    *version += 1;
                    let (is, wanted) = (header.stream_version, *version);
                    self.must(key.1 > 1 || is == wanted, "applied-once", || {
                        format!("{place} at {name} is version {is} of its stream, not {wanted}")
                    });
                    next += 1;
                }
            }
            fold.cursors.insert(key, next);
        }
        self.folds.insert(name.to_owned(), fold);
    }
}
