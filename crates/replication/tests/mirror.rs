//! What a mirror refuses, and that it answers nothing before it is durable.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::note::Signer;
use replication::{
    Action, Close, Entries, Head, Hello, Message, PROTOCOL, RefusalCode, Role, Session,
};
use support::bench::{Bench, LOG, at_ten, centre, entries_of, head_of, holding, note, region};
use support::office::{Stored, cosigner};
use support::world::limits;
use support::{DOMAIN, at, name, record};

#[test]
fn the_honest_way() {
    let (stored, mut bench) = at_ten();
    bench.say(Message::Entries(entries_of(&stored, 10, 12, 12)));
    let held = bench.last_held().unwrap();
    assert_eq!((held.size, held.root), (12, stored.root_at(12)));
    let line = held.cosignature.as_ref().expect("the mirror stands at the signed head");
    let key = cosigner("KZ", "mirror").verifier();
    let note = head_of(&stored, 0, 12).note;
    assert!(evidence::checkpoint::verify_cosignature(&note, line, &key).is_ok());
    assert!(bench.faults.is_empty() && bench.close.is_none());
}

#[test]
fn a_head_of_the_same_size_with_another_root_is_a_fork() {
    let (_, mut bench) = at_ten();
    let other = region(12, 99);
    bench.say(Message::Head(head_of(&other, 12, 12)));
    let fault = bench.assert_refused(RefusalCode::Fork);
    assert_eq!(fault.notes.len(), 2, "both notes are kept");
    assert!(!fault.own);
}

#[test]
fn a_longer_head_of_another_history_is_a_fork_and_nothing_heals_it() {
    let (stored, mut bench) = at_ten();
    let other = region(15, 99);
    bench.say(Message::Head(head_of(&other, 12, 15)));
    let fault = bench.assert_refused(RefusalCode::Fork).clone();
    assert!(fault.notes.len() == 2 && !fault.proof.is_empty());
    // The honest continuation is not taken up again on this link.
    bench.say(Message::Head(head_of(&stored, 12, 20)));
    bench.say(Message::Entries(entries_of(&stored, 10, 12, 12)));
    assert_eq!(bench.size(), 10);
    // Nor on the next one: it begins stopped, with the reason that was kept.
    bench.office.faults.push(fault.clone());
    let mut next = Bench::centre(bench.office);
    next.hello("KZ-75", vec![holding(&stored, Role::Origin, None)]);
    let again = next.assert_refused(RefusalCode::Fork).clone();
    assert_eq!((again.text, again.notes), (fault.text, vec![]), "nothing new is to be kept");
    next.say(Message::Head(head_of(&stored, 12, 20)));
    next.say(Message::Entries(entries_of(&stored, 10, 12, 12)));
    assert_eq!(next.size(), 10);
}

#[test]
fn a_shorter_head_is_a_rollback() {
    let (stored, mut bench) = at_ten();
    bench.say(Message::Head(head_of(&stored, 12, 12)));
    bench.say(Message::Head(Head { old_size: 8, ..head_of(&stored, 8, 9) }));
    bench.assert_refused(RefusalCode::Rollback);
}

#[test]
fn an_origin_that_lost_records_is_a_rollback_at_hello() {
    let (stored, bench) = at_ten();
    let mut next = Bench::centre(bench.office.clone());
    let mut lost = Stored::default();
    stored.records[..11].iter().for_each(|r| lost.push(r.clone()));
    next.hello("KZ-75", vec![holding(&lost, Role::Origin, None)]);
    let fault = next.assert_refused(RefusalCode::Rollback);
    assert_eq!(fault.notes, [note(12, stored.root_at(12))], "the co-signed head is the proof");
}

#[test]
fn a_head_of_another_key_is_named_so() {
    let (stored, mut bench) = at_ten();
    let name = origin(DOMAIN, &name(LOG), 1);
    let checkpoint = Checkpoint { origin: name.clone(), size: 15, root: stored.root_at(15) };
    let mut head = head_of(&stored, 12, 15);
    head.note = checkpoint.sign(&Signer::log(&name, &[9; 32]).unwrap()).unwrap();
    bench.say(Message::Head(head));
    bench.assert_refused(RefusalCode::WrongKey);
}

#[test]
fn a_head_with_a_broken_signature_is_refused() {
    let (stored, mut bench) = at_ten();
    let mut head = head_of(&stored, 12, 15);
    head.note = head.note.replacen("\n15\n", "\n16\n", 1);
    bench.say(Message::Head(head));
    bench.assert_refused(RefusalCode::BadSignature);
    let (_, mut bench) = at_ten();
    bench.say(Message::Head(Head { note: "nonsense".to_owned(), ..head_of(&region(1, 1), 0, 1) }));
    bench.assert_refused(RefusalCode::BadSignature);
}

#[test]
fn a_malformed_proof_of_a_head_is_refused() {
    let (stored, mut bench) = at_ten();
    let mut head = head_of(&stored, 12, 15);
    head.proof.pop();
    bench.say(Message::Head(head));
    bench.assert_refused(RefusalCode::BadSignature);
}

#[test]
fn a_bad_proof_of_records_is_refused_and_nothing_is_stored() {
    for change in [0, 1, 2] {
        let (stored, mut bench) = at_ten();
        let mut entries = entries_of(&stored, 10, 11, 12);
        match change {
            0 => entries.proof[0][0] ^= 1,
            1 => entries.proof.push([0; 32]),
            _ => entries.proof.clear(),
        }
        bench.say(Message::Entries(entries));
        bench.assert_refused(RefusalCode::BadSignature);
        assert_eq!(bench.size(), 10);
    }
}

#[test]
fn a_tampered_record_is_refused_wherever_the_byte_is() {
    let stored = region(20, 400);
    let len = stored.records[11].len();
    for at in (0..len).step_by(7).chain([len - 1]) {
        let mut bench = Bench::centre(centre());
        bench.hello("KZ-75", vec![holding(&stored, Role::Origin, None)]);
        bench.say(Message::Head(head_of(&stored, 0, 12)));
        bench.say(Message::Entries(entries_of(&stored, 0, 10, 12)));
        bench.sent.clear();
        let mut entries = entries_of(&stored, 10, 12, 12);
        entries.records[1][at] ^= 0x40;
        bench.say(Message::Entries(entries));
        bench.assert_refused(RefusalCode::BadSignature);
        assert_eq!(bench.size(), 10, "byte {at}");
    }
}

#[test]
fn records_of_another_place_are_refused() {
    let (stored, mut bench) = at_ten();
    let mut entries = entries_of(&stored, 10, 12, 12);
    entries.records[0] = record(&name("kz-27"), 1, 10, 3);
    bench.say(Message::Entries(entries));
    bench.assert_refused(RefusalCode::BadSignature);
    let (stored, mut bench) = at_ten();
    let mut entries = entries_of(&stored, 10, 12, 12);
    entries.records.swap(0, 1);
    bench.say(Message::Entries(entries));
    bench.assert_refused(RefusalCode::BadSignature);
}

#[test]
fn a_gap_is_answered_by_the_true_position_and_never_stored() {
    let (stored, mut bench) = at_ten();
    bench.say(Message::Entries(entries_of(&stored, 11, 12, 12)));
    let held = bench.last_held().unwrap().clone();
    assert_eq!((held.size, held.root, held.cosignature), (10, stored.root_at(10), None));
    bench.say(Message::Entries(entries_of(&stored, 11, 12, 12)));
    assert_eq!(bench.sent.len(), 1, "the position is named once: {:?}", bench.sent);
    assert_eq!(bench.size(), 10);
    // The right records end it.
    bench.say(Message::Entries(entries_of(&stored, 10, 12, 12)));
    assert_eq!(bench.size(), 12);
    assert!(bench.faults.is_empty());
}

#[test]
fn endless_gaps_are_refused() {
    let (stored, mut bench) = at_ten();
    for _ in 0..200 {
        bench.say(Message::Entries(entries_of(&stored, 11, 12, 12)));
    }
    bench.assert_refused(RefusalCode::Gap);
}

#[test]
fn duplicates_are_no_ops_answered_by_the_position() {
    let (stored, mut bench) = at_ten();
    for _ in 0..3 {
        bench.say(Message::Entries(entries_of(&stored, 4, 8, 12)));
        assert_eq!(bench.last_held().unwrap().size, 10);
    }
    assert_eq!(bench.size(), 10);
    assert_eq!(bench.office.mirrors[&name(LOG)].stored.records, stored.records[..10]);
    assert!(bench.faults.is_empty() && bench.close.is_none());
}

#[test]
fn records_beyond_the_head_or_for_another_head_are_not_stored() {
    let (stored, mut bench) = at_ten();
    let mut beyond = entries_of(&stored, 10, 14, 14);
    beyond.head_size = 12;
    bench.say(Message::Entries(beyond));
    bench.assert_refused(RefusalCode::Gap);
    let (stored, mut bench) = at_ten();
    bench.say(Message::Entries(entries_of(&stored, 10, 14, 14)));
    assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
    assert_eq!(bench.size(), 10);
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let stored = region(20, 1);
    let mut session = Session::new(centre().config("KZ-75", &limits()), at(1)).unwrap();
    let mut office = centre();
    let drain = |session: &mut Session| {
        let mut all = Vec::new();
        while let Some(action) = session.poll() {
            all.push(action);
        }
        all
    };
    let hello = Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: String::new(),
        holdings: vec![holding(&stored, Role::Origin, None)],
        features: Vec::new(),
        witnessed: Vec::new(),
        shown: Vec::new(),
    };
    session.handle(at(2), Message::Hello(hello));
    drain(&mut session);
    session.handle(at(3), Message::Head(head_of(&stored, 0, 12)));
    session.handle(at(4), Message::Entries(entries_of(&stored, 0, 5, 12)));
    let mut actions = drain(&mut session);
    assert!(matches!(actions[..], [Action::PersistHead(_)]), "{actions:?}");
    office.execute(at(5), actions.remove(0), &mut session);
    let mut actions = drain(&mut session);
    assert!(
        matches!(actions[..], [Action::Send(Message::HeadAccepted(_)), Action::CommitBatch(_)]),
        "{actions:?}"
    );
    office.execute(at(6), actions.remove(1), &mut session);
    let actions = drain(&mut session);
    assert!(matches!(&actions[..], [Action::Send(Message::Held(h))] if h.size == 5), "{actions:?}");
}

#[test]
fn batches_that_hold_nothing_wait_for_a_head_within_the_same_bound() {
    for (records, proof) in [(vec![vec![]; 65_536], vec![]), (vec![], vec![[0; 32]; 65_536])] {
        let (stored, mut bench) = at_ten();
        bench.session.handle(at(2), Message::Head(head_of(&stored, 12, 20)));
        let Some(Action::PersistHead(_)) = bench.session.poll() else { panic!("a head to store") };
        let batch = Entries { records, proof, ..entries_of(&stored, 10, 12, 20) };
        for _ in 0..20 {
            bench.session.handle(at(2), Message::Entries(batch.clone()));
        }
        bench.settle();
        let Some(Close::Refused { code, text, .. }) = &bench.close else { panic!("no bound") };
        assert_eq!(*code, RefusalCode::Internal);
        assert!(text.contains("than any window permits"), "{text}");
    }
}

#[test]
fn answers_that_overtake_each_other_never_move_the_position_back() {
    let (stored, mut bench) = at_ten();
    bench.session.handle(at(2), Message::Entries(entries_of(&stored, 10, 11, 12)));
    bench.session.handle(at(2), Message::Entries(entries_of(&stored, 11, 12, 12)));
    let (Some(Action::CommitBatch(first)), Some(Action::CommitBatch(second))) =
        (bench.session.poll(), bench.session.poll())
    else {
        panic!("two batches are stored together");
    };
    bench.session.stored(at(3), second.ticket, Ok(()));
    bench.session.stored(at(3), first.ticket, Ok(()));
    bench.settle();
    let held: Vec<_> = bench.sent.iter().collect();
    assert!(matches!(held[..], [Message::Held(h)] if h.size == 12), "{held:?}");
}
