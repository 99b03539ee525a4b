//! Storing an attachment, piece by piece.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::store::Store;
use super::{AttachmentError, AttachmentInfo};
use crate::disk::DiskFile;
use crate::journal::Journal;
use crate::limits::{ATTACHMENT_CHUNK, MAX_ATTACHMENT, ROOM_CHECK};
use crate::writer::is_full;

/// Takes the bytes of one attachment. Dropped before [`AttachmentWriter::finish`], or after an
/// error, it leaves nothing behind; one that comes in parts keeps what it has, unless that is known
/// to be wrong.
pub struct AttachmentWriter {
    journal: Journal,
    expected: Option<AttachmentInfo>,
    /// The file on its way; `None` after an error, and once it has its name.
    incoming: Option<(PathBuf, Arc<dyn DiskFile>)>,
    hasher: Sha256,
    size: u64,
    /// Free space is looked at again when the size reaches this.
    next_check: u64,
    /// What is written stays for a later writer.
    kept: bool,
}

impl fmt::Debug for AttachmentWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentWriter").field("size", &self.size).finish_non_exhaustive()
    }
}

impl AttachmentWriter {
    /// A writer without a byte.
    pub(super) fn new(
        journal: Journal,
        expected: Option<AttachmentInfo>,
    ) -> Result<Self, AttachmentError> {
        let announced = expected.map_or(0, |expected| expected.size);
        within_limit(announced)?;
        let store = &journal.inner.attachments;
        room_for(store, announced)?;
        let incoming = store.incoming().map_err(|error| failed(store, "create", error))?;
        let hasher = Sha256::new();
        let incoming = Some(incoming);
        let (size, next_check, kept) = (0, ROOM_CHECK, false);
        Ok(Self { journal, expected, incoming, hasher, size, next_check, kept })
    }

    /// A writer that goes on behind what an earlier one of this attachment has written.
    pub(super) fn resume(
        journal: Journal,
        expected: AttachmentInfo,
    ) -> Result<Self, AttachmentError> {
        within_limit(expected.size)?;
        let store = &journal.inner.attachments;
        let failing = |action| move |error| failed(store, action, error);
        let (path, file) = store.partial(&expected.hash).map_err(failing("create"))?;
        let found = file.size().map_err(failing("read"))?;
        if found > expected.size {
            file.set_len(0).map_err(failing("cut"))?;
        }
        let end = if found > expected.size { 0 } else { found };
        room_for(store, expected.size - end)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut chunk = vec![0; ATTACHMENT_CHUNK];
        while size < end {
            let read = file.read_at(size, &mut chunk).map_err(failing("read"))?;
            if read == 0 {
                break;
            }
            hasher.update(&chunk[..read]);
            size += read as u64;
        }
        let (incoming, expected) = (Some((path, file)), Some(expected));
        let next_check = size.saturating_add(ROOM_CHECK);
        Ok(Self { journal, expected, incoming, hasher, size, next_check, kept: true })
    }

    /// Bytes that it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`] and [`AttachmentError::Mismatch`] as soon as the limit or the
    /// announced size is passed, [`AttachmentError::DiskFull`], [`AttachmentError::Io`]. After any
    /// error the attachment is given up.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        let written = self.put(bytes);
        if let Err(error) = &written {
            self.kept &= !matches!(error, AttachmentError::Mismatch { .. });
            self.give_up();
        }
        written
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), AttachmentError> {
        let (_, file) = self.incoming.as_ref().ok_or(AttachmentError::GivenUp)?;
        let end = self.size.saturating_add(bytes.len() as u64);
        within_limit(end)?;
        if self.expected.is_some_and(|expected| end > expected.size) {
            return Err(AttachmentError::Mismatch { what: "size" });
        }
        let store = &self.journal.inner.attachments;
        if end >= self.next_check {
            room_for(store, bytes.len() as u64)?;
            self.next_check = end.saturating_add(ROOM_CHECK);
        }
        file.write_at(self.size, bytes).map_err(|error| failed(store, "write", error))?;
        self.hasher.update(bytes);
        self.size = end;
        Ok(())
    }

    /// Makes the attachment durable under its name. One of the same bytes that is here already
    /// stays or is replaced; the answer is the same.
    ///
    /// # Errors
    /// [`AttachmentError::Mismatch`] if it is not what was announced; [`AttachmentError::GivenUp`];
    /// [`AttachmentError::DiskFull`]; [`AttachmentError::Io`]. It is not stored then, and may be
    /// written anew.
    pub fn finish(mut self) -> Result<AttachmentInfo, AttachmentError> {
        let (path, file) = self.incoming.as_ref().ok_or(AttachmentError::GivenUp)?;
        let hash = std::mem::take(&mut self.hasher).finalize().into();
        let info = AttachmentInfo { hash, size: self.size };
        if let Some(expected) = self.expected.filter(|expected| *expected != info) {
            let what = if expected.size == info.size { "hash" } else { "size" };
            self.kept = false;
            return Err(AttachmentError::Mismatch { what });
        }
        let store = &self.journal.inner.attachments;
        if let Err(error) = file.sync_all() {
            // A second sync of the same file would succeed without what this one has lost.
            self.kept = false;
            return Err(failed(store, "sync", error));
        }
        store.admit(path, &hash).map_err(|error| failed(store, "name", error))?;
        self.incoming = None;
        Ok(info)
    }

    /// Removes the file on its way, unless a later writer goes on with it.
    fn give_up(&mut self) {
        if let Some((path, file)) = self.incoming.take() {
            drop(file);
            if self.kept {
                return;
            }
            // What cannot be removed now is removed at the next open.
            let _ = self.journal.inner.place.disk.remove(&path);
        }
    }
}

impl Drop for AttachmentWriter {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Refuses what is larger than an attachment may be.
fn within_limit(found: u64) -> Result<(), AttachmentError> {
    if found <= MAX_ATTACHMENT {
        return Ok(());
    }
    Err(AttachmentError::TooLarge { found, limit: MAX_ATTACHMENT })
}

/// Refuses what would leave too little free space.
fn room_for(store: &Store, more: u64) -> Result<(), AttachmentError> {
    match store.room().lacks(more) {
        None => Ok(()),
        Some((free, watermark)) => Err(AttachmentError::DiskFull { free, watermark }),
    }
}

/// The error of the operating system, or that the disk is full.
fn failed(store: &Store, action: &'static str, source: std::io::Error) -> AttachmentError {
    if is_full(&source) {
        let (free, watermark) = store.room().figures();
        return AttachmentError::DiskFull { free, watermark };
    }
    AttachmentError::Io { action, source }
}
