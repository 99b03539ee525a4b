//! The vault of an office, the wraps of its keys and the recovery key stay readable, and open what
//! they opened.

#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::{Path, PathBuf};

use vault::{KeyId, RecoveryPublic, RecoverySecret, RootKey, Vault, WrapStore};

/// A vault with one key and one destroyed key, and what was made with it.
const FILES: &str = "fixtures/vault_v1";
const TEXT: &[u8] = b"a text of nobody";
const PLACE: &[u8] = b"where it belongs";
const KIND: u16 = 2;
const STREAM: [u8; 16] = [7; 16];
const LOST: [u8; 16] = [8; 16];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FILES)
}

/// The fixture where a test may write.
fn copied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["vault", "wraps"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        for entry in fs::read_dir(fixture().join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(folder).join(entry.file_name())).unwrap();
        }
    }
    dir
}

fn secret<T>(name: &str, load: impl Fn(&Path) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, fs::read(fixture().join(name)).unwrap()).unwrap();
    let private = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(&path, private).unwrap();
    load(&path)
}

#[test]
fn vault_version_1_opens_what_it_sealed() {
    let dir = copied();
    let root = secret("vault.key", |path| RootKey::load(path).unwrap());
    let vault = Vault::open(&dir.path().join("vault"), &root).unwrap();
    let key = vault.key_of_stream(KIND, STREAM).unwrap();
    let sealed = fs::read(fixture().join("sealed")).unwrap();
    assert_eq!(&*vault.open_sealed(key, PLACE, &sealed).unwrap(), TEXT);
    assert_eq!(vault.key_of_stream(KIND, LOST), None, "it was destroyed");
    assert_eq!(vault.report().destroyed, 1);
    assert!(vault.has_secret("reg_no"));
    vault.check().unwrap();
}

#[test]
fn wraps_version_1_give_the_keys_to_the_holder_of_the_recovery_key() {
    let dir = copied();
    let store = WrapStore::open(&dir.path().join("wraps")).unwrap();
    assert_eq!(store.len(), 2);
    let recovery = secret("recovery.key", |path| RecoverySecret::load(path).unwrap());
    let public = secret("recovery.pub", |path| RecoveryPublic::load(path).is_ok());
    assert!(public);
    let recovered: Vec<_> = store.all().filter_map(|wrap| recovery.open(wrap).unwrap()).collect();
    assert_eq!(recovered.len(), 1, "of a destroyed key there is nothing");
    let key: KeyId = recovered[0].id;
    let vault = Vault::open(&dir.path().join("new"), &RootKey::generate().unwrap()).unwrap();
    assert_eq!(vault.take_up(recovered).unwrap(), 1);
    let sealed = fs::read(fixture().join("sealed")).unwrap();
    assert_eq!(&*vault.open_sealed(key, PLACE, &sealed).unwrap(), TEXT);
}

/// How the fixture was made; it is not made again.
#[test]
#[ignore = "writes a new fixture"]
fn make_the_fixture() {
    let dir = fixture();
    fs::create_dir_all(&dir).unwrap();
    let root = RootKey::create(&dir.join("vault.key")).unwrap();
    let vault = Vault::open(&dir.join("vault"), &root).unwrap();
    let key = vault.key_for(KIND, STREAM).unwrap();
    let lost = vault.key_for(KIND, LOST).unwrap();
    fs::write(dir.join("sealed"), vault.seal(key, PLACE, TEXT).unwrap()).unwrap();
    vault.named_secret("reg_no").unwrap();
    vault.persist().unwrap();
    let recovery = RecoverySecret::generate().unwrap();
    recovery.store(&dir.join("recovery.key")).unwrap();
    recovery.public().store(&dir.join("recovery.pub")).unwrap();
    let wrap = |key| vault.wrap(key, &recovery.public()).unwrap();
    let mut store = WrapStore::open(&dir.join("wraps")).unwrap();
    store.keep(vec![wrap(key), wrap(lost)]).unwrap();
    vault.destroy(lost).unwrap();
    store.keep(vec![vault.wrap(lost, &recovery.public()).unwrap()]).unwrap();
}
