//! What the rule needs to know of an office's stream.

use crate::fact::Fact;
use crate::office::facts::OfficeFact;
use crate::state::State;

/// Whether an office is enrolled, and which keys of its log it was given there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfficeState {
    /// Whether it joined.
    pub enrolled: bool,
    /// Epoch and log key of every enrolment and rekeying, in their order.
    pub keys: Vec<(u32, [u8; 32])>,
}

impl State for OfficeState {
    fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Office(OfficeFact::Enrolled(fact)) => {
                self.enrolled = true;
                self.keys.push((1, fact.log_key));
            }
            Fact::Office(OfficeFact::Rekeyed(fact)) => self.keys.push((fact.epoch, fact.log_key)),
            _ => {}
        }
    }
}
