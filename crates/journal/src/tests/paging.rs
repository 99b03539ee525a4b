//! Snapshots, reading backwards and by time, pages and their tokens.

use proptest::prelude::*;

use super::*;
use crate::error::{PageError, ReadError};
use crate::{Direction, PageToken, Point, Query, Snapshot, TokenError};

/// Appends records of these lengths to `kz-75`, one group each, ten microseconds apart.
fn grow(journal: &Journal, lengths: &[u16]) {
    for len in lengths {
        let size = journal.log(&name("kz-75"), 1).unwrap().size;
        let one = append("kz-75", stream(size as u8 % 3), &[size], usize::from(*len));
        let result = journal.commit(vec![transaction(one)], 1000 + 10 * size as i64);
        result.unwrap().pop().unwrap().unwrap();
    }
}

fn query(direction: Direction) -> Query {
    Query { direction, ..Query::all(name("kz-75"), 1) }
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.header().seq).collect()
}

#[test]
fn backwards_is_forwards_turned_around() {
    let (_, _, journal) = memory();
    let log = name("kz-75");
    grow(&journal, &[100; 70]);
    let mut all = journal.range(&log, 1, 0, 100, usize::MAX).unwrap();
    all.reverse();
    assert_eq!(journal.range_back(&log, 1, u64::MAX, 100, usize::MAX).unwrap(), all);
    assert_eq!(seqs(&journal.range_back(&log, 1, 3, 100, usize::MAX).unwrap()), [2, 1, 0]);
    assert_eq!(seqs(&journal.range_back(&log, 1, 70, 2, usize::MAX).unwrap()), [69, 68]);
    let three = 3 * all[0].bytes().len();
    assert_eq!(journal.range_back(&log, 1, 40, 100, three).unwrap().len(), 3);
    assert_eq!(journal.range_back(&log, 1, 40, 100, 1).unwrap().len(), 1, "at least one");
    assert!(journal.range_back(&log, 1, 0, 100, usize::MAX).unwrap().is_empty());
    assert!(journal.range_back(&log, 2, 9, 100, usize::MAX).unwrap().is_empty());
}

#[test]
fn records_are_found_by_their_time() {
    let (_, _, journal) = memory();
    let log = name("kz-75");
    grow(&journal, &[10; 20]);
    let at = |micros| journal.first_at_or_after(&log, 1, micros).unwrap();
    assert_eq!((at(i64::MIN), at(1000), at(1001), at(1010)), (0, 0, 1, 1));
    assert_eq!((at(1190), at(1191), at(i64::MAX)), (19, 20, 20));
    let range =
        |from, to| seqs(&journal.time_range(&log, 1, from..to, usize::MAX, usize::MAX).unwrap());
    assert_eq!(range(1010, 1040), [1, 2, 3]);
    assert_eq!(range(1011, 1041), [2, 3, 4]);
    assert!(range(1040, 1010).is_empty() && range(2000, 3000).is_empty());
    let unknown = journal.first_at_or_after(&log, 2, 0);
    assert!(matches!(unknown, Err(ReadError::UnknownLog { epoch: 2, .. })));
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let (_, _, journal) = memory();
    let log = name("kz-75");
    grow(&journal, &[50; 12]);
    let snapshot = journal.snapshot();
    let look = |snapshot: &Snapshot| {
        (
            snapshot.logs().to_vec(),
            snapshot.range(&log, 1, 3, 100, usize::MAX).unwrap(),
            snapshot.range_back(&log, 1, u64::MAX, 3, usize::MAX).unwrap(),
            snapshot.stream(&log, stream(1)).unwrap(),
            snapshot.first_at_or_after(&log, 1, i64::MAX).unwrap(),
            snapshot.time_range(&log, 1, 0..i64::MAX, 100, usize::MAX).unwrap(),
            snapshot.page(&query(Direction::Backward), None).unwrap(),
            snapshot.get(&log, 1, 12).unwrap(),
            snapshot.find_event(&event(12)).unwrap(),
        )
    };
    let before = look(&snapshot);
    assert_eq!((before.1.len(), before.2.len(), before.3.len(), before.4), (9, 3, 4, 12));
    assert!(before.7.is_none() && before.8.is_none());
    grow(&journal, &[50; 12]);
    journal.ensure_own_log(&name("a"), 1).unwrap();
    assert_eq!(look(&snapshot.clone()), before);
    assert!(snapshot.log(&name("a"), 1).is_none() && journal.snapshot().logs().len() == 2);
    assert_eq!(look(&journal.snapshot()).4, 24);
}

proptest! {
    #![proptest_config(super::model::cases(48))]
    #[test]
    fn a_series_of_pages_is_one_range_of_its_beginning(
        lengths in proptest::collection::vec(
            prop_oneof![9 => 0..300u16, 1 => 4000..5000u16], 0..50,
        ),
        backward: bool,
        bounds in proptest::collection::vec(prop_oneof![
            Just(None),
            (0..60u64).prop_map(|seq| Some(Point::Sequence(seq))),
            (990..1500i64).prop_map(|time| Some(Point::Time(time))),
        ], 2),
        limits in proptest::collection::vec((0..9usize, 0..3000usize), 1..8),
        meanwhile in proptest::collection::vec(0..3usize, 1..8),
    ) {
        let (_, _, journal) = memory();
        grow(&journal, &lengths);
        let records = journal.range(&name("kz-75"), 1, 0, usize::MAX, usize::MAX).unwrap();
        let is_from = |record: &Record, point: Option<Point>, otherwise| match point {
            None => otherwise,
            Some(Point::Sequence(seq)) => record.header().seq >= seq,
            Some(Point::Time(time)) => record.header().recorded_at >= time,
        };
        let mut wanted = records;
        wanted.retain(|r| is_from(r, bounds[0], true) && !is_from(r, bounds[1], false));
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        if backward {
            wanted.reverse();
        }
        let (mut got, mut token) = (Vec::new(), None::<PageToken>);
        for round in 0..200 {
            let (max_records, max_bytes) = limits[round % limits.len()];
            let (from, to) = (bounds[0], bounds[1]);
            let query = Query { from, to, max_records, max_bytes, ..query(direction) };
            let page = journal.page(&query, token.as_ref()).unwrap();
            let bytes: usize = page.records.iter().map(|record| record.bytes().len()).sum();
            prop_assert!(page.records.len() <= max_records.max(1));
            prop_assert!(page.records.len() <= 1 || bytes <= max_bytes);
            got.extend(page.records);
            let Some(next) = page.next else { break };
            // Through its text, as a client sends it.
            token = Some(next.to_string().parse().unwrap());
            prop_assert_eq!(token, Some(next));
            grow(&journal, &vec![20; meanwhile[round % meanwhile.len()]]);
        }
        prop_assert_eq!(got, wanted);
    }
}

#[test]
fn a_token_of_something_else_is_refused_with_what_differs() {
    let (disk, store, journal) = memory();
    journal.ensure_own_log(&name("kz"), 1).unwrap();
    grow(&journal, &[10; 5]);
    let older = (disk.files(), store.reboot(usize::MAX));
    grow(&journal, &[10; 5]);
    let small = Query { max_records: 2, ..query(Direction::Forward) };
    let token = journal.page(&small, None).unwrap().next.unwrap();
    assert_eq!(seqs(&journal.page(&small, Some(&token)).unwrap().records), [2, 3]);
    let refused = |journal: &Journal, query: &Query| match journal.page(query, Some(&token)) {
        Err(PageError::Token(error)) => error,
        other => panic!("{other:?}"),
    };
    let differs = |query: Query| refused(&journal, &query);
    let what = |what| TokenError::OtherQuery { what };
    assert_eq!(differs(Query { log: name("kz"), ..small.clone() }), what("log"));
    let backward = Query { direction: Direction::Backward, ..small.clone() };
    assert_eq!(differs(backward), what("direction"));
    let from = Some(Point::Time(0));
    assert_eq!(differs(Query { from, ..small.clone() }), what("bounds"));
    journal.ensure_own_log(&name("kz-75"), 2).unwrap();
    assert_eq!(differs(Query { epoch: 2, ..small.clone() }), what("epoch"));
    let (_, _, another) = memory();
    grow(&another, &[10; 10]);
    assert_eq!(refused(&another, &small), TokenError::OtherJournal);
    let (older, _) = open_memory(&MemoryDisk::with_files(&older.0), &older.1, SMALL).unwrap();
    assert_eq!(refused(&older, &small), TokenError::Beyond { named: 10, held: 5 });
    let unknown = Query { epoch: 3, ..small };
    let unknown = journal.page(&unknown, Some(&token));
    assert!(matches!(unknown, Err(PageError::Read(ReadError::UnknownLog { epoch: 3, .. }))));
}

#[test]
fn a_changed_token_is_damaged_and_a_newer_one_says_its_version() {
    let (_, _, journal) = memory();
    grow(&journal, &[10; 5]);
    let one = Query { max_records: 1, ..query(Direction::Backward) };
    let text = journal.page(&one, None).unwrap().next.unwrap().to_string();
    assert_eq!(text.len(), 75);
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
    for at in 0..text.len() {
        for other in [b'A', b'B', b'-', b'=', b' '] {
            let mut changed = text.clone().into_bytes();
            if changed[at] != other {
                changed[at] = other;
                let changed = String::from_utf8(changed).unwrap().parse::<PageToken>();
                assert_eq!(changed, Err(TokenError::Damaged), "{at}");
            }
        }
        assert_eq!(text[..at].parse::<PageToken>(), Err(TokenError::Damaged));
    }
    assert_eq!(format!("{text}A").parse::<PageToken>(), Err(TokenError::Damaged));
    let sealed = |body: &[u8]| {
        use base64::Engine;
        let whole = [body, &crc32c::crc32c(body).to_be_bytes()].concat();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(whole).parse::<PageToken>()
    };
    assert_eq!(sealed(&[2; 70]), Err(TokenError::Version { found: 2, known: 1 }));
    assert_eq!(sealed(&[1; 51]), Err(TokenError::Damaged), "another length");
    assert_eq!(sealed(&[]), Err(TokenError::Damaged));
    let mut nonsense = [0; 52];
    (nonsense[0], nonsense[31]) = (1, 9);
    assert_eq!(sealed(&nonsense), Err(TokenError::Damaged), "begins behind its end");
}
