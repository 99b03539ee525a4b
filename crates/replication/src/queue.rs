//! The handlers' side of the action queue: they may add, only the driver takes out.

use std::collections::VecDeque;

use evidence::hash::Hash;
use evidence::log::LogName;

use crate::action::{Action, AttachmentAsk, Close, Fault, Party};
use crate::message::{Message, RefusalCode, Refused};

/// What a peer must not do. The session answers it by refusing the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: RefusalCode,
    pub(crate) text: String,
}

impl Violation {
    /// The order of the protocol was broken, or something here failed.
    pub(crate) fn internal(text: impl Into<String>) -> Violation {
        Violation { code: RefusalCode::Internal, text: text.into() }
    }
}

/// One log of one session.
#[derive(Clone, Debug)]
pub(crate) struct LogId {
    pub(crate) slot: usize,
    pub(crate) log: LogName,
    pub(crate) epoch: u32,
    pub(crate) own: bool,
}

/// Why a log stops, with the evidence for it.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub(crate) code: RefusalCode,
    pub(crate) text: String,
    pub(crate) notes: Vec<String>,
    pub(crate) proof: Vec<Hash>,
}

impl Reason {
    pub(crate) fn new(code: RefusalCode, text: impl Into<String>) -> Reason {
        Reason { code, text: text.into(), notes: Vec::new(), proof: Vec::new() }
    }

    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Reason {
        self.notes.extend(notes);
        self
    }

    pub(crate) fn with_proof(mut self, proof: &[Hash]) -> Reason {
        self.proof = proof.to_vec();
        self
    }
}

/// Actions waiting for the driver.
#[derive(Debug)]
pub(crate) struct Queue {
    actions: VecDeque<Action>,
    serial: u64,
    closed: bool,
}

impl Queue {
    /// `first_serial`: larger than any serial of an earlier session of this process, so that a
    /// late answer meant for that one is not taken for ours.
    pub(crate) fn new(first_serial: u64) -> Queue {
        Queue { actions: VecDeque::new(), serial: first_serial, closed: false }
    }

    pub(crate) fn serial(&mut self) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// After [`Queue::close`] nothing is added any more.
    pub(crate) fn push(&mut self, action: Action) {
        if !self.closed {
            self.actions.push_back(action);
        }
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.push(Action::Send(message));
    }

    /// Tells the peer and the operator that a log does not go on.
    pub(crate) fn refuse_log(&mut self, id: &LogId, reason: Reason) {
        self.send(Message::Refused(Refused {
            log: Some(id.log.clone()),
            epoch: id.epoch,
            code: reason.code,
            text: reason.text.clone(),
            note: reason.notes.last().cloned(),
        }));
        self.fault(id, Party::Us, reason);
    }

    /// Tells the operator only.
    pub(crate) fn fault(&mut self, id: &LogId, found_by: Party, reason: Reason) {
        self.push(Action::Fault(Fault {
            log: id.log.clone(),
            epoch: id.epoch,
            own: id.own,
            code: reason.code,
            found_by,
            text: reason.text,
            notes: reason.notes,
            proof: reason.proof,
        }));
    }

    /// Ends the session: requests that the driver has not taken yet are void, messages,
    /// faults and news of an epoch stay, nothing follows.
    pub(crate) fn close(&mut self, close: Close) {
        if self.closed {
            return;
        }
        self.actions.retain(|a| {
            matches!(
                a,
                Action::Send(_)
                    | Action::Fault(_)
                    | Action::StoreCosignature(_)
                    | Action::Countersigned(_)
                    | Action::Offered(_)
                    | Action::Recovered(_)
                    | Action::NewEpoch(_)
                    | Action::Attachment(AttachmentAsk::Trouble(_))
            )
        });
        self.actions.push_back(Action::Close(close));
        self.closed = true;
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
