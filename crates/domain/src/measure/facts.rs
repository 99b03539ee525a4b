//! Facts of a preventive measure.

use jiff::civil::Date;

use crate::code::Code;
use crate::ids::DirectiveId;
use crate::macros::facts;

/// How many people of one class took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participants {
    /// Classifier `participant_class`: judges, court staff, ...
    pub class: Code,
    /// Number of people.
    pub count: u32,
}

/// A measure is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurePlanned {
    /// Classifier `measure_kind`: lecture, test, survey, ...
    pub kind: Code,
    /// Classifier `audience`.
    pub audience: Code,
    /// The day by which it is to be held.
    pub due: Date,
    /// The directive that asks for it.
    pub directive: Option<DirectiveId>,
}

/// The measure was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureHeld {
    /// Participants by class; each class at most once.
    pub participants: Vec<Participants>,
    /// Duration in minutes.
    pub minutes: u32,
}

/// The measure will not be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureCancelled {
    /// Classifier `cancel_reason`.
    pub reason: Code,
}

facts! {
    /// Facts of a measure stream.
    MeasureFact in Measure, Measure {
        /// A measure is planned.
        Planned(MeasurePlanned) = 1, "measure.planned";
        /// It was held.
        Held(MeasureHeld) = 2, "measure.held";
        /// It will not be held.
        Cancelled(MeasureCancelled) = 3, "measure.cancelled";
    }
}
