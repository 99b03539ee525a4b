//! Figures of a journal that nobody has open, without reading all of it.

use std::path::Path;
use std::sync::Arc;

use crate::attachments::Store;
use crate::backup;
use crate::disk::OpenMode;
use crate::disk::os::OsDisk;
use crate::error::OpenError;
use crate::files;
use crate::index::folders::Folders;
use crate::recover::{TailFile, read_header, scan_segment, segments};
use crate::replay::Snapshots;
use crate::report::{DamageReport, LogInfo, QuarantinedIndex};
use crate::room::Room;
use crate::state::State;
use crate::writer::Place;

/// What a journal's folder, or a backup's, holds. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesStat {
    /// Identity of the journal.
    pub journal: [u8; 16],
    /// Commit files.
    pub segments: u64,
    /// Bytes of commit files: all of the sealed ones, of the last one up to the end of its last
    /// whole group.
    pub commit_bytes: u64,
    /// Number of the last whole group.
    pub groups: u64,
    /// Every log and epoch.
    pub logs: Vec<LogInfo>,
    /// Bytes of attachments.
    pub attachment_bytes: u64,
    /// Bytes of the files of the index.
    pub index_bytes: u64,
    /// An index that could not be used, if one was moved aside.
    pub quarantined: Option<QuarantinedIndex>,
    /// Bytes of the reserve; 0 if it is not there.
    pub reserve_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// When the backup was begun, microseconds since 1970 UTC, if it is one.
    pub backup_taken_at: Option<i64>,
}

impl FilesStat {
    /// Records of all logs.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.logs.iter().map(|info| info.size).sum()
    }
}

/// Reads the figures of a folder that nobody has open: lengths of files, and the last commit file,
/// whose snapshot says everything about the ones before it. Changes nothing and checks nothing
/// else: that is [`crate::check_files`].
///
/// # Errors
/// [`OpenError::InUse`], [`OpenError::Damaged`] if the last commit file cannot be read,
/// [`OpenError::Version`] or an error of the operating system.
pub fn stat_files(dir: &Path) -> Result<FilesStat, OpenError> {
    let place = Place { disk: Arc::new(OsDisk), dir: dir.to_path_buf() };
    let manifest = backup::manifest_of(&place)?;
    let _lock = if manifest.is_some() { None } else { super::lock(&place)? };
    let numbers = segments(&place)?;
    let last = numbers.last().copied().unwrap_or(1);
    let damaged = |offset, what: &str| {
        let (file, what, missing) = (files::segment_name(last), what.to_owned(), Vec::new());
        OpenError::Damaged(Box::new(DamageReport { file, offset, what, missing }))
    };
    let (file, header) = read_header(&place, last, OpenMode::Read)?
        .map_err(|found| damaged(found.at, &found.why))?;
    let mut state = State::default();
    let tail = TailFile::read(&place)?.tail();
    let scanned = scan_segment(file, header, &mut state, Snapshots::Load, tail);
    let scanned =
        scanned.map_err(|error| OpenError::io("read", &files::segment_name(last), error))?;
    if scanned.groups == 0 {
        return Err(damaged(scanned.mark.offset, "snapshot is damaged"));
    }
    let (room, index) = (Room::new(&place, 0)?, Folders::new(&dir.join(files::INDEX)));
    let before: Vec<u64> = numbers.into_iter().filter(|number| *number < last).collect();
    let reserve = place.open(files::RESERVE, OpenMode::Read).and_then(|file| file.size());
    Ok(FilesStat {
        journal: header.journal,
        segments: last,
        commit_bytes: super::sizes(&place, &before)? + scanned.mark.offset,
        groups: scanned.mark.group,
        logs: state.infos(),
        attachment_bytes: Store::new(place.clone(), room.clone()).bytes(),
        index_bytes: index.bytes(),
        quarantined: index.quarantined(),
        reserve_bytes: reserve.unwrap_or(0),
        free_bytes: room.free().unwrap_or(0),
        backup_taken_at: manifest.and_then(Result::ok).map(|manifest| manifest.taken_at),
    })
}
