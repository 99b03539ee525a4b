//! Every limit of the journal in one place, with its reason.

use std::time::Duration;

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

/// Most appends of one transaction with a command: its answer, kept for ever, stays below 3 KB.
pub(crate) const MAX_COMMAND_PARTS: usize = 64;

/// Longest key of a control fact in bytes.
pub(crate) const MAX_CONTROL_KEY: usize = 512;

/// Longest value of a control fact in bytes.
pub(crate) const MAX_CONTROL_VALUE: usize = 256 * 1024;

/// Largest sum of keys and values of all live control facts, in bytes: every segment starts with
/// all of them in one group, which must stay far below [`MAX_GROUP`].
pub(crate) const MAX_CONTROLS: usize = 16 * 1024 * 1024;

/// Size of the deletable reserve file in bytes: what sled and recovery may need to start again on
/// a full disk.
pub(crate) const RESERVE: u64 = 8 * 1024 * 1024;

/// A segment takes at most this part of the file system, so that a small one has room for several.
pub(crate) const SEGMENT_SHARE: u64 = 16;

/// The watermark is at most this part of the file system: two segments of it, one that control
/// facts may still begin and one for what the index writes behind the last facts. The default of
/// 32 MiB would leave half of a disk of 64 MiB unused.
pub(crate) const WATERMARK_SHARE: u64 = 8;

/// How much is read at once when a segment is scanned, in bytes.
pub(crate) const READ_AHEAD: usize = 1024 * 1024;

/// Records that are applied to the index together: so many keys, sorted, that neighbours often meet
/// in one page of the tree, in about 2 MB of memory.
pub(crate) const DRAIN_RECORDS: usize = if cfg!(test) { 256 } else { 4096 };

/// Records that may wait in memory for the index before commits wait for it: about 12 MB, twice
/// that with those on their way.
pub(crate) const MAX_RECENT: usize = 32_768;

/// How long the index is left alone after it could not be opened or built.
pub(crate) const RETRY_WAIT: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2000 });

/// An index that lacks more groups than this, or groups of more segments, is told as being built
/// and how far that is; one that lacks less is filled in while it is opened, in about a second. A
/// flush a second leaves less behind after a crash.
pub(crate) const FEW_GROUPS: u64 = if cfg!(test) { 512 } else { 8192 };
pub(crate) const FEW_SEGMENTS: u64 = if cfg!(test) { 512 } else { 4 };

/// How long the thread of the index may take to end: it looks up between two batches.
pub(crate) const THREAD_WAIT: Duration = Duration::from_secs(5);

/// Segments whose places are remembered while there is no index: 16 MiB of records of 512 bytes
/// make 3 MB of places.
pub(crate) const OPEN_PLACES: usize = 4;

/// Records that are read at once when a log is read backwards: a page newest first is usually this
/// long, and at most 8 MiB are in memory for it.
pub(crate) const BACK_CHUNK: usize = 32;

/// How long sled may take to open before its folder is set aside, in seconds. Opening a million
/// events takes well below one.
pub(crate) const INDEX_OPEN_SECONDS: u64 = 120;

/// Most segment files that are kept open for reading.
pub(crate) const OPEN_FILES: usize = 64;

/// Heads of streams that the writer remembers: about 3 MB.
pub(crate) const MAX_HEADS: usize = 65_536;

/// Largest attachment in bytes, sealed. No paper gives a figure: this is more than two hours of a
/// telephone call as the exchange delivers it (8,000 bytes a second) or a scanned file of some
/// hundred pages, and at 2 Mbit/s it is carried to the centre in under five minutes.
pub(crate) const MAX_ATTACHMENT: u64 = 64 * 1024 * 1024;

/// While an attachment is written, free space is looked at again after this many bytes: so far a
/// writer may get below the watermark.
pub(crate) const ROOM_CHECK: u64 = 1024 * 1024;

/// How much of an attachment is read at once, in bytes: two of these are held for each reader.
pub(crate) const ATTACHMENT_CHUNK: usize = 256 * 1024;

/// Most records that one question after missing attachments looks at: well below a second.
pub(crate) const ATTACHMENT_SCAN_RECORDS: u64 = 65_536;

/// Stored bytes of records that are looked at together for the attachments that they name.
pub(crate) const ATTACHMENT_SCAN_BYTES: usize = 256 * 1024;
