//! Two offices, what is on the way between them, and the steps that a script takes.

use std::collections::VecDeque;

use replication::limits::READS_IN_FLIGHT;
use replication::{
    Action, Cosigned, Entries, Failure, Limits, LogState, Message, Now, Offer, PreviewAsk, Role,
    Session,
};

use super::audit;
use super::bend::{bend, invent, splice};
use super::cheat::Cheat;
use super::material::{LENGTH, MATERIAL};
use super::office::{Copy, Office};
use super::script::Script;

/// The step by which the logs of an office grow; its number follows.
pub const GROW: u8 = 0x6a;

/// The step by which time passes; how much follows.
pub const PASS: u8 = 0x69;

/// The step by which a side begins to cheat; the side and how follow.
pub const CHEAT: u8 = 0x64;

/// Steps of one script, and links that one script opens.
const STEPS: usize = 400;
const LINKS: usize = 6;

/// Messages of one side that are kept to be said again, and that may be on the way.
const KEPT: usize = 96;
const ON_THE_WAY: usize = 512;

const SECOND: u64 = 1_000_000;

/// Who talks about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A centre and a region that mirror each other.
    Mirrors,
    /// The centre gives the region back what it lost.
    Returns,
    /// The centre shows heads of the region to another region.
    Witness,
}

struct End {
    session: Session,
    outbox: VecDeque<Message>,
    tasks: VecDeque<Action>,
    /// Whether requests wait until a step executes them.
    dawdles: bool,
}

impl End {
    fn new(office: &Office, limits: &Limits, now: Now) -> End {
        let session = Session::new(office.config(limits), now).unwrap();
        End { session, outbox: VecDeque::new(), tasks: VecDeque::new(), dawdles: false }
    }
}

/// Two offices and the one between them.
pub struct Conversation {
    now: u64,
    limits: Limits,
    /// The centre and the other office.
    pub offices: [Office; 2],
    ends: [End; 2],
    /// How each side cheats.
    cheats: [Cheat; 2],
    /// A session has ended.
    over: bool,
    links: usize,
    /// What was said, for saying it again.
    pub said: Vec<Message>,
}

fn at(mono: u64) -> Now {
    Now { mono, unix: 1_800_000_000_000_000 + mono as i64 }
}

/// The offices of a scene; `variant` says how much they have.
fn offices(scene: Scene, variant: u8) -> [Office; 2] {
    let (low, high) = (u64::from(variant & 3), u64::from(variant >> 2 & 3));
    let (region, centre) = (MATERIAL.nth(0), MATERIAL.nth(1));
    let new = |code, peer| Office { code, peer, ..Office::default() };
    let other = if scene == Scene::Witness { "KZ-71" } else { "KZ-75" };
    let (mut a, mut b) = (new("KZ", other), new(other, "KZ"));
    a.forgotten = variant & 0x80 != 0;
    let (held, signed) = (low * 3, low * 3 + high);
    match scene {
        Scene::Mirrors => {
            a.mirrors.insert(region.name.clone(), Copy::new(region, held, signed));
            b.own.insert(region.name.clone(), signed + high * 2);
            a.own.insert(centre.name.clone(), high + 5);
            b.mirrors.insert(centre.name.clone(), Copy::new(centre, low, low));
        }
        Scene::Returns => {
            a.mirrors.insert(region.name.clone(), Copy::new(region, held + 8, signed + 8));
            a.given = Some((region.name.clone(), held + 8, signed + 8));
            let mut lost = Copy::new(region, high * 5, if low == 0 { 0 } else { high * 5 });
            lost.comes_back = true;
            b.lost = Some((region.name.clone(), lost));
            a.own.insert(centre.name.clone(), high + 5);
            b.mirrors.insert(centre.name.clone(), Copy::new(centre, low, low));
        }
        Scene::Witness => {
            a.offers = Some(region.name.clone());
            b.witnessed.insert(region.name.clone(), Copy::new(region, 0, held));
            b.witnessed.insert(centre.name.clone(), Copy::new(centre, 0, 0));
        }
    }
    [a, b]
}

impl Conversation {
    /// Runs a script to its end. Panics if something that must be true is not.
    pub fn run(scene: Scene, data: &[u8]) -> Conversation {
        let mut script = Script::new(data);
        let offices = offices(scene, script.byte());
        let limits = Limits { window_bytes: 8192, batch_bytes: 4096, ..Limits::default() };
        let ends = [0, 1].map(|i| End::new(&offices[i], &limits, at(1)));
        let (cheats, over, said) = ([Cheat::default(); 2], false, Vec::new());
        let mut it = Conversation { now: 1, limits, offices, ends, cheats, over, links: 1, said };
        it.settle(0);
        it.settle(1);
        for _ in 0..STEPS {
            if script.is_over() {
                break;
            }
            it.step(&mut script);
            if it.over && !it.link_again() {
                return it;
            }
        }
        it
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.byte();
        let from = usize::from(op & 1);
        if op < 0x60 {
            if let Some(message) = self.next(from) {
                self.hear(1 - from, message);
            }
            return;
        }
        match op % 16 {
            0..=3 => self.bend_next(op, script),
            4 => self.cheats[script.below(2)] = Cheat(script.byte()),
            5 => drop(self.ends[from].outbox.pop_front()),
            6 => self.ends[from].outbox.rotate_left(1.min(self.ends[from].outbox.len())),
            7 | 8 => self.repeat(from, script),
            9 => self.pass_time([1, 1, 6, 11, 130][script.below(5)] * SECOND),
            10 => self.grow(script),
            11 => self.fail_one(script),
            12 => {
                let end = &mut self.ends[script.below(2)];
                end.dawdles = !end.dawdles;
            }
            13 => self.work(script.below(2)),
            14 => self.flood(script),
            _ => match script.below(4) {
                0 => self.over = true,
                _ => self.hear(1 - from, invent(script)),
            },
        }
    }

    /// The next message of one side, as it has it said.
    fn next(&mut self, from: usize) -> Option<Message> {
        let mut message = self.ends[from].outbox.pop_front()?;
        self.cheats[from].turn(&mut message);
        Some(message)
    }

    /// The next message arrives changed.
    fn bend_next(&mut self, op: u8, script: &mut Script<'_>) {
        let from = script.below(2);
        let Some(mut message) = self.next(from) else {
            return self.hear(1 - from, invent(script));
        };
        match op % 16 {
            0 => {
                let count = self.said.len();
                let other = self.said.get(script.below(count)).cloned();
                message = splice(&message, other.as_ref(), script);
            }
            _ => bend(&mut message, script),
        }
        self.hear(1 - from, message);
    }

    /// Something that was said on this link or an earlier one, by either side, is said again.
    fn repeat(&mut self, from: usize, script: &mut Script<'_>) {
        let at = script.below(self.said.len());
        if let Some(mut message) = self.said.get(at).cloned() {
            if script.byte() < 96 {
                bend(&mut message, script);
            }
            self.hear(1 - from, message);
        }
    }

    fn pass_time(&mut self, by: u64) {
        self.now += by;
        for i in 0..2 {
            self.ends[i].session.tick(at(self.now));
            self.settle(i);
        }
    }

    fn grow(&mut self, script: &mut Script<'_>) {
        let i = script.below(2);
        let now = at(self.now);
        if let Some(log) = &self.offices[i].offers {
            let Some(log) = MATERIAL.log(log) else { return };
            let note = log.histories[0].heads[script.below(LENGTH as usize + 1)].clone();
            let (name, verifier) = (log.name.clone(), log.verifier.clone());
            let offer = Offer { log: name.clone(), epoch: 1, verifier, note, own: false };
            self.ends[i].session.offer(now, offer);
            let cosignature = MATERIAL.lines[0].clone();
            let passed = Cosigned { log: name, epoch: 1, size: 8, cosignature };
            let _ = self.ends[i].session.pass_on(passed);
        }
        let office = &mut self.offices[i];
        office.kept.look(now, &mut self.ends[i].session);
        let copied = office.mirrors.keys().chain(office.lost.iter().map(|(log, _)| log)).next();
        if let Some(log) = copied {
            office.files.look(now, log, &mut self.ends[i].session);
        }
        for (log, size) in office.own.iter_mut().filter(|_| !office.read_only) {
            *size = (*size + 3).min(LENGTH);
            self.ends[i].session.local_grew(now, log, 1, *size);
        }
        self.settle(i);
    }

    /// The disk or the key refuses one request.
    fn fail_one(&mut self, script: &mut Script<'_>) {
        let (i, which) = (script.below(2), script.below(5));
        let failures = [
            Failure::DiskFull,
            Failure::IndexBuilding,
            Failure::Damaged,
            Failure::OutOfStep,
            Failure::Internal,
        ];
        self.answer_one(i, Some(failures[which]));
    }

    fn work(&mut self, i: usize) {
        self.answer_one(i, None);
    }

    fn answer_one(&mut self, i: usize, failure: Option<Failure>) {
        if let Some(task) = self.ends[i].tasks.pop_front() {
            self.offices[i].execute(at(self.now), task, failure, &mut self.ends[i].session);
            self.settle(i);
        }
    }

    /// Batches that cost memory and hold nothing, while a head is being stored.
    fn flood(&mut self, script: &mut Script<'_>) {
        let i = script.below(2);
        let stores = self.ends[i].tasks.iter().find_map(|task| match task {
            Action::PersistHead(ask) => Some((ask.log.clone(), ask.size)),
            _ => None,
        });
        let Some((log, head_size)) = stores else { return };
        let status = self.ends[i].session.status(at(self.now));
        let of_log = |l: &&replication::LogStatus| l.log == log && l.role == Role::Follower;
        let takes = |state: &LogState| matches!(state, LogState::Live | LogState::CatchingUp);
        let is_mirror = self.offices[i].mirrors.contains_key(&log);
        if !is_mirror || !status.logs.iter().find(of_log).is_some_and(|l| takes(&l.state)) {
            return;
        }
        let (records, proof) = match script.below(2) {
            0 => (vec![Vec::new(); 65_536], Vec::new()),
            _ => (Vec::new(), vec![[0; 32]; 32_768]),
        };
        for _ in 0..40 {
            let (log, records, proof) = (log.clone(), records.clone(), proof.clone());
            let batch = Entries { log, epoch: 1, first_seq: 0, head_size, records, proof };
            self.ends[i].session.handle(at(self.now), Message::Entries(batch));
        }
        assert!(self.ends[i].session.is_closed(), "what waits for a head has no bound");
        self.settle(i);
    }

    /// A message arrives; everything that follows from it is checked.
    fn hear(&mut self, i: usize, message: Message) {
        self.ends[i].session.handle(at(self.now), message);
        self.settle(i);
    }

    /// Drains the session, and executes what it asks unless the office dawdles.
    fn settle(&mut self, i: usize) {
        loop {
            self.drain(i);
            let end = &mut self.ends[i];
            if end.dawdles || end.session.is_closed() {
                break;
            }
            let Some(task) = end.tasks.pop_front() else { break };
            self.offices[i].execute(at(self.now), task, None, &mut end.session);
        }
        let status = self.ends[i].session.status(at(self.now));
        audit::shown(&self.offices[i], &status);
        self.check_requests(i);
    }

    fn drain(&mut self, i: usize) {
        let (office, end) = (&mut self.offices[i], &mut self.ends[i]);
        let mut closed = false;
        while let Some(action) = end.session.poll() {
            assert!(!closed, "something follows the end");
            match action {
                Action::Send(message) => {
                    audit::said(office, &message);
                    if self.said.len() < KEPT {
                        self.said.push(message.clone());
                    }
                    if end.outbox.len() < ON_THE_WAY {
                        end.outbox.push_back(message);
                    }
                }
                Action::Close(_) => closed = true,
                Action::ReadRoot(_)
                | Action::SignHead(_)
                | Action::ReadEntries(_)
                | Action::PersistHead(_)
                | Action::CommitBatch(_)
                | Action::ProveHead(_)
                | Action::ReadRegister(_)
                | Action::PersistWitness(_)
                | Action::ReadKeys(_)
                | Action::KeepKeys(_)
                | Action::Preview(PreviewAsk::Find(_) | PreviewAsk::Read(_))
                | Action::Attachment(_) => end.tasks.push_back(action),
                other => office.execute(at(self.now), other, None, &mut end.session),
            }
        }
        if closed {
            self.over = true;
            self.check_end(i);
        }
    }

    /// A session that has ended asks and says nothing more, whatever comes.
    fn check_end(&mut self, i: usize) {
        let now = at(self.now + 200 * SECOND);
        let end = &mut self.ends[i];
        for task in std::mem::take(&mut end.tasks) {
            self.offices[i].execute(now, task, None, &mut end.session);
        }
        for message in self.said.iter().take(8) {
            end.session.handle(now, message.clone());
        }
        end.session.tick(now);
        assert!(end.session.poll().is_none(), "a request after the end");
        assert!(end.session.is_closed() && end.session.next_wakeup().is_none());
    }

    /// What is with the driver at one time is bounded, whatever the peer says.
    fn check_requests(&self, i: usize) {
        let tasks = &self.ends[i].tasks;
        let count = |is: fn(&Action) -> bool| tasks.iter().filter(|task| is(task)).count();
        let reads = count(|task| matches!(task, Action::ReadEntries(_)));
        assert!(reads <= READS_IN_FLIGHT, "{reads} reads at one time");
        for is in [
            (|task| matches!(task, Action::PersistHead(_))) as fn(&Action) -> bool,
            |task| matches!(task, Action::SignHead(_)),
            |task| matches!(task, Action::ReadRoot(_)),
            |task| matches!(task, Action::ProveHead(_)),
            |task| matches!(task, Action::ReadKeys(_)),
            |task| matches!(task, Action::KeepKeys(_)),
            |task| matches!(task, Action::Preview(_)),
        ] {
            assert!(count(is) <= 2, "more than one request of a kind for each log");
        }
    }

    /// The next link; what was stored is there. False if there were enough.
    fn link_again(&mut self) -> bool {
        self.links += 1;
        self.over = false;
        if self.links > LINKS {
            return false;
        }
        self.now += SECOND;
        self.ends = [0, 1].map(|i| End::new(&self.offices[i], &self.limits, at(self.now)));
        self.offices.iter_mut().for_each(|office| office.kept.begin_link());
        self.settle(0);
        self.settle(1);
        true
    }
}
