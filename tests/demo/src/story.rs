//! The story that the demonstration tells, step by step.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domain::OfficeCode;
use generator::{Play, Step};
use testkit::country::Country;
use testkit::feed::{Desk, Fed};
use testkit::installation::Settings;
use tokio::task::JoinHandle;
use wire::pb::query::v1 as query;

use crate::directive;

/// The three regional offices of the story.
pub const OFFICES: [&str; 3] = ["KZ-71", "KZ-75", "KZ-79"];
/// Its link is cut.
const CUT: &str = "KZ-75";
/// It is killed.
const KILLED: &str = "KZ-79";

/// What to tell.
#[derive(Debug)]
pub struct Plan {
    /// Folder for keys and data.
    pub dir: PathBuf,
    /// End after the story.
    pub once: bool,
    /// Calendar days to play.
    pub days: u32,
    /// Seed of the days.
    pub seed: u64,
}

/// Tells the whole story; an error says which step did not come true.
pub async fn tell(plan: &Plan) -> Result<()> {
    let began = Instant::now();
    if plan.dir.exists() {
        // A folder of another kind is never emptied.
        ensure!(
            plan.dir.join("authority").is_dir(),
            "{} is there and is no folder of this demonstration; choose another with --dir",
            plan.dir.display()
        );
        std::fs::remove_dir_all(&plan.dir).context("empty the folder")?;
    }
    std::fs::create_dir_all(&plan.dir).context("make the folder")?;
    let dir = plan.dir.canonicalize()?;

    step("Make an authority, keys and certificates; start the coordinator and three regions");
    let settings =
        Settings { tables: "[telemetry]\nlog = \"warn\"\n".to_owned(), ..Settings::default() };
    let mut country = Country::start(&dir, &OFFICES, settings).await?;
    country.settle().await?;
    say(&format!("{} offices are enrolled and linked", OFFICES.len()));

    step(&format!("Play {} days of work in each office, by two people each", plan.days));
    let fed = Fed::default();
    let mut feeding = feed(&country, plan, &fed)?;
    reach(&fed, 200, &mut feeding).await?;
    country.region(CUT)?.link.cut();
    say(&format!("{:>6} facts recorded; the link of {CUT} is cut", fed.facts()));
    reach(&fed, 500, &mut feeding).await?;
    country.kill_region(KILLED).await?;
    say(&format!("{:>6} facts recorded; {KILLED} is killed (kill -9)", fed.facts()));
    tokio::time::sleep(Duration::from_millis(700)).await;
    country.start_region(KILLED).await?;
    say(&format!("{KILLED} runs again and goes on where it was"));
    reach(&fed, 800, &mut feeding).await?;
    country.kill_coordinator().await?;
    let before = fed.facts();
    say(&format!("{before:>6} facts recorded; the coordinator is killed (kill -9)"));
    reach(&fed, before + 200, &mut feeding).await?;
    country.start_coordinator().await?;
    say(&format!("{:>6} facts recorded; the coordinator runs again", fed.facts()));
    finish(feeding).await?;
    say(&format!(
        "{:>6} facts acknowledged for {} commands, some with no link to the centre",
        fed.facts(),
        fed.commands()
    ));
    show_sync(&country).await?;

    step("Mend the link: everything arrives by itself");
    country.region(CUT)?.link.mend();
    country.settle().await?;
    show_sync(&country).await?;
    arrived(&country, &fed).await?;

    step("Issue a directive to all three offices and have it carried out");
    directive::carry_out(&country).await?;

    step("Summary");
    totals(&country).await?;
    say(&format!("everything took {:.1} s", began.elapsed().as_secs_f64()));
    where_to_look(&country)?;
    if plan.once {
        return stop(country).await;
    }
    println!("\nRunning until Ctrl-C.");
    tokio::signal::ctrl_c().await?;
    stop(country).await
}

/// The first step of a chapter.
fn step(text: &str) {
    println!("\n== {text}");
}

/// One thing that came true.
pub fn say(text: &str) {
    println!("   {text}");
}

type Feeding = Vec<JoinHandle<Result<()>>>;

#[allow(clippy::disallowed_methods)] // a demonstration has no supervisor
fn feed(country: &Country, plan: &Plan, fed: &Fed) -> Result<Feeding> {
    let codes: Vec<OfficeCode> =
        OFFICES.iter().map(|code| code.parse()).collect::<Result<_, _>>()?;
    // Days that are over: a fact cannot have happened in the future.
    let today = jiff::ZonedDateTime::now().date();
    let first = today.checked_sub(jiff::Span::new().days(i64::from(plan.days) + 1))?;
    let mut days: Vec<Vec<Step>> = vec![Vec::new(); OFFICES.len()];
    for played in Play::new(plan.seed, codes, first, plan.days) {
        let index = OFFICES.iter().position(|code| *code == played.office.as_str());
        days[index.context("a step of another office")?].push(played);
    }
    let mut feeding = Vec::new();
    for (office, steps) in OFFICES.iter().zip(days) {
        let desk = Desk::new(&country.target(office, "clerk")?, &country.target(office, "chief")?)?;
        let fed = fed.clone();
        feeding.push(tokio::spawn(async move { desk.enter(steps, &fed).await }));
    }
    Ok(feeding)
}

/// Waits until so many facts are acknowledged, or the feeding has ended.
async fn reach(fed: &Fed, facts: u64, feeding: &mut Feeding) -> Result<()> {
    while fed.facts() < facts {
        if feeding.iter().all(JoinHandle::is_finished) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn finish(feeding: Feeding) -> Result<()> {
    for task in feeding {
        task.await??;
    }
    Ok(())
}

/// What both ends say of the links.
async fn show_sync(country: &Country) -> Result<()> {
    let status = country.sync_status("KZ").await?;
    for link in status.links {
        let own = link.peer.to_ascii_lowercase();
        let Some(log) = link.logs.iter().find(|log| log.log == own) else { continue };
        let age = log.signed_head_age_ms.map(|age| format!("{:.1} s old", age as f64 / 1_000.0));
        say(&format!(
            "KZ sees {}: {:<12} holds {:>6} of {:>6} signed, head {}",
            link.peer,
            link.state,
            log.own_size,
            log.signed_head_size,
            age.as_deref().unwrap_or("not there yet")
        ));
    }
    let here = country.sync_status(CUT).await?;
    for log in here.links.iter().flat_map(|link| &link.logs) {
        if log.log == CUT.to_ascii_lowercase() {
            let lag = log.lag_records.map_or_else(|| "?".to_owned(), |lag| lag.to_string());
            say(&format!(
                "{CUT} sees KZ: {:>6} recorded here, {:>6} held by the centre, {lag:>6} not yet",
                log.own_size, log.peer_size
            ));
        }
    }
    Ok(())
}

/// Every acknowledged fact is in the centre's mirrors, once.
async fn arrived(country: &Country, fed: &Fed) -> Result<()> {
    let logs = country.logs("KZ").await?;
    let held: u64 = OFFICES
        .iter()
        .filter_map(|office| logs.get(&office.to_ascii_lowercase()))
        .map(|(size, _)| size)
        .sum();
    ensure!(
        held == fed.facts(),
        "{} facts were acknowledged, the centre holds {held}",
        fed.facts()
    );
    say(&format!("the centre holds {held} facts: every acknowledged one, each once"));
    Ok(())
}

async fn totals(country: &Country) -> Result<()> {
    let mut queries = country.queries("KZ", "national").await?;
    let tables = [
        ("contacts", query::Table::Contacts),
        ("appeals", query::Table::Appeals),
        ("receptions", query::Table::Receptions),
        ("measures", query::Table::Measures),
        ("activities", query::Table::Activities),
        ("directives", query::Table::Directives),
    ];
    println!("   {:<12} {:>7} {:>7} {:>7}", "", OFFICES[0], OFFICES[1], OFFICES[2]);
    for (name, table) in tables {
        let request = query::TotalsRequest {
            table: table.into(),
            group_by: vec![query::Dimension::Office.into()],
            filter: None,
        };
        let rows = queries.totals(request).await?.into_inner().rows;
        let count = |office: &str| {
            let row = rows.iter().find(|row| row.keys.first().is_some_and(|key| key == office));
            row.map_or(0, |row| row.count)
        };
        let counts = OFFICES.map(count);
        println!("   {name:<12} {:>7} {:>7} {:>7}", counts[0], counts[1], counts[2]);
    }
    Ok(())
}

fn where_to_look(country: &Country) -> Result<()> {
    let page = country.coordinator.as_ref().context("the coordinator is down")?.address("page")?;
    let centre = country.address("KZ")?;
    let region = country.address(OFFICES[0])?;
    let people = country.installation.people("KZ");
    let desk = country.installation.people(OFFICES[0]);
    let tool = testkit::process::binary("adal")?;
    let (tool, people, desk) = (tool.display(), people.display(), desk.display());
    println!("\nWhere to look:");
    println!("   national page   http://{page}/?lang=en");
    println!(
        "   tables          {tool} --node {centre} --people {people} --as national query offices"
    );
    println!(
        "   links           {tool} --node {centre} --people {people} --as operator sync status"
    );
    println!(
        "   events          {tool} --node {region} --people {desk} --as operator log view kz-71"
    );
    println!(
        "   grpcurl         grpcurl -cacert {desk}/ca.pem -cert {desk}/clerk.pem -key \
         {desk}/clerk.key -servername kz-71.adal.example {region} list"
    );
    Ok(())
}

async fn stop(mut country: Country) -> Result<()> {
    let mut clean = true;
    for region in country.regions.values_mut() {
        if let Some(process) = &mut region.process {
            clean &= process.stop().await?;
        }
    }
    if let Some(process) = &mut country.coordinator {
        clean &= process.stop().await?;
    }
    ensure!(clean, "a node did not end cleanly; see stderr.log in its folder");
    println!("\nAll nodes ended cleanly.");
    Ok(())
}
