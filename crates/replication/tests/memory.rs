//! A peer shows what was co-signed before: an office that has forgotten it waits for that, and one
//! whose peer has forgotten tells it, and says so if the peer goes on all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use evidence::checkpoint::cosign;
use replication::{
    Action, Close, HeadAccepted, Hello, Holding, LogState, MEMORY, Message, PROTOCOL, Party,
    PeerForgot, RefusalCode, Role, Session, SessionConfig, WitnessedHead,
};
use support::bench::{LOG, centre, holding, note, prefix, region, writer};
use support::office::{Office, Stored, cosigner};
use support::world::limits;
use support::{at, name};

fn hello(features: &[&str], holdings: Vec<Holding>, shown: Vec<WitnessedHead>) -> Message {
    Message::Hello(Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings,
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        witnessed: Vec::new(),
        shown,
    })
}

/// A head of this size with the centre's line.
fn cosigned(stored: &Stored, size: u64) -> WitnessedHead {
    let note = note(size, stored.root_at(size));
    let line = cosign(&note, &cosigner("KZ", "witness"), 7).unwrap();
    WitnessedHead { log: name(LOG), epoch: 1, note: format!("{note}{line}") }
}

/// Runs a session on this disk; what its driver is asked of memory, and how it ended.
fn answered(
    config: SessionConfig,
    message: Message,
    answer: bool,
) -> (Vec<usize>, Option<Close>, Session) {
    let mut session = Session::new(config, at(1)).unwrap();
    let (mut asked, mut closed, mut office) = (Vec::new(), None, centre());
    session.handle(at(1), message);
    while let Some(action) = session.poll() {
        match action {
            Action::Recall(recall) => {
                asked.push(recall.shown.len());
                session.recalled(at(1), recall.ticket, Ok(answer));
            }
            Action::Close(close) => closed = Some(close),
            other => office.execute(at(1), other, &mut session),
        }
    }
    (asked, closed, session)
}

#[test]
fn an_office_that_has_forgotten_is_shown_first_what_it_co_signed() {
    let stored = region(20, 1);
    let config = |forgotten| SessionConfig { forgotten, ..centre().config("KZ-75", &limits()) };
    let holdings = || vec![holding(&stored, Role::Origin, None)];
    // A peer that cannot show it is not served at all.
    let (asked, closed, _) = answered(config(true), hello(&[], holdings(), vec![]), false);
    assert_eq!(asked, [] as [usize; 0]);
    let Some(Close::Refused { by: Party::Us, code, text }) = closed else { panic!("{closed:?}") };
    assert_eq!(code, RefusalCode::IncompatibleVersion);
    assert!(text.contains("restored from a backup"), "{text}");
    let (asked, closed, _) = answered(config(false), hello(&[], holdings(), vec![]), false);
    assert_eq!((asked.len(), closed), (0, None), "nothing was forgotten");
    // One that can: the link goes on where nothing was missing, and else begins anew.
    for (forgotten, shown, is_new, expected) in [
        (true, 0, false, vec![0]),
        (true, 1, true, vec![1]),
        (false, 1, true, vec![1]),
        (false, 1, false, vec![1]),
        (false, 0, false, vec![]),
    ] {
        let shown: Vec<_> = (0..shown).map(|_| cosigned(&stored, 15)).collect();
        let message = hello(&[MEMORY], holdings(), shown);
        let (asked, closed, session) = answered(config(forgotten), message, is_new);
        assert_eq!(asked, expected);
        assert_eq!(closed, is_new.then_some(Close::Recalled));
        let status = session.status(at(1));
        let log = status.logs.iter().find(|log| log.log == name(LOG)).unwrap();
        assert!(!matches!(log.state, LogState::Stopped { .. }), "{log:?}");
    }
}

/// What the writer says when its peer, which co-signed `shown`, remembers a head of 12.
fn forgot(shown: Option<u64>) -> Vec<PeerForgot> {
    let stored = region(20, 1);
    let mut office: Office = writer(prefix(&stored, 20));
    let mut config = office.config("KZ", &limits());
    config.shown = shown.map(|size| cosigned(&stored, size)).into_iter().collect();
    let mut session = Session::new(config, at(1)).unwrap();
    let held = holding(&prefix(&stored, 10), Role::Follower, Some(note(12, stored.root_at(12))));
    let Message::Hello(said) = hello(&[MEMORY], vec![held], Vec::new()) else { panic!("a hello") };
    session.handle(at(1), Message::Hello(Hello { office: "KZ".to_owned(), ..said }));
    let mut found = Vec::new();
    while let Some(action) = session.poll() {
        match action {
            Action::Send(Message::Head(head)) => {
                assert!(found.is_empty(), "nothing is said before the peer co-signs on");
                let line = cosign(&head.note, &cosigner("KZ", "witness"), 9).unwrap();
                let accepted =
                    HeadAccepted { log: head.log, epoch: 1, size: 20, cosignature: line };
                session.handle(at(1), Message::HeadAccepted(accepted));
            }
            Action::PeerForgot(forgot) => found.push(forgot),
            other => office.execute(at(1), other, &mut session),
        }
    }
    found
}

#[test]
fn a_peer_that_was_shown_its_line_and_co_signs_on_without_memory_is_told_of() {
    assert_eq!(forgot(None), []);
    assert_eq!(forgot(Some(12)), [], "it remembers all");
    let [found] = &forgot(Some(15))[..] else { panic!("once") };
    let stored = region(20, 1);
    assert_eq!(found.cosigned, cosigned(&stored, 15).note);
    assert_eq!(found.remembered, Some(note(12, stored.root_at(12))));
    assert_eq!(found.now[0], note(20, stored.root_at(20)));
}
