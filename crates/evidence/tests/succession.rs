//! Statements of succession: read and written in one spelling, believed from one key.
#![allow(clippy::unwrap_used)]

use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::merkle::empty_root;
use evidence::note::{NoteError, Signer};
use evidence::succession::{MAX_STATEMENT, Succession, SuccessionError};
use proptest::prelude::*;

fn name(epoch: u32) -> String {
    origin("adal.example", &"kz-75".parse().unwrap(), epoch)
}

fn signer(epoch: u32, seed: u8) -> Signer {
    Signer::log(&name(epoch), &[seed; 32]).unwrap()
}

fn statement(size: u64) -> Succession {
    let root = if size == 0 { empty_root() } else { [7; 32] };
    let closed = Checkpoint { origin: name(1), size, root };
    Succession { closed, successor: signer(2, 2).verifier() }
}

#[test]
fn the_text_is_frozen() {
    let text = statement(40).body();
    assert_eq!(
        text,
        "adal/succession/v1\nadal.example/log/kz-75\n40\n\
         BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\nadal.example/log/kz-75.e2\n\
         adal.example/log/kz-75.e2+VKEY\n"
            .replace("+VKEY", &signer(2, 2).verifier().to_string()[name(2).len()..])
    );
    assert_eq!(Succession::from_body(&text).unwrap(), statement(40));
}

#[test]
fn the_key_of_the_epoch_that_ends_and_no_other() {
    let note = statement(40).sign(&signer(1, 1)).unwrap();
    assert_eq!(note, statement(40).sign(&signer(1, 1)).unwrap(), "deterministic");
    assert_eq!(Succession::open(&note, &signer(1, 1).verifier()).unwrap(), statement(40));
    // Another key of the same name, the successor itself, the same seed as a cosigner's.
    let other = Succession::open(&note, &signer(1, 9).verifier());
    assert_eq!(other, Err(SuccessionError::Note(NoteError::NotSigned)));
    assert_eq!(statement(40).sign(&signer(2, 2)), Err(SuccessionError::Signer));
    let cosigner = Signer::cosigner(&name(1), &[1; 32]).unwrap();
    assert_eq!(statement(40).sign(&cosigner), Err(SuccessionError::Signer));
    assert!(Succession::open(&note, &cosigner.verifier()).is_err());
    // Signed by the successor over a text that names another epoch: the name decides.
    let mut reverse = statement(40);
    reverse.closed.origin = name(3);
    let note = reverse.sign(&signer(3, 3)).unwrap();
    assert!(Succession::open(&note, &signer(1, 1).verifier()).is_err());
}

#[test]
fn neither_is_a_checkpoint_a_statement_nor_the_reverse() {
    let note = statement(40).sign(&signer(1, 1)).unwrap();
    assert!(Checkpoint::open(&note, &signer(1, 1).verifier()).is_err());
    let head = statement(40).closed.sign(&signer(1, 1)).unwrap();
    assert!(Succession::open(&head, &signer(1, 1).verifier()).is_err());
}

#[test]
fn impossible_statements_are_refused() {
    let good = statement(40).body();
    let vkey = signer(2, 2).verifier().to_string();
    let cosigner = Signer::cosigner(&name(2), &[2; 32]).unwrap().verifier().to_string();
    let itself = signer(1, 2).verifier().to_string();
    for (what, bad) in [
        ("another version", good.replacen("v1", "v2", 1)),
        ("no end", good.trim_end().to_owned()),
        ("a line more", format!("{good}more\n")),
        ("a size of two spellings", good.replacen("\n40\n", "\n040\n", 1)),
        ("a size beyond the limit", good.replacen("\n40\n", "\n9007199254740993\n", 1)),
        ("no records but a root", good.replacen("\n40\n", "\n0\n", 1)),
        ("a successor of another name", good.replacen(".e2\n", ".e3\n", 1)),
        ("a cosigner as successor", good.replacen(&vkey, &cosigner, 1)),
        ("itself as successor", good.replacen(&vkey, &itself, 1).replacen(&name(2), &name(1), 1)),
        ("carriage returns", good.replace('\n', "\r\n")),
    ] {
        assert!(Succession::from_body(&bad).is_err(), "{what}: {bad}");
    }
    assert!(Succession::from_body(&statement(0).body()).is_ok(), "an epoch may end empty");
    let long = format!("{}{}", statement(40).sign(&signer(1, 1)).unwrap(), "x".repeat(4_096));
    assert!(matches!(Succession::parse(&long), Err(SuccessionError::TooLarge { size })
        if size > MAX_STATEMENT));
}

proptest! {
    /// Whatever one byte of a signed statement becomes, nobody believes another statement.
    #[test]
    fn a_changed_byte_is_never_believed(size in 1_u64..1 << 40, at: prop::sample::Index, to: u8) {
        let note = statement(size).sign(&signer(1, 1)).unwrap();
        let mut bytes = note.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(read) = Succession::open(&changed, &signer(1, 1).verifier()) {
            prop_assert_eq!(read, statement(size));
        }
    }

    #[test]
    fn garbage_never_panics(text in "\\PC{0,80}\n{0,2}\\PC{0,80}") {
        let _ = Succession::parse(&text);
        let _ = Succession::from_body(&format!("adal/succession/v1\n{text}\n"));
    }
}
