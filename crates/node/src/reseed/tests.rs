use std::fs;

use domain::appeal::{AppealRequest, ReceiveAppeal};
use domain::office::OfficeRekeyed;
use domain::permission::Actor;
use domain::{Code, Post, Request};
use journal::{CommandKey, UNKNOWN_REQUEST};
use replication::Offered;

use super::*;
use crate::decide::{self, ExecuteError, Order};
use crate::testing::{Desk, contact, desk, enrolment_of, log};
use crate::{epochs, keys, project};

fn offer(epochs: &[(u32, u64)]) -> Offered {
    let signed = epochs.iter().any(|(_, size)| *size > 0);
    Offered { log: log("kz-75"), epochs: epochs.to_vec(), signed, understood: true }
}

/// An office in this state whose centre has enrolled it, with what else the centre published.
async fn waiting(kind: Kind, more: &[(uuid::Uuid, domain::Fact)]) -> (Desk, Desk) {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let facts = [&[enrolment_of(&region)], more].concat();
    centre.record(&log("kz/all"), &facts).await;
    region.mirror(&centre, &log("kz/all")).await;
    project::learn_now(&region.office).unwrap();
    let control = Pending { kind, offered: None, waits: None }.control();
    write(&region.office, control).await.unwrap();
    (centre, region)
}

fn rekeyed(region: &Desk, epoch: u32, log_key: [u8; 32]) -> (uuid::Uuid, domain::Fact) {
    let (id, _) = enrolment_of(region);
    let ours = region.office.keys.public("KZ-75").unwrap();
    let code = region.office.code.clone();
    let (witness_key, mirror_key) = (ours.witness, Some(ours.mirror));
    (id, OfficeRekeyed { code, epoch, log_key, witness_key, mirror_key }.into())
}

fn said(desk: &Desk) -> String {
    reason(&desk.office.journal, &log("kz-75")).unwrap_or_default()
}

#[test]
fn what_is_waited_for_comes_back_from_its_control_fact() {
    let offered = Some(BTreeMap::from([(1, 150), (3, 0)]));
    for kind in [Kind::New, Kind::Reseeded, Kind::Restored(-7)] {
        for offered in [None, Some(BTreeMap::new()), offered.clone()] {
            for waits in [None, Some("carry the keys; then wait".to_owned())] {
                let pending = Pending { kind, offered: offered.clone(), waits };
                assert_eq!(decode(&pending.control().value), Some(pending));
            }
        }
        assert_eq!(decode(&done(kind, 5, &BTreeMap::from([(1, (2, 3))])).value), None);
    }
    assert_eq!(decode(b"adal reseed 2\npending new\n"), None, "a newer version is not misread");
}

#[tokio::test]
async fn nothing_is_recorded_before_the_centre_has_answered() {
    let (_centre, region) = waiting(Kind::Reseeded, &[]).await;
    let office = &region.office;
    assert_eq!(said(&region), "being reseeded from the centre, which was not reached yet");
    let draft = region.draft(&log("kz-75"), contact(1).0, &contact(1).1);
    let append = journal::Append {
        log: log("kz-75"),
        expected: journal::ExpectedVersion::Any,
        stream: draft.header.stream,
        drafts: vec![draft],
    };
    let transaction = Transaction { appends: vec![append], ..Transaction::default() };
    let refused = office.writer.write(transaction).await.unwrap_err();
    assert!(matches!(refused, WriteError::ReadOnly { .. }), "{refused}");
    offered(office, offer(&[(1, 90), (2, 10)])).await.unwrap();
    assert_eq!(said(&region), "being reseeded from the centre, 0 of 100 records");
    // Each epoch is open now, to be filled; the start after a kill knows it too.
    assert_eq!(office.own_epoch(), 2);
    let region = region.killed().await;
    assert_eq!(said(&region), "being reseeded from the centre, 0 of 100 records");
    assert!(!region.office.reseed.is_whole(), "the next link says again what there is");
    assert_eq!(keys::signing_seed(&region.office, &log("kz-75"), 2), None);
}

#[tokio::test]
async fn a_new_office_begins_and_an_emptied_one_does_not() {
    let nothing = offer(&[(1, 0)]);
    // A head was signed whose records never arrived.
    let promised = Offered { signed: true, ..nothing.clone() };
    let cases = [(offer(&[]), true), (nothing, true), (promised, false), (offer(&[(1, 3)]), false)];
    for (held, begins) in cases {
        let (_centre, region) = waiting(Kind::New, &[]).await;
        assert!(said(&region).contains("--without-centre"), "{}", said(&region));
        offered(&region.office, held.clone()).await.unwrap();
        assert_eq!(pending(&region.office.journal).is_none(), begins, "{held:?}");
        assert!(begins || said(&region).contains("start it once with --reseed"));
        assert_eq!(region.office.own_epoch(), 1);
    }
}

#[tokio::test]
async fn the_successor_is_above_all_that_is_held_and_has_a_key_that_is_known() {
    let text = |office: &Desk, waits: Pending| complete::successor(&office.office, &waits).unwrap();
    let held = |epochs: &[(u32, u64)]| Pending {
        kind: Kind::Reseeded,
        offered: Some(epochs.iter().copied().collect()),
        waits: None,
    };
    // With the old key at hand: the next one.
    let (_centre, region) = waiting(Kind::Reseeded, &[]).await;
    assert_eq!(text(&region, held(&[(1, 9)])), Ok(2));
    // Epoch 3 is held by the centre and was signed by a key that is not here.
    offered(&region.office, offer(&[(1, 9), (3, 4)])).await.unwrap();
    let said = text(&region, held(&[(1, 9), (3, 4)])).unwrap_err();
    assert!(said.contains("epoch 4") && said.contains("adal office rekey"), "{said}");
    assert!(region.office.log_keys.folder().join("public.toml").is_file());
    // The centre takes that key, or another one.
    let key = region.office.log_keys.public(4).unwrap();
    for (key, expected) in [(key, true), ([9; 32], false)] {
        let centre = desk("KZ").await;
        let facts = [enrolment_of(&region), rekeyed(&region, 4, key)];
        centre.record(&log("kz/all"), &facts).await;
        let other = desk("KZ-75").await;
        other.mirror(&centre, &log("kz/all")).await;
        project::learn_now(&other.office).unwrap();
        let name = identity::log_key_file(4);
        let folder = other.office.log_keys.folder().to_path_buf();
        fs::create_dir_all(&folder).unwrap();
        fs::copy(region.office.log_keys.folder().join(&name), folder.join(&name)).unwrap();
        let other = other.killed().await;
        project::learn_now(&other.office).unwrap();
        let answer = text(&other, held(&[(1, 9), (3, 4)]));
        match expected {
            true => assert_eq!(answer, Ok(4)),
            false => assert!(answer.unwrap_err().contains("log+e4.key")),
        }
    }
}

#[tokio::test]
async fn a_command_whose_records_came_back_is_known() {
    let centre = desk("KZ").await;
    let region = desk("KZ-75").await;
    let own = log("kz-75");
    centre.record(&log("kz/all"), &[enrolment_of(&region)]).await;
    region.mirror(&centre, &log("kz/all")).await;
    project::learn_now(&region.office).unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        let (id, fact) = contact(number);
        let draft = region.draft(&own, id, &fact);
        ids.push(draft.header.command_id);
        region.append(&own, draft).await;
    }
    let person = *uuid::Uuid::from_u128(7).as_bytes();
    let find = async |id| {
        let key = CommandKey { principal: person, command_id: id };
        region.office.journal.find_command(&key).await.unwrap()
    };
    assert!(find(ids[0]).await.is_none());
    for _ in 0..2 {
        complete::note_commands(&region.office).await.unwrap();
        for (seq, id) in (0..).zip(&ids) {
            let hit = find(*id).await.unwrap();
            let place = (hit.request_hash, hit.epoch, hit.first_seq, hit.count);
            assert_eq!(place, (UNKNOWN_REQUEST, 1, seq, 1));
        }
    }
}

fn clerk() -> Actor {
    Actor {
        person: uuid::Uuid::from_u128(9).into(),
        post: Post::new("kz-75/clerk").unwrap(),
        role: domain::permission::Role::Clerk,
        office: "KZ-75".parse().unwrap(),
    }
}

fn appeal() -> Order {
    let code = |text| Code::new(text).unwrap();
    let receive = ReceiveAppeal {
        kind: code("complaint"),
        form: code("electronic"),
        character: code("individual"),
        applicants: 1,
        anonymous: false,
        language: code("ru"),
        channel: code("web"),
        contact: None,
        received_at: None,
        registered_on: None,
        due_on: None,
        personal: None,
    };
    Order {
        command_id: uuid::Uuid::now_v7(),
        stream_id: uuid::Uuid::now_v7(),
        expected_version: 0,
        occurred_at: None,
        zone: None,
        causation: uuid::Uuid::nil(),
        correlation: uuid::Uuid::nil(),
        request: Request::Appeal(AppealRequest::Receive(receive)),
        request_hash: [1; 32],
        controls: Vec::new(),
    }
}

#[tokio::test]
async fn commands_are_refused_before_they_are_decided() {
    let (_centre, region) = waiting(Kind::Restored(1), &[]).await;
    offered(&region.office, offer(&[(1, 2)])).await.unwrap();
    let refused = decide::execute(&region.office, &clerk(), appeal()).await.unwrap_err();
    let ExecuteError::Write(WriteError::ReadOnly { reason, .. }) = &refused else {
        panic!("{refused}")
    };
    assert!(reason.contains("0 of 2"), "{reason}");
    let taken = region.office.journal.controls(b"number/");
    assert!(taken.is_empty(), "a number of an epoch that is over was taken");
    epochs::settle(&region.office).await.unwrap();
    assert_eq!(region.office.own_epoch(), 1, "nothing is opened meanwhile");
}
