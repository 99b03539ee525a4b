//! Small work on folders that backup and restore share.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::PARTIAL;

/// The folder in which `dir` is made until it is whole, beside it.
pub(super) fn partial(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(PARTIAL);
    dir.with_file_name(name)
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The folder that holds `path`; the present one for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes every name below a folder durable, and the folder's own name.
pub(super) fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_dir(path)?;
    sync_dir(parent(path))
}

/// Gives an unfinished folder its final name, durably. `dir` must not be there; an empty folder
/// is replaced.
pub(super) fn finish(dir: &Path) -> io::Result<()> {
    std::fs::rename(partial(dir), dir)?;
    sync_dir(parent(dir))
}

/// What stands in the way of making `dir`: itself unless it is an empty folder, or its unfinished
/// folder.
pub(super) fn obstacle(dir: &Path) -> io::Result<Option<PathBuf>> {
    let unfinished = partial(dir);
    if dir.file_name().is_none() {
        // `..` and `/` have no name that could be given at the end.
        return Ok(Some(dir.to_path_buf()));
    }
    if unfinished.symlink_metadata().is_ok() {
        return Ok(Some(unfinished));
    }
    match std::fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some().then(|| dir.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Some(dir.to_path_buf())),
        Err(error) => Err(error),
    }
}
