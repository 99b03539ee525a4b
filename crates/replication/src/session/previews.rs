//! Urgent records ahead of the backlog: what the driver answers.

use super::Session;
use crate::action::{PreviewRead, PreviewTicket};
use crate::now::Now;

impl Session {
    /// Answer to [`PreviewAsk::Find`](crate::action::PreviewAsk::Find): the sequences of those
    /// records that are urgent, in order.
    pub fn urgent_found(&mut self, now: Now, ticket: PreviewTicket, urgent: &[u64]) {
        if self.is_closed() {
            return;
        }
        if let Some(origin) = self.origins.get_mut(ticket.slot) {
            origin.urgent_found(now, &ticket, urgent);
        }
        self.settle(now, Ok(()));
    }

    /// Answer to [`PreviewAsk::Read`](crate::action::PreviewAsk::Read); `None`: it cannot be read
    /// now.
    pub fn preview_read(&mut self, now: Now, ticket: PreviewTicket, answer: Option<PreviewRead>) {
        if self.is_closed() {
            return;
        }
        let Some(origin) = self.origins.get_mut(ticket.slot) else { return };
        let outcome = origin.preview_read(now, &ticket, answer, &mut self.queue);
        self.settle(now, outcome);
    }
}
