//! `adal journal restore`: a journal made of a backup, with the next epoch of every own log.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use journal::{EndedEpoch, Restore, RestoreError, RestoreReport};

use super::{bar, interrupted, interruptible, phase, step};
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output, Row};

/// From where and to where.
#[derive(Debug, Args)]
#[command(after_help = "The backup is checked, copied and compared; then each own log goes on in \
                        its next epoch, because records of after the backup may be held elsewhere. \
                        Run it as the user of the node, with the node stopped; `vault/` is \
                        restored apart. Exit status 1: the backup is damaged, nothing was \
                        made.\n\n\
                        Example:\n  adal journal restore --from /media/kz-75-monday \\\n    \
                        --to /var/lib/adal-region/data/journal")]
pub struct RestoreArgs {
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Folder of the journal to make (`journal` in the node's data folder); must not be there.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Epoch to go on in [default: the one behind the last in the backup and the last that has a
    /// key in `keys` beside the new journal]. Needed if later epochs were opened whose keys are not
    /// there: one more than the highest that `adal log list` shows of the office's logs at the
    /// centre, or of which a key lies elsewhere.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
}

/// Carries it out. Programs read a line for each own log, and last one for the journal.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where the backup is damaged; otherwise a folder cannot be used.
pub async fn run(args: &RestoreArgs, output: Output) -> Outcome {
    let (from, to) = (args.from.clone(), args.to.clone());
    let (clock, keyed) = (input::now().micros(), keyed(&args.to)?);
    let how = Restore { clock, epoch: args.epoch, keyed, ..Restore::default() };
    let restored = interruptible(move |flag| {
        let bar = bar();
        let restored = journal::restore(&from, &to, &how, &mut |progress| {
            step(&bar, phase(progress.phase), progress.bytes, progress.bytes_total);
            match flag.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        restored
    });
    let report = restored.await?.map_err(failure)?;
    let ended: Vec<Row> = report.restored.ended.iter().map(ended_row).collect();
    output.table(&ended, "the backup holds no own log")?;
    output.one(&row(&report, args))
}

/// The highest epoch of which the node has made a key: they lie beside its journal.
fn keyed(journal: &Path) -> Result<u32, Failure> {
    let Some(data) = journal.parent() else { return Ok(0) };
    let epochs = identity::log_key_epochs(&data.join("keys"));
    let epochs = epochs.map_err(|error| Failure::wrong("look for the keys of epochs", &error))?;
    Ok(epochs.into_iter().max().unwrap_or(0))
}

fn failure(error: RestoreError) -> Failure {
    match error {
        RestoreError::Damaged { .. } | RestoreError::Contradiction => {
            Failure::bad(format!("{error}; take another backup"))
        }
        RestoreError::Interrupted => {
            interrupted("no journal was made; remove the folder that ends in .partial, if any")
        }
        error => Failure::wrong("restore the journal", &error),
    }
}

fn ended_row(ended: &EndedEpoch) -> Row {
    vec![
        ("log", Cell::text(ended.log.as_str())),
        ("ended_epoch", Cell::number(ended.epoch)),
        ("records", Cell::number(ended.size)),
        ("goes_on_in_epoch", Cell::number(ended.successor)),
    ]
}

fn row(report: &RestoreReport, args: &RestoreArgs) -> Row {
    let taken = wire::timestamp(domain::Timestamp::from_micros(report.restored.taken_at));
    vec![
        ("folder", Cell::text(args.to.display().to_string())),
        ("backup_taken", Cell::time(Some(&taken))),
        ("records", Cell::number(report.records)),
        ("bytes", Cell::number(report.manifest.bytes())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Exit;

    #[tokio::test]
    async fn a_backup_becomes_a_journal_once_and_damage_is_status_1() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("backup"), dir.path().join("made"));
        let small = journal::Options { segment_bytes: 64 * 1024, ..Default::default() };
        let (source, _) = journal::Journal::open(&dir.path().join("journal"), small).unwrap();
        source.ensure_own_log(&"kz-75".parse().unwrap(), 1).unwrap();
        let mut backup = source.backup(5).unwrap();
        backup.write_to(&from, &mut |_| ControlFlow::Continue(())).unwrap();
        let args = RestoreArgs { from: from.clone(), to: to.clone(), epoch: None };
        run(&args, Output::new(true)).await.unwrap();
        let again = run(&args, Output::new(true)).await.unwrap_err();
        assert_eq!(again.exit, Exit::Usage);
        assert!(again.text.contains("exists already"), "{again}");
        std::fs::write(from.join("tail"), b"x").unwrap();
        let args = RestoreArgs { to: dir.path().join("other"), ..args };
        let damaged = run(&args, Output::new(true)).await.unwrap_err();
        assert_eq!(damaged.exit, Exit::Bad, "{damaged}");
        assert!(damaged.text.contains("tail"), "{damaged}");
    }

    #[test]
    fn keys_beside_the_journal_say_which_epochs_were_opened() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        assert_eq!(keyed(&journal).unwrap(), 0);
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        for name in ["log+e2.key", "log+e4.key", "public.toml"] {
            std::fs::write(dir.path().join("keys").join(name), b"x").unwrap();
        }
        assert_eq!(keyed(&journal).unwrap(), 4);
    }
}
