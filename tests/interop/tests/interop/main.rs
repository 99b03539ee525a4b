//! Evidence bundles before checkers that share no code with `evidence`: `go/check.go` on Go's
//! `sumdb/note` and `sumdb/tlog`, `python/check.py` written from RFC 9162 and the C2SP texts, and
//! `ct-merkle` for the trees. Honest bundles must pass all of them; of each kind of tampering it
//! is said which file betrays it, and every checker must refuse that file.

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be done is a failure")]

mod bundle;
mod forge;
mod judge;
mod keys;
mod matrix;
mod merkle;
mod quick;
mod real;
mod tampering;
