//! Several epochs of one log on a link: a restored writer, a new epoch, the rest of a closed one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::VecDeque;

use replication::{
    Action, Close, Fault, Head, Hello, Holding, LinkState, LogState, Message, NewEpoch, PROTOCOL,
    RefusalCode, Role, Session,
};
use support::bench::{LOG, note, prefix, region};
use support::office::{Mirror, Office, Stored};
use support::world::limits;
use support::{at, name};

/// One office with an [`Office`] for each of its epochs, and its end of the link.
struct End {
    epochs: Vec<Office>,
    session: Session,
    faults: Vec<Fault>,
    opened: Vec<NewEpoch>,
    close: Option<Close>,
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
        let (faults, opened, close) = (vec![], vec![], None);
        End { epochs, session, faults, opened, close }
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
                Action::StoreCosignature(_) | Action::Greeted(_) => continue,
                Action::Send(message) => {
                    out.push_back(message.clone());
                    continue;
                }
                Action::NewEpoch(opened) => {
                    self.opened.push(opened.clone());
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
    let opened = NewEpoch { log: name(LOG), epoch: 2 };
    assert_eq!(here.opened, [opened]);
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
fn what_only_a_signed_head_covers_is_still_told_and_stops_the_closed_epoch_alone() {
    // Of 20 co-signed records the mirror has 7, the restored writer 12: five can never be proved.
    let stored = region(20, 1);
    let (mut there, mut here) = (restored(prefix(&stored, 12), 5), centre(&stored, 7, 20, true));
    run(&mut there, &mut here);
    assert_eq!(held(&here), [7, 5]);
    let codes = |end: &End| end.faults.iter().map(|f| (f.epoch, f.code)).collect::<Vec<_>>();
    assert!(codes(&there).iter().all(|fault| *fault == (1, RefusalCode::Rollback)));
    assert!(!codes(&there).is_empty() && !codes(&here).is_empty());
}

#[test]
fn without_a_successor_a_shorter_epoch_is_a_rollback() {
    let stored = region(20, 1);
    let mut there = End::new(vec![writer(1, prefix(&stored, 12))], "KZ");
    let mut here = centre(&stored, 20, 20, false);
    run(&mut there, &mut here);
    assert!(there.faults.iter().any(|f| f.code == RefusalCode::Rollback && f.own));
    assert!(here.faults.iter().any(|f| f.code == RefusalCode::Rollback && !f.own));
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
        root: evidence::merkle::empty_root(),
        head: None,
    };
    let holdings = vec![
        holding("kz-10", 2, Role::Origin),
        holding(LOG, 2, Role::Origin),
        holding(LOG, 7, Role::Follower),
    ];
    here.say(Message::Hello(Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings,
    }));
    assert!(here.opened.is_empty() && here.close.is_none());
}
