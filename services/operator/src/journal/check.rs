//! `adal journal check`: everything hashed again, on the node or on files that nobody has open.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::json;
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::check_journal_event::Event;

use super::{bar, folder, interrupted, interruptible, step};
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row, hex};

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "Exit status 0: everything is intact; 1: the damages are listed; 2: the \
                        files cannot be checked; 3: the node refused or Ctrl-C ended it.\n\n\
                        Examples:\n  adal --as operator journal check\n  \
                        adal journal check --offline data      (the node must be stopped)")]
pub struct CheckArgs {
    /// Report only damage of this log [default: of every log].
    log: Option<String>,
    /// Check files without a node: the data folder of a stopped one, its journal, or a backup.
    #[arg(long, value_name = "DIR")]
    offline: Option<PathBuf>,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where there is damage.
pub async fn run(args: &CheckArgs, way: &Way, output: Output) -> Outcome {
    let report = match &args.offline {
        Some(dir) => offline(dir.clone(), args.log.clone()).await?,
        None => online(args, way).await?,
    };
    show(&report, output)
}

async fn online(args: &CheckArgs, way: &Way) -> Outcome<pb::CheckReport> {
    let log = args.log.clone().unwrap_or_default();
    let mut client = way.operator().await?;
    let mut events = client.check_journal(pb::CheckJournalRequest { log }).await?.into_inner();
    let bar = bar();
    // One listener for the whole time: a signal between two would be lost.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            heard = &mut interrupt => {
                heard.map_err(|error| Failure::wrong("listen for Ctrl-C", &error))?;
                // Hanging up ends the check on the node.
                bar.abandon();
                return Err(interrupted("the node has been told to end its check"));
            }
        };
        match event.map(|event| event.event) {
            Some(Some(Event::Progress(progress))) => {
                step(&bar, &progress.what, progress.done, progress.total);
            }
            Some(Some(Event::Report(report))) => {
                bar.finish_and_clear();
                return Ok(report);
            }
            Some(None) => {}
            None => break,
        }
    }
    bar.abandon();
    Err(Failure::refused("the node broke off before its report; check again"))
}

/// Checks files that nobody has open.
///
/// # Errors
/// The folder holds no journal, or a node has it open.
pub async fn offline(dir: PathBuf, only: Option<String>) -> Outcome<pb::CheckReport> {
    let journal = folder(&dir)?;
    let doing = format!("check {}", journal.display());
    let checked = interruptible(move |flag| {
        let bar = bar();
        let report = ::journal::check_files(&journal, &mut |progress| {
            step(&bar, "files", progress.bytes, progress.bytes_total);
            match flag.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        report
    });
    let report = checked.await?.map_err(|error| Failure::wrong(doing, &error))?;
    Ok(converted(&report, only.as_deref()))
}

fn converted(report: &::journal::CheckReport, only: Option<&str>) -> pb::CheckReport {
    let concerned = |damage: &&::journal::Damage| {
        let log = damage.position.as_ref().map(|position| position.log.as_str());
        only.is_none() || log.is_none() || log == only
    };
    let damages: Vec<pb::Damage> = report
        .damages
        .iter()
        .filter(concerned)
        .map(|damage| pb::Damage {
            file: damage.file.clone(),
            offset: damage.offset,
            position: damage.position.as_ref().map(wire::summary::position),
            problem: damage.what.clone(),
        })
        .collect();
    // What the list left out may concern any log.
    let left_out = report.damage_count.saturating_sub(report.damages.len() as u64);
    let logs = report.logs.iter().map(|info| pb::CheckedLog {
        log: info.log.to_string(),
        epoch: info.epoch,
        role: match info.role {
            ::journal::Role::Own => pb::LogRole::Own,
            ::journal::Role::Mirror => pb::LogRole::Mirror,
        }
        .into(),
        size: info.size,
        root: info.root.to_vec(),
    });
    let files = report.files.iter().map(|file| pb::CheckedFile {
        file: file.file.clone(),
        bytes: file.bytes,
        groups: file.groups,
        records: file.records,
        damages: file.damages,
    });
    pb::CheckReport {
        intact: damages.is_empty() && left_out == 0 && !report.interrupted,
        files: report.segments,
        groups: report.groups,
        records: report.records,
        bytes: report.bytes,
        damages,
        damages_left_out: left_out,
        index_entries: report.index_entries,
        interrupted: report.interrupted,
        logs: logs.collect(),
        file_counts: files.collect(),
        index_not_compared: report.index_not_compared.clone().unwrap_or_default(),
    }
}

/// Shows a report; a bad one is a failure. Programs read a line for each damage, and last one for
/// the whole with sizes and roots of the logs and the counts of each file.
fn show(report: &pb::CheckReport, output: Output) -> Outcome {
    let damages: Vec<Row> = report.damages.iter().map(damage_row).collect();
    if !damages.is_empty() {
        output.table(&damages, "")?;
    }
    output.one(&summary(report, output))?;
    let count = damages.len() as u64 + report.damages_left_out;
    if count > 0 {
        return Err(Failure::bad(format!(
            "{count} damage(s) found: keep the folder as it is, stop the node, and follow `When \
             it does not start` of the installation guide"
        )));
    }
    match report.interrupted {
        true => Err(interrupted("what was read is intact, the rest was not looked at")),
        false => Ok(()),
    }
}

/// The report as a whole.
fn summary(report: &pb::CheckReport, output: Output) -> Row {
    let count = report.damages.len() as u64 + report.damages_left_out;
    let mut summary = vec![
        ("intact", Cell::flag(report.intact)),
        ("damages", Cell::number(count)),
        ("interrupted", Cell::flag(report.interrupted)),
        ("files", Cell::number(report.files)),
        ("groups", Cell::number(report.groups)),
        ("records", Cell::number(report.records)),
        ("bytes", Cell::number(report.bytes)),
        ("index_entries", Cell::number(report.index_entries)),
        ("index_not_compared", Cell::text(&report.index_not_compared)),
    ];
    if output.is_json() {
        summary.push(("logs", Cell::json(&logs(report))));
        summary.push(("file_counts", Cell::json(&files(report))));
    }
    summary
}

fn logs(report: &pb::CheckReport) -> String {
    let logs = report.logs.iter().map(|log| {
        let (name, epoch, size, root) = (&log.log, log.epoch, log.size, hex(&log.root));
        let own = log.role() == pb::LogRole::Own;
        json!({ "log": name, "epoch": epoch, "own": own, "records": size, "root": root })
    });
    logs.collect::<serde_json::Value>().to_string()
}

fn files(report: &pb::CheckReport) -> String {
    let files = report.file_counts.iter().map(|file| {
        let pb::CheckedFile { file, bytes, groups, records, damages } = file;
        json!({
            "file": file, "bytes": bytes, "groups": groups, "records": records, "damages": damages
        })
    });
    files.collect::<serde_json::Value>().to_string()
}

fn damage_row(damage: &pb::Damage) -> Row {
    let at = damage.position.as_ref();
    vec![
        ("file", Cell::text(&damage.file)),
        ("offset", damage.offset.map_or_else(Cell::none, Cell::number)),
        ("log", Cell::text(at.map(|at| at.log.as_str()).unwrap_or_default())),
        ("epoch", at.map_or_else(Cell::none, |at| Cell::number(at.epoch))),
        ("sequence", at.map_or_else(Cell::none, |at| Cell::number(at.sequence))),
        ("problem", Cell::text(&damage.problem)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Exit;

    fn damage(log: Option<&str>) -> ::journal::Damage {
        ::journal::Damage {
            file: "commits/0000000001.seg".into(),
            offset: Some(512),
            position: log.map(|log| evidence::log::Position {
                log: log.parse().unwrap(),
                epoch: 1,
                seq: 3,
            }),
            what: "checksum".into(),
        }
    }

    #[test]
    fn damage_ends_with_status_1_and_the_filter_keeps_what_may_concern_the_log() {
        let report = ::journal::CheckReport {
            damage_count: 3,
            damages: vec![damage(Some("kz-75")), damage(Some("kz/all")), damage(None)],
            ..::journal::CheckReport::default()
        };
        let all = converted(&report, None);
        assert_eq!(all.damages.len(), 3);
        assert_eq!(show(&all, Output::new(true)).unwrap_err().exit, Exit::Bad);
        assert_eq!(converted(&report, Some("kz-75")).damages.len(), 2);
        let clean = converted(&::journal::CheckReport::default(), None);
        assert!(clean.intact);
    }

    #[test]
    fn an_interrupted_check_is_neither_intact_nor_damage() {
        let cut = ::journal::CheckReport { interrupted: true, ..Default::default() };
        let cut = converted(&cut, None);
        assert!(!cut.intact);
        assert_eq!(show(&cut, Output::new(true)).unwrap_err().exit, Exit::Refused);
    }

    #[tokio::test]
    async fn a_folder_without_a_journal_is_a_wrong_argument() {
        let dir = tempfile::tempdir().unwrap();
        let failure = offline(dir.path().to_owned(), None).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text.contains("data folder"), "{failure}");
    }

    #[tokio::test]
    async fn an_empty_journal_is_intact_and_its_parts_are_read_by_programs() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("journal");
        let small = ::journal::Options { segment_bytes: 64 * 1024, ..Default::default() };
        let opened = ::journal::Journal::open(&folder, small).unwrap();
        opened.0.ensure_own_log(&"kz-75".parse().unwrap(), 1).unwrap();
        opened.0.close();
        drop(opened);
        let report = offline(dir.path().to_owned(), None).await.unwrap();
        assert!(report.intact);
        let logs: serde_json::Value = serde_json::from_str(&logs(&report)).unwrap();
        assert_eq!((&logs[0]["log"], &logs[0]["own"]), (&json!("kz-75"), &json!(true)));
        let files: serde_json::Value = serde_json::from_str(&files(&report)).unwrap();
        assert_eq!(files[0]["file"], "commits/0000000001.seg");
        // Files are checked without their index, and the report says so.
        let told = crate::output::json(&summary(&report, Output::new(true)));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(told["index_not_compared"].as_str().unwrap().contains("checked alone"), "{told}");
        let compared = pb::CheckReport { index_not_compared: String::new(), ..report };
        let told = crate::output::json(&summary(&compared, Output::new(true)));
        assert!(told.contains(r#""index_not_compared":null"#), "{told}");
    }
}
