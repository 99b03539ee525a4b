//! Opening the commit files: find the end, prove that nothing acknowledged is behind it, drop an
//! unfinished group, sync what is kept. Nothing is changed on disk before damage is excluded.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::damage::{self, Damaged};
use crate::disk::{DiskFile, OpenMode};
use crate::error::OpenError;
use crate::files;
use crate::frame::Kind;
use crate::group::TRAILER;
use crate::limits::{FRAME_HEADER, READ_AHEAD};
use crate::replay::{Snapshots, replay};
use crate::report::Dropped;
use crate::scan::{Scanner, Step};
use crate::segment::{
    END_MARK, Footer, HeaderFlaw, SEGMENT_HEADER, SegmentHeader, VERSION, decode_end, encode_end,
};
use crate::state::State;
use crate::tail::{Mark, TAIL_LEN, Tail};
use crate::writer::{Active, Place, RangeStart, is_full, note_ranges, start_segment};

/// What the tail file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailFile {
    Absent,
    Unreadable,
    Read(Tail),
}

impl TailFile {
    /// Reads the tail file.
    pub(crate) fn read(place: &Place) -> Result<Self, OpenError> {
        let file = match place.open(files::TAIL, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Absent),
            Err(error) => return Err(OpenError::io("open", files::TAIL, error)),
        };
        let mut bytes = [0; TAIL_LEN + 1];
        let read = file.read_at(0, &mut bytes);
        let len = read.map_err(|error| OpenError::io("read", files::TAIL, error))?;
        Ok(Tail::decode(&bytes[..len]).map_or(Self::Unreadable, Self::Read))
    }

    /// The tail, if it can be read.
    pub(crate) fn tail(&self) -> Option<Tail> {
        match self {
            Self::Read(tail) => Some(*tail),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// The commit files as they are after recovery.
pub(crate) struct Recovered {
    pub state: State,
    pub active: Active,
    pub mark: Mark,
    pub created: bool,
    pub dropped: Option<Dropped>,
}

/// How a scan of a segment ended.
#[derive(Debug)]
pub(crate) enum End {
    /// At a footer; whether end mark and length are right.
    Sealed { whole: bool },
    /// At zeros up to the end of the file.
    Open,
    /// At a group that is not whole.
    Broken { at: u64, why: &'static str },
    /// At an intact group or footer that says something impossible.
    Flaw(Damaged),
}

/// A segment that was read.
pub(crate) struct Scanned {
    pub header: SegmentHeader,
    /// The end of its last whole group; offset of the header's end if it has none.
    pub mark: Mark,
    pub groups: u64,
    pub ranges: BTreeMap<(u16, u32), RangeStart>,
    pub file: Arc<dyn DiskFile>,
    pub scanner: Scanner,
    pub end: End,
}

/// A segment's file and header.
type Opened = (Arc<dyn DiskFile>, SegmentHeader);

/// Reads the header of a segment; `Ok(Err(..))` if it is damaged.
pub(crate) fn read_header(
    place: &Place,
    number: u64,
    mode: OpenMode,
) -> Result<Result<Opened, Damaged>, OpenError> {
    let name = files::segment_name(number);
    let damaged = |why| Ok(Err(Damaged::new(number, 0, why)));
    let file = match place.open(&name, mode) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return damaged("file is missing"),
        Err(error) => return Err(OpenError::io("open", &name, error)),
    };
    let mut bytes = [0; SEGMENT_HEADER];
    file.read_at(0, &mut bytes).map_err(|error| OpenError::io("read", &name, error))?;
    match SegmentHeader::decode(&bytes) {
        Ok(header) if header.number == number => Ok(Ok((file, header))),
        Ok(_) => damaged("header is of another segment"),
        Err(HeaderFlaw::Damaged) => damaged("header is damaged"),
        Err(HeaderFlaw::Version(found)) => {
            Err(OpenError::Version { file: name, found, known: VERSION })
        }
    }
}

/// Reads a whole segment into `state`. With `Snapshots::Load` the state starts with the segment.
pub(crate) fn scan_segment(
    file: Arc<dyn DiskFile>,
    header: SegmentHeader,
    state: &mut State,
    snapshots: Snapshots,
    tail: Option<Tail>,
) -> io::Result<Scanned> {
    let mut scanner = Scanner::new(file.clone(), &header)?;
    let number = header.number;
    let group = header.first_group - 1;
    let mut mark =
        Mark { segment: number, offset: SEGMENT_HEADER as u64, group, chain: header.chain };
    let (mut groups, mut ranges, mut mode) = (0, BTreeMap::new(), snapshots);
    let end = loop {
        match scanner.next()? {
            Step::Group(group) => {
                let items = match replay(state, &group, mode) {
                    Ok(items) => items,
                    Err(flaw) => break End::Flaw(Damaged::of_flaw(number, &flaw)),
                };
                note_ranges(&mut ranges, &items, group.start);
                mark = group.mark(number);
                (groups, mode) = (groups + 1, Snapshots::Compare);
                let named = tail.filter(|tail| tail.group == mark.group);
                if named.is_some_and(|tail| !tail.is_of(&mark)) {
                    let why = "the tail file names another history";
                    break End::Flaw(Damaged::new(number, group.start, why));
                }
            }
            Step::End { at } => {
                break match scanner.rest(at)? {
                    None => End::Open,
                    Some((at, _)) => End::Broken { at, why: "group is unfinished" },
                };
            }
            Step::Footer { at, end, footer } => {
                break check_footer(&mut scanner, &mark, state, &ranges, (at, end), &footer)?;
            }
            Step::Broken { at, why } => break End::Broken { at, why },
        }
    };
    Ok(Scanned { header, mark, groups, ranges, file, scanner, end })
}

/// Compares a footer with what was read before it, and looks at the end mark.
pub(crate) fn check_footer(
    scanner: &mut Scanner,
    mark: &Mark,
    state: &State,
    ranges: &BTreeMap<(u16, u32), RangeStart>,
    (at, end): (u64, u64),
    footer: &Footer,
) -> io::Result<End> {
    let ranges = crate::writer::ranges(ranges, state);
    let same = footer.last_group == mark.group && footer.chain == mark.chain;
    if !same || footer.ranges != ranges {
        let why = "footer contradicts the segment";
        return Ok(End::Flaw(Damaged::new(mark.segment, at, why)));
    }
    let marked = scanner.bytes(end, END_MARK)? == encode_end(mark.segment, at);
    Ok(End::Sealed { whole: marked && scanner.size() == end + END_MARK as u64 })
}

/// Reads the footer of a sealed segment by its end mark, without a scan.
pub(crate) fn read_footer(
    file: &dyn DiskFile,
    header: &SegmentHeader,
) -> io::Result<Result<Footer, Damaged>> {
    let size = file.size()?;
    let mark_at = size.saturating_sub(END_MARK as u64);
    let mut end = [0; END_MARK];
    file.read_at(mark_at, &mut end)?;
    let damaged = |at, why| Ok(Err(Damaged::new(header.number, at, why)));
    let Some(at) = decode_end(&end, header.number).filter(|at| *at < mark_at) else {
        return damaged(mark_at, "end mark is damaged");
    };
    let mut bytes = vec![0; (mark_at - at) as usize];
    file.read_at(at, &mut bytes)?;
    let head = bytes.first_chunk().and_then(crate::frame::Head::decode);
    let head = head.filter(|head| head.kind == Kind::Footer && head.span() == bytes.len());
    let Some(head) = head else { return damaged(at, "footer is damaged") };
    let frame = &bytes[..FRAME_HEADER + head.len as usize];
    let intact = crate::frame::is_intact(crate::frame::seed(&header.journal), &head, frame);
    match Footer::decode(&frame[FRAME_HEADER..]).filter(|_| intact) {
        Some(footer) => Ok(Ok(footer)),
        None => damaged(at, "footer is damaged"),
    }
}

/// Numbers of the segments that are there, in order.
pub(crate) fn segments(place: &Place) -> Result<Vec<u64>, OpenError> {
    let names = place.disk.list(&place.dir.join(files::COMMITS));
    let names = names.map_err(|error| OpenError::io("list", files::COMMITS, error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| files::segment_number(n)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Recovers the commit files. `had_index`: a folder of an index is there; `new_id` gives the random
/// bytes of a new journal.
pub(crate) fn recover(
    place: &Place,
    tail: TailFile,
    had_index: bool,
    segment_bytes: u64,
    new_id: &dyn Fn() -> Result<[u8; 48], OpenError>,
) -> Result<Result<Recovered, Damaged>, OpenError> {
    let numbers = segments(place)?;
    let is_new = tail == TailFile::Absent && !had_index;
    let Some(last) = numbers.last().copied() else {
        if is_new {
            return create(place, segment_bytes, new_id).map(Ok);
        }
        return Ok(Err(Damaged::new(1, 0, "file is missing, as are all others")));
    };
    if let Some(number) = (1..=last).find(|number| numbers.binary_search(number).is_err()) {
        return Ok(Err(Damaged::new(number, 0, "file is missing")));
    }
    if last == 1 && is_new && is_unborn(place)? {
        // The crash came before the journal was handed out: nothing was acknowledged.
        return create(place, segment_bytes, new_id).map(Ok);
    }
    let base = last.saturating_sub(1).max(1);
    let mut previous: Option<(SegmentHeader, u64, [u8; 32])> = None;
    for number in 1..base {
        let (file, header) = match read_header(place, number, OpenMode::Read)? {
            Ok(opened) => opened,
            Err(damaged) => return Ok(Err(damaged)),
        };
        let name = files::segment_name(number);
        let footer = read_footer(&*file, &header);
        let footer = match footer.map_err(|error| OpenError::io("read", &name, error))? {
            Ok(footer) => footer,
            Err(damaged) => return Ok(Err(damaged)),
        };
        if let Err(damaged) = linked(previous, &header) {
            return Ok(Err(damaged));
        }
        previous = Some((header, footer.last_group, footer.chain));
    }
    recover_end(place, base, last, tail.tail(), previous)
}

/// Whether a segment continues the one before it.
fn linked(
    previous: Option<(SegmentHeader, u64, [u8; 32])>,
    header: &SegmentHeader,
) -> Result<(), Damaged> {
    let follows = match previous {
        None => header.first_group == 1,
        Some((before, group, chain)) => {
            before.journal == header.journal
                && header.first_group == group + 1
                && header.chain == chain
        }
    };
    let why = "segment does not continue the one before it";
    if follows { Ok(()) } else { Err(Damaged::new(header.number, 0, why)) }
}

/// Reads the last two segments and decides where the journal ends.
fn recover_end(
    place: &Place,
    base: u64,
    last: u64,
    tail: Option<Tail>,
    previous: Option<(SegmentHeader, u64, [u8; 32])>,
) -> Result<Result<Recovered, Damaged>, OpenError> {
    let mut state = State::default();
    let scan = |number, state: &mut State, snapshots, previous| {
        let (file, header) = match read_header(place, number, OpenMode::Write)? {
            Ok(opened) => opened,
            Err(damaged) => return Ok(Err(damaged)),
        };
        if let Err(damaged) = linked(previous, &header) {
            return Ok(Err(damaged));
        }
        let name = files::segment_name(number);
        let scanned = scan_segment(file, header, state, snapshots, tail);
        scanned.map(Ok).map_err(|error| OpenError::io("read", &name, error))
    };
    let mut scanned = match scan(base, &mut state, Snapshots::Load, previous)? {
        Ok(scanned) => scanned,
        Err(damaged) => return Ok(Err(damaged)),
    };
    let mut stray = None;
    if last > base {
        let unstarted = is_unstarted(place, last, tail)?;
        match &scanned.end {
            End::Sealed { whole } => {
                if !whole && !unstarted {
                    let why = "end mark is damaged";
                    return Ok(Err(Damaged::new(base, scanned.mark.offset, why)));
                }
                let sealed = if *whole {
                    scanned.file.sync_all()
                } else {
                    reseal(&scanned, &state).map(drop)
                };
                let name = files::segment_name(base);
                sealed.map_err(|error| OpenError::io("seal", &name, error))?;
                let before = Some((scanned.header, scanned.mark.group, scanned.mark.chain));
                scanned = match scan(last, &mut state, Snapshots::Compare, before)? {
                    Ok(scanned) => scanned,
                    Err(damaged) => return Ok(Err(damaged)),
                };
                if scanned.groups == 0 && !matches!(scanned.end, End::Flaw(_)) {
                    let why = "snapshot is damaged";
                    return Ok(Err(Damaged::new(last, scanned.mark.offset, why)));
                }
            }
            _ if unstarted => stray = Some(last),
            End::Open => {
                let why = "footer is missing";
                let damaged = Damaged::new(base, scanned.mark.offset, why);
                return Ok(Err(damaged));
            }
            End::Broken { at, why } => {
                return Ok(Err(Damaged::new(base, *at, why)));
            }
            End::Flaw(_) => {}
        }
    }
    finish(place, scanned, state, tail, stray)
}

/// Whether a segment holds nothing but its snapshot, or not even that, and the tail is not in it.
fn is_unstarted(place: &Place, number: u64, tail: Option<Tail>) -> Result<bool, OpenError> {
    if tail.is_some_and(|tail| tail.segment >= number) {
        return Ok(false);
    }
    let Ok((file, header)) = read_header(place, number, OpenMode::Read)? else { return Ok(true) };
    let count = || {
        let mut scanner = Scanner::new(file, &header)?;
        let mut count = 0;
        while count < 2 && matches!(scanner.next()?, Step::Group(_)) {
            count += 1;
        }
        Ok(count)
    };
    let count = count().map_err(|e| OpenError::io("read", &files::segment_name(number), e))?;
    Ok(count < 2)
}

/// End of the first group of a new journal: a snapshot of nothing. It is written together with the
/// header, before the journal is handed out.
const FIRST_END: u64 = (SEGMENT_HEADER + TRAILER) as u64;

/// Whether segment 1 was never finished: its first group is not whole, and nothing was written
/// behind the place where that ends. What was is damaged, and is never written over.
fn is_unborn(place: &Place) -> Result<bool, OpenError> {
    let name = files::segment_name(1);
    let io = |error| OpenError::io("read", &name, error);
    if let Ok((file, header)) = read_header(place, 1, OpenMode::Read)? {
        let whole = || Ok(matches!(Scanner::new(file, &header)?.next()?, Step::Group(_)));
        if whole().map_err(io)? {
            return Ok(false);
        }
    }
    let file = place.open(&name, OpenMode::Read).map_err(io)?;
    let (mut at, mut bytes) = (FIRST_END, vec![0; READ_AHEAD]);
    loop {
        let read = file.read_at(at, &mut bytes).map_err(io)?;
        if bytes[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < bytes.len() {
            return Ok(true);
        }
        at += read as u64;
    }
}

/// Writes end mark and length of a sealed segment again: a crash came between the two.
fn reseal(scanned: &Scanned, state: &State) -> io::Result<u64> {
    let footer = Footer {
        last_group: scanned.mark.group,
        chain: scanned.mark.chain,
        ranges: crate::writer::ranges(&scanned.ranges, state),
    };
    crate::writer::seal(&*scanned.file, &scanned.header, scanned.mark.offset, &footer)
}

/// Decides about the end of the active segment, drops an unfinished group and removes a left-over.
fn finish(
    place: &Place,
    scanned: Scanned,
    state: State,
    tail: Option<Tail>,
    stray: Option<u64>,
) -> Result<Result<Recovered, Damaged>, OpenError> {
    let Scanned { header, mark, ranges, file, mut scanner, end, .. } = scanned;
    let number = header.number;
    let name = files::segment_name(number);
    let (at, why) = match end {
        End::Flaw(damaged) => return Ok(Err(damaged)),
        End::Sealed { .. } => {
            let damaged = Damaged::new(number + 1, 0, "file is missing");
            return Ok(Err(damaged));
        }
        End::Open => (mark.offset, "file ends before the last group"),
        End::Broken { at, why } => (at, why),
    };
    if tail.is_some_and(|tail| tail.group > mark.group) {
        return Ok(Err(Damaged::new(number, at, why)));
    }
    let mut dropped = None;
    if matches!(end, End::Broken { .. }) {
        let io = |error| OpenError::io("read", &name, error);
        if damage::has_later_group(&mut scanner, mark.group + 1, at).map_err(io)? {
            return Ok(Err(Damaged::new(number, at, why)));
        }
        dropped = drop_rest(place, &*file, &mut scanner, &mark, &name)?;
    }
    if let Some(stray) = stray {
        let name = files::segment_name(stray);
        let removed = place.disk.remove(&place.dir.join(&name));
        let removed = removed.and_then(|()| place.sync_commits());
        removed.map_err(|error| OpenError::io("remove", &name, error))?;
    }
    // A program that was killed may not have come to sync what it wrote; what is found here is
    // shown from now on, and the tail file and the index name it.
    let synced = file.sync_all().and_then(|()| place.sync_commits());
    synced.map_err(|error| OpenError::io("sync", &name, error))?;
    let active = Active { file, header, filled: mark.offset, ranges };
    Ok(Ok(Recovered { state, active, mark, created: false, dropped }))
}

/// Copies what is behind the last group to a file of its own and overwrites it with zeros.
fn drop_rest(
    place: &Place,
    file: &dyn DiskFile,
    scanner: &mut Scanner,
    mark: &Mark,
    name: &str,
) -> Result<Option<Dropped>, OpenError> {
    let read = |error| OpenError::io("read", name, error);
    let Some((_, end)) = scanner.rest(mark.offset).map_err(read)? else { return Ok(None) };
    let bytes = scanner.bytes(mark.offset, (end - mark.offset) as usize).map_err(read)?.to_vec();
    let copy = format!("{}/{:010}-{}.bin", files::SET_ASIDE, mark.segment, mark.offset);
    let set_aside = || {
        place.disk.create_dir(&place.dir.join(files::SET_ASIDE))?;
        let file = place.open(&copy, OpenMode::Create)?;
        file.write_at(0, &bytes)?;
        file.sync_all()?;
        place.disk.sync_dir(&place.dir.join(files::SET_ASIDE))?;
        place.disk.sync_dir(&place.dir)
    };
    let set_aside = match set_aside() {
        Ok(()) => Some(copy),
        // The bytes were never acknowledged: the journal opens without a copy of them.
        Err(error) if is_full(&error) => {
            // What there is of the copy may be in the way of more important things.
            let _ = place.disk.remove(&place.dir.join(&copy));
            None
        }
        Err(error) => return Err(OpenError::io("write", &copy, error)),
    };
    let zeroed = file.write_at(mark.offset, &vec![0; bytes.len()]).and_then(|()| file.sync_data());
    zeroed.map_err(|error| OpenError::io("write", name, error))?;
    let (file, bytes) = (name.to_owned(), bytes.len() as u64);
    Ok(Some(Dropped { file, offset: mark.offset, bytes, set_aside }))
}

/// Creates the first segment of a new journal.
fn create(
    place: &Place,
    segment_bytes: u64,
    new_id: &dyn Fn() -> Result<[u8; 48], OpenError>,
) -> Result<Recovered, OpenError> {
    let random = new_id()?;
    let (mut journal, mut chain) = ([0; 16], [0; 32]);
    journal.copy_from_slice(&random[..16]);
    chain.copy_from_slice(&random[16..]);
    let header = SegmentHeader { journal, number: 1, first_group: 1, chain };
    let state = State::default();
    let started = start_segment(place, header, &state, segment_bytes);
    let (active, mark) =
        started.map_err(|error| OpenError::io("create", &files::segment_name(1), error.into()))?;
    debug_assert_eq!(mark.offset, FIRST_END);
    Ok(Recovered { state, active, mark, created: true, dropped: None })
}
