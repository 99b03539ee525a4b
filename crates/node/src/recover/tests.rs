use domain::Fact;
use domain::integrity::IntegrityFact;
use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::verify::admit;
use journal::Role;

use super::*;
use crate::facts;
use crate::link::store::Head;
use crate::testing::{Desk, contact, desk, log};

/// An office that recorded `all` contacts, and its new server that has `held` of them and goes on
/// in epoch 2. `signed`: the head that is known there covers so many.
async fn lost(all: u128, held: usize, signed: Option<u64>) -> (Vec<Record>, Desk) {
    let (old, new) = (desk("KZ-75").await, desk("KZ-75").await);
    let own = log("kz-75");
    for number in 0..all {
        old.record(&own, &[contact(number)]).await;
    }
    let records = old.records(&own);
    let journal = &old.office.journal;
    let name = origin(&old.office.options.domain, &own, 1);
    if held > 0 {
        let size = held as u64;
        let root = journal.root_at(&own, 1, size).unwrap();
        let head = Checkpoint { origin: name, size, root };
        let bytes = records[..held].iter().map(|record| record.bytes().to_vec()).collect();
        let edge = new.office.journal.frontier(&own, 1).unwrap();
        let batch = admit(&edge, &own, 1, bytes, 0, &head, &[]).unwrap();
        let transaction = Transaction { returned: Some(batch), ..Transaction::default() };
        new.office.writer.write(transaction).await.unwrap();
    }
    if let Some(size) = signed {
        let root = journal.root_at(&own, 1, size).unwrap();
        let head = Head { at: 1, size, root, note: "the signed head".to_owned() };
        let controls = vec![store::accept(&own, 1, &head)];
        let transaction = Transaction { controls, ..Transaction::default() };
        new.office.writer.write(transaction).await.unwrap();
    }
    new.office.log_keys.make(2).unwrap();
    new.office.journal.ensure_own_log(&own, 2).await.unwrap();
    (records, new)
}

/// The facts of epoch 2.
fn entered(desk: &Desk) -> Vec<(Record, Fact)> {
    let size = desk.office.journal.log(&log("kz-75"), 2).unwrap().size as usize;
    let read = desk.office.journal.range(&log("kz-75"), 2, 0, size.max(1), usize::MAX).unwrap();
    read.into_iter().map(|record| (record.clone(), facts::open_part(&record).unwrap())).collect()
}

#[tokio::test]
async fn what_nobody_held_is_entered_once_with_its_exact_bytes() {
    let (records, new) = lost(6, 2, Some(6)).await;
    let summary = recover(&new.office, records.clone()).await.unwrap();
    assert_eq!(summary, Summary { entered: 4, kept_apart: 0, known: 2, proved: 4 });
    let facts = entered(&new);
    assert_eq!(facts.len(), 8, "each fact, and what is known of it");
    for (pair, old) in facts.chunks(2).zip(&records[2..]) {
        let [(again, fact), (_, Fact::Integrity(IntegrityFact::Recovered(about)))] = pair else {
            panic!("{pair:?}")
        };
        assert_eq!(*fact, facts::open_part(old).unwrap());
        let (now, then) = (again.header(), old.header());
        assert_eq!((now.event_id, now.stream), (then.event_id, then.stream));
        assert_eq!((now.command_id, &now.actor), (then.command_id, &then.actor));
        assert_eq!((now.occurred_at, now.stream_version), (then.occurred_at, 1));
        assert_eq!((about.epoch, about.sequence, about.entered), (1, then.seq, true));
        assert_eq!(about.record.as_ref().unwrap().0, old.bytes());
        assert_eq!(about.leaf, old.leaf_hash());
        assert_eq!(about.head.as_deref(), Some("the signed head"));
    }
    // Again, and after a restart.
    let new = new.killed().await;
    let again = recover(&new.office, records.clone()).await.unwrap();
    assert_eq!(again, Summary { known: 6, ..Summary::default() });
    assert_eq!(entered(&new).len(), 8);
    // The old command finds what was entered.
    let key = key(&records[3]);
    let hit = new.office.journal.find_command(&key).await.unwrap().unwrap();
    assert_eq!((hit.epoch, hit.request_hash), (2, UNKNOWN_REQUEST));
}

#[tokio::test]
async fn what_no_signed_head_covers_is_entered_unproved() {
    // None is known; it covers less; a record below it was not found.
    for (signed, without) in [(None, None), (Some(3), None), (Some(6), Some(4))] {
        let (mut records, new) = lost(6, 3, signed).await;
        without.map(|at| records.remove(at));
        let summary = recover(&new.office, records).await.unwrap();
        assert_eq!((summary.proved, summary.kept_apart), (0, 0), "{signed:?}");
        assert_eq!(summary.entered, if without.is_some() { 2 } else { 3 });
    }
    // Another history than the one that was signed.
    let ((_, new), (others, _)) = (lost(6, 3, Some(6)).await, lost(6, 0, None).await);
    let summary = recover(&new.office, others[3..].to_vec()).await.unwrap();
    assert_eq!((summary.entered, summary.proved), (3, 0));
}

#[tokio::test]
async fn what_was_done_again_or_went_on_is_kept_apart() {
    let (records, new) = lost(4, 1, None).await;
    let own = log("kz-75");
    // One command was carried out again, the stream of another one was begun by somebody.
    let redone = key(&records[1]);
    let claim = CommandClaim { key: redone, request_hash: [5; 32] };
    let (id, fact) = contact(77);
    let draft = new.draft(&own, id, &fact);
    let expected = ExpectedVersion::Any;
    let stream = draft.header.stream;
    let append = Append { log: own.clone(), expected, stream, drafts: vec![draft] };
    let command = Some(claim);
    let transaction = Transaction { command, appends: vec![append], ..Transaction::default() };
    new.office.writer.write(transaction).await.unwrap();
    let begun = Uuid::from_bytes(records[2].header().stream.id);
    let draft = new.draft(&own, begun, &fact);
    new.append(&own, draft).await;
    let summary = recover(&new.office, records.clone()).await.unwrap();
    assert_eq!(summary, Summary { entered: 1, kept_apart: 2, known: 1, proved: 0 });
    let apart = entered(&new).into_iter().filter_map(|(_, fact)| match fact {
        Fact::Integrity(IntegrityFact::Recovered(about)) => Some((about.sequence, about.entered)),
        _ => None,
    });
    assert_eq!(apart.collect::<Vec<_>>(), [(1, false), (2, false), (3, true)]);
    let again = recover(&new.office, records).await.unwrap();
    assert_eq!(again, Summary { known: 4, ..Summary::default() });
}

#[tokio::test]
async fn records_of_the_open_epoch_or_another_log_are_refused() {
    let (records, new) = lost(2, 0, None).await;
    let other = desk("KZ-71").await;
    other.record(&log("kz-71"), &[contact(1)]).await;
    let foreign = other.records(&log("kz-71"));
    new.record(&log("kz-75"), &[contact(9)]).await;
    let open: Vec<_> = entered(&new).into_iter().map(|(record, _)| record).collect();
    for bad in [foreign, open] {
        let mixed = [records.clone(), bad].concat();
        let refused = recover(&new.office, mixed).await.unwrap_err();
        assert!(matches!(refused, RecoverError::Foreign { open: 2, .. }), "{refused}");
    }
    let infos = new.office.journal.logs().into_iter();
    let size: u64 = infos.filter(|info| info.role == Role::Own).map(|info| info.size).sum();
    assert_eq!(size, 1, "nothing of them was entered");
}
