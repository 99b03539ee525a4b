//! The root key of an office and its file.
//!
//! The file holds 64 hexadecimal digits and a newline, mode 0600. It is made once and never
//! overwritten. Backups of the vault never contain it (ARCHITECTURE.md, Keys).

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::cipher;
use crate::error::VaultError;
use crate::folder;

/// The key that every other key of the office is wrapped under: 32 bytes, wiped when dropped.
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// A new random root key, in memory only.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn generate() -> Result<RootKey, VaultError> {
        Ok(RootKey(Zeroizing::new(cipher::random()?)))
    }

    /// A root key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> RootKey {
        RootKey(Zeroizing::new(bytes))
    }

    /// Reads the root key from its file.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::NotARootKey`], and [`VaultError::Exposed`] where users
    /// outside the file's group may read it.
    pub fn load(path: &Path) -> Result<RootKey, VaultError> {
        let file = File::open(path).map_err(VaultError::io("open root key", path))?;
        let meta = file.metadata().map_err(VaultError::io("read root key", path))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(VaultError::Exposed { path: path.to_path_buf(), mode });
        }
        // Room for the digits and a line end; a longer file is not a root key. The capacity is
        // never exceeded, so no unwiped copy is left behind by a growing buffer.
        let mut text = Zeroizing::new(Vec::with_capacity(80));
        file.take(72).read_to_end(&mut text).map_err(VaultError::io("read root key", path))?;
        parse_hex(text.trim_ascii())
            .map(RootKey)
            .ok_or_else(|| VaultError::NotARootKey { path: path.to_path_buf() })
    }

    /// Makes a new random root key and its file, durably.
    ///
    /// # Errors
    /// [`VaultError::Exists`] where the file exists (it is never overwritten), [`VaultError::Io`],
    /// [`VaultError::Random`].
    pub fn create(path: &Path) -> Result<RootKey, VaultError> {
        let root = RootKey::generate()?;
        root.store(path)?;
        Ok(root)
    }

    /// Writes the root key to a new file of mode 0600, durably.
    ///
    /// # Errors
    /// [`VaultError::Exists`] where the file exists (it is never overwritten), [`VaultError::Io`].
    pub fn store(&self, path: &Path) -> Result<(), VaultError> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = Zeroizing::new(Vec::with_capacity(65));
        for byte in self.0.iter() {
            text.push(DIGITS[usize::from(byte >> 4)]);
            text.push(DIGITS[usize::from(byte & 15)]);
        }
        text.push(b'\n');
        folder::write_new(path, &text)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn copy(&self) -> RootKey {
        RootKey(self.0.clone())
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

pub(crate) fn parse_hex(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn comes_back_from_its_file_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        let root = RootKey::create(&path).unwrap();
        assert_eq!(RootKey::load(&path).unwrap().bytes(), root.bytes());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&path).unwrap();
        assert!(matches!(RootKey::create(&path), Err(VaultError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(format!("{root:?}"), "RootKey(..)");
    }

    #[test]
    fn refuses_other_contents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"0".repeat(999)]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = RootKey::load(&path).unwrap_err();
            assert!(matches!(error, VaultError::NotARootKey { .. }), "{text:?}: {error}");
        }
    }

    #[test]
    fn refuses_a_file_that_everybody_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.key");
        RootKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let text = RootKey::load(&path).unwrap_err().to_string();
        assert!(text.contains("vault.key") && text.contains("chmod 600"), "{text}");
    }
}
