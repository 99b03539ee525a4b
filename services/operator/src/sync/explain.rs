//! `adal sync explain`: what is wrong with the link to one office, or that nothing is, and what the
//! operators of both sides do.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use wire::pb::Instant;
use wire::pb::operator::v1 as pb;

use super::since;
use crate::connect::Way;
use crate::errors::{Failure, Outcome, one_line};
use crate::output::{Cell, Output, Row, age, hex, table};

/// Columns of a terminal that everybody has.
const WIDTH: usize = 100;
/// Columns of the names of what is shown.
const NAMES: usize = 14;

/// About which office.
#[derive(Debug, Args)]
#[command(after_help = "Shows the situation in one word (gap, fork, rollback, re-created log, \
                        restored old backup, wrong key, duplicate office, incompatible version, \
                        silent, ..), who found it and when, what each side holds, which evidence \
                        is kept, and what the operators of both sides do. The words are those of \
                        the guide, deploy/INSTALL.md.\n\n\
                        Example:\n  adal --as operator sync explain KZ-75 --evidence /media/kz-75")]
pub struct ExplainArgs {
    /// Code of the other office; KZ for the centre
    #[arg(value_name = "OFFICE")]
    office: String,
    /// Write every kept piece of evidence into this new folder: notes, proofs, times
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
}

/// Carries it out. Programs read one object.
///
/// # Errors
/// The node refused or could not be reached; the folder exists or cannot be written.
pub async fn run(args: &ExplainArgs, way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let request = pb::ExplainSyncRequest { office: args.office.clone() };
    let explained = client.explain_sync(request).await?.into_inner();
    if let Some(dir) = &args.evidence {
        export(&explained.evidence, dir)?;
    }
    if output.is_json() {
        return output.line(&object(&explained).to_string());
    }
    for line in lines(&explained) {
        output.line(&line)?;
    }
    if let Some(dir) = &args.evidence {
        let count = explained.evidence.len();
        output.note(&format!("{count} pieces of evidence are in {}", dir.display()))?;
    }
    Ok(())
}

/// Writes each piece to a file of its own.
fn export(evidence: &[pb::SyncEvidence], dir: &Path) -> Outcome {
    let failed = |error| Failure::wrong(format!("write {}", dir.display()), &error);
    fs::create_dir(dir).map_err(failed)?;
    for (number, piece) in (1..).zip(evidence) {
        fs::write(dir.join(file_name(number, piece)), &piece.content).map_err(failed)?;
    }
    Ok(())
}

fn file_name(number: u32, piece: &pb::SyncEvidence) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let about = match piece.log.is_empty() {
        true => "link".to_owned(),
        false => format!("{}-e{}", piece.log, piece.epoch),
    };
    let name = format!("{number:03}-{}-{about}-by-{}", piece.code, piece.found_by);
    name.chars().map(plain).collect::<String>() + ".txt"
}

/// What people read.
fn lines(explained: &pb::ExplainSyncResponse) -> Vec<String> {
    let at = explained.at.as_ref();
    let ago = |then: Option<&Instant>| since(at, then).map(age);
    let pb::ExplainSyncResponse { office, peer, .. } = explained;
    let mut lines = vec![format!("{office} sees {peer}: {}", one_line(&explained.state))];
    let mut say = |name: &str, text: &str| lines.extend(named(name, text));
    if let Some(ago) = ago(explained.since.as_ref()) {
        say("for", &ago);
    }
    say(
        "last heard",
        &ago(explained.last_contact.as_ref()).map_or("never".to_owned(), |a| a + " ago"),
    );
    for machine in [(office, explained.here.as_ref()), (peer, explained.there.as_ref())] {
        say(machine.0, &process(machine.1));
    }
    say("clock", &clock(explained));
    say("only here", &explained.at_risk);
    for finding in &explained.findings {
        lines.push(String::new());
        lines.extend(told(explained, finding));
    }
    lines.push(String::new());
    lines.push("What each side holds".to_owned());
    lines.extend(
        table(&explained.logs.iter().map(|log| sides(explained, log)).collect::<Vec<_>>())
            .lines()
            .map(str::to_owned),
    );
    lines.push(String::new());
    if explained.evidence.is_empty() {
        lines.push("No evidence is kept: nothing was ever refused.".to_owned());
        return lines;
    }
    lines
        .push(format!("Evidence kept for ever; to files: adal sync explain {peer} --evidence DIR"));
    let pieces: Vec<Row> = explained.evidence.iter().map(piece).collect();
    lines.extend(table(&pieces).lines().map(str::to_owned));
    lines
}

/// One finding: what it is, what it means, what to do.
fn told(explained: &pb::ExplainSyncResponse, finding: &pb::SyncFinding) -> Vec<String> {
    let about = match finding.log.is_empty() {
        true => format!("the link to {}", explained.peer),
        false => format!("{} epoch {}", finding.log, finding.epoch),
    };
    let mut lines = named("SITUATION", &format!("{} ({about})", finding.title));
    let since = Cell::time(finding.since.as_ref());
    let found = match finding.found_by.is_empty() {
        true => "not known".to_owned(),
        false if finding.since.is_none() => format!("by {}", finding.found_by),
        false => format!("by {}, known since {}", finding.found_by, since.people()),
    };
    lines.extend(named("found", &found));
    if !finding.says.is_empty() {
        lines.extend(named("says", &finding.says));
    }
    lines.extend(named("means", &finding.meaning));
    lines.extend(steps("do here", &finding.do_here));
    lines.extend(steps(&format!("do at {}", explained.peer), &finding.do_there));
    let risk = match finding.endangers {
        true => "yes: keep every journal and backup until the matter is clear",
        false => "no: what is recorded is safe where it is",
    };
    lines.extend(named("at risk", risk));
    lines
}

/// A text of numbered steps, each on a line of its own.
fn steps(name: &str, text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    for number in 2.. {
        let Some((step, _)) = rest.split_once(&format!(" {number}. ")) else { break };
        parts.push(step);
        rest = &rest[step.len() + 1..];
    }
    parts.push(rest);
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    names.zip(parts).flat_map(|(name, part)| named(name, part)).collect()
}

/// A name and a text beside it, wrapped to [`WIDTH`].
fn named(name: &str, text: &str) -> Vec<String> {
    let mut lines = vec![format!("{name:NAMES$}")];
    let mut is_first = true;
    for word in one_line(text).split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if !is_first && last + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(NAMES));
            is_first = true;
        }
        if let Some(line) = lines.last_mut() {
            if !is_first || line.chars().count() > NAMES {
                line.push(' ');
            }
            line.push_str(word);
        }
        is_first = false;
    }
    lines
}

fn process(machine: Option<&pb::SyncMachine>) -> String {
    machine.map_or("has not said hello since this node was started".to_owned(), |machine| {
        let instance: String = hex(&machine.instance).chars().take(8).collect();
        format!("process {instance}, {}", one_line(&machine.software))
    })
}

fn clock(explained: &pb::ExplainSyncResponse) -> String {
    let Some(ahead) = explained.clock_ahead_ms else { return "not known".to_owned() };
    let way = if ahead < 0 { "behind" } else { "ahead" };
    format!(
        "that of {} is {} {way}, within {}",
        explained.peer,
        age(ahead.unsigned_abs()),
        age(explained.clock_within_ms)
    )
}

fn sides(explained: &pb::ExplainSyncResponse, log: &pb::SyncSides) -> Row {
    let stated = match log.root_there.is_empty() {
        true => Cell::none(),
        false => Cell::text(format!("{} @{}", short(&log.root_there), log.stated_there)),
    };
    vec![
        ("log", Cell::text(&log.log)),
        ("epoch", Cell::number(log.epoch)),
        ("part", Cell::text(if log.own { "own" } else { "mirror" })),
        ("here", Cell::number(log.size_here)),
        ("root_here", Cell::text(short(&log.root_here))),
        ("there", Cell::known(log.size_there)),
        ("root_there_@size", stated),
        ("head", Cell::number(log.head_size)),
        ("head_age", Cell::age(since(explained.at.as_ref(), log.head_at.as_ref()))),
    ]
}

fn short(root: &[u8]) -> String {
    hex(root).chars().take(8).collect()
}

fn piece(piece: &pb::SyncEvidence) -> Row {
    vec![
        ("situation", Cell::text(&piece.code)),
        ("log", Cell::text(&piece.log)),
        ("epoch", if piece.epoch == 0 { Cell::none() } else { Cell::number(piece.epoch) }),
        ("found_by", Cell::text(&piece.found_by)),
        ("first_kept", Cell::time(piece.at.as_ref())),
        ("notes", Cell::number(piece.notes)),
        ("proof", Cell::number(piece.proof_hashes)),
    ]
}

/// What programs read.
fn object(explained: &pb::ExplainSyncResponse) -> Value {
    let time = |at: Option<&Instant>| Cell::time(at).program().clone();
    let machine = |machine: Option<&pb::SyncMachine>| {
        machine.map(|m| json!({ "instance": hex(&m.instance), "software": m.software }))
    };
    let finding = |f: &pb::SyncFinding| {
        json!({
            "code": f.code, "title": f.title, "log": f.log, "epoch": f.epoch,
            "found_by": f.found_by, "since": time(f.since.as_ref()), "says": f.says,
            "meaning": f.meaning, "do_here": f.do_here, "do_there": f.do_there,
            "endangers": f.endangers,
        })
    };
    let sides = |log: &pb::SyncSides| {
        json!({
            "log": log.log, "epoch": log.epoch, "own": log.own, "size_here": log.size_here,
            "root_here": hex(&log.root_here), "size_there": log.size_there,
            "root_there": hex(&log.root_there), "stated_there": log.stated_there,
            "head_size": log.head_size, "head_at": time(log.head_at.as_ref()),
        })
    };
    let piece = |piece: &pb::SyncEvidence| {
        json!({
            "code": piece.code, "log": piece.log, "epoch": piece.epoch,
            "found_by": piece.found_by, "at": time(piece.at.as_ref()), "text": piece.text,
            "notes": piece.notes, "proof_hashes": piece.proof_hashes, "content": piece.content,
        })
    };
    json!({
        "office": explained.office,
        "peer": explained.peer,
        "at": time(explained.at.as_ref()),
        "state": explained.state,
        "since": time(explained.since.as_ref()),
        "last_contact": time(explained.last_contact.as_ref()),
        "here": machine(explained.here.as_ref()),
        "there": machine(explained.there.as_ref()),
        "clock_ahead_ms": explained.clock_ahead_ms,
        "clock_within_ms": explained.clock_within_ms,
        "at_risk": explained.at_risk,
        "findings": explained.findings.iter().map(finding).collect::<Vec<_>>(),
        "logs": explained.logs.iter().map(sides).collect::<Vec<_>>(),
        "evidence": explained.evidence.iter().map(piece).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained() -> pb::ExplainSyncResponse {
        let at = |seconds| Some(Instant { seconds, nanos: 0 });
        let finding = pb::SyncFinding {
            code: "fork".into(),
            title: "fork, two histories of one log".into(),
            log: "kz-75".into(),
            epoch: 1,
            found_by: "KZ".into(),
            since: at(700),
            says: "two\nhistories ".repeat(12),
            meaning: "It means something.".into(),
            do_here: "1. Look. 2. Ask: is it 3. or 4? 3. Wait.".into(),
            do_there: "Nothing.".into(),
            endangers: true,
        };
        let log = pb::SyncSides {
            log: "kz-75".into(),
            epoch: 1,
            size_here: 5,
            root_here: vec![0xab; 32],
            root_there: vec![0xcd; 32],
            stated_there: 4,
            ..Default::default()
        };
        let piece = pb::SyncEvidence {
            code: "fork".into(),
            log: "kz/kz-75".into(),
            epoch: 1,
            found_by: "KZ".into(),
            at: at(700),
            notes: 2,
            content: "time 7\n".into(),
            ..Default::default()
        };
        pb::ExplainSyncResponse {
            office: "KZ".into(),
            peer: "KZ-75".into(),
            at: at(1_000),
            state: "refused: fork".into(),
            findings: vec![finding],
            logs: vec![log],
            evidence: vec![piece],
            clock_ahead_ms: Some(-259_200_000),
            clock_within_ms: 600,
            ..Default::default()
        }
    }

    #[test]
    fn people_read_the_situation_the_steps_and_the_figures_within_the_terminal() {
        let lines = lines(&explained());
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        let text = lines.join("\n");
        for part in [
            "KZ sees KZ-75: refused: fork",
            "SITUATION     fork, two histories of one log (kz-75 epoch 1)",
            "found         by KZ, known since 1970-01-01 00:11:40Z",
            "do here       1. Look.\n              2. Ask: is it\n              3. or 4?",
            "do at KZ-75   Nothing.",
            "that of KZ-75 is 3 days behind, within 600 ms",
            "abababab",
            "cdcdcdcd @4",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn programs_read_one_object_and_evidence_goes_to_files_once() {
        let object = object(&explained());
        assert_eq!(object["findings"][0]["code"], "fork");
        assert_eq!(object["evidence"][0]["content"], "time 7\n");
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("kept");
        export(&explained().evidence, &to).unwrap();
        let text = fs::read_to_string(to.join("001-fork-kz-kz-75-e1-by-KZ.txt")).unwrap();
        assert_eq!(text, "time 7\n");
        export(&explained().evidence, &to).unwrap_err();
    }
}
