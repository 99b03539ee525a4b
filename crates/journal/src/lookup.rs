//! Questions to the index, each answer checked against its guard.

use std::collections::BTreeMap;

use evidence::hash::Hash;
use evidence::log::LogName;
use evidence::record::StreamRef;

use crate::batch::{CHUNK, kind};
use crate::error::{IndexError, ReadError};
use crate::group::Done;
use crate::index::Index;
use crate::index::keys::{self, Place};
use crate::index::pack::{self, Form};
use crate::report::Role;
use crate::segment::LogKey;
use crate::tail::Mark;
use crate::transaction::CommandKey;

/// What the index knows of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Tree nodes that the record completes, from its leaf hash upwards.
    pub nodes: Vec<Hash>,
    /// Its stored bytes or their place.
    pub source: Source,
}

/// Where the stored bytes of a record come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the index.
    Bytes(Vec<u8>),
    /// From the frame at `offset` of a segment; `len` bytes of body.
    Frame { segment: u64, offset: u64, len: usize },
}

/// Why a record cannot be located.
#[derive(Debug)]
pub(crate) enum Fault {
    Index(IndexError),
    /// The entry is missing or is not what was stored.
    Damaged(&'static str),
}

impl From<IndexError> for Fault {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl Fault {
    /// The error of a reader who asked for this record.
    pub(crate) fn at(self, log: &LogName, epoch: u32, seq: u64) -> ReadError {
        match self {
            Self::Index(error) => ReadError::Index(error),
            Self::Damaged(what) => {
                let (log, place) = (log.clone(), "index".to_owned());
                ReadError::Damaged { log, epoch, seq, place, what }
            }
        }
    }
}

/// How many entries the index has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub events: BTreeMap<LogKey, u64>,
    pub versions: BTreeMap<LogKey, u64>,
    pub commands: u64,
}

/// The keys between which the versions of a stream in one log lie.
fn in_log(stream: &StreamRef, log_no: u16) -> ([u8; 37], [u8; 37]) {
    let from = keys::version(stream, 0, (log_no, 0, 0));
    (from, keys::version(stream, u32::MAX, (log_no, u32::MAX, u64::MAX)))
}

/// Asks the index.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a>(pub &'a dyn Index);

impl Lookup<'_> {
    /// The record at `seq`, which must be there.
    pub(crate) fn record(&self, role: Role, log: LogKey, seq: u64) -> Result<Located, Fault> {
        let missing = Fault::Damaged("its entry is missing");
        let to = keys::pack(kind(role), log, seq);
        let found = self.0.last(&keys::pack(kind(role), log, 0), &to)?;
        let (key, value) = found.ok_or(missing)?;
        let payload = keys::open(&key, &value).ok_or(Fault::Damaged("its entry is damaged"))?;
        let (_, first) = keys::parse_pack(&key).ok_or(Fault::Damaged("its key is malformed"))?;
        let malformed = Fault::Damaged("its entry is malformed");
        let entry = pack::nth(payload, seq - first).map_err(|()| malformed)?;
        let entry = entry.ok_or(Fault::Damaged("its entry is missing"))?;
        Ok(Located { nodes: entry.nodes.to_vec(), source: self.source(log, seq, entry.form)? })
    }

    /// All records of the pack that holds `seq`, from there on. At least one.
    pub(crate) fn pack_from(
        &self,
        role: Role,
        log: LogKey,
        seq: u64,
    ) -> Result<Vec<Located>, Fault> {
        let to = keys::pack(kind(role), log, seq);
        let found = self.0.last(&keys::pack(kind(role), log, 0), &to)?;
        let (key, value) = found.ok_or(Fault::Damaged("its entry is missing"))?;
        let payload = keys::open(&key, &value).ok_or(Fault::Damaged("its entry is damaged"))?;
        let (_, first) = keys::parse_pack(&key).ok_or(Fault::Damaged("its key is malformed"))?;
        let (mut rest, mut at, mut out) = (payload, first, Vec::new());
        while !rest.is_empty() {
            let malformed = Fault::Damaged("its entry is malformed");
            let (entry, behind) = pack::take(rest).ok_or(malformed)?;
            if at >= seq {
                let source = self.source(log, at, entry.form)?;
                out.push(Located { nodes: entry.nodes.to_vec(), source });
            }
            (rest, at) = (behind, at + 1);
        }
        if out.is_empty() { Err(Fault::Damaged("its entry is missing")) } else { Ok(out) }
    }

    /// The stored bytes that an entry stands for.
    fn source(&self, log: LogKey, seq: u64, form: Form<'_>) -> Result<Source, Fault> {
        Ok(match form {
            Form::Inline(bytes) => Source::Bytes(bytes.to_vec()),
            Form::Place { segment, offset, len } => Source::Frame {
                segment: u64::from(segment),
                offset: u64::from(offset),
                len: len as usize,
            },
            Form::Chunks(len) => Source::Bytes(self.chunks(log, seq, len as usize)?),
        })
    }

    /// The pieces of a large record.
    fn chunks(&self, log: LogKey, seq: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::with_capacity(len.min(evidence::record::MAX_RECORD));
        for no in 0..len.div_ceil(CHUNK).min(usize::from(u16::MAX)) {
            let key = keys::chunk(log, seq, no as u16);
            let value = self.0.get(&key)?.ok_or(Fault::Damaged("a piece of it is missing"))?;
            let piece = keys::open(&key, &value);
            bytes.extend_from_slice(piece.ok_or(Fault::Damaged("a piece of it is damaged"))?);
        }
        let whole = bytes.len() == len;
        whole.then_some(bytes).ok_or(Fault::Damaged("its pieces do not make its length"))
    }

    /// The size of a log as the index has it: one behind the last record of its last pack.
    pub(crate) fn size(&self, role: Role, log: LogKey) -> Result<u64, Fault> {
        let to = keys::pack(kind(role), log, u64::MAX);
        let Some((key, value)) = self.0.last(&keys::pack(kind(role), log, 0), &to)? else {
            return Ok(0);
        };
        let malformed = || Fault::Damaged("the last entry is damaged");
        let mut rest = keys::open(&key, &value).ok_or_else(malformed)?;
        let mut size = keys::parse_pack(&key).ok_or_else(malformed)?.1;
        while !rest.is_empty() {
            rest = pack::take(rest).ok_or_else(malformed)?.1;
            size += 1;
        }
        Ok(size)
    }

    /// The log that a stream lives in and its version there; if a foreign log holds a stream of the
    /// same name, `prefer` wins.
    pub(crate) fn stream_head(
        &self,
        stream: &StreamRef,
        prefer: u16,
    ) -> Result<Option<(u16, u32)>, ReadError> {
        let (first, last) = keys::PLACES;
        let from = keys::version(stream, 0, first);
        let to = keys::version(stream, u32::MAX, last);
        let Some(head) = self.last_version(&from, &to)? else { return Ok(None) };
        if head.0 == prefer {
            return Ok(Some(head));
        }
        Ok(self.stream_head_in(stream, prefer)?.or(Some(head)))
    }

    /// The version of a stream in one log, with the log.
    pub(crate) fn stream_head_in(
        &self,
        stream: &StreamRef,
        log_no: u16,
    ) -> Result<Option<(u16, u32)>, ReadError> {
        let (from, to) = in_log(stream, log_no);
        self.last_version(&from, &to)
    }

    fn last_version(&self, from: &[u8], to: &[u8]) -> Result<Option<(u16, u32)>, ReadError> {
        let Some((key, value)) = self.0.last(from, to)? else { return Ok(None) };
        let damaged = ReadError::DamagedIndex { what: "version of a stream" };
        let good = keys::open(&key, &value).and_then(|_| keys::parse_version(&key));
        good.map(|(version, place)| Some((place.0, version))).ok_or(damaged)
    }

    /// Version and place of every version of a stream in one log, in their order.
    pub(crate) fn stream(
        &self,
        log_no: u16,
        stream: &StreamRef,
    ) -> Result<Vec<(u32, Place)>, ReadError> {
        let (from, to) = in_log(stream, log_no);
        let (mut out, mut good) = (Vec::new(), true);
        self.0.scan(&from, &to, &mut |key, value| {
            match keys::open(key, value).and_then(|_| keys::parse_version(key)) {
                Some(version) => out.push(version),
                None => good = false,
            }
            good
        })?;
        good.then_some(out).ok_or(ReadError::DamagedIndex { what: "version of a stream" })
    }

    /// The place of an event; the first one if several records name it.
    pub(crate) fn event(&self, id: &[u8; 16]) -> Result<Option<Place>, ReadError> {
        let (mut found, mut good) = (None, true);
        let (first, last) = keys::PLACES;
        self.0.scan(&keys::event(id, first), &keys::event(id, last), &mut |key, value| {
            found = keys::open(key, value).and_then(|_| keys::parse_event(key));
            good = found.is_some();
            false
        })?;
        good.then_some(found).ok_or(ReadError::DamagedIndex { what: "event" })
    }

    /// Counts events and versions by log and epoch, and all commands: what can be missing without
    /// a reader's notice.
    pub(crate) fn count(&self) -> Result<Counts, ReadError> {
        let mut counts = Counts::default();
        let mut good = true;
        let mut count = |kind: u8, place: fn(&[u8]) -> Option<LogKey>| {
            let mut totals: BTreeMap<LogKey, u64> = BTreeMap::new();
            let (from, to) = ([kind], [kind; 1].into_iter().chain([u8::MAX; 64]));
            self.0.scan(&from, &to.collect::<Vec<u8>>(), &mut |key, value| {
                match place(key).filter(|_| keys::open(key, value).is_some()) {
                    Some(log) => *totals.entry(log).or_default() += 1,
                    None => good = false,
                }
                good
            })?;
            Ok::<_, IndexError>(totals)
        };
        counts.events = count(b'E', |key| keys::parse_event(key).map(|p| (p.0, p.1)))?;
        counts.versions = count(b'V', |key| keys::parse_version(key).map(|(_, p)| (p.0, p.1)))?;
        counts.commands = count(b'C', |_| Some((0, 0)))?.into_values().sum();
        good.then_some(counts).ok_or(ReadError::DamagedIndex { what: "entry" })
    }

    /// What a command did.
    pub(crate) fn command(&self, key: &CommandKey) -> Result<Option<Done>, ReadError> {
        let index_key = keys::command(key);
        let Some(value) = self.0.get(&index_key)? else { return Ok(None) };
        let damaged = ReadError::DamagedIndex { what: "command" };
        let Some(rest) = keys::open(&index_key, &value) else { return Err(damaged) };
        let mut body = Vec::with_capacity(32 + rest.len());
        body.extend_from_slice(&key.principal);
        body.extend_from_slice(&key.command_id);
        body.extend_from_slice(rest);
        Done::decode(&body).map(Some).ok_or(damaged)
    }

    /// One of the marks that say how far the index is; `None` if it is missing or damaged.
    pub(crate) fn mark(&self, key: &[u8]) -> Result<Option<Mark>, IndexError> {
        let value = self.0.get(key)?;
        Ok(value.and_then(|value| Mark::decode(keys::open(key, &value)?)))
    }
}
