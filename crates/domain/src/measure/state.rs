//! Planned -> Held | Cancelled.

use crate::fact::Fact;
use crate::measure::facts::MeasureFact;
use crate::state::State;

/// Where a measure stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeasurePhase {
    /// No fact yet.
    #[default]
    Absent,
    /// Planned.
    Planned,
    /// Held.
    Held,
    /// Will not be held.
    Cancelled,
}

/// What the rule needs to know of a measure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasureState {
    /// Where it stands.
    pub phase: MeasurePhase,
}

impl State for MeasureState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Measure(fact) = fact else { return };
        self.phase = match fact {
            MeasureFact::Planned(_) => MeasurePhase::Planned,
            MeasureFact::Held(_) => MeasurePhase::Held,
            MeasureFact::Cancelled(_) => MeasurePhase::Cancelled,
        };
    }
}
