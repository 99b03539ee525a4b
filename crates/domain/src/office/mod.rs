//! Office: codes of offices, their enrolment and their keys.

mod code;
mod facts;
mod request;
mod rule;
mod state;

pub use code::{OfficeCode, OfficeCodeError};
pub use facts::{OfficeEnrolled, OfficeFact, OfficeRekeyed};
pub use request::{EnrolOffice, OfficeRequest, RekeyOffice};
pub(crate) use rule::decide;
pub use state::OfficeState;
