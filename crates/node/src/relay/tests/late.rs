//! What comes while links run, and what is left when a node ends.

use std::time::{Duration, Instant};

use super::*;
use crate::link::store;
use crate::testing::Desk;

/// Waits, without anything going round meanwhile.
async fn quietly(what: &str, mut seen: impl FnMut() -> bool) {
    let began = Instant::now();
    while !seen() {
        assert!(began.elapsed() < Duration::from_secs(30), "this did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn held(desk: &Desk, epoch: u32) -> u64 {
    desk.office.journal.log(&log("kz-75"), epoch).map_or(0, |info| info.size)
}

/// Evidence that another link or a person found.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_is_found_while_a_link_runs_freezes_the_log_on_it() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    network.link("KZ-75").await;
    network.until("four are held", |n| (held(&n.centre, 1) == 4).then_some(())).await;
    let asked = |network: &Network| {
        let wanted = wanted(&network.centre.office, &"KZ-27".parse().unwrap());
        wanted.iter().any(|(offer, _)| offer.log == log("kz-75"))
    };
    network.until("a peer is to be asked", |n| asked(n).then_some(())).await;
    let centre = &network.centre.office;
    let fault = replication::action::Fault {
        log: log("kz-75"),
        epoch: 1,
        own: false,
        code: replication::RefusalCode::Fork,
        found_by: replication::Party::Us,
        text: "somebody was shown another head".to_owned(),
        notes: vec!["one".to_owned(), "other".to_owned()],
        proof: Vec::new(),
    };
    assert!(store::keep(centre, &fault).await.unwrap());
    network
        .until("both ends say so", |n| {
            let here = n.centre.refused("KZ-75", "kz-75");
            let there = n.region("KZ-75").refused("KZ", "kz-75");
            let says = |text: &str| text == "fork: somebody was shown another head";
            (says(&here) && says(&there)).then_some(())
        })
        .await;
    assert!(!asked(&network), "no peer is shown it any more");
    // Other logs go on over the same link, this one does not.
    network.region("KZ-75").contacts(5..=5).await;
    network.centre.record(&log("kz/all"), &[crate::testing::enrolment("KZ-10")]).await;
    network
        .until("the centre's log goes on", |n| {
            (n.region("KZ-75").size("kz/all") == 4).then_some(())
        })
        .await;
    let accepted = store::accepted(&network.centre.office, &log("kz-75"), 1).unwrap();
    assert_eq!((accepted.size, held(&network.centre, 1)), (4, 4));
    assert_eq!(network.centre.faults("kz-75", "fork").len(), 1, "the evidence is kept once");
    network.cut_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_head_of_a_closed_epoch_goes_round_after_a_restart() {
    let mut network = Network::of(&THREE).await;
    network.region("KZ-75").contacts(1..=4).await;
    network.link("KZ-75").await;
    quietly("four are held", || held(&network.centre, 1) == 4).await;
    crate::epochs::rotate(&network.region("KZ-75").office).await.unwrap();
    // One link takes the new epoch up, the next one carries both; nothing goes round meanwhile.
    network.cut("KZ-75").await;
    network.link("KZ-75").await;
    let centre = network.centre.office.clone();
    quietly("the new epoch is known", || centre.journal.log(&log("kz-75"), 2).is_some()).await;
    drop(centre);
    network.cut("KZ-75").await;
    network.link("KZ-75").await;
    let both = || held(&network.centre, 1) == 5 && held(&network.centre, 2) == 1;
    quietly("both epochs are held", both).await;
    network.cut_all().await;
    assert!(network.centre.notes("kz-75").is_empty(), "the end of the epoch has not gone round");
    let other = Network::of(&[]).await;
    network.centre = std::mem::replace(&mut network.centre, other.centre).killed().await;
    network.link_all().await;
    network
        .until("the closed epoch is complete", |n| {
            (n.centre.complete("kz-75") == Some(5)).then_some(())
        })
        .await;
    network.cut_all().await;
}
