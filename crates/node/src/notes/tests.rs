//! Notes of offices that are not linked.

use domain::Fact;
use domain::ids::OfficeId;
use domain::office::{OfficeFact, OfficeRekeyed};
use evidence::checkpoint::cosign;
use evidence::note::Signer;

use super::*;
use crate::relay::{self, Passing};
use crate::testing::network::Network;
use crate::testing::{self, log};

const NAME: &str = "adal.example/witness/kz-71";

fn signer(seed: &[u8; 32]) -> Signer {
    Signer::cosigner(NAME, seed).unwrap()
}

/// An office that is enrolled anew co-signs anew what it co-signed under the old key.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_replaced_key_makes_room_for_one_of_the_new_key() {
    let network = Network::of(&["KZ-71", "KZ-75"]).await;
    network.region("KZ-75").contacts(1..=1).await;
    let own = log("kz-75");
    let note = heads::sign(&network.region("KZ-75").office, &own, 1, 1).unwrap();
    let centre = &network.centre.office;
    let (peer, writer) = ("KZ-71".parse().unwrap(), "KZ-75".parse().unwrap());
    let add = |signer: &Signer| {
        let line = cosign(&note, signer, 7).unwrap();
        centre.notes.add(centre, (&own, 1), &note, &[line]).unwrap()
    };
    let newest = || centre.notes.of(centre, &own, 1).remove(0);
    let asks = || relay::wanted(centre, &peer).iter().any(|(offer, _)| offer.log == own);
    let old = signer(network.region("KZ-71").office.keys.witness_seed());
    assert_eq!(add(&old), Added::New);
    assert!(newest().has(&old.verifier()) && !asks());
    let mut passing = Passing::default();
    let passed = |passing: &mut Passing| {
        let lines = passing.lines(centre, &writer).into_iter();
        lines.filter(|line| line.log == own).count()
    };
    assert_eq!((passed(&mut passing), passed(&mut passing)), (1, 0), "once");

    let new = signer(&[8; 32]);
    let rekeyed = OfficeRekeyed {
        code: "KZ-71".parse().unwrap(),
        epoch: 2,
        log_key: [9; 32],
        witness_key: *new.verifier().public_key(),
        mirror_key: None,
    };
    let id = OfficeId::of(&rekeyed.code).uuid();
    let fact = Fact::Office(OfficeFact::Rekeyed(rekeyed));
    network.centre.record(&log("kz/all"), &[(id, fact)]).await;
    network.until("the new key is known", |_| Some(())).await;
    assert!(!newest().has(&old.verifier()) && asks(), "the peer is asked again");
    assert_eq!(passed(&mut passing), 0, "the old line is not passed on");
    assert_eq!(add(&old), Added::Stranger);
    assert_eq!(add(&new), Added::New);
    assert!(newest().has(&new.verifier()) && !asks());
    assert_eq!(passed(&mut passing), 1, "the new line is");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_written_together_and_what_is_not_written_stays_to_be() {
    let mut network = Network::of(&["KZ-71", "KZ-75"]).await;
    network.link("KZ-75").await;
    let knows = |network: &Network| {
        let known = network.region("KZ-75").office.country.known();
        (known.offices.len() == 2).then_some(())
    };
    network.until("KZ-75 knows both offices", knows).await;
    network.cut("KZ-75").await;
    let seed = *network.region("KZ-71").office.keys.witness_seed();
    let region = network.regions.remove("KZ-75").unwrap();
    region.contacts(1..=1).await;
    let own = log("kz-75");
    let add = |office: &Office, key: &Signer| {
        let note = heads::sign(office, &own, 1, 1).unwrap();
        let line = cosign(&note, key, 7).unwrap();
        office.notes.add(office, (&own, 1), &note, &[line]).unwrap()
    };
    let centre = |name: &str, seed| Signer::cosigner(name, seed).unwrap();
    let keys = &network.centre.office.keys;
    let lines = [
        signer(&seed),
        centre("adal.example/witness/kz", keys.witness_seed()),
        centre("adal.example/mirror/kz", keys.mirror_seed()),
    ];
    region.office.notes.write(&region.office).await.unwrap();
    for key in &lines[..2] {
        assert_eq!(add(&region.office, key), Added::New);
    }
    assert_eq!(region.office.notes.write(&region.office).await.unwrap(), 1, "two lines, one write");
    assert_eq!(region.office.notes.write(&region.office).await.unwrap(), 0);

    // A journal that takes nothing for now.
    let region = region.killed_and_opened(&testing::no_index).await;
    let office = &region.office;
    crate::project::learn_now(office).unwrap();
    // Behind it there may be one of an earlier head, if the link was quick.
    let kept = office.notes.of(office, &own, 1);
    assert_eq!(kept.first().map(|kept| kept.head.size), Some(1), "it is durable");
    while office.journal.index_status() == journal::IndexStatus::Opening {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(add(office, &lines[2]), Added::New);
    for _ in 0..2 {
        let failed = office.notes.write(office).await.unwrap_err();
        assert!(matches!(failed, WriteError::Refused(_)), "{failed}");
    }
    assert_eq!(add(office, &lines[2]), Added::Known);
}
