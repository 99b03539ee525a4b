//! `adal receipt`: slips and receipts, which prove with no network that a log has a record.

mod issue;
mod qr;
mod show;
mod verify;

use std::fs;
use std::path::Path;

use clap::Subcommand;
use evidence::opening::Opening;
use evidence::proof::{MAX_TLOG_PROOF, TlogProof};
use evidence::record::{HeadRef, Header};
use wire::pb::Instant;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::output::{Cell, Output, Row};

pub use issue::IssueArgs;
pub use show::ShowArgs;
pub use verify::VerifyArgs;

/// Commands about slips and receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Make a slip or a receipt of one record
    Issue(IssueArgs),
    /// What a slip or receipt says, in words; nothing is checked
    Show(ShowArgs),
    /// Check a slip or receipt with no network (exit status 1 if it is refused)
    Verify(VerifyArgs),
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached; a file cannot be read or written; a check failed.
pub async fn run(command: &ReceiptCommand, way: &Way, output: Output) -> Outcome {
    match command {
        ReceiptCommand::Issue(args) => issue::run(args, way, output).await,
        ReceiptCommand::Show(args) => show::run(args, output),
        ReceiptCommand::Verify(args) => verify::run(args, output),
    }
}

/// Reads a slip or receipt. One that is no proof is refused, not misused: exit status 1.
fn load(path: &Path) -> Outcome<TlogProof> {
    let bytes = read(path, MAX_TLOG_PROOF)?;
    let text = String::from_utf8(bytes).map_err(|_| not_a_proof(path, "it is not UTF-8 text"))?;
    TlogProof::parse(&text).map_err(|error| not_a_proof(path, &error.to_string()))
}

fn not_a_proof(path: &Path, why: &str) -> Failure {
    Failure::bad(format!("{} is no slip or receipt: {why}", path.display()))
}

/// The bytes of a file of at most `limit` bytes.
fn read(path: &Path, limit: usize) -> Outcome<Vec<u8>> {
    let doing = || format!("read {}", path.display());
    let size = fs::metadata(path).map_err(|error| Failure::wrong(doing(), &error))?.len();
    if size > limit as u64 {
        return Err(Failure::bad(format!(
            "{} has {size} bytes; what it should be has at most {limit}",
            path.display()
        )));
    }
    fs::read(path).map_err(|error| Failure::wrong(doing(), &error))
}

/// What an opening shows: header and open body.
fn opened(opening: &Opening) -> Row {
    let header = opening.header();
    let instant = |micros| wire::timestamp(domain::Timestamp::from_micros(micros));
    let open = wire::open_json(
        header.type_code,
        header.schema_version,
        opening.open_body(),
        !header.keys.is_empty(),
    );
    vec![
        ("record", Cell::text(header.position().to_string())),
        ("type", Cell::text(type_name(header))),
        ("event_id", Cell::text(uuid::Uuid::from_bytes(header.event_id).to_string())),
        ("occurred_at", Cell::time(Some(&instant(header.occurred_at)))),
        ("recorded_at", Cell::time(Some(&instant(header.recorded_at)))),
        ("written_after", header.centre_head.as_ref().map_or_else(Cell::none, written_after)),
        ("by", Cell::text(header.actor.post.as_str())),
        ("open_part", Cell::json(&open)),
        ("statement", header.statement.as_ref().map_or_else(Cell::none, |hash| Cell::bytes(hash))),
    ]
}

/// The centre's head that the writer had seen: the record is younger than that head, whatever the
/// office's clock said.
fn written_after(head: &HeadRef) -> Cell {
    Cell::text(format!("kz/all at {} records", head.size))
}

fn type_name(header: &Header) -> String {
    let name = domain::Fact::name_of(header.type_code).map(str::to_owned);
    name.unwrap_or_else(|| format!("unknown {:#06x}", header.type_code))
}

/// An instant of seconds since 1970.
fn seconds(time: u64) -> String {
    let instant = i64::try_from(time).ok().map(|seconds| Instant { seconds, nanos: 0 });
    let moment = instant.as_ref().and_then(wire::instant).and_then(domain::Timestamp::to_jiff);
    moment.map_or_else(|| format!("{time} s since 1970"), |moment| moment.to_string())
}
