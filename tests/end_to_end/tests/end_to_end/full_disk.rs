//! A full disk: recording is refused with words, reading goes on, and recording resumes when
//! there is space again. Needs the right to mount a small file system, or `ADAL_SKIP_FULL_DISK=1`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use testkit::Settings;
use testkit::country::Country;
use tokio::process::Command as Program;
use tonic::{Code, Status};
use uuid::Uuid;
use wire::pb::command::v1::Command;

use crate::support::call::{accepted, execute, is_refusal, link, log, record_contacts};
use crate::support::requests::{command, contact};
use crate::support::{land_with, quick, reading, until};

const OFFICE: &str = "KZ-75";
/// Set to 1 by a user who may not mount and knows that these tests then show nothing.
const SKIP: &str = "ADAL_SKIP_FULL_DISK";
const MIB: u64 = 1024 * 1024;

/// Settings that leave room on a small disk.
fn small() -> Settings {
    let quick = quick();
    let journal = "[journal]\nfree_space_watermark_mib = 8\n";
    Settings { tables: quick.tables.replace("[journal]\n", journal), ..quick }
}

/// The centre's disk is full: offices go on and know what is not held; then all of it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_centre_delays_and_loses_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(&dir.path().join("kz/data"), 64).await? else {
        return Ok(());
    };
    let mut country = Country::start(dir.path(), &[OFFICE], small()).await?;
    record_contacts(&country, OFFICE, 3).await?;
    country.settle().await?;
    disk.fill(4 * MIB).await?;
    record_contacts(&country, OFFICE, 7).await?;
    until("both sides know what is not held", async || {
        let here = link(&country, OFFICE, "KZ").await?;
        let there = link(&country, "KZ", OFFICE).await?;
        let lag = (log(&here, "kz-75")?.lag_records, log(&there, "kz-75")?.lag_records);
        ensure!(lag == (Some(7), Some(7)), "they count {lag:?} records");
        ensure!(here.state != "live" && there.state != "live", "{} {}", here.state, there.state);
        let said = format!("{here:?}{there:?}").to_ascii_lowercase();
        ensure!(said.contains("disk"), "nobody names the disk: {said}");
        Ok(())
    })
    .await?;
    let held = reading::records(&country, "KZ", "kz-75").await?.len();
    ensure!(held == 3, "{held} records are read from a full disk that holds 3");
    disk.free()?;
    country.settle().await?;
    reading::all_intact(&country).await?;
    // The node that runs on the disk ends before the disk goes.
    ensure!(country.stop_coordinator().await?, "the coordinator did not end cleanly");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_records_and_serves_readers() -> Result<()> {
    let mut land = land_with(&[], small()).await?;
    let country = &mut land.country;
    country.prepare_region(OFFICE).await?;
    let data = country.installation.data(OFFICE);
    let Some(disk) = SmallDisk::mount(&data, 64).await? else {
        return Ok(());
    };
    country.enrol(OFFICE).await?;
    country.start_region(OFFICE).await?;
    country.until_writable(OFFICE).await?;
    record_contacts(country, OFFICE, 5).await?;
    recorded(country).await?;
    country.settle().await?;
    let before = reading::records(country, OFFICE, "kz-75").await?;

    // Below the watermark, but with space left; then with nothing left at all.
    for leave in [4 * MIB, 0] {
        disk.fill(leave).await.with_context(|| format!("leave {leave} bytes"))?;
        until("the full disk is noticed", async || refused(country).await).await?;
        let after = reading::records(country, OFFICE, "kz-75").await?;
        ensure!(after.starts_with(&before), "records are missing while the disk is full");
        ensure!(
            country.region(OFFICE)?.process.as_ref().and_then(|process| process.id()).is_some(),
            "the node has ended"
        );
        let rows = reading::tables(country, OFFICE, "clerk").await?["contacts"].len();
        ensure!(rows >= before.len(), "the tables have lost rows: {rows} are left");

        disk.free()?;
        until("recording resumes", async || recorded(country).await).await?;
    }
    country.settle().await?;
    reading::all_intact(country).await?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    country.start_region(OFFICE).await?;
    country.settle().await
}

/// A contact with a personal part: it needs a new key in the vault as well as a record.
fn personal() -> Command {
    command(Uuid::now_v7(), 0, contact("A Caller", "a question"))
}

/// A command is carried out.
async fn recorded(country: &Country) -> Result<()> {
    accepted(country, OFFICE, "clerk", personal()).await.map(drop)
}

/// A command is refused because of the disk, and says how much is free.
async fn refused(country: &Country) -> Result<()> {
    let status: Status = match execute(country, OFFICE, "clerk", personal()).await? {
        Ok(_) => bail!("it still records"),
        Err(status) => status,
    };
    let details = is_refusal(&status, Code::ResourceExhausted, "DISK_FULL")?;
    let metadata = &details.error_info().context("ErrorInfo")?.metadata;
    ensure!(
        metadata.contains_key("free") && metadata.contains_key("watermark"),
        "it does not say how much is free: {metadata:?}"
    );
    ensure!(status.message().contains("space"), "it does not say what to do: {status:?}");
    Ok(())
}

/// A file system of its own, in memory, taken away at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts so many MiB at `dir`. Where that fails, so does the test; `None` only where whoever
    /// runs it has said with `ADAL_SKIP_FULL_DISK=1` that it shall be left out.
    async fn mount(dir: &Path, mib: u64) -> Result<Option<SmallDisk>> {
        fs::create_dir_all(dir)?;
        let options = format!("size={mib}m,mode=0700");
        let mount = Program::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir)
            .output()
            .await;
        let problem = match mount {
            Ok(output) if output.status.success() => return Ok(Some(SmallDisk(dir.to_owned()))),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        ensure!(
            std::env::var_os(SKIP).is_some_and(|value| value == "1"),
            "no small file system to fill: {problem}; run this as a user who may mount a tmpfs \
             (root), or set {SKIP}=1 to leave out what happens on a full disk"
        );
        println!("skipped, as {SKIP}=1 says: no small file system to fill: {problem}");
        Ok(None)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills the disk up to `leave` free bytes.
    async fn fill(&self, leave: u64) -> Result<()> {
        self.free()?;
        let free = self.free_bytes().await?;
        let size = free.saturating_sub(leave);
        let mut written = Vec::new();
        written.resize(usize::try_from(size)?, 1);
        // The last bytes may not fit: then it is as full as it gets.
        match fs::write(self.ballast(), written) {
            Ok(()) => Ok(()),
            Err(error) if leave == 0 && error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            Err(error) => Err(error).context("fill the disk"),
        }
    }

    /// Takes the ballast away.
    fn free(&self) -> Result<()> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn free_bytes(&self) -> Result<u64> {
        let output =
            Program::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().nth(1).unwrap_or_default().trim().parse().context("df says how much is free")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node that runs on it ends a moment later.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
