//! What logs say about logs, in the tables: the keys of an office, and nothing else.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Country, id, office};
use domain::StreamKind;
use domain::code::LogId;
use domain::ids::{IntegrityId, OfficeId};
use domain::integrity::{HeadsAccepted, KeyRotated, LogClosed, LogSucceeds, SUCCEEDED};
use domain::office::OfficeRekeyed;
use projection::{Filter, Page, Views};

const LOG: LogId = LogId::from_static("kz-75");

fn closed(key: u8) -> LogClosed {
    LogClosed {
        log: LOG,
        epoch: 1,
        size: 9,
        root: [3; 32],
        successor_epoch: 2,
        successor_key: [key; 32],
        reason: SUCCEEDED,
        missing_from: Some(7),
        missing_to: Some(9),
    }
}

/// The keys of the one office in the tables, by their first bytes.
async fn keys(country: &Country) -> ((String, String), Vec<(String, String, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let views = Views::open(&folder.path().join("views.sqlite")).await.unwrap();
    views.apply(&country.in_order()).await.unwrap();
    let rows = views.list_offices(&Filter::default(), &Page::default()).await.unwrap().rows;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let skipped = views.skipped().await.unwrap().into_iter();
    let skipped = skipped.map(|skip| (skip.log, skip.reason, skip.records)).collect();
    ((row.log_key[..2].to_owned(), row.witness_key[..2].to_owned()), skipped)
}

#[tokio::test]
async fn the_newest_keys_of_an_office_are_shown() {
    let mut country = Country::new();
    country.enrol("KZ-75");
    assert_eq!(keys(&country).await.0, ("01".to_owned(), "02".to_owned()));
    let kind = StreamKind::Integrity;
    let own = IntegrityId::of_log(&LOG).bytes();
    let rotated = KeyRotated { log: LOG, epoch: 1, successor_key: [5; 32] };
    country.own("KZ-75", kind, own, rotated);
    let begun = LogSucceeds { log: LOG, epoch: 1, size: 9, root: [3; 32] };
    country.own("KZ-75", kind, own, begun);
    let heads = HeadsAccepted { heads: Vec::new() };
    country.record("kz/all", "KZ", kind, id(12, 1), heads);
    assert_eq!(keys(&country).await.0.0, "01", "the centre says it, nobody else");
    let closings = IntegrityId::of_closings(&LOG).bytes();
    country.record("kz/all", "KZ", kind, closings, closed(5));
    assert_eq!(keys(&country).await, (("05".to_owned(), "02".to_owned()), vec![]));
    let code = office("KZ-75");
    let (log_key, witness_key) = ([6; 32], [7; 32]);
    let office = OfficeId::of(&code).bytes();
    let rekeyed = OfficeRekeyed { code, epoch: 3, log_key, witness_key, mirror_key: None };
    country.record("kz/all", "KZ", StreamKind::Office, office, rekeyed);
    assert_eq!(keys(&country).await, (("06".to_owned(), "07".to_owned()), vec![]));
}

#[tokio::test]
async fn no_log_speaks_of_another_one() {
    let mut country = Country::new();
    country.enrol("KZ-75");
    let kind = StreamKind::Integrity;
    // A region closes an epoch; another office's log speaks of this one's end.
    country.own("KZ-75", kind, id(12, 1), closed(9));
    country.own(
        "KZ-71",
        kind,
        id(12, 2),
        LogSucceeds { log: LOG, epoch: 1, size: 1, root: [1; 32] },
    );
    let (shown, skipped) = keys(&country).await;
    assert_eq!(shown.0, "01");
    let misplaced = |log: &str| (log.to_owned(), "misplaced".to_owned(), 1);
    assert_eq!(skipped, [misplaced("kz-71"), misplaced("kz-75")]);
}
