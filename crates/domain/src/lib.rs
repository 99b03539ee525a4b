//! What happens in an office of the internal-security departments: identifiers, limits, and one
//! folder per slice of work with its facts, requests, state and rule.
//!
//! Scope: the vocabulary, the lists (classifiers), who may do what, and the pure decision from
//! (history, request, context) to new facts or a refusal.
//!
//! Not here: clocks (time is given), storage, sealing, protobuf, tables. `node` gives history and
//! context and stores the outcome; `wire` encodes; `projection` folds.
//!
//! Invariant: no clock, no storage, no protobuf, no randomness; the same input gives the same
//! facts on every machine.
//!
//! Modules: [`ids`], [`code`], [`text`], [`time`], [`number`], [`limits`] are the words;
//! [`contact`], [`appeal`], [`reception`], [`measure`], [`image`], [`directive`], [`task`],
//! [`office`], [`classifier`], [`access`], [`integrity`] the slices; [`fact`], [`request`],
//! [`state`] their sums; [`permission`] who may do what; [`decide()`] the decision and [`refusal`]
//! its refusals.

pub mod access;
pub mod appeal;
mod check;
pub mod classifier;
pub mod code;
pub mod contact;
pub mod decide;
pub mod directive;
pub mod fact;
pub mod ids;
pub mod image;
pub mod integrity;
pub mod limits;
mod macros;
pub mod measure;
pub mod number;
pub mod office;
pub mod permission;
#[cfg(test)]
mod random;
pub mod reception;
pub mod refusal;
pub mod request;
pub mod state;
pub mod task;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;

pub use classifier::Classifiers;
pub use code::{Code, Post};
pub use decide::{Context, Decision, LogTarget, StreamTarget, decide};
pub use fact::{Fact, StreamKind};
pub use number::RegistrationNumber;
pub use office::OfficeCode;
pub use permission::{Actor, Role};
pub use refusal::{Refusal, RefusalCode};
pub use request::Request;
pub use state::{State, fold};
pub use text::Text;
pub use time::{Timestamp, Zone};
