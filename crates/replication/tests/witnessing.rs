//! A further witness: asked through the office that mirrors the log, co-signs one history only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, VecDeque};

use evidence::Hash;
use evidence::checkpoint::{Checkpoint, cosign, verify_cosignature};
use evidence::merkle::consistency_proof;
use replication::{
    Action, Close, Cosigned, Failure, Hello, Message, Offer, PROTOCOL, Party, RefusalCode, Session,
    WITNESS, Witness, Witnessed,
};
use support::bench::{Bench, LOG, note, region};
use support::office::{Office, Stored, cosigner, log_signer};
use support::world::limits;
use support::{Random, at, name};

/// A further witness of `kz-75`, on a link with the centre.
fn witness(office: Office) -> Bench {
    let mut bench = Bench::new(office, "KZ");
    bench.hello("KZ", vec![]);
    bench.sent.clear();
    bench
}

fn enrolled() -> Office {
    let mut office = Office::new("KZ-71", &[], &[]);
    office.enrolled.push(name(LOG));
    office
}

fn ask(stored: &Stored, old_size: u64, size: u64) -> Witness {
    Witness {
        log: name(LOG),
        epoch: 1,
        note: note(size, stored.root_at(size)),
        old_size,
        proof: consistency_proof(&stored.tree, old_size, size).unwrap(),
    }
}

/// What the witness answered to this head: a size, or a refusal with the size of the head in it.
fn answer(bench: &mut Bench, message: Witness) -> Result<u64, (RefusalCode, Option<u64>)> {
    bench.say(Message::Witness(message.clone()));
    assert!(bench.close.is_none(), "{:?}", bench.close);
    match bench.sent.pop().unwrap() {
        Message::Witnessed(w) => {
            let key = cosigner(&bench.office.code, "witness").verifier();
            verify_cosignature(&message.note, &w.cosignature, &key).unwrap();
            Ok(w.size)
        }
        Message::Refused(r) => {
            assert_eq!(r.log, Some(name(LOG)));
            Err((r.code, r.note.map(|note| Checkpoint::parse(&note).unwrap().size)))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_is_co_signed_as_it_grows_from_nothing() {
    let stored = region(20, 1);
    let mut bench = witness(enrolled());
    assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Ok(5));
    assert_eq!(answer(&mut bench, ask(&stored, 5, 5)), Ok(5), "the same again");
    assert_eq!(answer(&mut bench, ask(&stored, 5, 12)), Ok(12));
    assert_eq!(bench.office.witnessed[0].size, 12);
    // After a restart it stands where it stood, and says so.
    let mut bench = Bench::new(bench.office, "KZ");
    let Some(Message::Hello(hello)) = bench.sent.first() else { panic!() };
    assert_eq!(hello.witnessed[0].note, note(12, stored.root_at(12)));
    bench.hello("KZ", vec![]);
    assert_eq!(answer(&mut bench, ask(&stored, 12, 20)), Ok(20));
}

#[test]
fn a_head_that_is_longer_than_any_may_be_is_not_kept_until_the_register_is_read() {
    let honest = ask(&region(20, 1), 0, 5);
    let note = Witness { note: "x".repeat(1 << 20), ..honest.clone() };
    let proof = Witness { proof: vec![[0; 32]; 1 << 15], ..honest };
    for message in [note, proof] {
        let mut bench = witness(enrolled());
        bench.session.handle(at(2), Message::Witness(message));
        assert!(matches!(bench.session.poll(), Some(Action::Send(Message::Refused(_)))));
        assert!(bench.session.is_closed());
    }
}

#[test]
fn no_proof_is_asked_for_that_leads_back() {
    let stored = region(20, 1);
    let mut bench = Bench::new(Office::new("KZ", &[], &[]), "KZ-71");
    bench.say(Message::Hello(Hello {
        protocol: PROTOCOL,
        office: "KZ-71".to_owned(),
        instance: [201; 16],
        software: String::new(),
        holdings: Vec::new(),
        features: vec![WITNESS.to_owned()],
        witnessed: Vec::new(),
        shown: Vec::new(),
    }));
    let offer = |size| {
        let (verifier, note) =
            (log_signer(&name(LOG)).verifier(), note(size, stored.root_at(size)));
        Offer { log: name(LOG), epoch: 1, verifier, note, own: false }
    };
    bench.session.offer(at(2), offer(20));
    bench.session.offer(at(2), offer(19));
    bench.settle();
    let head = note(20, stored.root());
    let cosignature = cosign(&head, &cosigner("KZ-71", "witness"), 9).unwrap();
    let witnessed = Witnessed { log: name(LOG), epoch: 1, size: 20, cosignature };
    bench.session.handle(at(3), Message::Witnessed(witnessed));
    assert!(matches!(bench.session.poll(), Some(Action::Countersigned(_))));
    assert!(bench.session.poll().is_none(), "the older head is not asked for");
}

#[test]
fn a_proof_from_elsewhere_is_stale_and_an_older_head_too() {
    let stored = region(20, 1);
    let mut bench = witness(enrolled());
    assert_eq!(answer(&mut bench, ask(&stored, 0, 12)), Ok(12));
    assert_eq!(answer(&mut bench, ask(&stored, 5, 20)), Err((RefusalCode::Gap, Some(12))));
    assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Err((RefusalCode::Gap, Some(12))));
    assert!(bench.office.faults.is_empty() && bench.faults.is_empty());
    assert_eq!(answer(&mut bench, ask(&stored, 12, 20)), Ok(20), "and goes on");
}

#[test]
fn two_roots_are_refused_with_the_head_held_and_freeze_the_log() {
    let (stored, other) = (region(20, 1), region(20, 2));
    let mut bench = witness(enrolled());
    assert_eq!(answer(&mut bench, ask(&stored, 0, 12)), Ok(12));
    let fork = answer(&mut bench, ask(&other, 12, 12));
    assert_eq!(fork, Err((RefusalCode::Fork, Some(12))));
    let fault = bench.faults.pop().unwrap();
    assert_eq!((fault.found_by, fault.own), (Party::Us, false));
    assert_eq!(fault.notes, [note(12, stored.root_at(12)), note(12, other.root_at(12))]);
    assert!(fault.text.contains("two histories"), "{}", fault.text);
    // It is frozen from then on, for the first history too.
    bench.office.faults.push(fault);
    assert_eq!(answer(&mut bench, ask(&stored, 12, 20)), Err((RefusalCode::Fork, Some(12))));
    assert_eq!(bench.office.witnessed[0].size, 12);
}

/// The proof comes from the office that asks, not from the one that signed the heads.
#[test]
fn a_proof_that_fails_is_kept_and_a_later_one_that_holds_is_accepted() {
    let (stored, other) = (region(20, 1), region(20, 2));
    let mut changed = ask(&stored, 12, 20);
    changed.proof[0][0] ^= 1;
    for failing in [changed, ask(&other, 12, 20)] {
        let mut bench = witness(enrolled());
        assert_eq!(answer(&mut bench, ask(&stored, 0, 12)), Ok(12));
        let refused = answer(&mut bench, failing.clone());
        assert_eq!(refused, Err((RefusalCode::Fork, Some(12))));
        let fault = bench.faults.pop().unwrap();
        assert_eq!((fault.code, fault.found_by), (RefusalCode::Fork, Party::Peer), "no proof");
        assert_eq!(fault.notes, [note(12, stored.root_at(12)), failing.note]);
        assert_eq!(fault.proof, failing.proof);
        bench.office.faults.push(fault);
        assert_eq!(answer(&mut bench, ask(&stored, 12, 20)), Ok(20), "the true history goes on");
        // The heads of the other history are two roots, whoever sends them.
        let fork = answer(&mut bench, ask(&other, 12, 20));
        assert_eq!(fork, Err((RefusalCode::Fork, Some(20))));
        assert_eq!(bench.faults.pop().unwrap().found_by, Party::Us);
    }
}

#[test]
fn nothing_over_the_end_of_a_closed_epoch_is_co_signed() {
    let stored = region(20, 1);
    let mut office = enrolled();
    office.closed_at = Some(12);
    let mut bench = witness(office);
    assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Ok(5));
    assert_eq!(answer(&mut bench, ask(&stored, 5, 13)), Err((RefusalCode::Fork, Some(5))));
    let fault = bench.faults.pop().unwrap();
    assert_eq!(fault.notes, [note(5, stored.root_at(5)), note(13, stored.root_at(13))]);
    assert!(fault.text.contains("was closed at 12 records"), "{}", fault.text);
    assert_eq!(answer(&mut bench, ask(&stored, 5, 12)), Ok(12), "up to its end");
}

#[test]
fn what_is_not_enrolled_or_not_signed_is_refused() {
    let stored = region(20, 1);
    let mut bench = witness(Office::new("KZ-71", &[], &[]));
    assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Err((RefusalCode::UnknownLog, None)));
    let mut bench = witness(enrolled());
    let stranger = evidence::note::Signer::log(log_signer(&name(LOG)).name(), &[9; 32]).unwrap();
    let head = Checkpoint { origin: stranger.name().to_owned(), size: 5, root: [1; 32] };
    let forged = Witness { note: head.sign(&stranger).unwrap(), ..ask(&stored, 0, 5) };
    assert_eq!(answer(&mut bench, forged), Err((RefusalCode::WrongKey, None)));
    let garbage = Witness { note: "garbage".to_owned(), ..ask(&stored, 0, 5) };
    assert_eq!(answer(&mut bench, garbage), Err((RefusalCode::BadSignature, None)));
    assert!(bench.office.witnessed.is_empty());
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let stored = region(20, 1);
    let mut session = Session::new(enrolled().config("KZ", &limits()), at(1)).unwrap();
    let mut office = enrolled();
    let drain = |session: &mut Session| {
        let actions: Vec<_> = std::iter::from_fn(|| session.poll()).collect();
        let answered = actions.iter().any(|a| matches!(a, Action::Send(Message::Witnessed(_))));
        (actions, answered)
    };
    session.handle(at(2), Message::Hello(hello("KZ", true)));
    drain(&mut session);
    session.handle(at(3), Message::Witness(ask(&stored, 0, 12)));
    for wanted in ["ReadRegister", "PersistWitness"] {
        let (mut actions, answered) = drain(&mut session);
        assert!(!answered && actions.len() == 1, "{actions:?}");
        assert!(format!("{:?}", actions[0]).starts_with(wanted), "{actions:?}");
        office.execute(at(4), actions.remove(0), &mut session);
    }
    assert_eq!(office.witnessed[0].size, 12);
    assert!(drain(&mut session).1);
}

#[test]
fn what_cannot_be_stored_now_is_said_and_signs_nothing() {
    for (failure, code) in [
        (Failure::DiskFull, RefusalCode::DiskFull),
        (Failure::IndexBuilding, RefusalCode::IndexBuilding),
    ] {
        let stored = region(20, 1);
        let mut bench = witness(enrolled());
        bench.office.refuses = Some(failure);
        assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Err((code, None)));
        bench.office.refuses = None;
        assert_eq!(answer(&mut bench, ask(&stored, 0, 5)), Ok(5));
    }
}

fn hello(office: &str, speaks: bool) -> Hello {
    Hello {
        protocol: PROTOCOL,
        office: office.to_owned(),
        instance: [201; 16],
        software: String::new(),
        holdings: Vec::new(),
        features: if speaks { vec!["witness".to_owned()] } else { vec!["other".to_owned()] },
        witnessed: Vec::new(),
        shown: Vec::new(),
    }
}

fn offer(stored: &Stored, size: u64) -> Offer {
    let verifier = log_signer(&name(LOG)).verifier();
    let note = note(size, stored.root_at(size));
    Offer { log: name(LOG), epoch: 1, verifier, note, own: false }
}

/// The centre, which mirrors `kz-75`, on a link with KZ-71.
fn asker(stored: &Stored, speaks: bool) -> Bench {
    let mut office = Office::new("KZ", &[], &[LOG]);
    office.mirrors.get_mut(&name(LOG)).unwrap().stored = stored.clone();
    let mut config = office.config("KZ-71", &limits());
    config.mirrored.clear();
    let session = Session::new(config, at(1)).unwrap();
    let mut bench = Bench { office, session, sent: vec![], faults: vec![], close: None, now: 1 };
    bench.say(Message::Hello(hello("KZ-71", speaks)));
    bench.sent.clear();
    bench
}

#[test]
fn an_older_peer_hears_nothing_of_witnesses() {
    let stored = region(20, 1);
    let mut bench = asker(&stored, false);
    bench.session.offer(at(2), offer(&stored, 5));
    let passed = Cosigned { log: name(LOG), epoch: 1, size: 5, cosignature: String::new() };
    assert!(!bench.session.pass_on(passed));
    bench.settle();
    assert!(bench.sent.is_empty() && bench.faults.is_empty());
}

#[test]
fn only_the_newest_head_follows_the_one_under_way() {
    let stored = region(20, 1);
    let mut bench = asker(&stored, true);
    for size in [3, 7, 5, 9] {
        bench.session.offer(at(2), offer(&stored, size));
    }
    bench.settle();
    let asked = |bench: &Bench| {
        let all = bench.sent.iter().filter_map(|m| match m {
            Message::Witness(w) => Some((w.old_size, Checkpoint::parse(&w.note).unwrap().size)),
            _ => None,
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(asked(&bench), [(0, 3)]);
    let line = |size| {
        let key = cosigner("KZ-71", "witness");
        let note = note(size, stored.root_at(size));
        let cosignature = evidence::checkpoint::cosign(&note, &key, 7).unwrap();
        replication::Witnessed { log: name(LOG), epoch: 1, size, cosignature }
    };
    bench.say(Message::Witnessed(line(3)));
    assert_eq!(asked(&bench), [(0, 3), (3, 9)]);
    bench.say(Message::Witnessed(line(9)));
    let signed: Vec<_> = bench.office.countersigned.iter().map(|c| c.size).collect();
    assert_eq!(signed, [3, 9]);
    // A line of another key stops the log and is not kept.
    bench.session.offer(at(3), offer(&stored, 12));
    bench.settle();
    let forged = replication::Witnessed { size: 12, ..line(9) };
    bench.say(Message::Witnessed(forged));
    assert_eq!(bench.faults[0].code, RefusalCode::WrongKey);
    assert_eq!(bench.office.countersigned.len(), 2);
    bench.say(Message::Witnessed(line(12)));
    assert!(matches!(bench.close, Some(Close::Refused { by: Party::Us, .. })), "was not asked");
}

/// A peer learns of an enrolment from a log that may reach it later than the head.
#[test]
fn a_peer_that_does_not_know_the_log_yet_is_asked_again() {
    for code in [RefusalCode::UnknownLog, RefusalCode::DiskFull, RefusalCode::IndexBuilding] {
        let stored = region(20, 1);
        let mut bench = asker(&stored, true);
        for asked in 1..=3 {
            bench.session.offer(at(2), offer(&stored, 5));
            bench.settle();
            let sent = bench.sent.iter().filter(|m| matches!(m, Message::Witness(_))).count();
            assert_eq!(sent, asked, "{code}: the same head, asked for once more");
            bench.say(Message::Refused(replication::Refused {
                log: Some(name(LOG)),
                epoch: 1,
                code,
                text: "not now".to_owned(),
                note: None,
            }));
        }
        assert!(bench.faults.is_empty(), "{code} is no fault");
    }
}

#[test]
fn two_roots_for_one_size_are_a_proof_and_a_word_is_not() {
    for (held, party) in [(12, Party::Us), (9, Party::Peer)] {
        let (stored, other) = (region(20, 1), region(20, 2));
        let mut bench = asker(&stored, true);
        bench.session.offer(at(2), offer(&stored, 12));
        bench.settle();
        bench.say(Message::Refused(replication::Refused {
            log: Some(name(LOG)),
            epoch: 1,
            code: RefusalCode::Fork,
            text: "two histories".to_owned(),
            note: Some(note(held, other.root_at(held))),
        }));
        let fault = bench.faults.pop().unwrap();
        assert_eq!((fault.code, fault.found_by), (RefusalCode::Fork, party));
        assert_eq!(fault.notes.len(), 2);
        bench.sent.clear();
        bench.session.offer(at(3), offer(&stored, 20));
        bench.settle();
        assert!(bench.sent.is_empty(), "the log is not offered again on this link");
    }
}

/// Messages on their way.
type Wire = VecDeque<Message>;

/// An origin with two histories, a witness that crashes: whatever the order, it co-signs heads of
/// one history only.
#[test]
fn a_witness_that_crashes_co_signs_one_history() {
    let mut forks = 0;
    for seed in 0..300 {
        let mut random = Random(seed);
        let shared = random.below(6);
        let grow = |salt: u64| {
            let mut stored = region(shared, 1);
            for seq in shared..20 {
                stored.push(support::record(&name(LOG), 1, seq, salt + seq));
            }
            stored
        };
        let histories = [grow(100), grow(200)];
        let mut office = enrolled();
        let mut signed: BTreeMap<u64, Hash> = BTreeMap::new();
        for _life in 0..6 {
            forks += life(&mut office, &histories, &mut signed, &mut random);
        }
        let one =
            |stored: &Stored| signed.iter().all(|(size, root)| stored.root_at(*size) == *root);
        assert!(histories.iter().any(one), "seed {seed}: {:?}", signed.keys());
    }
    assert!(forks > 100, "the histories met only {forks} times");
}

/// One process of the witness, up to its crash; how often it refused a fork.
fn life(
    office: &mut Office,
    histories: &[Stored; 2],
    signed: &mut BTreeMap<u64, Hash>,
    random: &mut Random,
) -> usize {
    let mut session = Session::new(office.config("KZ", &limits()), at(1)).unwrap();
    session.handle(at(1), Message::Hello(hello("KZ", true)));
    let (mut tasks, mut answers) = (VecDeque::new(), Wire::new());
    let mut asked: Option<&Stored> = None;
    let mut forks = 0;
    for step in 2..2 + random.below(40) {
        while let Some(action) = session.poll() {
            match action {
                Action::Send(message) => answers.push_back(message),
                Action::Fault(fault) => office.faults.push(fault),
                Action::Close(close) => panic!("{close}"),
                other => tasks.push_back(other),
            }
        }
        match random.below(3) {
            0 if asked.is_none() => {
                let stored = &histories[random.below(2) as usize];
                let old = office.witnessed.first().map_or(0, |w| w.size);
                let size = old + random.below(21 - old);
                let old = if random.one_in(8) { random.below(size + 1) } else { old };
                asked = Some(stored);
                session.handle(at(step), Message::Witness(ask(stored, old, size)));
            }
            1 => {
                let Some(task) = tasks.pop_front() else { continue };
                office.execute(at(step), task, &mut session);
            }
            _ => match answers.pop_front() {
                Some(Message::Witnessed(w)) => {
                    let root = asked.take().unwrap().root_at(w.size);
                    let before = *signed.entry(w.size).or_insert(root);
                    assert_eq!(before, root, "two roots for size {}", w.size);
                }
                Some(Message::Refused(r)) => {
                    asked = None;
                    forks += usize::from(r.code == RefusalCode::Fork);
                }
                _ => {}
            },
        }
    }
    forks
}
