//! Urgent records behind a backlog are shown ahead of it, and are held in their turn.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;

use evidence::merkle::inclusion_proof;
use replication::{Action, Close, Limits, Message, PREVIEWS, Preview, RefusalCode, Role};
use support::bench::{Bench, LOG, at_ten, centre, entries_of, head_of, holding, region, writer};
use support::office::Stored;
use support::world::limits;
use support::{is_urgent, name, record};

const SECOND: u64 = 1_000_000;

/// A region with records and a centre that has none, and a line that carries so many bytes a second
/// from the one to the other.
struct Pair {
    region: Bench,
    centre: Bench,
    rate: usize,
    /// Bytes that the line has carried of its first message.
    carried: usize,
    /// What was taken from each side's messages so far.
    heard: [usize; 2],
    /// The centre understands previews.
    understands: bool,
    /// Sequences that were shown, with the size of the mirror then.
    previews: Vec<(u64, u64)>,
    preview_bytes: usize,
}

/// How often the line is looked at.
const STEP: u64 = SECOND / 20;

impl Pair {
    fn new(records: u64, rate: usize, understands: bool) -> Pair {
        Pair::with(records, rate, understands, &limits())
    }

    fn with(records: u64, rate: usize, understands: bool, limits: &Limits) -> Pair {
        let region = Bench::with(writer(region(records, 0)), "KZ", limits);
        Pair {
            region,
            centre: Bench::with(centre(), "KZ-75", limits),
            rate,
            carried: 0,
            heard: [0, 0],
            understands,
            previews: Vec::new(),
            preview_bytes: 0,
        }
    }

    fn size(message: &Message) -> usize {
        match message {
            Message::Entries(m) => m.records.iter().map(Vec::len).sum::<usize>() + 500,
            Message::Preview(m) => m.record.len() + 32 * m.proof.len(),
            _ => 300,
        }
    }

    fn step(&mut self) {
        for bench in [&mut self.region, &mut self.centre] {
            bench.now += STEP;
            let now = support::at(bench.now);
            bench.session.tick(now);
            bench.settle();
        }
        self.carried += self.rate / 20;
        while let Some(message) = self.region.sent.get(self.heard[0]).cloned() {
            let size = Pair::size(&message);
            if self.carried < size {
                break;
            }
            self.carried -= size;
            self.heard[0] += 1;
            if let Message::Preview(preview) = &message {
                self.previews.push((preview.seq, self.centre.size()));
                self.preview_bytes += size;
            }
            self.centre.say(message);
        }
        if self.region.sent.len() == self.heard[0] {
            self.carried = 0;
        }
        while let Some(mut message) = self.centre.sent.get(self.heard[1]).cloned() {
            self.heard[1] += 1;
            if let Message::Hello(hello) = &mut message {
                hello.features.retain(|feature| feature != PREVIEWS || self.understands);
            }
            self.region.say(message);
        }
    }

    fn pass(&mut self, time: u64) {
        (0..time / STEP).for_each(|_| self.step());
    }

    /// Until everything is held.
    fn finish(&mut self) {
        let size = self.region.office.own[&name(LOG)].size();
        for _ in 0..1_000_000 {
            if self.centre.size() == size {
                return;
            }
            self.step();
        }
        panic!("{} of {size} records are held", self.centre.size());
    }

    fn append(&mut self, salt: u64) -> u64 {
        let size = self.region.office.append(&name(LOG), salt);
        let now = support::at(self.region.now);
        self.region.session.local_grew(now, &name(LOG), 1, size);
        self.region.settle();
        size - 1
    }

    fn shown(&self) -> Vec<u64> {
        self.centre.office.shown.iter().map(|(_, seq)| *seq).collect()
    }

    fn is_sound(&self) -> bool {
        let benches = [&self.region, &self.centre];
        benches.iter().all(|bench| bench.faults.is_empty() && bench.close.is_none())
    }
}

#[test]
fn an_urgent_record_is_shown_before_its_turn_and_held_in_it() {
    let mut pair = Pair::new(1_000, 2_000, true);
    pair.pass(20 * SECOND);
    let new = pair.append(49);
    pair.pass(20 * SECOND);
    assert!(pair.shown().contains(&new), "the newest goes first: {:?}", pair.shown());
    let held = pair.centre.size();
    assert!((1..400).contains(&held), "{held} records are held");
    pair.pass(40 * SECOND);
    let shown = pair.shown();
    assert!((500..new).filter(|seq| is_urgent(*seq)).all(|seq| shown.contains(&seq)), "{shown:?}");
    pair.finish();
    let shown = pair.shown();
    let distinct: BTreeSet<u64> = shown.iter().copied().collect();
    assert_eq!(shown.len(), distinct.len(), "each once");
    assert!(pair.is_sound());
}

/// On a line that needs longer than a heartbeat a head is due as soon as the last was answered.
#[test]
fn heads_that_are_always_due_leave_room() {
    let heartbeat = SECOND / 2;
    let often = Limits { heartbeat, head_interval: heartbeat, ..limits() };
    for grows in [false, true] {
        let mut pair = Pair::with(1_000, 2_000, true, &often);
        for n in 0..100 {
            if grows {
                pair.append(n);
            }
            pair.pass(SECOND / 5);
        }
        let new = pair.append(49);
        pair.pass(20 * SECOND);
        assert!(pair.shown().contains(&new), "{grows}: {:?}", pair.shown());
        assert!(pair.is_sound());
    }
}

#[test]
fn previews_take_a_share_of_the_link() {
    let mut pair = Pair::new(1_000, 2_000, true);
    for _ in 0..500 {
        pair.append(49);
    }
    let mut before = pair.preview_bytes;
    for _ in 0..10 {
        pair.pass(10 * SECOND);
        let bytes = pair.preview_bytes - before;
        assert!(bytes < 8_000, "{bytes} of 20,000 bytes in ten seconds");
        before = pair.preview_bytes;
    }
    assert!(pair.previews.len() > 20);
    pair.finish();
    assert!(pair.is_sound());
}

#[test]
fn where_nothing_waits_nothing_is_shown_ahead() {
    let mut pair = Pair::new(100, 100_000, true);
    for _ in 0..300 {
        pair.append(49);
        pair.pass(SECOND / 5);
    }
    pair.finish();
    assert!(pair.previews.is_empty() && pair.is_sound(), "{:?}", pair.previews);
}

#[test]
fn a_peer_that_does_not_understand_is_shown_nothing() {
    let mut pair = Pair::new(300, 2_000, false);
    pair.finish();
    assert!(pair.previews.is_empty() && pair.is_sound());
}

/// The record of the region's log at this place, shown against the head of 12.
fn preview(stored: &Stored, seq: u64) -> Preview {
    let record = stored.records[seq as usize].clone();
    let proof = inclusion_proof(&stored.tree, seq, 12).unwrap_or_default();
    Preview { log: name(LOG), epoch: 1, seq, head_size: 12, record, proof }
}

/// A region with 20 records, of which those from 10 on are urgent, and the centre that holds 10 of
/// them under the head of 12.
fn urgent_at_ten() -> (Stored, Bench) {
    let mut stored = Stored::default();
    for seq in 0..20 {
        stored.push(record(&name(LOG), 1, seq, if seq < 10 { seq } else { 49 + 50 * seq }));
    }
    let mut bench = Bench::centre(centre());
    bench.hello("KZ-75", vec![holding(&stored, Role::Origin, None)]);
    bench.say(Message::Head(head_of(&stored, 0, 12)));
    bench.say(Message::Entries(entries_of(&stored, 0, 10, 12)));
    bench.sent.clear();
    (stored, bench)
}

#[test]
fn only_what_the_accepted_head_proves_is_shown() {
    let (stored, mut bench) = urgent_at_ten();
    bench.say(Message::Preview(preview(&stored, 11)));
    assert_eq!(bench.office.shown, [(name(LOG), 11)]);
    assert!(bench.sent.is_empty(), "it is not answered");
    let mut other = record(&name(LOG), 1, 11, 99);
    let bent: [(&str, Preview); 5] = [
        ("another record", Preview { record: other.clone(), ..preview(&stored, 11) }),
        ("another place", Preview { seq: 10, ..preview(&stored, 11) }),
        ("behind the head", preview(&stored, 13)),
        ("no proof", Preview { proof: Vec::new(), ..preview(&stored, 11) }),
        ("no record", Preview { record: other.split_off(100), ..preview(&stored, 11) }),
    ];
    for (what, preview) in bent {
        let (_, mut bench) = urgent_at_ten();
        bench.say(Message::Preview(preview));
        assert!(bench.office.shown.is_empty(), "{what}");
        bench.assert_refused(RefusalCode::BadSignature);
    }
}

#[test]
fn what_is_not_urgent_is_refused() {
    let (stored, mut bench) = at_ten();
    assert!(!is_urgent(12), "the salt of record 11");
    bench.say(Message::Preview(preview(&stored, 11)));
    assert!(bench.office.shown.is_empty());
    let fault = bench.assert_refused(RefusalCode::BadSignature);
    assert!(fault.text.contains("not urgent"), "{}", fault.text);
}

#[test]
fn what_is_held_already_is_not_shown() {
    let (stored, mut bench) = urgent_at_ten();
    bench.say(Message::Entries(entries_of(&stored, 10, 12, 12)));
    bench.say(Message::Preview(preview(&stored, 11)));
    assert!(bench.office.shown.is_empty() && bench.faults.is_empty());
}

#[test]
fn a_preview_against_another_head_ends_the_link() {
    let (stored, mut bench) = urgent_at_ten();
    let proof = inclusion_proof(&stored.tree, 11, 20).unwrap();
    bench.say(Message::Preview(Preview { head_size: 20, proof, ..preview(&stored, 11) }));
    assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
    let big = Preview { record: vec![0; 70_000], ..preview(&stored, 11) };
    let (_, mut bench) = urgent_at_ten();
    bench.say(Message::Preview(big));
    assert!(matches!(bench.close, Some(Close::Refused { code: RefusalCode::Internal, .. })));
    assert!(bench.session.poll().is_none_or(|action| matches!(action, Action::Close(_))));
}
