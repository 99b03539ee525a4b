//! Random histories: what is done to a journal and to its model alike.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::*;
use super::reference::Reference;
use crate::{CommitError, Control, Role};

/// Own logs.
pub const OWN: [&str; 2] = ["kz", "kz/all"];
/// Mirrored logs.
pub const MIRRORS: [&str; 2] = ["kz-75", "kz-76"];
/// A log that is never opened.
pub const UNKNOWN: &str = "kz-99";
/// Records that each epoch of each origin has.
const RECORDS: u64 = 24;

/// The origins by mirror and epoch, and other histories under the same names.
static ORIGINS: LazyLock<Vec<[Origin; 2]>> = LazyLock::new(|| {
    let of = |(log, epoch)| [0, 1].map(|salt| Origin::of(log, epoch, RECORDS, salt));
    MIRRORS.into_iter().flat_map(|log| [(log, 1), (log, 2)]).map(of).collect()
});

/// Which version an append expects.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    Any,
    /// The one that it has before the group.
    Known,
    /// Another one.
    Wrong,
}

/// One append of a transaction.
#[derive(Debug, Clone)]
pub struct Part {
    /// Into `OWN`, a mirror or an unknown log.
    log: u8,
    stream: u8,
    expect: Expect,
    records: u8,
    len: u32,
    /// Its last draft names another stream.
    stray: bool,
}

/// A batch for a mirror.
#[derive(Debug, Clone)]
pub struct Mirrored {
    origin: u8,
    records: u64,
    /// Where it starts, relative to what is held.
    shift: i64,
    /// From another history.
    fork: bool,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Tx {
    /// Id and request.
    command: Option<(u8, u8)>,
    parts: Vec<Part>,
    mirror: Option<Mirrored>,
    /// Key, and lengths of key and value.
    control: Option<(u8, u32, u32)>,
}

/// One thing that a history does.
#[derive(Debug, Clone)]
pub enum Act {
    /// A group, and by how much the clock is wrong.
    Group(Vec<Tx>, i64),
    /// Opens an epoch of a log as own or mirror.
    Open(u8, bool, u8),
    /// Flushes the index.
    Flush,
}

fn part() -> impl Strategy<Value = Part> {
    let log = prop_oneof![20 => 0..2u8, 1 => 2..5u8];
    let expect = prop_oneof![
        4 => Just(Expect::Any), 3 => Just(Expect::Known), 1 => Just(Expect::Wrong),
    ];
    let len = prop_oneof![
        60 => 0..300u32, 8 => 3900..9000u32, 1 => 60_000..70_000u32, 1 => Just(300_000u32),
    ];
    let stray = prop::bool::weighted(0.04);
    // Streams mostly belong to one of the two logs.
    (log, 0..3u8, expect, 0..4u8, len, stray, prop::bool::weighted(0.1)).prop_map(
        |(log, stream, expect, records, len, stray, other)| {
            let stream = if other { 100 + stream } else { stream * 2 + log % 2 };
            Part { log, stream, expect, records, len, stray }
        },
    )
}

fn tx() -> impl Strategy<Value = Tx> {
    let mirrored = (0..4u8, 1..7u64, prop_oneof![8 => Just(0i64), 1 => -2..3i64], 0..12u8);
    let mirrored = mirrored.prop_map(|(origin, records, shift, fork)| {
        let fork = fork == 0;
        Mirrored { origin, records, shift, fork }
    });
    let control = (0..3u8, prop_oneof![20 => 1..20u32, 1 => Just(513u32)], 0..600u32);
    (
        prop::option::weighted(0.6, (0..12u8, prop_oneof![8 => Just(0u8), 1 => Just(1u8)])),
        prop::collection::vec(part(), 0..4),
        prop::option::weighted(0.3, mirrored),
        prop::option::weighted(0.15, control),
    )
        .prop_map(|(command, parts, mirror, control)| Tx { command, parts, mirror, control })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => (prop::collection::vec(tx(), 1..4), -3000..3000i64)
            .prop_map(|(txs, late)| Act::Group(txs, late)),
        2 => (0..4u8, prop::bool::weighted(0.5), 0..4u8)
            .prop_map(|(log, own, epoch)| Act::Open(log, own, epoch)),
        1 => Just(Act::Flush),
    ]
}

/// Histories of so many acts.
pub fn history(acts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), acts)
}

/// The log with a number of an act.
fn log_of(number: u8) -> LogName {
    let names = [OWN[0], OWN[1], MIRRORS[0], MIRRORS[1], UNKNOWN];
    name(names[usize::from(number) % names.len()])
}

/// Journal and model, side by side.
pub struct Pair {
    pub journal: Journal,
    pub model: Reference,
}

/// The disk died in an act: the model as it is if the act had been done.
pub struct Died(pub Box<Reference>);

impl Pair {
    /// A new journal and its model.
    pub fn new(journal: Journal) -> Self {
        Self { journal, model: Reference::default() }
    }

    /// Closes nothing, drops the journal and opens it again.
    pub fn reopened(self, disk: &MemoryDisk, store: &MemoryStore) -> Self {
        let Self { journal, model } = self;
        drop(journal);
        let (journal, report) = open_memory(disk, store, SMALL).unwrap();
        assert!(!report.created && report.dropped.is_none() && !report.tail_lost, "{report:?}");
        Self { journal, model }
    }

    /// Opens the logs that a history begins with.
    pub fn prepare(&mut self) -> Result<(), Died> {
        for log in [0, 1, 2] {
            self.open(&log_of(log), if log < 2 { Role::Own } else { Role::Mirror }, 1)?;
        }
        Ok(())
    }

    fn open(&mut self, log: &LogName, role: Role, epoch: u32) -> Result<(), Died> {
        let mut after = self.model.clone();
        let wanted = after.open(log, role, epoch);
        let got = match role {
            Role::Own => self.journal.ensure_own_log(log, epoch),
            Role::Mirror => self.journal.ensure_mirror(log, epoch),
        };
        if matches!(got, Err(CommitError::Stopped(_))) {
            return Err(Died(Box::new(after)));
        }
        assert_eq!(format!("{got:?}"), format!("{wanted:?}"));
        self.model = after;
        Ok(())
    }

    /// Does one act on both and compares the answers.
    pub fn act(&mut self, act: &Act, step: usize) -> Result<(), Died> {
        match act {
            Act::Open(log, own, epoch) => {
                // Half of the wrong roles are put right: refusals must not be all there is.
                let role = if *own && *log < 2 { Role::Own } else { Role::Mirror };
                self.open(&log_of(*log), role, u32::from(*epoch))
            }
            Act::Flush => {
                self.journal.flush_index().map_err(|_| Died(Box::new(self.model.clone())))
            }
            Act::Group(txs, late) => {
                let group: Vec<Transaction> = (0..)
                    .zip(txs)
                    .map(|(i, tx)| self.transaction(tx, step * 100 + i * 30))
                    .collect();
                let clock = step as i64 * 1000 - late;
                let mut after = self.model.clone();
                let wanted = after.commit(&group, clock);
                match self.journal.commit(group, clock) {
                    Err(_) => return Err(Died(Box::new(after))),
                    Ok(got) => assert_eq!(format!("{got:#?}"), format!("{wanted:#?}")),
                }
                self.model = after;
                Ok(())
            }
        }
    }

    fn transaction(&self, tx: &Tx, base: usize) -> Transaction {
        let appends = (0..).zip(&tx.parts).map(|(i, part)| self.append(part, base + i * 10));
        let control = |(key, key_len, len): (u8, u32, u32)| Control {
            key: [&[b'c', key][..], &vec![0; key_len as usize]].concat(),
            value: vec![base as u8; len as usize],
        };
        Transaction {
            command: tx.command.map(|(id, request)| claim(id, request)),
            appends: appends.collect(),
            mirror: tx.mirror.as_ref().and_then(|mirrored| self.batch(mirrored)),
            controls: tx.control.map(control).into_iter().collect(),
            ..Transaction::default()
        }
    }

    fn append(&self, part: &Part, base: usize) -> Append {
        let numbers: Vec<u64> = (0..u64::from(part.records)).map(|i| base as u64 + i).collect();
        let stream = stream(part.stream);
        let log = log_of(part.log);
        let mut append = append(log.as_str(), stream, &numbers, part.len as usize);
        append.expected = match part.expect {
            Expect::Any => ExpectedVersion::Any,
            Expect::Known => ExpectedVersion::Exact(self.model.version(&stream)),
            Expect::Wrong => ExpectedVersion::Exact(self.model.version(&stream) + 7),
        };
        if part.stray
            && let Some(last) = append.drafts.last_mut()
        {
            last.header.stream.id = [9; 16];
        }
        append
    }

    /// A batch of an origin's next records; `None` if it has no more.
    fn batch(&self, mirrored: &Mirrored) -> Option<VerifiedBatch> {
        let [honest, other] = &ORIGINS[usize::from(mirrored.origin) % ORIGINS.len()];
        let held = self.model.epoch(&honest.log, honest.epoch).len() as i64;
        let from = (held + mirrored.shift).max(0) as u64;
        let to = (from + mirrored.records).min(RECORDS);
        // From the first record on, another history is as good as this one.
        let origin = if mirrored.fork && from > 0 { other } else { honest };
        (from < to).then(|| origin.batch(&origin.edge_at(from), from, to))
    }
}
