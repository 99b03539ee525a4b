//! Own epochs with real journals and key files: opened, cut short, completed.

use domain::integrity::IntegrityFact;
use evidence::checkpoint::Checkpoint;

mod restored;

use super::*;
use crate::heads;
use crate::testing::{Desk, contact, desk, log};

/// The facts about itself that a log holds in one epoch: its first and its last record.
fn ends(desk: &Desk, name: &str, epoch: u32) -> (Fact, Fact) {
    let info = desk.office.journal.log(&log(name), epoch).unwrap();
    let of = |seq| {
        let record = desk.office.journal.get(&log(name), epoch, seq).unwrap().unwrap();
        facts::open_part(&record).unwrap()
    };
    (of(0), of(info.size - 1))
}

/// Whether the head of an epoch is signed by the key that everybody believes to be its own.
fn verifies(desk: &Desk, name: &str, epoch: u32, key: &[u8; 32]) -> bool {
    let office = &desk.office;
    let size = office.journal.log(&log(name), epoch).unwrap().size;
    let note = heads::sign(office, &log(name), epoch, size).unwrap();
    let verifier = heads::log_verifier(&office.options.domain, &log(name), epoch, key).unwrap();
    Checkpoint::open(&note, &verifier).is_ok()
}

#[tokio::test]
async fn a_change_of_the_key_ends_the_epoch_and_names_its_successor() {
    let desk = desk("KZ-75").await;
    let own = log("kz-75");
    desk.record(&own, &[contact(1), contact(2)]).await;
    let first = desk.office.log_keys.public(1).unwrap();
    let [rotated] = &rotate(&desk.office).await.unwrap()[..] else { panic!("one log") };
    assert_eq!((rotated.closed, rotated.size, rotated.epoch), (1, 3, 2));
    desk.record(&own, &[contact(3)]).await;

    let (_, last) = ends(&desk, "kz-75", 1);
    let Fact::Integrity(IntegrityFact::KeyRotated(last)) = last else { panic!("{last:?}") };
    assert_eq!((last.epoch, last.successor_key), (1, rotated.key));
    let (begun, _) = ends(&desk, "kz-75", 2);
    let Fact::Integrity(IntegrityFact::Succeeds(begun)) = begun else { panic!("{begun:?}") };
    let closed = desk.office.journal.log(&own, 1).unwrap();
    assert_eq!((begun.epoch, begun.size, begun.root), (1, 3, closed.root));

    // One key per epoch, and the first names the second.
    assert!(verifies(&desk, "kz-75", 1, &first) && verifies(&desk, "kz-75", 2, &rotated.key));
    assert!(!verifies(&desk, "kz-75", 1, &rotated.key) && !verifies(&desk, "kz-75", 2, &first));
    let note = keys::statement_note(&desk.office, &own, 2).unwrap();
    let name = origin(&desk.office.options.domain, &own, 1);
    let stated = Succession::open(&note, &Verifier::log(&name, &first).unwrap()).unwrap();
    assert_eq!(stated.closed, Checkpoint { origin: name, size: 3, root: closed.root });
    assert_eq!(stated.successor.public_key(), &rotated.key);

    // What the centre would need if the old key were lost.
    let public = PublicKeys::load(&desk.dir.path().join("data/keys/public.toml")).unwrap();
    assert_eq!((public.epoch, public.log), (2, rotated.key));
    assert_eq!(public.witness, desk.office.keys.public("KZ-75").unwrap().witness);

    // A restart changes nothing, and the next change is epoch 3.
    let desk = desk.killed().await;
    assert_eq!(desk.office.own_epoch(), 2);
    assert_eq!(desk.office.journal.log(&own, 2).unwrap().size, 2);
    assert_eq!(rotate(&desk.office).await.unwrap()[0].epoch, 3);
}

#[tokio::test]
async fn what_is_recorded_meanwhile_stands_on_one_side_or_the_other() {
    let desk = desk("KZ-75").await;
    let own = log("kz-75");
    let drafts: Vec<_> = (1..=60).map(contact).collect();
    let writing = desk.record(&own, &drafts);
    let rotating = async {
        for _ in 0..3 {
            rotate(&desk.office).await.unwrap();
        }
    };
    tokio::join!(writing, rotating);
    let mut contacts = 0;
    for epoch in 1..=4 {
        let size = desk.office.journal.log(&own, epoch).unwrap().size;
        let (first, last) = ends(&desk, "kz-75", epoch);
        let begins = matches!(first, Fact::Integrity(IntegrityFact::Succeeds(_)));
        let closes = matches!(last, Fact::Integrity(IntegrityFact::KeyRotated(_)));
        assert_eq!((begins, closes), (epoch > 1, epoch < 4), "epoch {epoch}");
        contacts += size - u64::from(begins) - u64::from(closes);
    }
    assert_eq!(contacts, 60, "none is lost, none stands behind the end of an epoch");
}

#[tokio::test]
async fn the_next_start_completes_what_was_cut_short() {
    let own = log("kz-75");
    for cut in ["behind the key", "behind the last record", "behind the new epoch"] {
        let desk = desk("KZ-75").await;
        desk.record(&own, &[contact(1)]).await;
        let key = desk.office.log_keys.make(2).unwrap();
        if cut != "behind the key" {
            let last = ending(&desk.office, &own, 1, 2).unwrap();
            desk.office.writer.write(last).await.unwrap();
        }
        if cut == "behind the new epoch" {
            desk.office.journal.ensure_own_log(&own, 2).await.unwrap();
        }
        let desk = desk.killed().await;
        if cut == "behind the key" {
            assert_eq!(desk.office.own_epoch(), 1, "nothing had been said of it");
            assert_eq!(rotate(&desk.office).await.unwrap()[0].key, key, "and it is used now");
            continue;
        }
        assert_eq!(desk.office.own_epoch(), 2, "{cut}");
        let (first, _) = ends(&desk, "kz-75", 2);
        assert!(matches!(first, Fact::Integrity(IntegrityFact::Succeeds(_))), "{cut}");
        assert_eq!(keys::log_key(&desk.office, &own, 2), Some(key), "{cut}");
        assert!(keys::statement(&desk.office, &own, 2).is_some(), "{cut}");
        let again = desk.killed().await;
        assert_eq!(again.office.journal.log(&own, 2).unwrap().size, 1, "{cut}: once");
    }
}

#[tokio::test]
async fn a_change_that_reached_some_logs_of_the_centre_reaches_all() {
    let desk = desk("KZ").await;
    let (own, all, down) = (log("kz"), log("kz/all"), log("kz/kz-75"));
    open_downlink(&desk.office, &down).await.unwrap();
    desk.record(&down, &[contact(1)]).await;
    desk.office.log_keys.make(2).unwrap();
    let last = ending(&desk.office, &all, 1, 2).unwrap();
    desk.office.writer.write(last).await.unwrap();
    let desk = desk.killed().await;
    for name in [&own, &all, &down] {
        assert_eq!(store::own_epoch(&desk.office.journal, name), 2, "{name}");
        let (_, last) = ends(&desk, name.as_str(), 1);
        assert!(matches!(last, Fact::Integrity(IntegrityFact::KeyRotated(_))), "{name}");
    }
    // A log that begins later begins under the key of the day.
    open_downlink(&desk.office, &log("kz/kz-79")).await.unwrap();
    assert_eq!(store::own_epoch(&desk.office.journal, &log("kz/kz-79")), 2);
    let rotated = rotate(&desk.office).await.unwrap();
    assert_eq!(rotated.len(), 4);
    assert!(rotated.iter().all(|log| log.epoch == 3 && log.key == rotated[0].key));
}

#[tokio::test]
async fn a_lost_key_is_never_made_again_in_silence() {
    let desk = desk("KZ-75").await;
    desk.record(&log("kz-75"), &[contact(1)]).await;
    rotate(&desk.office).await.unwrap();
    let path = desk.dir.path().join("data/keys/log+e2.key");
    std::fs::remove_file(&path).unwrap();
    let Desk { office, dir } = desk;
    let options = office.options.clone();
    drop(office);
    let mut error = String::new();
    for _ in 0..200 {
        let supervisor = crate::supervisor::Supervisor::new();
        let metrics = telemetry::Metrics::disabled();
        let opened =
            crate::start::open(options.clone(), metrics, supervisor, &journal::Journal::open).await;
        error = format!("{:#}", opened.err().expect("it must not open"));
        if !error.contains("in use") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(error.contains("log+e2.key") && error.contains("put the file back"), "{error}");
    assert!(!path.exists());
    drop(dir);
}

/// Two histories of an own log were seen here: it takes no more facts.
async fn freeze(desk: &Desk, name: &str) {
    let fault = replication::action::Fault {
        log: log(name),
        epoch: store::own_epoch(&desk.office.journal, &log(name)),
        own: true,
        code: replication::RefusalCode::Fork,
        found_by: replication::Party::Us,
        text: "two histories".to_owned(),
        notes: vec![format!("a note of {name}")],
        proof: Vec::new(),
    };
    assert!(store::keep(&desk.office, &fault).await.unwrap());
    let appended = record(&desk.office, &log(name), rotated_fact(name)).unwrap();
    let refused = desk.office.writer.write(appended).await;
    assert!(matches!(refused, Err(WriteError::ReadOnly { .. })), "{refused:?}");
}

/// Some fact that the node could record about a log.
fn rotated_fact(name: &str) -> Fact {
    KeyRotated { log: LogId::new(name).unwrap(), epoch: 1, successor_key: [1; 32] }.into()
}

#[tokio::test]
async fn a_frozen_log_goes_on_in_a_new_epoch_and_ends_where_it_stood() {
    let desk = desk("KZ-75").await;
    let own = log("kz-75");
    desk.record(&own, &[contact(1), contact(2)]).await;
    freeze(&desk, "kz-75").await;
    let [rotated] = &rotate(&desk.office).await.unwrap()[..] else { panic!("one log") };
    assert_eq!((rotated.closed, rotated.size, rotated.epoch), (1, 2, 2), "no record was added");
    let (begun, _) = ends(&desk, "kz-75", 2);
    let Fact::Integrity(IntegrityFact::Succeeds(begun)) = begun else { panic!("{begun:?}") };
    let closed = desk.office.journal.log(&own, 1).unwrap();
    assert_eq!((begun.epoch, begun.size, begun.root), (1, 2, closed.root));
    assert!(keys::statement(&desk.office, &own, 2).is_some(), "the old key names the new one");
    desk.record(&own, &[contact(3)]).await;
    let desk = desk.killed().await;
    assert_eq!(desk.office.own_epoch(), 2);
    desk.record(&own, &[contact(4)]).await;
    assert_eq!(desk.office.journal.log(&own, 2).unwrap().size, 3);
}

#[tokio::test]
async fn one_frozen_log_of_the_centre_keeps_none_from_going_on() {
    let (own, all, down) = (log("kz"), log("kz/all"), log("kz/kz-75"));
    for is_cut_short in [false, true] {
        let desk = desk("KZ").await;
        open_downlink(&desk.office, &down).await.unwrap();
        for (number, log) in (1..).zip([&own, &all, &down]) {
            desk.record(log, &[contact(number)]).await;
        }
        freeze(&desk, "kz/all").await;
        if is_cut_short {
            desk.office.log_keys.make(2).unwrap();
            let last = ending(&desk.office, &own, 1, 2).unwrap();
            desk.office.writer.write(last).await.unwrap();
        } else {
            assert_eq!(rotate(&desk.office).await.unwrap().len(), 3);
        }
        let desk = desk.killed().await;
        for (number, log, size) in [(4, &own, 2), (5, &all, 1), (6, &down, 2)] {
            assert_eq!(store::own_epoch(&desk.office.journal, log), 2, "{log} {is_cut_short}");
            assert_eq!(desk.office.journal.log(log, 1).unwrap().size, size, "{log}");
            desk.record(log, &[contact(number)]).await;
        }
    }
}
