//! Classifier: versioned lists of codes with labels in three languages.

mod facts;
pub mod list;
mod lists;
mod request;
mod rule;
mod state;

pub use facts::{ClassifierFact, ClassifierPublished, Entry};
pub use lists::{BuiltInError, Classifiers, Language};
pub use request::{ClassifierRequest, PublishClassifier};
pub(crate) use rule::decide;
pub use state::ClassifierState;
