//! How fast a fold is. Ignored in ordinary runs:
//! `cargo test --release -p projection --test speed -- --ignored --nocapture`.

mod common;

use std::time::Instant;

use common::Country;
use jiff::civil::date;
use projection::{Column, Filter, Page, Table, Views};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn batches_of_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let mut country = Country::new();
    for number in 0..20_000 {
        country.contact("KZ-75", number, "call", 2);
        country.appeal("KZ-75", number, date(2026, 3, 20), 3);
    }
    let records = country.in_order();
    let views = Views::open(&folder.path().join("views.sqlite")).await.unwrap();
    let start = Instant::now();
    for batch in records.chunks(1_000) {
        views.apply(batch).await.unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    let rate = records.len() as f64 / took;
    println!("{} facts in {took:.2} s: {rate:.0} facts/s", records.len());
    let start = Instant::now();
    let by = [Column::Office, Column::Channel, Column::Month];
    views.totals(Table::Contacts, &by, &Filter::default()).await.unwrap();
    println!("totals: {:?}", start.elapsed());
    let start = Instant::now();
    views.list_appeals(&Filter::office("KZ-75"), &Page::default()).await.unwrap();
    println!("page: {:?}", start.elapsed());
    let start = Instant::now();
    views.fingerprint().await.unwrap();
    println!("fingerprint: {:?}", start.elapsed());
    assert!(rate >= 10_000.0, "{rate:.0} facts/s");
}
