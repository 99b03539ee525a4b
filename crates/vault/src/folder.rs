//! Files and folders: secret files made once, folders synced.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::VaultError;

/// Makes the folder (and those above it) readable by its owner only. An existing one is left.
pub(crate) fn make(dir: &Path) -> Result<(), VaultError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(VaultError::io("make folder", dir))
}

/// Makes entries of the folder durable: a new or renamed file is not, until this returned.
pub(crate) fn sync(dir: &Path) -> Result<(), VaultError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(VaultError::io("sync folder", dir))
}

/// Opens a file for reading and writing, mode 0600 where it is made.
pub(crate) fn open_rw(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

/// A new, empty file of mode 0600 in the place of an older one of that name.
pub(crate) fn create_aside(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a new file of mode 0600 durably; an existing one is [`VaultError::Exists`].
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(VaultError::Exists { path: path.to_path_buf() });
        }
        Err(error) => return Err(VaultError::io("make file", path)(error)),
    };
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(VaultError::io("write file", path))?;
    sync(parent(path))
}

/// The folder a file is in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
