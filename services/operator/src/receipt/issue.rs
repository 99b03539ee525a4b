//! `adal receipt issue`: a slip at the counter, or a receipt once others have cosigned.

use std::fs;
use std::io::{IsTerminal, Write as _, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use evidence::checkpoint::Checkpoint;
use evidence::merkle::{leaf_hash, verify_inclusion};
use evidence::proof::TlogProof;
use wire::pb::common::v1 as common;
use wire::pb::evidence::v1 as pb;
use wire::pb::evidence::v1::get_proof_request::Record as Wanted;

use super::qr::Code;
use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::logs;
use crate::output::{Cell, Output, Row};

/// Of which record, and what of it.
#[derive(Debug, Args)]
#[command(
    after_help = "A slip bears the log's own signature: it is made at once, with no network, and \
                  the office can no longer deny the record. A receipt bears the cosignatures that \
                  the policy of the log asks for: nobody can drop the record any more without \
                  being found out. While they are missing it says so (exit status 3).\n\n\
                  The opening shows the open part of the record (codes, dates, the registration \
                  number; nothing personal) to whoever holds the paper. Offer --no-opening, or a \
                  number alone, where protection is at stake.\n\n\
                  Examples:\n  \
                  adal receipt issue --number KZ-75-2026-510900-8 --slip --svg slip.svg\n  \
                  adal receipt issue kz-75:1:42 --out kz-75-42.tlog-proof\n  \
                  adal receipt issue 0190163d-8694-739b-aea5-966c26f8ad91 --no-opening"
)]
pub struct IssueArgs {
    /// log:epoch:sequence, log:sequence (newest epoch), or the id of the event.
    #[arg(value_name = "POSITION-or-EVENT-ID", required_unless_present = "number")]
    record: Option<String>,
    /// The record that gave an appeal this registration number.
    #[arg(long, value_name = "NUM", conflicts_with = "record")]
    number: Option<String>,
    /// Make a slip, and show its QR code.
    #[arg(long)]
    slip: bool,
    /// Leave out what opens the record.
    #[arg(long)]
    no_opening: bool,
    /// Write it to this file, which must not be there yet; the usual name ends in .tlog-proof.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write its QR code to this file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Carries it out.
///
/// # Errors
/// The node refused, or no head meets the policy yet; a file is there already; what the node gave
/// does not hold.
pub async fn run(args: &IssueArgs, way: &Way, output: Output) -> Outcome {
    let record = match (&args.number, &args.record) {
        (Some(number), _) => Wanted::RegNo(number.clone()),
        (None, record) => named(record.as_deref().unwrap_or_default())?,
    };
    let kind = if args.slip { pb::ProofKind::Slip } else { pb::ProofKind::Receipt };
    let request = pb::GetProofRequest {
        record: Some(record),
        kind: kind.into(),
        opening: !args.no_opening,
        head: String::new(),
    };
    let mut client = way.evidence().await?;
    let answer = client.get_proof(request).await?.into_inner();
    let proof = check(&answer)?;
    let code = match args.slip || args.svg.is_some() {
        true => Some(Code::of(answer.proof.as_bytes())?),
        false => None,
    };
    if let Some(path) = &args.out {
        write_new(path, answer.proof.as_bytes())?;
    }
    if let (Some(path), Some(code)) = (&args.svg, &code) {
        write_new(path, code.svg().as_bytes())?;
    }
    let mut row = row(args, &answer, &proof, code.as_ref());
    if output.is_json() {
        row.push(("proof", Cell::text(&answer.proof)));
        return output.one(&row);
    }
    output.one(&row)?;
    if args.slip
        && let Some(code) = &code
    {
        picture(code, output)?;
    }
    match args.out {
        Some(_) => Ok(()),
        None => output.line(&format!("\n{}", answer.proof.trim_end())),
    }
}

fn named(text: &str) -> Outcome<Wanted> {
    if let Ok(id) = text.parse::<uuid::Uuid>() {
        return Ok(Wanted::EventId(id.to_string()));
    }
    let (log, epoch, sequence) = logs::position(text)?;
    Ok(Wanted::Position(common::Position { log, epoch, sequence }))
}

/// Checks what needs no key: that the file is a proof, that it leads from the record's entry to its
/// head, and that an opening opens that entry.
///
/// # Errors
/// [`crate::errors::Exit::Bad`] naming what does not hold.
fn check(answer: &pb::GetProofResponse) -> Outcome<TlogProof> {
    let bad = |what: &dyn std::fmt::Display| {
        Failure::bad(format!("what the node gave does not hold: {what}"))
    };
    let proof = TlogProof::parse(&answer.proof).map_err(|error| bad(&error))?;
    let at = answer.position.clone().unwrap_or_default();
    let head = Checkpoint::from_body(proof.checkpoint().text()).map_err(|error| bad(&error))?;
    if proof.index() != at.sequence {
        return Err(bad(&"it is of another record"));
    }
    let leaf = leaf_hash(&answer.leaf);
    verify_inclusion(proof.index(), head.size, &leaf, proof.path(), &head.root)
        .map_err(|error| bad(&error))?;
    if let Some(opening) = proof.opening().map_err(|error| bad(&error))? {
        opening.check(at.sequence, &answer.leaf).map_err(|error| bad(&error))?;
    }
    Ok(proof)
}

/// Writes a file that is not there yet: evidence is never written over.
fn write_new(path: &Path, bytes: &[u8]) -> Outcome {
    let failed = |error: std::io::Error| {
        let doing = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "keep the file that is there and not write",
            _ => "write",
        };
        Failure::wrong(format!("{doing} {}", path.display()), &error)
    };
    let mut file = fs::File::create_new(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn row(
    args: &IssueArgs,
    answer: &pb::GetProofResponse,
    proof: &TlogProof,
    code: Option<&Code>,
) -> Row {
    let at = answer.position.clone().unwrap_or_default();
    let signers = proof.checkpoint().signatures().iter().map(|line| line.name());
    let file = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(Cell::none, |path| Cell::text(path.display().to_string()))
    };
    let mut row = vec![
        ("kind", Cell::text(if args.slip { "slip" } else { "receipt" })),
        ("says", Cell::text(words(args.slip, answer, &at))),
        ("record", Cell::text(format!("{}:{}:{}", at.log, at.epoch, at.sequence))),
        ("type", Cell::text(&answer.type_name)),
        ("recorded_at", Cell::time(answer.recorded_at.as_ref())),
        ("head", Cell::number(answer.size)),
        ("signed_by", Cell::list(signers)),
        ("opening", Cell::flag(!args.no_opening)),
        ("bytes", Cell::number(answer.proof.len() as u64)),
        ("file", file(&args.out)),
    ];
    if let Some(code) = code {
        row.push(("qr_version", Cell::number(code.version().unsigned_abs())));
        row.push(("svg", file(&args.svg)));
    }
    row.push(("leaf", Cell::bytes(&leaf_hash(&answer.leaf))));
    row
}

fn words(slip: bool, answer: &pb::GetProofResponse, at: &common::Position) -> String {
    let (log, count) = (&at.log, answer.size);
    match slip {
        true => format!(
            "the office that writes {log} signed that this is record {} of {count}; nobody else \
             has seen it yet",
            at.sequence + 1
        ),
        false => format!(
            "record {} of the {count} that the office, the witnesses and the mirror of {log} \
             signed for, as its policy asks",
            at.sequence + 1
        ),
    }
}

/// Shows the code, unless the terminal would break its lines.
fn picture(code: &Code, output: Output) -> Outcome {
    if !stdout().is_terminal() {
        return output.line(&format!("\n{}", code.text(false)));
    }
    let columns = rustix::termios::tcgetwinsize(stdout()).map_or(0, |size| size.ws_col);
    if columns > 0 && usize::from(columns) < code.columns() {
        return output.note(&format!(
            "the QR code is {} columns wide, this terminal has {columns}: make the window wider or \
             the letters smaller, or print it with --svg",
            code.columns()
        ));
    }
    output.line(&format!("\n{}", code.text(true)))
}
