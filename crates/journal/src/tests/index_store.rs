//! Where the index lies: one that cannot be used, one whose open hangs, one on a full disk; and
//! what is read without one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::disk::{Disk, DiskFile, OpenMode, Space};
use crate::error::IndexOpenError;
use crate::index::sled::SledStore;
use crate::index::{Applying, Index, IndexStore, keys};
use crate::{IndexOutcome, IndexStatus, QuarantinedIndex, stat_files};

fn wait_for(what: impl Fn() -> bool) {
    while !what() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The names in a folder that begin with `index`.
fn folders(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("index")).collect();
    names.sort();
    names
}

#[test]
fn of_the_indexes_that_could_not_be_used_one_is_kept_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 65_536, free_space_watermark: 1, ..SMALL };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    assert_eq!(journal.quarantined_index(), None);
    drop(journal);
    for nth in 1..=3 {
        fs::write(dir.path().join("index/db"), vec![nth; 1000 * usize::from(nth)]).unwrap();
        let (journal, report) = Journal::open(dir.path(), options).unwrap();
        let aside = format!("index.quarantine-{nth}");
        let IndexOutcome::Rebuilt { quarantined, .. } = report.index else { panic!("{report:?}") };
        assert_eq!(quarantined.as_ref(), Some(&aside));
        assert_eq!(folders(dir.path()), ["index", &aside]);
        let told = journal.quarantined_index().unwrap();
        assert_eq!(told.name, aside);
        assert!(told.bytes >= 1000 * u64::from(nth), "{told:?}");
        assert_clean(&journal);
        drop(journal);
        let stat = stat_files(dir.path()).unwrap();
        assert_eq!(stat.quarantined, Some(told));
    }
}

/// Whether this process has a file below `dir` open.
fn has_open(dir: &Path) -> bool {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.flat_map(|link| fs::read_link(link.path())).any(|target| target.starts_with(dir))
}

#[test]
fn an_open_that_hangs_cannot_touch_the_index_that_is_built_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let usual = dir.path().join("index");
    let (key, value) = keys::entry(keys::LAYOUT, &keys::LAYOUT_NO.to_be_bytes());
    drop(SledStore::new(&usual, 1_000_000).open().unwrap());
    // sled hangs while it opens this for reading.
    wait_for(|| fs::remove_file(usual.join("conf")).is_ok());
    assert!(Command::new("mkfifo").arg(usual.join("conf")).status().unwrap().success());
    let store = SledStore::new(&usual, 1_000_000).limited(Duration::from_millis(50));
    let hangs = store.open().err().unwrap();
    assert_eq!(hangs.to_string(), "index: opening it hangs");
    assert_eq!(store.quarantine().unwrap().unwrap(), "index.quarantine-1");
    let store = store.limited(Duration::from_secs(600));
    assert!(!store.exists());
    let index = store.open().unwrap();
    assert!(store.exists());
    assert_eq!(folders(dir.path()), ["index.quarantine-1", "index.rebuilt-1"]);
    index.apply(vec![(key.clone(), value.clone())]).unwrap();
    index.flush().unwrap();
    let aside = dir.path().join("index.quarantine-1");
    drop(fs::File::options().read(true).write(true).open(aside.join("conf")).unwrap());
    wait_for(|| !has_open(&aside));
    assert_eq!(folders(dir.path()), ["index.quarantine-1", "index.rebuilt-1"]);
    assert_eq!(index.get(&key).unwrap(), Some(value.clone()));
    drop((index, store));
    // The next process.
    let store = SledStore::new(&usual, 1_000_000);
    assert!(store.exists());
    let index = store.open().unwrap();
    assert_eq!(index.get(&key).unwrap(), Some(value));
    assert_eq!(folders(dir.path()), ["index", "index.quarantine-1"]);
}

/// Another name of a pipe at which sled hangs where it opens the index; it goes on when this is
/// dropped.
struct Pipe(PathBuf);

impl Pipe {
    /// Lays it in the folder of an index that is closed.
    fn lay(dir: &Path) -> Self {
        let (path, other) = (dir.join("conf"), dir.with_file_name("pipe"));
        wait_for(|| fs::remove_file(&path).is_ok());
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        fs::hard_link(path, &other).unwrap();
        Self(other)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(fs::File::options().read(true).write(true).open(&self.0));
    }
}

#[test]
fn an_open_that_hangs_is_left_behind_as_soon_as_there_is_room() {
    let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
    let usual = dir.path().join("index");
    let options = Options { free_space_watermark: 1 << 20, index_grace: Duration::ZERO, ..SMALL };
    let open = |store: Arc<SledStore>| {
        Journal::open_on(Arc::new(disk.clone()), store, Path::new(DIR), options).unwrap().0
    };
    let journal = open(Arc::new(SledStore::new(&usual, 1_000_000)));
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    journal.close();
    drop(journal);
    let _pipe = Pipe::lay(&usual);
    disk.set_free(1 << 19);
    // Time enough for the new index, which does not hang.
    let store = SledStore::new(&usual, 1_000_000).limited(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(store.open().err().unwrap().to_string(), "index: opening it hangs");
        // Another open would not hang any more, and be one too many.
        let _ = fs::remove_file(usual.join("conf"));
    }
    let journal = open(Arc::new(store));
    let reason = || match journal.index_status() {
        IndexStatus::Waiting { reason } => reason,
        _ => String::new(),
    };
    wait_for(|| reason().contains("opening it hangs, and 524288 bytes"));
    disk.set_free(1 << 40);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    let folders = folders(dir.path());
    assert_eq!(folders[0], "index.quarantine-1");
    assert!(folders[1].starts_with("index.rebuilt-"), "{folders:?}");
    assert_clean(&journal);
}

#[test]
fn an_open_that_comes_back_late_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let usual = dir.path().join("index");
    drop(SledStore::new(&usual, 1_000_000).open().unwrap());
    let pipe = Pipe::lay(&usual);
    let store = SledStore::new(&usual, 1_000_000).limited(Duration::from_millis(50));
    assert_eq!(store.open().err().unwrap().to_string(), "index: opening it hangs");
    fs::remove_file(usual.join("conf")).unwrap();
    drop(pipe);
    let index = loop {
        match store.open() {
            Ok(index) => break index,
            Err(error) => assert_eq!(error.to_string(), "index: opening it hangs"),
        }
    };
    assert_eq!(index.get(b"none").unwrap(), None);
    assert_eq!(folders(dir.path()), ["index"]);
}

/// An index in memory that a thread fills.
struct Threaded(MemoryStore);

impl IndexStore for Threaded {
    fn exists(&self) -> bool {
        self.0.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        self.0.open()
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        self.0.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.0.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.0.discard()
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

#[test]
fn an_unusable_index_on_a_full_disk_says_what_to_do_and_is_rebuilt_when_there_is_room() {
    let (disk, store, journal) = memory();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    journal.close();
    drop(journal);
    store.edit(|map| map.retain(|key, _| key != keys::LAYOUT));
    disk.set_free(1 << 19);
    let options =
        Options { free_space_watermark: 1 << 20, index_grace: Duration::from_millis(5), ..SMALL };
    let (shared, store) = (Arc::new(disk.clone()), Arc::new(Threaded(store)));
    let (journal, _) = Journal::open_on(shared, store, Path::new(DIR), options).unwrap();
    wait_for(|| journal.index_status() != IndexStatus::Opening);
    let IndexStatus::Waiting { reason } = journal.index_status() else { panic!() };
    let room = (1 << 20) + crate::limits::RESERVE;
    assert!(reason.contains("524288 bytes of disk are free"), "{reason}");
    assert!(reason.contains(&format!("free {room} bytes")), "{reason}");
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 1);
    disk.set_free(1 << 40);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(journal.quarantined_index().unwrap().name, "index.quarantine-1");
    assert_clean(&journal);
}

/// A disk on which opening one file takes until it may go on.
struct Slow {
    disk: MemoryDisk,
    file: &'static str,
    armed: AtomicBool,
    reached: AtomicBool,
}

impl Disk for Slow {
    fn create_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> std::io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> std::io::Result<Arc<dyn DiskFile>> {
        if path.ends_with(self.file) && self.armed.load(Ordering::SeqCst) {
            self.reached.store(true, Ordering::SeqCst);
            wait_for(|| !self.armed.load(Ordering::SeqCst));
        }
        self.disk.open(path, mode)
    }

    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }

    fn space(&self, path: &Path) -> std::io::Result<Space> {
        self.disk.space(path)
    }

    fn lock(&self, path: &Path) -> std::io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }
}

/// Lets it go on, also when a test fails.
struct Release<'a>(&'a Slow);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.armed.store(false, Ordering::SeqCst);
    }
}

/// A store whose index is never there.
struct Never;

impl IndexStore for Never {
    fn exists(&self) -> bool {
        true
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Err(IndexOpenError::InUse)
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        Ok(None)
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        None
    }

    fn discard(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

#[test]
fn who_reads_one_segment_without_an_index_keeps_nobody_from_another() {
    let (disk, _store, journal) = memory();
    for number in 0..40 {
        commit(&journal, transaction(append("kz-75", stream(1), &[number], 300))).unwrap();
    }
    drop(journal);
    let slow = Arc::new(Slow {
        disk,
        file: "0000000001.seg",
        armed: AtomicBool::new(false),
        reached: AtomicBool::new(false),
    });
    let options = Options { index_grace: Duration::from_millis(1), ..SMALL };
    let opened = Journal::open_on(slow.clone(), Arc::new(Never), Path::new(DIR), options);
    let (journal, _) = opened.unwrap();
    let get = |seq: u64| journal.get(&name("kz-75"), 1, seq).unwrap().unwrap();
    // All footers are known from now on.
    get(39);
    slow.armed.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let release = Release(&slow);
        let (first, again) = (scope.spawn(|| get(0)), scope.spawn(|| get(1)));
        wait_for(|| slow.reached.load(Ordering::SeqCst));
        for seq in 20..40 {
            assert_eq!(get(seq).header().event_id, event(seq));
        }
        assert!(!first.is_finished() && !again.is_finished());
        drop(release);
        assert_eq!(first.join().unwrap().header().event_id, event(0));
        assert_eq!(again.join().unwrap().header().event_id, event(1));
    });
}
