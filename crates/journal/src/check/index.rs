//! The index against what it must be: what the commit files give.

use evidence::log::Position;

use super::walk::Walker;
use crate::catalog::audit::{Audit, Lack};
use crate::files;
use crate::replay::Items;

impl Walker {
    /// Compares a group that lies in `bytes` and starts at `start` of a segment with the index.
    /// Nothing happens if the files are checked without one.
    pub(super) fn compare(&mut self, items: &Items, bytes: &[u8], start: u64, segment: u64) {
        let Some(audit) = &mut self.audit else { return };
        let lacks = audit.group(items, bytes, start, segment);
        self.report.index_entries = audit.entries;
        self.lack(lacks);
    }

    /// Reads on in what only all groups together can be compared with; whether there was any left.
    pub(super) fn run_page(&mut self) -> bool {
        let lacks = self.audit.as_mut().and_then(Audit::page);
        let is_more = lacks.is_some();
        self.lack(lacks.unwrap_or_default());
        is_more
    }

    /// Compares it, after a walk over all groups. After damage it would say nothing new.
    pub(super) fn end_audit(&mut self) {
        if self.report.damage_count == 0 {
            let lack = self.audit.as_ref().and_then(Audit::end);
            self.lack(lack.into_iter().collect());
        }
    }

    fn lack(&mut self, lacks: Vec<Lack>) {
        for lack in lacks {
            let position = lack.place.and_then(|(log_no, epoch, seq)| {
                Some(Position { log: self.state.log(log_no)?.name.clone(), epoch, seq })
            });
            self.damage(files::INDEX, None, position, &lack.what);
        }
    }
}
