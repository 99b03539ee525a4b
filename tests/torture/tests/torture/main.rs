//! Kills, power cuts and damage against the journal on real files, with real sled.
//!
//! The system under test runs in processes of its own (this binary, executed again, or a real
//! coordinator); what it acknowledges goes through a pipe or a socket to an auditor that shares
//! nothing with it.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be done is a failure")]

mod auditor;
mod centre;
mod chance;
mod child;
mod cuts;
mod damage;
mod forger;
mod fuse;
mod history;
mod image;
mod kills;
mod process;
mod subject;
