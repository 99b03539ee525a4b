//! `adal evidence compare`: a head that somebody else was shown, against this node's view.

use std::path::PathBuf;

use ::evidence::checkpoint::Checkpoint;
use ::evidence::note::{MAX_NOTE, SignedNote};
use clap::Args;
use wire::pb::evidence::v1 as pb;

use super::read_text;
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// What to compare.
#[derive(Debug, Args)]
#[command(
    after_help = "Take the head from another office or an auditor: a file of `checkpoints/` in \
                  their bundle. Where the two contradict each other, both heads are kept on the \
                  node for ever, and an own log accepts no more facts. A node that is only a \
                  witness of the log compares with the head that it co-signed last; `untied` \
                  says that it cannot tell.\n\nExit status 0: no \
                  contradiction; 1: FORK, the log's key signed two histories, or ROLLBACK, it \
                  signed more than its own node has; 2: the file is no signed head; 3: the node \
                  refused, or the log's key did not sign the head.\n\nExample:\n  \
                  adal --as operator evidence compare their-bundle/checkpoints/e1-120"
)]
pub struct CompareArgs {
    /// The signed head (C2SP tlog-checkpoint).
    file: PathBuf,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] on a fork or rollback; the node refused.
pub async fn run(args: &CompareArgs, way: &Way, output: Output) -> Outcome {
    let note = read_text(&args.file, MAX_NOTE)?;
    let head = SignedNote::parse(&note).and_then(|note| Checkpoint::from_body(note.text()));
    head.map_err(|error| Failure::wrong(format!("read {}", args.file.display()), &error))?;
    let mut client = way.evidence().await?;
    let answer = client.compare_head(pb::CompareHeadRequest { note }).await?.into_inner();
    output.one(&row(&answer))?;
    match answer.verdict() {
        pb::HeadVerdict::Fork => Err(Failure::bad(format!(
            "FORK: {} shows two histories; both heads are kept on the node",
            answer.log
        ))),
        pb::HeadVerdict::Rollback => Err(Failure::bad(format!(
            "ROLLBACK: the node has less of its log {} than its key signed; the head is kept on \
             the node",
            answer.log
        ))),
        _ => Ok(()),
    }
}

fn row(answer: &pb::CompareHeadResponse) -> Row {
    let verdict = match answer.verdict() {
        pb::HeadVerdict::Same => "same",
        pb::HeadVerdict::Prefix => "prefix",
        pb::HeadVerdict::Ahead => "ahead",
        pb::HeadVerdict::Fork => "FORK",
        pb::HeadVerdict::Rollback => "ROLLBACK",
        pb::HeadVerdict::Untied => "untied",
        pb::HeadVerdict::Unspecified => "",
    };
    vec![
        ("verdict", Cell::text(verdict)),
        ("log", Cell::text(&answer.log)),
        ("epoch", Cell::number(answer.epoch)),
        ("head", Cell::number(answer.size)),
        ("here", Cell::number(answer.held)),
        ("says", Cell::text(&answer.text)),
        ("our_head", Cell::text(&answer.our_note)),
    ]
}
