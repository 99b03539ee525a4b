//! Domain facts to tables (SQLite) and typed queries over them.
//!
//! **In scope**: folding the facts of many logs into the registers of one office (at the centre:
//! of the whole country), how far each log was folded, registers by pages, counts, overdue work,
//! digests of all rows.
//!
//! **Not in scope**: decoding records (`node` hands in domain facts), personal data and free text
//! (sealed; no table has a column for them), clocks (today is a parameter), replication.
//!
//! Invariants:
//! - Views are disposable: everything in them but the link rows follows from the logs.
//! - Views are confluent: any interleaving that keeps each log's order gives equal rows.
//! - A batch and the positions it leads to are one transaction.
//! - A file whose bytes are not those that were closed is never read: it is folded anew.
//! - Only [`store`] writes SQL.
//!
//! Modules:
//! - [`envelope`]: what is handed in.
//! - [`query`]: what can be asked. [`rows`]: what answers.
//! - [`store`]: the file, [`Views`].
//! - [`error`]: what can go wrong.

mod calendar;
pub mod envelope;
pub mod error;
pub mod query;
pub mod rows;
pub mod store;

pub use envelope::{Envelope, LogPosition};
pub use error::Error;
pub use query::{Column, Filter, Listing, Page, Table, Totals};
pub use rows::Summary;
pub use store::{Fingerprint, Opened, Views};

/// The result of working with views.
pub type Result<T> = std::result::Result<T, Error>;
