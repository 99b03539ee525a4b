//! Facts of a classifier: a list that a law, an order or the department may change (log
//! `kz/all`).

use serde::Deserialize;

use crate::code::Code;
use crate::macros::facts;

/// One code with its labels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// Label in Kazakh.
    pub kk: String,
    /// Label in Russian.
    pub ru: String,
    /// Label in English.
    pub en: String,
}

/// A new version of a classifier. It holds the whole list; codes it leaves out are retired:
/// refused in new requests, still known where they were used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifierPublished {
    /// The classifier, for example `channel`.
    pub id: Code,
    /// Its version; the built-in one is 1.
    pub version: u32,
    /// The list.
    pub entries: Vec<Entry>,
}

facts! {
    /// Facts of a classifier stream.
    ClassifierFact in Classifier, Classifier {
        /// A new version was published.
        Published(ClassifierPublished) = 1, "classifier.published";
    }
}
