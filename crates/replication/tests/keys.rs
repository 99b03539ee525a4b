//! Wraps of keys on their way between two offices.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, VecDeque};

use evidence::checkpoint::verify_cosignature;
use replication::{
    Action, Close, CosignatureKind, EARLIER_LINES, Failure, Hello, KEYS, KeyWrap, Keys, KeysWanted,
    Message, PROTOCOL, Role, Session,
};
use support::bench::{Bench, LOG, centre, entries_of, head_of, holding, note, region};
use support::office::{Office, cosigner};
use support::world::{World, limits};
use support::{at, name};

type Id = [u8; 16];

/// One office: its session, and what it has of keys.
struct End {
    session: Session,
    has: BTreeMap<Id, Vec<u8>>,
    out: VecDeque<Message>,
    full: bool,
    close: Option<Close>,
}

impl End {
    fn region() -> End {
        End::new(Office::new("KZ-75", &[LOG], &[]), "KZ")
    }

    fn centre() -> End {
        End::new(Office::new("KZ", &[], &[LOG]), "KZ-75")
    }

    fn new(office: Office, peer: &str) -> End {
        let session = Session::new(office.config(peer, &limits()), at(1)).unwrap();
        let (has, out) = (BTreeMap::new(), VecDeque::new());
        let mut end = End { session, has, out, full: false, close: None };
        end.settle(1);
        end
    }

    fn settle(&mut self, now: u64) {
        while let Some(action) = self.session.poll() {
            match action {
                Action::Send(message) => self.out.push_back(message),
                Action::Close(close) => self.close = Some(close),
                Action::ReadKeys(ask) => {
                    let here = ask.ids.iter().filter_map(|id| Some((*id, self.has.get(id)?)));
                    let wraps = here.map(|(id, b)| KeyWrap { id, bytes: b.clone() }).collect();
                    self.session.keys_read(at(now), ask.ticket, wraps);
                }
                Action::KeepKeys(ask) if self.full => {
                    self.session.keys_kept(at(now), ask.ticket, Err(Failure::DiskFull));
                }
                Action::KeepKeys(ask) => {
                    self.has.extend(ask.wraps.into_iter().map(|wrap| (wrap.id, wrap.bytes)));
                    self.session.keys_kept(at(now), ask.ticket, Ok(()));
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, now: u64, message: Message) {
        self.session.handle(at(now), message);
        self.settle(now);
    }

    fn want(&mut self, now: u64, numbers: std::ops::Range<u32>) {
        self.session.want_keys(at(now), numbers.map(id), |_, _| None);
        self.settle(now);
    }
}

fn id(number: u32) -> Id {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

fn wraps(numbers: std::ops::Range<u32>) -> BTreeMap<Id, Vec<u8>> {
    numbers.map(|number| (id(number), vec![number as u8; 147])).collect()
}

/// Delivers until nothing is on its way, each message after `delay`; how many ids each question
/// of the first end has.
fn run(asks: &mut End, has: &mut End, now: &mut u64, delay: u64) -> Vec<usize> {
    let mut questions = Vec::new();
    loop {
        *now += delay;
        if let Some(message) = asks.out.pop_front() {
            if let Message::KeysWanted(wanted) = &message {
                questions.push(wanted.ids.len());
            }
            has.hear(*now, message);
        } else if let Some(message) = has.out.pop_front() {
            asks.hear(*now, message);
        } else {
            return questions;
        }
    }
}

#[test]
fn what_is_wanted_comes_and_is_asked_for_once() {
    let (mut centre, mut region, mut now) = (End::centre(), End::region(), 1);
    region.has = wraps(0..900);
    centre.want(now, 0..10);
    assert!(!centre.out.iter().any(|m| matches!(m, Message::KeysWanted(_))), "before the hello");
    run(&mut centre, &mut region, &mut now, 1_000);
    centre.want(now, 0..1_000);
    centre.want(now, 0..1_000);
    let questions = run(&mut centre, &mut region, &mut now, 1_000);
    assert_eq!(centre.has, region.has);
    assert_eq!(questions, [8, 16, 32, 64, 128, 256, 256, 240], "quick answers, larger questions");
    centre.want(now, 0..1_000);
    assert!(centre.out.is_empty(), "what the other side does not have is not asked for again");
    // The other way: a writer that lost its vault.
    region.has.clear();
    region.want(now, 0..20);
    run(&mut region, &mut centre, &mut now, 1_000);
    assert_eq!(region.has, wraps(0..20));
}

#[test]
fn on_a_slow_line_questions_stay_small() {
    let (mut centre, mut region, mut now) = (End::centre(), End::region(), 1);
    region.has = wraps(0..100);
    run(&mut centre, &mut region, &mut now, 1_000_000);
    centre.want(now, 0..100);
    let questions = run(&mut centre, &mut region, &mut now, 1_000_000);
    assert_eq!((centre.has.len(), questions.iter().max()), (100, Some(&8)));
}

#[test]
fn what_cannot_be_stored_is_asked_for_again() {
    let (mut centre, mut region, mut now) = (End::centre(), End::region(), 1);
    region.has = wraps(0..30);
    centre.full = true;
    run(&mut centre, &mut region, &mut now, 1_000);
    centre.want(now, 0..30);
    run(&mut centre, &mut region, &mut now, 1_000);
    assert!(centre.has.is_empty() && centre.close.is_none());
    centre.full = false;
    now += 10_000_000;
    assert!(centre.session.next_wakeup().unwrap() <= now);
    centre.session.tick(at(now));
    centre.settle(now);
    run(&mut centre, &mut region, &mut now, 1_000);
    assert_eq!(centre.has, region.has, "after a while it is asked for again");
    let (mut centre, mut region) = (End::centre(), End { has: region.has, ..End::region() });
    run(&mut centre, &mut region, &mut now, 1_000);
    centre.want(now, 0..30);
    run(&mut centre, &mut region, &mut now, 1_000);
    assert_eq!(centre.has, region.has);
}

#[test]
fn nothing_is_asked_of_a_peer_that_does_not_understand_it() {
    let mut centre = End::centre();
    centre.hear(2, hello(Vec::new()));
    centre.want(3, 0..10);
    assert!(!centre.out.iter().any(|m| matches!(m, Message::KeysWanted(_))));
}

#[test]
fn a_peer_that_answers_otherwise_or_floods_is_refused() {
    let wrap = |number, bytes| KeyWrap { id: id(number), bytes: vec![0; bytes] };
    let keys = |wraps| Message::Keys(Keys { wraps });
    let wanted = |count: u32| Message::KeysWanted(KeysWanted { ids: (0..count).map(id).collect() });
    let cases = [
        ("not asked for", vec![keys(vec![wrap(50, 10)])]),
        ("twice", vec![keys(vec![wrap(1, 10), wrap(1, 10)])]),
        ("too large", vec![keys(vec![wrap(1, 2_000)])]),
        ("answered twice", vec![keys(vec![]), keys(vec![])]),
        ("nothing asked", vec![wanted(0)]),
        ("too much asked", vec![wanted(257)]),
    ];
    for (name, said) in cases {
        let mut centre = End::centre();
        centre.hear(2, hello(vec![KEYS.to_owned()]));
        centre.want(3, 0..4);
        said.into_iter().for_each(|message| centre.hear(4, message));
        assert!(matches!(centre.close, Some(Close::Refused { .. })), "{name}");
        assert!(centre.has.is_empty(), "{name}");
    }
    // A second question before the first one was answered.
    let mut centre = End::centre();
    centre.hear(2, hello(vec![KEYS.to_owned()]));
    (0..2).for_each(|_| centre.session.handle(at(3), wanted(1)));
    centre.settle(3);
    assert!(matches!(centre.close, Some(Close::Refused { .. })));
}

fn hello(features: Vec<String>) -> Message {
    Message::Hello(Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings: Vec::new(),
        features,
        witnessed: Vec::new(),
        shown: Vec::new(),
    })
}

#[test]
fn the_mirrors_line_waits_for_the_keys_of_everything_below_the_head() {
    let stored = region(20, 1);
    for (understood, waits) in [(true, true), (false, false)] {
        let mut bench = Bench::centre(centre());
        let Message::Hello(mut said) = hello(Vec::new()) else { unreachable!() };
        said.holdings = vec![holding(&stored, Role::Origin, None)];
        said.features = if understood { vec![KEYS.to_owned()] } else { Vec::new() };
        bench.say(Message::Hello(said));
        let kept = |bench: &mut Bench, to: u64| {
            let spoken = bench.session.want_keys(at(1), [].into_iter(), |_, _| Some(to));
            assert_eq!(spoken, understood);
            bench.settle();
        };
        kept(&mut bench, 0);
        bench.say(Message::Head(head_of(&stored, 0, 12)));
        bench.say(Message::Entries(entries_of(&stored, 0, 12, 12)));
        let line = |bench: &Bench| {
            let held = bench.last_held().unwrap();
            assert_eq!(held.size, 12, "the position is told at once");
            held.cosignature.is_some()
        };
        assert_eq!(line(&bench), !waits);
        kept(&mut bench, 11);
        assert_eq!(line(&bench), !waits, "one record lacks its key");
        kept(&mut bench, 12);
        assert!(line(&bench), "everything is kept");
        let told = bench.sent.len();
        kept(&mut bench, 12);
        assert_eq!(bench.sent.len(), told, "once");
    }
}

#[test]
fn a_log_that_always_grows_gets_the_mirrors_line_for_heads_whose_keys_came() {
    let stored = region(40, 1);
    for earlier in [true, false] {
        let mut bench = Bench::centre(centre());
        let Message::Hello(mut said) = hello(vec![KEYS.to_owned()]) else { unreachable!() };
        said.holdings = vec![holding(&stored, Role::Origin, None)];
        said.features.extend(earlier.then(|| EARLIER_LINES.to_owned()));
        bench.say(Message::Hello(said));
        bench.session.want_keys(at(1), [].into_iter(), |_, _| Some(0));
        let mut lines = Vec::new();
        for size in 1..=40 {
            // The keys of a record come when the next one is held already.
            bench.say(Message::Head(head_of(&stored, size - 1, size)));
            bench.say(Message::Entries(entries_of(&stored, size - 1, size, size)));
            bench.session.want_keys(at(1), [].into_iter(), |_, _| Some(size - 1));
            bench.settle();
            let held = bench.last_held().unwrap().clone();
            let Some(line) = held.cosignature else { continue };
            let of = held.cosigned.unwrap_or(held.size);
            let note = note(of, stored.root_at(of));
            assert!(of < size, "line for {of} at {size}");
            assert!(verify_cosignature(&note, &line, &cosigner("KZ", "mirror").verifier()).is_ok());
            lines.push(of);
        }
        lines.dedup();
        match earlier {
            true => assert_eq!(lines, (1..40).collect::<Vec<_>>(), "the line lags, it is given"),
            false => assert!(lines.is_empty(), "an older peer would take it for another key's"),
        }
        assert!(bench.close.is_none() && bench.faults.is_empty());
    }
}

/// Both ends are real: a region whose log grows with each round trip, and a centre whose keys come
/// a while after the records.
#[test]
fn the_writer_takes_the_line_of_a_head_that_is_not_its_newest() {
    let mut world = World::new(7);
    world.connect();
    world.run(1_000_000);
    let mut sizes = Vec::new();
    for _ in 0..60 {
        sizes.push(world.offices[1].own[&name(LOG)].size());
        let keyed = sizes.len().checked_sub(5).map_or(0, |at| sizes[at]);
        let now = at(world.now);
        world.link.as_mut().unwrap()[0].session.want_keys(now, [].into_iter(), |_, _| Some(keyed));
        world.drain(0);
        for _ in 0..3 {
            world.append(1, &name(LOG));
        }
        world.run(300_000);
        assert!(mirrored(&world).iter().all(|size| *size <= keyed), "a key lacks");
    }
    let lines = mirrored(&world);
    assert!(lines.len() >= 5 && lines.is_sorted(), "{lines:?}");
    assert!(world.closes.is_empty() && world.offices.iter().all(|o| o.faults.is_empty()));
}

/// Heads of the region's log with the mirror's line, as the region keeps them.
fn mirrored(world: &World) -> Vec<u64> {
    let lines = world.offices[1].cosignatures.iter();
    let lines = lines.filter(|c| c.kind == CosignatureKind::Mirror && c.log == name(LOG));
    lines.map(|c| c.size).filter(|size| *size > 0).collect()
}
