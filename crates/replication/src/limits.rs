//! Every number the protocol depends on, in one place, checked once.

use thiserror::Error;

/// Reads of records that one session may have in flight at the driver, over all its logs.
///
/// Two: while one batch is on its way to the wire the next is being read. More would only let a
/// busy log get ahead of a quiet one.
pub const READS_IN_FLIGHT: usize = 2;

/// Batches of one log that may be sent and not yet answered, whatever their size.
pub const BATCHES_IN_FLIGHT: usize = 64;

/// Batches that do not fit (a gap) which a follower drops after it has named its true position
/// and before it refuses the log. An honest origin has at most [`BATCHES_IN_FLIGHT`] on the way.
pub const GAPS_TOLERATED: u32 = 128;

/// Bytes of batches one log may have waiting for the disk before the link is given up: the peer
/// ignores its window. Largest permitted window and one largest record, with room to spare for what
/// a batch takes beside the bytes of its records.
pub const INBOUND_BYTES: usize = 24 * 1024 * 1024;

/// Epochs of one log that are taken up from a peer's hello. Each is opened by a person after a
/// disaster, and costs its mirror a frame in every commit file for ever.
pub const EPOCHS: usize = 64;

/// Holdings one hello may list.
pub const HOLDINGS: usize = 1024;

/// Keys of which wraps are asked for at once.
pub const KEYS_AT_ONCE: usize = 256;

/// Bytes of the wrap of a key.
pub const WRAP_BYTES: usize = 1024;

/// Bytes kept of a text that the peer wrote.
pub const PEER_TEXT: usize = 512;

/// Smallest batch asked for, in bytes: a slow link still moves.
pub const BATCH_FLOOR: usize = 4 * 1024;

const SECOND: u64 = 1_000_000;

/// Largest piece of an attachment, in bytes.
pub const PIECE: u32 = 64 * 1024;

/// Smallest piece of an attachment asked for, in bytes, and the first: on a link of 10 kbit/s it
/// takes less than a second.
pub const PIECE_FLOOR: u32 = 1024;

/// Pieces that are asked for and not yet stored.
pub const PIECES_IN_FLIGHT: usize = 2;

/// Pieces that a peer may ask for before the first of them is answered.
pub const PIECES_SERVED: usize = 4 * PIECES_IN_FLIGHT;

/// Attachments that wait on one link; the driver tells the others later.
pub const ATTACHMENTS_WAITING: usize = 1024;

/// Attachments that did not come on one link and are asked for again later; while there are so
/// many, no new ones are taken up.
pub const ATTACHMENTS_LATER: usize = 65_536;

/// Wait, in microseconds, before an attachment is asked for again which the peer did not have or
/// of which it sent other bytes.
pub const ATTACHMENT_RETRY: u64 = 300 * SECOND;

/// Wait, in microseconds, before an attachment is gone on with that could not be stored.
pub const ATTACHMENT_PAUSE: u64 = 10 * SECOND;

/// Time in microseconds that records must have waited before urgent ones among them are looked for:
/// on a good link everything is sent before.
pub const PREVIEW_AFTER: u64 = 2 * SECOND;

/// Records that are looked through at once.
pub const LOOK_RECORDS: u64 = 512;

/// Wait, in microseconds, between two such looks.
pub const LOOK_EVERY: u64 = 20_000;

/// Urgent records that were found and not yet shown; of more the oldest are left to their turn.
pub const PREVIEWS_WAITING: usize = 256;

/// Largest record that is shown ahead of the others, in bytes.
pub const PREVIEW_BYTES: usize = 64 * 1024;

/// One part in so many of a link goes to previews.
pub const PREVIEW_SHARE: u64 = 4;

/// Adjustable limits of a session. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time between two signed heads of a log that is growing; shorter where they are
    /// answered sooner.
    pub head_interval: u64,
    /// Longest time between two heads of a log that is not: the heartbeat by which the other
    /// side knows that it misses nothing.
    pub heartbeat: u64,
    /// Bytes of records of one log sent and not yet durable at the follower.
    pub window_bytes: usize,
    /// Largest batch asked of the driver, in bytes (one record may exceed it).
    pub batch_bytes: usize,
    /// Silence after which a ping is sent; again after each further interval.
    pub ping_interval: u64,
    /// Unanswered pings after which the link is dead: a minute, since on a slow line whatever was
    /// sent before waits in front of an answer. That it is silent is said much earlier, and whoever
    /// dials looks for another way much earlier.
    pub missed_pings: u32,
    /// Time the peer has for its hello.
    pub hello_timeout: u64,
    /// Time without any progress on something sent after which the link is given up, although
    /// the peer answers pings.
    pub stall_timeout: u64,
    /// Wait before a log that the follower could not store (a full disk, an index that is being
    /// built) is tried again.
    pub store_retry: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_interval: SECOND,
            heartbeat: 5 * SECOND,
            window_bytes: 1024 * 1024,
            batch_bytes: 256 * 1024,
            ping_interval: 5 * SECOND,
            missed_pings: 12,
            hello_timeout: 60 * SECOND,
            stall_timeout: 120 * SECOND,
            store_retry: 10 * SECOND,
        }
    }
}

/// A limit outside its bounds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{name} is {value}, allowed is {min} to {max}")]
pub struct LimitError {
    /// Name of the field.
    pub name: &'static str,
    /// Value found.
    pub value: u64,
    /// Smallest allowed value.
    pub min: u64,
    /// Largest allowed value.
    pub max: u64,
}

impl Limits {
    /// Checks every bound.
    ///
    /// # Errors
    /// The first field that is outside its bounds.
    pub fn validate(&self) -> Result<(), LimitError> {
        let window = self.window_bytes as u64;
        let checks = [
            ("head_interval", self.head_interval, 1_000, 3_600 * SECOND),
            ("heartbeat", self.heartbeat, self.head_interval, 3_600 * SECOND),
            ("window_bytes", window, 2 * BATCH_FLOOR as u64, 16 * 1024 * 1024),
            ("batch_bytes", self.batch_bytes as u64, BATCH_FLOOR as u64, 2 * 1024 * 1024),
            ("batch_bytes", self.batch_bytes as u64, BATCH_FLOOR as u64, window),
            ("ping_interval", self.ping_interval, 10_000, 600 * SECOND),
            ("missed_pings", u64::from(self.missed_pings), 1, 100),
            ("hello_timeout", self.hello_timeout, 10_000, 600 * SECOND),
            ("stall_timeout", self.stall_timeout, self.heartbeat, 36_000 * SECOND),
            ("store_retry", self.store_retry, 10_000, 3_600 * SECOND),
        ];
        for (name, value, min, max) in checks {
            if value < min || value > max {
                return Err(LimitError { name, value, min, max });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Limits::default().validate(), Ok(()));
    }

    #[test]
    fn a_batch_larger_than_the_window_is_named() {
        let limits = Limits { window_bytes: 8192, batch_bytes: 9000, ..Limits::default() };
        let error = limits.validate().unwrap_err();
        assert_eq!(error.to_string(), "batch_bytes is 9000, allowed is 4096 to 8192");
    }

    #[test]
    fn a_heartbeat_shorter_than_the_head_interval_is_refused() {
        let limits = Limits { heartbeat: 10, ..Limits::default() };
        assert_eq!(limits.validate().unwrap_err().name, "heartbeat");
    }
}
