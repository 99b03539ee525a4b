//! Names of attachments, and which of them are durable.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::hash::{Hash, from_hex, hex};
use evidence::record::Draft;
use rand::TryRng;

use super::error::{AttachmentReadError, short};
use crate::disk::{DiskFile, OpenMode};
use crate::error::{CommitError, OpenError, ReadError};
use crate::files;
use crate::room::Room;
use crate::writer::Place;

/// The folder of the attachments.
pub(crate) struct Store {
    place: Place,
    room: Room,
    durable: Mutex<Durable>,
}

/// What is known of the durability of names. The bytes under a name always are: they are synced
/// before they get it.
#[derive(Default)]
struct Durable {
    /// Folders that were synced since the journal was opened, with the way to them.
    folders: BTreeSet<u8>,
    /// Attachments whose folder could not be synced, or not yet, since they got their name.
    doubtful: HashSet<Hash>,
}

impl Store {
    /// The attachments of the journal in `place`; none is taken in that `room` has no place for.
    pub(crate) fn new(place: Place, room: Room) -> Self {
        Self { place, room, durable: Mutex::default() }
    }

    /// The free space.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Where the journal is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what writers left behind that did not finish, but for what is gone on with: see
    /// [`Store::partial`]. To be called at open, under the journal's lock.
    pub(crate) fn remove_unfinished(&self) -> Result<(), OpenError> {
        let incoming = self.place.dir.join(files::INCOMING);
        let names = self.place.disk.list(&incoming);
        let names = names.map_err(|error| OpenError::io("list", files::INCOMING, error))?;
        for name in names.into_iter().filter(|name| hash_of(name).is_none()) {
            let removed = self.place.disk.remove(&incoming.join(&name));
            removed.map_err(|error| OpenError::io("remove", files::INCOMING, error))?;
        }
        Ok(())
    }

    /// A new file for an attachment on its way, and its path.
    pub(crate) fn incoming(&self) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        let mut random = [0; 16];
        let filled = rand::rngs::SysRng.try_fill_bytes(&mut random);
        filled.map_err(|error| io::Error::other(error.to_string()))?;
        let folder = self.place.dir.join(files::INCOMING);
        self.place.disk.create_dir(&folder)?;
        let path = folder.join(hex(&random));
        let file = self.place.disk.open(&path, OpenMode::Create)?;
        Ok((path, file))
    }

    /// The file of an attachment that comes in parts, under the name that it will have; it is there
    /// again after a restart.
    pub(super) fn partial(&self, hash: &Hash) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        let folder = self.place.dir.join(files::INCOMING);
        self.place.disk.create_dir(&folder)?;
        let path = folder.join(hex(hash));
        let file = match self.place.disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.place.disk.open(&path, OpenMode::Create)?
            }
            opened => opened?,
        };
        Ok((path, file))
    }

    /// Gives a synced file its name and makes that durable. A file of that name is replaced: its
    /// bytes are the same, or it is damaged and mended by this.
    pub(crate) fn admit(&self, from: &Path, hash: &Hash) -> io::Result<()> {
        let disk = &self.place.disk;
        let folder = self.place.dir.join(files::attachment_folder(hash[0]));
        if self.durable_size(hash)?.is_none() {
            self.durable().doubtful.insert(*hash);
        }
        disk.create_dir(&folder)?;
        disk.rename(from, &self.place.dir.join(files::attachment_name(hash)))?;
        self.sync_folder(hash[0], true)?;
        self.durable().doubtful.remove(hash);
        // So that a crash does not bring the other name back, which would only be removed again.
        disk.sync_dir(&self.place.dir.join(files::INCOMING))
    }

    /// Makes the names in a folder durable, with the way to it; once after opening, and again if
    /// something was `added` to it.
    fn sync_folder(&self, folder: u8, added: bool) -> io::Result<()> {
        let is_known = self.durable().folders.contains(&folder);
        let (disk, dir) = (&self.place.disk, &self.place.dir);
        if !is_known {
            disk.sync_dir(dir)?;
            disk.sync_dir(&dir.join(files::ATTACHMENTS))?;
        }
        if added || !is_known {
            disk.sync_dir(&dir.join(files::attachment_folder(folder)))?;
        }
        self.durable().folders.insert(folder);
        Ok(())
    }

    /// The size of an attachment; `None` if there is none of this name.
    pub(crate) fn size(&self, hash: &Hash) -> io::Result<Option<u64>> {
        match self.place.open(&files::attachment_name(hash), OpenMode::Read) {
            Ok(file) => file.size().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size of an attachment that survives a crash; `None` if none of this name does.
    pub(crate) fn durable_size(&self, hash: &Hash) -> io::Result<Option<u64>> {
        // In this order: a name is doubtful before it can be seen.
        let Some(size) = self.size(hash)? else { return Ok(None) };
        if self.durable().doubtful.contains(hash) {
            return Ok(None);
        }
        // A name that an earlier run of the program gave may not have been synced by it.
        self.sync_folder(hash[0], false)?;
        Ok(Some(size))
    }

    /// Refuses drafts that name an attachment that is not durably here with that size.
    pub(crate) fn require(&self, drafts: &[Draft]) -> Result<(), CommitError> {
        let named = drafts.iter().flat_map(|draft| draft.header.attachments.iter().enumerate());
        for (index, attachment) in named {
            let held = self.durable_size(&attachment.hash).map_err(|source| ReadError::Io {
                file: files::attachment_name(&attachment.hash),
                source,
            })?;
            if held != Some(attachment.size) {
                let (hash, size) = (short(&attachment.hash), attachment.size);
                return Err(CommitError::AttachmentMissing { index, hash, size, held });
            }
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        // What cannot be listed is told by the check.
        let names = (0..=u8::MAX).flat_map(|folder| self.listed(folder).unwrap_or_default());
        let hashes = names.filter_map(|name| hash_of(&name));
        hashes.filter_map(|hash| self.size(&hash).ok().flatten()).sum()
    }

    /// What is in the folder of one first byte, in order.
    pub(super) fn listed(&self, folder: u8) -> io::Result<Vec<String>> {
        let path = self.place.dir.join(files::attachment_folder(folder));
        let mut names = self.place.disk.list(&path)?;
        names.sort_unstable();
        Ok(names)
    }

    /// The attachments in the folder of one first byte, in order of their hashes.
    pub(super) fn names(&self, folder: u8) -> Result<Vec<Hash>, AttachmentReadError> {
        let io = |source| AttachmentReadError::Io { hash: hex(&[folder]), source };
        let names = self.listed(folder).map_err(io)?;
        let hashes = names.iter().filter_map(|name| hash_of(name));
        Ok(hashes.filter(|hash| hash[0] == folder).collect())
    }
}

/// The hash in the name of an attachment's file; `None` for another file.
pub(crate) fn hash_of(name: &str) -> Option<Hash> {
    from_hex(name)?.try_into().ok()
}
