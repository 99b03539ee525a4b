//! The entries of a tree, read and sent in bounded pieces.

use evidence::log::LogName;
use tokio::sync::mpsc;
use tonic::Status;
use tracing::error;
use wire::pb::evidence::v1 as pb;
use wire::status::Fault;

use super::held;
use crate::grpc::{errors, operator};
use crate::office::{Office, SharedOffice};
use crate::project::chain;

/// Entries of a piece, about 33 KiB.
const PIECE: u64 = 256;
/// Bytes of records read for a piece.
const PIECE_BYTES: usize = 1024 * 1024;
/// Pieces waiting for a slow asker.
pub const QUEUE: usize = 8;

/// Entries `from..to` of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    log: LogName,
    epoch: u32,
    from: u64,
    to: u64,
}

/// What is asked for, if it is here.
pub fn range(office: &Office, asked: &pb::ReadLeavesRequest) -> Result<Range, Status> {
    let info = operator::find_log(office, &asked.log, asked.epoch)?;
    if asked.from > asked.to {
        return Err(errors::field("from", "must not be larger than to"));
    }
    held("to", &info, asked.to)?;
    Ok(Range { log: info.log, epoch: info.epoch, from: asked.from, to: asked.to })
}

/// Sends the entries; ends with the range, at a damaged record, when the node stops or the asker
/// hangs up.
pub async fn run(
    office: SharedOffice,
    mut range: Range,
    send: mpsc::Sender<Result<pb::ReadLeavesResponse, Status>>,
) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    while range.from < range.to {
        let (reader, asked) = (office.clone(), range.clone());
        let read = tokio::task::spawn_blocking(move || piece(&reader, &asked)).await;
        let read = read.unwrap_or_else(|failed| {
            error!(error = chain(&failed), "read leaves");
            Err(Fault::Internal { doing: "read leaves" }.into())
        });
        let is_last = read.is_err();
        range.from += read.as_ref().map_or(0, |piece| piece.leaves.len() as u64);
        let sent = tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            sent = send.send(read) => sent,
        };
        if sent.is_err() || is_last {
            break;
        }
    }
    Ok(())
}

/// The next entries: at least one.
fn piece(office: &Office, range: &Range) -> Result<pb::ReadLeavesResponse, Status> {
    let wanted = PIECE.min(range.to - range.from) as usize;
    let read = office.journal.range(&range.log, range.epoch, range.from, wanted, PIECE_BYTES);
    let records = read.map_err(|error| errors::read(&error))?;
    if records.is_empty() {
        // It was held when it was asked for, and nothing held goes away.
        return Err(Fault::Internal { doing: "read leaves" }.into());
    }
    let leaves = records.iter().map(|record| record.leaf_data()).collect();
    Ok(pb::ReadLeavesResponse { first: range.from, leaves })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Desk, contact, desk, log};

    async fn filled(records: u128) -> Desk {
        let desk = desk("KZ-75").await;
        let facts: Vec<_> = (1..=records).map(contact).collect();
        desk.record(&log("kz-75"), &facts).await;
        desk
    }

    fn asked(from: u64, to: u64) -> pb::ReadLeavesRequest {
        pb::ReadLeavesRequest { log: "kz-75".to_owned(), epoch: 0, from, to }
    }

    #[tokio::test]
    async fn every_entry_comes_once_in_order_in_bounded_pieces() {
        let records = PIECE + 44;
        let desk = filled(u128::from(records)).await;
        let (send, mut answer) = mpsc::channel::<Result<pb::ReadLeavesResponse, Status>>(QUEUE);
        let range = range(&desk.office, &asked(3, records)).unwrap();
        let receiving = async {
            let (mut next, mut pieces) = (3, 0);
            let mut leaves = Vec::new();
            while let Some(piece) = answer.recv().await {
                let piece = piece.unwrap();
                assert_eq!(piece.first, next);
                assert!(piece.leaves.len() as u64 <= PIECE);
                next += piece.leaves.len() as u64;
                pieces += 1;
                leaves.extend(piece.leaves);
            }
            (leaves, pieces)
        };
        let (sent, (leaves, pieces)) =
            tokio::join!(run(desk.office.clone(), range, send), receiving);
        sent.unwrap();
        let stored = desk.records(&log("kz-75"));
        let wanted: Vec<_> = stored[3..].iter().map(|record| record.leaf_data()).collect();
        assert_eq!((leaves, pieces), (wanted, 2));
    }

    #[tokio::test]
    async fn what_is_not_held_is_refused_and_a_damaged_record_is_named() {
        let desk = filled(3).await;
        let refused = range(&desk.office, &asked(0, 4)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
        let refused = range(&desk.office, &asked(3, 2)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
        desk.flip(&desk.records(&log("kz-75"))[1]);
        let (send, mut answer) = mpsc::channel(QUEUE);
        let range = range(&desk.office, &asked(0, 3)).unwrap();
        run(desk.office.clone(), range, send).await.unwrap();
        let failed = answer.recv().await.unwrap().unwrap_err();
        assert_eq!(failed.code(), tonic::Code::DataLoss, "{failed}");
        assert!(failed.message().contains("sequence 1"), "{failed}");
    }

    #[tokio::test]
    async fn a_stop_ends_what_nobody_reads() {
        let desk = filled(PIECE as u128 * 3).await;
        let (send, _answer) = mpsc::channel(1);
        let range = range(&desk.office, &asked(0, PIECE * 3)).unwrap();
        let sending = run(desk.office.clone(), range, send);
        desk.office.supervisor.stop();
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, sending).await.unwrap().unwrap();
    }
}
