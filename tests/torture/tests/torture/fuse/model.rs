//! Files and names in memory, with what of them is durable.
//!
//! A file's changes are durable after `fsync` or `fdatasync` of the file, a name after `fsync` of
//! its folder, and nothing else is. [`Model::after_cut`] gives what a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};

use crate::chance::Chance;

/// Number of the root folder.
pub const ROOT: u64 = 1;

/// An error of the operating system, by its number in `errno.h` (Linux).
pub type Errno = i32;
/// No such file.
pub const ENOENT: Errno = 2;
/// The device is gone.
pub const EIO: Errno = 5;
/// The name is taken.
pub const EEXIST: Errno = 17;
/// Not a folder.
pub const ENOTDIR: Errno = 20;
/// Not a file.
pub const EISDIR: Errno = 21;
/// The folder is not empty.
pub const ENOTEMPTY: Errno = 39;

/// A change of a file that is not durable yet.
#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// A change of names that is not durable yet.
#[derive(Clone)]
enum NameChange {
    Link(u64, String, u64),
    Unlink(u64, String),
    Rename((u64, String), (u64, String), u64),
}

type Names = BTreeMap<String, u64>;

#[derive(Clone)]
enum Node {
    File { now: Vec<u8>, durable: Vec<u8>, pending: Vec<(u64, Change)> },
    Folder { now: Names, durable: Names },
}

/// What is told about a file or folder.
#[derive(Clone, Copy)]
pub struct Attr {
    /// Its number.
    pub ino: u64,
    /// Bytes of a file.
    pub size: u64,
    /// Whether it is a folder.
    pub folder: bool,
}

/// A file system that can lose its power.
#[derive(Clone)]
pub struct Model {
    nodes: BTreeMap<u64, Node>,
    names: Vec<(u64, NameChange)>,
    next: u64,
    /// Changes and syncs so far.
    steps: u64,
    cut_at: Option<u64>,
    dead: bool,
    /// Files and folders that were synced since the start.
    pub syncs: u64,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl NameChange {
    fn touches(&self, folder: u64) -> bool {
        match self {
            Self::Link(at, ..) | Self::Unlink(at, _) => *at == folder,
            Self::Rename((from, _), (to, _), _) => *from == folder || *to == folder,
        }
    }

    fn apply(&self, mut names: impl FnMut(u64, &mut dyn FnMut(&mut Names))) {
        match self {
            Self::Link(at, name, ino) => {
                names(*at, &mut |names| _ = names.insert(name.clone(), *ino));
            }
            Self::Unlink(at, name) => names(*at, &mut |names| _ = names.remove(name)),
            Self::Rename((from, old), (to, new), ino) => {
                names(*from, &mut |names| {
                    if names.get(old) == Some(ino) {
                        names.remove(old);
                    }
                });
                names(*to, &mut |names| _ = names.insert(new.clone(), *ino));
            }
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        let root = Node::Folder { now: Names::new(), durable: Names::new() };
        let nodes = BTreeMap::from([(ROOT, root)]);
        let (names, next, steps, cut_at, dead) = (Vec::new(), ROOT + 1, 0, None, false);
        Self { nodes, names, next, steps, cut_at, dead, syncs: 0 }
    }
}

impl Model {
    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The power fails at the step that is `steps` from now: it and everything later fails.
    pub fn cut_in(&mut self, steps: u64) {
        self.cut_at = Some(self.steps + steps);
    }

    /// The power fails now.
    pub fn cut(&mut self) {
        self.dead = true;
    }

    /// Whether the power has failed.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    fn alive(&self) -> Result<(), Errno> {
        if self.dead { Err(EIO) } else { Ok(()) }
    }

    /// A change or sync; returns its number.
    fn step(&mut self) -> Result<u64, Errno> {
        self.steps += 1;
        if self.cut_at.is_some_and(|at| self.steps >= at) {
            self.dead = true;
        }
        self.alive().map(|()| self.steps)
    }

    /// The names in a folder.
    pub fn names(&self, folder: u64) -> Result<&Names, Errno> {
        self.alive()?;
        match self.nodes.get(&folder) {
            Some(Node::Folder { now, .. }) => Ok(now),
            Some(_) => Err(ENOTDIR),
            None => Err(ENOENT),
        }
    }

    fn names_mut(&mut self, folder: u64) -> Result<&mut Names, Errno> {
        match self.nodes.get_mut(&folder) {
            Some(Node::Folder { now, .. }) => Ok(now),
            Some(_) => Err(ENOTDIR),
            None => Err(ENOENT),
        }
    }

    /// What a name stands for.
    pub fn lookup(&self, folder: u64, name: &str) -> Result<Attr, Errno> {
        let ino = self.names(folder)?.get(name).copied().ok_or(ENOENT)?;
        self.attr(ino)
    }

    /// What is told about a file or folder.
    pub fn attr(&self, ino: u64) -> Result<Attr, Errno> {
        self.alive()?;
        let (size, folder) = match self.nodes.get(&ino).ok_or(ENOENT)? {
            Node::File { now, .. } => (now.len() as u64, false),
            Node::Folder { .. } => (0, true),
        };
        Ok(Attr { ino, size, folder })
    }

    /// Creates a file or a folder.
    pub fn create(&mut self, folder: u64, name: &str, is_folder: bool) -> Result<Attr, Errno> {
        let step = self.step()?;
        if self.names(folder)?.contains_key(name) {
            return Err(EEXIST);
        }
        let ino = self.next;
        self.next += 1;
        let node = if is_folder {
            Node::Folder { now: Names::new(), durable: Names::new() }
        } else {
            Node::File { now: Vec::new(), durable: Vec::new(), pending: Vec::new() }
        };
        self.nodes.insert(ino, node);
        self.names_mut(folder)?.insert(name.to_owned(), ino);
        self.names.push((step, NameChange::Link(folder, name.to_owned(), ino)));
        self.attr(ino)
    }

    /// Removes a name.
    pub fn unlink(&mut self, folder: u64, name: &str) -> Result<(), Errno> {
        let step = self.step()?;
        let attr = self.lookup(folder, name)?;
        if attr.folder && !self.names(attr.ino)?.is_empty() {
            return Err(ENOTEMPTY);
        }
        self.names_mut(folder)?.remove(name);
        self.names.push((step, NameChange::Unlink(folder, name.to_owned())));
        Ok(())
    }

    /// Renames, replacing what has the new name.
    pub fn rename(&mut self, from: (u64, &str), to: (u64, &str)) -> Result<(), Errno> {
        let step = self.step()?;
        let ino = self.lookup(from.0, from.1)?.ino;
        self.names_mut(from.0)?.remove(from.1);
        self.names_mut(to.0)?.insert(to.1.to_owned(), ino);
        let own = |(folder, name): (u64, &str)| (folder, name.to_owned());
        self.names.push((step, NameChange::Rename(own(from), own(to), ino)));
        Ok(())
    }

    fn change(&mut self, ino: u64, change: Change) -> Result<(), Errno> {
        let step = self.step()?;
        match self.nodes.get_mut(&ino) {
            Some(Node::File { now, pending, .. }) => {
                change.apply(now);
                pending.push((step, change));
                Ok(())
            }
            Some(_) => Err(EISDIR),
            None => Err(ENOENT),
        }
    }

    /// Writes to a file.
    pub fn write(&mut self, ino: u64, at: u64, data: &[u8]) -> Result<(), Errno> {
        self.change(ino, Change::Write(at as usize, data.to_vec()))
    }

    /// Cuts a file or extends it with zeros.
    pub fn set_len(&mut self, ino: u64, len: u64) -> Result<(), Errno> {
        self.change(ino, Change::SetLen(len as usize))
    }

    /// Reads from a file.
    pub fn read(&self, ino: u64, at: u64, len: usize) -> Result<&[u8], Errno> {
        self.alive()?;
        match self.nodes.get(&ino) {
            Some(Node::File { now, .. }) => {
                let from = (at as usize).min(now.len());
                Ok(&now[from..(from + len).min(now.len())])
            }
            Some(_) => Err(EISDIR),
            None => Err(ENOENT),
        }
    }

    /// Makes a file's content durable.
    pub fn sync(&mut self, ino: u64) -> Result<(), Errno> {
        self.step()?;
        self.syncs += 1;
        match self.nodes.get_mut(&ino) {
            Some(Node::File { durable, pending, .. }) => {
                pending.drain(..).for_each(|(_, change)| change.apply(durable));
                Ok(())
            }
            Some(_) => Err(EISDIR),
            None => Err(ENOENT),
        }
    }

    /// Makes a folder's names durable.
    pub fn sync_names(&mut self, folder: u64) -> Result<(), Errno> {
        self.step()?;
        self.syncs += 1;
        let (done, rest): (Vec<_>, Vec<_>) =
            self.names.drain(..).partition(|(_, change)| change.touches(folder));
        self.names = rest;
        for (_, change) in done {
            self.make_durable(&change);
        }
        Ok(())
    }

    fn make_durable(&mut self, change: &NameChange) {
        change.apply(|folder, edit| {
            if let Some(Node::Folder { durable, .. }) = self.nodes.get_mut(&folder) {
                edit(durable);
            }
        });
    }

    /// The disk after power came back: what was synced, and of the rest what `survival` kept.
    pub fn after_cut(mut self, survival: &mut Survival) -> Self {
        for (step, change) in std::mem::take(&mut self.names) {
            if survival.keeps(step) {
                self.make_durable(&change);
            }
        }
        let mut next = Self { next: self.next, ..Self::default() };
        let mut reached = BTreeSet::from([ROOT]);
        let mut rest = vec![ROOT];
        while let Some(ino) = rest.pop() {
            let Some(node) = self.nodes.remove(&ino) else { continue };
            let node = match node {
                Node::Folder { durable, .. } => {
                    rest.extend(durable.values().filter(|ino| reached.insert(**ino)));
                    Node::Folder { now: durable.clone(), durable }
                }
                Node::File { mut durable, pending, .. } => {
                    survival.settle(&mut durable, pending);
                    Node::File { now: durable.clone(), durable, pending: Vec::new() }
                }
            };
            next.nodes.insert(ino, node);
        }
        next
    }
}

/// What of the unsynced survives.
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything up to some step: a disk that writes in order.
    Until(u64),
    /// Each piece of this many bytes, and each change of names and lengths, by chance.
    Pieces(usize, Chance),
}

impl Survival {
    /// One of the kinds, by chance, for a disk with so many steps.
    pub fn draw(chance: &mut Chance, steps: u64) -> Self {
        let own = Chance::new(chance.next());
        match chance.below(5) {
            0 => Self::Nothing,
            1 => Self::Until(steps.saturating_sub(chance.below(200))),
            2 | 3 => Self::Pieces(512, own),
            _ => Self::Pieces(4096, own),
        }
    }

    fn keeps(&mut self, step: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Until(last) => step <= *last,
            Self::Pieces(_, chance) => chance.is(50),
        }
    }

    fn settle(&mut self, durable: &mut Vec<u8>, pending: Vec<(u64, Change)>) {
        for (step, change) in pending {
            if let (Self::Pieces(piece, chance), Change::Write(at, data)) = (&mut *self, &change) {
                let mut from = 0;
                while from < data.len() {
                    let to = (at + from + 1).next_multiple_of(*piece) - at;
                    let to = to.min(data.len());
                    if chance.is(50) {
                        Change::Write(at + from, data[from..to].to_vec()).apply(durable);
                    }
                    from = to;
                }
            } else if self.keeps(step) {
                change.apply(durable);
            }
        }
    }
}
