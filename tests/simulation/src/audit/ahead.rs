//! Urgent records that are shown ahead of a backlog.

use evidence::record::Urgency;
use node::office::Office;

use super::Auditor;

impl Auditor {
    /// What an office shows ahead is what some disk wrote at that place of that log, and urgent.
    pub(super) fn judge_previews(&mut self, name: &str, office: &Office) {
        for shown in office.previews.list(|log, epoch| office.held(log, epoch)) {
            let header = shown.record.header();
            let branches = self.histories.get(&(header.log.clone(), header.epoch));
            let written = branches.into_iter().flatten().filter_map(|branch| {
                let leaf = branch.leaves.get(usize::try_from(header.seq).ok()?)?;
                Some(*leaf == shown.record.leaf_hash())
            });
            let written: Vec<bool> = written.collect();
            // What its writer has just made durable is looked at a moment later.
            let is_true = written.is_empty() || written.contains(&true);
            let is_urgent = header.urgency == Urgency::Urgent;
            self.must(is_true && is_urgent, "preview", || {
                format!("{name} shows {} ahead, which is not there", header.position())
            });
        }
    }
}
