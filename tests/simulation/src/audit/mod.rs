//! Who watches from outside. The auditor shares nothing with the offices but what they have stored
//! and what goes over the wires, and remembers all of it, so an office that forgets is found out.
//!
//! | name | what must hold |
//! |---|---|
//! | `acknowledged` | a record whose writer was answered is in its log, as it was, for ever |
//! | `durable` | what an office has ever shown of its own log is there after every restart |
//! | `repeated-command` | the same command gives the same answer and records nothing more |
//! | `mirror` | a mirror is a prefix of its origin's log: the same root at the same size |
//! | `forgetful-mirror` | what a mirror held, it holds |
//! | `served-damage` | a record that is read is the one that was recorded |
//! | `applied-once` | the fold applies every record of every log once, in its order |
//! | `two-histories` | all that somebody co-signs of a log is of one history |
//! | `frozen` | a mirror of which two histories were seen does not grow |
//! | `line-before-store` | whoever says that he holds or co-signed a head has it stored |
//! | `false-live` | a link that is shown as live was heard of lately and lacks nothing |
//! | `preview` | what is shown ahead of a backlog is urgent, and is what its origin wrote there |
//! | `delivered-once` | a directive gives one delivery in its region's log |
//! | `declared-hole` | of an epoch that was left, exactly what nobody has is declared missing |
//! | `convergence` | when everything is mended, everybody has everything, soon |
//! | `explanation` | what does not go on says why, on both sides |
//! | `tables` | the tables are equal whatever the order of the logs |

mod ahead;
mod fold;
mod history;
mod lines;
mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evidence::hash::{Hash, hex};
use evidence::log::{LogName, Position};
use journal::{LogInfo, Role};
use node::link::store;
use node::office::Office;
use wire::pb::replication::v1::Frame;

use crate::machine::Machine;
use crate::trace::Trace;

pub use history::Branch;

/// An epoch of a log.
pub type Epoch = (LogName, u32);

/// What must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the table.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
}

/// What one computer showed of one log's epoch.
#[derive(Clone, Copy, Debug)]
struct Shown {
    size: u64,
    root: Hash,
    role: Role,
}

/// A record whose writer was answered.
#[derive(Clone, Debug)]
struct Answered {
    at: Position,
    /// Hash of the record as it was read after the answer; `None` where it could not be read.
    leaf: Option<Hash>,
    generation: u32,
}

/// Who watches.
pub struct Auditor {
    /// What was found wrong.
    pub violations: Vec<Violation>,
    /// Every epoch's history, one for each disk that wrote it.
    histories: BTreeMap<Epoch, Vec<Branch>>,
    /// What each computer's present disk showed.
    shown: BTreeMap<(String, LogName, u32), Shown>,
    /// The most that a computer ever held of an epoch, whatever became of its disk.
    most: BTreeMap<(String, LogName, u32), u64>,
    /// The largest head of an epoch that a computer ever stored.
    heads: BTreeMap<(String, LogName, u32), u64>,
    /// Mirrors of which two histories were seen.
    frozen: BTreeSet<(String, LogName, u32)>,
    /// Groups that were made durable when a computer was last looked at.
    groups: BTreeMap<String, u64>,
    answered: BTreeMap<String, BTreeMap<[u8; 16], Vec<Answered>>>,
    /// Records of a command, by computer: each that a rule allows once.
    folds: BTreeMap<String, fold::Fold>,
    heard: links::Heard,
    lines: lines::Lines,
    /// Computers with a damaged disk: they may say that a record cannot be read.
    rotten: BTreeSet<String>,
}

impl Auditor {
    /// Watches these computers.
    pub fn new(machines: &[Machine]) -> Auditor {
        Auditor {
            violations: Vec::new(),
            histories: BTreeMap::new(),
            shown: BTreeMap::new(),
            most: BTreeMap::new(),
            heads: BTreeMap::new(),
            frozen: BTreeSet::new(),
            groups: BTreeMap::new(),
            answered: BTreeMap::new(),
            folds: BTreeMap::new(),
            heard: links::Heard::default(),
            lines: lines::Lines::new(machines),
            rotten: BTreeSet::new(),
        }
    }

    /// This must hold.
    pub fn must(&mut self, holds: bool, invariant: &'static str, text: impl FnOnce() -> String) {
        // One fault shows itself again and again: the first ones tell enough.
        if !holds && self.violations.len() < 8 {
            self.violations.push(Violation { invariant, text: text() });
        }
    }

    /// The disk of a computer is damaged, or mended.
    pub fn rot(&mut self, name: &str, is_rotten: bool) {
        if is_rotten {
            self.rotten.insert(name.to_owned());
        } else {
            self.rotten.remove(name);
        }
    }

    /// The disk of a computer was replaced: nothing that it showed binds it any more.
    pub fn replaced(&mut self, name: &str) {
        self.shown.retain(|(of, ..), _| of != name);
        self.groups.remove(name);
        self.heard.forget_heads();
    }

    /// An office runs. What its disk showed before must be there.
    pub fn started(&mut self, now: Duration, machine: &Machine, office: &Office) {
        self.groups.remove(&machine.name);
        let logs = office.journal.logs();
        let shown: Vec<_> =
            self.shown.range(of(&machine.name)).map(|(k, s)| (k.clone(), *s)).collect();
        for ((name, log, epoch), before) in shown {
            let size = logs.iter().find(|info| info.log == log && info.epoch == epoch);
            let size = size.map_or(0, |info| info.size);
            let invariant = match before.role {
                Role::Own => "durable",
                Role::Mirror => "forgetful-mirror",
            };
            self.must(size >= before.size, invariant, || {
                let had = before.size;
                format!("{name} has {size} records of {log}:{epoch} after its start, had {had}")
            });
        }
        let mut none = Trace::new(0);
        self.observe(now, machine, office, &mut none);
    }

    /// Looks at what an office has stored, if anything has changed.
    pub fn observe(
        &mut self,
        now: Duration,
        machine: &Machine,
        office: &Office,
        trace: &mut Trace,
    ) {
        let groups = office.journal.durable().groups();
        if self.groups.insert(machine.name.clone(), groups) == Some(groups) {
            return;
        }
        self.judge_previews(&machine.name, office);
        for info in office.journal.logs() {
            let key = (machine.name.clone(), info.log.clone(), info.epoch);
            let before = self.shown.get(&key).copied();
            let is_same = |before: Shown| before.size == info.size && before.root == info.root;
            if before.is_some_and(is_same) {
                self.head_of(&key, &info, office);
                continue;
            }
            let root = &hex(&info.root)[..8];
            let what = format!("has {}:{} {} {root}", info.log, info.epoch, info.size);
            trace.line(now, &machine.name, &what);
            match info.role {
                Role::Own => self.own(machine, office, &info),
                Role::Mirror => self.mirror(machine, office, &info, before.as_ref()),
            }
            self.head_of(&key, &info, office);
            let most = self.most.entry(key.clone()).or_insert(0);
            *most = info.size.max(*most);
            self.shown.insert(key, Shown { size: info.size, root: info.root, role: info.role });
        }
    }

    /// What an office has stored of a mirror's head, and of its faults.
    fn head_of(&mut self, key: &(String, LogName, u32), info: &LogInfo, office: &Office) {
        let (_, log, epoch) = key;
        if info.role == Role::Own {
            return;
        }
        if let Some(head) = store::accepted(office, log, *epoch) {
            let most = self.heads.entry(key.clone()).or_insert(0);
            *most = head.size.max(*most);
        }
        if store::frozen(office, log, *epoch).is_some() {
            self.frozen.insert(key.clone());
        }
    }

    /// A command that was answered is not carried out again, and is answered again.
    pub fn not_answered_again(&mut self, name: &str, command: [u8; 16], why: &str) {
        let generation = self.generation(name);
        let answers = self.answered.get(name).and_then(|answers| answers.get(&command));
        let was = answers.is_some_and(|a| a.iter().all(|one| one.generation == generation));
        self.must(!was, "repeated-command", || {
            format!("{name} answered a command and does not know its repetition: {why}")
        });
    }

    /// A writer was answered.
    pub fn answered(&mut self, name: &str, command: [u8; 16], at: &[Position], office: &Office) {
        let generation = self.generation(name);
        let read = |at: &Position| {
            let record = office.journal.get(&at.log, at.epoch, at.seq).ok().flatten();
            Answered { at: at.clone(), leaf: record.map(|r| r.leaf_hash()), generation }
        };
        let now: Vec<Answered> = at.iter().map(read).collect();
        let rotten = self.rotten.contains(name);
        let unread = now.iter().find(|one| one.leaf.is_none()).map(|one| one.at.clone());
        self.must(rotten || unread.is_none(), "acknowledged", || {
            format!("{name} cannot read {unread:?}, which it has just acknowledged")
        });
        let answers = self.answered.entry(name.to_owned()).or_default();
        let same_disk = |one: &Answered| one.generation == generation;
        let before = answers.get(&command).filter(|before| before.iter().all(same_disk)).cloned();
        match before {
            None => drop(answers.insert(command, now)),
            Some(before) => {
                let places = |of: &[Answered]| of.iter().map(|a| a.at.clone()).collect::<Vec<_>>();
                let (was, is) = (places(&before), places(&now));
                self.must(was == is, "repeated-command", || {
                    format!("{name} answered a command with {was:?}, its repetition with {is:?}")
                });
            }
        }
    }

    /// A frame has come in.
    pub fn heard(&mut self, now: Duration, name: &str, from: &str, frame: &Frame) {
        let Ok(message) = wire::decode_frame(frame.clone()) else {
            self.heard.frame(now, name, from, None);
            return;
        };
        self.heard.frame(now, name, from, Some(&message));
        let said = lines::said(&message);
        for said in said {
            self.judge_line(from, &said);
        }
    }

    fn generation(&self, name: &str) -> u32 {
        self.lines.generation(name)
    }

    /// What a computer's present disk shows of an epoch.
    pub fn size(&self, name: &str, log: &LogName, epoch: u32) -> u64 {
        let key = (name.to_owned(), log.clone(), epoch);
        self.shown.get(&key).map_or(0, |shown| shown.size)
    }

    /// Every acknowledged record that its computer's disk must still have, and has not.
    pub fn judge_answered(&mut self, name: &str) {
        let (generation, answers) = (self.generation(name), self.answered.get(name));
        let mut lost = Vec::new();
        for one in answers.into_iter().flat_map(BTreeMap::values).flatten() {
            if one.generation != generation {
                continue;
            }
            let branches = self.histories.get(&(one.at.log.clone(), one.at.epoch));
            let mine = branches
                .into_iter()
                .flatten()
                .find(|branch| branch.writer == (name.to_owned(), generation));
            let held = mine.and_then(|branch| branch.leaves.get(one.at.seq as usize));
            let shown = self.size(name, &one.at.log, one.at.epoch);
            if shown <= one.at.seq
                || held.is_none()
                || (one.leaf.is_some() && held != one.leaf.as_ref())
            {
                lost.push(one.at.clone());
            }
        }
        self.must(lost.is_empty(), "acknowledged", || {
            format!("{name} acknowledged {} and does not have it", lost[0])
        });
    }
}

/// The range of what one computer showed.
fn of(name: &str) -> impl std::ops::RangeBounds<(String, LogName, u32)> {
    // The smallest and the largest name of a log: names begin with a small letter.
    let first: LogName = "kz".parse().unwrap();
    let last: LogName = "zz-99".parse().unwrap();
    (name.to_owned(), first, 0)..=(name.to_owned(), last, u32::MAX)
}
