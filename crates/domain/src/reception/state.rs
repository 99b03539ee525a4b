//! Planned -> Held | NotHeld.

use jiff::civil::Date;

use crate::fact::Fact;
use crate::reception::facts::ReceptionFact;
use crate::state::State;

/// Where a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceptionPhase {
    /// No fact yet.
    #[default]
    Absent,
    /// Promised.
    Planned,
    /// Took place.
    Held,
    /// Did not take place.
    NotHeld,
}

/// What the rule needs to know of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceptionState {
    /// Where it stands.
    pub phase: ReceptionPhase,
    /// The promised day.
    pub on: Option<Date>,
    /// Visitors recorded one by one.
    pub received: u32,
    /// Visitors counted when the session closed.
    pub counted: u32,
}

impl State for ReceptionState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Reception(fact) = fact else { return };
        match fact {
            ReceptionFact::Planned(fact) => {
                self.phase = ReceptionPhase::Planned;
                self.on = Some(fact.on);
            }
            ReceptionFact::Held(fact) => {
                self.phase = ReceptionPhase::Held;
                self.counted = fact.visitors;
            }
            ReceptionFact::VisitorReceived(_) => self.received = self.received.saturating_add(1),
            ReceptionFact::NotHeld(_) => self.phase = ReceptionPhase::NotHeld,
        }
    }
}
