//! Seeded random schedules: cuts, restarts, full disks, growth, both directions at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use replication::{Failure, Limits, LinkState, LogState, RefusalCode};
use support::world::World;
use support::{Random, name};

/// One random step of the driver, the link, the clerks or fate.
fn step(world: &mut World, faults: u64) {
    let office = world.random.below(2) as usize;
    match world.random.below(100) {
        0..=34 => {
            for _ in 0..=world.random.below(4) {
                world.deliver(office);
            }
        }
        35..=64 => {
            for _ in 0..=world.random.below(3) {
                world.execute(office);
            }
        }
        65..=79 => {
            let logs: Vec<_> = world.offices[office].own.keys().cloned().collect();
            let log = &logs[world.random.below(logs.len() as u64) as usize];
            let burst = if world.random.one_in(10) { 40 } else { 3 };
            for _ in 0..=world.random.below(burst) {
                world.append(office, log);
            }
        }
        80..=94 => {
            let by = if world.random.one_in(8) { 3_000_000 } else { 200_000 };
            let by = world.random.below(by) + 1;
            world.tick(by);
        }
        95..=97 if world.random.below(100) < faults => world.cut(),
        98 if world.random.below(100) < faults => {
            // A restart keeps what is on disk and nothing else.
            world.offices[office].instance = world.offices[office].instance.wrapping_add(1);
            world.cut();
        }
        99 if world.random.below(100) < faults => {
            let kinds = [Failure::DiskFull, Failure::IndexBuilding];
            let begins = world.offices[office].refuses.is_none();
            let refuses = begins.then(|| kinds[usize::from(world.random.one_in(2))]);
            world.offices[office].refuses = refuses;
        }
        _ => {}
    }
    world.audit();
}

fn play(seed: u64) -> World {
    let mut world = World::new(seed);
    let faults = Random(seed ^ 0xfeed).below(101);
    world.limits.store_retry = 10_000 << Random(seed ^ 0xd15c).below(11);
    for _ in 0..300 {
        step(&mut world, faults);
    }
    for office in &mut world.offices {
        office.refuses = None;
    }
    world.run(25_000_000);
    world
}

#[test]
fn everything_acknowledged_arrives_once_and_by_itself() {
    let (mut records, mut cuts, mut refused) = (0, 0, 0);
    for seed in 0..240 {
        let mut world = play(seed);
        let message = format!("seed {seed}: {:?} {:?}", world.closes, world.status(0));
        assert!(world.live(), "{message}");
        world.assert_complete();
        records += world.offices.iter().flat_map(|o| o.own.values()).map(|l| l.size()).sum::<u64>();
        cuts += world.cuts;
        refused += world.closes.len();
    }
    assert!(records > 20_000 && cuts > 800, "{records} records, {cuts} cuts");
    assert_eq!(refused, 0, "no honest office refuses an honest office");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digest = |seed| {
        let world = play(seed);
        (world.delivered, world.entries_sent, world.now, world.random.0)
    };
    for seed in [3, 77, 191] {
        assert_eq!(digest(seed), digest(seed));
    }
}

#[test]
fn without_faults_nothing_is_sent_twice() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.connect();
        for _ in 0..200 {
            step(&mut world, 0);
        }
        world.run(30_000_000);
        world.assert_complete();
        let records: u64 =
            world.offices.iter().flat_map(|o| o.own.values()).map(|l| l.size()).sum();
        assert_eq!(world.entries_sent, records, "seed {seed}");
    }
}

#[test]
fn cut_at_every_message() {
    for cut_after in 0..60 {
        let mut world = World::new(cut_after);
        for n in 0..30 {
            let office = (n % 2) as usize;
            let log = name(if office == 0 { "kz/all" } else { "kz-75" });
            world.append(office, &log);
        }
        world.connect();
        let mut turns = 0;
        while world.delivered < cut_after && turns < 10_000 {
            turns += 1;
            if !(world.deliver(0) | world.deliver(1) | world.execute(0) | world.execute(1)) {
                world.tick(500_000);
            }
        }
        world.cut();
        world.run(20_000_000);
        assert!(world.live(), "cut after {cut_after}: {:?}", world.status(0));
        world.assert_complete();
    }
}

#[test]
fn a_full_disk_pauses_one_log_and_ends_by_itself() {
    pauses_and_goes_on(Failure::DiskFull, RefusalCode::DiskFull, &LinkState::Faulty);
}

#[test]
fn an_index_that_is_being_built_pauses_one_log_and_is_no_fault() {
    pauses_and_goes_on(Failure::IndexBuilding, RefusalCode::IndexBuilding, &LinkState::CatchingUp);
}

fn pauses_and_goes_on(failure: Failure, code: RefusalCode, link: &LinkState) {
    let mut world = World::new(5);
    let log = name("kz-75");
    world.connect();
    world.run(10_000_000);
    world.offices[0].refuses = Some(failure);
    world.append(1, &log);
    world.run(2_000_000);
    for (office, lag) in [(1, Some(1)), (0, None)] {
        let status = world.status(office).unwrap();
        let entry = status.logs.iter().find(|l| l.log == log).unwrap();
        assert_eq!(entry.state, LogState::Paused(code), "{status:?}");
        assert_eq!(status.link, *link);
        assert!(lag.is_none() || entry.lag == lag, "{status:?}");
    }
    // The other direction goes on meanwhile.
    world.append(0, &name("kz/all"));
    world.run(3_000_000);
    assert_eq!(world.offices[1].mirrors[&name("kz/all")].stored.size(), 1);
    world.offices[0].refuses = None;
    world.run(15_000_000);
    assert!(world.live());
    assert_eq!(world.offices[0].mirrors[&log].stored.size(), 1);
    assert!(world.closes.is_empty(), "the link stayed up");
}

#[test]
fn a_black_hole_is_noticed_and_never_looks_healthy() {
    let mut world = World::new(6);
    let log = name("kz-75");
    world.connect();
    world.run(10_000_000);
    assert!(world.live());
    // Nothing is delivered any more, the sockets stay open.
    let from = world.now;
    world.append(1, &log);
    let mut silent = 0;
    while world.link.is_some() && world.now < from + 120_000_000 {
        while world.execute(0) || world.execute(1) {}
        world.tick(500_000);
        let Some(status) = world.status(1) else { break };
        assert_ne!(status.link, LinkState::Live);
        if world.now > from + 16_000_000 {
            assert!(status.logs.iter().all(|l| l.state != LogState::Live), "{status:?}");
        }
        silent += u32::from(matches!(status.link, LinkState::SilentSince(_)));
    }
    let limits = Limits::default();
    let noticed = (u64::from(limits.missed_pings) + 1) * limits.ping_interval + 1_000_000;
    assert!(world.now - from <= noticed, "dead after {} µs", world.now - from);
    assert!(silent > 10);
    world.run(10_000_000);
    world.assert_complete();
}

#[test]
fn a_long_backlog_does_not_keep_other_logs_waiting() {
    let mut world = World::new(7);
    for _ in 0..2_000 {
        world.append(1, &name("kz-75"));
    }
    world.append(1, &name("kz-75/blind"));
    world.connect();
    while world.offices[0].mirrors[&name("kz-75/blind")].stored.size() == 0 {
        assert!(world.deliver(0) | world.deliver(1) | world.execute(0) | world.execute(1));
    }
    let ahead = world.offices[0].mirrors[&name("kz-75")].stored.size();
    assert!(ahead < 200, "{ahead} records went first");
}

#[test]
fn heads_follow_records_and_their_heartbeat() {
    let mut world = World::new(8);
    world.connect();
    world.run(10_000_000);
    let before = world.offices[1].heads_signed.len();
    for _ in 0..100 {
        world.append(1, &name("kz-75"));
        world.run(100_000);
    }
    let signed = world.offices[1].heads_signed.len() - before;
    assert!((95..=100).contains(&signed), "{signed} heads where each is answered at once");
    // Quiet for a minute: no new heads are signed, no record is sent, the head's age stays small.
    let (signed, sent) = (world.offices[1].heads_signed.len(), world.entries_sent);
    for _ in 0..60 {
        world.run(1_000_000);
        let status = world.status(0).unwrap();
        for log in &status.logs {
            let age = support::at(world.now).unix - log.head_at.unwrap();
            assert!(age <= 5_100_000, "{} {age}", log.log);
        }
    }
    assert!(world.offices[1].heads_signed.len() <= signed + 1, "the last record at most");
    assert_eq!(world.entries_sent, sent);
    let stored = world.offices[1].cosignatures.len();
    world.run(60_000_000);
    assert_eq!(world.offices[1].cosignatures.len(), stored, "heartbeats fill no disk");
}
