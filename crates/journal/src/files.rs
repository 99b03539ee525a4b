//! Names of the files in a journal's folder.

use std::path::{Path, PathBuf};

use evidence::hash::{Hash, hex};

/// Folder of the commit files.
pub(crate) const COMMITS: &str = "commits";
/// Folder of the index.
pub(crate) const INDEX: &str = "index";
/// Folder of copies of dropped groups.
pub(crate) const SET_ASIDE: &str = "set-aside";
/// The tail file.
pub(crate) const TAIL: &str = "tail";
/// The lock file.
pub(crate) const LOCK: &str = "lock";
/// The deletable reserve.
pub(crate) const RESERVE: &str = "reserve";

/// Folder of the attachments.
pub(crate) const ATTACHMENTS: &str = "attachments";
/// Folder of attachments that are being written.
pub(crate) const INCOMING: &str = "attachments/incoming";

/// Folder of the attachments whose hash starts with this byte, relative to the journal's folder.
pub(crate) fn attachment_folder(first: u8) -> String {
    format!("{ATTACHMENTS}/{first:02x}")
}

/// Name of an attachment, relative to the journal's folder.
pub(crate) fn attachment_name(hash: &Hash) -> String {
    format!("{}/{}", attachment_folder(hash[0]), hex(hash))
}

/// Name of a segment, relative to the journal's folder.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{COMMITS}/{number:010}.seg")
}

/// Path of a segment.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(segment_name(number))
}

/// The number in a segment's file name; `None` for another file.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number: u64 = digits.parse().ok()?;
    (number > 0 && format!("{number:010}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_have_one_spelling() {
        assert_eq!(segment_name(7), "commits/0000000007.seg");
        assert_eq!(segment_number("0000000007.seg"), Some(7));
        for other in ["7.seg", "0000000000.seg", "0000000007.seg.tmp", "+000000007.seg", "x"] {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}
