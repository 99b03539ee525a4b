//! Two offices, a link that may break, and an auditor who sees both disks.

use std::collections::{BTreeMap, VecDeque};

use evidence::LogName;
use replication::{
    Action, Backoff, Close, Limits, LinkState, LogState, Message, Role, Session, Status,
};

use super::office::Office;
use super::{Random, at};

/// One end of a link.
pub struct End {
    pub session: Session,
    /// Messages from this end to the other one.
    pub outbox: VecDeque<Message>,
    /// Requests the driver has taken and not executed yet.
    pub tasks: VecDeque<Action>,
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub offices: [Office; 2],
    pub link: Option<[End; 2]>,
    pub backoff: Backoff,
    pub limits: Limits,
    pub closes: Vec<Close>,
    pub delivered: u64,
    pub entries_sent: u64,
    pub cuts: u64,
    /// Records of each mirror that were compared already.
    compared: BTreeMap<(usize, LogName), usize>,
}

pub fn limits() -> Limits {
    Limits { window_bytes: 16 * 1024, batch_bytes: 4 * 1024, ..Limits::default() }
}

impl World {
    pub fn new(seed: u64) -> World {
        let centre = Office::new("KZ", &["kz/all", "kz/kz-75"], &["kz-75", "kz-75/blind"]);
        let region = Office::new("KZ-75", &["kz-75", "kz-75/blind"], &["kz/all", "kz/kz-75"]);
        World {
            now: 1,
            random: Random(seed),
            offices: [centre, region],
            link: None,
            backoff: Backoff::new(100_000, 2_000_000).unwrap(),
            limits: limits(),
            closes: Vec::new(),
            delivered: 0,
            entries_sent: 0,
            cuts: 0,
            compared: BTreeMap::new(),
        }
    }

    pub fn connect(&mut self) {
        let codes = [self.offices[0].code.clone(), self.offices[1].code.clone()];
        let end = |i: usize| {
            let config = self.offices[i].config(&codes[1 - i], &self.limits);
            End {
                session: Session::new(config, at(self.now)).unwrap(),
                outbox: VecDeque::new(),
                tasks: VecDeque::new(),
            }
        };
        self.link = Some([end(0), end(1)]);
        self.drain(0);
        self.drain(1);
    }

    /// Everything on the way and everything not executed is lost.
    pub fn cut(&mut self) {
        if self.link.take().is_some() {
            self.cuts += 1;
            let random = self.random.next();
            self.backoff.failed(self.now, random);
        }
    }

    pub fn append(&mut self, office: usize, log: &LogName) {
        let salt = self.random.next();
        let size = self.offices[office].append(log, salt);
        if let Some(link) = &mut self.link {
            link[office].session.local_grew(at(self.now), log, 1, size);
        }
        self.drain(office);
    }

    pub fn drain(&mut self, i: usize) {
        let Some(link) = &mut self.link else { return };
        let mut over = false;
        while let Some(action) = link[i].session.poll() {
            match action {
                Action::Send(message) => {
                    if let Message::Entries(e) = &message {
                        self.entries_sent += e.records.len() as u64;
                    }
                    link[i].outbox.push_back(message);
                }
                Action::Close(why) => {
                    self.closes.push(why);
                    over = true;
                }
                Action::Greeted(_) => self.backoff.succeeded(),
                Action::Fault(f) => self.offices[i].faults.push(f),
                other => link[i].tasks.push_back(other),
            }
        }
        if over {
            // What was sent before the close still arrives.
            let rest: Vec<_> = link[i].outbox.drain(..).collect();
            for message in rest {
                link[1 - i].session.handle(at(self.now), message);
            }
            while let Some(action) = link[1 - i].session.poll() {
                match action {
                    Action::Fault(f) => self.offices[1 - i].faults.push(f),
                    Action::Close(why) => self.closes.push(why),
                    _ => {}
                }
            }
            self.cut();
        }
    }

    pub fn deliver(&mut self, from: usize) -> bool {
        let Some(link) = &mut self.link else { return false };
        let Some(message) = link[from].outbox.pop_front() else { return false };
        self.delivered += 1;
        link[1 - from].session.handle(at(self.now), message);
        self.drain(1 - from);
        true
    }

    pub fn execute(&mut self, i: usize) -> bool {
        let Some(link) = &mut self.link else { return false };
        if link[i].tasks.is_empty() {
            return false;
        }
        // Reads and signatures are answered in any order, storing keeps its order.
        let any = self.random.below(link[i].tasks.len() as u64) as usize;
        let stores = |a: &Action| matches!(a, Action::PersistHead(_) | Action::CommitBatch(_));
        let index = match stores(&link[i].tasks[any]) {
            true => link[i].tasks.iter().position(stores).unwrap_or(any),
            false => any,
        };
        let Some(task) = link[i].tasks.remove(index) else { return false };
        self.offices[i].execute(at(self.now), task, &mut link[i].session);
        self.drain(i);
        true
    }

    pub fn tick(&mut self, by: u64) {
        self.now += by;
        for i in 0..2 {
            if let Some(link) = &mut self.link {
                link[i].session.tick(at(self.now));
            }
            self.drain(i);
        }
        if self.link.is_none() && self.backoff.due() <= self.now {
            self.connect();
        }
    }

    /// Runs without faults for `micros`, handling everything as it comes.
    pub fn run(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.now < end {
            while self.deliver(0) || self.deliver(1) || self.execute(0) || self.execute(1) {}
            let wakeup = match &self.link {
                Some([a, b]) => a.session.next_wakeup().into_iter().chain(b.session.next_wakeup()),
                None => None.into_iter().chain(None),
            };
            let next = wakeup.min().unwrap_or(self.backoff.due()).clamp(self.now + 1, end);
            self.tick(next - self.now);
            self.audit();
        }
        while self.deliver(0) || self.deliver(1) || self.execute(0) || self.execute(1) {}
    }

    pub fn status(&self, i: usize) -> Option<Status> {
        self.link.as_ref().map(|l| l[i].session.status(at(self.now)))
    }

    pub fn live(&self) -> bool {
        (0..2).all(|i| self.status(i).is_some_and(|s| s.link == LinkState::Live))
    }

    /// What must be true at every moment.
    pub fn audit(&mut self) {
        for i in 0..2 {
            let (origin, follower) = (&self.offices[i], &self.offices[1 - i]);
            for (log, mirror) in &follower.mirrors {
                let own = &origin.own[log];
                let size = mirror.stored.records.len();
                let before = self.compared.insert((i, log.clone()), size).unwrap_or(0);
                if before != size {
                    let new = &mirror.stored.records[before..];
                    assert!(own.records[before..].starts_with(new), "{log} is no prefix");
                    assert_eq!(own.root_at(size as u64), mirror.stored.root(), "{log} roots");
                }
                assert!(mirror.head.as_ref().map_or(0, |h| h.0) >= size as u64, "{log} head");
            }
            for c in &origin.cosignatures {
                let mirror = &follower.mirrors[&c.log];
                let durable = match c.kind {
                    replication::CosignatureKind::Mirror => mirror.stored.size(),
                    replication::CosignatureKind::Witness => mirror.head.as_ref().unwrap().0,
                };
                assert!(durable >= c.size, "{} co-signed before it was durable", c.log);
            }
            self.audit_status(i);
        }
    }

    /// "Live" and "held" must be true, not hoped.
    fn audit_status(&self, i: usize) {
        let Some(status) = self.status(i) else { return };
        for log in &status.logs {
            let (own, mirror) = match log.role {
                Role::Origin => (&self.offices[i].own, &self.offices[1 - i].mirrors),
                Role::Follower => (&self.offices[1 - i].own, &self.offices[i].mirrors),
            };
            let (own, mirror) = (&own[&log.log], &mirror[&log.log]);
            assert!(log.held <= mirror.stored.size(), "{} held too early", log.log);
            if log.state == LogState::Live {
                match log.role {
                    Role::Origin => assert_eq!(own.size(), mirror.stored.size(), "{}", log.log),
                    Role::Follower => {
                        assert_eq!(Some(mirror.stored.size()), mirror.head.as_ref().map(|h| h.0));
                    }
                }
            }
        }
    }

    /// Everything has arrived, once, in both directions.
    pub fn assert_complete(&mut self) {
        self.audit();
        for i in 0..2 {
            for (log, own) in &self.offices[i].own {
                let mirror = &self.offices[1 - i].mirrors[log];
                assert!(own.records == mirror.stored.records, "{log} is not complete");
                let signed = |kind| {
                    let all = self.offices[i].cosignatures.iter();
                    all.filter(|c| c.log == *log && c.kind == kind).map(|c| c.size).max()
                };
                use replication::CosignatureKind::{Mirror, Witness};
                assert_eq!(signed(Witness), Some(own.size()), "{log} witness");
                assert_eq!(signed(Mirror), Some(own.size()), "{log} mirror");
            }
            assert!(self.offices[i].faults.iter().all(|f| f.code.is_temporary()));
        }
    }
}
