//! Ends of epochs at the centre, with real journals: the exact range that nobody has.

use domain::office::OfficeRekeyed;
use evidence::hash::Hash;

use super::*;
use crate::epochs;
use crate::link::successor;
use crate::testing::{Desk, contact, desk, enrolment_of, log};

const LOG: &str = "kz-75";

/// A centre that enrolled a region, and that region with `records` contacts.
async fn offices(records: u128) -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    centre.record(&log("kz/all"), &[enrolment_of(&region)]).await;
    project::learn_now(&centre.office).unwrap();
    let contacts: Vec<_> = (1..=records).map(contact).collect();
    region.record(&log(LOG), &contacts).await;
    (centre, region)
}

/// The region goes on in epoch 2, and the centre takes that up.
async fn go_on(centre: &Desk, region: &Desk) {
    epochs::rotate(&region.office).await.unwrap();
    let note = keys::statement_note(&region.office, &log(LOG), 2);
    successor::take_up(&centre.office, log(LOG), 2, note).await.unwrap();
}

async fn close(centre: &Desk) -> Option<LogClosed> {
    assert!(Duty::default().close_all(&centre.office).await);
    centre.office.country.known().closed.get(&(log(LOG), 1)).cloned()
}

fn root(desk: &Desk, size: u64) -> Hash {
    desk.office.journal.root_at(&log(LOG), 1, size).unwrap()
}

#[tokio::test]
async fn an_epoch_is_closed_when_all_of_it_is_here_and_once() {
    let (centre, region) = offices(4).await;
    centre.mirror(&region, &log(LOG)).await;
    go_on(&centre, &region).await;
    centre.mirror_epoch(&region, &log(LOG), 2).await;
    assert_eq!(close(&centre).await, None, "its last record is still on the way");
    centre.mirror(&region, &log(LOG)).await;
    let closed = close(&centre).await.unwrap();
    assert_eq!((closed.epoch, closed.size, closed.root), (1, 5, root(&region, 5)));
    assert_eq!((closed.missing_from, closed.missing_to), (None, None));
    assert_eq!((closed.successor_epoch, &closed.reason), (2, &SUCCEEDED));
    assert_eq!(Some(closed.successor_key), region.office.log_keys.public(2));
    let size = centre.office.journal.log(&log("kz/all"), 1).unwrap().size;
    assert_eq!(close(&centre).await, Some(closed));
    let centre = centre.killed().await;
    project::learn_now(&centre.office).unwrap();
    assert!(close(&centre).await.is_some());
    assert_eq!(centre.office.journal.log(&log("kz/all"), 1).unwrap().size, size, "once");
}

#[tokio::test]
async fn what_was_signed_and_nobody_has_is_named() {
    // The centre accepted a head over nine records, holds three; the region kept five of them, and
    // the record with which it ended the epoch is its sixth.
    let (centre, region) = offices(3).await;
    centre.mirror(&region, &log(LOG)).await;
    region.record(&log(LOG), &[contact(4), contact(5)]).await;
    centre.accept(&log(LOG), 9, [7; 32]).await;
    go_on(&centre, &region).await;
    centre.mirror_epoch(&region, &log(LOG), 2).await;
    let closed = close(&centre).await.unwrap();
    assert_eq!((closed.size, closed.root), (9, [7; 32]));
    assert_eq!((closed.missing_from, closed.missing_to), (Some(6), Some(9)));
}

#[tokio::test]
async fn what_the_centre_holds_is_not_missing() {
    // The centre holds all six, the region kept two (and ended the epoch with a third).
    let (centre, region) = offices(2).await;
    let fuller = desk("KZ-75").await;
    let contacts: Vec<_> = (1..=6).map(contact).collect();
    fuller.record(&log(LOG), &contacts).await;
    centre.mirror(&fuller, &log(LOG)).await;
    go_on_with_other_history(&centre, &region).await;
    let kept =
        LogSucceeds { log: LogId::from_static(LOG), epoch: 1, size: 2, root: root(&fuller, 2) };
    let next = centre.office.journal.log(&log(LOG), 2).unwrap();
    let End::Final(closed) = end_of(&centre.office, &next, &kept).unwrap() else { panic!() };
    assert_eq!((closed.size, closed.root), (6, root(&fuller, 6)));
    assert_eq!((closed.missing_from, closed.missing_to), (None, None));
}

/// The centre mirrors epoch 2 of a region whose epoch 1 is not the one that is mirrored here.
async fn go_on_with_other_history(centre: &Desk, region: &Desk) {
    epochs::rotate(&region.office).await.unwrap();
    let note = keys::statement_note(&region.office, &log(LOG), 2).unwrap();
    let control = keys::keep_statement(&log(LOG), 2, &note);
    let transaction = Transaction { controls: vec![control], ..Transaction::default() };
    centre.office.writer.write(transaction).await.unwrap();
    centre.office.journal.ensure_mirror(&log(LOG), 2).await.unwrap();
    centre.mirror_epoch(region, &log(LOG), 2).await;
}

#[tokio::test]
async fn another_history_is_kept_as_a_fork_and_not_closed() {
    let (centre, region) = offices(2).await;
    let other = desk("KZ-75").await;
    let contacts: Vec<_> = (11..=16).map(contact).collect();
    other.record(&log(LOG), &contacts).await;
    centre.mirror(&other, &log(LOG)).await;
    go_on_with_other_history(&centre, &region).await;
    assert_eq!(close(&centre).await, None);
    let faults = centre.office.journal.controls(b"fault/kz-75/1/fork");
    assert_eq!(faults.len(), 1);
    let text = String::from_utf8_lossy(&faults[0].1).into_owned();
    assert!(text.contains("two histories"), "{text}");
}

#[tokio::test]
async fn after_a_lost_key_the_epoch_ends_where_it_was_signed() {
    let (centre, region) = offices(4).await;
    centre.mirror(&region, &log(LOG)).await;
    region.record(&log(LOG), &[contact(5)]).await;
    epochs::rotate(&region.office).await.unwrap();
    let code: domain::OfficeCode = "KZ-75".parse().unwrap();
    let id = domain::ids::OfficeId::of(&code).uuid();
    let log_key = region.office.log_keys.public(2).unwrap();
    let witness_key = [6; 32];
    let fact = OfficeRekeyed { code, epoch: 2, log_key, witness_key, mirror_key: None };
    centre.record(&log("kz/all"), &[(id, fact.into())]).await;
    project::learn_now(&centre.office).unwrap();
    successor::take_up(&centre.office, log(LOG), 2, None).await.unwrap();
    centre.mirror_epoch(&region, &log(LOG), 2).await;
    let closed = close(&centre).await.unwrap();
    assert_eq!((closed.size, closed.root), (4, root(&region, 4)));
    assert_eq!((&closed.reason, closed.missing_from), (&REKEYED, None));
    assert_eq!(closed.successor_key, log_key);
}

#[tokio::test]
async fn the_centre_closes_epochs_of_its_own_logs() {
    let centre = desk("KZ").await;
    let rotated = epochs::rotate(&centre.office).await.unwrap();
    assert!(Duty::default().close_all(&centre.office).await);
    let known = centre.office.country.known();
    for log in &rotated {
        let closed = &known.closed[&(log.log.clone(), 1)];
        assert_eq!((closed.size, closed.successor_key), (log.size, log.key), "{}", log.log);
    }
}
