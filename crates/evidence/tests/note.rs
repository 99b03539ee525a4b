//! Notes, keys, checkpoints and cosignatures under generated input.

#![allow(clippy::unwrap_used)]

mod common;

use common::config;
use evidence::checkpoint::{Checkpoint, cosign, verify_cosignature};
use evidence::note::{Kind, NoteSignature, SignedNote, Signer, Verifier};
use proptest::prelude::*;

fn signed(size: u64, root: [u8; 32]) -> (Checkpoint, Signer, String) {
    let signer = Signer::log("adal.example/log/kz-75", &[1; 32]).unwrap();
    let checkpoint = Checkpoint { origin: signer.name().to_owned(), size, root };
    let note = checkpoint.sign(&signer).unwrap();
    (checkpoint, signer, note)
}

/// Text that looks like a note more often than chance would have it.
fn notelike() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("— ".to_owned()),
        Just("— a AAAAAAA=\n".to_owned()),
        Just("adal.example/log/kz-75\n".to_owned()),
        Just("7\n".to_owned()),
        Just("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n".to_owned()),
        "[a-zA-Z0-9+/= ]{0,12}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn what_is_accepted_is_written_the_same(text in notelike()) {
        if let Ok(note) = SignedNote::parse(&text) {
            prop_assert_eq!(note.to_string(), text.as_str());
        }
        if let Ok(line) = text.parse::<NoteSignature>() {
            prop_assert_eq!(line.to_string(), text.as_str());
        }
        if let Ok(checkpoint) = Checkpoint::from_body(&text) {
            prop_assert_eq!(checkpoint.body(), text.as_str());
        }
        if let Ok(verifier) = text.parse::<Verifier>() {
            prop_assert_eq!(verifier.to_string(), text.as_str());
        }
        let _ = Checkpoint::parse(&text);
    }

    #[test]
    fn keys_round_trip(
        seed in any::<[u8; 32]>(),
        name in "[a-z./0-9-]{1,40}",
        log in any::<bool>(),
    ) {
        let kind = if log { Kind::Log } else { Kind::Cosigner };
        let verifier = Signer::new(&name, kind, &seed).unwrap().verifier();
        let text = verifier.to_string();
        prop_assert_eq!(text.parse::<Verifier>(), Ok(verifier.clone()));
        prop_assert_eq!(Verifier::new(&name, kind, verifier.public_key()), Ok(verifier));
    }

    #[test]
    fn one_changed_byte_of_a_signed_head_is_refused(
        size in 1u64..=1 << 53,
        root in any::<[u8; 32]>(),
        at in any::<usize>(),
        byte in 0u8..0x80,
    ) {
        let (checkpoint, signer, note) = signed(size, root);
        let verifier = signer.verifier();
        prop_assert_eq!(Checkpoint::open(&note, &verifier), Ok(checkpoint));
        let mut bytes = note.into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(Checkpoint::open(&changed, &verifier).is_err());
        }
    }

    #[test]
    fn one_changed_byte_of_a_cosignature_is_refused(
        size in 1u64..=1 << 53,
        root in any::<[u8; 32]>(),
        time in 0u64..1 << 63,
        at in any::<usize>(),
        byte in 0u8..0x80,
    ) {
        let (_, _, note) = signed(size, root);
        let witness = Signer::cosigner("adal.example/witness/kz", &[2; 32]).unwrap();
        let line = cosign(&note, &witness, time).unwrap();
        prop_assert_eq!(verify_cosignature(&note, &line, &witness.verifier()), Ok(time));
        let mut bytes = line.into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(verify_cosignature(&note, &changed, &witness.verifier()).is_err());
        }
    }
}
