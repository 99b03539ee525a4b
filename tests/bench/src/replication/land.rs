//! The nodes, what the centre holds of them, and the processor time that they take.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testkit::process::Process;
use testkit::{Country, Settings};
use wire::pb::operator::v1::ListLogsRequest;
use wire::pb::query::v1::ListOfficesRequest;

use crate::replication::queue::{Maker, Queued};

/// Time for anything that ought to happen by itself.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often the centre is asked what it holds.
const LOOK: Duration = Duration::from_millis(2);

/// Nothing is logged for each batch.
const QUIET: &str = "[telemetry]\nlog = \"warn\"\n";

/// Ticks of a second in `/proc/<pid>/stat`, on every Linux.
const TICKS: f64 = 100.0;

/// The centre and its regions, which dial it without anything in between.
pub struct Land {
    country: Country,
    dir: PathBuf,
    offices: Vec<String>,
    /// Records of all regions at the centre.
    held: u64,
}

/// How a queue was brought to the centre.
#[derive(Debug)]
pub struct CaughtUp {
    /// From the centre's start to the last record.
    pub total: Duration,
    /// From the last look that found nothing new to the last record.
    pub moving: Duration,
    /// Processor time of the centre since its start.
    pub centre: Duration,
    /// Processor time of all regions.
    pub regions: Duration,
    /// That of the centre's threads, by their names; not of those that have ended.
    pub threads: BTreeMap<String, Duration>,
}

impl Land {
    /// Starts and enrols everything.
    pub async fn start(dir: &Path, offices: &[String]) -> Result<Land> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let settings = Settings { tables: QUIET.to_owned(), ..Settings::default() };
        let codes: Vec<&str> = offices.iter().map(String::as_str).collect();
        let mut country = Country::start(dir, &codes, settings.clone()).await?;
        country.settle().await?;
        for office in offices {
            country.stop_region(office).await?;
            configure(&country, office, &settings)?;
        }
        let (dir, offices) = (dir.to_path_buf(), offices.to_vec());
        let mut land = Land { country, dir, offices, held: 0 };
        land.held = land.look().await?;
        Ok(land)
    }

    /// The nodes.
    pub fn country(&self) -> &Country {
        &self.country
    }

    /// The folder of everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends the centre, has `each` records wait in every region, and starts the regions. Returns
    /// when their own tables have them; what writing the last region's took.
    pub async fn queue(&mut self, maker: &mut Maker, each: u64) -> Result<Queued> {
        self.held = self.look().await?;
        self.country.stop_coordinator().await?;
        let mut last = None;
        for office in self.offices.clone() {
            self.country.stop_region(&office).await?;
            let journal = self.country.installation.data(&office).join("journal");
            let log = office.to_ascii_lowercase().parse()?;
            last = Some(maker.import(&journal, &log, each).context(office)?);
        }
        for office in self.offices.clone() {
            self.country.start_region(&office).await?;
        }
        for office in &self.offices {
            let held = self.country.logs(office).await?;
            let log = office.to_ascii_lowercase();
            let size = held.get(&log).map_or(0, |(size, _)| *size);
            self.folded(office, "chief", &BTreeMap::from([(log, size)])).await?;
        }
        last.context("no region")
    }

    /// Starts a region anew with this shortest time between two heads, in milliseconds.
    pub async fn set_head_interval(&mut self, office: &str, interval: u64) -> Result<()> {
        self.country.stop_region(office).await?;
        let tables = format!("{QUIET}[replication]\nhead_interval_ms = {interval}\n");
        configure(&self.country, office, &Settings { tables, ..Settings::default() })?;
        self.country.start_region(office).await?;
        self.country.settle().await
    }

    /// Starts the centre and waits until it holds `each` more records of every region.
    pub async fn catch_up(&mut self, each: u64) -> Result<CaughtUp> {
        let wanted = self.held + each * self.offices.len() as u64;
        let before = self.regions_cpu()?;
        self.country.start_coordinator().await?;
        let process = self.country.coordinator.as_ref();
        let id = process.and_then(Process::id).context("the centre runs")?;
        let (centre_before, threads_before) = (cpu(id)?, threads(id)?);
        let begun = Instant::now();
        let mut operator = self.country.operator("KZ").await?;
        let (mut nothing, mut seen) = (begun, self.held);
        while seen < wanted {
            if begun.elapsed() > PATIENCE {
                bail!("the centre holds {seen} of {wanted} records");
            }
            tokio::time::sleep(LOOK).await;
            let asked = Instant::now();
            let answer = operator.list_logs(ListLogsRequest {}).await?.into_inner();
            let ours = answer.logs.iter().filter(|row| !row.log.starts_with("kz/"));
            seen = ours.filter(|row| row.log != "kz").map(|row| row.size).sum();
            if seen <= self.held {
                nothing = asked;
            }
        }
        let end = Instant::now();
        let centre = cpu(id)?.saturating_sub(centre_before);
        let mut by_name = threads(id)?;
        for (name, time) in &mut by_name {
            let before = threads_before.get(name).copied().unwrap_or_default();
            *time = time.saturating_sub(before);
        }
        by_name.retain(|_, time| *time * 1000 > end - begun);
        let regions = self.regions_cpu()?.saturating_sub(before);
        let (total, moving) = (end - begun, end - nothing);
        Ok(CaughtUp { total, moving, centre, regions, threads: by_name })
    }

    /// Waits until the centre's tables have what it holds; how long that took.
    pub async fn centre_folded(&self) -> Result<Duration> {
        let begun = Instant::now();
        let mut sizes = BTreeMap::new();
        for (log, (size, _)) in self.country.logs("KZ").await? {
            if self.offices.iter().any(|office| office.to_ascii_lowercase() == log) {
                sizes.insert(log, size);
            }
        }
        self.folded("KZ", "national", &sizes).await?;
        Ok(begun.elapsed())
    }

    /// Ends every node.
    pub async fn stop(mut self) -> Result<()> {
        for office in self.offices.clone() {
            self.country.stop_region(&office).await?;
        }
        self.country.stop_coordinator().await.map(drop)
    }

    /// Waits until an office's tables have so much of these logs.
    async fn folded(&self, office: &str, who: &str, sizes: &BTreeMap<String, u64>) -> Result<()> {
        let (mut queries, begun) = (self.country.queries(office, who).await?, Instant::now());
        loop {
            // Unavailable while the tables are made anew.
            if let Ok(answer) = queries.list_offices(ListOfficesRequest::default()).await {
                let rows = answer.into_inner().freshness;
                let read = |log: &str| rows.iter().find(|row| row.log == log);
                if sizes.iter().all(|(log, size)| read(log).is_some_and(|row| row.size >= *size)) {
                    return Ok(());
                }
            }
            if begun.elapsed() > PATIENCE {
                bail!("the tables of {office} do not get there in time");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Records of all regions that the centre holds.
    async fn look(&self) -> Result<u64> {
        let logs = self.country.logs("KZ").await?;
        let ours = self.offices.iter().map(|office| office.to_ascii_lowercase());
        Ok(ours.filter_map(|log| logs.get(&log)).map(|(size, _)| *size).sum())
    }

    fn regions_cpu(&self) -> Result<Duration> {
        let running = self.country.regions.values().filter_map(|region| region.process.as_ref());
        running.filter_map(Process::id).map(cpu).sum()
    }
}

/// Has a region dial the centre itself, with nothing in between.
fn configure(country: &Country, office: &str, settings: &Settings) -> Result<()> {
    let (listen, centre) = (country.address(office)?.to_string(), country.address("KZ")?);
    let centre = centre.to_string();
    country.installation.configure(office, &listen, Some(&centre), settings).map(drop)
}

/// User and system time of a process so far.
fn cpu(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name in parentheses may hold anything; the state is the first field behind it.
    let (_, behind) = text.rsplit_once(')').context("no name in stat")?;
    let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<_, _>>().context("no times in stat")?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}

/// Processor time of a process' threads by name; numbers at the end of a name do not count.
fn threads(id: u32) -> Result<BTreeMap<String, Duration>> {
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{id}/task"))? {
        let dir = entry?.path();
        // A thread may end in between.
        let Ok(name) = fs::read_to_string(dir.join("comm")) else { continue };
        let Ok(text) = fs::read_to_string(dir.join("schedstat")) else { continue };
        let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
        let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        *times.entry(name.to_owned()).or_default() += Duration::from_nanos(nanos.unwrap_or(0));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_this_process_are_found() {
        let begun = cpu(std::process::id()).unwrap();
        while cpu(std::process::id()).unwrap() == begun {}
        let sum: Duration = threads(std::process::id()).unwrap().values().sum();
        assert!(sum > Duration::ZERO);
    }
}
