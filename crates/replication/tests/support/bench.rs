//! A scripted peer: it says what the test makes it say, with real keys, records and proofs.

use evidence::Hash;
use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::merkle::consistency_proof;
use replication::{
    Action, Close, Entries, Fault, Head, Held, Hello, Holding, Limits, LogState, Message, PROTOCOL,
    Party, RefusalCode, Role, Session,
};

use super::office::{Office, Stored, log_signer};
use super::world::limits;
use super::{DOMAIN, at, name, record};

pub const LOG: &str = "kz-75";

/// An office under test and what came out of it.
pub struct Bench {
    pub office: Office,
    pub session: Session,
    pub sent: Vec<Message>,
    pub faults: Vec<Fault>,
    pub close: Option<Close>,
    pub now: u64,
}

impl Bench {
    /// The centre, mirroring `kz-75`.
    pub fn centre(office: Office) -> Bench {
        Bench::new(office, "KZ-75")
    }

    pub fn new(office: Office, peer: &str) -> Bench {
        Bench::with(office, peer, &limits())
    }

    pub fn with(office: Office, peer: &str, limits: &Limits) -> Bench {
        let session = Session::new(office.config(peer, limits), at(1)).unwrap();
        let mut bench =
            Bench { office, session, sent: vec![], faults: vec![], close: None, now: 1 };
        bench.settle();
        bench
    }

    /// Executes everything asked for at once.
    pub fn settle(&mut self) {
        while let Some(action) = self.session.poll() {
            match action {
                Action::Send(m) => self.sent.push(m),
                Action::Fault(f) => self.faults.push(f),
                Action::Close(c) => self.close = Some(c),
                other => self.office.execute(at(self.now), other, &mut self.session),
            }
        }
    }

    pub fn say(&mut self, message: Message) {
        self.session.handle(at(self.now), message);
        self.settle();
    }

    pub fn hello(&mut self, office: &str, holdings: Vec<Holding>) {
        self.say(Message::Hello(Hello {
            protocol: PROTOCOL,
            office: office.to_owned(),
            instance: [201; 16],
            software: "other 1".to_owned(),
            holdings,
            features: Vec::new(),
            witnessed: Vec::new(),
            shown: Vec::new(),
        }));
    }

    pub fn size(&self) -> u64 {
        self.office.mirrors[&name(LOG)].stored.size()
    }

    pub fn last_held(&self) -> Option<&Held> {
        self.sent.iter().rev().find_map(|m| match m {
            Message::Held(h) => Some(h),
            _ => None,
        })
    }

    /// The log was refused by the session with this code, to the peer and to the operator.
    pub fn assert_refused(&self, code: RefusalCode) -> &Fault {
        let told = self.sent.iter().find_map(|m| match m {
            Message::Refused(r) if r.log == Some(name(LOG)) => Some(r.code),
            _ => None,
        });
        assert_eq!(told, Some(code), "{:?}", self.sent);
        let fault = self.faults.last().unwrap();
        assert_eq!((fault.code, fault.found_by), (code, Party::Us));
        let status = self.session.status(at(self.now));
        let log = status.logs.iter().find(|l| l.log == name(LOG)).unwrap();
        assert!(matches!(&log.state, LogState::Stopped { code: c, .. } if *c == code), "{log:?}");
        assert!(self.close.is_none(), "other logs go on");
        fault
    }
}

/// The region's real log.
pub fn region(size: u64, salt: u64) -> Stored {
    let mut stored = Stored::default();
    for seq in 0..size {
        stored.push(record(&name(LOG), 1, seq, salt + seq));
    }
    stored
}

pub fn centre() -> Office {
    Office::new("KZ", &[], &[LOG])
}

pub fn holding(stored: &Stored, role: Role, head: Option<String>) -> Holding {
    let (size, root) = (stored.size(), stored.root());
    let first = (size > 0).then(|| stored.root_at(1));
    Holding { log: name(LOG), epoch: 1, role, size, root, head, succession: None, first }
}

pub fn note(size: u64, root: Hash) -> String {
    let checkpoint = Checkpoint { origin: origin(DOMAIN, &name(LOG), 1), size, root };
    checkpoint.sign(&log_signer(&name(LOG))).unwrap()
}

pub fn head_of(stored: &Stored, old_size: u64, size: u64) -> Head {
    Head {
        log: name(LOG),
        epoch: 1,
        note: note(size, stored.root_at(size)),
        old_size,
        proof: consistency_proof(&stored.tree, old_size, size).unwrap(),
    }
}

pub fn entries_of(stored: &Stored, from: u64, to: u64, head_size: u64) -> Entries {
    Entries {
        log: name(LOG),
        epoch: 1,
        first_seq: from,
        head_size,
        records: stored.records[from as usize..to as usize].to_vec(),
        proof: consistency_proof(&stored.tree, to, head_size).unwrap(),
    }
}

/// A centre that holds 10 of the region's 20 records under the head of 12.
pub fn at_ten() -> (Stored, Bench) {
    let stored = region(20, 1);
    let mut bench = Bench::centre(centre());
    bench.hello("KZ-75", vec![holding(&stored, Role::Origin, None)]);
    bench.say(Message::Head(head_of(&stored, 0, 12)));
    bench.say(Message::Entries(entries_of(&stored, 0, 10, 12)));
    assert_eq!(bench.size(), 10);
    bench.sent.clear();
    (stored, bench)
}

/// A region with 20 own records.
pub fn writer(stored: Stored) -> Office {
    let mut office = Office::new("KZ-75", &[LOG], &[]);
    office.own.insert(name(LOG), stored);
    office
}

pub fn prefix(stored: &Stored, size: u64) -> Stored {
    let mut out = Stored::default();
    stored.records[..size as usize].iter().for_each(|r| out.push(r.clone()));
    out
}
