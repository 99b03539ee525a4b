//! Filling the index from the commit files: what it lacks behind its last flush, or everything.

use evidence::merkle::{Nodes, root_at};

use super::batch::Filler;
use super::lookup::{Fault, Lookup};
use super::recent::Recent;
use super::runs::{self, Runs};
use crate::damage::Damaged;
use crate::disk::OpenMode;
use crate::error::{IndexError, IndexOpenError, OpenError};
use crate::files;
use crate::group::{TRAILER, decode_trailer};
use crate::index::Index;
use crate::index::keys;
use crate::limits::{DRAIN_RECORDS, FEW_GROUPS, FEW_SEGMENTS, FRAME_HEADER};
use crate::recover::read_header;
use crate::replay::{Snapshots, replay};
use crate::report::IndexOutcome;
use crate::room::Room;
use crate::scan::{Scanner, Step};
use crate::segment::LogKey;
use crate::state::State;
use crate::tail::{Mark, Tail};
use crate::writer::Place;

/// What filling needs to know of the commit files, which do not grow meanwhile.
#[derive(Clone)]
pub(crate) struct Target {
    pub place: Place,
    pub state: State,
    /// The end of the last group.
    pub mark: Mark,
    /// What the tail file said.
    pub tail: Option<Tail>,
    /// The journal is new, so an empty index lacks nothing.
    pub created: bool,
    /// On a disk that is nearly full sled cannot be expected to work.
    pub room: Room,
}

/// Why the index does not have everything.
#[derive(Debug)]
pub(crate) enum FillError {
    /// A commit file is damaged, or the index knows of groups that they lack.
    Damaged(Damaged),
    /// This index cannot be continued; where it was moved to, once it is.
    Unusable { reason: String, quarantined: Option<String> },
    /// Not at present.
    Later(String),
    /// The journal is being closed.
    Stopped,
}

impl FillError {
    /// An index that cannot be continued.
    pub(super) fn unusable(reason: &str) -> Self {
        Self::Unusable { reason: reason.to_owned(), quarantined: None }
    }
}

impl From<IndexError> for FillError {
    fn from(error: IndexError) -> Self {
        Self::Unusable { reason: error.reason, quarantined: None }
    }
}

impl From<IndexOpenError> for FillError {
    fn from(error: IndexOpenError) -> Self {
        match error {
            IndexOpenError::InUse => Self::Later(error.to_string()),
            IndexOpenError::Failed(error) => error.into(),
        }
    }
}

impl From<OpenError> for FillError {
    fn from(error: OpenError) -> Self {
        Self::Later(error.to_string())
    }
}

/// Hears how many groups are filled in; an error ends the work.
pub(crate) type Report<'a> = &'a dyn Fn(u64) -> Result<(), FillError>;

/// How far an index is.
pub(crate) struct Marks {
    flushed: Mark,
}

/// Whether an index can be continued: it is of this layout and of this journal's history.
pub(crate) fn marks(index: &dyn Index, target: &Target) -> Result<Marks, FillError> {
    let lookup = Lookup(index);
    let (applied, flushed) = (lookup.mark(keys::APPLIED)?, lookup.mark(keys::FLUSHED)?);
    if let Some(applied) = applied.filter(|applied| applied.group > target.mark.group) {
        // Only durable groups are applied: what the index knows was acknowledged.
        let why = format!("the index knows group {}, the file ends before it", applied.group);
        let damaged = Damaged::new(target.mark.segment, target.mark.offset, &why);
        return Err(FillError::Damaged(damaged));
    }
    if lookup.layout()? != Some(keys::LAYOUT_NO) {
        return Err(FillError::unusable("it has the layout of another version"));
    }
    let (Some(applied), Some(flushed)) = (applied, flushed) else {
        return Err(FillError::unusable("it does not say how far it is"));
    };
    let known = |mark: &Mark| -> Result<bool, OpenError> {
        Ok(*mark == START || is_held(&target.place, mark)?)
    };
    if applied.group < flushed.group || !known(&applied)? || !known(&flushed)? {
        return Err(FillError::unusable("it belongs to another history"));
    }
    Ok(Marks { flushed })
}

/// Reads the runs of an index, fills in what it lacks behind its last flush, and compares it with
/// the commit files: nothing may be missing. `much` hears how many groups it lacks if that takes
/// long, before they are filled in. `report` fails only if the journal is being closed.
///
/// After damage to its file sled 0.34.7 opens without an error and lacks some pages (measured: 3 of
/// 100 flips). A missing version would give a stream's version out twice and a missing command
/// would be done twice, so every run is read and compared with its description at every open, all
/// together with the commit files, and every block of places must follow the one before it.
pub(crate) fn advance(
    index: &dyn Index,
    target: &Target,
    marks: &Marks,
    much: &dyn Fn(u64),
    report: Report<'_>,
) -> Result<(Filler, IndexOutcome), FillError> {
    let (runs, from) = Runs::load(index, marks.flushed, &|| report(0).is_err())?;
    let mut filler = Filler { runs, ..Filler::default() };
    let groups = target.mark.group - from.group;
    if groups > FEW_GROUPS || target.mark.segment.saturating_sub(from.segment) > FEW_SEGMENTS {
        much(groups);
    }
    if groups > 0 {
        fill_from(index, target, from, &mut filler, report)?;
        filler.settle(index, target.mark)?;
    }
    agrees(index, target, &filler, &|| report(target.mark.group).is_err())?;
    let outcome = match groups {
        0 => IndexOutcome::Intact,
        groups => IndexOutcome::CaughtUp { groups },
    };
    Ok((filler, outcome))
}

/// Before the first group.
pub(super) const START: Mark = Mark { segment: 1, offset: 0, group: 0, chain: [0; 32] };

/// Fills an empty index; `stop` says whether the journal is being closed.
pub(crate) fn build(
    index: &dyn Index,
    target: &Target,
    report: Report<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Filler, FillError> {
    let mut filler = Filler::default();
    index.apply(vec![keys::entry(keys::LAYOUT, &keys::LAYOUT_NO.to_be_bytes())])?;
    fill_from(index, target, START, &mut filler, report)?;
    filler.settle(index, target.mark)?;
    agrees(index, target, &filler, stop)?;
    Ok(filler)
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
fn fill_from(
    index: &dyn Index,
    target: &Target,
    from: Mark,
    filler: &mut Filler,
    report: Report<'_>,
) -> Result<(), FillError> {
    let (mut state, mut recent) = (State::default(), Recent::default());
    for number in from.segment..=target.mark.segment {
        let opened = read_header(&target.place, number, OpenMode::Read)?;
        let (file, header) = opened.map_err(FillError::Damaged)?;
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
                    let mut items = items
                        .map_err(|flaw| FillError::Damaged(Damaged::of_flaw(number, &flaw)))?;
                    mode = Snapshots::Compare;
                    if group.number > from.group {
                        recent.add(&mut items, group.bytes, group.start, group.mark(number));
                    }
                }
                Step::Footer { .. } => break,
                Step::End { .. } if number == target.mark.segment => break,
                Step::End { at } => {
                    let damaged = Damaged::new(number, at, "footer is missing");
                    return Err(FillError::Damaged(damaged));
                }
                Step::Broken { at, why } => {
                    return Err(FillError::Damaged(Damaged::new(number, at, why)));
                }
            }
            if recent.count >= DRAIN_RECORDS {
                let groups = scanner.next_group - 1;
                fill(index, filler, std::mem::take(&mut recent), &|| report(groups))?;
            }
        }
    }
    fill(index, filler, recent, &|| report(target.mark.group))
}

/// Applies what is in `recent`, and merges what should be merged.
fn fill(
    index: &dyn Index,
    filler: &mut Filler,
    recent: Recent,
    report: &dyn Fn() -> Result<(), FillError>,
) -> Result<(), FillError> {
    filler.apply(index, &recent)?;
    loop {
        report()?;
        if !filler.step(index)? {
            return Ok(());
        }
    }
}

/// The tree nodes of one log, read from the index.
pub(crate) struct IndexNodes<'a> {
    pub lookup: Lookup<'a>,
    pub log: LogKey,
}

impl Nodes for IndexNodes<'_> {
    /// The fault and the sequence that was read.
    type Error = (Fault, u64);

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], Self::Error> {
        let seq = ((index + 1) << level) - 1;
        let located = self.lookup.record(self.log, seq).map_err(|fault| (fault, seq))?;
        let lacks = (Fault::Damaged("its entry lacks a tree node"), seq);
        located.nodes.get(usize::from(level)).copied().ok_or(lacks)
    }
}

/// Whether the index has the places of all records of every log, its tree nodes give the same
/// root, and its runs have an event and a version for every record and every command.
fn agrees(
    index: &dyn Index,
    target: &Target,
    filler: &Filler,
    stop: &dyn Fn() -> bool,
) -> Result<(), FillError> {
    let lookup = Lookup(index);
    for log in target.state.logs() {
        for (epoch, edge) in &log.epochs {
            let key = (log.no, *epoch);
            let differs =
                || FillError::unusable(&format!("it differs in log {} {epoch}", log.name));
            let size = lookup.unbroken_size(key, stop)?.ok_or_else(differs)?;
            if stop() {
                return Err(FillError::Stopped);
            }
            let nodes = IndexNodes { lookup, log: key };
            let root = root_at(&nodes, edge.size()).map_err(|_| differs())?;
            if size != edge.size() || root != edge.root() {
                return Err(differs());
            }
        }
    }
    let records = target.state.records();
    let counts = runs::contents(&filler.runs.view()).counts;
    if counts == [target.state.commands, records, records] {
        return Ok(());
    }
    Err(FillError::unusable("it lacks entries"))
}
