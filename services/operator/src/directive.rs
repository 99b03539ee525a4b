//! `adal directive`: from the centre's desk to accepted executions.

use clap::{Args, Subcommand};
use domain::code::OrderNumber;
use domain::directive::{AcceptExecution, IssueDirective, ReturnExecution};
use domain::ids::DirectiveId;
use domain::task::{AcknowledgeTask, IndicatorValue, ReportTask};
use domain::{Code, OfficeCode, Request};
use jiff::civil::Date;
use uuid::Uuid;
use wire::pb::query::v1 as pb;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::Output;
use crate::query::{self, ListArgs, QueryCommand};
use crate::record::receipt_row;
use crate::send::{self, Meta};

/// Commands about directives.
#[derive(Debug, Subcommand)]
pub enum DirectiveCommand {
    /// Issue a directive to offices (at the centre)
    Issue(IssueArgs),
    /// Where each directive stands at each office, with the time of every step
    Status(StatusArgs),
    /// Acknowledge a directive (chief of the region)
    Acknowledge(TaskArgs),
    /// Report its execution (region)
    Report(ReportArgs),
    /// Accept an office's execution (at the centre)
    Accept(AnswerArgs),
    /// Return an office's execution for more work (at the centre)
    Return(ReturnArgs),
}

/// The directive to issue.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal --as national directive issue --all --due 2026-12-20 \
                        --subject report_on_appeals --indicator appeals_received \
                        --evidence report")]
pub struct IssueArgs {
    /// The offices, divided by commas.
    #[arg(
        long,
        value_parser = input::office,
        value_delimiter = ',',
        value_name = "CODE,..",
        required_unless_present = "all"
    )]
    to: Vec<OfficeCode>,
    /// Every enrolled regional office.
    #[arg(long, conflicts_with = "to")]
    all: bool,
    /// Day by which it is to be executed.
    #[arg(long, value_parser = input::day)]
    due: Date,
    /// Subject: a code of `directive_subject`.
    #[arg(long, value_parser = input::code)]
    subject: Code,
    /// Number of the order behind it.
    #[arg(long, value_name = "NUMBER")]
    order: Option<OrderNumber>,
    /// Values to report: codes of `indicator`.
    #[arg(long = "indicator", value_parser = input::code, value_name = "CODE,..",
          value_delimiter = ',')]
    indicators: Vec<Code>,
    /// Kinds of evidence to state: codes of `evidence`.
    #[arg(long = "evidence", value_parser = input::code, value_name = "CODE,..",
          value_delimiter = ',')]
    evidence: Vec<Code>,
    /// Id of the directive [default: a new one].
    #[arg(long, value_parser = input::id)]
    id: Option<Uuid>,
    /// Id of the command; the same for a repetition.
    #[arg(long, value_parser = input::id)]
    command_id: Option<Uuid>,
}

/// Which directives to show.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Id of one directive [default: all].
    #[arg(value_name = "DIRECTIVE", value_parser = input::id)]
    which: Option<Uuid>,
    /// Further filters.
    #[command(flatten)]
    list: ListArgs,
}

/// The directive that a region works on.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// Id of the directive.
    #[arg(value_parser = input::id)]
    directive: Uuid,
    /// Version of the task that you have seen [default: whatever it is].
    #[arg(long, value_name = "VERSION")]
    expect: Option<u32>,
    /// Id of the command; the same for a repetition.
    #[arg(long, value_parser = input::id)]
    command_id: Option<Uuid>,
}

/// A report of execution.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal --as clerk directive report 0190163d-8694-739b-aea5-\
                        966c26f8ad91 --value appeals_received=12 --evidence report")]
pub struct ReportArgs {
    /// The directive.
    #[command(flatten)]
    task: TaskArgs,
    /// One value for each indicator asked for.
    #[arg(long = "value", value_parser = input::code_and_number::<i64>, value_name = "CODE=N")]
    values: Vec<(Code, i64)>,
    /// Kinds of evidence at hand.
    #[arg(long = "evidence", value_parser = input::code, value_name = "CODE,..",
          value_delimiter = ',')]
    evidence: Vec<Code>,
}

/// The centre's word on an office's execution.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The directive.
    #[command(flatten)]
    task: TaskArgs,
    /// The office.
    #[arg(long, value_parser = input::office)]
    office: OfficeCode,
    /// The report meant, by its version in the office's task [default: the last one].
    #[arg(long, value_name = "VERSION")]
    report: Option<u32>,
}

/// A return for more work.
#[derive(Debug, Args)]
pub struct ReturnArgs {
    /// Whose execution.
    #[command(flatten)]
    answer: AnswerArgs,
    /// Why: a code of `return_remark`.
    #[arg(long, value_parser = input::code)]
    remarks: Code,
    /// The new day by which it is to be executed.
    #[arg(long, value_parser = input::day)]
    new_due: Date,
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(command: &DirectiveCommand, way: &Way, output: Output) -> Outcome {
    let (request, meta) = match command {
        DirectiveCommand::Issue(args) => return issue(args, way, output).await,
        DirectiveCommand::Status(args) => return status(args, way, output).await,
        DirectiveCommand::Acknowledge(task) => (AcknowledgeTask {}.into(), meta(task, true)),
        DirectiveCommand::Report(args) => (report(args), meta(&args.task, true)),
        DirectiveCommand::Accept(args) => (accept(args), meta(&args.task, false)),
        DirectiveCommand::Return(args) => (give_back(args), meta(&args.answer.task, false)),
    };
    let mut client = way.commands().await?;
    let receipt = send::execute(&mut client, &meta, &request).await?;
    output.one(&receipt_row(&receipt))
}

/// What the command carries. The stream of a region's task is the directive's; that of the
/// centre's dispatch follows from directive and office.
fn meta(task: &TaskArgs, of_region: bool) -> Meta {
    Meta {
        stream: of_region.then_some(task.directive),
        expected: task.expect,
        command: task.command_id.unwrap_or_else(Uuid::now_v7),
        at: None,
        zone: None,
        correlation: Some(task.directive),
    }
}

fn report(args: &ReportArgs) -> Request {
    let value = |(indicator, value): &(Code, i64)| IndicatorValue {
        indicator: indicator.clone(),
        value: *value,
    };
    let values = args.values.iter().map(value).collect();
    ReportTask { values, evidence: args.evidence.clone() }.into()
}

fn accept(args: &AnswerArgs) -> Request {
    AcceptExecution {
        directive: DirectiveId::new(args.task.directive),
        office: args.office.clone(),
        report: args.report,
    }
    .into()
}

fn give_back(args: &ReturnArgs) -> Request {
    ReturnExecution {
        directive: DirectiveId::new(args.answer.task.directive),
        office: args.answer.office.clone(),
        report: args.answer.report,
        remarks: args.remarks.clone(),
        new_due: args.new_due,
    }
    .into()
}

async fn issue(args: &IssueArgs, way: &Way, output: Output) -> Outcome {
    let targets = if args.all { regions(way).await? } else { args.to.clone() };
    let id = args.id.unwrap_or_else(Uuid::now_v7);
    let request: Request = IssueDirective {
        targets,
        due: args.due,
        subject: args.subject.clone(),
        order_number: args.order.clone(),
        indicators: args.indicators.clone(),
        evidence_required: args.evidence.clone(),
    }
    .into();
    let meta = Meta {
        stream: Some(id),
        expected: Some(0),
        command: args.command_id.unwrap_or_else(Uuid::now_v7),
        at: None,
        zone: None,
        correlation: Some(id),
    };
    let mut client = way.commands().await?;
    let receipt = send::execute(&mut client, &meta, &request).await?;
    output.one(&receipt_row(&receipt))?;
    output.note(&format!("follow it with: adal directive status {id}"))
}

/// Every enrolled regional office.
async fn regions(way: &Way) -> Outcome<Vec<OfficeCode>> {
    let request = pb::ListOfficesRequest { page_size: 1_000, ..pb::ListOfficesRequest::default() };
    let answer = way.queries().await?.list_offices(request).await?.into_inner();
    let codes = answer.rows.iter().filter_map(|row| row.code.parse::<OfficeCode>().ok());
    let regions: Vec<OfficeCode> = codes.filter(|code| !code.is_centre()).collect();
    if regions.is_empty() {
        return Err(Failure::refused(
            "no regional office is enrolled: `adal office enrol` does it",
        ));
    }
    Ok(regions)
}

async fn status(args: &StatusArgs, way: &Way, output: Output) -> Outcome {
    let mut list = args.list.clone();
    list.filter.id = args.which.or(list.filter.id);
    query::run(&QueryCommand::Directives(list), way, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_names_the_directive_and_the_centre_lets_it_follow() {
        let directive = Uuid::from_u128(5);
        let task = TaskArgs { directive, expect: None, command_id: None };
        assert_eq!(meta(&task, true).stream, Some(directive));
        let args = AnswerArgs { task, office: "KZ-75".parse().unwrap(), report: None };
        assert_eq!(meta(&args.task, false).stream, None);
        let command = send::command(&meta(&args.task, false), 1, &accept(&args)).unwrap();
        assert!(!command.meta.unwrap().stream_id.is_empty());
    }
}
