//! Tools that end-to-end tests and the demonstration share.
//!
//! # Scope
//! Real node processes ([`process`]), an installation of keys and configuration files
//! ([`installation`]), a whole country of both ([`country`]), links that can be cut and delayed
//! ([`proxy`]), network namespaces with slow and lossy links ([`namespace`]) and where nodes run
//! ([`site`]), a receiver of traces ([`collector`]), the generator's steps entered at real nodes
//! ([`feed`]), an office that does on purpose what a right program cannot ([`peer`]).
//!
//! # Not in scope
//! Anything that a running office needs: no crate of the product depends on this one.

pub mod collector;
pub mod country;
pub mod feed;
pub mod installation;
pub mod namespace;
pub mod peer;
pub mod process;
pub mod proxy;
pub mod site;

pub use country::Country;
pub use installation::{Installation, Settings};
