//! Secret files made once, public files replaced whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::error::IdentityError;

/// Mode of files that hold a key.
pub(crate) const SECRET: u32 = 0o600;
/// Mode of files that hold nothing secret.
pub(crate) const PUBLIC: u32 = 0o644;
/// No file of ours is larger; a foreign one is not read into memory whole.
const MAX_FILE: u64 = 1024 * 1024;

/// Makes the folder (and those above it) readable by its owner only; an existing one is left.
pub(crate) fn make_folder(dir: &Path) -> Result<(), IdentityError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(IdentityError::io("make folder", dir))
}

/// Writes a new file durably; an existing one is [`IdentityError::Exists`].
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(IdentityError::Exists { path: path.to_path_buf() });
        }
        Err(error) => return Err(IdentityError::io("make file", path)(error)),
    };
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path))
        .map_err(IdentityError::io("write file", path))
}

/// Writes a public file durably in the place of an older one: aside, sync, rename, sync folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    replace_with(path, bytes, PUBLIC)
}

/// The same for a secret file: it is there whole or not at all, whatever happens meanwhile.
pub(crate) fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    replace_with(path, bytes, SECRET)
}

fn replace_with(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let write = || -> io::Result<()> {
        if mode == SECRET {
            // One that an earlier run left has whatever mode it has.
            match fs::remove_file(&aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        sync_folder(path)
    };
    write().map_err(IdentityError::io("write file", path))
}

/// Refuses with [`IdentityError::Exists`] before anything is made, where one of the files exists.
pub(crate) fn none_exists(dir: &Path, names: &[&str]) -> Result<(), IdentityError> {
    for name in names {
        let path = dir.join(name);
        if path.try_exists().map_err(IdentityError::io("look for", &path))? {
            return Err(IdentityError::Exists { path });
        }
    }
    Ok(())
}

/// Reads a public file.
pub(crate) fn read(path: &Path) -> Result<String, IdentityError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(IdentityError::io("read", path))?;
    Ok(text)
}

/// Reads a secret file; one that everybody may read is [`IdentityError::Exposed`].
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let io = |action| IdentityError::io(action, path);
    let file = File::open(path).map_err(io("read"))?;
    let meta = file.metadata().map_err(io("read"))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(IdentityError::Exposed { path: path.to_path_buf(), mode });
    }
    // Room for all of it at once: a growing buffer would leave unwiped copies behind.
    let len = meta.len().min(MAX_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len as usize + 64));
    file.take(len).read_to_end(&mut bytes).map_err(io("read"))?;
    Ok(bytes)
}

/// 32 bytes from the operating system.
pub(crate) fn random_seed() -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(seed.as_mut_slice()).map_err(|_| IdentityError::Random)?;
    Ok(seed)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    File::open(dir)?.sync_all()
}
