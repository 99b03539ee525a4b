//! A whole country of real processes on one machine: the centre, regions, a link to each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use identity::PublicKeys;
use tonic::transport::Channel;
use uuid::Uuid;
use wire::client::Target;
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::operator::v1 as operator;
use wire::pb::operator::v1::operator_service_client::OperatorServiceClient;
use wire::pb::query::v1::query_service_client::QueryServiceClient;

use crate::installation::{DOMAIN, Installation, Settings};
use crate::process::{Process, binary};
use crate::proxy::LinkProxy;
use crate::site::Site;

/// Time for anything that ought to happen by itself.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One regional node with the link it dials through.
#[derive(Debug)]
pub struct Region {
    /// The process; `None` while it is down.
    pub process: Option<Process>,
    /// The link to the centre.
    pub link: LinkProxy,
    config: PathBuf,
    site: Site,
}

/// Everything.
#[derive(Debug)]
pub struct Country {
    /// Keys and folders.
    pub installation: Installation,
    /// The coordinator; `None` while it is down.
    pub coordinator: Option<Process>,
    /// Regions by office code.
    pub regions: BTreeMap<String, Region>,
    centre_config: PathBuf,
    centre: Site,
    settings: Settings,
}

impl Country {
    /// Starts the centre and `offices`, and enrols them. `settings` go into every node's file.
    pub async fn start(dir: &Path, offices: &[&str], settings: Settings) -> Result<Country> {
        let mut country = Country::start_at(dir, settings, Site::loopback().await?).await?;
        for office in offices {
            country.add_region(office).await?;
        }
        Ok(country)
    }

    /// Starts the centre alone, at this site.
    pub async fn start_at(dir: &Path, settings: Settings, centre: Site) -> Result<Country> {
        let installation = Installation::create(dir)?;
        let with_page = Settings {
            top: format!("page = \"127.0.0.1:0\"\n{}", settings.top),
            ..settings.clone()
        };
        let centre_config =
            installation.configure("KZ", &centre.listen.to_string(), None, &with_page)?;
        let mut country = Country {
            installation,
            coordinator: None,
            regions: BTreeMap::new(),
            centre_config,
            centre,
            settings,
        };
        country.start_coordinator().await?;
        Ok(country)
    }

    /// Starts the coordinator, again if need be.
    pub async fn start_coordinator(&mut self) -> Result<()> {
        let program = binary("adal-coordinator")?;
        let (namespace, config) = (self.centre.namespace.as_deref(), &self.centre_config);
        let process =
            Process::start_in(namespace, "adal-coordinator", &program, config, &[]).await?;
        self.coordinator = Some(process);
        Ok(())
    }

    /// Makes, enrols and starts one more region: nothing but data, no rebuild.
    pub async fn add_region(&mut self, office: &str) -> Result<()> {
        self.add_region_at(office, Site::loopback().await?).await
    }

    /// Makes, enrols and starts one more region at this site.
    pub async fn add_region_at(&mut self, office: &str, site: Site) -> Result<()> {
        self.prepare_region_at(office, site).await?;
        self.enrol(office).await?;
        self.start_region(office).await?;
        self.until_writable(office).await
    }

    /// Makes keys, people and configuration of one more region; it is not enrolled, not started.
    pub async fn prepare_region(&mut self, office: &str) -> Result<()> {
        self.prepare_region_at(office, Site::loopback().await?).await
    }

    async fn prepare_region_at(&mut self, office: &str, site: Site) -> Result<()> {
        self.installation.add_region(office)?;
        let link = LinkProxy::start_at(site.door, self.centre.linked).await?;
        let (listen, dialled) = (site.listen.to_string(), link.address().to_string());
        let config =
            self.installation.configure(office, &listen, Some(&dialled), &self.settings)?;
        let region = Region { process: None, link, config, site };
        self.regions.insert(office.to_owned(), region);
        Ok(())
    }

    /// Starts a region, again if need be.
    pub async fn start_region(&mut self, office: &str) -> Result<()> {
        self.start_region_with(office, &[]).await
    }

    /// Starts a region with further arguments.
    pub async fn start_region_with(&mut self, office: &str, more: &[&str]) -> Result<()> {
        let program = binary("adal-region")?;
        let region = self.region_mut(office)?;
        let namespace = region.site.namespace.as_deref();
        let (config, name) = (&region.config, office);
        let process = Process::start_in(namespace, name, &program, config, more).await?;
        region.process = Some(process);
        Ok(())
    }

    /// Why a region records nothing; empty if it does.
    pub async fn read_only(&self, office: &str) -> Result<String> {
        let own = office.to_ascii_lowercase();
        let status = self.sync_status(office).await?;
        let mut logs = status.links.into_iter().flat_map(|link| link.logs);
        let refused = logs.find(|log| log.log == own).map(|log| log.refused);
        Ok(refused.filter(|text| text.starts_with("read-only")).unwrap_or_default())
    }

    /// Waits until a region records: a new or a restored one asks the centre first.
    pub async fn until_writable(&self, office: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let why = self.read_only(office).await?;
            if why.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{office} still does not record: {why}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends a region as a power cut does.
    pub async fn kill_region(&mut self, office: &str) -> Result<()> {
        match self.region_mut(office)?.process.take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Ends the coordinator as a power cut does.
    pub async fn kill_coordinator(&mut self) -> Result<()> {
        match self.coordinator.take() {
            Some(mut process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Has a region end by itself (SIGTERM); true if it ended with success.
    pub async fn stop_region(&mut self, office: &str) -> Result<bool> {
        match self.region_mut(office)?.process.take() {
            Some(mut process) => process.stop().await,
            None => Ok(true),
        }
    }

    /// Has the coordinator end by itself (SIGTERM); true if it ended with success.
    pub async fn stop_coordinator(&mut self) -> Result<bool> {
        match self.coordinator.take() {
            Some(mut process) => process.stop().await,
            None => Ok(true),
        }
    }

    /// An office's configuration file.
    pub fn config(&self, office: &str) -> Result<&Path> {
        if office == "KZ" { Ok(&self.centre_config) } else { Ok(&self.region(office)?.config) }
    }

    /// One region.
    pub fn region(&self, office: &str) -> Result<&Region> {
        self.regions.get(office).ok_or_else(|| anyhow!("no region {office}"))
    }

    fn region_mut(&mut self, office: &str) -> Result<&mut Region> {
        self.regions.get_mut(office).ok_or_else(|| anyhow!("no region {office}"))
    }

    /// Where an office's services listen.
    pub fn address(&self, office: &str) -> Result<SocketAddr> {
        if office == "KZ" { Ok(self.centre.reach) } else { Ok(self.region(office)?.site.reach) }
    }

    /// How a person of an office reaches its node.
    pub fn target(&self, office: &str, person: &str) -> Result<Target> {
        let people = self.installation.people(office);
        let read = |name: String| {
            let path = people.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        Ok(Target {
            address: self.address(office)?.to_string(),
            server_name: format!("{}.{DOMAIN}", office.to_ascii_lowercase()),
            authority: read("ca.pem".to_owned())?,
            certificate: read(format!("{person}.pem"))?,
            key: read(format!("{person}.key"))?,
        })
    }

    /// A person's connection to the own node.
    pub async fn connect(&self, office: &str, person: &str) -> Result<Channel> {
        Ok(self.target(office, person)?.connect().await?)
    }

    /// A person's commands.
    pub async fn commands(
        &self,
        office: &str,
        person: &str,
    ) -> Result<CommandServiceClient<Channel>> {
        Ok(CommandServiceClient::new(self.connect(office, person).await?))
    }

    /// A person's questions to the tables.
    pub async fn queries(&self, office: &str, person: &str) -> Result<QueryServiceClient<Channel>> {
        Ok(QueryServiceClient::new(self.connect(office, person).await?))
    }

    /// An operator's view of an office.
    pub async fn operator(&self, office: &str) -> Result<OperatorServiceClient<Channel>> {
        Ok(OperatorServiceClient::new(self.connect(office, "operator").await?))
    }

    /// Enrols a region at the centre.
    pub async fn enrol(&self, office: &str) -> Result<()> {
        let public = PublicKeys::load(&self.installation.keys(office).join("public.toml"))?;
        let enrolment = command::EnrolOffice {
            code: office.to_owned(),
            name_kk: format!("{office} облыстық соты"),
            name_ru: format!("Областной суд {office}"),
            name_en: format!("Regional court {office}"),
            zone: "Asia/Almaty".to_owned(),
            log_key: public.log.to_vec(),
            witness_key: public.witness.to_vec(),
            mirror_key: Some(public.mirror.to_vec()),
        };
        let meta = command::CommandMeta {
            command_id: Uuid::now_v7().to_string(),
            ..command::CommandMeta::default()
        };
        let request = Some(command::command::Request::EnrolOffice(enrolment));
        let command = command::Command { meta: Some(meta), request };
        self.commands("KZ", "operator").await?.execute(command).await?;
        Ok(())
    }

    /// The state of an office's links.
    pub async fn sync_status(&self, office: &str) -> Result<operator::SyncStatusResponse> {
        let mut operator = self.operator(office).await?;
        Ok(operator.sync_status(operator::SyncStatusRequest {}).await?.into_inner())
    }

    /// The logs of an office by name: size and root of the newest epoch.
    pub async fn logs(&self, office: &str) -> Result<BTreeMap<String, (u64, Vec<u8>)>> {
        let mut operator = self.operator(office).await?;
        let logs = operator.list_logs(operator::ListLogsRequest {}).await?.into_inner().logs;
        Ok(logs.into_iter().map(|row| (row.log, (row.size, row.root))).collect())
    }

    /// Waits until the centre holds everything that each running region has recorded, with equal
    /// roots, and each region everything that the centre has for it.
    pub async fn settle(&self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.difference().await {
                Ok(None) => return Ok(()),
                Ok(Some(what)) | Err(what) if tokio::time::Instant::now() > deadline => {
                    bail!("not settled in time: {what}")
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// The first log that is not the same at both ends; `None` if all are.
    async fn difference(&self) -> std::result::Result<Option<String>, String> {
        let text = |error: anyhow::Error| format!("{error:#}");
        let centre = self.logs("KZ").await.map_err(text)?;
        for (office, region) in &self.regions {
            if region.process.is_none() {
                continue;
            }
            let here = self.logs(office).await.map_err(text)?;
            let own = office.to_ascii_lowercase();
            for log in [own.clone(), "kz/all".to_owned(), format!("kz/{own}")] {
                if here.get(&log) != centre.get(&log) {
                    let sizes = (here.get(&log).map(|l| l.0), centre.get(&log).map(|l| l.0));
                    return Ok(Some(format!("{log}: {sizes:?} records at {office} and KZ")));
                }
            }
        }
        Ok(None)
    }
}
