//! Where records lie in the commit files, read by the format's description and not by the journal.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use crate::auditor::Place;

/// A record in a segment.
#[derive(Debug, Clone)]
pub struct Lies {
    /// The file, relative to the folder.
    pub file: String,
    /// Its frame.
    pub frame: Range<usize>,
    /// The group that it belongs to, which is valid as a whole or not at all.
    pub group: Range<usize>,
}

/// Finds all records. The files must be intact.
pub fn places(dir: &Path, files: &[String]) -> BTreeMap<Place, Lies> {
    let (mut found, mut names) = (BTreeMap::new(), HashMap::new());
    for file in files.iter().filter(|file| file.starts_with("commits/")) {
        segment(file, &std::fs::read(dir.join(file)).unwrap(), &mut names, &mut found);
    }
    found
}

fn segment(
    file: &str,
    bytes: &[u8],
    names: &mut HashMap<u16, String>,
    found: &mut BTreeMap<Place, Lies>,
) {
    let u16_at = |at: usize| u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    let (mut at, mut group, mut records) = (128, 128, Vec::new());
    while at + 24 <= bytes.len() {
        let (len, kind) = (u32_at(at) as usize, bytes[at + 8]);
        let end = at + (24 + len).next_multiple_of(8);
        match kind {
            1 => records.push(((u16_at(at + 10), u32_at(at + 12), u64_at(at + 16)), at..end)),
            2 => {
                let name = &bytes[at + 26..][..usize::from(bytes[at + 25])];
                names.insert(u16_at(at + 10), String::from_utf8(name.to_vec()).unwrap());
            }
            5 => {
                for ((log, epoch, seq), frame) in records.drain(..) {
                    let lies = Lies { file: file.to_owned(), frame, group: group..end };
                    found.insert((names[&log].clone(), epoch, seq), lies);
                }
                group = end;
            }
            3 | 4 => {}
            _ => break,
        }
        at = end;
    }
}
