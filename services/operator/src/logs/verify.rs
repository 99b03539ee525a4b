//! `adal log verify`: everything hashed again, on the node or on the files of a stopped one.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::verify_log_event::Event;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "Exit status 0: everything is intact; 1: the damages are listed.\n\n\
                        Examples:\n  adal --as operator log verify\n  \
                        adal log verify --offline data      (the node must be stopped)")]
pub struct VerifyArgs {
    /// Report only damage of this log [default: of every log].
    log: Option<String>,
    /// Check the files of a stopped node: its data folder, or the journal in it.
    #[arg(long, value_name = "DATA_DIR")]
    offline: Option<PathBuf>,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where there is damage.
pub async fn run(args: &VerifyArgs, way: &Way, output: Output) -> Outcome {
    let report = match &args.offline {
        Some(dir) => offline(dir, args.log.as_deref())?,
        None => online(args, way).await?,
    };
    show(&report, output)
}

async fn online(args: &VerifyArgs, way: &Way) -> Outcome<pb::VerifyReport> {
    let log = args.log.clone().unwrap_or_default();
    let mut client = way.operator().await?;
    let mut events = client.verify_log(pb::VerifyLogRequest { log }).await?.into_inner();
    let bar = bar();
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Progress(progress)) => {
                step(&bar, &progress.what, progress.done, progress.total);
            }
            Some(Event::Report(report)) => {
                bar.finish_and_clear();
                return Ok(report);
            }
            None => {}
        }
    }
    bar.abandon();
    Err(Failure::refused("the node broke off before its report; check again"))
}

/// Checks the commit files of a journal that nobody has open.
///
/// # Errors
/// The folder holds no journal, or a node has it open.
pub fn offline(dir: &Path, only: Option<&str>) -> Outcome<pb::VerifyReport> {
    let inner = dir.join("journal");
    let journal = if inner.is_dir() { inner.as_path() } else { dir };
    if !journal.join("commits").is_dir() {
        return Err(Failure::usage(format!(
            "{} holds no journal: name the data folder of a node (`data` in its configuration)",
            dir.display()
        )));
    }
    let bar = bar();
    let report = journal::check_files(journal, &mut |progress| {
        step(&bar, "records", progress.records, progress.records_total);
    })
    .map_err(|error| Failure::wrong(format!("check {}", journal.display()), &error))?;
    bar.finish_and_clear();
    Ok(converted(&report, only))
}

fn converted(report: &journal::VerifyReport, only: Option<&str>) -> pb::VerifyReport {
    let concerned = |damage: &&journal::Damage| {
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
    pb::VerifyReport {
        intact: damages.is_empty() && left_out == 0,
        files: report.segments,
        frames: report.groups,
        records: report.records,
        bytes: report.bytes,
        damages,
        damages_left_out: left_out,
    }
}

/// Shows a report; a bad one is a failure.
fn show(report: &pb::VerifyReport, output: Output) -> Outcome {
    let damages: Vec<Row> = report.damages.iter().map(damage_row).collect();
    if !damages.is_empty() {
        output.table(&damages, "")?;
    }
    let count = damages.len() as u64 + report.damages_left_out;
    let summary = vec![
        ("intact", Cell::flag(report.intact)),
        ("damages", Cell::number(count)),
        ("files", Cell::number(report.files)),
        ("frames", Cell::number(report.frames)),
        ("records", Cell::number(report.records)),
        ("bytes", Cell::number(report.bytes)),
    ];
    output.one(&summary)?;
    if report.intact {
        return Ok(());
    }
    Err(Failure::bad(format!(
        "{count} damage(s) found: keep the folder as it is, stop the node, and follow `When it \
         does not start` of the installation guide"
    )))
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

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn step(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    bar.set_message(what.to_owned());
    bar.set_length(total);
    bar.set_position(done);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Exit;

    fn damage(log: Option<&str>) -> journal::Damage {
        journal::Damage {
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
        let report = journal::VerifyReport {
            damage_count: 3,
            damages: vec![damage(Some("kz-75")), damage(Some("kz/all")), damage(None)],
            ..journal::VerifyReport::default()
        };
        let all = converted(&report, None);
        assert_eq!(all.damages.len(), 3);
        assert_eq!(show(&all, Output::new(true)).unwrap_err().exit, Exit::Bad);
        assert_eq!(converted(&report, Some("kz-75")).damages.len(), 2);
        let clean = converted(&journal::VerifyReport::default(), None);
        assert!(clean.intact);
    }

    #[test]
    fn a_folder_without_a_journal_is_a_wrong_argument() {
        let dir = tempfile::tempdir().unwrap();
        let failure = offline(dir.path(), None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text.contains("data folder"), "{failure}");
    }

    #[test]
    fn an_empty_journal_is_intact() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let small = journal::Options { segment_bytes: 64 * 1024, ..journal::Options::default() };
        let opened = journal::Journal::open(&journal, small).unwrap();
        opened.0.close();
        drop(opened);
        assert!(offline(dir.path(), None).unwrap().intact);
    }
}
