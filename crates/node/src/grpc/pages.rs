//! Pages of a log: the question becomes a query of the journal, which keeps nothing of it.

use domain::Timestamp;
use journal::{Direction, PageError, PageToken, Point, Query};
use tonic::Status;
use wire::pb::operator::v1 as pb;

use crate::grpc::{errors, operator};
use crate::office::Office;

/// Records of a page unless told otherwise.
const USUAL: u32 = 100;
/// Most records of a page.
const MOST: u32 = 1_000;
/// Stored bytes of a page: its message stays far below the 4 MiB that a client accepts.
const BYTES: usize = 1024 * 1024;

/// One page.
///
/// # Errors
/// No such log, an impossible bound, a token of something else, a damaged record.
pub fn page(office: &Office, asked: &pb::PageLogRequest) -> Result<pb::PageLogResponse, Status> {
    let info = operator::find_log(office, &asked.log, asked.epoch)?;
    let token = match asked.page_token.as_str() {
        "" => None,
        text => Some(text.parse::<PageToken>().map_err(|error| wrong_token(&error))?),
    };
    if token.is_none() {
        operator::within(&info, asked.from)?;
    }
    if asked.from > 0 && asked.since.is_some() {
        return Err(errors::field("since", "cannot stand beside `from`"));
    }
    let since = instant("since", asked.since.as_ref())?;
    let query = Query {
        direction: if asked.newest_first { Direction::Backward } else { Direction::Forward },
        from: since.or((asked.from > 0).then_some(Point::Sequence(asked.from))),
        to: instant("until", asked.until.as_ref())?,
        max_records: if asked.page_size == 0 { USUAL } else { asked.page_size.min(MOST) } as usize,
        max_bytes: BYTES,
        ..Query::all(info.log, info.epoch)
    };
    let page = office.journal.page(&query, token.as_ref()).map_err(|error| match error {
        PageError::Token(error) => wrong_token(&error),
        PageError::Read(error) => errors::read(&error),
    })?;
    Ok(pb::PageLogResponse {
        records: page.records.iter().map(wire::record_summary).collect(),
        next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
    })
}

fn wrong_token(error: &journal::TokenError) -> Status {
    errors::field("page_token", &error.to_string())
}

fn instant(field: &str, given: Option<&wire::pb::Instant>) -> Result<Option<Point>, Status> {
    let wrong = || errors::field(field, "is not an instant");
    let point = |instant: Timestamp| Point::Time(instant.micros());
    given.map(|given| wire::instant(given).map(point).ok_or_else(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Desk, contact, desk, log};

    async fn add(desk: &Desk, ids: std::ops::RangeInclusive<u128>) {
        let facts: Vec<_> = ids.map(contact).collect();
        desk.record(&log("kz-75"), &facts).await;
    }

    fn asked() -> pb::PageLogRequest {
        pb::PageLogRequest { log: "kz-75".to_owned(), page_size: 2, ..Default::default() }
    }

    /// All pages of a question, one record added before each but the first.
    async fn series(desk: &Desk, mut asked: pb::PageLogRequest) -> Vec<u64> {
        let (mut seqs, mut id) = (Vec::new(), 100);
        loop {
            let page = page(&desk.office, &asked).unwrap();
            assert!((1..=2).contains(&page.records.len()));
            let positions = page.records.into_iter().filter_map(|record| record.position);
            seqs.extend(positions.map(|at| at.sequence));
            if page.next_page_token.is_empty() {
                return seqs;
            }
            asked.page_token = page.next_page_token;
            add(desk, id..=id).await;
            id += 1;
        }
    }

    #[tokio::test]
    async fn pages_go_either_way_and_by_time() {
        let desk = desk("KZ-75").await;
        add(&desk, 1..=5).await;
        let times: Vec<_> =
            desk.records(&log("kz-75")).iter().map(|r| r.header().recorded_at).collect();
        let size = times.len() as u64;
        let at = |seq: u64| Some(super::super::instant(times[seq as usize]));
        let between = pb::PageLogRequest {
            since: at(size - 4),
            until: at(size - 1),
            newest_first: true,
            ..asked()
        };
        let wanted: Vec<u64> = (size - 4..size - 1).rev().collect();
        assert_eq!(series(&desk, between).await, wanted);
        let forward = pb::PageLogRequest { from: size - 3, ..asked() };
        assert_eq!(series(&desk, forward).await[..3], [size - 3, size - 2, size - 1]);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_by_its_field() {
        let desk = desk("KZ-75").await;
        add(&desk, 1..=5).await;
        let next = page(&desk.office, &asked()).unwrap().next_page_token;
        let refused = |asked: pb::PageLogRequest| {
            page(&desk.office, &asked).unwrap_err().message().to_owned()
        };
        let token = pb::PageLogRequest { page_token: next.clone(), ..asked() };
        page(&desk.office, &token).unwrap();
        let turned = refused(pb::PageLogRequest { newest_first: true, ..token.clone() });
        assert!(turned.contains("page_token") && turned.contains("direction"), "{turned}");
        let damaged = refused(pb::PageLogRequest { page_token: next.replace('A', "B"), ..asked() });
        assert!(damaged.contains("damaged"), "{damaged}");
        let since = Some(super::super::instant(0));
        let both = refused(pb::PageLogRequest { from: 1, since, ..asked() });
        assert!(both.contains("since"), "{both}");
        let behind = refused(pb::PageLogRequest { from: 1_000, ..asked() });
        assert!(behind.contains("has"), "{behind}");
    }
}
