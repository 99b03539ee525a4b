//! The folders of an index: where it is, and where one that could not be used was moved.
//!
//! | name | what |
//! |---|---|
//! | `index` | the index |
//! | `index.rebuilt-<n>` | the index that was built while an open of `index` hung |
//! | `index.quarantine-<n>` | an index that could not be used; the newest is kept |
//!
//! An open that hangs is left behind with its thread, and sled finds some of its files by their
//! path whenever it likes: were the next index built under the same name, the abandoned handle
//! could write into it. So it gets another name, and the old one back at the next start, when no
//! handle is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::report::QuarantinedIndex;

/// The folders of an index by the path of the usual one.
#[derive(Debug, Clone)]
pub(crate) struct Folders(PathBuf);

/// What follows the name of the usual folder, before a number.
const REBUILT: &str = ".rebuilt-";
const QUARANTINE: &str = ".quarantine-";

impl Folders {
    /// Of the index that is usually in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.to_path_buf())
    }

    /// The index after `hung` opens of this process were left behind.
    pub(crate) fn after(&self, hung: u32) -> PathBuf {
        if hung == 0 { self.0.clone() } else { self.numbered(REBUILT, hung) }
    }

    /// Whether there is one.
    pub(crate) fn exists(&self) -> bool {
        self.0.exists() || !self.all(REBUILT).is_empty()
    }

    /// Gives an index that an earlier process built beside a hanging one its usual name. Nobody has
    /// one of the folders open.
    pub(crate) fn take_back(&self) -> io::Result<()> {
        let Some(last) = self.all(REBUILT).pop() else { return Ok(()) };
        // What is there behind its back is what the hanging handle has left.
        remove(&self.0)?;
        fs::rename(self.numbered(REBUILT, last), &self.0)?;
        self.all(REBUILT).into_iter().try_for_each(|older| remove(&self.numbered(REBUILT, older)))
    }

    /// Moves the folder `from` out of the way, and removes what was moved before. Returns the new
    /// name.
    pub(crate) fn quarantine(&self, from: &Path) -> io::Result<String> {
        let before = self.all(QUARANTINE);
        let to = self.numbered(QUARANTINE, before.last().map_or(1, |last| last + 1));
        fs::rename(from, &to)?;
        for older in before {
            let older = self.numbered(QUARANTINE, older);
            if let Err(error) = remove(&older) {
                tracing::warn!(%error, folder = name(&older), "an old index cannot be removed");
            }
        }
        Ok(name(&to))
    }

    /// Removes what was moved out of the way.
    pub(crate) fn forget(&self) -> io::Result<()> {
        self.all(QUARANTINE).into_iter().try_for_each(|no| remove(&self.numbered(QUARANTINE, no)))
    }

    /// The newest of the indexes that could not be used.
    pub(crate) fn quarantined(&self) -> Option<QuarantinedIndex> {
        let folder = self.numbered(QUARANTINE, self.all(QUARANTINE).pop()?);
        Some(QuarantinedIndex { name: name(&folder), bytes: bytes(&folder) })
    }

    /// Bytes of the files of the index.
    pub(crate) fn bytes(&self) -> u64 {
        let rebuilt = self.all(REBUILT).into_iter().map(|no| bytes(&self.numbered(REBUILT, no)));
        bytes(&self.0) + rebuilt.sum::<u64>()
    }

    fn numbered(&self, kind: &str, no: u32) -> PathBuf {
        self.0.with_file_name(format!("{}{kind}{no}", name(&self.0)))
    }

    /// The numbers of the folders of a kind, sorted; none if they cannot be listed.
    fn all(&self, kind: &str) -> Vec<u32> {
        let prefix = format!("{}{kind}", name(&self.0));
        let entries = self.0.parent().map(fs::read_dir);
        let names = entries.into_iter().flatten().flatten().flatten();
        let number = |entry: fs::DirEntry| {
            let no = entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()?;
            // One spelling for each number.
            (self.numbered(kind, no).file_name() == Some(&*entry.file_name())).then_some(no)
        };
        let mut numbers: Vec<u32> = names.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes a folder with all that is in it; no error if it is not there.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes of the files below a folder, as far as it can be read.
fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, folder: &str, bytes: usize) {
        fs::create_dir_all(dir.join(folder)).unwrap();
        fs::write(dir.join(folder).join("db"), vec![1; bytes]).unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_unusable_index_is_kept_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::new(&dir.path().join("index"));
        assert_eq!(folders.quarantined(), None);
        // What earlier versions left; and what is none of ours.
        put(dir.path(), "index.quarantine-9", 1);
        put(dir.path(), "index.quarantine-10", 2);
        put(dir.path(), "index.quarantine-011", 3);
        put(dir.path(), "index", 4);
        assert_eq!(folders.quarantine(&dir.path().join("index")).unwrap(), "index.quarantine-11");
        assert_eq!(names(dir.path()), ["index.quarantine-011", "index.quarantine-11"]);
        let newest = QuarantinedIndex { name: "index.quarantine-11".to_owned(), bytes: 4 };
        assert_eq!(folders.quarantined(), Some(newest));
        assert!(!folders.exists());
        folders.forget().unwrap();
        assert_eq!(
            (names(dir.path()), folders.quarantined()),
            (vec!["index.quarantine-011".to_owned()], None)
        );
    }

    #[test]
    fn an_index_that_was_built_beside_a_hanging_one_gets_its_name_back() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::new(&dir.path().join("index"));
        put(dir.path(), "index", 1);
        put(dir.path(), "index.rebuilt-1", 2);
        put(dir.path(), "index.rebuilt-2", 3);
        assert_eq!((folders.exists(), folders.bytes()), (true, 6));
        folders.take_back().unwrap();
        assert_eq!((names(dir.path()), folders.bytes()), (vec!["index".to_owned()], 3));
        folders.take_back().unwrap();
        assert_eq!(names(dir.path()), ["index"]);
    }
}
