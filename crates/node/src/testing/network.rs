//! A centre and regions in temporary folders, linked through channels: everything is real but the
//! sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::office::{OfficeEnrolled, OfficeFact};
use domain::{Fact, OfficeCode};
use futures_util::StreamExt;
use identity::{NodeKeys, Trust};
use replication::{Now, Session};
use telemetry::Metrics;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use wire::pb::replication::v1::Frame;

use super::{DOMAIN, Desk, configure, contact, enrolment_of, log};
use crate::alarms::{self, EvidenceLine};
use crate::duties;
use crate::grpc::sync;
use crate::link::driver::{Driver, Ended, Lane, Round, Told};
use crate::link::plan;
use crate::notes::Kept;
use crate::office::SharedOffice;
use crate::start;
use crate::supervisor::Supervisor;
use crate::{project, relay};

/// Time for what ought to happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// One end of a link that runs.
struct End {
    stop: CancellationToken,
    running: JoinHandle<Ended>,
}

/// The offices and the links between them.
pub struct Network {
    pub centre: Desk,
    pub regions: BTreeMap<String, Desk>,
    links: BTreeMap<String, [End; 2]>,
}

/// Opens an office whose keys are in its folder.
async fn opened(dir: tempfile::TempDir, code: &str) -> Desk {
    let mut options = configure(dir.path(), code);
    options.replication.relay_interval_ms = 10;
    options.evidence.cosignature_alarm_ms = 200;
    options.replication.head_interval_ms = 10;
    let (metrics, supervisor) = (Metrics::disabled(), Supervisor::new());
    let opened = start::open(options, metrics, supervisor, &journal::Journal::open).await;
    Desk { office: opened.unwrap(), dir }
}

/// The enrolment of a region with all keys that it has.
pub fn enrolled(region: &Desk) -> (uuid::Uuid, Fact) {
    let public = region.office.keys.public(region.office.code.as_str()).unwrap();
    let (id, Fact::Office(OfficeFact::Enrolled(office))) = enrolment_of(region) else {
        panic!("an enrolment")
    };
    (id, OfficeEnrolled { mirror_key: Some(public.mirror), ..office }.into())
}

impl Network {
    /// A centre that has enrolled these offices; nobody is linked.
    pub async fn of(codes: &[&str]) -> Network {
        let folder = |code: &str| {
            let dir = tempfile::tempdir().unwrap();
            let keys = NodeKeys::create(&dir.path().join("keys")).unwrap();
            (dir, keys.public(code).unwrap())
        };
        let (dir, public) = folder("KZ");
        let trust = Trust { domain: DOMAIN.to_owned(), centre: (&public).into() };
        trust.save(&dir.path().join("keys/trust.toml")).unwrap();
        let centre = opened(dir, "KZ").await;
        let mut regions = BTreeMap::new();
        for code in codes {
            let (dir, _) = folder(code);
            trust.save(&dir.path().join("keys/trust.toml")).unwrap();
            regions.insert((*code).to_owned(), opened(dir, code).await);
        }
        let facts: Vec<_> = regions.values().map(enrolled).collect();
        centre.record(&log("kz/all"), &facts).await;
        let network = Network { centre, regions, links: BTreeMap::new() };
        network.learn().await;
        network
    }

    pub fn region(&self, code: &str) -> &Desk {
        &self.regions[code]
    }

    fn all(&self) -> impl Iterator<Item = &Desk> {
        std::iter::once(&self.centre).chain(self.regions.values())
    }

    /// What the tasks of a running node would do.
    async fn learn(&self) {
        for desk in self.all() {
            project::learn_now(&desk.office).unwrap();
            if !desk.office.code.is_centre() {
                duties::view::check_all(&desk.office).await.unwrap();
            }
            duties::watch::look(&desk.office, desk.office.clock.now()).await.unwrap();
        }
        relay::go_round(&self.centre.office);
        for desk in self.all() {
            desk.office.notes.write(&desk.office).await.unwrap();
        }
    }

    /// Links a region to the centre of this network.
    pub async fn link(&mut self, code: &str) {
        let ends = link(&self.centre.office, &self.regions[code].office).await;
        self.links.insert(code.to_owned(), ends);
    }

    pub async fn link_all(&mut self) {
        for code in self.regions.keys().cloned().collect::<Vec<_>>() {
            self.link(&code).await;
        }
    }

    /// Cuts a region's link and waits until both ends have seen it.
    pub async fn cut(&mut self, code: &str) {
        for end in self.links.remove(code).into_iter().flatten() {
            end.stop.cancel();
            end.running.await.unwrap();
        }
    }

    pub async fn cut_all(&mut self) {
        for code in self.regions.keys().cloned().collect::<Vec<_>>() {
            self.cut(&code).await;
        }
    }

    /// Runs everything until `seen` gives something.
    pub async fn until<T>(&self, what: &str, mut seen: impl FnMut(&Network) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            self.learn().await;
            if let Some(seen) = seen(self) {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "this did not come true: {what}\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The state of the evidence everywhere, for a test that fails.
    fn told(&self) -> String {
        let lines = self.all().map(|desk| format!("{}: {:#?}", desk.office.code, desk.evidence()));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Desk {
    /// An office with this one's keys and what it has stored so far, as its operator could make it.
    /// Nobody may be writing meanwhile.
    pub async fn image(&self) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([self.dir.path().join("keys"), self.dir.path().join("data")])
            .arg(dir.path())
            .status();
        assert!(copied.unwrap().success());
        let data = dir.path().join("data");
        let _ = std::fs::remove_dir_all(data.join("journal/index"));
        for name in ["views.sqlite", "views.sqlite-wal", "views.sqlite-shm"] {
            let _ = std::fs::remove_file(data.join(name));
        }
        let desk = opened(dir, self.office.code.as_str()).await;
        while desk.office.journal.index_status() != journal::IndexStatus::Ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        project::learn_now(&desk.office).unwrap();
        desk
    }

    /// Records so many contacts in the office's own log.
    pub async fn contacts(&self, numbers: std::ops::RangeInclusive<u128>) {
        let own = self.office.logs.own.clone();
        self.record(&own, &numbers.map(contact).collect::<Vec<_>>()).await;
    }

    /// The notes of a log, newest first.
    pub fn notes(&self, name: &str) -> Vec<Kept> {
        self.office.notes.of(&self.office, &log(name), 1)
    }

    /// Size of the newest complete note of a log.
    pub fn complete(&self, name: &str) -> Option<u64> {
        self.notes(name).iter().find(|kept| kept.missing.is_none()).map(|kept| kept.head.size)
    }

    /// Records held of a log.
    pub fn size(&self, name: &str) -> u64 {
        self.office.journal.log(&log(name), 1).map_or(0, |info| info.size)
    }

    /// What this office's operator sees of the evidence.
    pub fn evidence(&self) -> Vec<EvidenceLine> {
        alarms::lines(&self.office, sync::lines(&self.office).values())
    }

    /// The alarm of a log as its operator sees it; empty if there is none.
    pub fn alarm(&self, name: &str) -> String {
        let lines = self.evidence().into_iter();
        lines.filter(|line| line.log == log(name)).map(|line| line.alarm).collect()
    }

    /// What is kept of faults of this kind of a log's first epoch, each as text.
    pub fn faults(&self, name: &str, code: &str) -> Vec<String> {
        let prefix = format!("fault/{name}/1/{code}/");
        let kept = self.office.journal.controls(prefix.as_bytes()).into_iter();
        kept.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
    }

    /// Why a log does not move on the link with `peer`, as its operator sees it.
    pub fn refused(&self, peer: &str, name: &str) -> String {
        let code: OfficeCode = peer.parse().unwrap();
        let lines = sync::lines(&self.office);
        let logs = lines.get(&code).into_iter().flat_map(|line| &line.logs);
        logs.filter(|line| line.log == log(name)).map(|line| line.refused.clone()).collect()
    }
}

/// Runs both ends of a link.
async fn link(centre: &SharedOffice, region: &SharedOffice) -> [End; 2] {
    let (up, from_region) = mpsc::channel::<Frame>(4);
    let (down, from_centre) = mpsc::channel::<Frame>(4);
    let plan_down = plan::to_region(centre, &region.code).await.unwrap();
    let plan_up = plan::to_centre(region, &centre.code).await.unwrap();
    [
        end(centre, &region.code, plan_down, down, from_region),
        end(region, &centre.code, plan_up, up, from_centre),
    ]
}

#[allow(clippy::disallowed_methods)] // a test has no supervisor
fn end(
    office: &SharedOffice,
    peer: &OfficeCode,
    config: replication::SessionConfig,
    outbound: mpsc::Sender<Frame>,
    inbound: mpsc::Receiver<Frame>,
) -> End {
    let now = Now { mono: 0, unix: office.clock.now() };
    let stop = CancellationToken::new();
    let driver = Driver {
        office: office.clone(),
        session: Session::new(config, now).unwrap(),
        peer: peer.clone(),
        inbound: Box::pin(ReceiverStream::new(inbound).map(Ok)),
        outbound,
        stop: stop.clone(),
        keys: office.country.known().new_keys(peer),
        began: Instant::now(),
        told: Told::default(),
        round: Round::default(),
        lane: Lane::default(),
    };
    End { stop, running: tokio::spawn(driver.run()) }
}
