//! A file system in this process, mounted by the kernel, whose power can fail.

pub mod model;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};

use self::model::{Attr, Model};

/// Nobody else changes the files, so the kernel may believe what it was told.
const TTL: Duration = Duration::from_secs(3600);
/// What the file system says it has, in blocks of 4 KiB: 4 GiB.
const BLOCKS: u64 = 1 << 20;

/// The state that the kernel's requests and the test share.
pub type Shared = Arc<Mutex<Model>>;

/// The state, whatever happened to its holders.
pub fn held(shared: &Shared) -> MutexGuard<'_, Model> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mounted file system. It is unmounted when this is dropped.
pub struct Mounted {
    session: Option<BackgroundSession>,
    folder: PathBuf,
}

impl Mounted {
    /// Mounts `shared` on a folder.
    ///
    /// # Errors
    /// Of the operating system: no `/dev/fuse`, no right to mount.
    pub fn new(shared: &Shared, folder: &Path) -> io::Result<Self> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("adal-torture".to_owned())];
        let session = fuser::spawn_mount(Power(Arc::clone(shared)), folder, &config)?;
        Ok(Self { session: Some(session), folder: folder.to_path_buf() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if session.umount_and_join().is_err() {
            // Someone still has a file open: the folder is detached, the rest ends with him.
            let detached =
                std::process::Command::new("umount").arg("-lq").arg(&self.folder).status();
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
            let folder = self.folder.display().to_string();
            if !detached.is_ok_and(|status| status.success()) && mounts.contains(&folder) {
                eprintln!("{folder} is still mounted");
            }
        }
    }
}

/// The kernel's requests, answered from the model.
struct Power(Shared);

fn attributes(attr: Attr) -> FileAttr {
    let (kind, perm) =
        if attr.folder { (FileType::Directory, 0o755) } else { (FileType::RegularFile, 0o644) };
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.size.div_ceil(512),
        atime: SystemTime::UNIX_EPOCH,
        mtime: SystemTime::UNIX_EPOCH,
        ctime: SystemTime::UNIX_EPOCH,
        crtime: SystemTime::UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

fn errno(number: model::Errno) -> Errno {
    Errno::from_i32(number)
}

fn finish(reply: ReplyEmpty, outcome: Result<(), model::Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

fn entry(reply: ReplyEntry, outcome: Result<Attr, model::Errno>) {
    match outcome {
        Ok(attr) => reply.entry(&TTL, &attributes(attr), Generation(0)),
        Err(error) => reply.error(errno(error)),
    }
}

impl Filesystem for Power {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, held(&self.0).lookup(parent.0, &text(name)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match held(&self.0).attr(ino.0) {
            Ok(attr) => reply.attr(&TTL, &attributes(attr)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut model = held(&self.0);
        let changed = size.map_or(Ok(()), |size| model.set_len(ino.0, size));
        match changed.and_then(|()| model.attr(ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attributes(attr)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, held(&self.0).create(parent.0, &text(name), true));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match held(&self.0).create(parent.0, &text(name), false) {
            Ok(attr) => reply.created(
                &TTL,
                &attributes(attr),
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        finish(reply, held(&self.0).unlink(parent.0, &text(name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        finish(reply, held(&self.0).unlink(parent.0, &text(name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (text(name), text(newname));
        finish(reply, held(&self.0).rename((parent.0, &from), (newparent.0, &to)));
    }

    fn open(&self, _: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match held(&self.0).attr(ino.0) {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match held(&self.0).read(ino.0, offset, size as usize) {
            Ok(data) => reply.data(data),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write: WriteFlags,
        _flags: OpenFlags,
        _lock: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match held(&self.0).write(ino.0, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A close makes nothing durable.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _data: bool, reply: ReplyEmpty) {
        finish(reply, held(&self.0).sync(ino.0));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _data: bool, reply: ReplyEmpty) {
        finish(reply, held(&self.0).sync_names(ino.0));
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        let mut model = held(&self.0);
        let size = model.attr(ino.0).map(|attr| attr.size);
        finish(reply, size.and_then(|size| model.set_len(ino.0, size.max(offset + length))));
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let model = held(&self.0);
        let names = match model.names(ino.0) {
            Ok(names) => names,
            Err(error) => return reply.error(errno(error)),
        };
        for (at, (name, child)) in names.iter().enumerate().skip(offset as usize) {
            let folder = model.attr(*child).is_ok_and(|attr| attr.folder);
            let kind = if folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(*child), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let half = BLOCKS / 2;
        reply.statfs(BLOCKS, half, half, 1 << 20, 1 << 19, 4096, 255, 4096);
    }
}
