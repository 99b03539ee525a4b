//! `adal views`: the tables of a node.

use clap::Subcommand;
use indicatif::ProgressBar;
use wire::pb::operator::v1 as pb;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output};

/// Commands about the tables.
#[derive(Debug, Subcommand)]
pub enum ViewsCommand {
    /// Drop the tables and fold them again from the logs (queries wait or fail meanwhile)
    Rebuild,
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or broke off.
pub async fn run(command: &ViewsCommand, way: &Way, output: Output) -> Outcome {
    let ViewsCommand::Rebuild = command;
    let mut client = way.operator().await?;
    let mut events = client.rebuild_views(pb::RebuildViewsRequest {}).await?.into_inner();
    let bar = ProgressBar::new(0);
    let mut done = 0;
    while let Some(event) = events.message().await? {
        done = event.done.max(done);
        bar.set_length(event.total);
        bar.set_position(done);
        if event.finished {
            bar.finish_and_clear();
            return output.one(&vec![("records_folded", Cell::number(done))]);
        }
    }
    bar.abandon();
    Err(Failure::refused("the node broke off before the tables were complete; start it again"))
}
