//! `adal record open`: a sealed part read back, with its trace in the log.

use clap::Args;
use domain::Code;
use wire::pb::command::v1 as pb;
use wire::pb::command::v1::open_record_request::Record as Wanted;
use wire::pb::common::v1 as common;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::input;
use crate::logs::position;
use crate::output::{Cell, Output};

/// Which sealed part, and why.
#[derive(Debug, Args)]
#[command(after_help = "The opening itself is recorded before anything is shown: who, which \
                        record, for what purpose.\n\n\
                        Example: adal --as chief record open kz-75:1:42 --purpose case_work")]
pub struct OpenArgs {
    /// log:epoch:sequence, log:sequence (newest epoch), or the id of the event.
    #[arg(value_name = "POSITION-or-EVENT-ID")]
    record: String,
    /// Why: a code of `opening_purpose`.
    #[arg(long, value_parser = input::code)]
    purpose: Code,
}

/// Carries it out.
pub(super) async fn run(args: &OpenArgs, way: &Way, output: Output) -> Outcome {
    let record = Some(wanted(&args.record)?);
    let request = pb::OpenRecordRequest { record, purpose: args.purpose.to_string() };
    let opened = way.commands().await?.open_record(request).await?.into_inner();
    let text = |at: &Option<common::Position>| {
        let at = at.as_ref().map(|at| format!("{}:{}:{}", at.log, at.epoch, at.sequence));
        Cell::text(at.unwrap_or_default())
    };
    output.one(&vec![
        ("position", text(&opened.position)),
        ("type", Cell::text(&opened.type_name)),
        ("open_part", Cell::json(&opened.open_json)),
        ("sealed_part", Cell::json(&opened.personal_json)),
        ("opening_recorded_at", text(&opened.opening)),
    ])
}

/// The record that a word names.
pub(super) fn wanted(word: &str) -> Outcome<Wanted> {
    if let Ok(id) = word.parse::<uuid::Uuid>() {
        return Ok(Wanted::EventId(id.to_string()));
    }
    let (log, epoch, sequence) = position(word)?;
    Ok(Wanted::Position(common::Position { log, epoch, sequence }))
}
