//! Proofs, comparisons and what they leave behind, on offices without network.

use std::sync::Arc;

use evidence::checkpoint::{Checkpoint, cosign};
use evidence::log::origin;
use evidence::merkle::{leaf_hash, verify_consistency};
use evidence::note::{SignedNote, Signer};
use evidence::policy::Policy;
use evidence::proof::TlogProof;
use tonic::Code;
use wire::pb::common::v1::Position;
use wire::pb::evidence::v1::get_proof_request::Record as Named;

use super::*;
use crate::grpc::listener::Caller;
use crate::heads;
use crate::link::store;
use crate::testing::{Desk, contact, desk, enrolment_of, log};

const DOMAIN: &str = "adal.example";

/// KZ-75 with so many records; it knows that it is enrolled, and stands for the centre too, whose
/// keys are those of its own installation.
async fn office(records: u128) -> Desk {
    let (centre, desk) = (desk("KZ").await, desk("KZ-75").await);
    centre.record(&log("kz/all"), &[enrolment_of(&desk)]).await;
    desk.mirror(&centre, &log("kz/all")).await;
    desk.office.country.catch_up(&desk.office.journal, &log("kz/all"), |_| None).unwrap();
    let facts: Vec<_> = (1..=records).map(contact).collect();
    desk.record(&log("kz-75"), &facts).await;
    desk
}

/// What the service answers to a question about one record.
async fn get(
    desk: &Desk,
    (log, sequence): (&str, u64),
    asked: &pb::GetProofRequest,
) -> Result<pb::GetProofResponse, Status> {
    let at = Position { log: log.to_owned(), epoch: 1, sequence };
    let named = pb::get_proof_request::Record::Position(at);
    let record = proof::find(&desk.office, Role::Auditor, Some(named)).await?;
    proof::make(&desk.office, &record, asked)
}

fn asked(kind: pb::ProofKind, opening: bool) -> pb::GetProofRequest {
    pb::GetProofRequest { kind: kind.into(), opening, ..Default::default() }
}

async fn slip(desk: &Desk, sequence: u64) -> TlogProof {
    let asked = asked(pb::ProofKind::Slip, true);
    get(desk, ("kz-75", sequence), &asked).await.unwrap().proof.parse().unwrap()
}

fn policy(desk: &Desk) -> Policy {
    (*view::policy_of(&desk.office, &log("kz-75")).unwrap()).clone()
}

/// The head of `size` records is kept with these lines of the centre.
async fn cosigned(desk: &Desk, size: u64, kinds: &[&str]) {
    let office = &desk.office;
    let note = heads::sign(office, &log("kz-75"), 1, size).unwrap();
    let line = |kind: &&str| {
        let seed = match *kind {
            "witness" => office.keys.witness_seed(),
            _ => office.keys.mirror_seed(),
        };
        let signer = Signer::cosigner(&format!("{DOMAIN}/{kind}/kz"), seed).unwrap();
        cosign(&note, &signer, 1_770_000_000).unwrap()
    };
    let lines: Vec<_> = kinds.iter().map(line).collect();
    office.notes.add(office, (&log("kz-75"), 1), &note, &lines).unwrap();
}

const BOTH: [&str; 2] = ["witness", "mirror"];

#[tokio::test]
async fn a_slip_is_there_at_once_and_stays_the_same() {
    let desk = office(3).await;
    let before = slip(&desk, 1).await;
    let leaf = desk.records(&log("kz-75"))[1].leaf_hash();
    let judged = before.verify_logged(&leaf, &policy(&desk)).unwrap();
    assert_eq!((judged.checkpoint.size, judged.quorum_met()), (2, false));
    assert!(before.verify(&leaf, &policy(&desk)).is_err(), "it is no receipt");
    assert_eq!(before.opening().unwrap().unwrap().leaf_hash(), leaf);
    desk.record(&log("kz-75"), &[contact(9)]).await;
    assert_eq!(slip(&desk, 1).await, before);
    let bare = asked(pb::ProofKind::Slip, false);
    let bare = get(&desk, ("kz-75", 1), &bare).await.unwrap();
    assert_eq!(bare.proof.parse::<TlogProof>().unwrap().extra(), None);
    assert_eq!(leaf_hash(&bare.leaf), leaf);
}

#[tokio::test]
async fn a_receipt_waits_for_its_witnesses_and_says_for_whom() {
    let desk = office(3).await;
    let usual = asked(pb::ProofKind::Receipt, true);
    let receipt = async |at| get(&desk, ("kz-75", at), &usual).await;
    let refused = receipt(1).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("mirror/kz"), "{refused}");
    cosigned(&desk, 2, &BOTH[..1]).await;
    let refused = receipt(1).await.unwrap_err();
    assert_eq!(wire::status::reason_of(&refused).as_deref(), Some("NOT_READY"), "{refused}");
    cosigned(&desk, 2, &BOTH).await;
    let made = receipt(1).await.unwrap();
    let leaf = desk.records(&log("kz-75"))[1].leaf_hash();
    let proof: TlogProof = made.proof.parse().unwrap();
    assert!(proof.verify(&leaf, &policy(&desk)).unwrap().quorum_met());
    assert_eq!(made.size, 2);
    assert!(receipt(2).await.is_err(), "no complete head covers the third record");

    // Under a head that the asker names.
    let note = heads::sign(&desk.office, &log("kz-75"), 1, 3).unwrap();
    let under = async |head: String| {
        let asked = pb::GetProofRequest { head, ..asked(pb::ProofKind::Receipt, false) };
        get(&desk, ("kz-75", 1), &asked).await
    };
    let proof: TlogProof = under(note.clone()).await.unwrap().proof.parse().unwrap();
    assert_eq!(proof.checkpoint().to_string(), note);
    let small = heads::sign(&desk.office, &log("kz-75"), 1, 1).unwrap();
    for wrong in [small, forged(&desk, 3), "text".to_owned()] {
        assert_eq!(under(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

/// What somebody of this role at the office is answered who asks for a slip of this record: code
/// and words.
async fn answered(desk: &Desk, role: identity::Role, record: Named) -> Result<(), (Code, String)> {
    let asked = asked(pb::ProofKind::Slip, true);
    let mut request = Request::new(pb::GetProofRequest { record: Some(record), ..asked });
    let (office, id) = (desk.office.code.to_string(), uuid::Uuid::from_u128(7));
    let subject = identity::Subject::Person { office, id, role };
    request.extensions_mut().insert(Caller(Arc::new(subject)));
    let answer = Proofs::new(desk.office.clone()).get_proof(request).await;
    answer.map(drop).map_err(|status| (status.code(), status.message().to_owned()))
}

fn at(log: &str, epoch: u32, sequence: u64) -> Named {
    Named::Position(Position { log: log.to_owned(), epoch, sequence })
}

fn event(id: [u8; 16]) -> Named {
    Named::EventId(uuid::Uuid::from_bytes(id).to_string())
}

/// A clerk learns nothing of other logs, not even whether they are there.
#[tokio::test]
async fn a_clerk_has_proofs_of_the_own_office_only() {
    let desk = office(1).await;
    let clerk = async |record| answered(&desk, identity::Role::Clerk, record).await;
    let event_in = |name: &str| event(desk.records(&log(name))[0].header().event_id);
    // There and allowed.
    for record in [at("kz-75", 1, 0), at("kz-75", 0, 0), event_in("kz-75")] {
        assert_eq!(clerk(record).await, Ok(()));
    }
    // Not there and allowed.
    let nothing = (Code::NotFound, "this office has no such record".to_owned());
    assert_eq!(clerk(at("kz-75", 1, 9)).await, Err(nothing.clone()));
    let log_of_none = clerk(at("kz-75", 9, 0)).await.unwrap_err();
    assert_eq!(log_of_none.0, Code::NotFound, "an epoch of the own log: {log_of_none:?}");
    // Forbidden, there or not: by name, and by id.
    for name in ["kz/all", "kz-71", "kz"] {
        let message = format!("a clerk may have slips and receipts of kz-75, not of {name}");
        for (epoch, sequence) in [(0, 0), (1, 0), (1, 9), (9, 0)] {
            let refused = (Code::PermissionDenied, message.clone());
            assert_eq!(clerk(at(name, epoch, sequence)).await, Err(refused), "{name}");
        }
    }
    for record in [event_in("kz/all"), event([9; 16])] {
        assert_eq!(clerk(record).await, Err(nothing.clone()));
    }
    // A damaged record of another log is not read, so that it is answered like any other.
    let damaged = event_in("kz/all");
    desk.flip(&desk.records(&log("kz/all"))[0]);
    assert_eq!(clerk(damaged).await, Err(nothing));
}

/// Who may look at every log is told what is there and what is not.
#[tokio::test]
async fn who_may_look_is_told_what_there_is() {
    let desk = office(1).await;
    let code = async |record| {
        answered(&desk, identity::Role::Auditor, record).await.map_err(|(code, _)| code)
    };
    let mirrored = desk.records(&log("kz/all"))[0].header().event_id;
    for record in [at("kz/all", 1, 0), event(mirrored)] {
        assert_eq!(code(record).await, Err(Code::FailedPrecondition), "no slip of a mirror");
    }
    for record in [at("kz/all", 1, 9), at("kz-71", 1, 0), event([9; 16])] {
        assert_eq!(code(record).await, Err(Code::NotFound));
    }
    assert_eq!(code(at("kz-75", 1, 0)).await, Ok(()));
}

/// An appeal is received and registered at an office: its number.
async fn registered(desk: &Desk) -> String {
    let code = |text| domain::Code::new(text).unwrap();
    let (office, id) = (desk.office.code.clone(), uuid::Uuid::from_u128(70));
    let reg_no = domain::number::RegistrationNumber::from_parts(office, 2026, 1, 1).unwrap();
    let received = domain::appeal::AppealReceived {
        kind: code("complaint"),
        form: code("paper"),
        character: code("individual"),
        applicants: 1,
        anonymous: false,
        language: code("ru"),
        channel: code("letter"),
        contact: None,
        received_at: domain::Timestamp::from_micros(1_770_000_000_000_000),
        personal: None,
    };
    let registered = domain::appeal::AppealRegistered {
        reg_no: reg_no.clone(),
        registered_on: desk.office.zone.date_of(received.received_at).unwrap(),
        due_on: None,
    };
    let facts = [(id, received.into()), (id, registered.into())];
    desk.record(&desk.office.logs.own, &facts).await;
    reg_no.to_string()
}

/// At the centre the tables know the numbers of every office.
#[tokio::test]
async fn a_number_of_another_office_is_none_for_a_clerk() {
    let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
    let (own, reg_no) = (log("kz-75"), registered(&region).await);
    centre.mirror(&region, &own).await;
    crate::project::rebuild(&centre.office, |_| {}).await.unwrap();
    let ask = async |role, reg_no: &str| {
        answered(&centre, role, Named::RegNo(reg_no.to_owned())).await.unwrap_err()
    };
    let (clerk, auditor) = (identity::Role::Clerk, identity::Role::Auditor);
    let theirs = ask(clerk, &reg_no).await;
    assert_eq!(theirs.0, Code::NotFound);
    let nobodys = reg_no.replace("KZ-75", "KZ-71");
    assert_eq!(theirs, ask(clerk, &nobodys).await, "as one that nobody has");
    assert_eq!(ask(auditor, &reg_no).await.0, Code::FailedPrecondition, "it is found");
}

#[tokio::test]
async fn what_is_not_there_has_no_proof() {
    let desk = office(1).await;
    let code = async |log, sequence, kind| {
        get(&desk, (log, sequence), &asked(kind, true)).await.unwrap_err().code()
    };
    let (slip, neither) = (pb::ProofKind::Slip, pb::ProofKind::Unspecified);
    assert_eq!(code("kz-75", 7, slip).await, Code::NotFound);
    assert_eq!(code("kz-75", 0, neither).await, Code::InvalidArgument);
    let mirrored = code("kz/all", 0, slip).await;
    assert_eq!(mirrored, Code::FailedPrecondition, "who mirrors a log cannot sign for it");
    let nothing = proof::find(&desk.office, Role::Auditor, None).await.err().unwrap();
    assert_eq!(nothing.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn heads_are_listed_with_what_they_lack_and_tied_together() {
    let desk = office(3).await;
    cosigned(&desk, 2, &BOTH).await;
    let listed = checkpoints(&desk.office, &Default::default()).unwrap();
    assert_eq!((listed.log.as_str(), listed.held, &listed.epochs[..]), ("kz-75", 3, &[1][..]));
    let rows: Vec<_> = listed.checkpoints.iter().map(|row| (row.size, row.complete)).collect();
    assert_eq!(rows, [(2, true), (3, false)]);
    assert!(listed.checkpoints[1].missing.contains("witness/kz"));
    let asked =
        pb::GetConsistencyRequest { log: "kz-75".to_owned(), epoch: 0, old_size: 2, new_size: 3 };
    let tied = consistency(&desk.office, &asked).unwrap();
    let hash = |bytes: &[u8]| Hash::try_from(bytes).unwrap();
    let hashes: Vec<_> = tied.proof.iter().map(|bytes| hash(bytes)).collect();
    let (old, new) = (hash(&tied.old_root), hash(&tied.new_root));
    verify_consistency(2, &old, 3, &new, &hashes).unwrap();
    let beyond = pb::GetConsistencyRequest { new_size: 4, ..asked.clone() };
    assert_eq!(consistency(&desk.office, &beyond).unwrap_err().code(), Code::OutOfRange);
    let turned = pb::GetConsistencyRequest { old_size: 3, new_size: 2, ..asked };
    assert_eq!(consistency(&desk.office, &turned).unwrap_err().code(), Code::InvalidArgument);
}

/// A head of another history of kz-75 under its own key.
fn forged(desk: &Desk, size: u64) -> String {
    let signer = heads::log_signer(&desk.office, &log("kz-75"), 1).unwrap();
    let origin = origin(DOMAIN, &log("kz-75"), 1);
    Checkpoint { origin, size, root: [9; 32] }.sign(&signer).unwrap()
}

#[tokio::test]
async fn views_that_agree_agree() {
    let desk = office(3).await;
    let verdict = |note: &str| {
        let compared = compare::compare(&desk.office, note).unwrap();
        assert!(compared.fault.is_none() && compared.answer.our_note.is_empty());
        compared.answer.verdict()
    };
    let at = |size| heads::sign(&desk.office, &log("kz-75"), 1, size).unwrap();
    assert_eq!(verdict(&at(3)), pb::HeadVerdict::Same);
    assert_eq!(verdict(&at(2)), pb::HeadVerdict::Prefix);
    assert_eq!(verdict(&at(0)), pb::HeadVerdict::Prefix);
    // Of a mirrored log the records may still come.
    let all = log("kz/all");
    let held = desk.office.journal.log(&all, 1).unwrap().size;
    let signer = Signer::log(&origin(DOMAIN, &all, 1), desk.office.keys.log_seed()).unwrap();
    let head = Checkpoint { origin: origin(DOMAIN, &all, 1), size: held + 1, root: [9; 32] };
    assert_eq!(verdict(&head.sign(&signer).unwrap()), pb::HeadVerdict::Ahead);
    let code = |note: &str| compare::compare(&desk.office, note).err().unwrap().code();
    assert_eq!(code("nothing"), Code::InvalidArgument);
    assert_eq!(code(&at(3).replace("kz-75", "kz-76")), Code::NotFound);
    let foreign = Signer::log(&origin(DOMAIN, &log("kz-75"), 1), &[5; 32]).unwrap();
    let mut note = SignedNote::parse(&at(3)).unwrap().text().to_owned();
    note = SignedNote::sign(&note, &foreign).unwrap().to_string();
    assert_eq!(code(&note), Code::PermissionDenied, "somebody else's key convicts nobody");
}

#[tokio::test]
async fn a_second_history_is_kept_for_ever_and_ends_the_log() {
    let desk = office(3).await;
    let compared = compare::compare(&desk.office, &forged(&desk, 2)).unwrap();
    assert_eq!(compared.answer.verdict(), pb::HeadVerdict::Fork);
    let ours = heads::sign(&desk.office, &log("kz-75"), 1, 2).unwrap();
    assert_eq!(compared.answer.our_note, ours);
    assert!(compare::keep(&desk.office, &compared.fault.unwrap()).await.unwrap());
    let kept = |desk: &Desk| desk.office.journal.controls(b"fault/kz-75/1/");
    assert_eq!(kept(&desk).len(), 1);
    for (_, value) in kept(&desk) {
        let text = String::from_utf8(value).unwrap();
        assert!(text.contains(&ours) && text.contains(&forged(&desk, 2)), "{text}");
    }
    let reason = store::read_only_reason(&desk.office.journal, &log("kz-75"));
    assert!(reason.unwrap().contains("FORK"));
    // The same again adds nothing, another one is kept too, and no more than a bound.
    let again = compare::compare(&desk.office, &forged(&desk, 2)).unwrap();
    assert!(!compare::keep(&desk.office, &again.fault.unwrap()).await.unwrap());
    for size in [1, 3] {
        let other = compare::compare(&desk.office, &forged(&desk, size)).unwrap();
        assert!(compare::keep(&desk.office, &other.fault.unwrap()).await.unwrap());
    }
    let desk = desk.killed().await;
    assert_eq!(kept(&desk).len(), 3);
}

#[tokio::test]
async fn an_own_head_over_records_that_are_not_here_ends_the_log() {
    let desk = office(3).await;
    let theirs = forged(&desk, 4);
    let compared = compare::compare(&desk.office, &theirs).unwrap();
    assert_eq!(compared.answer.verdict(), pb::HeadVerdict::Rollback);
    assert!(compared.answer.text.starts_with("ROLLBACK"), "{}", compared.answer.text);
    let ours = heads::sign(&desk.office, &log("kz-75"), 1, 3).unwrap();
    assert_eq!(compared.answer.our_note, ours, "what is held against it is all that is here");
    assert!(compare::keep(&desk.office, &compared.fault.unwrap()).await.unwrap());
    let desk = desk.killed().await;
    let kept = desk.office.journal.controls(b"fault/kz-75/1/");
    let is_rollback = |key: &[u8]| key.starts_with(b"fault/kz-75/1/rollback/us/");
    assert!(kept.iter().any(|(key, _)| is_rollback(key)), "{kept:?}");
    for (_, value) in kept {
        let text = String::from_utf8(value).unwrap();
        assert!(text.contains(&ours) && text.contains(&theirs), "{text}");
    }
    let reason = store::read_only_reason(&desk.office.journal, &log("kz-75"));
    assert!(reason.unwrap().contains("ROLLBACK"));
}

#[tokio::test]
async fn a_mirror_convicts_its_writer_by_both_heads() {
    let desk = office(1).await;
    let all = log("kz/all");
    let signer = |name| Signer::log(&origin(DOMAIN, &log(name), 1), desk.office.keys.log_seed());
    let head = |size, root| {
        let origin = origin(DOMAIN, &log("kz/all"), 1);
        Checkpoint { origin, size, root }.sign(&signer("kz/all").unwrap()).unwrap()
    };
    let info = desk.office.journal.log(&all, 1).unwrap();
    let true_head = head(info.size, info.root);
    let accepted = store::head_of_note(&true_head, 1).unwrap();
    let controls = vec![store::accept(&all, 1, &accepted)];
    let transaction = journal::Transaction { controls, ..Default::default() };
    desk.office.writer.write(transaction).await.unwrap();
    let compared = compare::compare(&desk.office, &true_head).unwrap();
    assert_eq!(compared.answer.verdict(), pb::HeadVerdict::Same);
    let compared = compare::compare(&desk.office, &head(info.size, [9; 32])).unwrap();
    assert_eq!(compared.answer.verdict(), pb::HeadVerdict::Fork);
    assert_eq!(compared.answer.our_note, true_head);
    assert!(compare::keep(&desk.office, &compared.fault.unwrap()).await.unwrap());
    assert_eq!(desk.office.journal.controls(b"fault/kz/all/1/").len(), 1);
    assert_eq!(desk.office.journal.controls(b"readonly/"), [], "it is not ours to stop");
}

/// A peer that only witnesses a log has one head of it, and no records.
#[tokio::test]
async fn a_witness_compares_with_the_head_that_it_signed() {
    let (centre, peer, writer) = (desk("KZ").await, desk("KZ-71").await, desk("KZ-75").await);
    centre.record(&log("kz/all"), &[enrolment_of(&writer)]).await;
    peer.mirror(&centre, &log("kz/all")).await;
    crate::project::learn_now(&peer.office).unwrap();
    let facts: Vec<_> = (1..=3).map(contact).collect();
    writer.record(&log("kz-75"), &facts).await;
    let at = |size| heads::sign(&writer.office, &log("kz-75"), 1, size).unwrap();
    let compare = |note: &str| compare::compare(&peer.office, note);
    assert_eq!(compare(&at(2)).err().unwrap().code(), Code::NotFound, "it is no witness yet");
    let ours = store::head_of_note(&at(2), 1).unwrap();
    let controls = vec![store::witness(&log("kz-75"), 1, &ours)];
    let transaction = journal::Transaction { controls, ..Default::default() };
    peer.office.writer.write(transaction).await.unwrap();
    for (size, verdict) in
        [(1, pb::HeadVerdict::Untied), (2, pb::HeadVerdict::Same), (3, pb::HeadVerdict::Ahead)]
    {
        let compared = compare(&at(size)).unwrap();
        assert_eq!((compared.answer.verdict(), compared.fault), (verdict, None));
    }
    let compared = compare(&forged(&writer, 2)).unwrap();
    assert_eq!(compared.answer.verdict(), pb::HeadVerdict::Fork);
    assert_eq!(compared.answer.our_note, at(2));
    assert!(compare::keep(&peer.office, &compared.fault.unwrap()).await.unwrap());
    assert!(store::frozen(&peer.office, &log("kz-75"), 1).unwrap().starts_with("FORK"));
    let [(_, value)] = &peer.office.journal.controls(b"fault/kz-75/1/")[..] else { panic!() };
    let text = str::from_utf8(value).unwrap();
    assert!(text.contains(&at(2)) && text.contains(&forged(&writer, 2)), "{text}");
    assert_eq!(peer.office.journal.controls(b"readonly/"), [], "it is not ours to stop");
    // Under another key it convicts nobody.
    let foreign = Signer::log(&origin(DOMAIN, &log("kz-75"), 1), &[5; 32]).unwrap();
    let note = SignedNote::sign(SignedNote::parse(&at(2)).unwrap().text(), &foreign).unwrap();
    assert_eq!(compare(&note.to_string()).err().unwrap().code(), Code::PermissionDenied);
}
