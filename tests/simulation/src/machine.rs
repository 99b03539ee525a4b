//! A computer of an office: its keys in a real folder, its disk in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::OfficeCode;
use identity::{NodeKeys, PublicKeys, Trust};
use journal::Journal;
use journal::disk::memory::MemoryDisk;
use journal::index::memory::MemoryStore;
use node::clock::Clock;
use node::ground::{Ground, Random, Working};
use node::supervisor::Supervisor;
use node::{Options, SharedOffice, start};
use telemetry::Metrics;

use crate::chance::Chance;

/// The installation's name.
pub const DOMAIN: &str = "adal.example";
/// What the clocks show when a simulation begins: 2 March 2026, 03:00 UTC, in microseconds.
const BEGIN: i64 = 1_772_420_400_000_000;
/// Commit files of this size, so that several are written in a simulation.
const SEGMENT_BYTES: u64 = 96 * 1024;

/// A computer of an office.
#[derive(Clone)]
pub struct Machine {
    /// Its name in the network.
    pub name: String,
    /// The office that it says it is.
    pub code: OfficeCode,
    /// Its real folder.
    pub folder: PathBuf,
    /// Its disk as it is now.
    pub disk: MemoryDisk,
    /// The index on it.
    pub index: MemoryStore,
    /// How often it was started.
    pub boots: u64,
    /// Raised whenever the disk is replaced: what was on the old one is on this one only if it was
    /// copied.
    pub generation: u32,
    /// How far its clock is off, microseconds.
    pub skew: Arc<AtomicI64>,
    /// What frames it speaks.
    pub speaks: Speech,
}

/// The version of the software that a machine's frames look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// This one.
    Present,
    /// A later one: unknown fields and unknown messages.
    Later,
    /// An earlier one: a hello without features.
    Earlier,
}

impl Machine {
    /// A new computer whose keys follow from the seed. The centre's public keys, where this is not
    /// the centre itself.
    pub fn new(seed: u64, folder: &Path, code: &str, trust: Option<&PublicKeys>) -> Machine {
        let folder = folder.join(code);
        let made = make_keys(seed, &folder.join("keys"), code);
        let centre = trust.unwrap_or(&made).into();
        let trust = Trust { domain: DOMAIN.to_owned(), centre };
        trust.save(&folder.join("keys/trust.toml")).unwrap();
        Machine {
            name: code.to_ascii_lowercase(),
            code: code.parse().unwrap(),
            disk: MemoryDisk::mounted_at(&folder.join("data")),
            index: MemoryStore::new(),
            folder,
            boots: 0,
            generation: 0,
            skew: Arc::default(),
            speaks: Speech::Present,
        }
    }

    /// Its public keys.
    pub fn public(&self) -> PublicKeys {
        NodeKeys::load(&self.folder.join("keys")).unwrap().public(self.code.as_str()).unwrap()
    }

    /// Opens the office that is on its disk. `random` begins what it draws in this boot.
    ///
    /// # Errors
    /// What the office itself says.
    pub async fn open(&self, mut random: Chance) -> anyhow::Result<SharedOffice> {
        let skew = self.skew.clone();
        let clock = Clock::given(move || {
            let elapsed = turmoil::sim_elapsed().unwrap_or_default();
            BEGIN + elapsed.as_micros() as i64 + skew.load(Ordering::Relaxed)
        });
        let (disk, index) = (self.disk.clone(), self.index.clone());
        let opening = move |dir: &Path, options: journal::Options| {
            let options = journal::Options { segment_bytes: SEGMENT_BYTES, ..options };
            Journal::open_on(Arc::new(disk.clone()), Arc::new(index.clone()), dir, options)
        };
        let ground = Ground {
            clock,
            random: Random::given(move |bytes| random.fill(bytes)),
            disk: Arc::new(self.disk.clone()),
            opening: &opening,
            working: Working::Inline,
        };
        start::open_on(self.options(), Metrics::disabled(), Supervisor::new(), &ground).await
    }

    /// The computer after its process was killed.
    pub fn killed(&mut self) {
        self.disk = self.disk.copied();
        self.index = self.index.reboot(usize::MAX);
    }

    /// The computer after its power went.
    pub fn lost_power(&mut self, chance: &mut Chance) {
        self.disk = self.disk.reboot(chance.number());
        self.index = self.index.reboot(chance.below(64) as usize);
    }

    /// New keys in the place of lost ones; the vault's is kept elsewhere.
    pub fn new_keys(&mut self, seed: u64) {
        let keys = self.folder.join("keys");
        let vault = fs::read(keys.join("vault.key")).unwrap();
        make_keys(seed ^ u64::from(self.generation), &keys, self.code.as_str());
        fs::write(keys.join("vault.key"), vault).unwrap();
    }

    fn options(&self) -> Options {
        let path = self.folder.join("office.toml");
        if !path.exists() {
            let centre = if self.code.is_centre() { "" } else { CENTRE };
            fs::write(&path, format!("office = \"{}\"\n{centre}{SETTINGS}", self.code)).unwrap();
        }
        Options::load(&path).unwrap()
    }
}

const CENTRE: &str = "[centre]\naddress = \"kz:7475\"\n";

/// Times that fit into a simulated minute.
const SETTINGS: &str = "\
[journal]
segment_mib = 1
free_space_watermark_mib = 1
[replication]
heartbeat_ms = 1000
backoff_max_ms = 4000
relay_interval_ms = 3000
[evidence]
heads_interval_ms = 5000
cosignature_alarm_ms = 30000
";

/// Writes the files of a node's keys, as `identity` keeps them: hexadecimal digits of the seed.
fn make_keys(seed: u64, folder: &Path, code: &str) -> PublicKeys {
    fs::create_dir_all(folder).unwrap();
    let mut chance = Chance::of(seed, &format!("keys of {code}"));
    for name in ["log.key", "witness.key", "mirror.key", "vault.key"] {
        let mut bytes = [0; 32];
        chance.fill(&mut bytes);
        let path = folder.join(name);
        fs::write(&path, format!("{}\n", evidence::hash::hex(&bytes))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    NodeKeys::load(folder).unwrap().public(code).unwrap()
}
