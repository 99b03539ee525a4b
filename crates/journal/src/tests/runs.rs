//! The runs of the index: merges that a close or a crash cuts short, and pages that are lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sled::IVec;

use super::*;
use crate::catalog::runs::{self, Runs};
use crate::error::{CommitError, IndexError, IndexOpenError, ReadError};
use crate::index::entry::Entry;
use crate::index::run::Contents;
use crate::index::{self, Applying, Index, IndexBatch, IndexStore, keys};
use crate::tail::Mark;
use crate::{IndexOutcome, IndexStatus, QuarantinedIndex};

fn mark(group: u64) -> Mark {
    Mark { segment: 1, offset: group, group, chain: [0; 32] }
}

/// The entries of a group: 700 events.
fn entries(group: u64) -> Vec<Entry> {
    let number = |nth: u64| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ group;
    let mut all: Vec<_> =
        (0..700).map(|nth| Entry::event(&event(number(nth)), (1, 1, group * 700 + nth))).collect();
    all.sort_unstable();
    all
}

fn contents(groups: u64) -> Contents {
    let mut all = Contents::NONE;
    (1..=groups).flat_map(entries).for_each(|entry| all.add(&entry));
    all
}

fn add(runs: &mut Runs, index: &dyn Index, group: u64) {
    let applied = keys::entry(keys::APPLIED, &mark(group).encode());
    runs.add(index, &entries(group), mark(group), applied).unwrap();
}

/// The numbers of the runs that have an entry of this kind, and how many they have.
fn stored(store: &MemoryStore, kind: u8) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    store.edit(|map| {
        for key in map.keys().filter(|key| key[0] == kind) {
            *found.entry(keys::parse_run(&key[..9]).unwrap()).or_default() += 1;
        }
    });
    found
}

fn load(store: &MemoryStore, flushed: u64) -> (Runs, Mark) {
    let index = store.open().unwrap();
    Runs::load(&*index, mark(flushed), &|| false).unwrap()
}

#[test]
fn a_merge_that_is_cut_short_leaves_the_old_runs_in_force_and_is_begun_again() {
    let store = MemoryStore::new();
    let index = store.open().unwrap();
    let mut runs = Runs::default();
    (1..=8).for_each(|group| add(&mut runs, &*index, group));
    assert!(runs.is_due());
    // Enough for pages of the new run to be stored.
    (0..50).for_each(|_| runs.step(&*index, 100).unwrap());
    assert_eq!(runs.view().len(), 8, "it has not ended");
    add(&mut runs, &*index, 9);
    assert_eq!(runs.view().len(), 9, "what is new does not wait for it");
    assert!(stored(&store, b'S').contains_key(&8) && !stored(&store, b'N').contains_key(&8));
    drop(runs);
    let (mut runs, from) = load(&store, 9);
    assert_eq!((from.group, runs.view().len()), (9, 9));
    assert_eq!(stored(&store, b'S').keys().count(), 9, "what was left of the merge is removed");
    let mut steps = 0;
    while runs.is_due() {
        runs.step(&*index, 100).unwrap();
        steps += 1;
    }
    assert!(steps > 60, "{steps}");
    // The last one is of the smallest size.
    assert_eq!(runs.view().len(), 1);
    assert_eq!(runs::contents(&runs.view()), contents(9));
    assert_eq!(stored(&store, b'S').len(), 1, "the pages of the old ones are gone");
    let (runs, _) = load(&store, 9);
    assert_eq!(runs::contents(&runs.view()), contents(9));
}

#[test]
fn a_crash_at_any_piece_of_a_merge_in_steps_loses_nothing() {
    let store = MemoryStore::new();
    let index = store.open().unwrap();
    let mut runs = Runs::default();
    (1..=8).for_each(|group| add(&mut runs, &*index, group));
    index.flush().unwrap();
    let mut group = 8;
    while runs.is_due() {
        runs.step(&*index, 500).unwrap();
        if group < 12 {
            group += 1;
            add(&mut runs, &*index, group);
        }
    }
    assert!(runs.view().len() < 8);
    let mut merged = 0;
    for keep in 0..=store.unflushed() {
        let store = store.reboot(keep);
        let (mut runs, from) = load(&store, 8);
        assert_eq!(from.group, 8, "{keep}");
        assert_eq!(runs::contents(&runs.view()), contents(8), "{keep}");
        merged += usize::from(runs.view().len() == 1);
        // It goes on from there.
        let index = store.open().unwrap();
        (9..=20).for_each(|group| add(&mut runs, &*index, group));
        while runs.is_due() {
            runs.step(&*index, 5000).unwrap();
        }
        assert_eq!(runs::contents(&load(&store, 20).0.view()), contents(20), "{keep}");
    }
    assert!(merged > 1 && merged < store.unflushed(), "{merged} of {}", store.unflushed());
}

#[test]
fn a_run_behind_the_last_flush_that_a_crash_has_torn_is_dropped() {
    let (disk, store, journal) = memory();
    for number in 0..40 {
        if number == 20 {
            journal.flush_index().unwrap();
        }
        commit(&journal, transaction(append("kz-75", stream(1), &[number], 20))).unwrap();
    }
    let runs = stored(&store, b'N');
    let last = *runs.keys().last().unwrap();
    // All of it reached the disk but for a page of its last run.
    let store = store.reboot(store.unflushed());
    store.edit(|map| {
        let mut pages = map.keys().filter(|key| key.starts_with(&keys::page(last, &[]))).cloned();
        let page = pages.next().unwrap();
        map.remove(&page);
    });
    let disk = MemoryDisk::with_files(&disk.files());
    let (journal, report) = open_memory(&disk, &store, SMALL).unwrap();
    assert!(matches!(report.index, IndexOutcome::CaughtUp { groups: 20.. }), "{report:?}");
    assert_eq!(journal.quarantined_index(), None);
    assert_eq!(journal.stream(&name("kz-75"), stream(1)).unwrap().len(), 40);
    assert_clean(&journal);
}

#[test]
fn runs_stay_few_however_large_the_merges_are() {
    let store = MemoryStore::new();
    let index = store.open().unwrap();
    let (mut runs, mut most) = (Runs::default(), 0);
    for group in 1..=150 {
        add(&mut runs, &*index, group);
        // As the thread does it: one step, more while merging lags.
        runs.step(&*index, 200).unwrap();
        while runs.is_owing() {
            runs.step(&*index, 200).unwrap();
        }
        most = most.max(runs.view().len());
    }
    // Seven of each of three sizes, and what comes while a merge is under way.
    assert!(most <= 32, "{most} runs");
    assert_eq!(runs::contents(&runs.view()), contents(150));
}

/// A store whose index stops at the first page of run `at` until it may go on.
#[derive(Clone)]
struct Stopping {
    store: MemoryStore,
    at: u64,
    reached: Arc<AtomicBool>,
    goes_on: Arc<AtomicBool>,
}

struct StoppingIndex(Arc<dyn Index>, Stopping);

fn wait_for(what: impl Fn() -> bool) {
    while !what() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Index for StoppingIndex {
    fn get(&self, key: &[u8]) -> Result<Option<IVec>, IndexError> {
        self.0.get(key)
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<index::Entry>, IndexError> {
        self.0.last(from, to)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&IVec, &IVec) -> bool,
    ) -> Result<(), IndexError> {
        self.0.scan(from, to, visit)
    }

    fn swap(&self, put: IndexBatch, remove: Vec<IVec>) -> Result<(), IndexError> {
        self.0.swap(put, remove)
    }

    fn apply(&self, batch: IndexBatch) -> Result<(), IndexError> {
        if batch.first().is_some_and(|(key, _)| key.starts_with(&keys::page(self.1.at, &[]))) {
            self.1.reached.store(true, Ordering::SeqCst);
            wait_for(|| self.1.goes_on.load(Ordering::SeqCst));
        }
        self.0.apply(batch)
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.0.flush()
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl IndexStore for Stopping {
    fn exists(&self) -> bool {
        self.store.exists()
    }

    fn open(&self) -> Result<Arc<dyn Index>, IndexOpenError> {
        Ok(Arc::new(StoppingIndex(self.store.open()?, self.clone())))
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

/// Commits 256 records with a command each, from number `base` on.
fn commit_many(journal: &Journal, base: u64) {
    let group = (base..base + 256).map(|number| {
        let mut claimed = claim(0, 1);
        claimed.key.command_id = event(number);
        let one = append("kz-75", stream((number % 9) as u8), &[number], 20);
        Transaction { command: Some(claimed), ..transaction(one) }
    });
    journal.commit(group.collect(), 1).unwrap().into_iter().for_each(|done| drop(done.unwrap()));
}

#[test]
fn a_journal_that_is_closed_does_not_wait_for_a_merge() {
    let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
    let options = Options { segment_bytes: 1 << 20, ..SMALL };
    let open = |store: Stopping| {
        let store: Arc<dyn IndexStore> = Arc::new(store);
        Journal::open_on(Arc::new(disk.clone()), store, Path::new(DIR), options).unwrap()
    };
    let slow =
        Stopping { store: store.clone(), at: 8, reached: Arc::default(), goes_on: Arc::default() };
    let (journal, _) = open(slow.clone());
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    for base in 0..8 {
        if base > 0 {
            journal.flush_index().unwrap();
        }
        commit_many(&journal, base * 256);
    }
    wait_for(|| slow.reached.load(Ordering::SeqCst));
    let catalog = journal.inner.catalog.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(journal));
        wait_for(|| catalog.stopping());
        slow.goes_on.store(true, Ordering::SeqCst);
    });
    assert_eq!(stored(&store, b'N').len(), 8, "the merge has not ended");
    assert!(stored(&store, b'S')[&8] >= 32, "but it had begun");
    let (journal, report) = open(Stopping { at: u64::MAX, ..slow });
    assert!(matches!(report.index, IndexOutcome::CaughtUp { .. }), "{report:?}");
    wait_for(|| stored(&store, b'N').len() < 8);
    assert_eq!(journal.stream(&name("kz-75"), stream(4)).unwrap().len(), 228);
    assert_clean(&journal);
}

#[test]
fn an_index_that_lacks_much_is_told_as_being_built_with_its_progress() {
    let (disk, store, journal) = memory();
    for number in 0..700 {
        commit(&journal, transaction(append("kz-75", stream(1), &[number], 20))).unwrap();
    }
    // As after a build that was cut short: its first flush is far behind.
    let store = store.reboot(0);
    let disk = MemoryDisk::with_files(&disk.files());
    drop(journal);
    let slow = Stopping { store, at: 1, reached: Arc::default(), goes_on: Arc::default() };
    let options = Options { index_grace: Duration::ZERO, ..SMALL };
    let shared = Arc::new(slow.clone());
    let (journal, _) = Journal::open_on(Arc::new(disk), shared, Path::new(DIR), options).unwrap();
    wait_for(|| slow.reached.load(Ordering::SeqCst));
    let IndexStatus::Building { reason, groups, of } = journal.index_status() else {
        panic!("{}", journal.index_status())
    };
    assert!(reason.starts_with("it lacks "), "{reason}");
    assert!((256..512).contains(&groups) && of >= 700, "{groups} of {of}");
    // At once: a minute would be waited while it is opened.
    let refused = commit(&journal, transaction(append("kz-75", stream(1), &[900], 20)));
    assert!(matches!(refused, Err(CommitError::IndexBuilding { .. })), "{refused:?}");
    slow.goes_on.store(true, Ordering::SeqCst);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_eq!(journal.stream(&name("kz-75"), stream(1)).unwrap().len(), 700);
    assert_clean(&journal);
}

#[test]
fn a_page_that_is_lost_is_told_and_never_taken_for_an_absence() {
    let (_, store, journal) = memory();
    for number in 0..300 {
        let mut claimed = claim(0, 1);
        claimed.key.command_id = event(number);
        let one = append("kz-75", StreamRef { kind: 2, id: event(number) }, &[number], 20);
        commit(&journal, Transaction { command: Some(claimed), ..transaction(one) }).unwrap();
    }
    let mut pages = Vec::new();
    store.edit(|map| pages.extend(map.keys().filter(|key| key[0] == b'S').cloned()));
    assert!(pages.len() > 9, "{}", pages.len());
    for page in pages {
        let mut lost = None;
        store.edit(|map| lost = map.remove(&page));
        let mut told = 0;
        for number in 0..300 {
            let stream = StreamRef { kind: 2, id: event(number) };
            let mut key = claim(0, 1).key;
            key.command_id = event(number);
            let mut meet = |answer: Result<bool, ReadError>| match answer {
                Ok(found) => assert!(found, "{number} is not absent"),
                Err(ReadError::DamagedIndex { .. }) => told += 1,
                Err(other) => panic!("{other}"),
            };
            meet(journal.find_event(&event(number)).map(|found| found.is_some()));
            meet(journal.find_command(&key).map(|found| found.is_some()));
            meet(journal.stream(&name("kz-75"), stream).map(|found| found.len() == 1));
        }
        assert!(told > 0);
        // A version is not given out twice.
        let again = |number: u64| {
            let stream = StreamRef { kind: 2, id: event(number) };
            let mut one = append("kz-75", stream, &[1000 + number], 20);
            one.expected = crate::ExpectedVersion::Exact(0);
            commit(&journal, transaction(one)).unwrap_err()
        };
        for number in 0..300 {
            let refused = again(number);
            let is_good = matches!(
                refused,
                CommitError::VersionConflict { actual: 1, .. } | CommitError::Read(_)
            );
            assert!(is_good, "{refused}");
        }
        store.edit(|map| drop(map.insert(page, lost.unwrap())));
    }
    assert_clean(&journal);
}

#[test]
fn an_index_that_another_handle_still_holds_is_waited_for_and_not_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 65_536, free_space_watermark: 1, ..SMALL };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.ensure_own_log(&name("kz-75"), 1).unwrap();
    commit(&journal, transaction(append("kz-75", stream(1), &[1], 10))).unwrap();
    journal.close();
    drop(journal);
    let held = sled::open(dir.path().join("index")).unwrap();
    let moment = Duration::from_millis(5);
    let options = Options { index_grace: moment, ..options };
    let (journal, report) = Journal::open(dir.path(), options).unwrap();
    assert_eq!(report.index, IndexOutcome::Pending);
    wait_for(|| journal.index_status() != IndexStatus::Opening);
    let IndexStatus::Waiting { reason } = journal.index_status() else {
        panic!("{}", journal.index_status())
    };
    assert!(reason.contains("another handle still has it open"), "{reason}");
    assert_eq!(journal.log(&name("kz-75"), 1).unwrap().size, 1);
    drop(held);
    assert!(journal.wait_for_index(Duration::from_secs(60)));
    assert_clean(&journal);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains("index.")).collect();
    assert!(aside.is_empty(), "{aside:?}");
}
