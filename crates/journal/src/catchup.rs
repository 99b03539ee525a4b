//! Opening the index and giving it what it lacks from the commit files.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::merkle::{Nodes, root_at};

use crate::batch;
use crate::damage::Damaged;
use crate::disk::OpenMode;
use crate::error::{IndexError, OpenError};
use crate::files;
use crate::group::{TRAILER, decode_trailer};
use crate::index::keys;
use crate::index::{Index, IndexBatch, IndexStore};
use crate::limits::{FRAME_HEADER, REBUILD_BATCH};
use crate::lookup::{Counts, Fault, Lookup};
use crate::recover::read_header;
use crate::replay::{Snapshots, replay};
use crate::report::{IndexOutcome, Role};
use crate::scan::{Scanner, Step};
use crate::segment::LogKey;
use crate::state::State;
use crate::tail::Mark;
use crate::writer::Place;

/// An index that has everything, and what was done for it.
pub(crate) type Opened = (Arc<dyn Index>, IndexOutcome);

/// Why the index cannot be brought up to date.
pub(crate) enum CatchUpError {
    /// A commit file is damaged, or the index knows of groups that they lack.
    Damaged(Damaged),
    Open(OpenError),
}

impl From<OpenError> for CatchUpError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<IndexError> for CatchUpError {
    fn from(error: IndexError) -> Self {
        Self::Open(error.into())
    }
}

/// What catching up needs to know of the commit files.
pub(crate) struct Target<'a> {
    pub place: &'a Place,
    pub state: &'a State,
    /// The end of the last group.
    pub mark: Mark,
    /// The journal is new, so an empty index lacks nothing.
    pub created: bool,
}

/// Opens the index; applies what it lacks behind its last flush; rebuilds it if it is missing,
/// unusable or contradicts the commit files.
pub(crate) fn open(store: &dyn IndexStore, target: &Target<'_>) -> Result<Opened, CatchUpError> {
    if !store.exists() {
        let outcome = if target.created {
            IndexOutcome::Intact
        } else {
            let reason = "it is missing".to_owned();
            IndexOutcome::Rebuilt { reason, quarantined: None }
        };
        return rebuild(store, target, outcome);
    }
    let reason = match store.open() {
        Ok(index) => match advance(&*index, target) {
            Ok(outcome) => return Ok((index, outcome)),
            Err(Lack::Unusable(reason)) => reason,
            Err(Lack::Fatal(error)) => return Err(error),
        },
        Err(error) => error.reason,
    };
    tracing::warn!(reason, "the index is unusable and is rebuilt from the commit files");
    let moved = store.quarantine();
    let quarantined = moved.map_err(|error| OpenError::io("rename", files::INDEX, error))?;
    rebuild(store, target, IndexOutcome::Rebuilt { reason, quarantined })
}

/// Why an index cannot simply be continued.
enum Lack {
    Unusable(String),
    Fatal(CatchUpError),
}

impl From<IndexError> for Lack {
    fn from(error: IndexError) -> Self {
        Self::Unusable(error.reason)
    }
}

/// Continues an index from its last flush.
fn advance(index: &dyn Index, target: &Target<'_>) -> Result<IndexOutcome, Lack> {
    let lookup = Lookup(index);
    let (applied, flushed) = (lookup.mark(keys::APPLIED)?, lookup.mark(keys::FLUSHED)?);
    if let Some(applied) = applied.filter(|applied| applied.group > target.mark.group) {
        // Only durable groups are applied: what the index knows was acknowledged.
        let why = format!("the index knows group {}, the file ends before it", applied.group);
        let damaged = Damaged::new(target.mark.segment, target.mark.offset, &why);
        let damaged = damaged.after(target.state.clone(), target.mark);
        return Err(Lack::Fatal(CatchUpError::Damaged(damaged)));
    }
    let (Some(applied), Some(flushed)) = (applied, flushed) else {
        return Err(Lack::Unusable("it does not say how far it is".to_owned()));
    };
    let known = |mark: &Mark| is_held(target.place, mark).map_err(|e| Lack::Fatal(e.into()));
    if applied.group < flushed.group || !known(&applied)? || !known(&flushed)? {
        return Err(Lack::Unusable("it belongs to another history".to_owned()));
    }
    let outcome = if flushed.group == target.mark.group {
        IndexOutcome::Intact
    } else {
        apply_from(index, target, flushed).map_err(Lack::Fatal)?;
        settle(index, target.mark)?;
        IndexOutcome::CaughtUp { groups: target.mark.group - flushed.group }
    };
    agrees(index, target.state)?;
    Ok(outcome)
}

/// Builds an index from nothing.
fn rebuild(
    store: &dyn IndexStore,
    target: &Target<'_>,
    outcome: IndexOutcome,
) -> Result<Opened, CatchUpError> {
    let index = store.open()?;
    let start = Mark { segment: 1, offset: 0, group: 0, chain: [0; 32] };
    apply_from(&*index, target, start)?;
    settle(&*index, target.mark)?;
    Ok((index, outcome))
}

/// Notes that everything up to `mark` is applied, and makes that and all before it durable.
pub(crate) fn settle(index: &dyn Index, mark: Mark) -> Result<(), IndexError> {
    index.apply(vec![keys::entry(keys::FLUSHED, &mark.encode())])?;
    index.flush()
}

/// Whether the commit files have a group that ends at `mark`.
fn is_held(place: &Place, mark: &Mark) -> Result<bool, OpenError> {
    let Ok((file, _)) = read_header(place, mark.segment, OpenMode::Read)? else { return Ok(false) };
    let Some(at) = mark.offset.checked_sub(TRAILER as u64) else { return Ok(false) };
    let mut bytes = [0; TRAILER];
    let read = file.read_at(at, &mut bytes);
    let name = || files::segment_name(mark.segment);
    let read = read.map_err(|error| OpenError::io("read", &name(), error))?;
    let head = bytes.first_chunk().and_then(crate::frame::Head::decode);
    let trailer = decode_trailer(&bytes[FRAME_HEADER..]);
    let same = head.zip(trailer).is_some_and(|(head, trailer)| {
        head.kind == crate::frame::Kind::Trailer
            && head.seq == mark.group
            && trailer.chain == mark.chain
    });
    Ok(same && read == TRAILER)
}

/// Applies every group behind `from`.
fn apply_from(index: &dyn Index, target: &Target<'_>, from: Mark) -> Result<(), CatchUpError> {
    let mut state = State::default();
    let mut pending = IndexBatch::new();
    for number in from.segment..=target.mark.segment {
        let opened = read_header(target.place, number, OpenMode::Read)?;
        let (file, header) = opened.map_err(CatchUpError::Damaged)?;
        let io = |error| OpenError::io("read", &files::segment_name(number), error);
        let mut scanner = Scanner::new(file, &header).map_err(io)?;
        let mut mode = Snapshots::Compare;
        if number == from.segment {
            mode = Snapshots::Load;
        }
        loop {
            match scanner.next().map_err(io)? {
                Step::Group(group) => {
                    let items = replay(&mut state, &group, mode);
                    let items = items
                        .map_err(|flaw| CatchUpError::Damaged(Damaged::of_flaw(number, &flaw)))?;
                    mode = Snapshots::Compare;
                    if group.number > from.group {
                        let mark = group.mark(number);
                        batch::build(&items, group.bytes, group.start, &mark, &mut pending);
                    }
                }
                Step::Footer { .. } => break,
                Step::End { .. } if number == target.mark.segment => break,
                Step::End { at } => {
                    let damaged = Damaged::new(number, at, "footer is missing");
                    return Err(CatchUpError::Damaged(damaged));
                }
                Step::Broken { at, why } => {
                    return Err(CatchUpError::Damaged(Damaged::new(number, at, why)));
                }
            }
            if pending.len() >= REBUILD_BATCH {
                index.apply(std::mem::take(&mut pending))?;
            }
        }
    }
    if !pending.is_empty() {
        index.apply(pending)?;
    }
    Ok(())
}

/// The tree nodes of one log, read from the index.
pub(crate) struct IndexNodes<'a> {
    pub lookup: Lookup<'a>,
    pub role: Role,
    pub log: LogKey,
}

impl Nodes for IndexNodes<'_> {
    /// The fault and the sequence that was read.
    type Error = (Fault, u64);

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], Self::Error> {
        let seq = ((index + 1) << level) - 1;
        let located = self.lookup.record(self.role, self.log, seq).map_err(|fault| (fault, seq))?;
        let lacks = (Fault::Damaged("its entry lacks a tree node"), seq);
        located.nodes.get(usize::from(level)).copied().ok_or(lacks)
    }
}

/// Whether the index has the last record of every log, the tree nodes give the same root, and no
/// event, version or command is missing.
///
/// After damage to its file sled 0.34.7 opens without an error and lacks some pages (measured: 3 of
/// 100 flips). A missing record is noticed when it is read; a missing version would give a stream's
/// version out twice and a missing command would be done twice, so they are counted at every open.
fn agrees(index: &dyn Index, state: &State) -> Result<(), Lack> {
    let lookup = Lookup(index);
    let epochs = |log: &crate::state::Log| {
        let sizes = log.epochs.iter().map(|(epoch, edge)| ((log.no, *epoch), edge.size()));
        sizes.filter(|(_, size)| *size > 0).collect::<Vec<_>>()
    };
    let sizes: BTreeMap<_, _> = state.logs().flat_map(epochs).collect();
    let expected = Counts { events: sizes.clone(), versions: sizes, commands: state.commands };
    let counts = lookup.count().map_err(|error| Lack::Unusable(error.to_string()))?;
    if counts != expected {
        return Err(Lack::Unusable("it lacks entries".to_owned()));
    }
    for log in state.logs() {
        for (epoch, edge) in &log.epochs {
            let key = (log.no, *epoch);
            let differs = || Lack::Unusable(format!("it differs in log {} {epoch}", log.name));
            let size = lookup.size(log.role, key).map_err(|_| differs())?;
            let nodes = IndexNodes { lookup, role: log.role, log: key };
            let root = root_at(&nodes, edge.size()).map_err(|_| differs())?;
            if size != edge.size() || root != edge.root() {
                return Err(differs());
            }
        }
    }
    Ok(())
}
