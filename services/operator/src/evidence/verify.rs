//! `adal evidence verify`: checks a bundle with no network.

use std::path::PathBuf;

use ::evidence::bundle::{Report, Verdict, verify};
use ::evidence::policy::{MAX_POLICY, Policy};
use clap::Args;

use super::folder::Folder;
use super::read_text;
use crate::errors::{Failure, Outcome};
use crate::journal::bar;
use crate::output::{Cell, Output, Row};

/// What to check, and whom to trust.
#[derive(Debug, Args)]
#[command(after_help = "Every file is judged: heads must be signed, cosigned and one history; \
                        receipts and slips must lead to entries that are still there. Put the \
                        slips of citizens into `slips/` of the folder to have them judged with it. \
                        The policy is your own copy; the one in the bundle is only compared with \
                        it.\n\nExit status 0: accepted; 1: refused, each reason is listed; 2: the \
                        folder or the policy cannot be read.\n\nExamples:\n  \
                        adal evidence verify kz-75-bundle --policy kz-75.policy\n  \
                        adal evidence verify kz-75-bundle --policy kz-75.policy --json")]
pub struct VerifyArgs {
    /// The folder.
    dir: PathBuf,
    /// The policy of the log (C2SP tlog-policy).
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where anything is refused; the folder or policy cannot be read.
pub async fn run(args: &VerifyArgs, output: Output) -> Outcome {
    let text = read_text(&args.policy, MAX_POLICY)?;
    let policy = Policy::parse(text.as_bytes()).map_err(|error| {
        Failure::wrong(format!("read the policy {}", args.policy.display()), &error)
    })?;
    let report = check(Folder::new(&args.dir), policy).await?;
    output.table(&rows(&report), "")?;
    match report.is_accepted() {
        true => output.note("ACCEPTED"),
        false => Err(Failure::bad(refused(args, &report))),
    }
}

/// Checks a folder; the bar shows the bytes that were read.
///
/// # Errors
/// The folder cannot be listed.
pub async fn check(folder: Folder, policy: Policy) -> Outcome<Report> {
    let checked = tokio::task::spawn_blocking(move || {
        let bar = bar();
        bar.set_length(folder.bytes()?);
        bar.set_message("check");
        let told = bar.clone();
        let report = verify(&folder.watched(move |bytes| told.inc(bytes)), &policy);
        bar.finish_and_clear();
        report
    });
    let checked = checked.await.map_err(|error| Failure::wrong("check the bundle", &error))?;
    checked.map_err(|error| Failure::wrong("read the bundle", &error))
}

fn refused(args: &VerifyArgs, report: &Report) -> String {
    let mut all = report.refused().map(|(name, why)| format!("{name}: {why}"));
    let Some(first) = all.next() else {
        return format!("REFUSED: {} holds no signed head", args.dir.display());
    };
    let more = match all.count() {
        0 => String::new(),
        more => format!(" (and {more} more above)"),
    };
    format!("REFUSED: {first}{more}")
}

/// A row for each file, then one for each epoch of the log.
fn rows(report: &Report) -> Vec<Row> {
    let row = |of: &str, name: &str, verdict: &str, says: String| -> Row {
        vec![
            ("verdict", Cell::text(verdict)),
            ("of", Cell::text(of)),
            ("name", Cell::text(name)),
            ("says", Cell::text(says)),
        ]
    };
    let files = report.files.iter().map(|file| match &file.verdict {
        Verdict::Accepted(subject) => row("file", &file.name, "accepted", subject.to_string()),
        Verdict::Refused(why) => row("file", &file.name, "REFUSED", why.to_string()),
    });
    let origins = report.origins.iter().map(|log| match &log.refusal {
        Some(why) => row("log", &log.origin, "REFUSED", why.to_string()),
        None => row("log", &log.origin, "accepted", log.says()),
    });
    files.chain(origins).collect()
}
