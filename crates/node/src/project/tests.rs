use projection::{Filter, Page};
use wire::Fault;

use super::*;
use crate::testing::{Desk, contact, desk, enrolment, log, trace};

async fn contacts(desk: &Desk) -> u64 {
    let page = Page { size: 10, token: None };
    desk.office.views.list_contacts(&Filter::default(), &page).await.unwrap().total
}

async fn at(desk: &Desk, name: &str) -> u64 {
    let positions = positions(&desk.office.views).await.unwrap();
    positions.get(&(log(name), 1)).copied().unwrap_or(0)
}

/// A region that mirrors five enrolments.
async fn mirrored() -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let offices = ["KZ-71", "KZ-75", "KZ-79", "KZ-10", "KZ-11"].map(enrolment);
    centre.record(&log("kz/all"), &offices).await;
    region.mirror(&centre, &log("kz/all")).await;
    (centre, region)
}

#[tokio::test]
async fn a_damaged_record_holds_back_none_before_it() {
    let (centre, region) = mirrored().await;
    let third = &centre.records(&log("kz/all"))[3];
    region.flip(third);
    region.record(&log("kz-75"), &[contact(1)]).await;
    assert_eq!(catch_up(&region.office).await, Ok(false));
    assert_eq!((at(&region, "kz/all").await, at(&region, "kz-75").await), (3, 1));
    assert_eq!(region.office.country.known().offices.len(), 3, "what is before it is known");
    start(&region.office).await.unwrap();
    assert_eq!(region.office.tables.ready(), Ok(()), "nothing is missing of what was there before");

    // Open again, then damaged: the journal would not have opened with the damage.
    region.flip(third);
    let region = region.killed().await;
    region.flip(third);
    start(&region.office).await.unwrap();
    assert_eq!(catch_up(&region.office).await, Ok(false));
    let place = "kz/all epoch 1 sequence 3".to_owned();
    assert_eq!(region.office.tables.ready(), Err(Fault::Damaged { place }));
    assert_eq!((at(&region, "kz/all").await, at(&region, "kz-75").await), (3, 1));

    region.flip(third);
    assert_eq!(catch_up(&region.office).await, Ok(true));
    assert_eq!(region.office.tables.ready(), Ok(()));
    assert_eq!(region.office.country.known().offices.len(), 5, "and goes on where it stopped");
}

#[tokio::test]
async fn an_undecodable_record_is_passed_over() {
    let centre = desk("KZ").await;
    let all = log("kz/all");
    centre.record(&all, &[enrolment("KZ-71")]).await;
    let (id, fact) = enrolment("KZ-75");
    let mut draft = centre.draft(&all, id, &fact);
    draft.open = vec![0xff; 5];
    centre.append(&all, draft).await;
    centre.record(&all, &[enrolment("KZ-79")]).await;
    assert_eq!(catch_up(&centre.office).await, Ok(true));
    assert_eq!(at(&centre, "kz/all").await, 3);
    let known = centre.office.country.known();
    let codes: Vec<_> = known.offices.keys().map(ToString::to_string).collect();
    assert_eq!(codes, ["KZ-71", "KZ-79"]);
    assert_eq!(known.head.unwrap().size, 3);
}

#[tokio::test]
async fn tables_are_asked_only_when_whole_and_after_a_kill_only_when_whole_again() {
    let desk = desk("KZ-75").await;
    start(&desk.office).await.unwrap();
    assert_eq!(desk.office.tables.ready(), Ok(()), "there is nothing to fold");
    desk.record(&log("kz-75"), &[contact(1), contact(2)]).await;
    assert_eq!(catch_up(&desk.office).await, Ok(true));
    assert_eq!(contacts(&desk).await, 2);

    let desk = desk.killed().await;
    start(&desk.office).await.unwrap();
    assert_eq!(contacts(&desk).await, 0, "a file that was not closed is not trusted");
    assert_eq!(desk.office.tables.ready(), Err(Fault::Rebuilding));
    assert_eq!(catch_up(&desk.office).await, Ok(true));
    assert_eq!(desk.office.tables.ready(), Ok(()));
    assert_eq!(contacts(&desk).await, 2);
}

#[tokio::test]
async fn tables_that_differ_from_the_logs_are_made_anew() {
    let desk = desk("KZ-75").await;
    desk.record(&log("kz-75"), &[contact(1)]).await;
    assert_eq!(catch_up(&desk.office).await, Ok(true));
    let stop = desk.office.supervisor.stopping();
    let same = compare(&desk.office, &stop, |_| {}).await.unwrap();
    assert!(same.is_empty(), "{same:?}");

    // A row that no log gives.
    let mut batch = batch(&desk, "kz-75").await;
    batch.envelopes[0].log = log("kz-79");
    batch.envelopes[0].office = "KZ-79".parse().unwrap();
    desk.office.views.apply(&batch.envelopes).await.unwrap();
    let differing = compare(&desk.office, &stop, |_| {}).await.unwrap();
    assert!(differing.contains(&"contacts"), "{differing:?}");
    assert_eq!(desk.office.tables.ready(), Err(Fault::Rebuilding));
    assert_eq!(catch_up(&desk.office).await, Ok(true));
    assert_eq!(desk.office.tables.ready(), Ok(()));
    assert_eq!(contacts(&desk).await, 1);
}

#[tokio::test]
async fn tables_that_cannot_be_folded_on_are_made_anew_once_and_stop_the_node_then() {
    let desk = desk("KZ-75").await;
    desk.record(&log("kz-75"), &[contact(1)]).await;
    for is_first in [true, false] {
        let mut batch = batch(&desk, "kz-75").await;
        batch.envelopes.truncate(1);
        batch.envelopes[0].epoch = 2;
        desk.office.views.apply(&batch.envelopes).await.unwrap();
        desk.record(&log("kz-75"), &[contact(if is_first { 2 } else { 3 })]).await;
        let outcome = catch_up(&desk.office).await;
        if is_first {
            assert_eq!(outcome, Ok(true));
            assert_eq!((contacts(&desk).await, at(&desk, "kz-75").await), (2, 2));
            assert_eq!(desk.office.tables.ready(), Ok(()));
        } else {
            assert!(outcome.unwrap_err().contains("the next start makes a new file"));
            assert_eq!(desk.office.tables.ready(), Err(Fault::Rebuilding));
        }
    }
}

#[tokio::test]
async fn a_rebuild_tells_every_record_and_ends_with_whole_tables() {
    let desk = desk("KZ-75").await;
    desk.record(&log("kz-75"), &[contact(1), contact(2)]).await;
    let mut told = 0;
    rebuild(&desk.office, |records| told += records).await.unwrap();
    assert_eq!(told, 2);
    assert_eq!(desk.office.tables.ready(), Ok(()));
    desk.office.supervisor.stop();
    assert!(rebuild(&desk.office, |_| {}).await.is_err(), "a stop ends it");
    assert_eq!(desk.office.tables.ready(), Err(Fault::Rebuilding));
}

#[tokio::test]
async fn what_was_there_at_the_start_leaves_no_second_trace() {
    let desk = desk("KZ-75").await;
    let own = log("kz-75");
    let traced = |number| {
        let (id, fact) = contact(number);
        let mut draft = desk.draft(&own, id, &fact);
        draft.header.trace = (number != 2).then(|| trace(number as u8));
        draft
    };
    for number in 1..=3 {
        desk.append(&own, traced(number)).await;
    }
    let batch = batch(&desk, "kz-75").await;
    let mut fresh = 1;
    assert_eq!(new_traces(&batch, &mut fresh), [(2, trace(3))]);
    assert_eq!(new_traces(&batch, &mut fresh), [], "nor what is folded again");

    let desk = desk.killed().await;
    catch_up(&desk.office).await.unwrap();
    let turn = desk.office.tables.folding.lock().await;
    assert_eq!(turn.fresh[&(log("kz-75"), 1)], 3);
}

async fn batch(desk: &Desk, name: &str) -> Batch {
    let info = desk.office.journal.log(&log(name), 1).unwrap();
    Batch::read(&desk.office.journal, &info, 0).unwrap()
}
