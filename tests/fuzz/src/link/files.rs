//! Attachments: what an office lacks, gives and keeps, and how that is bent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use evidence::hash::{Hash, sha256};
use evidence::log::LogName;
use replication::action::{AttachmentAsk, Kept, NamedAttachment, NotOpened};
use replication::limits::PIECE;
use replication::{AttachmentMessage, Failure, Now, Session};

use super::material::LENGTH;
use super::script::Script;

/// Attachments of which there is talk, by their hashes.
static FILES: LazyLock<BTreeMap<Hash, Vec<u8>>> = LazyLock::new(|| {
    let sizes = [1usize, 700, 9_000, 150_000];
    let file = |(n, size): (usize, &usize)| (0..*size).map(|at| (at * 7 + n) as u8).collect();
    sizes.iter().enumerate().map(file).map(|bytes: Vec<u8>| (sha256(&bytes), bytes)).collect()
});

/// What an office has of attachments.
#[derive(Clone, Default)]
pub struct Files {
    incoming: BTreeMap<Hash, Vec<u8>>,
    whole: BTreeSet<Hash>,
}

impl Files {
    /// Says to the session what lacks of a log that is mirrored or taken back.
    pub fn look(&self, now: Now, log: &LogName, session: &mut Session) {
        let lacking = FILES.iter().filter(|(hash, _)| !self.whole.contains(*hash));
        let named: Vec<NamedAttachment> = (0..)
            .zip(lacking)
            .map(|(seq, (hash, bytes))| {
                let (log, epoch, size) = (log.clone(), 1, bytes.len() as u64);
                NamedAttachment { log, epoch, seq, hash: *hash, size }
            })
            .collect();
        let complete = if named.is_empty() { LENGTH } else { 0 };
        session.attachments_complete(now, log, 1, complete);
        session.attachments_missing(now, named);
    }

    /// Executes a request about attachments.
    pub fn execute(
        &mut self,
        now: Now,
        ask: AttachmentAsk,
        failure: Option<Failure>,
        session: &mut Session,
    ) {
        let works = failure.map_or(Ok(()), Err);
        match ask {
            AttachmentAsk::Open(ask) => {
                let hash = ask.named.hash;
                let here = match self.whole.contains(&hash) {
                    true => ask.named.size,
                    false => self.incoming.get(&hash).map_or(0, |part| part.len() as u64),
                };
                let answer = works.map(|()| here).map_err(NotOpened::Failed);
                session.attachment_opened(now, ask.ticket, answer);
            }
            AttachmentAsk::Keep(ask) => {
                let answer = works.map(|()| self.keep(ask.hash, &ask.bytes, ask.last));
                session.piece_kept(now, ask.ticket, answer);
            }
            AttachmentAsk::Read(ask) => {
                let from = usize::try_from(ask.offset).unwrap_or(usize::MAX);
                let here = FILES.get(&ask.hash).filter(|_| failure.is_none());
                let bytes = here.and_then(|file| file.get(from..from.checked_add(ask.length)?));
                session.piece_read(now, ask.ticket, bytes.map(<[u8]>::to_vec));
            }
            AttachmentAsk::Trouble(_) => {}
        }
    }

    fn keep(&mut self, hash: Hash, bytes: &[u8], last: bool) -> Kept {
        let part = self.incoming.entry(hash).or_default();
        part.extend_from_slice(bytes);
        let size = FILES[&hash].len();
        assert!(part.len() <= size, "more of an attachment came than was asked for");
        if !last {
            return Kept::Part;
        }
        let is_it = sha256(part) == hash;
        self.incoming.remove(&hash);
        if is_it {
            self.whole.insert(hash);
        }
        if is_it { Kept::Whole } else { Kept::Other }
    }
}

/// Checks what an office says of attachments.
pub fn said(message: &AttachmentMessage) {
    match message {
        AttachmentMessage::Wanted(wanted) => {
            let end = wanted.offset + u64::from(wanted.length);
            assert!((1..=PIECE).contains(&wanted.length), "{} bytes wanted", wanted.length);
            assert!(end <= FILES[&wanted.hash].len() as u64, "more is wanted than there is");
        }
        AttachmentMessage::Piece(piece) => {
            let from = piece.offset as usize;
            assert_eq!(piece.bytes, FILES[&piece.hash][from..from + piece.bytes.len()]);
        }
        AttachmentMessage::Absent(_) => {}
    }
}

fn hash(hash: Hash, script: &mut Script<'_>) -> Hash {
    let at = script.below(FILES.len() + 1);
    FILES.keys().nth(at).copied().unwrap_or_else(|| script.hash(&hash))
}

/// Changes one field.
pub fn bend(message: &mut AttachmentMessage, script: &mut Script<'_>) {
    match message {
        AttachmentMessage::Wanted(m) => match script.below(6) {
            0 => m.log = script.log(),
            1 => m.epoch = script.epoch(),
            2 => m.seq = script.size(m.seq),
            3 => m.hash = hash(m.hash, script),
            4 => m.offset = script.size(m.offset),
            _ => m.length = script.epoch().wrapping_mul(40_000),
        },
        AttachmentMessage::Piece(m) => match script.below(4) {
            0 => m.hash = hash(m.hash, script),
            1 => m.offset = script.size(m.offset),
            2 => m.bytes.truncate(script.below(100)),
            _ => m.bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1),
        },
        AttachmentMessage::Absent(m) => m.hash = hash(m.hash, script),
    }
}
