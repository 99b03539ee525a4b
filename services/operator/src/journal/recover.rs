//! `adal journal recover`: records of an old disk, entered where nobody holds them.

use std::path::PathBuf;

use clap::Args;
use wire::pb::operator::v1 as pb;

use super::folder;
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

/// Where the old journal is.
#[derive(Debug, Args)]
#[command(
    after_help = "The old journal is only read; what is damaged in it is named and passed over. Of \
                  the office's own log, the records of epochs that are over are sent to its node. \
                  What nobody holds is entered once, with `log.recovered` beside it; where a \
                  stream went on meanwhile, that alone is kept. The same again changes nothing. \
                  Exit status 1: a part of the old journal cannot be read.\n\n\
                  Example:\n  adal --as operator journal recover --from /media/old-disk/data"
)]
pub struct RecoverArgs {
    /// The old data folder, or the journal in it. No node may use it.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Carries it out.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] where a part of the old journal cannot be read; the folder is no
/// journal; the node refused.
pub async fn run(args: &RecoverArgs, way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let logs = client.list_logs(pb::ListLogsRequest {}).await?.into_inner().logs;
    let own = logs.iter().filter(|row| row.role() == pb::LogRole::Own);
    let own = own.max_by_key(|row| row.epoch);
    let (log, open) = own.map(|row| (row.log.clone(), row.epoch)).unwrap_or_default();
    let journal = folder(&args.from)?;
    let doing = format!("read {}", journal.display());
    let read = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        let read = ::journal::read_files(&journal, &mut |record| {
            let header = record.header();
            if header.log.as_str() == log && header.epoch < open {
                found.push(record.into_bytes());
            }
        });
        read.map(|read| (read, found))
    });
    let read = read.await.map_err(|error| Failure::wrong(&doing, &error))?;
    let (read, found) = read.map_err(|error| Failure::wrong(&doing, &error))?;
    let count = found.len();
    let requests = found.into_iter().map(|record| pb::RecoverRecordsRequest { record });
    let sent = client.recover_records(futures_util::stream::iter(requests)).await?;
    output.one(&row(&sent.into_inner(), count))?;
    match read.damaged.first() {
        None => Ok(()),
        Some(first) => Err(Failure::bad(format!(
            "{} places of the old journal cannot be read, the first: {first}",
            read.damaged.len()
        ))),
    }
}

fn row(answer: &pb::RecoverRecordsResponse, found: usize) -> Row {
    vec![
        ("found", Cell::number(found as u64)),
        ("entered", Cell::number(answer.entered)),
        ("kept_apart", Cell::number(answer.kept_apart)),
        ("known", Cell::number(answer.known)),
        ("proved", Cell::number(answer.proved)),
    ]
}
