//! A file system in memory that crashes: what was not synced is lost, torn or kept by chance.
//!
//! Every write, sync, creation, renaming, removal and change of length is one *step*.
//! [`MemoryDisk::crash_at`] lets the disk die at a chosen step: that step and all later ones fail,
//! a write of that step may still reach the disk in part. [`MemoryDisk::reboot`] gives the disk as
//! it is found afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, OpenMode, Space};

/// Writes are torn at multiples of this many bytes.
const SECTOR: usize = 512;

/// What was done to a file since its last sync.
#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// One file: what a crash keeps, what is seen now, and the changes between the two.
#[derive(Default)]
struct Node {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Node>>>;

/// The whole disk.
#[derive(Default)]
struct Shared {
    names: Names,
    durable_names: Names,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
    steps: u64,
    crash_at: Option<u64>,
    free: u64,
    /// What the disk lies in.
    mount: PathBuf,
}

/// A crashing file system in memory; clones share it.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Shared>>, Arc<AtomicBool>);

impl Default for MemoryDisk {
    fn default() -> Self {
        let shared = Shared { free: 1 << 40, ..Shared::default() };
        Self(Arc::new(Mutex::new(shared)), Arc::default())
    }
}

/// A folder and those that it lies in, as far as they have a name.
fn folders_to(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.ancestors().filter(|folder| folder.file_name().is_some()).map(Path::to_path_buf)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small generator (splitmix64), so that a crash is reproducible from its seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that lies in this folder, which is there whatever happens to the disk.
    #[must_use]
    pub fn mounted_at(folder: &Path) -> Self {
        let disk = Self::new();
        held(&disk.0).mount = folder.to_path_buf();
        disk
    }

    /// Steps done so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        held(&self.0).steps
    }

    /// Lets the step with this number (counted from 0) and all later ones fail.
    pub fn crash_at(&self, step: u64) {
        held(&self.0).crash_at = Some(step);
    }

    /// Lets the disk work again as it is: the program ended, the computer did not. Whoever had the
    /// lock is gone.
    pub fn revive(&self) {
        held(&self.0).crash_at = None;
        self.1.store(false, Ordering::SeqCst);
    }

    /// Sets the free bytes that [`Disk::space`] tells and allocation respects.
    pub fn set_free(&self, free: u64) {
        held(&self.0).free = free;
    }

    /// The disk after power came back. Of each file's unsynced changes a subset by chance is kept,
    /// each write in whole sectors by chance; unsynced names are kept or lost by chance, those of
    /// folders with all that is in them.
    #[must_use]
    pub fn reboot(&self, seed: u64) -> Self {
        let shared = held(&self.0);
        let mut chance = Chance(seed);
        let mut names = Names::new();
        for (path, node) in &shared.durable_names {
            if shared.names.contains_key(path) || chance.below(2) == 0 {
                names.insert(path.clone(), node.clone());
            }
        }
        for (path, node) in &shared.names {
            if chance.below(2) == 0 {
                names.insert(path.clone(), node.clone());
            }
        }
        let (durable, now) = (&shared.durable_folders, &shared.folders);
        let lost: BTreeSet<&PathBuf> =
            now.difference(durable).filter(|_| chance.below(2) == 0).collect();
        let is_left = |path: &Path| !path.ancestors().any(|on| lost.contains(&on.to_path_buf()));
        let folders: BTreeSet<PathBuf> = now.iter().filter(|f| is_left(f)).cloned().collect();
        let names: Names = names
            .into_iter()
            .filter(|(path, _)| is_left(path))
            .map(|(path, node)| (path, Arc::new(Mutex::new(survive(&held(&node), &mut chance)))))
            .collect();
        let durable_names = names.clone();
        let (durable_folders, free) = (folders.clone(), shared.free);
        let mount = shared.mount.clone();
        let next = Shared {
            names,
            durable_names,
            folders,
            durable_folders,
            free,
            mount,
            ..Shared::default()
        };
        Self(Arc::new(Mutex::new(next)), Arc::default())
    }

    /// The disk as it is found after the program was killed: everything that was written is there.
    /// Whoever still has the old one writes into the void.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copy = Self::with_files(&self.files());
        {
            let (from, mut to) = (held(&self.0), held(&copy.0));
            (to.free, to.mount) = (from.free, from.mount.clone());
            to.folders.clone_from(&from.folders);
            to.durable_folders.clone_from(&from.folders);
        }
        copy
    }

    /// As [`MemoryDisk::copied`], for a machine where the disk lies in another folder.
    #[must_use]
    pub fn moved(&self, from: &Path, to: &Path) -> Self {
        let place = |path: &Path| path.strip_prefix(from).map_or(path.into(), |end| to.join(end));
        let files = self.files().into_iter().map(|(path, bytes)| (place(&path), bytes));
        let copy = Self::with_files(&files.collect::<Vec<_>>());
        held(&copy.0).mount = place(&held(&self.0).mount);
        copy
    }

    /// Flips the bits of `mask` in one byte of a file, behind everybody's back, where the file is
    /// that long.
    pub fn rot(&self, path: &Path, at: usize, mask: u8) {
        let shared = held(&self.0);
        let Some(node) = shared.names.get(path) else { return };
        let mut node = held(node);
        let Node { durable, current, .. } = &mut *node;
        for byte in [durable.get_mut(at), current.get_mut(at)].into_iter().flatten() {
            *byte ^= mask;
        }
    }

    /// The files with their present contents, for tests that damage them.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let shared = held(&self.0);
        shared.names.iter().map(|(path, node)| (path.clone(), held(node).current.clone())).collect()
    }

    /// A new disk with these files, all durable.
    #[must_use]
    pub fn with_files(files: &[(PathBuf, Vec<u8>)]) -> Self {
        let disk = Self::new();
        {
            let mut shared = held(&disk.0);
            for (path, bytes) in files {
                let folders = path.parent().into_iter().flat_map(folders_to);
                shared.durable_folders.extend(folders);
                let (durable, current) = (bytes.clone(), bytes.clone());
                let node = Arc::new(Mutex::new(Node { durable, current, pending: Vec::new() }));
                shared.names.insert(path.clone(), node.clone());
                shared.durable_names.insert(path.clone(), node);
            }
            shared.folders = shared.durable_folders.clone();
        }
        disk
    }

    /// Counts a step; `Err` if the disk is dead by now, `Ok(true)` if it dies in this one.
    fn step(&self) -> io::Result<bool> {
        let mut shared = held(&self.0);
        let step = shared.steps;
        shared.steps += 1;
        match shared.crash_at {
            Some(at) if step > at => Err(dead()),
            Some(at) => Ok(step == at),
            None => Ok(false),
        }
    }

    /// Counts a step whose effect is lost if the disk dies in it.
    fn whole_step(&self) -> io::Result<()> {
        if self.step()? { Err(dead()) } else { Ok(()) }
    }
}

fn dead() -> io::Error {
    io::Error::other("the power is off")
}

/// What is left of a file.
fn survive(node: &Node, chance: &mut Chance) -> Node {
    let mut bytes = node.durable.clone();
    let keep_all = chance.below(4) == 0;
    for change in &node.pending {
        match change {
            Change::SetLen(_) => {
                if keep_all || chance.below(2) == 0 {
                    change.apply(&mut bytes);
                }
            }
            Change::Write(offset, data) => {
                for (i, sector) in data.chunks(SECTOR).enumerate() {
                    if keep_all || chance.below(2) == 0 {
                        let at = offset + (i * SECTOR) as u64;
                        Change::Write(at, sector.to_vec()).apply(&mut bytes);
                    }
                }
            }
        }
    }
    Node { durable: bytes.clone(), current: bytes, pending: Vec::new() }
}

impl Disk for MemoryDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if held(&self.0).folders.contains(path) {
            return Ok(());
        }
        self.whole_step()?;
        let mut shared = held(&self.0);
        shared.folders.extend(folders_to(path));
        // What the whole disk lies in is not the disk's affair.
        let is_top =
            |folder: &PathBuf| folder.components().count() == 1 || shared.mount.starts_with(folder);
        let top: Vec<_> = folders_to(path).filter(is_top).collect();
        shared.durable_folders.extend(top);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.whole_step()?;
        let mut shared = held(&self.0);
        let inside = |p: &PathBuf| p.parent() == Some(path);
        let now: Names = shared
            .names
            .iter()
            .filter(|(p, _)| inside(p))
            .map(|(p, n)| (p.clone(), n.clone()))
            .collect();
        shared.durable_names.retain(|p, _| !inside(p));
        shared.durable_names.extend(now);
        let inside = shared.folders.iter().filter(|folder| inside(folder)).cloned();
        let inside: Vec<PathBuf> = inside.collect();
        shared.durable_folders.extend(inside);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let shared = held(&self.0);
        let names = shared.names.keys().chain(&shared.folders);
        let names = names.filter(|p| p.parent() == Some(path));
        Ok(names.filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if mode == OpenMode::Create {
            self.whole_step()?;
            held(&self.0).names.insert(path.to_path_buf(), Arc::default());
        }
        let shared = held(&self.0);
        let node = shared.names.get(path).ok_or(io::ErrorKind::NotFound)?.clone();
        Ok(Arc::new(MemoryFile { disk: self.clone(), node }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole_step()?;
        let removed = held(&self.0).names.remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole_step()?;
        let mut shared = held(&self.0);
        let folder = to.parent().unwrap_or(Path::new(""));
        if !shared.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = shared.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        shared.names.insert(to.to_path_buf(), node);
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        Ok(Space { free: held(&self.0).free, total: 1 << 41 })
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        if self.1.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemoryLock(self.1.clone()))))
    }
}

/// Frees the one lock of the disk when dropped.
struct MemoryLock(Arc<AtomicBool>);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A file of a [`MemoryDisk`].
struct MemoryFile {
    disk: MemoryDisk,
    node: Arc<Mutex<Node>>,
}

impl MemoryFile {
    /// Does a change; if the disk dies in it, it is pending like any other and the call fails.
    fn change(&self, change: Change) -> io::Result<()> {
        let dying = self.disk.step()?;
        let mut node = held(&self.node);
        change.apply(&mut node.current);
        node.pending.push(change);
        if dying { Err(dead()) } else { Ok(()) }
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(held(&self.node).current.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let node = held(&self.node);
        let start = (offset as usize).min(node.current.len());
        let count = buf.len().min(node.current.len() - start);
        buf[..count].copy_from_slice(&node.current[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > held(&self.disk.0).free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.change(Change::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.disk.whole_step()?;
        let mut node = held(&self.node);
        let Node { durable, pending, .. } = &mut *node;
        pending.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
