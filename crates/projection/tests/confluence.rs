//! Views are confluent: whatever the interleaving of the logs and the cut into batches, as long as
//! each log keeps its order, the rows are equal; and they equal a fold from scratch.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::Country;
use domain::{Fact, StreamKind};
use jiff::civil::date;
use projection::{Envelope, Views};
use proptest::prelude::*;

/// One thing that happens somewhere.
#[derive(Clone, Debug)]
enum Step {
    Enrol(u8),
    Publish(u32),
    Contact(u8, u32, usize),
    Appeal(u8, u32, usize),
    Correct(u8, u32, u8),
    Reception(u8, u32, Option<bool>),
    Measure(u8, u32, Option<bool>),
    Activity(u8, u32, bool),
    Opened(u8, u32),
    Directive(u32),
    Dispatched(u8, u32),
    Delivered(u8, u32),
    Acknowledged(u8, u32),
    Reported(u8, u32, i64),
    Returned(u8, u32, u32),
    Accepted(u8, u32, u32),
    Unknown(u8),
    Stray(u8),
}

const OFFICES: [&str; 4] = ["KZ-75", "KZ-71", "KZ-10", "KZ"];

fn step() -> impl Strategy<Value = Step> {
    let office = 0..4_u8;
    let region = 0..3_u8;
    let few = 0..4_u32;
    let held = proptest::option::of(any::<bool>());
    prop_oneof![
        region.clone().prop_map(Step::Enrol),
        few.clone().prop_map(Step::Publish),
        (office.clone(), few.clone(), 1..=4_usize).prop_map(|(o, n, s)| Step::Contact(o, n, s)),
        (office.clone(), few.clone(), 1..=8_usize).prop_map(|(o, n, s)| Step::Appeal(o, n, s)),
        (office.clone(), few.clone(), 0..4_u8).prop_map(|(o, n, f)| Step::Correct(o, n, f)),
        (office.clone(), few.clone(), held.clone()).prop_map(|(o, n, h)| Step::Reception(o, n, h)),
        (office.clone(), few.clone(), held).prop_map(|(o, n, h)| Step::Measure(o, n, h)),
        (office.clone(), few.clone(), any::<bool>()).prop_map(|(o, n, h)| Step::Activity(o, n, h)),
        (office.clone(), few.clone()).prop_map(|(o, n)| Step::Opened(o, n)),
        few.clone().prop_map(Step::Directive),
        (region.clone(), few.clone()).prop_map(|(o, n)| Step::Dispatched(o, n)),
        (region.clone(), few.clone()).prop_map(|(o, n)| Step::Delivered(o, n)),
        (region.clone(), few.clone()).prop_map(|(o, n)| Step::Acknowledged(o, n)),
        (region.clone(), few.clone(), 0..9_i64).prop_map(|(o, n, v)| Step::Reported(o, n, v)),
        (region.clone(), few.clone(), 1..6_u32).prop_map(|(o, n, r)| Step::Returned(o, n, r)),
        (region, few, 1..6_u32).prop_map(|(o, n, r)| Step::Accepted(o, n, r)),
        office.clone().prop_map(Step::Unknown),
        office.prop_map(Step::Stray),
    ]
}

/// Plays the steps. Nothing keeps them sensible: facts of streams that never began, repeated
/// beginnings and facts in the wrong log are part of the test.
fn play(steps: &[Step]) -> Country {
    let mut country = Country::new();
    let name = |index: &u8| OFFICES[usize::from(*index)];
    for step in steps {
        match step {
            Step::Enrol(o) => country.enrol(name(o)),
            Step::Publish(version) => country.publish(*version),
            Step::Contact(o, n, steps) => country.contact(name(o), *n, "call", *steps),
            Step::Appeal(o, n, steps) => country.appeal(name(o), *n, date(2026, 3, 20), *steps),
            Step::Correct(o, n, field) => {
                let field = ["kind", "language", "received_at", "no_such"][usize::from(*field)];
                country.correct(name(o), *n, field, "statement");
            }
            Step::Reception(o, n, held) => country.reception(name(o), *n, *held),
            Step::Measure(o, n, held) => country.measure(name(o), *n, date(2026, 3, 5), *held),
            Step::Activity(o, n, held) => country.activity(name(o), *n, *held),
            Step::Opened(o, n) => country.opened(name(o), *n, 2),
            Step::Directive(n) => country.directive(*n, &["KZ-75", "KZ-71"]),
            Step::Dispatched(o, n) => country.accepted(*n, name(o), 1),
            Step::Delivered(o, n) => country.delivered(*n, name(o)),
            Step::Acknowledged(o, n) => country.acknowledged(*n, name(o)),
            Step::Reported(o, n, value) => country.reported(*n, name(o), *value),
            Step::Returned(o, n, report) => country.returned(*n, name(o), *report),
            Step::Accepted(o, n, report) => country.accepted(*n, name(o), *report),
            Step::Unknown(o) => {
                let fact = Fact::Unknown { type_code: 0x0b77 };
                country.own(name(o), StreamKind::Access, common::id(11, 0), fact);
            }
            Step::Stray(o) => stray(&mut country, name(o)),
        }
    }
    country
}

/// An office claims to enrol another one, in its own log.
fn stray(country: &mut Country, office: &str) {
    let mut elsewhere = Country::new();
    elsewhere.enrol("KZ-99");
    let fact = elsewhere.in_order().remove(0);
    country.own(office, StreamKind::Office, fact.stream.id, fact.fact);
}

/// An interleaving that keeps each log's order, chosen by `choices`.
fn interleave(country: &Country, choices: &[usize]) -> Vec<Envelope> {
    let mut logs: Vec<_> = country.logs.values().map(|log| log.iter()).collect();
    let mut order = Vec::new();
    let mut choices = choices.iter().cycle();
    while !logs.is_empty() {
        let index = choices.next().unwrap_or(&0) % logs.len();
        match logs[index].next() {
            Some(envelope) => order.push(envelope.clone()),
            None => drop(logs.remove(index)),
        }
    }
    order
}

async fn fold(views: &Views, records: &[Envelope], batches: &[usize]) {
    let mut rest = records;
    let mut batches = batches.iter().cycle();
    while !rest.is_empty() {
        let size = (*batches.next().unwrap_or(&1)).clamp(1, rest.len());
        let (batch, after) = rest.split_at(size);
        views.apply(batch).await.unwrap();
        rest = after;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_the_logs_gives_equal_rows(
        steps in proptest::collection::vec(step(), 1..60),
        choices in proptest::collection::vec(0..7_usize, 1..50),
        batches in proptest::collection::vec(1..9_usize, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let country = play(&steps);
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let one = Views::open(&folder.path().join("one.sqlite")).await.unwrap();
            fold(&one, &country.in_order(), &[1_000]).await;
            let first = one.fingerprint().await.unwrap();

            let other = Views::open(&folder.path().join("other.sqlite")).await.unwrap();
            fold(&other, &interleave(&country, &choices), &batches).await;
            let second = other.fingerprint().await.unwrap();
            assert_eq!(first.differing(&second), Vec::<&str>::new());
            assert_eq!(first.digest(), second.digest());

            // Lists, which join tables, agree as well.
            let page = projection::Page::default();
            let filter = projection::Filter::default();
            let directives = one.list_directives(&filter, &page).await.unwrap();
            assert_eq!(directives, other.list_directives(&filter, &page).await.unwrap());

            // And a fold from scratch gives the same once more.
            other.reset().await.unwrap();
            assert_eq!(other.positions().await.unwrap(), vec![]);
            fold(&other, &country.in_order(), &[7]).await;
            assert_eq!(first, other.fingerprint().await.unwrap());
            one.close().await.unwrap();
            other.discard().await.unwrap();
        });
    }
}

#[tokio::test]
async fn the_fingerprint_sees_a_difference_of_one_cell() {
    let folder = tempfile::tempdir().unwrap();
    let mut prints = Vec::new();
    for (file, channel) in [("one", "call"), ("two", "letter")] {
        let mut country = Country::new();
        country.contact("KZ-75", 1, channel, 2);
        let views = Views::open(&folder.path().join(file)).await.unwrap();
        fold(&views, &country.in_order(), &[10]).await;
        prints.push(views.fingerprint().await.unwrap());
    }
    assert_eq!(prints[0].differing(&prints[1]), ["contacts"]);
    assert_ne!(prints[0].digest(), prints[1].digest());
}
