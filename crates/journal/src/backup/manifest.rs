//! The file `BACKUP`: what a backup holds, as text with a digest at its end.

use std::fmt::Write as _;

use evidence::hash::{Hash, from_hex, hex, sha256};
use evidence::log::LogName;
use thiserror::Error;

use crate::report::{LogInfo, Role};
use crate::tail::Mark;

/// Name of the manifest in a backup's folder.
pub const MANIFEST: &str = "BACKUP";

/// Largest manifest that is read, in bytes: a line of at most 256 bytes for each of a million
/// files, which is 64 TB of commit files.
pub(crate) const MAX_MANIFEST: u64 = 256 * 1024 * 1024;

/// First line; the number is the version of the format.
const FIRST: &str = "adal backup 1";

/// Longest name of a file, in bytes: far above `attachments/<2 hex>/<64 hex>`.
const MAX_NAME: usize = 160;

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// It is of another version of the format.
    #[error("the manifest is of another version of the format")]
    Version,
    /// A line is not as the format wants it, or the digest at the end does not agree.
    #[error("the manifest is damaged at line {line}")]
    Damaged {
        /// The line, counted from 1.
        line: usize,
    },
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name relative to the folder, with `/` between the parts.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// What a backup holds: an image of the journal as of one durable group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Identity of the journal, the same in all its segments.
    pub journal: [u8; 16],
    /// When the backup was begun, microseconds since 1970 UTC, by the caller's clock.
    pub taken_at: i64,
    /// The end of the last group.
    pub(crate) mark: Mark,
    /// Every epoch of every log with its size and root. `last_recorded_at` is not kept: `i64::MIN`.
    pub logs: Vec<LogInfo>,
    /// The files with their SHA-256, in the order in which they are written.
    pub files: Vec<(BackupFile, Hash)>,
}

impl Manifest {
    /// Number of the last group.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.mark.group
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(file, _)| file.len).sum()
    }

    /// The text of the manifest file.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = format!("{FIRST}\njournal {}\ntaken {}\n", hex(&self.journal), self.taken_at);
        let Mark { segment, offset, group, chain } = &self.mark;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "end {group} {segment} {offset} {}", hex(chain));
        for LogInfo { log, epoch, role, size, root, .. } in &self.logs {
            let role = match role {
                Role::Own => "own",
                Role::Mirror => "mirror",
            };
            let _ = writeln!(out, "log {log} {epoch} {role} {size} {}", hex(root));
        }
        for (file, digest) in &self.files {
            let _ = writeln!(out, "file {} {} {}", file.name, file.len, hex(digest));
        }
        let digest = sha256(out.as_bytes());
        let _ = writeln!(out, "sha256 {}", hex(&digest));
        out
    }

    /// Reads the text of a manifest file.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub fn decode(text: &str) -> Result<Self, ManifestError> {
        if !text.starts_with(FIRST) && text.starts_with("adal backup ") {
            return Err(ManifestError::Version);
        }
        let lines = text.lines().count();
        let damaged = |line| ManifestError::Damaged { line };
        let end = text.rfind("sha256 ").ok_or(damaged(lines))?;
        if text[end..] != format!("sha256 {}\n", hex(&sha256(&text.as_bytes()[..end]))) {
            return Err(damaged(lines));
        }
        let mut numbered = (1..).zip(text[..end].lines());
        let mut next = || numbered.next().ok_or(damaged(lines));
        let (line, first) = next()?;
        (first == FIRST).then_some(()).ok_or(damaged(line))?;
        let (line, journal) = next()?;
        let journal = journal.strip_prefix("journal ").and_then(digits).ok_or(damaged(line))?;
        let (line, taken) = next()?;
        let taken = taken.strip_prefix("taken ").and_then(|text| text.parse().ok());
        let taken_at = taken.ok_or(damaged(line))?;
        let (line, mark) = next()?;
        let mark = mark_line(mark).ok_or(damaged(line))?;
        let (mut logs, mut files) = (Vec::new(), Vec::new());
        for (line, text) in numbered {
            match text.split_once(' ') {
                Some(("log", rest)) => logs.push(log_line(rest).ok_or(damaged(line))?),
                Some(("file", rest)) => files.push(file_line(rest).ok_or(damaged(line))?),
                _ => return Err(damaged(line)),
            }
        }
        Ok(Self { journal, taken_at, mark, logs, files })
    }
}

/// A fixed number of bytes in hexadecimal.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text)?.try_into().ok()
}

fn mark_line(text: &str) -> Option<Mark> {
    let mut words = text.strip_prefix("end ")?.split(' ');
    let mut number = || words.next()?.parse().ok();
    let (group, segment, offset) = (number()?, number()?, number()?);
    let chain = digits(words.next()?)?;
    words.next().is_none().then_some(Mark { segment, offset, group, chain })
}

fn log_line(text: &str) -> Option<LogInfo> {
    let mut words = text.split(' ');
    let log = LogName::new(words.next()?).ok()?;
    let epoch = words.next()?.parse().ok()?;
    let role = match words.next()? {
        "own" => Role::Own,
        "mirror" => Role::Mirror,
        _ => return None,
    };
    let (size, root) = (words.next()?.parse().ok()?, digits(words.next()?)?);
    let info = LogInfo { log, epoch, role, size, root, last_recorded_at: i64::MIN };
    words.next().is_none().then_some(info)
}

fn file_line(text: &str) -> Option<(BackupFile, Hash)> {
    let mut words = text.split(' ');
    let name = words.next().filter(|name| is_name(name))?.to_owned();
    let (len, digest) = (words.next()?.parse().ok()?, digits(words.next()?)?);
    words.next().is_none().then_some((BackupFile { name, len }, digest))
}

/// Whether a file may be part of a backup. What another machine names is a path here, so nothing
/// but the journal's own spellings passes: no `..`, no root, no hidden file.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    let inside = |folder: &str| name.strip_prefix(folder)?.strip_prefix('/');
    let segment = inside(crate::files::COMMITS).and_then(crate::files::segment_number);
    let attachment = || inside(crate::files::ATTACHMENTS).is_some_and(|n| n.split('/').all(part));
    name.len() <= MAX_NAME && (name == crate::files::TAIL || segment.is_some() || attachment())
}

/// The epochs that are open at the end of a backup: per own log the highest.
pub(crate) fn open_epochs(logs: &[LogInfo]) -> Vec<(LogName, u32)> {
    let mut open: Vec<(LogName, u32)> = Vec::new();
    for info in logs.iter().filter(|info| info.role == Role::Own) {
        match open.iter_mut().find(|(log, _)| *log == info.log) {
            Some((_, epoch)) => *epoch = (*epoch).max(info.epoch),
            None => open.push((info.log.clone(), info.epoch)),
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> Manifest {
        let info = |log: &str, epoch, role| LogInfo {
            log: LogName::new(log).unwrap(),
            epoch,
            role,
            size: 7,
            root: [3; 32],
            last_recorded_at: i64::MIN,
        };
        let file = |name: &str| (BackupFile { name: name.to_owned(), len: 4096 }, [9; 32]);
        Manifest {
            journal: [1; 16],
            taken_at: -5,
            mark: Mark { segment: 2, offset: 4096, group: 17, chain: [2; 32] },
            logs: vec![info("kz-75", 1, Role::Own), info("kz/all", 2, Role::Mirror)],
            files: vec![file("commits/0000000001.seg"), file("tail")],
        }
    }

    #[test]
    fn a_manifest_comes_back_and_every_change_of_a_byte_is_seen() {
        let text = sample().encode();
        assert_eq!(Manifest::decode(&text), Ok(sample()));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Manifest::decode(&changed).is_err(), "byte {at}");
            assert!(Manifest::decode(&text[..at]).is_err(), "cut at {at}");
        }
        let newer = text.replace("backup 1", "backup 2");
        assert_eq!(Manifest::decode(&newer), Err(ManifestError::Version));
    }

    #[test]
    fn only_files_of_a_journal_have_a_name() {
        let hash = "ab".repeat(32);
        for good in ["tail", "commits/0000000001.seg", &format!("attachments/ab/{hash}")] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "BACKUP",
            "/etc/passwd",
            "commits/1.seg",
            "commits/../tail",
            "attachments",
            "attachments/",
            "attachments/../tail",
            "attachments//x",
            "attachments/.x",
            "attachments/a b",
            "index/db",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_open_epoch_of_an_own_log_is_its_highest() {
        let mut logs = sample().logs;
        logs.push(LogInfo { epoch: 4, ..logs[0].clone() });
        assert_eq!(open_epochs(&logs), [(logs[0].log.clone(), 4)]);
    }
}
