//! Attachments: stored whole or not at all, there before the record that names them, and never
//! served when they are not what was stored.

use evidence::hash::{Hash, hex, sha256};
use evidence::record::AttachmentRef;
use proptest::prelude::*;

use super::*;
use crate::limits::{ATTACHMENT_CHUNK, MAX_ATTACHMENT, ROOM_CHECK};
use crate::{AttachmentError, AttachmentInfo, AttachmentReadError, CommitError, Damage};

/// Bytes that follow from `number`.
fn content(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ (i % 251) as u8 ^ number).collect()
}

fn info(bytes: &[u8]) -> AttachmentInfo {
    AttachmentInfo { hash: sha256(bytes), size: bytes.len() as u64 }
}

fn store(journal: &Journal, bytes: &[u8]) -> Result<AttachmentInfo, AttachmentError> {
    let mut writer = journal.attachment_writer(None)?;
    for chunk in bytes.chunks(100) {
        writer.write(chunk)?;
    }
    writer.finish()
}

fn read(journal: &Journal, hash: &Hash) -> Result<Option<Vec<u8>>, AttachmentReadError> {
    let Some(mut reader) = journal.read_attachment(hash)? else { return Ok(None) };
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        assert!(!chunk.is_empty());
        bytes.extend(chunk);
    }
    Ok(Some(bytes))
}

/// A transaction whose one record names these attachments.
fn naming(number: u64, attachments: &[AttachmentInfo]) -> Transaction {
    let mut one = append("kz-75", stream(1), &[number], 10);
    let named = attachments.iter().map(|a| AttachmentRef { hash: a.hash, size: a.size, media: 1 });
    one.drafts[0].header.attachments = named.collect();
    transaction(one)
}

fn all(journal: &Journal) -> Vec<AttachmentInfo> {
    journal.attachments().collect::<Result<_, _>>().unwrap()
}

/// What the deep check finds wrong with attachments.
fn damages(journal: &Journal) -> Vec<Damage> {
    check(journal).damages
}

/// Names of files below the folder of attachments.
fn names(disk: &MemoryDisk) -> Vec<String> {
    let base = Path::new(DIR).join("attachments");
    let files = disk.files();
    let inside = files.iter().filter_map(|(path, _)| path.strip_prefix(&base).ok());
    inside.map(|path| path.display().to_string()).collect()
}

#[test]
fn an_attachment_is_stored_under_its_hash_and_read_back() {
    let (disk, _, journal) = memory();
    let pieces = [0, 1, 99, 3 * ATTACHMENT_CHUNK, 3 * ATTACHMENT_CHUNK + 5];
    let mut expected: Vec<AttachmentInfo> = Vec::new();
    for (number, len) in pieces.into_iter().enumerate() {
        let bytes = content(number as u8, len);
        assert_eq!(journal.attachment(&sha256(&bytes)).unwrap(), None);
        let stored = store(&journal, &bytes).unwrap();
        assert_eq!(stored, info(&bytes));
        assert_eq!(journal.attachment(&stored.hash).unwrap(), Some(stored));
        assert_eq!(read(&journal, &stored.hash).unwrap(), Some(bytes));
        expected.push(stored);
    }
    expected.sort_by_key(|info| info.hash);
    assert_eq!(all(&journal), expected);
    let path = |a: &AttachmentInfo| format!("{}/{}", hex(&a.hash[..1]), hex(&a.hash));
    assert_eq!(names(&disk), expected.iter().map(path).collect::<Vec<_>>());
    assert_eq!(damages(&journal), []);
    assert_eq!(read(&journal, &[7; 32]).unwrap(), None);
}

#[test]
fn storing_the_same_again_changes_nothing_and_mends_a_damaged_one() {
    let (disk, memory_store, journal) = memory();
    let bytes = content(1, 1000);
    let stored = store(&journal, &bytes).unwrap();
    let files = disk.files();
    assert_eq!(store(&journal, &bytes).unwrap(), stored);
    assert_eq!(disk.files(), files);
    journal.close();
    let mut damaged = files;
    let at = damaged.iter().position(|(path, _)| path.ends_with(hex(&stored.hash))).unwrap();
    damaged[at].1[500] ^= 1;
    let disk = MemoryDisk::with_files(&damaged);
    let (journal, _) = open_memory(&disk, &memory_store, SMALL).unwrap();
    assert!(read(&journal, &stored.hash).is_err());
    assert_eq!(store(&journal, &bytes).unwrap(), stored);
    assert_eq!(read(&journal, &stored.hash).unwrap(), Some(bytes));
}

#[test]
fn what_was_announced_is_taken_and_nothing_else() {
    let (disk, _, journal) = memory();
    let bytes = content(1, 1000);
    let write = |expected: AttachmentInfo, bytes: &[u8]| {
        let mut writer = journal.attachment_writer(Some(expected))?;
        writer.write(bytes)?;
        writer.finish()
    };
    let right = info(&bytes);
    let cases = [
        ("size", AttachmentInfo { size: 999, ..right }),
        ("size", AttachmentInfo { size: 1001, ..right }),
        ("hash", AttachmentInfo { hash: [1; 32], ..right }),
    ];
    for (field, expected) in cases {
        let error = write(expected, &bytes).unwrap_err();
        assert!(matches!(error, AttachmentError::Mismatch { what } if what == field), "{error}");
        assert_eq!(names(&disk), [""; 0], "something is left behind");
    }
    assert_eq!(write(right, &bytes).unwrap(), right);
}

#[test]
fn one_byte_too_many_is_refused_as_soon_as_it_comes() {
    let (disk, _, journal) = memory();
    let announced = AttachmentInfo { hash: [0; 32], size: MAX_ATTACHMENT + 1 };
    let error = journal.attachment_writer(Some(announced)).unwrap_err();
    assert!(matches!(error, AttachmentError::TooLarge { limit: MAX_ATTACHMENT, .. }), "{error}");
    let mut writer = journal.attachment_writer(None).unwrap();
    let piece = vec![0; 1 << 20];
    for _ in 0..MAX_ATTACHMENT >> 20 {
        writer.write(&piece).unwrap();
    }
    let error = writer.write(&[0]).unwrap_err();
    let found = MAX_ATTACHMENT + 1;
    assert!(matches!(error, AttachmentError::TooLarge { found: f, .. } if f == found), "{error}");
    assert_eq!(names(&disk), [""; 0]);
    assert!(matches!(writer.write(&[0]), Err(AttachmentError::GivenUp)));
    assert!(matches!(writer.finish(), Err(AttachmentError::GivenUp)));
}

#[test]
fn an_unfinished_attachment_leaves_nothing_behind() {
    let (disk, store, journal) = memory();
    let mut writer = journal.attachment_writer(None).unwrap();
    writer.write(b"abc").unwrap();
    assert_eq!(names(&disk).len(), 1);
    let cut = disk.files();
    drop(writer);
    assert_eq!(names(&disk), [""; 0]);
    let disk = MemoryDisk::with_files(&cut);
    assert_eq!(names(&disk).len(), 1);
    open_memory(&disk, &store, SMALL).unwrap();
    assert_eq!(names(&disk), [""; 0], "left-overs are removed at open");
}

#[test]
fn a_full_disk_refuses_attachments_before_and_while_they_are_written() {
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    let options = Options { free_space_watermark: 1_000_000, ..SMALL };
    let (journal, _) = open_memory(&disk, &store, options).unwrap();
    disk.set_free(1_500_000);
    let announced = AttachmentInfo { hash: [0; 32], size: 600_000 };
    let full = |error: &AttachmentError| {
        matches!(error, AttachmentError::DiskFull { watermark: 1_000_000, .. })
    };
    let error = journal.attachment_writer(Some(announced)).unwrap_err();
    assert!(full(&error), "{error}");
    let mut writer = journal.attachment_writer(None).unwrap();
    writer.write(&[0; 1000]).unwrap();
    disk.set_free(900_000);
    let rest = vec![0; ROOM_CHECK as usize];
    let error = writer.write(&rest).unwrap_err();
    assert!(full(&error), "{error}");
    assert_eq!(error.to_string(), format!("disk full: {}", &error.to_string()[11..]));
    assert!(full(&journal.attachment_writer(None).unwrap_err()));
    assert_eq!(names(&disk), [""; 0]);
    drop(writer);
    disk.set_free(3_000_000);
    assert!(journal.attachment_writer(None).is_ok(), "there is room again");
}

#[test]
fn a_record_may_name_only_attachments_that_are_here_with_that_size() {
    let (_, memory_store, journal) = memory();
    let (first, second) = (content(1, 100), content(2, 200));
    let first = store(&journal, &first).unwrap();
    let missing = info(&second);
    let error = commit(&journal, naming(1, &[first, missing])).unwrap_err();
    let digits = hex(&missing.hash[..4]);
    assert!(
        matches!(&error, CommitError::AttachmentMissing { index: 1, hash, size: 200, held: None }
            if *hash == digits),
        "{error}"
    );
    assert_eq!(error.to_string(), format!("attachment 1 ({digits}, 200 bytes) is not here"));
    let longer = AttachmentInfo { size: 101, ..first };
    let error = commit(&journal, naming(1, &[longer])).unwrap_err().to_string();
    assert!(
        error.ends_with("101 bytes) is not here with that size, but with 100 bytes"),
        "{error}"
    );
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 0, "nothing was stored");
    // The other transactions of the group are stored.
    let group = vec![naming(1, &[missing]), naming(2, &[first])];
    let results = journal.commit(group, 1).unwrap();
    assert!(results[0].is_err() && results[1].is_ok());
    store(&journal, &second).unwrap();
    let again = Transaction { command: Some(claim(1, 1)), ..naming(3, &[first, missing]) };
    commit(&journal, again).unwrap();
    let record = journal.get(&name("kz-75"), 1, 1).unwrap().unwrap();
    assert_eq!(record.header().attachments.len(), 2);
    assert_eq!(damages(&journal), []);
    assert_clean(&journal);
    drop(memory_store);
}

/// A batch of a log whose records name attachments, for a mirror that holds nothing.
fn mirrored(log: &str, attachments: &[AttachmentInfo]) -> (Origin, VerifiedBatch) {
    let mut origin = Origin::new(log, 0);
    for (seq, attachment) in (0..).zip(attachments) {
        let mut draft = draft(stream(100 + seq as u8), 1_000_000 + seq, 20);
        let header = &mut draft.header;
        header.log = origin.log.clone();
        (header.seq, header.recorded_at) = (seq, seq as i64);
        let AttachmentInfo { hash, size } = *attachment;
        // Every second record names one attachment, the others two.
        header.attachments = vec![AttachmentRef { hash, size, media: 3 }; 1 + seq as usize % 2];
        origin.add(draft);
    }
    let count = attachments.len() as u64;
    let batch = origin.batch(&Frontier::new(), 0, count);
    (origin, batch)
}

#[test]
fn a_mirror_lists_what_it_lacks_page_by_page() {
    let (_, _, journal) = memory();
    let contents: Vec<Vec<u8>> = (0..20).map(|number| content(number, 50)).collect();
    let infos: Vec<AttachmentInfo> = contents.iter().map(|bytes| info(bytes)).collect();
    let (origin, batch) = mirrored("kz/all", &infos);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    commit(&journal, Transaction { mirror: Some(batch), ..Transaction::default() }).unwrap();
    let lacking = |limit: usize| {
        let (mut from, mut out, mut pages) = (0, Vec::new(), 0);
        while from < 20 {
            let page = journal.missing_attachments(&origin.log, 1, from, limit).unwrap();
            assert!(page.next > from);
            assert!(page.missing.iter().all(|m| (from..page.next).contains(&m.position.seq)));
            from = page.next;
            out.extend(page.missing.into_iter().map(|m| (m.position.seq, m.attachment.hash)));
            pages += 1;
        }
        (out, pages)
    };
    let expect = |held: &[u64]| -> Vec<(u64, Hash)> {
        let named = (0..20u64).flat_map(|seq| vec![seq; 1 + seq as usize % 2]);
        named.filter(|s| !held.contains(s)).map(|s| (s, infos[s as usize].hash)).collect()
    };
    assert_eq!(lacking(1000), (expect(&[]), 1));
    assert_eq!(lacking(4), (expect(&[]), 7), "pages end behind a record");
    for seq in [0, 7, 19] {
        store(&journal, &contents[seq]).unwrap();
    }
    assert_eq!(lacking(1000), (expect(&[0, 7, 19]), 1));
    assert_eq!(damages(&journal), [], "a mirror may lack attachments");
    let unknown = journal.missing_attachments(&origin.log, 2, 0, 1);
    assert!(matches!(unknown, Err(crate::ReadError::UnknownLog { epoch: 2, .. })));
}

#[test]
fn the_check_finds_missing_and_changed_and_foreign_files() {
    let (disk, memory_store, journal) = memory();
    let (kept, lost, cut) = (content(1, 100), content(2, 200), content(3, 300));
    let infos: Vec<_> = [&kept, &lost, &cut].map(|bytes| store(&journal, bytes).unwrap()).into();
    commit(&journal, naming(1, &infos)).unwrap();
    commit(&journal, naming(2, &infos[..1])).unwrap();
    journal.close();
    let mut files = disk.files();
    files.retain(|(path, _)| !path.ends_with(hex(&infos[1].hash)));
    let at = files.iter().position(|(path, _)| path.ends_with(hex(&infos[2].hash))).unwrap();
    files[at].1.truncate(299);
    let foreign = Path::new(DIR).join("attachments/00/note");
    files.push((foreign, vec![1]));
    let disk = MemoryDisk::with_files(&files);
    let (journal, _) = open_memory(&disk, &memory_store, SMALL).unwrap();
    let found = damages(&journal);
    let name = |i: usize| crate::files::attachment_name(&infos[i].hash);
    let has = |file: &str, what: &str, position: Option<&str>| {
        let hit = found.iter().filter(|damage| {
            let at = damage.position.as_ref().map(ToString::to_string);
            damage.file == file && damage.what.contains(what) && at.as_deref() == position
        });
        assert_eq!(hit.count(), 1, "{file}: {what}: {found:#?}");
    };
    has("attachments/00/note", "not named", None);
    has(&name(2), "do not hash to its name", None);
    has(&name(2), "another size", Some("kz-75:1:0"));
    has(&name(1), "missing", Some("kz-75:1:0"));
    assert_eq!(found.len(), 4, "{found:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn chunks_do_not_matter_and_a_flipped_byte_is_reported(
        len in 1..700_000usize,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        flip: prop::sample::Index, bit in 0..8u8,
    ) {
        let (disk, memory_store, journal) = memory();
        let bytes = content(9, len);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len)).collect();
        cuts.extend([0, len]);
        cuts.sort_unstable();
        let mut writer = journal.attachment_writer(Some(info(&bytes))).unwrap();
        for pair in cuts.windows(2) {
            writer.write(&bytes[pair[0]..pair[1]]).unwrap();
        }
        let stored = writer.finish().unwrap();
        prop_assert_eq!(stored, info(&bytes));
        prop_assert_eq!(read(&journal, &stored.hash).unwrap(), Some(bytes.clone()));
        journal.close();
        drop(journal);
        let mut files = disk.files();
        let at = files.iter().position(|(path, _)| path.ends_with(hex(&stored.hash))).unwrap();
        files[at].1[flip.index(len)] ^= 1 << bit;
        let disk = MemoryDisk::with_files(&files);
        let (journal, _) = open_memory(&disk, &memory_store, SMALL).unwrap();
        let mut reader = journal.read_attachment(&stored.hash).unwrap().unwrap();
        let mut given = 0;
        let error = loop {
            match reader.next_chunk() {
                Ok(Some(chunk)) => given += chunk.len(),
                Ok(None) => panic!("a flipped byte was served"),
                Err(error) => break error,
            }
        };
        prop_assert!(given < len, "the last piece was given");
        let is_damage = matches!(error, AttachmentReadError::Damaged { .. });
        prop_assert!(is_damage, "{}", error);
        prop_assert!(reader.next_chunk().is_err(), "it stays an error");
        prop_assert_eq!(damages(&journal).len(), 1);
    }
}

/// Stores two attachments and commits records that name them, on a disk that may die. Returns how
/// many commits were acknowledged.
fn history(disk: &MemoryDisk, store_: &MemoryStore, contents: &[Vec<u8>]) -> u64 {
    let mut acknowledged = 0;
    let Ok((journal, _)) = open_memory(disk, store_, SMALL) else { return 0 };
    if journal.ensure_own_log(&name("kz-75"), 1).is_err() {
        return 0;
    }
    for (number, bytes) in contents.iter().enumerate() {
        let Ok(stored) = store(&journal, bytes) else { continue };
        let Ok(mut results) = journal.commit(vec![naming(number as u64, &[stored])], 1) else {
            break;
        };
        acknowledged += u64::from(results.pop().unwrap().is_ok());
    }
    acknowledged
}

#[test]
fn after_a_cut_at_any_step_every_record_has_its_attachments() {
    let contents = [content(1, 700), content(2, 5), content(1, 700)];
    let (disk, store_) = (MemoryDisk::new(), MemoryStore::new());
    assert_eq!(history(&disk, &store_, &contents), 3);
    let (mut with, mut without) = (0, 0);
    for crash_at in 0..=disk.steps() {
        for seed in 0..8 {
            let (disk, store_) = (MemoryDisk::new(), MemoryStore::new());
            disk.crash_at(crash_at);
            let acknowledged = history(&disk, &store_, &contents);
            let keep = seed as usize % (store_.unflushed() + 1);
            let (disk, store_) = (disk.reboot(seed + 8 * crash_at), store_.reboot(keep));
            let (journal, _) = open_memory(&disk, &store_, SMALL).unwrap();
            let held = journal.log(&name("kz-75"), 1).map_or(0, |log| log.size);
            assert!(held >= acknowledged, "cut at {crash_at}: {held} < {acknowledged}");
            let named = (0..held).flat_map(|seq| {
                let record = journal.get(&name("kz-75"), 1, seq).unwrap().unwrap();
                record.header().attachments.clone()
            });
            for attachment in named {
                let bytes = read(&journal, &attachment.hash).unwrap();
                let len = bytes.map(|bytes| bytes.len() as u64);
                assert_eq!(len, Some(attachment.size), "cut at {crash_at}, seed {seed}");
                with += 1;
            }
            without += usize::from(held == 0);
            assert_eq!(damages(&journal), [], "cut at {crash_at}, seed {seed}");
            assert!(names(&disk).iter().all(|name| !name.starts_with("incoming")));
            // Life goes on, with what the cut left of the names.
            journal.ensure_own_log(&name("kz-75"), 1).unwrap();
            let stored = store(&journal, &contents[0]).unwrap();
            commit(&journal, naming(900, &[stored])).unwrap();
        }
    }
    assert!(with > 100 && without > 100, "{with} {without}");
}

#[test]
fn a_name_that_an_earlier_run_did_not_sync_is_synced_before_a_record_names_it() {
    let bytes = content(1, 700);
    let stored = info(&bytes);
    let (mut lost, mut named) = (0, 0);
    let (disk, store_) = (MemoryDisk::new(), MemoryStore::new());
    assert_eq!(history(&disk, &store_, std::slice::from_ref(&bytes)), 1);
    for crash_at in 0..=disk.steps() {
        let (disk, store_) = (MemoryDisk::new(), MemoryStore::new());
        disk.crash_at(crash_at);
        history(&disk, &store_, std::slice::from_ref(&bytes));
        // The program ends, the computer does not: what is unsynced stays so.
        disk.revive();
        let (journal, _) = open_memory(&disk, &store_.reboot(0), SMALL).unwrap();
        journal.ensure_own_log(&name("kz-75"), 1).unwrap();
        let done = commit(&journal, naming(900, &[stored])).is_ok();
        assert_eq!(done, journal.attachment(&stored.hash).unwrap().is_some());
        for seed in 0..16 {
            let (journal, _) = open_memory(&disk.reboot(seed), &MemoryStore::new(), SMALL).unwrap();
            let found = read(&journal, &stored.hash).unwrap();
            lost += usize::from(found.is_none());
            named += usize::from(done);
            assert!(!done || found.as_ref() == Some(&bytes), "cut at {crash_at}, seed {seed}");
        }
    }
    assert!(lost > 10 && named > 10, "{lost} {named}");
}

#[test]
fn one_that_comes_in_parts_is_gone_on_with_after_a_restart() {
    let (disk, store, journal) = memory();
    let bytes = content(3, 2 * ATTACHMENT_CHUNK + 9);
    let expected = info(&bytes);
    let mut writer = journal.resume_attachment(expected).unwrap();
    writer.write(&bytes[..ATTACHMENT_CHUNK + 5]).unwrap();
    drop(writer);
    assert_eq!(journal.attachment(&expected.hash).unwrap(), None, "a part is not served");
    journal.close();
    let disk = MemoryDisk::with_files(&disk.files());
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    let mut writer = journal.resume_attachment(expected).unwrap();
    assert_eq!(writer.size(), (ATTACHMENT_CHUNK + 5) as u64);
    writer.write(&bytes[ATTACHMENT_CHUNK + 5..]).unwrap();
    assert_eq!(writer.finish().unwrap(), expected);
    assert_eq!(read(&journal, &expected.hash).unwrap(), Some(bytes.clone()));
    let piece = |offset, length| journal.attachment_piece(&expected.hash, offset, length).unwrap();
    assert_eq!(piece(7, 20).unwrap(), bytes[7..27]);
    assert_eq!(piece(bytes.len() as u64 - 3, 20).unwrap(), bytes[bytes.len() - 3..]);
    assert_eq!(journal.attachment_piece(&[9; 32], 0, 1).unwrap(), None);
    assert_eq!(names(&disk).len(), 1, "nothing is left on its way");
}

#[test]
fn parts_of_something_else_are_dropped_when_the_whole_is_here() {
    let (disk, _, journal) = memory();
    let bytes = content(4, 500);
    let expected = info(&bytes);
    let mut writer = journal.resume_attachment(expected).unwrap();
    writer.write(&content(5, 500)).unwrap();
    let refused = writer.finish();
    assert!(matches!(refused, Err(AttachmentError::Mismatch { what: "hash" })), "{refused:?}");
    assert_eq!(names(&disk), Vec::<String>::new());
    let mut writer = journal.resume_attachment(expected).unwrap();
    assert_eq!(writer.size(), 0);
    writer.write(&bytes).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&journal, &expected.hash).unwrap(), Some(bytes));
}
