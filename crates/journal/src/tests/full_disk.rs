//! A small file system filled to the brim: refusals in words before it, reading all along, restarts
//! on the full disk, writing again when there is space. On the operating system's disk, with sled.
//!
//! Needs the right to mount (root), or `ADAL_SKIP_FULL_DISK=1`.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::disk::os::OsDisk;
use crate::disk::{Disk as _, Space};
use crate::transaction::Control;
use crate::{AttachmentError, CommitError};

/// Set to 1 by a user who may not mount and knows that these tests then show nothing.
const SKIP: &str = "ADAL_SKIP_FULL_DISK";
const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 64 * MIB;

/// A file system of its own, taken away at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn tmpfs(dir: &Path) -> Result<Self, String> {
        let options = format!("size={SIZE},mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }

    /// In a file beside `dir`, without blocks that only root may use.
    fn ext4(dir: &Path) -> Result<Self, String> {
        let image = dir.with_extension("ext4");
        let file = File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(SIZE).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }

    fn space(&self) -> Space {
        OsDisk.space(&self.0).unwrap()
    }

    /// Fills the disk to the last byte, as another program might.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for piece in [1 << 20, 4096, 512, 1] {
            while file.write_all(&vec![1; piece]).and_then(|()| file.sync_data()).is_ok() {}
        }
        assert_eq!(self.space().free, 0, "it is not full");
    }

    /// Takes away what others have there: what [`SmallDisk::fill`] wrote and the rest.
    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
        fs::remove_file(self.0.join("others")).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: after a failed assertion the journal is still on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs a program; its complaint if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(complaint) }
}

/// The journal on the small disk, and what must be in it.
struct Office {
    disk: SmallDisk,
    journal: Option<Journal>,
    /// Number of acknowledged records; their event ids are 0, 1, ...
    acknowledged: u64,
}

impl Office {
    fn open(&mut self) -> OpenReport {
        let options = Options { sled_cache_bytes: 4_000_000, ..Options::default() };
        let (journal, report) = Journal::open(&self.disk.0.join("journal"), options).unwrap();
        self.journal = Some(journal);
        report
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn close(&mut self) {
        self.journal().close();
        self.journal = None;
    }

    /// Commits records in one group.
    fn record(&mut self, count: u64, len: usize) -> Result<(), CommitError> {
        let numbers: Vec<u64> = (self.acknowledged..self.acknowledged + count).collect();
        commit(self.journal(), transaction(append("kz-75", stream(1), &numbers, len)))?;
        self.acknowledged += count;
        Ok(())
    }

    /// Every acknowledged record is there, and no other.
    fn read_all(&self) {
        let (log, mut seq) = (name("kz-75"), 0);
        while seq < self.acknowledged {
            let page = self.journal().range(&log, 1, seq, 10_000, 1 << 20).unwrap();
            for record in page {
                assert_eq!(record.header().event_id, event(seq));
                seq += 1;
            }
        }
        assert_eq!(self.journal().log(&log, 1).unwrap().size, self.acknowledged);
    }

    /// Facts are refused with the figures, the writer goes on, all is read.
    fn refuses_and_reads(&mut self) {
        let free = self.disk.space().free;
        // The reserve that was given up is not for facts.
        let missing = if self.has_reserve() { 0 } else { 8 * MIB };
        let error = self.record(1, 100).unwrap_err();
        let CommitError::DiskFull { free: told, watermark: limit } = error else {
            panic!("{error}")
        };
        // The file system may be a little smaller than its device.
        let watermark = limit - missing;
        assert!(watermark <= SIZE / 8 && watermark > SIZE / 10, "{limit}");
        assert_eq!(self.journal().stats().watermark_bytes, limit, "the one in force is told");
        assert!(told < limit && told <= free + MIB, "{told} of {limit}, {free} are free");
        let attachment = self.journal().attachment_writer(None).err();
        assert!(matches!(attachment, Some(AttachmentError::DiskFull { .. })), "{attachment:?}");
        self.read_all();
        assert!(!self.journal().stats().stopped);
    }

    /// What a kill in the middle of a write leaves behind the last group of a closed journal.
    fn leave_unfinished_group(&self) {
        let commits = self.disk.0.join("journal/commits");
        let segments = fs::read_dir(commits).unwrap().map(|entry| entry.unwrap().path());
        let last = segments.max().unwrap();
        let end = fs::read(&last).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
        let file = File::options().write(true).open(last).unwrap();
        file.write_all_at(&[7; 100], end.next_multiple_of(8)).unwrap();
    }

    fn has_reserve(&self) -> bool {
        self.disk.0.join("journal/reserve").exists()
    }
}

/// Fills the disk by commits until they are refused.
fn fill_by_commits(office: &mut Office) {
    let mut groups = 0;
    let error = loop {
        match office.record(40, 2000) {
            Ok(()) => groups += 1,
            Err(error) => break error,
        }
        if groups % 20 == 0 {
            office.journal().flush_index().unwrap();
        }
        assert!(office.disk.space().free > 0, "the brim is reached after {groups} groups");
    };
    let CommitError::DiskFull { free, watermark } = error else { panic!("{error}") };
    eprintln!("refused after {groups} groups: {error}");
    assert!(free > watermark / 4, "it went far below the watermark: {error}");
    assert!(office.acknowledged > 1000, "{}", office.acknowledged);
}

/// What a journal does on a disk that gets full and empty again.
fn scenario(disk: SmallDisk) {
    fs::write(disk.0.join("others"), vec![1; 16 << 20]).unwrap();
    let mut office = Office { disk, journal: None, acknowledged: 0 };
    assert!(office.open().created);
    office.journal().ensure_own_log(&name("kz-75"), 1).unwrap();
    assert!(office.has_reserve());
    fill_by_commits(&mut office);
    office.refuses_and_reads();
    office.journal().flush_index().unwrap();

    office.disk.fill();
    office.refuses_and_reads();
    for round in 0..100u8 {
        let control = Control { key: vec![b'c'], value: vec![round; 300] };
        let control = Transaction { controls: vec![control], ..Transaction::default() };
        commit(office.journal(), control).unwrap();
        office.journal().flush_index().unwrap();
    }
    // sled's own thread works every second.
    std::thread::sleep(Duration::from_millis(1200));
    office.journal().flush_index().unwrap();
    office.refuses_and_reads();
    assert_eq!(office.disk.space().free, 0);

    office.close();
    let report = office.open();
    assert!(report.reserve_released, "{report:?}");
    eprintln!("restarted on the full disk: {report:?}");
    office.refuses_and_reads();
    office.close();
    office.disk.fill();
    office.leave_unfinished_group();
    let report = office.open();
    eprintln!("restarted without a byte: {report:?}");
    assert_eq!(report.dropped.unwrap().set_aside, None, "there is no room for a copy");
    office.refuses_and_reads();

    office.disk.free();
    office.record(10, 2000).unwrap();
    assert!(!office.has_reserve());
    office.journal().flush_index().unwrap();
    assert!(office.has_reserve(), "the reserve is made again when there is room");
    office.read_all();
    assert_clean(office.journal());
    office.close();
    let report = office.open();
    assert!(!report.reserve_released, "{report:?}");
    office.read_all();
    assert_clean(office.journal());
    office.close();
}

/// Runs the scenario on a small disk, or says why not.
fn on(kind: &str, mount: fn(&Path) -> Result<SmallDisk, String>, is_needed: bool) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("disk");
    fs::create_dir(&root).unwrap();
    match mount(&root) {
        Ok(disk) => scenario(disk),
        Err(problem) => {
            let is_left_out = std::env::var_os(SKIP).is_some_and(|value| value == "1");
            assert!(
                is_left_out || !is_needed,
                "no {kind} to fill: {problem}; run this as a user who may mount (root), or set \
                 {SKIP}=1 to leave out what happens on a full disk"
            );
            eprintln!("skipped: no {kind} to fill: {problem}");
        }
    }
}

#[test]
fn a_full_tmpfs_refuses_facts_serves_readers_and_recovers() {
    on("tmpfs", SmallDisk::tmpfs, true);
}

#[test]
fn a_full_ext4_refuses_facts_serves_readers_and_recovers() {
    // Where a tmpfs can be mounted but no file, the test above has shown what can be shown.
    on("ext4", SmallDisk::ext4, false);
}
