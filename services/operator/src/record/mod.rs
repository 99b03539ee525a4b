//! `adal record`: a person enters a fact from a terminal, or reads a sealed part back.

mod appeal;
mod contact;
mod file;
mod open;
mod plan;
mod reception;

use clap::{Args, Subcommand};
use domain::{Request, Zone};
use uuid::Uuid;
use wire::pb::command::v1 as pb;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::input;
use crate::output::{Cell, Output, Row};
use crate::send::{self, Meta};

/// Facts that a person can enter.
#[derive(Debug, Subcommand)]
#[command(after_help = "Texts are given as @FILE or - (standard input): what stands on the \
                        command line itself stays in the shell's history. Codes are those of \
                        the classifiers; a wrong one is refused with the list's name.")]
pub enum RecordCommand {
    /// A contact: a call, a letter, a visit; in one step or in several
    Contact(contact::ContactArgs),
    /// An appeal, from receipt to closing
    #[command(subcommand)]
    Appeal(appeal::AppealCommand),
    /// A personal reception session: planned, held or not held
    #[command(subcommand)]
    Reception(reception::ReceptionCommand),
    /// A preventive measure
    #[command(subcommand)]
    Measure(plan::MeasureCommand),
    /// An activity of the image plan
    #[command(subcommand)]
    Activity(plan::ActivityCommand),
    /// A correction of an appeal: the wrong record stays, a new one says what is right
    Correction(appeal::CorrectionArgs),
    /// Read a sealed part back; that it was opened, by whom and why, is recorded first
    Open(open::OpenArgs),
    /// A file for a contact: sealed while it is sent, then named by a record
    Attach(file::AttachArgs),
    /// Read a file back; that it was opened, by whom and why, is recorded first
    File(file::FileArgs),
}

/// What every fact may be given besides its own fields.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// When it happened: RFC 3339, or local time in --zone [default: now].
    #[arg(long, value_name = "TIME", help_heading = "Time and repetition")]
    at: Option<String>,
    /// Zone in which it happened [default: the office's own].
    #[arg(long, value_parser = input::zone, value_name = "ZONE",
          help_heading = "Time and repetition")]
    zone: Option<Zone>,
    /// Version of the stream that you have seen [default: whatever it is now].
    #[arg(long, value_name = "VERSION", help_heading = "Time and repetition")]
    expect: Option<u32>,
    /// Id of the command: give the same one to repeat a command whose outcome is unknown.
    #[arg(long, value_parser = input::id, value_name = "UUID",
          help_heading = "Time and repetition")]
    command_id: Option<Uuid>,
}

/// One undertaking of a person: requests about one stream, in order.
pub(crate) struct Undertaking {
    /// The stream.
    pub stream: Uuid,
    /// Whether the first request begins the stream.
    pub begins: bool,
    /// What is to be recorded, at least one.
    pub requests: Vec<Request>,
}

impl Undertaking {
    /// A single request on a stream that exists.
    pub fn on(stream: Uuid, request: impl Into<Request>) -> Self {
        Self { stream, begins: false, requests: vec![request.into()] }
    }

    /// A single request that begins a stream; a new id where none was chosen.
    pub fn begin(stream: Option<Uuid>, request: impl Into<Request>) -> Self {
        let stream = stream.unwrap_or_else(Uuid::now_v7);
        Self { stream, begins: true, requests: vec![request.into()] }
    }
}

/// Carries out one of them.
///
/// # Errors
/// A value is wrong; the node refused or could not be reached.
pub async fn run(command: &RecordCommand, way: &Way, output: Output) -> Outcome {
    let (undertaking, common) = match command {
        RecordCommand::Open(args) => return open::run(args, way, output).await,
        RecordCommand::File(args) => return file::run(args, way, output).await,
        RecordCommand::Attach(args) => (args.undertaking(way).await?, &args.common),
        RecordCommand::Contact(args) => (args.undertaking()?, &args.common),
        RecordCommand::Appeal(command) => command.undertaking()?,
        RecordCommand::Reception(command) => command.undertaking()?,
        RecordCommand::Measure(command) => command.undertaking(),
        RecordCommand::Activity(command) => command.undertaking(),
        RecordCommand::Correction(args) => (args.undertaking()?, &args.common),
    };
    enter(&undertaking, common, way, output).await
}

/// Enters the requests one after another, and shows each receipt.
async fn enter(undertaking: &Undertaking, common: &Common, way: &Way, output: Output) -> Outcome {
    let zone = common.zone.clone();
    let local = zone.clone().unwrap_or_else(Zone::utc);
    let at = common.at.as_deref().map(|at| input::moment(at, &local)).transpose()?;
    let command = common.command_id.unwrap_or_else(Uuid::now_v7);
    let mut client = way.commands().await?;
    let mut expected = match (common.expect, undertaking.begins) {
        (Some(version), _) => Some(version),
        (None, true) => Some(0),
        (None, false) => None,
    };
    let mut rows = Vec::new();
    for (step, request) in undertaking.requests.iter().enumerate() {
        let meta = Meta {
            stream: Some(undertaking.stream),
            expected,
            command: step_id(command, step),
            at,
            zone: zone.clone(),
            correlation: None,
        };
        let receipt = send::execute(&mut client, &meta, request).await?;
        expected = Some(receipt.stream_version);
        let mut row = vec![("request", Cell::text(request.name()))];
        row.extend(receipt_row(&receipt));
        rows.push(row);
    }
    match &rows[..] {
        [row] => output.one(row),
        rows => output.table(rows, ""),
    }
}

/// The id of one step of an undertaking: the same for every repetition of the undertaking.
fn step_id(command: Uuid, step: usize) -> Uuid {
    match step {
        0 => command,
        _ => Uuid::new_v5(&command, step.to_string().as_bytes()),
    }
}

/// A receipt as cells.
#[must_use]
pub fn receipt_row(receipt: &pb::CommandReceipt) -> Row {
    let position = format!("{}:{}:{}", receipt.log, receipt.epoch, receipt.first_sequence);
    let mut row = vec![
        ("position", Cell::text(position)),
        ("facts", Cell::number(receipt.last_sequence.saturating_sub(receipt.first_sequence) + 1)),
        ("stream", Cell::text(&receipt.stream_id)),
        ("version", Cell::number(receipt.stream_version)),
        ("recorded_at", Cell::time(receipt.recorded_at.as_ref())),
    ];
    if !receipt.reg_no.is_empty() {
        row.push(("reg_no", Cell::text(&receipt.reg_no)));
    }
    row.push(("replayed", Cell::flag(receipt.replayed)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_ids_that_repeat() {
        let command = Uuid::from_u128(9);
        assert_eq!(step_id(command, 0), command);
        assert_eq!(step_id(command, 1), step_id(command, 1));
        assert_ne!(step_id(command, 1), step_id(command, 2));
    }
}
