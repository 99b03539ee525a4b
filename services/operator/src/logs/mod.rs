//! `adal log`: the logs of a node and their records without personal data.

mod get;

use clap::{Args, Subcommand};
use wire::pb::operator::v1 as pb;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output, Row, hex};

pub use get::{GetArgs, check, position};

/// Records that `tail` begins with.
const TAIL: u64 = 10;
/// Records that `view` shows unless told otherwise.
const VIEW: u64 = 100;
/// Records that `view` asks for at once.
const PAGE: u32 = 500;

/// Commands about logs.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Every log that the node writes or mirrors
    List,
    /// Records of a log, in order or newest first
    View(ViewArgs),
    /// The last records of a log, and with --follow those that come
    Tail(TailArgs),
    /// One record with its proof, which is checked here
    Get(GetArgs),
}

/// Which records to show.
#[derive(Debug, Args)]
#[command(after_help = "What is recorded meanwhile does not appear in a series of pages.\n\n\
                        Examples:\n  adal log view kz-75 --from 100 --limit 20 --json\n  \
                        adal log view kz-75 --newest-first --since 2026-11-25T10:00:00+05:00")]
pub struct ViewArgs {
    /// Name of the log, such as kz-75, kz or kz/all.
    log: String,
    /// Sequence of the oldest record.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Recorded at this time or later: 2026-11-25T10:00:00+05:00, or without an offset in --zone.
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    since: Option<String>,
    /// Recorded before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Zone of --since and --until where they have no offset.
    #[arg(long, value_parser = input::zone, default_value = "Asia/Almaty", value_name = "ZONE")]
    zone: domain::Zone,
    /// Begin with the newest record.
    #[arg(long)]
    newest_first: bool,
    /// Go on behind an earlier page: the token that it ended with, with the same arguments.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page: String,
    /// Largest number of records; 0 = all.
    #[arg(long, default_value_t = VIEW)]
    limit: u64,
    /// Epoch of the log; 0 = the newest.
    #[arg(long, default_value_t = 0)]
    epoch: u32,
}

/// Which log to follow.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Name of the log.
    log: String,
    /// Stay, and show each record as it becomes durable.
    #[arg(long, short)]
    follow: bool,
    /// Records to begin with.
    #[arg(long, default_value_t = TAIL)]
    lines: u64,
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached; damage was found.
pub async fn run(command: &LogCommand, way: &Way, output: Output) -> Outcome {
    match command {
        LogCommand::List => list(way, output).await,
        LogCommand::View(args) => view(args, way, output).await,
        LogCommand::Tail(args) => tail(args, way, output).await,
        LogCommand::Get(args) => get::run(args, way, output).await,
    }
}

async fn logs(way: &Way) -> Outcome<Vec<pb::LogRow>> {
    let mut client = way.operator().await?;
    Ok(client.list_logs(pb::ListLogsRequest {}).await?.into_inner().logs)
}

async fn list(way: &Way, output: Output) -> Outcome {
    let rows: Vec<Row> = logs(way).await?.iter().map(log_row).collect();
    output.table(&rows, "the node has no log")
}

fn log_row(log: &pb::LogRow) -> Row {
    let part = match log.role() {
        pb::LogRole::Own => "own",
        pb::LogRole::Mirror => "mirror",
        pb::LogRole::Unspecified => "",
    };
    let head = evidence::checkpoint::Checkpoint::parse(&log.head).ok();
    vec![
        ("log", Cell::text(&log.log)),
        ("epoch", Cell::number(log.epoch)),
        ("part", Cell::text(part)),
        ("records", Cell::number(log.size)),
        ("signed_head", head.map_or_else(Cell::none, |head| Cell::number(head.size))),
        ("root", Cell::bytes(&log.root)),
        ("origin", Cell::text(&log.origin)),
    ]
}

async fn view(args: &ViewArgs, way: &Way, output: Output) -> Outcome {
    let moment = |text: &Option<String>| {
        let parsed = text.as_deref().map(|text| input::moment(text, &args.zone)).transpose();
        parsed.map(|moment| moment.map(wire::timestamp))
    };
    let mut request = pb::PageLogRequest {
        log: args.log.clone(),
        epoch: args.epoch,
        from: args.from,
        since: moment(&args.since)?,
        until: moment(&args.until)?,
        newest_first: args.newest_first,
        page_size: PAGE,
        page_token: args.page.clone(),
    };
    let mut client = way.operator().await?;
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut rows = Vec::new();
    loop {
        request.page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.page_log(request.clone()).await?.into_inner();
        left = left.saturating_sub(page.records.len() as u64);
        for record in &page.records {
            if output.is_json() {
                show(output, record)?;
            } else {
                rows.push(record_row(record));
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || left == 0 {
            break;
        }
    }
    if !output.is_json() {
        output.table(&rows, "no record there")?;
    }
    if request.page_token.is_empty() {
        return Ok(());
    }
    output.note(&format!("there are more: --page {}", request.page_token))
}

async fn stream(way: &Way, output: Output, request: pb::ReadLogRequest) -> Outcome {
    let follow = request.follow;
    let mut client = way.operator().await?;
    let mut records = client.read_log(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(record) = records.message().await? {
        if follow || output.is_json() {
            // One by one: the stream may be long, or never end.
            show(output, &record)?;
        } else {
            rows.push(record_row(&record));
        }
    }
    if follow || output.is_json() { Ok(()) } else { output.table(&rows, "no record there") }
}

async fn tail(args: &TailArgs, way: &Way, output: Output) -> Outcome {
    let logs = logs(way).await?;
    let newest = logs.iter().filter(|log| log.log == args.log).max_by_key(|log| log.epoch);
    let log = newest.ok_or_else(|| {
        Failure::refused(format!("the node holds no log {}; `adal log list` shows all", args.log))
    })?;
    let request = pb::ReadLogRequest {
        log: args.log.clone(),
        epoch: log.epoch,
        from: Some(log.size.saturating_sub(args.lines)),
        limit: if args.follow { 0 } else { args.lines },
        follow: args.follow,
    };
    if !args.follow && args.lines == 0 {
        return Ok(());
    }
    stream(way, output, request).await
}

fn show(output: Output, record: &pb::RecordSummary) -> Outcome {
    if output.is_json() {
        return output.line(&crate::output::json(&whole_row(record)));
    }
    let at = record.position.clone().unwrap_or_default();
    let sealed = if record.sealed { " (sealed part)" } else { "" };
    let line = format!(
        "{}:{}:{}  {}  v{} of {}{sealed}  {}",
        at.log,
        at.epoch,
        at.sequence,
        record.type_name,
        record.stream_version,
        record.stream_id,
        record.open_json
    );
    output.line(&crate::errors::one_line(&line))
}

/// What fits a table.
fn record_row(record: &pb::RecordSummary) -> Row {
    let at = record.position.clone().unwrap_or_default();
    let post = record.actor.as_ref().map(|actor| actor.post.clone()).unwrap_or_default();
    vec![
        ("seq", Cell::number(at.sequence)),
        ("type", Cell::text(type_name(record))),
        ("stream", Cell::text(&record.stream_id)),
        ("v", Cell::number(record.stream_version)),
        ("occurred_at", Cell::time(record.occurred_at.as_ref())),
        ("recorded_at", Cell::time(record.recorded_at.as_ref())),
        ("by", Cell::text(post)),
        ("sealed", Cell::flag(record.sealed)),
        ("open_part", Cell::json(&record.open_json)),
    ]
}

fn type_name(record: &pb::RecordSummary) -> String {
    match record.type_name.as_str() {
        "" => format!("unknown {:#06x}", record.type_code),
        name => name.to_owned(),
    }
}

/// Everything of a record that may be shown.
fn whole_row(record: &pb::RecordSummary) -> Row {
    let at = record.position.clone().unwrap_or_default();
    let actor = record.actor.clone().unwrap_or_default();
    let head = record.centre_head.clone();
    let mut row = vec![
        ("log", Cell::text(&at.log)),
        ("epoch", Cell::number(at.epoch)),
        ("sequence", Cell::number(at.sequence)),
        ("event_id", Cell::text(&record.event_id)),
        ("type", Cell::text(type_name(record))),
        ("type_code", Cell::number(record.type_code)),
        ("schema_version", Cell::number(record.schema_version)),
        ("stream_kind", Cell::text(&record.stream_kind_name)),
        ("stream", Cell::text(&record.stream_id)),
        ("stream_version", Cell::number(record.stream_version)),
        ("occurred_at", Cell::time(record.occurred_at.as_ref())),
        ("recorded_at", Cell::time(record.recorded_at.as_ref())),
        ("zone", Cell::text(&record.zone)),
        ("person", Cell::text(&actor.person)),
        ("post", Cell::text(&actor.post)),
        ("acting_for", Cell::text(&actor.acting_for)),
        ("command_id", Cell::text(&record.command_id)),
        ("causation_id", Cell::text(&record.causation_id)),
        ("correlation_id", Cell::text(&record.correlation_id)),
    ];
    row.extend([
        ("policy_version", Cell::number(record.policy_version)),
        ("calendar_version", Cell::number(record.calendar_version)),
        ("classifier_version", Cell::number(record.classifier_version)),
        ("classification", Cell::text(&record.classification)),
        ("urgency", Cell::text(&record.urgency)),
        ("centre_head", head.as_ref().map_or_else(Cell::none, |head| Cell::number(head.size))),
        ("centre_root", head.as_ref().map_or_else(Cell::none, |head| Cell::bytes(&head.root))),
        ("keys", Cell::list(record.keys.iter().map(|key| &key.id))),
        ("attachments", Cell::list(record.attachments.iter().map(|a| hex(&a.hash)))),
        ("traceparent", Cell::text(&record.traceparent)),
        ("open_part", Cell::json(&record.open_json)),
        ("sealed", Cell::flag(record.sealed)),
        ("sealed_bytes", Cell::number(record.sealed_bytes)),
        ("leaf_hash", Cell::bytes(&record.leaf_hash)),
    ]);
    row
}
