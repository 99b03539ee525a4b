//! Only a file that is byte for byte what was closed is trusted; every other one is folded anew.
//! And the deep check: a second fold beside the first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::Country;
use evidence::hash::{hex, sha256};
use projection::{Envelope, Error, Fingerprint, Opened, Views};
use tempfile::TempDir;

/// What SQLite and we may leave beside the file, the file itself first.
const ENDINGS: [&str; 5] = ["", ".seal", ".seal.new", "-wal", "-journal"];

fn country() -> Country {
    let mut country = Country::new();
    for number in 0..60 {
        country.contact("KZ-75", number, "call", 4);
    }
    country.contact("KZ-71", 1, "web", 2);
    country
}

fn with(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// A copy of the files as they are: what is found after a kill at this instant.
fn image(path: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("views.sqlite");
    for ending in ENDINGS {
        if let Ok(bytes) = fs::read(with(path, ending)) {
            fs::write(with(&copy, ending), bytes).unwrap();
        }
    }
    (folder, copy)
}

/// A folder with views that were fed and closed, and what they held.
async fn closed() -> (TempDir, PathBuf, Fingerprint) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("views.sqlite");
    let views = Views::open(&path).await.unwrap();
    views.apply(&country().in_order()).await.unwrap();
    let print = views.fingerprint().await.unwrap();
    views.close().await.unwrap();
    (folder, path, print)
}

/// Opens the file; says what was found, after checking that anything but `Existing` is empty.
async fn found(path: &Path) -> Opened {
    let views = Views::open(path).await.unwrap();
    let is_empty = views.fingerprint().await.unwrap().tables.iter().all(|table| table.rows == 0);
    let opened = views.opened().unwrap();
    assert_eq!(is_empty, opened != Opened::Existing);
    assert_eq!(views.positions().await.unwrap().is_empty(), is_empty);
    views.discard().await.unwrap();
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing is left behind");
    opened
}

#[tokio::test]
async fn what_was_closed_is_taken_over_and_unsealed() {
    let (folder, path, before) = closed().await;
    let names = |folder: &TempDir| {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), ["views.sqlite", "views.sqlite.seal"]);
    let line = fs::read_to_string(with(&path, ".seal")).unwrap();
    let digest = hex(&sha256(&fs::read(&path).unwrap()));
    assert_eq!(line, format!("adal-views-seal 1 sha256 {digest}\n"));

    let views = Views::open(&path).await.unwrap();
    assert_eq!(views.opened(), Some(Opened::Existing));
    assert_eq!(views.fingerprint().await.unwrap(), before);
    assert!(!with(&path, ".seal").exists(), "the seal is gone before the first write");
    let clone = views.clone();
    views.close().await.unwrap();
    clone.close().await.unwrap();
    assert!(matches!(clone.apply(&country().in_order()).await, Err(Error::Database(_))));
    assert_eq!(found(&path).await, Opened::Existing, "closing twice leaves the seal alone");
}

#[tokio::test]
async fn one_flipped_byte_is_never_taken_over() {
    let (_folder, path, _) = closed().await;
    let length = fs::metadata(&path).unwrap().len();
    assert!(length > 10 * 4096);
    // The header: magic, page size, change counter, user_version, application id, reserved space;
    // the first page's tree; page borders; then all over the file.
    let header = [0, 15, 16, 18, 27, 63, 68, 71, 72, 91, 99, 100, 107, 4095, 4096];
    let spread = (0..16).map(|part| 4099 + part * (length - 4100) / 16);
    for offset in header.into_iter().chain(spread).chain([length / 2, length - 1]) {
        let (_copied, copy) = image(&path);
        let mut bytes = fs::read(&copy).unwrap();
        bytes[usize::try_from(offset).unwrap()] ^= 1 << (offset % 8);
        fs::write(&copy, bytes).unwrap();
        let views = Views::open(&copy).await.unwrap();
        // With another magic or application id it might be anybody's: it is kept aside.
        let is_name = matches!(offset, 0..16 | 68..72);
        let wanted = if is_name { Opened::Foreign } else { Opened::Damaged };
        assert_eq!(views.opened(), Some(wanted), "offset {offset} of {length}");
        assert_eq!(views.positions().await.unwrap(), []);
        views.discard().await.unwrap();
    }
    assert_eq!(found(&image(&path).1).await, Opened::Existing, "the copies are fair");
}

#[tokio::test]
async fn a_file_whose_seal_or_journal_is_wrong_is_not_taken_over() {
    let (_folder, path, _) = closed().await;
    let line = fs::read(with(&path, ".seal")).unwrap();
    for at in 0..line.len() {
        let (_copied, copy) = image(&path);
        let mut wrong = line.clone();
        wrong[at] ^= 1;
        fs::write(with(&copy, ".seal"), wrong).unwrap();
        let version = b"adal-views-seal ".len();
        let is_version = at == version || at == version + 1;
        let wanted = if is_version { Opened::Outdated } else { Opened::Damaged };
        assert_eq!(found(&copy).await, wanted, "byte {at} of the seal");
    }
    type Harm = fn(&Path);
    let cases: [(Opened, Harm); 6] = [
        (Opened::Unsealed, |path| fs::remove_file(with(path, ".seal")).unwrap()),
        // Killed while the seal was being written.
        (Opened::Unsealed, |path| {
            fs::rename(with(path, ".seal"), with(path, ".seal.new")).unwrap();
        }),
        (Opened::Damaged, |path| fs::write(with(path, ".seal"), "").unwrap()),
        (Opened::Damaged, |path| fs::write(with(path, "-wal"), "written since").unwrap()),
        (Opened::Damaged, |path| fs::write(with(path, "-journal"), "to roll back").unwrap()),
        (Opened::Damaged, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, [&bytes[..], &[0]].concat()).unwrap();
        }),
    ];
    for (case, (wanted, harm)) in cases.into_iter().enumerate() {
        let (_copied, copy) = image(&path);
        harm(&copy);
        assert_eq!(found(&copy).await, wanted, "case {case}");
    }
}

#[tokio::test]
async fn a_kill_at_any_time_leaves_no_file_to_trust() {
    let (_folder, path, before) = closed().await;
    let views = Views::open(&path).await.unwrap();
    let mut country = country();
    country.contact("KZ-75", 99, "call", 4);
    assert_eq!(found(&image(&path).1).await, Opened::Unsealed, "opened only");
    views.apply(&country.in_order()).await.unwrap();
    assert_eq!(found(&image(&path).1).await, Opened::Unsealed, "written to");
    views.reset().await.unwrap();
    assert_eq!(found(&image(&path).1).await, Opened::Unsealed, "emptied");
    views.apply(&self::country().in_order()).await.unwrap();
    assert_eq!(views.fingerprint().await.unwrap(), before);

    // Dropped: its connections close in the background, the views do not.
    drop(views);
    let (_copied, copy) = image(&path);
    assert_eq!(found(&copy).await, Opened::Unsealed, "dropped");
}

#[tokio::test]
async fn what_is_distrusted_is_not_sealed() {
    let (_folder, path, _) = closed().await;
    let views = Views::open(&path).await.unwrap();
    views.clone().distrust();
    views.close().await.unwrap();
    assert_eq!(found(&path).await, Opened::Unsealed);
}

#[tokio::test]
async fn damage_that_was_sealed_in_is_seen_by_the_check_of_sqlite() {
    let (_folder, path, _) = closed().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let seal = format!("adal-views-seal 1 sha256 {}\n", hex(&sha256(&bytes)));
    fs::write(with(&path, ".seal"), seal).unwrap();
    assert_eq!(found(&path).await, Opened::Damaged);
}

#[tokio::test]
async fn damage_met_while_open_is_not_sealed() {
    let (_folder, path, _) = closed().await;
    let views = Views::open(&path).await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(views.fingerprint().await, Err(Error::Damaged(_))));
    // Closing may fail over the damage; it must not seal.
    let _ = views.close().await;
    assert!(!with(&path, ".seal").exists());
    assert_eq!(found(&path).await, Opened::Unsealed);
}

/// The part of `records` that leads to the positions.
fn up_to(print: &Fingerprint, records: &[Envelope]) -> Vec<Envelope> {
    let is_in = |record: &&Envelope| {
        let mut all = print.positions.iter();
        let of_log = all.find(|p| p.log == record.log.as_str() && p.epoch == record.epoch);
        of_log.is_some_and(|position| record.seq < position.next_seq)
    };
    records.iter().filter(is_in).cloned().collect()
}

#[tokio::test]
async fn a_deep_check_is_exact_while_the_tables_are_fed() {
    let folder = tempfile::tempdir().unwrap();
    let records = country().in_order();
    let first = Views::open(&folder.path().join("views.sqlite")).await.unwrap();
    let feed = async {
        for batch in records.chunks(8) {
            first.apply(batch).await.unwrap();
        }
    };
    let check = async {
        let mut prints = Vec::new();
        while prints.len() < 4 {
            prints.push(first.fingerprint().await.unwrap());
        }
        prints
    };
    let ((), mut prints) = tokio::join!(feed, check);
    prints.push(first.fingerprint().await.unwrap());
    assert_eq!(prints.last().unwrap().positions, first.positions().await.unwrap());
    for print in &prints {
        let folder = tempfile::tempdir().unwrap();
        let second = Views::open(&folder.path().join("check.sqlite")).await.unwrap();
        second.apply(&up_to(print, &records)).await.unwrap();
        let of_second = second.fingerprint().await.unwrap();
        assert_eq!(print.positions, of_second.positions);
        assert_eq!(print.differing(&of_second), Vec::<&str>::new());
        second.discard().await.unwrap();
    }
    // One record less: said by the positions, too.
    let second = Views::open(&folder.path().join("check.sqlite")).await.unwrap();
    second.apply(&records[..records.len() - 1]).await.unwrap();
    let less = second.fingerprint().await.unwrap();
    assert!(prints[prints.len() - 1].differing(&less).contains(&"positions"));
    second.discard().await.unwrap();
    first.close().await.unwrap();
}
