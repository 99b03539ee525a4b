//! What the rule needs to know of an office's stream.

use crate::fact::Fact;
use crate::state::State;

/// Whether an office is enrolled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfficeState {
    /// Whether it joined.
    pub enrolled: bool,
}

impl State for OfficeState {
    fn apply(&mut self, fact: &Fact) {
        if let Fact::Office(_) = fact {
            self.enrolled = true;
        }
    }
}
