//! The operating system's file system (Linux).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

#[cfg(test)]
use super::faults::{Call, gate};
use super::{Disk, DiskFile, OpenMode, Space};

/// A system call.
#[cfg(not(test))]
#[derive(Clone, Copy)]
enum Call {
    Mkdir,
    Open,
    Write,
    Truncate,
    Allocate,
    Fdatasync,
    Fsync,
    Unlink,
    Rename,
    Lock,
    OpenRead,
    Read,
    Stat,
    List,
}

/// Before a call of `len` bytes: how many of them it may do. Tests fail calls here.
#[cfg(not(test))]
#[inline]
fn gate(_: Call, len: usize) -> io::Result<usize> {
    Ok(len)
}

/// Makes a call, again while it is interrupted before anything was done.
fn call<T>(call: Call, mut body: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match gate(call, 0).and_then(|_| body()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The operating system's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        call(Call::Mkdir, || fs::create_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let folder = call(Call::OpenRead, || File::open(path))?;
        call(Call::Fsync, || folder.sync_all())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        call(Call::List, || {
            let entries = match fs::read_dir(path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        let file = match mode {
            OpenMode::Read => call(Call::OpenRead, || options.open(path))?,
            OpenMode::Write | OpenMode::Create => call(Call::Open, || options.open(path))?,
        };
        Ok(Arc::new(OsFile(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        call(Call::Unlink, || fs::remove_file(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        call(Call::Rename, || fs::rename(from, to))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = call(Call::Stat, || Ok(rustix::fs::statvfs(path)?))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        Ok(Space { free, total: stat.f_blocks.saturating_mul(stat.f_frsize) })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = call(Call::Open, || options.open(path))?;
        let is_taken = call(Call::Lock, || match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        })?;
        Ok(is_taken.then(|| Box::new(file) as Box<dyn Send + Sync>))
    }
}

/// A file of the operating system.
struct OsFile(File);

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(call(Call::Stat, || self.0.metadata())?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let most = gate(Call::Read, buf.len() - done);
            let mut part =
                |most: usize| self.0.read_at(&mut buf[done..done + most], offset + done as u64);
            match most.and_then(&mut part) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < data.len() {
            let most = gate(Call::Write, data.len() - done);
            let part =
                |most: usize| self.0.write_at(&data[done..done + most], offset + done as u64);
            match most.and_then(part) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        call(Call::Truncate, || self.0.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        call(Call::Allocate, || {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Ok(()) => Ok(()),
                // File systems without preallocation only lose the early warning of a full disk.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.0.set_len(len),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        call(Call::Fdatasync, || self.0.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        call(Call::Fsync, || self.0.sync_all())
    }
}
