//! Taking a group that was read from a segment into the state, and what the index needs of it.

use std::ops::Range;

use evidence::hash::Hash;
use evidence::log::Position;
use evidence::record::{RecordView, StreamRef};

use crate::frame::{Kind, SNAPSHOT};
use crate::group::{Done, LogBody, TRAILER, decode_control};
use crate::limits::FRAME_HEADER;
use crate::report::Role;
use crate::scan::{FrameRef, Group};
use crate::state::{Log, State};

/// A record as the index sees it.
#[derive(Debug, Clone)]
pub(crate) struct RecordItem {
    pub log_no: u16,
    pub epoch: u32,
    pub seq: u64,
    pub event_id: [u8; 16],
    pub stream: StreamRef,
    pub stream_version: u32,
    /// Tree nodes that it completes, from its leaf hash upwards.
    pub nodes: Vec<Hash>,
    /// Whether it is a record of an own log that names attachments.
    pub names_attachments: bool,
    /// Where its frame starts, relative to the group.
    pub frame_at: usize,
    /// Length of its stored bytes.
    pub len: usize,
}

impl RecordItem {
    /// Where its stored bytes lie, relative to the group.
    pub(crate) fn body(&self) -> Range<usize> {
        self.frame_at + FRAME_HEADER..self.frame_at + FRAME_HEADER + self.len
    }
}

/// What a group adds to the index, in the order of its frames.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub records: Vec<RecordItem>,
    /// Where the bodies of command frames lie, relative to the group.
    pub commands: Vec<Range<usize>>,
}

impl Items {
    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.commands.clear();
    }
}

/// How snapshot frames are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshots {
    /// As the state to start from.
    Load,
    /// As a repetition that must agree with the state.
    Compare,
}

/// An intact frame that says something impossible.
#[derive(Debug, Clone)]
pub(crate) struct Flaw {
    /// Where the frame starts in the file.
    pub at: u64,
    pub why: &'static str,
    /// The record, if it is one.
    pub position: Option<Position>,
}

/// Takes a group into the state.
///
/// After a flaw the state holds the frames before it.
pub(crate) fn replay(
    state: &mut State,
    group: &Group<'_>,
    snapshots: Snapshots,
) -> Result<Items, Flaw> {
    let mut items = Items::default();
    let mut snapshot_frames = 0;
    for frame in group.frames {
        let (body, at) = (group.body(frame), group.start + frame.at as u64);
        let flaw = |why| Flaw { at, why, position: None };
        let is_snapshot = frame.head.flags & SNAPSHOT != 0;
        snapshot_frames += usize::from(is_snapshot);
        match frame.head.kind {
            Kind::Record => items.records.push(take_record(state, frame, body).map_err(|why| {
                let log = state.log(frame.head.log_no).map(|log| log.name.clone());
                let (epoch, seq) = (frame.head.epoch, frame.head.seq);
                let position = log.map(|log| Position { log, epoch, seq });
                Flaw { at, why, position }
            })?),
            Kind::Log => take_log(state, frame, body, snapshots).map_err(flaw)?,
            Kind::Control => {
                let (key, value) = decode_control(body).ok_or(flaw("control is malformed"))?;
                if is_snapshot && snapshots == Snapshots::Compare {
                    let known = state.controls().get(key).is_some_and(|known| known == value);
                    known.then_some(()).ok_or(flaw("snapshot contradicts a control"))?;
                } else {
                    state.set_control(key.to_vec(), value.to_vec());
                }
            }
            Kind::Command => {
                Done::decode(body).ok_or(flaw("command is malformed"))?;
                let start = frame.at + FRAME_HEADER;
                items.commands.push(start..start + body.len());
            }
            Kind::Trailer | Kind::Footer => return Err(flaw("frame has no place in a group")),
        }
    }
    if snapshots == Snapshots::Compare {
        state.commands += items.commands.len() as u64;
        if state.commands != group.commands {
            let why = "trailer counts other commands";
            return Err(Flaw { at: group.end - TRAILER as u64, why, position: None });
        }
    }
    state.commands = group.commands;
    let lacking = snapshot_frames > 0 && snapshot_frames != state.snapshot_frames();
    if lacking && snapshots == Snapshots::Compare {
        return Err(Flaw { at: group.start, why: "snapshot is incomplete", position: None });
    }
    Ok(items)
}

/// Takes a log frame.
fn take_log(
    state: &mut State,
    frame: &FrameRef,
    body: &[u8],
    snapshots: Snapshots,
) -> Result<(), &'static str> {
    let body = LogBody::decode(&frame.head, body).ok_or("log is malformed")?;
    let is_snapshot = frame.head.flags & SNAPSHOT != 0;
    if is_snapshot && snapshots == Snapshots::Compare {
        return if state.agrees(&body) { Ok(()) } else { Err("snapshot contradicts a log") };
    }
    if !is_snapshot && body.frontier.size() > 0 {
        return Err("a log starts with records");
    }
    let open = state.log(body.log_no).map_or(0, Log::open_epoch);
    if body.role == Role::Own && body.epoch < open {
        return Err("an epoch is opened behind its successor");
    }
    state.insert(&body)
}

/// Takes a record: its place must be the next one of its log, in the frame and in its header.
fn take_record(
    state: &mut State,
    frame: &FrameRef,
    body: &[u8],
) -> Result<RecordItem, &'static str> {
    let (log_no, epoch, seq) = (frame.head.log_no, frame.head.epoch, frame.head.seq);
    let log = state.log_mut(log_no).ok_or("record of an unknown log")?;
    let frontier = log.epochs.get_mut(&epoch).ok_or("record of an unknown epoch")?;
    if frontier.size() != seq {
        return Err("record is out of sequence");
    }
    let record = RecordView::parse(body).map_err(|_| "record is malformed")?;
    let header = record.header();
    if header.log != log.name || header.epoch != epoch || header.seq != seq {
        return Err("record names another place");
    }
    let nodes = frontier.append(record.leaf_hash());
    log.last_recorded_at = header.recorded_at;
    Ok(RecordItem {
        log_no,
        epoch,
        seq,
        event_id: header.event_id,
        stream: header.stream,
        stream_version: header.stream_version,
        nodes,
        names_attachments: log.role == Role::Own && !header.attachments.is_empty(),
        frame_at: frame.at,
        len: body.len(),
    })
}
