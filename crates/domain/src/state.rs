//! States: what the rules need to know of a stream, folded from its facts.

use crate::fact::Fact;

/// A state begins as its default and takes every fact of its stream in order. A fact of another
/// kind, or of newer software, changes nothing.
pub trait State: Default {
    /// Takes the next fact.
    fn apply(&mut self, fact: &Fact);
}

/// Folds a history from its first fact.
pub fn fold<S: State>(history: &[Fact]) -> S {
    let mut state = S::default();
    history.iter().for_each(|fact| state.apply(fact));
    state
}
