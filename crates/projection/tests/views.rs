//! Folding, listing and counting; opening what cannot be used.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{fs, path::Path};

use common::{Country, SECOND, SECRET, START, id, office};
use domain::{Fact, StreamKind};
use evidence::hash::{hex, sha256};
use jiff::civil::date;
use projection::{Column, Error, Filter, Opened, Page, Table, Views};

async fn views_of(folder: &Path, country: &Country) -> Views {
    let views = Views::open(&folder.join("views.sqlite")).await.unwrap();
    views.apply(&country.in_order()).await.unwrap();
    views
}

#[tokio::test]
async fn an_appeal_is_followed_from_receipt_to_closure() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    let states = [
        "received",
        "registered",
        "triaged",
        "assigned",
        "decision_prepared",
        "approved",
        "answered",
        "closed",
    ];
    for steps in 1..=states.len() {
        country.appeal("KZ-75", u32::try_from(steps).unwrap(), date(2026, 3, 20), steps);
    }
    country.correct("KZ-75", 8, "kind", "statement");
    country.correct("KZ-75", 8, "applicant", "personal");
    let views = views_of(folder.path(), &country).await;

    for (steps, state) in (1_u32..).zip(states) {
        let filter = Filter { stream: Some(id(2, steps)), ..Filter::default() };
        let found = views.list_appeals(&filter, &Page::default()).await.unwrap();
        assert_eq!((found.total, found.rows[0].state.as_str()), (1, state));
    }
    let filter = Filter { stream: Some(id(2, 8)), ..Filter::default() };
    let row = views.list_appeals(&filter, &Page::default()).await.unwrap().rows.remove(0);
    assert_eq!((row.kind.as_str(), row.corrections, row.version), ("statement", 2, 10));
    assert_eq!((row.month.as_str(), row.due_on.as_str()), ("2026-03", "2026-03-20"));
    assert!(row.reg_no.starts_with("KZ-75-2026-000008"));
    assert!(row.corruption_signs && row.closed_at.is_some());
    assert_eq!((row.log.as_str(), row.epoch), ("kz-75", 1));
    let by_number = Filter { reg_no: Some(row.reg_no.clone()), ..Filter::default() };
    assert_eq!(views.list_appeals(&by_number, &Page::default()).await.unwrap().rows, [row]);

    let corrections = views.list_corrections(&Filter::default(), &Page::default()).await.unwrap();
    assert_eq!(corrections.total, 2);
    assert_eq!(corrections.rows[1].field, "kind");
    assert_eq!(corrections.rows[1].after.as_deref(), Some("statement"));

    let late = views.overdue(date(2026, 3, 21)).await.unwrap();
    // Six of the eight still wait for an answer; the first has no term yet.
    assert_eq!((late[0].table, late[0].count), (Table::Appeals, 5));
    assert_eq!(views.overdue(date(2026, 3, 20)).await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_directive_shows_every_step_of_each_office() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    let offices = ["KZ-10", "KZ-11", "KZ-15", "KZ-19", "KZ-23", "KZ-27", "KZ-31"];
    country.directive(1, &offices);
    for office in &offices[1..] {
        country.delivered(1, office);
    }
    for office in &offices[2..] {
        country.acknowledged(1, office);
    }
    for office in &offices[3..] {
        country.reported(1, office, 40);
    }
    for office in &offices[4..] {
        country.returned(1, office, 3);
    }
    for office in &offices[5..] {
        country.reported(1, office, 55);
    }
    country.accepted(1, offices[6], 4);
    let views = views_of(folder.path(), &country).await;

    let all = views.list_directives(&Filter::default(), &Page::default()).await.unwrap();
    let mut states: Vec<_> =
        all.rows.iter().map(|row| (row.office.as_str(), row.state.as_str())).collect();
    states.sort_unstable();
    let wanted =
        ["issued", "delivered", "acknowledged", "reported", "returned", "reported", "accepted"];
    assert_eq!(states, offices.into_iter().zip(wanted).collect::<Vec<_>>());
    let last = all.rows.iter().find(|row| row.office == "KZ-31").unwrap();
    assert_eq!((last.version, last.task_version, last.accepted_report), (3, 4, Some(4)));
    assert_eq!(last.due_on, "2026-03-25");
    assert!(last.accepted_at > last.reported_at && last.issued_at < last.delivered_at);

    let reports = views.reports(&id(6, 1), "KZ-31").await.unwrap();
    let values: Vec<_> = reports.iter().map(|row| (row.report, row.value)).collect();
    assert_eq!(values, [(3, Some(40)), (3, None), (4, Some(55)), (4, None)]);
    let late = views.overdue(date(2026, 3, 21)).await.unwrap();
    assert_eq!(late.iter().map(|row| row.office.as_str()).collect::<Vec<_>>(), offices[..4]);

    // A region sees itself from the dispatch alone, without the centre's own log.
    country.logs.remove("kz");
    let other = tempfile::tempdir().unwrap();
    let region = views_of(other.path(), &country).await;
    let same = region.list_directives(&Filter::default(), &Page::default()).await.unwrap();
    let brief = |rows: &[projection::rows::DirectiveRow]| {
        rows.iter()
            .map(|r| (r.office.clone(), r.state.clone(), r.due_on.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(brief(&same.rows), brief(&all.rows));
}

#[tokio::test]
async fn planned_work_is_held_missed_or_overdue() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    for (number, held) in (1..).zip([Some(true), Some(false), None]) {
        country.reception("KZ-75", number, held);
        country.measure("KZ-75", number, date(2026, 3, 10), held);
    }
    country.activity("KZ-71", 1, true);
    country.activity("KZ-71", 2, false);
    country.opened("KZ-71", 1, 5);
    let views = views_of(folder.path(), &country).await;
    let (all, page) = (Filter::default(), Page::default());

    let receptions = views.list_receptions(&all, &page).await.unwrap().rows;
    let held = receptions.iter().find(|row| row.state == "held").unwrap();
    assert_eq!((held.visitors, held.received, held.planned_on.as_str()), (3, 1, "2026-03-10"));
    let missed = receptions.iter().find(|row| row.state == "not_held").unwrap();
    assert_eq!((missed.reason.as_str(), missed.replacement_on.as_str()), ("illness", "2026-03-12"));
    let measures = views.list_measures(&all, &page).await.unwrap().rows;
    let held = measures.iter().find(|row| row.state == "held").unwrap();
    assert_eq!((held.participants, held.minutes), (42, 90));
    let for_directive = Filter { directive: Some(id(6, 1)), ..Filter::default() };
    assert_eq!(views.list_measures(&for_directive, &page).await.unwrap().total, 3);

    let summary = views.summary(date(2026, 3, 11)).await.unwrap();
    let of = |table| summary.work.iter().find(|row| row.table == table).unwrap();
    assert_eq!((of(Table::Receptions).open, of(Table::Receptions).overdue), (1, Some(1)));
    assert_eq!((of(Table::Measures).total, of(Table::Measures).open), (3, 1));
    assert_eq!((of(Table::Activities).open, of(Table::Activities).overdue), (1, Some(0)));
    assert_eq!(of(Table::Contacts).overdue, None);
    let openings = views.totals(Table::Openings, &[Column::Purpose], &all).await.unwrap();
    assert_eq!(openings.rows, [(vec!["work".to_owned()], 1)]);
}

#[tokio::test]
async fn totals_count_what_the_logs_hold_by_the_month_of_the_office() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    for number in 0..30 {
        let (office, channel) = if number % 3 == 0 { ("KZ-75", "call") } else { ("KZ-71", "web") };
        country.contact(office, number, channel, 1);
    }
    // 20:00 UTC on 31 March is April in Almaty.
    country.now = START + 29 * 24 * common::HOUR + 16 * common::HOUR;
    country.contact("KZ-75", 100, "call", 1);
    let views = views_of(folder.path(), &country).await;
    let by = [Column::Office, Column::Channel, Column::Month];
    let totals = views.totals(Table::Contacts, &by, &Filter::default()).await.unwrap();
    let row = |keys: [&str; 3], count| (keys.map(str::to_owned).to_vec(), count);
    let wanted = [
        row(["KZ-71", "web", "2026-03"], 20),
        row(["KZ-75", "call", "2026-03"], 10),
        row(["KZ-75", "call", "2026-04"], 1),
    ];
    assert_eq!(totals.rows, wanted);
    assert_eq!(totals.total, 31);
    let whole = views.totals(Table::Contacts, &[], &Filter::office("KZ-71")).await.unwrap();
    assert_eq!(whole.rows, [(vec![], 20)]);
    let refused = views.totals(Table::Contacts, &[Column::Kind], &Filter::default()).await;
    assert!(matches!(refused, Err(Error::Grouping { table: "contacts", column: "kind" })));
    let audience = Filter { audience: Some("judges".into()), ..Filter::default() };
    let refused = views.list_contacts(&audience, &Page::default()).await;
    assert!(matches!(refused, Err(Error::Filter { table: "contacts", field: "audience" })));
}

#[tokio::test]
async fn pages_show_every_row_once_even_while_rows_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    for number in 0..25 {
        country.contact("KZ-75", number, "call", 1);
        // Equal instants: the order must still be total.
        country.now -= SECOND;
    }
    let views = views_of(folder.path(), &country).await;
    let mut page = Page { size: 10, token: None };
    let mut seen = Vec::new();
    loop {
        let listing = views.list_contacts(&Filter::default(), &page).await.unwrap();
        seen.extend(listing.rows.iter().map(|row| row.id));
        if seen.len() == 10 {
            assert_eq!(listing.total, 25);
            country.now += 100 * SECOND;
            country.contact("KZ-75", 99, "call", 1);
            views.apply(&country.in_order()).await.unwrap();
        }
        page.token = listing.next;
        if page.token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    let token = views.list_contacts(&Filter::default(), &Page { size: 3, token: None }).await;
    let page = Page { size: 3, token: token.unwrap().next };
    assert!(page.token.is_some());
    let other = views.list_contacts(&Filter::office("KZ-75"), &page).await;
    assert!(matches!(other, Err(Error::PageToken)));
}

#[tokio::test]
async fn duplicates_are_ignored_and_gaps_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 4);
    country.contact("KZ-71", 2, "call", 2);
    let views = views_of(folder.path(), &country).await;
    let before = views.fingerprint().await.unwrap();
    views.apply(&country.in_order()).await.unwrap();
    views.apply(&[]).await.unwrap();
    assert_eq!(before, views.fingerprint().await.unwrap());

    country.contact("KZ-75", 3, "call", 2);
    country.contact("KZ-71", 4, "call", 2);
    let mut batch = country.in_order();
    let gap = batch.iter().position(|e| e.log.as_str() == "kz-75" && e.seq == 4).unwrap();
    batch.remove(gap);
    let refused = views.apply(&batch).await;
    assert!(matches!(refused, Err(Error::Gap { expected: 4, got: 5, epoch: 1, .. })));
    assert_eq!(before, views.fingerprint().await.unwrap(), "nothing of the batch is stored");
}

#[tokio::test]
async fn a_later_epoch_follows_and_an_earlier_one_may_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 2);
    let views = views_of(folder.path(), &country).await;
    country.contact("KZ-75", 1, "call", 0);
    country.contact("KZ-75", 2, "call", 1);
    let mut next = country.logs["kz-75"][2].clone();
    let late = next.clone();
    (next.epoch, next.seq) = (2, 0);
    views.apply(&[next]).await.unwrap();
    let positions = views.positions().await.unwrap();
    assert_eq!(
        positions.iter().map(|p| (p.epoch, p.next_seq)).collect::<Vec<_>>(),
        [(1, 2), (2, 1)]
    );
    let refused = views.apply(&[late]).await;
    assert!(matches!(refused, Err(Error::EpochBehind { epoch: 1, open: 2, .. })));
}

#[tokio::test]
async fn what_does_not_belong_is_counted_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    let mut elsewhere = Country::new();
    elsewhere.enrol("KZ-75");
    let enrolled = elsewhere.in_order().remove(0);
    // A region enrols an office; a dispatch to one office stands in the log to another one; a
    // correction of an appeal that never began; a fact of newer software.
    country.own("KZ-10", StreamKind::Office, enrolled.stream.id, enrolled.fact);
    elsewhere.directive(1, &["KZ-75"]);
    let dispatch = elsewhere.logs["kz/kz-75"][0].clone();
    let kind = StreamKind::Dispatch;
    country.record("kz/kz-71", "KZ", kind, dispatch.stream.id, dispatch.fact.clone());
    country.record("kz-71", "KZ-71", kind, dispatch.stream.id, dispatch.fact);
    country.correct("KZ-10", 5, "kind", "statement");
    for _ in 0..3 {
        let fact = Fact::Unknown { type_code: 0x7701 };
        country.own("KZ-10", StreamKind::Contact, id(1, 1), fact);
    }
    country.contact("KZ-10", 7, "call", 1);
    let views = views_of(folder.path(), &country).await;
    let skipped = views.skipped().await.unwrap();
    let brief: Vec<_> =
        skipped.iter().map(|r| (r.log.as_str(), r.reason.as_str(), r.records)).collect();
    assert_eq!(
        brief,
        [
            ("kz-10", "misplaced", 1),
            ("kz-10", "orphan", 1),
            ("kz-10", "unknown", 3),
            ("kz-71", "misplaced", 1),
            ("kz/kz-71", "misplaced", 1),
        ]
    );
    let (all, page) = (Filter::default(), Page::default());
    assert_eq!(views.list_offices(&all, &page).await.unwrap().total, 0);
    assert_eq!(views.list_directives(&all, &page).await.unwrap().total, 0);
    assert_eq!(views.list_contacts(&all, &page).await.unwrap().total, 1);
}

#[tokio::test]
async fn two_offices_with_the_same_stream_id_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 1);
    country.contact("KZ-10", 1, "web", 4);
    let views = views_of(folder.path(), &country).await;
    let listing = views.list_contacts(&Filter::office("KZ-75"), &Page::default()).await.unwrap();
    assert_eq!(
        (listing.rows[0].channel.as_str(), listing.rows[0].state.as_str()),
        ("call", "open")
    );
}

#[tokio::test]
async fn offices_are_listed_page_by_page_and_again_after_a_refold() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    for code in ["KZ-75", "KZ-10", "KZ-71"] {
        country.enrol(code);
    }
    country.publish(2);
    country.contact("KZ-75", 1, "call", 4);
    let views = views_of(folder.path(), &country).await;
    views.reset().await.unwrap();
    assert_eq!(views.list_offices(&Filter::default(), &Page::default()).await.unwrap().total, 0);
    views.apply(&country.in_order()).await.unwrap();
    let first = Page { size: 2, token: None };
    let listing = views.list_offices(&Filter::default(), &first).await.unwrap();
    let codes: Vec<_> = listing.rows.iter().map(|row| row.code.as_str()).collect();
    assert_eq!((codes, listing.total), (vec!["KZ-10", "KZ-71"], 3));
    let second = Page { size: 2, token: listing.next };
    let listing = views.list_offices(&Filter::default(), &second).await.unwrap();
    assert_eq!(listing.rows[0].records, 4);
    assert_eq!(listing.next, None);
    let labels = views.classifiers().await.unwrap();
    assert_eq!(labels.iter().map(|row| row.code.as_str()).collect::<Vec<_>>(), ["call", "letter"]);
}

#[tokio::test]
async fn nothing_sealed_reaches_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 4);
    country.appeal("KZ-75", 1, date(2026, 3, 20), 8);
    assert!(format!("{:?}", country.in_order()).contains("Text(..)"));
    let views = views_of(folder.path(), &country).await;
    views.close().await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[tokio::test]
async fn a_file_is_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("views.sqlite");
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 4);
    let views = views_of(folder.path(), &country).await;
    assert_eq!(views.opened(), Some(Opened::New));
    let before = views.fingerprint().await.unwrap();
    views.close().await.unwrap();
    let again = Views::open(&path).await.unwrap();
    assert_eq!(again.opened(), Some(Opened::Existing));
    assert_eq!(before, again.fingerprint().await.unwrap());
}

#[tokio::test]
async fn unusable_files_are_replaced_by_empty_views() {
    let mut country = Country::new();
    for number in 0..200 {
        country.contact("KZ-75", number, "call", 4);
    }
    type Harm = fn(&Path);
    let cases: [(Opened, Harm); 4] = [
        (Opened::Damaged, |path| {
            // Every page but the first one overwritten.
            let mut bytes = fs::read(path).unwrap();
            bytes[4096..].fill(0x5a);
            fs::write(path, bytes).unwrap();
        }),
        (Opened::Damaged, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        (Opened::Outdated, |path| {
            // The header's user_version (offset 60), as an older build would have closed it.
            let mut bytes = fs::read(path).unwrap();
            bytes[63] = bytes[63].wrapping_add(1);
            let seal = format!("adal-views-seal 1 sha256 {}\n", hex(&sha256(&bytes)));
            fs::write(path.with_extension("sqlite.seal"), seal).unwrap();
            fs::write(path, bytes).unwrap();
        }),
        (Opened::Foreign, |path| fs::write(path, vec![b'x'; 9_000]).unwrap()),
    ];
    for (wanted, harm) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views.sqlite");
        views_of(folder.path(), &country).await.close().await.unwrap();
        harm(&path);
        let views = Views::open(&path).await.unwrap();
        assert_eq!(views.opened(), Some(wanted));
        assert_eq!(views.positions().await.unwrap(), vec![]);
        views.apply(&country.in_order()).await.unwrap();
        let set_aside = folder.path().join("views.sqlite.set-aside").exists();
        assert_eq!(set_aside, wanted == Opened::Foreign);
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Views::open(folder.path()).await, Err(Error::Io { .. })));
}

#[tokio::test]
async fn rows_that_do_not_fit_are_damage_not_truth() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    country.contact("KZ-75", 1, "call", 1);
    let views = views_of(folder.path(), &country).await;
    let mut other = country.logs["kz-75"][0].clone();
    other.office = office("KZ-71");
    other.seq = 1;
    // The log of one office handed in as another one's: nothing of it is shown.
    views.apply(&[other]).await.unwrap();
    assert_eq!(views.skipped().await.unwrap()[0].reason, "misplaced");
}
