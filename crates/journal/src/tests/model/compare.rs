//! Every read, compared with the model.

use std::fmt::Debug;

use evidence::merkle::{verify_consistency, verify_inclusion};

use super::super::*;
use super::history::{MIRRORS, OWN, UNKNOWN};
use super::reference::{Reference, root};
use crate::disk::memory::Chance;
use crate::{Direction, Page, PageError, PageToken, Query, ReadError, Snapshot};

/// What is read: the journal as it is, or a snapshot of it.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Live(&'a Journal),
    Then(&'a Snapshot),
}

/// Calls a method that journal and snapshot have both.
macro_rules! ask {
    ($view:expr, $method:ident($($argument:expr),*)) => {
        match $view {
            View::Live(journal) => journal.$method($($argument),*),
            View::Then(snapshot) => snapshot.$method($($argument),*),
        }
    };
}

/// Compares reads with the model; places, limits and times come by chance.
pub struct Look<'a> {
    view: View<'a>,
    model: &'a Reference,
    chance: Chance,
    /// Whether damage may be reported instead of an answer.
    damaged: bool,
    /// Answers that were errors about damage.
    pub faults: usize,
}

/// Whether an error says that something stored is damaged.
fn is_damage(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::Damaged { .. }
            | ReadError::DamagedCommand { .. }
            | ReadError::DamagedIndex { .. }
            | ReadError::Io { .. }
    )
}

/// What a read with limits takes of these records.
fn limited<'a>(
    records: impl Iterator<Item = &'a Arc<Record>>,
    max_records: usize,
    max_bytes: usize,
) -> Vec<Record> {
    let mut bytes = 0;
    let fits = |(i, record): &(usize, &Arc<Record>)| {
        bytes += record.bytes().len();
        *i == 0 || bytes <= max_bytes
    };
    let taken = records.take(max_records).enumerate().take_while(fits);
    taken.map(|(_, record)| Record::clone(record)).collect()
}

impl<'a> Look<'a> {
    pub fn new(view: View<'a>, model: &'a Reference, seed: u64, damaged: bool) -> Self {
        Self { view, model, chance: Chance(seed), damaged, faults: 0 }
    }

    /// Compares a whole healthy journal.
    pub fn live(journal: &'a Journal, model: &'a Reference, seed: u64) {
        Self::new(View::Live(journal), model, seed, false).everything();
    }

    /// Compares everything that can be read.
    pub fn everything(&mut self) {
        let infos = self.model.infos();
        if let View::Live(journal) = self.view {
            assert_eq!(journal.logs(), infos);
            self.facts(journal);
        }
        for log in OWN.into_iter().chain(MIRRORS).chain([UNKNOWN]).map(name) {
            for id in (0..7).chain([9, 100, 101, 102]).map(stream) {
                let wanted = self.model.stream(&log, &id);
                let wanted = wanted.iter().map(|record| Record::clone(record)).collect();
                self.same("stream", ask!(self.view, stream(&log, id)), wanted);
            }
        }
        for info in infos {
            let (log, epoch, size) = (&info.log, info.epoch, info.size);
            let records = self.model.epoch(log, epoch);
            for (seq, record) in (0..).zip(records) {
                let wanted = Some(Record::clone(record));
                self.same("get", ask!(self.view, get(log, epoch, seq)), wanted);
                let id = &record.header().event_id;
                self.same("event", ask!(self.view, find_event(id)), self.model.event(id));
            }
            self.same("get behind the end", ask!(self.view, get(log, epoch, size)), None);
            self.same("no log", ask!(self.view, get(log, epoch + 9, 0)), None);
            self.ranges(log, epoch, records);
            self.times(log, epoch, records);
            self.pages(log, epoch, records);
        }
        let unknown = event(u64::MAX);
        self.same("event", ask!(self.view, find_event(&unknown)), None);
    }

    fn below(&mut self, limit: usize) -> usize {
        self.chance.below(limit as u64) as usize
    }

    /// Compares an answer; damage may be reported if there is any, another answer may not be given.
    fn same<T: PartialEq + Debug>(&mut self, what: &str, got: Result<T, ReadError>, wanted: T) {
        match got {
            Ok(got) => assert!(got == wanted, "{what}: {got:#?}, wanted {wanted:#?}"),
            Err(error) if self.damaged && is_damage(&error) => self.faults += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// What a snapshot does not have: commands, controls, proofs.
    fn facts(&mut self, journal: &Journal) {
        let model = self.model;
        for key in model.commands.keys().chain([&claim(200, 0).key]) {
            self.same("command", journal.find_command(key), model.command(key));
        }
        let controls = |prefix: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
            let all = model.controls.iter().filter(|(key, _)| key.starts_with(prefix));
            all.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        for prefix in [&b""[..], b"c", b"c\x01", b"d"] {
            assert_eq!(journal.controls(prefix), controls(prefix));
        }
        for (key, value) in &model.controls {
            assert_eq!(journal.control(key).as_ref(), Some(value));
        }
        for info in model.infos() {
            let records = model.epoch(&info.log, info.epoch);
            assert_eq!(journal.log(&info.log, info.epoch).as_ref(), Some(&info));
            let frontier = journal.frontier(&info.log, info.epoch).unwrap();
            assert_eq!((frontier.size(), frontier.root()), (info.size, info.root));
            for _ in 0..3 {
                let size = self.below(records.len() + 1);
                self.proofs(journal, (&info.log, info.epoch), &records[..size]);
            }
        }
    }

    /// Roots and proofs of the tree of these records.
    fn proofs(&mut self, journal: &Journal, at: (&LogName, u32), records: &[Arc<Record>]) {
        let ((log, epoch), size, whole) = (at, records.len(), root(records));
        self.same("root", journal.root_at(log, epoch, size as u64), whole);
        let old = self.below(size + 1);
        let proof = journal.consistency(log, epoch, old as u64, size as u64);
        let checked = proof.map(|proof| {
            let old_root = root(&records[..old]);
            verify_consistency(old as u64, &old_root, size as u64, &whole, &proof)
        });
        self.same("consistency", checked, Ok(()));
        if old < size {
            let proof = journal.inclusion(log, epoch, old as u64, size as u64);
            let leaf = records[old].leaf_hash();
            let checked =
                proof.map(|proof| verify_inclusion(old as u64, size as u64, &leaf, &proof, &whole));
            self.same("inclusion", checked, Ok(()));
        }
    }

    fn ranges(&mut self, log: &LogName, epoch: u32, records: &[Arc<Record>]) {
        for round in 0..4 {
            let from = if round == 0 { 0 } else { self.below(records.len() + 2) };
            let (most, bytes) = match round {
                0 => (usize::MAX, usize::MAX),
                _ => (self.below(20), self.below(8000)),
            };
            let wanted = limited(records.iter().skip(from), most, bytes);
            let got = ask!(self.view, range(log, epoch, from as u64, most, bytes));
            self.same("range", got, wanted);
            let end = records.len() - from.min(records.len());
            let wanted = limited(records[..end].iter().rev(), most, bytes);
            let before = if from == 0 { u64::MAX } else { end as u64 };
            let got = ask!(self.view, range_back(log, epoch, before, most, bytes));
            self.same("range back", got, wanted);
        }
    }

    fn times(&mut self, log: &LogName, epoch: u32, records: &[Arc<Record>]) {
        let time = |record: &Arc<Record>| record.header().recorded_at;
        let mut times = vec![i64::MIN, i64::MAX];
        for _ in 0..3.min(records.len()) {
            let at = time(&records[self.below(records.len())]);
            times.push(at + self.below(3) as i64 - 1);
        }
        for at in &times {
            let first = records.iter().filter(|record| time(record) < *at).count() as u64;
            let got = ask!(self.view, first_at_or_after(log, epoch, *at));
            self.same("first at or after", got, first);
        }
        let (from, to) = (times[self.below(times.len())], times[self.below(times.len())]);
        let wanted = records.iter().filter(|record| (from..to).contains(&time(record)));
        let wanted = limited(wanted, 9, 9000);
        let got = ask!(self.view, time_range(log, epoch, from..to, 9, 9000));
        self.same("time range", got, wanted);
    }

    /// Both directions, page by page.
    fn pages(&mut self, log: &LogName, epoch: u32, records: &[Arc<Record>]) {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut left: Vec<Arc<Record>> = records.to_vec();
            if direction == Direction::Backward {
                left.reverse();
            }
            let mut token: Option<PageToken> = None;
            loop {
                let (max_records, max_bytes) = (self.below(30), self.below(20_000));
                let all = Query::all(log.clone(), epoch);
                let query = Query { direction, max_records, max_bytes, ..all };
                let page = match ask!(self.view, page(&query, token.as_ref())) {
                    Ok(page) => page,
                    Err(PageError::Read(error)) if self.damaged && is_damage(&error) => {
                        self.faults += 1;
                        break;
                    }
                    Err(error) => panic!("page: {error}"),
                };
                let Page { records, next } = page;
                assert_eq!(records, limited(left.iter(), max_records.max(1), max_bytes));
                left.drain(..records.len());
                assert_eq!(next.is_none(), left.is_empty());
                token = next;
                if token.is_none() {
                    break;
                }
            }
        }
    }
}
