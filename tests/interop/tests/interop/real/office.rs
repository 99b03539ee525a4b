//! A country that runs, works, and hands its evidence out.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use domain::OfficeCode;
use evidence::log::origin;
use evidence::policy::Policy;
use generator::{Play, Step};
use identity::NodeKeys;
use jiff::civil::Date;
use serde_json::Value;
use testkit::Settings;
use testkit::country::{Country, PATIENCE};
use testkit::feed::{Desk, Fed};
use testkit::installation::DOMAIN;
use testkit::process::binary;

use crate::bundle::Bundle;
use crate::forge::Honest;
use crate::keys::{Key, Keys, Kind};

const OFFICES: [&str; 3] = ["KZ-71", "KZ-75", "KZ-79"];
const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

/// Records that fill one tile and begin the next.
const ENOUGH: u64 = 262;

/// Lets three offices work and gives the bundle of one, with the earlier heads that an auditor has
/// kept, slips and receipts; the auditor's policy also lists the key of the log's next epoch.
pub async fn exported(dir: &Path) -> Result<Honest> {
    let mut country = Country::start(&dir.join("country"), &OFFICES, settings()).await?;
    let mut weeks = (0..).map(play);
    let mut size = 0;
    let papers = dir.join("papers");
    std::fs::create_dir(&papers)?;
    let mut earlier: Option<Bundle> = None;
    let mut slips = Bundle::default();
    // Two audits on the way, each with what the one before left.
    for wanted in [20, 130, ENOUGH] {
        while size < wanted {
            enter(&country, weeks.next().context("the play ends")?, wanted - size).await?;
            size = country.logs(OFFICE).await?[LOG].0;
        }
        country.settle().await?;
        let operator = Tool { country: &country, person: "operator", papers: &papers };
        slips.put(&format!("slips/{wanted}.tlog-proof"), slip(&operator, size - 1)?);
        let out = format!("bundle-{wanted}");
        earlier = Some(audit(&operator, &out, size, earlier).await?);
    }
    let mut bundle = earlier.context("three audits")?;
    bundle.0.extend(slips.0);
    let operator = Tool { country: &country, person: "operator", papers: &papers };
    let policy = operator.ok(&["policy", "show", "--log", LOG])?;
    let keys = keys(&country, &policy)?;
    let policy = format!("log {}\n{policy}", keys.next.vkey(Kind::Log));
    for office in OFFICES {
        country.stop_region(office).await?;
    }
    country.stop_coordinator().await?;
    Ok(Honest { bundle, keys, policy })
}

/// Small commit files, links and relays that do not wait.
fn settings() -> Settings {
    Settings {
        top: String::new(),
        tables: "[telemetry]\nlog = \"warn\"\n\
                 [journal]\nsegment_mib = 2\nsled_cache_mib = 8\n\
                 [replication]\nheartbeat_ms = 500\nbackoff_max_ms = 1000\n"
            .to_owned(),
    }
}

/// A week's work of the three offices.
fn play(week: u32) -> Result<Vec<Step>> {
    let codes = OFFICES.iter().map(|code| code.parse()).collect::<Result<Vec<OfficeCode>, _>>()?;
    let first = Date::new(2026, 3, 2)?.checked_add(jiff::Span::new().weeks(i64::from(week)))?;
    Ok(Play::new(u64::from(week), codes, first, 5).collect())
}

/// Enters the work, at the office itself not many more than `records` of it.
async fn enter(country: &Country, steps: Result<Vec<Step>>, records: u64) -> Result<()> {
    let fed = Fed::default();
    let mut steps = steps?;
    let mut own = 0;
    steps.retain(|step| {
        own += u64::from(step.office.as_str() == OFFICE);
        own <= records
    });
    for office in OFFICES {
        let desk = Desk::new(&country.target(office, "clerk")?, &country.target(office, "chief")?)?;
        let of = steps.iter().filter(|step| step.office.as_str() == office).cloned();
        desk.enter(of.collect(), &fed).await?;
    }
    Ok(())
}

/// Exports a bundle once the newest head has its quorum, and brings along the heads and proofs of
/// the audit before.
async fn audit(tool: &Tool<'_>, out: &str, size: u64, earlier: Option<Bundle>) -> Result<Bundle> {
    let dir = tool.papers.join(out);
    let kept = earlier.as_ref().and_then(|bundle| {
        let heads = bundle.paths("checkpoints/").into_iter();
        heads.max_by_key(|head| bundle.note(head).size())
    });
    let kept = kept.map(|head| tool.papers.join("earlier").join(head).display().to_string());
    if let Some(bundle) = &earlier {
        let place = tool.papers.join("earlier");
        let _ = std::fs::remove_dir_all(&place);
        bundle.write(&place);
    }
    let place = dir.display().to_string();
    let mut args =
        vec!["evidence", "export", "--log", LOG, "--out", &place, "--tiles", "--leaves", "0-1"];
    if let Some(head) = &kept {
        args.extend(["--from-checkpoint", head]);
    }
    let mut bundle = until(|| {
        let _ = std::fs::remove_dir_all(&dir);
        tool.ok(&args)?;
        let bundle = Bundle::read(&dir);
        let copied = bundle.note("log/checkpoint").size();
        ensure!(copied >= size, "only {copied} of {size} records are witnessed");
        Ok(bundle)
    })
    .await?;
    for index in [size / 3, size - 2] {
        let opened = tool.one(&["receipt", "issue", &format!("{LOG}:1:{index}")])?;
        let proof = opened["proof"].as_str().context("a proof")?;
        bundle.put(&format!("receipts/opened-{index}.tlog-proof"), proof);
    }
    if let Some(earlier) = earlier {
        let keep =
            |path: &str| path.starts_with("checkpoints/") || path.starts_with("consistency/");
        for (path, bytes) in earlier.0 {
            if keep(&path) {
                bundle.0.entry(path).or_insert(bytes);
            }
        }
    }
    Ok(bundle)
}

/// The slip of a record, as the counter gives it out.
fn slip(tool: &Tool, index: u64) -> Result<String> {
    let issued = tool.one(&["receipt", "issue", &format!("{LOG}:1:{index}"), "--slip"])?;
    Ok(issued["proof"].as_str().context("a slip")?.to_owned())
}

/// The secret keys, from the folders of the nodes; peers are those that the policy knows.
fn keys(country: &Country, policy: &str) -> Result<Keys> {
    let of = |office: &str| NodeKeys::load(&country.installation.keys(office));
    let (centre, own) = (of("KZ")?, of(OFFICE)?);
    let key = |name: String, seed: &[u8; 32]| Key { name, seed: *seed };
    let mut peers = Vec::new();
    for office in OFFICES.iter().filter(|office| **office != OFFICE) {
        let name = format!("{DOMAIN}/witness/{}", office.to_ascii_lowercase());
        peers.push(key(name, of(office)?.witness_seed()));
    }
    let log = LOG.parse()?;
    let trusted = Policy::parse(policy.as_bytes())?;
    let known: Vec<String> = trusted.witnesses().iter().map(|w| w.key.to_string()).collect();
    let knows = |key: &Key| known.contains(&key.vkey(Kind::Cosigner));
    peers.retain(knows);
    let keys = Keys {
        log: key(origin(DOMAIN, &log, 1), own.log_seed()),
        next: Key::derived(&origin(DOMAIN, &log, 2), "the next epoch"),
        witness: key(format!("{DOMAIN}/witness/kz"), centre.witness_seed()),
        mirror: key(format!("{DOMAIN}/mirror/kz"), centre.mirror_seed()),
        peers,
        stranger: Key::derived(&format!("{DOMAIN}/witness/kz-99"), "stranger"),
    };
    ensure!(knows(&keys.witness) && knows(&keys.mirror), "the policy lacks the centre: {policy}");
    Ok(keys)
}

/// Tries until it works, or the country's patience ends.
async fn until<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// The operator's tool in somebody's hands.
struct Tool<'a> {
    country: &'a Country,
    person: &'a str,
    papers: &'a Path,
}

impl Tool<'_> {
    /// Runs it; it must succeed.
    fn ok(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(binary("adal")?)
            .args(args)
            .env("ADAL_NODE", self.country.address(OFFICE)?.to_string())
            .env("ADAL_PEOPLE", self.country.installation.people(OFFICE))
            .env("ADAL_AS", self.person)
            .env_remove("ADAL_SERVER_NAME")
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("adal {args:?} ended with {}: {why}", output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs it; it must print one object.
    fn one(&self, args: &[&str]) -> Result<Value> {
        let printed = self.ok(&[args, &["--json"]].concat())?;
        serde_json::from_str(printed.trim()).with_context(|| printed)
    }
}
