//! `adal sync previews`: urgent records that are shown ahead of a backlog.

use wire::pb::operator::v1 as pb;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::output::{Cell, Output, Row};

/// What the command shows.
pub const HELP: &str = "An urgent record (an appeal that was found urgent, a directive and its \
                        return) that stands behind others on a slow link is shown as soon as it \
                        was signed. It is proved against the signed head of its log and is not \
                        held here yet: it is in no table and no total, and no receipt can be given \
                        on it. `behind` counts the records before it that are still to come; it \
                        leaves this list when it is held.";

/// Carries it out.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let previews = client.list_previews(pb::ListPreviewsRequest {}).await?.into_inner().previews;
    let rows: Vec<Row> = previews.iter().map(row).collect();
    output.table(&rows, "no urgent record is shown ahead of a backlog")
}

fn row(preview: &pb::Preview) -> Row {
    let record = preview.record.clone().unwrap_or_default();
    let position = record.position.unwrap_or_default();
    vec![
        ("log", Cell::text(&position.log)),
        ("epoch", Cell::number(position.epoch)),
        ("seq", Cell::number(position.sequence)),
        ("behind", Cell::number(preview.behind)),
        ("type", Cell::text(&record.type_name)),
        ("stream", Cell::text(format!("{}/{}", record.stream_kind_name, record.stream_id))),
        ("recorded_at", Cell::time(record.recorded_at.as_ref())),
        ("came_at", Cell::time(preview.came_at.as_ref())),
        ("open", Cell::text(&record.open_json)),
    ]
}
