//! What a node remembers of its upkeep: control facts of the journal.
//!
//! | key | value, a text of lines `name number` |
//! |---|---|
//! | `upkeep/scrub` | the last whole pass of the scrub, and where the present one is |
//! | `upkeep/backup` | the last backup that was sent whole |

use journal::Control;

use crate::records::Records;

const SCRUB: &[u8] = b"upkeep/scrub";
const BACKUP: &[u8] = b"upkeep/backup";

/// How far the scrub is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubState {
    /// Whole passes so far.
    pub passes: u64,
    /// When the last one ended, microseconds since 1970.
    pub ended: i64,
    /// Bytes of commit files that it read.
    pub bytes: u64,
    /// Records that it hashed again.
    pub records: u64,
    /// Damages that it found.
    pub damages: u64,
    /// The commit file that the present pass reads next; 0: none has begun.
    pub segment: u64,
}

/// A backup that was sent whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupState {
    /// When it was begun, microseconds since 1970.
    pub taken: i64,
    /// Number of its last group.
    pub group: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

impl ScrubState {
    /// What is stored of it.
    pub fn load(journal: &Records) -> ScrubState {
        let text = journal.control(SCRUB).unwrap_or_default();
        let of = |name| number::<u64>(&text, name).unwrap_or(0);
        ScrubState {
            passes: of("passes"),
            ended: number(&text, "ended").unwrap_or(0),
            bytes: of("bytes"),
            records: of("records"),
            damages: of("damages"),
            segment: of("segment"),
        }
    }

    /// The control fact that keeps it.
    pub fn control(&self) -> Control {
        let ScrubState { passes, ended, bytes, records, damages, segment } = self;
        let text = format!(
            "passes {passes}\nended {ended}\nbytes {bytes}\nrecords {records}\n\
             damages {damages}\nsegment {segment}\n"
        );
        Control { key: SCRUB.to_vec(), value: text.into_bytes() }
    }
}

impl BackupState {
    /// What is stored of it; `None` if none was sent yet.
    pub fn load(journal: &Records) -> Option<BackupState> {
        let text = journal.control(BACKUP)?;
        Some(BackupState {
            taken: number(&text, "taken")?,
            group: number(&text, "group")?,
            bytes: number(&text, "bytes")?,
        })
    }

    /// The control fact that keeps it.
    pub fn control(&self) -> Control {
        let BackupState { taken, group, bytes } = self;
        let text = format!("taken {taken}\ngroup {group}\nbytes {bytes}\n");
        Control { key: BACKUP.to_vec(), value: text.into_bytes() }
    }
}

/// The number of a line. A line that is not there, or is a newer node's, is unknown.
fn number<T: std::str::FromStr>(text: &[u8], name: &str) -> Option<T> {
    let lines = str::from_utf8(text).ok()?.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use journal::Journal;

    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let small = journal::Options { segment_bytes: 65_536, ..journal::Options::default() };
        let (journal, _) = Journal::open(&dir.path().join("journal"), small).unwrap();
        let records = Records::new(journal.clone());
        assert_eq!(ScrubState::load(&records), ScrubState::default());
        assert_eq!(BackupState::load(&records), None);
        let scrub =
            ScrubState { passes: 1, ended: -2, bytes: 3, records: 4, damages: 5, segment: 6 };
        let backup = BackupState { taken: -1, group: 2, bytes: 3 };
        let controls = vec![scrub.control(), backup.control()];
        let stored = journal::Transaction { controls, ..journal::Transaction::default() };
        journal.commit(vec![stored], 1).unwrap();
        assert_eq!(ScrubState::load(&records), scrub);
        assert_eq!(BackupState::load(&records), Some(backup));
    }
}
