//! The key file on disk: lock, create, append, rewrite.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::cipher;
use crate::entry::Entry;
use crate::error::VaultError;
use crate::folder;
use crate::frame::Header;
use crate::report::OpenReport;
use crate::root::RootKey;
use crate::scan::{Scan, TailRead, scan};
use crate::tail::{TAIL, Tail};

const KEYS: &str = "keys.vault";
const ASIDE: &str = "keys.vault.new";
const TAIL_NAME: &str = "keys.tail";
const LOCK: &str = "keys.lock";

/// The open key file of a vault. Whoever holds it is the only writer.
#[derive(Debug)]
pub(crate) struct KeyFile {
    dir: PathBuf,
    path: PathBuf,
    header: Header,
    keys: File,
    tail: File,
    /// Held for the life of the vault; the operating system frees it with the process.
    _lock: File,
    frames: u64,
    len: u64,
    stopped: bool,
}

/// Whether the folder holds a key file or the tail of one that is gone.
pub(crate) fn exists(dir: &Path) -> Result<bool, VaultError> {
    Ok(is_there(&dir.join(KEYS))? || is_there(&dir.join(TAIL_NAME))?)
}

impl KeyFile {
    /// Locks the folder, makes the vault where there is none, reads all entries.
    pub(crate) fn open(
        dir: &Path,
        root: &RootKey,
    ) -> Result<(KeyFile, Vec<Entry>, OpenReport), VaultError> {
        folder::make(dir)?;
        let lock = take_lock(dir)?;
        let path = dir.join(KEYS);
        remove_if_there(&dir.join(ASIDE))?;
        let created = !is_there(&path)?;
        if created {
            let tail = dir.join(TAIL_NAME);
            if is_there(&tail)? {
                return Err(VaultError::Missing { path });
            }
            let header = Header { vault_id: cipher::random()?, generation: 1 };
            write_whole(dir, &header, root, &[])?;
            folder::sync(folder::parent(dir))?;
        }
        let tail = read_tail(dir)?;
        let mut keys =
            folder::open_rw(&path, false).map_err(VaultError::io("open key file", &path))?;
        let found = scan(&path, &read_all(&mut keys, &path)?, root, tail)?;
        if found.unfinished > 0 {
            tracing::warn!(bytes = found.unfinished, "dropped an interrupted append of the vault");
            keys.set_len(found.len)
                .and_then(|()| keys.sync_all())
                .map_err(VaultError::io("cut interrupted append off", &path))?;
        }
        let file = KeyFile::attach(dir, keys, lock, &found)?;
        let report = OpenReport {
            created,
            keys: 0,
            destroyed: 0,
            secrets: 0,
            unfinished_bytes: found.unfinished,
            tail: found.tail,
        };
        Ok((file, found.entries, report))
    }

    fn attach(dir: &Path, keys: File, lock: File, found: &Scan) -> Result<KeyFile, VaultError> {
        let tail_path = dir.join(TAIL_NAME);
        let tail =
            folder::open_rw(&tail_path, true).map_err(VaultError::io("open tail", &tail_path))?;
        let file = KeyFile {
            dir: dir.to_path_buf(),
            path: dir.join(KEYS),
            header: found.header,
            keys,
            tail,
            _lock: lock,
            frames: found.frames,
            len: found.len,
            stopped: false,
        };
        file.write_tail(true).map_err(VaultError::io("write tail", &tail_path))?;
        folder::sync(dir)?;
        Ok(file)
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one frame and makes it durable with one fdatasync. After an error nothing of it
    /// counts; after a failed sync, or a failed write that could not be undone, the file takes
    /// no more writes (an fsync that failed is never tried again: the kernel may have dropped
    /// the pages and report success the second time).
    pub(crate) fn append(&mut self, body: &[u8]) -> Result<(), VaultError> {
        self.check_running()?;
        let frame = self.header.frame(self.frames, body);
        if let Err(error) = self.keys.write_all_at(&frame, self.len) {
            self.stopped = self.keys.set_len(self.len).is_err();
            return Err(VaultError::io("append to key file", &self.path)(error));
        }
        if let Err(error) = self.keys.sync_data() {
            self.stopped = true;
            return Err(VaultError::io("sync key file", &self.path)(error));
        }
        self.frames += 1;
        self.len += frame.len() as u64;
        if let Err(error) = self.write_tail(false) {
            // The append is durable; an old tail only makes the next open less strict.
            tracing::warn!(%error, "could not write the tail of the vault");
        }
        Ok(())
    }

    /// Replaces the file by one with these bodies, of the next generation: written aside,
    /// synced, renamed, folder synced.
    pub(crate) fn rewrite(&mut self, root: &RootKey, bodies: &[Vec<u8>]) -> Result<(), VaultError> {
        self.check_running()?;
        let header = Header { generation: self.header.generation + 1, ..self.header };
        // From the rename on an error leaves open which of the two files is there after a crash.
        self.stopped = true;
        let written = match write_aside(&self.dir, &header, root, bodies) {
            Ok(written) => written,
            Err(error) => {
                self.stopped = false;
                return Err(error);
            }
        };
        fs::rename(self.dir.join(ASIDE), &self.path)
            .map_err(VaultError::io("rename key file", &self.path))?;
        folder::sync(&self.dir)?;
        (self.keys, self.len) = written;
        self.header = header;
        self.frames = bodies.len() as u64;
        self.write_tail(true).map_err(VaultError::io("write tail", &self.dir.join(TAIL_NAME)))?;
        self.stopped = false;
        Ok(())
    }

    /// Reads the whole file again and judges it strictly: between appends nothing may be
    /// unfinished.
    pub(crate) fn reread(&mut self, root: &RootKey) -> Result<Scan, VaultError> {
        self.check_running()?;
        let mut keys =
            File::open(&self.path).map_err(VaultError::io("open key file", &self.path))?;
        let known = Tail { header: self.header, frames: self.frames, len: self.len };
        let bytes = read_all(&mut keys, &self.path)?;
        let found = scan(&self.path, &bytes, root, TailRead::Read(known))?;
        if found.unfinished > 0 || found.len != self.len || found.header != self.header {
            return Err(VaultError::damaged(&self.path, found.len, "the file was altered"));
        }
        Ok(found)
    }

    fn check_running(&self) -> Result<(), VaultError> {
        match self.stopped {
            true => Err(VaultError::Stopped { path: self.path.clone() }),
            false => Ok(()),
        }
    }

    fn write_tail(&self, sync: bool) -> io::Result<()> {
        let tail = Tail { header: self.header, frames: self.frames, len: self.len };
        self.tail.write_all_at(&tail.encode(), 0)?;
        if sync {
            self.tail.set_len(TAIL as u64)?;
            self.tail.sync_all()?;
        }
        Ok(())
    }
}

fn take_lock(dir: &Path) -> Result<File, VaultError> {
    let path = dir.join(LOCK);
    let file = folder::open_rw(&path, true).map_err(VaultError::io("open lock", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(VaultError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(VaultError::io("lock", &path)(error)),
    }
}

fn write_whole(
    dir: &Path,
    header: &Header,
    root: &RootKey,
    bodies: &[Vec<u8>],
) -> Result<(), VaultError> {
    write_aside(dir, header, root, bodies)?;
    let path = dir.join(KEYS);
    fs::rename(dir.join(ASIDE), &path).map_err(VaultError::io("rename key file", &path))?;
    folder::sync(dir)
}

/// Writes a key file beside the real one and syncs it; returns it open, with its length.
fn write_aside(
    dir: &Path,
    header: &Header,
    root: &RootKey,
    bodies: &[Vec<u8>],
) -> Result<(File, u64), VaultError> {
    let path = dir.join(ASIDE);
    let head = header.encode(root)?;
    let write = || -> io::Result<(File, u64)> {
        let file = folder::create_aside(&path)?;
        file.write_all_at(&head, 0)?;
        let mut len = head.len() as u64;
        for (seq, body) in (0..).zip(bodies) {
            let frame = header.frame(seq, body);
            file.write_all_at(&frame, len)?;
            len += frame.len() as u64;
        }
        file.sync_all()?;
        Ok((file, len))
    };
    write().map_err(VaultError::io("write key file aside", &path))
}

fn read_tail(dir: &Path) -> Result<TailRead, VaultError> {
    let path = dir.join(TAIL_NAME);
    match fs::read(&path) {
        Ok(bytes) => Ok(Tail::decode(&bytes).map_or_else(
            || {
                tracing::warn!("the tail file of the vault was unreadable and is made anew");
                TailRead::Damaged
            },
            TailRead::Read,
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TailRead::Missing),
        Err(error) => Err(VaultError::io("read tail", &path)(error)),
    }
}

fn read_all(file: &mut File, path: &Path) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(VaultError::io("read key file", path))?;
    Ok(bytes)
}

fn is_there(path: &Path) -> Result<bool, VaultError> {
    path.try_exists().map_err(VaultError::io("look for", path))
}

fn remove_if_there(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VaultError::io("remove unfinished file", path)(error))
        }
        _ => Ok(()),
    }
}
