//! Office: codes of offices and their enrolment.

mod code;
mod facts;
mod request;
mod rule;
mod state;

pub use code::{OfficeCode, OfficeCodeError};
pub use facts::{OfficeEnrolled, OfficeFact};
pub use request::{EnrolOffice, OfficeRequest};
pub(crate) use rule::decide;
pub use state::OfficeState;
