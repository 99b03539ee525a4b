//! Attachments follow the records that name them: whole or not at all, one after the other, and
//! nothing that was not asked for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, VecDeque};

use evidence::Hash;
use evidence::hash::sha256;
use evidence::record::{AttachmentRef, Draft, Record};
use replication::action::{AttachmentAsk, AttachmentTrouble, Kept, NamedAttachment};
use replication::limits::{ATTACHMENT_PAUSE, ATTACHMENT_RETRY, PIECE, PIECES_SERVED};
use replication::{
    ATTACHMENTS, Action, AttachmentAbsent, AttachmentMessage, AttachmentPiece, AttachmentWanted,
    Close, Failure, Hello, Message, PROTOCOL, Party, Role, Session,
};
use support::bench::{LOG, centre, entries_of, head_of, holding, writer};
use support::office::{Office, Stored};
use support::world::limits;
use support::{at, name, record};

/// Bytes that follow from `number`.
fn content(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ (i % 251) as u8 ^ number).collect()
}

/// A log whose records name these files, one each.
fn naming(files: &[Vec<u8>]) -> Stored {
    let mut stored = Stored::default();
    for (seq, file) in files.iter().enumerate() {
        let plain = Record::parse(record(&name(LOG), 1, seq as u64, seq as u64)).unwrap();
        let mut header = plain.header().clone();
        let (hash, size) = (sha256(file), file.len() as u64);
        header.attachments = vec![AttachmentRef { hash, size, media: 1 }];
        let draft = Draft { header, blind: [1; 32], open: Vec::new(), sealed: Vec::new() };
        stored.push(draft.encode().unwrap());
    }
    stored
}

fn named(stored: &Stored) -> Vec<NamedAttachment> {
    let records = stored.records.iter().map(|bytes| Record::parse(bytes.clone()).unwrap());
    let named = records.flat_map(|record| {
        let header = record.header().clone();
        header.attachments.into_iter().map(move |a| NamedAttachment {
            log: header.log.clone(),
            epoch: header.epoch,
            seq: header.seq,
            hash: a.hash,
            size: a.size,
        })
    });
    named.collect()
}

/// One end of a link, with its files.
struct End {
    office: Office,
    session: Session,
    sent: VecDeque<Message>,
    files: BTreeMap<Hash, Vec<u8>>,
    /// What is here of files that are not whole.
    parts: BTreeMap<Hash, Vec<u8>>,
    open: Option<NamedAttachment>,
    troubles: Vec<AttachmentTrouble>,
    close: Option<Close>,
    /// Nothing can be stored, for this reason.
    full: bool,
    failure: Failure,
    now: u64,
}

impl End {
    fn new(office: Office, peer: &str, files: &[Vec<u8>]) -> End {
        let mut end = End {
            session: Session::new(office.config(peer, &limits()), at(1)).unwrap(),
            office,
            sent: VecDeque::new(),
            files: files.iter().map(|file| (sha256(file), file.clone())).collect(),
            parts: BTreeMap::new(),
            open: None,
            troubles: Vec::new(),
            close: None,
            full: false,
            failure: Failure::DiskFull,
            now: 1,
        };
        end.settle();
        end
    }

    fn settle(&mut self) {
        while let Some(action) = self.session.poll() {
            let now = at(self.now);
            match action {
                Action::Send(message) => self.sent.push_back(message),
                Action::Close(close) => self.close = Some(close),
                Action::Attachment(ask) => self.attachment(ask),
                other => self.office.execute(now, other, &mut self.session),
            }
        }
    }

    fn attachment(&mut self, ask: AttachmentAsk) {
        let now = at(self.now);
        match ask {
            AttachmentAsk::Open(open) => {
                let part = self.parts.entry(open.named.hash).or_default();
                let here = part.len() as u64;
                self.open = Some(open.named);
                self.session.attachment_opened(now, open.ticket, Ok(here));
            }
            AttachmentAsk::Keep(keep) if self.full => {
                self.session.piece_kept(now, keep.ticket, Err(self.failure));
            }
            AttachmentAsk::Keep(keep) => {
                let part = self.parts.entry(keep.hash).or_default();
                part.extend(keep.bytes);
                let size = self.open.as_ref().unwrap().size;
                assert_eq!(keep.last, part.len() as u64 == size, "the end is known");
                let kept = match keep.last.then(|| self.parts.remove(&keep.hash).unwrap()) {
                    None => Kept::Part,
                    Some(whole) if sha256(&whole) == keep.hash => {
                        self.files.insert(keep.hash, whole);
                        Kept::Whole
                    }
                    Some(_) => Kept::Other,
                };
                self.session.piece_kept(now, keep.ticket, Ok(kept));
            }
            AttachmentAsk::Read(ask) => {
                let file = self.files.get(&ask.hash).map(|file| {
                    let from = file.len().min(ask.offset as usize);
                    file[from..file.len().min(from + ask.length)].to_vec()
                });
                self.session.piece_read(now, ask.ticket, file);
            }
            AttachmentAsk::Trouble(trouble) => self.troubles.push(trouble),
        }
    }

    fn say(&mut self, message: Message) {
        self.session.handle(at(self.now), message);
        self.settle();
    }

    fn tell(&mut self, message: AttachmentMessage) {
        self.say(Message::Attachment(message));
    }

    fn lacks(&mut self, stored: &Stored) {
        let files = &self.files;
        let missing = named(stored).into_iter().filter(|named| !files.contains_key(&named.hash));
        let missing: Vec<_> = missing.collect();
        let records = missing.first().map_or(stored.size(), |named| named.seq);
        self.session.attachments_complete(at(self.now), &name(LOG), 1, records);
        self.session.attachments_missing(at(self.now), missing);
        self.settle();
    }

    fn pass(&mut self, micros: u64) {
        self.now += micros;
        self.session.tick(at(self.now));
        self.settle();
    }

    /// What was said of attachments, in order; the rest is forgotten.
    fn said(&mut self) -> Vec<AttachmentMessage> {
        let said = self.sent.drain(..).filter_map(|message| match message {
            Message::Attachment(message) => Some(message),
            _ => None,
        });
        said.collect()
    }

    fn wants(&mut self) -> Vec<AttachmentWanted> {
        let said = self.said().into_iter().map(|message| match message {
            AttachmentMessage::Wanted(wanted) => wanted,
            other => panic!("{other:?}"),
        });
        said.collect()
    }

    fn greet(&mut self, stored: &Stored, role: Role, head: Option<String>) {
        self.say(Message::Hello(Hello {
            protocol: PROTOCOL,
            office: if self.office.code == "KZ" { "KZ-75" } else { "KZ" }.to_owned(),
            instance: [201; 16],
            software: "other 1".to_owned(),
            holdings: vec![holding(stored, role, head)],
            features: vec![ATTACHMENTS.to_owned()],
            witnessed: Vec::new(),
            shown: Vec::new(),
        }));
    }

    fn refused(&self) -> bool {
        matches!(&self.close, Some(Close::Refused { by: Party::Us, .. }))
    }

    fn has(&self, file: &[u8]) -> bool {
        self.files.get(&sha256(file)).is_some_and(|found| found == file)
    }

    fn mirror_line(&self) -> bool {
        self.sent.iter().any(|m| matches!(m, Message::Held(held) if held.cosignature.is_some()))
    }
}

fn piece(wanted: &AttachmentWanted, file: &[u8]) -> AttachmentMessage {
    let from = wanted.offset as usize;
    let bytes = file[from..from + wanted.length as usize].to_vec();
    let (hash, offset) = (wanted.hash, wanted.offset);
    AttachmentMessage::Piece(AttachmentPiece { hash, offset, bytes })
}

/// A centre that holds the records, and none of their files.
fn holder(files: &[Vec<u8>]) -> (Stored, End) {
    let stored = naming(files);
    let mut end = End::new(centre(), "KZ-75", &[]);
    end.greet(&stored, Role::Origin, None);
    end.say(Message::Head(head_of(&stored, 0, stored.size())));
    end.say(Message::Entries(entries_of(&stored, 0, stored.size(), stored.size())));
    assert_eq!(end.office.mirrors[&name(LOG)].stored.size(), stored.size());
    assert!(!end.mirror_line(), "a head was co-signed as a mirror's without its attachments");
    end.sent.clear();
    end.lacks(&stored);
    (stored, end)
}

/// Carries messages until nobody says anything; `lost` after so many pieces the link is cut.
fn carry(region: &mut End, centre: &mut End, lost: Option<usize>) {
    let mut pieces = 0;
    loop {
        let up = region.sent.pop_front();
        let down = centre.sent.pop_front();
        if up.is_none() && down.is_none() {
            return;
        }
        if let Some(message) = up {
            if matches!(&message, Message::Attachment(AttachmentMessage::Piece(_))) {
                pieces += 1;
                if lost.is_some_and(|lost| pieces > lost) {
                    return;
                }
            }
            centre.say(message);
            let stored = centre.office.mirrors[&name(LOG)].stored.clone();
            centre.lacks(&stored);
        }
        down.into_iter().for_each(|message| region.say(message));
    }
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

fn is_mirror(line: &replication::StoreCosignature) -> bool {
    line.kind == replication::CosignatureKind::Mirror
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
