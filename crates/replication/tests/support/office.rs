//! One office: what is on its disk, and the driver's side of the actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::checkpoint::{Checkpoint, verify_cosignature};
use evidence::log::origin;
use evidence::merkle::{consistency_proof, inclusion_proof, root_at};
use evidence::note::Signer;
use evidence::record::{Record, RecordView, Urgency};
use evidence::succession::Succession;
use evidence::{Hash, LogName};
use replication::{
    Action, CosignatureKind, Cosigned, Countersigned, EntriesRead, Failure, Fault, Limits,
    Mirrored, MirroredLog, Now, Offered, OwnLog, Party, PersistWitness, PreviewAsk, PreviewRead,
    Recovered, RefusalCode, Register, Session, SessionConfig, SignedHead, StoreCosignature,
    WitnessedHead,
};

use super::{DOMAIN, Tree, record};

/// A log as it is on disk.
#[derive(Clone, Default)]
pub struct Stored {
    pub records: Vec<Vec<u8>>,
    pub tree: Tree,
}

impl Stored {
    pub fn push(&mut self, bytes: Vec<u8>) {
        self.tree.push(Record::parse(bytes.clone()).unwrap().leaf_hash());
        self.records.push(bytes);
    }

    pub fn size(&self) -> u64 {
        self.records.len() as u64
    }

    pub fn root(&self) -> Hash {
        self.tree.frontier.root()
    }

    pub fn root_at(&self, size: u64) -> Hash {
        root_at(&self.tree, size).unwrap()
    }
}

/// What survives a crash.
#[derive(Clone)]
pub struct Mirror {
    pub stored: Stored,
    pub head: Option<(u64, String)>,
}

/// A head in the register of a further witness, epoch 1.
#[derive(Clone)]
pub struct Watched {
    pub log: LogName,
    pub size: u64,
    pub note: String,
}

impl Watched {
    fn named(&self) -> WitnessedHead {
        WitnessedHead { log: self.log.clone(), epoch: 1, note: self.note.clone() }
    }
}

#[derive(Clone)]
pub struct Office {
    pub code: String,
    /// The epoch of all its logs; several offices make one that has several.
    pub epoch: u32,
    pub own: BTreeMap<LogName, Stored>,
    pub mirrors: BTreeMap<LogName, Mirror>,
    pub cosignatures: Vec<StoreCosignature>,
    /// Heads that it co-signed as a further witness.
    pub witnessed: Vec<Watched>,
    /// Logs of which it may be a further witness.
    pub enrolled: Vec<LogName>,
    /// Where the epoch of those logs was closed.
    pub closed_at: Option<u64>,
    pub mirrored: Vec<Mirrored>,
    pub countersigned: Vec<Countersigned>,
    pub taken: Vec<Cosigned>,
    pub faults: Vec<Fault>,
    /// What the peer said that it holds of our own log, and what came back.
    pub offered: Vec<Offered>,
    pub recovered: Vec<Recovered>,
    /// Urgent records that the peer has shown ahead.
    pub shown: Vec<(LogName, u64)>,
    /// Why nothing can be stored, if so.
    pub refuses: Option<Failure>,
    /// Reading this log finds damage.
    pub damaged: Option<LogName>,
    pub instance: u8,
    pub heads_signed: BTreeMap<(LogName, u64), Hash>,
}

pub fn key(name: &str) -> [u8; 32] {
    evidence::hash::sha256(name.as_bytes())
}

pub fn log_signer(log: &LogName) -> Signer {
    log_signer_of(log, 1)
}

pub fn log_signer_of(log: &LogName, epoch: u32) -> Signer {
    let name = origin(DOMAIN, log, epoch);
    Signer::log(&name, &key(&name)).unwrap()
}

pub fn cosigner(office: &str, role: &str) -> Signer {
    let name = format!("{DOMAIN}/{role}/{}", office.to_lowercase());
    Signer::cosigner(&name, &key(&name)).unwrap()
}

impl Office {
    pub fn new(code: &str, own: &[&str], mirrors: &[&str]) -> Office {
        let mirror = || Mirror { stored: Stored::default(), head: None };
        Office {
            code: code.to_owned(),
            epoch: 1,
            own: own.iter().map(|n| (super::name(n), Stored::default())).collect(),
            mirrors: mirrors.iter().map(|n| (super::name(n), mirror())).collect(),
            cosignatures: Vec::new(),
            witnessed: Vec::new(),
            enrolled: Vec::new(),
            closed_at: None,
            mirrored: Vec::new(),
            countersigned: Vec::new(),
            taken: Vec::new(),
            faults: Vec::new(),
            offered: Vec::new(),
            recovered: Vec::new(),
            shown: Vec::new(),
            refuses: None,
            damaged: None,
            instance: code.len() as u8 * 40,
            heads_signed: BTreeMap::new(),
        }
    }

    pub fn append(&mut self, log: &LogName, salt: u64) -> u64 {
        let stored = self.own.get_mut(log).unwrap();
        let seq = stored.size();
        stored.push(record(log, self.epoch, seq, salt));
        seq + 1
    }

    pub fn config(&self, peer: &str, limits: &Limits) -> SessionConfig {
        SessionConfig {
            domain: DOMAIN.to_owned(),
            office: self.code.clone(),
            peer: peer.to_owned(),
            instance: [self.instance; 16],
            software: "adal test".to_owned(),
            witness: Arc::new(cosigner(&self.code, "witness")),
            mirror: Arc::new(cosigner(&self.code, "mirror")),
            peer_witness: Some(cosigner(peer, "witness").verifier()),
            peer_mirror: Some(cosigner(peer, "mirror").verifier()),
            own: self.own.iter().map(|(log, s)| own_log(log, self.epoch, s)).collect(),
            mirrored: self
                .mirrors
                .iter()
                .map(|(log, m)| MirroredLog {
                    frozen: self.frozen(log),
                    ..mirrored_log(log, self.epoch, m)
                })
                .collect(),
            witnessed: self.witnessed.iter().map(Watched::named).collect(),
            shown: Vec::new(),
            forgotten: false,
            given: Vec::new(),
            recover: None,
            limits: limits.clone(),
        }
    }

    /// Executes one request against the disk and gives the answer to the session.
    pub fn execute(&mut self, now: Now, action: Action, session: &mut Session) {
        match action {
            Action::ReadKeys(ask) => session.keys_read(now, ask.ticket, Vec::new()),
            Action::KeepKeys(ask) => session.keys_kept(now, ask.ticket, Ok(())),
            Action::ReadRoot(r) => {
                let root = self.root(&r.log, r.size);
                session.root_read(now, r.ticket, root);
            }
            Action::SignHead(r) => {
                let answer = self.sign(&r.log, r.old_size, r.size);
                session.head_signed(now, r.ticket, answer);
            }
            Action::ReadEntries(r) => {
                let answer = self.read(&r.log, r.from, r.max_bytes, r.head_size);
                session.entries_read(now, r.ticket, answer);
            }
            Action::PersistHead(r) => {
                let mirror = self.mirrors.get_mut(&r.log).unwrap();
                let answer = if let Some(failure) = self.refuses {
                    Err(failure)
                } else if mirror.head.as_ref().map(|h| h.0) != r.replaces {
                    Err(Failure::OutOfStep)
                } else {
                    mirror.head = Some((r.size, r.note));
                    Ok(())
                };
                session.head_persisted(now, r.ticket, answer);
            }
            Action::CommitBatch(r) => {
                let answer = self.commit(*r.batch);
                session.stored(now, r.ticket, answer);
            }
            Action::StoreCosignature(c) => {
                let role = match c.kind {
                    CosignatureKind::Witness => "witness",
                    CosignatureKind::Mirror => "mirror",
                };
                let other = if self.code == "KZ" { "KZ-75" } else { "KZ" };
                let verifier = cosigner(other, role).verifier();
                assert_eq!(verify_cosignature(&c.note, &c.line, &verifier), Ok(c.time));
                self.cosignatures.push(c);
            }
            Action::Mirrored(mirrored) => self.mirrored.push(mirrored),
            Action::ProveHead(r) => {
                let stored = self.own.get(&r.log).unwrap_or_else(|| &self.mirrors[&r.log].stored);
                let proof = consistency_proof(&stored.tree, r.old_size, r.size).unwrap();
                session.head_proved(now, r.ticket, Ok(proof));
            }
            Action::Countersigned(c) => self.countersigned.push(c),
            Action::ReadRegister(r) => {
                let answer = self.register(&r.log, r.epoch);
                session.register_read(now, r.ticket, Ok(answer));
            }
            Action::PersistWitness(r) => {
                let answer = self.persist_witness(&r);
                session.witness_persisted(now, r.ticket, answer);
            }
            Action::TakeCosignature(c) => self.taken.push(c),
            Action::Fault(fault) => self.faults.push(fault),
            Action::NewEpoch(opened) => session.epoch_opened(now, opened.ticket, Ok(())),
            Action::Recall(recall) => session.recalled(now, recall.ticket, Ok(false)),
            Action::Preview(ask) => self.preview(now, ask, session),
            Action::Attachment(_) => {}
            Action::Greeted(_) | Action::PeerForgot(_) | Action::Send(_) | Action::Close(_) => {}
            Action::Offered(offered) => self.offered.push(offered),
            Action::Recovered(recovered) => self.recovered.push(recovered),
        }
    }

    fn preview(&mut self, now: Now, ask: PreviewAsk, session: &mut Session) {
        match ask {
            PreviewAsk::Find(r) => {
                let urgent = |seq: &u64| {
                    let record = &self.own[&r.log].records[*seq as usize];
                    RecordView::parse(record).unwrap().header().urgency == Urgency::Urgent
                };
                let urgent: Vec<u64> = (r.from..r.end).filter(urgent).collect();
                session.urgent_found(now, r.ticket, &urgent);
            }
            PreviewAsk::Read(r) => {
                let own = &self.own[&r.log];
                let record = own.records[r.seq as usize].clone();
                let proof = inclusion_proof(&own.tree, r.seq, r.head_size).unwrap();
                session.preview_read(now, r.ticket, Some(PreviewRead { record, proof }));
            }
            PreviewAsk::Show(shown) => {
                let header = shown.record.header();
                let mirror = &self.mirrors[&header.log];
                assert!(mirror.head.as_ref().is_some_and(|head| header.seq < head.0));
                self.shown.push((header.log.clone(), header.seq));
            }
        }
    }

    fn register(&self, log: &LogName, epoch: u32) -> Register {
        let head = self.witnessed.iter().find(|w| w.log == *log);
        Register {
            verifier: self.enrolled.contains(log).then(|| log_signer_of(log, epoch).verifier()),
            head: head.map(|w| w.note.clone()),
            closed_at: self.closed_at,
            frozen: self.frozen(log).is_some(),
        }
    }

    /// The text of a fork that was proved, if one was.
    fn frozen(&self, log: &LogName) -> Option<String> {
        let is_proof = |f: &&Fault| f.code == RefusalCode::Fork && f.found_by == Party::Us;
        let mut faults = self.faults.iter().filter(|f| f.log == *log);
        faults.find(is_proof).map(|f| f.text.clone())
    }

    fn persist_witness(&mut self, ask: &PersistWitness) -> Result<(), Failure> {
        if let Some(failure) = self.refuses {
            return Err(failure);
        }
        let at = self.witnessed.iter().position(|w| w.log == ask.log);
        if at.map(|at| self.witnessed[at].size) != ask.replaces {
            return Err(Failure::OutOfStep);
        }
        at.map(|at| self.witnessed.remove(at));
        let (log, size, note) = (ask.log.clone(), ask.size, ask.note.clone());
        self.witnessed.push(Watched { log, size, note });
        Ok(())
    }

    fn root(&self, log: &LogName, size: u64) -> Result<Hash, Failure> {
        self.readable(log).map(|()| match self.own.get(log) {
            Some(own) => own.root_at(size),
            None => self.mirrors[log].stored.root_at(size),
        })
    }

    fn readable(&self, log: &LogName) -> Result<(), Failure> {
        if self.damaged.as_ref() == Some(log) { Err(Failure::Damaged) } else { Ok(()) }
    }

    fn sign(&mut self, log: &LogName, old: u64, size: u64) -> Result<SignedHead, Failure> {
        let stored = &self.own[log];
        let root = stored.root_at(size);
        let earlier = *self.heads_signed.entry((log.clone(), size)).or_insert(root);
        assert_eq!(earlier, root, "a log key never signs two roots for one size");
        let checkpoint = Checkpoint { origin: origin(DOMAIN, log, self.epoch), size, root };
        let note = checkpoint.sign(&log_signer_of(log, self.epoch)).unwrap();
        Ok(SignedHead { note, proof: consistency_proof(&stored.tree, old, size).unwrap() })
    }

    fn read(
        &self,
        log: &LogName,
        from: u64,
        max_bytes: usize,
        head_size: u64,
    ) -> Result<EntriesRead, Failure> {
        self.readable(log)?;
        let stored = &self.own[log];
        let mut records = Vec::new();
        let mut bytes = 0;
        for record in &stored.records[from as usize..head_size as usize] {
            bytes += record.len();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        let end = from + records.len() as u64;
        Ok(EntriesRead { records, proof: consistency_proof(&stored.tree, end, head_size).unwrap() })
    }

    fn commit(&mut self, batch: evidence::verify::VerifiedBatch) -> Result<(), Failure> {
        if let Some(failure) = self.refuses {
            return Err(failure);
        }
        let mirror = self.mirrors.get_mut(batch.log()).unwrap();
        if batch.first_seq() != mirror.stored.size() {
            return Err(Failure::OutOfStep);
        }
        assert!(mirror.head.as_ref().is_some_and(|h| h.0 >= batch.end()), "no head covers it");
        let parts = batch.into_parts();
        for (record, nodes) in parts.records.into_iter().zip(parts.nodes) {
            assert_eq!(nodes[0], record.leaf_hash());
            mirror.stored.push(record.into_bytes());
        }
        assert_eq!(mirror.stored.tree.frontier, parts.frontier);
        Ok(())
    }
}

/// The note in which the key of the epoch before names this one's.
pub fn succession(log: &LogName, epoch: u32) -> Option<String> {
    let before = epoch.checked_sub(1).filter(|before| *before > 0)?;
    let origin = origin(DOMAIN, log, before);
    let closed = Checkpoint { origin, size: 0, root: evidence::merkle::empty_root() };
    let successor = log_signer_of(log, epoch).verifier();
    Some(Succession { closed, successor }.sign(&log_signer_of(log, before)).unwrap())
}

pub fn own_log(log: &LogName, epoch: u32, stored: &Stored) -> OwnLog {
    OwnLog {
        log: log.clone(),
        epoch,
        verifier: log_signer_of(log, epoch).verifier(),
        size: stored.size(),
        root: stored.root(),
        first: (stored.size() > 0).then(|| stored.root_at(1)),
        succession: succession(log, epoch),
        keyless: false,
        witnessed: None,
        mirrored: None,
    }
}

pub fn mirrored_log(log: &LogName, epoch: u32, mirror: &Mirror) -> MirroredLog {
    MirroredLog {
        log: log.clone(),
        epoch,
        verifier: log_signer_of(log, epoch).verifier(),
        closed_at: None,
        frozen: None,
        frontier: mirror.stored.tree.frontier.clone(),
        first: (mirror.stored.size() > 0).then(|| mirror.stored.root_at(1)),
        head: mirror.head.as_ref().map(|h| h.1.clone()),
        head_at: None,
    }
}
