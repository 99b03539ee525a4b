//! Opening of sealed parts: who looked at what, and why. Every opening is a fact before it
//! happens.

mod facts;
mod request;
mod rule;

pub use facts::{AccessFact, RecordsOpened};
pub use request::{AccessRequest, OpenRecords};
pub(crate) use rule::decide;
