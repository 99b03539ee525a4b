//! The step of a witness: what it cosigns, and each way in which it refuses.

#![allow(clippy::unwrap_used)]

mod common;

use common::config;
use common::parties::{Log, ORIGIN, Parties};
use evidence::merkle::{ProofError, empty_root};
use evidence::note::{NoteError, SignedNote, Signer};
use evidence::witness::{AddCheckpoint, Refused, RequestError, step};
use proptest::prelude::*;

fn note(log: &Log, size: u64, signer: &Signer) -> SignedNote {
    log.signed(size, signer).parse().unwrap()
}

#[test]
fn the_published_request_is_read_and_written() {
    // c2sp.org/tlog-witness, "add-checkpoint", with its two signatures.
    let body = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/\
        Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+4\
        9/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
    let request: AddCheckpoint = body.parse().unwrap();
    assert_eq!((request.old(), request.proof().len()), (20_852_014, 4));
    assert_eq!(request.checkpoint().signatures().len(), 2);
    assert_eq!(request.to_string(), body);
}

#[test]
fn a_log_is_followed_from_nothing_head_by_head() {
    let (parties, log) = (Parties::new(), Log::of(40));
    let keys = [parties.log.verifier()];
    let mut held = None;
    for size in [0, 1, 1, 7, 8, 40] {
        let old = held.map_or(0, |(size, _)| size);
        let request = log.request(old, size, note(&log, size, &parties.log));
        let request: AddCheckpoint = request.to_string().parse().unwrap();
        let accepted = step(held, &request, &keys).unwrap();
        assert_eq!(*accepted.checkpoint(), log.head(size));
        assert_eq!(accepted.is_unchanged(), old == size);
        assert_eq!(*accepted.key(), parties.log.verifier());
        held = Some((size, log.head(size).root));
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let (parties, log) = (Parties::new(), Log::of(9));
    let keys = [parties.log.verifier()];
    let held = Some((5, log.head(5).root));
    let ask = |old, new, signed| step(held, &log.request(old, new, signed), &keys).unwrap_err();
    let signed = |size| note(&log, size, &parties.log);
    assert_eq!(ask(4, 9, signed(9)), Refused::Stale { held: 5, old: 4 });
    assert_eq!(ask(0, 9, signed(9)), Refused::Stale { held: 5, old: 0 });
    // The log went back: it may ask from what it has, and learns what was seen.
    assert_eq!(ask(3, 4, signed(4)), Refused::Stale { held: 5, old: 3 });
    assert_eq!(
        step(None, &log.request(3, 9, signed(9)), &keys).unwrap_err(),
        Refused::Stale { held: 0, old: 3 }
    );
    let back = AddCheckpoint::new(5, vec![], signed(4)).unwrap();
    assert_eq!(step(held, &back, &keys), Err(Refused::Shrinks { old: 5, offered: 4 }));
    // Keys and signatures.
    let thief = Signer::log(ORIGIN, &[9; 32]).unwrap();
    let refused = ask(5, 9, note(&log, 9, &thief));
    assert_eq!(refused, Refused::Signature(NoteError::NotSigned));
    let request = log.request(5, 9, signed(9));
    assert_eq!(step(held, &request, &[]), Err(Refused::UnknownOrigin));
    let stranger = Signer::log("adal.example/log/kz-10", &[1; 32]).unwrap().verifier();
    assert_eq!(step(held, &request, &[stranger]), Err(Refused::UnknownOrigin));
    let changed = request.to_string().replacen("\n9\n", "\n8\n", 1).parse().unwrap();
    assert_eq!(step(held, &changed, &keys), Err(Refused::Signature(NoteError::Signature)));
    // Proofs.
    let none = AddCheckpoint::new(5, vec![], signed(9)).unwrap();
    let length = |found| Err(Refused::Proof(ProofError::Length { found }));
    assert_eq!(step(held, &none, &keys), length(0));
    let first = AddCheckpoint::new(0, vec![[0; 32]], signed(9)).unwrap();
    assert_eq!(step(None, &first, &keys), length(1));
    let same = AddCheckpoint::new(5, vec![[0; 32]], signed(5)).unwrap();
    assert_eq!(step(held, &same, &keys), length(1));
    let long = AddCheckpoint::new(5, vec![[0; 32]; 63], signed(9)).unwrap();
    assert_eq!(step(held, &long, &keys), length(63));
}

#[test]
fn a_second_root_or_another_history_is_a_fork() {
    let parties = Parties::new();
    let keys = [parties.log.verifier()];
    let (log, other) = (Log::of(9), Log::with(9, &[b"x", b"x", b"x", b"x", b"x", b"x"]));
    let held = Some((5, log.head(5).root));
    let ask = |old, new| {
        let request = other.request(old, new, note(&other, new, &parties.log));
        step(held, &request, &keys).unwrap_err()
    };
    assert_eq!(ask(5, 9), Refused::Fork { held: 5, offered: 9 });
    assert_eq!(ask(5, 5), Refused::Fork { held: 5, offered: 5 });
    // Two signed roots for one size need no proof, whatever the request starts from.
    assert_eq!(ask(4, 5), Refused::Fork { held: 5, offered: 5 });
    // A head that shares the held prefix is no fork.
    let held = Some((3, log.head(3).root));
    let request = other.request(3, 9, note(&other, 9, &parties.log));
    assert!(step(held, &request, &keys).is_ok());
}

#[test]
fn malformed_requests_are_refused() {
    let (parties, log) = (Parties::new(), Log::of(9));
    let text = log.request(5, 9, note(&log, 9, &parties.log)).to_string();
    let refused =
        |from: &str, to: &str| AddCheckpoint::parse(&text.replacen(from, to, 1)).unwrap_err();
    assert_eq!(refused("old 5", "old 05"), RequestError::Old);
    assert_eq!(refused("old 5", "old 5 "), RequestError::Old);
    assert_eq!(refused("old 5", "Old 5"), RequestError::Old);
    assert_eq!(refused("old 5", "old 9007199254740993"), RequestError::Old);
    assert_eq!(refused("old 5\n", "old 5\nAAAA\n"), RequestError::Hash { line: 1 });
    assert_eq!(
        refused("old 5\n", "old 5\n\n"),
        RequestError::Note(NoteError::Checkpoint { field: "extension" })
    );
    assert_eq!(AddCheckpoint::parse("old 5\n"), Err(RequestError::Hash { line: 1 }));
    assert_eq!(AddCheckpoint::parse("old 5\n\n"), Err(RequestError::Note(NoteError::Shape)));
    let hash = format!("{}=\n", "A".repeat(43));
    let long = text.replacen("old 5\n", &format!("old 5\n{}", hash.repeat(61)), 1);
    assert_eq!(AddCheckpoint::parse(&long), Err(RequestError::Hash { line: 64 }));
    let large = "a".repeat(300_000);
    assert_eq!(AddCheckpoint::parse(&large), Err(RequestError::TooLarge { size: 300_000 }));
}

proptest! {
    #![proptest_config(config(192))]

    /// A witness never accepts two roots for one size, nor a head that does not extend the held
    /// one, whatever it is asked.
    #[test]
    fn what_is_accepted_extends_what_is_held(
        fork_at in 0usize..12,
        steps in proptest::collection::vec(
            (any::<bool>(), 0u64..12, 0u64..12, any::<u16>()), 1..12,
        ),
    ) {
        let parties = Parties::new();
        let keys = [parties.log.verifier()];
        let logs = [Log::of(12), Log::with(12, &vec![b"x".as_slice(); 12 - fork_at])];
        let mut held: Option<(u64, [u8; 32])> = None;
        for (which, old, new, noise) in steps {
            let log = &logs[usize::from(which)];
            let (old, new) = (old.min(new), old.max(new));
            let old = if noise & 1 == 0 { held.map_or(0, |h| h.0).min(new) } else { old };
            let request = log.request(old, new, note(log, new, &parties.log));
            if let Ok(accepted) = step(held, &request, &keys) {
                let (size, root) = held.unwrap_or((0, empty_root()));
                let head = accepted.checkpoint();
                prop_assert!(head.size >= size);
                prop_assert_eq!(log.head(size).root, root, "not a prefix");
                held = Some((head.size, head.root));
            }
        }
    }

    #[test]
    fn a_changed_request_moves_no_head(at in any::<usize>(), byte in any::<u8>()) {
        let (parties, log) = (Parties::new(), Log::of(9));
        let request = log.request(5, 9, note(&log, 9, &parties.log));
        let mut bytes = request.to_string().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(read) = AddCheckpoint::parse(&text) {
            prop_assert_eq!(read.to_string(), text);
            let held = Some((5, log.head(5).root));
            prop_assert!(step(held, &read, &[parties.log.verifier()]).is_err());
        }
    }
}
