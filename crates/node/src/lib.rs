//! Joins journal, vault, evidence, replication, rules and tables into a running office.
//!
//! # Scope
//! Options, start and stop; the one writer; from command to facts (`decide`, `seal`); links to
//! other offices; the fold into tables; duties; the gRPC services.
//!
//! # Not in scope
//! What a rule says (`domain`), what bytes mean (`evidence`, `wire`), how they are stored
//! (`journal`, `vault`, `projection`), pages (`ui` and the services).
//!
//! # Invariant
//! Only this crate starts tasks (`supervisor`) and reads the clock (`clock`).
//!
//! # Modules
//! In the order in which a command passes them: [`grpc`], [`decide`], [`seal`], [`writer`],
//! [`link`], [`project`], [`duties`]; around them [`run`], [`start`], [`office`], [`options`],
//! [`ground`], [`stores`], [`attachments`], [`records`], [`tables`], [`country`], [`numbers`],
//! [`heads`], [`keys`], [`epochs`], [`facts`], [`trace`], [`told`], [`changes`], [`clock`],
//! [`supervisor`], [`upkeep`], [`metrics_port`]; about evidence [`policy`], [`notes`], [`relay`],
//! [`marks`], [`alarms`]; about keys that others keep [`escrow`]; what can be wrong with links, in
//! words, [`situations`].

pub mod alarms;
pub mod attachments;
pub mod changes;
pub mod clock;
pub mod country;
pub mod decide;
pub mod duties;
pub mod epochs;
pub mod escrow;
pub mod facts;
pub mod ground;
pub mod grpc;
pub mod heads;
pub mod keys;
pub mod link;
pub mod marks;
pub mod metrics_port;
pub mod notes;
pub mod numbers;
pub mod office;
pub mod options;
pub mod policy;
pub mod previews;
pub mod project;
pub mod records;
pub mod recover;
pub mod relay;
pub mod reseed;
pub mod run;
pub mod seal;
pub mod situations;
pub mod start;
pub mod stores;
pub mod supervisor;
pub mod tables;
#[cfg(test)]
mod testing;
pub mod told;
pub mod trace;
pub mod upkeep;
pub mod writer;

pub use office::{Office, SharedOffice};
pub use options::Options;
