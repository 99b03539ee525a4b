//! Reads the commit files group by group, from the front or from any segment on, and checks each:
//! what the deep check does in one go and the scrub in small steps.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use evidence::log::Position;
use evidence::record::RecordView;

use super::report::{CheckProgress, CheckReport};
use crate::attachments::{self, Store};
use crate::catalog::audit::Audit;
use crate::damage::Damaged;
use crate::disk::OpenMode;
use crate::error::OpenError;
use crate::files;
use crate::frame::{Head, Kind};
use crate::limits::FRAME_HEADER;
use crate::recover::{End, check_footer, read_header};
use crate::replay::{Items, Snapshots, replay};
use crate::report::Damage;
use crate::scan::{Scanner, Step};
use crate::segment::{LogKey, SegmentHeader};
use crate::state::State;
use crate::tail::Mark;
use crate::writer::{Place, RangeStart, note_ranges};

/// What to walk.
pub(super) struct Route {
    pub place: Place,
    /// What compares the index, or why the files are checked alone.
    pub audit: Result<Audit, String>,
    /// The attachments.
    pub attachments: Arc<Store>,
    /// First segment; its snapshot is where the walk starts from.
    pub first: u64,
    /// Last segment.
    pub last: u64,
    /// Where to stop; without it, where the files end.
    pub stop: Option<Mark>,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    /// There is more in this segment.
    Group,
    /// A segment ended.
    Segment,
    /// An attachment was read.
    Attachment,
    /// About a page of the index was read.
    Index,
    /// Everything was read.
    End,
}

/// A check under way.
pub(crate) struct Walker {
    pub audit: Option<Audit>,
    pub state: State,
    pub report: CheckReport,
    /// The totals are the caller's.
    pub progress: CheckProgress,
    place: Place,
    attachments: Arc<Store>,
    /// Attachments that are left, when all segments were read.
    files: Option<attachments::Files>,
    last: u64,
    stop: Option<Mark>,
    /// The next segment to open.
    next: u64,
    /// The segment before it, if that was whole.
    previous: Option<(SegmentHeader, Mark)>,
    reading: Option<Reading>,
    /// Bytes of the segments before the one being read.
    bytes_before: u64,
    /// Bytes read behind the last group.
    pub bytes_behind: u64,
}

/// The segment that is being read.
struct Reading {
    scanner: Scanner,
    header: SegmentHeader,
    mode: Snapshots,
    mark: Mark,
    ranges: BTreeMap<LogKey, RangeStart>,
}

/// What the next piece of a segment was.
enum Piece {
    Group,
    /// In order; the next segment continues it.
    Whole,
    /// Damaged: the next segment starts from its own snapshot.
    Lost(Option<Damaged>),
}

impl Walker {
    pub(super) fn new(route: Route) -> Self {
        let Route { place, audit, attachments, first, last, stop } = route;
        let (state, mut report, mut progress): (_, CheckReport, CheckProgress) = Default::default();
        let audit = audit.map_err(|reason| report.index_not_compared = Some(reason)).ok();
        progress.segments_total = last;
        progress.segments = first.saturating_sub(1);
        Self {
            audit,
            state,
            report,
            progress,
            place,
            files: Some(attachments::Files::new(attachments.clone())),
            attachments,
            last,
            stop,
            next: first,
            previous: None,
            reading: None,
            bytes_before: 0,
            bytes_behind: 0,
        }
    }

    /// Bytes read so far, of whatever kind.
    pub(super) fn read(&self) -> u64 {
        let index = self.audit.as_ref().map_or(0, |audit| audit.bytes);
        self.report.bytes + self.bytes_behind + index
    }

    /// The segment that is read or comes next.
    pub(super) fn segment(&self) -> u64 {
        self.reading.as_ref().map_or(self.next, |reading| reading.header.number)
    }

    /// The end of the last group, if the last segment was whole.
    pub(super) fn end(&self) -> Option<Mark> {
        self.previous.map(|(_, mark)| mark)
    }

    pub(crate) fn damage(
        &mut self,
        file: &str,
        offset: Option<u64>,
        position: Option<Position>,
        what: &str,
    ) {
        let (file, what) = (file.to_owned(), what.to_owned());
        self.report.add(Damage { file, offset, position, what });
    }

    fn damaged(&mut self, damaged: &Damaged) {
        let name = files::segment_name(damaged.segment);
        self.damage(&name, Some(damaged.at), damaged.position.clone(), &damaged.why);
    }

    /// Reads one more piece: a group (at most 64 MiB), or what is around the groups. A damaged
    /// segment is read to its end in one step.
    pub(super) fn step(&mut self) -> Result<Walked, OpenError> {
        let Some(mut reading) = self.reading.take() else { return self.open() };
        let name = files::segment_name(reading.header.number);
        let io = |error| OpenError::io("read", &name, error);
        match self.piece(&mut reading).map_err(io)? {
            Piece::Group if self.stop != Some(reading.mark) => {
                self.count(&name, reading.mark.offset);
                self.reading = Some(reading);
                return Ok(Walked::Group);
            }
            Piece::Group | Piece::Whole => self.previous = Some((reading.header, reading.mark)),
            Piece::Lost(damaged) => {
                if let Some(damaged) = damaged {
                    self.salvage(&mut reading, damaged).map_err(io)?;
                }
                self.previous = None;
            }
        }
        let stopped = self.stop == Some(reading.mark);
        let read = if stopped { reading.mark.offset } else { reading.scanner.size() };
        self.count(&name, read);
        self.report.file(&name).bytes = reading.mark.offset;
        self.bytes_before += read;
        self.report.segments += 1;
        self.progress.segments = reading.header.number;
        Ok(Walked::Segment)
    }

    /// Notes how much of a segment was read.
    fn count(&mut self, name: &str, read: u64) {
        self.report.file(name).bytes = read;
        self.report.bytes = self.bytes_before + read;
        self.progress.bytes = self.report.bytes;
        self.progress.records = self.report.records;
    }

    /// Opens the next segment.
    fn open(&mut self) -> Result<Walked, OpenError> {
        // At the front: the sooner they are let go of, the sooner merged ones are removed.
        if self.run_page() {
            return Ok(Walked::Index);
        }
        let number = self.next;
        if number > self.last {
            return Ok(self.attachment());
        }
        self.next += 1;
        let name = files::segment_name(number);
        self.report.file(&name);
        let (file, header) = match read_header(&self.place, number, OpenMode::Read)? {
            Ok(opened) => opened,
            Err(damaged) => {
                self.damaged(&damaged);
                self.previous = None;
                self.progress.segments = number;
                return Ok(Walked::Segment);
            }
        };
        let follows = self.previous.is_none_or(|(before, mark)| {
            before.journal == header.journal
                && header.first_group == mark.group + 1
                && header.chain == mark.chain
        });
        if !follows || (number == 1 && header.first_group != 1) {
            self.damaged(&Damaged::new(number, 0, "segment does not continue the one before it"));
            self.previous = None;
        }
        let mode = if self.previous.is_some() { Snapshots::Compare } else { Snapshots::Load };
        if mode == Snapshots::Load {
            self.state = State::default();
        }
        let scanner = Scanner::new(file, &header);
        let scanner = scanner.map_err(|error| OpenError::io("read", &name, error))?;
        let (group, offset) = (header.first_group - 1, scanner.at);
        let mark = Mark { segment: number, offset, group, chain: header.chain };
        self.reading = Some(Reading { scanner, header, mode, mark, ranges: BTreeMap::new() });
        Ok(Walked::Group)
    }

    /// Leaves the attachments out: somebody else reads them.
    pub(super) fn skip_attachments(&mut self) {
        self.files = None;
    }

    /// Re-hashes the next attachment, when all segments were read.
    fn attachment(&mut self) -> Walked {
        let report = &mut self.report;
        let read = self.files.as_mut().and_then(|files| files.next(&mut |d| report.add(d)));
        if let Some(bytes) = read {
            self.report.attachments += 1;
            self.report.bytes += bytes;
            self.progress.bytes = self.report.bytes;
            return Walked::Attachment;
        }
        self.report.logs = self.state.infos();
        Walked::End
    }

    /// Looks for the attachments that records of own logs name.
    fn named_attachments(&mut self, items: &Items, bytes: &[u8]) {
        for item in items.records.iter().filter(|item| item.names_attachments) {
            if let Ok(record) = RecordView::parse(&bytes[item.body()]) {
                let report = &mut self.report;
                let tell = &mut |damage| report.add(damage);
                attachments::check_named(&self.attachments, record.header(), tell);
            }
        }
    }

    /// Checks the next piece of a segment.
    fn piece(&mut self, reading: &mut Reading) -> io::Result<Piece> {
        let number = reading.header.number;
        let Reading { scanner, mode, mark, ranges, .. } = reading;
        match scanner.next()? {
            Step::Group(group) => {
                let items = match replay(&mut self.state, &group, *mode) {
                    Ok(items) => items,
                    Err(flaw) => return Ok(Piece::Lost(Some(Damaged::of_flaw(number, &flaw)))),
                };
                *mode = Snapshots::Compare;
                note_ranges(ranges, &items, group.start);
                *mark = group.mark(number);
                self.compare(&items, group.bytes, group.start, number);
                self.named_attachments(&items, group.bytes);
                let records = items.records.len() as u64;
                self.report.groups += 1;
                self.report.records += records;
                let file = self.report.file(&files::segment_name(number));
                (file.groups, file.records) = (file.groups + 1, file.records + records);
                Ok(Piece::Group)
            }
            Step::End { at } => Ok(match self.end_at(scanner, number, at)? {
                None => Piece::Whole,
                Some(damaged) => Piece::Lost(Some(damaged)),
            }),
            Step::Footer { at, end, footer } => {
                let found = check_footer(scanner, mark, &self.state, ranges, (at, end), &footer)?;
                match found {
                    End::Sealed { whole: true } if number < self.last => return Ok(Piece::Whole),
                    // The successor is durable before a footer is written.
                    End::Sealed { whole: true } => {
                        self.damaged(&Damaged::new(number + 1, 0, "file is missing"));
                    }
                    End::Flaw(damaged) => self.damaged(&damaged),
                    _ => self.damaged(&Damaged::new(number, end, "end mark is damaged")),
                }
                Ok(Piece::Lost(None))
            }
            Step::Broken { at, why } => Ok(Piece::Lost(Some(Damaged::new(number, at, why)))),
        }
    }

    /// Whether a segment may end here.
    fn end_at(&self, scanner: &mut Scanner, number: u64, at: u64) -> io::Result<Option<Damaged>> {
        let damaged = |at, why| Ok(Some(Damaged::new(number, at, why)));
        if number < self.last {
            return damaged(at, "footer is missing");
        }
        if self.stop.is_some() {
            return damaged(at, "the last group is missing");
        }
        match scanner.rest(at)? {
            Some((at, _)) => damaged(at, "group is unfinished"),
            None => Ok(None),
        }
    }

    /// Reports a damage, and every further one that can be told without the state: broken places
    /// and records that do not match their place.
    fn salvage(&mut self, reading: &mut Reading, mut lost: Damaged) -> io::Result<()> {
        let scanner = &mut reading.scanner;
        let number = reading.header.number;
        let name = files::segment_name(number);
        let end = self.stop.filter(|stop| stop.segment == number).map(|stop| stop.offset);
        if lost.position.is_none() {
            lost.position = self.position(scanner.bytes(lost.at, FRAME_HEADER)?);
        }
        let mut at = lost.at;
        self.damaged(&lost);
        // The first frame may be intact and say something impossible: it is reported already.
        let mut expected = None;
        while let Some((found, head, body)) = scanner.find(at)? {
            if end.is_some_and(|end| found >= end) {
                break;
            }
            let record_is_good = head.kind != Kind::Record
                || RecordView::parse(body).is_ok_and(|record| {
                    let header = record.header();
                    (header.epoch, header.seq) == (head.epoch, head.seq)
                });
            if expected.is_some_and(|expected| expected != found) {
                let gap = expected.unwrap_or(found);
                let position = self.position(scanner.bytes(gap, FRAME_HEADER)?);
                self.damage(&name, Some(gap), position, "no intact frame");
            }
            if !record_is_good {
                let position = self.named(&head);
                self.damage(&name, Some(found), position, "record is malformed");
            }
            at = found + head.span() as u64;
            expected = Some(at);
        }
        Ok(())
    }

    /// The record that a frame's head names, if it names one.
    fn position(&self, head: &[u8]) -> Option<Position> {
        let head = head.first_chunk().and_then(Head::decode)?;
        (head.kind == Kind::Record).then(|| self.named(&head))?
    }

    fn named(&self, head: &Head) -> Option<Position> {
        let log = self.state.log(head.log_no)?.name.clone();
        Some(Position { log, epoch: head.epoch, seq: head.seq })
    }
}
