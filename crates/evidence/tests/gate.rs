//! The gate into a mirror: an honest writer passes, every other is refused.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Memory, config, small};
use evidence::checkpoint::Checkpoint;
use evidence::hash::Hash;
use evidence::log::{LogName, origin};
use evidence::merkle::{ProofError, consistency_proof, empty_root, inclusion_proof, root_at};
use evidence::record::{Record, RecordError, Urgency};
use evidence::verify::{
    AdmitError, HeadError, MAX_BATCH, VerifiedBatch, admit, check_head, check_preview,
};
use proptest::prelude::*;

/// A writer with its records and its tree.
struct Writer {
    log: LogName,
    records: Vec<Vec<u8>>,
    tree: Memory,
}

impl Writer {
    /// Writes `count` records; `mark` makes them differ from those of another writer from
    /// sequence `from` on.
    fn new(count: u64, from: u64, mark: &str) -> Self {
        let record = |seq| {
            let open = if seq < from { "same".to_owned() } else { format!("{mark} {seq}") };
            small("kz-75", seq, open.as_bytes()).into_record().unwrap()
        };
        let records: Vec<Record> = (0..count).map(record).collect();
        let tree = Memory::of(records.iter().map(Record::leaf_hash));
        let records = records.into_iter().map(Record::into_bytes).collect();
        Self { log: LogName::new("kz-75").unwrap(), records, tree }
    }

    fn head(&self, size: u64) -> Checkpoint {
        let origin = origin("adal.example", &self.log, 1);
        Checkpoint { origin, size, root: root_at(&self.tree, size).unwrap() }
    }

    fn batch(&self, from: u64, to: u64) -> Vec<Vec<u8>> {
        self.records[from as usize..to as usize].to_vec()
    }

    fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(&self.tree, old, new).unwrap()
    }

    /// Sends `from..to` under the head of `size` to a mirror that holds `held` records.
    fn send(&self, held: u64, from: u64, to: u64, size: u64) -> Result<VerifiedBatch, AdmitError> {
        self.send_bytes(held, from, self.batch(from, to), size)
    }

    /// Sends these bytes with the honest proof.
    fn send_bytes(
        &self,
        held: u64,
        from: u64,
        records: Vec<Vec<u8>>,
        size: u64,
    ) -> Result<VerifiedBatch, AdmitError> {
        let frontier = evidence::merkle::Frontier::load(&self.tree, held).unwrap();
        let to = from + records.len() as u64;
        let proof = if to <= size { self.proof(to, size) } else { Vec::new() };
        admit(&frontier, &self.log, 1, records, from, &self.head(size), &proof)
    }
}

fn misplaced(seq: u64, field: &'static str) -> AdmitError {
    AdmitError::Misplaced { seq, field }
}

#[test]
fn an_honest_batch_passes_with_its_nodes() {
    let writer = Writer::new(9, 0, "a");
    let batch = writer.send(3, 3, 7, 9).unwrap();
    assert_eq!((batch.first_seq(), batch.end(), batch.epoch()), (3, 7, 1));
    assert_eq!(batch.log(), &writer.log);
    assert_eq!(batch.nodes(), &writer.tree.nodes[3..7]);
    assert_eq!(batch.frontier().root(), root_at(&writer.tree, 7).unwrap());
    let parts = batch.into_parts();
    let bytes: Vec<_> = parts.records.into_iter().map(Record::into_bytes).collect();
    assert_eq!(bytes, writer.batch(3, 7));
}

#[test]
fn duplicates_and_gaps_are_told_apart() {
    let writer = Writer::new(9, 0, "a");
    let refused = |held, from, to, size| writer.send(held, from, to, size).unwrap_err();
    assert_eq!(refused(5, 3, 7, 9), AdmitError::Duplicate { held: 5, first_seq: 3 });
    assert_eq!(refused(2, 3, 7, 9), AdmitError::Gap { held: 2, first_seq: 3 });
    assert_eq!(refused(3, 3, 7, 6), AdmitError::BeyondHead { end: 7, head: 6 });
    assert_eq!(refused(3, 3, 3, 9), AdmitError::Empty);
    let many = vec![Vec::new(); MAX_BATCH + 1];
    let refused = admit(&Default::default(), &writer.log, 1, many, 0, &writer.head(9), &[]);
    assert_eq!(refused.unwrap_err(), AdmitError::TooMany { count: MAX_BATCH + 1 });
}

#[test]
fn records_of_another_place_are_refused() {
    let writer = Writer::new(9, 0, "a");
    let mut swapped = writer.batch(3, 7);
    swapped.swap(1, 2);
    assert_eq!(writer.send_bytes(3, 3, swapped, 9).unwrap_err(), misplaced(4, "seq"));

    let mut foreign = writer.batch(3, 7);
    foreign[3] = small("kz-27", 6, b"a").encode().unwrap();
    assert_eq!(writer.send_bytes(3, 3, foreign, 9).unwrap_err(), misplaced(6, "log"));

    let mut later = small("kz-75", 3, b"a");
    later.header.epoch = 2;
    let later = vec![later.encode().unwrap()];
    assert_eq!(writer.send_bytes(3, 3, later, 9).unwrap_err(), misplaced(3, "epoch"));
}

#[test]
fn a_head_of_another_log_or_epoch_is_refused() {
    let writer = Writer::new(4, 0, "a");
    for (name, epoch) in [("kz-27", 1), ("kz-75", 2)] {
        let origin = origin("adal.example", &LogName::new(name).unwrap(), epoch);
        let head = Checkpoint { origin, ..writer.head(4) };
        let records = writer.batch(0, 4);
        let refused = admit(&Default::default(), &writer.log, 1, records, 0, &head, &[]);
        assert_eq!(refused.unwrap_err(), AdmitError::ForeignHead);
    }
}

#[test]
fn a_broken_record_names_its_sequence_and_field() {
    let writer = Writer::new(9, 0, "a");
    let mut records = writer.batch(3, 7);
    records[2].push(0);
    let source = RecordError::Trailing { count: 1 };
    let refused = writer.send_bytes(3, 3, records, 9).unwrap_err();
    assert_eq!(refused, AdmitError::Record { seq: 5, source });
}

#[test]
fn records_of_another_history_are_unproved() {
    let (writer, forger) = (Writer::new(9, 5, "a"), Writer::new(9, 5, "b"));
    let refused = writer.send_bytes(3, 3, forger.batch(3, 7), 9).unwrap_err();
    assert!(matches!(refused, AdmitError::Unproved(error) if error.contradicts()));
    // Right up to the head: equal sizes, another root.
    let refused = writer.send_bytes(3, 3, forger.batch(3, 9), 9).unwrap_err();
    assert_eq!(refused, AdmitError::Unproved(ProofError::Root));
}

#[test]
fn heads_extend_or_are_refused() {
    let (writer, forger) = (Writer::new(20, 4, "a"), Writer::new(20, 4, "b"));
    let held = |size| (size, writer.head(size).root);
    let nothing = (0, empty_root());
    assert_eq!(check_head(nothing, &writer.head(5), &[]), Ok(()));
    assert_eq!(check_head(nothing, &writer.head(0), &[]), Ok(()));
    assert_eq!(check_head(held(5), &writer.head(5), &[]), Ok(()));
    assert_eq!(check_head(held(5), &writer.head(20), &writer.proof(5, 20)), Ok(()));
    let back = check_head(held(5), &writer.head(4), &[]);
    assert_eq!(back, Err(HeadError::Rollback { held: 5, offered: 4 }));
    let same = check_head(held(5), &forger.head(5), &[]);
    assert_eq!(same, Err(HeadError::Fork { held: 5, offered: 5 }));
    // Noise as a proof does not hide a second root for one size.
    let same = check_head(held(5), &forger.head(5), &[[0; 32]]);
    assert_eq!(same, Err(HeadError::Fork { held: 5, offered: 5 }));
    let later = check_head(held(5), &forger.head(20), &forger.proof(5, 20));
    assert_eq!(later, Err(HeadError::Fork { held: 5, offered: 20 }));
    let short = &writer.proof(5, 20)[1..];
    let found = short.len();
    let malformed = check_head(held(5), &writer.head(20), short);
    assert_eq!(malformed, Err(HeadError::Proof(ProofError::Length { found })));
    // A history that is the same up to the held size is no fork.
    assert_eq!(check_head(held(4), &forger.head(20), &forger.proof(4, 20)), Ok(()));
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn any_split_of_a_log_arrives_whole(
        size in 1u64..40,
        steps in proptest::collection::vec(1u64..9, 40),
    ) {
        let writer = Writer::new(size, 0, "a");
        let mut held = evidence::merkle::Frontier::new();
        for step in steps {
            let (from, to) = (held.size(), (held.size() + step).min(size));
            if from == to {
                break;
            }
            let (head, proof) = (writer.head(size), writer.proof(to, size));
            let batch = admit(&held, &writer.log, 1, writer.batch(from, to), from, &head, &proof);
            held = batch.unwrap().frontier().clone();
        }
        prop_assert_eq!(held, writer.tree.frontier);
    }

    #[test]
    fn one_changed_bit_anywhere_refuses_the_batch(at in any::<u32>(), bit in 0u32..8) {
        let writer = Writer::new(12, 0, "a");
        let mut records = writer.batch(4, 9);
        let lengths: usize = records.iter().map(Vec::len).sum();
        let mut at = at as usize % lengths;
        let hit = records.iter_mut().find(|record| {
            let inside = at < record.len();
            if !inside {
                at -= record.len();
            }
            inside
        });
        hit.unwrap()[at] ^= 1 << bit;
        prop_assert!(writer.send_bytes(4, 4, records, 12).is_err());
    }
}

/// Only an urgent record of this very place, proved by the head, is shown ahead of the others.
#[test]
fn a_preview_is_urgent_proved_and_in_its_place() {
    let log = LogName::new("kz-75").unwrap();
    let record = |seq: u64, text: &str| {
        let mut draft = small("kz-75", seq, text.as_bytes());
        draft.header.urgency = if seq == 4 { Urgency::Urgent } else { Urgency::Normal };
        draft.into_record().unwrap()
    };
    let records: Vec<Record> = (0..9).map(|seq| record(seq, "a")).collect();
    let tree = Memory::of(records.iter().map(Record::leaf_hash));
    let origin = origin("adal.example", &log, 1);
    let head = Checkpoint { origin, size: 7, root: root_at(&tree, 7).unwrap() };
    let proof = |seq| inclusion_proof(&tree, seq, 7).unwrap();
    let show = |seq, bytes: &[u8], proof: &[Hash]| {
        check_preview(&log, 1, seq, bytes.to_vec(), &head, proof)
    };
    let urgent = records[4].bytes();
    assert_eq!(show(4, urgent, &proof(4)).unwrap().bytes(), urgent);

    let normal = show(3, records[3].bytes(), &proof(3)).unwrap_err();
    assert_eq!(normal, AdmitError::NotUrgent { seq: 3 });
    assert_eq!(show(5, urgent, &proof(5)).unwrap_err(), misplaced(5, "seq"));
    let beyond = AdmitError::BeyondHead { end: 8, head: 7 };
    assert_eq!(show(7, records[7].bytes(), &[]).unwrap_err(), beyond);
    let unproved = |shown: Result<Record, AdmitError>| {
        assert!(matches!(shown.unwrap_err(), AdmitError::Unproved(_)));
    };
    unproved(show(4, record(4, "b").bytes(), &proof(4)));
    unproved(show(4, urgent, &proof(3)));
    unproved(show(4, urgent, &[]));
    let cut = show(4, &urgent[..urgent.len() - 1], &proof(4)).unwrap_err();
    assert!(matches!(cut, AdmitError::Record { seq: 4, .. }));
    for (name, epoch) in [("kz-27", 1), ("kz-75", 2)] {
        let name = LogName::new(name).unwrap();
        let foreign = check_preview(&name, epoch, 4, urgent.to_vec(), &head, &proof(4));
        assert_eq!(foreign.unwrap_err(), AdmitError::ForeignHead);
    }
}
