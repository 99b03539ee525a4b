//! Every limit of the journal in one place, with its reason.

/// Bytes in front of a frame's body.
pub(crate) const FRAME_HEADER: usize = 24;

/// Frames start at multiples of this, so a search for frames behind damage has few places to try.
pub(crate) const ALIGN: usize = 8;

/// Largest body of a frame: far above a record (256 KiB) and a footer (62 bytes a log and epoch).
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;

/// Largest group in bytes. Offsets in a segment are kept in 32 bits: the largest segment
/// (1 GiB) and the largest group together stay far below 4 GiB.
pub(crate) const MAX_GROUP: usize = 64 * 1024 * 1024;

/// Smallest and largest segment that [`crate::Options`] accepts, in bytes.
pub(crate) const SEGMENT_RANGE: std::ops::RangeInclusive<u64> = 4096..=1024 * 1024 * 1024;

/// Zeros are written ahead of the end in steps of this, so most commits overwrite written blocks
/// and their `fdatasync` has no metadata to write (measured 1.4 times cheaper).
pub(crate) const FILL_AHEAD: u64 = 1024 * 1024;

/// Groups from this size on are not preceded by zeros: writing twice would cost more than the
/// metadata that it saves.
pub(crate) const FILL_BELOW: usize = 256 * 1024;

/// Largest value in the index: sled 0.34.7 never syncs what it moves to its `blobs` folder, and
/// pages of larger values go there.
pub(crate) const MAX_VALUE: usize = 4096;

/// Most appends of one transaction with a command, so that its answer fits into one index value.
pub(crate) const MAX_COMMAND_PARTS: usize = 64;

/// Longest key of a control fact in bytes.
pub(crate) const MAX_CONTROL_KEY: usize = 512;

/// Longest value of a control fact in bytes.
pub(crate) const MAX_CONTROL_VALUE: usize = 256 * 1024;

/// Size of the deletable reserve file in bytes: what sled and recovery may need to start again on
/// a full disk.
pub(crate) const RESERVE: u64 = 8 * 1024 * 1024;

/// How much is read at once when a segment is scanned, in bytes.
pub(crate) const READ_AHEAD: usize = 1024 * 1024;

/// Index keys that are applied together when the index is rebuilt.
pub(crate) const REBUILD_BATCH: usize = 4096;

/// How long sled may take to open before its folder is set aside, in seconds. Opening a million
/// events takes well below one.
pub(crate) const INDEX_OPEN_SECONDS: u64 = 120;

/// Most segment files that are kept open for reading.
pub(crate) const OPEN_FILES: usize = 64;

/// Heads of streams that the writer remembers: about 3 MB.
pub(crate) const MAX_HEADS: usize = 65_536;
