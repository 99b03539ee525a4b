//! Published groups that the index does not have yet: the same answers, from memory.

use std::collections::HashMap;

use evidence::record::StreamRef;

use crate::frame::split;
use crate::index::block::Located;
use crate::index::entry::{FramePlace, Place};
use crate::limits::FRAME_HEADER;
use crate::replay::Items;
use crate::segment::LogKey;
use crate::tail::Mark;
use crate::transaction::CommandKey;

/// Neighbouring records of one log.
#[derive(Default)]
pub(crate) struct Run {
    /// Sequence of the first one.
    pub first: u64,
    pub records: Vec<Located>,
}

impl Run {
    /// The records from `seq` on; empty if `seq` is not here.
    pub(crate) fn from(&self, seq: u64) -> &[Located] {
        let at = seq.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.records.get(at..)).unwrap_or_default()
    }
}

/// A version of a stream and where it is.
pub(crate) type Version = (u32, Place);

/// What groups added, by the questions that are asked.
#[derive(Default)]
pub(crate) struct Recent {
    pub logs: HashMap<LogKey, Run>,
    pub events: HashMap<[u8; 16], Place>,
    /// Places of events whose id is in `events` already.
    pub repeated: Vec<([u8; 16], Place)>,
    /// Versions in the order of their records.
    pub streams: HashMap<StreamRef, Vec<Version>>,
    /// Where the frames of commands are.
    pub commands: HashMap<CommandKey, FramePlace>,
    /// Number of records.
    pub count: usize,
    /// The end of the last group.
    pub mark: Option<Mark>,
}

impl Recent {
    /// Whether no group was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.mark.is_none()
    }

    /// Adds a group that starts at `start` of the segment in `mark` and lies in `bytes`; takes the
    /// tree nodes out of `items`.
    pub(crate) fn add(&mut self, items: &mut Items, bytes: &[u8], start: u64, mark: Mark) {
        for item in &mut items.records {
            let (log, seq) = ((item.log_no, item.epoch), item.seq);
            let place = (item.log_no, item.epoch, seq);
            let located = Located {
                segment: mark.segment as u32,
                offset: (start + item.frame_at as u64) as u32,
                len: item.len as u32,
                nodes: std::mem::take(&mut item.nodes),
            };
            let run = self.logs.entry(log).or_insert_with(|| Run { first: seq, ..Run::default() });
            run.records.push(located);
            match self.events.entry(item.event_id) {
                std::collections::hash_map::Entry::Vacant(free) => drop(free.insert(place)),
                std::collections::hash_map::Entry::Occupied(taken) => {
                    self.repeated.push((*taken.key(), place));
                }
            }
            let version = (item.stream_version, place);
            self.streams.entry(item.stream).or_default().push(version);
        }
        self.count += items.records.len();
        for range in &items.commands {
            let offset = (start + (range.start - FRAME_HEADER) as u64) as u32;
            let place = (mark.segment as u32, offset, range.len() as u32);
            let key = bytes.get(range.clone()).and_then(command);
            self.commands.extend(key.map(|key| (key, place)));
        }
        self.mark = Some(mark);
    }

    /// All places of an event.
    pub(crate) fn places(&self, id: &[u8; 16]) -> impl Iterator<Item = Place> {
        let id = *id;
        let again = self.repeated.iter().filter(move |(known, _)| *known == id);
        self.events.get(&id).copied().into_iter().chain(again.map(|(_, place)| *place))
    }

    /// The highest version of a stream, in one log or in any.
    pub(crate) fn head(&self, stream: &StreamRef, log: Option<u16>) -> Option<(u16, u32)> {
        let versions = self.streams.get(stream)?.iter();
        let wanted = versions.filter(|(_, place)| log.is_none_or(|no| no == place.0));
        wanted.map(|(version, place)| (place.0, *version)).max()
    }
}

/// The key in the body of a command's frame.
pub(super) fn command(body: &[u8]) -> Option<CommandKey> {
    let (principal, rest) = split::<16>(body)?;
    let (command_id, _) = split::<16>(rest)?;
    Some(CommandKey { principal, command_id })
}
