//! One seed from the beginning to the end: faults until everything is mended, then time to get
//! well, then the account.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use turmoil::Sim;

use crate::audit::Violation;
use crate::chance::Chance;
use crate::country::{Country, State};
use crate::faults::{Fault, Scenario, Special};
use crate::host;
use crate::machine::Machine;
use crate::tables;

mod ends;
mod happen;

/// Time that one step takes in the simulation.
const TICK: Duration = Duration::from_millis(10);
/// Time after everything was mended in which all must be well.
const CONVERGE: Duration = Duration::from_secs(60);
/// Time for which people work on after everything was mended.
const LATE_WORK: Duration = Duration::from_secs(3);

/// What came of a seed.
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was to happen.
    pub scenario: Scenario,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// Simulated time.
    pub elapsed: Duration,
    /// Simulated time from the mending to the convergence.
    pub healing: Duration,
    /// Records that were held in the end, in all logs at all offices.
    pub records: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Number of lines and digest of the trace.
    pub trace: (u64, [u8; 32]),
    /// The last lines of the trace.
    pub last: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { seed, scenario, violations, .. } = self;
        if violations.is_empty() {
            return write!(f, "seed {seed}: nothing wrong");
        }
        let (special, odd) = (scenario.special, &scenario.odd);
        writeln!(f, "{}", self.last)?;
        let regions = scenario.regions.join(" ");
        writeln!(f, "seed {seed}: {regions}; rare: {special:?} at {odd}")?;
        for (at, fault) in &scenario.faults {
            writeln!(f, "  {:>7.3} {fault:?}", at.as_secs_f64())?;
        }
        for Violation { invariant, text } in violations {
            writeln!(f, "VIOLATED {invariant}: {text}")?;
        }
        write!(f, "again: make sim SEED={seed}")
    }
}

/// A simulation that runs.
struct Run {
    country: Country,
    sim: Sim<'static>,
    chance: Chance,
    scenario: Scenario,
    /// What is to happen and when, in its order.
    due: BTreeMap<(Duration, u64), Later>,
    count: u64,
    /// Computers whose power goes with a step of their disk, and until when that is waited for.
    dying: BTreeMap<String, (Duration, Duration)>,
    images: BTreeMap<String, Machine>,
    faults: BTreeMap<&'static str, u64>,
    /// What was said of why the odd office does not go on, by computer.
    said: BTreeMap<String, String>,
    steps: u64,
    failure: Option<String>,
}

/// What happens later.
enum Later {
    Fault(Fault),
    Start(String),
    Repair(String),
    Release(String),
    Fast(String),
    Free(String),
    Mend(String, std::path::PathBuf, usize, u8),
    Rekey(String),
}

/// Lines of the trace that are kept for whoever has to find out what went wrong.
pub const KEEP: usize = 60;

/// Runs a seed; the newest `keep` lines of its trace are kept.
pub fn run(seed: u64, keep: usize) -> Outcome {
    let folder = scratch();
    let scenario = Scenario::of(seed);
    let centre = Machine::new(seed, folder.path(), "KZ", None);
    let trust = centre.public();
    let mut machines = vec![centre];
    for code in &scenario.regions {
        let mut machine = Machine::new(seed, folder.path(), code, Some(&trust));
        if machine.name == scenario.odd {
            machine.speaks = scenario.special.speech();
        }
        machines.push(machine);
    }
    let country = Country::new(seed, machines, keep);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .epoch(UNIX_EPOCH)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(80))
        .tcp_capacity(1_024)
        .build();
    for name in country.names() {
        register(&mut sim, &country, &name);
    }
    let mut run = Run {
        country,
        sim,
        chance: Chance::of(seed, "run"),
        due: BTreeMap::new(),
        count: 0,
        dying: BTreeMap::new(),
        images: BTreeMap::new(),
        faults: BTreeMap::new(),
        said: BTreeMap::new(),
        steps: 0,
        failure: None,
        scenario,
    };
    run.whole()
}

/// A folder for keys and vaults, in memory where the machine has that.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn register(sim: &mut Sim<'static>, country: &Country, name: &str) {
    let (country, of) = (country.clone(), name.to_owned());
    sim.host(name, move || host::live(country.clone(), of.clone()));
}

impl Run {
    fn whole(&mut self) -> Outcome {
        for (at, fault) in self.scenario.faults.clone() {
            self.later(at, Later::Fault(fault));
        }
        let healed = self.scenario.healed;
        self.until(healed, |_| false);
        self.heal();
        self.country.notes().work_until = healed + LATE_WORK;
        self.until(healed + LATE_WORK, |_| false);
        self.until(healed + CONVERGE, |run| run.steps.is_multiple_of(25) && run.is_well());
        let healing = self.now().saturating_sub(healed);
        if self.is_sound() {
            self.account();
        }
        let records = self.records();
        if self.is_sound() && self.country.seed.is_multiple_of(16) {
            let found = tables::judge(&self.country);
            self.country
                .notes()
                .audit
                .must(found.is_none(), "tables", || found.unwrap_or_default());
        }
        let mut notes = self.country.notes();
        let failure = self.failure.take();
        notes.audit.must(failure.is_none(), "simulation", || failure.unwrap_or_default());
        Outcome {
            seed: self.country.seed,
            scenario: self.scenario.clone(),
            violations: std::mem::take(&mut notes.audit.violations),
            elapsed: notes.now,
            healing,
            records,
            faults: self.faults.clone(),
            trace: notes.trace.summary(),
            last: notes.trace.text(),
        }
    }

    fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    fn is_sound(&self) -> bool {
        self.failure.is_none() && self.country.notes().audit.violations.is_empty()
    }

    fn later(&mut self, at: Duration, what: Later) {
        self.count += 1;
        self.due.insert((at, self.count), what);
    }

    /// Goes on until then, or until `done`, or until something is wrong.
    fn until(&mut self, end: Duration, done: impl Fn(&mut Run) -> bool) {
        while self.now() < end && self.is_sound() && !done(self) {
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now();
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let what = entry.remove();
            self.happens(what);
        }
        if let Err(error) = self.sim.step() {
            self.failure = Some(error.to_string());
            return;
        }
        self.steps += 1;
        let now = self.now();
        self.country.notes().now = now;
        for name in self.country.names() {
            let state = self.country.notes().states.get(&name).cloned();
            match state {
                Some(State::Running(office)) => {
                    let Some(office) = office.upgrade() else { continue };
                    self.country.observe(&name, &office);
                }
                Some(State::Ended(_) | State::Refused(_)) => self.has_ended(&name),
                Some(State::Off) | None => {}
            }
        }
        self.power_goes(now);
    }

    fn happened(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_insert(0) += 1;
    }

    /// Whether the rare thing happened to this computer.
    fn is_odd(&self, name: &str) -> bool {
        let breaks = !matches!(
            self.scenario.special,
            Special::None | Special::Rot | Special::Later | Special::Earlier
        );
        breaks && name.starts_with(&self.scenario.odd)
    }
}
