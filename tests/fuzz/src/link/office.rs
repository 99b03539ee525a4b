//! An honest office: what is on its disk, the driver's side of a session, and what must be true of
//! all that the session asks and says, whatever the peer said.

use std::collections::{BTreeMap, BTreeSet};

use evidence::Hash;
use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::log::LogName;
use evidence::merkle::Frontier;
use evidence::verify::VerifiedBatch;
use replication::{
    Action, CosignatureKind, EntriesRead, EpochRefused, Failure, Fault, GivenLog, Limits,
    LostEpoch, MirroredLog, Now, OwnLog, Party, Recover, RefusalCode, Register, Rest, Session,
    SessionConfig, SignedHead, StoreCosignature, WitnessedHead,
};

use super::files::Files;
use super::keys::Kept;
use super::material::{DOMAIN, History, LENGTH, Log, MATERIAL};
use super::previews;

/// A copy of somebody's log as it is stored.
#[derive(Clone, Default)]
pub struct Copy {
    /// Records.
    pub size: u64,
    frontier: Frontier,
    /// Size and text of the newest accepted head.
    pub head: Option<(u64, String)>,
    /// Which histories all of it may belong to; one at least.
    histories: Histories,
    frozen: Option<String>,
    /// It is of a log of this office, which lost records of it.
    pub comes_back: bool,
}

/// Which of the two histories of a log something may belong to.
#[derive(Clone, Copy)]
struct Histories([bool; 2]);

impl Default for Histories {
    fn default() -> Histories {
        Histories([true; 2])
    }
}

impl Histories {
    /// Keeps those of which `belongs` holds. Panics if none is left.
    fn keep(&mut self, log: &Log, what: &str, belongs: impl Fn(&History) -> bool) {
        for (may, history) in self.0.iter_mut().zip(&log.histories) {
            *may &= belongs(history);
        }
        assert!(self.0.contains(&true), "{what} of no history that {} has here", log.name);
    }

    fn first(self, log: &Log) -> &History {
        &log.histories[usize::from(!self.0[0])]
    }
}

impl Copy {
    /// The first `size` records of the writer's history, under the head of `signed`.
    #[must_use]
    pub fn new(log: &Log, size: u64, signed: u64) -> Copy {
        let history = &log.histories[0];
        let mut copy = Copy { size, ..Copy::default() };
        for record in &history.records[..size as usize] {
            let record = evidence::Record::parse(record.clone()).unwrap();
            copy.frontier.append(record.leaf_hash());
        }
        copy.head = (signed > 0).then(|| (signed, history.heads[signed as usize].clone()));
        if size > 0 {
            copy.histories.keep(log, "records", |other| other.root(size) == history.root(size));
        }
        if let Some((signed, head)) = &copy.head {
            copy.histories.keep(log, "a head", |other| other.has_head(*signed, head));
        }
        copy
    }

    /// The root over its first records.
    #[must_use]
    pub fn root(&self, log: &LogName, size: u64) -> Hash {
        self.histories.first(log_of(log)).root(size)
    }

    fn persist(
        &mut self,
        log: &Log,
        note: &str,
        (size, root, replaces): (u64, Hash, Option<u64>),
    ) -> Result<(), Failure> {
        if self.head.as_ref().map(|head| head.0) != replaces {
            return Err(Failure::OutOfStep);
        }
        let head = Checkpoint::open(note, &log.verifier).unwrap();
        assert_eq!((head.size, head.root), (size, root), "another head is to be stored");
        assert!(replaces.is_none_or(|old| old < size), "a head is to go back");
        assert!(size <= LENGTH, "a head that was never signed");
        if self.comes_back {
            // Whether it goes with what is here is found out once it is stored.
            assert!(log.histories.iter().any(|history| history.root(size) == root), "forged");
        } else {
            self.histories.keep(log, "a head", |history| history.root(size) == root);
        }
        self.head = Some((size, note.to_owned()));
        Ok(())
    }

    fn commit(&mut self, log: &Log, batch: VerifiedBatch) -> Result<(), Failure> {
        if batch.first_seq() != self.size {
            return Err(Failure::OutOfStep);
        }
        let (from, end) = (self.size as usize, batch.end());
        let head = self.head.as_ref().map_or(0, |head| head.0);
        assert!(end <= head, "records without a stored head");
        self.histories.keep(log, "records", |history| {
            let real = &history.records[from..end as usize];
            real.iter().eq(batch.records().iter().map(evidence::Record::bytes))
        });
        self.frontier = batch.into_parts().frontier;
        self.size = end;
        assert_eq!(self.frontier.root(), self.histories.first(log).root(end));
        Ok(())
    }
}

/// One office of the link.
#[derive(Clone, Default)]
pub struct Office {
    /// Its code.
    pub code: &'static str,
    /// The other one's.
    pub peer: &'static str,
    /// Its logs, with the number of their records.
    pub own: BTreeMap<LogName, u64>,
    /// The copies that it keeps.
    pub mirrors: BTreeMap<LogName, Copy>,
    /// What it has of a log of its own that it takes back.
    pub lost: Option<(LogName, Copy)>,
    /// The log that it gives back: records held, and size of the head over them.
    pub given: Option<(LogName, u64, u64)>,
    /// The log of which it shows heads to the peer, all records of which it holds.
    pub offers: Option<LogName>,
    /// Logs of which it is a further witness, with the newest head that it co-signed.
    pub witnessed: BTreeMap<LogName, Copy>,
    /// Restored from a backup.
    pub forgotten: bool,
    /// Lines of the peer that it keeps, by log.
    pub shown: BTreeMap<LogName, String>,
    /// Heads that it signed.
    pub signed: BTreeSet<String>,
    /// Whether its own logs were found to have two histories.
    pub read_only: bool,
    /// What it keeps of keys.
    pub kept: Kept,
    /// What it has of attachments.
    pub files: Files,
}

fn log_of(name: &LogName) -> &'static Log {
    MATERIAL.log(name).unwrap()
}

impl Office {
    /// What a session begins with.
    #[must_use]
    pub fn config(&self, limits: &Limits) -> SessionConfig {
        let key = |role| MATERIAL.cosigner(self.code, role);
        let of_peer = |role| Some(MATERIAL.cosigner(self.peer, role).verifier());
        let named = |log: &LogName, note: &String| {
            let (log, note) = (log.clone(), note.clone());
            WitnessedHead { log, epoch: 1, note }
        };
        let heads =
            self.witnessed.iter().filter_map(|(log, copy)| Some((log, copy.head.as_ref()?)));
        SessionConfig {
            domain: DOMAIN.to_owned(),
            office: self.code.to_owned(),
            peer: self.peer.to_owned(),
            instance: [self.code.len() as u8 + self.code.as_bytes()[self.code.len() - 1]; 16],
            software: "adal fuzz".to_owned(),
            witness: key("witness"),
            mirror: key("mirror"),
            peer_witness: of_peer("witness"),
            peer_mirror: of_peer("mirror"),
            own: self.own.iter().map(|(log, size)| own_log(log, *size)).collect(),
            mirrored: self.mirrors.iter().map(|(log, copy)| mirrored(log, copy)).collect(),
            witnessed: heads.map(|(log, (_, note))| named(log, note)).collect(),
            shown: self.shown.iter().map(|(log, note)| named(log, note)).collect(),
            forgotten: self.forgotten,
            given: self.given.iter().map(|(log, held, head)| given(log, *held, *head)).collect(),
            recover: self.lost.as_ref().map(|(log, copy)| recover(log, copy)),
            limits: limits.clone(),
        }
    }

    /// Executes one request and gives the answer, or the failure, to the session.
    pub fn execute(
        &mut self,
        now: Now,
        action: Action,
        failure: Option<Failure>,
        session: &mut Session,
    ) {
        let works = failure.map_or(Ok(()), Err);
        match action {
            Action::ReadRoot(r) => {
                let root = self.root(&r.log, r.size);
                session.root_read(now, r.ticket, works.map(|()| root));
            }
            Action::SignHead(r) => {
                let signed = self.sign(&r.log, r.old_size, r.size);
                session.head_signed(now, r.ticket, works.map(|()| signed));
            }
            Action::ReadEntries(r) => {
                let read = self.read(&r.log, r.from, r.max_bytes, r.head_size);
                session.entries_read(now, r.ticket, works.map(|()| read));
            }
            Action::PersistHead(r) => {
                let (copy, head) = (self.copy(&r.log), (r.size, r.root, r.replaces));
                let stored = works.and_then(|()| copy.persist(log_of(&r.log), &r.note, head));
                session.head_persisted(now, r.ticket, stored);
            }
            Action::CommitBatch(r) => {
                let name = r.batch.log().clone();
                let commit = |()| self.copy(&name).commit(log_of(&name), *r.batch);
                session.stored(now, r.ticket, works.and_then(commit));
            }
            Action::ProveHead(r) => {
                assert!(r.old_size <= r.size && r.size <= self.holds(&r.log), "no such proof");
                let proof = log_of(&r.log).histories[0].proof(r.old_size, r.size);
                session.head_proved(now, r.ticket, works.map(|()| proof));
            }
            Action::ReadRegister(r) => {
                let register = self.register(&r.log, r.epoch);
                session.register_read(now, r.ticket, works.map(|()| register));
            }
            Action::PersistWitness(r) => {
                let copy = self.witnessed.get_mut(&r.log).unwrap();
                let head = (r.size, r.root, r.replaces);
                let stored = works.and_then(|()| copy.persist(log_of(&r.log), &r.note, head));
                session.witness_persisted(now, r.ticket, stored);
            }
            Action::Preview(ask) => previews::execute(self, now, ask, failure, session),
            Action::Attachment(ask) => self.files.execute(now, ask, failure, session),
            other => {
                if let Some(other) = self.kept.execute(now, other, failure, session) {
                    self.note(now, other, session);
                }
            }
        }
    }

    /// Takes what needs no work.
    fn note(&mut self, now: Now, action: Action, session: &mut Session) {
        match action {
            Action::StoreCosignature(line) => self.keep_line(&line),
            Action::Countersigned(c) => {
                let key = MATERIAL.cosigner(self.peer, "witness").verifier();
                assert!(verify_cosignature(&c.note, &c.line, &key).is_ok(), "a forged line");
                assert!(log_of(&c.log).histories[0].has_head(c.size, &c.note), "a forged head");
            }
            Action::Mirrored(m) => {
                let copy = &self.mirrors[&m.log];
                assert_eq!((copy.size, copy.head.as_ref()), (m.size, Some(&(m.size, m.note))));
            }
            Action::Fault(fault) => self.keep_fault(&fault),
            // No key of the next epoch was ever made: whatever is shown for one is refused.
            Action::NewEpoch(new) => {
                let (text, notes) = ("unknown key".to_owned(), Vec::new());
                let refused = EpochRefused { code: RefusalCode::WrongKey, text, notes };
                session.epoch_opened(now, new.ticket, Err(refused));
            }
            Action::Recall(recall) => session.recalled(now, recall.ticket, Ok(false)),
            _ => {}
        }
    }

    fn keep_line(&mut self, kept: &StoreCosignature) {
        let role = match kept.kind {
            CosignatureKind::Witness => "witness",
            CosignatureKind::Mirror => "mirror",
        };
        let key = MATERIAL.cosigner(self.peer, role).verifier();
        let time = verify_cosignature(&kept.note, &kept.line, &key);
        assert_eq!(time, Ok(kept.time), "a forged line of {}", kept.log);
        assert!(log_of(&kept.log).histories[0].has_head(kept.size, &kept.note), "a forged head");
        assert!(self.signed.contains(&kept.note), "a line on a head that was not signed here");
        if kept.kind == CosignatureKind::Witness {
            self.shown.insert(kept.log.clone(), format!("{}{}", kept.note, kept.line));
        }
    }

    fn keep_fault(&mut self, fault: &Fault) {
        if fault.found_by != Party::Us || !fault.code.contradicts() {
            return;
        }
        if fault.own {
            self.read_only = true;
        } else if let Some(copy) = self.mirrors.get_mut(&fault.log).filter(|_| fault.epoch == 1) {
            copy.frozen = (fault.code == RefusalCode::Fork).then(|| fault.text.clone());
        }
    }

    /// The copy that is filled: a mirror, or a log that is taken back.
    fn copy(&mut self, log: &LogName) -> &mut Copy {
        let lost = self.lost.as_mut().filter(|(name, _)| name == log).map(|(_, copy)| copy);
        lost.or(self.mirrors.get_mut(log)).unwrap()
    }

    /// The copy that is filled, if there is one.
    #[must_use]
    pub fn stored(&self, log: &LogName) -> Option<&Copy> {
        let lost = self.lost.iter().find(|(name, _)| name == log).map(|(_, copy)| copy);
        lost.or(self.mirrors.get(log))
    }

    /// Records of the writer's history that can be read here.
    #[must_use]
    pub fn holds(&self, log: &LogName) -> u64 {
        let given = self.given.iter().find(|given| given.0 == *log).map(|given| given.1);
        let offered = self.offers.iter().find(|name| *name == log).map(|_| LENGTH);
        self.own.get(log).copied().or(given).or(offered).unwrap_or(0)
    }

    fn root(&self, log: &LogName, size: u64) -> Hash {
        if let Some(own) = self.own.get(log) {
            assert!(size <= *own, "the root of records that are not here");
            return log_of(log).histories[0].root(size);
        }
        let copy = self.stored(log).unwrap();
        assert!(size <= copy.size, "the root of records that are not here");
        copy.root(log, size)
    }

    fn sign(&mut self, log: &LogName, old: u64, size: u64) -> SignedHead {
        assert!(size <= self.own[log] && old <= size, "a head over records that are not here");
        let history = &log_of(log).histories[0];
        let note = history.heads[size as usize].clone();
        self.signed.insert(note.clone());
        SignedHead { note, proof: history.proof(old, size) }
    }

    fn read(&self, log: &LogName, from: u64, max_bytes: usize, head: u64) -> EntriesRead {
        assert!(from < head && head <= self.holds(log), "records that are not here");
        let history = &log_of(log).histories[0];
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in &history.records[from as usize..head as usize] {
            bytes += record.len();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        let end = from + records.len() as u64;
        EntriesRead { records, proof: history.proof(end, head) }
    }

    fn register(&self, log: &LogName, epoch: u32) -> Register {
        let copy = self.witnessed.get(log).filter(|_| epoch == 1);
        Register {
            verifier: copy.map(|_| log_of(log).verifier.clone()),
            head: copy.and_then(|copy| copy.head.clone()).map(|(_, note)| note),
            closed_at: None,
            frozen: false,
        }
    }
}

fn own_log(log: &LogName, size: u64) -> OwnLog {
    let Log { verifier, histories: [history, _], .. } = log_of(log);
    OwnLog {
        log: log.clone(),
        epoch: 1,
        verifier: verifier.clone(),
        size,
        root: history.root(size),
        first: (size > 0).then(|| history.root(1)),
        succession: None,
        keyless: false,
        witnessed: None,
        mirrored: None,
    }
}

fn mirrored(log: &LogName, copy: &Copy) -> MirroredLog {
    MirroredLog {
        log: log.clone(),
        epoch: 1,
        verifier: log_of(log).verifier.clone(),
        closed_at: None,
        frozen: copy.frozen.clone(),
        frontier: copy.frontier.clone(),
        first: (copy.size > 0).then(|| log_of(log).histories[0].root(1)),
        head: copy.head.as_ref().map(|(_, note)| note.clone()),
        head_at: None,
    }
}

fn given(log: &LogName, held: u64, head: u64) -> GivenLog {
    let history = &log_of(log).histories[0];
    let rest =
        Rest { note: history.heads[head as usize].clone(), proof: history.proof(held, head) };
    GivenLog { log: log.clone(), epoch: 1, size: held, root: history.root(held), rest }
}

fn recover(log: &LogName, copy: &Copy) -> Recover {
    let lost = LostEpoch {
        epoch: 1,
        verifier: log_of(log).verifier.clone(),
        frontier: copy.frontier.clone(),
        head: copy.head.as_ref().map(|(_, note)| note.clone()),
    };
    Recover { log: log.clone(), epochs: vec![lost] }
}
