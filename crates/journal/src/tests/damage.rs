//! Damage of every file at every byte: refused at open or reported, never served.

use std::path::PathBuf;

use super::*;
use crate::check::check_files_on;
use crate::error::ReadError;
use crate::{IndexOutcome, MissingRange};

type Files = Vec<(PathBuf, Vec<u8>)>;

/// A closed journal with several segments, an own log and a mirror.
fn sample() -> (Files, MemoryStore, Vec<Vec<u8>>) {
    let (disk, store, journal) = memory();
    let origin = Origin::new("kz/all", 6);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    for number in 0..14 {
        let one = append("kz-75", stream((number % 3) as u8), &[number], 150);
        let command = Some(claim(number as u8, 1));
        commit(&journal, Transaction { command, ..transaction(one) }).unwrap();
    }
    let batch = origin.batch(&Frontier::new(), 0, 6);
    commit(&journal, Transaction { mirror: Some(batch), ..Transaction::default() }).unwrap();
    commit(&journal, transaction(append("kz-75", stream(9), &[50], 10))).unwrap();
    assert!(journal.stats().segments >= 3);
    journal.close();
    let records = everything(&journal).unwrap();
    (disk.files(), store, records)
}

/// All records, through get.
fn everything(journal: &Journal) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut out = Vec::new();
    for log in journal.logs() {
        for seq in 0..log.size {
            out.extend(journal.get(&log.log, log.epoch, seq)?.map(Record::into_bytes));
        }
    }
    Ok(out)
}

/// Opens damaged files and fails if the damage passes unseen or something wrong is served.
fn meet(files: &Files, store: &MemoryStore, good: &[Vec<u8>], what: &str) -> &'static str {
    let disk = MemoryDisk::with_files(files);
    let offline =
        check_files_on(Arc::new(disk.clone()), Path::new(DIR), &mut |_| ControlFlow::Continue(()))
            .unwrap();
    let journal = match open_memory(&disk, &store.reboot(0), SMALL) {
        Err(OpenError::Damaged(report)) => {
            assert!(!offline.is_clean(), "{what}: refused but the check is clean: {report}");
            assert_eq!(disk.files(), *files, "{what}: a refused open changed something");
            return "refused";
        }
        Err(other) => panic!("{what}: {other}"),
        Ok((journal, report)) => {
            if report.tail_lost {
                assert!(!offline.is_clean(), "{what}: the check is clean");
                assert_eq!(everything(&journal).unwrap(), good, "{what}");
                return "tail rebuilt";
            }
            if report.dropped.is_some() {
                assert!(!offline.is_clean(), "{what}: the check is clean");
                assert_eq!(everything(&journal).unwrap(), good, "{what}: dropped a group");
                return "set aside";
            }
            journal
        }
    };
    match everything(&journal) {
        Ok(records) => assert_eq!(records, good, "{what}: served something else"),
        Err(ReadError::Damaged { .. }) => {}
        Err(other) => panic!("{what}: {other}"),
    }
    let report = check(&journal);
    assert!(!report.is_clean(), "{what}: passed unseen");
    assert!(!offline.is_clean(), "{what}: passed the check of the files unseen");
    "reported"
}

#[test]
fn a_flip_of_any_byte_of_any_file_is_seen() {
    let (files, store, good) = sample();
    let mut outcomes = std::collections::BTreeMap::new();
    for (i, (path, bytes)) in files.iter().enumerate() {
        // Every 3rd byte and every bit in turn: all fields of all kinds of frames are met.
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = files.clone();
            damaged[i].1[at] ^= 1 << (at % 8);
            let what = format!("{} at {at}", path.display());
            *outcomes.entry(meet(&damaged, &store, &good, &what)).or_insert(0) += 1;
        }
    }
    assert!(outcomes["refused"] > 100 && outcomes["reported"] > 100, "{outcomes:?}");
    assert!(outcomes["tail rebuilt"] > 1 && outcomes["set aside"] > 1, "{outcomes:?}");
}

#[test]
fn a_cut_or_missing_commit_file_is_refused_with_what_is_missing() {
    let (files, store, good) = sample();
    let segments = files.iter().filter(|(path, _)| path.extension().is_some());
    for (path, bytes) in segments {
        let i = files.iter().position(|(other, _)| other == path).unwrap();
        for len in [0, 100, 128, 500, bytes.len() / 2] {
            let mut damaged = files.clone();
            damaged[i].1.truncate(len);
            meet(&damaged, &store, &good, &format!("{} cut to {len}", path.display()));
        }
        let mut damaged = files.clone();
        damaged.remove(i);
        let disk = MemoryDisk::with_files(&damaged);
        let error = open_memory(&disk, &store.reboot(0), SMALL).unwrap_err();
        let OpenError::Damaged(report) = error else { panic!("{error}") };
        assert!(!report.missing.is_empty(), "{report}");
        assert!(path.ends_with(&report.file), "{report}");
    }
}

#[test]
fn the_refusal_names_file_offset_and_sequences() {
    let (files, store, _) = sample();
    let last = files.iter().rposition(|(path, _)| path.extension().is_some()).unwrap();
    let needle = draft(stream(9), 50, 10).blind;
    let bytes = &files[last].1;
    let at = bytes.windows(32).position(|window| window == needle).unwrap();
    let mut damaged = files.clone();
    damaged[last].1[at] ^= 1;
    let disk = MemoryDisk::with_files(&damaged);
    let error = open_memory(&disk, &store.reboot(0), SMALL).unwrap_err();
    let OpenError::Damaged(report) = &error else { panic!("{error}") };
    assert_eq!(report.offset, at as u64 - 24);
    let log = name("kz-75");
    assert_eq!(report.missing, [MissingRange { log, epoch: 1, from: 14, to: Some(15) }]);
    let text = error.to_string();
    assert!(text.contains(&report.file) && text.contains("kz-75:1:[14..15)"), "{text}");
}

#[test]
fn an_index_ahead_of_the_commit_files_is_damage_even_without_a_tail() {
    let (disk, store, journal) = memory();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    let mut old = disk.files();
    old.retain(|(path, _)| !path.ends_with("tail"));
    commit(&journal, transaction(append("kz-75", stream(1), &[2], 10))).unwrap();
    journal.close();
    let error = open_memory(&MemoryDisk::with_files(&old), &store.reboot(0), SMALL).unwrap_err();
    let OpenError::Damaged(report) = error else { panic!("{error}") };
    assert_eq!(report.missing[0].to_string(), "kz-75:1:[1..2)");
}

#[test]
fn a_journal_that_lost_all_commit_files_is_refused_with_what_tail_and_index_know() {
    let (mut files, store, good) = sample();
    files.retain(|(path, _)| path.extension().is_none());
    let refusal = |files: &Files, store: &MemoryStore| {
        let opened = open_memory(&MemoryDisk::with_files(files), store, SMALL);
        let Err(OpenError::Damaged(report)) = opened else { panic!("{opened:?}") };
        report.to_string()
    };
    let index = "the index names log number 1, epoch 1: [0..15); the index names log number 2, \
                 epoch 1: [0..6)";
    assert_eq!(good.len(), 15 + 6);
    let text = refusal(&files, &store.reboot(0));
    assert!(text.contains(index) && text.contains("; the tail file names group "), "{text}");
    let text = refusal(&files, &MemoryStore::new());
    assert!(text.contains("the tail file names") && !text.contains("index"), "{text}");
    files.clear();
    let text = refusal(&files, &store.reboot(0));
    assert!(text.contains(index) && !text.contains("tail"), "{text}");
}

#[test]
fn every_damaged_entry_of_the_index_is_seen_and_never_served() {
    let (files, store, good) = sample();
    drop(open_memory(&MemoryDisk::with_files(&files), &store, SMALL).unwrap());
    let (mut keys, mut kinds) = (Vec::new(), std::collections::BTreeSet::new());
    store.edit(|map| keys = map.keys().cloned().collect());
    for key in keys {
        kinds.insert(key[0]);
        for remove in [true, false] {
            let disk = MemoryDisk::with_files(&files);
            let store = store.reboot(0);
            let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
            store.edit(|map| {
                let value = map.remove(&key).unwrap();
                if !remove {
                    let mut value = value.to_vec();
                    let at = key.len() * 5 % value.len();
                    value[at] ^= 2;
                    map.insert(key.clone(), value.into());
                }
            });
            match everything(&journal) {
                Ok(records) => assert_eq!(records, good),
                Err(ReadError::Damaged { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            let is_mark = key.len() == 1;
            assert_eq!(check(&journal).is_clean(), is_mark, "{key:?}");
        }
    }
    assert_eq!(kinds.into_iter().map(char::from).collect::<String>(), "FGINPS");
}

#[test]
fn an_index_that_lost_its_end_or_contradicts_is_rebuilt() {
    let (files, store, good) = sample();
    type Harm = Box<dyn Fn(&MemoryStore)>;
    let cases: [(&str, Harm); 4] = [
        (
            "last block",
            Box::new(|s| {
                s.edit(|map| {
                    let last = map.keys().rfind(|key| key[0] == b'P').unwrap().clone();
                    map.remove(&last);
                })
            }),
        ),
        ("marks", Box::new(|s| s.edit(|map| map.retain(|key, _| key.len() > 1)))),
        ("everything", Box::new(|s| s.edit(std::collections::BTreeMap::clear))),
        (
            "a mark",
            Box::new(|s| {
                s.edit(|map| {
                    let mut value = map[&b"F"[..]].to_vec();
                    value[9] ^= 1;
                    map.insert(b"F".to_vec(), value.into());
                })
            }),
        ),
    ];
    for (what, damage) in cases {
        let disk = MemoryDisk::with_files(&files);
        let store = store.reboot(0);
        damage(&store);
        let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
        assert!(matches!(report.index, IndexOutcome::Rebuilt { .. }), "{what}: {report:?}");
        assert_eq!(everything(&journal).unwrap(), good, "{what}");
        assert_clean(&journal);
    }
}

#[test]
fn without_tail_and_index_a_later_group_still_shows_that_damage_is_no_unfinished_group() {
    let (disk, _, journal) = memory();
    for number in 1..4 {
        commit(&journal, transaction(append("kz-75", stream(1), &[number], 10))).unwrap();
    }
    let mut files = disk.files();
    files.retain(|(path, _)| path.extension().is_some());
    let needle = draft(stream(1), 2, 10).blind;
    let at = files[0].1.windows(32).position(|window| window == needle).unwrap();
    files[0].1[at] ^= 1;
    let disk = MemoryDisk::with_files(&files);
    let error = open_memory(&disk, &MemoryStore::new(), SMALL).unwrap_err();
    let OpenError::Damaged(report) = error else { panic!("{error}") };
    assert_eq!(report.missing[0].to_string(), "kz-75:1:[1..2)", "record 2 is there again");
}

#[test]
fn bytes_that_do_not_hash_to_their_leaf_are_not_served_even_under_good_checksums() {
    let (_, store, journal) = memory();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    journal.flush_index().unwrap();
    store.edit(|map| {
        let (key, value) = map.iter_mut().find(|(key, _)| key[0] == b'P').unwrap();
        let mut changed = value.to_vec();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        crate::index::keys::seal(key, &mut changed);
        *value = changed.into();
    });
    let error = journal.get(&name("kz-75"), 1, 0).unwrap_err();
    assert!(matches!(error, ReadError::Damaged { seq: 0, .. }), "{error}");
    assert!(!check(&journal).is_clean());
}

#[test]
fn a_footer_that_lies_under_a_good_checksum_is_seen() {
    let (files, store, good) = sample();
    let mut sealed = files.iter().filter(|(_, bytes)| {
        crate::segment::decode_end(&bytes[bytes.len().saturating_sub(32)..], 3).is_some()
    });
    let (path, bytes) = sealed.next_back().unwrap();
    let i = files.iter().position(|(other, _)| other == path).unwrap();
    let header = crate::segment::SegmentHeader::decode(bytes).unwrap();
    let at = crate::segment::decode_end(&bytes[bytes.len() - 32..], 3).unwrap() as usize;
    let head = crate::frame::Head::decode(bytes[at..].first_chunk().unwrap()).unwrap();
    let body = &bytes[at + 24..at + 24 + head.len as usize];
    let mut footer = crate::segment::Footer::decode(body).unwrap();
    footer.ranges.values_mut().next().unwrap().root[0] ^= 1;
    let (mut frame, seed) = (Vec::new(), crate::frame::seed(&header.journal));
    let (kind, flags, log_no, epoch, seq) = (head.kind, 0, 0, head.epoch, head.seq);
    let label = crate::frame::Label { kind, flags, log_no, epoch, seq };
    crate::frame::put(&mut frame, seed, label, |out| footer.encode(out));
    let mut damaged = files.clone();
    damaged[i].1[at..at + frame.len()].copy_from_slice(&frame);
    meet(&damaged, &store, &good, "a footer with another root");
}

#[test]
fn a_journal_that_lost_tail_and_index_and_its_first_group_is_not_begun_anew() {
    let (disk, _, journal) = memory();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    journal.close();
    let mut files = disk.files();
    files.retain(|(path, _)| path.extension().is_some());
    for at in [20, 130, 199] {
        let mut damaged = files.clone();
        damaged[0].1[at] ^= 1;
        let disk = MemoryDisk::with_files(&damaged);
        let error = open_memory(&disk, &MemoryStore::new(), SMALL).unwrap_err();
        assert!(matches!(error, OpenError::Damaged(_)), "byte {at}: {error}");
        assert_eq!(disk.files(), damaged, "byte {at}: something was written");
    }
}
