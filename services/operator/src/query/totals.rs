//! `adal query totals`: counts of one table.

use clap::{Args, ValueEnum};
use wire::pb::query::v1 as pb;

use super::{FilterArgs, age_of};
use crate::connect::Way;
use crate::errors::Outcome;
use crate::output::{Cell, Output, Row};

/// What to count.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal query totals appeals --by office,channel,month --json")]
pub struct TotalsArgs {
    /// The table.
    #[arg(value_enum)]
    table: TableName,
    /// Dimensions of the counts, in order [default: one count of all].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DIMENSION,..")]
    by: Vec<DimensionName>,
    /// Which rows.
    #[command(flatten)]
    filter: FilterArgs,
}

/// The tables that can be counted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TableName {
    /// Contacts.
    Contacts,
    /// Appeals.
    Appeals,
    /// Receptions.
    Receptions,
    /// Preventive measures.
    Measures,
    /// Activities of the image plan.
    Activities,
    /// Directives by office.
    Directives,
}

/// What counts can be grouped by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DimensionName {
    /// Office.
    Office,
    /// Channel.
    Channel,
    /// Kind.
    Kind,
    /// Month, in the zone in which it happened.
    Month,
    /// State.
    State,
    /// Language.
    Language,
}

impl TableName {
    fn message(self) -> pb::Table {
        match self {
            Self::Contacts => pb::Table::Contacts,
            Self::Appeals => pb::Table::Appeals,
            Self::Receptions => pb::Table::Receptions,
            Self::Measures => pb::Table::Measures,
            Self::Activities => pb::Table::Activities,
            Self::Directives => pb::Table::Directives,
        }
    }
}

impl DimensionName {
    fn message(self) -> pb::Dimension {
        match self {
            Self::Office => pb::Dimension::Office,
            Self::Channel => pb::Dimension::Channel,
            Self::Kind => pb::Dimension::Kind,
            Self::Month => pb::Dimension::Month,
            Self::State => pb::Dimension::State,
            Self::Language => pb::Dimension::Language,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::Channel => "channel",
            Self::Kind => "kind",
            Self::Month => "month",
            Self::State => "state",
            Self::Language => "language",
        }
    }
}

/// Carries it out.
pub async fn run(args: &TotalsArgs, way: &Way, output: Output) -> Outcome {
    let request = pb::TotalsRequest {
        table: args.table.message().into(),
        group_by: args.by.iter().map(|dimension| dimension.message().into()).collect(),
        filter: Some(args.filter.message()?),
    };
    let mut client = way.queries().await?;
    let totals = client.totals(request).await?.into_inner();
    let rows: Vec<Row> = totals.rows.iter().map(|row| counted(&args.by, row)).collect();
    output.table(&rows, "no row")?;
    output.note(&format!("{} in all; {}", totals.total, age_of(&totals.freshness)))
}

fn counted(by: &[DimensionName], row: &pb::TotalsRow) -> Row {
    let keys = by.iter().zip(&row.keys).map(|(name, key)| (name.name(), Cell::text(key)));
    keys.chain([("count", Cell::number(row.count))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json;

    #[test]
    fn counts_carry_the_names_of_their_dimensions() {
        let row = pb::TotalsRow { keys: vec!["KZ-75".into(), "2011-07".into()], count: 3 };
        let by = [DimensionName::Office, DimensionName::Month];
        assert_eq!(json(&counted(&by, &row)), r#"{"count":3,"month":"2011-07","office":"KZ-75"}"#);
    }
}
