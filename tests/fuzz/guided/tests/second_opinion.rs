//! Notes, keys and signatures beside `signed_note` 0.2.0, which others wrote.

use evidence::checkpoint::Checkpoint;
use evidence::note::{SignedNote, Signer, Verifier};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use signed_note::{Note, StandardVerifier, VerifierList};

/// What `signed_note` says of a note under one key.
fn theirs(note: &str, vkey: &str) -> bool {
    let Ok(note) = Note::from_bytes(note.as_bytes()) else { return false };
    let verifier = StandardVerifier::new(vkey).expect("a key that both read");
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).is_ok()
}

/// What we say.
fn ours(note: &str, key: &Verifier) -> bool {
    SignedNote::parse(note).is_ok_and(|note| note.verify(key).is_ok())
}

fn config() -> Config {
    let rng_seed = RngSeed::Fixed(75);
    Config { rng_seed, failure_persistence: None, cases: 128, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn heads_are_accepted_by_both(
        seed in any::<[u8; 32]>(), size in 1u64..=1 << 53, root in any::<[u8; 32]>(),
        name in "[a-z]{1,8}\\.example/log/[a-z0-9-]{1,20}",
    ) {
        let signer = Signer::log(&name, &seed).unwrap();
        let vkey = signer.verifier().to_string();
        prop_assert!(StandardVerifier::new(&vkey).is_ok());
        let note = Checkpoint { origin: name, size, root }.sign(&signer).unwrap();
        prop_assert!(ours(&note, &signer.verifier()) && theirs(&note, &vkey));
        let read = Note::from_bytes(note.as_bytes()).unwrap();
        prop_assert_eq!(read.to_bytes(), note.as_bytes());
    }

    /// A changed byte is refused by both: neither accepts what the other refuses.
    #[test]
    fn changed_notes_are_judged_alike(
        text in "[ -~]{0,30}", at in any::<usize>(), byte in 0u8..128,
    ) {
        let signer = Signer::log("adal.example/log/kz-75", &[1; 32]).unwrap();
        let note = SignedNote::sign(&format!("{text}\n"), &signer).unwrap().to_string();
        let vkey = signer.verifier().to_string();
        prop_assert!(ours(&note, &signer.verifier()) && theirs(&note, &vkey));
        let mut bytes = note.into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            let (ours, theirs) = (ours(&changed, &signer.verifier()), theirs(&changed, &vkey));
            prop_assert_eq!(ours, theirs, "{}", changed);
        }
    }
}
