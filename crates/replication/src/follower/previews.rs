//! Urgent records that are shown before their turn.

use evidence::verify::check_preview;

use super::{Follower, Phase};
use crate::action::{Action, PreviewAsk, Previewed};
use crate::limits::PREVIEW_BYTES;
use crate::message::{Preview, RefusalCode};
use crate::now::Now;
use crate::queue::{Queue, Reason, Violation};

impl Follower {
    /// Only what is urgent and what the accepted head proves is shown; it changes nothing of what
    /// is held.
    pub(crate) fn on_preview(
        &mut self,
        now: Now,
        message: Preview,
        q: &mut Queue,
    ) -> Result<(), Violation> {
        match self.phase {
            Phase::Active => {}
            Phase::Waiting => return Err(Violation::internal("a preview of a log not agreed")),
            Phase::Paused { .. } | Phase::Finished | Phase::Stopped { .. } => return Ok(()),
        }
        let Preview { log, epoch, seq, head_size, record, proof } = message;
        let newest = self.accepted.as_ref().filter(|_| self.persisting.is_none());
        let Some(accepted) = newest.filter(|accepted| accepted.checkpoint.size == head_size) else {
            return Err(Violation::internal("a preview leads to another head than was accepted"));
        };
        if record.len() > PREVIEW_BYTES {
            return Err(Violation::internal("a preview is longer than is agreed"));
        }
        match check_preview(&log, epoch, seq, record, &accepted.checkpoint, &proof) {
            Ok(record) if seq >= self.held.size() => {
                let at = now.unix;
                q.push(Action::Preview(PreviewAsk::Show(Box::new(Previewed { record, at }))));
            }
            Ok(_) => {}
            Err(error) => {
                let text = format!(
                    "record {seq} of {log} that was shown ahead is not the one below its signed \
                     head: {error}; nothing of it is shown"
                );
                let reason = Reason::new(RefusalCode::BadSignature, text)
                    .with_notes([accepted.note.clone()])
                    .with_proof(&proof);
                self.stop(reason, q);
            }
        }
        Ok(())
    }
}
