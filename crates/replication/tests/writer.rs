//! What the writer of a log refuses: a past that is not its own, answers that cannot be.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::origin;
use evidence::note::Signer;
use replication::{Action, Close, HeadAccepted, Held, Message, RefusalCode, Role};
use support::bench::{Bench, LOG, holding, note, prefix, region, writer};
use support::office::{Stored, cosigner};
use support::{DOMAIN, at, name};

#[test]
fn a_writer_behind_its_own_signed_head_stops_and_says_rollback() {
    let full = region(20, 1);
    let mut bench = Bench::new(writer(prefix(&full, 15)), "KZ");
    let head = note(18, full.root_at(18));
    bench.hello("KZ", vec![holding(&prefix(&full, 16), Role::Follower, Some(head.clone()))]);
    let fault = bench.assert_refused(RefusalCode::Rollback);
    assert!(fault.own && fault.notes == [head]);
    assert!(!bench.sent.iter().any(|m| matches!(m, Message::Head(_) | Message::Entries(_))));
}

#[test]
fn a_writer_with_another_history_stops_and_says_fork() {
    let mut held = prefix(&region(20, 1), 4);
    (4..12).for_each(|seq| held.push(support::record(&name(LOG), 1, seq, 99 + seq)));
    let mut bench = Bench::new(writer(region(20, 1)), "KZ");
    let head = note(12, held.root());
    bench.hello("KZ", vec![holding(&held, Role::Follower, Some(head.clone()))]);
    let fault = bench.assert_refused(RefusalCode::Fork);
    assert!(fault.own && fault.notes == [head]);
    assert!(!bench.sent.iter().any(|m| matches!(m, Message::Head(_) | Message::Entries(_))));
}

#[test]
fn only_our_own_signature_can_accuse_us() {
    // More than we have, but no head of ours that says so.
    let full = region(20, 1);
    let mut bench = Bench::new(writer(prefix(&full, 15)), "KZ");
    bench.hello("KZ", vec![holding(&full, Role::Follower, None)]);
    bench.assert_refused(RefusalCode::Damaged);
    // A root that contradicts the head it comes with: the mirror is damaged, not our journal.
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    let mut claim = holding(&prefix(&full, 10), Role::Follower, Some(note(12, full.root_at(12))));
    claim.root = [1; 32];
    bench.hello("KZ", vec![claim]);
    bench.assert_refused(RefusalCode::Damaged);
    // A head of another key.
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    let name = origin(DOMAIN, &name(LOG), 1);
    let checkpoint = Checkpoint { origin: name.clone(), size: 12, root: full.root_at(12) };
    let foreign = checkpoint.sign(&Signer::log(&name, &[9; 32]).unwrap()).unwrap();
    bench.hello("KZ", vec![holding(&prefix(&full, 10), Role::Follower, Some(foreign))]);
    bench.assert_refused(RefusalCode::WrongKey);
}

#[test]
fn cosignatures_of_another_key_are_refused() {
    let full = region(20, 1);
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    let head = note(20, full.root());
    let wrong = cosign(&head, &cosigner("KZ-27", "witness"), 1_800_000_000).unwrap();
    bench.say(Message::HeadAccepted(HeadAccepted {
        log: name(LOG),
        epoch: 1,
        size: 20,
        cosignature: wrong,
    }));
    bench.assert_refused(RefusalCode::WrongKey);
    assert!(bench.office.cosignatures.is_empty());
}

#[test]
fn a_mirror_that_lies_about_its_root_is_refused() {
    let full = region(4, 1);
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    let held = Held {
        log: name(LOG),
        epoch: 1,
        size: 4,
        root: [3; 32],
        cosignature: None,
        cosigned: None,
    };
    bench.say(Message::Held(held));
    bench.assert_refused(RefusalCode::Damaged);
}

#[test]
fn positions_that_cannot_be_end_the_link() {
    for size in [21, 5] {
        let full = region(20, 1);
        let mut bench = Bench::new(writer(full.clone()), "KZ");
        let head = Some(note(12, full.root_at(12)));
        bench.hello("KZ", vec![holding(&prefix(&full, 10), Role::Follower, head)]);
        let held = Held {
            log: name(LOG),
            epoch: 1,
            size,
            root: [3; 32],
            cosignature: None,
            cosigned: None,
        };
        bench.say(Message::Held(held));
        assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
    }
}

#[test]
fn a_rewind_sends_the_same_records_again() {
    let full = region(8, 1);
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    let firsts = |bench: &Bench| {
        let entries = bench.sent.iter().filter_map(|m| match m {
            Message::Entries(e) => Some(e.first_seq),
            _ => None,
        });
        entries.collect::<Vec<_>>()
    };
    assert_eq!(firsts(&bench), [0]);
    let root = Stored::default().root();
    let held = Held { log: name(LOG), epoch: 1, size: 0, root, cosignature: None, cosigned: None };
    bench.sent.clear();
    bench.say(Message::Held(held));
    assert_eq!(firsts(&bench), [0]);
    assert!(matches!(bench.sent[0], Message::Head(_)), "an unanswered head goes first again");
}

#[test]
fn a_mirror_that_repeats_its_position_has_one_batch_read_at_a_time() {
    let full = region(120, 1);
    let mut bench = Bench::new(writer(full.clone()), "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    let first = bench.sent.iter().find_map(|m| match m {
        Message::Entries(e) => Some(e.records.len() as u64),
        _ => None,
    });
    let (size, root) = (first.unwrap(), full.root_at(first.unwrap()));
    let held = Held { log: name(LOG), epoch: 1, size, root, cosignature: None, cosigned: None };
    bench.sent.clear();
    let mut asked = Vec::new();
    for _ in 0..9 {
        bench.session.handle(at(2), Message::Held(held.clone()));
        while let Some(action) = bench.session.poll() {
            assert!(matches!(action, Action::ReadEntries(_)), "{action:?}");
            asked.push(action);
        }
    }
    assert_eq!(asked.len(), 1);
    // What was read for the old position is not sent, what follows is.
    bench.office.execute(at(2), asked.remove(0), &mut bench.session);
    bench.settle();
    assert!(matches!(bench.sent[0], Message::Head(_)), "{:?}", bench.sent);
    assert!(matches!(&bench.sent[1], Message::Entries(e) if e.first_seq == size));
}

#[test]
fn damage_found_while_reading_is_never_sent() {
    let full = region(20, 1);
    let mut office = writer(full);
    office.damaged = Some(name(LOG));
    let mut bench = Bench::new(office, "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    bench.assert_refused(RefusalCode::Damaged);
    assert!(!bench.sent.iter().any(|m| matches!(m, Message::Entries(_))));
}
