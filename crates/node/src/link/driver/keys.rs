//! Wraps of keys: asking for them, giving and keeping them.

use evidence::log::LogName;
use replication::{Failure, KeepKeys, ReadKeys};

use super::{Driver, Stored, Storing};

impl Driver {
    /// Has the session ask for what is lacking, each once on a link, and says what is kept.
    pub(super) fn look_for_keys(&mut self) {
        if let Some((seen, ids)) = self.office.escrow.wanted(&self.peer, self.round.keys) {
            let now = self.now();
            let kept = |log: &LogName, epoch| self.office.escrow.kept(log, epoch);
            if self.session.want_keys(now, ids.into_iter(), kept) {
                self.round.keys = seen;
            }
        }
    }

    /// Wrapping takes time: nothing else waits for it.
    pub(super) fn read_keys(&self, ask: ReadKeys, storing: &mut Storing) {
        let (office, peer) = (self.office.clone(), self.peer.clone());
        let ReadKeys { ticket, ids } = ask;
        let reading = async move {
            let at = office.clone();
            let read = move |_: &journal::Journal| at.escrow.read(&at.vault, &peer, &ids);
            Stored::KeysRead(ticket, office.journal.on_thread(read).await.unwrap_or_default())
        };
        storing.push_keys(reading);
    }

    pub(super) fn keep_keys(&self, ask: KeepKeys, storing: &mut Storing) {
        let (office, peer) = (self.office.clone(), self.peer.clone());
        let KeepKeys { ticket, wraps } = ask;
        let keeping = async move {
            let at = office.clone();
            let keep = move |_: &journal::Journal| at.escrow.keep(&peer, wraps);
            let kept = office.journal.on_thread(keep).await;
            Stored::KeysKept(ticket, kept.unwrap_or(Err(Failure::Internal)))
        };
        storing.push_keys(keeping);
    }
}
