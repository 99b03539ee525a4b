//! The index in the background: what is served without it, and that nobody misses anything while
//! groups move from memory to sled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::error::{CommitError, IndexError, IndexOpenError, ReadError};
use crate::index::{Applying, Entry, Index, IndexBatch, IndexStore};
use crate::transaction::Control;
use crate::{IndexOutcome, IndexStatus, QuarantinedIndex};

/// A store that opens only when it may, and fails as often as it is told to.
struct Gate {
    store: MemoryStore,
    open: AtomicBool,
    failures: AtomicUsize,
}

impl Gate {
    fn new(store: MemoryStore, open: bool, failures: usize) -> Arc<Self> {
        Arc::new(Self { store, open: open.into(), failures: failures.into() })
    }
}

impl IndexStore for Gate {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        while !self.open.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let left = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
            return Err(IndexError::new("it does not want to").into());
        }
        self.store.open()
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        self.store.quarantine()
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        self.store.discard()
    }

    fn applying(&self) -> Applying {
        Applying::Thread
    }
}

/// A store whose process dies after so many changes: what was done by then stays.
#[derive(Clone)]
struct Dying {
    store: MemoryStore,
    left: Arc<AtomicUsize>,
}

struct DyingIndex(Arc<dyn Index>, Arc<AtomicUsize>);

impl DyingIndex {
    fn change(&self) -> Result<(), IndexError> {
        let left = |left: usize| left.checked_sub(1);
        let alive = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok();
        if alive { Ok(()) } else { Err(IndexError::new("it died")) }
    }
}

impl Index for DyingIndex {
    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, IndexError> {
        self.0.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry>, IndexError> {
        self.0.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&sled::IVec, &sled::IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.0.scan(from, to, visit)
    }

    fn swap(&self, put: IndexBatch, remove: Vec<sled::IVec>) -> Result<(), IndexError> {
        self.change()?;
        self.0.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        self.change()?;
        self.0.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.0.flush()
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl IndexStore for Dying {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Ok(Arc::new(DyingIndex(self.store.open()?, self.left.clone())))
    }

    fn quarantine(&self) -> std::io::Result<Option<String>> {
        Err(std::io::Error::other("it is dead"))
    }

    fn quarantined(&self) -> Option<QuarantinedIndex> {
        self.store.quarantined()
    }

    fn discard(&self) -> std::io::Result<()> {
        Err(std::io::Error::other("it is dead"))
    }

    fn applying(&self) -> Applying {
        self.store.applying()
    }
}

/// 40 records over several segments, a mirror of 20, and the files they are in.
fn sample() -> (MemoryDisk, MemoryStore, Vec<Record>, Vec<[u8; 32]>) {
    let (disk, store, journal) = memory();
    for number in 0..40 {
        let one = append("kz-75", stream((number % 3) as u8), &[number], 250);
        commit(&journal, transaction(one)).unwrap();
    }
    let origin = Origin::new("kz/all", 20);
    journal.ensure_mirror(&origin.log, 1).unwrap();
    let batch = origin.batch(&Frontier::new(), 0, 20);
    commit(&journal, Transaction { mirror: Some(batch), ..Transaction::default() }).unwrap();
    let records = read(&journal);
    let proof = journal.inclusion(&name("kz-75"), 1, 7, 33).unwrap();
    journal.close();
    (disk, store, records, proof)
}

fn read(journal: &Journal) -> Vec<Record> {
    let all = |log: &str| journal.range(&name(log), 1, 0, 1000, usize::MAX).unwrap();
    [all("kz-75"), all("kz/all")].concat()
}

fn open(disk: &MemoryDisk, store: Arc<dyn IndexStore>) -> (Journal, OpenReport) {
    let moment = Duration::from_millis(5);
    let options = Options { index_grace: moment, index_patience: moment, ..SMALL };
    Journal::open_on(Arc::new(disk.clone()), store, Path::new(DIR), options).unwrap()
}

#[test]
fn an_index_that_hangs_does_not_keep_anyone_from_reading() {
    let (disk, store, records, proof) = sample();
    let gate = Gate::new(store, false, 0);
    let (journal, report) = open(&disk, gate.clone());
    assert_eq!(
        (report.index, journal.index_status()),
        (IndexOutcome::Pending, IndexStatus::Opening)
    );
    assert_eq!(read(&journal), records);
    assert_eq!(journal.get(&name("kz-75"), 1, 11).unwrap().unwrap(), records[11]);
    assert_eq!(journal.inclusion(&name("kz-75"), 1, 7, 33).unwrap(), proof);
    let by_key = journal.stream(&name("kz-75"), stream(1)).unwrap_err();
    assert!(matches!(by_key, ReadError::IndexBuilding { .. }), "{by_key}");
    let next = || transaction(append("kz-75", stream(1), &[1000], 10));
    let refused = commit(&journal, next()).unwrap_err();
    assert!(matches!(refused, CommitError::IndexBuilding { .. }), "{refused}");
    journal.flush_index().unwrap();
    gate.open.store(true, Ordering::SeqCst);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(commit(&journal, next()).unwrap().positions[0].seq, 40);
    assert_eq!(journal.stream(&name("kz-75"), stream(1)).unwrap().len(), 14);
    assert_clean(&journal);
}

#[test]
fn damage_that_is_found_after_open_stops_the_writer_and_ends_subscriptions() {
    let (disk, store, journal) = memory();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 100))).unwrap();
    let mut older = disk.files();
    commit(&journal, transaction(append("kz-75", stream(1), &[2], 100))).unwrap();
    journal.flush_index().unwrap();
    drop(journal);
    // Without the tail file only the index knows that there was more.
    older.retain(|(path, _)| !path.ends_with("tail"));
    let gate = Gate::new(store, false, 0);
    let (journal, _) = open(&MemoryDisk::with_files(&older), gate.clone());
    let mut follower = journal.subscribe(&name("kz-75"), 1, 0);
    assert_eq!(follower.next(10, usize::MAX, Duration::ZERO).unwrap().len(), 1);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| follower.next(10, usize::MAX, Duration::from_secs(60)));
        gate.open.store(true, Ordering::SeqCst);
        let ended = waits.join().unwrap().unwrap_err();
        assert!(ended.to_string().contains("the index knows group 4"), "{ended}");
    });
    // At once, before anybody commits.
    assert!(journal.stats().stopped);
    let IndexStatus::Refused(report) = journal.index_status() else { panic!() };
    assert!(report.what.contains("the index knows group 4"), "{report}");
    assert_eq!(journal.writer().err().unwrap().reason, report.to_string());
    assert!(!journal.wait_for_index(Duration::from_secs(60)));
    let stopped = journal.commit(vec![transaction(append("kz-75", stream(1), &[3], 10))], 1);
    assert_eq!(stopped.unwrap_err().reason, report.to_string());
    assert_eq!(read_own(&journal).len(), 1, "reading goes on");
}

#[test]
fn an_index_that_cannot_be_opened_or_built_now_is_tried_again() {
    let (disk, store, records, _) = sample();
    let gate = Gate::new(store, true, 3);
    let (journal, _) = open(&disk, gate.clone());
    assert_eq!(read(&journal), records);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(gate.failures.load(Ordering::SeqCst), 0);
    assert_eq!(read(&journal), records);
    assert_clean(&journal);
}

#[test]
fn a_journal_that_goes_away_while_its_index_is_built_leaves_the_folder_free() {
    let (disk, store, records, _) = sample();
    let gate = Gate::new(store.clone(), true, usize::MAX);
    drop(open(&disk, gate));
    let (journal, _) = open(&disk, Gate::new(store, true, 0));
    assert_eq!(read(&journal), records);
}

#[test]
fn damage_is_refused_and_the_rest_is_read_while_there_is_no_index() {
    let (disk, store, records, _) = sample();
    let needle = records[5].bytes()[..32].to_vec();
    let mut files = disk.files();
    let (_, bytes) = files
        .iter_mut()
        .find(|(_, bytes)| bytes.windows(32).any(|window| window == needle))
        .unwrap();
    let at = bytes.windows(32).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    let (journal, _) = open(&MemoryDisk::with_files(&files), Gate::new(store, false, 0));
    let (mut read, mut refused) = (0, 0);
    for (seq, record) in records[..40].iter().enumerate() {
        match journal.get(&name("kz-75"), 1, seq as u64) {
            Ok(found) => read += usize::from(found.as_ref() == Some(record)),
            Err(ReadError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(read + refused, 40);
    assert!(refused >= 1 && read > 20, "{read} {refused}");
}

#[test]
fn nobody_misses_what_was_acknowledged_while_it_moves_into_sled() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1 << 20, free_space_watermark: 1, ..SMALL };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let log = name("kz-75");
    journal.ensure_own_log(&log, 1).unwrap();
    let done = AtomicBool::new(false);
    let total = 12_288_u64;
    let look = |seed: u64| {
        let size = journal.log(&log, 1).unwrap().size;
        let Some(last) = size.checked_sub(1) else { return };
        for number in [last, seed % size] {
            let record = journal.get(&log, 1, number).unwrap().unwrap();
            assert_eq!(record.header().event_id, event(number));
            assert_eq!(journal.find_event(&event(number)).unwrap().unwrap().seq, number);
            let of = record.header().stream;
            let versions = journal.stream(&log, of).unwrap().len() as u32;
            assert!(versions >= record.header().stream_version);
            let mut claimed = claim(0, 1).key;
            claimed.command_id = event(number);
            assert_eq!(journal.find_command(&claimed).unwrap().unwrap().first_seq, number);
        }
        assert!(journal.inclusion(&log, 1, seed % size, size).is_ok());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seed = 1_u64;
            while !done.load(Ordering::SeqCst) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                look(seed >> 33);
            }
        });
        for base in (0..total).step_by(64) {
            let group = (base..base + 64).map(|number| {
                let mut claimed = claim(0, 1);
                claimed.key.command_id = event(number);
                let of = StreamRef { kind: 1, id: event(number / 3) };
                let one = append("kz-75", of, &[number], 60);
                Transaction { command: Some(claimed), ..transaction(one) }
            });
            for result in journal.commit(group.collect(), 1).unwrap() {
                result.unwrap();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    (0..200).for_each(|seed| look(seed * 61));
    assert_clean(&journal);
    // However far the thread has come: a last record is not enough for it to move.
    journal.flush_index().unwrap();
    let of = StreamRef { kind: 1, id: event(total) };
    let last = append("kz-75", of, &[total], 60);
    journal.commit(vec![transaction(last)], 1).unwrap().remove(0).unwrap();
    drop(journal);
    let (journal, report) = Journal::open(dir.path(), options).unwrap();
    assert!(matches!(report.index, IndexOutcome::CaughtUp { .. }), "{report:?}");
    assert_clean(&journal);
}

#[test]
fn runs_survive_a_crash_at_any_piece_while_they_are_merged() {
    let (disk, store, journal) = memory();
    let put = |number: u64| {
        let mut claimed = claim(0, 1);
        claimed.key.command_id = event(number);
        let one = append("kz-75", stream((number % 9) as u8), &[number], 20);
        let one = Transaction { command: Some(claimed), ..transaction(one) };
        commit(&journal, one).unwrap();
    };
    (0..120).for_each(put);
    journal.flush_index().unwrap();
    (120..330).for_each(put);
    let last = store.unflushed();
    assert!(last > 150, "{last} pieces");
    let good = read_own(&journal);
    for keep in (0..last).step_by(7).chain(last - 12..=last) {
        let disk = MemoryDisk::with_files(&disk.files());
        let store = store.reboot(keep);
        let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
        let caught_up = matches!(report.index, IndexOutcome::CaughtUp { groups: 210.. });
        assert!(caught_up, "{keep}: {report:?}");
        assert_eq!(read_own(&journal), good);
        assert_eq!(journal.stream(&name("kz-75"), stream(4)).unwrap().len(), 37);
        for number in [0, 119, 120, 329] {
            assert_eq!(journal.find_event(&event(number)).unwrap().unwrap().seq, number);
        }
        assert_clean(&journal);
        let mut runs = std::collections::BTreeSet::new();
        store.edit(|map| {
            let pages = map.keys().filter(|key| key[0] == b'S');
            runs.extend(pages.map(|key| key[1..9].to_vec()));
        });
        assert!(runs.len() < 30, "{} runs", runs.len());
    }
}

#[test]
fn a_lost_block_is_read_around_and_the_index_is_rebuilt_at_the_next_open() {
    let (disk, store, journal) = memory();
    for number in 0..100 {
        let one = append("kz-75", stream((number % 9) as u8), &[number], 20);
        commit(&journal, transaction(one)).unwrap();
    }
    let good = read_own(&journal);
    journal.close();
    drop(journal);
    // In the middle of the log, with the right edge of the tree elsewhere.
    let lose = |store: &MemoryStore| {
        store.edit(|map| {
            let mut blocks = map.keys().filter(|key| key[0] == b'P').cloned();
            let second = blocks.nth(1).unwrap();
            map.remove(&second);
        });
    };
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    lose(&store);
    assert_eq!(read_own(&journal), good);
    assert_eq!(journal.get(&name("kz-75"), 1, 40).unwrap().unwrap(), good[40]);
    assert!(!check(&journal).is_clean(), "it is told");
    drop(journal);
    let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
    assert!(matches!(report.index, IndexOutcome::Rebuilt { .. }), "{report:?}");
    assert_eq!(read_own(&journal), good);
    assert_clean(&journal);
}

#[test]
fn a_second_crash_while_the_index_is_filled_again_needs_no_rebuild() {
    let (disk, store, journal) = memory();
    let put = |number: u64| {
        let one = append("kz-75", stream((number % 9) as u8), &[number], 20);
        commit(&journal, transaction(one)).unwrap();
    };
    // The flush comes between the runs that are merged behind it.
    (0..62).for_each(put);
    journal.flush_index().unwrap();
    (62..700).for_each(put);
    let good = read_own(&journal);
    let first = store.reboot(store.unflushed());
    let mut died = 0;
    for keep in 0..40 {
        // The first crash kept everything; the second one comes while open fills again.
        let filling = Dying { store: first.reboot(0), left: Arc::new(AtomicUsize::new(keep)) };
        let disk = MemoryDisk::with_files(&disk.files());
        let store = Arc::new(filling.clone());
        let opened = Journal::open_on(Arc::new(disk.clone()), store, Path::new(DIR), SMALL);
        died += usize::from(opened.is_err());
        drop(opened);
        let (journal, report) = open_memory(&disk, &filling.store, SMALL).unwrap();
        let rebuilt = matches!(report.index, IndexOutcome::Rebuilt { .. });
        assert!(!rebuilt, "{keep}: {report:?}");
        assert_eq!(read_own(&journal), good);
        assert_clean(&journal);
    }
    assert!(died > 3, "{died}");
}

fn read_own(journal: &Journal) -> Vec<Record> {
    journal.range(&name("kz-75"), 1, 0, 1000, usize::MAX).unwrap()
}

#[test]
fn all_control_facts_together_have_a_limit() {
    let (disk, store, journal) = memory();
    let set = |number: u8, len: usize| {
        let control = Control { key: vec![number], value: vec![number; len] };
        commit(&journal, Transaction { controls: vec![control], ..Transaction::default() })
    };
    for number in 0..63 {
        set(number, 256 * 1024).unwrap();
    }
    let refused = set(63, 256 * 1024).unwrap_err();
    assert!(refused.to_string().starts_with("bytes of all control facts"), "{refused}");
    set(0, 10).unwrap();
    set(63, 200 * 1024).unwrap();
    drop(journal);
    let (journal, _) = open_memory(&disk, &store.reboot(0), SMALL).unwrap();
    assert_eq!(journal.controls(b"").len(), 64);
}

#[test]
fn a_group_that_is_full_refuses_the_rest_with_its_limit() {
    let (disk, store, journal) = memory();
    let with_command = |number: u64, len: usize| {
        let mut claimed = claim(0, 1);
        claimed.key.command_id = event(number);
        let one = append("kz-75", stream((number % 9) as u8), &[number], len);
        Transaction { command: Some(claimed), ..transaction(one) }
    };
    // 64 MiB take about 268 of these; what is left has no room for all of the small ones.
    let large = (0..280).map(|number| with_command(number, 250_000));
    let small = (280..1400).map(|number| with_command(number, 10));
    let results = journal.commit(large.chain(small).collect(), 1).unwrap();
    let done = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert!((260..1400).contains(&done), "{done}");
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        let limit = (crate::limits::MAX_GROUP - crate::group::TRAILER) as u64;
        let is_clear = matches!(
            refused,
            CommitError::TooLarge { what: "bytes of a group", found, limit: told }
                if *told == limit && *found > limit
        );
        assert!(is_clear, "{refused}");
    }
    assert!(results[279].is_err() && results[1399].is_err());
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, done);
    // What was refused left no trace: the next group takes it.
    commit(&journal, with_command(1399, 10)).unwrap();
    drop(journal);
    let (journal, _) = open_memory(&disk, &store.reboot(0), SMALL).unwrap();
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, done + 1);
    assert_clean(&journal);
}
