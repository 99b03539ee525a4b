//! Judging what was read: each head against the others, each entry against its proofs.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::Files;
use super::check::{Check, Pending};
use super::epochs::Ending;
use super::report::{Conflict, FileReport, OriginRefusal, OriginReport, Refusal, Report, Subject};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::log::{is_origin_of, parse_origin};
use crate::merkle::verify_inclusion;
use crate::policy::{Evaluation, PolicyRefusal};
use crate::proof::TlogProof;
use crate::record::Leaf;

impl<F: Files> Check<'_, F> {
    /// Judges everything that was read.
    pub(super) fn judge(mut self) -> Report {
        let pending = mem::take(&mut self.pending);
        let leaf = |pending: &Pending| match pending {
            Pending::Leaf(leaf) => Some((leaf.seq, *leaf)),
            _ => None,
        };
        let leaves: BTreeMap<u64, Leaf> = pending.values().filter_map(leaf).collect();
        // Entries that an accepted receipt or slip proves.
        let mut proved = BTreeSet::new();
        let mut endings = BTreeMap::new();
        for (name, file) in &pending {
            let verdict = match file {
                Pending::Head(judged) => self.judge_head(judged),
                Pending::Link { old, head } => self.judge_link(*old, head),
                Pending::Proof { proof, judged, receipt } => {
                    let found = self.judge_proof(proof, judged, *receipt, &leaves);
                    found.map(|(subject, leaf)| {
                        proved.insert((proof.index(), leaf));
                        let ending = Ending::of_proof(proof);
                        let origin = judged.checkpoint.origin.clone();
                        endings.extend(ending.map(|ending| (origin, ending)));
                        subject
                    })
                }
                Pending::Leaf(_) => continue,
            };
            self.tell(name, verdict);
        }
        for (name, file) in &pending {
            if let Pending::Leaf(leaf) = file {
                let verdict = self.judge_leaf(leaf, &proved);
                self.tell(name, verdict);
            }
        }
        self.endings = endings;
        let origins = self.judge_origins();
        let files = self.verdicts.into_iter();
        let files = files.map(|(name, verdict)| FileReport { name, verdict }).collect();
        Report { files, origins }
    }

    /// Whether a head agrees with the other heads of its origin.
    fn agrees(&self, head: &Checkpoint) -> Result<(), Conflict> {
        self.heads.get(&head.origin).map_or(Ok(()), |heads| heads.judge(head))
    }

    fn judge_head(&self, judged: &Evaluation) -> Result<Subject, Refusal> {
        let head = &judged.checkpoint;
        self.agrees(head).map_err(Refusal::Conflict)?;
        let (origin, missing) = (head.origin.clone(), judged.missing.clone());
        Ok(Subject::Head { origin, size: head.size, missing })
    }

    fn judge_link(&self, old: u64, head: &Checkpoint) -> Result<Subject, Refusal> {
        self.agrees(head).map_err(Refusal::Conflict)?;
        Ok(Subject::Link { origin: head.origin.clone(), old, new: head.size })
    }

    /// A receipt or slip: its entry is in its head, and the log still has it. Gives the leaf hash.
    fn judge_proof(
        &self,
        proof: &TlogProof,
        judged: &Evaluation,
        receipt: bool,
        leaves: &BTreeMap<u64, Leaf>,
    ) -> Result<(Subject, Hash), Refusal> {
        let (index, head) = (proof.index(), &judged.checkpoint);
        let leaf = self.leaf_of(proof, head, leaves)?;
        if receipt && let Some(missing) = &judged.missing {
            return Err(PolicyRefusal::Quorum(missing.clone()).into());
        }
        self.agrees(head).map_err(|conflict| match conflict {
            Conflict::Unlinked { .. } => Refusal::Uncovered { index, conflict },
            _ => Refusal::Suppressed { index, conflict },
        })?;
        let origin = head.origin.clone();
        let subject = match receipt {
            true => Subject::Receipt { origin, index },
            false => Subject::Slip { origin, index },
        };
        Ok((subject, leaf))
    }

    /// The leaf that a proof proves: that of its opening, or else an entry of its index in
    /// `leaves/` or `log/`.
    fn leaf_of(
        &self,
        proof: &TlogProof,
        head: &Checkpoint,
        leaves: &BTreeMap<u64, Leaf>,
    ) -> Result<Hash, Refusal> {
        let index = proof.index();
        let verify = |leaf: Hash| {
            let found = verify_inclusion(index, head.size, &leaf, proof.path(), &head.root);
            found.map(|()| leaf).map_err(Refusal::from)
        };
        if let Some(opening) = proof.opening()? {
            let header = opening.header();
            if !is_origin_of(&head.origin, &header.log, header.epoch) {
                let (log, epoch) = (header.log.to_string(), header.epoch);
                return Err(Refusal::Epoch { log, epoch });
            }
            return verify(opening.leaf_hash());
        }
        let copied = self.copied.as_ref().filter(|(origin, _)| *origin == head.origin);
        let copied = copied.and_then(|(_, entries)| Leaf::parse(entries.get(&index)?).ok());
        let mut refusal = Refusal::NoLeaf { index };
        for leaf in leaves.get(&index).copied().into_iter().chain(copied) {
            match verify(leaf.hash()) {
                Ok(leaf) => return Ok(leaf),
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    /// A file of `leaves/`: something proves it.
    fn judge_leaf(&self, leaf: &Leaf, proved: &BTreeSet<(u64, Hash)>) -> Result<Subject, Refusal> {
        let index = leaf.seq;
        let entry = self.copied.as_ref().and_then(|(_, entries)| entries.get(&index));
        let copied = entry.is_some_and(|entry| *entry == leaf.to_bytes());
        if copied || proved.contains(&(index, leaf.hash())) {
            return Ok(Subject::Leaf { index });
        }
        Err(Refusal::Unproved)
    }

    /// The origins as a whole: witnessed, and epochs of one log.
    fn judge_origins(&self) -> Vec<OriginReport> {
        let mut reports: Vec<OriginReport> = Vec::new();
        // An earlier origin of the same log, by epoch.
        let mut epochs: Vec<(u32, usize)> = Vec::new();
        let mut first: Option<(&str, String)> = None;
        for (origin, heads) in &self.heads {
            let witnessed = heads.witnessed();
            let mut refusal = witnessed.is_none().then_some(OriginRefusal::NotWitnessed);
            match parse_origin(origin) {
                None => refusal = Some(OriginRefusal::Spelling),
                Some((domain, log, epoch)) => {
                    let own = (domain.to_owned(), log.to_string());
                    let place = format!("{}/{}", own.0, own.1);
                    let (other, reference) = first.get_or_insert((origin, place.clone()));
                    if *reference == place {
                        epochs.push((epoch, reports.len()));
                    } else {
                        refusal = Some(OriginRefusal::OtherLog { other: (*other).to_owned() });
                    }
                }
            }
            let end = heads.largest();
            let origin = origin.clone();
            let (closed, after_others, before) = (None, false, None);
            let report =
                OriginReport { origin, end, witnessed, closed, after_others, before, refusal };
            reports.push(report);
        }
        epochs.sort_unstable();
        if let Some((newest, at)) = epochs.last().copied() {
            reports[at].before = self.listed_behind(&reports[at].origin, newest);
        }
        self.judge_epochs(&epochs, &mut reports);
        reports
    }

    /// The newest epoch of the log of `origin` behind `epoch` of which the policy has the key.
    fn listed_behind(&self, origin: &str, epoch: u32) -> Option<u32> {
        let (domain, log, _) = parse_origin(origin)?;
        let keys = self.policy.logs().iter();
        let epochs = keys.filter_map(|listed| {
            let (of, name, listed) = parse_origin(listed.key.name())?;
            (of == domain && name == log).then_some(listed)
        });
        epochs.max().filter(|listed| *listed > epoch)
    }

    /// The epochs of the log, each with its place in the reports: none is missing between them, and
    /// each begins with what the one before ended with.
    fn judge_epochs(&self, epochs: &[(u32, usize)], reports: &mut [OriginReport]) {
        // The newest first: one that is accepted vouches for the end of the one before.
        for (index, (epoch, at)) in epochs.iter().copied().enumerate().rev() {
            if epoch == 1 {
                continue;
            }
            let before = index.checked_sub(1).map(|index| epochs[index]);
            reports[at].after_others = before.is_none();
            let refusal = match (self.endings.get(&reports[at].origin), before) {
                (_, Some((before, _))) if before + 1 != epoch => {
                    Some(OriginRefusal::Gap { missing: before + 1 })
                }
                (None, _) => Some(OriginRefusal::NoBeginning),
                (Some(ending), Some((before, _))) if ending.epoch != before => {
                    Some(OriginRefusal::OtherEnd { epoch: ending.epoch, size: ending.size })
                }
                (Some(ending), Some((_, place))) => {
                    let accepted = reports[at].refusal.is_none();
                    self.judge_end(ending, accepted, &mut reports[place])
                }
                (Some(_), None) => None,
            };
            reports[at].refusal = reports[at].refusal.take().or(refusal);
        }
    }

    /// Whether an epoch ended as the next one says. Gives why the next one is refused. An epoch
    /// that has no head with the quorum is good if one that is accepted says where it ended.
    fn judge_end(
        &self,
        ending: &Ending,
        accepted: bool,
        report: &mut OriginReport,
    ) -> Option<OriginRefusal> {
        let heads = self.heads.get(&report.origin)?;
        let tied = heads.ties(ending.size, &ending.root);
        if tied == Some(false) {
            return Some(OriginRefusal::OtherEnd { epoch: ending.epoch, size: ending.size });
        }
        report.closed = Some(ending.size);
        let alone = report.refusal == Some(OriginRefusal::NotWitnessed);
        if alone && accepted && tied == Some(true) && ending.size == heads.largest() {
            report.refusal = None;
        }
        None
    }
}
