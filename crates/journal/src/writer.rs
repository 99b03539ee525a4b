//! The writing end: the active segment, its successor, the tail file.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use evidence::merkle::Frontier;

use crate::builder::Writing;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::files;
use crate::frame::{self, Kind, Label};
use crate::group::{GroupBuffer, TRAILER};
use crate::limits::{FILL_AHEAD, FILL_BELOW};
use crate::replay::Items;
use crate::segment::{Footer, LogKey, Range, SegmentHeader, encode_end};
use crate::state::State;
use crate::subscribe::Bell;
use crate::tail::Mark;

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// No room to create or write the next segment, which nothing depends on yet; reading and
    /// retrying are fine.
    Full,
    /// A write or sync failed: what is on the disk is unknown.
    Failed(String),
}

/// Where the journal's files are.
#[derive(Clone)]
pub(crate) struct Place {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
}

impl Place {
    /// Opens a file of the folder.
    pub(crate) fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(&self.dir.join(name), mode)
    }

    /// Makes the names of the commit files durable.
    pub(crate) fn sync_commits(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.dir.join(files::COMMITS))
    }
}

/// Counters since open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub groups: u64,
    pub records: u64,
    pub bytes: u64,
    pub sync_nanos: u64,
}

/// The active segment.
pub(crate) struct Active {
    pub file: Arc<dyn DiskFile>,
    pub header: SegmentHeader,
    /// Up to where zeros were written ahead.
    pub filled: u64,
    /// What the segment holds so far, by log.
    pub ranges: BTreeMap<LogKey, RangeStart>,
}

/// First sequence, count and first offset; the root comes from the state when sealing.
pub(crate) type RangeStart = (u64, u64, u64);

/// Everything that only the writer touches.
pub(crate) struct Writer {
    pub place: Place,
    pub segment_bytes: u64,
    /// Bytes of all segments before the active one.
    pub sealed_bytes: u64,
    pub active: Active,
    /// The end of the last group that is durable. Ahead of `published` while one is on its way, and
    /// for good if the writer stopped meanwhile.
    pub mark: Mark,
    /// The end of the last group that was published: what the published state comes from.
    pub published: Mark,
    pub tail: Arc<dyn DiskFile>,
    pub writing: Writing,
    pub stopped: Option<String>,
    /// Tells subscribers that the writer has stopped.
    pub bell: Arc<Bell>,
    pub counters: Counters,
}

impl Writer {
    /// Ends the writer for good; the first reason is kept.
    pub(crate) fn stop(&mut self, reason: &str) {
        let reason = self.stopped.get_or_insert_with(|| reason.to_owned());
        self.bell.end(reason);
    }

    /// Writes the group in the buffer and makes it durable: one write, one `fdatasync`. `state` is
    /// the state before it. Returns where the group starts in the active segment.
    pub(crate) fn write(&mut self, state: &State) -> Result<u64, WriteError> {
        let len = (self.writing.buffer.bytes.len() + TRAILER) as u64;
        let has_groups = self.mark.group > self.active.header.first_group;
        if has_groups && self.mark.offset + len > self.segment_bytes {
            self.roll(state)?;
        }
        let start = self.mark.offset;
        let frames_len = self.writing.buffer.bytes.len() as u64;
        let group = self.mark.group + 1;
        let commands = state.commands + self.writing.items.commands.len() as u64;
        let chain = self.writing.buffer.finish(&self.mark.chain, group, commands);
        let begun = Instant::now();
        self.fill_ahead(start + len).map_err(|error| failed("fill a commit file", &error))?;
        let file = &self.active.file;
        let written =
            file.write_at(start, &self.writing.buffer.bytes).and_then(|()| file.sync_data());
        written.map_err(|error| failed("write a commit file", &error))?;
        self.counters.sync_nanos += begun.elapsed().as_nanos() as u64;
        self.counters.groups += 1;
        self.counters.records += self.writing.items.records.len() as u64;
        self.counters.bytes += frames_len + TRAILER as u64;
        let segment = self.active.header.number;
        self.mark = Mark { segment, offset: start + len, group, chain };
        note_ranges(&mut self.active.ranges, &self.writing.items, start);
        self.write_tail()?;
        Ok(start)
    }

    /// Writes zeros ahead of a small group, so that most commits overwrite written blocks.
    fn fill_ahead(&mut self, end: u64) -> io::Result<()> {
        if end <= self.active.filled {
            return Ok(());
        }
        if self.writing.buffer.bytes.len() >= FILL_BELOW || end > self.segment_bytes {
            self.active.filled = end;
            return Ok(());
        }
        let from = self.active.filled.max(self.mark.offset);
        let to = end.next_multiple_of(FILL_AHEAD).min(self.segment_bytes);
        if to > from {
            self.active.file.write_at(from, &vec![0; (to - from) as usize])?;
        }
        self.active.filled = to;
        Ok(())
    }

    /// Writes the tail file, without a sync.
    pub(crate) fn write_tail(&self) -> Result<(), WriteError> {
        let written = self.tail.write_at(0, &self.mark.encode_tail());
        written.map_err(|error| failed("write the tail file", &error))
    }

    /// Starts the next segment and seals the active one.
    ///
    /// The successor with its snapshot is durable before the footer is written, so a footer without
    /// a successor is damage, and a successor behind an unsealed segment is a left-over.
    fn roll(&mut self, state: &State) -> Result<(), WriteError> {
        let header = SegmentHeader {
            journal: self.active.header.journal,
            number: self.active.header.number + 1,
            first_group: self.mark.group + 1,
            chain: self.mark.chain,
        };
        let (next, mark) = match start_segment(&self.place, header, state, self.segment_bytes) {
            Ok(started) => started,
            Err(StartError::Write(error)) if is_full(&error) => {
                // Whether it can be removed or not: the next attempt empties it.
                let path = files::segment_path(&self.place.dir, header.number);
                let _ = self.place.disk.remove(&path);
                return Err(WriteError::Full);
            }
            Err(StartError::Write(error)) => return Err(failed("create a commit file", &error)),
            Err(StartError::Sync(error)) => return Err(failed("sync a new commit file", &error)),
        };
        let footer = Footer {
            last_group: self.mark.group,
            chain: self.mark.chain,
            ranges: ranges(&self.active.ranges, state),
        };
        let sealed = seal(&*self.active.file, &self.active.header, self.mark.offset, &footer);
        self.sealed_bytes += sealed.map_err(|error| failed("seal a commit file", &error))?;
        (self.active, self.mark) = (next, mark);
        // A snapshot says nothing but the published state.
        self.published = mark;
        self.write_tail()
    }
}

/// A stop of the writer in words: the action and the operating system's message.
fn failed(action: &str, error: &io::Error) -> WriteError {
    WriteError::Failed(format!("{action}: {error}"))
}

/// Why a segment was not started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It could not be opened, allocated or written; no sync of it was asked for. For want of room
    /// (`ENOSPC`, `EDQUOT`) it may be tried again.
    Write(io::Error),
    /// It or its name could not be synced. What the disk has is unknown, whatever the error says: a
    /// second sync may answer that all is well and it is not. Never retried.
    Sync(io::Error),
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Write(error) | StartError::Sync(error) => error,
        }
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Notes which records a group at `start` adds to its segment.
pub(crate) fn note_ranges(ranges: &mut BTreeMap<LogKey, RangeStart>, items: &Items, start: u64) {
    for item in &items.records {
        let first = (item.seq, 0, start + item.frame_at as u64);
        ranges.entry((item.log_no, item.epoch)).or_insert(first).1 += 1;
    }
}

/// The ranges of a footer, with the roots that `state` gives.
pub(crate) fn ranges(
    starts: &BTreeMap<LogKey, RangeStart>,
    state: &State,
) -> BTreeMap<LogKey, Range> {
    let root = |key: LogKey| state.frontier(key).map(Frontier::root).unwrap_or_default();
    let range = |(key, (first_seq, count, offset)): (&LogKey, &RangeStart)| {
        let range =
            Range { first_seq: *first_seq, count: *count, offset: *offset, root: root(*key) };
        (*key, range)
    };
    starts.iter().map(range).collect()
}

/// Creates a segment with its header and the snapshot of `state` as its first group, all durable.
pub(crate) fn start_segment(
    place: &Place,
    header: SegmentHeader,
    state: &State,
    segment_bytes: u64,
) -> Result<(Active, Mark), StartError> {
    let mut group = GroupBuffer::new(frame::seed(&header.journal));
    state.snapshot(&mut group);
    let chain = group.finish(&header.chain, header.first_group, state.commands);
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(&group.bytes);
    let end = bytes.len() as u64;
    let write = || {
        let file = place.open(&files::segment_name(header.number), OpenMode::Create)?;
        file.allocate(segment_bytes.max(end))?;
        file.write_at(0, &bytes)?;
        Ok(file)
    };
    let file = write().map_err(StartError::Write)?;
    file.sync_all().and_then(|()| place.sync_commits()).map_err(StartError::Sync)?;
    let mark = Mark { segment: header.number, offset: end, group: header.first_group, chain };
    Ok((Active { file, header, filled: end, ranges: BTreeMap::new() }, mark))
}

/// Ends a segment at `offset` with its footer and end mark, durable, and cuts the rest off. Returns
/// its length.
pub(crate) fn seal(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    offset: u64,
    footer: &Footer,
) -> io::Result<u64> {
    let mut bytes = Vec::new();
    let (count, seq) = (footer.ranges.len() as u32, header.number);
    let label = Label { kind: Kind::Footer, flags: 0, log_no: 0, epoch: count, seq };
    frame::put(&mut bytes, frame::seed(&header.journal), label, |out| footer.encode(out));
    bytes.extend_from_slice(&encode_end(header.number, offset));
    file.write_at(offset, &bytes)?;
    let len = offset + bytes.len() as u64;
    file.set_len(len)?;
    file.sync_all()?;
    Ok(len)
}
