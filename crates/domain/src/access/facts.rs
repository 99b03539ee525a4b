//! Facts of access to sealed parts.

use crate::code::Code;
use crate::ids::EventId;
use crate::macros::facts;

/// Sealed parts were opened: one fact per page view. The actor is in the record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsOpened {
    /// The records whose sealed parts were shown.
    pub events: Vec<EventId>,
    /// Classifier `opening_purpose`.
    pub purpose: Code,
}

facts! {
    /// Facts of an access stream.
    AccessFact in Access, Access {
        /// Sealed parts were opened.
        RecordsOpened(RecordsOpened) = 1, "access.records_opened";
    }
}
