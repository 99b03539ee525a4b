//! `adal receipt show`: what a slip or receipt says, in words. Nothing is checked.

use std::path::PathBuf;

use clap::Args;
use evidence::checkpoint::Checkpoint;
use evidence::proof::TlogProof;

use super::{load, opened};
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// What to show.
#[derive(Debug, Args)]
#[command(after_help = "Whoever made the file may have written anything into it: `adal receipt \
                        verify` checks it.\n\nExample:\n  adal receipt show kz-75-42.tlog-proof")]
pub struct ShowArgs {
    /// The slip or receipt.
    file: PathBuf,
}

/// Carries it out.
///
/// # Errors
/// The file cannot be read, or is no proof.
pub fn run(args: &ShowArgs, output: Output) -> Outcome {
    let proof = load(&args.file)?;
    output.one(&row(&proof)?)?;
    output.note("nothing of this was checked: adal receipt verify --policy FILE")
}

fn row(proof: &TlogProof) -> Outcome<Row> {
    let head = Checkpoint::from_body(proof.checkpoint().text())
        .map_err(|error| Failure::bad(format!("its head is malformed: {error}")))?;
    let lines = proof.checkpoint().signatures();
    let opening = proof.opening();
    let mut row = vec![
        ("checked", Cell::flag(false)),
        ("kind", Cell::text(if lines.len() == 1 { "slip" } else { "receipt" })),
        ("log", Cell::text(&head.origin)),
        ("index", Cell::number(proof.index())),
        ("head", Cell::number(head.size)),
        ("root", Cell::bytes(&head.root)),
        ("path", Cell::number(proof.path().len() as u64)),
        ("lines_of", Cell::list(lines.iter().map(|line| line.name()))),
        (
            "opening",
            Cell::text(match &opening {
                Ok(Some(_)) => "there: it opens a record of this index",
                Ok(None) => "none: the record's bytes or its entry are needed to check it",
                Err(_) => "there, and malformed or of another record",
            }),
        ),
    ];
    if let Ok(Some(opening)) = &opening {
        row.extend(opened(opening));
    }
    Ok(row)
}
