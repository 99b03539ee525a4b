//! Hello, liveness and the end of a link.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use evidence::LogName;
use replication::{Close, Hello, Message, PROTOCOL, Party, RefusalCode, Refused, Role};
use support::bench::{Bench, LOG, centre, entries_of, head_of, holding, region, writer};
use support::office::Stored;
use support::{at, name};

#[test]
fn wrong_hellos_are_refused_with_what_to_do() {
    let refused = |hello: Hello| {
        let mut bench = Bench::centre(centre());
        bench.say(Message::Hello(hello));
        match (&bench.close, bench.sent.last()) {
            (
                Some(Close::Refused { by: Party::Us, code, .. }),
                Some(Message::Refused(Refused { log: None, code: told, .. })),
            ) => {
                assert_eq!(code, told);
                *code
            }
            other => panic!("{other:?}"),
        }
    };
    let good = Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: String::new(),
        holdings: Vec::new(),
        features: Vec::new(),
        witnessed: Vec::new(),
        shown: Vec::new(),
    };
    let newer = Hello { protocol: PROTOCOL + 1, ..good.clone() };
    assert_eq!(refused(newer), RefusalCode::IncompatibleVersion);
    let other = Hello { office: "KZ-27".to_owned(), ..good.clone() };
    assert_eq!(refused(other), RefusalCode::NotEnrolled);
    let copy = Hello { office: "KZ".to_owned(), ..good.clone() };
    assert_eq!(refused(copy), RefusalCode::DuplicateOffice);
    let mut bench = Bench::centre(centre());
    bench.say(Message::Hello(good.clone()));
    assert!(bench.close.is_none());
    bench.say(Message::Hello(good));
    assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
}

#[test]
fn a_duplicate_office_is_refused_by_the_driver() {
    let mut bench = Bench::centre(centre());
    bench.hello("KZ-75", vec![]);
    bench.session.refuse(at(5), RefusalCode::DuplicateOffice, "KZ-75 is connected already");
    bench.settle();
    assert!(matches!(
        bench.close,
        Some(Close::Refused { by: Party::Us, code: RefusalCode::DuplicateOffice, .. })
    ));
    assert!(bench.session.is_closed() && bench.session.next_wakeup().is_none());
}

#[test]
fn two_writers_of_one_log_are_refused() {
    let mut bench = Bench::new(writer(region(3, 1)), "KZ");
    bench.hello("KZ", vec![holding(&region(3, 1), Role::Origin, None)]);
    bench.assert_refused(RefusalCode::DuplicateOffice);
}

#[test]
fn an_unknown_log_is_refused_and_the_others_go_on() {
    let stored = region(20, 1);
    let mut bench = Bench::centre(centre());
    let mut strange = holding(&stored, Role::Origin, None);
    strange.log = "kz-27".parse::<LogName>().unwrap();
    bench.hello("KZ-75", vec![strange, holding(&stored, Role::Origin, None)]);
    assert_eq!(bench.faults[0].code, RefusalCode::UnknownLog);
    bench.say(Message::Head(head_of(&stored, 0, 12)));
    bench.say(Message::Entries(entries_of(&stored, 0, 12, 12)));
    assert_eq!(bench.size(), 12);
}

#[test]
fn messages_before_the_hello_end_the_link() {
    let mut bench = Bench::centre(centre());
    bench.say(Message::Head(head_of(&region(2, 1), 0, 2)));
    assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
}

#[test]
fn no_hello_in_time_ends_the_link() {
    let mut bench = Bench::centre(centre());
    let due = bench.session.next_wakeup().unwrap();
    bench.session.tick(at(due - 1));
    bench.settle();
    assert!(bench.close.is_none());
    bench.session.tick(at(due));
    bench.settle();
    assert_eq!(bench.close, Some(Close::NoHello));
}

#[test]
fn a_peer_that_only_answers_pings_is_given_up() {
    let mut bench = Bench::new(writer(region(20, 1)), "KZ");
    bench.hello("KZ", vec![holding(&Stored::default(), Role::Follower, None)]);
    while bench.close.is_none() {
        bench.now = bench.session.next_wakeup().unwrap().max(bench.now + 1);
        assert!(bench.now < 200_000_000, "never given up");
        bench.session.tick(at(bench.now));
        bench.settle();
        if let Some(Message::Ping { nonce }) = bench.sent.pop() {
            bench.say(Message::Pong { nonce });
        }
    }
    assert_eq!(bench.close, Some(Close::Stalled { log: name(LOG) }));
}

#[test]
fn what_the_peer_writes_is_cleaned() {
    let mut bench = Bench::new(writer(region(3, 1)), "KZ");
    bench.hello("KZ", vec![]);
    bench.say(Message::Refused(Refused {
        log: Some(name(LOG)),
        epoch: 1,
        code: RefusalCode::UnknownLog,
        text: format!("\u{1b}[31mred\n{}", "я".repeat(2_000)),
        note: None,
    }));
    let fault = bench.faults.last().unwrap();
    assert_eq!((fault.found_by, fault.own), (Party::Peer, true));
    assert!(fault.text.len() <= 512 && !fault.text.chars().any(char::is_control));
}
