//! What can be wrong between two offices, on real processes: each situation with the words that the
//! operators of both sides read, the evidence that is kept, and the way out that the words name.

mod histories;
mod silence;
mod strangers;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use node::situations::{Names, Situation, fill};
use serde_json::Value;
use testkit::country::Country;

use crate::support::call::link;
use crate::support::tool::{Tool, text};
use crate::support::until;

/// What the operator of one side reads.
struct Seen<'a> {
    /// In `adal sync status`.
    state: &'a str,
    /// Stable name.
    code: &'a str,
    /// The log; empty: the link.
    log: &'a str,
    /// The office that found it.
    found_by: &'a str,
    /// What it said, to the letter.
    says: &'a str,
}

/// Waits until the operator of `office` reads this about `peer`, in both commands; returns what
/// programs read in `explain`.
async fn reads(country: &Country, (office, peer): (&str, &str), seen: Seen<'_>) -> Result<Value> {
    let operator = Tool::of(country, office, "operator")?;
    until("the operators read what is wrong", async || {
        let status = operator.ok(&["sync", "status"]).await?;
        let line = status
            .lines()
            .find(|line| line.starts_with(&format!("{office} ")) && line.contains(peer));
        let line = line.with_context(|| format!("no line about {peer} in\n{status}"))?;
        ensure!(line.contains(&format!(" {} ", seen.state)), "{office} reads: {line}");
        let explained = operator.one(&["sync", "explain", peer]).await?;
        ensure!(explained["state"] == seen.state, "{}", explained["state"]);
        let findings = explained["findings"].as_array().context("findings")?;
        let of = |f: &&Value| f["code"] == seen.code && f["log"] == seen.log;
        let found = findings.iter().find(of).with_context(|| format!("{office}: {findings:#?}"))?;
        ensure!(found["found_by"] == seen.found_by, "{office}: {found:#}");
        ensure!(found["says"] == seen.says, "{office}: {:#}", found["says"]);
        let said = operator.ok(&["sync", "explain", peer]).await?;
        worded(found, &said, (office, peer)).with_context(|| said.clone())?;
        Ok(explained)
    })
    .await
}

/// The words are those of the table, filled in, and people read all of them within 100 columns.
fn worded(found: &Value, said: &str, (office, peer): (&str, &str)) -> Result<()> {
    let situation = Situation::named(text(found, "code")?).context("no such situation")?;
    let region = if office == "KZ" { peer } else { office };
    let log = region.to_ascii_lowercase();
    let log = if found["log"] == "" { log.as_str() } else { text(found, "log")? };
    let writer = if log.starts_with("kz/") { "KZ" } else { region };
    let mirror = if writer == "KZ" { region } else { "KZ" };
    let names = Names { writer, mirror, log };
    let filled_for = |text: &str, other| fill(text, &names).replace("OFFICE", other);
    let filled = |text| filled_for(text, peer);
    let own = writer == office;
    let (here, there) = match own {
        true => (situation.at_writer, situation.at_mirror),
        false => (situation.at_mirror, situation.at_writer),
    };
    ensure!(found["title"] == situation.title, "{found:#}");
    ensure!(found["meaning"] == filled(situation.meaning), "{found:#}");
    ensure!(found["do_here"] == filled(here), "{found:#}");
    ensure!(found["do_there"] == filled_for(there, office), "{found:#}");
    // Line breaks and columns aside.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = words(said);
    for part in
        [situation.title, &filled(situation.meaning), &filled(here), &filled_for(there, office)]
    {
        ensure!(whole.contains(&words(part)), "people do not read: {part}");
    }
    ensure!(said.lines().all(|line| line.chars().count() <= 100), "wider than a terminal");
    Ok(())
}

/// Evidence of this kind is kept at an office, with so many notes at least, and goes to files.
async fn kept(
    country: &Country,
    (office, peer): (&str, &str),
    (code, notes): (&str, u64),
    dir: &Path,
) -> Result<()> {
    let operator = Tool::of(country, office, "operator")?;
    let explained = operator.one(&["sync", "explain", peer]).await?;
    let pieces = explained["evidence"].as_array().context("evidence")?;
    let piece = pieces.iter().find(|piece| piece["code"] == code);
    let piece = piece.with_context(|| format!("{office} keeps {pieces:#?}"))?;
    ensure!(piece["notes"].as_u64() >= Some(notes), "{office}: {piece:#}");
    let to = dir.join(format!("kept-{code}-{office}"));
    let path = to.display().to_string();
    operator.ok(&["sync", "explain", peer, "--evidence", &path]).await?;
    let mut contents = Vec::new();
    for file in crate::support::files::below(&to)? {
        contents.push(std::fs::read_to_string(file)?);
    }
    let content = text(piece, "content")?;
    ensure!(contents.iter().any(|written| written == content), "not in {path}: {content}");
    ensure!(notes == 0 || content.contains("adal.example/log/"), "no note: {content}");
    Ok(())
}

/// Both ends say `live`, and that nothing is wrong.
async fn live(country: &Country, office: &str) -> Result<()> {
    until("both ends are live again", async || {
        for (here, there) in [(office, "KZ"), ("KZ", office)] {
            let link = link(country, here, there).await?;
            ensure!(link.state == "live", "{here}: {link:?}");
            let operator = Tool::of(country, here, "operator")?;
            let explained = operator.one(&["sync", "explain", there]).await?;
            ensure!(explained["findings"][0]["code"] == "nothing_wrong", "{here}: {explained:#}");
        }
        Ok(())
    })
    .await
}

/// Records of an office's own log that the centre holds, by epoch.
async fn held(country: &Country, office: &str) -> Result<(u64, Vec<u8>)> {
    let log = office.to_ascii_lowercase();
    country.logs("KZ").await?.remove(&log).with_context(|| format!("no {log} at the centre"))
}
