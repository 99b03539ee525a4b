//! `adal journal stat`: what the journal is made of, from the node or from files.

use std::path::PathBuf;

use clap::Args;
use domain::Timestamp;
use wire::pb::operator::v1 as pb;

use super::folder;
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// Whose figures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  adal --as operator journal stat\n  \
                        adal journal stat --offline data      (the node must be stopped)")]
pub struct StatArgs {
    /// Read files without a node: the data folder of a stopped one, its journal, or a backup. Only
    /// the last commit file is read, nothing is checked.
    #[arg(long, value_name = "DIR")]
    offline: Option<PathBuf>,
}

/// Carries it out. Programs read a line for each log, and last one for the journal.
///
/// # Errors
/// The node refused or could not be reached; the files cannot be read.
pub async fn run(args: &StatArgs, way: &Way, output: Output) -> Outcome {
    match &args.offline {
        Some(dir) => offline(dir.clone(), output).await,
        None => online(way, output).await,
    }
}

async fn online(way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let stat = client.journal_stat(pb::JournalStatRequest {}).await?.into_inner();
    let row = |log: &pb::LogRow| {
        let own = log.role() == pb::LogRole::Own;
        log_row(&log.log, log.epoch, own, log.size, &log.root)
    };
    let rows: Vec<Row> = stat.logs.iter().map(row).collect();
    output.table(&rows, "the journal has no log")?;
    output.one(&summary(&stat))
}

fn log_row(log: &str, epoch: u32, own: bool, size: u64, root: &[u8]) -> Row {
    vec![
        ("log", Cell::text(log)),
        ("epoch", Cell::number(epoch)),
        ("part", Cell::text(if own { "own" } else { "mirror" })),
        ("records", Cell::number(size)),
        ("root", Cell::bytes(root)),
    ]
}

fn summary(stat: &pb::JournalStatResponse) -> Row {
    let scrub = stat.last_scrub.as_ref();
    let backup = stat.last_backup.as_ref();
    let restore = stat.restores.last();
    let count = |number: Option<u64>| number.map_or_else(Cell::none, Cell::number);
    vec![
        ("records", Cell::number(stat.records)),
        ("segments", Cell::number(stat.segments)),
        ("commit_bytes", Cell::number(stat.commit_bytes)),
        ("index", Cell::text(&stat.index_state)),
        ("index_detail", Cell::text(&stat.index_detail)),
        ("index_bytes", Cell::number(stat.index_bytes)),
        ("index_aside", aside(&stat.index_aside)),
        ("index_aside_bytes", Cell::number(stat.index_aside_bytes)),
        ("free_bytes", Cell::number(stat.free_bytes)),
        ("watermark_bytes", Cell::number(stat.watermark_bytes)),
        ("reserve_bytes", Cell::number(stat.reserve_bytes)),
        ("stopped", Cell::flag(stat.stopped)),
        ("scrub_bytes_per_second", Cell::number(stat.scrub_rate)),
        ("scrub_passes", count(scrub.map(|pass| pass.number))),
        ("scrub_ended", Cell::time(scrub.and_then(|pass| pass.ended.as_ref()))),
        ("scrub_records", count(scrub.map(|pass| pass.records))),
        ("scrub_damages", count(scrub.map(|pass| pass.damages))),
        ("backup_taken", Cell::time(backup.and_then(|backup| backup.taken.as_ref()))),
        ("backup_bytes", count(backup.map(|backup| backup.bytes))),
        ("restored", Cell::time(restore.and_then(|restore| restore.restored.as_ref()))),
        ("restored_from", Cell::time(restore.and_then(|restore| restore.taken.as_ref()))),
    ]
}

/// The folder of an index that was moved aside, if there is one.
fn aside(name: &str) -> Cell {
    if name.is_empty() { Cell::none() } else { Cell::text(name) }
}

async fn offline(dir: PathBuf, output: Output) -> Outcome {
    let journal = folder(&dir)?;
    let doing = format!("read {}", journal.display());
    let read = tokio::task::spawn_blocking(move || ::journal::stat_files(&journal)).await;
    let read = read.map_err(|error| Failure::wrong(&doing, &error))?;
    let stat = read.map_err(|error| Failure::wrong(&doing, &error))?;
    let row = |info: &::journal::LogInfo| {
        let own = info.role == ::journal::Role::Own;
        log_row(info.log.as_str(), info.epoch, own, info.size, &info.root)
    };
    let rows: Vec<Row> = stat.logs.iter().map(row).collect();
    output.table(&rows, "the journal has no log")?;
    output.one(&files(&stat))
}

fn files(stat: &::journal::FilesStat) -> Row {
    let instant = |micros| wire::timestamp(Timestamp::from_micros(micros));
    let taken = stat.backup_taken_at.map(instant);
    let left = stat.quarantined.as_ref();
    vec![
        ("records", Cell::number(stat.records())),
        ("segments", Cell::number(stat.segments)),
        ("groups", Cell::number(stat.groups)),
        ("commit_bytes", Cell::number(stat.commit_bytes)),
        ("attachment_bytes", Cell::number(stat.attachment_bytes)),
        ("index_bytes", Cell::number(stat.index_bytes)),
        ("index_aside", aside(left.map_or("", |left| &left.name))),
        ("index_aside_bytes", Cell::number(left.map_or(0, |left| left.bytes))),
        ("free_bytes", Cell::number(stat.free_bytes)),
        ("reserve_bytes", Cell::number(stat.reserve_bytes)),
        ("backup_taken", Cell::time(taken.as_ref())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json;

    #[test]
    fn what_is_not_known_is_not_a_number() {
        let text = json(&summary(&pb::JournalStatResponse::default()));
        for unknown in ["scrub_passes", "scrub_ended", "backup_taken", "restored", "index_aside"] {
            assert!(text.contains(&format!("\"{unknown}\":null")), "{text}");
        }
        let pass = pb::ScrubPass { number: 3, damages: 1, ..pb::ScrubPass::default() };
        let stat = pb::JournalStatResponse { last_scrub: Some(pass), ..Default::default() };
        let text = json(&summary(&stat));
        assert!(text.contains("\"scrub_passes\":3") && text.contains("\"scrub_damages\":1"));
    }
}
