//! Two offices in namespaces, a backlog of records, and what is measured of its way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evidence::log::LogName;
use journal::Journal;
use serde_json::{Value, json};
use testkit::Settings;
use testkit::country::Country;
use testkit::namespace::Namespace;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::command::Request;
use wire::pb::contact::v1::CallerPart;

/// The region.
pub const OFFICE: &str = "KZ-75";
/// Its own log.
pub const LOG: &str = "kz-75";
/// Commands that are under way at once while the backlog is recorded.
const CLERKS: usize = 8;
/// Characters of text in a record: its body, open and sealed, has 256 bytes then.
const TEXT: usize = 164;

/// A centre and a region, each in a namespace, with a link between them.
pub struct Ground {
    pub country: Country,
    /// The region's namespace: its link is the one that is made bad.
    pub far: Namespace,
    _centre: Namespace,
    dir: tempfile::TempDir,
}

/// Two offices whose link is live; `None` where no namespaces can be made, which is said.
pub async fn ground() -> Result<Option<Ground>> {
    if let Err(why) = Namespace::possible() {
        eprintln!("SKIPPED: network namespaces cannot be made here: {why}");
        return Ok(None);
    }
    let dir = tempfile::tempdir()?;
    let (centre, far) = (Namespace::create(0)?, Namespace::create(1)?);
    let settings =
        Settings { tables: "[telemetry]\nlog = \"info\"\n".to_owned(), ..Settings::default() };
    let mut country = Country::start_at(dir.path(), settings, centre.site()).await?;
    country.add_region_at(OFFICE, far.site()).await?;
    record(&country, 1).await?;
    country.settle().await?;
    Ok(Some(Ground { country, far, _centre: centre, dir }))
}

/// Records so many contacts of one size at the region.
pub async fn record(country: &Country, count: usize) -> Result<()> {
    let mut clerks = JoinSet::new();
    for clerk in 0..CLERKS {
        let mut client = country.commands(OFFICE, "clerk").await?;
        let share = count / CLERKS + usize::from(clerk < count % CLERKS);
        clerks.spawn(async move {
            for _ in 0..share {
                client.execute(contact()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clerks.join_next().await {
        done?.context("record the backlog")?;
    }
    Ok(())
}

/// A contact of a caller, with a text that does not compress.
fn contact() -> pb::Command {
    let note: String =
        (0..TEXT.div_ceil(32)).map(|_| format!("{:032x}", rand::random::<u128>())).collect();
    let request = Request::OpenContact(pb::OpenContact {
        channel: "call".to_owned(),
        line: Some("trust_line".to_owned()),
        language: "kk".to_owned(),
        personal: Some(CallerPart {
            name: Some("A Caller".to_owned()),
            phone: Some("+7 000 000 00 00".to_owned()),
            note: Some(note[..TEXT].to_owned()),
        }),
    });
    let meta = pb::CommandMeta {
        command_id: Uuid::now_v7().to_string(),
        stream_id: Uuid::now_v7().to_string(),
        ..pb::CommandMeta::default()
    };
    pb::Command { meta: Some(meta), request: Some(request) }
}

impl Ground {
    /// Records of the region's log at an office.
    pub async fn size(&self, office: &str) -> Result<u64> {
        Ok(self.country.logs(office).await?.get(LOG).map_or(0, |(size, _)| *size))
    }

    /// Waits until the centre holds so many records of the region.
    pub async fn arrived(&self, size: u64, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let held = self.size("KZ").await?;
            if held >= size {
                return Ok(began.elapsed());
            }
            ensure!(began.elapsed() < limit, "{held} of {size} records in {limit:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends both, and compares the logs to the last bit. Bytes of the region's records: all of
    /// them, open bodies, sealed parts.
    pub async fn ended(mut self) -> Result<Bytes> {
        self.country.settle().await?;
        ensure!(self.country.stop_region(OFFICE).await?, "the region did not end cleanly");
        ensure!(self.country.stop_coordinator().await?, "the centre did not end cleanly");
        let log: LogName = LOG.parse()?;
        let open = |office: &str| {
            let dir = self.country.installation.data(office).join("journal");
            anyhow::Ok(Journal::open(&dir, journal::Options::default())?.0)
        };
        let (here, there) = (open(OFFICE)?, open("KZ")?);
        let info = here.log(&log, 1).context("the log here")?;
        let held = there.log(&log, 1).context("the log at the centre")?;
        ensure!((info.size, info.root) == (held.size, held.root), "the centre holds another log");
        let mut bytes = Bytes::default();
        while bytes.records < info.size {
            let records = here.range(&log, 1, bytes.records, 1_000, usize::MAX)?;
            ensure!(!records.is_empty(), "the log ends at {}", bytes.records);
            for record in records {
                bytes.records += 1;
                bytes.all += record.bytes().len() as u64;
                bytes.open += record.open().len() as u64;
                bytes.sealed += record.sealed().len() as u64;
            }
        }
        drop(self.dir);
        Ok(bytes)
    }
}

/// Bytes of a log.
#[derive(Default)]
pub struct Bytes {
    pub records: u64,
    pub all: u64,
    pub open: u64,
    pub sealed: u64,
}

impl Bytes {
    /// A share of these bytes, for one record.
    fn each(&self, bytes: u64) -> f64 {
        (bytes as f64 / self.records as f64 * 10.0).round() / 10.0
    }

    /// For the line of figures.
    pub fn told(&self) -> Value {
        json!({
            "record": self.each(self.all),
            "open": self.each(self.open),
            "sealed": self.each(self.sealed),
            "sealed_percent": (self.sealed * 100).div_ceil(self.all),
        })
    }
}
