//! The power of the centre fails: between a head's persisting and its answer, between the
//! witness's step and the mirror's, and anywhere else. Whatever an office then shows it, it never
//! co-signs two roots for one size: a witness persists before it answers.
//!
//! The real coordinator runs with its journal on the file system whose power fails; the office is
//! the [`Forger`], which holds the office's real keys and certificate and two histories.

use std::path::Path;

use identity::{NodeKeys, PublicKeys};
use testkit::process::{Process, binary};
use testkit::{Installation, Settings};
use wire::client::Target;
use wire::pb::command::v1 as command;
use wire::pb::command::v1::command_service_client::CommandServiceClient;

use crate::chance::{Chance, seed};
use crate::cuts::can_mount;
use crate::forger::Forger;
use crate::fuse::model::Survival;
use crate::fuse::{Mounted, Shared, held};

/// Cuts of one disk at most. It ends earlier once both histories were met: the log is frozen then.
const LIVES: u64 = 12;

/// How a life of the centre ends.
#[derive(Clone, Copy)]
enum End {
    /// Its power fails.
    Cut,
    /// It is killed; its disk goes on.
    Kill,
}

/// What the cuts met.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    disks: u64,
    lines: u64,
    forks: u64,
    unanswered: u64,
    unmirrored: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_whose_power_fails_a_few_times_signs_one_history() {
    if can_mount() {
        println!("power cuts of the centre: {:?}", run(6, seed(), End::Cut).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_is_killed_a_few_times_signs_one_history() {
    println!("kills of the centre: {:?}", run(6, seed(), End::Kill).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make torture"]
async fn a_centre_that_is_killed_a_hundred_times_signs_one_history() {
    let tally = run(100, seed(), End::Kill).await;
    println!("kills of the centre: {tally:?}");
    assert!(tally.forks >= 20 && tally.unanswered > 0, "{tally:?}");
    assert!(tally.lines >= 200, "the centre hardly signed anything: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make torture"]
async fn a_centre_whose_power_fails_hundreds_of_times_signs_one_history() {
    // Who asks for the long run wants to know, so one that cuts nothing is no success.
    assert!(can_mount(), "no power was cut: this machine mounts no FUSE (/dev/fuse, fusermount3)");
    let tally = run(300, seed(), End::Cut).await;
    println!("power cuts of the centre: {tally:?}");
    assert!(tally.forks >= 50, "the two histories met: {tally:?}");
    assert!(tally.lines >= 600, "the centre hardly signed anything: {tally:?}");
    assert!(tally.unanswered >= 5, "cut between persisting and answering: {tally:?}");
    assert!(tally.unmirrored >= 5, "cut between witness and mirror: {tally:?}");
}

async fn run(cuts: u64, seed: u64, end: End) -> Tally {
    println!("ends of the centre, seed {seed}");
    let (mut tally, mut chance) = (Tally::default(), Chance::new(seed));
    while tally.cuts < cuts {
        let mut centre = Centre::new(chance.below(8), end).await;
        tally.disks += 1;
        for _ in 0..LIVES.min(cuts - tally.cuts) {
            let was_caught = std::mem::take(&mut centre.forger.is_caught);
            match end {
                End::Cut => centre.cut_life(&mut chance).await,
                End::Kill => centre.kill_life(&mut chance).await,
            }
            tally.cuts += 1;
            if was_caught {
                break; // one life more than the one in which both histories were met
            }
        }
        let ledger = &centre.forger.ledger;
        tally.lines += ledger.lines;
        tally.forks += ledger.forks;
        tally.unanswered += ledger.unanswered;
        tally.unmirrored += ledger.unmirrored;
    }
    tally
}

/// A centre, the disk of its journal, and the office that forges.
struct Centre {
    installation: Installation,
    config: std::path::PathBuf,
    shared: Shared,
    mounted: Option<Mounted>,
    forger: Forger,
    // Last, so that nothing is mounted in it any more.
    _folder: tempfile::TempDir,
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.mounted = None;
    }
}

impl Centre {
    /// A centre that has enrolled the office, stopped.
    async fn new(shared_records: u64, end: End) -> Centre {
        let folder = tempfile::tempdir().unwrap();
        let installation = Installation::create(folder.path()).unwrap();
        installation.add_region("KZ-75").unwrap();
        let tables = "[telemetry]\nlog = \"warn\"\n[journal]\nsegment_mib = 1\n\
                      sled_cache_mib = 8\nfree_space_watermark_mib = 1\n";
        let settings = Settings { top: String::new(), tables: tables.to_owned() };
        let config = installation.configure("KZ", "127.0.0.1:0", None, &settings).unwrap();
        std::fs::create_dir_all(installation.data("KZ").join("journal")).unwrap();
        let load = |office: &str| {
            let path = installation.keys(office).join("public.toml");
            PublicKeys::load(&path).unwrap()
        };
        let (here, there) = (load("KZ"), load("KZ-75"));
        let keys = NodeKeys::load(&installation.keys("KZ-75")).unwrap();
        let forger = Forger::new(keys.log_seed(), &here.witness, &here.mirror, shared_records);
        let shared = Shared::default();
        let mut centre =
            Centre { installation, config, shared, mounted: None, forger, _folder: folder };
        if matches!(end, End::Cut) {
            centre.mount();
        }
        let mut process = centre.start().await;
        centre.enrol(&process, &there).await;
        assert!(process.stop().await.unwrap());
        centre
    }

    fn mount(&mut self) {
        self.mounted = None;
        let journal = self.installation.data("KZ").join("journal");
        self.mounted = Some(Mounted::new(&self.shared, &journal).unwrap());
    }

    async fn start(&self) -> Process {
        let program = binary("adal-coordinator").unwrap();
        Process::start("adal-coordinator", &program, &self.config).await.unwrap()
    }

    fn target(&self, process: &Process, folder: &Path, name: &str) -> Target {
        let read = |name: String| std::fs::read_to_string(folder.join(name)).unwrap();
        Target {
            address: process.address("grpc").unwrap().to_string(),
            server_name: "kz.adal.example".to_owned(),
            authority: read("ca.pem".to_owned()),
            certificate: read(format!("{name}.pem")),
            key: read(format!("{name}.key")),
        }
    }

    async fn enrol(&self, process: &Process, office: &PublicKeys) {
        let request = command::EnrolOffice {
            code: "KZ-75".to_owned(),
            name_kk: "KZ-75".to_owned(),
            name_ru: "KZ-75".to_owned(),
            name_en: "KZ-75".to_owned(),
            zone: "Asia/Almaty".to_owned(),
            log_key: office.log.to_vec(),
            witness_key: office.witness.to_vec(),
            ..command::EnrolOffice::default()
        };
        let meta = command::CommandMeta {
            command_id: uuid::Uuid::now_v7().to_string(),
            ..command::CommandMeta::default()
        };
        let request = Some(command::command::Request::EnrolOffice(request));
        let command = command::Command { meta: Some(meta), request };
        let people = self.installation.people("KZ");
        let channel = self.target(process, &people, "operator").connect().await.unwrap();
        CommandServiceClient::new(channel).execute(command).await.unwrap();
    }

    /// One life of the centre, up to the cut of its power.
    async fn cut_life(&mut self, chance: &mut Chance) {
        let mut process = self.start().await;
        let keys = self.installation.keys("KZ-75");
        let channel = self.target(&process, &keys, "tls").connect().await.unwrap();
        // The first commit of a process writes zeros ahead, in hundreds of steps; the later ones
        // are two steps each, and the index writes beside them.
        let early = chance.is(20);
        let steps = if early { chance.between(1, 600) } else { chance.between(1, 40) };
        let arm = || held(&self.shared).cut_in(steps);
        if early {
            arm();
        }
        let dead = || held(&self.shared).is_dead();
        self.forger
            .play(
                channel,
                chance,
                || {
                    if !early {
                        arm()
                    }
                },
                dead,
            )
            .await;
        held(&self.shared).cut();
        process.kill().await.unwrap();
        self.mounted = None;
        let model = std::mem::take(&mut *held(&self.shared));
        let mut survival = Survival::draw(chance, model.steps());
        self.shared = Shared::new(model.after_cut(&mut survival).into());
        self.mount();
        self.forger.audit();
    }

    /// One life of the centre, up to `kill -9`.
    async fn kill_life(&mut self, chance: &mut Chance) {
        let mut process = self.start().await;
        let keys = self.installation.keys("KZ-75");
        let channel = self.target(&process, &keys, "tls").connect().await.unwrap();
        let lives = std::time::Duration::from_millis(chance.between(1, 150));
        let dies = tokio::time::Instant::now() + lives;
        let over = || tokio::time::Instant::now() >= dies;
        let playing = self.forger.play(channel, chance, || {}, over);
        let _ = tokio::time::timeout_at(dies, playing).await;
        process.kill().await.unwrap();
        self.forger.audit();
    }
}
