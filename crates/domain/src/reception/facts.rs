//! Facts of a personal reception session.

use jiff::civil::Date;

use crate::code::{Code, Post};
use crate::ids::AppealId;
use crate::macros::facts;
use crate::text::Text;
use crate::time::Timestamp;

/// Who came and what was said: personal data, sealed before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisitorPart {
    /// The visitor's name.
    pub name: Option<Text>,
    /// How to reach the visitor.
    pub contacts: Option<Text>,
    /// What was said and promised.
    pub note: Option<Text>,
}

/// A session is promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceptionPlanned {
    /// The day, in the office's zone.
    pub on: Date,
    /// The post that will receive.
    pub post: Post,
}

/// The session took place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceptionHeld {
    /// Classifier `reception_mode`: in person, by video.
    pub mode: Code,
    /// How many people came.
    pub visitors: u32,
    /// When the door opened.
    pub opened_at: Timestamp,
    /// When it closed; after `opened_at`.
    pub closed_at: Timestamp,
}

/// One visitor was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitorReceived {
    /// Classifier `visitor_outcome`.
    pub outcome: Code,
    /// The appeal taken down, where there is one.
    pub appeal: Option<AppealId>,
    /// Sealed; `None` when nothing was given or the part was not opened.
    pub personal: Option<VisitorPart>,
}

/// The promised session did not take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceptionNotHeld {
    /// Classifier `not_held_reason`.
    pub reason: Code,
    /// The day it will be made up for, where one is set.
    pub replacement_on: Option<Date>,
}

facts! {
    /// Facts of a reception stream.
    ReceptionFact in Reception, Reception {
        /// A session is promised.
        Planned(ReceptionPlanned) = 1, "reception.planned";
        /// It took place.
        Held(ReceptionHeld) = 2, "reception.held";
        /// One visitor was received.
        VisitorReceived(VisitorReceived) = 3, "reception.visitor_received";
        /// It did not take place.
        NotHeld(ReceptionNotHeld) = 4, "reception.not_held";
    }
}
