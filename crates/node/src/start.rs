//! Puts a node together: opens what is stored, starts the tasks, opens the port last.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::number::NumberKey;
use domain::{Classifiers, OfficeCode, Zone};
use identity::{Credentials, LogKeys, NodeKeys, Subject, Trust};
use journal::Journal;
use projection::Views;
use telemetry::{Metrics, Telemetry};
use tracing::{info, warn};
use vault::RootKey;

use crate::attachments::Attachments;
use crate::country::Country;
use crate::duties;
use crate::duties::view::View;
use crate::epochs;
use crate::escrow::Escrow;
use crate::ground::Ground;
use crate::grpc;
use crate::link::{self, Links};
use crate::metrics_port;
use crate::notes::Notes;
use crate::numbers::Numbers;
use crate::office::{Logs, Office, SharedOffice};
use crate::options::Options;
use crate::previews::Previews;
use crate::project;
#[cfg(test)]
use crate::records::Opening;
use crate::records::Records;
use crate::relay::Relay;
use crate::reseed::{self, Reseed};
use crate::stores;
use crate::supervisor::{OnEnd, Supervisor};
use crate::tables::Tables;
use crate::writer::Writer;

/// A node that serves.
pub struct Running {
    /// The office.
    pub office: SharedOffice,
    /// Where its gRPC services listen.
    pub grpc: SocketAddr,
    /// Where its metrics are served, if they are.
    pub prometheus: Option<SocketAddr>,
}

/// Opens and starts everything; when it returns, the node serves.
///
/// # Errors
/// Whatever keeps the node from serving, in words for its operator: a folder in use, damage, a
/// missing key, a port that is taken.
pub async fn start(options: Options, telemetry: &Telemetry) -> anyhow::Result<Running> {
    let (supervisor, ground) = (Supervisor::new(), Ground::machine());
    let office = open_on(options, telemetry.metrics(), supervisor, &ground).await?;
    let credentials = Credentials::node(&office.options.keys)
        .context("load the node's certificate; `adal pki issue node` makes it")?;
    check_name(&credentials, &office)?;
    let server_tls = identity::server_config(&credentials)?;

    if let Err(reason) = project::learn(&office).await {
        warn!(reason, "what the centre published is known only in part");
    }
    project::start(&office).await.map_err(anyhow::Error::msg)?;
    let supervisor = &office.supervisor;
    supervisor.spawn("project", OnEnd::StopNode, project::run(office.clone()));
    supervisor.spawn("keep the index", OnEnd::StopNode, duties::keep::run(office.clone()));
    supervisor.spawn("scrub", OnEnd::StopNode, duties::scrub::run(office.clone()));
    begin_duties(&office);
    if !office.code.is_centre() {
        let dial = link::dial::run(office.clone(), link::dial::Channel);
        supervisor.spawn("dial the centre", OnEnd::StopNode, dial);
    }
    let prometheus = metrics_port::serve(&office, telemetry).await?;
    let grpc = grpc::server::serve(&office, server_tls).await?;
    info!(office = %office.code, %grpc, "node serves");
    Ok(Running { office, grpc, prometheus })
}

/// Starts what an office does of its own accord: what it notes, watches, delivers and publishes.
pub fn begin_duties(office: &SharedOffice) {
    let supervisor = &office.supervisor;
    supervisor.spawn("write notes", OnEnd::StopNode, duties::notes::run(office.clone()));
    let watch = duties::watch::run(office.clone());
    supervisor.spawn("watch the evidence", OnEnd::StopNode, watch);
    let escrow = duties::escrow::run(office.clone());
    supervisor.spawn("look for keys without a wrap", OnEnd::StopNode, escrow);
    supervisor.spawn("watch the links", OnEnd::StopNode, duties::links::run(office.clone()));
    if office.code.is_centre() {
        let close = duties::close::run(office.clone());
        supervisor.spawn("close epochs", OnEnd::StopNode, close);
        supervisor.spawn("relay heads", OnEnd::StopNode, duties::relay::run(office.clone()));
        let accepted = duties::accepted::run(office.clone());
        supervisor.spawn("publish accepted heads", OnEnd::StopNode, accepted);
    } else {
        let view = duties::view::run(office.clone());
        supervisor.spawn("check the centre's view", OnEnd::StopNode, view);
        let deliver = duties::deliver::run(office.clone());
        supervisor.spawn("deliver directives", OnEnd::StopNode, deliver);
        let reseeding = reseed::run(office.clone());
        supervisor.spawn("take back what was lost", OnEnd::Ignore, reseeding);
    }
}

/// A node under another office's certificate would be refused by everybody: say so at once.
fn check_name(credentials: &Credentials, office: &Office) -> anyhow::Result<()> {
    let subject = credentials.subject(&office.options.domain)?;
    let ours = matches!(&subject, Subject::Node { office: name } if name == office.code.as_str());
    anyhow::ensure!(
        ours,
        "the certificate tls.pem is not that of the node of {}; `adal pki issue node` makes one",
        office.code
    );
    Ok(())
}

/// The node's own keys, those of its logs, and whom it trusts.
fn identities(options: &Options) -> anyhow::Result<(NodeKeys, LogKeys, Trust)> {
    let keys = NodeKeys::load(&options.keys)
        .context("load the node's keys; `adal pki issue node` makes them")?;
    let log_keys = LogKeys::load(&options.keys, &options.data.join("keys"))
        .context("load the keys of the office's logs")?;
    let trust = Trust::load(&options.keys.join("trust.toml"))
        .context("load the trust file; `adal pki init` makes it")?;
    anyhow::ensure!(
        trust.domain == options.domain,
        "trust.toml is for the domain {}, the configuration says {}",
        trust.domain,
        options.domain
    );
    Ok((keys, log_keys, trust))
}

/// Opens what is stored, on the machine, the journal in this way; the tables too.
#[cfg(test)]
pub(crate) async fn open(
    options: Options,
    metrics: Metrics,
    supervisor: Supervisor,
    opening: &Opening,
) -> anyhow::Result<SharedOffice> {
    let ground = Ground { opening, ..Ground::machine() };
    let office = open_on(options, metrics, supervisor, &ground).await?;
    office.views.begin().await?;
    Ok(office)
}

/// Opens what is stored but the tables, which [`project::start`] opens; nothing runs yet but the
/// writer.
///
/// # Errors
/// Whatever keeps the office from being opened, in words for its operator.
pub async fn open_on(
    options: Options,
    metrics: Metrics,
    supervisor: Supervisor,
    ground: &Ground<'_>,
) -> anyhow::Result<SharedOffice> {
    let code: OfficeCode = options.office.parse()?;
    let zone = Zone::new(&options.zone)?;
    let logs = Logs::of(&code)?;
    let (keys, log_keys, trust) = identities(&options)?;
    create(&options.data)?;
    let root = RootKey::load(&options.keys.join("vault.key")).context("load the vault's key")?;
    let (journal, vault) = stores::open(&options, &root, &*ground.disk, ground.opening)?;
    let (clock, random, working) = (ground.clock.clone(), ground.random.clone(), ground.working);
    let of = (journal.clone(), vault.clone(), clock.clone(), metrics.clone());
    let writer = Writer::start(of.0, of.1, of.2, of.3, working, &supervisor)?;
    let journal = Records::worked(journal, working);
    journal.ensure_own_log(&logs.own, 1).await.context("open the office's log")?;
    if code.is_centre() {
        journal.ensure_own_log(&logs.all, 1).await.context("open the log for every office")?;
    }
    let number_key = NumberKey::new(*vault.named_secret("reg_no")?);
    let request_key = vault.named_secret("request_hash")?;
    let views = Views::at(&options.data.join("views.sqlite"));
    let tables = Tables::new(journal.logs());
    let notes = Notes::load(&journal);
    let escrow = Escrow::open(&options).context("load the recovery key")?;
    let interval = Duration::from_millis(options.replication.relay_interval_ms);
    let relay = Relay::new(interval);
    let office = Arc::new(Office {
        code,
        zone,
        logs,
        clock,
        journal,
        vault,
        escrow,
        keys,
        log_keys,
        rotating: tokio::sync::Mutex::default(),
        keeping: tokio::sync::Mutex::default(),
        trust,
        writer,
        views,
        tables,
        country: Country::new(Classifiers::built_in()?),
        links: Links::new(),
        notes,
        relay,
        attachments: Attachments::default(),
        previews: Previews::default(),
        reseed: Reseed::default(),
        view: View::default(),
        numbers: Numbers::new(),
        backing_up: tokio::sync::Mutex::default(),
        number_key,
        request_key,
        instance: random.bytes(),
        random,
        metrics,
        supervisor,
        options,
    });
    // Which keys were enrolled; told of below, where the node starts.
    let _ = project::learn_now(&office);
    reseed::notice(&office).await?;
    epochs::settle(&office).await.context("go on in the logs' open epochs")?;
    Ok(office)
}

fn create(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("make the data folder {}", folder.display()))
}

/// Closes what is stored, after every task has ended.
pub async fn close(office: &Office) {
    if let Err(error) = office.views.close().await {
        let error = project::chain(&error);
        warn!(error, "close the tables; they will be folded anew at the next start");
    }
    if office.journal.on_thread(Journal::close).await.is_err() {
        warn!("closing the journal was cut short; nothing is lost");
    }
}
