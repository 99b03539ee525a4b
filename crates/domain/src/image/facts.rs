//! Facts of an activity of the image-policy plan.

use jiff::civil::Date;

use crate::code::Code;
use crate::macros::facts;

/// An activity is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityPlanned {
    /// Classifier `activity_audience`: court officials or society.
    pub audience: Code,
    /// Classifier `activity_kind`.
    pub kind: Code,
    /// Classifier `activity_channel`.
    pub channel: Code,
    /// Classifier `language`.
    pub language: Code,
    /// How many people it should reach.
    pub target_reach: u32,
    /// The day by which it is to be held.
    pub due: Date,
}

/// The activity was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityHeld {
    /// How many people it reached.
    pub reach: u32,
}

facts! {
    /// Facts of an activity stream.
    ActivityFact in Activity, Activity {
        /// An activity is planned.
        Planned(ActivityPlanned) = 1, "activity.planned";
        /// It was held.
        Held(ActivityHeld) = 2, "activity.held";
    }
}
