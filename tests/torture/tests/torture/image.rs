//! Power cuts of a real file system: ext4 in an image file, mounted through a loop device, copied
//! while the writer stands still in the middle of its work. The copy has what ext4 gave to the
//! disk and nothing of what was in memory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::auditor::Auditor;
use crate::chance::{Chance, seed};
use crate::cuts::in_file;
use crate::kills::told;
use crate::process::{Ended, Process};

/// Size of the file system: room for some thousand records, and quick to copy.
const BYTES: u64 = 160 << 20;
/// Cuts of one image.
const ROUNDS: u32 = 8;
/// No step of a healthy process takes as long.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_few_cuts_of_ext4_lose_nothing() {
    report(run(2, seed()));
}

#[test]
#[ignore = "takes minutes: make torture"]
fn many_cuts_of_ext4_lose_nothing() {
    report(run(24, seed()));
}

/// Cuts and records that were checked behind them.
struct Tally {
    cuts: u64,
    opening: u64,
    records: u64,
    unannounced: u64,
    lost_without_sync: bool,
}

fn report(tally: Result<Tally, String>) {
    match tally {
        Ok(Tally { cuts, opening, records, unannounced, lost_without_sync }) => {
            assert!(lost_without_sync, "a file without sync loses nothing: no power was cut");
            println!(
                "power cuts, ext4 image: {cuts}, {opening} of them during open; {records} records \
                 kept, {unannounced} more than announced; control: a file without sync lost data"
            );
        }
        Err(why) => {
            println!("power cuts, ext4 image: not run, this machine does not mount ({why})")
        }
    }
}

/// Runs a tool; its complaint if it fails.
fn tool(name: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(name).args(arguments).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A mounted image. It is unmounted when this is dropped.
struct Image {
    folder: tempfile::TempDir,
    file: PathBuf,
    copies: u32,
    mounted: bool,
}

impl Image {
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image-0");
        File::create(&file).unwrap().set_len(BYTES).unwrap();
        fs::create_dir(folder.path().join("mnt")).unwrap();
        // Nothing is left for the kernel to write later, so that the image stands still.
        let now = "lazy_itable_init=0,lazy_journal_init=0";
        tool("mkfs.ext4", &["-q", "-F", "-E", now, &file.display().to_string()])?;
        let mut image = Self { folder, file, copies: 0, mounted: false };
        image.mount()?;
        Ok(image)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    fn dir(&self) -> PathBuf {
        self.root().join("journal")
    }

    fn mount(&mut self) -> Result<(), String> {
        let (file, root) = (self.file.display().to_string(), self.root().display().to_string());
        tool("mount", &["-o", "loop", &file, &root])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) {
        if !std::mem::take(&mut self.mounted) {
            return;
        }
        let root = self.root().display().to_string();
        if tool("umount", &[&root]).is_err()
            && let Err(error) = tool("umount", &["-l", &root])
        {
            eprintln!("{root} is still mounted: {error}");
        }
    }

    /// Stops a process, takes the image as it is, ends the process and mounts what was taken.
    fn cut(&mut self, process: Process) -> Ended {
        stop(&process);
        self.copies += 1;
        let copy = self.folder.path().join(format!("image-{}", self.copies));
        // A copy is of one moment if nothing was written meanwhile.
        let from = self.file.clone();
        let (source, target) = (from.display().to_string(), copy.display().to_string());
        let same = (0..50).any(|_| {
            tool("cp", &["--sparse=always", &source, &target]).unwrap();
            tool("cmp", &["-s", &source, &target]).is_ok()
        });
        assert!(same, "the image does not stand still");
        let ended = process.kill();
        self.unmount();
        fs::remove_file(&from).unwrap();
        self.file = copy;
        self.mount().unwrap();
        ended
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Stops a process (`SIGSTOP`) and waits until each of its threads stands still or is gone.
fn stop(process: &Process) {
    let id = process.id().to_string();
    // It may have ended by itself, which its last words tell.
    let _ = tool("kill", &["-STOP", &id]);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !stands_still(&Path::new("/proc").join(&id)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stands_still(process: &Path) -> bool {
    let Ok(threads) = fs::read_dir(process.join("task")) else { return true };
    threads.filter_map(Result::ok).all(|thread| {
        // `number (name) state ...`: the state is behind the last bracket.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        state.is_none_or(|state| matches!(state, 'T' | 't' | 'Z' | 'X'))
    })
}

/// Cuts so many times; what keeps this machine from mounting otherwise.
fn run(cuts: u64, seed: u64) -> Result<Tally, String> {
    let lost_without_sync = loses_without_sync(seed)?;
    let mut chance = Chance::new(seed);
    let mut tally = Tally { cuts: 0, opening: 0, records: 0, unannounced: 0, lost_without_sync };
    while tally.cuts < cuts {
        let (mut image, mut auditor) = (Image::new()?, Auditor::default());
        for generation in 0..ROUNDS.min((cuts - tally.cuts) as u32) {
            let outcome = round(&mut image, (seed, generation), &mut chance, &mut auditor);
            match outcome {
                Ok((opening, unannounced)) => {
                    tally.opening += u64::from(opening);
                    tally.unannounced += unannounced;
                }
                Err(error) => panic!("seed {seed}, generation {generation}: {error}"),
            }
            tally.cuts += 1;
        }
        tally.records += auditor.records() as u64;
    }
    Ok(tally)
}

/// One cut and one audit: whether it met an open, and records that were not announced.
fn round(
    image: &mut Image,
    (seed, generation): (u64, u32),
    chance: &mut Chance,
    auditor: &mut Auditor,
) -> Result<(bool, u64), String> {
    let writer = Process::start("write", seed, generation, 0, &image.dir());
    if !writer.hear("opening", PATIENCE) {
        return Err(format!("it does not start: {}", told(&writer.kill())));
    }
    let mut long = 60;
    if chance.is(70) {
        writer.hear("ready", PATIENCE);
        long = 600;
    }
    std::thread::sleep(Duration::from_millis(chance.below(long)));
    let ended = image.cut(writer);
    if ended.said("refused") || ended.panicked() {
        return Err(told(&ended));
    }
    auditor.hear(&ended.lines)?;
    let dump = Process::start("dump", seed, generation, 0, &image.dir()).wait(PATIENCE);
    if !dump.said("closed") {
        return Err(told(&dump));
    }
    let found = auditor.audit(&dump.lines)?;
    Ok((!ended.said("ready"), found.unannounced))
}

/// The control experiment: whether a cut takes what was acknowledged without a sync.
fn loses_without_sync(seed: u64) -> Result<bool, String> {
    let mut image = Image::new()?;
    let writer = Process::start("file", seed, 0, 0, &image.dir());
    writer.hear("ack", PATIENCE);
    std::thread::sleep(Duration::from_millis(20));
    let ended = image.cut(writer);
    let said = ended.lines.iter().filter_map(|line| line.strip_prefix("ack "));
    let said: BTreeSet<u64> = said.map(|number| number.parse().unwrap()).collect();
    Ok(!said.is_empty() && !said.is_subset(&in_file(&image.dir())))
}
