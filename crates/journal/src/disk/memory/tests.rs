use super::*;

#[test]
fn unsynced_data_may_be_lost_and_synced_data_stays() {
    let disk = MemoryDisk::new();
    let path = Path::new("d/f");
    let file = disk.open(path, OpenMode::Create).unwrap();
    file.write_at(0, &[1; 1024]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    file.write_at(0, &[2; 1024]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let bytes = disk.reboot(seed).files()[0].1.clone();
        seen.insert((bytes[0], bytes[512]));
    }
    assert_eq!(seen.len(), 4, "each sector is old or new on its own: {seen:?}");
}

#[test]
fn a_new_name_is_durable_only_with_its_folder() {
    let disk = MemoryDisk::new();
    let (old, new) = (Path::new("d/f"), Path::new("d/sub/f"));
    disk.create_dir(Path::new("d/sub")).unwrap();
    let file = disk.open(old, OpenMode::Create).unwrap();
    file.write_at(0, b"a").unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    disk.rename(old, new).unwrap();
    let outcomes = |disk: &MemoryDisk| -> BTreeSet<bool> {
        let is_left = |seed| disk.reboot(seed).files().iter().any(|(path, _)| path == new);
        (0..64).map(is_left).collect()
    };
    assert_eq!(outcomes(&disk).len(), 2, "kept or lost while no folder is synced");
    disk.sync_dir(Path::new("d/sub")).unwrap();
    assert_eq!(outcomes(&disk), BTreeSet::from([true]));
    disk.create_dir(Path::new("d/new")).unwrap();
    disk.rename(new, Path::new("d/new/f")).unwrap();
    disk.sync_dir(Path::new("d/new")).unwrap();
    let kept = |seed| !disk.reboot(seed).list(Path::new("d/new")).unwrap().is_empty();
    assert!((0..64).any(|seed| !kept(seed)), "the folder's own name was not synced");
}

#[test]
fn the_step_of_the_crash_and_all_later_ones_fail() {
    let disk = MemoryDisk::new();
    let file = disk.open(Path::new("d/f"), OpenMode::Create).unwrap();
    disk.crash_at(2);
    file.write_at(0, b"a").unwrap();
    assert!(file.sync_data().is_err());
    assert!(file.write_at(0, b"b").is_err());
    assert!((0..64).any(|seed| disk.reboot(seed).files().is_empty()), "the name was not synced");
}

#[test]
fn a_killed_program_leaves_what_it_wrote_and_rot_is_seen() {
    let disk = MemoryDisk::mounted_at(Path::new("/srv/office"));
    let path = Path::new("/srv/office/d/f");
    disk.create_dir(Path::new("/srv/office/d")).unwrap();
    let file = disk.open(path, OpenMode::Create).unwrap();
    file.write_at(0, b"unsynced").unwrap();
    let left = disk.copied();
    file.write_at(0, b"later").unwrap();
    assert_eq!(left.files(), [(path.to_path_buf(), b"unsynced".to_vec())]);
    left.rot(path, 2, 1);
    left.rot(path, 100, 1);
    assert_eq!(left.reboot(1).files()[0].1, b"unrynced");
    let folder = Path::new("/srv/office/d");
    let kept = |seed| !disk.reboot(seed).list(Path::new("/srv/office")).unwrap().is_empty();
    assert!((0..64).any(|seed| !kept(seed)), "{folder:?} was not synced");
    disk.sync_dir(Path::new("/srv/office")).unwrap();
    assert!((0..64).all(kept), "what the disk lies in is always there");
}
