//! Reading: every record is checked against its stored tree node before it is served.

use std::sync::{Arc, MutexGuard, PoisonError};

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::merkle::{Frontier, ProveError, consistency_proof, inclusion_proof, root_at};
use evidence::record::{Record, StreamRef};

use crate::catchup::IndexNodes;
use crate::disk::{DiskFile, OpenMode};
use crate::error::ReadError;
use crate::files;
use crate::frame::{Head, Kind, is_intact};
use crate::journal::{Inner, Journal};
use crate::limits::{FRAME_HEADER, OPEN_FILES};
use crate::lookup::{Fault, Located, Lookup, Source};
use crate::report::{CommandHit, LogInfo, Role};
use crate::segment::LogKey;
use crate::state::State;
use crate::transaction::CommandKey;

/// What reading one log needs.
struct Target {
    name: LogName,
    role: Role,
    key: LogKey,
    size: u64,
}

impl Inner {
    /// A segment, opened for reading.
    pub(crate) fn segment(&self, number: u64) -> std::io::Result<Arc<dyn DiskFile>> {
        let mut files: MutexGuard<'_, _> =
            self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = self.place.open(&files::segment_name(number), OpenMode::Read)?;
        if files.len() >= OPEN_FILES {
            files.pop_first();
        }
        files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// The body of a record's frame in a segment.
    fn frame(&self, target: &Target, seq: u64, source: &Source) -> Result<Vec<u8>, ReadError> {
        let Source::Frame { segment, offset, len } = source else { return Ok(Vec::new()) };
        let name = files::segment_name(*segment);
        let io = |source| ReadError::Io { file: name.clone(), source };
        let file = self.segment(*segment).map_err(io)?;
        let mut frame = vec![0; FRAME_HEADER + len];
        let read = file.read_at(*offset, &mut frame).map_err(io)?;
        let head = frame.first_chunk().and_then(Head::decode);
        let right = head.is_some_and(|head| {
            head.kind == Kind::Record
                && (head.log_no, head.epoch, head.seq) == (target.key.0, target.key.1, seq)
                && is_intact(self.seed, &head, &frame)
        });
        if !right || read < frame.len() {
            return Err(target.damaged(seq, name, "its frame is damaged"));
        }
        Ok(frame.split_off(FRAME_HEADER))
    }

    /// The checked record that an entry of the index stands for.
    fn record(&self, target: &Target, seq: u64, located: Located) -> Result<Record, ReadError> {
        let (bytes, place) = match located.source {
            Source::Bytes(bytes) => (bytes, "index".to_owned()),
            Source::Frame { segment, .. } => {
                let bytes = self.frame(target, seq, &located.source)?;
                (bytes, files::segment_name(segment))
            }
        };
        let Ok(record) = Record::parse(bytes) else {
            return Err(target.damaged(seq, place, "it is malformed"));
        };
        let header = record.header();
        if header.log != target.name || header.epoch != target.key.1 || header.seq != seq {
            return Err(target.damaged(seq, place, "it names another place"));
        }
        if located.nodes.first() != Some(&record.leaf_hash()) {
            return Err(target.damaged(seq, place, "it does not match its leaf hash"));
        }
        Ok(record)
    }
}

impl Target {
    fn damaged(&self, seq: u64, place: String, what: &'static str) -> ReadError {
        ReadError::Damaged { log: self.name.clone(), epoch: self.key.1, seq, place, what }
    }

    fn fault(&self, seq: u64, fault: Fault) -> ReadError {
        fault.at(&self.name, self.key.1, seq)
    }
}

impl Journal {
    fn target(&self, log: &LogName, epoch: u32) -> Option<Target> {
        let state = self.state();
        let known = state.named(log)?;
        let size = known.epochs.get(&epoch)?.size();
        let key = (known.no, epoch);
        Some(Target { name: known.name.clone(), role: known.role, key, size })
    }

    fn known(&self, log: &LogName, epoch: u32) -> Result<Target, ReadError> {
        let unknown = || ReadError::UnknownLog { log: log.clone(), epoch };
        self.target(log, epoch).ok_or_else(unknown)
    }

    fn lookup(&self) -> Lookup<'_> {
        Lookup(&*self.inner.index)
    }

    /// The record at a position; `None` if there is none (yet), or no such log.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if what is stored is not what was committed.
    pub fn get(&self, log: &LogName, epoch: u32, seq: u64) -> Result<Option<Record>, ReadError> {
        let Some(target) = self.target(log, epoch).filter(|target| seq < target.size) else {
            return Ok(None);
        };
        self.read(&target, seq).map(Some)
    }

    fn read(&self, target: &Target, seq: u64) -> Result<Record, ReadError> {
        let located = self.lookup().record(target.role, target.key, seq);
        let located = located.map_err(|fault| target.fault(seq, fault))?;
        self.inner.record(target, seq, located)
    }

    /// Records from `from` on, in order: at most `max_records`, and no more once `max_bytes` of
    /// stored bytes are reached, but at least one if there is one.
    ///
    /// # Errors
    /// As [`Journal::get`]; records before a damaged one are lost to the caller, who may ask for
    /// them by a smaller range.
    pub fn range(
        &self,
        log: &LogName,
        epoch: u32,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        let Some(target) = self.target(log, epoch) else { return Ok(out) };
        let end = target.size.min(from.saturating_add(max_records as u64));
        let mut seq = from;
        while seq < end {
            let pack = self.lookup().pack_from(target.role, target.key, seq);
            for located in pack.map_err(|fault| target.fault(seq, fault))? {
                if seq >= end {
                    break;
                }
                let record = self.inner.record(&target, seq, located)?;
                bytes += record.bytes().len();
                if bytes > max_bytes && !out.is_empty() {
                    return Ok(out);
                }
                out.push(record);
                seq += 1;
            }
        }
        Ok(out)
    }

    /// All records of a stream in one log, own or mirrored, in order of their versions. Empty if
    /// there are none.
    ///
    /// # Errors
    /// As [`Journal::get`]; also if a version is missing between two others.
    pub fn stream(&self, log: &LogName, stream: StreamRef) -> Result<Vec<Record>, ReadError> {
        let Some(log_no) = self.state().named(log).map(|log| log.no) else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        let mut before: Option<u32> = None;
        for (version, (_, epoch, seq)) in self.lookup().stream(log_no, &stream)? {
            let target = self.known(log, epoch)?;
            if seq >= target.size {
                break;
            }
            // A mirrored log may name a version twice; that is what its origin signed.
            if before.is_some_and(|before| version > before.saturating_add(1)) {
                return Err(ReadError::DamagedIndex { what: "version of a stream" });
            }
            let record = self.read(&target, seq)?;
            let header = record.header();
            if header.stream != stream || header.stream_version != version {
                return Err(ReadError::DamagedIndex { what: "version of a stream" });
            }
            before = Some(version);
            out.push(record);
        }
        Ok(out)
    }

    /// Where the event with this id is.
    ///
    /// # Errors
    /// [`ReadError::DamagedIndex`] or [`ReadError::Index`].
    pub fn find_event(&self, id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        let Some((log_no, epoch, seq)) = self.lookup().event(id)? else { return Ok(None) };
        let state = self.state();
        let Some(log) = state.log(log_no) else { return Ok(None) };
        let visible = log.epochs.get(&epoch).is_some_and(|edge| seq < edge.size());
        Ok(visible.then(|| Position { log: log.name.clone(), epoch, seq }))
    }

    /// What was done under a command id.
    ///
    /// # Errors
    /// [`ReadError::DamagedIndex`] or [`ReadError::Index`].
    pub fn find_command(&self, key: &CommandKey) -> Result<Option<CommandHit>, ReadError> {
        let Some(done) = self.lookup().command(key)? else { return Ok(None) };
        let first = done.runs.first();
        let log = first.and_then(|run| Some(self.state().log(run.log_no)?.name.clone()));
        Ok(Some(CommandHit {
            request_hash: done.request_hash,
            log,
            epoch: first.map_or(0, |run| run.epoch),
            first_seq: first.map_or(0, |run| run.first_seq),
            count: first.map_or(0, |run| u64::from(run.count)),
            recorded_at: done.recorded_at,
        }))
    }

    /// All logs and epochs with their durable sizes and roots.
    #[must_use]
    pub fn logs(&self) -> Vec<LogInfo> {
        self.state().infos()
    }

    /// One epoch of one log.
    #[must_use]
    pub fn log(&self, log: &LogName, epoch: u32) -> Option<LogInfo> {
        let state = self.state();
        let known = state.named(log)?;
        known.epochs.get(&epoch).map(|edge| State::info(known, epoch, edge))
    }

    /// The right edge of an epoch's tree.
    #[must_use]
    pub fn frontier(&self, log: &LogName, epoch: u32) -> Option<Frontier> {
        self.state().named(log)?.epochs.get(&epoch).cloned()
    }

    /// The Merkle root of the first `size` records.
    ///
    /// # Errors
    /// [`ReadError::Range`] beyond what is held, [`ReadError::UnknownLog`], or damage.
    pub fn root_at(&self, log: &LogName, epoch: u32, size: u64) -> Result<Hash, ReadError> {
        let target = self.known(log, epoch)?;
        within("size", size, target.size)?;
        let root = root_at(&self.nodes(&target), size);
        root.map_err(|(fault, seq)| target.fault(seq, fault))
    }

    /// The inclusion proof of record `seq` in the tree of `size` records (RFC 9162).
    ///
    /// # Errors
    /// As [`Journal::root_at`].
    pub fn inclusion(
        &self,
        log: &LogName,
        epoch: u32,
        seq: u64,
        size: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        let target = self.known(log, epoch)?;
        within("size", size, target.size)?;
        let proof = inclusion_proof(&self.nodes(&target), seq, size);
        proof.map_err(|error| proved("sequence", seq, &target, error))
    }

    /// The consistency proof between the trees of `old` and `new` records (RFC 9162).
    ///
    /// # Errors
    /// As [`Journal::root_at`].
    pub fn consistency(
        &self,
        log: &LogName,
        epoch: u32,
        old: u64,
        new: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        let target = self.known(log, epoch)?;
        within("size", new, target.size)?;
        let proof = consistency_proof(&self.nodes(&target), old, new);
        proof.map_err(|error| proved("old size", old, &target, error))
    }

    fn nodes(&self, target: &Target) -> IndexNodes<'_> {
        IndexNodes { lookup: self.lookup(), role: target.role, log: target.key }
    }

    /// The last durable value of a control fact.
    #[must_use]
    pub fn control(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state().controls.get(key).cloned()
    }

    /// All control facts whose key starts with `prefix`, by key.
    #[must_use]
    pub fn controls(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let state = self.state();
        let from = state.controls.range(prefix.to_vec()..);
        let with = from.take_while(|(key, _)| key.starts_with(prefix));
        with.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Refuses what is beyond what is held.
fn within(what: &'static str, asked: u64, held: u64) -> Result<(), ReadError> {
    if asked <= held { Ok(()) } else { Err(ReadError::Range { what, asked, held }) }
}

/// The error of a proof.
fn proved(
    what: &'static str,
    asked: u64,
    target: &Target,
    error: ProveError<(Fault, u64)>,
) -> ReadError {
    match error {
        ProveError::Nodes((fault, seq)) => target.fault(seq, fault),
        ProveError::Index { .. } | ProveError::Order { .. } => {
            ReadError::Range { what, asked, held: target.size }
        }
    }
}
