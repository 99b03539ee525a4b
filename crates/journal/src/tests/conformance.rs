//! One suite for both sides of each seam.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::disk::os::OsDisk;
use crate::disk::{Disk, OpenMode};
use crate::index::IndexStore;
use crate::index::sled::SledStore;

/// What an index must do, compared with a plain map.
fn check_index(store: &dyn IndexStore, batches: &[Vec<(Vec<u8>, Vec<u8>)>]) {
    assert!(!store.exists());
    let index = store.open().unwrap();
    assert!(store.exists());
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for batch in batches {
        let pairs = batch.iter().map(|(k, v)| (k.as_slice().into(), v.as_slice().into()));
        index.apply(pairs.collect()).unwrap();
        model.extend(batch.iter().cloned());
    }
    index.flush().unwrap();
    let check = |index: &dyn crate::index::Index| {
        for key in batches.iter().flatten().map(|(key, _)| key) {
            assert_eq!(index.get(key).unwrap().as_deref(), model.get(key).map(Vec::as_slice));
        }
        assert_eq!(index.get(b"\xff\xff\xff").unwrap(), None);
        for (from, to) in [(&b"\x00"[..], &b"\x80"[..]), (b"\x20", b"\x20\xff"), (b"", b"\xff")] {
            let range = || model.range(from.to_vec()..=to.to_vec());
            let last = index.last(from, to).unwrap().map(|(k, v)| (k.to_vec(), v.to_vec()));
            assert_eq!(last, range().next_back().map(|(k, v)| (k.clone(), v.clone())));
            let mut seen = Vec::new();
            index
                .scan(from, to, &mut |k, v| {
                    seen.push((k.to_vec(), v.to_vec()));
                    seen.len() < 3
                })
                .unwrap();
            let expected: Vec<_> = range().take(3).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(seen, expected);
        }
    };
    check(&*index);
    drop(index);
    check(&*store.open().unwrap());
    assert!(store.quarantine().unwrap().is_some());
    assert!(!store.exists());
    assert_eq!(store.quarantine().unwrap(), None);
    assert_eq!(store.open().unwrap().last(b"", b"\xff").unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn both_indexes_are_the_same_ordered_map(
        batches in proptest::collection::vec(
            proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 1..4),
                proptest::collection::vec(any::<u8>(), 0..4096),
                1..20,
            ).prop_map(|batch| batch.into_iter().collect::<Vec<_>>()),
            1..6,
        ),
    ) {
        check_index(&MemoryStore::new(), &batches);
        let dir = tempfile::tempdir().unwrap();
        check_index(&SledStore::new(&dir.path().join("index"), 4_000_000), &batches);
    }
}

/// Names go with their files, replace others, and need a file and a folder.
fn check_rename(disk: &dyn Disk, dir: &Path, path: &Path) {
    let (sub, missing) = (dir.join("sub"), dir.join("missing/f"));
    let other = sub.join("g");
    disk.create_dir(&sub).unwrap();
    let file = disk.open(path, OpenMode::Write).unwrap();
    file.write_at(0, b"new").unwrap();
    disk.open(&other, OpenMode::Create).unwrap().write_at(0, b"replaced").unwrap();
    let not_found = Some(std::io::ErrorKind::NotFound);
    let kind = |result: std::io::Result<()>| result.err().map(|error| error.kind());
    assert_eq!(kind(disk.rename(path, &missing)), not_found, "no such folder");
    assert_eq!(kind(disk.rename(&missing, path)), not_found, "no such file");
    disk.rename(path, &other).unwrap();
    disk.sync_dir(dir).unwrap();
    disk.sync_dir(&sub).unwrap();
    assert_eq!(disk.list(dir).unwrap(), ["sub"], "files and folders are listed");
    let mut buf = [0; 8];
    let moved = disk.open(&other, OpenMode::Read).unwrap();
    assert_eq!(moved.read_at(0, &mut buf).unwrap(), 3);
    file.write_at(3, b"er").unwrap();
    assert_eq!(moved.size().unwrap(), 5, "an open handle stays with its file");
    disk.rename(&other, path).unwrap();
    assert_eq!(disk.open(path, OpenMode::Read).unwrap().size().unwrap(), 5);
}

fn check_disk(disk: Arc<dyn Disk>, root: &Path) {
    let dir = root.join("a/b");
    assert!(disk.list(&dir).unwrap().is_empty());
    disk.create_dir(&dir).unwrap();
    disk.create_dir(&dir).unwrap();
    let path = dir.join("f");
    let missing = disk.open(&path, OpenMode::Write).err().unwrap();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    let file = disk.open(&path, OpenMode::Create).unwrap();
    file.allocate(100).unwrap();
    assert_eq!(file.size().unwrap(), 100);
    file.write_at(98, b"abcd").unwrap();
    let mut buf = [9; 8];
    assert_eq!(file.read_at(96, &mut buf).unwrap(), 6);
    assert_eq!(&buf[..6], b"\0\0abcd");
    assert_eq!(file.read_at(500, &mut buf).unwrap(), 0);
    file.set_len(99).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(&dir).unwrap();
    assert_eq!(disk.open(&path, OpenMode::Read).unwrap().size().unwrap(), 99);
    assert_eq!(disk.list(&dir).unwrap(), ["f"]);
    assert_eq!(disk.open(&path, OpenMode::Create).unwrap().size().unwrap(), 0);
    check_rename(&*disk, &dir, &path);
    disk.remove(&path).unwrap();
    assert!(disk.remove(&path).is_err());
    let space = disk.space(&dir).unwrap();
    assert!(space.free > 0 && space.free <= space.total);
    let lock = disk.lock(&dir.join("lock")).unwrap();
    assert!(lock.is_some());
    assert!(disk.lock(&dir.join("lock")).unwrap().is_none());
    drop(lock);
    assert!(disk.lock(&dir.join("lock")).unwrap().is_some());
}

#[test]
fn the_lock_of_a_handle_that_goes_away_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::new(&dir.path().join("index"), 4_000_000);
    let held = store.open().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(held);
        });
        store.open().unwrap();
    });
}

#[test]
fn both_disks_do_the_same() {
    check_disk(Arc::new(MemoryDisk::new()), Path::new("root"));
    let dir = tempfile::tempdir().unwrap();
    check_disk(Arc::new(OsDisk), dir.path());
}
