//! Requests of the centre about classifiers.

use crate::check;
use crate::classifier::facts::Entry;
use crate::code::Code;
use crate::limits;
use crate::macros::requests;
use crate::refusal::{Refusal, RefusalCode};

/// Publish a new version of a classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishClassifier {
    /// The classifier.
    pub id: Code,
    /// The version; one more than the present one.
    pub version: u32,
    /// The whole list; 1 or more entries, each code once.
    pub entries: Vec<Entry>,
}

requests! {
    /// Requests about a classifier stream.
    ClassifierRequest in Classifier {
        /// Publish a version.
        Publish(PublishClassifier), "publish_classifier";
    }
}

impl ClassifierRequest {
    /// Checks form and limits.
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        let Self::Publish(request) = self;
        let codes: Vec<_> = request.entries.iter().map(|entry| &entry.code).collect();
        check::distinct("entries", &codes, 1, limits::CLASSIFIER_ENTRIES)?;
        let mut bytes = 0;
        for (at, entry) in request.entries.iter().enumerate() {
            for (name, label) in [("kk", &entry.kk), ("ru", &entry.ru), ("en", &entry.en)] {
                check::label(format!("entries[{at}].{name}"), label, limits::LABEL_CHARS)?;
                bytes += label.len();
            }
            bytes += entry.code.as_str().len();
        }
        if bytes > limits::CLASSIFIER_BYTES {
            let message = "codes and labels together are too long; split the list or shorten them";
            return Err(Refusal::field(RefusalCode::TooLong, "entries", message));
        }
        Ok(())
    }
}
