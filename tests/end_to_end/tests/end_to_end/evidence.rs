//! Evidence that strangers can check: a slip at the counter with no network, a receipt once others
//! have cosigned, a bundle for an auditor; and what is refused of each when it was changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use evidence::checkpoint::Checkpoint;
use evidence::log::origin;
use evidence::note::Signer;
use identity::NodeKeys;
use serde_json::Value;
use testkit::installation::DOMAIN;

use crate::support::call::record_contacts;
use crate::support::tool::{Tool, text};
use crate::support::{Land, files, hasty, land_with, until};

const OFFICE: &str = "KZ-75";
const LOG: &str = "kz-75";

/// Where the files of a test lie.
struct Papers(PathBuf);

impl Papers {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        fs::read(self.0.join(name)).with_context(|| name.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_is_proved_to_strangers() -> Result<()> {
    let land = land_with(&["KZ-71", OFFICE, "KZ-79"], hasty()).await?;
    let country = &land.country;
    country.settle().await?;
    let papers = Papers(land.dir.path().join("papers"));
    fs::create_dir(&papers.0)?;
    let (clerk, operator) =
        (Tool::of(country, OFFICE, "clerk")?, Tool::of(country, OFFICE, "operator")?);
    policy(&operator, &papers).await?;
    // No network: the slip is there all the same, the receipt is not.
    country.region(OFFICE)?.link.cut();
    let receive = "record appeal receive --kind complaint --form paper --channel letter";
    let receive: Vec<_> = receive.split_whitespace().collect();
    let received =
        clerk.one(&[&receive[..], &["--applicant-name", "An Applicant"]].concat()).await?;
    let number = text(&received, "reg_no")?.to_owned();
    slip(&clerk, &papers, &number).await?;
    let early = ["receipt", "issue", "--number", &number];
    clerk.fails(&early, 3, &["NOT_READY", "witness/kz"]).await?;
    country.region(OFFICE)?.link.mend();
    receipt(&clerk, &papers, &number).await?;
    damaged_receipts(&clerk, &papers).await?;
    record_contacts(country, OFFICE, 3).await?;
    country.settle().await?;
    bundle(&land, &operator, &papers).await
}

async fn policy(operator: &Tool, papers: &Papers) -> Result<()> {
    let shown = operator.ok(&["policy", "show"]).await?;
    for line in ["log adal.example/log/kz-75+", "adal.example/mirror/kz", "\nquorum "] {
        ensure!(shown.contains(line), "the policy lacks {line:?}: {shown}");
    }
    let object = operator.one(&["policy", "show", "--log", LOG]).await?;
    ensure!(text(&object, "policy")? == shown, "{object}");
    operator.fails(&["policy", "show", "--log", "kz-99"], 3, &["adal log list"]).await?;
    fs::write(papers.0.join("policy"), shown)?;
    Ok(())
}

/// The slip, in every form; each is the same bytes.
async fn slip(clerk: &Tool, papers: &Papers, number: &str) -> Result<()> {
    let (out, svg) = (papers.path("slip.tlog-proof"), papers.path("slip.svg"));
    let issue = ["receipt", "issue", "--number", number, "--slip"];
    let files = ["--out", &out, "--svg", &svg];
    let shown = clerk.ok(&[&issue[..], &files].concat()).await?;
    for words in ["kind", "slip", "appeal.registered", "nobody else has seen it", "█"] {
        ensure!(shown.contains(words), "{words:?} is not shown: {shown}");
    }
    let again = clerk.one(&issue).await?;
    ensure!(text(&again, "proof")?.as_bytes() == papers.read("slip.tlog-proof")?, "{again}");
    let picture = String::from_utf8(papers.read("slip.svg")?)?;
    ensure!(picture.starts_with("<svg") && picture.contains("mm\""), "{picture}");
    // Nothing is written over.
    clerk.fails(&[&issue[..], &files].concat(), 2, &["slip.tlog-proof", "exists"]).await?;
    let shown = clerk.one(&["receipt", "show", &out]).await?;
    ensure!(shown["kind"] == "slip" && shown["checked"] == false, "{shown}");
    ensure!(shown["open_part"]["reg_no"] == number, "the number is opened: {shown}");
    let policy = papers.path("policy");
    let verify = ["receipt", "verify", &out, "--policy", &policy];
    let good = clerk.one(&[&verify[..], &["--slip"]].concat()).await?;
    ensure!(good["verdict"] == "ACCEPTED" && good["kind"] == "slip", "{good}");
    ensure!(text(&good, "missing")?.contains("mirror/kz"), "{good}");
    clerk.fails(&verify, 1, &["REFUSED", "cosignatures are missing", "--slip"]).await
}

/// The receipt, once the policy is met; with an opening and without.
async fn receipt(clerk: &Tool, papers: &Papers, number: &str) -> Result<()> {
    let (out, policy) = (papers.path("receipt.tlog-proof"), papers.path("policy"));
    let issue = ["receipt", "issue", "--number", number];
    let issued = until("the policy of the log is met", async || {
        clerk.one(&[&issue[..], &["--out", &out]].concat()).await
    })
    .await?;
    let signed: Vec<_> = issued["signed_by"].as_array().into_iter().flatten().collect();
    ensure!(signed.iter().any(|name| *name == "adal.example/mirror/kz"), "{issued}");
    let verify = ["receipt", "verify", &out, "--policy", &policy];
    let good = clerk.one(&verify).await?;
    ensure!(good["verdict"] == "ACCEPTED" && good["missing"].is_null(), "{good}");
    ensure!(good["open_part"]["reg_no"] == number, "{good}");
    // Without an opening, the record or its entry must be shown beside it.
    let bare = papers.path("bare.tlog-proof");
    let position = text(&issued, "record")?;
    clerk.one(&["receipt", "issue", position, "--no-opening", "--out", &bare]).await?;
    let verify = ["receipt", "verify", &bare, "--policy", &policy];
    clerk.fails(&verify, 2, &["--leaf", "--record"]).await?;
    let record = papers.path("record.bin");
    let operator = ["--as", "operator", "log", "get", position, "--out", &record];
    clerk.one(&operator).await?;
    clerk.one(&[&verify[..], &["--record", &record]].concat()).await?;
    // The record of the same complaint that stands before it is another one.
    let first = position.rsplit_once(':').context("a position")?.0.to_owned() + ":0";
    let other = papers.path("other.bin");
    clerk.one(&["--as", "operator", "log", "get", &first, "--out", &other]).await?;
    clerk.fails(&[&verify[..], &["--record", &other]].concat(), 1, &["REFUSED"]).await?;
    let opened = ["receipt", "verify", &out, "--policy", &policy, "--record", &other];
    clerk.fails(&opened, 1, &["another record"]).await
}

/// One character of each line that the policy depends on, changed; each is refused with a reason.
async fn damaged_receipts(clerk: &Tool, papers: &Papers) -> Result<()> {
    let (good, policy) = (papers.read("receipt.tlog-proof")?, papers.path("policy"));
    let place = papers.path("damaged.tlog-proof");
    let verify = ["receipt", "verify", &place, "--policy", &policy];
    let mut start = 0;
    for line in String::from_utf8(good.clone())?.split_inclusive('\n') {
        let at = start + line.len() / 2;
        start += line.len();
        // A line of a peer is one of several that would do.
        if line.contains("/witness/kz-") {
            continue;
        }
        let mut damaged = good.clone();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        fs::write(&place, damaged)?;
        let word = "damaged.tlog-proof";
        clerk.fails(&verify, 1, &[word]).await.with_context(|| format!("in: {line}"))?;
    }
    for cut in [0, 10, good.len() / 2, good.len() - 1] {
        fs::write(&place, &good[..cut])?;
        clerk.fails(&verify, 1, &["damaged.tlog-proof"]).await?;
    }
    fs::write(&place, &good)?;
    clerk.ok(&verify).await?;
    clerk.fails(&["receipt", "verify", &place, "--policy", &place], 2, &["policy"]).await?;
    Ok(())
}

/// A bundle of the office and one of the centre; honest ones are accepted, changed ones refused.
async fn bundle(land: &Land, operator: &Tool, papers: &Papers) -> Result<()> {
    let (out, policy) = (papers.path("bundle"), papers.path("policy"));
    let export = ["evidence", "export", "--log", LOG, "--out", &out, "--tiles", "--leaves", "0-1"];
    let export = [&export[..], &["--slips", "0"]].concat();
    let row =
        until("a head over the complaint meets the policy", async || operator.one(&export).await)
            .await?;
    ensure!(row["checked"] == true && row["witnessed"].as_u64() >= Some(2), "{row}");
    operator.fails(&export, 2, &["not empty"]).await?;
    ensure!(!Path::new(&papers.path("bundle.partial")).exists(), "something is left of it");
    let verify = ["evidence", "verify", &out, "--policy", &policy];
    let shown = operator.ok(&verify).await?;
    for words in [
        "receipts/e1-1.tlog-proof",
        "slips/e1-0.tlog-proof",
        "checkpoints/e1-1",
        "log/tile",
        "witnessed",
    ] {
        ensure!(shown.contains(words), "{words} is not shown: {shown}");
    }
    // The slip of a citizen is judged with it.
    fs::copy(papers.0.join("slip.tlog-proof"), papers.0.join("bundle/slips/1.tlog-proof"))?;
    let rows = operator.json(&verify).await?;
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).cloned();
    ensure!(of("slips/1.tlog-proof").context("a slip")?["verdict"] == "accepted", "{rows:?}");
    changed_files(operator, papers).await?;

    let centre = Tool::of(&land.country, "KZ", "auditor")?;
    let (theirs, head) = (papers.path("theirs"), checkpoint(papers)?);
    let from = ["evidence", "export", "--log", LOG, "--out", &theirs, "--from-checkpoint", &head];
    until("the centre has a complete head too", async || centre.one(&from).await).await?;
    let verify = ["evidence", "verify", &theirs, "--policy", &policy];
    operator.ok(&verify).await?;
    published(operator, papers).await?;
    centre.one(&["evidence", "compare", &head]).await.and_then(|row| {
        ensure!(row["verdict"] == "same" || row["verdict"] == "prefix", "{row}");
        Ok(())
    })?;
    split_view(land, operator, &centre, papers).await
}

/// What the centre publishes is judged by the offices' signatures, at any office.
async fn published(operator: &Tool, papers: &Papers) -> Result<()> {
    let (out, policy) = (papers.path("all"), papers.path("all.policy"));
    fs::write(&policy, operator.ok(&["policy", "show", "--log", "kz/all"]).await?)?;
    let export = ["evidence", "export", "--log", "kz/all", "--out", &out];
    until("the offices have signed for the centre", async || operator.one(&export).await).await?;
    operator.ok(&["evidence", "verify", &out, "--policy", &policy]).await?;
    let other = papers.path("policy");
    operator.fails(&["evidence", "verify", &out, "--policy", &other], 1, &["REFUSED"]).await
}

/// The first checkpoint of the office's bundle.
fn checkpoint(papers: &Papers) -> Result<String> {
    let first = files::below(&papers.0.join("bundle/checkpoints"))?.into_iter().next();
    Ok(first.context("a checkpoint")?.display().to_string())
}

/// One bit of each file, one at a time: refused, and the file is named.
async fn changed_files(operator: &Tool, papers: &Papers) -> Result<()> {
    let (dir, policy) = (papers.0.join("bundle"), papers.path("policy"));
    let shown = dir.display().to_string();
    let verify = ["evidence", "verify", &shown, "--policy", &policy, "--json"];
    for file in files::below(&dir)? {
        let name = file.strip_prefix(&dir)?.display().to_string();
        let offset = 40 % usize::try_from(fs::metadata(&file)?.len())?;
        files::flip(&file, offset)?;
        let ran = operator.run(&verify).await?;
        ensure!(ran.status == 1, "{name} was changed, and the bundle is {}", ran.status);
        let rows: Vec<Value> =
            ran.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let refused = rows.iter().filter(|row| row["verdict"] == "REFUSED");
        let mut refused = refused.filter_map(|row| row["name"].as_str());
        // Which of two files of a copy is the changed one, nobody can tell: one of them is named.
        let named = match name.starts_with("log/tile") {
            true => refused.any(|refused| refused.starts_with("log/tile")),
            false => refused.any(|refused| refused == name),
        };
        ensure!(named, "{name} was changed and is not named: {}", ran.out);
        ensure!(ran.err.contains("REFUSED"), "{}", ran.err);
        files::flip(&file, offset)?;
    }
    operator.ok(&verify).await?;
    let stranger = papers.0.join("bundle/extra");
    fs::write(&stranger, "x")?;
    operator.fails(&verify, 1, &["extra", "no part of a bundle"]).await?;
    fs::remove_file(&stranger)?;
    Ok(())
}

/// The office's key signs another history: whoever is shown both convicts it, for ever.
async fn split_view(land: &Land, operator: &Tool, centre: &Tool, papers: &Papers) -> Result<()> {
    let keys = NodeKeys::load(&land.country.installation.keys(OFFICE))?;
    let origin = origin(DOMAIN, &LOG.parse()?, 1);
    let signer = Signer::log(&origin, keys.log_seed())?;
    let note = Checkpoint { origin, size: 2, root: [9; 32] }.sign(&signer)?;
    fs::write(papers.0.join("other-view"), note)?;
    let compare = ["evidence", "compare", &papers.path("other-view")];
    for tool in [centre, operator] {
        let ran = tool.run(&compare).await?;
        ensure!(ran.status == 1 && ran.err.contains("FORK"), "{}{}", ran.out, ran.err);
        ensure!(ran.out.contains("Tell the department"), "{}", ran.out);
    }
    let contact = ["--as", "clerk", "record", "contact", "--channel", "call", "--topic", "other"];
    operator.fails(&contact, 3, &["READ_ONLY", "FORK"]).await
}
