//! Notes the arrival of directives: for each dispatch in the mirror of `kz/<office>` the region's
//! own fact `task.delivered`, once.
//!
//! The cursor is committed with the fact, and the task's stream must not exist yet, so neither a
//! crash nor a second run delivers twice.

use domain::directive::{DispatchFact, DispatchIssued};
use domain::task::{DeliverTask, TaskRequest};
use domain::{Fact, Request};
use evidence::record::Record;
use journal::{Control, LogInfo, Transaction};
use tracing::{Instrument, error, info};
use uuid::Uuid;

use crate::decide::{self, ExecuteError, Order};
use crate::duties::growth::{self, Cursor};
use crate::facts;
use crate::office::{Office, SharedOffice, downlink};
use crate::project::chain;
use crate::reseed;
use crate::trace;

const BATCH: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;

/// Runs until shutdown; on the coordinator there is nothing to deliver.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    growth::at_growth(&office, "deliver directives", async |office| deliver_all(office).await).await
}

/// Delivers what is there; up to a damaged record, if there is one.
async fn deliver_all(office: &Office) -> Result<(), String> {
    if reseed::pending(&office.journal).is_some() {
        return Ok(()); // what was delivered comes back first
    }
    let log = downlink(&office.code).map_err(|error| error.to_string())?;
    for info in office.journal.logs().into_iter().filter(|info| info.log == log) {
        // Without a cursor from the start: a task that is there is not delivered twice.
        let mut cursor = Cursor::of(office, "deliver", &log, info.epoch);
        while cursor.next < info.size {
            let from = (&log, info.epoch);
            let range = facts::range(&office.journal, from, cursor.next, BATCH, BATCH_BYTES);
            for record in &range.records {
                cursor.next += 1;
                deliver(office, record, &info, cursor.control()).await?;
            }
            match range.stopped {
                Some(error) => return Err(chain(&error)),
                None if range.records.is_empty() => {
                    return Err(format!("no record {}", cursor.next));
                }
                None => {}
            }
        }
    }
    Ok(())
}

async fn deliver(
    office: &Office,
    record: &Record,
    info: &LogInfo,
    cursor: Control,
) -> Result<(), String> {
    // What is not understood is no directive for this build, and holds back none behind it.
    let Fact::Dispatch(DispatchFact::Issued(issued)) = facts::open_part_or_unknown(record) else {
        return advance(office, cursor).await;
    };
    let order = order(record, info, issued, cursor.clone());
    let span = tracing::info_span!("deliver task", office = %office.code);
    trace::adopt(&span, record.header().trace.as_ref());
    let directive = order.stream_id;
    match decide::execute(office, &office.node_actor()?, order).instrument(span).await {
        Ok(_) => {
            info!(%directive, "directive delivered");
            Ok(())
        }
        // The task is there already: an earlier run was cut between its fact and its answer.
        Err(ExecuteError::VersionConflict { .. }) => advance(office, cursor).await,
        // A rule says the same at every try: it is told, and holds back none behind it.
        Err(ExecuteError::Refused(refusal)) => {
            error!(%directive, reason = %refusal, "a directive cannot be delivered");
            advance(office, cursor).await
        }
        Err(error) => Err(chain(&error)),
    }
}

fn order(record: &Record, info: &LogInfo, issued: DispatchIssued, cursor: Control) -> Order {
    let header = record.header();
    // The same dispatch always makes the same command.
    let command_id = Uuid::new_v5(&Uuid::from_bytes(header.event_id), b"deliver");
    Order {
        command_id,
        stream_id: issued.directive.uuid(),
        expected_version: 0,
        occurred_at: None,
        zone: None,
        causation: Uuid::from_bytes(header.event_id),
        correlation: issued.directive.uuid(),
        request: Request::Task(TaskRequest::Deliver(DeliverTask {
            log_epoch: info.epoch,
            log_index: header.seq,
            due: issued.due,
            indicators: issued.indicators,
            evidence_required: issued.evidence_required,
        })),
        request_hash: record.leaf_hash(),
        controls: vec![cursor],
    }
}

async fn advance(office: &Office, cursor: Control) -> Result<(), String> {
    let transaction = Transaction { controls: vec![cursor], ..Transaction::default() };
    office.writer.write(transaction).await.map(drop).map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use domain::ids::{DirectiveId, DispatchId};

    use super::*;
    use crate::testing::{Desk, desk, log};

    fn dispatch(number: u128) -> (Uuid, Fact) {
        let directive = DirectiveId::new(Uuid::from_u128(number));
        let office: domain::OfficeCode = "KZ-75".parse().unwrap();
        let id = DispatchId::of(directive, &office).uuid();
        let issued = DispatchIssued {
            directive,
            office,
            due: "2026-12-20".parse().unwrap(),
            subject: domain::Code::new("reception").unwrap(),
            order_number: None,
            indicators: Vec::new(),
            evidence_required: Vec::new(),
        };
        (id, issued.into())
    }

    /// A centre that has issued directives, one of them not to be decoded, and their region.
    async fn issued(undecodable: u128, numbers: std::ops::RangeInclusive<u128>) -> (Desk, Desk) {
        let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
        let down = log("kz/kz-75");
        centre.office.journal.ensure_own_log(&down, 1).await.unwrap();
        for number in numbers {
            let (id, fact) = dispatch(number);
            let mut draft = centre.draft(&down, id, &fact);
            if number == undecodable {
                draft.open = vec![0xff; 7];
            }
            centre.append(&down, draft).await;
        }
        region.mirror(&centre, &down).await;
        (centre, region)
    }

    fn delivered(region: &Desk) -> Vec<u128> {
        let records = region.records(&log("kz-75"));
        records.iter().map(|record| u128::from_be_bytes(record.header().stream.id)).collect()
    }

    #[tokio::test]
    async fn a_record_that_is_not_understood_holds_back_no_directive() {
        let (_centre, region) = issued(1, 1..=3).await;
        for _ in 0..2 {
            assert_eq!(deliver_all(&region.office).await, Ok(()));
            assert_eq!(delivered(&region), [2, 3], "each once");
        }
    }

    #[tokio::test]
    async fn a_damaged_record_holds_back_none_before_it() {
        let (centre, region) = issued(0, 1..=4).await;
        let third = &centre.records(&log("kz/kz-75"))[2];
        region.flip(third);
        let stopped = deliver_all(&region.office).await.unwrap_err();
        assert!(stopped.contains("kz/kz-75:1:2 is damaged"), "{stopped}");
        assert_eq!(delivered(&region), [1, 2]);
        region.flip(third);
        assert_eq!(deliver_all(&region.office).await, Ok(()));
        assert_eq!(delivered(&region), [1, 2, 3, 4], "and goes on where it stopped");
    }
}
