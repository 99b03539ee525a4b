//! What the rule needs to know of a classifier's stream.

use crate::classifier::facts::ClassifierFact;
use crate::fact::Fact;
use crate::state::State;

/// The versions of one classifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassifierState {
    /// The last published version; 0 when only the built-in one (or none) exists.
    pub version: u32,
}

impl State for ClassifierState {
    fn apply(&mut self, fact: &Fact) {
        if let Fact::Classifier(ClassifierFact::Published(fact)) = fact {
            self.version = self.version.max(fact.version);
        }
    }
}
