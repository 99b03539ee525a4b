//! The folders that are damaged: one that was closed, one whose process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evidence::log::LogName;

use super::places::{Lies, places};
use crate::auditor::{Auditor, Place};
use crate::kills::told;
use crate::process::Process;
use crate::subject;

/// No step of a healthy process takes as long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Transactions of the writer that closes: some segments full.
const TRANSACTIONS: usize = 160;

/// Segments at the end that an open may write.
const OPEN_FOR_WRITING: usize = 3;

/// A folder and everything that is known of it.
pub struct Sample {
    /// `closed` or `killed`.
    pub name: &'static str,
    /// Keeps the folder.
    pub keep: tempfile::TempDir,
    /// All files, relative to the folder.
    pub files: Vec<String>,
    /// Stored bytes of every record that an undamaged copy serves.
    pub records: BTreeMap<Place, Vec<u8>>,
    /// Those of them that were acknowledged.
    pub acknowledged: BTreeSet<Place>,
    /// Where they lie.
    pub places: BTreeMap<Place, Lies>,
}

impl Sample {
    /// The folder.
    pub fn dir(&self) -> PathBuf {
        self.keep.path().join("journal")
    }

    /// A journal that was closed.
    pub fn closed(seed: u64) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let dir = keep.path().join("journal");
        let mut auditor = Auditor::default();
        let ended = Process::start("write", seed, 0, TRANSACTIONS as u64, &dir).wait(PATIENCE);
        assert!(ended.said("closed"), "seed {seed}: {}", told(&ended));
        auditor.hear(&ended.lines).unwrap();
        Self::of("closed", keep, &auditor)
    }

    /// A journal whose process was killed, with an unfinished group set aside in its past.
    pub fn killed(seed: u64) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let dir = keep.path().join("journal");
        let mut auditor = Auditor::default();
        for generation in 0..10 {
            let writer = Process::start("write", seed, generation, 0, &dir);
            let written = writer.hear_times("ack", TRANSACTIONS / 2, PATIENCE);
            assert!(written, "seed {seed}: it does not write");
            auditor.hear(&writer.kill().lines).unwrap();
            // What is written behind the last group is set aside at the next open, unless the kill
            // met the beginning of a segment, which is then removed.
            if dir.join("set-aside").exists() {
                break;
            }
            leave_unfinished(&dir);
        }
        let sample = Self::of("killed", keep, &auditor);
        assert!(
            sample.files.iter().any(|file| file.starts_with("set-aside/")),
            "{:?}",
            sample.files
        );
        sample
    }

    fn of(name: &'static str, keep: tempfile::TempDir, auditor: &Auditor) -> Self {
        let dir = keep.path().join("journal");
        let files = files(&dir);
        let copy = tempfile::tempdir().unwrap();
        copy_all(&dir, &files, "", copy.path());
        let (journal, _) = subject::open(copy.path()).unwrap();
        subject::wait_for_index(&journal).unwrap();
        let mut records = BTreeMap::new();
        for info in journal.logs() {
            let all = journal.range(&info.log, info.epoch, 0, usize::MAX, usize::MAX).unwrap();
            for (seq, record) in (0..).zip(all) {
                let place = (info.log.to_string(), info.epoch, seq);
                records.insert(place, record.into_bytes());
            }
        }
        let acknowledged =
            records.keys().filter(|place| auditor.is_acknowledged(place)).cloned().collect();
        let places = places(copy.path(), &self::files(copy.path()));
        assert!(places.keys().eq(records.keys()), "the decoder of this test finds other records");
        Self { name, keep, files, records, acknowledged, places }
    }

    /// The name of a log of this sample.
    pub fn log(place: &Place) -> LogName {
        LogName::new(&place.0).unwrap()
    }
}

/// Writes bytes that are no group behind the last one, as a write does that a crash tears.
fn leave_unfinished(dir: &Path) {
    let file = files(dir).into_iter().rfind(|file| file.starts_with("commits/")).unwrap();
    let mut bytes = fs::read(dir.join(&file)).unwrap();
    // A kill may have left a segment in which nothing was written yet.
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return };
    let end = (last + 1).next_multiple_of(8);
    bytes.resize(bytes.len().max(end + 100), 0);
    bytes[end..end + 100].fill(0xee);
    fs::write(dir.join(&file), bytes).unwrap();
}

/// All files of a folder, relative to it, in order.
pub fn files(dir: &Path) -> Vec<String> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(dir.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                files.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Copies files into another folder. Segments that nobody writes any more are linked, all but
/// `changed`, which is going to be damaged.
pub fn copy_all(from: &Path, files: &[String], changed: &str, to: &Path) {
    let is_segment = |file: &&String| file.starts_with("commits/");
    let segments: Vec<&String> = files.iter().filter(is_segment).collect();
    let old = &segments[..segments.len().saturating_sub(OPEN_FOR_WRITING)];
    for file in files {
        fs::create_dir_all(to.join(file).parent().unwrap()).unwrap();
        let (source, target) = (from.join(file), to.join(file));
        if old.contains(&file) && file != changed {
            fs::hard_link(source, target).unwrap();
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}
