//! What the deep check tells while it runs and when it ends.

use crate::report::{Damage, LogInfo};

/// Most damages that a report lists; all are counted. A disk that is going bad gives millions, and
/// nobody reads more than these.
const MOST_DAMAGES: usize = 1000;

/// How far the deep check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Records checked.
    pub records: u64,
    /// Records that are there; 0 where nobody knows (files of a stopped journal, a pass that went
    /// on after a restart).
    pub records_total: u64,
    /// Bytes of commit files and attachments read.
    pub bytes: u64,
    /// Bytes of commit files and attachments that are there.
    pub bytes_total: u64,
    /// Segments finished.
    pub segments: u64,
    /// Segments that are there.
    pub segments_total: u64,
}

/// What was read of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCheck {
    /// The file, relative to the folder.
    pub file: String,
    /// Bytes read and checked, up to the end of its last whole group.
    pub bytes: u64,
    /// Whole groups.
    pub groups: u64,
    /// Records re-hashed.
    pub records: u64,
    /// Damages found in it.
    pub damages: u64,
}

/// What the deep check found. At most 1,000 damages are listed, all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Records re-hashed.
    pub records: u64,
    /// Groups read.
    pub groups: u64,
    /// Segments read.
    pub segments: u64,
    /// Attachments re-hashed.
    pub attachments: u64,
    /// Bytes of commit files and attachments read.
    pub bytes: u64,
    /// Entries of the index compared; 0 if the files were checked without it.
    pub index_entries: u64,
    /// Why the index was not compared: it is being rebuilt, it failed, or the files were checked
    /// alone. Nothing is known of it then; it can be rebuilt from the commit files.
    pub index_not_compared: Option<String>,
    /// Damages found, listed or not.
    pub damage_count: u64,
    /// The damages, in the order in which they were found.
    pub damages: Vec<Damage>,
    /// The logs as the commit files give them, with sizes and roots.
    pub logs: Vec<LogInfo>,
    /// The commit files in order, and any other file in which something is wrong.
    pub files: Vec<FileCheck>,
    /// The caller ended the check early: what was not read is not known to be good.
    pub interrupted: bool,
}

impl CheckReport {
    /// Whether all commit files and attachments were read and nothing is wrong, the index included
    /// if it was compared.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damage_count == 0 && !self.interrupted
    }

    /// Adds a damage, up to the limit of the list.
    pub(crate) fn add(&mut self, damage: Damage) {
        self.damage_count += 1;
        self.file(&damage.file).damages += 1;
        if self.damages.len() < MOST_DAMAGES {
            self.damages.push(damage);
        }
    }

    /// The counts of a file, begun if it has none yet.
    pub(crate) fn file(&mut self, name: &str) -> &mut FileCheck {
        // Files come one after the other, so the one asked for is the last one or near it.
        let at = match self.files.iter().rposition(|known| known.file == name) {
            Some(at) => at,
            None => {
                self.files.push(FileCheck { file: name.to_owned(), ..FileCheck::default() });
                self.files.len() - 1
            }
        };
        &mut self.files[at]
    }
}
