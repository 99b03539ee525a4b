//! What is kept is read again, and no more of it than may be.

use super::*;
use crate::testing;

#[tokio::test]
async fn the_way_to_a_larger_head_holds_for_one_size() {
    let desk = testing::desk("KZ").await;
    let log = testing::log("kz-75");
    let long = Rest { note: "a\n9\n".to_owned(), proof: vec![[7; 32]; 64] };
    for kept in [long, Rest { note: "b".to_owned(), proof: Vec::new() }] {
        let controls = vec![keep_rest(&log, 2, 5, &kept)];
        let transaction = journal::Transaction { controls, ..Default::default() };
        desk.office.writer.write(transaction).await.unwrap();
        assert_eq!(rest(&desk.office, &log, 2, 5), Some(kept));
        for (epoch, size) in [(2, 4), (2, 6), (1, 5)] {
            assert_eq!(rest(&desk.office, &log, epoch, size), None);
        }
    }
}

#[test]
fn head_round_trip() {
    let head = Head { at: -5, size: 7, root: [3; 32], note: "a\n7\n".to_owned() };
    assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
    assert_eq!(Head::decode(&head.encode()[..FIXED - 1]), None);
    let mut newer = head.encode();
    newer[0] = 2;
    assert_eq!(Head::decode(&newer), None, "a newer version is not misread");
}

fn fork(found_by: Party, notes: &[&str]) -> Fault {
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    let (log, code) = (testing::log("kz-71"), RefusalCode::Fork);
    let text = format!("{found_by:?} says so");
    Fault { log, epoch: 1, own: false, code, found_by, text, notes, proof: Vec::new() }
}

#[tokio::test]
async fn what_a_peer_says_takes_no_place_of_what_is_proved_and_freezes_nothing() {
    let desk = testing::desk("KZ-75").await;
    let office = &desk.office;
    let log = testing::log("kz-71");
    let keep = async |fault: Fault| keep(office, &fault).await.unwrap();
    assert!(keep(fork(Party::Peer, &[])).await, "a bare word is kept");
    assert!(!keep(fork(Party::Peer, &[])).await, "once");
    for number in 0..2 * KEPT {
        keep(fork(Party::Peer, &[&number.to_string()])).await;
    }
    let kept = |party| office.journal.controls(format!("fault/kz-71/1/fork/{party}/").as_bytes());
    assert_eq!(kept("peer").len(), KEPT, "and no more than a bound");
    assert_eq!(frozen(office, &log, 1), None);

    assert!(keep(fork(Party::Us, &["a", "b"])).await, "the proof is kept all the same");
    assert!(!keep(fork(Party::Us, &["a", "b"])).await, "once");
    assert!(keep(fork(Party::Us, &["a", "c"])).await, "another proof too");
    let value = kept("us").into_iter().map(|(_, value)| String::from_utf8(value).unwrap());
    assert!(value.into_iter().any(|value| value.contains("\na\nb")));
    assert_eq!(frozen(office, &log, 1).as_deref(), Some("Us says so"));
    assert_eq!((frozen(office, &log, 2), frozen(office, &testing::log("kz-7"), 1)), (None, None));
    let [fault] = &faults(office)[..] else { panic!("{:?}", faults(office)) };
    assert_eq!((fault.code.as_str(), fault.found_by), ("fork", Party::Us));
}

/// Several links, a comparison and a duty may meet faults of one log at one time: their
/// transactions are one group of the journal.
#[tokio::test]
async fn faults_that_are_met_at_one_time_are_bounded_and_kept_once() {
    let desk = testing::desk("KZ-75").await;
    let notes: Vec<String> = (0..2 * KEPT).map(|number| (number / 2).to_string()).collect();
    let faults: Vec<Fault> = notes.iter().map(|note| fork(Party::Us, &[note])).collect();
    let at_once = async |faults: &[Fault]| {
        let each = faults.iter().map(|fault| keep(&desk.office, fault));
        let kept = futures_util::future::try_join_all(each).await.unwrap();
        kept.into_iter().filter(|is_new| *is_new).count()
    };
    assert_eq!(at_once(&faults).await, KEPT, "each piece once");
    let others: Vec<Fault> = (100..110).map(|note| fork(Party::Us, &[&note.to_string()])).collect();
    assert_eq!(at_once(&others).await, 0, "no more than the bound");
    let peers: Vec<Fault> =
        (0..2 * KEPT).map(|note| fork(Party::Peer, &[&note.to_string()])).collect();
    assert_eq!(at_once(&peers).await, KEPT, "the bound holds within one group");
    assert_eq!(desk.office.journal.controls(b"fault/kz-71/1/").len(), 2 * KEPT);
}

#[test]
fn evidence_of_an_earlier_format_is_still_read() {
    let value = b"time 7\ntwo histories\n\nnote".to_vec();
    let fault = kept_fault(b"fault/kz/all/3/fork", value.clone()).unwrap();
    assert_eq!((fault.log.as_str(), fault.epoch, fault.at), ("kz/all", 3, 7));
    assert_eq!((fault.code.as_str(), fault.found_by), ("fork", Party::Us));
    assert_eq!(kept_fault(b"fault/kz/all/3/compared/00", value), None);
}
