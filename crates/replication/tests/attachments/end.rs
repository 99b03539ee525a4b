//! One end of a link, with its files.

use std::collections::{BTreeMap, VecDeque};

use crate::support::bench::{LOG, centre, entries_of, head_of, holding};
use crate::support::office::{Office, Stored};
use crate::support::world::limits;
use crate::support::{at, name, record};
use evidence::Hash;
use evidence::hash::sha256;
use evidence::record::{AttachmentRef, Draft, Record};
use replication::action::{AttachmentAsk, AttachmentTrouble, Kept, NamedAttachment, NotOpened};
use replication::{
    ATTACHMENTS, Action, AttachmentMessage, AttachmentPiece, AttachmentWanted, Close, Failure,
    Hello, Message, PROTOCOL, Party, Role, Session,
};

/// Bytes that follow from `number`.
pub fn content(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ (i % 251) as u8 ^ number).collect()
}

/// A log whose records name these files, one each.
pub fn naming(files: &[Vec<u8>]) -> Stored {
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

pub fn named(stored: &Stored) -> Vec<NamedAttachment> {
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
pub struct End {
    pub office: Office,
    pub session: Session,
    pub sent: VecDeque<Message>,
    pub files: BTreeMap<Hash, Vec<u8>>,
    /// What is here of files that are not whole.
    pub parts: BTreeMap<Hash, Vec<u8>>,
    pub open: Option<NamedAttachment>,
    pub troubles: Vec<AttachmentTrouble>,
    pub close: Option<Close>,
    /// Nothing can be stored, for this reason.
    pub full: bool,
    pub failure: Failure,
    /// What cannot be gone on with, and why.
    pub closed: BTreeMap<(Hash, u64), NotOpened>,
    pub now: u64,
}

impl End {
    pub fn new(office: Office, peer: &str, files: &[Vec<u8>]) -> End {
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
            closed: BTreeMap::new(),
            now: 1,
        };
        end.settle();
        end
    }

    pub fn settle(&mut self) {
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
                let NamedAttachment { hash, size, .. } = open.named;
                let part = self.parts.entry(hash).or_default();
                let closed = self.closed.get(&(hash, size)).copied();
                let here = closed.map_or(Ok(part.len() as u64), Err);
                self.open = Some(open.named);
                self.session.attachment_opened(now, open.ticket, here);
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

    pub fn say(&mut self, message: Message) {
        self.session.handle(at(self.now), message);
        self.settle();
    }

    pub fn tell(&mut self, message: AttachmentMessage) {
        self.say(Message::Attachment(message));
    }

    pub fn lacks(&mut self, stored: &Stored) {
        let files = &self.files;
        let missing = named(stored).into_iter().filter(|named| !files.contains_key(&named.hash));
        let missing: Vec<_> = missing.collect();
        let records = missing.first().map_or(stored.size(), |named| named.seq);
        self.session.attachments_complete(at(self.now), &name(LOG), 1, records);
        self.session.attachments_missing(at(self.now), missing);
        self.settle();
    }

    pub fn pass(&mut self, micros: u64) {
        self.now += micros;
        self.session.tick(at(self.now));
        self.settle();
    }

    /// What was said of attachments, in order; the rest is forgotten.
    pub fn said(&mut self) -> Vec<AttachmentMessage> {
        let said = self.sent.drain(..).filter_map(|message| match message {
            Message::Attachment(message) => Some(message),
            _ => None,
        });
        said.collect()
    }

    pub fn wants(&mut self) -> Vec<AttachmentWanted> {
        let said = self.said().into_iter().map(|message| match message {
            AttachmentMessage::Wanted(wanted) => wanted,
            other => panic!("{other:?}"),
        });
        said.collect()
    }

    pub fn greet(&mut self, stored: &Stored, role: Role, head: Option<String>) {
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

    pub fn refused(&self) -> bool {
        matches!(&self.close, Some(Close::Refused { by: Party::Us, .. }))
    }

    pub fn has(&self, file: &[u8]) -> bool {
        self.files.get(&sha256(file)).is_some_and(|found| found == file)
    }

    pub fn mirror_line(&self) -> bool {
        self.sent.iter().any(|m| matches!(m, Message::Held(held) if held.cosignature.is_some()))
    }
}

pub fn piece(wanted: &AttachmentWanted, file: &[u8]) -> AttachmentMessage {
    let from = wanted.offset as usize;
    let bytes = file[from..from + wanted.length as usize].to_vec();
    let (hash, offset) = (wanted.hash, wanted.offset);
    AttachmentMessage::Piece(AttachmentPiece { hash, offset, bytes })
}

/// A centre that holds the records, and none of their files.
pub fn holder(files: &[Vec<u8>]) -> (Stored, End) {
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
pub fn carry(region: &mut End, centre: &mut End, lost: Option<usize>) {
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
