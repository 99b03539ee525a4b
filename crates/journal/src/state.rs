//! The durable state that fits into memory: logs with the right edge of their trees, control facts.

use std::collections::{BTreeMap, HashMap};

use evidence::log::LogName;
use evidence::merkle::Frontier;

use crate::group::{GroupBuffer, LogBody, put_control};
use crate::report::{LogInfo, Role};
use crate::segment::LogKey;

/// One log with its epochs.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub no: u16,
    pub name: LogName,
    pub role: Role,
    pub last_recorded_at: i64,
    /// Right edge of each epoch's tree; the last epoch of an own log is open for appends.
    pub epochs: BTreeMap<u32, Frontier>,
}

impl Log {
    /// The open epoch.
    pub(crate) fn open_epoch(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }
}

/// All logs and control facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    logs: BTreeMap<u16, Log>,
    numbers: HashMap<LogName, u16>,
    controls: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of all keys and values in `controls`.
    control_bytes: usize,
    /// Number of commands that were done.
    pub commands: u64,
}

impl State {
    /// The log with this number.
    pub(crate) fn log(&self, no: u16) -> Option<&Log> {
        self.logs.get(&no)
    }

    /// The log with this number, to change it.
    pub(crate) fn log_mut(&mut self, no: u16) -> Option<&mut Log> {
        self.logs.get_mut(&no)
    }

    /// The log with this name.
    pub(crate) fn named(&self, name: &LogName) -> Option<&Log> {
        self.logs.get(self.numbers.get(name)?)
    }

    /// The right edge of an epoch.
    pub(crate) fn frontier(&self, key: LogKey) -> Option<&Frontier> {
        self.logs.get(&key.0)?.epochs.get(&key.1)
    }

    /// All logs by number.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &Log> {
        self.logs.values()
    }

    /// The number that the next new log gets; `None` after 65,535.
    pub(crate) fn next_no(&self) -> Option<u16> {
        self.logs.keys().next_back().copied().unwrap_or(0).checked_add(1)
    }

    /// Sum of all sizes.
    pub(crate) fn records(&self) -> u64 {
        self.logs().flat_map(|log| log.epochs.values()).map(Frontier::size).sum()
    }

    /// All live control facts.
    pub(crate) fn controls(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.controls
    }

    /// Bytes of the keys and values of all live control facts.
    pub(crate) fn control_bytes(&self) -> usize {
        self.control_bytes
    }

    /// Sets a control fact.
    pub(crate) fn set_control(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let (key_len, new) = (key.len(), value.len());
        match self.controls.insert(key, value) {
            Some(old) => self.control_bytes = self.control_bytes + new - old.len(),
            None => self.control_bytes += key_len + new,
        }
    }

    /// Takes in a log frame: a new log, a new epoch, or a snapshot of one.
    pub(crate) fn insert(&mut self, body: &LogBody) -> Result<(), &'static str> {
        let number = self.numbers.get(&body.name).copied();
        if number.is_some_and(|no| no != body.log_no) {
            return Err("log has two numbers");
        }
        if number.is_none() && self.logs.contains_key(&body.log_no) {
            return Err("log number is used twice");
        }
        let log = self.logs.entry(body.log_no).or_insert_with(|| Log {
            no: body.log_no,
            name: body.name.clone(),
            role: body.role,
            last_recorded_at: body.last_recorded_at,
            epochs: BTreeMap::new(),
        });
        if log.role != body.role {
            return Err("log has two roles");
        }
        if log.epochs.insert(body.epoch, body.frontier.clone()).is_some() {
            return Err("epoch is opened twice");
        }
        self.numbers.insert(body.name.clone(), body.log_no);
        Ok(())
    }

    /// Whether a snapshot frame says what is known.
    pub(crate) fn agrees(&self, body: &LogBody) -> bool {
        self.log(body.log_no).is_some_and(|log| {
            log.name == body.name
                && log.role == body.role
                && log.last_recorded_at == body.last_recorded_at
                && log.epochs.get(&body.epoch) == Some(&body.frontier)
        })
    }

    /// Number of frames of [`State::snapshot`].
    pub(crate) fn snapshot_frames(&self) -> usize {
        self.logs().map(|log| log.epochs.len()).sum::<usize>() + self.controls.len()
    }

    /// Appends everything as snapshot frames: what a segment starts with.
    pub(crate) fn snapshot(&self, group: &mut GroupBuffer) {
        for log in self.logs() {
            for (epoch, frontier) in &log.epochs {
                let body = LogBody {
                    log_no: log.no,
                    epoch: *epoch,
                    role: log.role,
                    name: log.name.clone(),
                    last_recorded_at: log.last_recorded_at,
                    frontier: frontier.clone(),
                };
                body.put(group, true);
            }
        }
        for (key, value) in &self.controls {
            put_control(group, key, value, true);
        }
    }

    /// What is told about one epoch.
    pub(crate) fn info(log: &Log, epoch: u32, frontier: &Frontier) -> LogInfo {
        LogInfo {
            log: log.name.clone(),
            epoch,
            role: log.role,
            size: frontier.size(),
            root: frontier.root(),
            last_recorded_at: log.last_recorded_at,
        }
    }

    /// What is told about all epochs.
    pub(crate) fn infos(&self) -> Vec<LogInfo> {
        let epochs = |log| epochs_of(log).map(move |(epoch, edge)| Self::info(log, epoch, edge));
        self.logs().flat_map(epochs).collect()
    }
}

fn epochs_of(log: &Log) -> impl Iterator<Item = (u32, &Frontier)> {
    log.epochs.iter().map(|(epoch, frontier)| (*epoch, frontier))
}
