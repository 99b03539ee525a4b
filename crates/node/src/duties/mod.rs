//! What a node does by itself. Each duty is woken by time or by growth, takes no input, and may
//! be run again at any moment without harm.

pub mod accepted;
pub mod close;
pub mod deliver;
pub mod escrow;
mod growth;
pub mod keep;
pub mod links;
pub mod notes;
pub mod relay;
pub mod scrub;
pub mod view;
pub mod watch;
