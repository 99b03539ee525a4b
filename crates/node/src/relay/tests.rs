//! Offices that witness each other, and what each honest one sees of one that is not.

mod late;

use domain::code::LogId;
use domain::ids::IntegrityId;
use domain::integrity::{AcceptedHead, HeadsAccepted};
use evidence::note::NoteError;

use super::*;
use crate::duties::accepted;
use crate::notes::{Added, Kept, NotesError};
use crate::testing::log;
use crate::testing::network::{Network, enrolled};

const ALL: [&str; 4] = ["KZ-27", "KZ-71", "KZ-75", "KZ-79"];
const THREE: [&str; 3] = ["KZ-27", "KZ-71", "KZ-75"];

fn lower(code: &str) -> String {
    code.to_ascii_lowercase()
}

/// Whether a note carries a line under this key name.
fn names(kept: &Kept, key_name: &str) -> bool {
    let note = SignedNote::parse(&kept.head.note).unwrap();
    note.signatures().iter().any(|line| line.name() == key_name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_gets_a_complete_note_everywhere() {
    let mut network = Network::of(&ALL).await;
    for code in ALL {
        network.region(code).contacts(1..=3).await;
    }
    network.centre.contacts(1..=2).await;
    network.link_all().await;
    let is_complete = |network: &Network| {
        let own = ALL.iter().all(|code| {
            let region = network.region(code);
            let (own, down) = (lower(code), format!("kz/{}", lower(code)));
            region.complete(&own) == Some(3)
                && network.centre.complete(&own) == Some(3)
                && region.complete("kz/all") == Some(4)
                && region.complete("kz") == Some(2)
                && (region.size(&down) == 0 || region.complete(&down).is_some())
        });
        (own && network.centre.complete("kz/all") == Some(4)).then_some(())
    };
    network.until("every log is complete", is_complete).await;
    // All of its peers are three others; their lines came to the region itself.
    let own = network
        .until("all three peers have signed", |network| {
            let notes = network.region("KZ-75").notes("kz-75").into_iter();
            let all = |kept: &Kept| {
                ["27", "71", "79"]
                    .iter()
                    .all(|office| names(kept, &format!("adal.example/witness/kz-{office}")))
            };
            notes.map(Some).find(|kept| kept.as_ref().is_some_and(&all))
        })
        .await
        .unwrap();
    assert!(names(&own, "adal.example/mirror/kz") && names(&own, "adal.example/witness/kz"));
    assert!(network.region("KZ-75").evidence().iter().all(|line| line.alarm.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_is_enough_and_without_any_there_is_an_alarm_with_names() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=2).await;
    network.link("KZ-75").await;
    network.link("KZ-71").await;
    network
        .until("one peer signs", |n| (n.region("KZ-75").complete("kz-75") == Some(2)).then_some(()))
        .await;
    network.cut("KZ-71").await;
    network.region("KZ-75").contacts(3..=4).await;
    for office in ["KZ-75", "KZ"] {
        let alarm = network
            .until("the lack is an alarm", |network| {
                let desk = if office == "KZ" { &network.centre } else { network.region(office) };
                let alarm = desk.alarm("kz-75");
                Some(alarm).filter(|alarm| alarm.contains("missing: 1 of ("))
            })
            .await;
        assert!(alarm.starts_with("kz-75 lacks cosignatures above record 2 for "), "{alarm}");
        let peers = "missing: 1 of (adal.example/witness/kz-27, adal.example/witness/kz-71)";
        assert!(alarm.contains(peers), "{alarm}");
    }
    network.link("KZ-27").await;
    network
        .until("another one signs", |n| {
            (n.region("KZ-75").complete("kz-75") == Some(4)).then_some(())
        })
        .await;
    assert_eq!(network.region("KZ-75").alarm("kz-75"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_survive_a_kill_and_old_ones_make_room() {
    let mut network = Network::of(&THREE).await;
    network.link("KZ-75").await;
    for number in 1..=12 {
        network.region("KZ-75").contacts(number..=number).await;
        let size = u64::try_from(number).unwrap();
        network
            .until("the centre signs", |n| {
                let notes = n.region("KZ-75").notes("kz-75");
                notes.first().filter(|kept| kept.head.size == size).map(drop)
            })
            .await;
    }
    let sizes: Vec<u64> =
        network.region("KZ-75").notes("kz-75").iter().map(|kept| kept.head.size).collect();
    assert_eq!(sizes, [12, 11, 10, 9, 8, 7, 6, 5, 4], "the newest, none of them complete");
    network.link("KZ-71").await;
    network
        .until("a peer signs", |n| (n.region("KZ-75").complete("kz-75") == Some(12)).then_some(()))
        .await;
    assert_eq!(network.region("KZ-75").notes("kz-75").len(), 1, "older ones are not needed");
    network.cut_all().await;
    let before = network.region("KZ-75").notes("kz-75");
    let killed = network.regions.remove("KZ-75").unwrap().killed().await;
    crate::project::learn_now(&killed.office).unwrap();
    assert_eq!(killed.notes("kz-75"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_lines_of_the_policy_on_this_head_are_kept() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=2).await;
    network.link_all().await;
    let complete = |n: &Network| {
        let region = n.region("KZ-75");
        let knows_peers = region.office.country.known().offices.len() == THREE.len();
        (knows_peers && region.complete("kz-75") == Some(2)).then_some(())
    };
    network.until("it is complete", complete).await;
    network.cut_all().await;
    let region = &network.region("KZ-75").office;
    let own = log("kz-75");
    let note = crate::notes::base(region, &own, 1, 2).unwrap();
    let line = |size: u64| {
        let key = network.region("KZ-71").office.keys.witness_seed();
        let name = "adal.example/witness/kz-71";
        let signer = evidence::note::Signer::cosigner(name, key).unwrap();
        let note = heads::sign(region, &own, 1, size).unwrap();
        evidence::checkpoint::cosign(&note, &signer, 7).unwrap()
    };
    let add = |note: &str, line: String| region.notes.add(region, (&own, 1), note, &[line]);
    let other = add(&note, line(1)).unwrap_err();
    assert!(matches!(other, NotesError::OtherHead { .. }), "{other}");
    let stranger =
        evidence::note::Signer::cosigner("adal.example/witness/kz-99", &[9; 32]).unwrap();
    let foreign = evidence::checkpoint::cosign(&note, &stranger, 7).unwrap();
    assert_eq!(add(&note, foreign).unwrap(), Added::Stranger, "it is passed over");
    add(&note, line(2)).unwrap();
    assert_eq!(add(&note, line(2)).unwrap(), Added::Known, "one line a key");
    let unsigned = note.replace("kz-75", "kz-76");
    let refused = add(&unsigned, line(2)).unwrap_err();
    assert!(matches!(refused, NotesError::Note(NoteError::NotSigned)), "{refused}");
}

/// Gate: a region that rewrites its tail after a head was co-signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_rewrites_its_tail_is_seen_by_the_centre() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    let image = network.region("KZ-75").image().await;
    network.region("KZ-75").contacts(5..=5).await;
    network.link_all().await;
    network
        .until("it is complete", |n| (n.region("KZ-75").complete("kz-75") == Some(5)).then_some(()))
        .await;
    network.cut("KZ-75").await;
    // The fifth record is another one now.
    image.contacts(6..=6).await;
    network.regions.insert("KZ-75".to_owned(), image);
    network.link("KZ-75").await;
    let seen = network
        .until("the centre refuses", |n| {
            Some(n.centre.refused("KZ-75", "kz-75")).filter(|text| !text.is_empty())
        })
        .await;
    assert_eq!(
        seen,
        "fork: the 5 records of kz-75 at the office that writes it are not the ones it signed and \
         this office holds: two histories"
    );
    let alarm = network.centre.alarm("kz-75");
    assert!(alarm.contains("fork: the 5 records of kz-75"), "it stays an alarm: {alarm}");
    // The office itself hears of it too, and accepts no more facts. Its first link ended when it
    // was shown what it had co-signed of the centre's log before.
    network.cut("KZ-75").await;
    network.link("KZ-75").await;
    let here = network
        .until("the office hears", |n| {
            Some(n.region("KZ-75").refused("KZ", "kz-75")).filter(|text| !text.is_empty())
        })
        .await;
    assert!(here.contains("two histories"), "{here}");
    assert!(network.region("KZ-75").alarm("kz-75").contains("fork: "), "kept here too");
}

/// Gate: the same with a centre that goes along: it forgets what it has seen. The peers do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_tail_that_the_centre_accepts_is_seen_by_the_peers() {
    let mut network = Network::of(&THREE).await;
    network.link("KZ-71").await;
    network.region("KZ-75").contacts(1..=4).await;
    network.link("KZ-75").await;
    network
        .until("four are complete", |n| {
            (n.region("KZ-75").complete("kz-75") == Some(4)).then_some(())
        })
        .await;
    network.cut_all().await;
    let (region, centre) = (network.region("KZ-75").image().await, network.centre.image().await);
    network.region("KZ-75").contacts(5..=5).await;
    network.link("KZ-71").await;
    network.link("KZ-75").await;
    network
        .until("five are complete", |n| {
            (n.region("KZ-75").complete("kz-75") == Some(5)).then_some(())
        })
        .await;
    network.cut_all().await;
    region.contacts(6..=6).await;
    network.regions.insert("KZ-75".to_owned(), region);
    network.centre = centre;
    network.link("KZ-71").await;
    network.link("KZ-75").await;
    let alarm = network
        .until("the peer refuses", |n| {
            Some(n.region("KZ-71").alarm("kz-75")).filter(|alarm| !alarm.is_empty())
        })
        .await;
    assert_eq!(
        alarm,
        "fork: KZ-71 witnessed a head of kz-75 of size 5 that the head of size 5 does not \
         continue: two histories; the office that writes kz-75, or the one that sent this head, \
         shows different ones to different offices; both notes are kept, nothing more of it is \
         witnessed"
    );
    let kept = network.region("KZ-71").faults("kz-75", "fork").concat();
    assert_eq!(kept.matches("adal.example/log/kz-75\n5\n").count(), 2, "both notes: {kept}");
    // The other side of it: the centre is told with the proof, and cannot say that it was not.
    let centre = network.until("the centre is told", |n| {
        Some(n.centre.alarm("kz-75")).filter(|alarm| alarm.contains("two roots for size 5"))
    });
    centre.await;
    assert_ne!(network.region("KZ-75").complete("kz-75"), Some(5), "it is never complete");
}

async fn list(network: &Network, heads: Vec<AcceptedHead>) {
    let day = "2026-11-30".parse().unwrap();
    let fact = (IntegrityId::of_day(day).uuid(), HeadsAccepted { heads }.into());
    network.centre.record(&log("kz/all"), &[fact]).await;
}

/// Gate: a centre that alters a record of a region, and shows others the log with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_alters_or_drops_a_record_is_seen_by_the_region() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    let altered = network.region("KZ-75").image().await;
    network.region("KZ-75").contacts(5..=5).await;
    network.link_all().await;
    network
        .until("it is complete", |n| (n.region("KZ-75").complete("kz-75") == Some(5)).then_some(()))
        .await;
    let mut lists = accepted::Lists::default();
    assert!(lists.publish(&network.centre.office).await.unwrap());
    assert!(!lists.publish(&network.centre.office).await.unwrap(), "nothing has changed");
    network
        .until("the list arrives", |n| (n.region("KZ-75").size("kz/all") == 4).then_some(()))
        .await;
    assert_eq!(network.region("KZ-75").alarm("kz-75"), "", "the list is right");

    // The same log with another fifth record.
    altered.contacts(6..=6).await;
    let root = altered.office.journal.root_at(&log("kz-75"), 1, 5).unwrap();
    let changed = accepted::digest(&network.centre.office, &log("kz-75"), 1, 5, root);
    let head =
        AcceptedHead { log: LogId::new("kz-75").unwrap(), epoch: 1, size: 5, digest: changed };
    list(&network, vec![head.clone()]).await;
    let alarm = network
        .until("the region sees it", |n| {
            Some(n.region("KZ-75").alarm("kz-75")).filter(|alarm| !alarm.is_empty())
        })
        .await;
    assert_eq!(
        alarm,
        "centre_view: the centre lists another head of kz-75 of size 5 (record kz/all:4) than this \
         office signed: it shows others a log in which a record of this office was changed or \
         dropped; both sides are kept, tell the other offices and compare heads: adal evidence \
         compare"
    );
    let kept = network.region("KZ-75").faults("kz-75", "centre_view").concat();
    assert!(kept.contains("listed: kz-75 epoch 1 size 5 digest "), "{kept}");
    assert!(kept.contains("adal.example/log/kz-75\n5\n"), "this office's own head: {kept}");
}

/// Gate: a centre that lists records that the region never wrote, or leaves its log out.
#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_adds_records_or_leaves_a_log_out_is_seen_by_the_region() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-71").contacts(1..=2).await;
    network.region("KZ-75").contacts(1..=2).await;
    network.link_all().await;
    network
        .until("it is complete", |n| (n.region("KZ-75").complete("kz-75") == Some(2)).then_some(()))
        .await;
    let id = |name: &str| LogId::new(name).unwrap();
    let head = |name: &str, size| AcceptedHead { log: id(name), epoch: 1, size, digest: [7; 32] };
    list(&network, vec![head("kz-75", 9)]).await;
    let alarm = network
        .until("71 is left out", |n| {
            Some(n.region("KZ-71").alarm("kz-71")).filter(|alarm| alarm.contains("leave kz-71 out"))
        })
        .await;
    assert!(alarm.contains("other offices do not learn of this office's records"), "{alarm}");
    let alarm = network.region("KZ-75").alarm("kz-75");
    let text = "the centre lists kz-75 with 9 records (record kz/all:3), this office has written 2";
    assert!(alarm.contains(text), "{alarm}");
}

/// Gate: a centre that shows two groups of regions different logs of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_shows_two_views_completes_neither() {
    let mut network = Network::of(&THREE).await;
    let other = network.centre.image().await;
    let mut second = Network::of(&[]).await;
    second.centre = other;
    let [one, two] = [Network::of(&["KZ-10"]).await, Network::of(&["KZ-39"]).await];
    network.centre.record(&log("kz/all"), &[enrolled(one.region("KZ-10"))]).await;
    second.centre.record(&log("kz/all"), &[enrolled(two.region("KZ-39"))]).await;
    for code in ["KZ-27", "KZ-75"] {
        second.regions.insert(code.to_owned(), network.regions.remove(code).unwrap());
    }
    network.link_all().await;
    second.link_all().await;
    for (network, code) in [(&network, "KZ-71"), (&second, "KZ-27"), (&second, "KZ-75")] {
        let alarm = network
            .until("the view is not complete", |n| {
                let region = n.region(code);
                (region.size("kz/all") == 4)
                    .then(|| region.alarm("kz/all"))
                    .filter(|a| !a.is_empty())
            })
            .await;
        let begin =
            "the centre's kz/all has not been co-signed by enough offices above record 0 for";
        assert!(alarm.starts_with(begin), "{alarm}");
        assert!(alarm.contains("the centre shows another view to others"), "{alarm}");
        assert!(
            alarm.ends_with(
                "compare this office's head with another office's: adal evidence compare"
            )
        );
        assert_eq!(network.region(code).complete("kz/all"), None);
    }
    // The heads of two of them, laid side by side, are the proof.
    let head = |network: &Network, code: &str| {
        let office = &network.region(code).office;
        crate::link::store::accepted(office, &log("kz/all"), 1).unwrap()
    };
    let (a, b) = (head(&network, "KZ-71"), head(&second, "KZ-75"));
    assert!(a.size == b.size && a.root != b.root);
    network.cut_all().await;
    second.cut_all().await;
}

/// Only the operator of an own log answers a contradiction with a new epoch.
#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_is_not_over_because_the_accused_goes_on_in_a_new_epoch() {
    let network = Network::of(&THREE).await;
    let region = network.region("KZ-71");
    region.contacts(1..=1).await;
    let office = &region.office;
    let fault = |name: &str| replication::action::Fault {
        log: log(name),
        epoch: 1,
        own: name == "kz-71",
        code: replication::RefusalCode::Fork,
        found_by: replication::Party::Us,
        text: "two histories".to_owned(),
        notes: vec![format!("a note of {name}")],
        proof: Vec::new(),
    };
    for name in ["kz-75", "kz-71"] {
        assert!(crate::link::store::keep(office, &fault(name)).await.unwrap());
    }
    let (own, note) = (log("kz-71"), ["a note of kz-71".to_owned()]);
    let kept =
        crate::link::store::keep_found(office, (&own, 1), "centre_view", "two histories", note);
    assert!(kept.await.unwrap());
    let alarms = || (region.alarm("kz-75"), region.alarm("kz-71"));
    let (other, own) = ("fork: two histories", "centre_view: two histories");
    assert_eq!(alarms(), (other.to_owned(), format!("{own}; {other}")));
    office.journal.ensure_mirror(&log("kz-75"), 2).await.unwrap();
    crate::epochs::rotate(office).await.unwrap();
    assert_eq!(alarms(), (other.to_owned(), own.to_owned()));
}
