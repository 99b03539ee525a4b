//! The deep check: every byte of the commit files, every record re-hashed, every entry of the index
//! compared with what it must be.

use std::io;
use std::path::Path;
use std::sync::Arc;

use evidence::log::Position;
use evidence::record::RecordView;

use crate::batch;
use crate::damage::Damaged;
use crate::disk::os::OsDisk;
use crate::disk::{Disk, OpenMode};
use crate::error::OpenError;
use crate::files;
use crate::frame::{Head, Kind};
use crate::index::{Index, IndexBatch, keys};
use crate::journal::Journal;
use crate::limits::FRAME_HEADER;
use crate::recover::{End, TailFile, check_footer, read_header, segments};
use crate::replay::{Snapshots, replay};
use crate::report::{Damage, VerifyProgress, VerifyReport};
use crate::scan::{Scanner, Step};
use crate::segment::SegmentHeader;
use crate::state::State;
use crate::tail::{Mark, TAIL_LEN, Tail};
use crate::writer::{Place, note_ranges};

/// Checks the commit files of a journal that nobody has open, damaged or not, and changes nothing.
/// The index is not looked at: it is rebuilt from these files.
///
/// # Errors
/// [`OpenError::InUse`], [`OpenError::Version`] or an error of the operating system. Damage is not
/// an error, it is in the report.
pub fn check_files(
    dir: &Path,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<VerifyReport, OpenError> {
    check_files_on(Arc::new(OsDisk), dir, progress)
}

/// As [`check_files`], on another disk.
pub(crate) fn check_files_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<VerifyReport, OpenError> {
    let place = Place { disk, dir: dir.to_path_buf() };
    let lock = place.disk.lock(&dir.join(files::LOCK));
    let lock = lock.map_err(|error| OpenError::io("lock", files::LOCK, error))?;
    let folder = || dir.display().to_string();
    let _lock = lock.ok_or_else(|| OpenError::InUse { folder: folder() })?;
    let numbers = segments(&place)?;
    let tail = TailFile::read(&place)?;
    let mut check = Check::new(&place, None, numbers.last().copied().unwrap_or(0), None, progress);
    let end = check.run()?;
    match tail {
        TailFile::Read(tail) if tail.group > end.map_or(0, |mark| mark.group) => {
            check.damage(files::TAIL, None, None, "it names a group that is not there");
        }
        TailFile::Unreadable => check.damage(files::TAIL, Some(0), None, "it cannot be read"),
        TailFile::Absent if end.is_some() => check.damage(files::TAIL, None, None, "it is missing"),
        _ => {}
    }
    Ok(check.report)
}

impl Journal {
    /// The deep check: reads every commit file, re-hashes every record, compares all roots, footers
    /// and digests, and compares every entry of the index with what it must be. Commits go on
    /// meanwhile; what is committed after the start is not checked.
    #[must_use]
    pub fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> VerifyReport {
        let place = self.inner.place.clone();
        // The writer's lock keeps mark and published state together; a stopped writer keeps both.
        let (mark, expected) = {
            let writer = self.writer_even_stopped();
            (writer.mark, self.state().infos())
        };
        let index = Some(&*self.inner.index);
        let mut check = Check::new(&place, index, mark.segment, Some(mark), progress);
        check.total = expected.iter().map(|log| log.size).sum();
        match check.run() {
            Ok(end) if check.report.is_clean() => {
                if end != Some(mark) || check.state.infos() != expected {
                    let name = files::segment_name(mark.segment);
                    check.damage(&name, None, None, "it does not give what is published");
                }
            }
            Ok(_) => {}
            Err(error) => check.damage(files::COMMITS, None, None, &error.to_string()),
        }
        self.check_end(&mut check);
        check.report
    }

    /// Checks the tail file, and that nothing but zeros is behind the last group.
    fn check_end(&self, check: &mut Check<'_>) {
        let writer = self.writer_even_stopped();
        let mut bytes = [0; TAIL_LEN + 1];
        let read = writer.tail.read_at(0, &mut bytes);
        let tail = read.ok().and_then(|len| Tail::decode(&bytes[..len]));
        if writer.stopped.is_none() && !tail.is_some_and(|tail| tail.is_of(&writer.mark)) {
            check.damage(files::TAIL, Some(0), None, "it does not name the last group");
        }
        let name = files::segment_name(writer.mark.segment);
        let scanner = Scanner::new(writer.active.file.clone(), &writer.active.header);
        let rest = scanner.and_then(|mut scanner| scanner.rest(writer.mark.offset));
        match rest {
            Ok(Some((at, _))) if writer.stopped.is_none() => {
                check.damage(&name, Some(at), None, "not zero behind the last group");
            }
            Ok(_) => {}
            Err(error) => check.damage(&name, None, None, &error.to_string()),
        }
    }
}

/// A running check.
struct Check<'a> {
    place: &'a Place,
    index: Option<&'a dyn Index>,
    last: u64,
    /// Where to stop; without it, where the files end.
    stop: Option<Mark>,
    total: u64,
    progress: &'a mut dyn FnMut(VerifyProgress),
    state: State,
    report: VerifyReport,
}

/// How a segment ended for the check.
enum Outcome {
    /// In order; the next segment continues it.
    Whole(Mark),
    /// Damaged: the next segment starts from its own snapshot.
    Lost,
}

impl<'a> Check<'a> {
    fn new(
        place: &'a Place,
        index: Option<&'a dyn Index>,
        last: u64,
        stop: Option<Mark>,
        progress: &'a mut dyn FnMut(VerifyProgress),
    ) -> Self {
        let (state, report) = Default::default();
        Self { place, index, last, stop, total: 0, progress, state, report }
    }

    fn damage(&mut self, file: &str, offset: Option<u64>, position: Option<Position>, what: &str) {
        let (file, what) = (file.to_owned(), what.to_owned());
        self.report.add(Damage { file, offset, position, what });
    }

    fn damaged(&mut self, damaged: &Damaged) {
        let name = files::segment_name(damaged.segment);
        self.damage(&name, Some(damaged.at), damaged.position.clone(), &damaged.why);
    }

    fn tell(&mut self) {
        (self.progress)(VerifyProgress {
            records: self.report.records,
            records_total: self.total,
            segments: self.report.segments,
            segments_total: self.last,
        });
    }

    /// Checks all segments; returns the end of the last group, if the last segment is whole.
    fn run(&mut self) -> Result<Option<Mark>, OpenError> {
        let mut previous: Option<(SegmentHeader, Mark)> = None;
        for number in 1..=self.last {
            let (file, header) = match read_header(self.place, number, OpenMode::Read) {
                Ok(Ok(opened)) => opened,
                Ok(Err(damaged)) => {
                    self.damaged(&damaged);
                    previous = None;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let follows = previous.is_none_or(|(before, mark)| {
                before.journal == header.journal
                    && header.first_group == mark.group + 1
                    && header.chain == mark.chain
            });
            if !follows || (number == 1 && header.first_group != 1) {
                let why = "segment does not continue the one before it";
                self.damaged(&Damaged::new(number, 0, why));
                previous = None;
            }
            let mode = if previous.is_some() { Snapshots::Compare } else { Snapshots::Load };
            if mode == Snapshots::Load {
                self.state = State::default();
            }
            let io = |error| OpenError::io("read", &files::segment_name(number), error);
            let scanner = Scanner::new(file, &header).map_err(io)?;
            let outcome = self.segment(scanner, &header, mode).map_err(io)?;
            previous = match outcome {
                Outcome::Whole(mark) => Some((header, mark)),
                Outcome::Lost => None,
            };
            self.report.segments += 1;
            self.tell();
        }
        self.report.logs = self.state.infos();
        Ok(previous.map(|(_, mark)| mark))
    }

    /// Checks one segment.
    fn segment(
        &mut self,
        mut scanner: Scanner,
        header: &SegmentHeader,
        mut mode: Snapshots,
    ) -> io::Result<Outcome> {
        let number = header.number;
        let (group, offset) = (header.first_group - 1, scanner.at);
        let mut mark = Mark { segment: number, offset, group, chain: header.chain };
        let mut ranges = std::collections::BTreeMap::new();
        let lost = loop {
            match scanner.next()? {
                Step::Group(group) => {
                    let items = match replay(&mut self.state, &group, mode) {
                        Ok(items) => items,
                        Err(flaw) => break Damaged::of_flaw(number, &flaw),
                    };
                    mode = Snapshots::Compare;
                    note_ranges(&mut ranges, &items, group.start);
                    mark = group.mark(number);
                    let mut entries = IndexBatch::new();
                    batch::build(&items, group.bytes, group.start, &mark, &mut entries);
                    self.compare(&entries);
                    self.report.groups += 1;
                    self.report.records += items.records.len() as u64;
                    self.report.bytes += group.end - group.start;
                    if self.report.groups.is_multiple_of(1024) {
                        self.tell();
                    }
                    if self.stop == Some(mark) {
                        return Ok(Outcome::Whole(mark));
                    }
                }
                Step::End { at } => match self.end(&mut scanner, number, at)? {
                    None => return Ok(Outcome::Whole(mark)),
                    Some(damaged) => break damaged,
                },
                Step::Footer { at, end, footer } => {
                    let place = (at, end);
                    let end =
                        check_footer(&mut scanner, &mark, &self.state, &ranges, place, &footer)?;
                    match end {
                        End::Sealed { whole: true } => return Ok(Outcome::Whole(mark)),
                        End::Flaw(damaged) => self.damaged(&damaged),
                        _ => self.damaged(&Damaged::new(number, place.1, "end mark is damaged")),
                    }
                    return Ok(Outcome::Lost);
                }
                Step::Broken { at, why } => break Damaged::new(number, at, why),
            }
        };
        self.salvage(&mut scanner, header, lost)?;
        Ok(Outcome::Lost)
    }

    /// Whether a segment may end here.
    fn end(&self, scanner: &mut Scanner, number: u64, at: u64) -> io::Result<Option<Damaged>> {
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
    /// and records that do not match their stored leaf hash.
    fn salvage(
        &mut self,
        scanner: &mut Scanner,
        header: &SegmentHeader,
        mut lost: Damaged,
    ) -> io::Result<()> {
        let number = header.number;
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

    /// Compares the entries of a group with the index.
    fn compare(&mut self, entries: &IndexBatch) {
        let Some(index) = self.index else { return };
        for (key, value) in entries {
            if key.as_ref() == keys::APPLIED {
                continue;
            }
            self.report.index_entries += 1;
            let what = match index.get(key) {
                Ok(Some(found)) if found == *value => continue,
                Ok(Some(_)) => "its entry is damaged",
                Ok(None) => "its entry is missing",
                Err(error) => {
                    self.damage(files::INDEX, None, entry_place(&self.state, key), &error.reason);
                    continue;
                }
            };
            let what = format!("{what} (kind {})", char::from(key[0]));
            self.damage(files::INDEX, None, entry_place(&self.state, key), &what);
        }
    }
}

/// The record that an entry of the index is about.
fn entry_place(state: &State, key: &[u8]) -> Option<Position> {
    let (log_no, epoch, seq) = match key.first()? {
        b'E' => keys::parse_event(key)?,
        b'V' => keys::parse_version(key)?.1,
        b'C' => return None,
        _ => {
            let ((log_no, epoch), seq) = keys::parse_pack(key.get(..15)?)?;
            (log_no, epoch, seq)
        }
    };
    Some(Position { log: state.log(log_no)?.name.clone(), epoch, seq })
}
