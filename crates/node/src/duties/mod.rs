//! What a node does by itself. Each duty is woken by time or by growth, takes no input, and may
//! be run again at any moment without harm.

pub mod deliver;
pub mod keep;
pub mod scrub;
