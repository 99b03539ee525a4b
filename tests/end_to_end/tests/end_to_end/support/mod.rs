//! What the tests share: requests, calls, waiting, the generator's work and what it should lead
//! to.

pub mod call;
pub mod chance;
pub mod expected;
pub mod files;
pub mod reading;
pub mod requests;
pub mod tool;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use domain::OfficeCode;
use generator::{Play, Step};
use jiff::civil::Date;
use testkit::Settings;
use testkit::country::{Country, PATIENCE};
use testkit::feed::{Desk, Fed};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Settings for quick tests: small commit files, a link that is dialled again soon.
pub fn quick() -> Settings {
    Settings {
        top: String::new(),
        tables: "[telemetry]\nlog = \"warn\"\n\
                 [journal]\nsegment_mib = 2\nsled_cache_mib = 8\n\
                 [replication]\nheartbeat_ms = 500\nbackoff_max_ms = 1000\n"
            .to_owned(),
    }
}

/// Heads go round at once, and a lack is an alarm after seconds.
pub fn hasty() -> Settings {
    let Settings { top, tables } = quick();
    let tables = format!(
        "{tables}relay_interval_ms = 100\n\
         [evidence]\nheads_interval_ms = 500\ncosignature_alarm_ms = 2000\n"
    );
    Settings { top, tables }
}

/// A country in a folder of its own, which is removed with it.
pub struct Land {
    /// The country.
    pub country: Country,
    /// Its folder.
    pub dir: tempfile::TempDir,
}

/// Starts a country of `offices` with quick settings.
pub async fn land(offices: &[&str]) -> Result<Land> {
    land_with(offices, quick()).await
}

/// Starts a country of `offices`.
pub async fn land_with(offices: &[&str], settings: Settings) -> Result<Land> {
    let dir = tempfile::tempdir()?;
    let country = Country::start(dir.path(), offices, settings).await?;
    Ok(Land { country, dir })
}

/// Looks again and again until `look` succeeds; after the deadline its last error is the answer.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("this did not come true in time: {what}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What the generator plays in `offices` for so many calendar days from a Monday on. The days lie
/// in the past: nothing can have happened in the future.
pub fn play(seed: u64, offices: &[&str], days: u32) -> Result<Vec<Step>> {
    let codes = offices.iter().map(|code| code.parse()).collect::<Result<Vec<OfficeCode>, _>>()?;
    let steps: Vec<_> = Play::new(seed, codes, Date::new(2026, 3, 2)?, days).collect();
    ensure!(!steps.is_empty(), "the generator plays nothing");
    Ok(steps)
}

/// Steps being entered at every office at once.
pub struct Feeding {
    /// What is acknowledged so far.
    pub fed: Fed,
    running: JoinSet<Result<()>>,
}

impl Feeding {
    /// Begins to enter `steps`, each at its office by the person of its role.
    pub fn start(country: &Country, steps: &[Step]) -> Result<Feeding> {
        let fed = Fed::default();
        let mut running = JoinSet::new();
        for office in country.regions.keys() {
            let own: Vec<_> =
                steps.iter().filter(|step| step.office.as_str() == office).cloned().collect();
            let (clerk, chief) =
                (country.target(office, "clerk")?, country.target(office, "chief")?);
            let (desk, fed) = (Desk::new(&clerk, &chief)?, fed.clone());
            running.spawn(async move { desk.enter(own, &fed).await });
        }
        Ok(Feeding { fed, running })
    }

    /// Waits until so many commands are acknowledged, or the work has ended or failed.
    pub async fn reach(&mut self, commands: u64) -> Result<()> {
        while self.fed.commands() < commands && !self.running.is_empty() {
            match self.running.try_join_next() {
                Some(ended) => ended.context("enter steps")??,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        Ok(())
    }

    /// Waits until everything is acknowledged.
    pub async fn finish(mut self) -> Result<Fed> {
        while let Some(ended) = self.running.join_next().await {
            ended.context("enter steps")??;
        }
        Ok(self.fed)
    }
}

/// Enters `steps` and waits until everything is acknowledged.
pub async fn feed(country: &Country, steps: &[Step]) -> Result<Fed> {
    Feeding::start(country, steps)?.finish().await
}
