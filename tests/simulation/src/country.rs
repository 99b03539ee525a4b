//! All computers of one simulation, and what is noted of them. The hosts share it; nothing of the
//! offices themselves looks at it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use domain::OfficeCode;
use node::SharedOffice;
use node::office::Office;

use crate::audit::Auditor;
use crate::chance::Chance;
use crate::machine::Machine;
use crate::trace::Trace;
use crate::work::Desk;

/// What is noted of everything.
pub struct Notes {
    /// Everything that happened.
    pub trace: Trace,
    /// The computers by their names.
    pub machines: BTreeMap<String, Machine>,
    /// What each of them is doing.
    pub states: BTreeMap<String, State>,
    /// What was asked of the people's desks, by computer.
    pub desks: BTreeMap<String, Desk>,
    /// Who watches.
    pub audit: Auditor,
    /// The state that each computer shows of its link to an office.
    pub shown: BTreeMap<(String, String), String>,
    /// When the last step began.
    pub now: Duration,
    /// Until when people work.
    pub work_until: Duration,
}

/// What a computer is doing.
#[derive(Clone)]
pub enum State {
    /// It is off.
    Off,
    /// The office runs.
    Running(Weak<Office>),
    /// The office ended by itself; the text says why.
    Ended(String),
    /// The office could not be opened; the text says why.
    Refused(String),
}

/// The country. Clones share it.
#[derive(Clone)]
pub struct Country {
    /// What everything follows from.
    pub seed: u64,
    notes: Arc<Mutex<Notes>>,
}

impl Country {
    /// A country of these computers; all are off. The newest `keep` lines of the trace are kept.
    pub fn new(seed: u64, machines: Vec<Machine>, keep: usize) -> Country {
        let states = machines.iter().map(|machine| (machine.name.clone(), State::Off)).collect();
        let notes = Notes {
            trace: Trace::new(keep),
            audit: Auditor::new(&machines),
            machines: machines.into_iter().map(|one| (one.name.clone(), one)).collect(),
            states,
            desks: BTreeMap::new(),
            shown: BTreeMap::new(),
            now: Duration::ZERO,
            work_until: Duration::MAX,
        };
        Country { seed, notes: Arc::new(Mutex::new(notes)) }
    }

    /// The notes. Never held while anything of an office runs that could wait.
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_else(|| self.notes().now)
    }

    /// Something has happened.
    pub fn tell(&self, who: &str, what: impl Display) {
        let now = self.now();
        self.notes().trace.line(now, who, &what.to_string());
    }

    /// A computer is started: it as it is then, and what it draws from.
    pub fn boot(&self, name: &str) -> (Machine, Chance) {
        let mut notes = self.notes();
        let machine = notes.machines.get_mut(name).unwrap();
        machine.boots += 1;
        let purpose = format!("boot {} of {name}", machine.boots);
        (machine.clone(), Chance::of(self.seed, &purpose))
    }

    /// An office runs.
    pub fn started(&self, name: &str, office: &SharedOffice) {
        self.tell(name, "runs");
        let mut notes = self.notes();
        notes.states.insert(name.to_owned(), State::Running(Arc::downgrade(office)));
        let (now, machine) = (notes.now, notes.machines[name].clone());
        notes.audit.started(now, &machine, office);
    }

    /// What an office has stored is looked at from outside.
    pub fn observe(&self, name: &str, office: &Office) {
        let now = self.now();
        let mut notes = self.notes();
        let Notes { audit, machines, trace, .. } = &mut *notes;
        audit.observe(now, &machines[name], office, trace);
    }

    /// What an office shows of its links is held against what is known of them. To be called where
    /// the office runs: how long ago something was is measured by the clock of its host.
    pub fn look_at_links(&self, name: &str, office: &Office) {
        let now = self.now();
        let mut notes = self.notes();
        let Notes { audit, machines, trace, shown, .. } = &mut *notes;
        for (peer, info) in office.links.all() {
            let state = info.status.map_or("none", |status| status.link.as_str()).to_owned();
            let key = (name.to_owned(), peer.to_string());
            if shown.insert(key, state.clone()).as_ref() != Some(&state) {
                let why = &info.last_error;
                trace.line(now, name, &format!("link to {peer} is {state} {why}"));
            }
        }
        let peers = |code: &str| {
            let of = machines.values().filter(|machine| machine.code.as_str() == code);
            of.map(|machine| machine.name.clone()).collect()
        };
        audit.judge_links(now, &machines[name], office, &peers);
    }

    /// The office on this computer, if it runs.
    pub fn office(&self, name: &str) -> Option<SharedOffice> {
        match self.notes().states.get(name) {
            Some(State::Running(office)) => office.upgrade(),
            _ => None,
        }
    }

    /// Another state.
    pub fn set(&self, name: &str, state: State) {
        match &state {
            State::Off => self.tell(name, "is off"),
            State::Running(_) => {}
            State::Ended(why) => self.tell(name, format!("ended: {why}")),
            State::Refused(why) => self.tell(name, format!("does not start: {why}")),
        }
        self.notes().states.insert(name.to_owned(), state);
    }

    /// The names of all computers.
    pub fn names(&self) -> Vec<String> {
        self.notes().machines.keys().cloned().collect()
    }

    /// The office that a computer says it is.
    pub fn code(&self, name: &str) -> OfficeCode {
        self.notes().machines[name].code.clone()
    }
}
