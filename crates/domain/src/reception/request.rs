//! Requests about a personal reception session.

use jiff::civil::Date;

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::{Code, Post};
use crate::ids::AppealId;
use crate::limits;
use crate::macros::requests;
use crate::reception::facts::VisitorPart;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::Timestamp;

/// Promise a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanReception {
    /// The day, in the office's zone.
    pub on: Date,
    /// The post that will receive.
    pub post: Post,
}

/// Record that the session took place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldReception {
    /// Classifier `reception_mode`.
    pub mode: Code,
    /// How many people came; not fewer than the visitors already recorded.
    pub visitors: u32,
    /// When the door opened, on the planned day.
    pub opened_at: Timestamp,
    /// When it closed; after `opened_at`, at most a day later.
    pub closed_at: Timestamp,
}

/// Record one visitor, during the session or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveVisitor {
    /// Classifier `visitor_outcome`; `appeal_taken` needs the appeal.
    pub outcome: Code,
    /// The appeal taken down.
    pub appeal: Option<AppealId>,
    /// Who and what; to be sealed.
    pub personal: Option<VisitorPart>,
}

/// Record that the session did not take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissReception {
    /// Classifier `not_held_reason`.
    pub reason: Code,
    /// The day it will be made up for; after the planned day.
    pub replacement_on: Option<Date>,
}

requests! {
    /// Requests about a reception stream.
    ReceptionRequest in Reception {
        /// Promise a session.
        Plan(PlanReception), "plan_reception";
        /// It took place.
        Hold(HoldReception), "hold_reception";
        /// One visitor.
        ReceiveVisitor(ReceiveVisitor), "receive_visitor";
        /// It did not take place.
        Miss(MissReception), "miss_reception";
    }
}

impl ReceptionRequest {
    /// Checks codes, lengths and times.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        match self {
            Self::Plan(_) => Ok(()),
            Self::Hold(request) => request.validate(lists),
            Self::ReceiveVisitor(request) => request.validate(lists),
            Self::Miss(request) => lists.check("reason", list::NOT_HELD_REASON, &request.reason),
        }
    }
}

impl HoldReception {
    fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        lists.check("mode", list::RECEPTION_MODE, &self.mode)?;
        check::count("visitors", self.visitors, 0, limits::VISITORS)?;
        let refuse = |message| Refusal::field(RefusalCode::OutOfRange, "closed_at", message);
        if self.closed_at <= self.opened_at {
            return Err(refuse("must be after opened_at"));
        }
        if self.closed_at > self.opened_at.plus_micros(limits::RECEPTION_MICROS) {
            return Err(refuse("lies more than a day after opened_at; record one session a day"));
        }
        Ok(())
    }
}

impl ReceiveVisitor {
    fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        lists.check("outcome", list::VISITOR_OUTCOME, &self.outcome)?;
        if self.outcome == list::VISITOR_APPEAL && self.appeal.is_none() {
            let message = "is needed with this outcome; register the appeal first";
            return Err(Refusal::field(RefusalCode::Required, "appeal", message));
        }
        let Some(part) = &self.personal else { return Ok(()) };
        check::chars("personal.name", part.name.as_ref(), limits::NAME_CHARS)?;
        check::chars("personal.contacts", part.contacts.as_ref(), limits::CONTACT_CHARS)?;
        check::free_text("personal.note", part.note.as_ref())
    }
}
