//! Requests to open sealed parts.

use crate::check;
use crate::classifier::{Classifiers, list};
use crate::code::Code;
use crate::ids::EventId;
use crate::limits;
use crate::macros::requests;
use crate::refusal::Refusal;

/// Open sealed parts for a stated purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRecords {
    /// The records; 1 or more, each once.
    pub events: Vec<EventId>,
    /// Classifier `opening_purpose`.
    pub purpose: Code,
}

requests! {
    /// Requests about an access stream.
    AccessRequest in Access {
        /// Open sealed parts.
        Open(OpenRecords), "open_records";
    }
}

impl AccessRequest {
    /// Checks the list and the purpose.
    pub(crate) fn validate(&self, lists: &Classifiers) -> Result<(), Refusal> {
        let Self::Open(request) = self;
        check::distinct("events", &request.events, 1, limits::OPENED_RECORDS)?;
        lists.check("purpose", list::OPENING_PURPOSE, &request.purpose)
    }
}
