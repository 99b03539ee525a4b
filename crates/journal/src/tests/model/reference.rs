//! The journal as a few vectors and maps, written from its documentation: no files, no index, no
//! frontier. It predicts every answer.

use std::collections::{BTreeMap, HashMap};

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::merkle::{leaf_hash, node_hash};
use evidence::record::{Record, StreamRef};
use evidence::verify::VerifiedBatch;

use super::super::*;
use crate::{CommandHit, CommitError, Committed, LogInfo, Role};

/// One log: its epochs with their records.
#[derive(Debug, Clone)]
pub struct Log {
    pub name: LogName,
    pub role: Role,
    pub epochs: BTreeMap<u32, Vec<Arc<Record>>>,
    pub last_recorded_at: i64,
}

impl Log {
    /// All its records, epoch by epoch.
    fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.epochs.values().flatten()
    }
}

/// Everything that a journal is.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// In the order in which they were opened, which is that of their numbers.
    pub logs: Vec<Log>,
    pub controls: BTreeMap<Vec<u8>, Vec<u8>>,
    pub commands: HashMap<CommandKey, (Hash, Committed)>,
    /// The own log that each stream lives in, and its version.
    streams: HashMap<StreamRef, (usize, u32)>,
}

impl Reference {
    fn find(&self, name: &LogName) -> Option<usize> {
        self.logs.iter().position(|log| log.name == *name)
    }

    /// The log with this name.
    pub fn named(&self, name: &LogName) -> Option<&Log> {
        self.logs.iter().find(|log| log.name == *name)
    }

    /// The records of an epoch; empty if it is not there.
    pub fn epoch(&self, name: &LogName, epoch: u32) -> &[Arc<Record>] {
        self.named(name).and_then(|log| log.epochs.get(&epoch)).map_or(&[], Vec::as_slice)
    }

    /// All logs and epochs.
    pub fn infos(&self) -> Vec<LogInfo> {
        let epochs = self.logs.iter().flat_map(|log| log.epochs.iter().map(move |e| (log, e)));
        let info = |(log, (epoch, records)): (&Log, (&u32, &Vec<Arc<Record>>))| LogInfo {
            log: log.name.clone(),
            epoch: *epoch,
            role: log.role,
            size: records.len() as u64,
            root: root(records),
            last_recorded_at: log.last_recorded_at,
        };
        epochs.map(info).collect()
    }

    /// Opens an epoch of a log.
    pub fn open(&mut self, name: &LogName, role: Role, epoch: u32) -> Result<(), CommitError> {
        if let Some(log) = self.named(name)
            && log.role != role
        {
            return Err(CommitError::WrongRole { log: name.clone() });
        }
        let at = self.find(name);
        let open = at.and_then(|at| self.logs[at].epochs.keys().next_back().copied()).unwrap_or(0);
        if at.is_some_and(|at| self.logs[at].epochs.contains_key(&epoch)) {
            return Ok(());
        }
        if epoch == 0 || (role == Role::Own && epoch <= open) {
            return Err(CommitError::EpochOrder { log: name.clone(), open, asked: epoch });
        }
        let at = at.unwrap_or_else(|| {
            let (epochs, name) = (BTreeMap::new(), name.clone());
            self.logs.push(Log { name, role, epochs, last_recorded_at: i64::MIN });
            self.logs.len() - 1
        });
        self.logs[at].epochs.insert(epoch, Vec::new());
        Ok(())
    }

    /// Carries out a group: each transaction whole or not at all, later ones see earlier ones.
    pub fn commit(
        &mut self,
        group: &[Transaction],
        clock: i64,
    ) -> Vec<Result<Committed, CommitError>> {
        let one = |transaction| {
            let mut next = self.clone();
            let result = next.transact(transaction, clock)?;
            *self = next;
            Ok(result)
        };
        group.iter().map(one).collect()
    }

    fn transact(
        &mut self,
        transaction: &Transaction,
        clock: i64,
    ) -> Result<Committed, CommitError> {
        let too_large = |what, found: usize, limit| {
            Err(CommitError::TooLarge { what, found: found as u64, limit })
        };
        if let Some(claim) = &transaction.command {
            if let Some((hash, old)) = self.commands.get(&claim.key) {
                let replayed = Committed { replayed: true, ..old.clone() };
                let same = *hash == claim.request_hash;
                return if same { Ok(replayed) } else { Err(CommitError::CommandReused) };
            }
            if transaction.appends.len() > 64 {
                return too_large("appends of a command", transaction.appends.len(), 64);
            }
        }
        for control in &transaction.controls {
            if control.key.len() > 512 {
                return too_large("key of a control", control.key.len(), 512);
            }
            if control.value.len() > 262_144 {
                return too_large("value of a control", control.value.len(), 262_144);
            }
        }
        let mut committed = Committed { recorded_at: clock, ..Committed::default() };
        for append in &transaction.appends {
            self.append(append, clock, &mut committed)?;
        }
        if let Some(batch) = &transaction.mirror {
            self.mirror(batch)?;
        }
        for control in &transaction.controls {
            self.controls.insert(control.key.clone(), control.value.clone());
        }
        if let Some(claim) = &transaction.command {
            self.commands.insert(claim.key, (claim.request_hash, committed.clone()));
        }
        Ok(committed)
    }

    fn append(
        &mut self,
        append: &Append,
        clock: i64,
        committed: &mut Committed,
    ) -> Result<(), CommitError> {
        let (log, stream) = (append.log.clone(), append.stream);
        let at = self.find(&log).ok_or_else(|| CommitError::UnknownLog { log: log.clone() })?;
        if self.logs[at].role != Role::Own {
            return Err(CommitError::WrongRole { log });
        }
        let mut version = match self.streams.get(&stream) {
            None => 0,
            Some((home, version)) if *home == at => *version,
            Some((home, _)) => {
                let log = self.logs[*home].name.clone();
                return Err(CommitError::StreamInOtherLog { stream, log });
            }
        };
        if let ExpectedVersion::Exact(expected) = append.expected
            && expected != version
        {
            return Err(CommitError::VersionConflict { stream, expected, actual: version });
        }
        let held = &mut self.logs[at];
        let (epoch, records) = held.epochs.iter_mut().next_back().unwrap();
        for draft in &append.drafts {
            if draft.header.stream != stream {
                return Err(CommitError::WrongStream);
            }
            version += 1;
            let recorded_at = clock.max(held.last_recorded_at.saturating_add(1));
            let mut draft = draft.clone();
            let header = &mut draft.header;
            (header.log, header.epoch, header.seq) = (log.clone(), *epoch, records.len() as u64);
            (header.stream_version, header.recorded_at) = (version, recorded_at);
            let record = draft.into_record()?;
            committed.positions.push(record.header().position());
            committed.recorded_at = recorded_at;
            held.last_recorded_at = recorded_at;
            records.push(Arc::new(record));
        }
        if version > 0 {
            self.streams.insert(stream, (at, version));
        }
        committed.versions.push((stream, version));
        Ok(())
    }

    fn mirror(&mut self, batch: &VerifiedBatch) -> Result<(), CommitError> {
        let log = batch.log().clone();
        let unknown = CommitError::UnknownLog { log: log.clone() };
        let Some(at) = self.find(&log) else { return Err(unknown) };
        let held = &mut self.logs[at];
        if held.role != Role::Mirror {
            return Err(CommitError::WrongRole { log });
        }
        let Some(records) = held.epochs.get_mut(&batch.epoch()) else { return Err(unknown) };
        let (size, first_seq) = (records.len() as u64, batch.first_seq());
        if size != first_seq {
            return Err(CommitError::MirrorOutOfStep { log, held: size, first_seq });
        }
        records.extend(batch.records().iter().cloned().map(Arc::new));
        if root(records) != batch.frontier().root() {
            return Err(CommitError::MirrorDiverged { log });
        }
        if let Some(last) = batch.records().last() {
            held.last_recorded_at = last.header().recorded_at;
        }
        Ok(())
    }

    /// The version of a stream in the own logs.
    pub fn version(&self, stream: &StreamRef) -> u32 {
        self.streams.get(stream).map_or(0, |(_, version)| *version)
    }

    /// The place of an event: of several the first by log, epoch and sequence.
    pub fn event(&self, id: &[u8; 16]) -> Option<Position> {
        let mut all = self.logs.iter().flat_map(Log::records);
        all.find(|record| record.header().event_id == *id).map(|record| record.header().position())
    }

    /// The records of a stream in a log.
    pub fn stream(&self, name: &LogName, stream: &StreamRef) -> Vec<Arc<Record>> {
        let records = self.named(name).into_iter().flat_map(Log::records);
        let mut found: Vec<Arc<Record>> =
            records.filter(|record| record.header().stream == *stream).cloned().collect();
        found.sort_by_key(|record| record.header().stream_version);
        found
    }

    /// What was done under a command id.
    pub fn command(&self, key: &CommandKey) -> Option<CommandHit> {
        let (request_hash, committed) = self.commands.get(key)?;
        let first = committed.positions.first();
        let next = |i: u64| {
            first.map(|at| Position { log: at.log.clone(), epoch: at.epoch, seq: at.seq + i })
        };
        let joined =
            (0..).zip(&committed.positions).take_while(|(i, at)| next(*i).as_ref() == Some(at));
        Some(CommandHit {
            request_hash: *request_hash,
            log: first.map(|at| at.log.clone()),
            epoch: first.map_or(0, |at| at.epoch),
            first_seq: first.map_or(0, |at| at.seq),
            count: joined.count() as u64,
            recorded_at: committed.recorded_at,
        })
    }
}

/// The Merkle root by the definition of RFC 9162, 2.1.1.
pub fn root(records: &[Arc<Record>]) -> Hash {
    match records {
        [] => evidence::merkle::empty_root(),
        [one] => leaf_hash(&one.leaf_data()),
        more => {
            let (left, right) = more.split_at(1 << (more.len() - 1).ilog2());
            node_hash(&root(left), &root(right))
        }
    }
}
