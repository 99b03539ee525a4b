//! When everything is well, and the account in the end.

use domain::Fact;
use domain::directive::DispatchFact;
use domain::integrity::IntegrityFact;
use domain::task::TaskFact;
use evidence::log::LogName;
use journal::Role;
use node::facts;
use node::office::{Office, downlink, own_log};
use replication::{LinkState, LogState};

use super::Run;
use crate::faults::Special;

impl Run {
    /// Whether everybody runs, has everything, and shows that.
    pub(super) fn is_well(&mut self) -> bool {
        let Some(centre) = self.country.office("kz") else { return false };
        let names = self.country.names();
        let regions = names.iter().filter(|name| *name != "kz");
        // All of them, not only up to the first that is not well: what they say is remembered.
        let well: Vec<bool> = regions
            .map(|name| {
                let Some(region) = self.country.office(name) else { return false };
                let well = lacking(&centre, &region).is_none() && is_live(&centre, &region);
                if !self.is_odd(name) {
                    return well;
                }
                self.listen_to(&centre, &region, name);
                let declared = !self.opens_an_epoch() || hole(&centre, &region) == Some(Ok(()));
                (well && declared) || self.is_explained(name)
            })
            .collect();
        well.into_iter().all(|well| well)
    }

    /// Whether the odd office goes on in a new epoch.
    fn opens_an_epoch(&self) -> bool {
        matches!(self.scenario.special, Special::Restored | Special::Rekeyed)
    }

    /// Remembers who has said why the odd office does not go on. Two machines of one office take
    /// turns on the link, so that the centre says it by turns, too.
    fn listen_to(&mut self, centre: &Office, region: &Office, name: &str) {
        for (who, said) in [("kz", why(centre, region)), (name, why(region, centre))] {
            if let Some(said) = said {
                self.said.insert(who.to_owned(), said);
            }
        }
    }

    /// Whether both sides have said why the odd office does not go on; of two machines one.
    fn is_explained(&self, name: &str) -> bool {
        let says = |name: &str| self.said.contains_key(name);
        let there = match self.scenario.special {
            Special::RolledBack | Special::Recreated => says(name),
            Special::Duplicate => {
                says(&self.scenario.odd) || says(&format!("{}-copy", self.scenario.odd))
            }
            _ => false,
        };
        there && says("kz")
    }

    /// What has to hold in the end.
    pub(super) fn account(&mut self) {
        let names = self.country.names();
        let centre = self.country.office("kz");
        let well = self.is_well();
        let lacks = self.lacks(&names);
        let invariant = if lacks.contains("says nothing") { "explanation" } else { "convergence" };
        self.country.notes().audit.must(well, invariant, || lacks);
        let Some(centre) = centre else { return };
        for name in &names {
            let Some(office) = self.country.office(name) else { continue };
            let mut notes = self.country.notes();
            let machine = notes.machines[name].clone();
            notes.audit.read_again(&machine, &office);
            notes.audit.judge_answered(name);
            if self.is_odd(name) && self.opens_an_epoch() {
                let declared = hole(&centre, &office);
                notes.audit.must(declared == Some(Ok(())), "declared-hole", || {
                    format!("the epoch that {name} left: {declared:?}")
                });
            }
            if name == "kz" || self.is_odd(name) {
                continue;
            }
            let wrong = undelivered(&centre, &office);
            notes.audit.must(wrong.is_none(), "delivered-once", || wrong.unwrap_or_default());
        }
    }

    fn lacks(&self, names: &[String]) -> String {
        let Some(centre) = self.country.office("kz") else {
            return "the centre does not run".to_owned();
        };
        let mut all = Vec::new();
        for name in names.iter().filter(|name| *name != "kz") {
            let Some(region) = self.country.office(name) else {
                all.push(format!("{name} does not run"));
                continue;
            };
            all.extend(lacking(&centre, &region));
            if self.is_odd(name) && !self.is_explained(name) {
                all.push(format!("{name} says nothing; what was said: {:?}", self.said));
            }
            if !is_live(&centre, &region) {
                let state = |of: &Office, peer: &Office| {
                    let links = of.links.all();
                    format!("{:?}", links.get(&peer.code))
                };
                let (up, down) = (state(&region, &centre), state(&centre, &region));
                all.push(format!("{name} is not live: {up}; at the centre: {down}"));
            }
        }
        all.join("; ")
    }

    /// Records that all offices hold.
    pub(super) fn records(&self) -> u64 {
        let names = self.country.names();
        let offices = names.iter().filter_map(|name| self.country.office(name));
        let held =
            |office: &Office| office.journal.logs().iter().map(|info| info.size).sum::<u64>();
        offices.map(|office| held(&office)).sum()
    }
}

/// What either side lacks of the other's logs.
fn lacking(centre: &Office, region: &Office) -> Option<String> {
    let up = own_log(&region.code).ok()?;
    let down = downlink(&region.code).ok()?;
    let all: LogName = "kz/all".parse().ok()?;
    let pairs = [(region, centre, up), (centre, region, down), (centre, region, all)];
    pairs.into_iter().find_map(|(origin, mirror, log)| {
        let own = origin.journal.logs().into_iter();
        let open = own.filter(|info| info.role == Role::Own && info.log == log);
        let open = open.max_by_key(|info| info.epoch);
        let Some(open) = open else {
            return Some(format!("{} has no log {log}", origin.code));
        };
        let held = mirror.journal.log(&log, open.epoch);
        let same = held.as_ref().is_some_and(|h| (h.size, h.root) == (open.size, open.root));
        let has = held.map_or(0, |held| held.size);
        (!same).then(|| {
            let (of, epoch) = (&mirror.code, open.epoch);
            format!("{of} holds {has} of {} records of {log}:{epoch}", open.size)
        })
    })
}

/// Whether the centre has declared exactly what is missing of the epoch that a region left: what
/// was co-signed and is neither here nor there. `None`: it has declared nothing yet.
fn hole(centre: &Office, region: &Office) -> Option<Result<(), String>> {
    let (own, all) = (own_log(&region.code).ok()?, "kz/all".parse::<LogName>().ok()?);
    let records = centre.journal.range(&all, 1, 0, usize::MAX, usize::MAX).unwrap_or_default();
    let closed = records.iter().find_map(|record| match facts::open_part_or_unknown(record) {
        Fact::Integrity(IntegrityFact::Closed(closed)) if closed.log.as_str() == own.as_str() => {
            Some(closed)
        }
        _ => None,
    })?;
    let size = |office: &Office| office.journal.log(&own, closed.epoch).map_or(0, |info| info.size);
    let there = size(centre).max(size(region));
    let missing = (there < closed.size).then_some((there, closed.size));
    let said = closed.missing_from.zip(closed.missing_to);
    if said == missing {
        return Some(Ok(()));
    }
    Some(Err(format!("{missing:?} are missing of {own}:{}, declared are {said:?}", closed.epoch)))
}

/// Whether both sides show the link as live.
fn is_live(centre: &Office, region: &Office) -> bool {
    let live = |office: &Office, peer: &Office| {
        let links = office.links.all();
        let status = links.get(&peer.code).and_then(|info| info.status.as_ref());
        status.is_some_and(|status| status.link == LinkState::Live)
    };
    live(centre, region) && live(region, centre)
}

/// What an office says of why its link to another one does not go on.
fn why(office: &Office, peer: &Office) -> Option<String> {
    let links = office.links.all();
    let info = links.get(&peer.code)?;
    if info.refused.is_some() && !info.last_error.is_empty() {
        return Some(info.last_error.clone());
    }
    let status = info.status.as_ref()?;
    status.logs.iter().find_map(|log| match &log.state {
        LogState::Stopped { text, .. } if !text.is_empty() => Some(text.clone()),
        _ => None,
    })
}

/// A directive whose delivery was noted not once.
fn undelivered(centre: &Office, region: &Office) -> Option<String> {
    let (up, down) = (own_log(&region.code).ok()?, downlink(&region.code).ok()?);
    let read = |office: &Office, log: &LogName| {
        office.journal.range(log, 1, 0, usize::MAX, usize::MAX).unwrap_or_default()
    };
    let mut delivered = std::collections::BTreeMap::new();
    for record in read(region, &up) {
        if let Fact::Task(TaskFact::Delivered(_)) = facts::open_part_or_unknown(&record) {
            *delivered.entry(record.header().stream.id).or_insert(0) += 1;
        }
    }
    read(centre, &down).iter().find_map(|record| {
        let Fact::Dispatch(DispatchFact::Issued(issued)) = facts::open_part_or_unknown(record)
        else {
            return None;
        };
        let times = delivered.get(issued.directive.uuid().as_bytes()).copied().unwrap_or(0);
        let (seq, of) = (record.header().seq, &region.code);
        (times != 1).then(|| format!("{of} noted the directive of {down}:{seq} {times} times"))
    })
}
