use super::*;
use crate::report::TailState;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const AAD: &[u8] = b"event and stream";
const NAME: &[u8] = b"a marked name";

fn root() -> RootKey {
    RootKey::from_bytes([42; 32])
}

fn open(dir: &TempDir) -> Result<Vault, VaultError> {
    Vault::open(&dir.path().join("vault"), &root())
}

fn keys_file(dir: &TempDir) -> PathBuf {
    dir.path().join("vault/keys.vault")
}

fn tail_file(dir: &TempDir) -> PathBuf {
    dir.path().join("vault/keys.tail")
}

/// A vault with three appends (two keys, one key, a secret); the second key is the one asked for.
fn filled(dir: &TempDir) -> (KeyId, Vec<u8>, [u8; 32]) {
    let vault = open(dir).unwrap();
    vault.key_for(1, [1; 16]).unwrap();
    let key = vault.key_for(2, [2; 16]).unwrap();
    vault.persist().unwrap();
    vault.key_for(3, [3; 16]).unwrap();
    vault.persist().unwrap();
    let secret = vault.named_secret("reg_no").unwrap();
    (key, vault.seal(key, AAD, NAME).unwrap(), *secret)
}

#[test]
fn what_was_sealed_opens_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (key, sealed, secret) = filled(&dir);
    assert_eq!(sealed.len(), NAME.len() + OVERHEAD);
    let vault = open(&dir).unwrap();
    assert_eq!(vault.open_sealed(key, AAD, &sealed).unwrap().as_slice(), NAME);
    assert_eq!(vault.key_of_stream(2, [2; 16]), Some(key));
    assert_eq!(vault.key_for(2, [2; 16]).unwrap(), key);
    assert_eq!(vault.stream_of_key(key), Some(Stream { kind: 2, id: [2; 16] }));
    assert_eq!(*vault.named_secret("reg_no").unwrap(), secret);
    assert_ne!(*vault.named_secret("other").unwrap(), secret);
    assert_eq!(vault.pending(), 0);
    let report = vault.report();
    assert_eq!((report.keys, report.secrets, report.destroyed), (3, 1, 0));
    assert_eq!((report.created, report.tail), (false, TailState::Agrees));
}

#[test]
fn a_key_is_durable_after_persist_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir).unwrap();
    assert!(vault.report().created);
    let lost = vault.key_for(1, [1; 16]).unwrap();
    assert_eq!(vault.pending(), 1);
    assert!(vault.seal(lost, AAD, NAME).is_ok());
    drop(vault);
    let vault = open(&dir).unwrap();
    assert_eq!(vault.key_of_stream(1, [1; 16]), None);
    assert!(matches!(vault.commitment(lost), Err(VaultError::UnknownKey { .. })));
    let kept = vault.key_for(1, [1; 16]).unwrap();
    assert_ne!(kept, lost);
    let commitment = vault.commitment(kept).unwrap();
    vault.persist().unwrap();
    drop(vault);
    assert_eq!(open(&dir).unwrap().commitment(kept).unwrap(), commitment);
}

#[test]
fn persist_is_one_append_however_many_keys() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir).unwrap();
    for stream in 0..100 {
        vault.key_for(1, [stream; 16]).unwrap();
    }
    vault.persist().unwrap();
    vault.persist().unwrap();
    let check = vault.check().unwrap();
    assert_eq!((check.keys, check.frames, vault.pending()), (100, 1, 0));
    assert_eq!(check.bytes, fs::metadata(keys_file(&dir)).unwrap().len());
}

#[test]
fn another_context_or_an_altered_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (key, sealed, _) = filled(&dir);
    let vault = open(&dir).unwrap();
    let not_authentic = |result| matches!(result, Err(VaultError::NotAuthentic { .. }));
    assert!(not_authentic(vault.open_sealed(key, b"other", &sealed)));
    assert!(not_authentic(vault.open_sealed(key, AAD, &sealed[1..])));
    assert!(not_authentic(vault.open_sealed(key, AAD, b"")));
    let other = vault.key_of_stream(1, [1; 16]).unwrap();
    assert!(not_authentic(vault.open_sealed(other, AAD, &sealed)));
    let nobody = KeyId([0; 16]);
    assert!(matches!(vault.seal(nobody, AAD, NAME), Err(VaultError::UnknownKey { .. })));
    let big = vec![0; MAX_PLAIN + 1];
    assert!(matches!(vault.seal(key, AAD, &big), Err(VaultError::TooLarge { .. })));
}

#[test]
fn a_wrong_root_key_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir);
    let before = fs::read(keys_file(&dir)).unwrap();
    let error = Vault::open(&dir.path().join("vault"), &RootKey::from_bytes([1; 32])).unwrap_err();
    assert!(matches!(error, VaultError::WrongRootKey { .. }), "{error}");
    assert!(error.to_string().contains("vault.key"), "{error}");
    assert_eq!(fs::read(keys_file(&dir)).unwrap(), before);
}

#[test]
fn a_vault_in_use_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).unwrap();
    let clone = first.clone();
    drop(first);
    assert!(matches!(open(&dir), Err(VaultError::InUse { .. })));
    drop(clone);
    assert!(open(&dir).is_ok());
}

#[test]
fn a_destroyed_key_is_gone_from_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (key, sealed, secret) = filled(&dir);
    let vault = open(&dir).unwrap();
    let pending = vault.key_for(9, [9; 16]).unwrap();
    let wrap = |bytes: &[u8]| bytes.windows(16).filter(|w| *w == key.0).count();
    let entry_len = crate::entry::MAX_ENTRY as u64;
    let before = vault.check().unwrap();
    vault.destroy(key).unwrap();
    vault.destroy(key).unwrap();
    assert!(matches!(vault.open_sealed(key, AAD, &sealed), Err(VaultError::Destroyed { .. })));
    assert!(matches!(vault.seal(key, AAD, NAME), Err(VaultError::Destroyed { .. })));
    let unknown = vault.destroy(KeyId([0; 16]));
    assert!(matches!(unknown, Err(VaultError::UnknownKey { .. })));
    assert_eq!((vault.key_of_stream(2, [2; 16]), vault.pending()), (None, 0));
    let after = vault.check().unwrap();
    assert_eq!((after.keys, after.destroyed, after.frames), (3, 1, 1));
    // Three frames became one, the key became a tombstone, the pending key came in.
    assert_eq!(after.bytes, before.bytes - 2 * 24 - entry_len + 35 + entry_len);
    assert_eq!(wrap(&fs::read(keys_file(&dir)).unwrap()), 1);
    drop(vault);

    let vault = open(&dir).unwrap();
    assert_eq!((vault.report().destroyed, vault.report().tail), (1, TailState::Agrees));
    assert!(matches!(vault.commitment(key), Err(VaultError::Destroyed { .. })));
    assert_eq!(*vault.named_secret("reg_no").unwrap(), secret);
    assert_eq!(vault.key_for(9, [9; 16]).unwrap(), pending);
    let new = vault.key_for(2, [2; 16]).unwrap();
    assert_ne!(new, key);
    vault.persist().unwrap();
    drop(vault);
    assert_eq!(open(&dir).unwrap().key_of_stream(2, [2; 16]), Some(new));
}

#[test]
fn an_interrupted_append_is_dropped_wherever_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (key, sealed, _) = filled(&dir);
    let whole = fs::read(keys_file(&dir)).unwrap();
    let tail = fs::read(tail_file(&dir)).unwrap();
    let vault = open(&dir).unwrap();
    vault.key_for(7, [7; 16]).unwrap();
    vault.key_for(8, [8; 16]).unwrap();
    vault.persist().unwrap();
    drop(vault);
    let longer = fs::read(keys_file(&dir)).unwrap();
    for end in whole.len()..longer.len() {
        // Cut off there, and (blocks written out of order) zeros up to there.
        let mut zeros = longer.clone();
        zeros[whole.len()..end + 1].fill(0);
        for torn in [&longer[..end], &zeros[..]] {
            fs::write(keys_file(&dir), torn).unwrap();
            fs::write(tail_file(&dir), &tail).unwrap();
            let vault = open(&dir).unwrap();
            assert_eq!(vault.report().unfinished_bytes, (torn.len() - whole.len()) as u64);
            assert_eq!((vault.report().keys, vault.key_of_stream(7, [7; 16])), (3, None));
            assert_eq!(vault.open_sealed(key, AAD, &sealed).unwrap().as_slice(), NAME);
            drop(vault);
            assert_eq!(fs::read(keys_file(&dir)).unwrap(), whole);
        }
    }
    // The whole append with the tail of before it: durable, although not yet acknowledged.
    fs::write(keys_file(&dir), &longer).unwrap();
    fs::write(tail_file(&dir), &tail).unwrap();
    let report = open(&dir).unwrap().report();
    assert_eq!((report.keys, report.tail), (5, TailState::Behind));
}

#[test]
fn every_flipped_byte_is_an_error_with_and_without_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir);
    let whole = fs::read(keys_file(&dir)).unwrap();
    let tail = fs::read(tail_file(&dir)).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(keys_file(&dir), &flipped).unwrap();
        fs::write(tail_file(&dir), &tail).unwrap();
        assert!(open(&dir).is_err(), "byte {at} with tail");
        fs::remove_file(tail_file(&dir)).unwrap();
        assert!(open(&dir).is_err(), "byte {at} without tail");
        assert_eq!(fs::read(keys_file(&dir)).unwrap(), flipped, "byte {at} was touched");
    }
    for end in 0..whole.len() {
        fs::write(keys_file(&dir), &whole[..end]).unwrap();
        fs::write(tail_file(&dir), &tail).unwrap();
        assert!(open(&dir).is_err(), "cut at {end}");
    }
    fs::write(keys_file(&dir), &whole).unwrap();
    for at in 0..tail.len() {
        let mut flipped = tail.clone();
        flipped[at] ^= 1;
        fs::write(tail_file(&dir), &flipped).unwrap();
        assert_eq!(open(&dir).unwrap().report().tail, TailState::Damaged, "tail byte {at}");
        assert_eq!(fs::read(tail_file(&dir)).unwrap(), tail);
    }
}

#[test]
fn damage_under_a_running_vault_is_found_by_the_check() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir);
    let vault = open(&dir).unwrap();
    vault.key_for(6, [6; 16]).unwrap();
    assert_eq!(vault.check().unwrap().keys, 3);
    let whole = fs::read(keys_file(&dir)).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(keys_file(&dir), &flipped).unwrap();
        assert!(vault.check().is_err(), "byte {at}");
    }
    fs::write(keys_file(&dir), &whole).unwrap();
    assert_eq!(vault.check().unwrap().keys, 3);
}

#[test]
fn a_vault_that_is_gone_or_older_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (key, ..) = filled(&dir);
    let old = fs::read(keys_file(&dir)).unwrap();
    open(&dir).unwrap().destroy(key).unwrap();
    fs::write(keys_file(&dir), &old).unwrap();
    let error = open(&dir).unwrap_err();
    assert!(error.to_string().contains("older than keys.tail"), "{error}");
    fs::remove_file(keys_file(&dir)).unwrap();
    assert!(matches!(open(&dir), Err(VaultError::Missing { .. })));
    fs::write(keys_file(&dir), b"").unwrap();
    assert!(matches!(open(&dir), Err(VaultError::NotAVault { .. })));
}

#[test]
fn a_newer_format_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir);
    let mut bytes = fs::read(keys_file(&dir)).unwrap();
    bytes[9] = 2;
    fs::write(keys_file(&dir), &bytes).unwrap();
    assert!(matches!(open(&dir), Err(VaultError::Version { found: 2, known: 1, .. })));
}

#[test]
fn a_crash_between_rename_and_tail_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (key, ..) = filled(&dir);
    let tail = fs::read(tail_file(&dir)).unwrap();
    open(&dir).unwrap().destroy(key).unwrap();
    fs::write(tail_file(&dir), &tail).unwrap();
    fs::write(dir.path().join("vault/keys.vault.new"), b"half").unwrap();
    let vault = open(&dir).unwrap();
    assert_eq!((vault.report().destroyed, vault.report().tail), (1, TailState::Behind));
    assert!(!dir.path().join("vault/keys.vault.new").exists());
}

#[test]
fn no_key_and_no_text_is_on_the_disk_or_in_debug() {
    let dir = tempfile::tempdir().unwrap();
    let (key, _, secret) = filled(&dir);
    let vault = open(&dir).unwrap();
    let raw = *vault.secret_of(key).unwrap().bytes();
    for file in fs::read_dir(dir.path().join("vault")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for hidden in [&raw[..], &secret, root().bytes(), NAME] {
            assert!(!bytes.windows(hidden.len()).any(|w| w == hidden));
        }
    }
    let text = format!("{vault:?}");
    assert_eq!(text, "Vault { keys: 3, pending: 0, destroyed: 0, secrets: 1, .. }");
}

#[test]
fn names_of_secrets_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir).unwrap();
    for name in ["", "Reg", "a b", "ә", &"a".repeat(33)] {
        assert!(matches!(vault.named_secret(name), Err(VaultError::BadName)), "{name:?}");
    }
    assert!(vault.named_secret(&"a".repeat(32)).is_ok());
}

#[test]
fn threads_agree_on_keys_and_each_persist_covers_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir).unwrap();
    let ids: Vec<Vec<KeyId>> = std::thread::scope(|scope| {
        let run = |_| {
            let vault = vault.clone();
            scope.spawn(move || {
                let mut ids = Vec::new();
                for stream in 0..40u8 {
                    let id = vault.key_for(1, [stream; 16]).unwrap();
                    vault.persist().unwrap();
                    assert!(!vault.state().pending.contains(&id));
                    ids.push(id);
                }
                ids
            })
        };
        let threads: Vec<_> = (0..4).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|other| *other == ids[0]));
    drop(vault);
    let vault = open(&dir).unwrap();
    assert!(ids[0].iter().all(|id| vault.commitment(*id).is_ok()));
    assert_eq!(vault.report().keys, 40);
}

#[derive(Clone, Debug)]
enum Step {
    Key(u8),
    Persist,
    Destroy(u8),
    Secret(u8),
    Restart,
    Crash(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6u8).prop_map(Step::Key),
        3 => Just(Step::Persist),
        1 => (0..6u8).prop_map(Step::Destroy),
        1 => (0..3u8).prop_map(Step::Secret),
        1 => Just(Step::Restart),
        1 => any::<prop::sample::Index>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a model: what was persisted is there after any restart, what was not is not.
    #[test]
    fn behaves_like_the_model(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut vault = open(&dir).unwrap();
        let mut durable: BTreeMap<u8, (KeyId, [u8; 32])> = BTreeMap::new();
        let mut fresh = durable.clone();
        let mut secrets: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
        let mut gone = Vec::new();
        for step in steps {
            match step {
                Step::Key(stream) => {
                    let id = vault.key_for(1, [stream; 16]).unwrap();
                    let known = durable.get(&stream).or(fresh.get(&stream)).copied();
                    let key = (id, vault.commitment(id).unwrap());
                    prop_assert_eq!(known.unwrap_or(key), key);
                    if known.is_none() { fresh.insert(stream, key); }
                }
                Step::Persist => { vault.persist().unwrap(); durable.append(&mut fresh); }
                Step::Destroy(stream) => if let Some(id) = vault.key_of_stream(1, [stream; 16]) {
                    vault.destroy(id).unwrap();
                    durable.append(&mut fresh);
                    durable.remove(&stream);
                    gone.push(id);
                }
                Step::Secret(name) => {
                    let secret = *vault.named_secret(&format!("s{name}")).unwrap();
                    prop_assert_eq!(*secrets.entry(name).or_insert(secret), secret);
                }
                Step::Restart => { drop(vault); vault = open(&dir).unwrap(); fresh.clear(); }
                Step::Crash(cut) => {
                    // The power goes in the middle of an append that nobody was told of.
                    let tail = fs::read(tail_file(&dir)).unwrap();
                    let before = fs::read(keys_file(&dir)).unwrap().len();
                    let other = vault.key_for(2, [9; 16]).unwrap();
                    vault.persist().unwrap();
                    drop(vault);
                    let bytes = fs::read(keys_file(&dir)).unwrap();
                    let end = before + cut.index(bytes.len() - before);
                    let appended = bytes.len() > before;
                    fs::write(keys_file(&dir), &bytes[..end]).unwrap();
                    fs::write(tail_file(&dir), &tail).unwrap();
                    vault = open(&dir).unwrap();
                    prop_assert_eq!(vault.commitment(other).is_err(), appended);
                    fresh.clear();
                }
            }
            let all = durable.iter().chain(&fresh);
            for (stream, (id, commitment)) in all {
                prop_assert_eq!(vault.key_of_stream(1, [*stream; 16]), Some(*id));
                prop_assert_eq!(vault.commitment(*id).unwrap(), *commitment);
            }
            for id in &gone {
                let destroyed = matches!(vault.commitment(*id), Err(VaultError::Destroyed { .. }));
                prop_assert!(destroyed);
            }
        }
        vault.check().unwrap();
    }
}

/// `fixtures/v1` was written by the first release, with this root key: two streams, a destroyed
/// key, a secret, and a text sealed under the key of stream (3, 03..).
#[test]
fn a_vault_of_the_first_release_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let vault_dir = dir.path().join("vault");
    fs::create_dir(&vault_dir).unwrap();
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    for name in ["keys.vault", "keys.tail"] {
        fs::copy(fixtures.join(name), vault_dir.join(name)).unwrap();
    }
    let vault = open(&dir).unwrap();
    let report = vault.report();
    assert_eq!((report.keys, report.destroyed, report.secrets), (2, 1, 1));
    assert_eq!(report.tail, TailState::Agrees);
    let key = vault.key_of_stream(3, [3; 16]).unwrap();
    assert_eq!(key.to_string(), "c7bc83326f86ad6e49d5bb5b817f2c52");
    let sealed = fs::read(fixtures.join("sealed")).unwrap();
    assert_eq!(vault.open_sealed(key, AAD, &sealed).unwrap().as_slice(), NAME);
    assert_eq!(vault.key_of_stream(2, [2; 16]), None);
    let secret = vault.named_secret("reg_no").unwrap();
    assert_eq!(
        KeyId(*secret.first_chunk().unwrap()).to_string(),
        "d3790ab78169647bd5e68101bb16800f"
    );
}

#[test]
fn a_vault_is_seen_before_it_is_opened_and_keeps_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("vault");
    assert!(!Vault::exists(&folder).unwrap());
    assert!(!folder.exists(), "looking makes nothing");
    let (key, _, _) = filled(&dir);
    let vault = open(&dir).unwrap();
    let id = vault.id();
    assert!(vault.has_secret("reg_no") && !vault.has_secret("other"));
    vault.destroy(key).unwrap();
    drop(vault);
    let vault = open(&dir).unwrap();
    assert_eq!(vault.id(), id, "a rewrite of the file keeps it");
    assert!(vault.has_secret("reg_no"));
    drop(vault);
    fs::remove_file(keys_file(&dir)).unwrap();
    assert!(Vault::exists(&folder).unwrap(), "a vault without its key file is a damaged vault");
}
