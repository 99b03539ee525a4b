//! Whose successor is believed, with the real journals of a centre and a region.

use domain::office::OfficeRekeyed;
use evidence::note::Signer;

use super::*;
use crate::epochs;
use crate::testing::{Desk, contact, desk, enrolment_of, log};

/// A centre that mirrors the two records of a region's first epoch, and that region, which has
/// then changed its key.
async fn rotated() -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    centre.record(&log("kz/all"), &[enrolment_of(&region)]).await;
    crate::project::learn_now(&centre.office).unwrap();
    region.record(&log("kz-75"), &[contact(1), contact(2)]).await;
    centre.mirror(&region, &log("kz-75")).await;
    epochs::rotate(&region.office).await.unwrap();
    (centre, region)
}

fn shown(region: &Desk, epoch: u32) -> Option<String> {
    keys::statement_note(&region.office, &log("kz-75"), epoch)
}

async fn code(centre: &Desk, epoch: u32, note: Option<String>) -> Option<RefusalCode> {
    let taken = take_up(&centre.office, log("kz-75"), epoch, note).await;
    taken.err().map(|refused| refused.code)
}

#[tokio::test]
async fn the_key_that_the_old_key_names_is_believed_and_kept() {
    let (centre, region) = rotated().await;
    assert_eq!(code(&centre, 2, shown(&region, 2)).await, None);
    let key = region.office.log_keys.public(2);
    assert_eq!(keys::log_key(&centre.office, &log("kz-75"), 2), key);
    assert!(centre.office.journal.log(&log("kz-75"), 2).is_some(), "it is mirrored");
    assert_eq!(keys::closed_at(&centre.office, &log("kz-75"), 1), Some(3));
    let centre = centre.killed().await;
    assert_eq!(keys::log_key(&centre.office, &log("kz-75"), 2), key, "after a restart too");
    // The chain goes on.
    epochs::rotate(&region.office).await.unwrap();
    assert_eq!(code(&centre, 3, shown(&region, 3)).await, None);
    assert_eq!(keys::log_key(&centre.office, &log("kz-75"), 3), region.office.log_keys.public(3));
}

#[tokio::test]
async fn no_other_key_is_believed() {
    let (centre, region) = rotated().await;
    let wrong = Some(RefusalCode::WrongKey);
    assert_eq!(code(&centre, 2, None).await, wrong, "nothing is shown");
    let note = shown(&region, 2).unwrap();
    assert_eq!(code(&centre, 3, Some(note.clone())).await, wrong, "of another epoch");
    let garbled = note.replace("succession/v1", "succession/v9");
    assert_eq!(code(&centre, 2, Some(garbled)).await, Some(RefusalCode::BadSignature));
    // A stranger's key signs the same statement, and one about its own key.
    let statement = Succession::parse(&note).unwrap();
    let stranger = Signer::log(&statement.closed.origin, &[9; 32]).unwrap();
    let forged = statement.sign(&stranger).unwrap();
    assert_eq!(code(&centre, 2, Some(forged)).await, wrong);
    assert_eq!(keys::log_key(&centre.office, &log("kz-75"), 2), None);
    assert!(centre.office.journal.log(&log("kz-75"), 2).is_none(), "nothing was opened");
    let refused = take_up(&centre.office, log("kz-75"), 2, None).await.unwrap_err();
    assert!(refused.text.contains("adal office rekey --code KZ-75"), "{}", refused.text);
}

#[tokio::test]
async fn an_old_key_names_no_second_successor() {
    let (centre, region) = rotated().await;
    assert_eq!(code(&centre, 2, shown(&region, 2)).await, None);
    // The key of epoch 1 was stolen before it was changed.
    let mut statement = Succession::parse(&shown(&region, 2).unwrap()).unwrap();
    let name = origin(&region.office.options.domain, &log("kz-75"), 3);
    statement.successor = Signer::log(&name, &[8; 32]).unwrap().verifier();
    let seed = region.office.log_keys.seed(1).unwrap();
    let note = statement.sign(&Signer::log(&statement.closed.origin, &seed).unwrap()).unwrap();
    assert_eq!(code(&centre, 3, Some(note)).await, Some(RefusalCode::WrongKey));
}

#[tokio::test]
async fn an_end_that_contradicts_what_is_held_is_a_fork() {
    let (centre, region) = rotated().await;
    let mut statement = Succession::parse(&shown(&region, 2).unwrap()).unwrap();
    statement.closed.size = 2;
    statement.closed.root = [4; 32];
    let seed = region.office.log_keys.seed(1).unwrap();
    let note = statement.sign(&Signer::log(&statement.closed.origin, &seed).unwrap()).unwrap();
    let refused = take_up(&centre.office, log("kz-75"), 2, Some(note.clone())).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Fork);
    assert_eq!(refused.notes.last(), Some(&note));
    assert!(refused.text.contains("two histories"), "{}", refused.text);
}

#[tokio::test]
async fn new_keys_enrolled_at_the_centre_are_believed_for_their_epoch_alone() {
    let (centre, _region) = rotated().await;
    let office: domain::OfficeCode = "KZ-75".parse().unwrap();
    let id = domain::ids::OfficeId::of(&office).uuid();
    let (log_key, witness_key) = (public(5), public(6));
    let fact = OfficeRekeyed { code: office, epoch: 3, log_key, witness_key, mirror_key: None };
    centre.record(&log("kz/all"), &[(id, fact.into())]).await;
    crate::project::learn_now(&centre.office).unwrap();
    assert_eq!(code(&centre, 2, None).await, Some(RefusalCode::WrongKey));
    assert_eq!(code(&centre, 3, None).await, None);
    assert_eq!(keys::log_key(&centre.office, &log("kz-75"), 3), Some(log_key));
}

fn public(seed: u8) -> [u8; 32] {
    *Signer::log("a", &[seed; 32]).unwrap().verifier().public_key()
}
