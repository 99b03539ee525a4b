//! `adal journal backup`: an image of a running node's journal, kept here and checked here.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use journal::{BackupError, BackupWriter, Manifest};
use tonic::Streaming;
use wire::pb::operator::v1 as pb;
use wire::pb::operator::v1::backup_journal_event::Event;

use super::{bar, interrupted, interruptible, phase, step};
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// Where to put the backup.
#[derive(Debug, Args)]
#[command(
    after_help = "It holds every record with open bodies and sealed parts, and no key: keep \
                        it where the office's files may be, and `vault/` and the keys apart from \
                        it. The node goes on meanwhile.\n\n\
                        Example:\n  adal --as operator journal backup --out /media/kz-75-monday"
)]
pub struct BackupArgs {
    /// Folder to make; must not be there yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Carries it out.
///
/// # Errors
/// The node refused or broke off, the folder cannot be written, or what came is damaged; the
/// unfinished folder is left with `.partial` at its name.
pub async fn run(args: &BackupArgs, way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let mut events = client.backup_journal(pb::BackupJournalRequest {}).await?.into_inner();
    // Nothing is made here before the node has agreed.
    let plan = match events.message().await?.and_then(|event| event.event) {
        Some(Event::Plan(plan)) => plan,
        _ => {
            return Err(Failure::refused("the node does not say what comes; update the older one"));
        }
    };
    let writer = BackupWriter::create(&args.out).map_err(failure)?;
    let received = tokio::select! {
        received = receive(writer, events, plan.bytes) => received,
        heard = tokio::signal::ctrl_c() => {
            heard.map_err(|error| Failure::wrong("listen for Ctrl-C", &error))?;
            Err(interrupted("the backup is not complete"))
        }
    };
    let (writer, manifest) = received.map_err(|failure| left(failure, &args.out))?;
    let checked = interruptible(move |flag| {
        let bar = bar();
        let finished = writer.finish(&manifest, &mut |progress| {
            step(&bar, phase(progress.phase), progress.bytes, progress.bytes_total);
            match flag.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        finished
    });
    let manifest = checked.await?.map_err(|error| left(failure(error), &args.out))?;
    output.one(&row(&manifest, args))
}

/// Writes what comes; gives back the writer and the manifest's text.
async fn receive(
    mut writer: BackupWriter,
    mut events: Streaming<pb::BackupJournalEvent>,
    total: u64,
) -> Outcome<(BackupWriter, String)> {
    let (bar, mut manifest, mut done) = (bar(), String::new(), 0);
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Piece(piece)) => {
                done += piece.data.len() as u64;
                let writing = tokio::task::spawn_blocking(move || {
                    let written = writer.write(&piece.file, piece.offset, &piece.data);
                    written.map(|()| writer)
                });
                let written = writing.await;
                let written =
                    written.map_err(|error| Failure::wrong("write the backup", &error))?;
                writer = written.map_err(failure)?;
                step(&bar, "copy", done, total);
            }
            Some(Event::Manifest(part)) => manifest.push_str(&part),
            Some(Event::Plan(_)) | None => {}
        }
    }
    bar.finish_and_clear();
    if manifest.is_empty() {
        return Err(Failure::refused("the node broke off before its manifest; begin again"));
    }
    Ok((writer, manifest))
}

/// Damage is a bad answer, everything else a wrong folder or a bad way.
fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::Damaged { .. } => Failure::bad(format!(
            "{error}; run `adal journal check` on the node, and do not rely on this backup"
        )),
        BackupError::Interrupted => interrupted("the backup is not complete"),
        error => Failure::wrong("back up the journal", &error),
    }
}

/// Says what is left of a backup that failed, if something is.
fn left(failure: Failure, out: &std::path::Path) -> Failure {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = out.with_file_name(name);
    if !partial.is_dir() {
        return failure;
    }
    let text = format!("{}; what came is in {}: remove it", failure.text, partial.display());
    Failure { text, ..failure }
}

fn row(manifest: &Manifest, args: &BackupArgs) -> Row {
    let taken = wire::timestamp(domain::Timestamp::from_micros(manifest.taken_at));
    vec![
        ("folder", Cell::text(args.out.display().to_string())),
        ("taken", Cell::time(Some(&taken))),
        ("group", Cell::number(manifest.group())),
        ("logs", Cell::number(manifest.logs.len() as u64)),
        ("records", Cell::number(manifest.logs.iter().map(|info| info.size).sum::<u64>())),
        ("files", Cell::number(manifest.files.len() as u64)),
        ("bytes", Cell::number(manifest.bytes())),
        ("checked", Cell::flag(true)),
    ]
}
