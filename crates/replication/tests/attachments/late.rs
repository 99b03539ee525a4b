//! What does not come, or cannot be stored, holds nothing else up.

use std::collections::{BTreeMap, VecDeque};

use evidence::Hash;
use evidence::hash::sha256;
use replication::action::{NamedAttachment, NotOpened};
use replication::limits::{ATTACHMENT_PAUSE, ATTACHMENT_RETRY, ATTACHMENTS_WAITING};
use replication::{AttachmentAbsent, AttachmentMessage, Failure, Role};

use crate::end::{End, content, holder, named, naming, piece};
use crate::support::at;
use crate::support::bench::centre;
use crate::support::office::Stored;

/// A centre that has said hello and holds nothing.
fn empty() -> End {
    let mut end = End::new(centre(), "KZ-75", &[]);
    end.greet(&Stored::default(), Role::Origin, None);
    end.sent.clear();
    end
}

/// Answers every question until none is asked: with the file if it is in `there`, else that it is
/// absent; how often each was asked for, in the order of the first questions.
fn answer_all(end: &mut End, there: &BTreeMap<Hash, &[u8]>) -> Vec<Hash> {
    let mut asked = Vec::new();
    let mut waiting: VecDeque<_> = end.wants().into();
    while let Some(wanted) = waiting.pop_front() {
        asked.push(wanted.hash);
        let answer = match there.get(&wanted.hash) {
            Some(file) => piece(&wanted, file),
            None => AttachmentMessage::Absent(AttachmentAbsent { hash: wanted.hash }),
        };
        end.tell(answer);
        waiting.extend(end.wants());
    }
    asked
}

#[test]
fn other_bytes_are_dropped_told_and_asked_for_again_later() {
    let files = [content(1, 900), content(2, 700)];
    let (_, mut end) = holder(&files);
    let [wanted] = &end.wants()[..] else { panic!("one piece") };
    end.tell(piece(wanted, &content(9, 900)));
    let hash = sha256(&files[0]);
    assert!(end.files.is_empty() && !end.parts.contains_key(&hash), "other bytes were stored");
    let text = &end.troubles[0].text;
    assert!(text.contains("KZ-75") && text.contains(&evidence::hash::hex(&sha256(&files[0]))));
    assert!(end.close.is_none(), "other logs go on");
    let [next] = &end.wants()[..] else { panic!("the next one") };
    end.tell(piece(next, &files[1]));
    assert!(end.has(&files[1]) && end.wants().is_empty());
    end.pass(ATTACHMENT_RETRY);
    let again = end.wants();
    assert_eq!((again[0].hash, again[0].offset), (sha256(&files[0]), 0));
    end.tell(piece(&again[0], &files[0]));
    assert!(end.has(&files[0]));
}

#[test]
fn what_the_other_side_does_not_have_holds_nothing_up() {
    let files = [content(1, 5_000), content(2, 700)];
    let (_, mut end) = holder(&files);
    let absent = AttachmentMessage::Absent(AttachmentAbsent { hash: sha256(&files[0]) });
    assert_eq!(end.wants().len(), 2);
    end.tell(absent.clone());
    end.tell(absent);
    assert_eq!(end.troubles.len(), 1, "told once");
    assert!(end.troubles[0].text.contains("does not have it"), "{}", end.troubles[0].text);
    let [next] = &end.wants()[..] else { panic!("the next one") };
    end.tell(piece(next, &files[1]));
    assert!(end.has(&files[1]) && end.close.is_none());
}

#[test]
fn more_lost_files_than_may_wait_do_not_hold_the_others_up() {
    let count = ATTACHMENTS_WAITING + 80;
    let files: Vec<_> = (0..count).map(|n| n.to_string().into_bytes()).collect();
    let (stored, mut end) = holder(&files);
    let (lost, left) = files.split_at(ATTACHMENTS_WAITING + 50);
    let there: BTreeMap<Hash, &[u8]> = left.iter().map(|file| (sha256(file), &file[..])).collect();
    let first = answer_all(&mut end, &there);
    assert_eq!(first.len(), ATTACHMENTS_WAITING, "what is known is bounded");
    end.lacks(&stored);
    answer_all(&mut end, &there);
    assert!(left.iter().all(|file| end.has(file)), "lost files hold up the others");
    assert_eq!(end.troubles.len(), lost.len(), "each is told");
    // Later they are asked for again, in turn with what is new.
    end.pass(ATTACHMENT_RETRY);
    let mended: BTreeMap<Hash, &[u8]> = files.iter().map(|f| (sha256(f), &f[..])).collect();
    answer_all(&mut end, &mended);
    assert!(lost.iter().all(|file| end.has(file)) && end.close.is_none());
}

#[test]
fn of_one_hash_with_two_sizes_one_comes_and_the_other_is_told() {
    let file = content(1, 900);
    let stored = naming(&[file.clone(), content(2, 10)]);
    let mut end = empty();
    let mut missing = named(&stored);
    missing[1] = NamedAttachment { size: 901, seq: 1, ..missing[0].clone() };
    missing.swap(0, 1);
    end.closed.insert((sha256(&file), 901), NotOpened::OtherSize(900));
    end.session.attachments_missing(at(1), missing);
    end.settle();
    answer_all(&mut end, &BTreeMap::from([(sha256(&file), &file[..])]));
    assert!(end.has(&file), "a wrong record holds up a right one");
    let text = &end.troubles[0].text;
    assert!(text.contains("has 900 bytes, the record says 901") && text.contains("record 1"));
    assert_eq!((end.troubles.len(), end.close.is_none()), (1, true));
}

#[test]
fn what_another_link_stores_is_looked_at_again_soon_and_is_no_trouble() {
    let files = [content(1, 900), content(2, 700)];
    let mut end = empty();
    let stored = naming(&files);
    end.closed.insert((sha256(&files[0]), 900), NotOpened::Busy);
    end.session.attachments_missing(at(1), named(&stored));
    end.settle();
    let there = files.iter().map(|file| (sha256(file), &file[..])).collect();
    assert_eq!(answer_all(&mut end, &there), [sha256(&files[1])], "the others go on");
    assert!(end.troubles.is_empty());
    end.closed.clear();
    end.pass(ATTACHMENT_PAUSE);
    answer_all(&mut end, &there);
    assert!(end.has(&files[0]));
}

#[test]
fn a_full_disk_pauses_and_nothing_is_lost() {
    let file = content(1, 1_500);
    let (_, mut end) = holder(std::slice::from_ref(&file));
    let wanted = end.wants();
    end.tell(piece(&wanted[0], &file));
    end.full = true;
    end.tell(piece(&wanted[1], &file));
    assert!(end.wants().is_empty() && end.close.is_none());
    end.full = false;
    end.pass(ATTACHMENT_PAUSE);
    let again = end.wants();
    assert_eq!(again[0].offset, 1_024, "it goes on behind what is there");
    end.tell(piece(&again[0], &file));
    assert!(end.has(&file));
}

#[test]
fn what_cannot_be_stored_holds_nothing_up() {
    let files = [content(1, 1_500), content(2, 700)];
    let (_, mut end) = holder(&files);
    let wanted = end.wants();
    end.failure = Failure::Internal;
    end.full = true;
    end.tell(piece(&wanted[0], &files[0]));
    end.full = false;
    end.tell(piece(&wanted[1], &files[0]));
    assert!(end.troubles[0].text.contains("cannot be stored here"), "{}", end.troubles[0].text);
    let [next] = &end.wants()[..] else { panic!("the next one") };
    end.tell(piece(next, &files[1]));
    assert!(end.has(&files[1]) && end.close.is_none());
}
