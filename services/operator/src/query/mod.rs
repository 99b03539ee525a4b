//! `adal query`: the tables that the node folds from its logs. A region shows itself, the centre
//! everybody.

mod rows;
mod totals;

use clap::{Args, Subcommand};
use domain::Zone;
use tonic::transport::Channel;
use uuid::Uuid;
use wire::pb::common::v1::Freshness;
use wire::pb::query::v1 as pb;
use wire::pb::query::v1::query_service_client::QueryServiceClient;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::input;
use crate::output::{Output, Row};

pub use rows::{directive, office};
pub use totals::TotalsArgs;

/// Most rows that one page of an answer may have.
const PAGE: u32 = 1_000;

/// The tables.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// Contacts on the trust line and other intake
    Contacts(ListArgs),
    /// The register of appeals
    Appeals(ListArgs),
    /// Personal receptions, planned and held
    Receptions(ListArgs),
    /// Preventive measures, planned and held
    Measures(ListArgs),
    /// Activities of the image plan
    Activities(ListArgs),
    /// Execution of directives, a row per addressed office
    Directives(ListArgs),
    /// Enrolled offices with the state of their replication
    Offices(ListArgs),
    /// Counts of one table, grouped
    Totals(TotalsArgs),
}

/// Which rows, and how many.
#[derive(Clone, Debug, Args)]
#[command(after_help = "A filter that the table does not have is refused by the node.\n\n\
                        Examples:\n  adal query appeals --office KZ-75 --overdue\n  \
                        adal query contacts --from 2026-11-01 --to 2026-12-01 --all --json")]
pub struct ListArgs {
    /// Which rows.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Most rows to show.
    #[arg(long, default_value_t = 100, conflicts_with = "all")]
    pub limit: u64,
    /// Show every row.
    #[arg(long)]
    pub all: bool,
}

/// Which rows are meant.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// Code of the office.
    #[arg(long, value_parser = input::office, value_name = "CODE")]
    pub office: Option<domain::OfficeCode>,
    /// First moment included: 2026-11-25, 2026-11-25 10:00 or RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// First moment no longer included.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Zone of --from and --to where they have no offset.
    #[arg(long, value_parser = input::zone, default_value = "Asia/Almaty", value_name = "ZONE")]
    pub zone: Option<Zone>,
    /// Channel code.
    #[arg(long)]
    pub channel: Option<String>,
    /// Kind code.
    #[arg(long)]
    pub kind: Option<String>,
    /// State, spelled as in the rows.
    #[arg(long)]
    pub state: Option<String>,
    /// Language code.
    #[arg(long)]
    pub language: Option<String>,
    /// Form code (appeals).
    #[arg(long)]
    pub form: Option<String>,
    /// Audience code (measures, activities).
    #[arg(long)]
    pub audience: Option<String>,
    /// Registration number, exact (appeals).
    #[arg(long, value_name = "NUMBER")]
    pub reg_no: Option<String>,
    /// Whether signs of corruption were found (appeals).
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false")]
    pub corruption_signs: Option<bool>,
    /// Id of a directive (directives, measures).
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    pub directive: Option<Uuid>,
    /// Only rows whose term has passed unfinished.
    #[arg(long)]
    pub overdue: bool,
    /// Id of one contact, appeal, reception, measure, activity or directive.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    pub id: Option<Uuid>,
}

impl FilterArgs {
    /// The filter as the query service takes it.
    ///
    /// # Errors
    /// A time has another form.
    pub fn message(&self) -> Outcome<pb::Filter> {
        let zone = self.zone.clone().unwrap_or_else(Zone::utc);
        let moment = |text: &Option<String>| {
            text.as_deref().map(|text| input::moment(text, &zone)).transpose()
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        Ok(pb::Filter {
            office: self.office.as_ref().map(ToString::to_string).unwrap_or_default(),
            from: moment(&self.from)?.map(wire::timestamp),
            to: moment(&self.to)?.map(wire::timestamp),
            channel: text(&self.channel),
            kind: text(&self.kind),
            state: text(&self.state),
            language: text(&self.language),
            form: text(&self.form),
            audience: text(&self.audience),
            reg_no: text(&self.reg_no),
            corruption_signs: self.corruption_signs,
            directive_id: id(self.directive),
            overdue: self.overdue,
            id: id(self.id),
        })
    }
}

/// One page of a table.
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Token of the next page; empty on the last one.
    pub next: String,
    /// Rows that the filter matches in all.
    pub total: u64,
    /// How far each log was read.
    pub freshness: Vec<Freshness>,
}

/// Asks for one page; the four listings differ in their message types only.
macro_rules! page {
    (
        $client:ident, $call:ident, $request:ident, $row:path, $filter:ident, $size:ident,
        $token:ident
    ) => {{
        let request = pb::$request { filter: Some($filter), page_size: $size, page_token: $token };
        let answer = $client.$call(request).await?.into_inner();
        Page {
            rows: answer.rows.iter().map($row).collect(),
            next: answer.next_page_token,
            total: answer.total,
            freshness: answer.freshness,
        }
    }};
}

/// One page of the table that the command names.
async fn page(
    client: &mut QueryServiceClient<Channel>,
    command: &QueryCommand,
    filter: pb::Filter,
    size: u32,
    token: String,
) -> Outcome<Page> {
    Ok(match command {
        QueryCommand::Contacts(_) => {
            page!(client, list_contacts, ListContactsRequest, rows::contact, filter, size, token)
        }
        QueryCommand::Appeals(_) => {
            page!(client, list_appeals, ListAppealsRequest, rows::appeal, filter, size, token)
        }
        QueryCommand::Receptions(_) => page!(
            client,
            list_receptions,
            ListReceptionsRequest,
            rows::reception,
            filter,
            size,
            token
        ),
        QueryCommand::Measures(_) => {
            page!(client, list_measures, ListMeasuresRequest, rows::measure, filter, size, token)
        }
        QueryCommand::Activities(_) => page!(
            client,
            list_activities,
            ListActivitiesRequest,
            rows::activity,
            filter,
            size,
            token
        ),
        QueryCommand::Directives(_) => page!(
            client,
            list_directives,
            ListDirectivesRequest,
            rows::directive,
            filter,
            size,
            token
        ),
        QueryCommand::Offices(_) | QueryCommand::Totals(_) => {
            page!(client, list_offices, ListOfficesRequest, rows::office, filter, size, token)
        }
    })
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(command: &QueryCommand, way: &Way, output: Output) -> Outcome {
    let args = match command {
        QueryCommand::Totals(args) => return totals::run(args, way, output).await,
        QueryCommand::Contacts(args)
        | QueryCommand::Appeals(args)
        | QueryCommand::Receptions(args)
        | QueryCommand::Measures(args)
        | QueryCommand::Activities(args)
        | QueryCommand::Directives(args)
        | QueryCommand::Offices(args) => args,
    };
    list(command, args, way, output).await
}

async fn list(command: &QueryCommand, args: &ListArgs, way: &Way, output: Output) -> Outcome {
    let filter = args.filter.message()?;
    let most = if args.all { u64::MAX } else { args.limit };
    let mut client = way.queries().await?;
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let left = most.saturating_sub(rows.len() as u64);
        let size = u32::try_from(left).unwrap_or(PAGE).clamp(1, PAGE);
        let found = page(&mut client, command, filter.clone(), size, token).await?;
        rows.extend(found.rows);
        rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        token = found.next;
        if token.is_empty() || rows.len() as u64 >= most {
            output.table(&rows, "no row")?;
            output.note(&format!(
                "{} of {} rows; {}",
                rows.len(),
                found.total,
                age_of(&found.freshness)
            ))?;
            return Ok(());
        }
    }
}

/// Logs that are named one by one; more are summed up.
const NAMED: usize = 4;

/// How far the logs were read, in words.
fn age_of(freshness: &[Freshness]) -> String {
    let records: u64 = freshness.iter().map(|read| read.size).sum();
    match freshness.len() {
        0 => "from no log".to_owned(),
        1..=NAMED => {
            let logs = freshness.iter().map(|read| format!("{} {}", read.log, read.size));
            format!("read up to: {}", logs.collect::<Vec<_>>().join(", "))
        }
        logs => format!("from {records} records of {logs} logs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_messages() {
        let args = FilterArgs {
            office: Some("KZ-75".parse().unwrap()),
            from: Some("2011-08-01".into()),
            zone: Some(Zone::new("America/New_York").unwrap()),
            overdue: true,
            ..FilterArgs::default()
        };
        let filter = args.message().unwrap();
        assert_eq!(filter.office, "KZ-75");
        // 2011-08-01 00:00 in New York is 04:00 UTC.
        assert_eq!(filter.from.map(|from| from.seconds), Some(1_312_171_200));
        assert!(filter.overdue && filter.channel.is_empty() && filter.id.is_empty());
        let wrong = FilterArgs { to: Some("soon".into()), ..FilterArgs::default() };
        assert!(wrong.message().is_err());
    }
}
