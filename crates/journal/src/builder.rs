//! Deciding the transactions of a group and encoding what they add.
//!
//! Each transaction is first planned without changing anything, so a refusal leaves no trace, and
//! then executed, which cannot fail. Later transactions of the group see what earlier ones added.

use std::collections::HashMap;

use evidence::hash::Hash;
use evidence::log::{LogName, Position};
use evidence::merkle::Frontier;
use evidence::record::{Record, StreamRef};
use evidence::verify::{BatchParts, VerifiedBatch};

use crate::attachments;
use crate::catalog::Catalog;
use crate::error::{CommitError, ReadError};
use crate::frame::{Kind, Label, span};
use crate::group::{Done, GroupBuffer, LogBody, Run, TRAILER, put_control};
use crate::limits::{
    FRAME_HEADER, MAX_COMMAND_PARTS, MAX_CONTROL_KEY, MAX_CONTROL_VALUE, MAX_CONTROLS, MAX_GROUP,
    MAX_HEADS,
};
use crate::replay::{Items, RecordItem};
use crate::report::Role;
use crate::segment::LogKey;
use crate::state::{Log, State};
use crate::transaction::{
    Append, CommandClaim, CommandKey, Committed, Control, ExpectedVersion, KnownCommand,
    Transaction, UNKNOWN_REQUEST,
};

/// Log number and version of streams.
pub(crate) type Heads = HashMap<StreamRef, (u16, u32)>;

mod parts;

use parts::{done, limit, placed};

/// What a group changes in the state, to be published once it is durable.
#[derive(Default)]
pub(crate) struct Changes {
    /// Heads of the streams that it touches.
    pub streams: Heads,
    edges: HashMap<LogKey, Frontier>,
    recorded: HashMap<u16, i64>,
    controls: Vec<Control>,
    opened: Vec<LogBody>,
    commands: u64,
}

impl Changes {
    /// Makes them visible.
    pub(crate) fn publish(self, state: &mut State) -> Result<Heads, &'static str> {
        state.commands += self.commands;
        for body in &self.opened {
            state.insert(body)?;
        }
        for (key, edge) in self.edges {
            let log = state.log_mut(key.0).ok_or("log is unknown")?;
            log.epochs.insert(key.1, edge);
        }
        for (log_no, recorded_at) in self.recorded {
            state.log_mut(log_no).ok_or("log is unknown")?.last_recorded_at = recorded_at;
        }
        for control in self.controls {
            state.set_control(control.key, control.value);
        }
        Ok(self.streams)
    }
}

/// What building a group works on, kept from group to group.
pub(crate) struct Writing {
    pub buffer: GroupBuffer,
    /// What the group in the buffer adds to the index.
    pub items: Items,
    /// Heads of recently written streams, to spare the index a search. Never wrong: entries come
    /// from published groups, and only the writer moves an own stream.
    pub heads: Heads,
}

impl Writing {
    /// Nothing built yet, for the journal with this checksum seed.
    pub(crate) fn new(seed: u32) -> Self {
        Self { buffer: GroupBuffer::new(seed), items: Items::default(), heads: Heads::new() }
    }

    /// Remembers the heads of a published group.
    pub(crate) fn remember(&mut self, heads: Heads) {
        if self.heads.len() + heads.len() > MAX_HEADS {
            self.heads.clear();
        }
        self.heads.extend(heads.into_iter().take(MAX_HEADS));
    }
}

/// A group that is being put together.
pub(crate) struct Builder<'a> {
    state: &'a State,
    catalog: &'a Catalog,
    /// What records may name.
    attachments: &'a attachments::Store,
    clock: i64,
    /// Free bytes and watermark, if facts must be refused.
    full: Option<(u64, u64)>,
    buffer: &'a mut GroupBuffer,
    items: &'a mut Items,
    changes: Changes,
    /// Heads of streams from groups before this one.
    known: &'a Heads,
    streams: Heads,
    commands: HashMap<CommandKey, (Hash, Committed)>,
}

/// A transaction that may be executed.
#[derive(Default)]
struct Plan {
    records: Vec<(u16, Record)>,
    batches: Vec<(u16, BatchParts)>,
    controls: Vec<Control>,
    done: Option<Done>,
    /// Commands of records that came back.
    known: Vec<Done>,
    recorded: Vec<(u16, i64)>,
    streams: Vec<(StreamRef, u16, u32)>,
    committed: Committed,
}

impl Default for Committed {
    fn default() -> Self {
        let (positions, versions) = (Vec::new(), Vec::new());
        Self { positions, versions, recorded_at: 0, replayed: false }
    }
}

impl<'a> Builder<'a> {
    /// An empty group on top of `state`.
    pub(crate) fn new(
        state: &'a State,
        (catalog, attachments): (&'a Catalog, &'a attachments::Store),
        clock: i64,
        full: Option<(u64, u64)>,
        writing: &'a mut Writing,
    ) -> Self {
        let Writing { buffer, items, heads: known } = writing;
        buffer.clear();
        items.clear();
        let (changes, streams, commands) = Default::default();
        Self {
            state,
            catalog,
            attachments,
            clock,
            full,
            buffer,
            items,
            changes,
            known,
            streams,
            commands,
        }
    }

    /// What the group changes.
    pub(crate) fn finish(self) -> Changes {
        Changes { streams: self.streams, ..self.changes }
    }

    /// Adds a transaction, or refuses it without a trace.
    pub(crate) fn add(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        if let Some(claim) = &transaction.command
            && let Some(old) = self.replay(claim)?
        {
            return Ok(old);
        }
        let plan = self.plan(transaction)?;
        Ok(self.execute(plan))
    }

    /// Opens a log or an epoch; nothing if it is open.
    pub(crate) fn open_log(
        &mut self,
        name: &LogName,
        role: Role,
        epoch: u32,
    ) -> Result<(), CommitError> {
        let known = self.state.named(name);
        if known.is_some_and(|log| log.role != role) {
            return Err(CommitError::WrongRole { log: name.clone() });
        }
        if known.is_some_and(|log| log.epochs.contains_key(&epoch)) {
            return Ok(());
        }
        let open = known.map_or(0, Log::open_epoch);
        if epoch == 0 || (role == Role::Own && epoch <= open) {
            return Err(CommitError::EpochOrder { log: name.clone(), open, asked: epoch });
        }
        let too_many =
            CommitError::TooLarge { what: "number of logs", found: 65_536, limit: 65_535 };
        let body = LogBody {
            log_no: known.map(|log| log.no).or_else(|| self.state.next_no()).ok_or(too_many)?,
            epoch,
            role,
            name: name.clone(),
            last_recorded_at: known.map_or(i64::MIN, |log| log.last_recorded_at),
            frontier: Frontier::new(),
        };
        body.put(self.buffer, false);
        self.changes.opened.push(body);
        Ok(())
    }

    /// The old answer, if the command was done.
    fn replay(&self, claim: &CommandClaim) -> Result<Option<Committed>, CommitError> {
        if let Some((hash, committed)) = self.commands.get(&claim.key) {
            let same = *hash == claim.request_hash;
            let old = || Committed { replayed: true, ..committed.clone() };
            return if same { Ok(Some(old())) } else { Err(CommitError::CommandReused) };
        }
        let Some(done) = self.catalog.command(&claim.key)? else { return Ok(None) };
        if done.request_hash != claim.request_hash && done.request_hash != UNKNOWN_REQUEST {
            return Err(CommitError::CommandReused);
        }
        let mut positions = Vec::new();
        for run in &done.runs {
            let unknown = ReadError::DamagedIndex { what: "command" };
            let log = &self.state.log(run.log_no).ok_or(unknown)?.name;
            let seqs = run.first_seq..run.first_seq + u64::from(run.count);
            let place = |seq| Position { log: log.clone(), epoch: run.epoch, seq };
            positions.extend(seqs.map(place));
        }
        let (versions, recorded_at) = (done.versions, done.recorded_at);
        Ok(Some(Committed { positions, versions, recorded_at, replayed: true }))
    }

    /// Decides a transaction without changing anything.
    fn plan(&self, transaction: Transaction) -> Result<Plan, CommitError> {
        let Transaction { command, appends, mirror, returned, controls, known } = transaction;
        let stores_facts = !appends.is_empty() || mirror.is_some() || returned.is_some();
        if let Some((free, watermark)) = self.full.filter(|_| stores_facts) {
            return Err(CommitError::DiskFull { free, watermark });
        }
        if command.is_some() {
            limit("appends of a command", appends.len(), MAX_COMMAND_PARTS)?;
        }
        let (mut size, mut added) = (0, 0);
        for control in &controls {
            limit("key of a control", control.key.len(), MAX_CONTROL_KEY)?;
            limit("value of a control", control.value.len(), MAX_CONTROL_VALUE)?;
            size += span(2 + control.key.len() + control.value.len());
            added += control.key.len() + control.value.len();
        }
        limit("bytes of all control facts", self.pending_controls() + added, MAX_CONTROLS)?;
        let mut plan = Plan { controls, ..Plan::default() };
        plan.committed.recorded_at = self.clock;
        for command in known {
            let done = self.known(command)?;
            size += span(76 + done.runs.len() * 18 + done.versions.len() * 22);
            plan.known.push(done);
        }
        for append in appends {
            self.plan_append(append, &mut plan)?;
        }
        let mirror = mirror.map(|batch| self.plan_batch(batch, Role::Mirror)).transpose()?;
        let returned = returned.map(|batch| self.plan_batch(batch, Role::Own)).transpose()?;
        plan.batches = mirror.into_iter().chain(returned).collect();
        let mirrored = plan.batches.iter().flat_map(|(_, parts)| &parts.records);
        let records = plan.records.iter().map(|(_, record)| record).chain(mirrored);
        size += records.map(|record| span(record.bytes().len())).sum::<usize>();
        plan.done = command.map(|claim| done(claim, &plan));
        size += usize::from(command.is_some()) * span(76 + MAX_COMMAND_PARTS * 40);
        limit("bytes of a group", self.buffer.bytes.len() + size, MAX_GROUP - TRAILER)?;
        Ok(plan)
    }

    /// Bytes of the control facts that are live with this group, or more: one that is replaced
    /// counts twice until the group is published.
    fn pending_controls(&self) -> usize {
        let pending = self.changes.controls.iter().map(|c| c.key.len() + c.value.len());
        self.state.control_bytes() + pending.sum::<usize>()
    }

    /// Decides one append.
    fn plan_append(&self, append: Append, plan: &mut Plan) -> Result<(), CommitError> {
        let Append { log: name, expected, stream, drafts } = append;
        let unknown = || CommitError::UnknownLog { log: name.clone() };
        let log = self.state.named(&name).ok_or_else(unknown)?;
        if log.role != Role::Own {
            return Err(CommitError::WrongRole { log: name });
        }
        self.attachments.require(&drafts)?;
        let epoch = log.open_epoch();
        let mut version = self.version_of(&stream, log, plan)?;
        if let ExpectedVersion::Exact(expected) = expected
            && expected != version
        {
            return Err(CommitError::VersionConflict { stream, expected, actual: version });
        }
        let edge = self.changes.edges.get(&(log.no, epoch)).or_else(|| log.epochs.get(&epoch));
        let planned = plan.records.iter().filter(|(no, _)| *no == log.no).count() as u64;
        let first_seq = edge.ok_or_else(unknown)?.size() + planned;
        let earlier = plan.recorded.iter().find(|(no, _)| *no == log.no).map(|(_, at)| *at);
        let pending = || self.changes.recorded.get(&log.no).copied();
        let mut recorded_at = earlier.or_else(pending).unwrap_or(log.last_recorded_at);
        for (seq, draft) in (first_seq..).zip(drafts) {
            if draft.header.stream != stream {
                return Err(CommitError::WrongStream);
            }
            version = version.checked_add(1).ok_or(CommitError::TooLarge {
                what: "version of a stream",
                found: u64::from(version) + 1,
                limit: u64::from(u32::MAX),
            })?;
            recorded_at = self.clock.max(recorded_at.saturating_add(1));
            let record = placed(draft, &name, epoch, seq, version, recorded_at)?;
            plan.committed.positions.push(Position { log: name.clone(), epoch, seq });
            plan.records.push((log.no, record));
            plan.committed.recorded_at = recorded_at;
        }
        plan.recorded.retain(|(no, _)| *no != log.no);
        plan.recorded.push((log.no, recorded_at));
        if version > 0 {
            plan.streams.push((stream, log.no, version));
        }
        plan.committed.versions.push((stream, version));
        Ok(())
    }

    /// The own log that holds a stream, and its version there. What a mirror brings under the same
    /// name binds nobody here: or another office could keep ours from beginning a stream.
    fn home(&self, stream: &StreamRef, log: &Log) -> Result<Option<(u16, u32)>, ReadError> {
        let head = self.catalog.stream_head(stream, log.no)?;
        let is_own = |no| self.state.log(no).is_some_and(|log| log.role == Role::Own);
        if head.is_none_or(|(no, _)| is_own(no)) {
            return Ok(head);
        }
        for own in self.state.logs().filter(|log| log.role == Role::Own) {
            if let Some(head) = self.catalog.stream_head_in(stream, own.no)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// The version of a stream in `log`; an error if it lives in another log of ours.
    fn version_of(&self, stream: &StreamRef, log: &Log, plan: &Plan) -> Result<u32, CommitError> {
        let planned = plan.streams.iter().rev().find(|(known, ..)| known == stream);
        let planned = planned.map(|(_, no, version)| (*no, *version));
        let recent = || self.streams.get(stream).or_else(|| self.known.get(stream)).copied();
        let head = match planned.or_else(recent) {
            Some(head) => Some(head),
            None => self.home(stream, log)?,
        };
        match head {
            None => Ok(0),
            Some((no, version)) if no == log.no => Ok(version),
            Some((no, _)) => {
                let home = self.state.log(no).map_or_else(|| log.name.clone(), |l| l.name.clone());
                Err(CommitError::StreamInOtherLog { stream: *stream, log: home })
            }
        }
    }

    /// A command whose records came back: they must be here.
    fn known(&self, command: KnownCommand) -> Result<Done, CommitError> {
        let KnownCommand { key, log, epoch, first_seq, count, recorded_at, versions } = command;
        let known = self.state.named(&log).filter(|known| known.role == Role::Own);
        let Some(known) = known else { return Err(CommitError::UnknownLog { log }) };
        let held = known.epochs.get(&epoch).map_or(0, Frontier::size);
        if first_seq.saturating_add(u64::from(count)) > held {
            return Err(CommitError::MirrorOutOfStep { log, held, first_seq });
        }
        let runs = vec![Run { log_no: known.no, epoch, first_seq, count }];
        Ok(Done { key, request_hash: UNKNOWN_REQUEST, recorded_at, runs, versions })
    }

    /// Decides a batch of verified records, for a mirror or of an own log that is taken back: it
    /// must continue exactly what is held.
    fn plan_batch(
        &self,
        batch: VerifiedBatch,
        role: Role,
    ) -> Result<(u16, BatchParts), CommitError> {
        let parts = batch.into_parts();
        let unknown = || CommitError::UnknownLog { log: parts.log.clone() };
        let log = self.state.named(&parts.log).ok_or_else(unknown)?;
        if log.role != role {
            return Err(CommitError::WrongRole { log: parts.log });
        }
        let key = (log.no, parts.epoch);
        let edge = self.changes.edges.get(&key).or_else(|| log.epochs.get(&parts.epoch));
        let mut edge = edge.ok_or_else(unknown)?.clone();
        let (held, first_seq) = (edge.size(), parts.first_seq);
        if held != first_seq {
            return Err(CommitError::MirrorOutOfStep { log: parts.log, held, first_seq });
        }
        for leaf in parts.nodes.iter().filter_map(|nodes| nodes.first()) {
            edge.append(*leaf);
        }
        if edge != parts.frontier {
            return Err(CommitError::MirrorDiverged { log: parts.log });
        }
        Ok((log.no, parts))
    }

    /// Adds what was planned.
    fn execute(&mut self, plan: Plan) -> Committed {
        for (log_no, record) in &plan.records {
            let key = (*log_no, record.header().epoch);
            let edge = self.edge(key);
            let nodes = edge.append(record.leaf_hash());
            self.put_record(*log_no, record, nodes);
        }
        self.changes.recorded.extend(plan.recorded);
        for (stream, log_no, version) in plan.streams {
            self.streams.insert(stream, (log_no, version));
        }
        for (log_no, parts) in plan.batches {
            let is_own = self.state.log(log_no).is_some_and(|log| log.role == Role::Own);
            for (record, nodes) in parts.records.iter().zip(parts.nodes) {
                let header = record.header();
                self.changes.recorded.insert(log_no, header.recorded_at);
                if is_own {
                    let head = (log_no, header.stream_version);
                    self.streams.insert(header.stream, head);
                }
                self.put_record(log_no, record, nodes);
            }
            self.changes.edges.insert((log_no, parts.epoch), parts.frontier);
        }
        for control in plan.controls {
            put_control(self.buffer, &control.key, &control.value, false);
            self.changes.controls.push(control);
        }
        for done in &plan.known {
            self.put_command(done);
        }
        if let Some(done) = plan.done {
            self.put_command(&done);
            self.commands.insert(done.key, (done.request_hash, plan.committed.clone()));
        }
        plan.committed
    }

    /// Appends the frame of a command.
    fn put_command(&mut self, done: &Done) {
        let start = done.put(self.buffer);
        let len = 76 + done.runs.len() * 18 + done.versions.len() * 22;
        self.changes.commands += 1;
        self.items.commands.push(start..start + len);
    }

    /// The right edge of a log as of this group.
    fn edge(&mut self, key: LogKey) -> &mut Frontier {
        let state = self.state;
        let known = || state.frontier(key).cloned().unwrap_or_default();
        self.changes.edges.entry(key).or_insert_with(known)
    }

    /// Appends the frame of a record.
    fn put_record(&mut self, log_no: u16, record: &Record, nodes: Vec<Hash>) {
        let (header, bytes) = (record.header(), record.bytes());
        let (epoch, seq) = (header.epoch, header.seq);
        let label = Label { kind: Kind::Record, flags: 0, log_no, epoch, seq };
        let body_at = self.buffer.put(label, |out| out.extend_from_slice(bytes));
        self.items.records.push(RecordItem {
            log_no,
            epoch,
            seq,
            event_id: header.event_id,
            stream: header.stream,
            stream_version: header.stream_version,
            nodes,
            names_attachments: !header.attachments.is_empty(),
            frame_at: body_at - FRAME_HEADER,
            len: bytes.len(),
        });
    }
}
