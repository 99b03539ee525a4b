//! Lists and claims of a centre that is not honest, record by record.

use domain::code::{Code, LogId};
use domain::ids::IntegrityId;
use uuid::Uuid;

use super::*;
use crate::duties::watch;
use crate::grpc::sync::{LinkLine, LinkWord, State};
use crate::link::store::Head;
use crate::project;
use crate::testing::{Desk, contact, desk, enrolment_of, log};

const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = HOUR / 60;

/// A centre and a region that has written four records.
async fn two() -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    centre.record(&log("kz/all"), &[enrolment_of(&region)]).await;
    region.record(&log("kz-75"), &(1..=4).map(contact).collect::<Vec<_>>()).await;
    learn(&centre, &region).await;
    (centre, region)
}

/// The region hears what the centre has recorded.
async fn learn(centre: &Desk, region: &Desk) {
    region.mirror(centre, &log("kz/all")).await;
    project::learn_now(&region.office).unwrap();
    check_all(&region.office).await.unwrap();
}

/// The centre records facts of one day and the region hears them.
async fn tell(centre: &Desk, region: &Desk, facts: Vec<Fact>) {
    let id = IntegrityId::of_day("2026-11-30".parse().unwrap()).uuid();
    let facts: Vec<(Uuid, Fact)> = facts.into_iter().map(|fact| (id, fact)).collect();
    centre.record(&log("kz/all"), &facts).await;
    learn(centre, region).await;
}

/// A list that names the region's head of this size.
fn list(region: &Desk, epoch: u32, size: u64) -> Fact {
    let (office, own) = (&region.office, log("kz-75"));
    let root = office.journal.root_at(&own, 1, size.min(4)).unwrap();
    let digest = digest(office, &own, epoch, size, root);
    let head = AcceptedHead { log: LogId::new("kz-75").unwrap(), epoch, size, digest };
    HeadsAccepted { heads: vec![head] }.into()
}

fn faults(region: &Desk) -> Vec<String> {
    store::faults(&region.office).into_iter().map(|fault| fault.text).collect()
}

fn fault(region: &Desk) -> String {
    let mut faults = faults(region);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

/// The region's first epoch with four records, and its successor.
fn closed(region: &Desk, next: u32, key: [u8; 32]) -> LogClosed {
    LogClosed {
        log: LogId::new("kz-75").unwrap(),
        epoch: 1,
        size: 4,
        root: region.office.journal.root_at(&log("kz-75"), 1, 4).unwrap(),
        successor_epoch: next,
        successor_key: key,
        reason: Code::new("succeeded").unwrap(),
        missing_from: None,
        missing_to: None,
    }
}

#[tokio::test]
async fn an_epoch_that_was_never_opened_contradicts() {
    let (centre, region) = two().await;
    assert_eq!(faults(&region), [] as [String; 0], "the enrolment is right");
    tell(&centre, &region, vec![list(&region, 2, 9)]).await;
    let text = fault(&region);
    assert!(text.starts_with("the centre lists kz-75 epoch 2 with 9 records (record kz/all:1)"));
    assert!(text.contains("never opened an epoch behind 1"), "{text}");
}

#[tokio::test]
async fn a_successor_that_this_office_does_not_have_contradicts() {
    let (centre, region) = two().await;
    tell(&centre, &region, vec![closed(&region, 2, [9; 32]).into()]).await;
    let text = fault(&region);
    let begin = "the centre tells all offices that epoch 1 of kz-75 is closed and goes on in epoch \
                 2, which this office never opened (record kz/all:1)";
    assert!(text.starts_with(begin), "{text}");
}

/// Has this office's first epoch been closed at an end that is not the true one?
#[tokio::test]
async fn a_false_end_of_an_epoch_contradicts() {
    type Said = fn(LogClosed) -> LogClosed;
    let cases: [(Said, &str); 6] = [
        (|end| end, ""),
        (|end| LogClosed { size: 4, ..end }, "ended with 4 records; it has co-signed 5 of them"),
        (|end| LogClosed { root: [1; 32], ..end }, "5 records, which are not those of this"),
        (|end| LogClosed { size: 6, ..end }, "ended with 6 records; this office ended it with 5"),
        (|end| LogClosed { missing_from: Some(4), missing_to: Some(5), ..end }, "from 4 on are"),
        (|end| LogClosed { successor_key: [9; 32], ..end }, "a log key that this office never"),
    ];
    for (said, expected) in cases {
        let (centre, region) = two().await;
        let own = log("kz-75");
        let key = crate::epochs::rotate(&region.office).await.unwrap()[0].key;
        cosign(&region, 5).await;
        let root = region.office.journal.root_at(&own, 1, 5).unwrap();
        let end = LogClosed { size: 5, root, ..closed(&region, 2, key) };
        tell(&centre, &region, vec![said(end).into()]).await;
        match expected {
            "" => assert_eq!(faults(&region), [] as [String; 0], "the true end"),
            _ => assert!(fault(&region).contains(expected), "{expected}: {}", fault(&region)),
        }
    }
}

#[tokio::test]
async fn records_that_the_centre_holds_by_its_own_line_are_not_lost() {
    let (centre, region) = two().await;
    let (own, office) = (log("kz-75"), &region.office);
    let head = Head { at: 1, size: 7, root: [7; 32], note: String::new() };
    let controls = vec![store::cosign(&own, 1, CosignatureKind::Mirror, "KZ", &head)];
    let transaction = Transaction { controls, ..Transaction::default() };
    office.writer.write(transaction).await.unwrap();
    // As after a restore: the end of the epoch is not here any more.
    let key = office.log_keys.make(2).unwrap();
    office.journal.ensure_own_log(&own, 2).await.unwrap();
    let end = LogClosed { size: 7, root: [7; 32], ..closed(&region, 2, key) };
    tell(&centre, &region, vec![end.clone().into()]).await;
    assert_eq!(faults(&region), [] as [String; 0], "all of it is held there");
    let missing = LogClosed { missing_from: Some(6), missing_to: Some(7), ..end };
    tell(&centre, &region, vec![missing.into()]).await;
    let text = fault(&region);
    assert!(text.contains("from 6 on are lost; it has co-signed as mirror"), "{text}");
}

#[tokio::test]
async fn keys_that_this_office_never_made_contradict() {
    let keys = |region: &Desk| region.office.keys.public("KZ-75").unwrap();
    for (strange, changed) in [("log", 0), ("witness", 1), ("mirror", 2)] {
        let (centre, region) = two().await;
        let ours = keys(&region);
        let mut said = [ours.log, ours.witness, ours.mirror];
        said[changed] = [9; 32];
        let [log_key, witness_key, mirror] = said;
        let code = region.office.code.clone();
        let fact = OfficeRekeyed { code, epoch: 1, log_key, witness_key, mirror_key: Some(mirror) };
        tell(&centre, &region, vec![OfficeFact::Rekeyed(fact).into()]).await;
        let text = fault(&region);
        assert!(text.contains(&format!("a {strange} key for epoch 1")), "{text}");
    }
    // New keys for an epoch that is not there, and an enrolment with others.
    let (centre, region) = two().await;
    let ours = keys(&region);
    let (log_key, witness_key, code) = (ours.log, ours.witness, region.office.code.clone());
    let fact = OfficeRekeyed { code, epoch: 2, log_key, witness_key, mirror_key: None };
    tell(&centre, &region, vec![OfficeFact::Rekeyed(fact).into()]).await;
    assert!(fault(&region).contains("new keys of KZ-75 for epoch 2, which it never opened"));
    let (centre, region) = two().await;
    tell(&centre, &region, vec![crate::testing::enrolment("KZ-75").1]).await;
    assert!(fault(&region).contains("that it enrolled KZ-75 with a log key"));
}

#[tokio::test]
async fn a_list_that_goes_back_contradicts() {
    let (centre, region) = two().await;
    tell(&centre, &region, vec![list(&region, 1, 3), list(&region, 1, 3)]).await;
    assert_eq!(faults(&region), [] as [String; 0], "a list may repeat");
    tell(&centre, &region, vec![list(&region, 1, 2)]).await;
    let text = fault(&region);
    let begin = "the centre lists kz-75 epoch 1 with 2 records (record kz/all:3) after it has \
                 listed epoch 1 with 3";
    assert!(text.starts_with(begin), "{text}");
}

#[tokio::test]
async fn of_contradictions_in_one_batch_the_first_is_kept() {
    let (centre, region) = two().await;
    tell(&centre, &region, vec![list(&region, 1, 7), list(&region, 1, 8)]).await;
    let text = fault(&region);
    assert!(text.contains("kz-75 with 7 records (record kz/all:1)"), "{text}");
}

/// The centre co-signs the region's head of this size.
async fn cosign(region: &Desk, size: u64) {
    let (own, office) = (log("kz-75"), &region.office);
    let root = office.journal.root_at(&own, 1, size).unwrap();
    let head = Head { at: 1, size, root, note: String::new() };
    let controls = vec![store::cosign(&own, 1, CosignatureKind::Witness, "KZ", &head)];
    let transaction = Transaction { controls, ..Transaction::default() };
    office.writer.write(transaction).await.unwrap();
    watch::look(office, office.clock.now()).await.unwrap();
}

fn stale(region: &Desk, word: LinkWord, after: i64) -> bool {
    let now = region.office.clock.now();
    let link = LinkLine {
        peer: "KZ".parse().unwrap(),
        state: State { word, since: Some(now), reason: None },
        last_contact: Some(now),
        last_error: String::new(),
        logs: Vec::new(),
        peer_software: String::new(),
        connects: 1,
        alarm: String::new(),
        clock: None,
        keys_lacking: None,
    };
    let lines = crate::alarms::lines_at(&region.office, [&link].into_iter(), now + after);
    let line = lines.into_iter().find(|line| line.log == log("kz-75")).unwrap();
    line.alarm.contains("no list of accepted heads has arrived that names kz-75")
}

#[tokio::test]
async fn lists_that_stop_or_stay_behind_are_an_alarm() {
    let (centre, region) = two().await;
    assert!(!stale(&region, LinkWord::Live, 9 * HOUR), "nothing was co-signed");
    cosign(&region, 2).await;
    assert!(!stale(&region, LinkWord::Live, HOUR), "one an hour, and the time of the alarm");
    assert!(stale(&region, LinkWord::Live, HOUR + 11 * MINUTE), "none at all");
    assert!(stale(&region, LinkWord::CatchingUp, HOUR + 11 * MINUTE), "kept back");
    assert!(!stale(&region, LinkWord::SilentSince, 9 * HOUR), "the link is down: it says so");
    // A list that names it puts the alarm off for as long again, and no longer.
    tell(&centre, &region, vec![list(&region, 1, 2)]).await;
    assert!(!stale(&region, LinkWord::Live, HOUR));
    assert!(stale(&region, LinkWord::Live, HOUR + 11 * MINUTE), "then none came");
    // One that repeats an old head does not, from the first that should name a newer one.
    cosign(&region, 4).await;
    tell(&centre, &region, vec![list(&region, 1, 2)]).await;
    let own = log("kz-75");
    let before = marks::of(&region.office, About::Unlisted, &own, 1).unwrap();
    assert_eq!(before.target, 4);
    tell(&centre, &region, vec![list(&region, 1, 2), list(&region, 1, 3)]).await;
    assert_eq!(marks::of(&region.office, About::Unlisted, &own, 1), Some(before));
    let region = region.killed().await;
    project::learn_now(&region.office).unwrap();
    assert!(stale(&region, LinkWord::Live, HOUR + 11 * MINUTE), "a restart forgets nothing");
    tell(&centre, &region, vec![list(&region, 1, 4)]).await;
    assert_ne!(marks::of(&region.office, About::Unlisted, &own, 1), Some(before));
    assert_eq!(faults(&region), [] as [String; 0]);
}

#[tokio::test]
async fn without_the_key_of_an_epoch_the_evidence_is_kept_and_later_lists_are_checked() {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let own = log("kz-75");
    // The first epoch was signed with a key that is not here any more.
    let (id, Fact::Office(OfficeFact::Enrolled(enrolled))) = enrolment_of(&region) else {
        panic!("an enrolment")
    };
    let log_key = centre.office.keys.public("KZ").unwrap().log;
    let fact: Fact = OfficeEnrolled { log_key, ..enrolled }.into();
    centre.record(&log("kz/all"), &[(id, fact)]).await;
    region.record(&own, &(1..=4).map(contact).collect::<Vec<_>>()).await;
    region.office.log_keys.make(2).unwrap();
    region.office.journal.ensure_own_log(&own, 2).await.unwrap();
    learn(&centre, &region).await;
    assert!(heads::sign(&region.office, &own, 1, 4).is_err());
    assert_eq!(faults(&region), [] as [String; 0], "a node installed anew does not accuse");
    let mut wrong = list(&region, 1, 3);
    if let Fact::Integrity(IntegrityFact::HeadsAccepted(list)) = &mut wrong {
        list.heads[0].digest = [7; 32];
    }
    tell(&centre, &region, vec![wrong, list(&region, 3, 1)]).await;
    let texts = faults(&region);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("another head of kz-75 of size 3 (record kz/all:1)"), "{texts:?}");
    assert!(texts[1].contains("kz-75 epoch 3 with 1 records (record kz/all:2)"), "{texts:?}");
    let kept = region.office.journal.controls(b"fault/kz-75/1/centre_view/us/");
    let [(_, kept)] = <[_; 1]>::try_from(kept).unwrap();
    let root = hex(&region.office.journal.root_at(&own, 1, 3).unwrap()).to_string();
    assert!(String::from_utf8(kept).unwrap().contains(&format!("size 3 root {root}")));
}
