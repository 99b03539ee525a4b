//! Rows of a foreign register become facts at their offices: rejects are told, a second run adds
//! nothing, an interrupted one goes on, and a file that is not whole changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::country::Country;
use wire::pb::query::v1::{Dimension, Table};

use crate::support::call::own_log;
use crate::support::tool::{Tool, text};
use crate::support::{Land, land, reading, until};

const OFFICES: [&str; 2] = ["KZ-71", "KZ-75"];

const MAPPING: &str = r#"
name = "made-up register"
[source]
case_id = ["id"]
zone = "America/New_York"
times = ["%Y-%m-%d %H:%M:%S"]
[offices]
column = "district"
values = { North = "KZ-71", South = "KZ-75" }
[maps.channel]
values = { Phone = "call", Site = "web", Counter = "in_person" }
[[command]]
stream = "contact"
request = "open_contact"
occurred_at = { column = "opened" }
[command.fields]
channel = { column = "channel", map = "channel" }
language = "en"
"personal.note" = { text = ["Subject: {subject}"] }
[[command]]
stream = "contact"
request = "close_contact"
occurred_at = { column = "closed" }
when = [{ column = "closed", present = true }]
[command.fields]
outcome = "recorded"
"#;

const HEADER: &str = "id,district,channel,opened,closed,subject\n";

/// Twelve rows, of which two cannot be imported. The second one is of the last hour of July where
/// it happened, and of August everywhere further east.
const ROWS: &str = "\
1,North,Phone,2011-07-01 01:32:33,2011-07-02 10:00:00,A lamp
2,North,Phone,2011-07-31 23:30:00,,A hole
3,South,Site,2011-07-05 09:00:00,2011-07-05 09:30:00,\"Comma, and \"\"quotes\"\"\"
4,South,Site,2011-08-01 00:10:00,,Snow
5,East,Phone,2011-07-06 09:00:00,,A district that nobody has
6,South,Counter,2011-07-07 09:00:00,2011-07-09 09:00:00,A bench
7,North,Site,2011-08-08 09:00:00,,A tree
8,North,Phone,yesterday,,A time that is none
9,South,Phone,2011-08-09 09:00:00,2011-08-10 09:00:00,A sign
10,South,Phone,2011-08-10 09:00:00,,A sign again
11,North,Counter,2011-07-11 09:00:00,2011-07-12 09:00:00,A fence
12,South,Site,2011-07-12 09:00:00,,Ещё одна
";

/// The files of an import, and the tool that runs it.
struct Import {
    dir: PathBuf,
    tool: Tool,
}

impl Import {
    fn new(land: &Land) -> Result<Import> {
        let dir = land.dir.path().to_owned();
        let mut nodes = "people = \"{office}/people\"\nas = \"clerk\"\n".to_owned();
        for office in OFFICES {
            let address = land.country.address(office)?;
            nodes.push_str(&format!("[node.{office}]\naddress = \"{address}\"\n"));
        }
        let import = Import { tool: Tool::of(&land.country, "KZ-71", "clerk")?, dir };
        import.write("nodes.toml", &nodes)?;
        import.write("mapping.toml", MAPPING)?;
        import.write("register.csv", &format!("{HEADER}{ROWS}"))?;
        Ok(import)
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        Ok(fs::write(self.path(name), content)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let mut args = vec!["import".to_owned(), "csv".to_owned()];
        for (option, name) in [
            ("--mapping", "mapping.toml"),
            ("--nodes", "nodes.toml"),
            ("--input", "register.csv"),
            ("--rejects", "rejects.csv"),
        ] {
            args.extend([option.to_owned(), path(name)]);
        }
        args.extend(more.iter().map(|word| (*word).to_owned()));
        args
    }

    /// Runs it; it must succeed. Returns its report.
    async fn report(&self, more: &[&str]) -> Result<Value> {
        let args = self.args(more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.tool.one(&args).await
    }

    async fn fails(&self, more: &[&str], status: i32, words: &[&str]) -> Result<()> {
        let args = self.args(more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.tool.fails(&args, status, words).await
    }
}

fn is(report: &Value, counts: &[(&str, u64)]) -> Result<()> {
    for (key, count) in counts {
        ensure!(report[*key] == *count, "{key} is not {count}: {report}");
    }
    Ok(())
}

async fn sizes(country: &Country) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut sizes = Vec::new();
    for office in OFFICES {
        sizes.push(own_log(country, office).await?);
    }
    Ok(sizes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_register_is_imported_once() -> Result<()> {
    let land = land(&OFFICES).await?;
    let country = &land.country;
    let import = Import::new(&land)?;
    let empty = sizes(country).await?;

    // Two of twelve are more than ten in a hundred: nothing is sent before a person has looked.
    import.fails(&[], 1, &["2 of 12", "nothing was sent", "rejects.csv"]).await?;
    ensure!(sizes(country).await? == empty, "something was sent all the same");
    rejects(&import.path("rejects.csv"))?;
    import.fails(&["--dry-run", "--max-rejects", "1"], 1, &["2 of 12"]).await?;

    let report = import.report(&["--max-rejects", "2"]).await?;
    is(&report, &[("rows_read", 12), ("imported", 10), ("rejected", 2), ("replayed", 0)])?;
    // Five of the ten rows are closed: fifteen facts.
    is(&report, &[("commands", 15), ("facts", 15), ("unfinished", 0)])?;
    rejects(&import.path("rejects.csv"))?;
    country.settle().await?;
    let full = sizes(country).await?;
    ensure!(full[0].0 + full[1].0 == 15, "{} and {} records", full[0].0, full[1].0);
    until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await?;
    counts(country).await?;

    let again = import.report(&["--max-rejects", "2"]).await?;
    is(&again, &[("imported", 0), ("replayed", 10), ("rejected", 2), ("facts", 0)])?;
    let state = import.path("import.state").display().to_string();
    import.report(&["--max-rejects", "2", "--state", &state]).await?;
    let last = import.report(&["--max-rejects", "2", "--state", &state]).await?;
    ensure!(
        last["imported"] == 0 && last["facts"] == 0 && last["finished_before"].as_u64() > Some(5),
        "a finished import is not recognised: {last}"
    );
    ensure!(sizes(country).await? == full, "a second run has changed a log");
    personal_part(country).await
}

/// Row number, column and a reason for each; never what stands in the row.
fn rejects(path: &Path) -> Result<()> {
    let mut reader = csv::Reader::from_path(path)?;
    let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
    ensure!(rows.len() == 2, "{} rejects", rows.len());
    for (row, (number, column)) in rows.iter().zip([("5", "district"), ("8", "opened")]) {
        ensure!(&row[0] == number && &row[2] == column, "reject: {row:?}");
        let line = (number.parse::<u64>()? + 1).to_string();
        ensure!(row[1] == line, "line: {row:?}");
        ensure!(!row[3].is_empty() && !row[4].is_empty(), "no code or reason: {row:?}");
        let all = row.iter().collect::<String>();
        ensure!(!all.contains("East") && !all.contains("yesterday"), "it repeats: {row:?}");
    }
    Ok(())
}

/// Months are those of the clock where it happened.
async fn counts(country: &Country) -> Result<()> {
    let by = [Dimension::Office, Dimension::Channel, Dimension::Month];
    let here = reading::totals(country, ("KZ", "national"), Table::Contacts, &by).await?;
    let wanted: BTreeMap<Vec<String>, u64> = [
        (["KZ-71", "call", "2011-07"], 2),
        (["KZ-71", "in_person", "2011-07"], 1),
        (["KZ-71", "web", "2011-08"], 1),
        (["KZ-75", "call", "2011-08"], 2),
        (["KZ-75", "in_person", "2011-07"], 1),
        (["KZ-75", "web", "2011-07"], 2),
        (["KZ-75", "web", "2011-08"], 1),
    ]
    .map(|(keys, count)| (keys.map(str::to_owned).to_vec(), count))
    .into();
    ensure!(here == wanted, "the centre counts {here:?}, the register {wanted:?}");
    Ok(())
}

/// The register's text is a sealed part, read back by who may.
async fn personal_part(country: &Country) -> Result<()> {
    let tool = Tool::of(country, "KZ-75", "clerk")?;
    let rows = tool.json(&["query", "contacts", "--channel", "web", "--state", "closed"]).await?;
    ensure!(rows.len() == 1, "{} closed contacts of the site", rows.len());
    let id = text(&rows[0], "id")?;
    let records = reading::records(country, "KZ-75", "kz-75").await?;
    let opened = records.iter().find(|record| record.stream_id == id);
    let opened = opened.context("its first record")?;
    let seconds = opened.occurred_at.map(|at| at.seconds);
    // 2011-07-05 09:00 in New York.
    ensure!(seconds == Some(1_309_870_800), "it happened at {seconds:?}");
    let shown = tool.one(&["record", "open", &opened.event_id, "--purpose", "case_work"]).await?;
    let note = shown["sealed_part"]["note"].as_str().unwrap_or_default();
    ensure!(note == "Subject: Comma, and \"quotes\"", "the note reads {note:?}");
    Ok(())
}

/// What is wrong with a file is said before anything is sent.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_files_change_nothing() -> Result<()> {
    let land = land(&OFFICES).await?;
    let country = &land.country;
    let import = Import::new(&land)?;
    let empty = sizes(country).await?;
    let all = ["--max-rejects", "100%"];

    let whole = format!("{HEADER}{ROWS}");
    import.write("register.csv", &whole[..whole.len() - 9])?;
    import.fails(&all, 2, &["register.csv", "cut"]).await?;
    import.write("register.csv", &whole.replace("district", "quarter"))?;
    import.fails(&all, 2, &["district"]).await?;
    import.write("register.csv", "")?;
    import.fails(&all, 2, &["register.csv", "empty"]).await?;
    import.write("register.csv", &whole)?;

    import.write("mapping.toml", &MAPPING.replace("open_contact", "close_the_door"))?;
    import.fails(&all, 2, &["mapping.toml", "open_contact"]).await?;
    import.write("mapping.toml", &MAPPING.replace("language", "tongue"))?;
    import.fails(&all, 2, &["mapping.toml", "tongue"]).await?;
    import.write("mapping.toml", &MAPPING.replace("[maps.channel]", "[maps.canal]"))?;
    import.fails(&all, 2, &["mapping.toml", "maps.channel"]).await?;
    import.write("mapping.toml", MAPPING)?;

    import.write("nodes.toml", "[node.KZ-71]\naddress = \"127.0.0.1:1\"\n")?;
    import.fails(&all, 2, &["nodes.toml", "KZ-75"]).await?;
    ensure!(sizes(country).await? == empty, "a wrong file was imported in part");
    Ok(())
}

/// The tool itself is killed in the middle; started again, it completes what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_goes_on() -> Result<()> {
    let land = land(&OFFICES).await?;
    let country = &land.country;
    let import = Import::new(&land)?;
    let mut register = HEADER.to_owned();
    for id in 0..4_000 {
        let district = if id % 2 == 0 { "North" } else { "South" };
        register.push_str(&format!(
            "{id},{district},Phone,2011-07-{:02} 10:00:00,2011-08-01 10:00:00,Row {id}\n",
            id % 31 + 1
        ));
    }
    import.write("register.csv", &register)?;
    let state = import.path("import.state").display().to_string();
    let args = import.args(&["--state", &state, "--concurrency", "16"]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    for part in 1..=2 {
        let mut running = import.tool.start(&args)?;
        until("a part of the register is imported", async || {
            let sizes = sizes(country).await?;
            let there = sizes[0].0 + sizes[1].0;
            let ended = running.try_wait()?;
            ensure!(ended.is_none() && there > part * 500, "{there} records, ended: {ended:?}");
            Ok(())
        })
        .await?;
        running.kill().await?;
    }
    let before = sizes(country).await?;
    ensure!(before[0].0 + before[1].0 < 8_000, "it was killed too late to show anything");
    let report = import.report(&["--state", &state]).await?;
    is(&report, &[("rows_read", 4_000), ("rejected", 0), ("unfinished", 0)])?;
    country.settle().await?;
    let after = sizes(country).await?;
    ensure!(after[0].0 == 4_000 && after[1].0 == 4_000, "{} and {}", after[0].0, after[1].0);
    until("the centre's tables are complete", async || {
        reading::folded(country, "KZ", "national").await
    })
    .await?;
    let by = [Dimension::Office, Dimension::State];
    let here = reading::totals(country, ("KZ", "national"), Table::Contacts, &by).await?;
    ensure!(here.values().all(|count| *count == 2_000) && here.len() == 2, "{here:?}");
    Ok(())
}
