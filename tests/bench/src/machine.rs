//! What the operating system says about this process and the disk. Linux only.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise, statvfs};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads of this process, user and system: what to trust on a busy machine.
pub fn process_cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Largest resident set of this process so far in bytes (`VmHWM` of `proc(5)`).
pub fn peak_rss() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM in /proc/self/status")?.parse::<u64>()? * 1024)
}

/// Processors that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Version of the kernel.
pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// Type and mount point of the file system that holds `path`, like `ext4 at /`.
pub fn filesystem(path: &Path) -> Result<String> {
    let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read mountinfo")?;
    let found = mounts.lines().filter_map(mount).filter(|(at, _)| path.starts_with(at));
    let longest = found.max_by_key(|(at, _)| at.components().count());
    let (at, kind) = longest.context("no mount point holds the folder")?;
    Ok(format!("{kind} at {}", at.display()))
}

/// Mount point and type of a line of `mountinfo`.
fn mount(line: &str) -> Option<(PathBuf, &str)> {
    let (left, right) = line.split_once(" - ")?;
    Some((PathBuf::from(left.split(' ').nth(4)?), right.split(' ').next()?))
}

/// Bytes that this process may still write to the file system that holds `path`.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let space =
        statvfs(path).with_context(|| format!("ask for the space of {}", path.display()))?;
    Ok(space.f_bavail * space.f_frsize)
}

/// Bytes that the files below `dir` take on the disk, as `du` counts them.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let sizes = files(dir)?.into_iter().map(|file| Ok(fs::metadata(file)?.blocks() * 512));
    sizes.sum()
}

/// Throws the files below `dir` out of the page cache, so that the next reader meets the disk.
pub fn evict(dir: &Path) -> Result<()> {
    for path in files(dir)? {
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        // Only clean pages can be thrown out.
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut open } else { &mut found };
            list.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_whatever_optional_fields_it_has() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw";
        assert_eq!(mount(line), Some((PathBuf::from("/mnt2"), "ext3")));
        assert_eq!(mount("22 1 0:21 / / rw - xfs /dev/a rw"), Some((PathBuf::from("/"), "xfs")));
        assert_eq!(mount("no mount"), None);
    }

    #[test]
    fn the_process_has_figures() {
        assert!(peak_rss().unwrap() > 100_000);
        let before = thread_cpu();
        let sum = (0..1_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        assert!(thread_cpu() > before, "{sum}");
        assert!(process_cpu() >= thread_cpu());
    }

    #[test]
    fn disk_bytes_count_every_file_below() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        for name in ["a", "deep/b"] {
            let path = dir.path().join(name);
            fs::write(&path, vec![7; 100_000]).unwrap();
            File::open(path).unwrap().sync_all().unwrap();
        }
        assert!(disk_bytes(dir.path()).unwrap() >= 200_000);
        evict(dir.path()).unwrap();
        assert!(filesystem(dir.path()).unwrap().contains(" at /"));
        assert!(free_bytes(dir.path()).unwrap() > 0);
    }
}
