//! Offices whose journals went back behind their own cosignatures.

use super::*;
use crate::testing::Desk;
use crate::testing::log;
use crate::testing::network::Network;

const THREE: [&str; 3] = ["KZ-27", "KZ-71", "KZ-75"];

/// As `adal journal restore` notes it.
async fn restored(desk: &Desk, at: i64) {
    let text = format!("adal restored 1\nat {at}\ntaken 1\njournal {}\n", "00".repeat(16));
    let key = format!("restored/{at:020}").into_bytes();
    let controls = vec![Control { key, value: text.into_bytes() }];
    let transaction = Transaction { controls, ..Transaction::default() };
    desk.office.writer.write(transaction).await.unwrap();
    assert_eq!(desk.office.journal.restorations().last().unwrap().at, at);
}

/// Waits until the log of KZ-75 with so many records is complete at that office.
async fn complete(network: &Network, size: u64) {
    network
        .until("it is complete", |n| {
            (n.region("KZ-75").complete("kz-75") == Some(size)).then_some(())
        })
        .await;
}

/// Four records of KZ-75 are co-signed by all; an image of one office is taken; then the fifth is.
async fn grown(of: &str) -> (Network, Desk, Desk) {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    network.link_all().await;
    complete(&network, 4).await;
    network
        .until("both peers have signed", |n| {
            let witnessed = |code| store::witnessed(&n.region(code).office, &log("kz-75"), 1);
            let is_four = |code| witnessed(code).is_some_and(|head| head.size == 4);
            (is_four("KZ-27") && is_four("KZ-71")).then_some(())
        })
        .await;
    network.cut_all().await;
    let image = match of {
        "KZ" => network.centre.image().await,
        code => network.region(code).image().await,
    };
    let rewriter = network.region("KZ-75").image().await;
    network.region("KZ-75").contacts(5..=5).await;
    network.link_all().await;
    complete(&network, 5).await;
    network
        .until("the peer has signed the fifth", |n| {
            let head = store::witnessed(&n.region("KZ-71").office, &log("kz-75"), 1)?;
            let seen = n
                .centre
                .notes("kz-75")
                .iter()
                .any(|kept| kept.head.size == 5 && kept.head.note.contains("witness/kz-71"));
            (head.size == 5 && seen).then_some(())
        })
        .await;
    network.cut_all().await;
    (network, image, rewriter)
}

fn remembered(desk: &Desk) -> Option<u64> {
    store::accepted(&desk.office, &log("kz-75"), 1).map(|head| head.size)
}

/// Whether a head of this size carries the centre's line for another root than `root`.
fn signed_another(desk: &Desk, root: Hash) -> bool {
    let kind = CosignatureKind::Witness;
    let head = store::cosigned_by(&desk.office, &log("kz-75"), 1, kind, "KZ");
    head.is_some_and(|head| head.size == 5 && head.root != root)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_centre_takes_up_what_it_co_signed_before_it_signs_again() {
    let (mut network, image, rewriter) = grown("KZ").await;
    restored(&image, 9).await;
    assert_eq!(remembered(&image), Some(4));
    let root = network.region("KZ-75").office.journal.root_at(&log("kz-75"), 1, 5).unwrap();
    network.centre = image;
    network.link("KZ-75").await;
    network
        .until("the centre remembers", |n| (remembered(&n.centre) == Some(5)).then_some(()))
        .await;
    assert!(!forgotten(&network.centre.office, &"KZ-75".parse().unwrap()));
    assert!(forgotten(&network.centre.office, &"KZ-71".parse().unwrap()), "it was not heard");
    network.cut("KZ-75").await;
    // Whoever has the region's key and rewrites the fifth record gets no line any more.
    rewriter.contacts(6..=6).await;
    let honest = network.regions.insert("KZ-75".to_owned(), rewriter).unwrap();
    network.link("KZ-75").await;
    let refused = network
        .until("the centre refuses", |n| {
            Some(n.centre.refused("KZ-75", "kz-75")).filter(|text| !text.is_empty())
        })
        .await;
    // Whoever of the two is faster says it.
    assert!(refused.starts_with("fork: the ") && refused.contains("two histories"), "{refused}");
    assert!(!signed_another(network.region("KZ-75"), root));
    assert_eq!(honest.alarm("kz-75"), "", "the region need not look at an honest restore");
    network.cut_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_region_goes_on_with_a_restored_centre() {
    let (mut network, image, _) = grown("KZ").await;
    restored(&image, 9).await;
    network.centre = image;
    for code in THREE {
        network.link(code).await;
        network
            .until("the centre was shown", |n| {
                (!forgotten(&n.centre.office, &code.parse().unwrap())).then_some(())
            })
            .await;
        network.cut(code).await;
    }
    network.region("KZ-75").contacts(7..=7).await;
    network.link_all().await;
    complete(&network, 6).await;
    assert_eq!(network.region("KZ-75").alarm("kz-75"), "");
    assert!(network.region("KZ-75").faults("kz-75", PEER_MEMORY).is_empty());
    network.cut_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_root_that_a_restored_centre_signed_is_evidence_once_the_first_is_shown() {
    let (mut network, image, rewriter) = grown("KZ").await;
    restored(&image, 9).await;
    rewriter.contacts(6..=6).await;
    network.centre = image;
    let honest = network.regions.insert("KZ-75".to_owned(), rewriter).unwrap();
    network.link("KZ-75").await;
    network
        .until("what it hides is signed again", |n| {
            (remembered(&n.centre) == Some(5)).then_some(())
        })
        .await;
    network.cut("KZ-75").await;
    network.regions.insert("KZ-75".to_owned(), honest);
    network.link("KZ-75").await;
    let alarm = network
        .until("the centre sees it", |n| {
            Some(n.centre.alarm("kz-75")).filter(|alarm| alarm.contains("two histories"))
        })
        .await;
    assert!(
        alarm.contains("KZ-75 shows a head of kz-75 of size 5 with the cosignature"),
        "{alarm}"
    );
    let kept = network.centre.faults("kz-75", "fork").concat();
    assert!(kept.matches("adal.example/log/kz-75\n5\n").count() >= 2, "both notes: {kept}");
    assert!(store::frozen(&network.centre.office, &log("kz-75"), 1).is_some());
    network.cut_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_further_witness_is_shown_its_line_by_the_centre() {
    let (mut network, image, _) = grown("KZ-71").await;
    restored(&image, 9).await;
    let witnessed = |desk: &Desk| store::witnessed(&desk.office, &log("kz-75"), 1).unwrap().size;
    assert_eq!(witnessed(&image), 4);
    network.regions.insert("KZ-71".to_owned(), image);
    network.link("KZ-71").await;
    network.until("it remembers", |n| (witnessed(n.region("KZ-71")) == 5).then_some(())).await;
    network.cut("KZ-71").await;
    assert!(!forgotten(&network.region("KZ-71").office, &"KZ".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_our_line_is_nobodys_memory() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    network.link("KZ-75").await;
    network.until("four are held", |n| (remembered(&n.centre) == Some(4)).then_some(())).await;
    network.cut("KZ-75").await;
    let (region, centre) = (&network.region("KZ-75").office, &network.centre.office);
    network.region("KZ-75").contacts(5..=5).await;
    let own = log("kz-75");
    let note = crate::heads::sign(region, &own, 1, 5).unwrap();
    let line = |office: &Office, name: &str| {
        let signer = Signer::cosigner(name, office.keys.witness_seed()).unwrap();
        evidence::checkpoint::cosign(&note, &signer, 7).unwrap()
    };
    let peer: OfficeCode = "KZ-75".parse().unwrap();
    let show = async |note: String| {
        let head = WitnessedHead { log: own.clone(), epoch: 1, note };
        recall(centre, &peer, vec![head]).await.unwrap()
    };
    assert!(!show(note.clone()).await);
    assert!(!show(format!("{note}{}", line(region, "adal.example/witness/kz"))).await);
    assert_eq!(remembered(&network.centre), Some(4));
    let ours = line(centre, "adal.example/witness/kz");
    assert!(show(format!("{note}{ours}")).await);
    assert_eq!(remembered(&network.centre), Some(5));
    assert!(!show(format!("{note}{ours}")).await, "it is known now");
}

#[tokio::test]
async fn a_witness_that_goes_on_without_memory_is_an_alarm_with_its_notes() {
    let region = crate::testing::desk("KZ-75").await;
    region.contacts(1..=5).await;
    let note = |size| crate::heads::sign(&region.office, &log("kz-75"), 1, size).unwrap();
    let forgot = || PeerForgot {
        log: log("kz-75"),
        epoch: 1,
        cosigned: note(4),
        remembered: Some(note(2)),
        now: [note(5), "— line\n".to_owned()],
    };
    let peer = "KZ".parse().unwrap();
    peer_forgot(&region.office, &peer, forgot()).await;
    peer_forgot(&region.office, &peer, forgot()).await;
    let alarm = region.alarm("kz-75");
    let text = "peer_memory: KZ co-signed 4 records of kz-75, remembers 2 and co-signs on";
    assert!(alarm.contains(text), "{alarm}");
    let [kept] = &region.faults("kz-75", PEER_MEMORY)[..] else { panic!("once") };
    for size in [4, 2, 5] {
        assert!(kept.contains(&note(size)), "{kept}");
    }
    assert_eq!(store::read_only_reason(&region.office.journal, &log("kz-75")), None);
}
