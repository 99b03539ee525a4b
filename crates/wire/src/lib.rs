//! The only crate that names protobuf: generated messages and services of `proto/`, and the
//! conversions between them and the types of `domain`, `evidence` and `replication`.
//!
//! Scope: bodies of records, commands, replication frames, failures as gRPC statuses, bodies as
//! JSON text, records as the operator service shows them.
//!
//! Not here: whether a request is allowed (`domain`), sealing (`vault`, called by `node`), what
//! is sent in which order (`replication`), the services themselves (`node`).
//!
//! Invariant: only `wire` names protobuf; no error and no `Debug` of this crate shows a value of a
//! body, a command or a record.
//!
//! Modules: [`fact`] bodies of records; [`command`] commands; [`frame`] the link; [`status`]
//! failures; [`json`] bodies as text; [`summary`] records for the operator; [`field`] faults of
//! fields; [`time`] instants; [`client`] dialling a node; [`pb`] the generated code.

mod bodies;
pub mod client;
pub mod command;
mod descriptors;
pub mod fact;
pub mod field;
pub mod frame;
mod generated;
pub mod json;
mod requests;
pub mod status;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod time;

/// Generated messages, clients and servers, by area and version: `pb::command::v1`, ...
pub mod pb {
    pub use crate::generated::adal::*;

    /// An instant in messages.
    pub type Instant = prost_types::Timestamp;
}

pub use command::{CommandMeta, canonical_bytes, command_len, decode_command, encode_command};
pub use descriptors::DESCRIPTORS;
pub use fact::{DecodeError, Encoded, SCHEMA_VERSION, decode_fact, encode_fact};
pub use field::{Invalid, Violation};
pub use frame::{FrameError, decode_frame, encode_frame};
pub use json::{fact_json, open_json, personal_json};
pub use status::Fault;
pub use summary::record_summary;
pub use time::{instant, timestamp};
