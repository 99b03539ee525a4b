//! The wraps of an office's keys that this node keeps, for the day on which that office's vault is
//! lost. One file, append-only but for destroyed keys. Bytes in `FORMAT.md`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::cipher;
use crate::error::VaultError;
use crate::folder;
use crate::frame::{FRAME, Header};
use crate::key::KeyId;
use crate::recovery::{DESTROYED, WRAP, Wrap};

const FILE: &str = "wraps.vault";
const ASIDE: &str = "wraps.vault.new";
const MAGIC: &[u8; 8] = b"ADALWRAP";
const VERSION: u16 = 1;
/// Magic, version, zero, file id, generation, CRC.
const HEADER: usize = 8 + 2 + 2 + 16 + 8 + 4;
/// Wraps in one frame when the file is written anew.
const IN_FRAME: usize = 4_096;

/// The wraps of one office's keys. A wrap that was appended and is lost to a damaged disk is
/// missing, and is asked for again.
#[derive(Debug)]
pub struct WrapStore {
    dir: PathBuf,
    file: File,
    header: Header,
    frames: u64,
    len: u64,
    /// An append or a sync failed: what is on the disk is not known.
    stopped: bool,
    wraps: HashMap<KeyId, Wrap>,
}

impl WrapStore {
    /// Opens the store in `dir`, or makes one where there is none.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::NotAVault`], [`VaultError::Version`],
    /// [`VaultError::Damaged`]: moved away, the file is made anew and its wraps asked for again.
    pub fn open(dir: &Path) -> Result<WrapStore, VaultError> {
        folder::make(dir)?;
        let path = dir.join(FILE);
        match fs::remove_file(dir.join(ASIDE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(VaultError::io("remove unfinished file", &path)(error));
            }
            _ => {}
        }
        if !path.try_exists().map_err(VaultError::io("look for", &path))? {
            let header = Header { vault_id: cipher::random()?, generation: 1 };
            write_aside(dir, &header, &[])?;
            replace(dir)?;
            folder::sync(folder::parent(dir))?;
        }
        let file = folder::open_rw(&path, false).map_err(VaultError::io("open wraps", &path))?;
        let bytes = fs::read(&path).map_err(VaultError::io("read wraps", &path))?;
        let header = read_header(&bytes, &path)?;
        let (mut wraps, mut at, mut frames) = (HashMap::new(), HEADER, 0);
        while let Some((seq, body)) = header.parse_frame(&bytes[at..]) {
            let damaged = |what| VaultError::damaged(&path, at as u64, what);
            if seq != frames {
                return Err(damaged("a frame is out of order"));
            }
            let read = read_wraps(body).ok_or_else(|| damaged("a frame holds no whole wraps"))?;
            wraps.extend(read.into_iter().map(|wrap| (wrap.id(), wrap)));
            at += FRAME + body.len();
            frames += 1;
        }
        let rest = &bytes[at..];
        if (1..rest.len()).any(|skip| header.parse_frame(&rest[skip..]).is_some()) {
            let what = "a broken frame with whole ones after it";
            return Err(VaultError::damaged(&path, at as u64, what));
        }
        if !rest.is_empty() {
            tracing::warn!(bytes = rest.len(), "dropped an interrupted append of wraps");
            file.set_len(at as u64)
                .and_then(|()| file.sync_all())
                .map_err(VaultError::io("cut interrupted append off", &path))?;
        }
        let (dir, len) = (dir.to_path_buf(), at as u64);
        Ok(WrapStore { dir, file, header, frames, len, stopped: false, wraps })
    }

    /// What is kept of a key.
    pub fn get(&self, id: KeyId) -> Option<&Wrap> {
        self.wraps.get(&id)
    }

    /// All that is kept, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Wrap> {
        self.wraps.values()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.wraps.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.wraps.is_empty()
    }

    /// Keeps what is new of these, durably: one append and one sync. That a key was destroyed is
    /// final, and takes its wrap out of the file, which is written anew.
    ///
    /// # Errors
    /// [`VaultError::Io`]; [`VaultError::Stopped`] after a failed sync.
    pub fn keep(&mut self, wraps: Vec<Wrap>) -> Result<(), VaultError> {
        let path = self.dir.join(FILE);
        if self.stopped {
            return Err(VaultError::Stopped { path });
        }
        let known = |wrap: &Wrap| self.wraps.get(&wrap.id());
        let is_new = |wrap: &Wrap| known(wrap).is_none_or(|old| !old.is_destroyed() && old != wrap);
        let new: Vec<Wrap> = wraps.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let buried = new.iter().any(|wrap| wrap.is_destroyed() && known(wrap).is_some());
        if buried {
            return self.rewrite(new);
        }
        let body = new.iter().flat_map(|wrap| wrap.bytes()).copied().collect::<Vec<u8>>();
        let frame = self.header.frame(self.frames, &body);
        if let Err(error) = self.file.write_all_at(&frame, self.len) {
            self.stopped = self.file.set_len(self.len).is_err();
            return Err(VaultError::io("append wraps", &path)(error));
        }
        if let Err(error) = self.file.sync_data() {
            self.stopped = true;
            return Err(VaultError::io("sync wraps", &path)(error));
        }
        self.frames += 1;
        self.len += frame.len() as u64;
        self.wraps.extend(new.into_iter().map(|wrap| (wrap.id(), wrap)));
        Ok(())
    }

    fn rewrite(&mut self, new: Vec<Wrap>) -> Result<(), VaultError> {
        let mut wraps = self.wraps.clone();
        wraps.extend(new.into_iter().map(|wrap| (wrap.id(), wrap)));
        let all: Vec<&Wrap> = wraps.values().collect();
        let bodies: Vec<Vec<u8>> = all
            .chunks(IN_FRAME)
            .map(|part| part.iter().flat_map(|wrap| wrap.bytes()).copied().collect())
            .collect();
        let header = Header { generation: self.header.generation + 1, ..self.header };
        let (file, len) = write_aside(&self.dir, &header, &bodies)?;
        // From the rename on an error leaves open which of the two files is there after a crash.
        self.stopped = true;
        replace(&self.dir)?;
        (self.file, self.len, self.header) = (file, len, header);
        (self.frames, self.wraps, self.stopped) = (bodies.len() as u64, wraps, false);
        Ok(())
    }
}

fn replace(dir: &Path) -> Result<(), VaultError> {
    let path = dir.join(FILE);
    fs::rename(dir.join(ASIDE), &path).map_err(VaultError::io("rename wraps", &path))?;
    folder::sync(dir)
}

fn write_aside(dir: &Path, header: &Header, bodies: &[Vec<u8>]) -> Result<(File, u64), VaultError> {
    let path = dir.join(ASIDE);
    let mut bytes = header_bytes(header).to_vec();
    (0..).zip(bodies).for_each(|(seq, body)| bytes.extend(header.frame(seq, body)));
    let write = || -> io::Result<File> {
        let file = folder::create_aside(&path)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        Ok(file)
    };
    let file = write().map_err(VaultError::io("write wraps aside", &path))?;
    Ok((file, bytes.len() as u64))
}

fn header_bytes(header: &Header) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_be_bytes());
    out[12..28].copy_from_slice(&header.vault_id);
    out[28..36].copy_from_slice(&header.generation.to_be_bytes());
    let crc = crc32c::crc32c(&out[..36]);
    out[36..].copy_from_slice(&crc.to_be_bytes());
    out
}

fn read_header(bytes: &[u8], path: &Path) -> Result<Header, VaultError> {
    let not_one = || VaultError::NotAVault { path: path.to_path_buf() };
    let head = bytes.first_chunk::<HEADER>().filter(|head| head[..8] == MAGIC[..]);
    let head = head.ok_or_else(not_one)?;
    let version = u16::from_be_bytes([head[8], head[9]]);
    if version != VERSION {
        let path = path.to_path_buf();
        return Err(VaultError::Version { path, found: version, known: VERSION });
    }
    let mut header = Header { vault_id: [0; 16], generation: 0 };
    header.vault_id.copy_from_slice(&head[12..28]);
    header.generation = head[28..36].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    match header_bytes(&header) == *head {
        true => Ok(header),
        false => Err(VaultError::damaged(path, 0, "the header's checksum is wrong")),
    }
}

fn read_wraps(mut body: &[u8]) -> Option<Vec<Wrap>> {
    let mut wraps = Vec::new();
    while let Some(kind) = body.first() {
        let (wrap, rest) = body.split_at_checked(if *kind == 1 { WRAP } else { DESTROYED })?;
        wraps.push(Wrap::from_bytes(wrap.to_vec())?);
        body = rest;
    }
    Some(wraps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Stream;
    use crate::recovery::RecoverySecret;

    fn wrap(number: u8) -> Wrap {
        let (id, stream) = (KeyId([number; 16]), Stream { kind: 1, id: [number; 16] });
        RecoverySecret::generate().unwrap().public().wrap(id, stream, &[number; 32]).unwrap()
    }

    #[test]
    fn what_was_kept_is_there_again_and_what_is_known_costs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kz-75");
        let mut store = WrapStore::open(&path).unwrap();
        store.keep(vec![wrap(1), wrap(2)]).unwrap();
        let third = wrap(3);
        store.keep(vec![third.clone()]).unwrap();
        let len = store.len;
        store.keep(vec![third.clone()]).unwrap();
        assert_eq!(store.len, len);
        let again = WrapStore::open(&path).unwrap();
        assert_eq!((again.len(), again.get(third.id())), (3, Some(&third)));
        assert!(again.wraps == store.wraps);
    }

    #[test]
    fn a_destroyed_key_leaves_no_wrap_behind_and_never_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = WrapStore::open(dir.path()).unwrap();
        let (first, second) = (wrap(1), wrap(2));
        store.keep(vec![first.clone(), second.clone()]).unwrap();
        let sealed = first.bytes()[DESTROYED + 40..].to_vec();
        let on_disk = || fs::read(dir.path().join(FILE)).unwrap();
        assert!(on_disk().windows(sealed.len()).any(|window| window == sealed));
        store.keep(vec![Wrap::destroyed(first.id(), first.stream())]).unwrap();
        assert!(!on_disk().windows(sealed.len()).any(|window| window == sealed));
        store.keep(vec![first.clone(), wrap(3)]).unwrap();
        let again = WrapStore::open(dir.path()).unwrap();
        assert!(again.get(first.id()).unwrap().is_destroyed());
        assert_eq!((again.len(), again.get(second.id())), (3, Some(&second)));
    }

    #[test]
    fn an_interrupted_append_is_dropped_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = WrapStore::open(dir.path()).unwrap();
        store.keep(vec![wrap(1)]).unwrap();
        let whole = store.len as usize;
        store.keep(vec![wrap(2)]).unwrap();
        let path = dir.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        for cut in [whole + 1, whole + 30, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let mut store = WrapStore::open(dir.path()).unwrap();
            assert_eq!(store.len(), 1, "cut at {cut}");
            store.keep(vec![wrap(4)]).unwrap();
            assert_eq!(WrapStore::open(dir.path()).unwrap().len(), 2);
        }
        for at in [9, 20, HEADER + 4, whole - 3] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let error = WrapStore::open(dir.path()).unwrap_err();
            assert!(error.to_string().contains(FILE), "flipped at {at}: {error}");
        }
    }
}
