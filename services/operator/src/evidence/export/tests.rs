//! What is exported, before anything is asked.

use super::*;

#[test]
fn sequences_are_both_included() {
    assert_eq!(sequences("0-99"), Ok(0..=99));
    assert_eq!(sequences("7"), Ok(7..=7));
    for wrong in ["", "-", "9-8", "a-b", "1-", "0-9007199254740992", "1-2-3"] {
        assert!(sequences(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_auditors_head_is_tied_in_or_convicts() {
    let signer = ::evidence::note::Signer::log("a/log/kz-75", &[7; 32]).unwrap();
    let note = |size, byte| {
        let head = Checkpoint { origin: "a/log/kz-75".to_owned(), size, root: [byte; 32] };
        head.sign(&signer).unwrap()
    };
    let row = pb::CheckpointRow { note: note(7, 1), complete: true, ..Default::default() };
    let rows =
        pb::ListCheckpointsResponse { held: 8, checkpoints: vec![row], ..Default::default() };
    let with =
        |size, byte| Heads::of(rows.clone(), Some(&SignedNote::parse(&note(size, byte)).unwrap()));
    let sizes = |heads: Heads| heads.notes.iter().map(|(_, h)| h.size).collect::<Vec<_>>();
    assert_eq!(sizes(with(7, 1).unwrap()), [7]);
    assert_eq!(sizes(with(3, 1).unwrap()), [3, 7]);
    assert_eq!(sizes(with(8, 1).unwrap()), [7, 8]);
    let fork = with(7, 2).err().unwrap();
    assert!(fork.text.starts_with("FORK") && fork.exit.code() == 1, "{fork}");
    let cut = with(9, 1).err().unwrap();
    assert!(cut.text.contains("cut off") && cut.exit.code() == 1, "{cut}");
}

#[test]
fn without_a_complete_head_it_says_what_is_missing() {
    let row = pb::CheckpointRow { size: 7, missing: "peers".to_owned(), ..Default::default() };
    let rows = pb::ListCheckpointsResponse {
        log: "kz-75".to_owned(),
        epoch: 1,
        checkpoints: Vec::new(),
        ..Default::default()
    };
    let failure = |rows| Heads::of(rows, None).unwrap().complete("kz-75").err().unwrap();
    let none = failure(rows.clone());
    assert!(none.text.contains("no signed head"), "{none}");
    let signer = ::evidence::note::Signer::log("a/log/kz-75", &[7; 32]).unwrap();
    let head = Checkpoint { origin: "a/log/kz-75".to_owned(), size: 7, root: [1; 32] };
    let row = pb::CheckpointRow { note: head.sign(&signer).unwrap(), ..row };
    let rows = pb::ListCheckpointsResponse { checkpoints: vec![row], ..rows };
    // An epoch that is closed goes into the bundle as it is; the newest one may not.
    assert_eq!(Heads::of(rows.clone(), None).unwrap().notes.len(), 1);
    let failure = failure(rows);
    assert!(failure.text.contains("of 7 records lacks peers"), "{failure}");
    assert_eq!(failure.exit.code(), 3);
}
