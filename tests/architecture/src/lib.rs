//! The rules of the workspace as checks that anyone can run: `cargo test -p architecture-tests`.
//!
//! In scope: what can be read from manifests, the lock file, `deny.toml`, `ARCHITECTURE.md` and
//! the text of the sources. Every check is a function from text to [`report::Finding`]s, so that
//! each is tested on small fixtures that break it; `tests/architecture.rs` runs all of them on
//! the repository itself.
//!
//! Not in scope: what the compiler and clippy already refuse (unsafe code, unwraps, missing
//! docs), and vulnerabilities, which `make audit` asks cargo-deny about.
//!
//! - [`report`]: a finding says the rule, the place, and what to do
//! - [`tree`]: which files belong to the repository
//! - [`source`]: Rust text split into code, comments and literals
//! - [`size`]: lengths of files, functions and lines
//! - [`exceptions`]: the list of what may still be larger, which only shrinks
//! - [`mention`]: names that only some folders may use
//! - [`silence`]: lints that may not be switched off
//! - [`edges`]: which crate may depend on which
//! - [`manifest`]: what every `Cargo.toml` has in common
//! - [`packages`]: banned and doubled packages of the lock file
//! - [`licence`]: SPDX expressions against the list of allowed licences
//! - [`documents`]: scope docs, invariants, paths that betray a machine
//! - [`units`]: hardening of the systemd units

pub mod documents;
pub mod edges;
pub mod exceptions;
pub mod licence;
pub mod manifest;
pub mod mention;
pub mod packages;
pub mod report;
pub mod silence;
pub mod size;
pub mod source;
pub mod tree;
pub mod units;
