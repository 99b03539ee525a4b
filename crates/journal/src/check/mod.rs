//! The deep check: every byte of the commit files, every record re-hashed, every entry of the index
//! compared with what it must be. In one go ([`Journal::check`], [`check_files`]) or in small steps
//! all the time ([`Scrub`]).

mod index;
mod read;
mod report;
mod scrub;
mod stat;
mod walk;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::attachments::Store;
use crate::backup;
use crate::disk::os::OsDisk;
use crate::disk::{Disk, OpenMode};
use crate::error::OpenError;
use crate::files;
use crate::journal::Journal;
use crate::recover::{TailFile, segments};
use crate::report::LogInfo;
use crate::room::Room;
use crate::scan::Scanner;
use crate::tail::{Mark, TAIL_LEN, Tail};
use crate::writer::Place;
use walk::{Route, Walked};

pub use read::{FilesRead, read_files};
pub use report::{CheckProgress, CheckReport, FileCheck};
pub use scrub::{Scrub, ScrubStep};
pub use stat::{FilesStat, stat_files};
pub(crate) use walk::Walker;

/// What is told how far a check is and may end it by [`ControlFlow::Break`]; asked at least once a
/// segment, and within it about every 4 MiB.
pub type CheckWatch<'a> = dyn FnMut(&CheckProgress) -> ControlFlow<()> + 'a;

/// Bytes between two reports of progress: some ten a second on a slow disk.
const TELL_EVERY: u64 = 4 * 1024 * 1024;

/// How often the end of the active segment is looked at while commits go on, before they are made
/// to wait for it.
const END_TRIES: u32 = 8;

/// Why [`check_files`] compares no index.
const FILES_ALONE: &str = "files that no program has open are checked alone; it is made from them";

/// Checks the commit files of a journal that nobody has open (or of a backup), damaged or not, and
/// changes nothing. The index is not looked at: it is rebuilt from these files.
///
/// # Errors
/// [`OpenError::InUse`], [`OpenError::Version`] or an error of the operating system. Damage is not
/// an error, it is in the report.
pub fn check_files(dir: &Path, watch: &mut CheckWatch<'_>) -> Result<CheckReport, OpenError> {
    check_files_on(Arc::new(OsDisk), dir, watch)
}

/// As [`check_files`], on another disk.
pub(crate) fn check_files_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    watch: &mut CheckWatch<'_>,
) -> Result<CheckReport, OpenError> {
    let place = Place { disk, dir: dir.to_path_buf() };
    let manifest = backup::manifest_of(&place)?;
    // Nobody writes a backup, and it may lie where nobody can.
    let _lock = if manifest.is_some() { None } else { lock(&place)? };
    let numbers = segments(&place)?;
    let tail = TailFile::read(&place)?;
    let last = numbers.last().copied().unwrap_or(0).max(1);
    let mut bytes_total = sizes(&place, &numbers)?;
    if let Some(Ok(manifest)) = &manifest {
        bytes_total += manifest.bytes();
    }
    let room = Room::new(&place, 0)?;
    let attachments = Arc::new(Store::new(place.clone(), room));
    if manifest.is_none() {
        bytes_total += attachments.bytes();
    }
    let audit = Err(FILES_ALONE.to_owned());
    let route = Route { place: place.clone(), audit, attachments, first: 1, last, stop: None };
    let mut walker = Walker::new(route);
    if manifest.is_some() {
        // They are compared with the manifest.
        walker.skip_attachments();
    }
    walker.progress.bytes_total = bytes_total;
    run(&mut walker, watch)?;
    match &manifest {
        _ if walker.report.interrupted => return Ok(walker.report),
        None => {}
        Some(Err(error)) => walker.damage(backup::MANIFEST, None, None, &error.to_string()),
        Some(Ok(manifest)) => {
            let compared = backup::compare(&place, manifest, &mut walker, watch);
            if compared.is_break() {
                walker.report.interrupted = true;
                return Ok(walker.report);
            }
            if walker.end() != Some(manifest.mark) && walker.report.damage_count == 0 {
                let what = "it does not end where the manifest says";
                walker.damage(backup::MANIFEST, None, None, what);
            }
        }
    }
    let end = walker.end();
    match tail {
        TailFile::Read(tail) if tail.group > end.map_or(0, |mark| mark.group) => {
            walker.damage(files::TAIL, None, None, "it names a group that is not there");
        }
        TailFile::Unreadable => walker.damage(files::TAIL, Some(0), None, "it cannot be read"),
        TailFile::Absent if end.is_some() => {
            walker.damage(files::TAIL, None, None, "it is missing");
        }
        _ => {}
    }
    Ok(walker.report)
}

/// Holds the folder while its files are read. What nobody can write needs no lock.
fn lock(place: &Place) -> Result<Option<Box<dyn Send + Sync>>, OpenError> {
    match place.disk.lock(&place.dir.join(files::LOCK)) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(OpenError::InUse { folder: place.dir.display().to_string() }),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(error) => Err(OpenError::io("lock", files::LOCK, error)),
    }
}

/// Bytes of the segments.
fn sizes(place: &Place, numbers: &[u64]) -> Result<u64, OpenError> {
    let size = |number: &u64| {
        let name = files::segment_name(*number);
        let size = place.open(&name, OpenMode::Read).and_then(|file| file.size());
        size.map_err(|error| OpenError::io("read", &name, error))
    };
    numbers.iter().map(size).sum()
}

/// Walks to the end, or until the watch breaks off.
fn run(walker: &mut Walker, watch: &mut CheckWatch<'_>) -> Result<(), OpenError> {
    let mut told = 0;
    loop {
        let walked = walker.step()?;
        let bytes = walker.read();
        let small = matches!(walked, Walked::Group | Walked::Attachment | Walked::Index);
        if small && bytes < told + TELL_EVERY {
            continue;
        }
        told = bytes;
        if watch(&walker.progress).is_break() && walked != Walked::End {
            walker.report.interrupted = true;
            walker.report.logs = walker.state.infos();
            return Ok(());
        }
        if walked == Walked::End {
            return Ok(());
        }
    }
}

/// What is published at the start of a check: where it ends and what it must find there.
struct Published {
    mark: Mark,
    logs: Vec<LogInfo>,
    /// The walk is over all groups.
    from_start: bool,
}

impl Journal {
    /// The deep check: reads every commit file, re-hashes every record, compares all roots, footers
    /// and digests, and compares every entry of the index with what it must be. Commits go on
    /// meanwhile; what is committed after the start is not checked. `watch` may end it early; the
    /// report then says so, as it does if there is no index that can be compared.
    #[must_use]
    pub fn check(&self, watch: &mut CheckWatch<'_>) -> CheckReport {
        let (mut walker, published) = self.walker(1);
        match run(&mut walker, watch) {
            Ok(()) if walker.report.interrupted => {}
            Ok(()) => self.conclude(&mut walker, &published),
            Err(error) => walker.damage(files::COMMITS, None, None, &error.to_string()),
        }
        walker.report
    }

    /// A walk over what is published now, from segment `first` on.
    fn walker(&self, first: u64) -> (Walker, Published) {
        // Others need the writer while an index is opened.
        self.inner.catalog.is_answering();
        // The writer's lock keeps mark and published state together; a stopped writer keeps both.
        let (published, bytes_total, audit) = {
            let writer = self.writer_even_stopped();
            let (mark, logs) = (writer.published, self.state().infos());
            let audit = if writer.mark == mark {
                self.inner.catalog.audit().map_err(|error| error.to_string())
            } else {
                // It may have a group that was never published.
                Err("the writer stopped in the middle of a group".to_owned())
            };
            let bytes_total = writer.sealed_bytes + mark.offset;
            (Published { mark, logs, from_start: first == 1 }, bytes_total, audit)
        };
        let place = self.inner.place.clone();
        let attachments = self.inner.attachments.clone();
        let bytes_total = bytes_total + attachments.bytes();
        let (last, stop) = (published.mark.segment, Some(published.mark));
        // A pass that was interrupted by a restart does not read again what is before it.
        let before: Vec<u64> = (1..first).collect();
        let skipped = sizes(&place, &before).unwrap_or(0);
        let mut walker = Walker::new(Route { place, audit, attachments, first, last, stop });
        walker.progress.bytes_total = bytes_total.saturating_sub(skipped);
        if before.is_empty() {
            walker.progress.records_total = published.logs.iter().map(|log| log.size).sum();
        }
        (walker, published)
    }

    /// Compares what a whole walk gave with what is published, and looks at the end.
    fn conclude(&self, walker: &mut Walker, published: &Published) {
        let right =
            || walker.end() == Some(published.mark) && walker.state.infos() == published.logs;
        if walker.report.damage_count == 0 && !right() {
            let name = files::segment_name(published.mark.segment);
            walker.damage(&name, None, None, "it does not give what is published");
        }
        if published.from_start {
            walker.end_audit();
        }
        self.check_tail(walker);
        self.check_end(walker);
    }

    /// Checks the tail file.
    fn check_tail(&self, walker: &mut Walker) {
        let writer = self.writer_even_stopped();
        let mut bytes = [0; TAIL_LEN + 1];
        let read = writer.tail.read_at(0, &mut bytes);
        let tail = read.ok().and_then(|len| Tail::decode(&bytes[..len]));
        if writer.stopped.is_none() && !tail.is_some_and(|tail| tail.is_of(&writer.mark)) {
            walker.damage(files::TAIL, Some(0), None, "it does not name the last group");
        }
    }

    /// Checks that nothing but zeros is behind the last group.
    fn check_end(&self, walker: &mut Walker) {
        for attempt in 0..=END_TRIES {
            let writer = self.writer_even_stopped();
            let (mark, file, header) =
                (writer.mark, writer.active.file.clone(), writer.active.header);
            // Reading may take a while: commits go on, unless they always come between.
            let waiting = (attempt == END_TRIES).then_some(writer);
            let name = files::segment_name(mark.segment);
            let scanner = Scanner::new(file, &header);
            let rest = scanner.and_then(|mut scanner| {
                // Once: what is looked at again comes from memory.
                walker.bytes_behind = scanner.size().saturating_sub(mark.offset);
                scanner.rest(mark.offset)
            });
            match rest {
                Ok(None) => return,
                Err(error) => return walker.damage(&name, None, None, &error.to_string()),
                Ok(Some((at, _))) => {
                    let writer = waiting.unwrap_or_else(|| self.writer_even_stopped());
                    if writer.stopped.is_some() {
                        return;
                    }
                    if writer.mark == mark {
                        let what = "not zero behind the last group";
                        return walker.damage(&name, Some(at), None, what);
                    }
                }
            }
        }
    }
}
