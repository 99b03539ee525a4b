//! The folder of a bundle: written beside its place and moved there whole, and read.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ::evidence::bundle::Files;
use ::evidence::bundle::write::Piece;

use crate::errors::{Failure, Outcome};

/// A bundle that is being written. What is not [moved](Writing::finish) to its place is removed.
pub struct Writing {
    place: PathBuf,
    partial: PathBuf,
    finished: bool,
}

impl Writing {
    /// Begins a folder beside `place`, which must be empty or not be there.
    ///
    /// # Errors
    /// It holds something; an earlier attempt was cut short; the disk.
    pub fn begin(place: &Path) -> Outcome<Self> {
        let doing = |path: &Path| format!("make the folder {}", path.display());
        let mut found = match fs::read_dir(place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::beside(place),
            Err(error) => return Err(Failure::wrong(doing(place), &error)),
        };
        if found.next().is_some() {
            return Err(Failure::usage(format!(
                "{} is not empty: evidence is never written over or among other files; name \
                 another folder",
                place.display()
            )));
        }
        Self::beside(place)
    }

    fn beside(place: &Path) -> Outcome<Self> {
        let mut name = OsString::from(place.file_name().ok_or_else(|| {
            Failure::usage(format!("{} names no folder to make", place.display()))
        })?);
        name.push(".partial");
        let partial = place.with_file_name(name);
        fs::create_dir(&partial).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{} is left of an export that was cut short, or another one runs: remove it",
                partial.display()
            )),
            _ => Failure::wrong(format!("make the folder {}", partial.display()), &error),
        })?;
        Ok(Self { place: place.to_path_buf(), partial, finished: false })
    }

    /// Where the files are meanwhile.
    pub fn folder(&self) -> Folder {
        Folder::new(&self.partial)
    }

    /// Writes a file of the bundle.
    ///
    /// # Errors
    /// It is there already, or the disk.
    pub fn put(&self, piece: &Piece) -> Outcome {
        let path = self.partial.join(&piece.name);
        let written = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create_new(&path)?.write_all(&piece.bytes)
        };
        written().map_err(|error| Failure::wrong(format!("write {}", path.display()), &error))
    }

    /// Makes everything durable and moves it to its place.
    ///
    /// # Errors
    /// Something is there meanwhile, or the disk.
    pub fn finish(mut self) -> Outcome {
        let moved = || -> io::Result<()> {
            rustix::fs::syncfs(File::open(&self.partial)?)?;
            // An empty folder is replaced, one that holds something is not.
            fs::rename(&self.partial, &self.place)?;
            let above = self.place.parent().filter(|above| !above.as_os_str().is_empty());
            File::open(above.unwrap_or(Path::new(".")))?.sync_all()
        };
        moved().map_err(|error| {
            Failure::wrong(format!("move the bundle to {}", self.place.display()), &error)
        })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.finished {
            // Made here, and of no use; where it cannot be removed, the next export says so.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// A folder that is read as a bundle. Links to elsewhere and what is no file are not followed.
pub struct Folder {
    dir: PathBuf,
    /// Told the bytes of each file that was read.
    read: Box<dyn Fn(u64) + Send + Sync>,
}

impl Folder {
    /// A folder.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), read: Box::new(|_| {}) }
    }

    /// Tells `read` of the bytes of each file that is read.
    pub fn watched(self, read: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), ..self }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> io::Result<u64> {
        let size = |name: &String| Ok(fs::symlink_metadata(self.dir.join(name))?.len());
        self.names()?.iter().map(size).sum()
    }
}

impl Files for Folder {
    type Error = io::Error;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![(self.dir.clone(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                match entry.file_type()?.is_dir() {
                    true => folders.push((entry.path(), format!("{name}/"))),
                    false => names.push(name),
                }
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        let path = self.dir.join(name);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::other("it is no file, but a link or something else"));
        }
        let mut bytes = Vec::new();
        let limit = limit as u64;
        let found = File::open(&path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if found as u64 > limit {
            return Err(io::Error::other(format!("it has more than {limit} bytes")));
        }
        (self.read)(found as u64);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(name: &str) -> Piece {
        Piece { name: name.to_owned(), bytes: b"x".to_vec() }
    }

    #[test]
    fn a_bundle_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("bundle");
        let writing = Writing::begin(&place).unwrap();
        writing.put(&piece("log/tile/0/000")).unwrap();
        let second = Writing::begin(&place).err().unwrap();
        assert!(second.text.contains("cut short"), "{second}");
        assert!(!place.exists());
        drop(writing);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
        // An empty folder is a place, one with anything in it is none.
        fs::create_dir(&place).unwrap();
        let writing = Writing::begin(&place).unwrap();
        writing.put(&piece("policy")).unwrap();
        assert!(writing.put(&piece("policy")).is_err(), "nothing is written over");
        writing.finish().unwrap();
        let full = Writing::begin(&place).err().unwrap();
        assert!(full.text.contains("not empty"), "{full}");
        assert_eq!(fs::read(place.join("policy")).unwrap(), b"x");
    }

    #[test]
    fn a_folder_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("log/tile/0")).unwrap();
        fs::write(dir.path().join("log/tile/0/000"), [7; 40]).unwrap();
        fs::write(dir.path().join("policy"), "text").unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("link")).unwrap();
        let folder = Folder::new(dir.path());
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["link", "log/tile/0/000", "policy"]);
        assert_eq!(folder.read("log/tile/0/000", 40).unwrap(), [7; 40]);
        assert!(folder.read("log/tile/0/000", 39).unwrap_err().to_string().contains("39 bytes"));
        assert!(folder.read("link", 40).unwrap_err().to_string().contains("no file"));
        assert!(folder.read("absent", 40).is_err());
    }
}
