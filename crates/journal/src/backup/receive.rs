//! The receiving side of a backup: a folder that becomes whole, or stays `.partial`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use evidence::hash::Hash;
use sha2::{Digest, Sha256};

use super::manifest::is_name;
use super::{BackupError, CopyPhase, CopyProgress, CopyWatch, MANIFEST, Manifest, files};
use crate::check::check_files;

/// Receives a backup into `<dir>.partial`, piece by piece, and makes `<dir>` of it once everything
/// is durable, is what the manifest names, and passes the deep check.
#[derive(Debug)]
pub struct BackupWriter {
    dir: PathBuf,
    partial: PathBuf,
    /// Length and digest of what is finished.
    done: BTreeMap<String, (u64, Hash)>,
    open: Option<Receiving>,
}

/// The file that is being received.
#[derive(Debug)]
struct Receiving {
    name: String,
    file: File,
    at: u64,
    hasher: Sha256,
}

impl BackupWriter {
    /// Begins a backup in the folder `dir`, which must not be there, or be empty.
    ///
    /// # Errors
    /// [`BackupError::Exists`], [`BackupError::Io`]
    pub fn create(dir: &Path) -> Result<Self, BackupError> {
        let obstacle = files::obstacle(dir);
        let obstacle = obstacle.map_err(|error| BackupError::at("look at", dir, error))?;
        if let Some(path) = obstacle {
            return Err(BackupError::Exists { path: path.display().to_string() });
        }
        let partial = files::partial(dir);
        // Not `create_dir_all`: two backups into one folder must not meet.
        let made = fs::create_dir_all(files::parent(dir)).and_then(|()| fs::create_dir(&partial));
        made.map_err(|error| BackupError::at("create", &partial, error))?;
        Ok(Self { dir: dir.to_path_buf(), partial, done: BTreeMap::new(), open: None })
    }

    /// Takes a piece: the files one after the other, each from front to back. An empty piece makes
    /// an empty file.
    ///
    /// # Errors
    /// [`BackupError::OutOfPlace`] for a name that no backup has, a file that was finished before,
    /// or a piece that does not continue its file; [`BackupError::Io`].
    pub fn write(&mut self, file: &str, offset: u64, data: &[u8]) -> Result<(), BackupError> {
        let out_of_place = || BackupError::OutOfPlace { file: file.to_owned(), offset };
        if self.open.as_ref().is_none_or(|open| open.name != file) {
            self.close()?;
            if offset != 0 || !is_name(file) || self.done.contains_key(file) {
                return Err(out_of_place());
            }
            self.open = Some(self.begin(file)?);
        }
        let Some(open) = self.open.as_mut().filter(|open| open.at == offset) else {
            return Err(out_of_place());
        };
        open.file.write_all(data).map_err(|error| BackupError::io("write", file, error))?;
        open.hasher.update(data);
        open.at += data.len() as u64;
        Ok(())
    }

    /// Makes the next file.
    fn begin(&self, name: &str) -> Result<Receiving, BackupError> {
        let path = self.partial.join(name);
        let made = fs::create_dir_all(files::parent(&path));
        let made = made.and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path));
        let file = made.map_err(|error| BackupError::at("create", &path, error))?;
        Ok(Receiving { name: name.to_owned(), file, at: 0, hasher: Sha256::new() })
    }

    /// Makes the file that is being received durable.
    fn close(&mut self) -> Result<(), BackupError> {
        let Some(Receiving { name, file, at, hasher }) = self.open.take() else { return Ok(()) };
        file.sync_all().map_err(|error| BackupError::io("sync", &*name, error))?;
        self.done.insert(name, (at, hasher.finalize().into()));
        Ok(())
    }

    /// Ends the backup: compares everything with the manifest's text, makes it durable, checks it
    /// deeply and gives it its final name.
    ///
    /// # Errors
    /// [`BackupError::Differs`], [`BackupError::Damaged`], [`BackupError::Manifest`],
    /// [`BackupError::Check`], [`BackupError::Interrupted`] or [`BackupError::Io`]. The unfinished
    /// folder is left then, for somebody to look at.
    pub fn finish(
        mut self,
        manifest: &str,
        watch: &mut CopyWatch<'_>,
    ) -> Result<Manifest, BackupError> {
        self.close()?;
        let named = Manifest::decode(manifest)?;
        for (file, digest) in &named.files {
            if self.done.remove(&file.name) != Some((file.len, *digest)) {
                return Err(BackupError::Differs { file: file.name.clone() });
            }
        }
        if let Some((name, _)) = self.done.pop_first() {
            return Err(BackupError::Differs { file: name });
        }
        let path = self.partial.join(MANIFEST);
        let written = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(manifest.as_bytes())?;
            file.sync_all()?;
            files::sync_tree(&self.partial)
        };
        written().map_err(|error| BackupError::at("write", &path, error))?;
        let report = check_files(&self.partial, &mut |progress| {
            let (bytes, bytes_total) = (progress.bytes, progress.bytes_total);
            watch(CopyProgress { phase: CopyPhase::Check, bytes, bytes_total })
        });
        let report = report.map_err(BackupError::Check)?;
        if let Some(first) = report.damages.into_iter().next() {
            return Err(BackupError::Damaged { count: report.damage_count, first: first.into() });
        }
        if report.interrupted {
            return Err(BackupError::Interrupted);
        }
        let renamed = files::finish(&self.dir);
        renamed.map_err(|error| BackupError::at("rename", &self.partial, error))?;
        Ok(named)
    }
}
