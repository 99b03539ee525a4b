//! Integrity: what logs say about logs. Heads that the centre accepted, epochs that ended, keys
//! that were changed. No person asks for these facts; a node records them by itself.

mod facts;

pub use facts::{
    AcceptedHead, HeadsAccepted, IntegrityFact, KeyRotated, LogClosed, LogRecovered, LogSucceeds,
    REKEYED, SUCCEEDED, StoredBytes,
};
