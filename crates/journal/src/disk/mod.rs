//! The seam under the commit files: what the journal asks of a file system.
//!
//! Two sides: [`os::OsDisk`], the operating system, and [`memory::MemoryDisk`] (in tests and
//! simulations), which forgets what was not synced. Contract for both: written data survives a
//! crash only after [`DiskFile::sync_data`] or [`DiskFile::sync_all`] of the file returned `Ok`; a
//! new name, of a file or a folder, survives only after [`Disk::sync_dir`] of the folder that it is
//! in returned `Ok`; a name that is replaced by a rename leads to the old or the new file until
//! then, never to neither; after an error of a write or sync nothing may be assumed and nothing may
//! be retried.

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
pub(crate) mod faults;
pub mod memory;
pub mod os;

/// Free and total bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written by this user.
    pub free: u64,
    /// Size of the whole.
    pub total: u64,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must be there.
    Read,
    /// For reading and writing; it must be there.
    Write,
    /// For reading and writing; created, or emptied if it is there.
    Create,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Creates a folder and its parents; no error if it is there.
    ///
    /// # Errors
    /// Of the file system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Names of the files and folders in a folder, in no order; empty if the folder is not there.
    ///
    /// # Errors
    /// Of the file system.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// Of the file system; [`io::ErrorKind::NotFound`] if it must be there and is not.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// Of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, also in another folder of the same file system; a file that has
    /// the new name already is replaced.
    ///
    /// # Errors
    /// Of the file system; [`io::ErrorKind::NotFound`] if there is no such file or folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Free and total bytes where `path` is.
    ///
    /// # Errors
    /// Of the file system.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes an exclusive lock on a file, created if needed. It is held until the value is
    /// dropped; `None` if someone else holds it.
    ///
    /// # Errors
    /// Of the file system.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// An open file. All methods take the offset, so one handle serves writer and readers.
pub trait DiskFile: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// Of the file system.
    fn size(&self) -> io::Result<u64>;

    /// Reads at `offset` until `buf` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// Of the file system.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// Of the file system; part of the data may have been written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// Of the file system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for `len` bytes and extends the file to them with zeros.
    ///
    /// # Errors
    /// Of the file system; [`io::ErrorKind::StorageFull`] if there is no room.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// `fdatasync`: the written data survives a crash.
    ///
    /// # Errors
    /// Of the file system; what was written since the last sync may be lost.
    fn sync_data(&self) -> io::Result<()>;

    /// `fsync`: data and length survive a crash.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}
