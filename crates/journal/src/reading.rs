//! Reading: every record is checked against its stored tree node before it is served.

use std::time::Duration;

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::merkle::{Frontier, Nodes, ProveError, consistency_proof, inclusion_proof, root_at};
use evidence::record::{Record, StreamRef};

use crate::catalog::Catalog;
use crate::catalog::lookup::Fault;
use crate::error::ReadError;
use crate::files;
use crate::frame::{Head, Kind};
use crate::index::block::Located;
use crate::journal::{Inner, Journal};
use crate::limits::{FRAME_HEADER, READ_AHEAD};
use crate::report::{CommandHit, IndexStatus, LogInfo, QuarantinedIndex, Role};
use crate::segment::LogKey;
use crate::state::State;
use crate::transaction::CommandKey;

/// What reading one log needs.
struct Target {
    name: LogName,
    key: LogKey,
    size: u64,
}

impl Inner {
    /// Reads neighbouring frames of a segment with one call: as many of `located`
    /// as lie close together. Returns how many, and the bytes from the first frame on.
    fn near(&self, located: &[Located]) -> Result<(usize, Vec<u8>), ReadError> {
        let Some(first) = located.first() else { return Ok((0, Vec::new())) };
        let end =
            |one: &Located| u64::from(one.offset) + (FRAME_HEADER as u64) + u64::from(one.len);
        let near = |one: &&Located| {
            one.segment == first.segment
                && one.offset >= first.offset
                && end(one) - u64::from(first.offset) <= READ_AHEAD as u64
        };
        let count = 1 + located[1..].iter().take_while(near).count();
        let len = end(&located[count - 1]) - u64::from(first.offset);
        let (segment, offset) = (u64::from(first.segment), u64::from(first.offset));
        let bytes = self.frames.bytes(segment, offset, len as usize);
        let bytes = bytes.map_err(|(file, source)| ReadError::Io { file, source })?;
        Ok((count, bytes))
    }

    /// The checked record in the frame at the front of `bytes`.
    fn record(
        &self,
        target: &Target,
        seq: u64,
        located: &Located,
        bytes: &[u8],
    ) -> Result<Record, ReadError> {
        let damaged = |what| {
            let place = files::segment_name(u64::from(located.segment));
            target.damaged(seq, place, what)
        };
        let right = |head: &Head| {
            head.kind == Kind::Record
                && (head.log_no, head.epoch, head.seq) == (target.key.0, target.key.1, seq)
        };
        let frame = self.frames.intact(bytes, located.len as usize);
        let frame = frame.filter(|(head, _)| right(head));
        let (_, body) = frame.ok_or_else(|| damaged("its frame is damaged"))?;
        let record = Record::parse(body.to_vec());
        let record = record.map_err(|_| damaged("it is malformed"))?;
        let header = record.header();
        if header.log != target.name || header.epoch != target.key.1 || header.seq != seq {
            return Err(damaged("it names another place"));
        }
        if located.nodes.first() != Some(&record.leaf_hash()) {
            return Err(damaged("it does not match its leaf hash"));
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
        Some(Target { name: known.name.clone(), key, size })
    }

    fn known(&self, log: &LogName, epoch: u32) -> Result<Target, ReadError> {
        let unknown = || ReadError::UnknownLog { log: log.clone(), epoch };
        self.target(log, epoch).ok_or_else(unknown)
    }

    fn catalog(&self) -> &Catalog {
        &self.inner.catalog
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
        let located = self.catalog().record(target.key, seq);
        let located = located.map_err(|fault| target.fault(seq, fault))?;
        let (_, bytes) = self.inner.near(std::slice::from_ref(&located))?;
        self.inner.record(target, seq, &located, &bytes)
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
            let located = self.catalog().records_from(target.key, seq);
            let located = located.map_err(|fault| target.fault(seq, fault))?;
            let mut located = &located[..located.len().min((end - seq) as usize)];
            while !located.is_empty() {
                let (count, frames) = self.inner.near(located)?;
                let start = located[0].offset;
                for one in &located[..count] {
                    let frame = frames.get((one.offset - start) as usize..).unwrap_or_default();
                    let record = self.inner.record(&target, seq, one, frame)?;
                    bytes += record.bytes().len();
                    if bytes > max_bytes && !out.is_empty() {
                        return Ok(out);
                    }
                    out.push(record);
                    seq += 1;
                }
                located = &located[count..];
            }
        }
        Ok(out)
    }

    /// All records of a stream in one log, own or mirrored, in order of their versions. Empty if
    /// there are none.
    ///
    /// # Errors
    /// As [`Journal::get`]; also if a version is missing between two others, or in an own log the
    /// first one, or is there twice.
    pub fn stream(&self, log: &LogName, stream: StreamRef) -> Result<Vec<Record>, ReadError> {
        let known = self.state().named(log).map(|log| (log.no, log.role == Role::Own));
        let Some((log_no, is_own)) = known else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        let mut before: Option<u32> = None;
        for (version, (_, epoch, seq)) in self.catalog().stream(log_no, &stream)? {
            let target = self.known(log, epoch)?;
            if seq >= target.size {
                // Not published yet. Later epochs of a mirror begin their versions again, so what
                // follows may be published.
                continue;
            }
            let next = before.map_or(1, |before| before.saturating_add(1));
            // A mirrored log may begin with any version and name one twice; that is what its origin
            // signed.
            let is_next =
                if is_own { version == next } else { before.is_none() || version <= next };
            if !is_next {
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

    /// Where the event with this id is; the first place by number of the log, epoch and sequence if
    /// a mirrored log repeats the id of another.
    ///
    /// # Errors
    /// [`ReadError::DamagedIndex`] or [`ReadError::Index`].
    pub fn find_event(&self, id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        Ok(self.find_events(id)?.into_iter().next())
    }

    /// All places of the event with this id.
    pub(crate) fn find_events(&self, id: &[u8; 16]) -> Result<Vec<Position>, ReadError> {
        let places = self.catalog().events(id)?;
        let state = self.state();
        let position = |(log_no, epoch, seq)| {
            let log = state.log(log_no)?;
            let visible = seq < log.epochs.get(&epoch)?.size();
            visible.then(|| Position { log: log.name.clone(), epoch, seq })
        };
        Ok(places.into_iter().filter_map(position).collect())
    }

    /// What was done under a command id.
    ///
    /// # Errors
    /// [`ReadError::DamagedIndex`] or [`ReadError::Index`].
    pub fn find_command(&self, key: &CommandKey) -> Result<Option<CommandHit>, ReadError> {
        let Some(done) = self.catalog().command(key)? else { return Ok(None) };
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

    /// Whether the index answers everything; while it is rebuilt reading by sequence works.
    #[must_use]
    pub fn index_status(&self) -> IndexStatus {
        self.inner.catalog.status()
    }

    /// An index that could not be used, if one was moved aside. Nothing needs it.
    #[must_use]
    pub fn quarantined_index(&self) -> Option<QuarantinedIndex> {
        self.inner.index_store.quarantined()
    }

    /// Waits until the index answers everything, at most `limit`; returns whether it does.
    #[must_use]
    pub fn wait_for_index(&self, limit: Duration) -> bool {
        self.inner.catalog.wait(limit, false)
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

    fn nodes(&self, target: &Target) -> StoredNodes<'_> {
        StoredNodes { catalog: self.catalog(), log: target.key }
    }

    /// The last durable value of a control fact.
    #[must_use]
    pub fn control(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state().controls().get(key).cloned()
    }

    /// All control facts whose key starts with `prefix`, by key.
    #[must_use]
    pub fn controls(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let state = self.state();
        let from = state.controls().range(prefix.to_vec()..);
        let with = from.take_while(|(key, _)| key.starts_with(prefix));
        with.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The tree nodes of one log.
struct StoredNodes<'a> {
    catalog: &'a Catalog,
    log: LogKey,
}

impl Nodes for StoredNodes<'_> {
    /// The fault and the sequence that was read.
    type Error = (Fault, u64);

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let seq = ((index + 1) << level) - 1;
        let located = self.catalog.record(self.log, seq).map_err(|fault| (fault, seq))?;
        let lacks = (Fault::Damaged("its entry lacks a tree node"), seq);
        located.nodes.get(usize::from(level)).copied().ok_or(lacks)
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
