//! Whether the tables may be asked: only what is folded from all that is held is told as truth.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evidence::log::LogName;
use journal::LogInfo;
use tokio::sync::{Notify, watch};
use tracing::error;
use wire::Fault;

use crate::project::chain;
use crate::told::Told;

/// A log's epoch.
pub type LogEpoch = (LogName, u32);

/// The state of the tables of one office, and whose turn it is to work on them.
#[derive(Debug)]
pub struct Tables {
    /// Held while the tables are folded: a rebuild and the running fold must not interleave.
    pub folding: tokio::sync::Mutex<Folding>,
    /// Held by the deep check: two would fold into the same second file.
    pub checking: tokio::sync::Mutex<()>,
    /// Wakes the running fold when the tables are doubted.
    pub doubts: Notify,
    state: Mutex<State>,
    /// Whether they may be asked.
    ready: watch::Sender<bool>,
}

/// What the running fold remembers.
#[derive(Debug, Default)]
pub struct Folding {
    /// For each log the first record that is new since the start of this process and was not
    /// folded by it yet: what is folded again leaves no second trace.
    pub fresh: BTreeMap<LogEpoch, u64>,
    /// Reasons that stand in the log already.
    pub told: Told,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How often they were found unusable in this process.
    ruined: u32,
}

#[derive(Debug)]
enum Phase {
    /// They hold all that was held when they were begun, and more since.
    Ready,
    /// They are folded up to these sizes; where a damaged record keeps them from it, its place.
    Making(Vec<LogInfo>, Option<String>),
    /// They are wrong: whoever folds next makes them anew first.
    Doubted,
}

impl Tables {
    /// Tables that are asked once they are folded up to what is held at the start.
    pub fn new(held: Vec<LogInfo>) -> Tables {
        let start = |info: &LogInfo| ((info.log.clone(), info.epoch), info.size);
        let fresh = held.iter().map(start).collect();
        let folding = Folding { fresh, told: Told::default() };
        Tables {
            folding: tokio::sync::Mutex::new(folding),
            checking: tokio::sync::Mutex::default(),
            doubts: Notify::new(),
            state: Mutex::new(State { phase: Phase::Making(held, None), ruined: 0 }),
            ready: watch::Sender::new(false),
        }
    }

    /// Whether the tables may be asked.
    ///
    /// # Errors
    /// [`Fault::Rebuilding`] while they are being made; [`Fault::Damaged`] where a damaged record
    /// keeps them from being whole.
    pub fn ready(&self) -> Result<(), Fault> {
        match &self.state().phase {
            Phase::Ready => Ok(()),
            Phase::Making(_, Some(place)) => Err(Fault::Damaged { place: place.clone() }),
            Phase::Making(_, None) | Phase::Doubted => Err(Fault::Rebuilding),
        }
    }

    /// Whether they may be asked, and each change of it.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        self.ready.send_replace(matches!(phase, Phase::Ready));
        state.phase = phase;
    }

    /// The tables are wrong, or are to be made anew for another reason: they are asked no more
    /// until that is done.
    pub fn doubt(&self) {
        self.enter(&mut self.state(), Phase::Doubted);
        self.doubts.notify_one();
    }

    /// Hears why a question could not be answered: tables in a damaged file are doubted.
    pub fn hear(&self, error: &projection::Error) {
        let ready = matches!(self.state().phase, Phase::Ready);
        if ready && matches!(error, projection::Error::Damaged(_)) {
            error!(error = chain(error), "the tables are damaged and are made anew");
            self.ruined();
        }
    }

    /// The tables cannot be read or folded as they are. Says how often that was so in this
    /// process.
    pub fn ruined(&self) -> u32 {
        self.doubt();
        let mut state = self.state();
        state.ruined += 1;
        state.ruined
    }

    /// Whether the tables must be made anew before anything is folded.
    pub fn is_doubted(&self) -> bool {
        matches!(self.state().phase, Phase::Doubted)
    }

    /// How often the tables were found unusable in this process.
    pub fn times_ruined(&self) -> u32 {
        self.state().ruined
    }

    /// The tables were emptied and are folded up to these sizes.
    pub fn begin(&self, held: Vec<LogInfo>) {
        self.enter(&mut self.state(), Phase::Making(held, None));
    }

    /// The tables are folded so far; `stuck` is the place of a record that keeps a log from being
    /// folded further.
    pub fn folded(&self, positions: &BTreeMap<LogEpoch, u64>, stuck: Option<String>) {
        let mut state = self.state();
        if let Phase::Making(held, place) = &mut state.phase {
            let folded = |info: &LogInfo| {
                positions.get(&(info.log.clone(), info.epoch)).copied().unwrap_or(0) >= info.size
            };
            *place = stuck;
            if held.iter().all(folded) {
                self.enter(&mut state, Phase::Ready);
            }
        }
    }

    // A state is replaced whole: a poisoned lock guards one all the same.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use journal::Role;

    use super::*;

    fn info(log: &str, size: u64) -> LogInfo {
        let log = log.parse().unwrap();
        LogInfo { log, epoch: 1, role: Role::Own, size, root: [0; 32], last_recorded_at: 0 }
    }

    fn at(positions: &[(&str, u64)]) -> BTreeMap<LogEpoch, u64> {
        let one = |(log, next): &(&str, u64)| ((log.parse().unwrap(), 1), *next);
        positions.iter().map(one).collect()
    }

    #[test]
    fn asked_only_when_all_that_was_held_is_folded() {
        let tables = Tables::new(vec![info("kz", 3), info("kz-75", 2)]);
        assert_eq!(tables.ready(), Err(Fault::Rebuilding));
        tables.folded(&at(&[("kz", 3)]), None);
        assert_eq!(tables.ready(), Err(Fault::Rebuilding));
        tables.folded(&at(&[("kz", 3), ("kz-75", 2)]), None);
        assert_eq!(tables.ready(), Ok(()));
        tables.folded(&at(&[("kz", 3), ("kz-75", 2)]), Some("kz epoch 1 sequence 3".to_owned()));
        assert_eq!(tables.ready(), Ok(()), "what came later is lag");
        assert_eq!(Tables::new(Vec::new()).ready(), Err(Fault::Rebuilding), "nobody looked yet");
    }

    #[test]
    fn a_damaged_record_on_the_way_is_named() {
        let tables = Tables::new(vec![info("kz", 3)]);
        let place = "kz epoch 1 sequence 1".to_owned();
        tables.folded(&at(&[("kz", 1)]), Some(place.clone()));
        assert_eq!(tables.ready(), Err(Fault::Damaged { place }));
    }

    #[test]
    fn doubted_tables_are_asked_again_only_after_they_were_begun_anew() {
        let tables = Tables::new(Vec::new());
        tables.folded(&at(&[]), None);
        tables.hear(&projection::Error::PageToken);
        assert_eq!(tables.ready(), Ok(()), "the asker's fault");
        tables.hear(&projection::Error::Damaged("page 7".to_owned()));
        tables.hear(&projection::Error::Damaged("page 8".to_owned()));
        assert_eq!(tables.times_ruined(), 1, "one damage, met by two");
        tables.folded(&at(&[("kz", 9)]), None);
        assert_eq!(tables.ready(), Err(Fault::Rebuilding), "a fold under way changes nothing");
        assert!(tables.is_doubted());
        tables.begin(vec![info("kz", 2)]);
        assert!(!tables.is_doubted());
        tables.folded(&at(&[("kz", 2)]), None);
        assert_eq!(tables.ready(), Ok(()));
    }
}
