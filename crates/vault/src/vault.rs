//! The vault: keys of streams, sealing, durability, destruction, named secrets.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use zeroize::Zeroizing;

use crate::cipher;
use crate::entry::{Entry, Wrapper};
use crate::error::VaultError;
use crate::file::KeyFile;
use crate::frame::MAX_ENTRIES;
use crate::key::{KeyId, Secret, Stream, key_commitment};
use crate::recovery::{Recovered, RecoveryPublic, Wrap};
use crate::report::{CheckReport, OpenReport};
use crate::root::RootKey;

/// Largest text that is sealed at once, in bytes. Records end at 256 KiB; the rest is room.
pub const MAX_PLAIN: usize = 16 * 1024 * 1024;
/// Bytes that sealing adds: a nonce of 24 and a tag of 16.
pub const OVERHEAD: usize = cipher::NONCE + cipher::TAG;
/// Longest name of a secret, in bytes.
pub const MAX_NAME: usize = 32;

/// The keys of one office. Cheap to clone; clones are the same vault. Usable from any thread;
/// calls that write block on the disk, so async code makes them from a blocking thread.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

/// Order of locks where both are held: `file`, then `state`. `file` is held over the whole of a
/// write to disk, so a second [`Vault::persist`] waits until what the first one writes is
/// durable; `state` is never held over a system call that can wait for the disk.
struct Inner {
    root: RootKey,
    vault_id: [u8; 16],
    report: OpenReport,
    state: RwLock<State>,
    file: Mutex<KeyFile>,
}

#[derive(Default)]
struct State {
    keys: HashMap<KeyId, (Stream, Secret)>,
    by_stream: HashMap<Stream, KeyId>,
    destroyed: HashMap<KeyId, Stream>,
    secrets: BTreeMap<String, Secret>,
    /// Keys not yet durable, oldest first.
    pending: Vec<KeyId>,
}

impl Vault {
    /// Opens the vault in `dir`, or makes one where the folder holds none. The folder is locked
    /// until the last clone is dropped.
    ///
    /// # Errors
    /// [`VaultError::InUse`], [`VaultError::WrongRootKey`], [`VaultError::Damaged`],
    /// [`VaultError::Missing`] (the key file is gone, its companions are not),
    /// [`VaultError::NotAVault`], [`VaultError::Version`], [`VaultError::Io`].
    pub fn open(dir: &Path, root: &RootKey) -> Result<Vault, VaultError> {
        let (file, entries, mut report) = KeyFile::open(dir, root)?;
        let vault_id = file.header().vault_id;
        let state = State::load(entries, &Wrapper { root, vault_id }, file.path())?;
        report.keys = state.keys.len() as u64;
        report.destroyed = state.destroyed.len() as u64;
        report.secrets = state.secrets.len() as u64;
        let inner = Inner {
            root: root.copy(),
            vault_id,
            report,
            state: RwLock::new(state),
            file: Mutex::new(file),
        };
        Ok(Vault { inner: Arc::new(inner) })
    }

    /// Whether `dir` holds a vault, or what is left of one that lost its key file. Only looks:
    /// nothing is made and nothing is locked.
    ///
    /// # Errors
    /// [`VaultError::Io`] where the folder cannot be looked into.
    pub fn exists(dir: &Path) -> Result<bool, VaultError> {
        crate::file::exists(dir)
    }

    /// The vault's id: made with it, the same for its life, in every copy of it. No secret.
    pub fn id(&self) -> [u8; 16] {
        self.inner.vault_id
    }

    /// What [`Vault::open`] found.
    pub fn report(&self) -> OpenReport {
        self.inner.report
    }

    /// The key that seals what is now written to this stream; a new, pending one where the
    /// stream has none or its last one was destroyed. [`Vault::persist`] makes it durable.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn key_for(&self, stream_kind: u16, stream_id: [u8; 16]) -> Result<KeyId, VaultError> {
        let stream = Stream { kind: stream_kind, id: stream_id };
        if let Some(id) = self.state().by_stream.get(&stream) {
            return Ok(*id);
        }
        let (id, key) = (KeyId(cipher::random()?), Zeroizing::new(cipher::random()?));
        let mut state = self.state_mut();
        if let Some(id) = state.by_stream.get(&stream) {
            return Ok(*id);
        }
        state.keys.insert(id, (stream, Secret::new(&key)));
        state.by_stream.insert(stream, id);
        state.pending.push(id);
        Ok(id)
    }

    /// The live key of a stream, if there is one; never makes one.
    pub fn key_of_stream(&self, stream_kind: u16, stream_id: [u8; 16]) -> Option<KeyId> {
        let stream = Stream { kind: stream_kind, id: stream_id };
        self.state().by_stream.get(&stream).copied()
    }

    /// The stream of a key, live or destroyed.
    pub fn stream_of_key(&self, key: KeyId) -> Option<Stream> {
        let state = self.state();
        state
            .keys
            .get(&key)
            .map(|(stream, _)| *stream)
            .or_else(|| state.destroyed.get(&key).copied())
    }

    /// The commitment to a key, for the record's header. Who opens a record compares it with the
    /// header's, because the cipher does not commit to its key.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`].
    pub fn commitment(&self, key: KeyId) -> Result<[u8; 32], VaultError> {
        Ok(key_commitment(self.secret_of(key)?.bytes()))
    }

    /// Seals `plain` under the key: nonce (24 bytes) ‖ ciphertext ‖ tag (16 bytes), with
    /// XChaCha20-Poly1305. `aad` binds it to its place and is needed to open it again.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`], [`VaultError::TooLarge`]
    /// (above [`MAX_PLAIN`]), [`VaultError::Random`].
    pub fn seal(&self, key: KeyId, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let too_large = VaultError::TooLarge { bytes: plain.len(), limit: MAX_PLAIN };
        if plain.len() > MAX_PLAIN {
            return Err(too_large);
        }
        let secret = self.secret_of(key)?;
        cipher::seal(secret.bytes(), cipher::random()?, aad, plain).ok_or(too_large)
    }

    /// Opens what [`Vault::seal`] made; the text is wiped when dropped.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`], [`VaultError::NotAuthentic`].
    pub fn open_sealed(
        &self,
        key: KeyId,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let secret = self.secret_of(key)?;
        cipher::open(secret.bytes(), aad, sealed).ok_or(VaultError::NotAuthentic { key })
    }

    /// Wraps a key for the holder of the recovery key, or says that it was destroyed. A pending
    /// key is wrapped, too.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Random`].
    pub fn wrap(&self, key: KeyId, recovery: &RecoveryPublic) -> Result<Wrap, VaultError> {
        let (stream, secret) = {
            let state = self.state();
            match (state.keys.get(&key), state.destroyed.get(&key)) {
                (Some((stream, secret)), _) => (*stream, secret.clone()),
                (None, Some(stream)) => return Ok(Wrap::destroyed(key, *stream)),
                (None, None) => return Err(VaultError::UnknownKey { key }),
            }
        };
        recovery.wrap(key, stream, secret.bytes())
    }

    /// Takes up keys that were lost and recovered, durably; how many of them were not here. A key
    /// that was destroyed stays so.
    ///
    /// # Errors
    /// As [`Vault::persist`].
    pub fn take_up(&self, recovered: Vec<Recovered>) -> Result<usize, VaultError> {
        let mut new = 0;
        {
            let mut state = self.state_mut();
            for Recovered { id, stream, key } in recovered {
                if state.keys.contains_key(&id) || state.destroyed.contains_key(&id) {
                    continue;
                }
                state.keys.insert(id, (stream, Secret::new(&key)));
                state.by_stream.insert(stream, id);
                state.pending.push(id);
                new += 1;
            }
        }
        self.persist()?;
        Ok(new)
    }

    /// Keys that [`Vault::persist`] would write.
    pub fn pending(&self) -> usize {
        self.state().pending.len()
    }

    /// Makes every pending key durable: one append and one fdatasync for all of them (a second
    /// one only above 65,536 keys); nothing at all where none is pending. When it returned `Ok`,
    /// every key that [`Vault::key_for`] returned before the call is durable.
    ///
    /// # Errors
    /// [`VaultError::Io`]: the keys stay pending and the call may be repeated, unless the sync
    /// itself failed; then every later write is [`VaultError::Stopped`].
    pub fn persist(&self) -> Result<(), VaultError> {
        if self.pending() == 0 {
            return Ok(());
        }
        let mut file = self.file()?;
        loop {
            let (count, body) = self.state().pending_frame(&self.wrapper())?;
            if count == 0 {
                return Ok(());
            }
            file.append(&body)?;
            self.state_mut().pending.drain(..count);
        }
    }

    /// Destroys a key: when this returned, the key file no longer holds it, only a tombstone, and
    /// what it sealed can be opened by nobody. Also makes pending keys durable. Destroying a
    /// destroyed key does nothing. Takes about 5 s for a million keys (each is wrapped anew);
    /// writes wait meanwhile. See the crate's page for what may survive on disk blocks.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Io`] (the key is still there), and
    /// [`VaultError::Stopped`] after an error that left open which file is on the disk.
    pub fn destroy(&self, key: KeyId) -> Result<(), VaultError> {
        let mut file = self.file()?;
        let (settled, bodies) = {
            let state = self.state();
            match state.keys.contains_key(&key) {
                true => (state.pending.len(), state.frames_without(key, &self.wrapper())?),
                false if state.destroyed.contains_key(&key) => return Ok(()),
                false => return Err(VaultError::UnknownKey { key }),
            }
        };
        file.rewrite(&self.inner.root, &bodies)?;
        let mut state = self.state_mut();
        state.pending.drain(..settled);
        state.bury(key, None);
        Ok(())
    }

    /// 32 secret bytes of this name: made and made durable at the first call, the same ever
    /// after, in every process. For secrets of the office that no record carries, such as
    /// `reg_no`, the permutation key of registration numbers.
    ///
    /// # Errors
    /// [`VaultError::BadName`], [`VaultError::Io`], [`VaultError::Stopped`],
    /// [`VaultError::Random`].
    pub fn named_secret(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(good) {
            return Err(VaultError::BadName);
        }
        if let Some(secret) = self.state().secrets.get(name) {
            return Ok(Zeroizing::new(*secret.bytes()));
        }
        let mut file = self.file()?;
        if let Some(secret) = self.state().secrets.get(name) {
            return Ok(Zeroizing::new(*secret.bytes()));
        }
        let bytes = Zeroizing::new(cipher::random()?);
        let secret = Secret::new(&bytes);
        let mut body = Vec::new();
        self.wrapper().secret(name, &secret)?.encode(&mut body);
        file.append(&body)?;
        self.state_mut().secrets.insert(name.to_owned(), secret);
        Ok(bytes)
    }

    /// Whether [`Vault::named_secret`] has made a secret of this name. Makes none.
    pub fn has_secret(&self, name: &str) -> bool {
        self.state().secrets.contains_key(name)
    }

    /// Reads every byte of the key file again, unwraps every key and compares it with what is in
    /// memory. Takes about 5 s for a million keys. It holds the lock of the key file: sealing goes
    /// on, but whoever makes keys durable ([`Vault::persist`], and with it every commit of a record
    /// with a new key) waits until it has ended, and it cannot be interrupted.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] names file and place; [`VaultError::Io`], [`VaultError::Stopped`].
    pub fn check(&self) -> Result<CheckReport, VaultError> {
        let mut file = self.file()?;
        let found = file.reread(&self.inner.root)?;
        let on_disk = State::load(found.entries, &self.wrapper(), file.path())?;
        let state = self.state();
        let pending = |id: &KeyId| state.pending.contains(id);
        let same = on_disk.keys.iter().all(|(id, key)| state.keys.get(id) == Some(key))
            && state.keys.keys().all(|id| on_disk.keys.contains_key(id) || pending(id))
            && on_disk.destroyed == state.destroyed
            && on_disk.secrets == state.secrets;
        if !same {
            let what = "the file holds other keys than the running vault";
            return Err(VaultError::damaged(file.path(), 0, what));
        }
        Ok(CheckReport {
            bytes: found.len,
            frames: found.frames,
            keys: on_disk.keys.len() as u64,
            destroyed: on_disk.destroyed.len() as u64,
            secrets: on_disk.secrets.len() as u64,
        })
    }

    fn wrapper(&self) -> Wrapper<'_> {
        Wrapper { root: &self.inner.root, vault_id: self.inner.vault_id }
    }

    pub(crate) fn secret_of(&self, key: KeyId) -> Result<Secret, VaultError> {
        let state = self.state();
        match state.keys.get(&key) {
            Some((_, secret)) => Ok(secret.clone()),
            None if state.destroyed.contains_key(&key) => Err(VaultError::Destroyed { key }),
            None => Err(VaultError::UnknownKey { key }),
        }
    }

    // Every change of the state is a few moves that cannot panic half-way, so a poisoned lock
    // still guards a whole state.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic during a write leaves the file unknown: no more writes.
    fn file(&self) -> Result<MutexGuard<'_, KeyFile>, VaultError> {
        self.inner.file.lock().map_err(|poisoned| VaultError::Stopped {
            path: poisoned.get_ref().path().to_path_buf(),
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Vault")
            .field("keys", &state.keys.len())
            .field("pending", &state.pending.len())
            .field("destroyed", &state.destroyed.len())
            .field("secrets", &state.secrets.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn load(entries: Vec<Entry>, wrapper: &Wrapper<'_>, path: &Path) -> Result<State, VaultError> {
        let mut state = State::default();
        let damaged = |what| VaultError::damaged(path, 0, what);
        for entry in entries {
            match entry {
                Entry::Key { id, stream, commitment, wrapped } => {
                    let key = wrapper
                        .open_key(id, stream, &commitment, &wrapped)
                        .ok_or_else(|| damaged("a key does not open under the root key"))?;
                    if state.keys.insert(id, (stream, key)).is_some() {
                        return Err(damaged("a key is there twice"));
                    }
                    state.by_stream.insert(stream, id);
                }
                Entry::Tombstone { id, stream } => state.bury(id, Some(stream)),
                Entry::Secret { name, wrapped } => {
                    let secret = wrapper
                        .open_secret(&name, &wrapped)
                        .ok_or_else(|| damaged("a secret does not open under the root key"))?;
                    if state.secrets.insert(name, secret).is_some() {
                        return Err(damaged("a secret is there twice"));
                    }
                }
            }
        }
        Ok(state)
    }

    /// Forgets a key and remembers that it was destroyed.
    fn bury(&mut self, key: KeyId, stream: Option<Stream>) {
        let live = self.keys.remove(&key).map(|(stream, _)| stream);
        if let Some(stream) = live.or(stream) {
            if self.by_stream.get(&stream) == Some(&key) {
                self.by_stream.remove(&stream);
            }
            self.destroyed.insert(key, stream);
        }
    }

    /// The oldest pending keys as a frame's body, and how many they are.
    fn pending_frame(&self, wrapper: &Wrapper<'_>) -> Result<(usize, Vec<u8>), VaultError> {
        let count = self.pending.len().min(MAX_ENTRIES);
        let mut body = Vec::new();
        for id in &self.pending[..count] {
            if let Some((stream, key)) = self.keys.get(id) {
                wrapper.key(*id, *stream, key)?.encode(&mut body);
            }
        }
        Ok((count, body))
    }

    /// The whole state as frames' bodies, with a tombstone in the place of `gone`.
    fn frames_without(
        &self,
        gone: KeyId,
        wrapper: &Wrapper<'_>,
    ) -> Result<Vec<Vec<u8>>, VaultError> {
        let mut entries = Vec::with_capacity(self.keys.len() + self.destroyed.len());
        for (name, secret) in &self.secrets {
            entries.push(wrapper.secret(name, secret)?);
        }
        for (id, stream) in &self.destroyed {
            entries.push(Entry::Tombstone { id: *id, stream: *stream });
        }
        for (id, (stream, key)) in &self.keys {
            entries.push(match *id == gone {
                true => Entry::Tombstone { id: *id, stream: *stream },
                false => wrapper.key(*id, *stream, key)?,
            });
        }
        let body = |chunk: &[Entry]| {
            let mut body = Vec::new();
            chunk.iter().for_each(|entry| entry.encode(&mut body));
            body
        };
        Ok(entries.chunks(MAX_ENTRIES).map(body).collect())
    }
}

#[cfg(test)]
mod tests;
