//! Pages of Adal, as pure functions from a view to HTML text.
//!
//! **In scope**: the frame, tables and texts (Kazakh, Russian, English) of the pages that an office
//! serves. So far one page: the state of the whole country, for the national department.
//!
//! **Not in scope**: HTTP, sessions, reading tables or clocks (whatever a page shows comes in with
//! its view), and the content of any case: a page of this crate counts work, it never quotes it.
//!
//! Modules:
//! - [`national`]: the national page: offices, overdue work, totals.
//! - [`texts`]: languages and the one table of strings.
//! - [`amounts`]: numbers, spans of time and moments as a person reads them.

pub mod amounts;
pub mod national;
pub mod texts;

pub use national::{
    CONTENT_SECURITY_POLICY, Cosignatures, LinkState, NationalView, OfficeLine, Overdue, PageError,
    Work, WorkLine, national_page,
};
pub use texts::{Lang, Text};
