//! The seal of a closed file: its SHA-256, written beside it.
//!
//! It tells a file that is byte for byte what [`Views::close`](super::Views::close) left from any
//! other one; why views need it is said in [`store`](super). One line of text, version 1:
//!
//! ```text
//! adal-views-seal 1 sha256 <64 hexadecimal digits>
//! ```
//!
//! The digest is that of the whole file, as `sha256sum` prints it. The seal protects from damage,
//! not from people: whoever may write the file may write a seal to it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use evidence::hash::hex;
use sha2::{Digest, Sha256};

use super::open::{Opened, beside, io_error, remove_file};
use crate::error::Error;

/// What every version begins with, and this one.
const ANY_VERSION: &[u8] = b"adal-views-seal ";
const VERSION: &[u8] = b"adal-views-seal 1 ";

/// No seal is longer, in bytes; more is not read.
const LONGEST: u64 = 256;

/// Bytes of the file read at once.
const CHUNK: usize = 1 << 20;

/// What SQLite leaves beside a file whose newest state is not in the file itself.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// Seals a file that no connection has open any more, durably: the file is synced first, then
/// read on the calling thread (seconds a gigabyte).
pub(super) fn write(path: &Path) -> Result<(), Error> {
    if has_journal(path)? {
        return Err(Error::InUse { path: path.to_owned() });
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| io_error("sync", path, e))?;
    let line = line(path).map_err(|error| io_error("read", path, error))?;
    let (aside, seal) = (beside(path, ".seal.new"), name(path));
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| io_error("write", &aside, error))?;
    fs::rename(&aside, &seal).map_err(|error| io_error("rename", &aside, error))?;
    sync_folder(path)
}

/// Removes the seal, durably; nothing where there is none.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    remove_file(&beside(path, ".seal.new"))?;
    if remove_file(&name(path))? {
        sync_folder(path)?;
    }
    Ok(())
}

/// Whether the file is the one that was sealed: `Existing` if so, else `Unsealed`, `Damaged`, or
/// `Outdated` for a seal of another version. Reads the whole file on the calling thread. What the
/// disk cannot read is damage.
pub(super) fn check(path: &Path) -> Result<Opened, Error> {
    let seal = name(path);
    let file = match File::open(&seal) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Unsealed),
        Err(error) => return Err(io_error("open", &seal, error)),
    };
    let mut text = Vec::new();
    if let Err(error) = file.take(LONGEST).read_to_end(&mut text) {
        tracing::warn!(%error, "the seal of the views cannot be read");
        return Ok(Opened::Damaged);
    }
    if text.starts_with(ANY_VERSION) && !text.starts_with(VERSION) {
        return Ok(Opened::Outdated);
    }
    if has_journal(path)? {
        return Ok(Opened::Damaged);
    }
    match line(path) {
        Ok(line) if line.as_bytes() == text => Ok(Opened::Existing),
        Ok(_) => Ok(Opened::Damaged),
        Err(error) => {
            tracing::warn!(%error, "the file of the views cannot be read");
            Ok(Opened::Damaged)
        }
    }
}

fn name(path: &Path) -> PathBuf {
    beside(path, ".seal")
}

/// The seal of the file as it is now.
fn line(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hasher.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Ok(format!("adal-views-seal 1 sha256 {}\n", hex(&digest)))
}

/// Whether something of the state is, or may be, outside the file.
fn has_journal(path: &Path) -> Result<bool, Error> {
    for ending in JOURNALS {
        let journal = beside(path, ending);
        match fs::metadata(&journal) {
            Ok(metadata) if metadata.len() > 0 => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("look at", &journal, error)),
        }
    }
    Ok(false)
}

/// Makes the names in the file's folder durable.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_error("sync", folder, error))
}
