//! Attachments follow the records that name them: whole or not at all, one after the other, and
//! nothing that was not asked for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod end;
mod late;
#[path = "../support/mod.rs"]
mod support;

use std::collections::VecDeque;

use evidence::hash::sha256;
use replication::limits::{PIECE, PIECES_SERVED};
use replication::{
    AttachmentAbsent, AttachmentMessage, AttachmentPiece, AttachmentWanted, Close, Hello, Message,
    PROTOCOL, Role,
};

use end::{End, carry, content, holder, naming, piece};
use support::bench::{LOG, centre, entries_of, head_of, holding, writer};
use support::office::Stored;
use support::{at, name};

fn is_mirror(line: &replication::StoreCosignature) -> bool {
    line.kind == replication::CosignatureKind::Mirror
}

#[test]
fn a_cut_link_goes_on_behind_what_is_there_and_the_head_is_co_signed_at_the_end() {
    let files = [content(1, 300_000), content(2, 0), content(3, 1)];
    let mut region = End::new(writer(naming(&files)), "KZ", &files);
    let mut centre = End::new(centre(), "KZ-75", &[]);
    carry(&mut region, &mut centre, Some(6));
    let mut part = centre.parts.clone();
    let here = part.remove(&sha256(&files[0])).unwrap().len();
    assert!(here > 0 && here < files[0].len(), "{here} bytes");
    assert!(!region.office.cosignatures.iter().any(|line| line.size == 3 && is_mirror(line)));
    let mut region = End::new(region.office, "KZ", &files);
    let mut again = End::new(centre.office, "KZ-75", &[]);
    again.parts = centre.parts;
    let stored = again.office.mirrors[&name(LOG)].stored.clone();
    again.lacks(&stored);
    carry(&mut region, &mut again, None);
    for file in &files {
        assert!(again.has(file), "{} bytes", file.len());
    }
    assert!(again.parts.is_empty() && again.troubles.is_empty() && again.close.is_none());
    assert!(region.office.cosignatures.iter().any(|line| line.size == 3 && is_mirror(line)));
}

#[test]
fn at_most_two_pieces_are_on_the_way_and_a_slow_link_gets_small_ones() {
    let file = content(1, 200_000);
    let (_, mut end) = holder(std::slice::from_ref(&file));
    let mut largest = 0;
    let mut waiting: VecDeque<_> = end.wants().into();
    for _ in 0..40 {
        assert!(waiting.len() <= 2, "{} pieces are on the way", waiting.len());
        let Some(wanted) = waiting.pop_front() else { break };
        largest = largest.max(wanted.length);
        end.now += 10_000;
        end.tell(piece(&wanted, &file));
        waiting.extend(end.wants());
    }
    assert!(end.has(&file) && largest == PIECE, "{largest}");
    let (_, mut end) = holder(std::slice::from_ref(&file));
    let mut waiting: VecDeque<_> = end.wants().into();
    for _ in 0..20 {
        let wanted = waiting.pop_front().unwrap();
        assert!(wanted.length <= 2_048, "{} bytes on a slow link", wanted.length);
        end.now += 1_500_000;
        end.tell(piece(&wanted, &file));
        waiting.extend(end.wants());
    }
}

#[test]
fn what_was_not_asked_for_ends_the_link() {
    let file = content(1, 5_000);
    let spoil: [fn(&mut AttachmentPiece); 4] = [
        |piece| piece.hash = [7; 32],
        |piece| piece.offset += 1,
        |piece| piece.bytes.push(0),
        |piece| piece.bytes.clear(),
    ];
    for spoil in spoil {
        let (_, mut end) = holder(std::slice::from_ref(&file));
        let wanted = end.wants();
        let AttachmentMessage::Piece(mut piece) = piece(&wanted[0], &file) else { panic!() };
        spoil(&mut piece);
        end.tell(AttachmentMessage::Piece(piece));
        assert!(end.refused() && end.files.is_empty());
    }
    let (_, mut end) = holder(&[content(1, 10)]);
    let wanted = end.wants();
    end.tell(piece(&wanted[0], &content(1, 10)));
    end.tell(AttachmentMessage::Absent(AttachmentAbsent { hash: [7; 32] }));
    assert!(end.refused(), "an answer without a question");
}

#[test]
fn a_flood_of_questions_ends_the_link_and_foreign_logs_give_nothing() {
    let file = content(1, 5_000);
    let stored = naming(std::slice::from_ref(&file));
    let wanted = AttachmentWanted {
        log: name(LOG),
        epoch: 1,
        seq: 0,
        hash: sha256(&file),
        offset: 0,
        length: 10,
    };
    let region = || {
        let mut end = End::new(writer(stored.clone()), "KZ", std::slice::from_ref(&file));
        end.greet(&Stored::default(), Role::Follower, None);
        end.sent.clear();
        end
    };
    let mut end = region();
    end.tell(AttachmentMessage::Wanted(wanted.clone()));
    assert_eq!(end.said(), [piece(&wanted, &file)]);
    let foreign = AttachmentWanted { log: name("kz/kz-10"), ..wanted.clone() };
    end.tell(AttachmentMessage::Wanted(foreign));
    let absent = AttachmentAbsent { hash: sha256(&file) };
    assert_eq!(end.said(), [AttachmentMessage::Absent(absent)], "another log is shown");
    // A driver that has not answered yet.
    for _ in 0..=PIECES_SERVED {
        let message = Message::Attachment(AttachmentMessage::Wanted(wanted.clone()));
        end.session.handle(at(1), message);
    }
    end.settle();
    assert!(end.refused());
    for length in [0, PIECE + 1] {
        let mut end = region();
        end.tell(AttachmentMessage::Wanted(AttachmentWanted { length, ..wanted.clone() }));
        assert!(end.refused(), "{length} bytes");
    }
}

#[test]
fn a_peer_that_owes_bytes_for_too_long_has_stalled() {
    let (_, mut end) = holder(&[content(1, 1_500)]);
    while end.close.is_none() {
        let wakeup = end.session.next_wakeup().unwrap();
        end.pass(wakeup - end.now);
        end.say(Message::Pong { nonce: 0 });
    }
    assert!(matches!(&end.close, Some(Close::Stalled { log }) if *log == name(LOG)));
}

#[test]
fn an_office_that_knows_nothing_of_attachments_is_told_nothing_of_them() {
    let files = [content(1, 10)];
    let stored = naming(&files);
    let mut end = End::new(centre(), "KZ-75", &[]);
    end.say(Message::Hello(Hello {
        protocol: PROTOCOL,
        office: "KZ-75".to_owned(),
        instance: [201; 16],
        software: "other 1".to_owned(),
        holdings: vec![holding(&stored, Role::Origin, None)],
        features: Vec::new(),
        witnessed: Vec::new(),
        shown: Vec::new(),
    }));
    end.say(Message::Head(head_of(&stored, 0, 1)));
    end.say(Message::Entries(entries_of(&stored, 0, 1, 1)));
    end.lacks(&stored);
    assert!(end.mirror_line(), "its heads are co-signed as ever");
    assert!(end.said().is_empty());
}
