//! Directive: Issued. Dispatch: Issued -> Returned* -> Accepted.

use jiff::civil::Date;

use crate::directive::facts::DispatchFact;
use crate::fact::Fact;
use crate::state::State;

/// What the rule needs to know of a directive's own stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectiveState {
    /// Whether it was issued.
    pub issued: bool,
}

impl State for DirectiveState {
    fn apply(&mut self, fact: &Fact) {
        if let Fact::Directive(_) = fact {
            self.issued = true;
        }
    }
}

/// What the rule needs to know of one addressee's dispatch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DispatchState {
    /// The day it is due, the latest one set; `None` while there is no dispatch.
    pub due: Option<Date>,
    /// The last report that was returned, by its version in `task/D`.
    pub returned: Option<u32>,
    /// The report that was accepted, by its version in `task/D`.
    pub accepted: Option<u32>,
}

impl State for DispatchState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Dispatch(fact) = fact else { return };
        match fact {
            DispatchFact::Issued(fact) => self.due = Some(fact.due),
            DispatchFact::Accepted(fact) => self.accepted = Some(fact.report),
            DispatchFact::Returned(fact) => {
                self.returned = Some(fact.report);
                self.due = Some(fact.new_due);
            }
        }
    }
}
