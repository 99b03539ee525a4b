//! Several epochs of one log on a link: a restored writer, a new epoch, the rest of a closed one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::VecDeque;

use evidence::checkpoint::Checkpoint;
use evidence::log::{LogName, origin};
use evidence::merkle::empty_root;
use evidence::note::Signer;
use evidence::succession::Succession;
use replication::{
    Action, Close, CosignatureKind, EpochRefused, Fault, Head, Hello, Holding, LinkState, LogState,
    Message, PROTOCOL, Party, RefusalCode, Refused, Role, Session,
};
use support::bench::{LOG, head_of, holding, note, prefix, region};
use support::office::{Mirror, Office, Stored, log_signer_of, succession};
use support::world::limits;
use support::{at, name};

/// One office with an [`Office`] for each of its epochs, and its end of the link.
struct End {
    epochs: Vec<Office>,
    session: Session,
    faults: Vec<Fault>,
    /// Epochs that were asked about, with what was shown for their keys.
    asked: Vec<(String, u32, Option<String>)>,
    /// Why every new epoch is refused; none is if this is empty.
    refuses: Option<EpochRefused>,
    close: Option<Close>,
    /// Epochs of which a mirror's line came.
    lines: Vec<u32>,
}

impl End {
    fn new(epochs: Vec<Office>, peer: &str) -> End {
        let mut config = epochs[0].config(peer, &limits());
        for later in &epochs[1..] {
            let more = later.config(peer, &limits());
            config.own.extend(more.own);
            config.mirrored.extend(more.mirrored);
        }
        let session = Session::new(config, at(1)).unwrap();
        let (faults, asked, refuses, close, lines) = (vec![], vec![], None, None, vec![]);
        End { epochs, session, faults, asked, refuses, close, lines }
    }

    /// Does everything that is asked; what is sent goes into `out`.
    fn settle(&mut self, out: &mut VecDeque<Message>) {
        while let Some(action) = self.session.poll() {
            let epoch = match &action {
                Action::ReadRoot(ask) => ask.epoch,
                Action::SignHead(ask) => ask.epoch,
                Action::ReadEntries(ask) => ask.epoch,
                Action::PersistHead(ask) => ask.epoch,
                Action::CommitBatch(ask) => ask.batch.epoch(),
                Action::ProveHead(ask) => ask.epoch,
                Action::ReadRegister(ask) => ask.epoch,
                Action::PersistWitness(ask) => ask.epoch,
                Action::StoreCosignature(line) => {
                    self.lines.extend((line.kind == CosignatureKind::Mirror).then_some(line.epoch));
                    continue;
                }
                Action::Greeted(_)
                | Action::Mirrored(_)
                | Action::PeerForgot(_)
                | Action::Recall(_)
                | Action::Countersigned(_)
                | Action::Offered(_)
                | Action::Recovered(_)
                | Action::ReadKeys(_)
                | Action::KeepKeys(_)
                | Action::Attachment(_)
                | Action::Preview(_)
                | Action::TakeCosignature(_) => continue,
                Action::Send(message) => {
                    out.push_back(message.clone());
                    continue;
                }
                Action::NewEpoch(_) => {
                    let Action::NewEpoch(new) = action else { unreachable!() };
                    self.asked.push((new.log.to_string(), new.epoch, new.succession));
                    let answer = self.refuses.clone().map_or(Ok(()), Err);
                    self.session.epoch_opened(at(1), new.ticket, answer);
                    continue;
                }
                Action::Fault(fault) => {
                    self.faults.push(fault.clone());
                    continue;
                }
                Action::Close(close) => {
                    self.close = Some(close.clone());
                    continue;
                }
            };
            let office = self.epochs.iter_mut().find(|office| office.epoch == epoch).unwrap();
            office.execute(at(1), action, &mut self.session);
        }
    }

    fn say(&mut self, message: Message) -> VecDeque<Message> {
        let mut out = VecDeque::new();
        self.session.handle(at(1), message);
        self.settle(&mut out);
        out
    }

    fn states(&self) -> Vec<LogState> {
        self.session.status(at(1)).logs.into_iter().map(|log| log.state).collect()
    }
}

/// Runs both ends until nothing is on its way; the messages from the region, in order.
fn run(region: &mut End, centre: &mut End) -> Vec<Message> {
    let (mut up, mut down, mut said) = (VecDeque::new(), VecDeque::new(), Vec::new());
    region.settle(&mut up);
    centre.settle(&mut down);
    loop {
        if let Some(message) = up.pop_front() {
            said.push(message.clone());
            down.extend(centre.say(message));
        } else if let Some(message) = down.pop_front() {
            up.extend(region.say(message));
        } else {
            return said;
        }
    }
}

fn writer(epoch: u32, stored: Stored) -> Office {
    let mut office = Office::new("KZ-75", &[LOG], &[]);
    office.epoch = epoch;
    office.own.insert(name(LOG), stored);
    office
}

/// A region with these epochs of its log; the second has `size` records.
fn restored(first: Stored, size: u64) -> End {
    let mut second = writer(2, Stored::default());
    for salt in 0..size {
        second.append(&name(LOG), 500 + salt);
    }
    End::new(vec![writer(1, first), second], "KZ")
}

/// A centre that holds `held` of `stored` under a head of `covered`; if `both`, epoch 2 as well.
fn centre(stored: &Stored, held: u64, covered: u64, both: bool) -> End {
    let mut first = Office::new("KZ", &[], &[LOG]);
    let head = (covered > 0).then(|| (covered, note(covered, stored.root_at(covered))));
    first.mirrors.insert(name(LOG), Mirror { stored: prefix(stored, held), head });
    let mut epochs = vec![first];
    if both {
        let mut second = Office::new("KZ", &[], &[LOG]);
        second.epoch = 2;
        epochs.push(second);
    }
    End::new(epochs, "KZ-75")
}

fn held(centre: &End) -> Vec<u64> {
    centre.epochs.iter().map(|office| office.mirrors[&name(LOG)].stored.size()).collect()
}

#[test]
fn a_new_epoch_is_taken_up_from_the_hello_and_the_link_begins_again() {
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(prefix(&stored, 12), 5), centre(&stored, 20, 20, false));
    run(&mut there, &mut here);
    assert_eq!(here.asked, [(LOG.to_owned(), 2, succession(&name(LOG), 2))]);
    assert_eq!(here.close, Some(Close::NewEpoch { log: name(LOG), epoch: 2 }));
    assert!(here.faults.is_empty() && there.faults.is_empty());
}

#[test]
fn a_shorter_closed_epoch_is_no_rollback_and_its_successor_travels() {
    let stored = region(20, 1);
    for (backup, mirrored) in [(12, 20), (20, 20), (12, 12)] {
        let mut there = restored(prefix(&stored, backup), 5);
        let mut here = centre(&stored, mirrored, mirrored, true);
        let said = run(&mut there, &mut here);
        assert_eq!(held(&here), [mirrored, 5]);
        assert!(here.faults.is_empty() && there.faults.is_empty(), "{:?}", there.faults);
        let about_first = |m: &&Message| matches!(m, Message::Head(Head { epoch: 1, .. }));
        assert_eq!(said.iter().filter(about_first).count(), 0, "nothing goes out of it");
        assert_eq!(there.states(), [LogState::Live, LogState::Live]);
        assert_eq!(here.states(), [LogState::Live, LogState::Live]);
        assert_eq!(here.session.status(at(1)).link, LinkState::Live);
    }
}

#[test]
fn what_is_left_of_a_closed_epoch_goes_out_before_its_successor() {
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(prefix(&stored, 20), 5), centre(&stored, 7, 9, true));
    let said = run(&mut there, &mut here);
    assert_eq!(held(&here), [20, 5]);
    let records: Vec<u32> = said
        .iter()
        .filter_map(|m| match m {
            Message::Entries(entries) => Some(entries.epoch),
            _ => None,
        })
        .collect();
    assert!(records.is_sorted() && records.first() == Some(&1), "{records:?}");
    assert!(here.faults.is_empty() && there.faults.is_empty());
}

#[test]
fn what_only_a_signed_head_covers_ends_the_closed_epoch_and_no_other() {
    // Of 20 co-signed records the mirror has 7, the restored writer 12: five can never be proved,
    // and eight nobody has. To make that known is for the office of the mirror.
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(prefix(&stored, 12), 5), centre(&stored, 7, 20, true));
    run(&mut there, &mut here);
    assert_eq!(held(&here), [7, 5]);
    assert!(there.faults.is_empty() && here.faults.is_empty(), "{:?}", here.faults);
    let lag = here.session.status(at(1)).logs.iter().find(|log| log.epoch == 1).unwrap().lag;
    assert_eq!(lag, Some(13), "and it stays to be seen");
}

#[test]
fn an_epoch_of_unknown_key_is_refused_on_both_sides_and_stops_nothing_else() {
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(prefix(&stored, 12), 5), centre(&stored, 20, 20, false));
    let text = "whose key is that".to_owned();
    let (code, notes) = (RefusalCode::WrongKey, vec!["a note".to_owned()]);
    here.refuses = Some(EpochRefused { code, text: text.clone(), notes });
    run(&mut there, &mut here);
    assert_eq!((here.asked.len(), &here.close), (1, &None));
    assert_eq!(held(&here), [20]);
    for end in [&there, &here] {
        let [fault] = &end.faults[..] else { panic!("{:?}", end.faults) };
        assert_eq!((fault.epoch, fault.code, &fault.text), (2, code, &text));
        assert_eq!(fault.notes, ["a note"]);
    }
    let stopped = LogState::Stopped { code, text };
    assert_eq!(there.states(), [LogState::Live, stopped.clone()]);
    assert_eq!(here.states(), [LogState::Live, stopped]);
}

#[test]
fn an_epoch_that_was_opened_before_with_another_key_is_refused() {
    let stored = region(3, 1);
    let mut here = centre(&stored, 3, 3, true);
    let before = name(LOG);
    let closed =
        Checkpoint { origin: origin(support::DOMAIN, &before, 1), size: 3, root: stored.root() };
    let other = Signer::log(&origin(support::DOMAIN, &before, 2), &[77; 32]).unwrap();
    let note = Succession { closed, successor: other.verifier() };
    let note = note.sign(&log_signer_of(&before, 1)).unwrap();
    let mut second = holding(&Stored::default(), Role::Origin, None);
    (second.epoch, second.succession) = (2, Some(note.clone()));
    let said = here.say(hello(vec![holding(&stored, Role::Origin, None), second]));
    let refused = said.iter().find_map(|m| match m {
        Message::Refused(Refused { epoch: 2, code, text, note, .. }) => Some((code, text, note)),
        _ => None,
    });
    let (code, text, shown) = refused.unwrap();
    assert_eq!((*code, shown), (RefusalCode::WrongKey, &Some(note)));
    assert!(text.contains("never opened twice") && text.contains("--epoch"), "{text}");
    assert!(here.close.is_none() && here.asked.is_empty());
}

#[test]
fn no_head_beyond_the_size_at_which_an_epoch_was_closed() {
    let stored = region(20, 1);
    let mut office = Office::new("KZ", &[], &[LOG]);
    let head = Some((12, note(12, stored.root_at(12))));
    office.mirrors.insert(name(LOG), Mirror { stored: prefix(&stored, 12), head });
    let mut config = office.config("KZ-75", &limits());
    config.mirrored[0].closed_at = Some(15);
    let mut here = End::new(vec![office], "KZ-75");
    here.session = Session::new(config, at(1)).unwrap();
    here.say(hello(vec![holding(&stored, Role::Origin, None)]));
    here.say(Message::Head(head_of(&stored, 12, 15)));
    assert!(here.faults.is_empty(), "{:?}", here.faults);
    here.say(Message::Head(head_of(&stored, 15, 16)));
    let [fault] = &here.faults[..] else { panic!("{:?}", here.faults) };
    assert_eq!((fault.code, fault.notes.len()), (RefusalCode::Fork, 2));
    assert!(fault.text.contains("closed at 15"), "{}", fault.text);
    assert_eq!(here.epochs[0].mirrors[&name(LOG)].head.as_ref().unwrap().0, 15);
}

#[test]
fn of_a_closed_epoch_whose_key_is_lost_goes_out_what_was_signed() {
    let stored = region(20, 1);
    for covered in [0, 7, 9, 20] {
        let mut there = restored(prefix(&stored, 20), 5);
        let mut config = there.epochs[0].config("KZ", &limits());
        config.own[0].keyless = true;
        config.own.extend(there.epochs[1].config("KZ", &limits()).own);
        there.session = Session::new(config, at(1)).unwrap();
        let mut here = centre(&stored, covered.min(7), covered, true);
        let said = run(&mut there, &mut here);
        assert_eq!(held(&here), [covered, 5]);
        assert!(!said.iter().any(|m| matches!(m, Message::Head(Head { epoch: 1, .. }))));
        assert!(here.faults.is_empty() && there.faults.is_empty());
        assert_eq!(there.states(), [LogState::Live, LogState::Live]);
        // The centre cannot tell that no more will come, until it has closed the epoch.
        if covered < 20 {
            assert_eq!(here.states(), [LogState::CatchingUp, LogState::Live]);
        }
        here.session.close_epochs(|_, epoch| (epoch == 1).then_some(covered));
        assert_eq!(here.states(), [LogState::Live, LogState::Live]);
    }
}

#[test]
fn the_mirrors_line_of_a_closed_epoch_comes_when_its_keys_are_kept() {
    let stored = region(20, 1);
    for keyless in [false, true] {
        let mut there = restored(prefix(&stored, 20), 5);
        let mut config = there.epochs[0].config("KZ", &limits());
        config.own[0].keyless = keyless;
        config.own.extend(there.epochs[1].config("KZ", &limits()).own);
        there.session = Session::new(config, at(1)).unwrap();
        let mut here = centre(&stored, 20, 20, true);
        run(&mut there, &mut here);
        assert!(!there.lines.contains(&1), "its keys are not kept yet");
        for _ in 0..2 {
            let kept = |_: &LogName, epoch| Some(if epoch == 1 { 20 } else { 5 });
            assert!(here.session.want_keys(at(1), [].into_iter(), kept));
            run(&mut there, &mut here);
        }
        assert_eq!(there.lines.iter().filter(|epoch| **epoch == 1).count(), 1, "once");
        assert!(here.faults.is_empty() && there.faults.is_empty(), "{:?}", there.faults);
    }
}

#[test]
fn an_epoch_that_its_writer_lost_altogether_is_over() {
    // The region has epochs 1 and 3, the centre mirrors all three.
    let stored = region(20, 1);
    let third = writer(3, Stored::default());
    let mut there = End::new(vec![writer(1, prefix(&stored, 20)), third], "KZ");
    let mut epochs = centre(&stored, 20, 20, true).epochs;
    epochs.push(Office { epoch: 3, ..Office::new("KZ", &[], &[LOG]) });
    let mut here = End::new(epochs, "KZ-75");
    run(&mut there, &mut here);
    assert!(here.faults.is_empty() && there.faults.is_empty(), "{:?}", there.faults);
    assert_eq!(here.session.status(at(1)).link, LinkState::Live);
}

#[test]
fn a_session_ends_when_its_own_office_opens_an_epoch() {
    let stored = region(20, 1);
    let mut there = End::new(vec![writer(1, stored.clone())], "KZ");
    let mut here = centre(&stored, 20, 20, false);
    run(&mut there, &mut here);
    there.session.local_grew(at(1), &name("kz-10"), 2, 1);
    there.session.local_grew(at(1), &name(LOG), 1, 20);
    assert!(!there.session.is_closed());
    there.session.local_grew(at(1), &name(LOG), 2, 0);
    there.settle(&mut VecDeque::new());
    assert_eq!(there.close, Some(Close::NewEpoch { log: name(LOG), epoch: 2 }));
}

fn hello(holdings: Vec<Holding>) -> Message {
    hello_of("KZ-75", holdings)
}

fn hello_of(office: &str, holdings: Vec<Holding>) -> Message {
    Message::Hello(Hello {
        protocol: PROTOCOL,
        office: office.to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings,
        features: Vec::new(),
        witnessed: Vec::new(),
        shown: Vec::new(),
    })
}

/// What the writer finds, what the mirror tells it, and what the mirror finds, where the writer has
/// `stored` and the mirror the first 20 records of another history.
fn judged(stored: Stored) -> [Vec<RefusalCode>; 3] {
    let mut there = End::new(vec![writer(1, stored)], "KZ");
    let mut here = centre(&region(20, 1), 20, 20, false);
    run(&mut there, &mut here);
    assert_eq!(
        here.epochs[0].mirrors[&name(LOG)].stored.size(),
        20,
        "nothing else enters the mirror"
    );
    let codes = |faults: &[Fault], by| -> Vec<_> {
        faults.iter().filter(|f| f.found_by == by).map(|f| f.code).collect()
    };
    assert!(there.faults.iter().all(|f| f.own) && here.faults.iter().all(|f| !f.own));
    [
        codes(&there.faults, Party::Us),
        codes(&there.faults, Party::Peer),
        codes(&here.faults, Party::Us),
    ]
}

#[test]
fn without_a_successor_a_shorter_epoch_is_an_old_backup_on_both_sides() {
    let [own, told, found] = judged(prefix(&region(20, 1), 12));
    assert_eq!(own, [RefusalCode::Rollback], "the writer sees only that it is shorter");
    assert_eq!((told, found), (vec![RefusalCode::OldBackup], vec![RefusalCode::OldBackup]));
}

#[test]
fn a_shorter_epoch_that_went_on_otherwise_is_a_rollback() {
    let mut stored = prefix(&region(20, 1), 12);
    stored.push(support::record(&name(LOG), 1, 12, 999));
    let [own, told, found] = judged(stored);
    assert_eq!((own, found), (vec![RefusalCode::Rollback], vec![RefusalCode::Rollback]));
    assert!(told.is_empty(), "the same word adds nothing");
}

#[test]
fn an_epoch_that_begins_anew_is_told_from_a_fork_whatever_its_length() {
    for size in [0, 5, 20, 30] {
        let [own, _, found] = judged(region(size, 500));
        assert_eq!(own, [RefusalCode::RecreatedLog], "{size} records");
        assert_eq!(found, [RefusalCode::RecreatedLog], "{size} records");
    }
    let mut stored = prefix(&region(20, 1), 12);
    (12..30).for_each(|seq| stored.push(support::record(&name(LOG), 1, seq, 900 + seq)));
    assert_eq!(judged(stored)[0], [RefusalCode::Fork], "the same beginning");
}

/// A bare word about the first record refuses nothing: only what was signed counts for the writer.
#[test]
fn a_mirror_that_names_another_first_record_does_not_stop_the_writer() {
    let stored = region(20, 1);
    let mut there = End::new(vec![writer(1, stored.clone())], "KZ");
    there.say(hello_of(
        "KZ",
        vec![Holding {
            first: Some([9; 32]),
            ..holding(&prefix(&stored, 12), Role::Follower, Some(note(12, stored.root_at(12))))
        }],
    ));
    assert!(there.faults.is_empty(), "{:?}", there.faults);
}

/// A closed epoch that is refused does not hold back the one that goes on.
#[test]
fn a_fork_of_an_epoch_that_is_over_leaves_the_link_live() {
    let (mut there, mut here) = (restored(region(20, 9), 5), centre(&region(20, 1), 20, 20, true));
    run(&mut there, &mut here);
    assert!(here.faults.iter().any(|f| (f.epoch, f.code) == (1, RefusalCode::Fork)));
    let status = here.session.status(at(1));
    let stopped = |log: &&replication::LogStatus| matches!(log.state, LogState::Stopped { .. });
    assert_eq!(status.logs.iter().filter(stopped).count(), 1, "{status:?}");
    assert_eq!(status.link, LinkState::Live, "{status:?}");
}

#[test]
fn a_closed_epoch_of_the_same_length_with_other_records_is_a_fork() {
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(region(20, 9), 5), centre(&stored, 20, 20, true));
    run(&mut there, &mut here);
    assert!(here.faults.iter().any(|f| (f.epoch, f.code) == (1, RefusalCode::Fork)));
}

#[test]
fn no_epoch_is_taken_up_of_a_foreign_log_or_behind_one_that_is_known() {
    let stored = region(3, 1);
    let mut here = centre(&stored, 3, 3, true);
    let holding = |log: &str, epoch, role| Holding {
        log: name(log),
        epoch,
        role,
        size: 0,
        root: empty_root(),
        head: None,
        succession: None,
        first: None,
    };
    let holdings = vec![
        holding("kz-10", 2, Role::Origin),
        holding(LOG, 2, Role::Origin),
        holding(LOG, 7, Role::Follower),
    ];
    here.say(hello(holdings));
    assert!(here.asked.is_empty() && here.close.is_none());
}
