//! Code generated from `proto/` at build time.
//!
//! Messages that may hold personal data, free text or whole records print their name and encoded
//! length in `Debug`, never a field.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
#![allow(clippy::unwrap_used, clippy::expect_used, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/adal.rs"));
include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

/// The descriptor set of every package with comments, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
