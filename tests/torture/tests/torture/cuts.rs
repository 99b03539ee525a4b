//! Power cuts: a file system in this process keeps what was synced, and of the rest what chance
//! keeps; the journal runs on it in a process of its own, with real sled, and dies at the cut.
//!
//! A control experiment shows that the same file system finds what does not sync.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::auditor::Auditor;
use crate::chance::{Chance, seed};
use crate::child::say;
use crate::fuse::model::{Model, Survival};
use crate::fuse::{Mounted, Shared, held};
use crate::kills::told;
use crate::process::{Ended, Process};

/// Cuts of one disk, so that opens stay short and creations are hit.
const ROUNDS: u32 = 10;
/// No step of a healthy process takes as long.
const PATIENCE: Duration = Duration::from_secs(120);
/// A cut that was not reached in steps comes after this.
const LONGEST: Duration = Duration::from_secs(3);

/// What the cuts met.
#[derive(Debug, Default)]
struct Tally {
    opening: u64,
    writing: u64,
    disks: u64,
    syncs: u64,
    records: u64,
    unannounced: u64,
    dropped: u64,
    caught_up: u64,
    rebuilt: u64,
    commands: u64,
}

#[test]
fn a_few_power_cuts_lose_nothing() {
    if let Some(tally) = run(8, seed()) {
        println!("power cuts, FUSE: {tally:?}");
    }
}

#[test]
#[ignore = "takes minutes: make torture"]
fn many_power_cuts_lose_nothing() {
    if let Some(tally) = run(100, seed()) {
        assert!(tally.opening >= 10 && tally.writing >= 20, "{tally:?}");
        println!("power cuts, FUSE: {tally:?}");
    }
}

/// Whether this machine mounts; says so if not.
pub fn can_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    match Mounted::new(&Shared::default(), folder.path()) {
        Ok(_) => true,
        Err(error) => {
            println!("power cuts, FUSE: not run, this machine does not mount ({error});");
            println!("power cuts: the crashing disk of the journal's own tests is what ran");
            false
        }
    }
}

/// A disk whose power fails, and where it is mounted.
struct Disk {
    shared: Shared,
    mounted: Option<Mounted>,
    folder: tempfile::TempDir,
    syncs: u64,
}

impl Disk {
    fn new() -> Self {
        let (shared, folder) = (Shared::default(), tempfile::tempdir().unwrap());
        let mounted = Mounted::new(&shared, folder.path()).unwrap();
        Self { shared, mounted: Some(mounted), folder, syncs: 0 }
    }

    /// Runs a process until the power fails `steps` after its start, at the latest after a while,
    /// and brings the disk back as the cut left it.
    fn cut(
        &mut self,
        process: impl FnOnce(&Path) -> Process,
        steps: u64,
        chance: &mut Chance,
    ) -> Ended {
        held(&self.shared).cut_in(steps);
        let process = process(&self.folder.path().join("journal"));
        let begun = Instant::now();
        while !held(&self.shared).is_dead() && begun.elapsed() < LONGEST && !process.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        held(&self.shared).cut();
        let ended = process.kill();
        self.mounted = None;
        let model = std::mem::take(&mut *held(&self.shared));
        self.syncs += model.syncs;
        let mut survival = Survival::draw(chance, model.steps());
        self.shared = Shared::new(model.after_cut(&mut survival).into());
        self.mounted = Some(Mounted::new(&self.shared, self.folder.path()).unwrap());
        ended
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("journal")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Before the folder that it is mounted on.
        self.mounted = None;
    }
}

/// Cuts the power so many times; `None` if this machine does not mount.
fn run(cuts: u64, seed: u64) -> Option<Tally> {
    if !can_mount() {
        return None;
    }
    let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
    while tally.opening + tally.writing < cuts {
        let (mut disk, mut auditor) = (Disk::new(), Auditor::default());
        tally.disks += 1;
        for generation in 0..ROUNDS {
            let outcome =
                round(&mut disk, (seed, generation), &mut chance, &mut auditor, &mut tally);
            if let Err(error) = outcome {
                panic!("seed {seed}, generation {generation}: {error}");
            }
            if tally.opening + tally.writing >= cuts {
                break;
            }
        }
        tally.records += auditor.records() as u64;
        tally.syncs += disk.syncs;
    }
    Some(tally)
}

/// One cut and one audit.
fn round(
    disk: &mut Disk,
    (seed, generation): (u64, u32),
    chance: &mut Chance,
    auditor: &mut Auditor,
    tally: &mut Tally,
) -> Result<(), String> {
    let steps = match chance.below(10) {
        0..4 => chance.between(1, 90),
        4..6 => chance.between(90, 600),
        _ => chance.between(600, 6_000),
    };
    let write = |dir: &Path| Process::start("write", seed, generation, 0, dir);
    let ended = disk.cut(write, steps, chance);
    let opened = ended.said("ready");
    tally.opening += u64::from(!opened);
    tally.writing += u64::from(opened);
    auditor.hear(&ended.lines)?;
    let dump = Process::start("dump", seed, generation, 0, &disk.path()).wait(PATIENCE);
    if !dump.said("closed") {
        return Err(format!("cut after {steps}: {}", told(&dump)));
    }
    let ready = dump.lines.iter().find(|line| line.starts_with("ready"));
    let has = |word| u64::from(ready.is_some_and(|line| line.contains(word)));
    tally.dropped += has("dropped: Some");
    tally.caught_up += has("CaughtUp");
    tally.rebuilt += has("Rebuilt");
    let found =
        auditor.audit(&dump.lines).map_err(|error| format!("cut after {steps}: {error}"))?;
    tally.unannounced += found.unannounced;
    tally.commands += found.commands;
    Ok(())
}

/// The control experiment: how many of `cuts` cuts lost something that was acknowledged.
fn losses(what: &'static str, limit: u64, cuts: u64, seed: u64) -> u64 {
    let mut chance = Chance::new(seed);
    let mut lost = 0;
    for generation in 0..cuts {
        let mut disk = Disk::new();
        let write = |dir: &Path| Process::start(what, seed, generation as u32, limit, dir);
        let steps = chance.between(200, 900);
        let ended = disk.cut(write, steps, &mut chance);
        let said = ended.lines.iter().filter_map(|line| line.strip_prefix("ack "));
        let said: BTreeSet<u64> = said.map(|number| number.parse().unwrap()).collect();
        assert!(!said.is_empty(), "{what} acknowledged nothing: {}", ended.errors);
        let there = if what == "sled" { in_sled(&disk.path()) } else { in_file(&disk.path()) };
        lost += u64::from(!said.is_subset(&there));
    }
    lost
}

#[test]
fn the_same_cuts_find_writers_that_do_not_sync() {
    if !can_mount() {
        return;
    }
    let seed = seed();
    let sled = losses("sled", 0, 5, seed);
    let unsynced = losses("file", 0, 5, seed);
    let synced = losses("file", 1, 5, seed);
    println!(
        "control of the power cuts, losses in 5: bare sled with flush {sled}, \
         file without sync {unsynced}, file with fdatasync {synced}"
    );
    assert!(sled > 0 && unsynced > 0, "seed {seed}: the cuts lose nothing");
    assert_eq!(synced, 0, "seed {seed}: the cuts lose what was synced");
}

/// Writes numbers to sled and acknowledges each after a flush.
pub fn write_bare_sled(dir: &Path) {
    let db = sled::Config::new().path(dir).flush_every_ms(None).open().unwrap();
    for number in 0..100_000u64 {
        db.insert(number.to_be_bytes(), vec![number as u8; 200]).unwrap();
        db.flush().unwrap();
        say(&format!("ack {number}"));
    }
}

/// Numbers that sled holds.
fn in_sled(dir: &Path) -> BTreeSet<u64> {
    let Ok(db) = sled::open(dir) else { return BTreeSet::new() };
    let keys = db.iter().keys().filter_map(Result::ok);
    keys.filter_map(|key| Some(u64::from_be_bytes(key.as_ref().try_into().ok()?))).collect()
}

/// Appends numbers to a file and acknowledges each, after an `fdatasync` or without one.
pub fn write_bare_file(dir: &Path, sync: bool) {
    std::fs::create_dir(dir).unwrap();
    let mut file = std::fs::File::create(dir.join("numbers")).unwrap();
    for folder in [dir, dir.parent().unwrap()] {
        std::fs::File::open(folder).unwrap().sync_all().unwrap();
    }
    for number in 1..100_000u64 {
        file.write_all(&number.to_be_bytes()).unwrap();
        if sync {
            file.sync_data().unwrap();
        }
        say(&format!("ack {number}"));
    }
}

/// Numbers that the file holds.
pub fn in_file(dir: &Path) -> BTreeSet<u64> {
    let bytes = std::fs::read(dir.join("numbers")).unwrap_or_default();
    bytes.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)).collect()
}

/// The file system alone, without a kernel.
#[test]
fn the_model_keeps_what_was_synced_and_only_that() {
    use crate::fuse::model::ROOT;
    let mut model = Model::default();
    let kept = model.create(ROOT, "kept", false).unwrap().ino;
    model.write(kept, 0, &[1; 600]).unwrap();
    model.sync(kept).unwrap();
    model.sync_names(ROOT).unwrap();
    model.write(kept, 0, &[2; 600]).unwrap();
    let nameless = model.create(ROOT, "nameless", false).unwrap().ino;
    model.write(nameless, 0, &[3; 10]).unwrap();
    model.sync(nameless).unwrap();
    model.rename((ROOT, "kept"), (ROOT, "renamed")).unwrap();
    let nothing = model.clone().after_cut(&mut Survival::Nothing);
    assert_eq!(nothing.names(ROOT).unwrap().keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(nothing.read(kept, 0, 1000).unwrap(), [1; 600]);
    let all = model.clone().after_cut(&mut Survival::Until(model.steps()));
    assert_eq!(all.names(ROOT).unwrap().keys().collect::<Vec<_>>(), ["nameless", "renamed"]);
    assert_eq!(all.read(kept, 0, 1000).unwrap(), [2; 600]);
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let mut survival = Survival::Pieces(512, Chance::new(seed));
        let some = model.clone().after_cut(&mut survival);
        let name = some.names(ROOT).unwrap().keys().any(|name| name == "renamed");
        let bytes = some.read(kept, 0, 1000).unwrap();
        assert!(bytes[..512].iter().all(|byte| *byte == bytes[0]), "pieces are whole");
        seen.insert((name, bytes[0], bytes[599]));
    }
    assert_eq!(seen.len(), 8, "every mixture occurs");
    model.cut_in(1);
    assert!(model.sync(kept).is_err() && model.read(kept, 0, 1).is_err());
}
