//! The tool `adal` on a running country: what people enter and read, what operators look at and
//! check, with the exit status that scripts rely on and JSON that programs can read.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::country::Country;
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

use crate::support::call::record_contacts;
use crate::support::tool::{Tool, bare, ended, failed, text};
use crate::support::{Land, files, land, reading, until};

const OFFICE: &str = "KZ-75";
const TEXT: &str = "Мәтін: a text for the record";

#[tokio::test(flavor = "multi_thread")]
async fn people_enter_and_read_back() -> Result<()> {
    let land = land(&[OFFICE]).await?;
    let country = &land.country;
    let (clerk, chief) = (Tool::of(country, OFFICE, "clerk")?, Tool::of(country, OFFICE, "chief")?);
    contact(&clerk).await?;
    let appeal = appeal(&land, &clerk, &chief).await?;
    plans(&clerk).await?;
    until("the office's tables are complete", async || {
        reading::folded(country, OFFICE, "clerk").await
    })
    .await?;
    tables(&clerk, &appeal).await?;
    mistakes(&land, &clerk).await?;
    country.settle().await?;
    reading::all_intact(country).await
}

/// A call in one line: opened, answered, closed.
async fn contact(clerk: &Tool) -> Result<()> {
    let args = ["record", "contact", "--channel", "call", "--line", "trust_line"];
    let one_go = [&args[..], &["--topic", "other", "--outcome", "consultation"]].concat();
    let steps = clerk.json(&one_go).await?;
    ensure!(steps.len() == 3 && steps[2]["version"] == 3, "receipts: {steps:?}");
    let open = clerk.one(&[&args[..], &["--caller-name", "A Caller"]].concat()).await?;
    ensure!(open["version"] == 1 && open["replayed"] == false, "receipt: {open}");
    let id = text(&open, "stream")?;
    let shown = clerk.ok(&["record", "contact", "--id", id, "--outcome", "recorded"]).await?;
    ensure!(shown.contains("kz-75:1:") && shown.contains(id), "for people: {shown}");
    // The same command again is answered with the first receipt.
    let again = Uuid::now_v7().to_string();
    let args = [&args[..], &["--command-id", &again]].concat();
    clerk.one(&args).await?;
    let id = Uuid::now_v7().to_string();
    let args = [
        "record",
        "measure",
        "plan",
        "--kind",
        "lecture",
        "--audience",
        "judges",
        "--due",
        "2030-12-01",
        "--id",
        &id,
        "--command-id",
        &id,
    ];
    let first = clerk.one(&args).await?;
    let second = clerk.one(&args).await?;
    ensure!(first["replayed"] == false && second["replayed"] == true, "{first}\n{second}");
    ensure!(first["position"] == second["position"], "{first}\n{second}");
    Ok(())
}

/// An appeal from receipt to its end, with a correction; returns its id.
async fn appeal(land: &Land, clerk: &Tool, chief: &Tool) -> Result<String> {
    let letter = land.dir.path().join("letter.txt");
    fs::write(&letter, TEXT)?;
    let text_file = format!("@{}", letter.display());
    let receive = "record appeal receive --kind complaint --form paper --channel letter \
                   --due 2030-01-31";
    let receive: Vec<_> = receive.split_whitespace().collect();
    let personal = ["--applicant-name", "An Applicant", "--text", &text_file];
    let received = clerk.one(&[&receive[..], &personal].concat()).await?;
    ensure!(text(&received, "reg_no")?.contains("KZ-75"), "receipt: {received}");
    let id = text(&received, "stream")?.to_owned();
    for (tool, step) in [
        (clerk, "record appeal triage --category red_tape"),
        (chief, "record appeal assign --executor kz-75/clerk"),
        (clerk, "record appeal decide --decision answer --answer-nature explained --text words"),
        (chief, "record appeal approve"),
        (clerk, "record appeal answer --channel letter"),
        (clerk, "record appeal close --closure answered"),
    ] {
        let words: Vec<_> = step.split_whitespace().chain(["--id", &id]).collect();
        tool.one(&words).await?;
    }
    let correct = "record correction --field channel --before letter --after email \
                   --reason wrong_code --appeal";
    let words: Vec<_> = correct.split_whitespace().chain([id.as_str()]).collect();
    clerk.one(&words).await?;
    let position = text(&received, "position")?;
    let opened = clerk.one(&["record", "open", position, "--purpose", "case_work"]).await?;
    ensure!(opened["sealed_part"]["text"] == TEXT, "read back: {opened}");
    ensure!(opened["sealed_part"]["name"] == "An Applicant", "read back: {opened}");
    Ok(id)
}

/// Receptions, measures and activities, planned and held.
async fn plans(clerk: &Tool) -> Result<()> {
    let measure = clerk
        .one(&[
            "record",
            "measure",
            "plan",
            "--kind",
            "training",
            "--audience",
            "court_staff",
            "--due",
            "2030-12-01",
        ])
        .await?;
    let id = text(&measure, "stream")?;
    let held = ["record", "measure", "hold", "--id", id, "--minutes", "90", "--participants"];
    clerk.one(&[&held[..], &["judges=12,civil_servants=30"]].concat()).await?;
    let activity = clerk
        .one(&[
            "record",
            "activity",
            "plan",
            "--audience",
            "society",
            "--kind",
            "interview",
            "--channel",
            "television",
            "--target-reach",
            "50000",
            "--due",
            "2030-12-20",
        ])
        .await?;
    let id = text(&activity, "stream")?;
    clerk.one(&["record", "activity", "hold", "--id", id, "--reach", "41000"]).await?;
    let reception = ["record", "reception", "plan", "--on", "2030-12-02", "--post", "kz-75/chief"];
    let reception = clerk.one(&reception).await?;
    let id = text(&reception, "stream")?;
    clerk.one(&["record", "reception", "miss", "--id", id, "--reason", "illness"]).await?;
    Ok(())
}

/// Every table shows what was entered, to people and to programs.
async fn tables(clerk: &Tool, appeal: &str) -> Result<()> {
    let rows = clerk.json(&["query", "contacts"]).await?;
    ensure!(rows.len() == 3, "{} contacts", rows.len());
    let closed = clerk.json(&["query", "contacts", "--state", "closed"]).await?;
    ensure!(closed.len() == 2, "{} closed contacts", closed.len());
    let row = clerk.one(&["query", "appeals", "--id", appeal]).await?;
    for (key, value) in [("state", "closed"), ("channel", "email"), ("category", "red_tape")] {
        ensure!(row[key] == value, "{key} is no {value}: {row}");
    }
    for (table, state) in [("receptions", "not_held"), ("activities", "held")] {
        let row = clerk.one(&["query", table]).await?;
        ensure!(row["state"] == state, "{table}: {row}");
    }
    let measures = clerk.json(&["query", "measures", "--kind", "training"]).await?;
    ensure!(measures.len() == 1 && measures[0]["participants"] == 42, "{measures:?}");
    let totals = clerk.json(&["query", "totals", "measures", "--by", "office,state"]).await?;
    let count = |state: &str| {
        let row = totals.iter().find(|row| row["state"] == state);
        row.and_then(|row| row["count"].as_u64())
    };
    ensure!(count("planned") == Some(1) && count("held") == Some(1), "{totals:?}");
    let ran = clerk.run(&["query", "contacts", "--limit", "1"]).await?;
    ensure!(ran.out.lines().count() == 2, "one row and its heading: {}", ran.out);
    ensure!(ran.err.contains("1 of 3 rows"), "the remark: {}", ran.err);
    Ok(())
}

/// What is wrong is said in one line, with the exit status that the help promises.
async fn mistakes(land: &Land, clerk: &Tool) -> Result<()> {
    let country = &land.country;
    let wrong_code = ["record", "contact", "--channel", "pigeon"];
    clerk.fails(&wrong_code, 3, &["UNKNOWN_CODE", "open_contact.channel"]).await?;
    clerk.fails(&["record", "contact"], 2, &["--channel"]).await?;
    clerk.fails(&["query", "nonsense"], 2, &["nonsense"]).await?;
    clerk.fails(&["query", "receptions", "--kind", "x"], 3, &["kind"]).await?;
    clerk.fails(&["journal", "check"], 3, &["operator"]).await?;
    let nobody = Uuid::now_v7().to_string();
    let triage = ["record", "appeal", "triage", "--category", "red_tape", "--id", &nobody];
    clerk.fails(&triage, 3, &["NOT_FOUND"]).await?;
    let people = country.installation.people(OFFICE);
    let address = country.address(OFFICE)?.to_string();
    let stranger = Tool::at(&address, &people, "somebody");
    stranger.fails(&["sync", "status"], 2, &["somebody.pem"]).await?;
    let nowhere = Tool::at("127.0.0.1:1", &people, "clerk");
    nowhere.fails(&["sync", "status"], 3, &["127.0.0.1:1"]).await?;
    // The certificate decides the name that is expected: a neighbour's clerk is at the wrong door.
    let centre = country.address("KZ")?.to_string();
    Tool::at(&centre, &people, "clerk").fails(&["sync", "status"], 3, &["kz-75"]).await?;
    let none = ["sync", "status"];
    failed(&ended(bare(&none)?, &none).await?, &none, 2, &["people", "--people"])
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_look_and_check() -> Result<()> {
    let mut land = land(&["KZ-71", OFFICE]).await?;
    let country = &land.country;
    record_contacts(country, OFFICE, 12).await?;
    country.settle().await?;
    let (centre, region) =
        (Tool::of(country, "KZ", "operator")?, Tool::of(country, OFFICE, "operator")?);
    logs(country, &centre, &region).await?;
    get(country, &centre, &region).await?;
    follow(country, &region).await?;
    country.settle().await?;
    sync_status(country, &centre, &region).await?;
    let rebuilt = region.one(&["views", "rebuild"]).await?;
    ensure!(rebuilt["records_folded"].as_u64() >= Some(13), "{rebuilt}");
    let report = centre.one(&["journal", "check"]).await?;
    ensure!(report["intact"] == true && report["damages"] == 0, "{report}");
    ensure!(report["index_not_compared"].is_null(), "{report}");
    ensure!(report["index_entries"].as_u64() > Some(0), "{report}");
    check_offline(&mut land).await
}

async fn logs(country: &Country, centre: &Tool, region: &Tool) -> Result<()> {
    let rows = centre.json(&["log", "list"]).await?;
    let of = |log: &str| rows.iter().find(|row| row["log"] == log);
    let mirror = of("kz-75").context("the mirror is listed")?;
    ensure!(mirror["part"] == "mirror" && mirror["records"] == 12, "{mirror}");
    ensure!(mirror["origin"] == "adal.example/log/kz-75", "{mirror}");
    let all = of("kz/all").context("the centre's own log is listed")?;
    ensure!(all["part"] == "own" && all["records"] == 2, "{all}");
    let offices = centre.json(&["office", "list"]).await?;
    let codes: Vec<_> = offices.iter().flat_map(|row| row["code"].as_str()).collect();
    ensure!(codes == ["KZ-71", OFFICE], "offices: {codes:?}");

    let records = region.json(&["log", "view", "kz-75", "--from", "3", "--limit", "4"]).await?;
    let sequences: Vec<_> = records.iter().flat_map(|row| row["sequence"].as_u64()).collect();
    ensure!(sequences == [3, 4, 5, 6], "sequences: {sequences:?}");
    ensure!(records.iter().all(|row| row["type"] == "contact.opened"), "{records:?}");
    let shown = region.ok(&["log", "view", "kz-75"]).await?;
    ensure!(shown.lines().count() == 13, "a heading and twelve records: {shown}");
    let last = region.json(&["log", "tail", "kz-75", "--lines", "2"]).await?;
    ensure!(last.len() == 2 && last[1]["sequence"] == 11, "{last:?}");
    region.fails(&["log", "view", "kz-99"], 3, &["adal log list"]).await?;
    region.fails(&["log", "view", "kz-75", "--from", "99"], 3, &["12 records"]).await?;
    ensure!(country.logs(OFFICE).await?["kz-75"].0 == 12, "looking has changed something");
    Ok(())
}

/// A record is checked by whoever fetches it, with the key of the log where it is given.
async fn get(country: &Country, centre: &Tool, region: &Tool) -> Result<()> {
    let public = country.installation.keys(OFFICE).join("public.toml").display().to_string();
    let other = country.installation.keys("KZ-71").join("public.toml").display().to_string();
    let bytes = country.installation.folder(OFFICE).join("record.bin").display().to_string();
    let args = ["log", "get", "kz-75:1:7", "--public", &public, "--out", &bytes];
    let row = centre.one(&args).await?;
    for (key, words) in [
        ("leaf_check", "equal"),
        ("inclusion_check", "checked here"),
        ("head_check", "the log's key signed"),
    ] {
        ensure!(text(&row, key)?.contains(words), "{key}: {row}");
    }
    let original = reading::record(country, OFFICE, "kz-75", 7).await??;
    ensure!(fs::read(&bytes)? == original.record, "the file holds other bytes");
    let by_id = region.one(&["log", "get", text(&row, "event_id")?]).await?;
    ensure!(by_id["leaf_hash"] == row["leaf_hash"], "{by_id}");
    let wrong_key = ["log", "get", "kz-75:1:7", "--public", &other];
    centre.fails(&wrong_key, 1, &["not what the node says"]).await?;
    centre.fails(&["log", "get", "kz-75:1:700"], 3, &["no such record"]).await?;
    centre.fails(&["log", "get", "seven"], 2, &["log:epoch:sequence"]).await
}

/// A record that is made while somebody looks appears by itself.
async fn follow(country: &Country, region: &Tool) -> Result<()> {
    let args = ["log", "tail", "kz-75", "--follow", "--lines", "1", "--json"];
    let mut child = region.start(&args)?;
    let stdout = child.stdout.take().context("standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = lines.next_line().await?.context("the last record there is")?;
    let first: Value = serde_json::from_str(&first)?;
    ensure!(first["sequence"] == 11, "begins with {first}");
    record_contacts(country, OFFICE, 2).await?;
    for sequence in [12, 13] {
        let next = tokio::time::timeout(testkit::country::PATIENCE, lines.next_line()).await;
        let next = next.context("a new record is not shown")??.context("the tool has ended")?;
        let next: Value = serde_json::from_str(&next)?;
        ensure!(next["sequence"] == sequence, "then {next}");
    }
    child.kill().await?;
    Ok(())
}

async fn sync_status(country: &Country, centre: &Tool, region: &Tool) -> Result<()> {
    let of = |rows: &[Value], log: &str, key: &str| {
        rows.iter().find(|row| row["log"] == log).map(|row| row[key].clone())
    };
    until("the tool calls both sides live", async || {
        for tool in [centre, region] {
            let rows = tool.json(&["sync", "status"]).await?;
            ensure!(of(&rows, "kz-75", "state") == Some("live".into()), "{rows:?}");
            ensure!(of(&rows, "kz-75", "not_held") == Some(0.into()), "{rows:?}");
        }
        Ok(())
    })
    .await?;
    country.region(OFFICE)?.link.cut();
    record_contacts(country, OFFICE, 3).await?;
    until("the tool says what is not held", async || {
        let rows = region.json(&["sync", "status"]).await?;
        ensure!(of(&rows, "kz-75", "not_held") == Some(3.into()), "{rows:?}");
        ensure!(of(&rows, "kz-75", "state") != Some("live".into()), "{rows:?}");
        let shown = region.ok(&["sync", "status"]).await?;
        ensure!(shown.contains("3 not yet acknowledged by KZ"), "for people: {shown}");
        Ok(())
    })
    .await?;
    country.region(OFFICE)?.link.mend();
    country.settle().await
}

/// The files of a stopped node are checked without it; those of a running one are left alone.
async fn check_offline(land: &mut Land) -> Result<()> {
    let country = &mut land.country;
    let data = country.installation.data(OFFICE);
    let dir = data.display().to_string();
    let args = ["journal", "check", "--offline", &dir];
    failed(&ended(bare(&args)?, &args).await?, &args, 2, &["in use"])?;
    ensure!(country.stop_region(OFFICE).await?, "the region did not end cleanly");
    let sound = ended(bare(&args)?, &args).await?;
    ensure!(sound.status == 0, "sound files: {}{}", sound.out, sound.err);
    let said = "index not compared  files that no program has open are checked alone";
    ensure!(sound.out.contains(said), "it does not say that the index was left out: {}", sound.out);
    let segment = data.join("journal/commits/0000000001.seg");
    let record = fs::read(country.installation.folder(OFFICE).join("record.bin"))?;
    let at = files::find(&fs::read(&segment)?, &record).context("the record is in the file")?;
    files::flip(&segment, at + record.len() - 1)?;
    let damaged = ended(bare(&args)?, &args).await?;
    failed(&damaged, &args, 1, &["damage"])?;
    ensure!(damaged.out.contains("0000000001.seg"), "it names no file: {}", damaged.out);
    let nothing = ["journal", "check", "--offline", "/nonexistent"];
    failed(&ended(bare(&nothing)?, &nothing).await?, &nothing, 2, &["/nonexistent"])
}

/// A directive from the centre's terminal to its acceptance.
#[tokio::test(flavor = "multi_thread")]
async fn a_directive_by_the_tool() -> Result<()> {
    let land = land(&["KZ-71", OFFICE]).await?;
    let country = &land.country;
    country.settle().await?;
    let national = Tool::of(country, "KZ", "national")?;
    let issued = national
        .one(&[
            "directive",
            "issue",
            "--all",
            "--due",
            "2030-12-20",
            "--subject",
            "report_on_appeals",
            "--indicator",
            "appeals_received",
            "--evidence",
            "report",
        ])
        .await?;
    let id = text(&issued, "stream")?;
    let reach = async |state: &str| {
        until(&format!("both offices are {state}"), async || {
            let rows = national.json(&["directive", "status", id]).await?;
            ensure!(rows.len() == 2 && rows.iter().all(|row| row["state"] == state), "{rows:?}");
            Ok(rows)
        })
        .await
    };
    reach("delivered").await?;
    for office in ["KZ-71", OFFICE] {
        let (clerk, chief) =
            (Tool::of(country, office, "clerk")?, Tool::of(country, office, "chief")?);
        clerk.fails(&["directive", "acknowledge", id], 3, &["chief"]).await?;
        chief.one(&["directive", "acknowledge", id]).await?;
        let report = ["directive", "report", id, "--value", "appeals_received=12"];
        clerk.fails(&report, 3, &["evidence"]).await?;
        clerk.one(&[&report[..], &["--evidence", "report"]].concat()).await?;
    }
    reach("reported").await?;
    for office in ["KZ-71", OFFICE] {
        national.one(&["directive", "accept", id, "--office", office]).await?;
    }
    let rows = reach("accepted").await?;
    for row in &rows {
        for key in ["issued_at", "delivered_at", "acknowledged_at", "reported_at", "accepted_at"] {
            ensure!(row[key].is_string(), "no {key}: {row}");
        }
    }
    Ok(())
}
