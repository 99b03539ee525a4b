//! Tests of whole installations: real processes, real sockets, real files. They live in `tests/`.
//!
//! # Scope
//! What people and operators rely on, through the binaries `adal-region`, `adal-coordinator` and
//! `adal`: records travel, kills and cuts lose nothing, damage is never served, sealed parts stay
//! sealed, bad input is refused with words that say what to do. `cargo build --bins` first.
//!
//! # Not in scope
//! Rules, formats and protocols one by one: their crates test them. Time: a test waits for a
//! state, with a deadline, and never measures.
//!
//! # Modules
//! One file of `tests/end_to_end/` per subject; `support/` is what they share. The long ones are
//! ignored and run by `make verify`.
