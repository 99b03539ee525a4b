//! The gRPC services: all of them live here, so both kinds of office serve the same ones.
//!
//! - [`listener`]: mutual TLS; knows who called before a handler runs.
//! - [`access`]: whether the question is for the caller.
//! - [`command`], [`query`], [`operator`], [`evidence`], [`replication`]: the services.
//! - [`errors`]: every failure as a status. `health`: which service serves.
//! - `attachments`: files of a case, in and out.
//! - `rows`, `pages`, [`sync`], `explain`, `check`, `stat`, `backup`: what is shown and sent, as
//!   messages.

pub mod access;
mod attachments;
mod backup;
mod check;
pub mod command;
pub mod errors;
pub mod evidence;
mod explain;
mod health;
pub mod listener;
pub mod operator;
mod pages;
mod previews;
pub mod query;
pub mod replication;
mod rows;
pub mod server;
pub mod stat;
pub mod sync;

use ::evidence::record::Record;
use domain::Timestamp;
use wire::pb::common::v1::Position;

/// Microseconds since 1970 as the protobuf instant.
fn instant(micros: i64) -> wire::pb::Instant {
    wire::timestamp(Timestamp::from_micros(micros))
}

/// The position of a record as a message.
fn position(record: &Record) -> Position {
    let header = record.header();
    Position { log: header.log.to_string(), epoch: header.epoch, sequence: header.seq }
}
