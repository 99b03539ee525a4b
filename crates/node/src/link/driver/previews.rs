//! Urgent records ahead of a backlog: finding and reading them for the peer, showing the peer's.

use evidence::record::{Record, Urgency};
use replication::action::{FindUrgent, PreviewAsk, PreviewRead, Previewed, ReadPreview};
use tracing::info;

use super::Driver;
use super::reading::failure;

/// Bytes of records that are looked through at once.
const LOOK_BYTES: usize = 1024 * 1024;

impl Driver {
    pub(super) fn ask_preview(&mut self, ask: PreviewAsk) {
        let now = self.now();
        match ask {
            PreviewAsk::Find(ask) => {
                let urgent = self.find_urgent(&ask);
                self.session.urgent_found(now, ask.ticket, &urgent);
            }
            PreviewAsk::Read(ask) => {
                let read = self.read_preview(&ask);
                self.session.preview_read(now, ask.ticket, read);
            }
            PreviewAsk::Show(previewed) => self.show_preview(*previewed),
        }
    }

    /// What cannot be read is not urgent here: sending it in its turn says what is wrong.
    fn find_urgent(&self, ask: &FindUrgent) -> Vec<u64> {
        let mut urgent = Vec::new();
        let mut from = ask.from;
        while from < ask.end {
            let most = usize::try_from(ask.end - from).unwrap_or(usize::MAX);
            let read = self.office.journal.range(&ask.log, ask.epoch, from, most, LOOK_BYTES);
            let records = read.unwrap_or_default();
            let is_urgent = |record: &&Record| record.header().urgency == Urgency::Urgent;
            urgent.extend(records.iter().filter(is_urgent).map(|record| record.header().seq));
            if records.is_empty() {
                break;
            }
            from += records.len() as u64;
        }
        urgent
    }

    /// What cannot be read is said to the log here; it comes in its turn or not at all.
    fn read_preview(&self, ask: &ReadPreview) -> Option<PreviewRead> {
        let ReadPreview { log, epoch, seq, head_size, .. } = ask;
        let record = self.office.journal.get(log, *epoch, *seq).map_err(|e| failure(&e)).ok()??;
        let proof = self.office.journal.inclusion(log, *epoch, *seq, *head_size);
        let proof = proof.map_err(|e| failure(&e)).ok()?;
        Some(PreviewRead { record: record.into_bytes(), proof })
    }

    fn show_preview(&self, previewed: Previewed) {
        let header = previewed.record.header();
        let (log, epoch, seq) = (header.log.clone(), header.epoch, header.seq);
        let held = self.office.held(&log, epoch);
        if self.office.previews.show(previewed, held) {
            info!(peer = %self.peer, %log, epoch, seq, "an urgent record is shown ahead");
        }
    }
}
