//! Fuzz targets for every parser and verifier of `evidence`, for the frames of the link between two
//! offices, and for what a session of `replication` makes of them.
//!
//! Scope: a function for each target that panics if its invariant breaks, seeds to start from, and
//! seeded mutations of them. `make test` runs a bounded number of mutations through every target;
//! `guided/`, a package outside of the workspace, gives the same functions to libFuzzer
//! (`make fuzz`).
//!
//! Invariants. A parser panics on no input, and what it accepts is written the same again. A
//! verifier accepts nothing that an honest party did not sign: whatever the input, an accepted
//! head, cosignature, receipt, request, statement or folder says what the honest one says. A
//! session stores and co-signs nothing else either, whatever its peer says and in whatever order.
//!
//! Not in scope: transport and storage, and what facts mean.
//!
//! * [`parsers`], [`verifiers`], [`frames`], [`bodies`], [`link`]: the targets.
//! * [`world`]: keys, a log and an honest bundle; always the same.
//! * [`mutate`]: seeded mutations.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

pub mod bodies;
pub mod frames;
pub mod link;
pub mod mutate;
pub mod parsers;
pub mod verifiers;
pub mod world;

/// One function to be fuzzed.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Panics if the input breaks the invariant.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Mutations that a run of `make test` affords.
    pub bounded: u64,
}

/// All targets.
pub const TARGETS: [&[Target]; 5] =
    [parsers::TARGETS, verifiers::TARGETS, frames::TARGETS, bodies::TARGETS, link::TARGETS];

/// The target with this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.concat().into_iter().find(|target| target.name == name)
}
