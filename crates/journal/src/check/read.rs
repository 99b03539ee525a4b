//! Records of a journal that nobody has open, as they lie in its commit files.

use std::path::Path;
use std::sync::Arc;

use evidence::record::Record;

use crate::backup;
use crate::disk::OpenMode;
use crate::disk::os::OsDisk;
use crate::error::OpenError;
use crate::files;
use crate::frame::Kind;
use crate::recover::{read_header, segments};
use crate::scan::{Scanner, Step};
use crate::writer::Place;

/// How the reading of a folder ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesRead {
    /// Records that were handed out.
    pub records: u64,
    /// Commit files of which a part could not be read, with what is wrong there.
    pub damaged: Vec<String>,
}

/// Hands out every intact record of a folder, own and mirrored, in the order in which they were
/// committed. Changes nothing, checks each group's digest, and passes over what is damaged: it is
/// meant for disks that were given up.
///
/// # Errors
/// [`OpenError::InUse`], [`OpenError::Version`] or an error of the operating system.
pub fn read_files(dir: &Path, each: &mut dyn FnMut(Record)) -> Result<FilesRead, OpenError> {
    let place = Place { disk: Arc::new(OsDisk), dir: dir.to_path_buf() };
    let is_backup = backup::manifest_of(&place)?.is_some();
    let _lock = if is_backup { None } else { super::lock(&place)? };
    let mut read = FilesRead::default();
    for number in segments(&place)? {
        let name = files::segment_name(number);
        let failed = |error| OpenError::io("read", &name, error);
        let (file, header) = match read_header(&place, number, OpenMode::Read)? {
            Ok(opened) => opened,
            Err(found) => {
                read.damaged.push(format!("{name}: {}", found.why));
                continue;
            }
        };
        let mut scanner = Scanner::new(file, &header).map_err(failed)?;
        loop {
            match scanner.next().map_err(failed)? {
                Step::Group(group) => {
                    for frame in group.frames.iter().filter(|f| f.head.kind == Kind::Record) {
                        match Record::parse(group.body(frame).to_vec()) {
                            Ok(record) => {
                                read.records += 1;
                                each(record);
                            }
                            Err(error) => read.damaged.push(format!("{name}: {error}")),
                        }
                    }
                }
                Step::End { .. } | Step::Footer { .. } => break,
                Step::Broken { at, why } => {
                    read.damaged.push(format!("{name} at {at}: {why}"));
                    break;
                }
            }
        }
    }
    Ok(read)
}
