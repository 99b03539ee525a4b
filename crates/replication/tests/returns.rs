//! Records of an own log that come back from the office that mirrored them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::VecDeque;

use evidence::merkle::{consistency_proof, empty_root};
use replication::{
    Action, Failure, Fault, GivenLog, LostEpoch, Message, Offered, Party, Recover, Recovered,
    RefusalCode, Rest, Return, Role, Session,
};
use support::bench::{LOG, holding, note, prefix, region};
use support::office::{Mirror, Office, Stored, log_signer_of};
use support::world::limits;
use support::{Random, at, name};

/// What an office has of one epoch.
#[derive(Clone, Default)]
struct Part {
    stored: Stored,
    head: Option<(u64, String)>,
}

/// One end of the link: the region takes back, the centre gives.
struct End {
    session: Session,
    disk: Part,
    offered: Vec<Offered>,
    recovered: Vec<Recovered>,
    faults: Vec<Fault>,
    /// Why nothing can be stored, if so.
    refuses: Option<Failure>,
    now: u64,
}

fn lost(part: &Part) -> LostEpoch {
    LostEpoch {
        epoch: 1,
        verifier: log_signer_of(&name(LOG), 1).verifier(),
        frontier: part.stored.tree.frontier.clone(),
        head: part.head.as_ref().map(|(_, note)| note.clone()),
    }
}

fn taker(disk: Part) -> End {
    let mut config = Office::new("KZ-75", &[], &[]).config("KZ", &limits());
    config.recover = Some(Recover { log: name(LOG), epochs: vec![lost(&disk)] });
    End::new(config, disk)
}

/// A centre that holds `held` of `stored` and accepted the head of `signed`.
fn giver(stored: &Stored, held: u64, signed: u64) -> End {
    let head = Some((signed, note(signed, stored.root_at(signed))));
    let disk = Part { stored: prefix(stored, held), head };
    let mut office = Office::new("KZ", &[], &[LOG]);
    let mirror = Mirror { stored: disk.stored.clone(), head: disk.head.clone() };
    office.mirrors.insert(name(LOG), mirror);
    let mut config = office.config("KZ-75", &limits());
    let proof = consistency_proof(&stored.tree, held, signed).unwrap();
    let note = disk.head.as_ref().map(|(_, note)| note.clone()).unwrap();
    let (size, root) = (held, disk.stored.root());
    let rest = Rest { note, proof };
    config.given = vec![GivenLog { log: name(LOG), epoch: 1, size, root, rest }];
    End::new(config, disk)
}

impl End {
    fn new(config: replication::SessionConfig, disk: Part) -> End {
        let session = Session::new(config, at(1)).unwrap();
        let (offered, recovered, faults) = Default::default();
        End { session, disk, offered, recovered, faults, refuses: None, now: 1 }
    }

    fn settle(&mut self, out: &mut VecDeque<Message>) {
        while let Some(action) = self.session.poll() {
            let now = at(self.now);
            match action {
                Action::Send(message) => out.push_back(message),
                Action::Fault(fault) => self.faults.push(fault),
                Action::Offered(offered) => self.offered.push(offered),
                Action::Recovered(recovered) => self.recovered.push(recovered),
                Action::ReadRoot(ask) => {
                    let root = self.disk.stored.root_at(ask.size);
                    self.session.root_read(now, ask.ticket, Ok(root));
                }
                Action::ProveHead(ask) => {
                    let tree = &self.disk.stored.tree;
                    let proof = consistency_proof(tree, ask.old_size, ask.size).unwrap();
                    self.session.head_proved(now, ask.ticket, Ok(proof));
                }
                Action::ReadEntries(ask) => {
                    let read = self.read(ask.from, ask.head_size, ask.max_bytes);
                    self.session.entries_read(now, ask.ticket, Ok(read));
                }
                Action::PersistHead(ask) => {
                    assert_eq!(ask.replaces, self.disk.head.as_ref().map(|(size, _)| *size));
                    let answer = self.refuses.map_or(Ok(()), Err);
                    if answer.is_ok() {
                        self.disk.head = Some((ask.size, ask.note));
                    }
                    self.session.head_persisted(now, ask.ticket, answer);
                }
                Action::CommitBatch(ask) => {
                    let answer = self.commit(*ask.batch);
                    self.session.stored(now, ask.ticket, answer);
                }
                Action::Greeted(_) | Action::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn read(&self, from: u64, to: u64, max_bytes: usize) -> replication::EntriesRead {
        let mut bytes = 0;
        let records = self.disk.stored.records[from as usize..to as usize].iter();
        let fits = |record: &&Vec<u8>| {
            bytes += record.len();
            bytes <= max_bytes || bytes == record.len()
        };
        let records: Vec<_> = records.take_while(fits).cloned().collect();
        let end = from + records.len() as u64;
        let proof = consistency_proof(&self.disk.stored.tree, end, to).unwrap();
        replication::EntriesRead { records, proof }
    }

    fn commit(&mut self, batch: evidence::verify::VerifiedBatch) -> Result<(), Failure> {
        if let Some(failure) = self.refuses {
            return Err(failure);
        }
        if batch.first_seq() != self.disk.stored.size() {
            return Err(Failure::OutOfStep);
        }
        assert!(self.disk.head.is_some(), "the head is durable first");
        let records = batch.into_parts().records;
        records.into_iter().for_each(|record| self.disk.stored.push(record.into_bytes()));
        Ok(())
    }

    fn say(&mut self, message: Message) -> VecDeque<Message> {
        let mut out = VecDeque::new();
        self.session.handle(at(self.now), message);
        self.settle(&mut out);
        out
    }
}

/// Runs both ends until nothing is on its way, or for `messages`.
fn run(taker: &mut End, giver: &mut End, messages: usize) {
    let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
    taker.settle(&mut up);
    giver.settle(&mut down);
    for _ in 0..messages {
        if let Some(message) = up.pop_front() {
            assert!(!matches!(message, Message::HeadAccepted(_)), "its own log is not co-signed");
            down.extend(giver.say(message));
        } else if let Some(message) = down.pop_front() {
            up.extend(taker.say(message));
        } else {
            return;
        }
    }
}

const ALL: usize = 10_000;

#[test]
fn an_empty_office_gets_back_what_is_held_and_learns_what_is_lost() {
    let stored = region(120, 1);
    for (held, signed) in [(120, 120), (90, 120), (0, 120), (1, 1)] {
        let (mut region, mut centre) = (taker(Part::default()), giver(&stored, held, signed));
        run(&mut region, &mut centre, ALL);
        assert_eq!(region.disk.stored.records, stored.records[..held as usize]);
        assert_eq!(region.disk.stored.root(), stored.root_at(held));
        assert_eq!(region.disk.head.as_ref().map(|(size, _)| *size), Some(signed));
        let whole = Recovered { log: name(LOG), epoch: 1, size: held, signed };
        assert_eq!(region.recovered, [whole]);
        let (log, epochs) = (name(LOG), vec![(1, held)]);
        let offered = Offered { log, epochs, signed: true, understood: true };
        assert_eq!(region.offered, [offered]);
        assert!(region.faults.is_empty() && centre.faults.is_empty());
    }
}

#[test]
fn an_epoch_that_a_hello_names_twice_is_given_back_once() {
    let stored = region(30, 1);
    let (mut region, mut centre) = (taker(Part::default()), giver(&stored, 30, 30));
    let mut up = VecDeque::new();
    region.settle(&mut up);
    let Some(Message::Hello(mut hello)) = up.pop_front() else { panic!("a hello") };
    hello.holdings = vec![hello.holdings[0].clone(); 5];
    let said = centre.say(Message::Hello(hello));
    let returns = said.iter().filter(|m| matches!(m, Message::Return(_))).count();
    assert_eq!(returns, 1);
}

#[test]
fn what_an_office_kept_is_completed_and_what_is_longer_stays() {
    let stored = region(50, 1);
    for (kept, held, signed) in [(20, 40, 40), (20, 40, 50), (40, 40, 50), (45, 40, 40)] {
        let part = Part { stored: prefix(&stored, kept), head: None };
        let (mut region, mut centre) = (taker(part), giver(&stored, held, signed));
        run(&mut region, &mut centre, ALL);
        let size = kept.max(held);
        assert_eq!(region.disk.stored.records, stored.records[..size as usize]);
        assert_eq!(region.recovered, [Recovered { log: name(LOG), epoch: 1, size, signed }]);
        assert!(region.faults.is_empty() && centre.faults.is_empty(), "{:?}", region.faults);
    }
}

#[test]
fn a_longer_log_that_is_not_the_signed_one_is_found_though_the_peer_holds_only_what_both_share() {
    let stored = region(20, 1);
    let mut other = prefix(&stored, 5);
    (5..15).for_each(|seq| other.push(support::record(&name(LOG), 1, seq, 99 + seq)));
    for (signed, is_found) in [(5, false), (11, true), (15, true), (18, false)] {
        let mut region = taker(Part { stored: other.clone(), head: None });
        run(&mut region, &mut giver(&stored, 5, signed), ALL);
        let codes: Vec<_> = region.faults.iter().map(|f| (f.code, f.found_by)).collect();
        let expected = is_found.then_some((RefusalCode::Fork, Party::Us));
        assert_eq!(codes, expected.into_iter().collect::<Vec<_>>(), "head of {signed}");
        assert_eq!(region.recovered.is_empty(), is_found, "head of {signed}");
    }
}

#[test]
fn another_history_is_not_mixed_with_what_was_signed() {
    let (stored, other) = (region(50, 1), region(50, 900));
    for (kept, held) in [(20, 40), (40, 40), (45, 40)] {
        let part = Part { stored: prefix(&other, kept), head: None };
        let (mut region, mut centre) = (taker(part), giver(&stored, held, 50));
        run(&mut region, &mut centre, ALL);
        assert_eq!(region.disk.stored.records, other.records[..kept as usize]);
        assert!(region.recovered.is_empty());
        let [fault] = &region.faults[..] else { panic!("{:?}", region.faults) };
        assert_eq!((fault.code, fault.found_by, fault.own), (RefusalCode::Fork, Party::Us, true));
        assert!(fault.text.contains("--without-centre"), "{}", fault.text);
        // The word of one office freezes nothing at the other.
        assert!(centre.faults.iter().all(|fault| fault.found_by == Party::Peer));
    }
}

#[test]
fn cut_anywhere_it_goes_on_from_what_is_durable() {
    let stored = region(80, 1);
    for seed in 0..30 {
        let (mut random, mut disk, mut links) = (Random(seed), Part::default(), 0);
        while disk.stored.size() < 70 {
            let (mut region, mut centre) = (taker(disk), giver(&stored, 70, 80));
            run(&mut region, &mut centre, 3 + random.below(9) as usize);
            assert!(region.faults.is_empty(), "{:?}", region.faults);
            disk = region.disk;
            let size = disk.stored.size() as usize;
            assert_eq!(disk.stored.records, stored.records[..size]);
            links += 1;
            assert!(links < 200, "no progress");
        }
        assert_eq!(disk.head.map(|(size, _)| size), Some(80));
    }
}

#[test]
fn a_full_disk_and_an_index_that_is_built_pass() {
    let stored = region(40, 1);
    for failure in [Failure::DiskFull, Failure::IndexBuilding] {
        let (mut region, mut centre) = (taker(Part::default()), giver(&stored, 40, 40));
        region.refuses = Some(failure);
        run(&mut region, &mut centre, ALL);
        assert_eq!(region.disk.stored.size(), 0);
        assert!(region.faults.iter().all(|fault| fault.code.is_temporary()));
        region.refuses = None;
        let mut up = VecDeque::new();
        for end in [&mut region, &mut centre] {
            end.now = 1 + limits().store_retry;
        }
        region.session.tick(at(region.now));
        region.settle(&mut up);
        let mut down: VecDeque<Message> = VecDeque::new();
        while let Some(message) = up.pop_front() {
            down.extend(centre.say(message));
            while let Some(message) = down.pop_front() {
                up.extend(region.say(message));
            }
        }
        assert_eq!(region.disk.stored.records, stored.records, "{failure:?}");
        assert_eq!(region.recovered.len(), 1);
    }
}

/// The hello, then what a giver says that is not what was signed.
fn told(change: impl FnOnce(&mut Return, &Stored)) -> End {
    let stored = region(40, 1);
    let mut taker = taker(Part::default());
    let mut shown = Return {
        log: name(LOG),
        epoch: 1,
        note: note(40, stored.root_at(40)),
        size: 30,
        root: stored.root_at(30),
        rest: consistency_proof(&stored.tree, 30, 40).unwrap(),
        old_size: 0,
        proof: Vec::new(),
    };
    change(&mut shown, &stored);
    let head = Some(note(40, stored.root_at(40)));
    taker.say(Message::Hello(replication::Hello {
        shown: Vec::new(),
        protocol: replication::PROTOCOL,
        office: "KZ".to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings: vec![holding(&prefix(&stored, 30), Role::Follower, head)],
        features: vec![replication::RETURN.to_owned()],
        witnessed: Vec::new(),
    }));
    taker.say(Message::Return(shown));
    taker
}

#[test]
fn what_is_not_below_the_signed_head_is_refused() {
    let good = told(|_, _| {});
    assert!(good.faults.is_empty() && good.disk.head.is_some());
    type Change = fn(&mut Return, &Stored);
    use RefusalCode::{BadSignature, WrongKey};
    let cases: [(&str, Change, RefusalCode); 6] = [
        ("another root", |r, _| r.root = [9; 32], BadSignature),
        ("no way to it", |r, _| r.rest.clear(), BadSignature),
        ("more than signed", |r, _| r.size = 41, BadSignature),
        ("another key", |r, s| r.note = foreign(s), WrongKey),
        ("no note", |r, _| r.note = "x".to_owned(), BadSignature),
        ("another start", |r, _| r.old_size = 3, BadSignature),
    ];
    for (what, change, code) in cases {
        let end = told(change);
        let [fault] = &end.faults[..] else { panic!("{what}: {:?}", end.faults) };
        assert_eq!(fault.code, code, "{what}");
        assert_eq!((end.disk.stored.size(), end.disk.head), (0, None), "{what}");
    }
}

fn foreign(stored: &Stored) -> String {
    let origin = evidence::log::origin(support::DOMAIN, &name(LOG), 1);
    let checkpoint =
        evidence::checkpoint::Checkpoint { origin: origin.clone(), size: 40, root: stored.root() };
    checkpoint.sign(&evidence::note::Signer::log(&origin, &[7; 32]).unwrap()).unwrap()
}

#[test]
fn older_software_is_told_from_an_office_that_holds_nothing() {
    let stored = region(10, 1);
    let mut region = taker(Part::default());
    let hello = |holdings, features: &[&str]| {
        Message::Hello(replication::Hello {
            shown: Vec::new(),
            protocol: replication::PROTOCOL,
            office: "KZ".to_owned(),
            instance: [201; 16],
            software: "other 1".to_owned(),
            holdings,
            features: features.iter().map(|text| (*text).to_owned()).collect(),
            witnessed: Vec::new(),
        })
    };
    let head = Some(note(10, stored.root()));
    region.say(hello(vec![holding(&stored, Role::Follower, head)], &["witness"]));
    assert_eq!(region.faults[0].code, RefusalCode::IncompatibleVersion);
    assert!(!region.offered[0].understood && region.recovered.is_empty());

    let mut new = taker(Part::default());
    let nothing = holding(&Stored::default(), Role::Follower, None);
    assert_eq!(nothing.root, empty_root());
    new.say(hello(vec![nothing], &[replication::RETURN]));
    let whole = Recovered { log: name(LOG), epoch: 1, size: 0, signed: 0 };
    assert!(new.offered[0].understood && !new.offered[0].signed);
    assert_eq!((new.recovered, new.faults.len()), (vec![whole], 0));
}
