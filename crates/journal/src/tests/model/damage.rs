//! Damage of the stored files: refused at open with what is lost, or reported, never served.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use super::history::{Act, history};
use super::*;
use crate::DamageReport;
use crate::frame::{Head, Kind};
use crate::limits::FRAME_HEADER;
use crate::segment::SEGMENT_HEADER;

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Log, epoch and sequence of a record.
type Key = (LogName, u32, u64);

/// Where a record lies.
#[derive(Debug, Clone)]
struct Place {
    file: usize,
    frame: Range<usize>,
    /// The frames of its group up to the trailer's end.
    group: Range<usize>,
}

/// A log frame: log, epoch, file and place.
type Opened = (LogName, u32, usize, Range<usize>);

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Zeros,
    Cut,
    Delete,
}

/// A closed journal and its model after a history.
struct Sample {
    files: Files,
    store: MemoryStore,
    model: Reference,
    places: HashMap<Key, Place>,
    opened: Vec<Opened>,
}

impl Sample {
    fn of(acts: &[Act]) -> Self {
        let (disk, store) = (MemoryDisk::new(), MemoryStore::new());
        let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
        let mut pair = Pair::new(journal);
        assert!(pair.prepare().is_ok());
        for (step, act) in acts.iter().enumerate() {
            assert!(pair.act(act, step).is_ok());
        }
        pair.journal.close();
        let (files, model) = (disk.files(), pair.model);
        let (places, opened) = places(&files, &model);
        let records: u64 = model.infos().iter().map(|info| info.size).sum();
        assert_eq!(places.len() as u64, records, "every record has one frame");
        Self { files, store, model, places, opened }
    }

    /// Harms a file; which bytes are different now.
    fn harm(&self, harm: Harm, chance: &mut Chance) -> (Files, usize, Range<usize>) {
        let mut files = self.files.clone();
        let no = chance.below(files.len() as u64) as usize;
        let bytes = &mut files[no].1;
        // Behind the last group an active file has nothing but zeros: a little of them is enough.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 40);
        let at = chance.below(used.min(bytes.len()).max(1) as u64) as usize;
        let range = match harm {
            Harm::Flip if at < bytes.len() => {
                bytes[at] ^= 1 << chance.below(8);
                at..at + 1
            }
            Harm::Zeros => {
                let end = (at + 1 + chance.below(700) as usize).min(bytes.len());
                bytes[at..end].fill(0);
                at..end
            }
            Harm::Cut => {
                let len = bytes.len();
                bytes.truncate(at);
                at..len
            }
            Harm::Flip | Harm::Delete => {
                let len = bytes.len();
                files.remove(no);
                0..len
            }
        };
        (files, no, range)
    }

    /// Whether something that is still there names the log and the epoch of a record: a log frame,
    /// and the journal's id, without which no frame can be told from chance.
    fn is_nameable(&self, (log, epoch, _): &Key, no: usize, harmed: &Range<usize>) -> bool {
        let meets = |range: &Range<usize>| range.start < harmed.end && harmed.start < range.end;
        let others = self.opened.iter().any(|(_, _, file, _)| *file != no);
        if !others && meets(&(16..32)) {
            return false;
        }
        self.opened.iter().any(|(named, of, file, frame)| {
            (named, of) == (log, epoch) && (*file != no || !meets(frame))
        })
    }

    /// The records whose frame is not there any more as it was written.
    fn lost(&self, files: &Files, no: usize) -> Vec<&Key> {
        let path = &self.files[no].0;
        let bytes = files.iter().find(|(other, _)| other == path).map(|(_, bytes)| bytes);
        let good = |place: &Place| {
            bytes.and_then(|bytes| bytes.get(place.frame.clone()))
                == Some(&self.files[no].1[place.frame.clone()])
        };
        let lost = self.places.iter().filter(|(_, place)| place.file == no && !good(place));
        lost.map(|(key, _)| key).collect()
    }
}

/// Finds the frames of all records and logs.
fn places(files: &Files, model: &Reference) -> (HashMap<Key, Place>, Vec<Opened>) {
    let (mut places, mut opened) = (HashMap::new(), Vec::new());
    for (file, (path, bytes)) in files.iter().enumerate() {
        if path.extension().is_none() {
            continue;
        }
        let (mut at, mut begun, mut group) = (SEGMENT_HEADER, SEGMENT_HEADER, Vec::new());
        while let Some(head) = bytes[at..].first_chunk().and_then(Head::decode) {
            let frame = at..at + FRAME_HEADER + head.len as usize;
            at += head.span();
            if head.kind == Kind::Record {
                let log = &model.logs[usize::from(head.log_no) - 1];
                let stored = &bytes[frame.start + FRAME_HEADER..frame.end];
                let record = &log.epochs[&head.epoch][head.seq as usize];
                assert_eq!(stored, record.bytes());
                group.push(((log.name.clone(), head.epoch, head.seq), frame));
            } else if head.kind == Kind::Log {
                let log = model.logs[usize::from(head.log_no) - 1].name.clone();
                // A frame without its padding is none.
                opened.push((log, head.epoch, file, frame.start..at));
            } else if head.kind == Kind::Trailer {
                let whole = begun..at;
                let place = |frame| Place { file, frame, group: whole.clone() };
                places.extend(group.drain(..).map(|(key, frame)| (key, place(frame))));
                begun = at;
            }
        }
    }
    (places, opened)
}

/// Whether a report names a record as missing.
fn names(report: &DamageReport, (log, epoch, seq): &Key) -> bool {
    report.missing.iter().any(|range| {
        let reaches = range.to.is_none_or(|to| *seq < to);
        range.log == *log && range.epoch == *epoch && range.from <= *seq && reaches
    })
}

/// A refused open names all that is lost and nothing that is whole.
fn refused(sample: &Sample, report: &DamageReport, lost: &[&Key], no: usize, at: &Range<usize>) {
    let nameable = |key: &&&Key| sample.is_nameable(key, no, at);
    for key in lost.iter().filter(nameable) {
        assert!(names(report, key), "{key:?} is lost and not named: {report}; lost {lost:?}");
    }
    let torn = |place: &Place| {
        let (a, b) = (&place.group, at);
        place.file == no && a.start < b.end && b.start < a.end
    };
    for (key, place) in &sample.places {
        let there = !lost.contains(&key) && !torn(place);
        assert!(!(there && names(report, key)), "{key:?} is there and named: {report}");
    }
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn damage_is_refused_or_reported_and_never_served(
        acts in history(6..20), seed: u64,
        harms in prop::collection::vec(
            prop_oneof![
                4 => Just(Harm::Flip), 2 => Just(Harm::Zeros), 2 => Just(Harm::Cut),
                1 => Just(Harm::Delete),
            ],
            8,
        ),
    ) {
        let (sample, mut chance) = (Sample::of(&acts), Chance(seed));
        for harm in harms {
            let (files, no, range) = sample.harm(harm, &mut chance);
            let lost = sample.lost(&files, no);
            let disk = MemoryDisk::with_files(&files);
            let store = match chance.below(3) {
                0 => MemoryStore::new(),
                1 => sample.store.reboot(0),
                _ => sample.store.reboot(usize::MAX),
            };
            match open_memory(&disk, &store, SMALL) {
                Err(OpenError::Damaged(report)) => {
                    prop_assert_eq!(disk.files(), files, "a refused open changes nothing");
                    refused(&sample, &report, &lost, no, &range);
                }
                Err(other) => panic!("{other}"),
                Ok((journal, _)) => {
                    let view = View::Live(&journal);
                    let mut look = Look::new(view, &sample.model, seed, files != sample.files);
                    look.everything();
                    if !lost.is_empty() || look.faults > 0 {
                        let report = check(&journal);
                        prop_assert!(!report.is_clean(), "{:?} passed unseen", lost);
                    }
                }
            }
        }
    }
}
