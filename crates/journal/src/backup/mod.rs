//! Backups of a journal in use, and journals made of them.
//!
//! A backup is an image as of one durable group: all sealed segments, the active one cut behind
//! that group, the tail file, the attachments, and the manifest `BACKUP` that names them all with
//! their SHA-256 ([`Manifest`]; the format is in `FORMAT.md`). The writer goes on meanwhile. The
//! index is not part of it: it is rebuilt. No signing key is part of it either: keys are outside
//! the journal's folder, so a stolen backup signs nothing and opens no sealed part.
//!
//! A folder with a manifest does not open as a journal ([`crate::OpenError::IsBackup`]): the
//! journal that it was taken from may have gone on, and both would use the same sequences.
//! [`restore()`]
//! makes a journal of it that opens the next epoch of every own log. Unfinished folders end in
//! `.partial` and do not open either.

mod error;
mod files;
mod manifest;
mod receive;
mod restore;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use evidence::hash::Hash;
use sha2::{Digest, Sha256};

use crate::check::{CheckWatch, Walker};
use crate::disk::{DiskFile, OpenMode};
use crate::error::OpenError;
use crate::files::{ATTACHMENTS, TAIL, segment_name};
use crate::journal::Journal;
use crate::report::LogInfo;
use crate::tail::Mark;
use crate::writer::Place;

pub use error::{BackupError, RestoreError};
pub use manifest::{BackupFile, MANIFEST, Manifest, ManifestError};
pub use receive::BackupWriter;
pub use restore::{EndedEpoch, Restore, RestoreReport, Restored, restore};

/// How much is copied at once, in bytes: a few milliseconds of a disk, and far below what matters
/// in memory.
pub(crate) const PIECE: usize = 1024 * 1024;

/// Ending of the folder of an unfinished backup or restore. It becomes the final name at the very
/// end, so what has that name is whole.
pub(crate) const PARTIAL: &str = ".partial";

/// How far a backup or restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is being done.
    pub phase: CopyPhase,
    /// Bytes done in this phase.
    pub bytes: u64,
    /// Bytes of this phase.
    pub bytes_total: u64,
}

/// The parts of a backup or restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPhase {
    /// Files are copied.
    Copy,
    /// A backup is checked.
    Check,
    /// The index of what was restored is built, and the next epochs are opened.
    Open,
}

/// What is told how far a copy is, and may end it by [`ControlFlow::Break`].
pub type CopyWatch<'a> = dyn FnMut(CopyProgress) -> ControlFlow<()> + 'a;

/// An image of a journal in use. Holds the journal like a clone of it.
pub struct Backup {
    journal: Journal,
    taken_at: i64,
    id: [u8; 16],
    mark: Mark,
    logs: Vec<LogInfo>,
    files: Vec<BackupFile>,
    digests: Vec<Option<Hash>>,
    /// The file being read in order: its number, how far, its digest so far.
    reading: Option<(usize, u64, Sha256)>,
    /// The file that was opened last.
    open: Option<(usize, Arc<dyn DiskFile>)>,
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Journal {
    /// A consistent image as of the last published group. `clock` is the caller's wall clock in
    /// microseconds since 1970 UTC. Nothing is copied yet; commits go on, and what they add is not
    /// part of the image.
    ///
    /// # Errors
    /// [`BackupError::Io`]
    pub fn backup(&self, clock: i64) -> Result<Backup, BackupError> {
        // The writer's lock keeps mark and published state together. A group that was written when
        // the writer stopped was never acknowledged and is not part of the image.
        let (mark, logs, id) = {
            let writer = self.writer_even_stopped();
            (writer.published, self.state().infos(), writer.active.header.journal)
        };
        let place = &self.inner.place;
        let mut files = Vec::new();
        for number in 1..=mark.segment {
            let name = segment_name(number);
            let sealed = || place.open(&name, OpenMode::Read).and_then(|file| file.size());
            let len = if number == mark.segment { Ok(mark.offset) } else { sealed() };
            let len = len.map_err(|error| BackupError::io("read", &*name, error))?;
            files.push(BackupFile { name, len });
        }
        // An attachment is durable before the record that names it: listed after the mark was
        // taken, none is missing.
        files.extend(attachments(place)?);
        files.push(BackupFile { name: TAIL.to_owned(), len: mark.encode_tail().len() as u64 });
        let digests = vec![None; files.len()];
        let (journal, taken_at) = (self.clone(), clock);
        Ok(Backup { journal, taken_at, id, mark, logs, files, digests, reading: None, open: None })
    }
}

/// The attachments that are there.
fn attachments(place: &Place) -> Result<Vec<BackupFile>, BackupError> {
    let mut files = Vec::new();
    for prefix in 0..=u8::MAX {
        let folder = format!("{ATTACHMENTS}/{prefix:02x}");
        let names = place.disk.list(&place.dir.join(&folder));
        let mut names = names.map_err(|error| BackupError::io("list", &*folder, error))?;
        names.sort_unstable();
        // What is not finished yet has a name of another kind.
        let whole = |name: &&String| name.len() == 64 && evidence::hash::from_hex(name).is_some();
        for name in names.iter().filter(whole) {
            let name = format!("{folder}/{name}");
            let len = place.open(&name, OpenMode::Read).and_then(|file| file.size());
            let len = len.map_err(|error| BackupError::io("read", &*name, error))?;
            files.push(BackupFile { name, len });
        }
    }
    Ok(files)
}

impl Backup {
    /// The files in the order in which they should be read; the manifest comes last and is not
    /// among them.
    #[must_use]
    pub fn files(&self) -> &[BackupFile] {
        &self.files
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// Number of the last group.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.mark.group
    }

    /// Reads from file number `file` (as [`Backup::files`] lists it) at `offset` until `buf` is
    /// full or the file ends; 0 behind its end. Files that are read from front to back are hashed
    /// on the way; others are read once more by [`Backup::manifest`].
    ///
    /// # Errors
    /// [`BackupError::Io`], also if a file is shorter than it was.
    pub fn read(&mut self, file: usize, offset: u64, buf: &mut [u8]) -> Result<usize, BackupError> {
        let Some(BackupFile { name, len }) = self.files.get(file).cloned() else { return Ok(0) };
        let want = (len.saturating_sub(offset)).min(buf.len() as u64) as usize;
        let buf = &mut buf[..want];
        if name == TAIL {
            let tail = self.mark.encode_tail();
            buf.copy_from_slice(&tail[offset.min(len) as usize..][..want]);
        } else {
            let io = |error| BackupError::io("read", &*name, error);
            let source = match &self.open {
                Some((number, source)) if *number == file => Arc::clone(source),
                _ => self.journal.inner.place.open(&name, OpenMode::Read).map_err(io)?,
            };
            let read = source.read_at(offset, buf).map_err(io)?;
            if read < want {
                return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.open = Some((file, source));
        }
        self.hash(file, offset, len, buf);
        Ok(want)
    }

    /// Takes a piece into the digest of its file, if it continues it.
    fn hash(&mut self, file: usize, offset: u64, len: u64, piece: &[u8]) {
        let begun = match self.reading.take() {
            Some((number, at, hasher)) if (number, at) == (file, offset) => Some(hasher),
            _ if offset == 0 => Some(Sha256::new()),
            _ => None,
        };
        let Some(mut hasher) = begun else { return };
        hasher.update(piece);
        let at = offset + piece.len() as u64;
        if at == len {
            self.digests[file] = Some(hasher.finalize().into());
        } else {
            self.reading = Some((file, at, hasher));
        }
    }

    /// The manifest, to be written last: it makes the backup whole.
    ///
    /// # Errors
    /// [`BackupError::Io`] where a file must be read again for its digest.
    pub fn manifest(&mut self) -> Result<Manifest, BackupError> {
        let mut files = Vec::new();
        for number in 0..self.files.len() {
            let file = self.files[number].clone();
            let mut piece = vec![0; if self.digests[number].is_some() { 0 } else { PIECE }];
            let mut at = 0;
            while self.digests[number].is_none() {
                at += self.read(number, at, &mut piece)? as u64;
            }
            files.push((file, self.digests[number].unwrap_or_default()));
        }
        let logs = self.logs.iter().cloned();
        let logs = logs.map(|info| LogInfo { last_recorded_at: i64::MIN, ..info }).collect();
        let (journal, taken_at, mark) = (self.id, self.taken_at, self.mark);
        Ok(Manifest { journal, taken_at, mark, logs, files })
    }

    /// Writes the backup into the folder `dir` of this machine, which must not be there yet, and
    /// checks what was written.
    ///
    /// # Errors
    /// As [`BackupWriter`]; the unfinished folder is left then.
    pub fn write_to(
        &mut self,
        dir: &Path,
        watch: &mut CopyWatch<'_>,
    ) -> Result<Manifest, BackupError> {
        let mut writer = BackupWriter::create(dir)?;
        let (total, mut done, mut piece) = (self.bytes(), 0, vec![0; PIECE]);
        for number in 0..self.files.len() {
            let (name, mut at) = (self.files[number].name.clone(), 0);
            loop {
                let read = self.read(number, at, &mut piece)?;
                writer.write(&name, at, &piece[..read])?;
                (at, done) = (at + read as u64, done + read as u64);
                let progress =
                    CopyProgress { phase: CopyPhase::Copy, bytes: done, bytes_total: total };
                if watch(progress).is_break() {
                    return Err(BackupError::Interrupted);
                }
                if at >= self.files[number].len {
                    break;
                }
            }
        }
        let text = self.manifest()?.encode();
        writer.finish(&text, watch)
    }
}

/// Refuses to open what is a backup, or an unfinished one.
pub(crate) fn refuse(place: &Place) -> Result<(), OpenError> {
    let folder = || place.dir.display().to_string();
    let name = place.dir.file_name().map(|name| name.to_string_lossy());
    if name.is_some_and(|name| name.ends_with(PARTIAL)) {
        return Err(OpenError::Partial { folder: folder() });
    }
    match place.open(MANIFEST, OpenMode::Read) {
        Ok(_) => Err(OpenError::IsBackup { folder: folder() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::io("open", MANIFEST, error)),
    }
}

/// The manifest of a folder, if it has one.
pub(crate) fn manifest_of(
    place: &Place,
) -> Result<Option<Result<Manifest, ManifestError>>, OpenError> {
    let file = match place.open(MANIFEST, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io("open", MANIFEST, error)),
    };
    let io = |error| OpenError::io("read", MANIFEST, error);
    let len = file.size().map_err(io)?.min(manifest::MAX_MANIFEST);
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(0, &mut bytes).map_err(io)?;
    bytes.truncate(read);
    let text = String::from_utf8(bytes).map_err(|_| ManifestError::Damaged { line: 1 });
    Ok(Some(text.and_then(|text| Manifest::decode(&text))))
}

/// Compares the files of a backup with its manifest and reports each that differs.
pub(crate) fn compare(
    place: &Place,
    manifest: &Manifest,
    walker: &mut Walker,
    watch: &mut CheckWatch<'_>,
) -> ControlFlow<()> {
    let mut piece = vec![0; PIECE];
    for (file, digest) in &manifest.files {
        let mut hashed = || -> std::io::Result<ControlFlow<(), bool>> {
            let source = place.open(&file.name, OpenMode::Read)?;
            let (mut hasher, mut at) = (Sha256::new(), 0);
            loop {
                let read = source.read_at(at, &mut piece)?;
                hasher.update(&piece[..read]);
                at += read as u64;
                walker.progress.bytes += read as u64;
                if watch(&walker.progress).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if read < piece.len() {
                    let found: Hash = hasher.finalize().into();
                    return Ok(ControlFlow::Continue(at == file.len && found == *digest));
                }
            }
        };
        match hashed() {
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
            Ok(ControlFlow::Continue(true)) => {}
            Ok(ControlFlow::Continue(false)) => {
                walker.damage(&file.name, None, None, "it is not what the manifest names");
            }
            Err(error) => walker.damage(&file.name, None, None, &error.to_string()),
        }
    }
    ControlFlow::Continue(())
}
