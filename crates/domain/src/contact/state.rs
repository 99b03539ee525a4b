//! Open -> Closed.

use std::collections::BTreeSet;

use crate::contact::facts::ContactFact;
use crate::fact::Fact;
use crate::ids::AppealId;
use crate::state::State;

/// Where a contact stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContactPhase {
    /// No fact yet.
    #[default]
    Absent,
    /// In progress.
    Open,
    /// Over.
    Closed,
}

/// What the rule needs to know of a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactState {
    /// Where it stands.
    pub phase: ContactPhase,
    /// Whether a consultation was given.
    pub consulted: bool,
    /// Appeals that came of it.
    pub appeals: BTreeSet<AppealId>,
    /// Files that were added, by their hashes.
    pub files: BTreeSet<[u8; 32]>,
}

impl State for ContactState {
    fn apply(&mut self, fact: &Fact) {
        let Fact::Contact(fact) = fact else { return };
        match fact {
            ContactFact::Opened(_) => self.phase = ContactPhase::Open,
            ContactFact::Consulted(_) => self.consulted = true,
            ContactFact::Linked(fact) => {
                self.appeals.insert(fact.appeal);
            }
            ContactFact::FileAttached(fact) => {
                self.files.insert(fact.file);
            }
            ContactFact::Closed(_) => self.phase = ContactPhase::Closed,
        }
    }
}
