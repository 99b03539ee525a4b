//! Receipts, slips and openings.

#![allow(clippy::unwrap_used)]

mod common;

use common::parties::{Log, ORIGIN, Parties};
use common::{config, full};
use evidence::merkle::{ProofError, leaf_hash};
use evidence::note::{NoteError, SignedNote, Signer};
use evidence::opening::{Opening, OpeningError, Statement};
use evidence::policy::PolicyRefusal;
use evidence::proof::{ProofRefusal, TlogProof, TlogProofError};
use evidence::record::{RecordError, payload_commitment};
use proptest::prelude::*;

/// A receipt of entry 3 of 7, and what it needs to be judged.
fn receipt() -> (Parties, Log, TlogProof) {
    let (parties, log) = (Parties::new(), Log::of(7));
    let note = parties.cosigned(&log.signed(7, &parties.log));
    let proof = log.proof(3, 7, note);
    (parties, log, proof)
}

#[test]
fn a_receipt_proves_its_entry_and_no_other() {
    let (parties, log, proof) = receipt();
    let read: TlogProof = proof.to_string().parse().unwrap();
    assert_eq!(read, proof);
    let leaf = read.opening().unwrap().unwrap().leaf_hash();
    assert_eq!(leaf, log.leaf(3));
    let judged = read.verify(&leaf, &parties.policy()).unwrap();
    assert_eq!((judged.checkpoint, judged.cosigned.len()), (log.head(7), 3));
    let refused = read.verify(&log.leaf(4), &parties.policy());
    assert_eq!(refused, Err(ProofRefusal::Inclusion(ProofError::Root)));
}

#[test]
fn a_slip_binds_the_log_but_meets_no_quorum() {
    let (parties, log) = (Parties::new(), Log::of(4));
    let slip = log.proof(3, 4, log.signed(4, &parties.log).parse().unwrap());
    let leaf = log.leaf(3);
    assert_eq!(slip.verify_slip(&leaf, &parties.log.verifier()), Ok(log.head(4)));
    let judged = slip.verify_logged(&leaf, &parties.policy()).unwrap();
    assert!(!judged.quorum_met());
    let refused = slip.verify(&leaf, &parties.policy()).unwrap_err();
    assert!(matches!(refused, ProofRefusal::Policy(PolicyRefusal::Quorum(_))));
    let thief = Signer::log(ORIGIN, &[9; 32]).unwrap().verifier();
    assert_eq!(slip.verify_slip(&leaf, &thief), Err(ProofRefusal::Note(NoteError::NotSigned)));
    // With the lines that came later it is a receipt.
    let note = parties.cosigned(&log.signed(4, &parties.log));
    assert!(slip.upgraded(note).unwrap().verify(&leaf, &parties.policy()).is_ok());
    let other = parties.cosigned(&log.signed(3, &parties.log));
    assert_eq!(slip.upgraded(other), Err(NoteError::Origin));
}

#[test]
fn malformed_proofs_name_the_field() {
    let (_, log, proof) = receipt();
    let text = proof.to_string();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        TlogProof::parse(&changed).unwrap_err()
    };
    let malformed = |field| TlogProofError::Malformed { field };
    assert_eq!(refused("proof@v1", "proof@v2"), malformed("first line"));
    assert_eq!(refused("@v1\n", "@v1\r\n"), malformed("first line"));
    assert_eq!(refused("extra ", "extra  "), malformed("extra"));
    assert_eq!(refused("index 3", "index 03"), malformed("index"));
    assert_eq!(refused("index 3", "index 9007199254740992"), malformed("index"));
    assert_eq!(refused("index 3", "index 3 "), malformed("index"));
    assert_eq!(refused("index 3\n", "index 3\nAAAA\n"), TlogProofError::Hash { line: 1 });
    let note = text.rfind(ORIGIN).unwrap();
    let cut = TlogProof::parse(&text[..note]);
    assert_eq!(cut, Err(TlogProofError::Checkpoint(NoteError::Shape)));
    let none = TlogProof::parse("c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n");
    assert!(none.is_err());
    let empty = TlogProof::new(0, vec![], proof.checkpoint().clone(), Some(vec![]));
    assert_eq!(empty, Err(malformed("extra")));
    let long = TlogProof::new(0, vec![log.leaf(0); 55], proof.checkpoint().clone(), None);
    assert_eq!(long, Err(TlogProofError::Hash { line: 55 }));
    let large = TlogProof::new(0, vec![], proof.checkpoint().clone(), Some(vec![0; 524_289]));
    assert!(matches!(large, Err(TlogProofError::TooLarge { field: "extra", .. })));
    let note = SignedNote::parse("a\n\n— a AAAAAAA=\n").unwrap();
    assert!(matches!(TlogProof::new(0, vec![], note, None), Err(TlogProofError::Checkpoint(_))));
}

#[test]
fn an_opening_shows_the_open_part_and_nothing_sealed() {
    let record = full().into_record().unwrap();
    let opening = Opening::of(&record);
    let read = Opening::parse(&opening.to_bytes()).unwrap();
    assert_eq!(read, opening);
    assert_eq!((read.header(), read.open_body()), (record.header(), record.open()));
    assert_eq!(
        (read.leaf().to_bytes(), read.leaf_hash()),
        (record.leaf_data(), record.leaf_hash())
    );
    assert_eq!(read.leaf_hash(), leaf_hash(&record.leaf_data()));
    assert_eq!(read.payload_commit(), payload_commitment(record.sealed()));
    let (seq, leaf) = (record.header().seq, record.leaf_data());
    assert_eq!(read.check(seq, &leaf), Ok(()));
    let moved = OpeningError::Index { opened: seq, expected: 7 };
    assert_eq!(read.check(7, &leaf), Err(moved));
    let other = Log::of(1).records[0].leaf_data();
    assert_eq!(read.check(seq, &other), Err(OpeningError::Leaf));
    let text = format!("{:?}", opening);
    assert!(!text.contains("open body") && text.contains("kz-75:2:75000000001"), "{text}");
}

#[test]
fn malformed_openings_are_refused() {
    let text = String::from_utf8(Opening::of(&full().into_record().unwrap()).to_bytes()).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        Opening::parse(changed.as_bytes()).unwrap_err()
    };
    let malformed = |field| OpeningError::Malformed { field };
    assert_eq!(refused("opening/v1", "opening/v2"), malformed("first line"));
    assert_eq!(refused("blind A", "blind AA"), malformed("blind"));
    assert_eq!(refused("header Q", "header !"), malformed("header"));
    assert_eq!(refused("payload ", "payload  "), malformed("payload"));
    assert_eq!(refused("header QURB", "header QVRB"), OpeningError::Record(RecordError::Magic));
    let more = format!("{text}\n");
    assert_eq!(Opening::parse(more.as_bytes()), Err(malformed("end")));
    assert_eq!(Opening::parse(&text.as_bytes()[..text.len() - 1]), Err(malformed("payload")));
    let large = vec![b'a'; 400 * 1024 + 1];
    assert!(matches!(Opening::parse(&large), Err(OpeningError::TooLarge { .. })));
}

#[test]
fn a_statement_is_bound_by_the_header() {
    let statement = Statement::new([7; 32], "арыз: қатысушы 1").unwrap();
    let mut draft = full();
    draft.header.statement = Some(statement.commitment());
    let opening = Opening::of(&draft.into_record().unwrap());
    let read = Statement::parse(&statement.to_bytes()).unwrap();
    assert_eq!((read.text(), opening.check_statement(&read)), (statement.text(), Ok(())));
    let changed = Statement::new([7; 32], "арыз: қатысушы 2").unwrap();
    assert_eq!(opening.check_statement(&changed), Err(OpeningError::Statement));
    let salted = Statement::new([8; 32], statement.text()).unwrap();
    assert_eq!(opening.check_statement(&salted), Err(OpeningError::Statement));
    let none = Opening::of(&Log::of(1).records[0]);
    assert_eq!(none.check_statement(&read), Err(OpeningError::Statement));
    assert!(!format!("{statement:?}").contains("арыз"));
    let text = [&statement.to_bytes(), b"\n".as_slice()].concat();
    assert_eq!(Statement::parse(&text), Err(OpeningError::Malformed { field: "end" }));
}

#[test]
fn a_proof_with_the_opening_of_another_record_is_refused() {
    let (_, log, proof) = receipt();
    let other = Opening::of(&log.records[2]).to_bytes();
    let (path, note) = (proof.path().to_vec(), proof.checkpoint().clone());
    let swapped = TlogProof::new(3, path.clone(), note.clone(), Some(other)).unwrap();
    assert_eq!(swapped.opening(), Err(OpeningError::Index { opened: 2, expected: 3 }));
    assert_eq!(TlogProof::new(3, path, note, None).unwrap().opening(), Ok(None));
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn every_entry_of_every_size_has_a_slip(size in 1u64..400, at in any::<u64>()) {
        let (parties, log) = (Parties::new(), Log::of(size));
        let index = at % size;
        let slip = log.proof(index, size, log.signed(size, &parties.log).parse().unwrap());
        let read: TlogProof = slip.to_string().parse().unwrap();
        prop_assert_eq!(&read, &slip);
        let leaf = read.opening().unwrap().unwrap().leaf_hash();
        prop_assert_eq!(read.verify_slip(&leaf, &parties.log.verifier()), Ok(log.head(size)));
        if size > 1 {
            let other = log.leaf((index + 1) % size);
            prop_assert!(read.verify_slip(&other, &parties.log.verifier()).is_err());
        }
    }

    /// One changed byte: refused, or a text that says the same about the same leaf.
    #[test]
    fn a_changed_receipt_is_refused(at in any::<usize>(), byte in any::<u8>()) {
        let (parties, _, proof) = receipt();
        let mut bytes = proof.to_string().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let read = String::from_utf8(bytes).ok().and_then(|text| {
            let read = TlogProof::parse(&text).ok()?;
            assert_eq!(read.to_string(), text, "another spelling was accepted");
            Some(read)
        });
        if let Some(read) = read
            && let Ok(Some(opening)) = read.opening()
        {
            let judged = read.verify(&opening.leaf_hash(), &parties.policy());
            // A line of a stranger's key may change: it is ignored. Then a quorum line is gone.
            prop_assert!(judged.is_err(), "byte {at} made {byte:#04x} is accepted");
        }
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,60}", bytes in any::<Vec<u8>>()) {
        let _ = TlogProof::parse(&text);
        let _ = TlogProof::parse(&format!("c2sp.org/tlog-proof@v1\n{text}"));
        let _ = Opening::parse(&bytes);
        let _ = Opening::parse(format!("adal/opening/v1\nblind {text}\n").as_bytes());
        let _ = Statement::parse(&bytes);
    }
}
