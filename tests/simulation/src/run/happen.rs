//! How a fault is done to the country, and how it is undone.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use journal::Journal;
use journal::disk::memory::MemoryDisk;
use journal::index::memory::MemoryStore;
use node::office::own_log;

use super::{Later, Run, register};
use crate::country::State;
use crate::faults::{Fault, Special};
use crate::machine::Machine;
use crate::work;

/// Time until a computer that ended by itself is started again.
const AGAIN: Duration = Duration::from_secs(2);
/// Time in which the disk is expected to be used.
const DYING: Duration = Duration::from_secs(3);
/// Time after which the centre gives an office its new keys.
const REKEY: Duration = Duration::from_secs(4);
/// Bytes that are free on a disk with room.
const ROOM: u64 = 1 << 40;

impl Run {
    pub(super) fn happens(&mut self, what: Later) {
        match what {
            Later::Fault(fault) => self.fault(fault),
            Later::Start(name) => self.start(&name),
            Later::Repair(region) => self.sim.repair(region.as_str(), "kz"),
            Later::Release(region) => self.sim.release(region.as_str(), "kz"),
            Later::Fast(region) => self.slow(&region, Duration::from_millis(80)),
            Later::Free(name) => self.free(&name),
            Later::Mend(name, path, at, mask) => self.mend(&name, &path, at, mask),
            Later::Rekey(name) => self.rekey(&name),
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.country.tell("fault", format!("{fault:?}"));
        let now = self.now();
        match fault {
            Fault::Cut(region, lasts) => {
                self.happened("cut");
                self.sim.partition(region.as_str(), "kz");
                self.later(now + lasts, Later::Repair(region));
            }
            Fault::OneWay(region, up, lasts) => {
                self.happened("one way");
                let (from, to) = if up { (region.as_str(), "kz") } else { ("kz", region.as_str()) };
                self.sim.partition_oneway(from, to);
                self.later(now + lasts, Later::Repair(region));
            }
            Fault::Hold(region, lasts) => {
                self.happened("hold");
                self.sim.hold(region.as_str(), "kz");
                self.later(now + lasts, Later::Release(region));
            }
            Fault::Slow(region, latency, lasts) => {
                self.happened("slow");
                self.slow(&region, latency);
                self.later(now + lasts, Later::Fast(region));
            }
            Fault::Kill(name, down) => self.goes_down(&name, "kill", down, false),
            Fault::Power(name, unheard, down) => self.power(&name, unheard, down),
            Fault::PowerAtStep(name, steps, down) => self.power_at_step(name, steps, down),
            Fault::Restart(name, down) => self.restart(&name, down),
            Fault::Clock(name, seconds) => {
                self.happened("clock jump");
                let notes = self.country.notes();
                notes.machines[&name].skew.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
            }
            Fault::Full(name, lasts) => {
                self.happened("full disk");
                self.country.notes().machines[&name].disk.set_free(0);
                self.later(now + lasts, Later::Free(name));
            }
            Fault::Rot(name, where_, lasts) => self.rot(&name, where_, lasts),
            Fault::Image(name) => {
                let mut image = self.country.notes().machines[&name].clone();
                image.disk = image.disk.copied();
                self.images.insert(name, image);
            }
            Fault::Back(name, special) => self.back(&name, special),
        }
    }

    fn slow(&self, region: &str, latency: Duration) {
        self.sim.set_link_max_message_latency(region, "kz", latency);
    }

    fn is_up(&self, name: &str) -> bool {
        matches!(self.country.notes().states.get(name), Some(State::Running(_)))
    }

    /// The process is gone from one moment to the next.
    fn goes_down(&mut self, name: &str, kind: &'static str, down: Duration, power: bool) {
        if !self.is_up(name) {
            return;
        }
        self.happened(kind);
        if let Some(office) = self.country.office(name) {
            self.country.observe(name, &office);
        }
        self.sim.crash(name);
        self.country.set(name, State::Off);
        self.disk_of(name, power);
        self.dying.remove(name);
        self.later(self.now() + down, Later::Start(name.to_owned()));
    }

    fn disk_of(&mut self, name: &str, power: bool) {
        let mut notes = self.country.notes();
        let machine = notes.machines.get_mut(name).unwrap();
        if power {
            machine.lost_power(&mut self.chance);
        } else {
            machine.killed();
        }
    }

    fn power(&mut self, name: &str, unheard: bool, down: Duration) {
        let others: Vec<String> = match name {
            "kz" => self.country.names().into_iter().filter(|other| other != "kz").collect(),
            region => vec![region.to_owned()],
        };
        if unheard && self.is_up(name) {
            // No farewell of its sockets gets through.
            for region in &others {
                self.sim.partition(region.as_str(), "kz");
                self.later(self.now() + down / 2, Later::Repair(region.clone()));
            }
        }
        self.goes_down(name, "power", down, true);
    }

    fn power_at_step(&mut self, name: String, steps: u64, down: Duration) {
        if !self.is_up(&name) || self.dying.contains_key(&name) {
            return;
        }
        self.happened("power in a write");
        let disk = self.country.notes().machines[&name].disk.clone();
        disk.crash_at(disk.steps() + steps);
        self.dying.insert(name, (self.now() + DYING, down));
    }

    /// Computers whose disk was to die and was not used.
    pub(super) fn power_goes(&mut self, now: Duration) {
        let late: Vec<_> = self.dying.iter().filter(|(_, (limit, _))| *limit <= now).collect();
        let late: Vec<_> =
            late.into_iter().map(|(name, (_, down))| (name.clone(), *down)).collect();
        for (name, down) in late {
            self.goes_down(&name, "power", down, true);
            self.dying.remove(&name);
        }
    }

    /// An office has ended by itself or did not start.
    pub(super) fn has_ended(&mut self, name: &str) {
        self.sim.crash(name);
        let died = self.dying.remove(name);
        self.country.set(name, State::Off);
        self.disk_of(name, died.is_some());
        let down = died.map_or(AGAIN, |(_, down)| down);
        self.later(self.now() + down, Later::Start(name.to_owned()));
    }

    fn restart(&mut self, name: &str, _down: Duration) {
        if self.dying.contains_key(name) {
            return;
        }
        if let Some(office) = self.country.office(name) {
            self.happened("restart");
            office.supervisor.stop();
        }
    }

    fn start(&mut self, name: &str) {
        if !self.is_up(name) {
            self.sim.bounce(name);
        }
    }

    fn free(&self, name: &str) {
        self.country.notes().machines[name].disk.set_free(ROOM);
    }

    /// One bit of what was recorded flips.
    fn rot(&mut self, name: &str, chosen: u64, lasts: Duration) {
        let mut notes = self.country.notes();
        let disk = notes.machines[name].disk.clone();
        let files: Vec<_> =
            disk.files().into_iter().filter(|(path, _)| is_commit_file(path)).collect();
        let Some((path, bytes)) = files.get(chosen as usize % files.len().max(1)) else { return };
        // Before the end: there the file is still written.
        let written = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) * 3 / 4;
        let (at, mask) = ((chosen >> 16) as usize % written.max(1), 1 << ((chosen >> 8) % 8));
        disk.rot(path, at, mask);
        notes.audit.rot(name, true);
        drop(notes);
        self.happened("bit rot");
        let mending = Later::Mend(name.to_owned(), path.clone(), at, mask);
        self.later(self.now() + lasts, mending);
    }

    fn mend(&self, name: &str, path: &std::path::Path, at: usize, mask: u8) {
        let mut notes = self.country.notes();
        notes.machines[name].disk.rot(path, at, mask);
        notes.audit.rot(name, false);
    }

    /// Something is put in the place of a computer's disk.
    fn back(&mut self, name: &str, special: Special) {
        let Some(image) = self.images.get(name).cloned() else { return };
        if special == Special::Duplicate {
            return self.duplicate(name);
        }
        if self.is_up(name) {
            self.goes_down(name, "replaced disk", Duration::from_secs(1), false);
        } else {
            self.happened("replaced disk");
        }
        self.sim.partition(name, "kz");
        self.sim.repair(name, "kz");
        let mut notes = self.country.notes();
        let machine = notes.machines.get_mut(name).unwrap();
        machine.generation += 1;
        machine.index = MemoryStore::new();
        machine.disk = match special {
            Special::Recreated => {
                std::fs::remove_dir_all(machine.folder.join("data")).unwrap();
                MemoryDisk::mounted_at(&machine.folder.join("data"))
            }
            _ => image.disk.copied(),
        };
        machine.disk.set_free(ROOM);
        if matches!(special, Special::Restored | Special::Rekeyed) {
            next_epoch(machine);
        }
        let generation = machine.generation;
        if special == Special::Rekeyed {
            machine.new_keys(self.country.seed);
            let machine = machine.clone();
            notes.audit.has_other_keys(&machine);
        }
        notes.audit.has_other_disk(name, generation);
        notes.desks.remove(name);
        drop(notes);
        if special == Special::Rekeyed {
            self.later(self.now() + REKEY, Later::Rekey(name.to_owned()));
        }
    }

    /// A copy of the computer runs beside it.
    fn duplicate(&mut self, name: &str) {
        self.happened("duplicate");
        let mut copy = self.country.notes().machines[name].clone();
        let folder = copy.folder.with_extension("copy");
        copy_folder(&copy.folder, &folder);
        let (disk, name) = (copy.disk.moved(&copy.folder, &folder), format!("{name}-copy"));
        copy =
            Machine { disk, folder, name, boots: 0, generation: 1, skew: Arc::default(), ..copy };
        copy.index = MemoryStore::new();
        let name = copy.name.clone();
        let mut notes = self.country.notes();
        notes.audit.has_other_disk(&name, 1);
        notes.states.insert(name.clone(), State::Off);
        notes.machines.insert(name.clone(), copy);
        drop(notes);
        register(&mut self.sim, &self.country, &name);
    }

    /// The centre's people enrol the keys that an office has made, as soon as they can.
    fn rekey(&mut self, name: &str) {
        let (country, of) = (self.country.clone(), name.to_owned());
        let machine = country.notes().machines[name].clone();
        self.sim.client(format!("rekey-{}", self.count), async move {
            while !work::rekey(&country, &machine).await {
                tokio::time::sleep(AGAIN).await;
            }
            country.tell("kz", format!("{of} has new keys"));
            Ok(())
        });
    }

    /// Everything that can be mended is.
    pub(super) fn heal(&mut self) {
        self.country.tell("fault", "everything is mended");
        let due: Vec<_> = std::mem::take(&mut self.due).into_iter().collect();
        for (_, what) in due {
            match what {
                Later::Fault(_) => {}
                Later::Mend(name, path, at, mask) => self.mend(&name, &path, at, mask),
                Later::Rekey(name) => self.later(self.now(), Later::Rekey(name)),
                _ => {}
            }
        }
        for name in self.country.names() {
            if name != "kz" {
                self.sim.release(name.as_str(), "kz");
                self.sim.repair(name.as_str(), "kz");
                self.slow(&name, Duration::from_millis(80));
            }
            self.free(&name);
            if !self.is_up(&name) {
                self.later(self.now(), Later::Start(name));
            }
        }
    }
}

fn is_commit_file(path: &std::path::Path) -> bool {
    path.parent().and_then(|folder| folder.file_name()).is_some_and(|name| name == "commits")
}

/// What a restore of a backup does: the logs go on in the next epoch.
fn next_epoch(machine: &Machine) {
    let (disk, index) = (Arc::new(machine.disk.clone()), Arc::new(machine.index.clone()));
    let folder: PathBuf = machine.folder.join("data/journal");
    let (journal, _) = Journal::open_on(disk, index, &folder, journal::Options::default()).unwrap();
    let own = own_log(&machine.code).unwrap();
    let open = journal.logs().iter().filter(|info| info.log == own).map(|info| info.epoch).max();
    journal.ensure_own_log(&own, open.unwrap_or(1) + 1).unwrap();
    journal.close();
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success(), "copy {}", from.display());
}
