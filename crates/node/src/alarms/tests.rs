//! Alarms at chosen times; `duties::watch` looks when a test says so.

use domain::Fact;
use domain::office::{OfficeEnrolled, OfficeFact, OfficeRekeyed};
use evidence::note::Signer;

use super::*;
use crate::duties::watch;
use crate::project;
use crate::testing::network::Network;
use crate::testing::{Desk, contact, desk, enrolment, enrolment_of, log};

const SECOND: i64 = 1_000_000;
/// 2040-01-01, microseconds since 1970.
const FAR: i64 = 2_208_988_800 * SECOND;
/// A little more than the time of the alarm.
const LATE: i64 = 601 * SECOND;

fn line_of(desk: &Desk, name: &str, now: i64) -> EvidenceLine {
    let lines = lines_at(&desk.office, [].iter(), now).into_iter();
    lines.into_iter().find(|line| line.log == log(name)).unwrap()
}

/// A centre whose records all say 2040, and a region that mirrors them.
async fn from_the_future() -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let all = log("kz/all");
    centre.record_at(FAR, &all, &[enrolment_of(&region)]).await;
    region.mirror(&centre, &all).await;
    project::learn_now(&region.office).unwrap();
    (centre, region)
}

#[tokio::test]
async fn a_writer_cannot_put_an_alarm_off_with_times_in_the_future() {
    let (centre, region) = from_the_future().await;
    let now = region.office.clock.now();
    assert_eq!(region.records(&log("kz/all"))[0].header().recorded_at, FAR);
    assert_eq!(line_of(&region, "kz/all", now).waiting_since, Some(now), "never in the future");
    watch::look(&region.office, now).await.unwrap();
    assert_eq!(line_of(&region, "kz/all", now + SECOND).alarm, "");
    // More records, and looks at them, do not make the first one young.
    centre.record_at(FAR + 1, &log("kz/all"), &[contact(1)]).await;
    region.mirror(&centre, &log("kz/all")).await;
    watch::look(&region.office, now + LATE / 2).await.unwrap();
    let line = line_of(&region, "kz/all", now + LATE);
    assert_eq!(line.waiting_since, Some(now));
    let begin =
        "the centre's kz/all has not been co-signed by enough offices above record 0 for 11";
    assert!(line.alarm.starts_with(begin), "{}", line.alarm);
    // Nor does a restart.
    let region = region.killed().await;
    project::learn_now(&region.office).unwrap();
    assert_eq!(line_of(&region, "kz/all", now + LATE).waiting_since, Some(now));
}

#[tokio::test]
async fn a_clock_that_was_in_the_future_once_silences_no_alarm() {
    let (_centre, region) = from_the_future().await;
    region.record_at(FAR, &log("kz-75"), &[contact(1)]).await;
    watch::look(&region.office, FAR).await.unwrap();
    // The clock is right again.
    let now = region.office.clock.now();
    watch::look(&region.office, now).await.unwrap();
    for name in ["kz-75", "kz/all"] {
        assert_eq!(line_of(&region, name, now + LATE).waiting_since, Some(now), "{name}");
        assert_ne!(line_of(&region, name, now + LATE).alarm, "", "{name}");
    }
}

#[tokio::test]
async fn a_second_enrolment_changes_no_key_and_is_an_alarm() {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let all = log("kz/all");
    let first = enrolment_of(&region);
    centre.record(&all, &[first.clone(), first, enrolment("KZ-75")]).await;
    region.mirror(&centre, &all).await;
    project::learn_now(&region.office).unwrap();
    let known = region.office.country.known();
    let ours = region.office.keys.public("KZ-75").unwrap();
    assert_eq!(known.offices[&region.office.code].log_key, ours.log);
    let alarm = line_of(&region, "kz/all", region.office.clock.now()).alarm;
    let begin = "centre_view: the centre enrolled KZ-75 once more with other keys (record \
                 kz/all:2 of epoch 1)";
    assert!(alarm.starts_with(begin), "{alarm}");
}

#[tokio::test]
async fn no_contradiction_of_an_epoch_hides_another() {
    let office = &desk("KZ-75").await.office;
    for (at, code) in [(1, "fork"), (1, OTHER_VIEW), (2, "rollback"), (1, "index_building")] {
        let notes = [format!("note of {code}")];
        let text = format!("text of {code}");
        store::keep_found(office, (&log("kz-71"), at), code, &text, notes).await.unwrap();
    }
    // The office mirrors no such log: it has no line but for this.
    let lines = lines_at(office, [].iter(), office.clock.now()).into_iter();
    let alarms: Vec<_> = lines.map(|line| (line.epoch, line.alarm)).collect();
    let first = "fork: text of fork; other_view: text of other_view".to_owned();
    assert_eq!(alarms, [(1, first), (2, "rollback: text of rollback".to_owned())]);
}

/// An office of the centre's own making: its enrolment, and who signs as its witness.
fn invented(code: &str, seed: u8) -> ((uuid::Uuid, Fact), Signer) {
    let (id, Fact::Office(OfficeFact::Enrolled(office))) = enrolment(code) else {
        panic!("an enrolment")
    };
    let name = policy::key_name("adal.example", "witness", code);
    let signer = Signer::cosigner(&name, &[seed; 32]).unwrap();
    let witness_key = *signer.verifier().public_key();
    ((id, OfficeEnrolled { witness_key, ..office }.into()), signer)
}

/// Gate: a centre that enrols offices of its own making to meet the quorum with them.
#[tokio::test(flavor = "multi_thread")]
async fn whom_a_head_enrols_does_not_vouch_for_it() {
    let mut network = Network::of(&["KZ-27", "KZ-71", "KZ-75"]).await;
    let all = log("kz/all");
    let complete = |network: &Network| network.region("KZ-75").complete("kz/all");
    let counts = |network: &Network| {
        let known = network.region("KZ-75").office.country.known();
        policy::counts(&known, &"KZ-10".parse().unwrap())
    };
    network.link_all().await;
    network.until("three sign", |n| (complete(n) == Some(3)).then_some(())).await;
    // An honest enrolment: the three complete its head, and the new office counts from then on.
    network.centre.record(&all, &[invented("KZ-10", 99).0]).await;
    network.until("three sign it", |n| (complete(n) == Some(4) && counts(n)).then_some(())).await;
    network.cut_all().await;

    let (facts, signers): (Vec<_>, Vec<_>) =
        (0..40).map(|n| invented(&format!("KZ-X{n}"), 100 + n)).unzip();
    network.centre.record(&all, &facts).await;
    network.link("KZ-75").await;
    network
        .until("they arrive", |n| {
            let known = n.region("KZ-75").office.country.known();
            (known.offices.len() == 44 && known.head.is_some_and(|head| head.size == 44))
                .then_some(())
        })
        .await;
    network.cut_all().await;
    let region = network.region("KZ-75");
    let note = crate::notes::base(&region.office, &all, 1, 44).unwrap();
    let line = |signer| evidence::checkpoint::cosign(&note, signer, 7).unwrap();
    let lines: Vec<String> = signers.iter().map(line).collect();
    region.office.notes.add(&region.office, (&all, 1), &note, &lines).unwrap();
    assert_eq!(complete(&network), Some(4), "the invented ones do not count");
    // Nor after a restart.
    let region = network.regions.remove("KZ-75").unwrap().killed().await;
    project::learn_now(&region.office).unwrap();
    assert_eq!(region.complete("kz/all"), Some(4));
}

/// The record that an office has this witness key from now on.
fn renewed(code: &str, key: &Signer) -> (uuid::Uuid, Fact) {
    let code: OfficeCode = code.parse().unwrap();
    let id = domain::ids::OfficeId::of(&code).uuid();
    let witness_key = *key.verifier().public_key();
    let [log_key, mirror_key] = [[77; 32], [78; 32]];
    let fact = OfficeRekeyed { code, epoch: 2, log_key, witness_key, mirror_key: Some(mirror_key) };
    (id, Fact::Office(OfficeFact::Rekeyed(fact)))
}

/// Until a region knows so many records of kz/all under a head.
async fn knows(network: &Network, code: &str, size: u64) {
    let has = |n: &Network| {
        let known = n.region(code).office.country.known();
        known.head.is_some_and(|head| head.size == size).then_some(())
    };
    network.until("they arrive", has).await;
}

/// Whether KZ-75 counts by the head of this size of kz/all: it is complete, and marked.
fn is_known_complete(network: &Network, size: u64) -> Option<()> {
    let known = network.region("KZ-75").office.country.known();
    (known.complete == Some((1, size))).then_some(())
}

/// Puts lines of these keys on the region's head of this size of kz/all.
fn put_lines(region: &Desk, size: u64, keys: &[&Signer]) {
    let (all, office) = (log("kz/all"), &region.office);
    let note = crate::notes::base(office, &all, 1, size).unwrap();
    let line = |key: &&Signer| evidence::checkpoint::cosign(&note, key, 7).unwrap();
    let lines: Vec<String> = keys.iter().map(line).collect();
    office.notes.add(office, (&all, 1), &note, &lines).unwrap();
}

/// Gate: a centre that gives offices keys of its own making, to meet the quorum with them.
#[tokio::test(flavor = "multi_thread")]
async fn new_keys_count_after_the_keys_before_them_have_signed() {
    let codes = ["KZ-27", "KZ-71", "KZ-75", "KZ-79"];
    let mut network = Network::of(&codes).await;
    let all = log("kz/all");
    let complete = |network: &Network| network.region("KZ-75").complete("kz/all");
    network.link_all().await;
    network.until("three sign", |n| is_known_complete(n, 4)).await;
    network.cut_all().await;
    let old = codes.map(|code| {
        let seed = network.region(code).office.keys.witness_seed();
        Signer::cosigner(&policy::key_name("adal.example", "witness", code), seed).unwrap()
    });
    let new = |code: &str, seed| {
        let name = policy::key_name("adal.example", "witness", code);
        Signer::cosigner(&name, &[seed; 32]).unwrap()
    };
    let (a, b) = (new("KZ-27", 91), new("KZ-71", 92));

    network.centre.record(&all, &[renewed("KZ-27", &a), renewed("KZ-71", &b)]).await;
    network.link("KZ-75").await;
    knows(&network, "KZ-75", 6).await;
    network.cut_all().await;
    let region = network.region("KZ-75");
    put_lines(region, 6, &[&a, &b, &old[2]]);
    assert_eq!(complete(&network), Some(4), "three lines, of which one counts");
    let line = line_of(region, "kz/all", region.office.clock.now() + LATE);
    for (key, seq) in [(&a, 4), (&b, 5)] {
        let text = format!("the new key {} (record kz/all:{seq}) waits", key.verifier());
        assert!(line.missing.contains(&text) && line.alarm.contains(&text), "{line:?}");
    }

    // The keys before them sign: from then on the new ones count, and the old ones do not.
    put_lines(region, 6, &[&old[1], &old[3]]);
    watch::look(&region.office, region.office.clock.now()).await.unwrap();
    project::learn_now(&region.office).unwrap();
    assert_eq!((complete(&network), policy::waiting(&region.office)), (Some(6), Vec::new()));
    network.centre.record(&all, &[invented("KZ-10", 99).0]).await;
    network.link("KZ-75").await;
    knows(&network, "KZ-75", 7).await;
    network.cut_all().await;
    let region = network.regions.remove("KZ-75").unwrap().killed().await;
    project::learn_now(&region.office).unwrap();
    put_lines(&region, 7, &[&old[0], &old[1], &old[2]]);
    assert_eq!(region.complete("kz/all"), Some(6), "also after a restart");
    put_lines(&region, 7, &[&a, &b]);
    assert_eq!(region.complete("kz/all"), Some(7));
}

/// With two offices nothing is complete without the lost key: the operator who has compared the
/// new one says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_key_counts_at_once() {
    let mut network = Network::of(&["KZ-71", "KZ-75"]).await;
    let all = log("kz/all");
    network.link_all().await;
    network.until("both sign", |n| is_known_complete(n, 2)).await;
    network.cut_all().await;
    let new = invented("KZ-71", 91).1;
    network.centre.record(&all, &[renewed("KZ-71", &new)]).await;
    network.link("KZ-75").await;
    knows(&network, "KZ-75", 3).await;
    network.cut_all().await;
    let mut region = network.regions.remove("KZ-75").unwrap();
    let seed = *region.office.keys.witness_seed();
    let own = Signer::cosigner("adal.example/witness/kz-75", &seed).unwrap();
    put_lines(&region, 3, &[&own, &new]);
    assert_eq!(region.complete("kz/all"), Some(2));
    region.office.notes.write(&region.office).await.unwrap();
    region = region
        .killed_and_set(|options| {
            options.evidence.confirmed_keys = vec![new.verifier().to_string()];
        })
        .await;
    project::learn_now(&region.office).unwrap();
    assert_eq!(region.complete("kz/all"), Some(3));
    assert_eq!(policy::waiting(&region.office), []);
}

/// Two offices with one key make no policy, and that silences nothing.
#[tokio::test]
async fn keys_that_make_no_policy_are_an_alarm() {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let all = log("kz/all");
    centre.record(&all, &[invented("KZ-71", 9).0, invented("KZ-79", 9).0]).await;
    region.mirror(&centre, &all).await;
    project::learn_now(&region.office).unwrap();
    let alarm = line_of(&region, "kz/all", region.office.clock.now()).alarm;
    let begin = "nothing of kz/all can be complete: the enrolled keys make no policy";
    assert!(alarm.starts_with(begin), "{alarm}");
}
