//! What is committed and what is answered.

use std::fmt;

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::record::{Draft, StreamRef};
use evidence::verify::VerifiedBatch;

/// One unit that is stored whole or refused whole. A group of them shares one `fdatasync`.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Makes the transaction idempotent: the same command again appends nothing and gives the old
    /// answer. With a command at most 64 appends are allowed.
    pub command: Option<CommandClaim>,
    /// Records for own logs.
    pub appends: Vec<Append>,
    /// Verified records for a mirror.
    pub mirror: Option<VerifiedBatch>,
    /// Verified records of an own log that are taken back from a mirror: they continue one of its
    /// epochs, open or closed.
    pub returned: Option<VerifiedBatch>,
    /// Control facts, durable with the rest.
    pub controls: Vec<Control>,
    /// Commands of records that were taken back, so that they are not carried out twice. None of
    /// them may be known already.
    pub known: Vec<KnownCommand>,
}

/// Stands for the request of a command of which only the records are known: every repetition gets
/// the old answer, whatever it asks.
pub const UNKNOWN_REQUEST: Hash = [0xff; 32];

/// A command as its records show it, which lie one behind the other in an own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCommand {
    /// Who sent it, and which.
    pub key: CommandKey,
    /// The own log.
    pub log: LogName,
    /// Its epoch.
    pub epoch: u32,
    /// The first record.
    pub first_seq: u64,
    /// How many there are.
    pub count: u32,
    /// When the last of them was recorded, microseconds since 1970 UTC.
    pub recorded_at: i64,
    /// The streams and the versions that they had then.
    pub versions: Vec<(StreamRef, u32)>,
}

/// Records of one stream for one own log.
#[derive(Debug)]
pub struct Append {
    /// The own log; its open epoch is written.
    pub log: LogName,
    /// The version that the stream must have before.
    pub expected: ExpectedVersion,
    /// The stream. It must not live in another own log; what a mirror holds under the same name
    /// does not count.
    pub stream: StreamRef,
    /// The drafts, all of that stream. The journal sets `log`, `epoch`, `seq`, `stream_version` and
    /// `recorded_at` of their headers.
    pub drafts: Vec<Draft>,
}

/// Which version a stream must have before an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Whatever it is.
    Any,
    /// Exactly this one; 0 is a stream without records.
    Exact(u32),
}

/// Who sent which command, and what it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandClaim {
    /// Who and which.
    pub key: CommandKey,
    /// Hash of the request, so that the same id with another request is refused.
    pub request_hash: Hash,
}

/// A command id in the name space of its principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey {
    /// Pseudonym of who sent it.
    pub principal: [u8; 16],
    /// The id that he chose.
    pub command_id: [u8; 16],
}

/// A small fact that must not be lost but is not a record: held heads, cosignatures, cursors.
///
/// The last value of a key wins; all live ones are kept in memory and repeated at the start of
/// every segment. An empty value is a value. `Debug` shows the key's and the value's length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    /// The key, at most 512 bytes.
    pub key: Vec<u8>,
    /// The value, at most 256 KiB.
    pub value: Vec<u8>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("key_len", &self.key.len())
            .field("value_len", &self.value.len())
            .finish()
    }
}

/// The answer to a stored transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where the appended records are, in the order of the drafts. Records of a mirror batch are
    /// not listed.
    pub positions: Vec<Position>,
    /// The streams and the versions that they have now, one entry an append.
    pub versions: Vec<(StreamRef, u32)>,
    /// `recorded_at` of the last appended record, or the clock of the commit if there is none;
    /// microseconds since 1970 UTC.
    pub recorded_at: i64,
    /// The command was already done with the same request: nothing was appended, everything above
    /// is the old answer.
    pub replayed: bool,
}
