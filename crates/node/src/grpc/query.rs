//! The query service: the tables, without personal data.

use projection::{Column, Filter, LogPosition, Page, Table};
use tonic::{Request, Response, Status};
use wire::pb::common::v1::Freshness;
use wire::pb::query::v1 as pb;
use wire::pb::query::v1::query_service_server::QueryService;

use crate::grpc::{access, errors, rows, sync};
use crate::office::SharedOffice;

/// Serves [`QueryService`] for one office.
pub struct Queries {
    office: SharedOffice,
}

impl Queries {
    /// The service of `office`.
    pub fn new(office: SharedOffice) -> Queries {
        Queries { office }
    }

    fn filter(&self, filter: Option<pb::Filter>) -> Result<Filter, Status> {
        let filter = filter.unwrap_or_default();
        let some = |text: String| (!text.is_empty()).then_some(text);
        let id = |name, text: &str| match text {
            "" => Ok(None),
            text => text
                .parse()
                .map(|id: uuid::Uuid| Some(id.into_bytes()))
                .map_err(|_| errors::field(name, "is not a UUID")),
        };
        let moment = |name, value: Option<wire::pb::Instant>| match value {
            None => Ok(None),
            Some(value) => wire::instant(&value)
                .map(|instant| Some(instant.micros()))
                .ok_or_else(|| errors::field(name, "is no instant")),
        };
        let overdue = match filter.overdue {
            true => Some(self.office.zone.date_of(self.office.now()).ok_or_else(|| {
                errors::field("filter.overdue", "has no meaning while the clock is out of range")
            })?),
            false => None,
        };
        Ok(Filter {
            office: some(filter.office),
            stream: id("filter.id", &filter.id)?,
            from: moment("filter.from", filter.from)?,
            to: moment("filter.to", filter.to)?,
            channel: some(filter.channel),
            kind: some(filter.kind),
            state: some(filter.state),
            language: some(filter.language),
            form: some(filter.form),
            audience: some(filter.audience),
            reg_no: some(filter.reg_no),
            corruption_signs: filter.corruption_signs,
            directive: id("filter.directive_id", &filter.directive_id)?,
            overdue,
        })
    }
}

fn page(size: u32, token: String) -> Page {
    Page { size, token: (!token.is_empty()).then_some(token) }
}

fn freshness(positions: Vec<LogPosition>) -> Vec<Freshness> {
    let positions = positions.into_iter();
    positions.map(|p| Freshness { log: p.log, epoch: p.epoch, size: p.next_seq }).collect()
}

/// One listing method: filter and page in, rows and the frame of the answer out.
macro_rules! listing {
    ($self:ident, $request:ident, $list:ident, $row:expr, $answer:ident) => {
        listing!($self, $request, $list, $row, $answer, |filter: Filter| filter)
    };
    ($self:ident, $request:ident, $list:ident, $row:expr, $answer:ident, $mend:expr) => {{
        access::person($request.extensions(), &$self.office)?;
        $self.office.tables.ready()?;
        let request = $request.into_inner();
        let mend: fn(Filter) -> Filter = $mend;
        let filter = mend($self.filter(request.filter)?);
        let page = page(request.page_size, request.page_token);
        let found = $self.office.views.$list(&filter, &page).await;
        let found = found.inspect_err(|error| $self.office.tables.hear(error));
        let found = found.map_err(|error| errors::view(&error))?;
        Ok(Response::new(pb::$answer {
            rows: found.rows.into_iter().map($row).collect(),
            next_page_token: found.next.unwrap_or_default(),
            total: found.total,
            freshness: freshness(found.freshness),
        }))
    }};
}

#[tonic::async_trait]
impl QueryService for Queries {
    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        listing!(self, request, list_contacts, rows::contact, ListContactsResponse)
    }

    async fn list_appeals(
        &self,
        request: Request<pb::ListAppealsRequest>,
    ) -> Result<Response<pb::ListAppealsResponse>, Status> {
        listing!(self, request, list_appeals, rows::appeal, ListAppealsResponse)
    }

    async fn list_receptions(
        &self,
        request: Request<pb::ListReceptionsRequest>,
    ) -> Result<Response<pb::ListReceptionsResponse>, Status> {
        listing!(self, request, list_receptions, rows::reception, ListReceptionsResponse)
    }

    async fn list_measures(
        &self,
        request: Request<pb::ListMeasuresRequest>,
    ) -> Result<Response<pb::ListMeasuresResponse>, Status> {
        listing!(self, request, list_measures, rows::measure, ListMeasuresResponse)
    }

    async fn list_activities(
        &self,
        request: Request<pb::ListActivitiesRequest>,
    ) -> Result<Response<pb::ListActivitiesResponse>, Status> {
        listing!(self, request, list_activities, rows::activity, ListActivitiesResponse)
    }

    async fn list_directives(
        &self,
        request: Request<pb::ListDirectivesRequest>,
    ) -> Result<Response<pb::ListDirectivesResponse>, Status> {
        // A directive is the stream of its own rows; elsewhere it is what a row belongs to.
        listing!(
            self,
            request,
            list_directives,
            rows::directive,
            ListDirectivesResponse,
            |filter| {
                Filter { stream: filter.stream.or(filter.directive), directive: None, ..filter }
            }
        )
    }

    async fn list_offices(
        &self,
        request: Request<pb::ListOfficesRequest>,
    ) -> Result<Response<pb::ListOfficesResponse>, Status> {
        let lines = sync::lines(&self.office);
        let line =
            |row: &projection::rows::OfficeRow| sync::office_line(&self.office, &row.code, &lines);
        let office = |row| rows::office(line(&row), row);
        listing!(self, request, list_offices, office, ListOfficesResponse)
    }

    async fn totals(
        &self,
        request: Request<pb::TotalsRequest>,
    ) -> Result<Response<pb::TotalsResponse>, Status> {
        access::person(request.extensions(), &self.office)?;
        self.office.tables.ready()?;
        let request = request.into_inner();
        let table = table(request.table())?;
        let columns = request.group_by().map(column).collect::<Result<Vec<_>, _>>()?;
        let filter = self.filter(request.filter.clone())?;
        let totals = self.office.views.totals(table, &columns, &filter).await;
        let totals = totals.inspect_err(|error| self.office.tables.hear(error));
        let totals = totals.map_err(|error| errors::view(&error))?;
        let rows = totals.rows.into_iter().map(|(keys, count)| pb::TotalsRow { keys, count });
        Ok(Response::new(pb::TotalsResponse {
            rows: rows.collect(),
            total: totals.total,
            freshness: freshness(totals.freshness),
        }))
    }
}

fn table(table: pb::Table) -> Result<Table, Status> {
    Ok(match table {
        pb::Table::Contacts => Table::Contacts,
        pb::Table::Appeals => Table::Appeals,
        pb::Table::Receptions => Table::Receptions,
        pb::Table::Measures => Table::Measures,
        pb::Table::Activities => Table::Activities,
        pb::Table::Directives => Table::Directives,
        pb::Table::Unspecified => return Err(errors::field("table", "names no table")),
    })
}

fn column(dimension: pb::Dimension) -> Result<Column, Status> {
    Ok(match dimension {
        pb::Dimension::Office => Column::Office,
        pb::Dimension::Channel => Column::Channel,
        pb::Dimension::Kind => Column::Kind,
        pb::Dimension::Month => Column::Month,
        pb::Dimension::State => Column::State,
        pb::Dimension::Language => Column::Language,
        pb::Dimension::Unspecified => return Err(errors::field("group_by", "names no column")),
    })
}
