//! Attachments between a region and the centre, with real journals on both sides.

use std::fs;

use evidence::hash::sha256;
use evidence::record::AttachmentRef;
use replication::CosignatureKind;

use super::*;
use crate::attachments::may_lack;
use crate::grpc::sync;
use crate::link::store;
use crate::testing::network::Network;
use crate::testing::{self, Desk, contact};

const LOG: &str = "kz-75";

/// Bytes that follow from `number`.
fn content(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ (i % 251) as u8 ^ number).collect()
}

/// Stores files at an office, and a record that names them.
async fn attach(desk: &Desk, number: u128, files: &[Vec<u8>]) {
    let own = desk.office.logs.own.clone();
    let (id, fact) = contact(number);
    let mut draft = desk.draft(&own, id, &fact);
    for file in files {
        let bytes = file.clone();
        let write = move |journal: &Journal| {
            let mut writer = journal.attachment_writer(None).unwrap();
            writer.write(&bytes).unwrap();
            writer.finish().unwrap()
        };
        let AttachmentInfo { hash, size } = desk.office.journal.on_thread(write).await.unwrap();
        draft.header.attachments.push(AttachmentRef { hash, size, media: 1 });
    }
    desk.append(&own, draft).await;
}

/// The bytes of an attachment as an office has them.
fn bytes(desk: &Desk, hash: &Hash) -> Option<Vec<u8>> {
    let name = evidence::hash::hex(hash);
    let folder = desk.dir.path().join("data/journal/attachments").join(&name[..2]);
    fs::read(folder.join(name)).ok()
}

fn is_there(desk: &Desk, file: &[u8]) -> bool {
    bytes(desk, &sha256(file)).is_some_and(|found| found == file)
}

/// Size of the newest head that the centre co-signed as the mirror.
fn mirrored(network: &Network) -> u64 {
    let office = &network.region("KZ-75").office;
    let head = store::cosigned(office, &testing::log(LOG), 1, CosignatureKind::Mirror);
    head.map_or(0, |head| head.size)
}

fn pending(desk: &Desk) -> u64 {
    let lines = sync::lines(&desk.office);
    let logs = lines.values().flat_map(|line| &line.logs);
    logs.filter(|log| log.log == testing::log(LOG)).map(|log| log.attachments_pending).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_follow_their_records_and_hold_back_the_mirrors_line() {
    let mut network = Network::of(&["KZ-75"]).await;
    let files = [content(1, 200_000), content(2, 0), content(3, 70_000)];
    network.region("KZ-75").contacts(1..=3).await;
    attach(network.region("KZ-75"), 4, &files[..2]).await;
    attach(network.region("KZ-75"), 5, &files[2..]).await;
    // What is named and gone at its office: the head waits for it, the others come.
    let gone = sha256(&files[2]);
    let name = evidence::hash::hex(&gone);
    let path = |desk: &Desk| desk.dir.path().join("data/journal/attachments").join(&name[..2]);
    let path = path(network.region("KZ-75")).join(&name);
    fs::remove_file(&path).unwrap();
    network.link_all().await;
    network
        .until("the attachments that there are have come", |network| {
            files[..2].iter().all(|file| is_there(&network.centre, file)).then_some(())
        })
        .await;
    network
        .until("the last one is pending", |network| {
            (pending(&network.centre) == 1 && network.centre.size(LOG) == 5).then_some(())
        })
        .await;
    assert_eq!(mirrored(&network), 0, "co-signed as a mirror's without an attachment");
    network.cut_all().await;
    fs::write(&path, &files[2]).unwrap();
    network.link_all().await;
    network
        .until("everything is held", |network| {
            (mirrored(network) == 5 && pending(&network.centre) == 0).then_some(())
        })
        .await;
    assert!(is_there(&network.centre, &files[2]));
    // Plain records do not wait for anybody to look through the log.
    network.region("KZ-75").contacts(6..=8).await;
    network.until("plain ones are held", |network| (mirrored(network) == 8).then_some(())).await;
    network.cut_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_attachment_outlives_the_link() {
    let mut network = Network::of(&["KZ-75"]).await;
    let file = content(1, 12_000_000);
    attach(network.region("KZ-75"), 1, std::slice::from_ref(&file)).await;
    let part = || {
        let incoming = network.centre.dir.path().join("data/journal/attachments/incoming");
        incoming.join(evidence::hash::hex(&sha256(&file)))
    };
    let (part, size) = (part(), |path: &std::path::Path| fs::metadata(path).map_or(0, |m| m.len()));
    network.link_all().await;
    network.until("a part is there", |_| (size(&part) > 0).then_some(())).await;
    network.cut_all().await;
    let before = size(&part);
    assert!(before > 0 && before < file.len() as u64, "{before} bytes");
    network.link_all().await;
    network.until("it is whole", |network| is_there(&network.centre, &file).then_some(())).await;
    assert_eq!(size(&part), 0, "the part is left over");
    network.cut_all().await;
}

#[tokio::test]
async fn only_what_may_lack_attachments_is_looked_through() {
    let region = testing::desk("KZ-75").await;
    let own = [region.office.logs.own.clone()];
    assert_eq!(may_lack(&region.office, &own), [], "an own log that is open lacks nothing");
    let centre = testing::desk("KZ").await;
    centre.office.journal.ensure_mirror(&own[0], 1).await.unwrap();
    assert_eq!(may_lack(&centre.office, &own).len(), 1);
    let attachments = &centre.office.attachments;
    assert_eq!(attachments.next(&own[0], 1, 0), None);
    attachments.passed(&own[0], 1, 0, 10);
    assert_eq!(
        (attachments.complete(&own[0], 1), attachments.next(&own[0], 1, 12)),
        (10, Some(10))
    );
    attachments.passed(&own[0], 1, 11, 12);
    assert_eq!(attachments.complete(&own[0], 1), 10, "a record was passed over");
    let claim = attachments.claim([1; 32]).unwrap();
    assert!(attachments.claim([1; 32]).is_none(), "two store the same attachment");
    drop(claim);
    assert!(attachments.claim([1; 32]).is_some());
}

#[tokio::test]
async fn of_one_hash_the_size_that_is_here_is_told_and_damage_is_mended() {
    let centre = testing::desk("KZ").await;
    attach(&centre, 1, &[content(1, 700)]).await;
    let hash = sha256(&content(1, 700));
    let attachments = centre.office.attachments.clone();
    let opened = async |size| {
        let (attachments, expected) = (attachments.clone(), AttachmentInfo { hash, size });
        let work = move |journal: &Journal| open(journal, &attachments, expected).map(|(_, at)| at);
        centre.office.journal.on_thread(work).await.unwrap()
    };
    assert_eq!(opened(700).await, Ok(700));
    assert_eq!(opened(701).await, Err(NotOpened::OtherSize(700)), "the record is wrong");
    let claim = attachments.claim(hash).unwrap();
    assert_eq!(opened(700).await, Err(NotOpened::Busy));
    drop(claim);
    let name = evidence::hash::hex(&hash);
    let folder = centre.dir.path().join("data/journal/attachments").join(&name[..2]);
    fs::write(folder.join(&name), &content(1, 700)[..600]).unwrap();
    assert_eq!(opened(700).await, Ok(0), "a file that lost its end comes anew");
}
