//! Remembers, outside of the system under test, what was acknowledged and what was seen, and
//! compares it with what is there after a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use evidence::hash::{from_hex, hex, sha256};

use crate::history::{Id, Member, Origin, TxId};

/// Log, epoch and sequence.
pub type Place = (String, u32, u64);

/// What is at a place: event id and hash of the stored bytes, as they were said.
type Content = (String, String);

/// The memory of one journal.
#[derive(Default)]
pub struct Auditor {
    /// Everything that was acknowledged, or served after a restart: it must stay.
    places: BTreeMap<Place, Content>,
    events: HashMap<String, Place>,
    /// First event id of each acknowledged command, with `recorded_at` and places of the answer.
    commands: BTreeMap<String, (String, Vec<Place>)>,
    mirrored: BTreeMap<String, u64>,
    epochs: BTreeSet<(String, u32)>,
    origins: BTreeMap<String, Origin>,
}

/// What one audit found.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    /// Records that had been acknowledged or seen before, and are there.
    pub kept: u64,
    /// Further records that are there: the pipe or the kill was faster than the acknowledgement.
    pub unannounced: u64,
    /// Commands that were given again.
    pub commands: u64,
    /// Transactions of more than one record.
    pub joint: u64,
}

/// The dump of a journal.
#[derive(Default)]
struct Dump {
    records: BTreeMap<Place, Content>,
    streams: BTreeMap<(String, String), u64>,
    logs: BTreeMap<(String, u32), (String, u64)>,
    controls: BTreeMap<String, String>,
    cursors: BTreeMap<String, u64>,
    answers: BTreeMap<String, (String, Vec<Place>)>,
    clean: bool,
}

fn place(words: &[&str]) -> Result<Place, String> {
    let bad = |_| format!("no place: {words:?}");
    Ok((words[0].to_owned(), words[1].parse().map_err(bad)?, words[2].parse().map_err(bad)?))
}

fn places(words: &[&str], width: usize) -> Result<Vec<Place>, String> {
    words.chunks_exact(width).map(place).collect()
}

fn member(event: &str) -> Option<Member> {
    Member::of(&Id::try_from(from_hex(event)?).ok()?)
}

impl Auditor {
    /// Number of records that must be there.
    pub fn records(&self) -> usize {
        self.places.len()
    }

    /// Whether what is at a place was acknowledged.
    pub fn is_acknowledged(&self, place: &Place) -> bool {
        let mirrored = self.mirrored.get(&place.0).is_some_and(|size| place.2 < *size);
        mirrored || self.places.contains_key(place)
    }

    /// Takes in what a writer said.
    ///
    /// # Errors
    /// A place that was acknowledged before for another event, or an event with two places.
    pub fn hear(&mut self, lines: &[String]) -> Result<(), String> {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "ack" => {
                    for record in words[3..].chunks_exact(5) {
                        let content = (record[3].to_owned(), record[4].to_owned());
                        self.remember(place(record)?, content)?;
                    }
                    let first = words.get(6).copied().unwrap_or_default();
                    if member(first).is_some_and(|member| member.command) {
                        let answer = (words[1].to_owned(), places(&words[3..], 5)?);
                        self.commands.insert(first.to_owned(), answer);
                    }
                }
                "mirrored" => {
                    let size = words[2].parse().map_err(|_| format!("no size: {line}"))?;
                    self.mirrored.insert(words[1].to_owned(), size);
                }
                "epoch" => {
                    let epoch = words[2].parse().map_err(|_| format!("no epoch: {line}"))?;
                    self.epochs.insert((words[1].to_owned(), epoch));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn remember(&mut self, place: Place, content: Content) -> Result<(), String> {
        if let Some(known) = self.places.get(&place)
            && *known != content
        {
            return Err(format!("{place:?} was given to {known:?} and to {content:?}"));
        }
        if let Some(known) = self.events.get(&content.0)
            && *known != place
        {
            return Err(format!("event {} is at {known:?} and at {place:?}", content.0));
        }
        self.events.insert(content.0.clone(), place.clone());
        self.places.insert(place, content);
        Ok(())
    }

    /// Compares what a dump said with the memory, and remembers what was served.
    ///
    /// # Errors
    /// What is lost, changed, doubled or torn, in words.
    pub fn audit(&mut self, lines: &[String]) -> Result<Figures, String> {
        let dump = Dump::read(lines)?;
        let mut figures = Figures::default();
        for (place, content) in &self.places {
            match dump.records.get(place) {
                Some(found) if found == content => figures.kept += 1,
                Some(found) => return Err(format!("{place:?} was {content:?}, is {found:?}")),
                None => return Err(format!("{place:?} {content:?} is lost")),
            }
        }
        for (log, size) in &self.mirrored {
            let held = dump.logs.get(&(log.clone(), 1)).map_or(0, |(_, size)| *size);
            if held < *size {
                return Err(format!("mirror {log} held {size} records, now {held}"));
            }
        }
        if let Some(lost) = self.epochs.iter().find(|key| !dump.logs.contains_key(key)) {
            return Err(format!("epoch {lost:?} is lost"));
        }
        for (first, answer) in &self.commands {
            match dump.answers.get(first) {
                Some(found) if found == answer => {}
                found => return Err(format!("command {first}: {answer:?}, now {found:?}")),
            }
        }
        figures.joint = dump.check_transactions()?;
        dump.check_controls()?;
        self.check_mirrors(&dump)?;
        if !dump.clean {
            return Err(format!("the deep check is not clean: {:?}", lines.iter().rev().nth(1)));
        }
        figures.commands = dump.answers.len() as u64;
        figures.unannounced = dump.records.len() as u64 - figures.kept;
        self.commands.extend(dump.answers);
        for (place, content) in dump.records {
            self.remember(place, content)?;
        }
        Ok(figures)
    }

    /// Mirrored records are those of their origin, and the cursor agrees with them.
    fn check_mirrors(&mut self, dump: &Dump) -> Result<(), String> {
        for ((log, epoch), (role, size)) in &dump.logs {
            if role != "mirror" {
                continue;
            }
            let cursor = dump.cursors.get(log).copied().unwrap_or(0);
            if cursor != *size {
                return Err(format!("mirror {log} has {size} records, its cursor says {cursor}"));
            }
            let number = log.trim_start_matches("kz-").parse().map_err(|_| "no mirror")?;
            let origin = self.origins.entry(log.clone()).or_insert_with(|| Origin::new(number));
            for seq in 0..*size {
                let found = dump.records.get(&(log.clone(), *epoch, seq)).map(|found| &found.1);
                let expected = hex(&sha256(origin.record(seq)));
                if found != Some(&expected) {
                    return Err(format!("{log}:{epoch}:{seq} is not what its origin wrote"));
                }
            }
        }
        Ok(())
    }
}

impl Dump {
    fn read(lines: &[String]) -> Result<Self, String> {
        let (mut dump, mut events) = (Self::default(), BTreeSet::new());
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().map_err(|_| format!("bad: {line}"));
            match words[0] {
                "log" => {
                    let key = (words[1].to_owned(), number(2)? as u32);
                    dump.logs.insert(key, (words[3].to_owned(), number(4)?));
                }
                "rec" => {
                    let content = (words[4].to_owned(), words[5].to_owned());
                    if !events.insert(words[4].to_owned()) {
                        return Err(format!("event {} is there twice", words[4]));
                    }
                    let versions = (words[1].to_owned(), words[6].to_owned());
                    let before = dump.streams.insert(versions, number(7)?).unwrap_or(0);
                    if before + 1 != number(7)? {
                        return Err(format!("version {before} is followed by {line}"));
                    }
                    dump.records.insert(place(&words[1..])?, content);
                }
                "control" => drop(dump.controls.insert(words[1].to_owned(), words[2].to_owned())),
                "cursor" => drop(dump.cursors.insert(words[1].to_owned(), number(2)?)),
                "again" => {
                    if words[2] != "true" {
                        return Err(format!("a command was done a second time: {line}"));
                    }
                    let answer = (words[3].to_owned(), places(&words[4..], 3)?);
                    dump.answers.insert(words[1].to_owned(), answer);
                }
                "check" => dump.clean = words[1] == "0",
                _ => {}
            }
        }
        for ((log, epoch), (_, size)) in &dump.logs {
            let of_log =
                dump.records.range((log.clone(), *epoch, 0)..=(log.clone(), *epoch, u64::MAX));
            let seqs = of_log.map(|(place, _)| place.2);
            if !seqs.eq(0..*size) {
                return Err(format!("{log}:{epoch} has a gap below {size}"));
            }
        }
        Ok(dump)
    }

    /// Every transaction is there whole, and if it is a command, its answer names its records.
    /// Returns how many have more than one record.
    fn check_transactions(&self) -> Result<u64, String> {
        let mut whole: BTreeMap<TxId, BTreeMap<u16, (&Place, Member)>> = BTreeMap::new();
        for (place, (event, _)) in &self.records {
            if let Some(member) = member(event) {
                whole.entry(member.tx).or_default().insert(member.number, (place, member));
            }
        }
        let mut joint = 0;
        for (tx, members) in &whole {
            let Some((_, (_, first))) = members.first_key_value() else { continue };
            if !members.keys().copied().eq(0..first.of) {
                let there = members.keys();
                return Err(format!("{tx:?} of {} records is torn: {there:?}", first.of));
            }
            joint += u64::from(first.of > 1);
            if first.command {
                let found: Vec<&Place> = members.values().map(|(place, _)| *place).collect();
                let answer = self.answers.get(&hex(&first.first()));
                if !answer.is_some_and(|(_, places)| places.iter().eq(found.iter().copied())) {
                    return Err(format!("{tx:?} is at {found:?}, its command says {answer:?}"));
                }
            }
        }
        Ok(joint)
    }

    /// A control fact is the one of the last record that went with it.
    fn check_controls(&self) -> Result<(), String> {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for ((log, ..), (event, _)) in &self.records {
            if member(event).is_some_and(|member| member.control) {
                last.insert(log, event);
            }
        }
        let found = self.controls.iter().map(|(log, event)| (log.as_str(), event.as_str()));
        if !last.clone().into_iter().eq(found) {
            return Err(format!("controls are {:?}, the records say {last:?}", self.controls));
        }
        Ok(())
    }
}
