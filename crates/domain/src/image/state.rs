//! Planned -> Held.

use crate::fact::Fact;
use crate::image::facts::ActivityFact;
use crate::state::State;

/// Where an activity stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivityPhase {
    /// No fact yet.
    #[default]
    Absent,
    /// Planned.
    Planned,
    /// Held.
    Held,
}

/// What the rule needs to know of an activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityState {
    /// Where it stands.
    pub phase: ActivityPhase,
}

impl State for ActivityState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Activity(fact) = fact else { return };
        self.phase = match fact {
            ActivityFact::Planned(_) => ActivityPhase::Planned,
            ActivityFact::Held(_) => ActivityPhase::Held,
        };
    }
}
